"""Dew point, frost, mould and the fan."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from gateway.core.events import Reading
from gateway.core.facts import Json
from gateway.core.instant import Ms
from gateway.core.plan import ClimatePlan
from gateway.core.room.climate import dew_point_c
from gateway.core.snapshot_types import QuantityShown
from tests import plans
from tests.core.building_bench import Bench
from tests.core.sensor_bench import house_of, room_of

MINUTE: Ms = 60_000
HOUR: Ms = 60 * MINUTE
METER = "wc.climate"


class Air(Bench):
    """A room with a climate meter."""

    def __init__(self, plan: ClimatePlan, kept: dict[str, Json] | None = None) -> None:
        super().__init__(house_of(plans.room("wc", "WC", climate=plan)), kept)

    def reads(self, now: Ms, cold: float | None = None, humid: float | None = None) -> None:
        """Both values, once a minute from the last time on."""
        while self.now + MINUTE < now:
            self.reads(self.now + MINUTE, cold, humid)
        self.at(now, Reading(METER, "temperature_c", cold, "" if cold is not None else "gone"))
        self.at(now, Reading(METER, "humidity_percent", humid, "" if humid is not None else "gone"))

    def dew_points(self) -> list[tuple[Ms, Json]]:
        return [
            (fact.at_ms, fact.data["value"])
            for fact in self.facts
            if fact.kind == "reading" and fact.data["quantity"] == "dew_point_c"
        ]


@pytest.fixture
def air() -> Air:
    return Air(plans.climate(METER, fan="wc.fan", mould_after_ms=2 * HOUR))


# --- dew point ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("temperature_c", "humidity_percent", "expected_c"),
    [
        (20.0, 100.0, 20.0),
        (20.0, 50.0, 9.3),
        (25.0, 60.0, 16.7),
        (0.0, 80.0, -3.0),
        (40.0, 10.0, 2.6),
    ],
)
def test_the_dew_point_is_that_of_the_tables(
    temperature_c: float, humidity_percent: float, expected_c: float
) -> None:
    """psychrometric tables over water, to a tenth"""
    found = dew_point_c(temperature_c, humidity_percent)
    assert found == pytest.approx(expected_c, abs=0.1)


def test_perfectly_dry_air_has_no_dew_point(air: Air) -> None:
    assert dew_point_c(20.0, 0.0) is None
    air.reads(MINUTE, 20.0, 0.0)
    assert air.dew_points() == []


def test_the_dew_point_is_a_reading_of_the_meter(air: Air) -> None:
    air.reads(MINUTE, 20.0, 50.0)
    assert air.dew_points() == [(MINUTE, 9.26)]
    assert room_of(air)["climate"] == {
        "point": METER,
        "temperature_c": 20.0,
        "humidity_percent": 50.0,
        "dew_point_c": 9.26,
        "at_ms": MINUTE,
        "fan": False,
    }


def test_the_dew_point_is_shown_beside_what_the_meter_measures(air: Air) -> None:
    assert "dew_point_c" not in shown_of(air), "nothing is known yet"
    air.reads(MINUTE, 20.0, 50.0)
    assert shown_of(air)["dew_point_c"] == {"value": 9.26, "at_ms": MINUTE, "reason": ""}


def test_a_meter_of_another_room_has_no_dew_point_of_this_one() -> None:
    rooms = (plans.room(n, n, climate=plans.climate(f"{n}.climate")) for n in ("a", "b"))
    house = Bench(house_of(*rooms))
    house.at(1000, Reading("a.climate", "temperature_c", 20.0))
    assert "dew_point_c" in shown_of(house, "a.climate")
    assert "dew_point_c" not in shown_of(house, "b.climate")


def shown_of(house: Bench, point: str = METER) -> Mapping[str, QuantityShown]:
    return house.shown()["points"][point]["quantities"]


def test_a_dew_point_is_told_when_it_has_moved_and_now_and_then(air: Air) -> None:
    air.reads(MINUTE, 20.0, 50.0)
    air.reads(2 * MINUTE, 20.1, 50.0)
    assert len(air.dew_points()) == 1
    air.reads(3 * MINUTE, 20.3, 50.0)
    assert len(air.dew_points()) == 2
    air.reads(17 * MINUTE, 20.3, 50.0)
    assert len(air.dew_points()) == 2
    air.reads(18 * MINUTE, 20.3, 50.0)
    assert len(air.dew_points()) == 3


def test_without_one_of_its_values_the_dew_point_is_a_gap(air: Air) -> None:
    air.reads(MINUTE, 20.0, 50.0)
    air.until(4 * MINUTE)
    gap = [fact for fact in air.facts if fact.data.get("quantity") == "dew_point_c"][-1]
    assert gap.data == {"quantity": "dew_point_c", "value": None, "reason": "silent"}
    assert len(air.dew_points()) == 2, "one gap"
    air.reads(5 * MINUTE, 20.0, 50.0)
    assert len(air.dew_points()) == 3


def test_a_meter_without_humidity_has_no_dew_point() -> None:
    house = Bench(house_of(plans.room("wc", "WC", climate=plans.climate(METER))))
    house.at(1000, Reading(METER, "temperature_c", 20.0))
    shown = room_of(house)["climate"]
    assert isinstance(shown, dict)
    assert (shown["temperature_c"], shown["dew_point_c"], shown["fan"]) == (20.0, None, None)


# --- frost and mould ----------------------------------------------------------------------


def test_frost_is_told_after_five_minutes_and_ends_a_degree_above(air: Air) -> None:
    air.reads(MINUTE, 4.0, 50.0)
    air.reads(6 * MINUTE - 1, 4.0, 50.0)
    assert air.alarms() == {}
    air.reads(6 * MINUTE, 3.5, 50.0)
    [raised] = air.told("alarm_raised")
    assert raised == {"severity": "fault", "count": 1, "detail": "temperature_c 4.0"}
    air.reads(7 * MINUTE, 5.9, 50.0)
    assert air.alarms() == {"wc/frost": "active"}
    air.reads(8 * MINUTE, 6.0, 50.0)
    assert air.alarms() == {"wc/frost": "cleared"}


def test_an_open_door_is_no_frost(air: Air) -> None:
    air.reads(MINUTE, 4.0, 50.0)
    air.reads(4 * MINUTE, 5.0, 50.0)
    air.reads(5 * MINUTE, 4.0, 50.0)
    air.reads(9 * MINUTE, 4.0, 50.0)
    assert air.alarms() == {}


def test_humid_for_hours_is_mould(air: Air) -> None:
    air.reads(MINUTE, 20.0, 75.0)
    air.reads(2 * HOUR, 20.0, 75.0)
    assert air.alarms() == {}
    air.reads(2 * HOUR + MINUTE, 20.0, 80.0)
    assert air.raised() == ["wc/mould"]
    air.reads(3 * HOUR, 20.0, 72.0)
    assert air.alarms() == {"wc/mould": "active"}
    air.reads(3 * HOUR + MINUTE, 20.0, 71.9)
    assert air.alarms() == {"wc/mould": "cleared"}


def test_what_is_not_known_is_neither_cold_nor_humid(air: Air) -> None:
    """What stood goes on standing, what was only about to stand starts anew."""
    air.reads(MINUTE, 4.0, 80.0)
    air.reads(10 * MINUTE, 4.0, 80.0)
    air.until(HOUR)
    assert [alarm for alarm in air.alarms() if alarm.startswith("wc/")] == ["wc/frost"]
    air.reads(HOUR + MINUTE, 4.0, 80.0)
    air.reads(3 * HOUR, 4.0, 80.0)
    assert "wc/mould" not in air.alarms()
    air.reads(3 * HOUR + MINUTE, 4.0, 80.0)
    assert "wc/mould" in air.alarms()


def test_limits_that_are_left_out_are_not_watched() -> None:
    air = Air(plans.climate(METER, frost_below_c=None, mould_above_percent=None))
    air.reads(MINUTE, -20.0, 100.0)
    air.reads(12 * HOUR, -20.0, 100.0)
    assert air.alarms() == {}


@pytest.mark.parametrize(
    ("cold", "humid", "left"),
    [
        (4.9, 74.0, ["wc/frost"]),
        (5.0, 76.0, ["wc/mould"]),
        (5.0, 74.0, []),
    ],
)
def test_a_notice_of_before_the_restart_ends_when_it_is_seen_to(
    air: Air, cold: float, humid: float, left: list[str]
) -> None:
    air.reads(MINUTE, 4.0, 80.0)
    air.reads(3 * HOUR, 4.0, 80.0)
    kept = air.kept()
    again = Air(plans.climate(METER, fan="wc.fan"), kept)
    assert set(again.alarms().values()) == {"active"}
    again.reads(MINUTE, cold, humid)
    assert [name for name, state in again.alarms().items() if state == "active"] == left


def test_a_notice_that_nobody_watches_any_more_is_over(air: Air) -> None:
    air.reads(MINUTE, 4.0, 80.0)
    air.reads(3 * HOUR, 4.0, 80.0)
    off = plans.climate(METER, frost_below_c=None, mould_above_percent=None)
    assert set(Air(off, air.kept()).alarms().values()) == {"cleared"}


# --- fan ----------------------------------------------------------------------------------


def test_the_fan_runs_from_humid_until_dry_and_on_for_a_while(air: Air) -> None:
    air.reads(MINUTE, 20.0, 64.9)
    air.reads(2 * MINUTE, 20.0, 65.0)
    assert air.drives == [(2 * MINUTE, "wc.fan", True)]
    air.reads(5 * MINUTE, 20.0, 60.0)
    air.reads(6 * MINUTE, 20.0, 58.0)
    air.reads(15 * MINUTE, 20.0, 50.0)
    assert len(air.drives) == 1
    air.reads(17 * MINUTE, 20.0, 50.0)
    assert air.drives[1:] == [(16 * MINUTE, "wc.fan", False)]


def test_humid_again_in_the_run_on_time_goes_on(air: Air) -> None:
    air.reads(MINUTE, 20.0, 70.0)
    air.reads(2 * MINUTE, 20.0, 55.0)
    air.reads(3 * MINUTE, 20.0, 70.0)
    air.reads(30 * MINUTE, 20.0, 70.0)
    assert air.drives == [(MINUTE, "wc.fan", True)]


def test_a_silent_meter_stops_the_fan_after_its_run_on_time(air: Air) -> None:
    air.reads(MINUTE, 20.0, 70.0)
    air.until(HOUR)
    assert air.drives == [(MINUTE, "wc.fan", True), (14 * MINUTE, "wc.fan", False)]


def test_a_fan_of_two_rooms_runs_for_either() -> None:
    rooms = [
        plans.room(
            name, name, climate=plans.climate(f"{name}.climate", fan="fan", fan_run_on_ms=1000)
        )
        for name in ("a", "b")
    ]
    house = Bench(house_of(*rooms))
    for at, room, humid in ((1000, "a", 70.0), (2000, "b", 70.0), (3000, "a", 50.0)):
        house.at(at, Reading(f"{room}.climate", "humidity_percent", humid))
    house.until(10_000)
    assert house.levels["fan"] is True
    house.at(11_000, Reading("b.climate", "humidity_percent", 50.0))
    house.until(20_000)
    assert house.levels["fan"] is False
