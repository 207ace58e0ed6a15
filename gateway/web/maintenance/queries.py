"""What maintenance asks of the journal: missed openings, gaps of meters, calls per month.

Every function here is one short read in a thread of the journal's readers; it raises
:class:`gateway.journal.queries.reader.JournalUnavailable`.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta, tzinfo
from statistics import median
from typing import Any

from gateway.journal.queries import means
from gateway.journal.queries.reader import Boot, Reader, boots
from gateway.journal.schema import HOUR_MS
from gateway.wire import calendar_time

GAP_DAYS = 30
MONTHS = 12
MOST_CALLS = 5_000
"""So many facts of each kind are looked at, the newest ones."""
CALL_KINDS = ("call_raised", "call_acknowledged", "call_attended", "call_cancelled")


@dataclass(frozen=True, slots=True)
class Gaps:
    """A meter in the last :data:`GAP_DAYS` days. ``refused``: readings without a value;
    ``silent``: how often it fell silent; ``empty_hours`` of ``hours`` had no value."""

    point: str
    refused: int
    silent: int
    empty_hours: int
    hours: int


@dataclass(frozen=True, slots=True)
class Month:
    """Calls of one room in one month (``2025-03``), with the median of how long it took from
    the first pull; never per person. ``None``: it never happened."""

    month: str
    calls: int
    tests: int
    acknowledged_ms: int | None
    attended_ms: int | None
    cancelled_ms: int | None


def alarms_raised(reader: Reader, kind: str, subjects: Iterable[str]) -> dict[str, int]:
    """How often an alarm of a kind was raised for each subject, as far as the journal reaches."""

    def work(db: sqlite3.Connection) -> dict[str, int]:
        return {
            subject: sum(_count(db, number) for number in _series(db, f"{subject}/{kind}"))
            for subject in subjects
        }

    def _series(db: sqlite3.Connection, alarm: str) -> list[int]:
        return _numbers(db, ("alarm_raised",), alarm)

    return reader.read(work)


def _count(db: sqlite3.Connection, series: int) -> int:
    return int(db.execute("SELECT count(*) FROM fact WHERE series = ?", (series,)).fetchone()[0])


def _numbers(db: sqlite3.Connection, kinds: Sequence[str], subject: str) -> list[int]:
    marks = ",".join("?" * len(kinds))
    found = db.execute(
        f"SELECT id FROM series WHERE kind IN ({marks}) AND subject = ?", (*kinds, subject)
    )
    return [number for (number,) in found]


def gaps(reader: Reader, points: Iterable[str], now_utc_ms: int) -> list[Gaps]:
    """What is missing of each meter, from the hourly sums that the journal keeps."""
    since = now_utc_ms - GAP_DAYS * 86_400_000

    def work(db: sqlite3.Connection) -> list[Gaps]:
        known = list(boots(db).values())
        return [_gaps(db, known, point, since, now_utc_ms) for point in points]

    return reader.read(work)


def _gaps(db: sqlite3.Connection, known: list[Boot], point: str, since: int, now: int) -> Gaps:
    refused, told, first = 0, set(), now
    for series in _numbers(db, ("reading",), point):
        for boot in known:
            for low, high, offset in boot.mono_ranges(since, now):
                within = (-(-low // HOUR_MS), high // HOUR_MS)
                for hour, (count, missing) in means.counts(db, series, boot.id, within).items():
                    refused += missing
                    begin = hour * HOUR_MS + offset
                    first = min(first, begin)
                    if count and begin + HOUR_MS <= now:  # the running hour is not over
                        told.add(begin // HOUR_MS)
    silent = 0
    for series in _numbers(db, ("alarm_raised",), f"{point}/meter_silent"):
        for boot in known:
            for low, high, _ in boot.mono_ranges(since, now):
                silent += db.execute(
                    "SELECT count(*) FROM fact WHERE series = ? AND boot = ? AND mono_ms >= ? "
                    "AND mono_ms < ?",
                    (series, boot.id, low, high),
                ).fetchone()[0]
    hours = (now - first) // HOUR_MS
    return Gaps(point, refused, silent, max(0, hours - len(told)), hours)


def months(reader: Reader, room: str, now_utc_ms: int, zone: tzinfo) -> list[Month]:
    """Calls and tests of a room in each of the last :data:`MONTHS` months, newest first;
    months without any are absent."""

    def work(db: sqlite3.Connection) -> list[tuple[str, str, int, dict[str, Any]]]:
        known, found = boots(db), []
        for kind in CALL_KINDS:
            for series in _numbers(db, (kind,), room):
                rows = db.execute(
                    "SELECT boot, mono_ms, data FROM fact WHERE series = ? "
                    "ORDER BY boot DESC, mono_ms DESC LIMIT ?",
                    (series, MOST_CALLS),
                )
                for boot, mono_ms, text in rows:
                    utc_ms = known[boot].utc_ms(mono_ms) if boot in known else None
                    data = _data(text)
                    if utc_ms is not None and "call" in data:
                        found.append((kind, str(data["call"]), utc_ms, data))
        return found

    told = sorted(reader.read(work), key=lambda fact: fact[2])
    now = calendar_time(now_utc_ms, zone)
    oldest = (now.replace(day=15) - timedelta(days=30.44 * (MONTHS - 1))).strftime("%Y-%m")
    return [month for month in _by_month(told, zone) if month.month >= oldest]


def _data(text: str | None) -> dict[str, Any]:
    try:
        data = json.loads(text or "{}")
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}


def _by_month(told: Iterable[tuple[str, str, int, dict[str, Any]]], zone: tzinfo) -> list[Month]:
    begun: dict[str, str] = {}
    real: set[str] = set()
    took: dict[tuple[str, str], int] = {}
    for kind, call, utc_ms, data in told:
        if kind == "call_raised":
            begun.setdefault(call, calendar_time(utc_ms, zone).strftime("%Y-%m"))
            if not data.get("test"):
                real.add(call)
        elif isinstance(after := data.get("after_ms"), int):
            took.setdefault((kind, call), after)  # the first of each sort counts

    def middle(kind: str, calls: list[str]) -> int | None:
        times = [took[kind, call] for call in calls if (kind, call) in took]
        return int(median(times)) if times else None

    found = []
    for month in sorted(set(begun.values()), reverse=True):
        calls = [call for call, its in begun.items() if its == month and call in real]
        tests = sum(its == month and call not in real for call, its in begun.items())
        spans = [middle(kind, calls) for kind in CALL_KINDS[1:]]
        found.append(Month(month, len(calls), tests, *spans))
    return found
