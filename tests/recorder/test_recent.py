"""Readings that wait beside the embedded store: on the disk at once, in the table once."""

from __future__ import annotations

import contextlib
import random
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gateway import set_aside
from gateway.formats import UnknownFormat
from gateway.recorder.points import Point
from gateway.recorder.stores import recent
from gateway.recorder.stores.recent import RecentReadings
from gateway.recorder.stores.sqlite import SqliteStore
from gateway.set_aside import found

T0 = 1_700_000_000_000


def point(seq: int, kind: str = "reading", at_ms: int | None = None) -> Point:
    tags = (("gateway", "csg"), ("subject", "wc.climate"))
    return Point(kind, tags, {"seq": seq, "value": 20.0 + seq}, at_ms or T0 + seq * 60_000)


def stored(path: Path) -> list[int]:
    """The numbers in the table, by time."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        return [seq for (seq,) in db.execute("SELECT seq FROM points ORDER BY time_ms")]


def killed(path: Path, folder: Path) -> Path:
    """The files as a process that is killed now leaves them."""
    folder.mkdir()
    for file in path.parent.glob("record.sqlite*"):
        if not file.name.endswith("-shm"):
            shutil.copy(file, folder)
    return folder / path.name


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "state").mkdir()
    return tmp_path / "state" / "record.sqlite"


@pytest.fixture
def store(path: Path) -> SqliteStore:
    """With one reading in the table, so that the series has its number."""
    store = SqliteStore(path)
    assert store.write([point(1)]) == []
    assert stored(path) == [1]
    return store


def test_readings_wait_and_are_moved_together(store: SqliteStore, path: Path) -> None:
    store.write([point(2)])
    store.expire(0, T0)
    store.write([point(3)])
    store.expire(recent.MOVE_MS - 1, T0)
    assert stored(path) == [1]
    store.expire(recent.MOVE_MS, T0)
    assert stored(path) == [1, 2, 3]
    store.write([point(4)])
    store.expire(recent.MOVE_MS + 1, T0)
    assert stored(path) == [1, 2, 3], "it waits as long as the first ones"
    store.close()
    assert stored(path) == [1, 2, 3, 4]


@pytest.mark.parametrize("after_ms", [None, recent.MOVE_MS])
def test_a_reading_that_waits_outlives_its_process(
    store: SqliteStore, path: Path, tmp_path: Path, after_ms: int | None
) -> None:
    store.write([point(2)])
    copy = killed(path, tmp_path / "copy")
    again = SqliteStore(copy)
    assert again.identity() == store.identity()
    if after_ms is None:
        again.write([point(3, "door_opened")])
    else:
        again.expire(0, T0)
        again.expire(after_ms, T0)
    assert stored(copy)[:2] == [1, 2]
    again.close()
    store.close()


def test_moved_but_not_yet_removed_is_moved_again_and_changes_nothing(
    store: SqliteStore, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write([point(2)])
    monkeypatch.setattr(RecentReadings, "clear", lambda _: None)  # the process ends before it
    store.write([point(3, "door_opened")])
    copy = killed(path, tmp_path / "copy")
    monkeypatch.undo()
    again = SqliteStore(copy)
    again.write([point(4, "door_opened")])
    assert stored(copy) == [1, 2, 3, 4]
    again.close()
    store.close()


def test_what_comes_later_for_the_same_time_wins(store: SqliteStore, path: Path) -> None:
    store.write([point(2)])
    store.write([point(5, at_ms=T0 + 120_000)])
    store.close()
    assert stored(path) == [1, 5]


@pytest.mark.parametrize(
    "points",
    [
        [point(3, "door_opened")],
        [point(3), point(4, "alarm_raised")],
        [point(seq) for seq in range(3, 4 + recent.FEW_READINGS)],
    ],
    ids=["a door", "an alarm beside a reading", "many readings"],
)
def test_everything_else_is_stored_at_once_and_takes_the_readings_along(
    store: SqliteStore, path: Path, points: list[Point]
) -> None:
    store.write([point(2)])
    store.write(points)
    assert stored(path) == [1, 2, *(one.fields["seq"] for one in points)]
    store.close()


def test_no_more_than_the_limit_wait(store: SqliteStore, path: Path) -> None:
    for seq in range(2, 2 + recent.MOST):
        store.write([point(seq)])
    assert len(stored(path)) == 1
    store.write([point(1_000)])
    assert len(stored(path)) == 2 + recent.MOST
    store.close()


def test_what_waited_for_a_store_that_was_replaced_is_dropped(
    store: SqliteStore, path: Path
) -> None:
    """Its series had other numbers there; the recorder asks for everything again."""
    before = store.identity()
    store.write([point(2)])
    for file in path.parent.glob("record.sqlite*"):
        file.unlink()
    assert store.identity() != before
    store.write([point(3, "door_opened")])
    assert stored(path) == [3]
    store.close()


def test_a_second_recorder_of_the_same_store_writes_at_once(store: SqliteStore, path: Path) -> None:
    store.write([point(2)])
    second = SqliteStore(path)
    second.write([point(3)])
    second.write([point(4)])
    assert stored(path) == [1, 3, 4]
    second.close()
    store.close()
    assert stored(path) == [1, 2, 3, 4]


@pytest.mark.parametrize(
    "damage", ["no database", "a folder", "empty", "gone", "no text", "null", "a type", "cut short"]
)
def test_a_damaged_file_is_put_aside_and_named_and_readings_are_stored(
    store: SqliteStore, path: Path, tmp_path: Path, damage: str
) -> None:
    store.write([point(2)])
    store_id = store.identity()
    path = killed(path, tmp_path / "copy")
    store.close()
    file = recent.path_of(path)
    with closing(sqlite3.connect(file)) as db:
        db.execute("PRAGMA journal_mode = DELETE").fetchone()
        if damage == "no text":
            db.execute("UPDATE recent SET fields = CAST(x'ff' AS TEXT)")
        elif damage == "a type":
            db.execute("UPDATE recent SET series = 'x'")
        elif damage == "null":
            db.execute("PRAGMA writable_schema = ON")
            db.execute("UPDATE sqlite_master SET sql = replace(sql, ' NOT NULL', '')")
        db.commit()
    if damage == "null":
        with closing(sqlite3.connect(file)) as db, db:
            db.execute("UPDATE recent SET fields = NULL")
    content = file.read_bytes()
    if damage == "no database":
        file.write_bytes(b"no database" * 100)
    elif damage == "cut short":
        file.write_bytes(content[: len(content) // 2])
    elif damage == "empty":
        file.write_bytes(b"")
    elif damage == "gone":
        file.unlink()
    elif damage == "a folder":
        file.unlink()
        file.mkdir()
    with capture_logs() as logs:
        again = SqliteStore(path)
        again.write([point(3)])
        again.write([point(4, "door_opened")])
    assert stored(path) == [1, 3, 4]
    assert again.identity() != store_id, "another store: the readings are asked for again"
    assert again.damaged_file == found(file)[0], "and somebody is told"
    again.close()
    (away,) = found(file)
    assert away.is_dir() == (damage == "a folder")
    assert away.exists()
    assert [log["moved"] for log in logs] == [str(away)]


def test_no_flipped_bit_keeps_readings_from_the_store(
    store: SqliteStore, path: Path, tmp_path: Path
) -> None:
    store.write([point(2)])
    draw = random.Random(11)
    for number in range(80):
        copy = killed(path, tmp_path / str(number))
        file = recent.path_of(copy)
        with closing(sqlite3.connect(file)) as db:
            db.execute("PRAGMA journal_mode = DELETE").fetchone()
        content = bytearray(file.read_bytes())
        content[draw.randrange(100, len(content))] ^= 1 << draw.randrange(8)
        file.write_bytes(content)
        again = SqliteStore(copy)
        with contextlib.suppress(UnknownFormat):  # a table of another name is another program's
            with contextlib.suppress(sqlite3.DatabaseError, UnicodeDecodeError):
                recent.FORMAT.check(file)
            again.write([point(3, "door_opened")])
            assert stored(copy)[-1] == 3
        again.close()
    store.close()


def test_where_it_cannot_be_put_aside_each_reading_is_stored_at_once(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(file: Path) -> Path:
        raise PermissionError(1, "not permitted", str(file))

    monkeypatch.setattr(set_aside, "rename", refused)
    recent.path_of(path).write_bytes(b"no database" * 100)
    store = SqliteStore(path)
    store.write([point(1)])
    store.write([point(2)])
    assert stored(path) == [1, 2]
    store.close()
