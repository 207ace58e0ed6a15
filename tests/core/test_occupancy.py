"""Whether somebody is believed to be in a room."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

import pytest

from gateway.core.facts import Fact, Json
from gateway.core.instant import ClockKnown, Ms
from gateway.core.plan import RoomPlan
from gateway.core.room import occupancy
from gateway.core.room.occupancy import HOUR_MS, NO_CALL, Role, Seen
from tests import plans
from tests.core.building_bench import OFFSET, Bench
from tests.core.sensor_bench import house_of, room_of

OPEN = plans.room("wc", "WC", motion=("pir", "pir2"), taps=("tap",), elsewhere=("hall",))
"""No contact at the door."""
BOX = plans.room("wc", "WC", motion=("pir",), taps=("tap",), door="door", bolt="bolt")
SECOND: Ms = 1000
MINUTE: Ms = 60_000
POINT: Mapping[Role, str] = {
    "motion": "pir",
    "taps": "tap",
    "door": "door",
    "bolt": "bolt",
    "elsewhere": "hall",
}


class Room:
    """One machine that is told what its sensors see and lives in between."""

    def __init__(self, plan: RoomPlan = OPEN, *, levels: bool = True) -> None:
        self.one = occupancy.start(plan, 0)
        self.facts: list[Fact] = []
        self.now = 0
        if levels:
            for point in plan.motion:
                self.see(0, "motion", False, point)
            for point in plan.taps:
                self.see(0, "taps", False, point)
            if plan.bolt:
                self.see(0, "bolt", False)
            if plan.door:
                self.see(0, "door", True)
                self.see(0, "door", False)
            self.until(MINUTE)
            assert self.belief == "vacant"
            self.facts.clear()

    def tell(self, event: occupancy.Event | None, now: Ms) -> None:
        result = occupancy.step(self.one, event, now)
        self.one, self.now = result.state, now
        self.facts += result.facts

    def until(self, now: Ms) -> str:
        while (due := occupancy.wake_at(self.one)) is not None and due <= now:
            assert due > self.one.at_ms
            self.tell(None, due)
        self.now = now
        return self.belief

    def see(self, now: Ms, role: Role, active: bool | None, point: str | None = None) -> str:
        self.until(now)
        self.tell(Seen(role, point or POINT[role], active), now)
        return self.belief

    @property
    def belief(self) -> str:
        return self.one.belief

    @property
    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.one.conditions]

    def told(self, kind: str) -> list[tuple[Ms, Mapping[str, Json]]]:
        return [(fact.at_ms, fact.data) for fact in self.facts if fact.kind == kind]


# --- without a door contact ---------------------------------------------------------------


def test_a_sign_counts_for_as_long_as_it_lasts() -> None:
    room = Room()
    assert room.see(2 * MINUTE, "motion", True) == "occupied"
    assert room.until(10 * MINUTE) == "occupied"
    assert room.see(10 * MINUTE, "motion", False) == "vacant"
    assert room.told("occupancy_changed") == [
        (2 * MINUTE, {"occupancy": "occupied", "for_ms": 110 * SECOND}),
        (10 * MINUTE, {"occupancy": "vacant", "for_ms": 8 * MINUTE}),
    ]


def test_a_short_sign_counts_for_a_while_from_its_beginning() -> None:
    room = Room()
    room.see(2 * MINUTE, "taps", True)
    assert room.see(2 * MINUTE + SECOND, "taps", False) == "occupied"
    assert room.until(2 * MINUTE + 9_999) == "occupied"
    assert room.until(2 * MINUTE + 10_000) == "vacant"


def test_two_sensors_carry_one_stay() -> None:
    room = Room()
    room.see(2 * MINUTE, "motion", True)
    room.see(3 * MINUTE, "motion", True, "pir2")
    assert room.see(4 * MINUTE, "motion", False) == "occupied"
    assert room.see(5 * MINUTE, "motion", False, "pir2") == "vacant"
    assert room.one.hour.visits == 1


def test_motion_elsewhere_ends_what_a_sign_still_counts() -> None:
    room = Room()
    room.see(2 * MINUTE, "motion", True)
    room.see(2 * MINUTE + SECOND, "motion", False)
    assert room.see(2 * MINUTE + 5 * SECOND, "elsewhere", True) == "vacant"
    assert room.see(2 * MINUTE + 6 * SECOND, "elsewhere", False) == "vacant"


def test_motion_elsewhere_does_not_beat_motion_in_the_room() -> None:
    """Two people live there."""
    room = Room()
    room.see(2 * MINUTE, "motion", True)
    assert room.see(2 * MINUTE + 5 * SECOND, "elsewhere", True) == "occupied"
    assert room.see(2 * MINUTE + 6 * SECOND, "motion", False) == "vacant"


# --- what is not known --------------------------------------------------------------------


def test_after_a_start_nobody_knows_until_the_signs_of_before_are_over() -> None:
    room = Room(levels=False)
    assert room.belief == "unknown"
    assert room.see(SECOND, "motion", False) == "unknown"
    assert room.until(9_999) == "unknown"
    assert room.until(10_000) == "vacant"


def test_motion_at_start_is_a_person() -> None:
    room = Room(levels=False)
    assert room.see(0, "motion", True) == "occupied"


def test_without_any_sensor_that_can_be_read_nothing_is_known() -> None:
    room = Room()
    room.see(2 * MINUTE, "motion", None)
    assert room.belief == "vacant", "the other one still sees"
    room.see(3 * MINUTE, "motion", None, "pir2")
    assert room.belief == "unknown", "a tap alone does not see who sits still"
    assert room.see(4 * MINUTE, "taps", True) == "occupied"
    assert room.until(5 * MINUTE) == "occupied"
    assert room.see(5 * MINUTE, "taps", False) == "unknown"


def test_where_only_taps_see_they_are_believed() -> None:
    room = Room(replace(OPEN, motion=()))
    assert room.see(2 * MINUTE, "taps", None) == "unknown"


def test_a_sensor_that_never_pauses_is_not_believed_for_ever() -> None:
    room = Room()
    room.see(2 * MINUTE, "motion", True)
    assert room.until(122 * MINUTE - 1) == "occupied"
    assert room.until(122 * MINUTE) == "unknown"
    assert room.until(5 * HOUR_MS) == "unknown"
    assert room.kinds == [], "nobody is sent to look after a sensor"
    assert room.see(5 * HOUR_MS, "motion", False) == "vacant"


def test_one_sign_without_a_pause_is_no_proof_of_a_long_stay() -> None:
    """A sensor in a real flat did not let go for an hour, with nobody there for half of it."""
    room = Room()
    room.see(2 * MINUTE, "motion", True)
    assert room.until(62 * MINUTE) == "occupied"
    assert room.kinds == []


def test_signs_that_come_and_go_are_a_proof() -> None:
    room = Room()
    for minute in range(2, 48):
        room.see(minute * MINUTE, "motion", True)
        room.see(minute * MINUTE + 40 * SECOND, "motion", False)
        assert room.belief == "vacant"
    assert room.kinds == ["long_stay"]
    assert room.one.hour.visits == 1
    room.until(49 * MINUTE)
    assert room.kinds == ["long_stay"]
    room.until(50 * MINUTE)
    assert room.kinds == []
    room.see(51 * MINUTE, "motion", True)
    assert room.one.hour.visits == 2


def test_motion_elsewhere_ends_the_stay_in_a_pause() -> None:
    room = Room()
    for minute in range(2, 60, 2):
        room.see(minute * MINUTE, "motion", True)
        room.see(minute * MINUTE + 40 * SECOND, "motion", False)
        room.see(minute * MINUTE + 50 * SECOND, "elsewhere", True)
        room.see(minute * MINUTE + 51 * SECOND, "elsewhere", False)
    assert room.kinds == []
    assert room.one.hour.visits == 29


def test_who_moves_again_was_there_all_the_while() -> None:
    """A sensor that holds its contact for long sees a person who does not come out."""
    room = Room()
    room.see(2 * MINUTE, "motion", True)
    room.see(50 * MINUTE, "motion", False)
    assert room.see(50 * MINUTE + 10 * SECOND, "motion", True) == "occupied"
    assert room.kinds == ["long_stay"]
    assert room.one.hour.visits == 1


def test_water_that_runs_for_long_says_nothing_of_people() -> None:
    room = Room()
    room.see(2 * MINUTE, "taps", True)
    assert room.until(122 * MINUTE) == "vacant"


# --- with a door contact: a wasp in a box -------------------------------------------------


def test_motion_behind_a_closed_door_is_a_person_until_the_door_opens() -> None:
    room = Room(BOX)
    room.see(2 * MINUTE, "door", True)
    room.see(2 * MINUTE + 5 * SECOND, "door", False)
    room.see(2 * MINUTE + 3 * SECOND, "motion", True)
    room.see(2 * MINUTE + 6 * SECOND, "motion", False)
    assert room.until(2 * MINUTE + 14 * SECOND) == "vacant", "who came in may have left again"
    room.see(2 * MINUTE + 19 * SECOND, "motion", True)
    assert room.one.hour.visits == 1
    room.see(2 * MINUTE + 20 * SECOND, "motion", False)
    assert room.until(40 * MINUTE) == "occupied", "however still somebody lies"
    assert room.see(40 * MINUTE, "door", True) == "vacant"


def test_motion_that_lingers_after_the_door_was_closed_is_nobody() -> None:
    room = Room(BOX)
    room.see(2 * MINUTE, "motion", True)
    room.see(3 * MINUTE, "door", True)
    assert room.see(3 * MINUTE + 5 * SECOND, "door", False) == "occupied"
    assert room.see(4 * MINUTE, "motion", False) == "vacant"


def test_motion_that_outlasts_any_lingering_is_a_person() -> None:
    room = Room(BOX)
    room.see(2 * MINUTE, "door", True)
    room.see(2 * MINUTE + 5 * SECOND, "motion", True)
    room.see(2 * MINUTE + 10 * SECOND, "door", False)
    room.until(4 * MINUTE + 10 * SECOND)
    room.see(4 * MINUTE + 11 * SECOND, "motion", False)
    assert room.until(30 * MINUTE) == "occupied"


def test_with_the_door_open_a_sign_counts_as_without_a_contact() -> None:
    room = Room(BOX)
    room.see(2 * MINUTE, "door", True)
    room.see(2 * MINUTE + SECOND, "motion", True)
    assert room.see(2 * MINUTE + 2 * SECOND, "motion", False) == "occupied"
    assert room.until(2 * MINUTE + 11 * SECOND) == "vacant"


def test_a_bolt_is_a_person_and_one_who_unlocks_is_still_inside() -> None:
    room = Room(BOX)
    assert room.see(2 * MINUTE, "bolt", True) == "occupied"
    room.until(20 * MINUTE)
    assert room.see(20 * MINUTE, "bolt", False) == "occupied"
    assert room.see(20 * MINUTE + SECOND, "door", True) == "vacant"


def test_a_bolt_alone_tells_everything() -> None:
    room = Room(plans.room("wc", "WC", bolt="bolt"))
    assert room.see(2 * MINUTE, "bolt", True) == "occupied"
    assert room.see(3 * MINUTE, "bolt", False) == "vacant"
    assert room.see(4 * MINUTE, "bolt", None) == "unknown"


def test_behind_a_door_that_cannot_be_read_nobody_is_said_to_be_gone() -> None:
    room = Room(BOX)
    room.see(2 * MINUTE, "motion", True)
    room.see(2 * MINUTE + SECOND, "motion", False)
    assert room.belief == "occupied"
    assert room.see(3 * MINUTE, "door", None) == "unknown"
    assert room.see(4 * MINUTE, "door", False) == "unknown", "it may have been open meanwhile"
    assert room.see(5 * MINUTE, "door", True) == "vacant"


def test_after_a_start_behind_a_closed_door_the_door_must_open_first() -> None:
    room = Room(BOX, levels=False)
    room.see(0, "door", False)
    room.see(0, "motion", False)
    room.see(0, "bolt", False)
    assert room.until(3 * HOUR_MS) == "unknown"
    assert room.see(3 * HOUR_MS, "door", True) == "vacant"


def test_a_sensor_that_sticks_behind_a_door_makes_no_box() -> None:
    room = Room(BOX)
    room.see(2 * MINUTE, "motion", True)
    room.until(40 * MINUTE)
    room.see(40 * MINUTE, "door", True)
    assert room.see(40 * MINUTE + SECOND, "door", False) == "occupied"
    assert room.until(3 * HOUR_MS) == "unknown"
    assert room.kinds == []
    assert room.see(3 * HOUR_MS, "motion", False) == "vacant"


def test_motion_elsewhere_means_nothing_where_the_door_is_known() -> None:
    room = Room(replace(BOX, elsewhere=("hall",)))
    room.see(2 * MINUTE, "door", True)
    room.see(2 * MINUTE + SECOND, "taps", True)
    room.see(2 * MINUTE + 2 * SECOND, "taps", False)
    assert room.see(2 * MINUTE + 3 * SECOND, "elsewhere", True) == "occupied"


# --- what needs a person ------------------------------------------------------------------


def test_a_long_stay_is_told_once_and_ends_with_the_stay() -> None:
    room = Room(BOX)
    room.see(2 * MINUTE, "bolt", True)
    room.until(47 * MINUTE - 1)
    assert not list(room.one.conditions)
    room.until(47 * MINUTE)
    assert room.one.conditions == (("long_stay", NO_CALL),)
    room.until(5 * HOUR_MS)
    assert room.see(5 * HOUR_MS, "door", None) == "occupied"
    assert room.see(5 * HOUR_MS, "bolt", None) == "unknown"
    assert room.kinds == ["long_stay"], "nobody knows that the person is gone"
    room.see(5 * HOUR_MS, "bolt", False)
    room.see(5 * HOUR_MS, "door", True)
    assert room.kinds == []


def test_a_long_stay_can_be_left_out() -> None:
    room = Room(replace(BOX, long_stay_after_ms=None))
    room.see(2 * MINUTE, "bolt", True)
    room.until(5 * HOUR_MS)
    assert room.kinds == []


def test_nobody_moves_while_somebody_is_there() -> None:
    room = Room(replace(BOX, no_motion_after_ms=10 * MINUTE))
    room.see(2 * MINUTE, "bolt", True)
    room.see(5 * MINUTE, "motion", True)
    room.see(6 * MINUTE, "motion", False)
    room.until(16 * MINUTE - 1)
    assert room.kinds == []
    room.until(16 * MINUTE)
    assert room.one.conditions == (("no_motion", NO_CALL),)
    room.until(48 * MINUTE)
    assert room.kinds == ["long_stay", "no_motion"]
    room.see(48 * MINUTE, "motion", True)
    assert room.kinds == ["long_stay"]


def test_a_sensor_that_cannot_see_says_nothing_of_moving() -> None:
    room = Room(replace(BOX, no_motion_after_ms=10 * MINUTE))
    room.see(2 * MINUTE, "motion", None)
    room.see(2 * MINUTE, "bolt", True)
    room.until(40 * MINUTE)
    assert room.kinds == []


# --- counts per hour ----------------------------------------------------------------------


def test_hours_are_counted_from_the_start_where_the_clock_is_not_known() -> None:
    room = Room()
    for minute in (10, 20):
        room.see(minute * MINUTE, "motion", True)
        room.see((minute + 2) * MINUTE, "motion", False)
    room.until(2 * HOUR_MS)
    assert room.told("occupancy_hour") == [
        (
            HOUR_MS,
            {"visits": 2, "occupied_ms": 4 * MINUTE, "known_ms": HOUR_MS - 10 * SECOND},
        ),
        (2 * HOUR_MS, {"visits": 0, "occupied_ms": 0, "known_ms": HOUR_MS}),
    ]


def test_hours_are_those_of_the_clock_once_it_is_known() -> None:
    room = Room()
    room.tell(ClockKnown(45 * MINUTE), 2 * MINUTE)
    room.until(2 * HOUR_MS)
    assert [at for at, _ in room.told("occupancy_hour")] == [15 * MINUTE, 75 * MINUTE]


def test_a_visit_over_the_full_hour_is_one_visit() -> None:
    room = Room()
    room.see(50 * MINUTE, "motion", True)
    room.see(65 * MINUTE, "motion", False)
    room.until(2 * HOUR_MS)
    told = [data for _, data in room.told("occupancy_hour")]
    assert [data["visits"] for data in told] == [1, 0]
    assert [data["occupied_ms"] for data in told] == [10 * MINUTE, 5 * MINUTE]


def test_who_looks_late_finds_one_hour_and_no_loop() -> None:
    room = Room()
    room.tell(None, 10 * HOUR_MS)
    assert len(room.told("occupancy_hour")) == 1
    assert occupancy.wake_at(room.one) == 11 * HOUR_MS


# --- in the building ----------------------------------------------------------------------


@pytest.fixture
def house() -> Bench:
    return Bench(house_of(BOX))


def test_a_long_stay_is_an_alarm_of_the_room_and_says_that_there_was_no_call(
    house: Bench,
) -> None:
    house.level(MINUTE, "bolt", True)
    house.until(2 * HOUR_MS)
    [raised] = [fact for fact in house.facts if fact.kind == "alarm_raised"]
    assert raised.subject == "wc/long_stay"
    assert raised.data == {"severity": "urgent", "count": 1, "detail": NO_CALL}
    assert room_of(house)["occupancy"] == "occupied"


def test_what_tells_about_a_person_stays_on_the_gateway(house: Bench) -> None:
    house.press(MINUTE, "pir")
    told = {fact.kind for fact in house.facts if fact.subject == "pir"}
    assert told == {"presence_changed"}


def test_a_long_stay_of_before_the_restart_stands_until_the_room_is_seen_vacant(
    house: Bench,
) -> None:
    house.level(MINUTE, "bolt", True)
    house.until(2 * HOUR_MS)
    after = house.restarted()
    assert after.alarms() == {"wc/long_stay": "active"}
    assert room_of(after)["occupancy"] == "unknown"
    after.level(1000, "bolt", False)
    after.level(2000, "pir", False)
    after.level(3000, "door", False)
    after.until(MINUTE)
    assert after.alarms() == {"wc/long_stay": "active"}
    after.level(2 * MINUTE, "door", True)
    assert after.alarms() == {"wc/long_stay": "cleared"}


def test_the_hours_of_the_building_are_those_of_the_clock(house: Bench) -> None:
    house.until(HOUR_MS)
    [hour] = [fact for fact in house.facts if fact.kind == "occupancy_hour"]
    assert (hour.at_ms + OFFSET) % HOUR_MS == 0


def test_a_room_of_which_nothing_is_seen_has_no_belief() -> None:
    house = Bench(house_of(plans.room("wc", "WC", door="door")))
    house.level(MINUTE, "door", True)
    room = room_of(house)
    assert (room["occupancy"], room["leak"], room["climate"]) == (None, None, None)


def test_a_sensor_that_stuck_before_the_restart_is_not_believed() -> None:
    plan = house_of(plans.room("wc", "WC", motion=("pir",)))
    stuck = replace(plan.contacts[0], stuck_after_ms=2 * HOUR_MS)
    house = Bench(replace(plan, contacts=(stuck,)))
    house.level(MINUTE, "pir", True)
    house.until(3 * HOUR_MS)
    assert room_of(house)["occupancy"] == "unknown"
    assert house.alarms() == {"pir/contact_stuck": "active"}
    after = house.restarted(levels=False)
    after.level(1000, "pir", True)
    assert room_of(after)["occupancy"] == "unknown"
    after.level(MINUTE, "pir", False)
    after.level(2 * MINUTE, "pir", True)
    assert room_of(after)["occupancy"] == "occupied"


@pytest.mark.parametrize("export", [(), ("motion",), ("occupancy",)])
def test_what_may_leave_the_gateway_is_said_in_the_snapshot(
    export: tuple[Literal["motion", "occupancy"], ...],
) -> None:
    house = Bench(replace(house_of(BOX), export=export))
    points = house.shown()["points"]
    assert isinstance(points, dict)
    pir = points["pir"]
    assert isinstance(pir, dict)
    assert pir["exported"] is ("motion" in export)
    assert room_of(house)["exported"] is ("occupancy" in export)
