"""Backup beside a running writer, and putting it back."""

from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from gateway import set_aside
from gateway.core.building.merge_backup import unreadable
from gateway.core.facts import Fact, Json
from gateway.journal import backup, schema
from gateway.journal.backup import BackupError, CallStands
from gateway.journal.reserve import NumberedState, Reserve
from gateway.journal.store import Store
from tests.journal.journal_desk import Desk, answers, opened, read, reading, work


def test_a_backup_beside_a_busy_writer_is_consistent(path: Path, tmp_path: Path) -> None:
    desk = Desk(path).start()
    for at in range(2_000):
        desk.append(opened(at), reading(at))
    desk.until(lambda: len(desk.rows) == 4_000)
    stop = threading.Event()

    def write() -> None:
        at = 10_000
        while not stop.is_set():
            at += 1
            desk.append(opened(at))
            stop.wait(0.001)

    busy = threading.Thread(target=write)
    busy.start()
    seen: list[float] = []
    backup.backup(path, tmp_path / "backup", seen.append)
    stop.set()
    busy.join()
    desk.close()
    assert seen[-1] == 1.0
    copy = read(tmp_path / "backup")
    assert copy.heads()["urgent"] >= 2_000
    assert set(answers(copy)["urgent"]) == {"row"}


def test_a_backup_omits_the_local_lane_and_says_so(path: Path, tmp_path: Path) -> None:
    store = Store(path, "boot-1")
    store.write(work(opened(1), Fact("motion", "wc.pir", 2, {"active": True, "secret": "needle"})))
    target = tmp_path / "backup"
    backup.backup(path, target)
    assert answers(read(target)) == {"urgent": ["row"], "routine": [], "local": ["lost"]}
    assert read(target).head_row() == 2
    assert b"needle" not in target.read_bytes()
    assert target.stat().st_mode & 0o077 == 0
    store.close(clean=False)


def test_a_restored_journal_goes_on_under_a_new_id(path: Path, tmp_path: Path) -> None:
    store = Store(path, "boot-1")
    store.write(work(opened(1), saved_state={"a": 1}, sent={"urgent": 1}))
    backup.backup(path, tmp_path / "backup")
    store.write(work(opened(2)))
    old = store.journal
    store.close(clean=True)
    new = backup.restore(tmp_path / "backup", path, "boot-1.5")
    desk = Desk(path, "boot-2").start()
    assert desk.journal.saved_state(30.0) == {"a": 1}
    desk.append(opened(3))
    desk.until(lambda: desk.rows)
    desk.close()
    assert desk.commits[-1].journal == new != old
    rows = read(path).lane("urgent", 1, 9)
    assert [row.kind for row in rows] == ["door_opened", "journal_recovered", "door_opened"]
    assert [row.mono_ms for row in rows][::2] == [1, 3]
    assert len(list(path.parent.glob("*.broken-*"))) >= 1, "the old one is set aside"


@pytest.mark.parametrize("content", [b"", b"garbage" * 1000])
def test_what_is_no_backup_is_refused_and_nothing_changes(
    path: Path, tmp_path: Path, content: bytes
) -> None:
    store = Store(path, "boot-1")
    store.write(work(opened(1)))
    store.close(clean=True)
    (tmp_path / "bad").write_bytes(content)
    with pytest.raises(BackupError):
        backup.restore(tmp_path / "bad", path, "boot-1.5")
    assert read(path).heads()["urgent"] == 1


def test_a_backup_of_nothing_is_an_error_and_leaves_nothing(path: Path, tmp_path: Path) -> None:
    with pytest.raises(BackupError):
        backup.backup(path, tmp_path / "backup")
    assert list(tmp_path.iterdir()) == []


CALLS: dict[str, Json] = {"format": 1, "calls": {"wc": {"number": 1, "call": {"id": "wc-1"}}}}


def test_a_call_that_only_the_reserve_holds_stands(path: Path, tmp_path: Path) -> None:
    store = Store(path, "boot-1")
    store.write(work(opened(1), saved_state={"format": 1}))
    backup.backup(path, tmp_path / "backup")
    reserve = Reserve(path)
    reserve.prepare()
    reserve.save(store.journal, NumberedState(7, CALLS), durable=True)
    store.close(clean=True)
    with pytest.raises(CallStands, match="the call wc-1 stands"):
        backup.restore(tmp_path / "backup", path, "boot-1.5")
    backup.restore(tmp_path / "backup", path, "boot-1.5", keep_calls=True)
    desk = Desk(path, "boot-2").start()
    assert desk.journal.saved_state(30.0) == CALLS
    desk.close()


def test_a_journal_that_cannot_be_read_is_replaced_only_on_request(
    path: Path, tmp_path: Path
) -> None:
    store = Store(path, "boot-1")
    quiet = {"format": 1, "calls": {"wc": {"number": 3, "call": None}}}
    store.write(work(opened(1), saved_state=quiet))
    backup.backup(path, tmp_path / "backup")
    store.close(clean=True)
    path.write_bytes(b"garbage" * 1000)
    with pytest.raises(CallStands, match="cannot be read"):
        backup.restore(tmp_path / "backup", path, "boot-1.5")
    assert path.read_bytes() == b"garbage" * 1000
    backup.restore(tmp_path / "backup", path, "boot-1.5", keep_calls=True)
    store = Store(path, "boot-2")
    kept, _ = store.saved_state()
    store.close(clean=True)
    assert kept is not None
    assert unreadable(kept), "somebody has to look into the room"


def test_where_there_was_no_journal_the_call_of_the_backup_stands(
    path: Path, tmp_path: Path
) -> None:
    store = Store(path, "boot-1")
    store.write(work(opened(1), saved_state=CALLS))
    backup.backup(path, tmp_path / "backup")
    store.close(clean=True)
    target = tmp_path / "new" / "journal.sqlite"
    target.parent.mkdir()
    backup.restore(tmp_path / "backup", target, "boot-1.5")
    store = Store(target, "boot-2")
    assert store.saved_state() == (CALLS, 1)
    store.close(clean=True)
    assert sorted(file.name for file in target.parent.iterdir()) == [
        "journal.sqlite",
        "journal.sqlite-shm",
        "journal.sqlite-wal",
    ]


def test_a_pipe_is_no_backup_and_nobody_waits_for_it(path: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BackupError):
        backup.restore(tmp_path / "pipe", path, "boot-1.5")
    assert not path.exists()


KEEPS_NOTHING = "BEFORE INSERT ON fact BEGIN SELECT RAISE(IGNORE); END"
FOREIGN = {
    "a trigger": [f"CREATE TRIGGER quiet {KEEPS_NOTHING}"],
    "a trigger on the saved state": [
        "CREATE TRIGGER quiet AFTER UPDATE ON meta WHEN new.key = 'kept' BEGIN "
        "UPDATE meta SET value = '{}' WHERE key = 'kept'; END"
    ],
    "a view without an end": [
        "DROP TABLE clock",
        "CREATE VIEW clock AS WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id FROM n) "
        "SELECT id, id AS boot, 0 AS from_mono_ms, 0 AS utc_offset_ms FROM n",
    ],
    "a view of what is kept": [
        "ALTER TABLE meta RENAME TO real",
        "CREATE VIEW meta AS SELECT key, value FROM real WHERE key <> 'kept'",
    ],
    "a rule of a table": [
        "ALTER TABLE fact RENAME TO old",
        "CREATE TABLE fact (row INTEGER PRIMARY KEY ON CONFLICT IGNORE, lane INTEGER, seq INTEGER,"
        " series INTEGER, boot INTEGER, mono_ms INTEGER, value REAL, count INTEGER, data TEXT)",
        "INSERT INTO fact SELECT * FROM old",
        "DROP TABLE old",
    ],
    "a column that is reckoned": [
        "ALTER TABLE absent ADD COLUMN more INTEGER AS (abs(-9223372036854775808))"
    ],
    "a number without room behind it": ["UPDATE fact SET seq = 9007199254740990"],
    "a row without room behind it": ["UPDATE fact SET row = 9007199254740990"],
    "an entry without room behind it": [
        "INSERT INTO audit VALUES (9007199254740990, 'b', 1, 1, '', '', '', '', '', '', '', '')"
    ],
    "a number before the first": ["UPDATE boot SET id = -5"],
}
"""Statements that make of a good journal one that does what Portier has not told it to."""


def _start_and_write(path: Path, boot: str) -> None:
    desk = Desk(path, boot).start()
    desk.append(opened(3))
    desk.until(lambda: desk.rows)
    desk.close()


def changed(path: Path, statements: list[str]) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for statement in statements:
            db.execute(statement)
        db.execute("PRAGMA journal_mode = DELETE").fetchone()


@pytest.mark.parametrize("statements", FOREIGN.values(), ids=FOREIGN.keys())
def test_a_backup_that_does_something_by_itself_is_refused(
    path: Path, tmp_path: Path, statements: list[str]
) -> None:
    """It was put back as it was: a call was lost over a restart, and everything was green."""
    store = Store(path, "boot-1")
    store.write(work(opened(1), saved_state={"a": 1}))
    backup.backup(path, tmp_path / "backup")
    store.close(clean=True)
    before = path.read_bytes()
    changed(tmp_path / "backup", statements)
    with pytest.raises(BackupError):
        backup.restore(tmp_path / "backup", path, "boot-1.5")
    assert path.read_bytes() == before


@pytest.mark.parametrize("statements", FOREIGN.values(), ids=FOREIGN.keys())
def test_a_journal_that_does_something_by_itself_is_mended_at_the_start(
    path: Path, statements: list[str]
) -> None:
    store = Store(path, "boot-1")
    store.write(work(opened(1), saved_state={"a": 1}))
    store.close(clean=True)
    changed(path, statements)
    for boot in ("boot-2", "boot-3", "boot-4"):
        _start_and_write(path, boot)
    with closing(sqlite3.connect(path)) as db:
        assert schema.foreign(db) == ""
        assert db.execute("SELECT count(*) FROM fact WHERE lane = 0").fetchone()[0] >= 3
    assert len(set_aside.found(path)) <= 1, "mended once"


def test_what_a_later_version_adds_is_nothing_foreign(path: Path) -> None:
    store = Store(path, "boot-1")
    store.write(work(opened(1)))
    store.close(clean=True)
    more = "ADD COLUMN more TEXT NOT NULL DEFAULT ''"
    changed(path, [f"ALTER TABLE {table} {more}" for table in schema.TABLES])
    changed(path, ["CREATE TABLE later (a INTEGER)", "CREATE INDEX more ON fact (value)"])
    with closing(sqlite3.connect(path)) as db:
        assert schema.foreign(db) == ""
