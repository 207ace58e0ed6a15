"""What a sensor saw of a person is gone after a day; counts per hour stay."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from gateway.core import building
from gateway.core.events import CivilTime, Event, Level
from gateway.core.facts import KINDS, Fact
from gateway.core.plan import BuildingPlan
from gateway.journal.backup import backup
from gateway.journal.queries import export, history
from gateway.journal.queries.export import Wanted
from gateway.journal.queue import Work
from gateway.journal.retention import Upkeep
from gateway.journal.store import Store
from gateway.settings.model.configuration import Retention
from tests import plans
from tests.journal.journal_desk import UTC_OFFSET_MS, read
from tests.living_files import contents

HOUR_MS = 3_600_000
MARK = "seen by nobody else 5f1c"
PLAN = BuildingPlan(
    "gw",
    contacts=(plans.contact("wc.pir", private=True),),
    rooms=(plans.room("wc", "WC", motion=("wc.pir",)),),
)
PRIVATE = ("presence_changed", "occupancy_changed")


class House:
    """A building, its journal and its housekeeping, 25 simulated hours long."""

    def __init__(self, path: Path) -> None:
        self.path, self.now = path, 0
        self.store = Store(path, "boot-1")
        self.arrivals = itertools.count(1)
        lives = Retention()
        self.upkeep = Upkeep(
            self.store,
            lives={name[:-3]: getattr(lives, name) for name in Retention.model_fields},
            limit_bytes=10**9,
            now_ms=lambda: self.now,
            on_written=lambda _: None,
            note=lambda _: None,
        )
        self.building = building.start(PLAN, None, 0).state
        self.tell(CivilTime(UTC_OFFSET_MS, True), 0)

    def tell(self, event: Event | None, now: int) -> None:
        step = building.step(self.building, event, now)
        self.building, self.now = step.state, now
        if step.facts:
            self.write(step.facts)

    def write(self, facts: tuple[Fact, ...]) -> None:
        numbered = [(next(self.arrivals), KINDS[fact.kind].lane, fact) for fact in facts]
        self.store.write(Work(facts=numbered, utc_offset_ms=UTC_OFFSET_MS))

    def see(self, now: int, active: bool | None, reason: str = "") -> None:
        while (due := building.wake_at(self.building)) is not None and due <= now:
            self.tell(None, due)
        self.tell(Level("wc.pir", active, now, reason), now)

    def keep_house(self) -> None:
        for pause in self.upkeep.run():
            if pause:
                return

    def utc(self, hours: float) -> int:
        return UTC_OFFSET_MS + round(hours * HOUR_MS)


@pytest.fixture
def house(path: Path) -> Iterator[House]:
    house = House(path)
    for hour in range(25):
        for minute in (5, 25, 45):
            at = hour * HOUR_MS + minute * 60_000
            house.see(at, True)
            house.see(at + 30_000, False)
        if hour == 0:
            data = {"active": None, "reason": MARK, "initial": False}
            house.write((Fact("presence_changed", "wc.pir", house.now, data),))
    house.see(25 * HOUR_MS, False)
    yield house
    house.store.close(clean=False)


def test_the_mark_is_there_before_its_day_is_over(house: House) -> None:
    """The test below could fail."""
    assert MARK.encode() in _bytes(house.path)


def test_after_25_hours_no_motion_of_yesterday_is_in_the_file(house: House) -> None:
    house.keep_house()
    rows = [row for row in read(house.path).after_row(0, 10**6) if row.kind in PRIVATE]
    assert rows, "today's is there"
    assert min(row.utc_ms or 0 for row in rows) >= house.utc(1)
    assert MARK.encode() not in _bytes(house.path)
    with closing(sqlite3.connect(house.path)) as db:
        hours = db.execute(
            "SELECT min(hour) FROM hour JOIN series ON series.id = hour.series WHERE kind = ?",
            ("presence_changed",),
        ).fetchone()
    assert hours[0] is None or hours[0] >= 1


def test_after_25_hours_no_chart_shows_yesterdays_motion(house: House) -> None:
    house.keep_house()
    levels = history.levels(read(house.path), "wc.pir", house.utc(-1), house.utc(25))
    assert all(utc_ms >= house.utc(1) for utc_ms, _ in levels)


def test_after_25_hours_no_export_carries_yesterdays_motion(house: House) -> None:
    house.keep_house()
    reader = read(house.path)
    told = "".join(export.jsonl(reader, Wanted()))
    assert not any(kind in told for kind in PRIVATE)
    everything = "".join(export.jsonl(reader, Wanted(to_utc_ms=house.utc(1), local=True)))
    assert not any(kind in everything for kind in PRIVATE)
    assert MARK not in "".join(export.plain_csv(reader, Wanted(local=True)))


def test_a_backup_carries_no_motion_at_all(house: House, tmp_path: Path) -> None:
    copy = tmp_path / "backup.sqlite"
    backup(house.path, copy)
    assert MARK.encode() not in copy.read_bytes()
    assert not [row for row in read(copy).after_row(0, 10**6) if row.kind in PRIVATE]


def test_the_counts_per_hour_stay(house: House) -> None:
    house.keep_house()
    reader = read(house.path)
    counts = [row for row in reader.after_row(0, 10**6) if row.kind == "occupancy_hour"]
    assert len(counts) >= 24
    assert counts[0].utc_ms is not None
    assert counts[0].utc_ms <= house.utc(1)
    visits = [row.data["visits"] for row in counts]
    assert sum(one for one in visits if isinstance(one, int)) >= 70
    assert "occupancy_hour" in "".join(export.jsonl(reader, Wanted()))


def _bytes(path: Path) -> bytes:
    """The file and what lies beside it."""
    return b"".join(content for _, content in contents(path.parent, f"{path.name}*"))


def test_what_was_deleted_leaves_the_log_as_soon_as_nobody_reads(house: House) -> None:
    with closing(sqlite3.connect(house.path)) as db:
        db.execute("BEGIN")
        db.execute("SELECT count(*) FROM fact").fetchone()
        pauses = []
        for pause in house.upkeep.run():
            if pause:
                pauses.append(pause)
            if len(pauses) == 2:
                break
        assert max(pauses) < 1_000, "it is tried again soon"
    assert house.store.empty_log()
    assert MARK.encode() not in _bytes(house.path)
