"""Reading the journal from any process, beside its writer, with no right to write.

Each call is one short transaction, so that the writer can always tidy up behind it. A file
that cannot be read now (not there yet, being mended, no rights) is
:class:`JournalUnavailable`: callers say "history not available since …" and try again.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from gateway.core.facts import KINDS, LANES, Json, Lane
from gateway.core.machine import Ms, UtcMs
from gateway.journal.schema import LANE_INDEX, uri
from gateway.wire import Row

READ_WITHIN_MS = 2_000
"""A read that takes longer is broken off: an open snapshot holds up the checkpoint."""
_CLOCK_EVERY = 10_000
_DISORDER_ROWS = 50_000

T = TypeVar("T")


class JournalUnavailable(Exception):
    """The journal cannot be read at present; the text says why."""


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


class Reader:
    """Read-only access to the journal at ``path``. May be shared by threads.

    Every method raises :class:`JournalUnavailable` when the file cannot be read now.
    """

    def __init__(self, path: Path, within_ms: Ms = READ_WITHIN_MS) -> None:
        self._path = path
        self._within_ms = within_ms
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
            except (sqlite3.Error, OSError) as error:
                self._drop()
                raise JournalUnavailable(str(error)) from error

    def _opened(self) -> sqlite3.Connection:
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
            self._file = file
        clock = _Deadline(self._within_ms)
        self._connection.set_progress_handler(clock, _CLOCK_EVERY)
        return self._connection

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    # --- heads and cursors

    def journal_id(self) -> str:
        """The id under which numbers of this journal are unique."""
        return self.read(lambda db: str(_meta(db).get("journal", "")))

    def head_row(self) -> int:
        """The newest row number; 0 in an empty journal."""
        return self.read(_head_row)

    def heads(self) -> dict[Lane, int]:
        """The newest sequence of each lane, whether it is still kept or not."""
        return self.read(_heads)

    def cursors(self) -> Cursors:
        """How far each lane was sent and recorded."""
        meta = self.read(_meta)
        recorded = {}
        for key, value in meta.items():
            if key.startswith("recorded."):
                found = json.loads(value)
                recorded[key.removeprefix("recorded.")] = (found["journal"], found["lanes"])
        sent: dict[Lane, int] = {lane: int(meta.get(f"sent.{lane}", 0)) for lane in LANES}
        return Cursors(sent, recorded)

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
    ) -> list[Row]:
        """At most ``limit`` rows after the cursor ``row``, oldest first (0: from the beginning).

        Raises :class:`CursorExpired` when all of the rows that followed the cursor may be gone.
        """
        wanted = _Wanted(kinds, subject, lanes, from_utc_ms, to_utc_ms)

        def work(db: sqlite3.Connection) -> list[Row]:
            first = db.execute("SELECT min(row) FROM fact").fetchone()[0]
            if row > 0 and (row > _head_row(db) or (first is not None and row < first - 1)):
                raise CursorExpired(f"row {row} is not in this journal any more")
            return wanted.rows(db, after=row, before=2**62, limit=limit, newest_first=False)

        return self.read(work)

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
    ) -> list[Row]:
        """At most ``limit`` rows before ``row``, newest first (``None``: from the newest)."""
        wanted = _Wanted(kinds, subject, lanes, from_utc_ms, to_utc_ms)
        before = 2**62 if row is None else row
        return self.read(
            lambda db: wanted.rows(db, after=0, before=before, limit=limit, newest_first=True)
        )

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
            lambda db: wanted.rows(
                db, after=after, before=upto + 1, limit=-1, newest_first=False, bounded=False
            )
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
    except ValueError:
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
class _Wanted:
    """Which rows are asked for."""

    kinds: Sequence[str] | None
    subject: str | None
    lanes: Sequence[Lane] | None
    from_utc_ms: UtcMs | None
    to_utc_ms: UtcMs | None

    def rows(
        self,
        db: sqlite3.Connection,
        *,
        after: int,
        before: int,
        limit: int,
        newest_first: bool,
        bounded: bool = True,
    ) -> list[Row]:
        """``bounded``: leave out what lies far from the other rows of its time (means)."""
        known = boots(db)
        terms: list[str] = []
        if self.kinds is not None or self.subject is not None:
            numbers = self._series(db)
            terms.append(f"+fact.series IN ({','.join(map(str, numbers))})")
        if self.from_utc_ms is not None or self.to_utc_ms is not None:
            begin = -(2**61) if self.from_utc_ms is None else self.from_utc_ms
            end = 2**61 if self.to_utc_ms is None else self.to_utc_ms
            parts: list[str] = []
            bounds: list[tuple[int, int]] = []
            for boot in known.values():
                for low, high, _ in boot.mono_ranges(begin, end):
                    parts.append(
                        f"(fact.boot = {boot.id} AND mono_ms >= {low} AND mono_ms < {high})"
                    )
                    bounds.append(_row_bounds(db, known, boot, low, high))
            terms.append(f"({' OR '.join(parts) or '0'})")
            after = max(after, min((low for low, _ in bounds), default=0) - 1)
            if bounded:
                before = min(before, max((high for _, high in bounds), default=0) + 1)
        order = "DESC" if newest_first else "ASC"
        lanes = self._lanes()
        if len(lanes) == 1:
            # Within one lane the order of numbers is the order of rows: its index will do.
            terms.append(f"lane = {LANE_INDEX[lanes[0]]} AND +row > ? AND +row < ?")
            sort = "seq"
        else:
            terms.append("row > ? AND row < ?")
            if len(lanes) < len(LANES):
                terms.append(f"+lane IN ({','.join(str(LANE_INDEX[lane]) for lane in lanes)})")
            sort = "row"
        sql = f"{SELECT} WHERE {' AND '.join(terms)} ORDER BY {sort} {order} LIMIT ?"
        return rows(db.execute(sql, (after, before, limit)), known)

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
        import time

        self._clock = time.monotonic
        self._end = self._clock() + within_ms / 1000

    def __call__(self) -> int:
        return int(self._clock() > self._end)


def _meta(db: sqlite3.Connection) -> dict[str, str]:
    return dict(db.execute("SELECT key, value FROM meta WHERE key <> 'kept'"))


def _head_row(db: sqlite3.Connection) -> int:
    newest = db.execute("SELECT max(row) FROM fact").fetchone()[0] or 0
    return max(newest, int(_meta(db).get("row", 0)))


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
