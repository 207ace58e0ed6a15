"""A journal of another version: set aside as it is, never salvaged, and its saved state goes on."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gateway.core.facts import Json
from gateway.journal import backup, recovery, schema
from gateway.journal.backup import BackupError
from gateway.journal.queries.reader import JournalUnavailable
from gateway.journal.reserve import NumberedState, Reserve
from gateway.journal.store import Store
from gateway.set_aside import KEEP, LIFE_MS, found, remove_old
from tests.journal.journal_desk import Desk, earlier, opened, read, work

KEPT = {
    "format": 1,
    "calls": {"wc": {"call": {"id": "wc-1"}}},
    "overrides": {"front": {"mode": "off"}},
}


def written(path: Path) -> str:
    """A journal of this version with facts and a saved state; its id."""
    store = Store(path, "boot-1")
    store.write(work(opened(1), opened(2), saved_state=dict(KEPT)))
    store.close(clean=True)
    return store.journal


def changed(path: Path, *statements: str) -> bytes:
    """The file after these statements, without anything left in its log."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for statement in statements:
            db.execute(statement)
        db.execute("PRAGMA journal_mode = DELETE").fetchone()
    return path.read_bytes()


OTHERS = {
    "newer": ("UPDATE meta SET value = '2' WHERE key = 'schema'",),
    "much newer, other tables": (
        "UPDATE meta SET value = '17' WHERE key = 'schema'",
        "DROP TABLE hour", "ALTER TABLE fact RENAME TO event", "CREATE TABLE person (id INTEGER)",
    ),
    "older": ("UPDATE meta SET value = '0' WHERE key = 'schema'",),
    "a name": ("UPDATE meta SET value = '2026.1/beta' WHERE key = 'schema'",),
}  # fmt: skip


@pytest.mark.parametrize("statements", OTHERS.values(), ids=OTHERS.keys())
def test_a_journal_of_another_version_is_set_aside_unchanged(
    path: Path, statements: tuple[str, ...]
) -> None:
    before = written(path)
    content = changed(path, *statements)
    desk = Desk(path, "boot-2").start()
    kept = desk.journal.saved_state(10)
    assert kept is not None
    (aside,) = found(path)
    assert {**kept, "journal_aside": ""} == {**KEPT, "journal_aside": ""}
    assert str(kept["journal_aside"]).startswith(f"{aside.name} (format ")
    assert aside.read_bytes() == content
    assert aside.name.startswith("journal.sqlite.schema-")
    desk.append(opened(3))
    desk.until(lambda: desk.rows)
    assert desk.states[-1] == ""
    assert desk.facts("journal_recovered") == []
    desk.close()
    assert read(path).journal_id() not in ("", before)
    again = Desk(path, "boot-3").start()
    assert again.journal.saved_state(10) == kept, "until the building has saved its own"
    again.close()
    assert found(path) == [aside]


@pytest.mark.parametrize("number", [1, 2])
def test_beside_a_journal_of_another_version_the_reserve_counts_where_it_is_newer(
    path: Path, number: int
) -> None:
    journal = written(path)
    changed(path, *OTHERS["newer"])
    reserve = Reserve(path)
    reserve.prepare()
    newer: dict[str, Json] = {"format": 1, "calls": {"wc": {"call": {"id": "wc-2"}}}}
    reserve.save(journal, NumberedState(number, newer), durable=True)
    desk = Desk(path, "boot-2").start()
    kept = desk.journal.saved_state(10)
    assert kept is not None
    assert kept["calls"] == (newer if number > 1 else KEPT)["calls"]
    assert "journal_aside" in kept
    desk.close()


@pytest.mark.parametrize(
    "tables",
    [
        ("photographs (id INTEGER)",),
        ("meta (name TEXT, value TEXT)", "series (id INTEGER)"),  # a recorder's
        ("meta (key TEXT, value TEXT)", "audit (id INTEGER)"),
    ],
    ids=["photographs", "recorder", "other meta"],
)
def test_a_file_of_somebody_else_is_set_aside_and_its_state_is_none_that_is_known(
    path: Path, tables: tuple[str, ...]
) -> None:
    with closing(sqlite3.connect(path)) as db:
        for table in tables:
            db.execute(f"CREATE TABLE {table}")
    content = path.read_bytes()
    desk = Desk(path).start()
    kept = desk.journal.saved_state(10)
    assert kept is not None
    assert kept["format"] == "unreadable"
    desk.close()
    (aside,) = found(path)
    assert aside.read_bytes() == content


@pytest.mark.parametrize("name", ["fact", "meta", "series"])
def test_a_journal_with_a_torn_table_is_damage_and_no_other_version(path: Path, name: str) -> None:
    before = written(path)
    changed(
        path,
        "PRAGMA writable_schema = ON",
        f"UPDATE sqlite_master SET name = 'x', tbl_name = 'x' WHERE name = '{name}'",
    )
    desk = Desk(path, "boot-2").start()
    desk.until(lambda: desk.facts("journal_recovered"))
    desk.close()
    assert [".broken-" in one.name for one in found(path)] == [True]
    journal = read(path)
    assert journal.heads()["urgent"] == 3
    assert journal.journal_id() != before


def test_where_the_process_dies_between_the_two_names_nothing_is_lost(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(path)
    content = changed(path, *OTHERS["newer"])

    def killed(path: Path, aside: Path | None = None) -> None:
        raise OSError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(recovery, "finish", killed)
        with pytest.raises(OSError, match="killed"):
            recovery.begin_beside(path, schema.unknown(path, "2"))
    assert path.read_bytes() == content
    desk = Desk(path, "boot-2").start()
    kept = desk.journal.saved_state(10)
    assert kept is not None
    assert kept["calls"] == KEPT["calls"]
    desk.close()
    (aside,) = found(path)
    assert aside.read_bytes() == content
    assert ".schema-2-" in aside.name


def test_a_journal_that_is_replaced_by_one_of_another_version_is_not_salvaged(path: Path) -> None:
    written(path)
    other = path.with_name("other.sqlite")
    written(other)
    content = changed(other, *OTHERS["newer"])
    desk = Desk(path, "boot-2").start()
    assert desk.journal.saved_state(10) == KEPT
    desk.append(opened(4))
    desk.until(lambda: desk.rows)  # its start is committed
    other.replace(path)
    desk.append(opened(5))
    desk.until(lambda: any(fact.at_ms == 5 for _, _, _, fact in desk.rows))
    desk.close()
    (aside,) = found(path)
    assert aside.read_bytes() == content, "whatever its name; the log beside it was another's"
    assert read(path).heads()["urgent"] >= 4


def test_a_journal_that_is_replaced_while_its_start_is_committed_is_not_in_place(
    path: Path,
) -> None:
    written(path)
    other = path.with_name("other.sqlite")
    written(other)

    def replaced(store: Store) -> None:
        other.replace(path)

    store = Store(path, "boot-2", read=replaced)
    assert not store.in_place
    store.close(clean=False)


def test_restore_and_readers_name_the_version_and_change_nothing(
    path: Path, tmp_path: Path
) -> None:
    written(path)
    other = tmp_path / "backup"
    written(other)
    changed(other, *OTHERS["newer"])
    content = path.read_bytes()
    with pytest.raises(BackupError, match=r"backup: the journal in format 2.*understands 1"):
        backup.restore(other, path, "boot-1.5", keep_calls=True)
    assert path.read_bytes() == content
    assert found(path) == []
    with pytest.raises(JournalUnavailable, match="in format 2"):
        read(other).head_row()


def test_what_was_set_aside_can_be_put_back_by_the_version_that_knows_it(path: Path) -> None:
    written(path)
    changed(path, *OTHERS["newer"])
    Desk(path, "boot-2").start().close()
    (aside,) = found(path)
    changed(aside, "UPDATE meta SET value = '1' WHERE key = 'schema'")  # as a version that knows it
    backup.restore(aside, path, "boot-2.5", keep_calls=True)
    store = Store(path, "boot-3")
    assert store.saved_state() == (KEPT, 1)
    assert store.head.seq["urgent"] == 3, "it says itself that it was put back"
    store.close(clean=True)


def test_what_is_set_aside_counts_into_the_limit_and_is_removed_by_its_life(path: Path) -> None:
    for _ in range(5):
        written(path)
        changed(path, *OTHERS["newer"])
        recovery.begin_beside(path, schema.unknown(path, "2"))
        path.unlink()
    assert len(found(path)) == KEEP
    later_ms = int(max(one.stat().st_mtime for one in found(path)) * 1000)
    assert remove_old(path, later_ms + LIFE_MS + 1000) == 3
    assert found(path) == []


@pytest.mark.parametrize("text", ["", "[1]", "{", "null", "3", "[" * 100_000])
def test_a_saved_state_that_is_no_state_is_not_taken_for_none(path: Path, text: str) -> None:
    written(path)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE meta SET value = ? WHERE key = 'kept'", (text,))
    store = Store(path, "boot-2")
    assert store.saved_state() == ({"format": "unreadable"}, None)
    before = earlier(calls={"wc": {"call": {"id": "wc-1"}}})
    store.put_meta("kept", json.dumps(before))
    assert store.saved_state() == (before, None)
    store.close(clean=True)
