"""What the recorder must remember over a restart: one small SQLite file of its own.

Written twice per batch: the times given to facts *before* the store is written, so that a
batch that is written again gets the same times; what is accounted for only *after* it.
Without ``fsync`` on each commit: a power cut takes the file back to an earlier moment of
itself, and then the recorder merely asks again for what the store has already.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gateway.recorder.points import Series
from gateway.recorder.sequences import Key, Lane, Range
from gateway.recorder.stamps import Occupied

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS gateways (gateway TEXT PRIMARY KEY, journal TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS lanes (
    gateway TEXT, journal TEXT, lane TEXT, through INTEGER NOT NULL, head INTEGER NOT NULL,
    ahead TEXT NOT NULL, seen TEXT NOT NULL, PRIMARY KEY (gateway, journal, lane)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS marks (
    gateway TEXT, journal TEXT, lane TEXT, at_ms INTEGER, through INTEGER NOT NULL,
    PRIMARY KEY (gateway, journal, lane, at_ms)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS runs (series TEXT PRIMARY KEY, runs TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS moved (
    gateway TEXT, journal TEXT, lane TEXT, seq INTEGER, time_ms INTEGER NOT NULL,
    PRIMARY KEY (gateway, journal, lane, seq)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS boots (
    gateway TEXT, boot TEXT, offset_ms INTEGER NOT NULL,
    PRIMARY KEY (gateway, boot)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS waiting (
    gateway TEXT, journal TEXT, lane TEXT, seq INTEGER, boot TEXT NOT NULL,
    received_ms INTEGER NOT NULL, event TEXT NOT NULL,
    PRIMARY KEY (gateway, journal, lane, seq)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS aside (
    id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, topic TEXT NOT NULL, reason TEXT NOT NULL,
    event TEXT NOT NULL);
"""
ASIDE_MOST = 10_000
"""Points set aside that are kept; the oldest go first."""
MOVED_KEPT_MS = 30 * 86_400_000


@dataclass(frozen=True, slots=True)
class Aside:
    """Something that the store (or this recorder) will never take, and why."""

    topic: str
    reason: str
    event: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """A fact whose time is not known yet, as it was received."""

    key: Key
    seq: int
    boot: str
    received_ms: int
    event: str


@dataclass(slots=True)
class Known:
    """One lane, and which of its numbers have ever been given a time."""

    lane: Lane = field(default_factory=Lane)
    seen: tuple[Range, ...] = ()


class RecorderState:
    """The file. Raises :class:`sqlite3.Error` where the disk fails: the recorder restarts."""

    def __init__(self, path: Path | str) -> None:
        self._db = sqlite3.connect(path, isolation_level=None, timeout=5)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    # --- before the store ---------------------------------------------------------------

    def save_stamps(
        self,
        seen: Mapping[Key, tuple[Range, ...]],
        moved: Iterable[tuple[Key, int, int]],
        runs: Mapping[Series, Occupied],
    ) -> None:
        """The times that are about to be written."""
        self._db.execute("BEGIN IMMEDIATE")
        self._db.executemany(
            "INSERT INTO lanes VALUES (?, ?, ?, 0, 0, '[]', ?)"
            " ON CONFLICT DO UPDATE SET seen = excluded.seen",
            [(*key, json.dumps(ranges)) for key, ranges in seen.items()],
        )
        self._db.executemany(
            "INSERT OR REPLACE INTO moved VALUES (?, ?, ?, ?, ?)",
            [(*key, seq, time_ms) for key, seq, time_ms in moved],
        )
        self._db.executemany(
            "INSERT OR REPLACE INTO runs VALUES (?, ?)",
            [(json.dumps(series), json.dumps(one.runs)) for series, one in runs.items()],
        )
        self._db.execute("COMMIT")

    def occupied(self, series: Series) -> Occupied:
        """The milliseconds that the last facts of a series occupy."""
        row = self._db.execute(
            "SELECT runs FROM runs WHERE series = ?", (json.dumps(series),)
        ).fetchone()
        return Occupied([] if row is None else [(low, high) for low, high in json.loads(row[0])])

    def moved(self, key: Key, seq: int) -> int | None:
        """Where a fact was moved to, if it was."""
        row = self._db.execute(
            "SELECT time_ms FROM moved WHERE gateway = ? AND journal = ? AND lane = ? AND seq = ?",
            (*key, seq),
        ).fetchone()
        return None if row is None else int(row[0])

    # --- after the store ----------------------------------------------------------------

    def save(
        self,
        lanes: Mapping[Key, Lane],
        stored: Mapping[Key, int],
        now_ms: int,
        *,
        journals: Mapping[str, str] | None = None,
        boots: Mapping[tuple[str, str], int] | None = None,
        wait: Iterable[Waiting] = (),
        done: Iterable[Waiting] = (),
        aside: Iterable[Aside] = (),
    ) -> None:
        """What is accounted for, all or nothing. ``stored``: up to where each of these lanes is in
        the store itself. ``done`` have waited and are stored."""
        db = self._db
        db.execute("BEGIN IMMEDIATE")
        for key, lane in lanes.items():
            db.execute(
                "INSERT INTO lanes VALUES (?, ?, ?, ?, ?, ?, '[]') ON CONFLICT DO UPDATE SET"
                " through = excluded.through, head = excluded.head, ahead = excluded.ahead",
                (*key, lane.through, lane.head, json.dumps(lane.ahead)),
            )
            # one mark per 10 s and lane: the last of each ten seconds
            db.execute(
                "INSERT OR REPLACE INTO marks VALUES (?, ?, ?, ?, ?)",
                (*key, now_ms // 10_000 * 10_000 + 9_999, stored[key]),
            )
            db.execute(
                "DELETE FROM marks WHERE gateway = ? AND journal = ? AND lane = ? AND at_ms < ?"
                " AND at_ms < (SELECT max(at_ms) FROM marks WHERE gateway = ? AND journal = ?"
                " AND lane = ? AND at_ms < ?)",
                (*key, now_ms - 3_600_000, *key, now_ms - 3_600_000),
            )
        db.executemany(
            "INSERT OR REPLACE INTO gateways VALUES (?, ?)", list((journals or {}).items())
        )
        db.executemany(
            "INSERT OR REPLACE INTO boots VALUES (?, ?, ?)",
            [(gateway, boot, offset) for (gateway, boot), offset in (boots or {}).items()],
        )
        db.executemany(
            "INSERT OR IGNORE INTO waiting VALUES (?, ?, ?, ?, ?, ?, ?)",
            [(*one.key, one.seq, one.boot, one.received_ms, one.event) for one in wait],
        )
        db.executemany(
            "DELETE FROM waiting WHERE gateway = ? AND journal = ? AND lane = ? AND seq = ?",
            [(*one.key, one.seq) for one in done],
        )
        rows = [(now_ms, one.topic, one.reason, one.event) for one in aside]
        if rows:
            db.executemany(
                "INSERT INTO aside (at_ms, topic, reason, event) VALUES (?, ?, ?, ?)", rows
            )
            db.execute(
                "DELETE FROM aside WHERE id <= (SELECT max(id) FROM aside) - ?", (ASIDE_MOST,)
            )
        db.execute("COMMIT")

    # --- reading ------------------------------------------------------------------------

    def lanes(self) -> dict[Key, Known]:
        """Every lane that was ever met."""
        return {
            Key(gateway, journal, lane): Known(
                Lane(through, tuple((a, b) for a, b in json.loads(ahead)), head),
                tuple((a, b) for a, b in json.loads(seen)),
            )
            for gateway, journal, lane, through, head, ahead, seen in self._db.execute(
                "SELECT gateway, journal, lane, through, head, ahead, seen FROM lanes"
            )
        }

    def journals(self) -> dict[str, str]:
        """The journal that each gateway writes now."""
        return dict(self._db.execute("SELECT gateway, journal FROM gateways"))

    def boots(self) -> dict[tuple[str, str], int]:
        """UTC minus monotonic ms, of each boot that told it."""
        rows = self._db.execute("SELECT gateway, boot, offset_ms FROM boots")
        return {(gateway, boot): offset for gateway, boot, offset in rows}

    def waiting(
        self, boot: tuple[str, str] | None = None, before_ms: int | None = None
    ) -> list[Waiting]:
        """Facts without a time: those of one (gateway, boot), those received before, or all."""
        where, values = "1", ()  # type: str, tuple[object, ...]
        if boot is not None:
            where, values = "gateway = ? AND boot = ?", boot
        elif before_ms is not None:
            where, values = "received_ms < ?", (before_ms,)
        rows = self._db.execute(
            "SELECT gateway, journal, lane, seq, boot, received_ms, event FROM waiting"
            f" WHERE {where} ORDER BY gateway, journal, lane, seq",  # constants
            values,
        )
        return [
            Waiting(Key(gateway, journal, lane), seq, boot_id, received, event)
            for gateway, journal, lane, seq, boot_id, received, event in rows
        ]

    def any_waiting(self) -> bool:
        """Whether a fact waits for its time."""
        return bool(self._db.execute("SELECT EXISTS (SELECT 1 FROM waiting)").fetchone()[0])

    def mark_before(self, key: Key, at_ms: int) -> int:
        """Up to where the lane was stored at that instant; 0 where that is not known."""
        row = self._db.execute(
            "SELECT through FROM marks WHERE gateway = ? AND journal = ? AND lane = ?"
            " AND at_ms <= ? ORDER BY at_ms DESC LIMIT 1",
            (*key, at_ms),
        ).fetchone()
        return 0 if row is None else int(row[0])

    def lower_marks(self, key: Key, through: int) -> None:
        """What earlier marks say beyond this number holds no longer: the store forgot it."""
        self._db.execute(
            "UPDATE marks SET through = ?4 WHERE gateway = ?1 AND journal = ?2 AND lane = ?3"
            " AND through > ?4",
            (*key, through),
        )

    def last_mark_ms(self) -> int:
        """When something was stored last, at the earliest (a mark stands at the end of its ten
        seconds); 0 if never."""
        (last,) = self._db.execute("SELECT max(at_ms) FROM marks").fetchone()
        return 0 if last is None else int(last) - 9_999

    def asides(self) -> list[Aside]:
        """What was set aside, oldest first."""
        rows = self._db.execute("SELECT topic, reason, event FROM aside ORDER BY id")
        return [Aside(*row) for row in rows]

    def meta(self, name: str) -> str | None:
        """One remembered value."""
        row = self._db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def set_meta(self, name: str, value: str) -> None:
        """Remember one value."""
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))

    def forget_old(self, now_ms: int) -> None:
        """Drop what cannot be asked for again."""
        self._db.execute("DELETE FROM moved WHERE time_ms < ?", (now_ms - MOVED_KEPT_MS,))
