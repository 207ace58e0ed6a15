"""What the SQLite store removes: by kind, bounded, by a clock that may be believed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from gateway.core.clock import SETTLE_MS
from gateway.recorder import sqlite as module
from gateway.recorder.expiry import SWEEP_EVERY_MS, life_ms
from gateway.recorder.points import Point
from gateway.recorder.sqlite import SqliteStore
from gateway.recorder.store import StoreDownError

DAY_MS = 86_400_000
NOW = 1_800_000_000_000
LIVES = {"doors": 90 * DAY_MS, "climate": 730 * DAY_MS, "gateway": 30 * DAY_MS}
OLD_SCHEMA = """
CREATE TABLE points (
    series INTEGER NOT NULL, time_ms INTEGER NOT NULL,
    seq INTEGER NOT NULL, fields TEXT NOT NULL, PRIMARY KEY (series, time_ms)) WITHOUT ROWID;
"""


class Swept:
    """A store, a clock of the machine, and what is left in the file."""

    def __init__(self, path: Path, lives: dict[str, int] | None = None) -> None:
        self.path = path
        self.store = SqliteStore(path, LIVES if lives is None else lives)
        self.now_ms = 0
        self.utc_ms = NOW

    def add(self, kind: str, *ages_days: float) -> None:
        points = [
            Point(kind, (("subject", "x"),), {"seq": 1}, NOW - round(days * DAY_MS))
            for days in ages_days
        ]
        assert self.store.write(points) == []

    def steps(self, number: int = 50) -> None:
        for _ in range(number):
            self.store.expire(self.now_ms, self.utc_ms)

    def settle(self) -> None:
        """A day without a step of the clock."""
        self.steps(1)
        self.pass_(SETTLE_MS)

    def pass_(self, ms: int) -> None:
        self.now_ms += ms
        self.utc_ms += ms

    def count(self, kind: str) -> int:
        with sqlite3.connect(self.path) as db:
            (count,) = db.execute(
                "SELECT count(*) FROM points JOIN series ON series.id = series "
                "WHERE measurement = ?",
                (kind,),
            ).fetchone()
        db.close()
        return int(count)

    def changes(self) -> int:
        assert self.store._db is not None
        return self.store._db.total_changes


@pytest.fixture(params=["by time", "by series"])
def swept(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Swept]:
    path = tmp_path / "record.sqlite"
    if request.param == "by series":
        with sqlite3.connect(path) as db:
            db.execute(OLD_SCHEMA)
        db.close()
    one = Swept(path)
    yield one
    one.store.close()


def test_each_kind_is_stored_as_long_as_its_class(swept: Swept) -> None:
    swept.add("door_opened", 92, 88)
    swept.add("reading", 800, 92, 0)
    swept.add("of_a_newer_version", 40, 20)
    swept.settle()
    swept.steps()
    assert [swept.count(kind) for kind in ("door_opened", "reading", "of_a_newer_version")] == [
        1, 2, 1,
    ]  # fmt: skip


def test_a_step_looks_at_a_bounded_number_of_points(
    swept: Swept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOKED_AT", 10)
    swept.add("door_opened", *(100 + place / 100 for place in range(35)))
    swept.add("reading", *(100 + place / 100 for place in range(35)))
    swept.settle()
    left = []
    for _ in range(12):
        swept.steps(1)
        left.append(swept.count("door_opened"))
    assert left[-1] == 0
    assert all(before - after <= 10 for before, after in pairwise(left))
    assert swept.count("reading") == 35


def test_at_rest_nothing_is_written(swept: Swept) -> None:
    swept.add("door_opened", 1)
    swept.settle()
    swept.steps()
    before = swept.changes()
    swept.steps()
    swept.pass_(SWEEP_EVERY_MS)
    swept.steps()
    assert swept.changes() == before, "only every third day that it was looked"
    swept.pass_(3 * SWEEP_EVERY_MS)
    swept.steps()
    assert swept.changes() == before + 1


def test_the_next_sweep_is_a_day_later(swept: Swept) -> None:
    swept.add("door_opened", 92)
    swept.settle()
    swept.steps()
    swept.add("door_opened", 91.5)
    swept.steps()
    assert swept.count("door_opened") == 1
    swept.pass_(SWEEP_EVERY_MS)
    swept.steps()
    assert swept.count("door_opened") == 0


def test_a_clock_that_is_years_ahead_removes_nothing(swept: Swept) -> None:
    swept.add("door_opened", 1, 2)
    swept.settle()
    swept.steps()
    swept.utc_ms += 3 * 365 * DAY_MS
    for _ in range(30):
        swept.pass_(SWEEP_EVERY_MS // 48)
        swept.steps(3)
    assert swept.count("door_opened") == 2, "a step is not believed for a day"
    swept.utc_ms -= 3 * 365 * DAY_MS
    for _ in range(100):
        swept.pass_(SWEEP_EVERY_MS // 48)
        swept.steps(3)
    assert swept.count("door_opened") == 2


def test_a_clock_that_was_ahead_at_the_start_is_not_believed_at_once(tmp_path: Path) -> None:
    first = Swept(tmp_path / "record.sqlite")
    first.add("door_opened", 1, 100)
    first.settle()
    first.steps()
    assert first.count("door_opened") == 1
    first.store.close()
    ahead = Swept(tmp_path / "record.sqlite")
    ahead.utc_ms += 400 * DAY_MS
    ahead.steps()
    assert ahead.count("door_opened") == 1
    ahead.store.close()
    goes_on = Swept(tmp_path / "record.sqlite")
    goes_on.add("door_opened", 99)
    goes_on.utc_ms += 2 * DAY_MS
    goes_on.steps()
    assert goes_on.count("door_opened") == 1, "a restart goes on from the sweep before"
    goes_on.store.close()


def test_without_lives_and_of_classes_without_one_nothing_is_removed(tmp_path: Path) -> None:
    for lives in ({}, {"calls": DAY_MS}):
        one = Swept(tmp_path / "record.sqlite", lives)
        one.add("door_opened", 5_000)
        one.settle()
        one.steps()
        assert one.count("door_opened") == 1
        one.store.close()


def test_a_file_that_cannot_be_used_is_a_store_that_is_down(tmp_path: Path) -> None:
    one = Swept(tmp_path / "missing" / "record.sqlite")
    with pytest.raises(StoreDownError):
        one.steps(1)
    one.steps(1)  # not tried again at once
    (tmp_path / "missing").mkdir()
    one.pass_(SWEEP_EVERY_MS)
    one.steps(1)
    one.store.close()


def test_kinds_live_as_in_the_journal() -> None:
    assert life_ms("door_opened", LIVES) == LIVES["doors"]
    assert life_ms("gateway_silent", LIVES) == LIVES["gateway"]
    assert life_ms("call_raised", LIVES) is None
