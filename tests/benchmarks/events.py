"""Events from the lines to the disk, from there to the broker, and from the broker to the store."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from gateway.journal.reader import JournalUnavailable, Reader
from tests.benchmarks.figures import Figure
from tests.benchmarks.whole import whole
from tests.process.parts_mqtt import eventually

SECONDS = 5.0
PER_SECOND = 5_500.0
"""What one loop is asked to take; edges that it cannot are merged, the newest level counts."""


def _numbers(path: Path) -> tuple[int, int]:
    """How many events are kept, and how many of them the broker has acknowledged."""
    try:
        reader = Reader(path)
        with contextlib.closing(reader):
            sent = reader.cursors().sent
            return sum(reader.heads().values()), sum(sent.values())
    except JournalUnavailable:
        return 0, 0


def figures() -> list[Figure]:
    with whole() as it:
        journal = it.state / "journal.sqlite"
        made = it.control(presses=0, per_second=1, events=PER_SECOND, seconds=SECONDS)
        wanted = int(made["changes"])
        until = time.monotonic() + 30
        while _numbers(journal)[0] < wanted and time.monotonic() < until:
            time.sleep(0.1)
        durable = min(wanted, _numbers(journal)[0])
        it.role("link")
        eventually(lambda: _numbers(journal)[1] > 0, 20, (it.folder / "link.log").read_text)
        before, then = _numbers(journal)[1], time.monotonic()
        eventually(lambda: len(set(_numbers(journal))) == 1, 120)
        published = (_numbers(journal)[1] - before) / (time.monotonic() - then)
    return [
        Figure("events from line to disk", durable / SECONDS, "/s", 5000, at_least=True,
               note=f"of {wanted:,} made in {SECONDS:.0f} s {wanted - durable:,} were merged"),
        Figure("events from disk to broker, acknowledged", published, "/s", 5000, at_least=True),
    ]  # fmt: skip
