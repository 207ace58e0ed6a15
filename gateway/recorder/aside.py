"""What was set aside: kept whole, listed, sent again or acknowledged.

One table in the recorder's state file, which the running role and the command line share:
the command marks a row (``retry``, ``acknowledged``), and the role notices at its next turn.

Standings: ``open`` (refused), ``retry`` (somebody wants it to be sent again), ``stored`` (the
store has it now), ``acknowledged`` (somebody has seen it and leaves it), ``foreign`` (no fact of
any gateway: a message from somebody else; it is listed, and no guarantee depends on it).

Limit: :data:`MOST` rows and :data:`BYTES_MOST` of those that are open or to be retried. Where
it is reached, the recorder waits and acknowledges nothing more to the broker: the facts stay in
the gateways' journals, and nothing is lost until somebody has looked. Exempt are points that
the store refuses because they are older than it keeps anything: it would have deleted them by
now, so the oldest of them make room.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.recorder.points import Point

MOST = 10_000
"""Rows that are open or to be retried."""
BYTES_MOST = 64_000_000
"""Characters of their texts together."""
FOREIGN_MOST = 1_000
"""Messages that are no fact of any gateway; the oldest go first."""
FOREIGN_TEXT_MOST = 4_000
RESOLVED_KEPT_MS = 30 * 86_400_000
"""How long what was stored or acknowledged stays in the list."""
COUNTED = ("open", "retry")
_RESOLVED = ("stored", "acknowledged")
_COLUMNS = "id, at_ms, gateway, topic, reason, event, point, standing"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS aside (
    id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, topic TEXT NOT NULL, reason TEXT NOT NULL,
    event TEXT NOT NULL);
"""
_ADDED = ("gateway", "point", "standing")


@dataclass(frozen=True, slots=True)
class Aside:
    """Something that the store (or this recorder) has refused, and why."""

    topic: str
    reason: str
    event: str
    """The message, whole."""
    gateway: str = ""
    at_ms: int = 0
    """When it was set aside, UTC ms."""
    point: str = ""
    """The point as JSON where the store has refused one: measurement, tags, fields, UTC ms."""
    standing: str = "open"
    id: int = 0

    @property
    def expired(self) -> bool:
        """Whether the store refuses it only because it keeps nothing that old."""
        return bool(self.point) and "retention" in self.reason.casefold()


def encode_point(point: Point) -> str:
    """A point as text."""
    return json.dumps([point.measurement, point.tags, point.fields, point.time_ms])


def decode_point(text: str) -> Point:
    """The same point again."""
    measurement, tags, fields, time_ms = json.loads(text)
    return Point(measurement, tuple((name, value) for name, value in tags), fields, time_ms)


# --- the table, in whoever's connection -----------------------------------------------------


def prepare(db: sqlite3.Connection) -> None:
    """Make the table, or add what a file of before has not. A recorder of before reads it, too."""
    db.execute(_SCHEMA)
    have = {row[1] for row in db.execute("PRAGMA table_info(aside)")}
    if set(_ADDED) <= have:
        return
    db.execute("BEGIN IMMEDIATE")
    for name in _ADDED:
        if name not in have:
            db.execute(f"ALTER TABLE aside ADD COLUMN {name} TEXT NOT NULL DEFAULT ''")
    # what a store refused then began with its status; anything else was no fact
    db.execute(
        "UPDATE aside SET standing = CASE WHEN reason LIKE 'HTTP %' THEN 'open' ELSE 'foreign' END"
        " WHERE standing = ''"
    )
    old = db.execute("SELECT id, topic FROM aside WHERE gateway = ''").fetchall()
    db.executemany(
        "UPDATE aside SET gateway = ? WHERE id = ?",
        [([*topic.split("/"), ""][1], number) for number, topic in old],
    )
    db.execute("COMMIT")


def add(db: sqlite3.Connection, new: Iterable[Aside]) -> None:
    """Put rows in, within the transaction of the caller."""
    new = list(new)
    db.executemany(
        "INSERT INTO aside (at_ms, gateway, topic, reason, event, point, standing)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            (one.at_ms, one.gateway, one.topic, one.reason, one.event, one.point, one.standing)
            for one in new
        ],
    )
    if any(one.standing == "foreign" for one in new):
        db.execute(
            "DELETE FROM aside WHERE standing = 'foreign' AND id <= (SELECT id FROM aside WHERE"
            " standing = 'foreign' ORDER BY id DESC LIMIT 1 OFFSET ?)",
            (FOREIGN_MOST,),
        )


def rows(db: sqlite3.Connection, standings: Sequence[str] = (), most: int = -1) -> list[Aside]:
    """Rows with one of these standings (none named: all), oldest first."""
    where = f" WHERE standing IN ({', '.join('?' * len(standings))})" if standings else ""
    found = db.execute(f"SELECT {_COLUMNS} FROM aside{where} ORDER BY id LIMIT ?",
                       (*standings, most))  # fmt: skip
    return [
        Aside(topic, reason, event, gateway, at_ms, point, standing, number)
        for number, at_ms, gateway, topic, reason, event, point, standing in found
    ]


def counts(db: sqlite3.Connection) -> dict[str, int]:
    """Per gateway, rows that are open or to be retried."""
    return dict(
        db.execute(
            "SELECT gateway, count(*) FROM aside WHERE standing IN (?, ?) GROUP BY gateway", COUNTED
        )
    )


def resolve(db: sqlite3.Connection, outcomes: Iterable[tuple[int, str, str]]) -> None:
    """Number, new standing and reason of rows that were to be retried."""
    db.executemany(
        "UPDATE aside SET standing = ?2, reason = ?3 WHERE id = ?1 AND standing = 'retry'",
        list(outcomes),
    )


def has_room(db: sqlite3.Connection, new: Sequence[Aside]) -> bool:
    """Whether the limit allows these, too."""
    counted = [one for one in new if one.standing in COUNTED]
    if not counted:
        return True
    count, size = db.execute(
        "SELECT count(*), coalesce(sum(length(event) + length(point)), 0) FROM aside"
        " WHERE standing IN (?, ?)",
        COUNTED,
    ).fetchone()
    size += sum(len(one.event) + len(one.point) for one in counted)
    # a batch that is too large by itself must pass once, or it would wait for ever
    return bool(count == 0 or (count + len(counted) <= MOST and size <= BYTES_MOST))


def drop_expired(db: sqlite3.Connection, new: Sequence[Aside]) -> None:
    """The oldest rows that the store had refused only for their age, as many as are to come."""
    expired = [one.id for one in rows(db, ("open",)) if one.expired]
    db.executemany("DELETE FROM aside WHERE id = ?", [(id_,) for id_ in expired[: len(new)]])


def has_old(db: sqlite3.Connection, now_ms: int) -> bool:
    """Whether a resolved row is over its time."""
    return bool(
        db.execute(
            "SELECT EXISTS (SELECT 1 FROM aside WHERE standing IN (?, ?) AND at_ms < ?)",
            (*_RESOLVED, now_ms - RESOLVED_KEPT_MS),
        ).fetchone()[0]
    )


def forget_old(db: sqlite3.Connection, now_ms: int) -> None:
    """Delete resolved rows that are over their time."""
    db.execute(
        "DELETE FROM aside WHERE standing IN (?, ?) AND at_ms < ?",
        (*_RESOLVED, now_ms - RESOLVED_KEPT_MS),
    )


# --- for the command line -------------------------------------------------------------------


@contextlib.contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """The state file of a recorder, which may be running.

    :raises sqlite3.Error: there is none, or it may not be read or written
    """
    db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None)
    with contextlib.closing(db):
        db.execute("PRAGMA busy_timeout=5000")
        prepare(db)
        yield db


def mark(db: sqlite3.Connection, standing: str, ids: Sequence[int] | None) -> list[int]:
    """Mark open rows (``ids``; ``None``: all of them) as ``retry`` or ``acknowledged``; the
    numbers of those that were marked. What was acknowledged can be retried, too; a foreign
    message cannot: it is a fact of nobody."""
    allowed = {"retry": ("open", "retry", "acknowledged"), "acknowledged": COUNTED}
    from_ = allowed[standing] if ids is not None else COUNTED
    db.execute("BEGIN IMMEDIATE")
    found = [one.id for one in rows(db, from_) if ids is None or one.id in set(ids)]
    db.executemany("UPDATE aside SET standing = ? WHERE id = ?", [(standing, n) for n in found])
    db.execute("COMMIT")
    return found
