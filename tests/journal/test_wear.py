"""What causes a commit, and what waits for the next: each commit wears the card."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.core.effects import Reply
from gateway.core.facts import Fact, Json
from gateway.core.instant import Ms
from gateway.journal import queue as q
from gateway.journal import writer
from gateway.journal.audit import AuditEntry
from gateway.journal.queue import Batch, Queue, Work
from gateway.journal.schema import PAGE_BYTES
from gateway.journal.store import Store
from gateway.settings.model.configuration import Journal as JournalSettings
from tests.journal.journal_desk import Desk, opened, read, reading, work

HOUR_MS = 3_600_000
COMMIT_WITHIN_MS = JournalSettings().commit_within_ms


def product_queue() -> Queue:
    """With the product's waits."""
    return Queue(20_000, COMMIT_WITHIN_MS, writer.CURSOR_WAIT_MS)


def waiting(path: Path, **settings: Any) -> Desk:
    """A journal in which routine facts and cursors wait for longer than any test."""
    return Desk(path, routine_wait_ms=HOUR_MS, cursor_wait_ms=HOUR_MS, **settings)


def settled(desk: Desk) -> None:
    """Past the haste of the start, and its commit."""
    desk.until(lambda: desk.journal._store is not None)
    desk.journal._queue.hasten(0)


def test_routine_facts_wait_for_a_minute_and_an_urgent_one_takes_them_along() -> None:
    queue = product_queue()
    queue.add(Batch((reading(0),)), 1_000)
    first_ms = queue.due_ms()
    assert first_ms is not None
    assert 31_000 <= first_ms <= 61_000
    queue.add(Batch((reading(1),)), 20_000)
    assert queue.due_ms() == first_ms
    queue.add(Batch((opened(2),)), 20_001)
    assert queue.due_ms() == 20_001
    assert len(queue.take(writer.MOST_FACTS).facts) == 3
    assert queue.due_ms() is None


@pytest.mark.parametrize(
    "batch",
    [
        Batch((opened(1),)),
        Batch((reading(1),), saved_state={"n": 1}),
        Batch(audit=(AuditEntry("web:3", "open_door", "front", "accepted", 1),)),
        Batch(replies=(Reply("c", "accepted"),)),
    ],
    ids=["urgent fact", "kept state", "audit", "reply"],
)
def test_what_never_waits(batch: Batch) -> None:
    queue = product_queue()
    queue.add(Batch((reading(0),)), 1_000)
    queue.add(batch, 1_001)
    assert queue.due_ms() == 1_001


def test_a_cursor_alone_waits_for_a_minute() -> None:
    queue = product_queue()
    queue.sent("urgent", 7, 1_000)
    queue.recorded("server", "j", {"urgent": 7}, 2_000, keep=True)
    assert queue.due_ms() == 61_000
    assert queue.promised_ms() is None  # nothing is late when a cursor is


def test_a_flood_of_routine_facts_is_written_before_it_fills_the_memory() -> None:
    queue = product_queue()
    for at in range(q.GATHERED_MOST):
        assert queue.due_ms() != 2_000
        queue.add(Batch((reading(at),)), 2_000)
    assert queue.due_ms() == 2_000


def test_what_a_start_finds_is_written_within_a_second() -> None:
    queue = product_queue()
    queue.hasten(30_000)
    queue.add(Batch((reading(0),)), 1_000)
    assert queue.due_ms() == 2_000
    queue.take(10)
    queue.add(Batch((reading(0),)), 30_000)
    assert queue.due_ms() == 30_000 + COMMIT_WITHIN_MS


def test_no_routine_fact_is_late_on_the_wire_because_it_waited() -> None:
    from gateway.link.outbox import LATE_MS

    assert COMMIT_WITHIN_MS <= LATE_MS - 5_000


def counted(commits: list[str]) -> type[sqlite3.Connection]:
    class Counted(sqlite3.Connection):
        def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
            if sql == "COMMIT":
                commits.append(sql)
            return super().execute(sql, *values)

    return Counted


def test_an_opening_is_a_commit_for_each_of_its_urgent_instants(path: Path) -> None:
    """Twelve were made for one: most of them for a relay, a contact, or to move a cursor."""
    commits: list[str] = []
    desk = waiting(path, factory=counted(commits)).start()
    settled(desk)
    commits.clear()
    instants = [
        (Fact("door_request", "front", 1, {"outcome": "accepted"}), "front.button"),
        (opened(400), "front.leaf"),
        (Fact("door_closed", "front", 5_000, {"assumed": False}), "front.leaf"),
    ]
    for number, (urgent, point) in enumerate(instants, 1):
        changed = Fact("contact_changed", point, urgent.at_ms, {"active": True, "initial": False})
        desk.append(urgent, saved_state={"n": number})
        desk.until(lambda: desk.rows and desk.rows[-1][3].kind != "contact_changed")
        desk.until(lambda number=number: len(desk.facts("contact_changed")) >= number - 1)
        desk.append(changed)
        desk.journal.sent("urgent", number)
        desk.journal.recorded("server", desk.commits[-1].journal, {"urgent": number})
        desk.until(lambda urgent=urgent: urgent in [fact for _, _, _, fact in desk.rows])
    assert len(commits) == 3
    desk.close()
    assert len(desk.facts("contact_changed")) == 3


class Pages:
    """Counts the pages that commits write: each is a frame of the log."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._before = self._frames()

    def _frames(self) -> int:
        return Path(f"{self._path}-wal").stat().st_size // (PAGE_BYTES + 24)

    def written(self) -> int:
        """Since this was asked last; nothing may have been moved into the file meanwhile."""
        before, self._before = self._before, self._frames()
        return self._before - before


def test_a_minute_of_climate_writes_few_pages(path: Path) -> None:
    """The readings, their two indices, and the cursors of the minute before. Sums of the running
    hour were one more in each commit."""
    store = Store(path, "boot-1")
    store.write(work(*(reading(0, 1.0, f"point-{n}") for n in range(10))))
    pages = Pages(path)
    for minute in range(120):
        last = {"routine": store.head.seq["routine"]}
        store.write(
            Work(
                facts=[
                    (n, "routine", reading(minute * 60_000, 20.0 + minute, f"point-{n}"))
                    for n in range(3)
                ],
                sent={"routine": last["routine"]},
                recorded={"main": (store.journal, last, True)},
            )
        )
    assert 0 < pages.written() <= 120 * 7
    store.close(clean=False)


def test_a_change_of_the_saved_state_writes_only_what_differs(path: Path) -> None:
    """Replaced as a whole, its pages were freed and taken again: five for a counter."""
    store = Store(path, "boot-1")
    state: dict[str, Json] = {f"door-{n}": {"openings": 0, "notes": "x" * 100} for n in range(30)}
    store.write(work(saved_state=state))
    pages = Pages(path)
    for number in range(1, 101):
        state["door-7"] = {"openings": number, "notes": "x" * 100}
        store.write(work(saved_state=state))
    assert pages.written() <= 2 * 100 + 10, "the page of the counter, that of the state's number"
    assert store.saved_state()[0] == state
    store.close(clean=False)


def test_close_writes_facts_and_cursors_that_wait(path: Path) -> None:
    desk = waiting(path).start()
    settled(desk)
    desk.append(opened(1))
    desk.until(lambda: desk.rows)
    desk.append(reading(2))
    desk.journal.sent("urgent", 1)
    desk.close()
    reader = read(path)
    assert reader.heads()["routine"] == 1
    assert reader.cursors().sent["urgent"] == 1


def test_flush_writes_what_waits_now(path: Path) -> None:
    desk = waiting(path).start()
    settled(desk)
    desk.append(reading(1))
    desk.journal.flush()
    desk.until(lambda: desk.rows)
    desk.journal.sent("routine", 1)
    desk.journal.flush()
    desk.append(opened(2))
    desk.until(lambda: len(desk.rows) == 2)
    assert read(path).cursors().sent["routine"] == 1
    desk.close()


def test_a_fact_that_waits_in_memory_has_no_number_that_anybody_knows(path: Path) -> None:
    """So a crash that takes it leaves no gap, and the kept state was never ahead of it."""
    desk = waiting(path).start()
    settled(desk)
    desk.append(reading(1))
    desk.append(opened(2), saved_state={"openings": 1})
    desk.until(lambda: len(desk.rows) == 2)
    desk.append(reading(3))
    desk.append(reading(4))
    desk.append(opened(5))
    desk.until(lambda: len(desk.rows) == 5)
    desk.append(reading(6))
    copy = path.with_name("copy.sqlite")
    copy.write_bytes(path.read_bytes())
    copy.with_name("copy.sqlite-wal").write_bytes(Path(f"{path}-wal").read_bytes())
    desk.close()
    again = Desk(copy, "boot-2").start()
    assert again.journal.saved_state(30.0) == {"openings": 1}
    again.append(reading(7))
    again.until(lambda: again.rows)
    again.close()
    rows = [row for row in read(copy).after_row(0, 100) if row.lane == "routine"]
    assert [(row.seq, row.mono_ms) for row in rows] == [(1, 1), (2, 3), (3, 4), (4, 7)]


@pytest.mark.parametrize("who", ["sent", "recorded"])
def test_a_cursor_that_waited_is_compared_with_the_head_that_it_came_to(
    path: Path, who: str
) -> None:
    """The disk has lost number 2, and the facts that come with the cursor use it again: the
    recorder would take the new ones for those that it has."""
    queue = product_queue()
    store = Store(path, "boot-1")
    queue.add(Batch((opened(1),)), 0)
    store.write(queue.take(10))
    old = store.journal
    if who == "sent":
        queue.sent("urgent", 2, 1)
    else:
        queue.recorded("server", old, {"urgent": 2}, 1, keep=True)
    queue.add(Batch((opened(3), opened(4))), 2)
    store.write(queue.take(10))
    assert store.journal != old
    store.close(clean=False)


def test_a_cursor_ahead_of_the_journal_does_not_wait(path: Path) -> None:
    desk = waiting(path).start()
    settled(desk)
    desk.append(opened(1))
    desk.until(lambda: desk.rows)
    old = desk.commits[-1].journal
    desk.journal.recorded("server", old, {"urgent": 2})
    desk.until(lambda: desk.commits[-1].journal != old)
    desk.close()


class At:
    """A clock that a test moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ms: Ms = 1_000_000
        monkeypatch.setattr(writer, "_now_ms", lambda: self.ms)


def test_overdue_is_what_waits_past_its_promise(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = At(monkeypatch)
    desk = Desk(path, routine_wait_ms=50_000, now_ms=lambda: at.ms)  # its thread does not run
    journal = desk.journal
    assert journal.overdue_ms(at.ms) == 0
    desk.append(reading(1))
    journal.sent("urgent", 1)
    at.ms += 50_000
    assert journal.overdue_ms(at.ms) == 0
    at.ms += 300
    assert journal.overdue_ms(at.ms) == 300
    desk.append(opened(2))
    assert journal.overdue_ms(at.ms) == 300
    at.ms += 1_700
    assert journal.overdue_ms(at.ms) == 2_000


def test_an_urgent_fact_is_overdue_at_once_on_a_bench_whose_clock_was_moved_forward(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = At(monkeypatch)
    ahead_ms = 86_400_000
    desk = Desk(path, now_ms=lambda: at.ms + ahead_ms)
    desk.append(opened(1))
    at.ms += 2_500
    assert desk.journal.overdue_ms(at.ms + ahead_ms) == 2_500


@pytest.mark.parametrize("fails", [True, False], ids=["refuses", "hangs"])
def test_overdue_while_the_disk_takes_nothing(path: Path, fails: bool) -> None:
    stuck, free = threading.Event(), threading.Event()

    class Stuck(sqlite3.Connection):
        def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
            if sql == "COMMIT" and stuck.is_set():
                if fails:
                    raise sqlite3.OperationalError("disk I/O error")
                free.wait(120)
            return super().execute(sql, *values)

    desk = Desk(path, factory=Stuck).start()
    desk.append(opened(1))
    desk.until(lambda: desk.rows)
    _wait(lambda: desk.journal.overdue_ms(writer._now_ms() + 60_000) == 0)
    stuck.set()
    desk.append(opened(2))
    _wait(lambda: desk.journal.overdue_ms(writer._now_ms()) > 20)
    stuck.clear()
    free.set()
    desk.until(lambda: len(desk.rows) == 2)
    _wait(lambda: desk.journal.overdue_ms(writer._now_ms()) == 0)
    desk.close()


def _wait(true: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(3_000):
        if true():
            return
        pause.wait(0.01)
    raise AssertionError("not within 30 s")
