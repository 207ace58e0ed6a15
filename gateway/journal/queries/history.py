"""History of points: means of meters, levels of contacts and relays, marks of doors.

A point and quantity is one series; the index of facts holds (series, boot, instant, value),
so a chart is drawn without touching the facts themselves. For wide ranges there are hourly
roll-ups, kept by the writer. Both are kept per boot in monotonic time and come into civil
time here, by the boot's offsets: so facts from before the clock was trusted take their place.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Collection, Mapping
from datetime import timedelta, tzinfo
from typing import NamedTuple

from gateway.core.facts import Json
from gateway.core.instant import Ms, UtcMs
from gateway.journal.queries import means
from gateway.journal.queries.means import Part, Parts
from gateway.journal.queries.reader import SELECT, Boot, Reader, boots, rows
from gateway.journal.schema import HOUR_MS
from gateway.wire import Row, calendar_time

ROLL_UP_FROM_MS = HOUR_MS
"""Buckets at least this wide are made of roll-ups."""
MOST_LEVELS = 20_000

_LEVEL_KINDS = ("contact_changed", "presence_changed", "relay_changed")


class Bucket(NamedTuple):
    """What a meter said from ``utc_ms`` on, for one bucket's width.

    ``mean`` is weighted by time (:mod:`gateway.journal.queries.means`), ``min`` and ``max`` include
    the value that was valid when the bucket began, ``count`` is the number of readings in it: 0
    with values where one from before was still valid. ``count`` 0 with ``None`` for the values is a
    gap: the meter was asked and said nothing. Where nothing was said or valid there is no bucket.

    ``covered_ms``: for how long a value was known; ``None`` where ``mean`` is of the readings,
    not of the time, because an older version has rolled up some of it.
    """

    utc_ms: UtcMs
    min: float | None
    mean: float | None
    max: float | None
    count: int  # type: ignore[assignment]  # hides tuple.count, which nobody asks of a bucket
    covered_ms: Ms | None = 0


STEPS_MS = tuple(
    [s * 1_000 for s in (1, 2, 5, 10, 15, 30)]
    + [m * 60_000 for m in (1, 2, 3, 5, 10, 15, 30)]
    + [h * HOUR_MS for h in (1, 2, 3, 6, 12, 24)]
)
"""Widths of buckets that people can read. Wider ones are whole days."""


def grid(from_utc_ms: UtcMs, to_utc_ms: UtcMs, most: int, zone: tzinfo) -> tuple[UtcMs, Ms, int]:
    """(begin, width, number) of buckets that begin at whole seconds, minutes, hours or days of the
    building's zone and cover a range: at most one more than ``most``."""
    least = (to_utc_ms - from_utc_ms) / most
    day = STEPS_MS[-1]
    width = next((step for step in STEPS_MS if step >= least), math.ceil(least / day) * day)
    offset = calendar_time(from_utc_ms, zone).utcoffset() or timedelta()
    offset_ms = round(offset.total_seconds() * 1000)
    begin = (from_utc_ms + offset_ms) // width * width - offset_ms
    return begin, width, max(1, -((begin - to_utc_ms) // width))


def first_said(reader: Reader, points: Collection[str]) -> dict[str, UtcMs]:
    """When each point first said anything that is still kept, where that time is known."""

    def work(db: sqlite3.Connection) -> dict[str, UtcMs]:
        known, found = boots(db), dict[str, UtcMs]()
        for series, kind, point in db.execute("SELECT id, kind, subject FROM series").fetchall():
            if point not in points or kind not in (*_LEVEL_KINDS, "reading"):
                continue
            row = db.execute(
                "SELECT boot, mono_ms FROM fact INDEXED BY fact_series WHERE series = ?"
                " ORDER BY boot, mono_ms LIMIT 1",
                (series,),
            ).fetchone()
            boot = known.get(row[0]) if row else None
            utc_ms = boot.utc_ms(row[1]) if boot else None
            if utc_ms is not None:
                found[point] = min(utc_ms, found.get(point, utc_ms))
        return found

    return reader.read(work)


def buckets(
    reader: Reader,
    point: str,
    quantity: str,
    from_utc_ms: UtcMs,
    to_utc_ms: UtcMs,
    number: int,
    now_utc_ms: UtcMs | None = None,
) -> list[Bucket]:
    """Means of a meter in ``number`` buckets of equal width, in order; empty ones are absent.

    Buckets of an hour or more are made of whole hours, each counted in the bucket in which
    its middle lies. The last reading is not valid beyond ``now_utc_ms``. Raises
    :class:`ValueError` for an empty range or no buckets, and
    :class:`gateway.journal.queries.reader.JournalUnavailable`.
    """
    if to_utc_ms <= from_utc_ms or number < 1:
        raise ValueError("a range from earlier to later, in at least one bucket")
    width = -((from_utc_ms - to_utc_ms) // number)
    within = (from_utc_ms, to_utc_ms, width)

    def work(db: sqlite3.Connection) -> list[Bucket]:
        series = _series(db, "reading", point, quantity)
        found: Parts = {}
        if series is not None:
            known, valid = boots(db), means.valid_ms(db, point, quantity)
            collect = _from_hours if width >= ROLL_UP_FROM_MS else _from_facts
            for boot in known.values():
                until = _until(db, known, boot, now_utc_ms)
                collect(db, series, boot, within, (valid, until), found)
        return [_bucket(found[place], from_utc_ms + place * width) for place in sorted(found)]

    return reader.read(work)


_Range = tuple[UtcMs, UtcMs, Ms]


def _bucket(one: Part, utc_ms: UtcMs) -> Bucket:
    covered_ms = one.covered_ms if one.by_time else None
    return Bucket(utc_ms, one.low, one.mean, one.high, one.count, covered_ms)


def _until(
    db: sqlite3.Connection, known: dict[int, Boot], boot: Boot, now_utc_ms: UtcMs | None
) -> Ms:
    """Up to when the last reading of a boot may be valid, in its monotonic time."""
    ends_ms = means.ends_ms(db, known, boot.id)
    if ends_ms is not None:
        return ends_ms
    if now_utc_ms is None or not boot.segments:
        return means.FOR_EVER
    return now_utc_ms - boot.segments[-1].utc_offset_ms


def _from_hours(
    db: sqlite3.Connection,
    series: int,
    boot: Boot,
    within: _Range,
    times: tuple[Ms, Ms],
    found: Parts,
) -> None:
    from_utc_ms, to_utc_ms, width = within
    begins = means.first_hour(db, boot.id)
    for place, segment in enumerate(boot.segments):
        offset = segment.utc_offset_ms
        # An hour belongs to the segment in which it begins, whatever happens to the clock in it.
        first = -(2**40) if place == 0 else -(-segment.from_mono_ms // HOUR_MS)
        last = 2**40
        if place + 1 < len(boot.segments):
            last = -(-boot.segments[place + 1].from_mono_ms // HOUR_MS) - 1
        first = max(first, (from_utc_ms - offset) // HOUR_MS)
        last = min(last, (to_utc_ms - 1 - offset) // HOUR_MS)
        # An hour at an edge only partly lies in the range, and belongs to its outermost bucket.
        most = (to_utc_ms - 1 - from_utc_ms) // width
        bucket = f"(hour * {HOUR_MS} + ?1) / ?2"
        shift = HOUR_MS // 2 + offset - from_utc_ms
        values = (shift, width, series, boot.id)
        if begins is None or first < begins:
            old = last if begins is None else min(last, begins - 1)
            _old_hours(db, bucket, (*values, first, old), most, found)
        if begins is None or last < begins:
            continue
        first = max(first, begins)
        for number, count, low, high, area, covered_ms in db.execute(
            f"SELECT {bucket}, sum(count), min(min), max(max), total(mean * covered_ms), "
            "sum(covered_ms) FROM hour_mean "
            "WHERE series = ?3 AND boot = ?4 AND hour BETWEEN ?5 AND ?6 GROUP BY 1",
            (*values, first, last),
        ):
            if number not in found and 0 <= number <= most:  # all but a few
                found[number] = Part(low, high, count, area, covered_ms)
                continue
            one = means.part(found, min(max(number, 0), most))
            one.see(low, high)
            one.count += count
            one.area += area
            one.covered_ms += covered_ms
        _running_hours(db, series, boot.id, (first, last), times, (shift, width, most), found)


def _old_hours(
    db: sqlite3.Connection, bucket: str, values: tuple[int, ...], most: int, found: Parts
) -> None:
    """Hours that an older version has rolled up: each is one mean of its readings."""
    rows = db.execute(
        f"SELECT {bucket}, sum(count), min(min), max(max), total(sum), "
        f"sum(count > 0) * {HOUR_MS} "
        "FROM hour WHERE series = ?3 AND boot = ?4 AND hour BETWEEN ?5 AND ?6 GROUP BY 1",
        values,
    )
    for number, count, low, high, total, ms in rows:
        one = means.part(found, min(max(number, 0), most))
        one.see(low, high)
        one.count += count
        one.total += total
        if count:
            one.cover(total / count, ms)
            one.by_time = False


def _running_hours(
    db: sqlite3.Connection,
    series: int,
    boot: int,
    hours: tuple[int, int],
    times: tuple[Ms, Ms],
    places: tuple[Ms, Ms, int],
    found: Parts,
) -> None:
    """Hours whose means are not stored yet, from the facts."""
    first, last = hours
    done = db.execute(
        "SELECT max(hour) FROM hour_mean WHERE series = ? AND boot = ?", (series, boot)
    ).fetchone()[0]
    first = max(first, 0 if done is None else done + 1)
    if first > last:
        return
    shift, width, most = places
    running: Parts = {}
    within = (first * HOUR_MS, (last + 1) * HOUR_MS)
    means.from_facts(db, series, boot, within, (0, HOUR_MS), times, running)
    for hour, more in running.items():
        one = means.part(found, min(max((hour * HOUR_MS + shift) // width, 0), most))
        one.see(more.low, more.high)
        one.count += more.count
        one.total += more.total
        one.area += more.area
        one.covered_ms += more.covered_ms
        one.by_time &= more.by_time


def _from_facts(
    db: sqlite3.Connection,
    series: int,
    boot: Boot,
    within: _Range,
    times: tuple[Ms, Ms],
    found: Parts,
) -> None:
    from_utc_ms, to_utc_ms, width = within
    for low, high, offset in boot.mono_ranges(from_utc_ms, to_utc_ms):
        grid = (offset - from_utc_ms, width)
        means.from_facts(db, series, boot.id, (low, high), grid, times, found)


def levels(
    reader: Reader, point: str, from_utc_ms: UtcMs, to_utc_ms: UtcMs
) -> list[tuple[UtcMs, bool | None]]:
    """Changes of a contact or relay, in order; ``None`` is unknown.

    The first one stands at ``from_utc_ms``: the level before the range. Between the last
    word of one run of the machine and the first of the next the level is unknown. At most
    20,000 changes, the newest ones.
    """

    def work(db: sqlite3.Connection) -> list[tuple[UtcMs, bool | None]]:
        numbers = [
            number for kind in _LEVEL_KINDS if (number := _series(db, kind, point, "")) is not None
        ]
        changes: list[tuple[UtcMs, bool | None]] = []
        before: tuple[UtcMs, bool | None] | None = None
        known = boots(db)
        for boot in known.values() if numbers else ():
            found = _changes(db, numbers, boot, from_utc_ms, to_utc_ms)
            if boot.id != max(known) and (end := _last_utc_ms(db, known, boot)) is not None:
                found.append((end, None))
            for utc_ms, active in found:
                if utc_ms < from_utc_ms:
                    before = max(before or (utc_ms, active), (utc_ms, active), key=lambda c: c[0])
                elif utc_ms < to_utc_ms:
                    changes.append((utc_ms, active))
        changes.sort(key=lambda change: change[0])
        if before is not None:
            changes.insert(0, (from_utc_ms, before[1]))
        return changes[-MOST_LEVELS:]

    return reader.read(work)


def _changes(
    db: sqlite3.Connection, numbers: list[int], boot: Boot, from_utc_ms: UtcMs, to_utc_ms: UtcMs
) -> list[tuple[UtcMs, bool | None]]:
    """Changes of one boot in the range, and the last one before it."""
    found: list[tuple[UtcMs, bool | None]] = []
    for series in numbers:
        for low, high, offset in boot.mono_ranges(from_utc_ms, to_utc_ms):
            found.extend(
                (mono_ms + offset, None if value is None else bool(value))
                for mono_ms, value in db.execute(
                    "SELECT mono_ms, value FROM fact WHERE series = ? AND boot = ? "
                    "AND mono_ms >= ? AND mono_ms < ? ORDER BY mono_ms DESC LIMIT ?",
                    (series, boot.id, low, high, MOST_LEVELS),
                )
            )
        for low, high, offset in reversed(boot.mono_ranges(-(2**61), from_utc_ms)):
            last = db.execute(
                "SELECT mono_ms, value FROM fact WHERE series = ? AND boot = ? "
                "AND mono_ms >= ? AND mono_ms < ? ORDER BY mono_ms DESC LIMIT 1",
                (series, boot.id, low, high),
            ).fetchone()
            if last is not None:
                found.append((last[0] + offset, None if last[1] is None else bool(last[1])))
                break
    return sorted(found, key=lambda change: change[0])


class StateFact(NamedTuple):
    """A fact that may change a state. ``kind`` is empty where a run of the machine has ended."""

    utc_ms: UtcMs
    kind: str
    data: Mapping[str, Json]


RUN_KINDS = ("gateway_started", "gateway_stopped")
"""Facts of the gateway after which what was known of a state is not known any more."""
MOST_STATES = 5_000


def states(
    reader: Reader,
    subject: str,
    kinds: Collection[str],
    from_utc_ms: UtcMs,
    to_utc_ms: UtcMs,
) -> list[StateFact]:
    """Facts of these kinds about a subject, in order, with the starts and stops of the gateway
    between them: at most the newest 5,000 of the range, and the last of each kind before it."""

    def work(db: sqlite3.Connection) -> list[StateFact]:
        wanted = [
            number
            for number, kind, whom in db.execute("SELECT id, kind, subject FROM series")
            if kind in RUN_KINDS or (kind in kinds and whom == subject)
        ]
        known = boots(db)
        within: list[StateFact] = []
        before: list[StateFact] = []
        for boot in known.values() if wanted else ():
            for number in wanted:
                within += _state_facts(
                    db, known, number, boot, (from_utc_ms, to_utc_ms), MOST_STATES
                )
                before += _state_facts(db, known, number, boot, (-(2**61), from_utc_ms), 1)
            if boot.id != max(known) and (end := _last_utc_ms(db, known, boot)) is not None:
                ended = StateFact(end, "", {})
                if end < from_utc_ms:
                    before.append(ended)
                elif end < to_utc_ms:
                    within.append(ended)
        within.sort(key=lambda one: one.utc_ms)
        return [*sorted(before, key=lambda one: one.utc_ms), *within[-MOST_STATES:]]

    return reader.read(work)


def _state_facts(
    db: sqlite3.Connection,
    known: dict[int, Boot],
    series: int,
    boot: Boot,
    within: tuple[UtcMs, UtcMs],
    limit: int,
) -> list[StateFact]:
    found: list[StateFact] = []
    for low, high, _ in reversed(boot.mono_ranges(*within)):
        found += [
            StateFact(row.utc_ms, row.kind, row.data)
            for row in rows(
                db.execute(
                    f"{SELECT} WHERE fact.series = ? AND fact.boot = ? AND mono_ms >= ? "
                    "AND mono_ms < ? ORDER BY mono_ms DESC LIMIT ?",
                    (series, boot.id, low, high, limit),
                ),
                known,
            )
            if row.utc_ms is not None
        ]
        if limit == 1 and found:
            break
    return found


def _last_utc_ms(db: sqlite3.Connection, known: dict[int, Boot], boot: Boot) -> UtcMs | None:
    """When the last word of this boot was spoken."""
    until = min(other.first_row for other in known.values() if other.id > boot.id)
    row = db.execute(
        "SELECT mono_ms FROM fact WHERE row < ? AND boot = ? ORDER BY row DESC LIMIT 1",
        (until, boot.id),
    ).fetchone()
    return None if row is None else boot.utc_ms(row[0])


def before(reader: Reader, subject: str, utc_ms: UtcMs) -> list[Row]:
    """The newest value or level of each series of a point before an instant, in order of time."""

    def work(db: sqlite3.Connection) -> list[Row]:
        known = boots(db)
        found: list[Row] = []
        for number, kind in db.execute(
            "SELECT id, kind FROM series WHERE subject = ?", (subject,)
        ).fetchall():
            if kind not in ("reading", *_LEVEL_KINDS):
                continue
            newest: list[Row] = []
            for boot in known.values():
                for low, high, _ in boot.mono_ranges(-(2**61), utc_ms):
                    newest += rows(
                        db.execute(
                            f"{SELECT} WHERE fact.series = ? AND fact.boot = ? AND mono_ms >= ? "
                            "AND mono_ms < ? ORDER BY mono_ms DESC LIMIT 1",
                            (number, boot.id, low, high),
                        ),
                        known,
                    )
            found += sorted(newest, key=lambda row: row.utc_ms or 0)[-1:]
        return sorted(found, key=lambda row: (row.utc_ms or 0, row.row))

    return reader.read(work)


def marks(
    reader: Reader,
    subject: str | Collection[str],
    from_utc_ms: UtcMs,
    to_utc_ms: UtcMs,
    limit: int = 1_000,
    kinds: Collection[str] | None = None,
) -> list[Row]:
    """All facts about a door (or any subjects) in the range, the newest ``limit`` in order.

    With ``kinds`` only those, and of alarms those that are about the subjects."""

    def work(db: sqlite3.Connection) -> list[Row]:
        known = boots(db)
        found: list[Row] = []
        for series in _about(db, subject, kinds):
            for boot in known.values():
                for low, high, _ in boot.mono_ranges(from_utc_ms, to_utc_ms):
                    found += rows(
                        db.execute(
                            f"{SELECT} WHERE fact.series = ? AND fact.boot = ? AND mono_ms >= ? "
                            "AND mono_ms < ? ORDER BY mono_ms DESC LIMIT ?",
                            (series, boot.id, low, high, limit),
                        ),
                        known,
                    )
        found.sort(key=lambda row: (row.utc_ms or 0, row.row))
        return found[-limit:]

    return reader.read(work)


class Count(NamedTuple):
    """How many facts of one kind about one subject one bucket holds, and when the first was."""

    utc_ms: UtcMs
    kind: str
    subject: str
    number: int


def counts(
    reader: Reader,
    subjects: Collection[str],
    kinds: Collection[str],
    from_utc_ms: UtcMs,
    to_utc_ms: UtcMs,
    number: int,
) -> list[Count]:
    """Facts of some kinds about some subjects, and alarms about them, in order of time: counted
    in ``number`` buckets of equal width, so that a year is as small as a day.

    Raises :class:`ValueError` as :func:`buckets` does."""
    if to_utc_ms <= from_utc_ms or number < 1:
        raise ValueError("a range from earlier to later, in at least one bucket")
    width = -((from_utc_ms - to_utc_ms) // number)

    def work(db: sqlite3.Connection) -> list[Count]:
        about = _about(db, subjects, kinds)
        found: list[Count] = []
        for boot in boots(db).values() if about else ():
            for low, high, offset in boot.mono_ranges(from_utc_ms, to_utc_ms):
                found.extend(
                    Count(mono_ms + offset, *about[series], many)
                    for series, many, mono_ms in db.execute(
                        "SELECT series, count(*), min(mono_ms) FROM fact "
                        f"WHERE series IN ({','.join(map(str, about))}) AND boot = ? "
                        "AND mono_ms >= ? AND mono_ms < ? GROUP BY series, (mono_ms + ?) / ?",
                        (boot.id, low, high, offset - from_utc_ms, width),
                    )
                )
        return sorted(found)

    return reader.read(work)


def _about(
    db: sqlite3.Connection, subject: str | Collection[str], kinds: Collection[str] | None
) -> dict[int, tuple[str, str]]:
    """The series (with kind and subject) of some subjects. An alarm's name begins with what it
    is about."""
    wanted = {subject} if isinstance(subject, str) else set(subject)
    return {
        number: (kind, whom)
        for number, kind, whom in db.execute("SELECT id, kind, subject FROM series")
        if (whom in wanted if kinds is None else kind in kinds)
        and (whom in wanted or (kind.startswith("alarm_") and whom.partition("/")[0] in wanted))
    }


def series(reader: Reader) -> list[tuple[str, str, str]]:
    """What there is a history of: (kind, subject, quantity)."""
    return reader.read(
        lambda db: db.execute(
            "SELECT kind, subject, quantity FROM series ORDER BY subject, kind, quantity"
        ).fetchall()
    )


def _series(db: sqlite3.Connection, kind: str, subject: str, quantity: str) -> int | None:
    row = db.execute(
        "SELECT id FROM series WHERE kind = ? AND subject = ? AND quantity = ?",
        (kind, subject, quantity),
    ).fetchone()
    return None if row is None else int(row[0])
