"""Seeds, for as long as one likes: ``python -m tests.simulation.soak --days 10000``.

Each seed is a life of thirty days under its own weather, and ten minutes of delivery from the
step to the store under one far worse. The report names the commit, so that
any seed in it can be lived again; it is written anew after every life, and what was lived is
not lost when the run is broken off.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import structlog

from gateway.core.plan import BuildingPlan
from gateway.simulation.agenda import MINUTE
from tests.simulation.delivery import Delivery
from tests.simulation.lived import BUILDING, lived, plan_of

DAYS_OF_A_LIFE = 30
DELIVERY_MS = 10 * MINUTE
FIRST_SEED = 1_000
BROKEN_MOST = 50


@dataclass
class Soak:
    """What has been lived so far."""

    commit: str
    first: int
    lives: int = 0
    days: int = 0
    steps: int = 0
    busy_s: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)
    asked: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)

    def live(self, plan: BuildingPlan, seed: int, count: int = DAYS_OF_A_LIFE) -> None:
        """One more life. An exception is a finding like any other: it names its seed."""
        began = time.process_time()
        try:
            life = lived(plan, count, seed)
        except Exception as error:  # noqa: BLE001 - whatever it raises is what we look for
            self.broken.append(f"seed {seed}: {type(error).__name__}: {error}")
        else:
            self.faults.update(life.faults)
            self.asked.update(life.oracles.asked)
            self.steps += life.host.steps
            self.broken += [
                f"seed {seed}, {one.at_ms} ms: {one.oracle}: {one.text}"
                for one in life.oracles.broken
            ]
        self.lives += 1
        self.days += count
        self.busy_s += time.process_time() - began
        self._deliver(seed)

    def _deliver(self, seed: int) -> None:
        """The same seed's delivery."""
        with tempfile.TemporaryDirectory() as folder:
            delivery = Delivery(Path(folder), seed)
            try:
                delivery.live(DELIVERY_MS)
            except Exception as error:  # noqa: BLE001 - whatever it raises is what we look for
                self.broken.append(f"delivery {seed}: {type(error).__name__}: {error}")
            self.faults.update({f"delivery: {k}": n for k, n in delivery.faults.items()})
            self.asked.update({f"delivery: {k}": n for k, n in delivery.asked.items()})
            self.broken += [f"delivery, {one}" for one in delivery.broken]

    def report(self) -> str:
        """Everything, as a page."""
        year_s = self.busy_s / max(self.days, 1) * 365
        lines = [
            f"Commit {self.commit}, written {datetime.now(UTC):%Y-%m-%d %H:%M} UTC.",
            f"Seeds {self.first} to {self.first + self.lives - 1}, {DAYS_OF_A_LIFE} days each: "
            f"{self.days:,} building-days, {self.steps:,} steps, "
            f"{self.busy_s / 60:.0f} min of one core ({year_s:.0f} s for a building-year).",
            "",
            f"**{len(self.broken)} oracle violations** in {sum(self.asked.values()):,} judgements.",
            *(f"- {one}" for one in self.broken[:BROKEN_MOST]),
            "",
            *_table("fault", "times", self.faults),
            "",
            *_table("oracle", "judged", self.asked),
        ]
        return "\n".join(lines) + "\n"


def _table(name: str, count: str, counted: Counter[str]) -> list[str]:
    rows = [f"| {one} | {number:,} |" for one, number in sorted(counted.items())]
    return [f"| {name} | {count} |", "| --- | --- |", *rows]


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty", "--abbrev=10"]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    return told.stdout.strip() or "unknown"


def main() -> int:
    """Live; 1 when an oracle was broken."""
    parser = argparse.ArgumentParser(prog="soak")
    parser.add_argument("--days", type=float, default=0.0, help="building-days to live")
    parser.add_argument("--hours", type=float, default=0.0, help="hours of wall time to go on for")
    parser.add_argument("--seed", type=int, default=FIRST_SEED, help="the first seed")
    parser.add_argument("--report", type=Path, default=Path("state/soak.md"))
    told = parser.parse_args()
    if not told.days and not told.hours:
        told.days = 1_000.0
    ends = time.monotonic() + told.hours * 3600
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    plan, soak = plan_of(BUILDING), Soak(_commit(), told.seed)
    told.report.parent.mkdir(parents=True, exist_ok=True)
    while soak.days < told.days or time.monotonic() < ends:
        soak.live(plan, told.seed + soak.lives)
        told.report.write_text(soak.report())
    sys.stdout.write(soak.report())
    return 1 if soak.broken else 0


if __name__ == "__main__":
    raise SystemExit(main())
