"""What goes and when; and that every number keeps an answer."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from gateway.core.facts import Fact
from gateway.journal import retention
from gateway.journal.audit import AuditEntry, verify
from gateway.journal.retention import Upkeep
from gateway.journal.store import Numbered, Store
from tests.journal.journal_desk import (
    UTC_OFFSET_MS,
    YEAR_MS,
    Desk,
    answers,
    opened,
    read,
    reading,
    work,
)

DAY_MS = 86_400_000
HOUR_MS = 3_600_000


class House:
    """An open store and its housekeeping at a chosen instant."""

    def __init__(self, path: Path, limit_bytes: int = 10**9, **lives: int) -> None:
        self.store = Store(path, "boot-1")
        self.now_ms = 0
        self.told: list[Numbered] = []
        self.notes: list[Fact] = []
        self.upkeep = Upkeep(
            self.store,
            lives=lives,
            limit_bytes=limit_bytes,
            now_ms=lambda: self.now_ms,
            on_written=self.told.extend,
            note=self.notes.append,
        )

    def expired(self) -> None:
        for _ in self.upkeep.expire():
            pass

    def round(self) -> None:
        for pause in self.upkeep.run():
            if pause:
                return


def test_each_class_lives_as_long_as_it_is_told(path: Path) -> None:
    house = House(path, doors=90 * DAY_MS, climate=2 * YEAR_MS)
    for day in range(0, 200, 10):
        house.store.write(
            work(opened(day * DAY_MS), reading(day * DAY_MS), utc_offset_ms=UTC_OFFSET_MS)
        )
    house.now_ms = 200 * DAY_MS
    house.round()
    found = answers(read(path))
    assert found["urgent"] == ["expired"] * 11 + ["row"] * 9
    assert found["routine"] == ["row"] * 20
    assert [dict(note.data) for note in house.notes] == [{"deleted": 11, "detail": "doors 11"}]
    house.store.close(clean=False)


def test_before_the_time_is_known_uptime_alone_decides(path: Path) -> None:
    house = House(path, doors=DAY_MS)
    house.store.write(work(opened(0)))
    house.now_ms = DAY_MS
    house.round()
    assert answers(read(path))["urgent"] == ["row"]
    house.now_ms = DAY_MS + 1
    house.expired()
    assert answers(read(path))["urgent"] == ["expired"]
    house.store.close(clean=False)


def test_a_boot_without_time_ends_with_the_first_known_one_after_it(path: Path) -> None:
    store = Store(path, "boot-0")
    store.write(work(opened(5)))
    store.close(clean=True)
    house = House(path, doors=DAY_MS)
    house.store.write(work(opened(0), utc_offset_ms=UTC_OFFSET_MS))
    house.now_ms = DAY_MS // 2
    house.round()
    assert answers(read(path))["urgent"] == ["row", "row"]
    house.now_ms = 2 * DAY_MS
    house.round()
    assert answers(read(path))["urgent"] == ["expired", "expired"]
    house.store.close(clean=False)


def test_ranges_of_absent_numbers_are_joined(path: Path) -> None:
    house = House(path, climate=DAY_MS)
    for at in range(1_000):
        house.store.write(work(reading(at, 1.0, f"meter.{at % 7}"), utc_offset_ms=UTC_OFFSET_MS))
    house.now_ms = 3 * DAY_MS
    house.round()
    assert house.store.one("SELECT count(*) FROM absent") == 1
    assert read(path).absent("routine", 5, 9) == [(5, 9, "expired")]
    house.store.close(clean=False)


def test_numbers_are_not_given_again_when_everything_has_expired(path: Path) -> None:
    house = House(path, doors=DAY_MS)
    house.store.write(work(opened(1), opened(2), utc_offset_ms=UTC_OFFSET_MS))
    house.now_ms = 3 * DAY_MS
    house.round()
    house.store.close(clean=True)
    store = Store(path, "boot-2")
    assert [number[:3] for number in store.write(work(opened(1)))] == [(3, "urgent", 3)]
    store.close(clean=True)


def test_near_the_limit_readings_become_means_with_new_numbers(path: Path) -> None:
    house = House(path)
    for minute in range(600):
        at = minute * 60_000
        house.store.write(
            work(reading(at, minute % 60 / 2), opened(at), utc_offset_ms=UTC_OFFSET_MS)
        )
    house.upkeep._limit_bytes = int(house.upkeep.used_bytes() / 0.81)
    house.now_ms = 20 * HOUR_MS
    house.round()
    reader = read(path)
    found = answers(reader)
    assert found["urgent"] == ["row"] * 600
    assert "thinned" in found["routine"]
    means = [row for row in reader.lane("routine", 1, 9_999) if row.data.get("count")]
    assert dict(means[0].data) == {
        "quantity": "temperature",
        "value": pytest.approx(14.75),
        "min": 0.0,
        "max": 29.5,
        "count": 60,
        "covers": [1, 60],
        "lasts_s": 3600.0,
        "covered_s": 3600.0,
    }
    assert means[0].seq == 601
    assert next(seq for _, _, seq, _ in house.told) == 601
    assert set(found["routine"][600:]) == {"row"}
    assert sum(found["routine"][:600].count(what) for what in ("thinned", "row")) == 600
    assert house.notes[0].kind == "retention_ran"
    house.store.close(clean=False)


def test_over_the_limit_the_oldest_of_routine_goes_and_urgent_stays(path: Path) -> None:
    house = House(path)
    for at in range(300):
        changed = Fact("contact_changed", "front.leaf", at, {"active": True, "initial": False})
        house.store.write(
            work(opened(at), *([changed] * 30), Fact("motion", "wc.pir", at, {"active": True}))
        )
    full = house.upkeep.used_bytes()
    house.upkeep._limit_bytes = full // 2
    house.round()
    assert house.upkeep.used_bytes() < full // 2
    found = answers(read(path))
    assert found["urgent"] == ["row"] * 300
    assert found["routine"][0] == "lost"
    assert found["routine"][-1] == "row"
    first = found["routine"].index("row")
    assert set(found["routine"][first:]) == {"row"}, "the newest stay"
    house.store.close(clean=False)


def test_the_file_shrinks_and_what_was_deleted_is_not_in_it(path: Path) -> None:
    house = House(path, doors=DAY_MS)
    for at in range(300):
        house.store.write(
            work(opened(at, note=f"needle-{at} " + "x" * 900), utc_offset_ms=UTC_OFFSET_MS)
        )
    house.store.checkpoint()
    before = path.stat().st_size
    house.now_ms = 3 * DAY_MS
    house.round()
    house.store.checkpoint()
    assert path.stat().st_size < before - 20 * 4096
    assert b"needle-" not in path.read_bytes()
    house.store.close(clean=False)


def test_slices_stay_short(path: Path) -> None:
    house = House(path, climate=DAY_MS)
    for start in range(0, 20_000, 1_000):
        facts = [reading(at, 1.0, f"meter.{at % 20}") for at in range(start, start + 1_000)]
        house.store.write(work(*facts, utc_offset_ms=UTC_OFFSET_MS))
    house.now_ms = 3 * DAY_MS
    slices = []
    began = time.perf_counter()
    for pause in house.upkeep.run():
        slices.append(time.perf_counter() - began)
        if pause:
            break
        began = time.perf_counter()
    assert sorted(slices)[len(slices) // 2] < 0.04
    assert len(slices) > 20
    house.store.close(clean=False)


def test_old_audit_entries_go_and_the_rest_still_verifies(path: Path) -> None:
    house = House(path, audit=YEAR_MS)
    for day in range(0, 800, 20):
        entry = AuditEntry("web:1", "open_door", "front", "accepted", day * DAY_MS)
        house.store.write(work(audit=[entry], utc_offset_ms=UTC_OFFSET_MS))
    house.now_ms = 800 * DAY_MS
    house.round()
    verdict = verify(house.store.connection)
    assert (verdict.broken, verdict.entries) == (None, 18)
    house.store.write(work(audit=[AuditEntry("web:1", "open_door", "front", "accepted", 1)]))
    assert verify(house.store.connection).broken is None
    house.store.close(clean=False)


def test_forgetting_a_user_takes_the_traces_out_of_facts_and_audit(path: Path) -> None:
    house = House(path)
    request = {"outcome": "accepted", "by": "web:3", "note": "for Mrs Example"}
    entry = AuditEntry("web:3", "open_door", "front", "accepted", 1, "for Mrs Example")
    house.store.write(
        work(
            Fact("door_request", "front", 1, request),
            Fact("door_request", "front", 2, {**request, "by": "web:4"}),
            Fact("call_acknowledged", "wc", 3, {"by": "web:3", "attends": "Mrs Example"}),
            audit=[entry],
            forget=["web:3"],
        )
    )
    house.round()
    data = [dict(row.data) for row in read(path).after_row(0, 9)]
    assert data == [
        {"outcome": "accepted", "by": "forgotten"},
        {**request, "by": "web:4"},
        {"by": "forgotten"},
    ]
    assert verify(house.store.connection).broken is None
    assert house.store.one("SELECT detail FROM audit") is None
    house.store.close(clean=False)


def test_scrubbing_reads_every_row(path: Path) -> None:
    house = House(path)
    house.store.write(work(*(reading(at) for at in range(2_500))))
    assert len(list(house.upkeep.scrub())) == 3
    house.store.close(clean=False)


def test_the_writer_does_the_housekeeping_and_says_so(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "ROUND_MS", 10)
    monkeypatch.setattr(retention, "ROUNDS_PER_EXPIRY", 1)
    desk = Desk(path, lives={"doors": DAY_MS}, now_ms=lambda: 5 * DAY_MS, upkeep_first_ms=0)
    desk.start()
    desk.journal.clock(UTC_OFFSET_MS)
    desk.append(*(opened(at) for at in range(500)))
    desk.until(lambda: desk.facts("retention_ran"))
    desk.close()
    found = answers(read(path))
    assert found["urgent"] == ["expired"] * 500
    assert {fact.subject for fact in desk.facts("retention_ran")} == {"gw"}
    deleted = sum(int(str(fact.data["deleted"])) for fact in desk.facts("retention_ran"))
    assert deleted == 500
    assert read(path).lane("routine", 1, 9)[0].kind == "retention_ran"


def test_urgent_facts_do_not_wait_for_the_housekeeping(path: Path) -> None:
    store = Store(path, "boot-1")
    for start in range(0, 30_000, 2_000):
        facts = [reading(at, 1.0, f"meter.{at % 20}") for at in range(start, start + 2_000)]
        store.write(work(*facts, utc_offset_ms=UTC_OFFSET_MS))
    store.close(clean=True)
    desk = Desk(path, lives={"climate": DAY_MS}, now_ms=lambda: 5 * DAY_MS, upkeep_first_ms=0)
    desk.start()
    desk.journal.saved_state(30.0)
    desk.append(opened(0))
    desk.until(lambda: desk.facts("door_opened"))
    assert not desk.facts("retention_ran"), "the housekeeping was over before it could be disturbed"
    desk.until(lambda: desk.facts("retention_ran"), 60.0)
    desk.close()


def test_boots_of_which_nothing_is_left_go_and_the_others_stay(path: Path) -> None:
    """Every reader reads all of them: a gateway that starts every minute had ever more."""
    for number in range(5):
        store = Store(path, f"boot-{number}")
        if number != 2:
            store.write(work(opened(number), utc_offset_ms=UTC_OFFSET_MS + number * DAY_MS))
        store.close(clean=True)
    house = House(path, doors=3 * DAY_MS)
    house.store.write(work(utc_offset_ms=UTC_OFFSET_MS + 5 * DAY_MS))
    house.now_ms = DAY_MS // 2
    house.round()
    assert house.store.boot == "boot-1"
    assert [boot.boot for boot in read(path).boots()] == ["boot-3", "boot-4", "boot-1"]
    house.store.write(work(opened(1)))
    assert set(answers(read(path))["urgent"]) == {"expired", "row"}
    house.store.close(clean=False)


def test_a_clock_that_steps_without_end_makes_no_more_rows(path: Path) -> None:
    store = Store(path, "boot-1")
    steps = 1_500
    facts = [
        Fact("clock_stepped", "gateway", at, {"by_ms": 1, "utc_offset_ms": UTC_OFFSET_MS + at})
        for at in range(1, steps)
    ]
    store.write(work(*facts, utc_offset_ms=UTC_OFFSET_MS))
    assert store.one("SELECT count(*) FROM clock") <= 1_000
    store.write(work(opened(steps + 5)))
    assert read(path).before_row(None, 1)[0].utc_ms == steps + 5 + UTC_OFFSET_MS + steps - 1
    store.close(clean=False)


def test_series_of_which_nothing_is_left_go_and_come_back_on_use(path: Path) -> None:
    """Whoever may refuse or ask under made-up names made ever more of them."""
    house = House(path, doors=DAY_MS)
    refused = [Fact("door_opened", f"door-{number}", number, {}) for number in range(500)]
    house.store.write(work(*refused, reading(0)))
    house.now_ms = 3 * DAY_MS
    house.store.write(work(Fact("door_opened", "door-1", house.now_ms, {})))
    house.round()
    left = house.store.connection.execute("SELECT kind, subject FROM series ORDER BY 1").fetchall()
    assert left == [("door_opened", "door-1"), ("reading", "wc.climate")]
    house.store.write(work(*[Fact("door_opened", "door-7", house.now_ms + n, {}) for n in (1, 2)]))
    assert [row.subject for row in read(path).before_row(None, 3)] == ["door-7", "door-7", "door-1"]
    house.store.close(clean=False)
