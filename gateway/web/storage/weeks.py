"""How long a door takes from the press to the open leaf: the median of each week.

The journal keeps the events of doors for a while only (90 days, as configured). A median of a
week tells of no person, so the page keeps those of past weeks, and a drift over half a year is
seen. A week is worked out once it is asked for, each in a read of its own, and again until a
week after its end, because facts may be stamped late.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from datetime import date, datetime, time, timedelta, tzinfo
from functools import partial
from pathlib import Path
from statistics import median
from typing import NamedTuple

from gateway.journal.queries.reader import Reader, boots
from gateway.web.storage.page_tables import PageTables
from gateway.wire import calendar_time, utc_ms_of

WEEKS = 26
SETTLED_AFTER = timedelta(days=7)
SCHEMA = """
CREATE TABLE IF NOT EXISTS door_weeks (
  door TEXT NOT NULL, monday TEXT NOT NULL, openings INTEGER NOT NULL, median_ms INTEGER,
  PRIMARY KEY (door, monday)) WITHOUT ROWID;
"""


class Week(NamedTuple):
    """``median_ms``: from the press to the open leaf; ``None`` where it was never measured."""

    monday: date
    openings: int
    median_ms: int | None


class Weeks:
    """The medians of past weeks, from what was kept and from the journal."""

    def __init__(
        self,
        path: Path,
        zone: tzinfo,
        later: Callable[[Callable[[], object]], object] = lambda change: change(),
    ) -> None:
        """``later`` makes a change that nobody waits for."""
        self._file = PageTables(path, SCHEMA)
        self._zone = zone
        self._later = later

    def of(self, reader: Reader, door: str, now_utc_ms: int, *, keep: bool = True) -> list[Week]:
        """The last :data:`WEEKS` weeks of a door up to the running one, in order; weeks from
        before anything was measured are absent. ``keep``: save them and delete older ones. Runs
        in a thread of the journal's readers; raises
        :class:`gateway.journal.queries.reader.JournalUnavailable`."""
        today = calendar_time(now_utc_ms, self._zone).date()
        running = today - timedelta(days=today.weekday())
        mondays = [running - timedelta(weeks=back) for back in reversed(range(WEEKS))]
        kept = self._kept(door, mondays[0])
        reach = reader.range()
        found, new = [], []
        for monday in mondays:
            was = kept.get(monday)
            if was is not None and monday + timedelta(weeks=1) + SETTLED_AFTER <= today:
                found.append(was)
                continue
            first, last = self._utc_ms(monday), self._utc_ms(monday + timedelta(weeks=1))
            if reach is None or last <= reach[0]:
                week = was
            else:
                took = _took(reader, door, first, last)
                week = Week(monday, len(took), int(median(took)) if took else None)
                if was is not None and was.openings > week.openings:
                    week = was  # some of its openings are no longer in the journal
                new.append(week)
            if week is not None:
                found.append(week)
        if keep:
            self._later(partial(self._keep, door, new, mondays[0]))
        while found and not found[0].openings:
            found.pop(0)
        return found

    def _utc_ms(self, day: date) -> int:
        return utc_ms_of(datetime.combine(day, time()), self._zone)

    def _kept(self, door: str, since: date) -> dict[date, Week]:
        rows = self._file.rows(
            "SELECT monday, openings, median_ms FROM door_weeks WHERE door = ? AND monday >= ?",
            door, since.isoformat(),
        )  # fmt: skip
        return {
            day: Week(day, openings, took)
            for text, openings, took in rows
            if (day := date.fromisoformat(text))
        }

    def _keep(self, door: str, weeks: Sequence[Week], since: date) -> None:
        with self._file.change() as db:
            db.executemany(
                "INSERT OR REPLACE INTO door_weeks VALUES (?, ?, ?, ?)",
                [(door, w.monday.isoformat(), w.openings, w.median_ms) for w in weeks],
            )
            db.execute("DELETE FROM door_weeks WHERE monday < ?", (since.isoformat(),))


def _took(reader: Reader, door: str, from_utc_ms: int, to_utc_ms: int) -> list[int]:
    """From press to open, in ms, of every opening of a door in a range of civil time."""

    def work(db: sqlite3.Connection) -> list[int]:
        took: list[int] = []
        for (series,) in db.execute(
            "SELECT id FROM series WHERE kind = 'door_opened' AND subject = ?", (door,)
        ).fetchall():
            for boot in boots(db).values():
                for low, high, _ in boot.mono_ranges(from_utc_ms, to_utc_ms):
                    rows = db.execute(
                        "SELECT CASE WHEN json_valid(data) "
                        "THEN json_extract(data, '$.press_to_open_ms') END FROM fact "
                        "WHERE series = ? AND boot = ? AND mono_ms >= ? AND mono_ms < ?",
                        (series, boot.id, low, high),
                    )
                    took += [value for (value,) in rows if isinstance(value, int)]
        return took

    return reader.read(work)
