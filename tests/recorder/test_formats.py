"""SQLite files of another version: refused by name before anything is written to them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from gateway import formats
from gateway.formats import Database, UnknownFormat
from gateway.recorder import rejects
from gateway.recorder import state as recorder
from gateway.recorder.state import RecorderState
from gateway.recorder.stores import recent, sqlite
from gateway.recorder.stores.recent import RecentReadings
from gateway.recorder.stores.store import StoreDownError
from gateway.web.identity.users import Users
from gateway.web.storage import store


def _embedded(path: Path) -> None:
    embedded = sqlite.SqliteStore(path)
    embedded.identity()
    embedded.close()


def _list(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        rejects.prepare(path, db)


FILES: dict[str, tuple[Database, Callable[[Path], object]]] = {
    "users": (store.FORMAT, lambda path: Users(path).close()),
    "state": (recorder.FORMAT, lambda path: RecorderState(path).close()),
    "aside": (rejects.FORMAT, _list),
    "store": (sqlite.FORMAT, _embedded),
    "recent": (recent.FORMAT, lambda path: RecentReadings(path, "one").close()),
}
each = pytest.mark.parametrize(("database", "opened"), FILES.values(), ids=FILES.keys())


def run(path: Path, *statements: str) -> bytes:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for statement in statements:
            db.execute(statement)
        db.execute("PRAGMA journal_mode = DELETE").fetchone()
    return path.read_bytes()


@each
@pytest.mark.parametrize(
    "other",
    [
        "PRAGMA user_version = 2",
        "PRAGMA user_version = 4711",
        "PRAGMA user_version = -1",
        "foreign",
    ],
)
def test_a_file_of_another_version_is_refused_unchanged(
    database: Database, opened: Callable[[Path], object], other: str, tmp_path: Path
) -> None:
    path = tmp_path / "file.sqlite"
    if other == "foreign":
        content = run(path, "CREATE TABLE photographs (id INTEGER)")
    else:
        opened(path)
        content = run(path, other)
    found = other.rpartition(" ")[2] if other != "foreign" else "unknown"
    with pytest.raises((UnknownFormat, StoreDownError)) as refused:
        opened(path)
    assert f"{path}: {database.what} in format {found}" in str(refused.value)
    assert "(it understands 0, 1). It was not changed: " in str(refused.value)
    assert path.read_bytes() == content


@each
def test_a_table_without_its_columns_is_of_another_version(
    database: Database, opened: Callable[[Path], object], tmp_path: Path
) -> None:
    path = tmp_path / "file.sqlite"
    name = next(iter(database.tables))
    content = run(path, f"CREATE TABLE {name} (other INTEGER)")
    with pytest.raises((UnknownFormat, StoreDownError), match=f"unknown \\(table {name}\\)"):
        opened(path)
    assert path.read_bytes() == content


@each
def test_a_file_of_0_1_is_migrated_and_one_of_this_version_is_left_alone(
    database: Database, opened: Callable[[Path], object], tmp_path: Path
) -> None:
    path = tmp_path / "file.sqlite"
    opened(path)
    assert database.check(path) == 1
    run(path, "PRAGMA user_version = 0")
    assert database.check(path) == 0
    opened(path)
    assert database.check(path) == 1
    with closing(sqlite3.connect(path)) as db:
        changes = db.total_changes
        database.prepare(path, db, lambda _: pytest.fail("there is nothing to migrate"))
        assert db.total_changes == changes


@each
def test_a_migration_that_is_cut_short_changes_nothing(
    database: Database,
    opened: Callable[[Path], object],
    tmp_path: Path,
) -> None:
    path = tmp_path / "file.sqlite"
    opened(path)
    run(path, "PRAGMA user_version = 0")

    def half(db: sqlite3.Connection) -> None:
        formats.run_all(db, "CREATE TABLE half (id INTEGER);\nINSERT INTO half VALUES (1);\n")
        raise sqlite3.OperationalError("disk I/O error")

    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        with pytest.raises(sqlite3.OperationalError, match="disk"):
            database.prepare(path, db, half)
        assert not db.in_transaction
        assert db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'half'").fetchone() == (
            0,
        )
    assert database.check(path) == 0
    opened(path)
    assert database.check(path) == 1


def test_both_files_of_a_recorder_are_looked_at_before_one_is_changed(tmp_path: Path) -> None:
    path = tmp_path / "recorder-main.sqlite"
    RecorderState(path).close()
    content = run(path, "PRAGMA user_version = 0")
    run(tmp_path / "recorder-main.aside.sqlite", "PRAGMA user_version = 2")
    with pytest.raises(UnknownFormat, match=r"recorder-main.aside.sqlite: .* in format 2"):
        RecorderState(path)
    assert path.read_bytes() == content
