"""A damaged file of the users: it is moved away whole, and what can be read of it goes on in a new
one.

Theory of operation. :func:`repair` looks at the file before the page opens it. Rows are read table
by table, from both ends, as SQLite finds them in their trees: what was removed does not come back.
A row is taken only if every value is one that Portier writes. In doubt nobody gets in who could not
before: log-ins end, a user whose role cannot be read is gone, and where second factors are wanted
and cannot all be read, a user without a readable one has no password any more. Nobody is made an
administrator; ``portier user`` on the machine is the way back.

The new file is complete and on the disk before it gets its name, and :func:`repair` can be cut
short anywhere. The damaged one stays beside it until an administrator has seen it.
"""

from __future__ import annotations

import math
import os
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway import set_aside
from gateway.formats import UnknownFormat, uri
from gateway.journal.recovery import check, sync
from gateway.journal.schema import DAMAGED, damaged
from gateway.set_aside import beside
from gateway.web.identity.accounts import ROLES
from gateway.web.identity.users import Users
from gateway.web.storage import testbook, weeks
from gateway.web.storage.damage import MARK, reason_of
from gateway.web.storage.page_tables import PageTables
from gateway.web.storage.store import FORMAT, Store

READ, BUILT, DONE = ".reading", ".building", ".repaired"
SIDES = ("", *set_aside.LOGS)
_HEX = re.compile("[0-9a-f]{64}")
_SECRET = re.compile("[A-Z2-7]{16,64}")

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class OwnTable:
    """A table that another program than the gateway's page has in the file: what makes it, its key,
    and what a row must be."""

    schema: str
    name: str
    key: str
    is_good: Callable[[Row], bool]


@dataclass(frozen=True, slots=True)
class Repaired:
    """What came of it. ``locked``: users without a password; ``incomplete``: tables that could
    not be read whole."""

    reason: str
    users: int
    administrators: int
    locked: int
    tokens: int
    incomplete: tuple[str, ...]


def damage_of(path: Path) -> str:
    """What is wrong with the file, or an empty text. Changes nothing.

    :raises UnknownFormat: it is of another version or program
    :raises sqlite3.Error: it cannot be read now, as :class:`OSError`
    """
    if path.is_dir():
        return "a directory is in its place"
    if not any(one.is_file() and one.stat().st_size for one in (path, beside(path, "-wal"))):
        return ""
    try:
        return _marked(path) or _wrong(path)
    except UnknownFormat as error:
        if not _says_ours(path, error):
            raise
        return error.found
    except DAMAGED as error:
        if not damaged(error):
            raise
        return reason_of(error)


def _marked(path: Path) -> str:
    """What the process before has called damaged."""
    found = beside(path, MARK)
    if not found.exists():
        return ""
    return found.read_text(encoding="utf-8", errors="replace") or "damaged"


def _wrong(path: Path) -> str:
    if FORMAT.check(path) is None:
        return ""
    with closing(sqlite3.connect(uri(path, "ro"), uri=True)) as db:
        return check(db) or _unreadable(db)


def _says_ours(path: Path, error: UnknownFormat) -> bool:
    """Whether a file whose tables are not ours says nevertheless that it is of this version."""
    if not error.found.startswith("unknown ("):
        return False
    with closing(sqlite3.connect(uri(path, "ro"), uri=True)) as db:
        return bool(db.execute("PRAGMA user_version").fetchone() == (FORMAT.version,))


def _unreadable(db: sqlite3.Connection) -> str:
    """A value of a user that nobody has written: it would be an error at each log-in."""
    db.row_factory = sqlite3.Row
    for row in db.execute("SELECT * FROM users WHERE removed IS NULL"):
        if not _is_user(dict(row)):
            return f"the values of user {row['id']}"
    return ""


def open_users(
    path: Path, gateway: str, *, wants_factors: bool, own: Sequence[OwnTable] = ()
) -> tuple[Users, Repaired | None]:
    """The users, after a repair where the file is damaged. Raises as :func:`repair` does."""
    repaired = repair(path, wants_factors=wants_factors, own=own)
    try:
        return Users(path, gateway=gateway), repaired
    except DAMAGED as error:
        torn = damaged(error) or getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_ERROR
        if repaired is not None or not torn:
            raise
        beside(path, MARK).write_text(reason_of(error), encoding="utf-8")  # its description is torn
    repaired = repair(path, wants_factors=wants_factors, own=own)
    return Users(path, gateway=gateway), repaired


def repair(path: Path, *, wants_factors: bool, own: Sequence[OwnTable] = ()) -> Repaired | None:
    """Put a new file in the place of a damaged one; ``None`` where it is not damaged.
    ``wants_factors``: whether the owner wants second factors; ``own``: more tables in it.

    :raises UnknownFormat: see :func:`damage_of`
    :raises OSError: it cannot be done now, as :class:`sqlite3.Error`
    """
    _finish(path)
    reason = damage_of(path)
    if not reason:
        return None
    building = beside(path, BUILT)
    for side in SIDES:
        beside(building, side).unlink(missing_ok=True)
    Store(building).close()
    for schema in (testbook.SCHEMA, weeks.SCHEMA, *(one.schema for one in own)):
        PageTables(building, schema)
    tables = (*TABLES, *((one.name, one.key, one.is_good) for one in own))
    repaired = _fill(path, building, reason, wants_factors, tables)
    sync(building)
    building.rename(beside(path, DONE))
    sync(path.parent)
    _finish(path)
    return repaired


def _finish(path: Path) -> None:
    """Put a complete file in place, if there is one; the one before it is set aside."""
    done = beside(path, DONE)
    if not done.exists():
        return
    if path.exists():
        set_aside.rename(path, salvaged=True)
    done.rename(path)
    beside(path, MARK).unlink(missing_ok=True)
    sync(path.parent)


# --- what is said of it ---------------------------------------------------------------------


def unseen(path: Path) -> Path | None:
    """The newest damaged file that nobody has seen yet."""
    found = _unseen(path)
    return found[-1] if found else None


def _unseen(path: Path) -> list[Path]:
    return [one for one in set_aside.found(path) if set_aside.mark_of(one) == set_aside.BROKEN]


def mark_seen(path: Path) -> None:
    """An administrator has seen them; they stay for their life. Raises :class:`OSError`."""
    for away in _unseen(path):
        set_aside.remark(away, set_aside.SEEN)


# --- reading --------------------------------------------------------------------------------


class _Damaged:
    """A copy of the damaged file, for SQLite to work in."""

    def __init__(self, path: Path) -> None:
        self._copy = beside(path, READ)
        self._remove()
        if path.is_file():
            for side in ("", "-wal"):
                with suppress(FileNotFoundError):
                    shutil.copyfile(beside(path, side), beside(self._copy, side))
        self._db = sqlite3.connect(self._copy, isolation_level=None)
        self._db.text_factory = bytes
        with suppress(*DAMAGED):
            self._db.execute("PRAGMA writable_schema=ON")  # the rest of a torn schema
        self.incomplete: list[str] = []

    def _remove(self) -> None:
        for side in SIDES:
            beside(self._copy, side).unlink(missing_ok=True)

    def close(self) -> None:
        self._db.close()
        self._remove()

    def rows(self, table: str, key: str, columns: list[str]) -> list[Row]:
        """All that can be read of a table, in both directions of its key."""
        found: dict[tuple[Any, ...], Row] = {}
        try:
            known = {row[1].decode() for row in self._db.execute(f"PRAGMA table_info({table})")}
            columns = [column for column in columns if column in known]
            if not columns:
                raise sqlite3.DatabaseError("no such table")
            for way in ("", " DESC"):
                order = ", ".join(f"{one}{way}" for one in key.split(", "))
                for row in self._readable(f"{', '.join(columns)} FROM {table} ORDER BY {order}"):
                    found.setdefault(row, dict(zip(columns, row, strict=True)))
        except DAMAGED:
            self.lacks(table)
        return list(found.values())

    def last_number(self, table: str) -> int | None:
        """The last one that was given; ``None`` where that cannot be read."""
        try:
            row = self._db.execute(
                "SELECT seq FROM sqlite_sequence WHERE CAST(name AS TEXT) = ?", (table,)
            ).fetchone()
        except DAMAGED:
            return None
        return None if row is None or not isinstance(row[0], int) else row[0]

    def _readable(self, what: str) -> Iterator[tuple[Any, ...]]:
        """The rows up to the first that SQLite cannot read; texts that are none are left out."""
        cursor = self._db.execute(f"SELECT {what}")
        table = what.partition(" FROM ")[2].partition(" ")[0]
        while True:
            try:
                row = cursor.fetchone()
            except DAMAGED:
                self.lacks(table)
                return
            if row is None:
                return
            try:
                texts = tuple(v.decode() if isinstance(v, bytes) else v for v in row)
            except UnicodeDecodeError:
                self.lacks(table)
            else:
                yield texts

    def lacks(self, table: str) -> None:
        if table not in self.incomplete:
            self.incomplete.append(table)


# --- what a value may be --------------------------------------------------------------------


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _is_user(row: Row) -> bool:
    return (
        isinstance(row.get("id"), int)
        and row["id"] > 0
        and isinstance(row.get("name"), str)
        and 1 <= len(row["name"]) <= 40
        and row.get("role") in ROLES
        and isinstance(row.get("password"), str)
        and isinstance(row.get("language"), str)
        and isinstance(row.get("armed_s"), int)
        and 5 <= row["armed_s"] <= 150
        and (row.get("removed") is None or _is_number(row["removed"]))
    )


def _is_factor(row: Row) -> bool:
    return (
        isinstance(row.get("user"), int)
        and isinstance(row.get("secret"), str)
        and _SECRET.fullmatch(row["secret"]) is not None
        and row.get("confirmed") in (0, 1)
        and isinstance(row.get("step"), int)
    )


def _is_recovery(row: Row) -> bool:
    return isinstance(row.get("user"), int) and _is_hash(row.get("hash"))


def _is_hash(value: object) -> bool:
    return isinstance(value, str) and _HEX.fullmatch(value) is not None


def _is_token(row: Row) -> bool:
    return (
        isinstance(row.get("id"), int)
        and isinstance(row.get("name"), str)
        and isinstance(row.get("by"), str)
        and row.get("role") in ROLES
        and _is_hash(row.get("hash"))
        and all(_is_number(row.get(name)) for name in ("created", "expires"))
    )


def _is_page(row: Row) -> bool:
    return isinstance(row.get("id"), int) and testbook.steps_from(row.get("steps", "")) is not None


def _is_any(row: Row) -> bool:
    return True


Readable = tuple[str, str, Callable[[Row], bool]]
TABLES: tuple[Readable, ...] = (
    ("users", "id", _is_user),
    ("factors", "user", _is_factor),
    ("recovery", "user, hash", _is_recovery),
    ("tokens", "id", _is_token),
    ("audit_outbox", "n", _is_any),
    ("testbook", "id", _is_page),
    ("testbook_steps", "page, step", _is_any),
    ("door_weeks", "door, monday", _is_any),
)
"""Table, its key, and what a row must be. Log-ins end; secrets and the uptime are made anew, which
ends the notes and cookies that were signed with them."""
AGES = {"tokens": {"created_up": 0}}
"""Ages by the summed uptime begin anew, as with a file of a version before."""
NUMBERED = ("users", "tokens", "testbook")
UNKNOWN_NUMBERS = 10_000
"""So many are left out where the last one that was given cannot be read."""


def _fill(
    path: Path, building: Path, reason: str, wants_factors: bool, tables: Sequence[Readable]
) -> Repaired:
    with (
        closing(_Damaged(path)) as source,
        closing(sqlite3.connect(building, isolation_level=None)) as db,
    ):
        db.execute("PRAGMA foreign_keys=ON")
        db.execute("BEGIN")
        for table, key, is_good in tables:
            columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
            for row in source.rows(table, key, columns):
                if is_good(row):
                    _insert(db, table, row | AGES.get(table, {}))
                else:
                    source.lacks(table)
            if table in NUMBERED:
                _go_on(db, table, source.last_number(table))
        locked = 0
        if wants_factors and {"users", "factors"} & set(source.incomplete):
            locked = db.execute(
                "UPDATE users SET password = '' WHERE removed IS NULL AND password != ''"
                " AND id NOT IN (SELECT user FROM factors WHERE confirmed = 1)"
            ).rowcount
        there = "SELECT count(*) FROM users WHERE removed IS NULL"
        ((users,),) = db.execute(there)
        ((administrators,),) = db.execute(f"{there} AND role = 'admin' AND password != ''")
        ((tokens,),) = db.execute("SELECT count(*) FROM tokens")
        db.execute("COMMIT")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        incomplete = tuple(source.incomplete)
    for side in SIDES[1:]:
        beside(building, side).unlink(missing_ok=True)
    os.chmod(building, 0o600)
    return Repaired(reason, users, administrators, locked, tokens, incomplete)


def _go_on(db: sqlite3.Connection, table: str, last: int | None) -> None:
    """No number is given again: the journal knows people and tokens by theirs."""
    ((highest,),) = db.execute(f"SELECT coalesce(max(id), 0) FROM {table}")
    after = highest + UNKNOWN_NUMBERS if last is None else max(highest, last)
    db.execute("DELETE FROM sqlite_sequence WHERE name = ?", (table,))
    db.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (table, after))


def _insert(db: sqlite3.Connection, table: str, row: Row) -> None:
    names, marks = ", ".join(row), ", ".join("?" * len(row))
    with suppress(sqlite3.Error):  # of a user who could not be read, or there already
        db.execute(f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({marks})", [*row.values()])
