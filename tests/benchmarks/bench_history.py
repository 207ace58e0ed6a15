"""History over ten million rows: how long a chart of a year and of a day takes.

    python tests/benchmarks/bench_history.py [--rows 10000000] [--folder DIR] [--keep]

Generates a journal (about a minute and 1 GB), then measures each query cold (a new
connection; the page cache is dropped first where we are root) and warm. Goals: a year to
1,000 buckets 20 ms cold and 5 ms warm, a day of facts 5 ms.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from gateway.journal import history
from gateway.journal.reader import Reader
from gateway.journal.schema import HOUR_MS
from gateway.journal.store import Store

DAY_MS = 86_400_000
YEAR_MS = 365 * DAY_MS
UTC_OFFSET_MS = 1_700_000_000_000
SERIES = 20


def generate(path: Path, rows: int) -> None:
    """A year of readings of 20 meters, and a door event every five minutes."""
    store = Store(path, "bench")
    run = store.connection.execute
    run("PRAGMA journal_mode = OFF").fetchone()
    run("PRAGMA synchronous = OFF")
    for index in ("fact_lane", "fact_series"):
        run(f"DROP INDEX {index}")
    with store.transaction():
        store._segment(0, UTC_OFFSET_MS)
        for number in range(SERIES):
            store._series("reading", f"meter.{number}", "temperature")
        door = store._series("door_opened", "front", "")
    step = YEAR_MS * SERIES / rows

    def facts() -> Iterator[tuple[object, ...]]:
        rolls = random.Random(1)
        for row in range(1, rows + 1):
            at = int(row * step / SERIES)
            if row % 2_000 == 0:
                yield row, 0, row // 2_000, door, 1, at, None, None, '{"cause":"request"}'
            else:
                value = round(20 + rolls.random() * 5, 2)
                yield row, 1, row - row // 2_000, row % SERIES + 1, 1, at, value, None, None

    with store.transaction():
        store.connection.executemany("INSERT INTO fact VALUES (?,?,?,?,?,?,?,?,?)", facts())
    run("CREATE UNIQUE INDEX fact_lane ON fact (lane, seq)")
    run("CREATE INDEX fact_series ON fact (series, boot, mono_ms, value, count)")
    run(
        f"INSERT INTO hour SELECT series, boot, mono_ms / {HOUR_MS}, count(value), 0, "
        f"total(value), min(value), max(value) FROM fact WHERE series <= {SERIES} GROUP BY 1, 2, 3"
    )
    store.close(clean=True)


def measure(path: Path, query: Callable[[Reader], object]) -> tuple[float, float, float]:
    """Milliseconds: (cold, warm), the medians; and the processor's share of a warm one."""
    cold, warm, used = [], [], []
    for _ in range(5):
        with contextlib.suppress(OSError):
            Path("/proc/sys/vm/drop_caches").write_text("3")
        reader = Reader(path)
        for times in (cold, warm, warm, warm):
            began = time.perf_counter()
            cpu = time.process_time()
            query(reader)
            times.append((time.perf_counter() - began) * 1000)
            used.append((time.process_time() - cpu) * 1000)
        reader.close()
    return statistics.median(cold), statistics.median(warm), statistics.median(used)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = options.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        path = folder / "journal.sqlite"
        if not path.exists():
            began = time.perf_counter()
            generate(path, options.rows)
            print(f"generated in {time.perf_counter() - began:.0f} s")
        print(f"{options.rows:,} rows, {path.stat().st_size / 1e6:,.0f} MB")
        end = UTC_OFFSET_MS + YEAR_MS
        queries: dict[str, Callable[[Reader], object]] = {
            "a year to 1,000 buckets": lambda r: history.buckets(
                r, "meter.7", "temperature", UTC_OFFSET_MS, end, 1_000
            ),
            "a month to 1,000 buckets": lambda r: history.buckets(
                r, "meter.7", "temperature", end - 30 * DAY_MS, end, 1_000
            ),
            "a day to 1,000 buckets": lambda r: history.buckets(
                r, "meter.7", "temperature", end - DAY_MS, end, 1_000
            ),
            "door marks of a day": lambda r: history.marks(r, "front", end - DAY_MS, end),
            "newest 50 events": lambda r: r.before_row(None, 50),
            "newest 50 of one kind": lambda r: r.before_row(None, 50, kinds=["door_opened"]),
            "50 events, half a year ago": lambda r: r.before_row(
                None, 50, to_utc_ms=end - YEAR_MS // 2
            ),
            "100 rows of a lane": lambda r: r.lane("routine", options.rows // 2, 100),
        }
        print(f"{'':28}{'cold ms':>10}{'warm ms':>10}{'cpu ms':>10}")
        for name, query in queries.items():
            cold, warm, used = measure(path, query)
            print(f"{name:28}{cold:10.1f}{warm:10.1f}{used:10.1f}")
        if options.folder and not options.keep:
            path.unlink()


if __name__ == "__main__":
    main()
