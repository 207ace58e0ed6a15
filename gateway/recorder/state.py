"""What the recorder must remember over a restart: one small SQLite file of its own.

The times given to facts are saved *before* the store is written, so that a batch that is
written again gets the same times; what is accounted for only *after* it, and at most some
seconds later: it rides on the next commit. A turn in which nothing came writes nothing.
Without ``fsync`` on each commit: a power cut takes the file back to an earlier moment of
itself, and then the recorder merely asks again for what the store has already.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import sqlite3
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gateway import set_aside
from gateway.formats import Database, run_all, uri
from gateway.locks import is_locked
from gateway.recorder import rejects
from gateway.recorder.digests import BLOCKS_MOST
from gateway.recorder.points import Series
from gateway.recorder.rejects import SetAside, transaction
from gateway.recorder.sequences import Key, Lane, Range
from gateway.recorder.used_timestamps import UsedTimestamps

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS gateways (gateway TEXT PRIMARY KEY, journal TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS lanes (
    gateway TEXT, journal TEXT, lane TEXT, through INTEGER NOT NULL, head INTEGER NOT NULL,
    ahead TEXT NOT NULL, seen TEXT NOT NULL, PRIMARY KEY (gateway, journal, lane)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS marks (
    gateway TEXT, journal TEXT, lane TEXT, at_ms INTEGER, through INTEGER NOT NULL,
    PRIMARY KEY (gateway, journal, lane, at_ms)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS runs (series TEXT PRIMARY KEY, runs TEXT NOT NULL);
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
CREATE TABLE IF NOT EXISTS digests (
    gateway TEXT, journal TEXT, lane TEXT, block INTEGER, digests BLOB NOT NULL,
    PRIMARY KEY (gateway, journal, lane, block));
"""
# runs and digests with row numbers: their rows change with each batch. In a tree of keys a row of
# over 230 bytes has a page of its own, and each change frees one and takes another.
FORMAT = Database(
    "the recorder's state",
    1,
    {
        "meta": ("name", "value"),
        "gateways": ("gateway", "journal"),
        "lanes": ("gateway", "journal", "lane", "through", "head", "ahead", "seen"),
        "marks": ("gateway", "journal", "lane", "at_ms", "through"),
        "runs": ("series", "runs"),
        "moved": ("gateway", "journal", "lane", "seq", "time_ms"),
        "boots": ("gateway", "boot", "offset_ms"),
        "waiting": ("gateway", "journal", "lane", "seq", "boot", "received_ms", "event"),
        "digests": ("gateway", "journal", "lane", "block", "digests"),
        "aside": ("id", "at_ms", "topic", "reason", "event"),  # of 0.1, before it had its own file
    },
)
_PAGE_BYTES = 1024
"""A commit writes whole pages; what changes together is far smaller than SQLite's 4 KiB."""
_REPAGE_BYTES_MOST = 16_000_000
MOVED_KEPT_MS = 30 * 86_400_000
MARKS_KEPT_MS = 3_600_000
GATEWAYS_MOST = 1_000
"""Another one is not recorded."""
JOURNALS_MOST = 100
"""Of one gateway, beside the one that it writes now; those with the fewest facts go."""
BOOTS_MOST = 1_000
"""Of one gateway; the oldest go."""
WAITING_MOST = 50_000
"""Facts without a time; the oldest get that of their receipt."""
MOVED_MOST, MARKS_MOST, RUNS_MOST = 200_000, 100_000, 20_000
"""Rows; the oldest go. A fact that comes again later may then be stored twice, a millisecond
apart."""
DIGESTS_MOST = 50_000
"""Rows of :data:`gateway.recorder.digests.BLOCK` numbers; the oldest go. Another event under one of
their numbers is not noticed any more."""
WAL_BYTES = 16_000_000
"""Of the write-ahead log, after a checkpoint."""
_FIT = (
    (
        "SELECT EXISTS (SELECT 1 FROM boots GROUP BY gateway HAVING count(*) > ?)",
        "DELETE FROM boots WHERE (gateway, boot) IN (SELECT gateway, boot FROM (SELECT gateway,"
        " boot, row_number() OVER (PARTITION BY gateway ORDER BY offset_ms DESC) AS place"
        " FROM boots) WHERE place > ?)",
        BOOTS_MOST,
    ),
    *(
        (
            f"SELECT count(*) > ? FROM {table}",
            f"DELETE FROM {table} WHERE ({key}) IN"
            f" (SELECT {key} FROM {table} ORDER BY {newest} DESC LIMIT -1 OFFSET ?)",
            most,
        )
        for table, key, newest, most in (
            ("moved", "gateway, journal, lane, seq", "time_ms", MOVED_MOST),
            ("marks", "gateway, journal, lane, at_ms", "at_ms", MARKS_MOST),
            ("runs", "series", "json_extract(runs, '$[#-1][1]')", RUNS_MOST),
            ("digests", "gateway, journal, lane, block", "rowid", DIGESTS_MOST),
        )
    ),
)
"""Whether there are too many rows, how they are removed, and how many there may be."""
_OLD_MARKS_MOST = 1_000
"""Marks older than that which wait to be deleted together."""


ANY_GATEWAY = ""
"""In the list: it counts for each gateway. Which ones there were was in a file that is damaged."""
_HAS_LIST, _STORE = "has_list", "store"
"""What the state remembers: that its list was made, and which store it has recorded into."""


class StateInUseError(Exception):
    """Another process records with this state file."""


class StateLock:
    """Held by the one process that records with a state file; it ends with its process."""

    def __init__(self, path: Path) -> None:
        """:raises StateInUseError: another process has it"""
        self._fd = os.open(_lock_path(path), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._fd)
            raise StateInUseError(
                f"another recorder is running with {path}. Stop it, or give this one another "
                "name (record: name) or another state folder (--state)."
            ) from error

    def close(self) -> None:
        """Let another process have it."""
        os.close(self._fd)


def is_recording(path: Path) -> bool:
    """Whether a process records with this state file now. Raises :class:`OSError` where it cannot
    be told."""
    return is_locked(_lock_path(path))


def _lock_path(path: Path) -> Path:
    # not the file itself: closing any descriptor of it would end SQLite's own locks
    return path.with_suffix(".lock")


@dataclass(frozen=True, slots=True)
class Waiting:
    """A fact whose time is not known yet, as it was received."""

    key: Key
    seq: int
    boot: str
    received_ms: int
    event: str


def kernel_boot(boot: str) -> str:
    """The part of a start's name that all starts of ``control`` in one boot of the kernel have:
    they share a monotonic clock, so what one of them knows of the time is true for all."""
    kernel, _, started_ms = boot.rpartition("-")
    return kernel if started_ms.isdecimal() and kernel else boot


@dataclass(slots=True)
class Ledger:
    """What is accounted for and not saved yet."""

    lanes: dict[Key, Lane] = field(default_factory=dict)
    marks: dict[tuple[Key, int], int] = field(default_factory=dict)
    """Per lane and ten seconds (their last millisecond, UTC): up to where it was in the store."""
    journals: dict[str, str] = field(default_factory=dict)
    boots: dict[tuple[str, str], int] = field(default_factory=dict)
    wait: list[Waiting] = field(default_factory=list)
    done: list[Waiting] = field(default_factory=list)
    """Facts that have waited for their time and are stored."""
    aside: list[SetAside] = field(default_factory=list)
    digests: dict[tuple[Key, int], bytearray] = field(default_factory=dict)
    """Rows of :class:`gateway.recorder.digests.Digests` that have changed."""

    def __bool__(self) -> bool:
        return any(
            (
                self.lanes, self.marks, self.journals, self.boots,
                self.wait, self.done, self.aside, self.digests,
            )
        )  # fmt: skip

    def mark(self, key: Key, through: int, now_ms: int) -> None:
        """One mark per 10 s and lane: the last of each ten seconds."""
        self.marks[key, now_ms // 10_000 * 10_000 + 9_999] = through

    def clear(self) -> None:
        """Everything is saved."""
        for part in (self.lanes, self.marks, self.journals, self.boots, self.digests):
            part.clear()
        for rows in (self.wait, self.done, self.aside):
            rows.clear()


@dataclass(slots=True)
class Known:
    """One lane, and which of its numbers have ever been given a time."""

    lane: Lane = field(default_factory=Lane)
    seen: tuple[Range, ...] = ()


class RecorderState:
    """The file. Raises :class:`sqlite3.Error` where the disk fails: the recorder restarts."""

    def __init__(self, path: Path | str, *, exclusive: bool = False) -> None:
        """``exclusive``: nobody else can read the file meanwhile. SQLite then keeps the index of
        its log in memory, which otherwise costs three times the bytes of the log itself.

        :raises UnknownFormat: a file is of another version; nothing was changed
        """
        self._paths = [] if path == ":memory:" else [Path(path), Path(rejects.path_of(path))]
        for file, format in zip(self._paths, (FORMAT, rejects.FORMAT), strict=False):
            format.check(file)
        self._db = sqlite3.connect(path, isolation_level=None, timeout=5)
        self._pages(Path(path))
        if exclusive:
            self._db.execute("PRAGMA locking_mode=EXCLUSIVE")
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.execute(f"PRAGMA journal_size_limit={WAL_BYTES}")
        FORMAT.prepare(Path(path), self._db, lambda db: run_all(db, _SCHEMA))
        for create in (part for part in _SCHEMA.split(";\n") if "EXISTS digests " in part):
            self._db.execute(create)  # files of before have none, and leave it alone
        self._renumber_runs()
        self._aside = sqlite3.connect(rejects.path_of(path), isolation_level=None, timeout=5)
        rejects.prepare(Path(rejects.path_of(path)), self._aside)
        rejects.move(self._db, self._aside)
        if self.meta(_HAS_LIST) is None:
            self.set_meta(_HAS_LIST, "1")
        self._version = -1

    def _pages(self, path: Path) -> None:
        """Small pages, of a file of before as well. It is left as it is while somebody reads it."""
        self._db.execute(f"PRAGMA page_size={_PAGE_BYTES}")
        if not path.exists() or not 0 < path.stat().st_size < _REPAGE_BYTES_MOST:
            return
        if self._db.execute("PRAGMA page_size").fetchone()[0] != _PAGE_BYTES:
            with contextlib.suppress(sqlite3.OperationalError):
                self._db.execute("PRAGMA journal_mode=DELETE")
                self._db.execute(f"PRAGMA page_size={_PAGE_BYTES}")
                self._db.execute("VACUUM")

    def _renumber_runs(self) -> None:
        """Give the table ``runs`` of an older file row numbers; older versions can use it, too."""
        (text,) = self._db.execute("SELECT sql FROM sqlite_master WHERE name = 'runs'").fetchone()
        if "WITHOUT ROWID" not in text.upper():
            return
        (create,) = (part for part in _SCHEMA.split(";\n") if "EXISTS runs " in part)
        with transaction(self._db) as db:
            db.execute("ALTER TABLE runs RENAME TO runs_before")
            db.execute(create)
            db.execute("INSERT INTO runs SELECT series, runs FROM runs_before")
            db.execute("DROP TABLE runs_before")

    def close(self) -> None:
        """Close the files."""
        self._db.close()
        self._aside.close()

    # --- before the store ---------------------------------------------------------------

    def save_stamps(
        self,
        seen: Mapping[Key, tuple[Range, ...]],
        moved: Iterable[tuple[Key, int, int]],
        runs: Mapping[Series, UsedTimestamps],
        ledger: Ledger | None = None,
    ) -> None:
        """The times that are about to be written, and in the same commit what of earlier batches
        is accounted for."""
        with transaction(self._db) as db:
            db.executemany(
                "INSERT INTO lanes VALUES (?, ?, ?, 0, 0, '[]', ?)"
                " ON CONFLICT DO UPDATE SET seen = excluded.seen",
                [(*key, json.dumps(ranges)) for key, ranges in seen.items()],
            )
            db.executemany(
                "INSERT OR REPLACE INTO moved VALUES (?, ?, ?, ?, ?)",
                [(*key, seq, time_ms) for key, seq, time_ms in moved],
            )
            db.executemany(
                "INSERT INTO runs VALUES (?, ?) ON CONFLICT DO UPDATE SET runs = excluded.runs",
                [
                    (json.dumps(series), json.dumps(one.runs, separators=(",", ":")))
                    for series, one in runs.items()
                ],
            )
            if ledger:
                _save(db, ledger)

    def occupied(self, series: Series) -> UsedTimestamps:
        """The milliseconds that the last facts of a series occupy."""
        row = self._db.execute(
            "SELECT runs FROM runs WHERE series = ?", (json.dumps(series),)
        ).fetchone()
        return UsedTimestamps([] if row is None else list(_ranges(row[0])))

    def moved(self, key: Key, seq: int) -> int | None:
        """Where a fact was moved to, if it was."""
        row = self._db.execute(
            "SELECT time_ms FROM moved WHERE gateway = ? AND journal = ? AND lane = ? AND seq = ?",
            (*key, seq),
        ).fetchone()
        return None if row is None else int(row[0])

    # --- after the store ----------------------------------------------------------------

    def save(self, lanes: Mapping[Key, Lane], stored: Mapping[Key, int], now_ms: int) -> None:
        """Where these lanes are, and up to where each of them is in the store itself."""
        ledger = Ledger(dict(lanes))
        for key, through in stored.items():
            ledger.mark(key, through, now_ms)
        self.save_ledger(ledger)

    def save_ledger(self, ledger: Ledger) -> None:
        """What is accounted for, all or nothing; nothing is written where there is nothing."""
        if ledger.aside:
            # first: what is accounted for must be somewhere. Killed here, it comes again.
            with transaction(self._aside) as db:
                rejects.add(db, ledger.aside)
            ledger.aside.clear()
        if ledger:
            with transaction(self._db) as db:
                _save(db, ledger)

    # --- reading ------------------------------------------------------------------------

    def lanes(self) -> dict[Key, Known]:
        """Every lane that was ever met."""
        return _lanes(self._db)

    def journals(self) -> dict[str, str]:
        """The journal that each gateway writes now."""
        return dict(self._db.execute("SELECT gateway, journal FROM gateways"))

    def boots(self) -> dict[tuple[str, str], int]:
        """UTC minus monotonic ms, of each boot that told it."""
        rows = self._db.execute("SELECT gateway, boot, offset_ms FROM boots")
        return {(gateway, boot): offset for gateway, boot, offset in rows}

    def waiting(
        self,
        boot: tuple[str, str] | None = None,
        before_ms: int | None = None,
        oldest: int | None = None,
    ) -> list[Waiting]:
        """Facts without a time: those of one gateway in one boot of its kernel
        (:func:`kernel_boot`), those received before, so many of the oldest, or all."""
        where, values = "1", ()  # type: str, tuple[object, ...]
        if boot is not None:
            where = "gateway = ? AND (boot = ? OR substr(boot, 1, ?) = ?)"
            values = (*boot, len(boot[1]) + 1, f"{boot[1]}-")
        elif before_ms is not None:
            where, values = "received_ms < ?", (before_ms,)
        elif oldest is not None:
            where = (
                "(gateway, journal, lane, seq) IN (SELECT gateway, journal, lane, seq"
                " FROM waiting ORDER BY received_ms, seq LIMIT ?)"
            )
            values = (oldest,)
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

    def digests(self, key: Key, block: int) -> bytes | None:
        """One saved row of digests, ``None`` where there is none."""
        row = self._db.execute(
            "SELECT digests FROM digests WHERE gateway = ? AND journal = ? AND lane = ?"
            " AND block = ?",
            (*key, block),
        ).fetchone()
        return row[0] if row is not None and isinstance(row[0], bytes) else None

    def forget_digests(self) -> None:
        """Remove all of them: nothing is known any more of the numbers they stand for."""
        with transaction(self._db) as db:
            db.execute("DELETE FROM digests")

    def mark_before(self, key: Key, at_ms: int) -> int:
        """Up to where the lane was stored at that instant; 0 where that is not known."""
        row = self._db.execute(
            "SELECT through FROM marks WHERE gateway = ? AND journal = ? AND lane = ?"
            " AND at_ms <= ? ORDER BY at_ms DESC LIMIT 1",
            (*key, at_ms),
        ).fetchone()
        return 0 if row is None else int(row[0])

    def lower_marks(self, key: Key, through: int) -> None:
        """What earlier marks say beyond this number is void: the store forgot it."""
        with transaction(self._db) as db:
            db.execute(
                "UPDATE marks SET through = ?4 WHERE gateway = ?1 AND journal = ?2 AND lane = ?3"
                " AND through > ?4",
                (*key, through),
            )

    def last_mark_ms(self) -> int:
        """When something was stored last, at the earliest (a mark stands at the end of its ten
        seconds); 0 if never."""
        (last,) = self._db.execute("SELECT max(at_ms) FROM marks").fetchone()
        return 0 if last is None else int(last) - 9_999

    # --- what was set aside -------------------------------------------------------------

    def changed_outside(self) -> bool:
        """Whether somebody else has written into the list since this was asked last (and at the
        first time). It costs no write."""
        (version,) = self._aside.execute("PRAGMA data_version").fetchone()
        before, self._version = self._version, int(version)
        return before != self._version

    def aside_counts(self) -> dict[str, int]:
        """Per gateway, how much keeps its recording from counting as complete."""
        return rejects.counts(self._aside)

    def foreign_counts(self) -> dict[str, int]:
        """Per gateway, how many messages came that were not its own."""
        return rejects.counts(self._aside, ("foreign",))

    def aside_pinned(self) -> list[SetAside]:
        """Those whose time in the store stays reserved for them."""
        return rejects.rows(self._aside, rejects.UNSENT)

    def note_damage(self, moved: Path, gateways: Iterable[str]) -> None:
        """Of these gateways something may be missing, because this file had to be set aside:
        somebody has to look. None: of any that may come."""
        reason = (
            f"this file was damaged, empty or gone, and what was left is set aside as {moved}. What"
            " the gateways still have is asked for again; what nobody else has any more is there,"
            " if anywhere"
        )
        self._note(set_aside.original(moved), reason, gateways)

    def note_replaced(self, path: Path, gateways: Iterable[str]) -> None:
        """The same, because this file is not the one that it was, and nobody has set that aside."""
        reason = (
            f"{path} was removed, emptied or replaced. What the gateways still have is asked for"
            " again; what nobody else has any more is missing, unless there is a backup"
        )
        self._note(path.name, reason, gateways)

    def _note(self, name: str, reason: str, gateways: Iterable[str]) -> None:
        now_ms = time.time_ns() // 1_000_000
        rows = [
            SetAside(name, reason, "", one, now_ms, standing="damaged")
            for one in list(gateways) or [ANY_GATEWAY]
        ]
        self.save_ledger(Ledger(aside=rows))

    def aside_asked(self, most: int) -> list[SetAside]:
        """Those that somebody wants to be sent again."""
        return rejects.rows(self._aside, ("retry",), most)

    def aside_resolve(self, outcomes: Iterable[tuple[int, str, str]]) -> None:
        """Number, standing and reason of each that was sent again."""
        with transaction(self._aside) as db:
            rejects.resolve(db, outcomes)

    def aside_under(self, key: Key, seq: int) -> list[SetAside]:
        """What counts under this number."""
        return rejects.under(self._aside, "/".join(key), seq, seq)

    def aside_disown(self, key: Key, first: int, last: int | None) -> bool:
        """What counts under these numbers is not the gateway's; whether there was anything.
        ``last``: ``None`` without an end."""
        ids = [one.id for one in rejects.under(self._aside, "/".join(key), first, last)]
        if ids:
            with transaction(self._aside) as db:
                rejects.disown(db, ids)
        return bool(ids)

    def aside_room(self, new: Iterable[SetAside]) -> bool:
        """Whether these can be kept, too, within the limit. What the store refused only because
        it is older than the store keeps anything makes room."""
        new = list(new)
        if rejects.has_room(self._aside, new):
            return True
        with transaction(self._aside) as db:
            rejects.drop_expired(db, new)
        return rejects.has_room(self._aside, new)

    def meta(self, name: str) -> str | None:
        """One remembered value."""
        row = self._db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def set_meta(self, name: str, value: str) -> None:
        """Remember one value."""
        with transaction(self._db) as db:
            db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))

    def drop_lanes(self, keys: Sequence[Key]) -> None:
        """Forget these lanes for good."""
        with transaction(self._db) as db:
            for table in ("lanes", "marks", "moved", "digests"):
                db.executemany(
                    f"DELETE FROM {table} WHERE gateway = ? AND journal = ? AND lane = ?", keys
                )

    def fit(self) -> None:
        """Keep to the number of rows that there may be, whatever the clock says. Writes only where
        there are more."""
        for too_many, drop, most in _FIT:
            if self._db.execute(too_many, (most,)).fetchone()[0]:
                with transaction(self._db) as db:
                    db.execute(drop, (most,))
        if rejects.has_too_many(self._aside):
            with transaction(self._aside) as db:
                rejects.fit(db)

    def forget_old(self, now_ms: int) -> None:
        """Drop what cannot be asked for again."""
        for path in self._paths:
            set_aside.remove_old(path, now_ms)
        moved_ms, marks_ms = now_ms - MOVED_KEPT_MS, now_ms - MARKS_KEPT_MS
        (old,) = self._db.execute(
            "SELECT EXISTS (SELECT 1 FROM moved WHERE time_ms < ?)"
            " OR (SELECT count(*) FROM marks WHERE at_ms < ?) > ?",
            (moved_ms, marks_ms, _OLD_MARKS_MOST),
        ).fetchone()
        if old:
            with transaction(self._db) as db:
                db.execute("DELETE FROM moved WHERE time_ms < ?", (moved_ms,))
                # of each lane the newest mark before that instant stays: it says where it was
                db.execute(
                    "DELETE FROM marks WHERE at_ms < ?1 AND at_ms < (SELECT max(at_ms) FROM marks"
                    " AS other WHERE other.gateway = marks.gateway AND other.journal ="
                    " marks.journal AND other.lane = marks.lane AND other.at_ms < ?1)",
                    (marks_ms,),
                )
        if rejects.has_old(self._aside, now_ms):
            with transaction(self._aside) as db:
                rejects.forget_old(db, now_ms)


@dataclass(frozen=True, slots=True)
class Before:
    """What a state file says that there was, before anything is opened."""

    list: bool = False
    store: str = ""
    """Id and address of the store that was recorded into; empty before any gateway was heard."""


def before(path: Path) -> Before:
    """Read from a state file that was looked at; nothing is changed."""
    try:
        with contextlib.closing(sqlite3.connect(uri(path, "ro"), uri=True)) as db:
            found = dict(db.execute("SELECT name, value FROM meta"))
            (any_gateway,) = db.execute("SELECT EXISTS (SELECT 1 FROM gateways)").fetchone()
    except sqlite3.Error:  # there is none yet
        return Before()
    return Before(_HAS_LIST in found, str(found.get(_STORE, "")) if any_gateway else "")


def read_all(db: sqlite3.Connection) -> None:
    """Raises :class:`ValueError` or :class:`TypeError` where a saved text is none of ours."""
    _lanes(db)
    for (text,) in db.execute("SELECT runs FROM runs"):
        _ranges(text)


def _lanes(db: sqlite3.Connection) -> dict[Key, Known]:
    return {
        Key(gateway, journal, lane): Known(Lane(through, _ranges(ahead), head), _ranges(seen))
        for gateway, journal, lane, through, head, ahead, seen in db.execute(
            "SELECT gateway, journal, lane, through, head, ahead, seen FROM lanes"
        )
    }


def _ranges(text: str) -> tuple[Range, ...]:
    found = tuple((low, high) for low, high in json.loads(text))
    if not all(type(low) is type(high) is int for low, high in found):
        raise ValueError("a range is none")
    return found


def _save(db: sqlite3.Connection, ledger: Ledger) -> None:
    db.executemany(
        "INSERT INTO lanes VALUES (?, ?, ?, ?, ?, ?, '[]') ON CONFLICT DO UPDATE SET"
        " through = excluded.through, head = excluded.head, ahead = excluded.ahead",
        [
            (*key, lane.through, lane.head, json.dumps(lane.ahead))
            for key, lane in ledger.lanes.items()
        ],
    )
    db.executemany(
        "INSERT OR REPLACE INTO marks VALUES (?, ?, ?, ?, ?)",
        [(*key, at_ms, through) for (key, at_ms), through in ledger.marks.items()],
    )
    db.executemany("INSERT OR REPLACE INTO gateways VALUES (?, ?)", ledger.journals.items())
    db.executemany(
        "INSERT OR REPLACE INTO boots VALUES (?, ?, ?)",
        [(gateway, boot, offset) for (gateway, boot), offset in ledger.boots.items()],
    )
    db.executemany(
        "INSERT OR IGNORE INTO waiting VALUES (?, ?, ?, ?, ?, ?, ?)",
        [(*one.key, one.seq, one.boot, one.received_ms, one.event) for one in ledger.wait],
    )
    db.executemany(
        "DELETE FROM waiting WHERE gateway = ? AND journal = ? AND lane = ? AND seq = ?",
        [(*one.key, one.seq) for one in ledger.done],
    )
    _save_digests(db, ledger.digests)


def _save_digests(
    db: sqlite3.Connection, changed: Mapping[tuple[Key, int], bytes | bytearray]
) -> None:
    where = "WHERE gateway = ? AND journal = ? AND lane = ?"
    grown = set()
    for (key, block), row in changed.items():
        found = db.execute(f"UPDATE digests SET digests = ? {where} AND block = ?",
                           (row, *key, block))  # fmt: skip
        if not found.rowcount:
            db.execute("INSERT INTO digests VALUES (?, ?, ?, ?, ?)", (*key, block, row))
            grown.add(key)
    db.executemany(
        f"DELETE FROM digests WHERE rowid IN (SELECT rowid FROM digests {where}"
        f" ORDER BY rowid DESC LIMIT -1 OFFSET {BLOCKS_MOST})",
        sorted(grown),
    )
