"""History of points: means of meters, levels of contacts and relays, marks of doors.

A point and quantity is one series; the index of facts holds (series, boot, instant, value),
so a chart is drawn without touching the facts themselves. For wide ranges there are hourly
roll-ups, kept by the writer. Both are kept per boot in monotonic time and come into civil
time here, by the boot's offsets: so facts from before the clock was trusted take their place.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable
from typing import NamedTuple

from gateway.core.machine import Ms, UtcMs
from gateway.journal.reader import SELECT, Boot, Reader, boots, rows
from gateway.journal.schema import HOUR_MS
from gateway.wire import Row

ROLL_UP_FROM_MS = HOUR_MS
"""Buckets at least this wide are made of roll-ups."""
MOST_LEVELS = 20_000

_LEVEL_KINDS = ("contact_changed", "presence_changed", "relay_changed")


class Bucket(NamedTuple):
    """What a meter said from ``utc_ms`` on, for one bucket's width.

    ``count`` 0 with ``None`` for the values is a gap: the meter was asked and said nothing.
    Where nothing was told at all there is no bucket.
    """

    utc_ms: UtcMs
    min: float | None
    mean: float | None
    max: float | None
    count: int  # type: ignore[assignment]  # hides tuple.count, which nobody asks of a bucket


_Found = dict[UtcMs, Bucket]
"""The buckets of a chart by their beginning."""


def _fill(found: _Found, rows: Iterable[tuple[object, ...]]) -> None:
    """Add rows that have a bucket's columns."""
    for bucket in map(Bucket._make, rows):
        had = found.setdefault(bucket.utc_ms, bucket)
        if had is not bucket:  # most are filled once: a chart has no time for more
            found[bucket.utc_ms] = _joined(had, bucket)


def _joined(one: Bucket, more: Bucket) -> Bucket:
    """Both as one bucket, which begins where the first does."""
    lows = [low for low in (one.min, more.min) if low is not None]
    highs = [high for high in (one.max, more.max) if high is not None]
    count = one.count + more.count
    total = sum(b.mean * b.count for b in (one, more) if b.mean is not None)
    mean = total / count if count else None
    return Bucket(one.utc_ms, min(lows, default=None), mean, max(highs, default=None), count)


def buckets(
    reader: Reader,
    point: str,
    quantity: str,
    from_utc_ms: UtcMs,
    to_utc_ms: UtcMs,
    number: int,
) -> list[Bucket]:
    """Means of a meter in ``number`` buckets of equal width, in order; empty ones are absent.

    Buckets of an hour or more are made of whole hours, each counted in the bucket in which
    its middle lies. Raises :class:`ValueError` for an empty range or no buckets, and
    :class:`gateway.journal.reader.JournalUnavailable`.
    """
    if to_utc_ms <= from_utc_ms or number < 1:
        raise ValueError("a range from earlier to later, in at least one bucket")
    width = -((from_utc_ms - to_utc_ms) // number)

    def work(db: sqlite3.Connection) -> list[Bucket]:
        series = _series(db, "reading", point, quantity)
        found: _Found = {}
        if series is not None:
            for boot in boots(db).values():
                collect = _from_hours if width >= ROLL_UP_FROM_MS else _from_facts
                collect(db, series, boot, (from_utc_ms, to_utc_ms, width), found)
        last = from_utc_ms + (to_utc_ms - 1 - from_utc_ms) // width * width
        for utc_ms in [utc_ms for utc_ms in found if not from_utc_ms <= utc_ms <= last]:
            edge = found.pop(utc_ms)  # of an hour that only partly lies in the range
            _fill(found, [edge._replace(utc_ms=min(max(utc_ms, from_utc_ms), last))])
        return sorted(found.values())

    return reader.read(work)


_Range = tuple[UtcMs, UtcMs, Ms]


def _from_hours(
    db: sqlite3.Connection, series: int, boot: Boot, within: _Range, found: _Found
) -> None:
    from_utc_ms, to_utc_ms, width = within
    for place, segment in enumerate(boot.segments):
        offset = segment.utc_offset_ms
        # An hour belongs to the segment in which it begins, whatever happens to the clock in it.
        first = -(2**40) if place == 0 else -(-segment.from_mono_ms // HOUR_MS)
        last = 2**40
        if place + 1 < len(boot.segments):
            last = -(-boot.segments[place + 1].from_mono_ms // HOUR_MS) - 1
        first = max(first, (from_utc_ms - offset) // HOUR_MS)
        last = min(last, (to_utc_ms - 1 - offset) // HOUR_MS)
        shift = HOUR_MS // 2 + offset - from_utc_ms
        bucket = f"(hour * {HOUR_MS} + ?1) / ?2"
        rows = db.execute(
            f"SELECT ?3 + {bucket} * ?2, min(min), total(sum) / nullif(sum(count), 0), max(max), "
            "sum(count) FROM hour WHERE series = ?4 AND boot = ?5 AND hour BETWEEN ?6 AND ?7 "
            f"GROUP BY {bucket}",
            (shift, width, from_utc_ms, series, boot.id, first, last),
        )
        _fill(found, rows)


def _from_facts(
    db: sqlite3.Connection, series: int, boot: Boot, within: _Range, found: _Found
) -> None:
    from_utc_ms, to_utc_ms, width = within
    for low_ms, high_ms, offset in boot.mono_ranges(from_utc_ms, to_utc_ms):
        where = (
            "FROM fact WHERE series = ?4 AND boot = ?5 AND mono_ms >= ?6 AND mono_ms < ?7 "
            "AND count IS"
        )
        values = (offset - from_utc_ms, width, from_utc_ms, series, boot.id, low_ms, high_ms)
        bucket = "(mono_ms + ?1) / ?2"
        rows = db.execute(
            f"SELECT ?3 + {bucket} * ?2, min(value), avg(value), max(value), count(value) "
            f"{where} NULL GROUP BY {bucket}",
            values,
        )
        _fill(found, rows)
        for utc_ms, count, value, text in db.execute(
            f"SELECT ?3 + {bucket} * ?2, count, value, data {where} NOT NULL", values
        ):
            thinned = json.loads(text)
            mean = value or 0.0 if count else None
            _fill(found, [(utc_ms, thinned.get("min"), mean, thinned.get("max"), count)])


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


def _last_utc_ms(db: sqlite3.Connection, known: dict[int, Boot], boot: Boot) -> UtcMs | None:
    """When the last word of this boot was spoken."""
    until = min(other.first_row for other in known.values() if other.id > boot.id)
    row = db.execute(
        "SELECT mono_ms FROM fact WHERE row < ? AND boot = ? ORDER BY row DESC LIMIT 1",
        (until, boot.id),
    ).fetchone()
    return None if row is None else boot.utc_ms(row[0])


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
