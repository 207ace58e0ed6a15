"""A journal with somebody who waits for what it says."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gateway.core.facts import Fact, Json, Lane
from gateway.journal.queries.reader import Reader
from gateway.journal.queue import Work
from gateway.journal.reserve import NumberedState
from gateway.journal.store import SECTIONS_OF_ALL
from gateway.journal.writer import Batch, Committed, Journal

YEAR_MS = 365 * 86_400_000
UTC_OFFSET_MS = 1_700_000_000_000


class Desk:
    """A journal at a path, everything it told, and a way to wait for it."""

    def __init__(self, path: Path, boot: str = "boot-1", **settings: Any) -> None:
        self.path = path
        self.commits: list[Committed] = []
        self.states: list[str] = []
        self._changed = threading.Condition()
        settings.setdefault("limit_bytes", 10**9)
        settings.setdefault("lives", {})
        settings.setdefault("routine_wait_ms", 40)
        settings.setdefault("cursor_wait_ms", 200)
        self.journal = Journal(
            path,
            boot=boot,
            on_commit=self._committed,
            on_state=self._stated,
            gateway="gw",
            **settings,
        )

    def _committed(self, committed: Committed) -> None:
        with self._changed:
            self.commits.append(committed)
            self._changed.notify_all()

    def _stated(self, state: str) -> None:
        with self._changed:
            self.states.append(state)
            self._changed.notify_all()

    def start(self) -> Desk:
        self.journal.start()
        return self

    def until(self, true: Callable[..., object], seconds: float = 30.0) -> None:
        """Wait for something that a commit or a state brings about."""
        end = time.monotonic() + seconds
        with self._changed:
            while not true():
                if not self._changed.wait(min(0.05, end - time.monotonic() + 0.001)):
                    assert time.monotonic() < end, (self.states, len(self.commits))

    @property
    def rows(self) -> list[tuple[int, str, int, Fact]]:
        return [row for committed in list(self.commits) for row in committed.rows]

    def facts(self, kind: str) -> list[Fact]:
        return [fact for _, _, _, fact in self.rows if fact.kind == kind]

    def append(self, *facts: Fact, **rest: Any) -> None:
        self.journal.append(Batch(facts, **rest))

    def close(self) -> None:
        self.journal.close(30.0)


_open_readers: list[Reader] = []


def read(path: Path) -> Reader:
    """A reader that is closed when the test is over."""
    reader = Reader(path)
    _open_readers.append(reader)
    return reader


def close_readers() -> None:
    while _open_readers:
        _open_readers.pop().close()


def reading(at_ms: int, value: float | None = 20.5, point: str = "wc.climate") -> Fact:
    return Fact("reading", point, at_ms, {"quantity": "temperature", "value": value})


def opened(at_ms: int, door: str = "front", **data: Any) -> Fact:
    return Fact("door_opened", door, at_ms, {"cause": "request", "assumed": False, **data})


_arrivals = itertools.count(1)


def earlier(**sections: Json) -> dict[str, Json]:
    """A saved state with all that each version writes, an earlier one without its checksum."""
    return {**{name: {} for name in sorted(SECTIONS_OF_ALL)}, **sections}


def work(*facts: Fact, saved_state: dict[str, Any] | None = None, **rest: Any) -> Work:
    """What the store writes in one transaction."""
    lanes: dict[str, Lane] = {
        "reading": "routine",
        "contact_changed": "routine",
        "relay_changed": "routine",
    }
    lanes |= {"clock_trusted": "routine", "clock_stepped": "routine", "motion": "local"}
    return Work(
        facts=[(next(_arrivals), lanes.get(fact.kind, "urgent"), fact) for fact in facts],
        saved_state=None if saved_state is None else NumberedState(1, saved_state),
        **rest,
    )


def answers(reader: Reader) -> dict[str, list[str]]:
    """What each number of each lane has for an answer; a missing or double one fails."""
    result: dict[str, list[str]] = {}
    for lane, head in reader.heads().items():
        of: dict[int, list[str]] = {}
        following = 1
        while found := reader.lane(lane, following, 500):  # a read may take two seconds at most
            for row in found:
                of.setdefault(row.seq, []).append("row")
            following = found[-1].seq + 1
        for first, last, reason in reader.absent(lane, 1, max(head, 1)):
            for seq in range(first, last + 1):
                of.setdefault(seq, []).append(reason)
        assert sorted(of) == list(range(1, head + 1)), lane
        assert all(len(found) == 1 for found in of.values()), lane
        result[lane] = [of[seq][0] for seq in range(1, head + 1)]
    return result
