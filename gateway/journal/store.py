"""The writing side of the file: numbers, series, roll-ups and cursors, one transaction at a time.

Numbers are given inside the transaction and count only once it is committed. When a commit
fails nobody knows whether it reached the disk; so before anything is written again the file
is asked (:meth:`Store.reload`), and what it already holds is not written twice.
"""

from __future__ import annotations

import json
import math
import os
import sqlite3
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.core.facts import Fact, Json, Lane
from gateway.core.instant import Ms
from gateway.core.signals.clock import Past
from gateway.formats import uri
from gateway.journal import audit, schema, uptime
from gateway.journal.audit import AuditEntry
from gateway.journal.machine import differs
from gateway.journal.queries import means
from gateway.journal.queue import Work
from gateway.journal.reserve import NumberedState
from gateway.journal.schema import HOUR_MS, LANE_INDEX

Numbered = tuple[int, Lane, int, Fact]
"""(row, lane, sequence, fact)."""

LARGEST = 1e300
"""A value from here on is none: a few of them have no sum."""
WRONG = (
    sqlite3.Error,
    OSError,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    ArithmeticError,
    RecursionError,
)
"""What opening a damaged file may raise: of its values none need be what was written."""
AHEAD_MOST = 10**9
"""Facts that a copy can be too old by: a fact a second in thirty years."""
KEPT_STEP = 512
"""The saved state is filled up with blanks to a multiple of so many characters, so that it seldom
changes its length: then only those of its pages are written that differ."""
STEPS_MOST = 1_000
"""Offsets to UTC of one boot that are remembered one by one."""
STATE_NUMBER = "kept.number"
"""Number of the saved state, and a checksum of both. Earlier versions write the state alone,
without a blank behind it."""
SECTIONS_OF_ALL = frozenset(
    {
        "alarms", "overrides", "service", "counters", "calls", "leaks", "escalations", "mailings",
    }
)  # fmt: skip
"""What is in the saved state of each version."""
UNREADABLE = "unreadable"
"""The format of a saved state that cannot be read."""
_INSERT = "INSERT INTO fact VALUES (?,?,?,?,?,?,?,?,?)"


@dataclass(slots=True)
class Head:
    """The last numbers given: of all rows, of each lane, and of the audit chain."""

    row: int = 0
    seq: dict[Lane, int] = field(default_factory=dict)
    audit: int = 0

    def copy(self) -> Head:
        return Head(self.row, dict(self.seq), self.audit)


class Store:
    """An open journal. All methods raise :class:`sqlite3.Error`, opening it any of :data:`WRONG`;
    one thread uses it."""

    def __init__(
        self,
        path: Path,
        boot: str,
        factory: type[sqlite3.Connection] = sqlite3.Connection,
        machine: str = "",
        read: Callable[[Store], None] = lambda store: None,
        *,
        gateway: str = "gateway",
    ) -> None:
        """``machine``: :func:`gateway.journal.machine.identity`; empty: it is not looked at.
        ``read`` is called when all that the run before has left is known, before anything is
        committed: that may take as long as the disk likes, or fail. ``gateway``: its id, the
        subject of audit entries about the journal."""
        self.path = path
        self.gateway = gateway
        self.boot = boot
        self.boot_id = 0
        self.utc_offset_ms: Ms | None = None
        self.numbered: list[Numbered] = []
        self.journal = ""
        self.connection = schema.connect(path, factory)
        try:
            opened = self._named()[:1]  # now: the commit below may take long
            if self.one("SELECT count(*) FROM sqlite_master") == 0:
                schema.create(self.connection, schema.new_id())
            self.reload()
            self.was_clean = self.meta("clean") == "1"
            known = self.meta("machine")
            self.is_clone = bool(machine) and known is not None and differs(known, machine)
            newest_utc_ms = self._newest_utc_ms()
            with self.transaction():
                self.boot_id = self._boot_id()
                self.put_meta("clean", "0")
                if self.one("SELECT 1 FROM sqlite_master WHERE name = 'hour_mean'") is None:
                    self._add_hour_mean()
                self.spans, before_ms = uptime.begin(self.connection, self.boot_id, boot)
                if machine and machine != known:
                    self.put_meta("machine", machine)
                self.past = self._past(before_ms, newest_utc_ms)
                read(self)
                journal = self.renew() if self.is_clone else self.journal
            self.journal = journal
            self._found = journal
            self.utc_offset_ms = self._offset()
            # A second, read-only connection that is closed last: SQLite then leaves -wal and
            # -shm in place, which readers of another user need after a stop.
            self._last = sqlite3.connect(
                uri(path, "ro"), uri=True, check_same_thread=False, isolation_level=None
            )
            try:
                self._last.execute("SELECT count(*) FROM meta").fetchone()
                self._files = opened + self._named()[1:]
            except BaseException:
                self._last.close()
                raise
        except BaseException:
            self.connection.close()
            raise

    def _named(self) -> list[tuple[int, int] | None]:
        """Which files have the names of this journal now; ``None``: none has it."""
        found: list[tuple[int, int] | None] = []
        for ending in ("", "-wal", "-shm"):
            try:
                status = os.stat(f"{self.path}{ending}")
            except FileNotFoundError:
                found.append(None)
            else:
                found.append((status.st_dev, status.st_ino))
        return found

    @property
    def in_place(self) -> bool:
        """Whether the open files still have their names. What is written to one that was removed
        or replaced is gone when it is closed. Any thread; raises :class:`OSError`."""
        return self._named() == self._files

    def close(self, *, clean: bool) -> None:
        """Close the file; ``clean`` leaves the mark of an orderly stop. Never raises."""
        try:
            if clean:
                with self.transaction():
                    self.put_meta("clean", "1")
                # Emptied, not only moved: whoever opens the file next reads the -wal whole.
                self.connection.execute("PRAGMA busy_timeout = 200").fetchone()
                self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.Error:
            pass  # not clean then: the next start looks closer
        for connection in (self.connection, self._last):
            try:
                connection.close()
            except sqlite3.Error:
                continue

    def reload(self) -> None:
        """Read the heads again, as the file has them."""
        if self.connection.in_transaction:
            self.connection.execute("ROLLBACK")
        schema.known_schema(self.path, self.connection)
        self.journal = self.meta("journal") or ""
        self.head = Head(
            row=max(
                self.one("SELECT max(row) FROM fact") or 0,
                schema.meta_number(self.connection, "row"),
            ),
            audit=self.one("SELECT max(n) FROM audit")
            or schema.meta_number(self.connection, "audit.n"),
        )
        for lane, index in LANE_INDEX.items():
            self.head.seq[lane] = max(
                self.one("SELECT max(seq) FROM fact WHERE lane = ?", index) or 0,
                self.one("SELECT max(last) FROM absent WHERE lane = ?", index) or 0,
            )
        if max(self.head.row, self.head.audit, *self.head.seq.values()) >= schema.NUMBERS_MOST:
            raise ValueError("a number is too large to have been given")
        self.series: dict[tuple[str, str, str], int] = {
            (kind, subject, quantity): number
            for number, kind, subject, quantity in self.connection.execute(
                "SELECT id, kind, subject, quantity FROM series"
            )
        }

    def one(self, sql: str, *values: object) -> Any:
        """The first column of the first row, ``None`` without a row."""
        row = self.connection.execute(sql, values).fetchone()
        return None if row is None else row[0]

    def meta(self, key: str) -> str | None:
        value: str | None = self.one("SELECT value FROM meta WHERE key = ?", key)
        return value

    def put_meta(self, key: str, value: str) -> None:
        # A value as long as before is written over in place; REPLACE would free its pages first.
        self.connection.execute(
            "INSERT INTO meta VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
            (key, value),
        )

    @contextmanager
    def transaction(self) -> Iterator[Head]:
        """One transaction; rolled back when anything in it raises.

        It yields a copy of the head to count up; the store takes it over after the commit.
        """
        head = self.head.copy()
        offset_ms = self.utc_offset_ms
        try:
            self.connection.execute("BEGIN IMMEDIATE")
            yield head
            self.connection.execute("COMMIT")
        except BaseException:
            self.series.clear()  # it may hold what was rolled back; it is filled again on use
            self.utc_offset_ms = offset_ms
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            raise
        self.head = head

    def saved_state(self) -> tuple[dict[str, Json] | None, int | None]:
        """See :func:`read_kept`."""
        return read_state(self.connection)

    # --- writing

    def write(self, work: Work) -> list[Numbered]:
        """Write all of ``work`` in one transaction and return its facts with their numbers.

        ``numbered`` keeps them too: should the commit fail and have happened nevertheless.
        """
        journal = self.journal
        with self.transaction() as head:
            for lane, count in work.lost.items():
                first = head.seq[lane] + 1
                head.seq[lane] += count
                head.row += count
                add_absent(self.connection, lane, first, head.seq[lane], "lost")
            if work.utc_offset_ms is not None and self.utc_offset_ms is None:
                self._segment(0, work.utc_offset_ms)
            self.numbered = self.insert(head, [(fact, lane) for _, lane, fact in work.facts])
            if work.audit_lost:
                note = f"{work.audit_lost} entries were lost while the disk was full"
                at_ms = work.audit[0].at_ms if work.audit else 0
                lost = AuditEntry("gateway", "audit", self.gateway, "lost", at_ms, note)
                work.audit.insert(0, lost)
                work.audit_lost = 0
            for entry in work.audit:
                head.audit = audit.append(self.connection, self.boot, self.utc_offset_ms, entry)
            for actor in work.forget:
                self.put_meta(f"forget.{actor}", "1")
            if work.saved_state is not None:
                for key, value in state_rows(work.saved_state):
                    self.put_meta(key, value)
            journal = self._cursors(work)
        self.journal = journal
        return self.numbered

    def holds(self, work: Work, before: Head) -> bool:
        """Whether a transaction that was tried when ``before`` was the head is in the file.

        Only facts and audit entries must not come twice; the rest may be written again.
        """
        if work.facts or work.lost:
            return self.head.row > before.row
        return any(
            self.one(
                "SELECT n FROM audit WHERE n > ? AND actor = ? AND action = ? AND mono_ms = ?",
                before.audit,
                entry.actor,
                entry.action,
                entry.at_ms,
            )
            for entry in work.audit
        )

    def insert(
        self, head: Head, facts: list[tuple[Fact, Lane]], boot_id: int | None = None
    ) -> list[Numbered]:
        """Number and insert facts, of this boot or another, in the caller's transaction."""
        boot = self.boot_id if boot_id is None else boot_id
        numbered: list[Numbered] = []
        values = []
        for fact, lane in facts:
            head.row += 1
            head.seq[lane] += 1
            numbered.append((head.row, lane, head.seq[lane], fact))
            values.append((head.row, LANE_INDEX[lane], head.seq[lane], *self._columns(fact, boot)))
        self.connection.executemany(_INSERT, values)
        for _, _, _, fact in numbered:
            if fact.kind in ("clock_trusted", "clock_stepped"):
                self._clock_fact(fact)
        return numbered

    def _columns(
        self, fact: Fact, boot: int
    ) -> tuple[int, int, Ms, float | None, int | None, str | None]:
        data = fact.data
        value: float | None = None
        count: int | None = None
        text: str | None = None
        quantity = ""
        if fact.kind == "reading":
            quantity = _text(data.get("quantity"))
            value, count = _number(data.get("value")), _whole(data.get("count"))
            plain = value is not None and all(
                key in ("quantity", "value") or item in (None, "") for key, item in data.items()
            )
            if not plain:
                text = encode(data)
        else:
            level = data.get("active", data.get("on"))
            value = float(level) if isinstance(level, bool) else None
            text = encode(data)
        series = self._series(_text(fact.kind), _text(fact.subject), quantity)
        return series, boot, fact.at_ms, value, count, text

    def _series(self, kind: str, subject: str, quantity: str) -> int:
        key = (kind, subject, quantity)
        number = self.series.get(key)
        if number is None:
            number = self.one(
                "SELECT id FROM series WHERE kind = ? AND subject = ? AND quantity = ?", *key
            )
            if number is None:
                number = (self.one("SELECT max(id) FROM series") or 0) + 1
                self.connection.execute("INSERT INTO series VALUES (?,?,?,?)", (number, *key))
            self.series[key] = number
        return number

    def _add_hour_mean(self) -> None:
        """A file of an older version: its hours stay as they are, the newest one is computed."""
        schema.add_hour_mean(self.connection)
        newest: Ms = (
            self.one(
                "SELECT mono_ms FROM fact WHERE boot = ? ORDER BY row DESC LIMIT 1", self.boot_id
            )
            or 0
        )
        self.put_meta(means.FIRST_HOUR, f"{self.boot_id} {newest // HOUR_MS}")

    def put_heartbeats(self, heartbeats: Mapping[str, Ms]) -> None:
        """Note how often each meter reports at least; of points that are no more it stays noted
        for as long as they have a history. Writes only where something has changed."""
        known = means.heartbeats(self.connection)
        if all(known.get(point) == ms for point, ms in heartbeats.items()):
            return
        points = {subject for kind, subject, _ in self.series if kind == "reading"}
        old = {point: ms for point, ms in known.items() if point in points}
        with self.transaction():
            self.put_meta(means.HEARTBEATS, encode({**old, **heartbeats}))

    # --- boots and cursors

    def _boot_id(self) -> int:
        known: int | None = self.one("SELECT max(id) FROM boot WHERE boot = ?", self.boot)
        if known is not None and known == self.one("SELECT max(id) FROM boot"):
            return known
        number: int = (self.one("SELECT max(id) FROM boot") or 0) + 1
        self.connection.execute(
            "INSERT INTO boot VALUES (?,?,?)", (number, self.boot, self.head.row + 1)
        )
        return number

    def _past(self, before_ms: Ms, newest_utc_ms: Ms | None) -> Past:
        """What the core wants to know of the boots before. A span is named by its first start,
        too: a clock of a bench that fell back is another one."""
        names = [f"{one.kernel}/{one.first}" for one in self.spans]
        last = names[-2] if len(names) > 1 else ""
        return Past(names[-1], self.spans[-1].before_ms, last, before_ms, newest_utc_ms)

    def _newest_utc_ms(self) -> Ms | None:
        """The civil time of the newest fact of the newest start that knew it."""
        row = self.connection.execute(
            "SELECT boot, utc_offset_ms FROM clock ORDER BY boot DESC, id DESC LIMIT 1"
        ).fetchone()
        if row is None:
            return None
        last_ms = uptime.last_of_start_ms(self.connection, row[0])
        return None if last_ms is None else last_ms + int(row[1])

    def _offset(self) -> Ms | None:
        """The newest offset of this boot."""
        offset: Ms | None = self.one(
            "SELECT utc_offset_ms FROM clock WHERE boot = ? ORDER BY id DESC LIMIT 1", self.boot_id
        )
        return offset

    def _clock_fact(self, fact: Fact) -> None:
        offset = _whole(fact.data.get("utc_offset_ms"))
        if offset is not None and offset != self.utc_offset_ms:
            self._segment(0 if self.utc_offset_ms is None else fact.at_ms, offset)

    def _segment(self, from_mono_ms: Ms, utc_offset_ms: Ms) -> None:
        """A new offset from an instant on. A clock that steps without end makes no more rows,
        which every reader reads: the newest of them moves on."""
        steps = self.one("SELECT count(*) FROM clock WHERE boot = ?", self.boot_id)
        if steps >= STEPS_MOST:
            self.connection.execute(
                "DELETE FROM clock WHERE id = (SELECT max(id) FROM clock WHERE boot = ?)",
                (self.boot_id,),
            )
        self.connection.execute(
            "INSERT INTO clock (boot, from_mono_ms, utc_offset_ms) VALUES (?,?,?)",
            (self.boot_id, from_mono_ms, utc_offset_ms),
        )
        self.utc_offset_ms = utc_offset_ms

    def _cursors(self, work: Work) -> str:
        """Note how far things were sent and recorded; returns the journal's id.

        They are compared with the head before this transaction: who had a number while the
        cursor waited cannot have it from the facts that are written together with it.

        Who is ahead of us knows facts that we do not have: the file is an older copy, and its
        next numbers were used before. Such a journal goes on under a new id, and everything
        is sent again under it. Of recorders, whose names and numbers a stranger may make up, that
        is believed once: nobody can be ahead of an id that was made since the file was opened.
        """
        seq_of = self.head.seq
        ahead = any(seq > seq_of[lane] for lane, seq in work.sent.items())
        for recorder, (journal, lanes, keep) in work.recorded.items():
            if keep:
                self.put_meta(
                    f"recorded.{recorder}", encode({"journal": journal, "lanes": dict(lanes)})
                )
            if journal == self.journal == self._found:
                by = [lanes.get(lane, 0) - seq_of[lane] for lane in seq_of]
                ahead = ahead or any(0 < more <= AHEAD_MOST for more in by)
        for lane, seq in work.sent.items():
            if seq > schema.meta_number(self.connection, f"sent.{lane}"):
                self.put_meta(f"sent.{lane}", str(seq))
        return self.renew() if ahead else self.journal

    def renew(self) -> str:
        """Within a transaction: a new journal id, of which nothing has been sent."""
        journal = schema.new_id()
        self.put_meta("journal", journal)
        self.connection.execute("DELETE FROM meta WHERE key LIKE 'sent.%'")
        return journal

    def checkpoint(self) -> None:
        """Move what is in the -wal into the main file, as far as readers let it."""
        self.connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()

    def empty_log(self) -> bool:
        """Empty the -wal: what was deleted lies there until it is written over. ``False`` where
        somebody reads just now."""
        self.connection.execute("PRAGMA busy_timeout = 0").fetchone()
        try:
            busy: int
            busy, *_ = self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        finally:
            self.connection.execute(f"PRAGMA busy_timeout = {schema.BUSY_MS}").fetchone()
        return not busy


def read_state(db: sqlite3.Connection) -> tuple[dict[str, Json] | None, int | None]:
    """The saved state, ``None`` when there is none; and its number: 0 without a state,
    ``None`` where that is not known.

    A state that cannot be read, was changed since or is missing where there has been one is
    :data:`UNREADABLE`, not none. Raises :class:`sqlite3.Error`."""
    rows: dict[str, bytes | None] = dict(
        db.execute(
            "SELECT key, CAST(value AS BLOB) FROM meta WHERE key IN ('kept', ?)", (STATE_NUMBER,)
        )
    )
    if not rows and db.execute("SELECT 1 FROM fact LIMIT 1").fetchone() is None:
        return None, 0
    text = rows.get("kept") or b""
    number, _, checksum = (rows.get(STATE_NUMBER) or b"").partition(b" ")
    if checksum and checksum == _checksum(number, text):
        return decode_kept(text), int(number)
    state = decode_kept(text)
    before = not text.endswith(b" ") and state.keys() >= SECTIONS_OF_ALL
    return (state if before else {"format": UNREADABLE}), None


def state_rows(saved: NumberedState) -> list[tuple[str, str]]:
    """The rows of ``meta`` that :func:`read_kept` reads."""
    text, number = _filled(encode(saved.state)), str(saved.number)
    checksum = _checksum(number.encode(), text.encode()).decode()
    return [("kept", text), (STATE_NUMBER, f"{number} {checksum}")]


def _checksum(number: bytes, text: bytes) -> bytes:
    return str(zlib.crc32(text, zlib.crc32(number))).encode()


def add_absent(
    connection: sqlite3.Connection, lane: Lane, first: int, last: int, reason: str
) -> None:
    """Note in the caller's transaction that these numbers will never come, joining neighbours."""
    index = LANE_INDEX[lane]
    before = connection.execute(
        "SELECT first, last, reason FROM absent WHERE lane = ? AND first < ? "
        "ORDER BY first DESC LIMIT 1",
        (index, first),
    ).fetchone()
    after = connection.execute(
        "SELECT first, last, reason FROM absent WHERE lane = ? AND first = ?", (index, last + 1)
    ).fetchone()
    if after is not None and after[2] == reason:
        connection.execute("DELETE FROM absent WHERE lane = ? AND first = ?", (index, after[0]))
        last = after[1]
    if before is not None and before[1] == first - 1 and before[2] == reason:
        connection.execute(
            "UPDATE absent SET last = ? WHERE lane = ? AND first = ?", (last, index, before[0])
        )
    else:
        connection.execute("INSERT INTO absent VALUES (?,?,?,?)", (index, first, last, reason))


def _filled(text: str) -> str:
    """With a blank behind it at least, and to a multiple of :data:`KEPT_STEP`; a short text lies on
    the page of its row, and stays short."""
    if len(text) < KEPT_STEP // 4:
        return f"{text} "
    return text.ljust((len(text) // KEPT_STEP + 1) * KEPT_STEP)


def decode_kept(text: bytes) -> dict[str, Json]:
    """The saved state; a text that is none has the format :data:`UNREADABLE`."""
    try:
        saved = json.loads(text)
    except (ValueError, RecursionError):
        saved = None
    return saved if isinstance(saved, dict) else {"format": UNREADABLE}


def encode(data: Mapping[str, Json]) -> str:
    """Compact JSON. A number that JSON does not know (NaN) becomes null: a gap, never an error."""
    try:
        return json.dumps(dict(data), separators=(",", ":"), allow_nan=False)
    except ValueError:
        return json.dumps(_finite(dict(data)), separators=(",", ":"))


def _finite(value: Json) -> Json:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _text(value: Json) -> str:
    return "" if value is None else audit.storable(str(value))


def _number(value: Json) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if abs(value) < LARGEST else None


def _whole(value: Json) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if abs(value) < 2**63 else None
