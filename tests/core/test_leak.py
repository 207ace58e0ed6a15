"""Water where none should be: the valve closes, and both last until somebody has looked."""

from __future__ import annotations

import pytest

from gateway.core import building
from gateway.core.facts import Json
from tests import plans
from tests.core.building_bench import Bench
from tests.core.sensor_bench import house_of, reset, room_of

WC = plans.room("wc", "WC", leak="wc.leak", valve="wc.valve")
BARE = plans.room("wc", "WC", leak="wc.leak")


@pytest.fixture
def house() -> Bench:
    return Bench(house_of(WC))


def test_water_is_an_alarm_at_once_and_closes_the_valve(house: Bench) -> None:
    house.level(1000, "wc.leak", True)
    assert house.drives == [(1030, "wc.valve", True)]
    assert house.raised() == ["wc/leak"]
    assert house.told("leak") == [{"wet": True, "latched": True, "valve_closed": True, "by": None}]
    assert room_of(house)["leak"] == {"wet": True, "latched": True, "valve_closed": True}


def test_dry_again_opens_nothing_until_somebody_has_looked(house: Bench) -> None:
    house.level(1000, "wc.leak", True)
    house.level(5000, "wc.leak", False)
    assert house.levels == {"wc.valve": True}
    assert house.alarms() == {"wc/leak": "active"}
    house.acknowledge(6000, "wc/leak")
    assert house.alarms() == {"wc/leak": "acknowledged"}
    assert reset(house, 7000).status == "accepted"
    assert house.levels["wc.valve"] is False
    assert house.alarms() == {}
    assert house.told("leak")[1:] == [
        {"wet": False, "latched": True, "valve_closed": True, "by": None},
        {"wet": False, "latched": False, "valve_closed": False, "by": "web:3"},
    ]


@pytest.mark.parametrize("level", [True, None])
def test_a_reset_waits_until_it_is_seen_to_be_dry(house: Bench, level: bool | None) -> None:
    house.level(1000, "wc.leak", True)
    house.level(2000, "wc.leak", level, "torn off")
    answer = reset(house, 5000)
    assert (answer.status, answer.reason) == ("refused", "still_wet")
    assert house.levels["wc.valve"] is True


def test_an_alarm_that_goes_by_itself_is_not_reset(house: Bench) -> None:
    house.level(1000, "wc.leak", None, "torn off")
    answer = reset(house, 2000, "wc.leak/contact_unknown")
    assert (answer.status, answer.reason) == ("refused", "not_latched")


def test_what_was_reset_already_is_not_reset_again(house: Bench) -> None:
    house.level(1000, "wc.leak", True)
    house.level(2000, "wc.leak", False)
    reset(house, 3000)
    assert house.alarms() == {"wc/leak": "cleared"}
    assert reset(house, 4000).reason == "not_latched"


def test_water_that_comes_again_before_the_reset_is_the_same_alarm(house: Bench) -> None:
    house.level(1000, "wc.leak", True)
    house.level(2000, "wc.leak", False)
    house.level(3000, "wc.leak", True)
    assert house.raised() == ["wc/leak"]
    assert len(house.drives) == 1
    assert [told["wet"] for told in house.told("leak")] == [True, False, True]


def test_a_leak_survives_a_restart_and_the_valve_closes_again(house: Bench) -> None:
    house.level(1000, "wc.leak", True)
    house.level(2000, "wc.leak", False)
    started = building.start(house.building.plan, house.kept(), 0)
    assert [(e.point, e.on) for e in started.effects] == [("wc.valve", False), ("wc.valve", True)]  # type: ignore[union-attr]  # only drives
    assert "leak" not in [fact.kind for fact in started.facts], "it is no news"
    after = house.restarted()
    assert after.alarms() == {"wc/leak": "active"}
    assert reset(after, 1000).status == "accepted"
    assert after.levels["wc.valve"] is False
    assert after.kept()["leaks"] == []


def test_what_was_kept_and_becomes_readable_late_changes_nothing_about_water_now(
    house: Bench,
) -> None:
    house.level(1000, "wc.leak", True)
    kept = house.kept()
    again = Bench(house_of(WC))
    again.level(1000, "wc.leak", True)
    again.building = again.note(building.restore(again.building, kept, 2000))
    assert again.alarms() == {"wc/leak": "active"}
    assert len(again.drives) == 1


def test_rooms_of_another_configuration_are_left_out() -> None:
    again = Bench(house_of(WC), {"leaks": ["gone", 3], "alarms": []})
    assert again.alarms() == {}


def test_without_a_valve_it_is_an_alarm_all_the_same() -> None:
    house = Bench(house_of(BARE))
    house.level(1000, "wc.leak", True)
    assert house.raised() == ["wc/leak"]
    assert house.told("leak")[0]["valve_closed"] is None
    assert room_of(house)["leak"] == {"wet": True, "latched": True, "valve_closed": None}
    house.level(2000, "wc.leak", False)
    reset(house, 3000)
    assert house.alarms() == {"wc/leak": "cleared"}


def test_a_sensor_that_cannot_be_read_is_neither_wet_nor_dry(house: Bench) -> None:
    house.level(1000, "wc.leak", None, "torn off")
    assert house.raised() == ["wc.leak/contact_unknown"]
    assert house.told("leak") == []
    assert room_of(house)["leak"] == {"wet": None, "latched": False, "valve_closed": False}


def test_a_valve_of_two_rooms_stays_closed_until_both_are_reset() -> None:
    house = Bench(
        house_of(WC, plans.room("bath", "Bath", leak="bath.leak", valve="wc.valve")),
    )
    for at, point in ((1000, "wc.leak"), (2000, "bath.leak")):
        house.level(at, point, True)
        house.level(at + 500, point, False)
    reset(house, 5000)
    assert house.levels["wc.valve"] is True
    reset(house, 6000, "bath/leak")
    assert house.levels["wc.valve"] is False


def test_a_leak_alarm_without_its_sensor_is_over() -> None:
    """The sensor was taken out of the configuration."""
    house = Bench(house_of(WC))
    house.level(1000, "wc.leak", True)
    kept = house.kept()
    again = Bench(house_of(plans.room("wc", "WC", bolt="bolt")), kept)
    assert again.alarms() == {"wc/leak": "cleared"}


def test_a_kind_that_nothing_in_the_room_knows_is_over() -> None:
    """An alarm of another version."""
    kept: dict[str, Json] = {
        "alarms": [{"subject": "wc", "kind": "did_not_open", "severity": "fault"}]
    }
    again = Bench(house_of(WC), kept)
    assert again.alarms() == {"wc/did_not_open": "cleared"}


def test_an_alarm_that_does_not_stand_is_not_reset(house: Bench) -> None:
    assert reset(house, 1000).reason == "unknown_alarm"


def test_a_leak_alarm_whose_latch_is_not_known_waits_for_the_sensor() -> None:
    house = Bench(house_of(WC))
    house.level(1000, "wc.leak", True)
    kept = {**house.kept(), "leaks": None}
    again = Bench(house_of(WC), kept, levels=False)
    assert again.alarms() == {"wc/leak": "active"}
    again.level(1000, "wc.leak", False)
    assert again.alarms() == {"wc/leak": "cleared"}
