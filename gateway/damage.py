"""SQLite files that are damaged: how that is found.

Whoever has such a file sets it aside (:mod:`gateway.set_aside`), makes a new one, and says what is
missing in it. An unknown version is no damage (:mod:`gateway.formats`); the journal is salvaged
instead (:mod:`gateway.journal.recovery`).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from gateway.formats import BUSY_S, Database, uri

ERRORS = (sqlite3.Error, UnicodeDecodeError)
"""What reading a damaged file may raise: SQLite's words about a broken schema hold its bytes, and
those need not be UTF-8."""
WORDS = ("no such", "Could not decode")
"""In the text of an error that has no code of its own: a table is torn, or a text is none."""
GONE = "it is empty or gone, where there was one before"
_KINDS = {
    "TEXT": ("text",),
    "INTEGER": ("integer",),
    "REAL": ("real", "integer"),
    "BLOB": ("blob",),
}


def is_damage(error: Exception) -> bool:
    """Whether the file itself is broken, so that waiting does not help."""
    if isinstance(error, OSError):
        return False
    if not isinstance(error, sqlite3.Error):
        return True  # what is read is none of the values that are written
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    # 11 is "malformed", 26 "not a database", 1 anything else, 0 an error of Python's module
    return code in (11, 26) or (code in (0, 1) and any(words in str(error) for words in WORDS))


def find(
    path: Path,
    format: Database,
    read: Callable[[sqlite3.Connection], object] | None = None,
    *,
    busy_s: float = BUSY_S,
    is_new: bool = True,
) -> str:
    """Why a file is of no use; empty where it is whole, or nobody can say now, or it is still to be
    made: ``is_new`` says whether that may be. Where there was one, an empty file or none is a loss;
    it is in any case where its log is there.

    ``read``: reads what is in it, and raises :class:`ValueError` or :class:`TypeError` where that
    is nothing that anybody has written; then all pages and values are looked at as well. Without,
    it is only opened.

    :raises UnknownFormat: it is of another version
    """
    if not path.exists() and path.is_symlink():
        return ""  # to a disk that is not there now
    if not _bytes(path) and not path.is_dir():
        if _bytes(Path(f"{path}-wal")):
            return f"{GONE}, and its log is there"
        return "" if is_new else GONE
    try:
        if format.check(path, busy_s) is None or read is None:
            return ""
        with closing(sqlite3.connect(uri(path, "ro"), uri=True, timeout=busy_s)) as db:
            fault = _fault(db, format)
            if not fault:
                read(db)
            return fault
    except (*ERRORS, ValueError, TypeError) as error:
        return (str(error) or repr(error)) if is_damage(error) or path.is_dir() else ""


def _bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _fault(db: sqlite3.Connection, format: Database) -> str:
    (found,) = db.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        return str(found)
    for table in format.tables:
        for _, column, declared, not_null, _, _ in db.execute(f"PRAGMA table_info({table})"):
            if declared not in _KINDS:
                continue
            kinds = [*_KINDS[declared], *([] if not_null else ["null"])]
            marks = ", ".join("?" * len(kinds))
            if db.execute(
                f'SELECT 1 FROM {table} WHERE typeof("{column}") NOT IN ({marks}) LIMIT 1', kinds
            ).fetchone():
                return f"table {table}, column {column}: a value that nobody has written"
    return ""
