"""One row of the bench's table, and how the rows are shown."""

from __future__ import annotations

import json
import os
import platform
import sqlite3
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path


class Missing(Exception):
    """Something that a bench needs is not there; the text says what."""


@dataclass(frozen=True, slots=True)
class Figure:
    """``value`` ``None``: not measured, the note says why.

    ``floor``: what bare libraries need for the same, measured in the same run; ``None``
    where there is no such thing. ``goal`` is the design's, and ``at_least`` its direction."""

    what: str
    value: float | None
    unit: str
    goal: float | None = None
    at_least: bool = False
    floor: float | None = None
    note: str = ""

    @property
    def met(self) -> bool | None:
        if self.goal is None or self.value is None:
            return None
        return self.value >= self.goal if self.at_least else self.value <= self.goal


def quantile(values: Sequence[float], q: float) -> float:
    """The value below which the share ``q`` lies, by the nearest rank."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(q * len(ranked)))]


def machine() -> str:
    """What the figures were measured on, when, of which commit, and how busy it was."""
    model = platform.machine()
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith(("model name", "Model")):
            model = line.split(":", 1)[1].strip()
            break
    load = os.getloadavg()[1]
    when = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return (
        f"{os.cpu_count()} × {model}, Linux {platform.release()}, "
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, "
        f"{when}, commit {_commit()}, load {load:.1f}"
    )


def _commit() -> str:
    """The commit that was measured, as git names it; where there is none, that."""
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--exclude=*"],
        cwd=Path(__file__).parent, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stdout.strip() or "unknown"


def table(figures: Sequence[Figure]) -> str:
    """As Markdown, which is also readable on a terminal."""
    lines = ["| what | floor | measured | goal | |", "| --- | --- | --- | --- | --- |"]
    for figure in figures:
        goal = "–"
        if figure.goal is not None:
            goal = f"{'≥' if figure.at_least else '≤'} {_number(figure.goal)} {figure.unit}"
        floor = "–" if figure.floor is None else f"{_number(figure.floor)} {figure.unit}"
        measured = "–" if figure.value is None else f"{_number(figure.value)} {figure.unit}"
        verdict = {True: "met", False: "MISSED", None: ""}[figure.met]
        note = f"{verdict}{'; ' if verdict and figure.note else ''}{figure.note}"
        lines.append(f"| {figure.what} | {floor} | {measured} | {goal} | {note} |")
    return "\n".join(lines)


def to_json(figures: Sequence[Figure]) -> str:
    rows = [{**asdict(figure), "met": figure.met} for figure in figures]
    return json.dumps({"machine": machine(), "figures": rows}, indent=1, ensure_ascii=False)


def _number(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"
