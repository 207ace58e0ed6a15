"""Rooms: cords on contacts and on supervised lines, and set-ups that would be unsafe."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.core.room.call import classified
from gateway.settings.model.rooms import Line
from gateway.settings.plan.building import plan
from gateway.settings.plan.cache import of, plan_from_json, plan_to_json
from gateway.settings.plan.rooms import line
from tests.settings.house import DRIVERS, NOW, loaded, said, with_point

POINTS = (
    "wc.cord: {driver: gpio_contact, pin: GPIO4, wiring: normally_closed}",
    "wc.cancel: {driver: gpio_contact, pin: GPIO5}",
    "wc.pir: {driver: gpio_contact, pin: GPIO6}",
    "hall.pir: {driver: gpio_contact, pin: GPIO12}",
    "wc.line: {driver: ads1115_line, address: 0x48, input: A0, supply_mv: 3300, series_ohm: 4700}",
)
ROOM = "cord: [wc.cord, wc.line], cancel: wc.cancel, motion: [wc.pir], elsewhere: [hall.pir]"


def room(more: str = "", *, points: tuple[str, ...] = POINTS, base: str = ROOM) -> str:
    return with_point(*points) + f"rooms: {{wc: {{{base}{more}}}}}\n"


def test_a_cord_is_a_contact_or_a_supervised_line(tmp_path: Path) -> None:
    text = room(", lines: {wc.line: {rest: 10 kΩ, pulled: 4700 Ohm}}")
    wc = plan(loaded(tmp_path, text), now_utc_ms=NOW).rooms[0]
    assert wc.cords == ("wc.cord",)
    assert [one.point for one in wc.lines] == ["wc.line"]
    assert wc.lines == (line("wc.line", Line()),)


def test_what_tells_about_a_person_is_private(tmp_path: Path) -> None:
    contacts = plan(loaded(tmp_path, room()), now_utc_ms=NOW).contacts
    assert {one.point for one in contacts if one.private} == {"wc.pir", "hall.pir"}


def test_what_may_leave_the_gateway_is_written(tmp_path: Path) -> None:
    assert plan(loaded(tmp_path, room()), now_utc_ms=NOW).export == ()
    text = room() + "export: [motion, occupancy]\n"
    assert plan(loaded(tmp_path, text), now_utc_ms=NOW).export == ("motion", "occupancy")


def test_a_climate_meter_has_dead_bands_that_can_be_written_otherwise(tmp_path: Path) -> None:
    text = with_point(
        "a.climate: {driver: sht4x, bus: 1}",
        "b.climate: {driver: sht4x, bus: 1, address: 0x45, deadband: {temperature_c: 0}}",
    )
    text += "rooms: {a: {climate: a.climate}, b: {climate: b.climate}}\n"
    one, other = plan(loaded(tmp_path, text), now_utc_ms=NOW).meters
    assert dict(one.dead_bands) == {"temperature_c": 0.1, "humidity_percent": 0.5}
    assert dict(other.dead_bands) == {"temperature_c": 0.0, "humidity_percent": 0.5}


def test_the_plan_of_a_room_survives_the_cache(tmp_path: Path) -> None:
    settings = loaded(tmp_path, room(", frost_below_c: 3"))
    made = plan(settings, now_utc_ms=NOW)
    text = plan_to_json(of(settings, made, NOW))
    assert plan_from_json(text, lambda name: DRIVERS[name].settings).plan == made


@pytest.mark.parametrize(
    ("rest", "pulled", "measured", "means"),
    [
        ("10 kΩ", "4.7 kΩ", 0, "short"),
        ("10 kΩ", "4.7 kΩ", 4_500, "pulled"),
        ("10 kΩ", "4.7 kΩ", 9_500, "normal"),
        ("10 kΩ", "4.7 kΩ", 1_000_000, "cut"),
        ("1 kOhm", "3.3 kOhm", 100, "short"),
        ("1 kOhm", "3.3 kOhm", 1_100, "normal"),
        ("1 kOhm", "3.3 kOhm", 3_000, "pulled"),
        ("1 kOhm", "3.3 kOhm", 9_000, "cut"),
    ],
)
def test_a_line_tells_four_things_apart(
    rest: str, pulled: str, measured: float, means: str
) -> None:
    plan = line("wc.line", Line.model_validate({"rest": rest, "pulled": pulled}))
    assert classified(plan, measured) == means


WRONG = [
    (", lines: {wc.line: {rest: 10 kΩ, pulled: 9 kΩ}}", "9000 Ohm pulled are too near"),
    (", lines: {wc.line: {rest: 10}}", "'10' is not a resistance; write for example 4.7 kΩ"),
    (", lines: {wc.line: {rest: 0 Ohm}}", "'0 Ohm' is not a resistance"),
    (", lines: {wc.line: {rest: [1]}}", "rooms.wc.lines.wc.line.rest: "),
    (", lines: {wc.cord: {}}", "wc.cord is a contact, it measures nothing; remove it"),
    (", lines: {wc.lime: {}}", "is no cord of this room; add it: cord: [wc.lime]"),
    (", attend_within: 10 s", "attend_within: calls again before anybody can be there"),
    (", fan_below_percent: 70", "the fan would never rest"),
    (", mould_above_percent: 120", "mould_above_percent: is no humidity"),
    (", frost_below_c: 30", "frost_below_c: is no limit for frost"),
]  # fmt: skip


@pytest.mark.parametrize(("more", "message"), WRONG)
def test_what_is_unsafe_is_refused_with_a_remedy(tmp_path: Path, more: str, message: str) -> None:
    text = said(tmp_path, room(more))
    assert message in text
    assert len(text.splitlines()) == 1


def test_a_meter_that_measures_no_line_is_no_cord(tmp_path: Path) -> None:
    points = (*POINTS[:-1], "wc.line: {driver: sht4x}")
    assert "wc.line measures no line_ohm; name a meter" in said(tmp_path, room(points=points))


def test_nothing_misses_motion_that_nothing_sees(tmp_path: Path) -> None:
    base = "cord: [wc.cord, wc.line], cancel: wc.cancel, elsewhere: [hall.pir, wc.pir]"
    text = said(tmp_path, room(", no_motion_after: 20 min", base=base))
    assert "no_motion_after: nothing sees motion; add motion" in text


@pytest.mark.parametrize("button", ["cancel", "presence"])
def test_a_button_of_the_call_is_pressed_in_the_room_and_nowhere_else(
    tmp_path: Path, button: str
) -> None:
    afar = f"wc.afar: {{driver: mqtt_contact, topic: zigbee2mqtt/{button}}}"
    points = (*(point for point in POINTS if button not in point), afar)
    base = ROOM.replace(f"{button}: wc.{button}", "") + f", {button}: wc.afar"
    text = room(points=points, base=base.replace(", ,", ",")) + "mqtt: {}\n"
    assert "wc.afar is reported over the network (mqtt_contact)" in said(tmp_path, text)
    assert "of rooms.wc must be wired" in said(tmp_path, text)


def test_motion_of_one_room_is_elsewhere_for_another(tmp_path: Path) -> None:
    more = "}, hall: {motion: [hall.pir], elsewhere: [wc.pir]}}\n"
    text = room().replace("}}\n", more)
    assert len(plan(loaded(tmp_path, text), now_utc_ms=NOW).rooms) == 2
