"""Reading the journal from any process, beside its writer, with no right to write.

Each call is one short transaction, or several, so that the writer can always tidy up behind it.
A file that cannot be read now (not there yet, being mended, no rights) is
:class:`JournalUnavailable`: callers say "history not available since …" and try again. A
question that takes too long is :class:`ReadTooLong`, and says nothing about the next one.

Facts of chosen kinds or subjects are found by the index of series where they are few; where they
are many, the rows themselves are read, a piece at a time. There is no index by series and row: it
would cost a page more with every commit.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from gateway import regular
from gateway.core.facts import KINDS, LANES, Json, Lane
from gateway.core.instant import Ms, UtcMs
from gateway.formats import uri
from gateway.journal.schema import DAMAGED, LANE_INDEX, known_schema, meta_number
from gateway.wire import Row

READ_WITHIN_MS = 2_000
"""A read that takes longer is broken off: an open snapshot holds up the checkpoint."""
FEW_ROWS = 50_000
"""Facts of the chosen series that are sorted at once; more are searched row by row."""
PIECE_ROWS = 50_000
"""Rows that are read in one transaction."""
FETCH_ROWS = 500
_CLOCK_EVERY = 10_000
_DISORDER_ROWS = 50_000

T = TypeVar("T")


class JournalUnavailable(Exception):
    """The journal cannot be read at present; the text says why."""


class ReadTooLong(JournalUnavailable):
    """This question needs more time than one reader may have; the journal is in order."""


class CursorExpired(Exception):
    """Rows after this cursor are gone, or it belongs to another journal: begin anew."""


@dataclass(frozen=True, slots=True)
class Segment:
    """From ``from_mono_ms`` of boot ``boot`` on, UTC = monotonic + ``utc_offset_ms``."""

    boot: int
    from_mono_ms: Ms
    utc_offset_ms: Ms


@dataclass(frozen=True, slots=True)
class Boot:
    """One run of the machine, with its clock segments in order (none: time never known)."""

    id: int
    boot: str
    first_row: int
    segments: tuple[Segment, ...]

    def utc_ms(self, mono_ms: Ms) -> UtcMs | None:
        """Civil time of an instant of this boot, ``None`` if it is not known."""
        offset: Ms | None = None
        for segment in self.segments:
            if offset is None or segment.from_mono_ms <= mono_ms:
                offset = segment.utc_offset_ms
        return None if offset is None else mono_ms + offset

    def mono_ranges(self, from_utc_ms: UtcMs, to_utc_ms: UtcMs) -> list[tuple[Ms, Ms, Ms]]:
        """The parts of this boot in a range of civil time, as (from, to, offset), ``to`` not
        included."""
        ranges = []
        for index, segment in enumerate(self.segments):
            begin = -(2**62) if index == 0 else segment.from_mono_ms
            last = index + 1 == len(self.segments)
            end = 2**62 if last else self.segments[index + 1].from_mono_ms
            low = max(begin, from_utc_ms - segment.utc_offset_ms)
            high = min(end, to_utc_ms - segment.utc_offset_ms)
            if low < high:
                ranges.append((low, high, segment.utc_offset_ms))
        return ranges


@dataclass(frozen=True, slots=True)
class Cursors:
    """How far lanes were sent, and what each recorder says it has: (journal, lanes)."""

    sent: dict[Lane, int]
    recorded: dict[str, tuple[str, dict[str, int]]]


class Found(list[Row]):
    """Rows, and ``reached``: the row to go on from, where the time was over before everything was
    read; ``None`` where these are all, or as many as were asked for."""

    reached: int | None = None


class Reader:
    """Read-only access to the journal at ``path``. May be shared by threads.

    Every method raises :class:`JournalUnavailable` when the file cannot be read now, and
    :class:`ReadTooLong` when one transaction takes longer than ``within_ms``
    (:data:`READ_WITHIN_MS` where it is not given). Questions about many rows take several
    transactions; after ``patience_ms`` they return what they have found (``None``: they go on to
    the end).
    """

    def __init__(
        self,
        path: Path,
        within_ms: Ms | None = None,
        patience_ms: Ms | None = READ_WITHIN_MS,
    ) -> None:
        self._path = path
        self._within_ms = READ_WITHIN_MS if within_ms is None else within_ms
        self._patience_ms = patience_ms
        self._clock = _Deadline(self._within_ms)
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        self._until_ms = 0

    def close(self) -> None:
        """Let go of the file, and break off what is being read; the next call opens it again."""
        connection = self._connection
        if connection is not None:
            with contextlib.suppress(sqlite3.ProgrammingError):  # closed between the two lines
                connection.interrupt()
        with self._lock:
            self._drop()

    def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run ``work`` in one read transaction, which is broken off when its time is over."""
        with self._lock:
            try:
                connection = self._opened()
                connection.execute("BEGIN")
                try:
                    return work(connection)
                finally:
                    connection.execute("ROLLBACK")
            except (*DAMAGED, OSError) as error:
                if isinstance(error, sqlite3.OperationalError) and self._clock.over:
                    raise ReadTooLong(f"interrupted after {self._within_ms} ms") from error
                self._drop()
                raise JournalUnavailable(str(error)) from error

    def _opened(self) -> sqlite3.Connection:
        regular.check(self._path)
        status = os.stat(self._path)
        file = (status.st_dev, status.st_ino)
        if self._connection is None or file != self._file:
            self._drop()  # a mended or restored journal is another file of the same name
            self._connection = sqlite3.connect(
                uri(self._path, "ro"),
                uri=True,
                isolation_level=None,
                check_same_thread=False,
                timeout=1.0,
            )
            self._connection.execute("PRAGMA query_only = ON")
            # a flipped bit in one text shall not keep all others from being read
            self._connection.text_factory = partial(str, encoding="utf-8", errors="replace")
            known_schema(self._path, self._connection)
            self._file = file
        self._clock = _Deadline(self._within_ms)
        self._connection.set_progress_handler(self._clock, _CLOCK_EVERY)
        return self._connection

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    # --- heads and cursors

    def journal_id(self) -> str:
        """The id under which numbers of this journal are unique."""
        return self.read(_journal_id)

    def head_row(self) -> int:
        """The newest row number; 0 in an empty journal."""
        return self.read(_head_row)

    def heads(self) -> dict[Lane, int]:
        """The newest sequence of each lane, whether it is still kept or not."""
        return self.read(_heads)

    def cursors(self) -> Cursors:
        """How far each lane was sent and recorded."""
        return self.read(_cursors)

    def boots(self) -> list[Boot]:
        """All runs of the machine that the journal knows, in order."""
        return self.read(lambda db: list(boots(db).values()))

    def range(self) -> tuple[UtcMs, UtcMs] | None:
        """Civil time of the oldest and the newest row whose time is known."""

        def work(db: sqlite3.Connection) -> tuple[UtcMs, UtcMs] | None:
            known = boots(db)
            oldest = _end(db, known, sorted(known), "ASC")
            newest = _end(db, known, sorted(known, reverse=True), "DESC")
            return None if oldest is None or newest is None else (oldest, newest)

        return self.read(work)

    # --- rows

    def after_row(
        self,
        row: int,
        limit: int,
        *,
        kinds: Sequence[str] | None = None,
        subject: str | None = None,
        lanes: Sequence[Lane] | None = None,
        from_utc_ms: UtcMs | None = None,
        to_utc_ms: UtcMs | None = None,
    ) -> Found:
        """At most ``limit`` rows after the cursor ``row``, oldest first (0: from the beginning).

        Raises :class:`CursorExpired` when all of the rows that followed the cursor may be gone.
        """
        wanted = _Wanted(kinds, subject, lanes, from_utc_ms, to_utc_ms)

        def check(db: sqlite3.Connection) -> None:
            first = db.execute("SELECT min(row) FROM fact").fetchone()[0]
            if row > 0 and (row > _head_row(db) or (first is not None and row < first - 1)):
                raise CursorExpired(f"row {row} is not in this journal any more")

        return self._found(wanted, row, 2**62, limit, check, newest_first=False)

    def before_row(
        self,
        row: int | None,
        limit: int,
        *,
        kinds: Sequence[str] | None = None,
        subject: str | None = None,
        lanes: Sequence[Lane] | None = None,
        from_utc_ms: UtcMs | None = None,
        to_utc_ms: UtcMs | None = None,
    ) -> Found:
        """At most ``limit`` rows before ``row``, newest first (``None``: from the newest)."""
        wanted = _Wanted(kinds, subject, lanes, from_utc_ms, to_utc_ms)
        before = 2**62 if row is None else row
        return self._found(wanted, 0, before, limit, lambda _: None, newest_first=True)

    def _found(
        self,
        wanted: _Wanted,
        after: int,
        before: int,
        limit: int,
        check: Callable[[sqlite3.Connection], None],
        *,
        newest_first: bool,
    ) -> Found:
        """Rows between two numbers, in as many transactions as it takes. ``check`` is called in
        the first one."""

        def begin(db: sqlite3.Connection) -> _Track | Found:
            check(db)
            few = wanted.few(db, after=after, before=before, limit=limit, newest_first=newest_first)
            return Found(few) if few is not None else wanted.track(db, after, before)

        begun = self.read(begin)
        if isinstance(begun, Found):
            return begun
        track, found = begun, Found()
        end = None if self._patience_ms is None else time.monotonic() + self._patience_ms / 1000
        while track.low < track.high - 1 and len(found) < limit:
            piece, track = track.cut(newest_first=newest_first)
            most = limit - len(found)
            found += self.read(
                partial(wanted.along, piece=piece, limit=most, newest_first=newest_first)
            )
            if end is not None and time.monotonic() > end and len(found) < limit:
                if track.low < track.high - 1:
                    found.reached = self.read(partial(track.row, newest_first=newest_first))
                break
        return found

    def window(
        self,
        after: int,
        upto: int,
        *,
        kinds: Sequence[str] | None = None,
        subject: str | None = None,
        lanes: Sequence[Lane] | None = None,
        from_utc_ms: UtcMs | None = None,
        to_utc_ms: UtcMs | None = None,
    ) -> list[Row]:
        """The wanted rows with numbers above ``after`` and up to ``upto``: for long exports."""
        wanted = _Wanted(kinds, subject, lanes, from_utc_ms, to_utc_ms)
        return self.read(
            lambda db: wanted.rows(db, after=after, before=upto + 1, limit=-1, newest_first=False)
        )

    def lane(self, lane: Lane, from_seq: int, limit: int) -> list[Row]:
        """At most ``limit`` facts of one lane from ``from_seq`` on, in order; gaps are absent."""

        def work(db: sqlite3.Connection) -> list[Row]:
            found = db.execute(
                f"{SELECT} WHERE lane = ? AND seq >= ? ORDER BY seq LIMIT ?",
                (LANE_INDEX[lane], from_seq, limit),
            )
            return rows(found, boots(db))

        return self.read(work)

    def absent(self, lane: Lane, first: int, last: int) -> list[tuple[int, int, str]]:
        """The numbers between ``first`` and ``last`` that will never come: (from, to, reason)."""

        def work(db: sqlite3.Connection) -> list[tuple[int, int, str]]:
            index = LANE_INDEX[lane]
            begin = db.execute(
                "SELECT max(first) FROM absent WHERE lane = ? AND first <= ?", (index, first)
            ).fetchone()[0]
            found = db.execute(
                "SELECT first, last, reason FROM absent WHERE lane = ? AND first >= ? "
                "AND first <= ? AND last >= ? ORDER BY first",
                (index, first if begin is None else begin, last, first),
            )
            return [(max(a, first), min(b, last), reason) for a, b, reason in found]

        return self.read(work)


SELECT = (
    "SELECT row, lane, seq, fact.boot, mono_ms, kind, subject, quantity, value, data "
    "FROM fact CROSS JOIN series ON series.id = fact.series"
)
"""CROSS JOIN: SQLite shall begin with the facts, in the order that is asked for."""


def rows(found: Iterable[Any], known: dict[int, Boot]) -> list[Row]:
    """Rows of :data:`SELECT` as values, stamped with civil time where it is known."""
    result = []
    for row, lane, seq, boot, mono_ms, kind, subject, quantity, value, text in found:
        data: dict[str, Json] = (
            {"quantity": quantity, "value": value} if text is None else _data(text)
        )
        its = known.get(boot)
        result.append(
            Row(
                row=row,
                lane=LANES[lane],
                seq=seq,
                boot=its.boot if its else "",
                mono_ms=mono_ms,
                utc_ms=its.utc_ms(mono_ms) if its else None,
                kind=kind,
                subject=subject,
                data=data,
            )
        )
    return result


def _data(text: str) -> dict[str, Json]:
    """The data of a fact; empty where a flipped bit on the card has made it unreadable."""
    try:
        data = json.loads(text)
    except (ValueError, TypeError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def boots(db: sqlite3.Connection) -> dict[int, Boot]:
    """The boots of the journal by their number."""
    segments: dict[int, list[Segment]] = {}
    for boot, from_mono_ms, utc_offset_ms in db.execute(
        "SELECT boot, from_mono_ms, utc_offset_ms FROM clock ORDER BY boot, from_mono_ms, id"
    ):
        segments.setdefault(boot, []).append(Segment(boot, from_mono_ms, utc_offset_ms))
    return {
        number: Boot(number, name, first_row, tuple(segments.get(number, ())))
        for number, name, first_row in db.execute(
            "SELECT id, boot, first_row FROM boot ORDER BY id"
        )
    }


@dataclass(frozen=True, slots=True)
class _Track:
    """Rows between ``low`` and ``high`` (neither included), or the sequences of one lane between
    them, whose rows lie between ``after`` and ``before``."""

    low: int
    high: int
    after: int
    before: int
    lane: int | None = None

    def cut(self, *, newest_first: bool, size: int | None = None) -> tuple[_Track, _Track]:
        """The first piece, and the rest."""
        size = PIECE_ROWS if size is None else size
        if newest_first:
            at = max(self.low, self.high - 1 - size)
            return replace(self, low=at), replace(self, high=at + 1)
        at = min(self.high, self.low + 1 + size)
        return replace(self, high=at), replace(self, low=at - 1)

    def row(self, db: sqlite3.Connection, *, newest_first: bool) -> int:
        """The cursor from which the rest is read."""
        if self.lane is None:
            return self.high if newest_first else self.low
        beside = "SELECT row FROM fact WHERE lane = ? AND seq {} ? ORDER BY seq {} LIMIT 1"
        if newest_first:
            found = db.execute(beside.format(">=", "ASC"), (self.lane, self.high))
            return _first(found, self.before)
        found = db.execute(beside.format("<=", "DESC"), (self.lane, self.low))
        return _first(found, self.after)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Which rows are asked for."""

    kinds: Sequence[str] | None
    subject: str | None
    lanes: Sequence[Lane] | None
    from_utc_ms: UtcMs | None
    to_utc_ms: UtcMs | None

    @property
    def _by_series(self) -> bool:
        return self.kinds is not None or self.subject is not None

    @property
    def _by_time(self) -> bool:
        return self.from_utc_ms is not None or self.to_utc_ms is not None

    def track(self, db: sqlite3.Connection, after: int, before: int) -> _Track:
        """What is to be searched: the rows between two numbers, or one lane of them."""
        first = db.execute("SELECT min(row) FROM fact").fetchone()[0]
        head = _head_row(db) + 1
        after = max(after, 0 if first is None else first - 1)
        before = min(before, head)
        if self._by_time:
            known = boots(db)
            wanted = self._spans(known)
            ids = [boot for boot, _, _ in wanted]
            ends = {min(ids), max(ids)} if ids else set()  # rows are in the order of their boots
            spans = [
                _row_bounds(db, known, known[boot], low, high)
                for boot, low, high in wanted
                if boot in ends
            ]
            after = max(after, min((low for low, _ in spans), default=before) - 1)
            before = min(before, max((high for _, high in spans), default=0) + 1)
        lanes = self._lanes()
        if len(lanes) != 1:
            return _Track(after, before, after, before)
        # Within one lane the order of numbers is the order of rows: its index will do.
        lane = LANE_INDEX[lanes[0]]
        low, high = db.execute(
            "SELECT (SELECT min(seq) FROM fact WHERE lane = ?1),"
            " (SELECT max(seq) FROM fact WHERE lane = ?1)",
            (lane,),
        ).fetchone()
        if low is None:
            return _Track(0, 0, after, before)
        beside = "SELECT seq FROM fact WHERE row {} ? AND +lane = ? ORDER BY row {} LIMIT 1"
        if first is not None and after >= first:
            low = _first(db.execute(beside.format(">", "ASC"), (after, lane)), high + 1)
        if before < head:
            high = _first(db.execute(beside.format("<", "DESC"), (before, lane)), low - 1)
        return _Track(low - 1, high + 1, after, before, lane)

    def few(
        self,
        db: sqlite3.Connection,
        *,
        after: int,
        before: int,
        limit: int,
        newest_first: bool,
    ) -> list[Row] | None:
        """The rows by the index of series; ``None`` where there are too many for that, or all
        series are asked for."""
        if not self._by_series:
            return None
        numbers = self._series(db)
        if not numbers:
            return []
        chosen = f"FROM fact INDEXED BY fact_series WHERE series IN ({_list(numbers)})"
        (count,) = db.execute(
            f"SELECT count(*) FROM (SELECT 1 {chosen} LIMIT ?)", (FEW_ROWS + 1,)
        ).fetchone()
        if count > FEW_ROWS:
            return None
        track = self.track(db, after, before)
        enough = 4 * limit * (track.high - track.low) // max(count, 1)
        if enough < count:  # they lie close together: a look beside the cursor may do
            piece, _ = track.cut(newest_first=newest_first, size=enough)
            near = self.along(db, piece=piece, limit=limit, newest_first=newest_first)
            if len(near) == limit:
                return near
        known = boots(db)
        spans: dict[int, list[tuple[Ms, Ms]]] = {}
        for boot, low, high in self._spans(known):
            spans.setdefault(boot, []).append((low, high))
        numbers = sorted(
            (
                row
                for row, boot, mono_ms in db.execute(f"SELECT row, boot, mono_ms {chosen}")
                if after < row < before
                and (
                    not self._by_time
                    or any(low <= mono_ms < high for low, high in spans.get(boot, ()))
                )
            ),
            reverse=newest_first,
        )
        lanes = _list(LANE_INDEX[lane] for lane in self._lanes())
        order = "DESC" if newest_first else "ASC"
        found: list[Row] = []
        for at in range(0, len(numbers), FETCH_ROWS):
            sql = (
                f"{SELECT} WHERE row IN ({_list(numbers[at : at + FETCH_ROWS])}) "
                f"AND +lane IN ({lanes}) ORDER BY row {order} LIMIT ?"
            )
            found += rows(db.execute(sql, (limit - len(found),)), known)
            if len(found) >= limit:
                break
        return found

    def rows(
        self, db: sqlite3.Connection, *, after: int, before: int, limit: int, newest_first: bool
    ) -> list[Row]:
        """The wanted rows between two numbers, row by row."""
        piece = _Track(after, before, after, before)
        return self.along(db, piece=piece, limit=limit, newest_first=newest_first)

    def along(
        self, db: sqlite3.Connection, *, piece: _Track, limit: int, newest_first: bool
    ) -> list[Row]:
        """The wanted rows of one piece."""
        known = boots(db)
        if piece.lane is None:
            sort, terms = "row", ["row > ? AND row < ?"]
            lanes = self._lanes()
            if len(lanes) < len(LANES):
                terms.append(f"+lane IN ({_list(LANE_INDEX[lane] for lane in lanes)})")
        else:
            sort = "seq"
            terms = [
                f"lane = {piece.lane} AND seq > ? AND seq < ?",
                f"+row > {piece.after} AND +row < {piece.before}",
            ]
        if self._by_series:
            terms.append(f"+fact.series IN ({_list(self._series(db))})")
        if self._by_time:
            terms.append(
                _any(
                    [
                        f"(fact.boot = {boot} AND mono_ms >= {low} AND mono_ms < {high})"
                        for boot, low, high in self._spans(_boots_between(db, known, piece))
                    ]
                )
            )
        order = "DESC" if newest_first else "ASC"
        sql = f"{SELECT} WHERE {' AND '.join(terms)} ORDER BY {sort} {order} LIMIT ?"
        return rows(db.execute(sql, (piece.low, piece.high, limit)), known)

    def _spans(self, known: dict[int, Boot]) -> list[tuple[int, Ms, Ms]]:
        """The wanted time as (boot, from, to) in monotonic ms, ``to`` not included."""
        begin = -(2**61) if self.from_utc_ms is None else self.from_utc_ms
        end = 2**61 if self.to_utc_ms is None else self.to_utc_ms
        return [
            (boot.id, low, high)
            for boot in known.values()
            for low, high, _ in boot.mono_ranges(begin, end)
        ]

    def _lanes(self) -> list[Lane]:
        lanes = list(LANES if self.lanes is None else self.lanes)
        if self.kinds is not None and all(kind in KINDS for kind in self.kinds):
            used = {KINDS[kind].lane for kind in self.kinds}
            lanes = [lane for lane in lanes if lane in used]
        return lanes

    def _series(self, db: sqlite3.Connection) -> list[int]:
        return [
            number
            for number, kind, subject in db.execute("SELECT id, kind, subject FROM series")
            if (self.kinds is None or kind in self.kinds)
            and (self.subject is None or subject == self.subject)
        ]


def _boots_between(
    db: sqlite3.Connection, known: dict[int, Boot], piece: _Track
) -> dict[int, Boot]:
    """The boots that have rows in this piece, and those in between: a condition on each of
    thousands takes SQLite longer to read than the rows."""
    found = "SELECT boot FROM fact WHERE row > ? AND row < ? ORDER BY row {} LIMIT 1"
    rows_ = (piece.after, piece.before)
    first = db.execute(found.format("ASC"), rows_).fetchone()
    if first is None:
        return {}
    (last,) = db.execute(found.format("DESC"), rows_).fetchone()
    return {one.id: one for one in known.values() if first[0] <= one.id <= last}


def _first(found: sqlite3.Cursor, otherwise: int) -> int:
    row = found.fetchone()
    return otherwise if row is None else int(row[0])


def _list(numbers: Iterable[int]) -> str:
    return ",".join(map(str, numbers))


def _any(terms: list[str]) -> str:
    """One of these terms. A balanced tree: SQLite refuses one that is 1,000 levels deep, and a
    journal may have known more starts of its machine than that."""
    if len(terms) < 2:
        return terms[0] if terms else "0"
    middle = len(terms) // 2
    return f"({_any(terms[:middle])} OR {_any(terms[middle:])})"


def _row_bounds(
    db: sqlite3.Connection, known: dict[int, Boot], boot: Boot, low: Ms, high: Ms
) -> tuple[int, int]:
    """Rows between which a range of a boot's time lies, generously.

    Rows are nearly in the order of their time: what waited in memory came later.
    """
    begin = boot.first_row
    end = min(_next_first_row(known, boot.id), _head_row(db) + 1)

    def first_at(mono_ms: Ms) -> int:
        left, right = begin, end
        while left < right:
            middle = (left + right) // 2
            found = db.execute(
                "SELECT row, mono_ms FROM fact WHERE row >= ? AND row < ? AND boot = ? "
                "AND count IS NULL ORDER BY row LIMIT 1",
                (middle, right, boot.id),
            ).fetchone()
            if found is None or found[1] >= mono_ms:
                right = middle
            else:
                left = found[0] + 1
        return left

    return first_at(low) - _DISORDER_ROWS, first_at(high) + _DISORDER_ROWS


class _Deadline:
    """Progress handler: breaks a query off when its time is over."""

    def __init__(self, within_ms: Ms) -> None:
        self._clock = time.monotonic
        self._end = self._clock() + within_ms / 1000
        self.over = False

    def __call__(self) -> int:
        self.over = self._clock() > self._end
        return int(self.over)


def _journal_id(db: sqlite3.Connection) -> str:
    row = db.execute("SELECT value FROM meta WHERE key = 'journal'").fetchone()
    return str(row[0]) if row else ""


def _cursors(db: sqlite3.Connection) -> Cursors:
    recorded: dict[str, tuple[str, dict[str, int]]] = {}
    for key, value in db.execute("SELECT key, value FROM meta WHERE key GLOB 'recorded.*'"):
        found = _data(value)  # one that is damaged is told again by its recorder
        journal, lanes = found.get("journal"), found.get("lanes")
        if isinstance(journal, str) and isinstance(lanes, dict):
            numbers = {lane: seq for lane, seq in lanes.items() if isinstance(seq, int)}
            recorded[key.removeprefix("recorded.")] = (journal, numbers)
    return Cursors({lane: meta_number(db, f"sent.{lane}") for lane in LANES}, recorded)


def _head_row(db: sqlite3.Connection) -> int:
    newest = db.execute("SELECT max(row) FROM fact").fetchone()[0] or 0
    return max(newest, meta_number(db, "row"))


def _heads(db: sqlite3.Connection) -> dict[Lane, int]:
    heads: dict[Lane, int] = {}
    for lane, index in LANE_INDEX.items():
        heads[lane] = db.execute(
            "SELECT max(coalesce((SELECT max(seq) FROM fact WHERE lane = ?1), 0),"
            " coalesce((SELECT max(last) FROM absent WHERE lane = ?1), 0))",
            (index,),
        ).fetchone()[0]
    return heads


def _end(
    db: sqlite3.Connection, known: dict[int, Boot], order: list[int], direction: str
) -> UtcMs | None:
    """Civil time of the first row, in this order of boots, whose time is known."""
    for number in order:
        boot = known[number]
        row = db.execute(
            f"SELECT mono_ms FROM fact WHERE row >= ? AND row < ? AND boot = ? "
            f"ORDER BY row {direction} LIMIT 1",
            (boot.first_row, _next_first_row(known, number), number),
        ).fetchone()
        utc_ms = None if row is None else boot.utc_ms(row[0])
        if utc_ms is not None:
            return utc_ms
    return None


def _next_first_row(known: dict[int, Boot], boot: int) -> int:
    return min((b.first_row for b in known.values() if b.id > boot), default=2**62)
