"""The audit chain: who did what, each entry bound to the one before by its hash.

The hash covers the actor's *user id* and a digest of the detail, never a name and never the
detail itself: names live elsewhere, and the detail of a forgotten user can be taken out
without breaking the chain (see :func:`forget`).

Entries are removed at the beginning when their life is over (:func:`drop_ended`), and refusals
anywhere when the chain is over its share of the journal (:func:`drop_refusals`). What is
removed leaves its number and its hash: at the beginning as the anchor that the rest is bound to,
elsewhere in an entry of the chain itself, so that only what the gateway has removed may be missing.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from gateway.core.instant import Ms, UtcMs

FIRST = "0" * 64
"""What the very first entry is bound to."""

DEEDS = frozenset({"accepted", "done", "lost", "removed"})
"""Outcomes of what was done, by somebody or by the gateway; every other is a refusal, or a
request that changed nothing (merged, extended)."""
TEXT_MOST, DETAIL_MOST = 200, 4_000
"""Characters of an entry's texts; what is longer is cut off."""
REMOVED = ("gateway", "audit", "removed")
"""Actor, action and outcome of the entry that says what was removed before it."""

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
    removed: int = 0
    """Refusals that the gateway has removed, and says so."""


def is_deed(outcome: str) -> bool:
    """Whether something was done, so that no refusal may displace the entry."""
    return outcome.partition(":")[0] in DEEDS


@dataclass(frozen=True, slots=True)
class Dropped:
    """What was removed: entries, their bytes as :func:`sizes` counts them, and the number up to
    which was looked."""

    entries: int
    bytes: int
    upto: int


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
    detail = storable(entry.detail)
    if (entry.actor, entry.action, entry.outcome) != REMOVED:
        detail = detail[:DETAIL_MOST]
    bare = ChainEntry(
        n=last[0] + 1,
        boot=boot,
        mono_ms=entry.at_ms,
        utc_ms=None if utc_offset_ms is None else entry.at_ms + utc_offset_ms,
        actor=storable(entry.actor)[:TEXT_MOST],
        action=storable(entry.action)[:TEXT_MOST],
        subject=storable(entry.subject)[:TEXT_MOST],
        outcome=storable(entry.outcome)[:TEXT_MOST],
        detail=detail,
        detail_hash=digest(detail),
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
    count = gone = 0
    removed: dict[int, Anchor] | None = None
    for entry in entries(connection, number if after else 0, limit):
        reason = ""
        if entry.n != number + 1:
            removed = _removed(connection) if removed is None else removed
        while removed and number + 1 in removed and number + 1 < entry.n:
            first = number + 1
            number, previous = removed[first]
            gone += number - first + 1
        if entry.n != number + 1:
            reason = f"entry {number + 1} is missing"
        elif entry.previous != previous:
            reason = "it is not bound to the entry before"
        elif entry.detail is not None and digest(entry.detail) != entry.detail_hash:
            reason = "its detail was changed"
        elif _hash(entry) != entry.hash:
            reason = "it was changed"
        if reason:
            return Verdict(count, entry.n, reason, gone), (number, previous)
        number, previous, count = entry.n, entry.hash, count + 1
    return Verdict(count, None, "", gone), (number, previous)


def _removed(connection: sqlite3.Connection) -> dict[int, Anchor]:
    """First number -> last number and its hash, of each run of refusals that was removed, as
    the entries that ``meta`` points to say. Those are verified when the walk comes to them."""
    runs: dict[int, Anchor] = {}
    for (detail,) in connection.execute(
        "SELECT detail FROM audit WHERE actor = ? AND action = ? AND outcome = ? AND n IN "
        "(SELECT CAST(substr(key, 15) AS INTEGER) FROM meta WHERE key GLOB 'audit.removed.*')",
        REMOVED,
    ):
        try:
            for first, last, hash in json.loads(detail or "{}")["runs"]:
                runs[int(first)] = (int(last), str(hash))
        except (ValueError, KeyError, TypeError):
            continue  # changed: the walk finds that, and a gap that nobody explains
    return runs


def drop_refusals(
    connection: sqlite3.Connection,
    boot: str,
    utc_offset_ms: int | None,
    at_ms: Ms,
    after: int,
    limit: int,
) -> Dropped:
    """In the caller's transaction: remove the refusals among the next ``limit`` entries after
    number ``after``, and add the entry that says so.

    The newest entry stays, because the next one is bound to it.
    """
    upto = after
    runs: list[list[object]] = []
    gone: list[ChainEntry] = []
    newest = connection.execute("SELECT max(n) FROM audit").fetchone()[0]
    for entry in list(entries(connection, after, limit)):
        upto = entry.n
        if is_deed(entry.outcome) or entry.n == newest:
            continue
        if runs and runs[-1][1] == entry.n - 1:
            runs[-1][1:] = [entry.n, entry.hash]
        else:
            runs.append([entry.n, entry.n, entry.hash])
        gone.append(entry)
    if gone:
        connection.executemany("DELETE FROM audit WHERE n = ?", [(one.n,) for one in gone])
        actor, action, outcome = REMOVED
        detail = json.dumps({"count": len(gone), "runs": runs}, separators=(",", ":"))
        note = AuditEntry(actor, action, "", outcome, at_ms, detail)
        n = append(connection, boot, utc_offset_ms, note)
        connection.execute("INSERT OR REPLACE INTO meta VALUES (?, '1')", (f"audit.removed.{n}",))
    return Dropped(len(gone), sum(map(_bytes, gone)), upto)


def drop_oldest(connection: sqlite3.Connection, limit: int) -> Dropped:
    """In the caller's transaction: remove the oldest ``limit`` entries, whatever they say, and
    leave the anchor; the newest stays."""
    gone = list(entries(connection, limit=limit + 1))[:-1]
    if gone:
        _drop_upto(connection, (gone[-1].n, gone[-1].hash))
    return Dropped(len(gone), sum(map(_bytes, gone)), gone[-1].n if gone else 0)


def forget(connection: sqlite3.Connection, actor: str) -> int:
    """Take the free text out of all entries of ``actor``; the chain stays verifiable.

    Returns how many entries were cleared.
    """
    return connection.execute(
        "UPDATE audit SET detail = NULL WHERE actor = ? AND detail IS NOT NULL AND detail <> ''",
        (actor,),
    ).rowcount


def drop_ended(
    connection: sqlite3.Connection, is_over: Callable[[ChainEntry], bool | None], limit: int
) -> int:
    """Retention: take away at most ``limit`` entries from the beginning whose life is over.

    The chain then begins at an anchor (number and hash of the last one taken away), so that
    the rest can still be verified. An entry of which nobody can say it (``None``) goes with the
    next one that is over. Returns how many went.
    """
    last: tuple[int, str] | None = None
    for entry in list(entries(connection, limit=limit)):
        over = is_over(entry)
        if over is None:
            continue
        if not over:
            break
        last = (entry.n, entry.hash)
    return 0 if last is None else _drop_upto(connection, last)


def _drop_upto(connection: sqlite3.Connection, last: Anchor) -> int:
    connection.executemany(
        "INSERT OR REPLACE INTO meta VALUES (?, ?)",
        [("audit.n", str(last[0])), ("audit.hash", last[1])],
    )
    connection.execute(
        "DELETE FROM meta WHERE key GLOB 'audit.removed.*' "
        "AND CAST(substr(key, 15) AS INTEGER) <= ?",
        (last[0],),
    )
    return connection.execute("DELETE FROM audit WHERE n <= ?", (last[0],)).rowcount


def _bytes(entry: ChainEntry) -> int:
    texts = (entry.boot, entry.actor, entry.action, entry.subject, entry.outcome)
    hashes = (entry.detail_hash, entry.previous, entry.hash)
    return sum(map(len, (*texts, entry.detail or "", *hashes))) + 40


BYTES = (
    "length(boot) + length(actor) + length(action) + length(subject) + length(outcome) "
    "+ coalesce(length(detail), 0) + length(detail_hash) + length(previous) + length(hash) + 40"
)
"""What an entry takes, in SQL: its texts, its numbers, and its share of the page."""


def sizes(connection: sqlite3.Connection, after: int, limit: int) -> tuple[int, int]:
    """The bytes of the next ``limit`` entries after number ``after``, and the last one's
    number. Raises :class:`sqlite3.Error`."""
    total, last = connection.execute(
        f"SELECT total(bytes), max(n) FROM (SELECT n, {BYTES} AS bytes FROM audit "
        "WHERE n > ? ORDER BY n LIMIT ?)",
        (after, limit),
    ).fetchone()
    return int(total), after if last is None else int(last)


def _meta(connection: sqlite3.Connection, key: str) -> str | None:
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return None if row is None else str(row[0])


def _meta_int(connection: sqlite3.Connection, key: str) -> int:
    return int(_meta(connection, key) or 0)
