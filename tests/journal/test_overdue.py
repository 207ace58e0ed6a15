"""How long a fact is past the time by which it should have been committed."""

from __future__ import annotations

import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

from tests.journal.journal_desk import Desk, opened


def test_a_disk_that_does_not_answer_is_seen_from_another_thread(path: Path) -> None:
    stuck, waits, free = threading.Event(), threading.Event(), threading.Event()

    class Stuck(sqlite3.Connection):
        def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
            if sql == "COMMIT" and stuck.is_set():
                waits.set()
                free.wait(120)
            return super().execute(sql, *values)

    desk = Desk(path, factory=Stuck).start()
    desk.append(opened(1))
    desk.until(lambda: desk.rows)
    an_hour_on = time.monotonic_ns() // 1_000_000 + 3_600_000
    desk.until(lambda: desk.journal.overdue_ms(an_hour_on) == 0)
    stuck.set()
    desk.append(opened(2))
    assert waits.wait(60)
    assert desk.journal.overdue_ms(an_hour_on) > 3_000_000
    stuck.clear()
    free.set()
    desk.until(lambda: len(desk.rows) == 2)
    desk.until(lambda: desk.journal.overdue_ms(an_hour_on) == 0)
    desk.close()


def test_what_nobody_writes_becomes_overdue(path: Path) -> None:
    """The journal's thread is not there at all."""
    desk = Desk(path)
    now_ms = time.monotonic_ns() // 1_000_000
    assert desk.journal.overdue_ms(now_ms + 10_000) == 0
    desk.append(opened(1))
    assert desk.journal.overdue_ms(now_ms + 10_000) > 9_000
