"""What the SQLite store removes: by kind, bounded, never while the clock is in doubt."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from gateway.recorder.points import Point
from gateway.recorder.stores import sqlite as module
from gateway.recorder.stores.expiry import SWEEP_EVERY_MS, life_ms
from gateway.recorder.stores.sqlite import SqliteStore
from gateway.recorder.stores.store import StoreDownError

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
        self.in_doubt = False

    def add(self, kind: str, *ages_days: float) -> None:
        points = [
            Point(kind, (("subject", "x"),), {"seq": 1}, NOW - round(days * DAY_MS))
            for days in ages_days
        ]
        assert self.store.write(points) == []

    def steps(self, number: int = 50) -> None:
        for _ in range(number):
            self.store.expire(self.now_ms, None if self.in_doubt else self.utc_ms)

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
    left = []
    for _ in range(12):
        swept.steps(1)
        left.append(swept.count("door_opened"))
    assert left[-1] == 0
    assert all(before - after <= 10 for before, after in pairwise(left))
    assert swept.count("reading") == 35


def test_at_rest_nothing_is_written(swept: Swept) -> None:
    swept.add("door_opened", 1)
    swept.steps()
    before = swept.changes()
    swept.steps()
    swept.pass_(SWEEP_EVERY_MS)
    swept.steps()
    assert swept.changes() == before


def test_the_next_sweep_is_a_day_later(swept: Swept) -> None:
    swept.add("door_opened", 92)
    swept.steps()
    swept.add("door_opened", 91.5)
    swept.steps()
    assert swept.count("door_opened") == 1
    swept.pass_(SWEEP_EVERY_MS)
    swept.steps()
    assert swept.count("door_opened") == 0


def test_a_clock_in_doubt_removes_nothing_and_ends_a_sweep(
    swept: Swept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOKED_AT", 10)
    swept.add("door_opened", *(100 + place / 100 for place in range(35)))
    swept.in_doubt = True
    swept.steps()
    assert swept.count("door_opened") == 35
    swept.in_doubt = False
    swept.steps(1)
    assert swept.count("door_opened") == 25
    swept.in_doubt = True
    swept.steps()
    assert swept.count("door_opened") == 25
    swept.in_doubt = False
    swept.utc_ms -= 60 * DAY_MS  # it was ahead when that sweep began
    swept.steps()
    assert swept.count("door_opened") == 25


@pytest.mark.parametrize("kind", ["call_raised", "message", "alarm_raised"])
def test_over_its_limit_the_oldest_points_go_and_evidence_last(
    swept: Swept, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Whatever the clock says, and without any lives."""
    monkeypatch.setattr(module, "LOOKED_AT", 100)
    swept.add("reading", *(place / 100 for place in range(4_000)))
    swept.add(kind, *(place / 40 for place in range(1_600)))
    full = swept.store.used_bytes()
    swept.store._limit_bytes = full // 2
    swept.steps(1_000)
    assert swept.store.used_bytes() <= full // 2
    assert swept.count(kind) == 1_600
    left = swept.count("reading")
    assert 500 < left < 2_200, "no more than the room that is missing"
    with sqlite3.connect(swept.path) as db:
        (oldest,) = db.execute(
            "SELECT min(time_ms) FROM points JOIN series ON series.id = series "
            "WHERE measurement = 'reading'"
        ).fetchone()
    db.close()
    assert NOW - oldest == pytest.approx(left * DAY_MS / 100, rel=0.02), "the newest stay"
    before = swept.changes()
    swept.pass_(module.FIT_EVERY_MS)
    swept.steps()
    assert swept.changes() == before, "nothing is written where there is room"
    swept.store._limit_bytes = 36_000
    swept.pass_(module.FIT_EVERY_MS)
    swept.steps(1_000)
    assert swept.store.used_bytes() <= 36_000
    assert swept.count("reading") == 0
    assert 0 < swept.count(kind) < 1_600


def test_a_file_that_has_reached_its_limit_grows_no_more(swept: Swept) -> None:
    swept.store._limit_bytes = 200_000
    sizes = []
    for batch in range(12):
        swept.add("reading", *(100 - batch - place / 1_000 for place in range(1_000)))
        swept.pass_(module.FIT_EVERY_MS)
        swept.steps(200)
        swept.store._open().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        sizes.append(swept.path.stat().st_size)
    assert max(sizes) < 350_000, "the limit, and one batch"
    assert sizes[-1] == max(sizes[6:])


def test_without_lives_and_of_classes_without_one_nothing_is_removed(tmp_path: Path) -> None:
    for lives in ({}, {"calls": DAY_MS}):
        one = Swept(tmp_path / "record.sqlite", lives)
        one.add("door_opened", 5_000)
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
