"""Versions of the files that Portier reads back.

A file of an unknown version is never damage: it is migrated in one transaction, or left as it is
and named (:class:`UnknownFormat`). An SQLite file says its version in ``PRAGMA user_version``; 0 is
what version 0.1 has written. A version is counted up where the version of Portier before could not
read or write the file any more; added tables and columns that it leaves alone keep the number.

All files are listed in :mod:`gateway.app.formats`.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Collection, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

BUSY_S = 5.0


class UnknownFormat(Exception):
    """A file that this version of Portier does not understand. It was not changed."""

    def __init__(self, path: Path, what: str, found: str, known: Collection[object]) -> None:
        self.path, self.what, self.found = path, what, found
        self.known = ", ".join(map(str, known))
        self.remedy = (
            "install the version of Portier that wrote it, or put the backup from before the "
            "update in its place"
        )
        super().__init__(f"{self.name}. It was not changed: {self.remedy}.")

    @property
    def name(self) -> str:
        """The file, its version and the versions understood."""
        return (
            f"{self.path}: {self.what} in format {self.found}, which this version of Portier does "
            f"not understand (it understands {self.known})"
        )


class Foreign(sqlite3.DatabaseError):
    """A file that does something by itself which no version of Portier has told it to. What is in
    its rows is read, as from a damaged file; the rest is left behind."""

    sqlite_errorcode = sqlite3.SQLITE_CORRUPT


def foreign(db: sqlite3.Connection) -> str:
    """The triggers and views of an SQLite file: Portier makes none, and one may drop what is
    written or bring back what is over. An empty text without. Raises :class:`sqlite3.Error`."""
    found = db.execute(
        "SELECT type, name FROM sqlite_master WHERE type NOT IN ('table', 'index') LIMIT 1"
    ).fetchone()
    return "" if found is None else f"it has a {found[0]} that Portier has not made: {found[1]}"


def uri(path: Path, mode: str) -> str:
    """The SQLite URI of a file; ``mode`` is ``ro``, ``rw`` or ``rwc``."""
    # by its bytes: the name of a folder need not be text in this process's language
    return f"file:{quote(os.fsencode(path.absolute()))}?mode={mode}"


@dataclass(frozen=True, slots=True)
class Database:
    """The format of one kind of SQLite file.

    ``tables``: the columns that a file of version 0 has at least, for each table that may be in
    it; one of these tables is there. A file without is somebody else's."""

    what: str
    version: int
    tables: Mapping[str, Collection[str]]

    @property
    def known(self) -> tuple[int, ...]:
        """The versions that are understood."""
        return tuple(range(self.version + 1))

    def check(self, path: Path, busy_s: float = BUSY_S) -> int | None:
        """The version of a file, ``None`` for one that is still to be made. Nothing is written.
        ``busy_s``: how long to wait for one that another process has locked.

        :raises UnknownFormat: it is of another version, or of another program
        :raises sqlite3.Error: it cannot be read
        """
        if not any(_bytes(one) for one in (path, Path(f"{path}-wal"))):
            return None
        with closing(sqlite3.connect(uri(path, "ro"), uri=True, timeout=busy_s)) as db:
            return self.version_of(path, db)

    def version_of(self, path: Path, db: sqlite3.Connection) -> int | None:
        """The same through an open connection. Raises :class:`Foreign`, too."""
        (version,) = db.execute("PRAGMA user_version").fetchone()
        self.understood(path, version)
        tables = {
            name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type='table'")
        }
        if not tables:
            return None
        if found := foreign(db):
            raise Foreign(found)
        for name in tables & set(self.tables):
            columns = {row[1] for row in db.execute(f"PRAGMA table_info({name})")}
            if not columns >= set(self.tables[name]):
                raise UnknownFormat(path, self.what, f"unknown (table {name})", self.known)
        if not tables & set(self.tables):
            raise UnknownFormat(path, self.what, "unknown (none of its tables)", self.known)
        return int(version)

    def understood(self, path: Path, version: int) -> None:
        """Nothing, where this is a version that is understood.

        :raises UnknownFormat: it is not
        """
        if version not in self.known:
            raise UnknownFormat(path, self.what, str(version), self.known)

    def prepare(
        self, path: Path, db: sqlite3.Connection, migrate: Callable[[sqlite3.Connection], object]
    ) -> None:
        """Bring an open file to this version in one transaction, where it is not; ``migrate``
        makes what is missing in a file of any version that is understood, or in an empty one.

        :raises UnknownFormat: see :meth:`check`
        :raises sqlite3.Error: nothing was changed then
        """
        if self.version_of(path, db) == self.version:
            return
        db.execute("BEGIN IMMEDIATE")
        try:
            self.version_of(path, db)  # again: another process may have been first
            migrate(db)
            db.execute(f"PRAGMA user_version = {self.version}")
        except BaseException:
            db.execute("ROLLBACK")
            raise
        db.execute("COMMIT")


def _bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def run_all(db: sqlite3.Connection, script: str) -> None:
    """The statements of a script, in the caller's transaction (``executescript`` ends it)."""
    for statement in script.split(";\n"):
        if statement.strip():
            db.execute(statement)
