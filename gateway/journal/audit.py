"""The audit chain: who did what, each entry bound to the one before by its hash.

The hash covers the actor's *user id* and a digest of the detail, never a name and never the
detail itself: names live elsewhere, and the detail of a forgotten user can be taken out
without breaking the chain (see :func:`forget`).
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

from gateway.core.machine import Ms, UtcMs

FIRST = "0" * 64
"""What the very first entry is bound to."""

_COLUMNS = (
    "n, boot, mono_ms, utc_ms, actor, action, subject, outcome, detail, detail_hash, previous, hash"
)


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One thing that somebody did, or was refused. ``actor`` is an id such as ``web:3``."""

    actor: str
    action: str
    subject: str
    outcome: str
    at_ms: Ms
    detail: str = ""


@dataclass(frozen=True, slots=True)
class ChainEntry:
    """One entry as it stands in the chain. ``detail`` is ``None`` once it was forgotten."""

    n: int
    boot: str
    mono_ms: Ms
    utc_ms: UtcMs | None
    actor: str
    action: str
    subject: str
    outcome: str
    detail: str | None
    detail_hash: str
    previous: str
    hash: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What :func:`verify` found. ``broken`` is the first entry that is not as it was written."""

    entries: int
    broken: int | None
    reason: str = ""


def storable(text: str) -> str:
    """Text that the file can hold: half a surrogate pair cannot be written as UTF-8."""
    return text.encode("utf-8", "replace").decode()


def digest(detail: str) -> str:
    """What stands in the chain for a detail."""
    return _sha256(detail.encode("utf-8", "surrogatepass"))


def _sha256(data: bytes) -> str:
    import hashlib  # late: the start of control has no use for it

    return hashlib.sha256(data).hexdigest()


def _hash(entry: ChainEntry) -> str:
    covered = {
        "n": entry.n,
        "boot": entry.boot,
        "mono_ms": entry.mono_ms,
        "utc_ms": entry.utc_ms,
        "actor": entry.actor,
        "action": entry.action,
        "subject": entry.subject,
        "outcome": entry.outcome,
        "detail_hash": entry.detail_hash,
        "previous": entry.previous,
    }
    return _sha256(json.dumps(covered, sort_keys=True, separators=(",", ":")).encode())


def append(
    connection: sqlite3.Connection, boot: str, utc_offset_ms: int | None, entry: AuditEntry
) -> int:
    """Add one entry in the caller's transaction and return its number."""
    last = connection.execute("SELECT n, hash FROM audit ORDER BY n DESC LIMIT 1").fetchone()
    if last is None:
        last = (_meta_int(connection, "audit.n"), _meta(connection, "audit.hash") or FIRST)
    bare = ChainEntry(
        n=last[0] + 1,
        boot=boot,
        mono_ms=entry.at_ms,
        utc_ms=None if utc_offset_ms is None else entry.at_ms + utc_offset_ms,
        actor=storable(entry.actor),
        action=storable(entry.action),
        subject=storable(entry.subject),
        outcome=storable(entry.outcome),
        detail=storable(entry.detail),
        detail_hash=digest(storable(entry.detail)),
        previous=last[1],
        hash="",
    )
    connection.execute(
        f"INSERT INTO audit ({_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
        (
            bare.n,
            bare.boot,
            bare.mono_ms,
            bare.utc_ms,
            bare.actor,
            bare.action,
            bare.subject,
            bare.outcome,
            bare.detail,
            bare.detail_hash,
            bare.previous,
            _hash(bare),
        ),
    )
    return bare.n


def entries(
    connection: sqlite3.Connection, after: int = 0, limit: int | None = None
) -> Iterator[ChainEntry]:
    """The chain from entry ``after`` + 1 on, in order. Raises :class:`sqlite3.Error`."""
    for row in connection.execute(
        f"SELECT {_COLUMNS} FROM audit WHERE n > ? ORDER BY n LIMIT ?",
        (after, -1 if limit is None else limit),
    ):
        yield ChainEntry(*row)


def entries_before(
    connection: sqlite3.Connection, before: int | None, limit: int
) -> list[ChainEntry]:
    """Entries below number ``before`` (``None``: from the end), newest first.
    Raises :class:`sqlite3.Error`."""
    found = connection.execute(
        f"SELECT {_COLUMNS} FROM audit WHERE n < ? ORDER BY n DESC LIMIT ?",
        (2**62 if before is None else before, limit),
    )
    return [ChainEntry(*row) for row in found]


Anchor = tuple[int, str]
"""Number and hash of an entry that the next one is bound to."""


def verify(connection: sqlite3.Connection) -> Verdict:
    """Walk the whole chain. Raises :class:`sqlite3.Error`.

    It starts at the anchor that retention leaves behind when it takes the oldest entries
    away, or at the very beginning.
    """
    return walk(connection, None)[0]


def walk(
    connection: sqlite3.Connection, after: Anchor | None, limit: int | None = None
) -> tuple[Verdict, Anchor]:
    """:func:`verify` in pieces: at most ``limit`` entries after ``after`` (``None``: from the
    beginning), and where the next piece starts."""
    number, previous = after or (
        _meta_int(connection, "audit.n"),
        _meta(connection, "audit.hash") or FIRST,
    )
    count = 0
    for entry in entries(connection, number if after else 0, limit):
        reason = ""
        if entry.n != number + 1:
            reason = f"entry {number + 1} is missing"
        elif entry.previous != previous:
            reason = "it is not bound to the entry before"
        elif entry.detail is not None and digest(entry.detail) != entry.detail_hash:
            reason = "its detail was changed"
        elif _hash(entry) != entry.hash:
            reason = "it was changed"
        if reason:
            return Verdict(count, entry.n, reason), (number, previous)
        number, previous, count = entry.n, entry.hash, count + 1
    return Verdict(count, None), (number, previous)


def forget(connection: sqlite3.Connection, actor: str) -> int:
    """Take the free text out of all entries of ``actor``; the chain stays verifiable.

    Returns how many entries were cleared.
    """
    return connection.execute(
        "UPDATE audit SET detail = NULL WHERE actor = ? AND detail IS NOT NULL AND detail <> ''",
        (actor,),
    ).rowcount


def drop_older(connection: sqlite3.Connection, before_utc_ms: UtcMs, limit: int) -> int:
    """Retention: take away at most ``limit`` entries from the beginning that are older.

    The chain then begins at an anchor (number and hash of the last one taken away), so that
    the rest can still be verified. An entry whose time is not known goes with the next one
    that is older. Returns how many went.
    """
    last: tuple[int, str] | None = None
    for entry in list(entries(connection, limit=limit)):
        if entry.utc_ms is None:
            continue
        if entry.utc_ms >= before_utc_ms:
            break
        last = (entry.n, entry.hash)
    if last is None:
        return 0
    connection.executemany(
        "INSERT OR REPLACE INTO meta VALUES (?, ?)",
        [("audit.n", str(last[0])), ("audit.hash", last[1])],
    )
    return connection.execute("DELETE FROM audit WHERE n <= ?", (last[0],)).rowcount


def _meta(connection: sqlite3.Connection, key: str) -> str | None:
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return None if row is None else str(row[0])


def _meta_int(connection: sqlite3.Connection, key: str) -> int:
    return int(_meta(connection, key) or 0)
