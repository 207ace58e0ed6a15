"""Points that the store refused: set aside whole, listed, and sent again or acknowledged.

A small SQLite file beside the recorder's state, which the running role and the command line
share: the command marks a row (``retry``, ``acknowledged``), and the role notices at its next
turn. (The state itself is the role's alone.)

Standings: ``open`` (refused), ``retry`` (somebody wants it to be sent again), ``stored`` (the
store has it now), ``acknowledged`` (somebody has seen it and leaves it), ``foreign`` (no fact of
any gateway, or a number that its gateway does not have: a message from somebody else; it is
listed, and no guarantee depends on it), ``doubtful`` (the second event of a number: the store has
both, and one of them is somebody else's; it counts as incomplete until it is acknowledged),
``damaged`` (a file that had to be set aside; the same).

Limit: :data:`MOST` rows and :data:`BYTES_MOST` of those that are open or to be retried. Where
it is reached, the recorder waits and acknowledges nothing more to the broker: the facts stay in
the gateways' journals, and nothing is lost until somebody has looked. Points that the store refuses
for their age do not block: the oldest of them are deleted. Doubtful events and damaged files have
limits of their own, at which the oldest go from the list.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.formats import Database
from gateway.recorder.points import Point

MOST = 10_000
"""Rows that are open or to be retried."""
BYTES_MOST = 64_000_000
"""Characters of their texts together."""
FOREIGN_MOST = 1_000
"""Messages that are no fact of any gateway; the oldest go first."""
FOREIGN_TEXT_MOST = 4_000
NOTICES_MOST = 1_000
"""Second events of a number, and damaged files; the oldest of each go first."""
RESOLVED_KEPT_MS = 30 * 86_400_000
"""How long what was stored or acknowledged stays in the list; of that at most as many rows and
bytes again, the oldest go first."""
UNSENT = ("open", "retry")
"""What the store does not have."""
_NOTICES = ("doubtful", "damaged")
COUNTED = (*UNSENT, *_NOTICES)
"""What keeps recording from counting as complete."""
_RESOLVED = ("stored", "acknowledged")
_COLUMNS = "id, at_ms, gateway, topic, reason, event, point, standing"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS aside (
    id INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL, gateway TEXT NOT NULL,
    topic TEXT NOT NULL, reason TEXT NOT NULL, event TEXT NOT NULL, point TEXT NOT NULL,
    standing TEXT NOT NULL);
"""
FORMAT = Database(
    "what the store did not take",
    1,
    {
        "aside": (
            "id", "at_ms", "gateway", "topic", "reason", "event", "point", "standing",
        )
    },
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class SetAside:
    """Something that the store (or this recorder) has refused, and why."""

    topic: str
    reason: str
    event: str
    """The message: whole, or the beginning of one that is foreign or doubtful."""
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
    """A point as text, without its event. The lane of a second event of a number is added, which
    the event does not have itself."""
    origin = point.origin
    second_lane = [] if origin is None or origin.lane == origin.event.lane else [origin.lane]
    return json.dumps([point.measurement, point.tags, point.fields, point.time_ms, *second_lane])


def decode_point(text: str) -> Point:
    """The same point again."""
    measurement, tags, fields, time_ms, *_ = json.loads(text)
    return Point(measurement, tuple((name, value) for name, value in tags), fields, time_ms)


def lane_of(text: str) -> str | None:
    """The lane of a second event of a number; ``None``: it has that of its event."""
    found = json.loads(text)[4:]
    return str(found[0]) if found else None


# --- the table, in whoever's connection -----------------------------------------------------


def path_of(state: Path | str) -> Path | str:
    """Where the list of the recorder with this state file is."""
    return state if state == ":memory:" else Path(state).with_suffix(".aside.sqlite")


@contextlib.contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """All or nothing."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield db
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


def prepare(path: Path, db: sqlite3.Connection) -> None:
    """Make the table where there is none.

    :raises UnknownFormat: the file is of another version
    """
    db.execute("PRAGMA synchronous=FULL")
    FORMAT.prepare(path, db, lambda db: db.execute(_SCHEMA))


def move(state: sqlite3.Connection, db: sqlite3.Connection) -> None:
    """What a recorder of before has set aside in its state file. It cut texts off."""
    try:
        old = state.execute("SELECT id, at_ms, topic, reason, event FROM aside").fetchall()
    except sqlite3.OperationalError:
        return  # no such table
    if not old:
        return
    with transaction(db):
        add(
            db,
            [
                # what a store refused then began with its status; anything else was no fact
                SetAside(topic, reason, event, [*topic.split("/"), ""][1], at_ms,
                      standing="open" if reason.startswith("HTTP ") else "foreign")
                for _, at_ms, topic, reason, event in old
            ],
        )  # fmt: skip
    with transaction(state):
        state.execute("DELETE FROM aside")


def add(db: sqlite3.Connection, new: Iterable[SetAside]) -> None:
    """Put rows in, within the transaction of the caller. What is there already (the recorder was
    killed before it had accounted for it) is not put in twice."""
    new = [one for one in new if not _is_listed(db, one)]
    db.executemany(
        "INSERT INTO aside (at_ms, gateway, topic, reason, event, point, standing)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            (one.at_ms, one.gateway, one.topic, one.reason, one.event, one.point, one.standing)
            for one in new
        ],
    )
    for standing in ("foreign", *_NOTICES):
        most = FOREIGN_MOST if standing == "foreign" else NOTICES_MOST
        if any(one.standing == standing for one in new):
            db.execute(
                "DELETE FROM aside WHERE standing = ?1 AND id <= (SELECT id FROM aside WHERE"
                " standing = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
                (standing, most),
            )


def _is_listed(db: sqlite3.Connection, one: SetAside) -> bool:
    if one.standing in {"foreign", "damaged"}:
        return False
    where, standings = "event = ? AND point = ?", UNSENT
    values: tuple[str, ...] = (one.event, one.point)
    if one.standing == "doubtful":  # copies of it differ in being late; its reason names it
        where, values, standings = "reason = ?", (one.reason,), ("doubtful", "acknowledged")
    found = db.execute(
        f"SELECT 1 FROM aside WHERE topic = ? AND {where} AND standing IN (?, ?)",
        (one.topic, *values, *standings),
    )
    return found.fetchone() is not None


def rows(db: sqlite3.Connection, standings: Sequence[str] = (), most: int = -1) -> list[SetAside]:
    """Rows with one of these standings (none named: all), oldest first."""
    where = f" WHERE standing IN ({', '.join('?' * len(standings))})" if standings else ""
    found = db.execute(f"SELECT {_COLUMNS} FROM aside{where} ORDER BY id LIMIT ?",
                       (*standings, most))  # fmt: skip
    return [
        SetAside(topic, reason, event, gateway, at_ms, point, standing, number)
        for number, at_ms, gateway, topic, reason, event, point, standing in found
    ]


def counts(db: sqlite3.Connection, standings: Sequence[str] = COUNTED) -> dict[str, int]:
    """Per gateway, rows with one of these standings."""
    marks = ", ".join("?" * len(standings))
    return dict(
        db.execute(
            f"SELECT gateway, count(*) FROM aside WHERE standing IN ({marks}) GROUP BY gateway",
            standings,
        )
    )


def resolve(db: sqlite3.Connection, outcomes: Iterable[tuple[int, str, str]]) -> None:
    """Number, new standing and reason of rows that were to be retried."""
    db.executemany(
        "UPDATE aside SET standing = ?2, reason = ?3 WHERE id = ?1 AND standing = 'retry'",
        list(outcomes),
    )


def under(db: sqlite3.Connection, lane: str, low: int, high: int | None) -> list[SetAside]:
    """What counts under these numbers of ``lane`` (``GATEWAY/JOURNAL/LANE``). ``high``: ``None``
    without an end."""
    found = []
    for one in rows(db, COUNTED):
        with contextlib.suppress(ValueError, AttributeError):
            begins, _, seq = str(json.loads(one.event).get("id")).rpartition("/")
            if begins == lane and low <= int(seq) and (high is None or int(seq) <= high):
                found.append(one)
    return found


def disown(db: sqlite3.Connection, ids: Iterable[int]) -> None:
    """Mark these as foreign."""
    db.executemany("UPDATE aside SET standing = 'foreign' WHERE id = ?", [(id_,) for id_ in ids])


def has_room(db: sqlite3.Connection, new: Sequence[SetAside]) -> bool:
    """Whether the limit allows these, too."""
    counted = [one for one in new if one.standing in UNSENT]
    if not counted:
        return True
    count, size = db.execute(
        "SELECT count(*), coalesce(sum(length(event) + length(point)), 0) FROM aside"
        " WHERE standing IN (?, ?)",
        UNSENT,
    ).fetchone()
    size += sum(len(one.event) + len(one.point) for one in counted)
    # a batch that is too large by itself must pass once, or it would wait for ever
    return bool(count == 0 or (count + len(counted) <= MOST and size <= BYTES_MOST))


def drop_expired(db: sqlite3.Connection, new: Sequence[SetAside]) -> None:
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


def has_too_many(db: sqlite3.Connection) -> bool:
    """Whether more is resolved than stays in the list."""
    count, size = db.execute(
        "SELECT count(*), coalesce(sum(length(event) + length(point)), 0) FROM aside"
        " WHERE standing IN (?, ?)",
        _RESOLVED,
    ).fetchone()
    return bool(count > MOST or size > BYTES_MOST)


def fit(db: sqlite3.Connection) -> None:
    """Delete the oldest resolved rows where there are too many."""
    db.execute(
        "DELETE FROM aside WHERE id IN (SELECT id FROM (SELECT id, row_number() OVER newest AS"
        " place, sum(length(event) + length(point)) OVER newest AS size FROM aside"
        " WHERE standing IN (?, ?) WINDOW newest AS (ORDER BY id DESC))"
        " WHERE place > ? OR size > ?)",
        (*_RESOLVED, MOST, BYTES_MOST),
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
    """The list of a recorder, which may be running.

    :raises sqlite3.Error: there is none, or it may not be read or written
    :raises UnknownFormat: it is of another version
    """
    FORMAT.check(path)
    db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None)
    with contextlib.closing(db):
        db.execute("PRAGMA busy_timeout=5000")
        yield db


def mark(db: sqlite3.Connection, standing: str, ids: Sequence[int] | None) -> list[int]:
    """Mark open rows (``ids``; ``None``: all of them) as ``retry`` or ``acknowledged``; the
    numbers of those that were marked. What was acknowledged can be retried, too; a foreign
    message cannot: it is a fact of nobody; nor can a notice: there is nothing to send."""
    among = COUNTED if standing == "acknowledged" else UNSENT
    from_ = among if ids is None or standing == "acknowledged" else (*among, "acknowledged")
    with transaction(db):
        found = [one.id for one in rows(db, from_) if ids is None or one.id in set(ids)]
        db.executemany("UPDATE aside SET standing = ? WHERE id = ?", [(standing, n) for n in found])
    return found
