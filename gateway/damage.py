"""SQLite files that are damaged: they are found, and set aside under a name that says so.

Whoever has the file then makes a new one, and says what is missing in it. An unknown version is no
damage (:mod:`gateway.formats`); the journal is salvaged instead (:mod:`gateway.journal.recovery`).
"""

from __future__ import annotations

import contextlib
import shutil
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
BROKEN = ".broken"
"""Behind the name of a file that was set aside; the one before it goes."""
LIFE_MS = 90 * 86_400_000
"""A file that was set aside holds what the new one removes by its lives."""
_LOGS = ("-wal", "-journal")
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
) -> str:
    """Why a file is of no use; empty where it is whole, or there is none, or nobody can say now.

    ``read``: reads what is in it, and raises :class:`ValueError` or :class:`TypeError` where that
    is nothing that anybody has written; then all pages and values are looked at as well. Without,
    it is only opened.

    :raises UnknownFormat: it is of another version
    """
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


def set_aside(path: Path) -> Path:
    """Give a damaged file, with its logs, a name that says so; the new name. Raises
    :class:`OSError`."""
    away = path.with_name(path.name + BROKEN)
    _remove(away)
    path.replace(away)
    for ending in _LOGS:
        with contextlib.suppress(FileNotFoundError):
            Path(f"{path}{ending}").replace(f"{away}{ending}")
    Path(f"{path}-shm").unlink(missing_ok=True)
    return away


def remove_old(path: Path, now_utc_ms: int) -> None:
    """Remove what was set aside of this file longer ago than :data:`LIFE_MS`."""
    away = path.with_name(path.name + BROKEN)
    with contextlib.suppress(OSError):
        if away.stat().st_mtime * 1000 < now_utc_ms - LIFE_MS:
            _remove(away)


def _remove(away: Path) -> None:
    if away.is_dir():
        shutil.rmtree(away, ignore_errors=True)
    for ending in ("", "-shm", *_LOGS):
        with contextlib.suppress(FileNotFoundError, IsADirectoryError):
            Path(f"{away}{ending}").unlink()
