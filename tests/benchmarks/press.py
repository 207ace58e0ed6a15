"""Press → relay and press → disk: bare libraries, the gateway idle, and under load."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.benchmarks.figures import Figure, quantile
from tests.benchmarks.live import Crowd, tokens
from tests.benchmarks.whole import ROOT, Whole, whole

PRESSES = 200
PER_SECOND = 20.0
EVENTS = 500.0


def floor() -> list[float]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.bare", str(PRESSES), str(PER_SECOND)],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    times: list[float] = json.loads(done.stdout)
    return times


def commit_floor() -> list[float]:
    """Milliseconds of one row each, written and flushed by SQLite alone."""
    times = []
    with tempfile.TemporaryDirectory(prefix="portier-bench-") as folder:
        path = Path(folder) / "floor.sqlite"
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = FULL")
            db.execute("CREATE TABLE fact (row INTEGER PRIMARY KEY, data TEXT)")
            for _ in range(PRESSES):
                began = time.perf_counter()
                db.execute("INSERT INTO fact (data) VALUES ('{}')")
                times.append((time.perf_counter() - began) * 1000)
                time.sleep(0.01)
    return times


def figures() -> list[Figure]:
    bare, disk = floor(), commit_floor()
    with whole() as it:
        idle = it.control(presses=PRESSES, per_second=PER_SECOND, events=0, seconds=60)
        it.stop("control")
        it.role("web")
        it.role("link")
        it.role("record")
        return [
            *_rows("idle", idle["times"], bare, 0.3, 1.0, None),
            _commit("idle", idle, disk),
            *_loaded(it, bare, disk),
        ]


def _commit(what: str, found: dict[str, Any], disk: list[float]) -> Figure:
    return Figure(
        f"edge → commit of urgent facts, {what}, p99", quantile(found["urgent_ms"], 0.99), "ms",
        100.0, floor=quantile(disk, 0.99), note=f"p50 {quantile(found['urgent_ms'], 0.5):.1f} ms",
    )  # fmt: skip


def _loaded(it: Whole, bare: list[float], disk: list[float]) -> list[Figure]:
    with Crowd(it.web_port, tokens(it), clients=200, history="load.c1") as crowd:
        before = it.cpu_s("web")
        busy = it.control(presses=PRESSES, per_second=PER_SECOND, events=EVENTS, seconds=60)
        seconds = busy["changes"] / EVENTS
        web = (it.cpu_s("web") - before) / seconds
        rows = _rows("500 events/s, 200 live clients", busy["times"], bare, None, 2.0, 20.0)
        rows.append(_commit("500 events/s, 200 live clients", busy, disk))
        roles = ("control", "link", "record", "web")
        memory = {role: it.memory_mb(role) for role in roles}
        rows += [
            Figure("memory of control", memory["control"], "MB", 40.0),
            Figure(
                "memory of all roles, 200 live clients", sum(memory.values()), "MB", 200.0,
                note=", ".join(f"{role} {size:.0f}" for role, size in memory.items()),
            ),
            Figure("web, 500 events/s to 200 live clients, of one core", web * 100, "%",
                   note=f"{crowd.frames / max(seconds, 1) / 200:.0f} frames/s to each client"),
        ]  # fmt: skip
    return rows


def _rows(
    what: str,
    times: list[float | None],
    bare: list[float],
    p50: float | None,
    p99: float,
    most: float | None,
) -> list[Figure]:
    served = [t for t in times if t is not None]
    name = f"press → relay, {what}"
    return [
        Figure(f"{name}, p50", quantile(served, 0.5), "ms", p50, floor=quantile(bare, 0.5)),
        Figure(f"{name}, p99", quantile(served, 0.99), "ms", p99, floor=quantile(bare, 0.99)),
        Figure(f"{name}, max", max(served), "ms", most, floor=max(bare)),
        Figure(f"{name}, missed of {len(times)}", len(times) - len(served), "", 0),
    ]
