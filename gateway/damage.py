"""SQLite files that are damaged: they are found, and set aside under a name that says so.

Whoever has the file then makes a new one, and says what is missing in it. An unknown version is no
damage (:mod:`gateway.formats`); the journal is salvaged instead (:mod:`gateway.journal.recovery`).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import time
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
"""Behind the name of a file that was set aside, before the time and a number that counts up."""
KEEP_BROKEN, KEEP_BROKEN_BYTES = 3, 1_000_000_000
"""Files of one name that are set aside: how many, and how large together. The newest and the
largest always are: a card that dies damages a file more than once, and the first has the most."""
GONE = "it is empty or gone, where there was one before"
LIFE_MS = 90 * 86_400_000
"""A file that was set aside holds what the new one removes by its lives."""
PLAUSIBLE_S = 1_767_225_600
"""2026-01-01: no file of ours is older, unless the clock was wrong."""
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


def set_aside(path: Path) -> Path:
    """Give a damaged file, with its logs, a name that says so; the new name. The oldest ones beyond
    the limits go. A file that is not there leaves an empty one under that name.

    Raises :class:`OSError`."""
    before = found_aside(path)
    if not path.exists():
        path.touch()
    # by a number: the clock may be wrong, and the newest has to be the last
    number = 1 + max((_number(one) for one in before), default=-1)
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    away = path.with_name(f"{path.name}{BROKEN}-{stamp}-{number:03d}")
    path.replace(away)
    for ending in _LOGS:
        with contextlib.suppress(FileNotFoundError):
            Path(f"{path}{ending}").replace(f"{away}{ending}")
    Path(f"{path}-shm").unlink(missing_ok=True)
    _fit(before, away)
    return away


def _fit(before: list[Path], newest: Path) -> None:
    """Remove what is beyond the limits; ``before``: oldest first."""
    sizes = {one: _size(one) for one in before}
    largest = max(before, key=sizes.__getitem__, default=newest)
    room, left = KEEP_BROKEN_BYTES - _size(newest), KEEP_BROKEN - 1
    for old in [largest, *(one for one in reversed(before) if one != largest)][: len(before)]:
        room, left = room - sizes[old], left - 1
        if old != largest and (room < 0 or left < 0):
            _remove(old)


def found_aside(path: Path) -> list[Path]:
    """What was set aside of this file, oldest first. Before, there was one without a number."""
    name = path.name + BROKEN
    found = [
        one
        for one in (path.parent.iterdir() if path.parent.is_dir() else ())
        if (one.name == name or one.name.startswith(f"{name}-"))
        and not one.name.endswith(("-shm", *_LOGS))
    ]
    return sorted(found, key=lambda one: (_number(one), one.name))


def name_of(away: Path) -> str:
    """The name that a file had before it was set aside."""
    return away.name.rpartition(BROKEN)[0] or away.name


def _number(away: Path) -> int:
    last = away.name.rpartition("-")[2]
    return int(last) if last.isdecimal() else -1


def _size(away: Path) -> int:
    """Of a file and its logs, or of all that is in a folder, in bytes."""
    logs = (Path(f"{away}{ending}") for ending in _LOGS)
    found = [*logs, *(away.rglob("*") if away.is_dir() else [away])]
    return sum(one.stat().st_size for one in found if one.is_file())


def is_over(away: Path, now_utc_ms: int) -> bool:
    """Whether a file was set aside longer ago than :data:`LIFE_MS`. The age of one that was written
    under a wrong clock counts from now. Raises :class:`OSError`."""
    written_s = away.stat().st_mtime
    if not PLAUSIBLE_S <= written_s <= now_utc_ms / 1000 + 86_400:
        os.utime(away, (now_utc_ms / 1000, now_utc_ms / 1000))
        return False
    return written_s * 1000 < now_utc_ms - LIFE_MS


def remove_old(path: Path, now_utc_ms: int) -> None:
    """Remove what was set aside of this file and is over, see :func:`is_over`."""
    for away in found_aside(path):
        with contextlib.suppress(OSError):
            if is_over(away, now_utc_ms):
                _remove(away)


def _remove(away: Path) -> None:
    if away.is_dir() and not away.is_symlink():
        shutil.rmtree(away, ignore_errors=True)
    for ending in ("", "-shm", *_LOGS):
        with contextlib.suppress(FileNotFoundError, IsADirectoryError):
            Path(f"{away}{ending}").unlink()
