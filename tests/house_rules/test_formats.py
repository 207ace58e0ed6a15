"""Every file that is read back is in one table, and no format changes unnoticed.

``tests/fixtures/formats.txt`` is what the files of this version are made of. Where it differs:
decide whether the version of Portier before can still read and write the file
(gateway/DECISIONS.md); if not, count the version up and write a migration. Then
``python -m tests.house_rules.test_formats`` renews it, and ``tests/fixtures/make_state.py`` the
fixture of this version.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import sqlite3
import tarfile
import tempfile
import typing
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from gateway.app import formats
from gateway.app.configuration.plans import Plan
from gateway.journal.store import Store
from gateway.link import saved
from gateway.recorder.state import RecorderState
from gateway.recorder.stores.sqlite import SqliteStore
from gateway.settings.plan import cache
from gateway.sites import audit, grants
from gateway.web.identity.users import Users
from gateway.web.storage import testbook, weeks
from gateway.web.storage.page_tables import PageTables

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
PINNED = FIXTURES / "formats.txt"
NO_FORMAT = ("*-wal", "*-shm", "*.lock", "overlay.before/*")
"""Of SQLite, of nobody, and copies of a file that is in the table."""


def made(folder: Path) -> None:
    """Each SQLite file, as this version makes it."""
    Store(folder / "journal.sqlite", "boot-1").close(clean=True)
    users = folder / "web" / "web.sqlite"
    Users(users).close()
    PageTables(users, testbook.SCHEMA)
    PageTables(users, weeks.SCHEMA)
    PageTables(users, grants.SCHEMA)
    PageTables(users, audit.SCHEMA)
    (folder / "record").mkdir()
    RecorderState(folder / "record" / "recorder-main.sqlite").close()
    store = SqliteStore(folder / "record" / "record.sqlite")
    store.identity()
    store.close()


def tables(path: Path) -> Iterator[str]:
    with closing(sqlite3.connect(path)) as db:
        yield f"user_version {db.execute('PRAGMA user_version').fetchone()[0]}"
        for (text,) in db.execute("SELECT sql FROM sqlite_master WHERE sql <> '' ORDER BY name"):
            yield " ".join(text.split())


def parts(kind: Any, seen: set[Any]) -> Iterator[str]:
    """The fields of a dataclass and of those within it."""
    for inner in typing.get_args(kind):
        yield from parts(inner, seen)
    if not isinstance(kind, type) or not dataclasses.is_dataclass(kind) or kind in seen:
        return
    seen.add(kind)
    hints = typing.get_type_hints(kind)
    yield f"{kind.__name__}: {', '.join(field.name for field in dataclasses.fields(kind))}"
    for field in dataclasses.fields(kind):
        yield from parts(hints[field.name], seen)


def text() -> str:
    lines = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made(folder)
        for format in formats.FORMATS:
            lines += ["", f"{format.name}: version {format.version} ({format.where})"]
            if format.name != "saved state":
                for path in formats.files_of(format, folder):
                    lines += tables(path)
            if format.name == "plan":
                lines += sorted(parts(Plan, set()))
    return "\n".join(lines).strip() + "\n"


def test_no_format_changes_unnoticed() -> None:
    assert text() == PINNED.read_text(encoding="utf-8"), __doc__


@pytest.mark.parametrize("archive", sorted(FIXTURES.glob("state-*.tar.xz")), ids=lambda a: a.name)
def test_every_file_of_a_state_folder_is_in_the_table(archive: Path, tmp_path: Path) -> None:
    with tarfile.open(archive) as packed:
        packed.extractall(tmp_path, filter="data")
    state = tmp_path / "state"
    known = {path for format in formats.FORMATS for path in formats.files_of(format, state)}
    names = {
        path.relative_to(state) for path in state.rglob("*") if path.is_file() and path not in known
    }
    assert [str(n) for n in names if not any(fnmatch.fnmatch(str(n), p) for p in NO_FORMAT)] == []
    assert formats.unknown_files(state) == ([], {})


def test_the_versions_are_those_that_the_rooms_write() -> None:
    versions = {format.name: format.version for format in formats.FORMATS}
    assert (versions["plan"], versions["link"]) == (cache.FORMAT, saved.FORMAT)
    for format in formats.FORMATS:
        assert format.older, format.name
        assert format.newer, format.name
        if format.check is not None and format.in_use:
            assert format.version is not None, format.name


def test_a_state_of_the_link_in_another_format_is_named_and_put_away(tmp_path: Path) -> None:
    folder = tmp_path / "link"
    folder.mkdir()
    for number in (7, 8):
        (folder / saved.FILE).write_text(f'{{"format": {number}}}', encoding="utf-8")
        ((named,), unread) = formats.unknown_files(tmp_path)
        assert unread == {}
        assert (named.path, named.found) == (folder / saved.FILE, str(number))
        assert saved.read(folder) == {}
        assert formats.unknown_files(tmp_path) == ([], {})
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["link.json.format-7", "link.json.format-8"]


if __name__ == "__main__":
    PINNED.write_text(text(), encoding="utf-8")
