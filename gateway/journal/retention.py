"""What goes, and when: lives of kinds, the size limit, and the file that shrinks afterwards.

Everything is done in slices of a few milliseconds, each a transaction of its own; between
two slices the writer looks whether something waits. So :meth:`Upkeep.run` is a generator: it
yields how long it may be left alone.

Every number that goes leaves its answer in ``absent`` in the same transaction: ``expired``
(its life was over), ``thinned`` (it became part of a mean), ``lost`` (there was no room).

The audit chain has a share of the limit of its own (:data:`AUDIT_SHARE`). Over it, refusals are
removed, oldest first; what was done only when no refusal is left. Facts make no room for it.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from gateway import set_aside
from gateway.core.facts import KINDS, LANES, Fact, Lane, is_evidence
from gateway.core.instant import Ms, UtcMs
from gateway.journal import audit, schema, uptime
from gateway.journal.queries import means
from gateway.journal.queries.reader import Boot, boots
from gateway.journal.schema import HOUR_MS, LANE_INDEX
from gateway.journal.store import Numbered, Store, add_absent

ROUND_MS = 60_000
ROUNDS_PER_EXPIRY = 60
ROUNDS_PER_SCRUB = 1_440
THIN_FROM, THIN_TO = 0.80, 0.78
DROP_FROM, DROP_TO = 0.95, 0.93
URGENT_FROM, URGENT_TO = 1.00, 0.98
AUDIT_SHARE, AUDIT_TO = 0.10, 0.09
"""Of the limit: what the audit chain may take, and to where it is brought back."""
ROUTINE_LEAST = 0.10
"""Of the limit: where urgent facts alone fill the file, deleting more of routine does not help."""
_AUDIT_SLICE = 100
_BOOTS_SLICE = 200
_SERIES_SLICE = 200
_ROW_BYTES = 54
"""Of a fact without its text: numbers, and two rows of indexes."""
WIPES, WIPE_AGAIN_MS = 20, 500
"""A read takes 2 s at most."""
_SLICE_S = 0.010
_KEEP_FREE_PAGES = 16
_LATE_MS = 180_000
"""By then what was reported in an hour is committed."""
_HOURS_SLICE = 500
"""Means of hours in one transaction."""
_PER_MEAN = 3
"""Fewer readings than these in an hour are not worth a mean."""


class Upkeep:
    """The housekeeping of one open journal, on the writer's thread.

    ``lives``: how long each retention class lives, and ``audit``. ``now_ms``: the monotonic
    clock of the facts. ``settled``: whether the civil time may decide. ``on_written`` gets the
    facts that were written (means); ``note`` gets the facts that are to be written (what was
    deleted). ``gateway``: its id, the subject of these.
    """

    def __init__(
        self,
        store: Store,
        *,
        lives: Mapping[str, Ms],
        limit_bytes: int,
        now_ms: Callable[[], Ms],
        on_written: Callable[[list[Numbered]], None],
        note: Callable[[Fact], None],
        gateway: str = "gateway",
        settled: Callable[[], bool] = lambda: True,
    ) -> None:
        self._store = store
        self._db = store.connection
        self._lives = lives
        self._limit_bytes = limit_bytes
        self._now_ms = now_ms
        self._settled = settled
        self._on_written = on_written
        self._note = note
        self._gateway = gateway
        self._slice = 64
        self._spare_bytes = 0.0
        """What routine and local facts may lose, of what they take."""
        self._audit_bytes = 0
        self._audit_counted = 0
        """Number of the newest entry whose bytes are in that sum."""
        self._refusals_after = 0
        """Up to here no refusal is left in the chain."""
        self._gone: Counter[str] = Counter()
        self._rolled_up: int | None = None
        """The hour of this boot up to which means are stored; ``None``: not looked yet."""
        self._bounds: dict[int, tuple[Ms | None, Ms | None]] = {}
        """Of each boot: the instants of its first and of its newest fact, before the deleting."""

    def run(self) -> Iterator[Ms]:
        """For ever: one round a minute. Raises :class:`sqlite3.Error`."""
        number = 0
        while True:
            yield from self.roll_up()
            if number % ROUNDS_PER_EXPIRY == 0:
                yield from self.forget()
                yield from self.expire()
                yield from self.drop_series()
                yield from self.drop_boots()
                if +self._gone:
                    yield from self._wipe()
            yield from self.fit_audit()
            yield from self.fit()
            self._say()
            yield from self.shrink()
            number += 1
            if number % ROUNDS_PER_SCRUB == 0:
                yield from self.scrub()
            yield ROUND_MS

    # --- means

    def roll_up(self) -> Iterator[Ms]:
        """Store the means of the hours that are over, once: one transaction for all series of an
        hour or a boot, some at a time. What is stored stays when its facts are removed."""
        newest: Ms = self._store.one(
            "SELECT mono_ms FROM fact WHERE boot = ? ORDER BY row DESC LIMIT 1", self._store.boot_id
        ) or 0  # fmt: skip
        # What was reported in an hour is committed a minute later; what came after it, after it.
        through = min(newest, self._now_ms() - _LATE_MS) // HOUR_MS - 1
        if self._rolled_up is not None and through <= self._rolled_up:
            return
        known = boots(self._db)
        wanted = [self._store.boot_id] if self._rolled_up is not None else sorted(known)
        readings = self._db.execute(
            "SELECT id, subject, quantity FROM series WHERE kind = 'reading'"
        ).fetchall()
        for boot in wanted:
            ends_ms = means.ends_ms(self._db, known, boot)
            last = through if ends_ms is None else ends_ms // HOUR_MS
            begins = means.first_hour(self._db, boot)
            if begins is None:
                continue
            rows: list[tuple[int, int, int, means.Part]] = []
            until = newest if ends_ms is None else ends_ms
            for series, point, quantity in readings:
                times = (means.valid_ms(self._db, point, quantity), until)
                rows += self._hours(series, boot, (max(begins, 0), last), times)
                if len(rows) >= _HOURS_SLICE:
                    self._put_hours(rows)
                    rows = []
                yield 0
            self._put_hours(rows)
        self._rolled_up = through

    def _hours(
        self, series: int, boot: int, hours: tuple[int, int], times: tuple[Ms, Ms]
    ) -> list[tuple[int, int, int, means.Part]]:
        """(series, boot, hour, readings) of the hours from the last stored one on."""
        begins, last = hours
        done: int | None = self._store.one(
            "SELECT max(hour) FROM hour_mean WHERE series = ? AND boot = ?", series, boot
        )
        first = begins if done is None else max(begins, done + 1)
        oldest: Ms | None = self._store.one(
            "SELECT min(mono_ms) FROM fact WHERE series = ? AND boot = ? AND mono_ms >= ?",
            series, boot, (first - 1) * HOUR_MS,
        )  # fmt: skip
        if oldest is None or first > last:
            return []
        first = max(first, oldest // HOUR_MS)
        found: means.Parts = {}
        within = (first * HOUR_MS, (last + 1) * HOUR_MS)
        means.from_facts(self._db, series, boot, within, (0, HOUR_MS), times, found)
        return [(series, boot, hour, one) for hour, one in sorted(found.items())]

    def _put_hours(self, rows: list[tuple[int, int, int, means.Part]]) -> None:
        if not rows:
            return
        with self._store.transaction():
            self._db.executemany(
                "INSERT OR REPLACE INTO hour_mean VALUES (?,?,?,?,?,?,?,?,?)",
                [
                    (*which, one.count, one.gaps, one.covered_ms, one.mean, one.low, one.high)
                    for *which, one in rows
                ],
            )
            self._db.executemany(
                "INSERT OR REPLACE INTO hour VALUES (?,?,?,?,?,?,?,?)",
                [
                    (*which, one.count, one.gaps, one.total, one.low, one.high)
                    for *which, one in rows
                ],
            )

    # --- lives

    def expire(self) -> Iterator[Ms]:
        """Delete what has outlived its class: by the uptime since it, and where the clock is
        settled by civil time, too."""
        now_utc_ms = self._now_utc_ms()
        if now_utc_ms is not None:
            self._gone["broken"] += set_aside.remove_old(self._store.path, now_utc_ms)
        known, self._bounds = boots(self._db), {}
        for count, (number, boot) in enumerate(known.items()):
            last_ms = uptime.last_of_start_ms(self._db, number)
            self._bounds[number] = (self._first_ms(boot), last_ms)
            if count % _BOOTS_SLICE == 0:
                yield 0
        for life, life_ms in self._lives.items():
            ends = self._ends(known, life_ms)
            if life == "audit":
                while gone := self._audit({known[one].boot: high for one, high in ends.items()}):
                    self._gone["audit"] += gone
                    self._audit_bytes = self._audit_counted = 0
                    yield 0
                continue
            for series, _ in self._series_of(life):
                for number, high in ends.items():
                    if high > -(2**61):
                        yield from self._expire_series(life, series, number, high)

    def _now_utc_ms(self) -> UtcMs | None:
        """Civil time, where it may decide what is deleted."""
        offset_ms = self._store.utc_offset_ms
        return None if offset_ms is None or not self._settled() else self._now_ms() + offset_ms

    def drop_boots(self) -> Iterator[Ms]:
        """Remove the oldest boots of which nothing is left: every reader reads all of them."""
        oldest = self._db.execute(
            "SELECT id FROM boot WHERE id < ? ORDER BY id LIMIT ?",
            (self._store.boot_id, _BOOTS_SLICE),
        ).fetchall()
        for (boot,) in oldest:
            left = self._store.one(
                "SELECT EXISTS (SELECT 1 FROM series WHERE EXISTS (SELECT 1 FROM fact "
                "WHERE fact.series = series.id AND boot = ?1) OR EXISTS (SELECT 1 FROM hour "
                "WHERE hour.series = series.id AND boot = ?1) OR EXISTS (SELECT 1 FROM hour_mean "
                "WHERE hour_mean.series = series.id AND boot = ?1))",
                boot,
            )
            if not left:
                with self._store.transaction():
                    self._db.execute("DELETE FROM clock WHERE boot = ?", (boot,))
                    self._db.execute("DELETE FROM boot WHERE id = ?", (boot,))
            yield 0

    def drop_series(self) -> Iterator[Ms]:
        """Remove series of which nothing is left: a stranger may make up names."""
        after = 0
        while True:
            found: list[tuple[int, int]] = self._db.execute(
                "SELECT id, EXISTS (SELECT 1 FROM fact WHERE series = series.id) OR EXISTS "
                "(SELECT 1 FROM hour WHERE series = series.id) OR EXISTS "
                "(SELECT 1 FROM hour_mean WHERE series = series.id) "
                "FROM series WHERE id > ? ORDER BY id LIMIT ?",
                (after, _SERIES_SLICE),
            ).fetchall()
            if not found:
                return
            after = found[-1][0]
            gone = {number for number, left in found if not left}
            if gone:
                with self._store.transaction():
                    self._db.executemany(
                        "DELETE FROM series WHERE id = ?", [(number,) for number in gone]
                    )
                known = self._store.series
                for key in [key for key, number in known.items() if number in gone]:
                    del known[key]
            yield 0

    def _wipe(self) -> Iterator[Ms]:
        """What was deleted is gone from the -wal as well, as soon as nobody reads."""
        for _ in range(WIPES):
            if self._store.empty_log():
                return
            yield WIPE_AGAIN_MS

    def _audit(self, ended: Mapping[str, Ms]) -> int:
        def is_over(entry: audit.ChainEntry) -> bool | None:
            high = ended.get(entry.boot)
            return None if high is None else entry.mono_ms < high

        with self._store.transaction():
            return audit.drop_ended(self._db, is_over, 200)

    def _series_of(self, life: str) -> list[tuple[int, str]]:
        found = self._db.execute("SELECT id, kind FROM series").fetchall()
        return [
            (number, kind)
            for number, kind in found
            if (KINDS[kind].life if kind in KINDS else "gateway") == life
        ]

    def _ends(self, known: Mapping[int, Boot], life_ms: Ms) -> dict[int, Ms]:
        """Of each boot: up to which instant of it everything is older than ``life_ms``."""
        now_utc_ms = self._now_utc_ms()
        ends = self._ends_by_uptime(known, life_ms)
        if now_utc_ms is not None:
            for number, high in self._ends_by_clock(known, now_utc_ms, life_ms).items():
                ends[number] = max(ends[number], high)
        return ends

    def _ends_by_uptime(self, known: Mapping[int, Boot], life_ms: Ms) -> dict[int, Ms]:
        spans, now_ms = self._store.spans, self._now_ms()
        over_ms = spans[-1].before_ms + now_ms - life_ms
        ends: dict[int, Ms] = {}
        for number in known:
            before_ms = uptime.before_ms(spans, number)
            if before_ms is not None:
                ends[number] = over_ms - before_ms
            else:  # older than all that is known of uptime
                ends[number] = 2**62 if spans[0].before_ms < over_ms else -(2**62)
        return ends

    def _ends_by_clock(
        self, known: Mapping[int, Boot], now_utc_ms: UtcMs, life_ms: Ms
    ) -> dict[int, Ms]:
        """Of each boot. A clock may have been wrong for a while: so a time that lies ahead of now
        is none, a boot is as young as any of its clocks says, and none is older than one before it.
        A boot whose time was never known lies before the first known instant after it."""
        before = now_utc_ms - life_ms
        offsets = self._offsets(known, now_utc_ms)
        ends: dict[int, Ms] = {}
        waiting: list[int] = []
        for number in sorted(known):
            offset_ms = offsets.get(number)
            if offset_ms is None:
                waiting.append(number)
                continue
            first_ms, last_ms = self._bounds[number]
            if first_ms is not None and first_ms + offset_ms < before:
                ends.update((one, 2**62) for one in waiting)
            waiting.clear()
            ends[number] = before - offset_ms
            if last_ms is not None and last_ms + offset_ms >= before:
                break  # what follows is younger, whatever its clock says
        return ends

    def _offsets(self, known: Mapping[int, Boot], now_utc_ms: UtcMs) -> dict[int, Ms]:
        """The greatest offset to UTC of each boot that does not lie ahead of now. Starts within
        one boot of the kernel have one monotonic clock, and with it all of their offsets."""
        shared: dict[int, list[Ms]] = {}
        for number, boot in known.items():
            found = shared.setdefault(self._span_of(number), [])
            found += [segment.utc_offset_ms for segment in boot.segments]
        offsets: dict[int, Ms] = {}
        for number, boot in known.items():
            if boot.segments:
                last_ms = self._bounds[number][1] or 0
                fitting = [o for o in shared[self._span_of(number)] if last_ms + o <= now_utc_ms]
                if fitting:
                    offsets[number] = max(fitting)
        return offsets

    def _span_of(self, boot: int) -> int:
        """Which boot of the kernel a start belongs to; one that is older than all is its own."""
        at = bisect_right(self._store.spans, boot, key=lambda span: span.first)
        return self._store.spans[at - 1].first if at else -boot

    def _first_ms(self, boot: Boot) -> Ms | None:
        first: Ms | None = self._store.one(
            "SELECT mono_ms FROM fact WHERE row >= ? AND boot = ? ORDER BY row LIMIT 1",
            boot.first_row,
            boot.id,
        )
        return first

    def _expire_series(self, life: str, series: int, boot: int, high: Ms) -> Iterator[Ms]:
        while gone := self._delete(
            "SELECT row, lane, seq FROM fact WHERE series = ? AND boot = ? AND mono_ms < ? LIMIT ?",
            (series, boot, high),
            "expired",
        ):
            self._gone[life] += gone
            yield 0
        with self._store.transaction():
            for table in ("hour", "hour_mean"):
                self._db.execute(
                    f"DELETE FROM {table} WHERE series = ? AND boot = ? AND hour < ?",
                    (series, boot, min(high // HOUR_MS, 2**61)),
                )

    def _delete(
        self, select: str, values: tuple[object, ...], reason: str, most: int = 2**31
    ) -> int:
        """Delete one slice, at most ``most``, of what ``select`` finds; returns how many went."""
        began = time.monotonic()
        rows = self._db.execute(select, (*values, min(self._slice, most))).fetchall()
        if rows:
            with self._store.transaction():
                self.remove(rows, reason)
        self._measure(began)
        return len(rows)

    def remove(self, rows: list[tuple[int, int, int]], reason: str) -> None:
        """Within a transaction: delete these (row, lane, seq), each with its answer."""
        self._db.executemany("DELETE FROM fact WHERE row = ?", [(row,) for row, _, _ in rows])
        self._store.put_meta("row", str(self._store.head.row))
        for lane, first, last in _runs(sorted((lane, seq) for _, lane, seq in rows)):
            add_absent(self._db, LANES[lane], first, last, reason)

    def _measure(self, began: float) -> None:
        """Make slices larger or smaller so that each takes about the same short time."""
        took = time.monotonic() - began
        if took > _SLICE_S:
            self._slice = max(self._slice // 2, 8)
        elif took < _SLICE_S / 3:
            self._slice = min(self._slice * 2, 512)

    # --- room

    def used_bytes(self) -> int:
        """What the file holds, without its free pages."""
        pages: int = self._store.one("PRAGMA page_count")
        free: int = self._store.one("PRAGMA freelist_count")
        size: int = self._store.one("PRAGMA page_size")
        return (pages - free) * size

    def fit_audit(self) -> Iterator[Ms]:
        """Keep the audit chain within its share of the limit."""
        yield from self._count_audit()
        if self._audit_bytes <= AUDIT_SHARE * self._limit_bytes:
            return
        most = AUDIT_TO * self._limit_bytes
        last = self._store.head.audit  # what says that something was removed is looked at next time
        while self._audit_bytes > most and self._refusals_after < last:
            with self._store.transaction() as head:
                dropped = audit.drop_refusals(
                    self._db,
                    self._store.boot,
                    self._store.utc_offset_ms,
                    self._now_ms(),
                    self._refusals_after,
                    _AUDIT_SLICE,
                )
                head.audit += 1 if dropped.entries else 0
            self._refusals_after = max(dropped.upto, self._refusals_after + 1)
            self._dropped(dropped)
            yield 0
        while self._audit_bytes > most:
            with self._store.transaction():
                dropped = audit.drop_oldest(self._db, _AUDIT_SLICE)
            self._dropped(dropped)
            yield 0
            if not dropped.entries:
                break

    def _dropped(self, dropped: audit.Dropped) -> None:
        self._audit_bytes -= dropped.bytes
        if dropped.entries:
            self._gone["audit"] += dropped.entries

    def _count_audit(self) -> Iterator[Ms]:
        """Add up what the chain takes: all of it in the first round, then what is new."""
        while self._audit_counted < self._store.head.audit:
            more, upto = audit.sizes(self._db, self._audit_counted, 2_000)
            if upto == self._audit_counted:
                break
            self._audit_bytes, self._audit_counted = self._audit_bytes + more, upto
            yield 0

    def fit(self) -> Iterator[Ms]:
        """Keep the file within its limit: thin readings, then drop the oldest of routine, then the
        oldest urgent facts.

        Routine keeps a share of the limit: where urgent facts fill the file, or where the pages
        hold both, deleting all of routine would not make the room that is missing."""
        limit_bytes = self._limit_bytes
        if self.used_bytes() <= THIN_FROM * limit_bytes:
            return
        lanes: tuple[Lane, ...] = ("local", "routine")
        sizes = {lane: self._size_of(lane) for lane in lanes}
        self._spare_bytes = sum(rows * each for rows, each in sizes.values())
        self._spare_bytes -= ROUTINE_LEAST * limit_bytes
        yield from self._thin(sizes["routine"][1])
        if self.used_bytes() <= DROP_FROM * limit_bytes:
            return
        for lane in lanes:
            while self.used_bytes() > DROP_TO * limit_bytes and self._spare_bytes > 0:
                each = max(sizes[lane][1], 1.0)
                gone = self._delete(
                    "SELECT row, lane, seq FROM fact WHERE lane = ? ORDER BY seq LIMIT ?",
                    (LANE_INDEX[lane],),
                    "lost",
                    int(self._spare_bytes / each) + 1,
                )
                self._gone["dropped"] += gone
                self._spare_bytes -= gone * each
                if not gone:
                    break
                yield 0
        if self.used_bytes() > URGENT_FROM * limit_bytes:
            yield from self._drop_urgent()

    def _drop_urgent(self) -> Iterator[Ms]:
        """The oldest urgent facts, those that are no evidence (doors) first."""
        each = max(self._size_of("urgent")[1], 1.0)
        for last in (False, True):
            series = ",".join(
                str(number) for number, kind in self._all_series() if last or not is_evidence(kind)
            )
            while (over := self.used_bytes() - URGENT_TO * self._limit_bytes) > 0:
                gone = self._delete(
                    f"SELECT row, lane, seq FROM fact WHERE lane = ? AND +series IN ({series}) "
                    "ORDER BY seq LIMIT ?",
                    (LANE_INDEX["urgent"],),
                    "lost",
                    int(over / each) + 1,
                )
                self._gone["dropped_urgent"] += gone
                if not gone:
                    break
                yield 0

    def _size_of(self, lane: Lane) -> tuple[float, float]:
        """How many facts of a lane there are, and about how many bytes each takes with its rows
        in two indexes: as the newest of them do."""
        index = LANE_INDEX[lane]
        first: int | None = self._store.one("SELECT min(seq) FROM fact WHERE lane = ?", index)
        last: int | None = self._store.one("SELECT max(seq) FROM fact WHERE lane = ?", index)
        if first is None or last is None:
            return 0.0, 0.0
        absent: float = self._store.one(
            "SELECT total(last - first + 1) FROM absent WHERE lane = ? AND first > ?", index, first
        )
        text: float = self._store.one(
            "SELECT avg(coalesce(length(data), 0)) FROM "
            "(SELECT data FROM fact WHERE lane = ? ORDER BY seq DESC LIMIT 200)",
            index,
        )
        return last - first + 1 - absent, _ROW_BYTES + text

    def _thin(self, each_bytes: float) -> Iterator[Ms]:
        """From the oldest on, the plain readings of an hour become one with min, mean by time,
        max, which begins with the first of them."""
        cursor = schema.meta_number(self._store.connection, "thinned")
        youngest = self._now_ms() - HOUR_MS
        series = ",".join(str(number) for number, kind in self._all_series() if kind == "reading")
        while self.used_bytes() > THIN_TO * self._limit_bytes and self._spare_bytes > 0:
            rows = self._db.execute(
                "SELECT row, lane, seq, series, boot, mono_ms, value FROM fact "
                f"WHERE row > ? AND +series IN ({series}) AND data IS NULL "
                "AND NOT (boot = ? AND mono_ms > ?) ORDER BY row LIMIT 2000",
                (cursor, self._store.boot_id, youngest),
            ).fetchall()
            if not rows:
                break
            groups: dict[tuple[int, int, int], list[tuple[int, int, int, Ms, float]]] = {}
            for row, lane, seq, number, boot, mono_ms, value in rows:
                key = (number, boot, mono_ms // HOUR_MS)
                groups.setdefault(key, []).append((row, lane, seq, mono_ms, value))
            for (number, boot, _), group in groups.items():
                if len(group) >= _PER_MEAN:
                    self._mean(number, boot, group)
                    self._spare_bytes -= (len(group) - 1) * each_bytes
                    yield 0
            cursor = rows[-1][0]
            with self._store.transaction():
                self._store.put_meta("thinned", str(cursor))
            yield 0

    def _all_series(self) -> list[tuple[int, str]]:
        return self._db.execute("SELECT id, kind FROM series").fetchall()

    def _mean(self, series: int, boot: int, group: list[tuple[int, int, int, Ms, float]]) -> None:
        """One slice: a group of readings becomes one new fact with a number of its own."""
        subject, quantity = self._db.execute(
            "SELECT subject, quantity FROM series WHERE id = ?", (series,)
        ).fetchone()
        values = [value for _, _, _, _, value in group]
        numbers = [seq for _, _, seq, _, _ in group]
        begin, mean, lasts_ms, covered_ms = self._by_time(
            series, boot, means.valid_ms(self._db, subject, quantity), group
        )
        fact = Fact(
            "reading",
            subject,
            begin,
            {
                "quantity": quantity,
                "value": mean,
                "min": min(values),
                "max": max(values),
                "count": len(values),
                "covers": [min(numbers), max(numbers)],
                "lasts_s": lasts_ms / 1000,
                "covered_s": covered_ms / 1000,
            },
        )
        with self._store.transaction() as head:
            written = self._store.insert(head, [(fact, LANES[group[0][1]])], boot_id=boot)
            self.remove([(row, lane, seq) for row, lane, seq, _, _ in group], "thinned")
            self._store.put_meta("row", str(head.row))
        self._gone["thinned"] += len(group)
        self._on_written(written)

    def _by_time(
        self, series: int, boot: int, valid: Ms, group: list[tuple[int, int, int, Ms, float]]
    ) -> tuple[Ms, float, Ms, Ms]:
        """Begin, mean by time, length and covered part of a group of readings: up to the reading
        after them, or until the last of them is no longer valid."""
        first, last = min(one[3] for one in group), max(one[3] for one in group)
        rows = self._db.execute(
            "SELECT mono_ms, value FROM fact WHERE series = ? AND boot = ? "
            "AND mono_ms BETWEEN ? AND ? AND count IS NULL ORDER BY mono_ms",
            (series, boot, first, last),
        ).fetchall()
        following: Ms | None = self._store.one(
            "SELECT min(mono_ms) FROM fact WHERE series = ? AND boot = ? AND mono_ms > ?",
            series, boot, last,
        )  # fmt: skip
        end = last + valid if following is None else min(following, last + valid)
        ends_ms = means.ends_ms(self._db, boots(self._db), boot)
        if ends_ms is not None:
            end = max(min(end, ends_ms), last + 1)
        mean, covered_ms = means.thinned(rows, end, valid)
        return first, mean, end - first, covered_ms

    def shrink(self) -> Iterator[Ms]:
        """Give free pages back to the file system, a few at a time."""
        while self._store.one("PRAGMA freelist_count") > _KEEP_FREE_PAGES:
            self._db.execute("PRAGMA incremental_vacuum(32)").fetchall()
            yield 0

    def _say(self) -> None:
        self._gone = +self._gone
        if self._gone:
            detail = ", ".join(f"{what} {count}" for what, count in sorted(self._gone.items()))
            deleted = self._gone.total()
            self._gone.clear()
            self._note(
                Fact(
                    "retention_ran",
                    self._gateway,
                    self._now_ms(),
                    {"deleted": deleted, "detail": detail},
                )
            )

    # --- other rounds

    def scrub(self) -> Iterator[Ms]:
        """Read every row once, so that a bad page is found while it can still be mended."""
        at, last = 0, self._store.head.row
        while at < last:
            self._db.execute(
                "SELECT total(length(data)), total(value) FROM fact WHERE row > ? AND row <= ?",
                (at, at + 1_000),
            ).fetchone()
            at += 1_000
            yield 20

    def forget(self) -> Iterator[Ms]:
        """Take the traces of users out who are to be forgotten (``meta`` names their ids)."""
        for (key,) in self._db.execute("SELECT key FROM meta WHERE key LIKE 'forget.%'").fetchall():
            actor = key.removeprefix("forget.")
            with self._store.transaction():
                audit.forget(self._db, actor)
            at, last = 0, self._store.head.row
            while at < last:
                with self._store.transaction():
                    self._db.execute(
                        "UPDATE fact SET data = json_remove(json_set(data, '$.by', 'forgotten'), "
                        "'$.note', '$.attends') WHERE row > ? AND row <= ? AND data IS NOT NULL "
                        "AND json_extract(data, '$.by') = ?",
                        (at, at + 500, actor),
                    )
                at += 500
                yield 0
            with self._store.transaction():
                self._db.execute("DELETE FROM meta WHERE key = ?", (key,))


def _runs(numbers: list[tuple[int, int]]) -> Iterator[tuple[int, int, int]]:
    """Runs of consecutive numbers of sorted (lane, seq), as (lane, first, last)."""
    run: tuple[int, int, int] | None = None
    for lane, seq in numbers:
        if run is not None and (lane, seq) == (run[0], run[2] + 1):
            run = (lane, run[1], seq)
            continue
        if run is not None:
            yield run
        run = (lane, seq, seq)
    if run is not None:
        yield run
