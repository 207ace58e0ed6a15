"""Wiring trust: which terminals may be radio or network devices, and what ran before that was
checked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.app.configuration import load, plans
from gateway.core.notification.alarms import ALARM_KINDS
from gateway.core.point_roles import ALL, points_in
from gateway.settings.checks import wiring_trust
from gateway.settings.checks.draft import Draft, wiring_name
from gateway.settings.checks.points import uses
from gateway.settings.checks.wiring_trust import ORDER, role_of
from gateway.settings.load import read
from gateway.settings.plan.building import plan
from gateway.settings.values.problems import SettingsError
from gateway.settings.values.reading import Reading
from gateway.settings.values.secrets import places
from gateway.settings.values.tree import parse
from tests.settings.house import DRIVERS, NOW, changed, loaded, said, write

WHOLE = """
gateway: {id: whole, timezone: Europe/Berlin}
fire: fire.alarm
mqtt: {host: localhost}
points:
  fire.alarm: {driver: gpio_contact, pin: 1}
  d.button: {driver: gpio_contact, pin: 24}
  d.remote: {driver: gpio_contact, pin: 25}
  d.key: {driver: gpio_contact, pin: 4}
  d.reader: {driver: gpio_contact, pin: 5}
  d.leaf: {driver: gpio_contact, pin: 6}
  d.bolt: {driver: gpio_contact, pin: 7}
  d.fault: {driver: gpio_contact, pin: 8}
  d.mat: {driver: gpio_contact, pin: 9}
  d.switch: {driver: gpio_contact, pin: 10}
  d.relay: {driver: gpio_relay, pin: 12}
  d.strike: {driver: mcp23017_relay, bus: 1, address: 0x20, terminal: GPA0, max_on: 20 s}
  d.hold: {driver: mcp23017_relay, bus: 1, address: 0x20, terminal: GPA1, max_on: unlimited}
  d.lamp: {driver: mcp23017_relay, bus: 1, address: 0x20, terminal: GPA2, max_on: unlimited}
  r.cord: {driver: gpio_contact, pin: 13}
  r.line: {driver: ads1115_line, bus: 1, address: 0x48, input: A1}
  r.cancel: {driver: gpio_contact, pin: 15}
  r.presence: {driver: gpio_contact, pin: 16}
  r.pir: {driver: gpio_contact, pin: 17}
  r.hall: {driver: gpio_contact, pin: 18}
  r.door: {driver: gpio_contact, pin: 19}
  r.bolt: {driver: gpio_contact, pin: 20}
  r.tap: {driver: gpio_contact, pin: 21}
  r.leak: {driver: gpio_contact, pin: 22}
  r.climate: {driver: sht4x, bus: 1}
  r.lamp: {driver: mcp23017_relay, bus: 1, address: 0x20, terminal: GPB0, max_on: unlimited}
  r.room_lamp: {driver: mcp23017_relay, bus: 1, address: 0x20, terminal: GPB1, max_on: unlimited}
  r.sounder: {driver: mcp23017_relay, bus: 1, address: 0x20, terminal: GPB2, max_on: unlimited}
  r.unlock: {driver: mcp23017_relay, bus: 1, address: 0x20, terminal: GPB3, max_on: unlimited}
  r.valve: {driver: mcp23017_relay, bus: 1, address: 0x20, terminal: GPB4, max_on: unlimited}
  r.fan: {driver: mcp23017_relay, bus: 1, address: 0x20, terminal: GPB5, max_on: unlimited}
  w.mains: {driver: gpio_contact, pin: 23}
doors:
  d:
    activation: d.relay
    strike: d.strike
    hold_open: d.hold
    indicator: {point: d.lamp}
    leaf: d.leaf
    bolt: d.bolt
    operator_fault: d.fault
    presence: d.mat
    mode_switch: {d.switch: night}
    activators:
      - {point: d.button, kind: button, side: inside}
      - {point: d.remote, kind: remote, side: outside}
      - {point: d.key, kind: key_switch, side: outside}
      - {point: d.reader, kind: reader, side: outside}
rooms:
  r: {cord: [r.cord, r.line], cancel: r.cancel, presence: r.presence, motion: [r.pir], elsewhere: [r.hall], door: r.door, bolt: r.bolt, taps: [r.tap], leak: r.leak, climate: r.climate, reassurance: r.lamp, lamp: r.room_lamp, sounder: r.sounder, unlock: r.unlock, valve: r.valve, fan: r.fan}
watch: {mains: {point: w.mains}}
"""  # noqa: E501 - a room, a line
RADIO = (
    'enocean_contact, port: /dev/ttyUSB0, device: "{:08X}", profile: D5-00-01, alive_within: 24 h'
)
NETWORK = "mqtt_contact, topic: a/b{}"


def drawn(folder: Path, text: str) -> Draft:
    """The configuration before its relations are checked."""
    file = write(folder, text)
    reading = Reading(places(file))
    draft = read(parse(file.read_bytes(), str(file), reading.problems), reading, DRIVERS)
    assert reading.problems == []
    return draft


def test_every_role_of_a_terminal_says_how_hard_it_must_be_to_forge(tmp_path: Path) -> None:
    draft = drawn(tmp_path, WHOLE)
    assert {role_of(draft, use) for use in uses(draft)} == ALL.keys() - {"activator"}


def test_the_building_finds_each_point_in_the_role_that_the_configuration_gives_it(
    tmp_path: Path,
) -> None:
    """One table, read from both sides."""
    text = WHOLE.replace("    bolt: d.bolt\n", "    bolt: d.bolt\n    on_fire: open\n")
    text = text.replace("gpio_relay, pin: 12", "gpio_relay, pin: 12, max_on: unlimited")
    draft = drawn(tmp_path, text)
    written = {(use.point, use.role if use.role == "activator" else role_of(draft, use))
               for use in uses(draft) if use.role != "watched"}  # fmt: skip
    made = plan(loaded(tmp_path, text), now_utc_ms=NOW)
    parts = [*map(points_in, made.doors), *map(points_in, made.rooms)]
    found = {(point, role.name) for part in parts for role, point in part}
    assert found == written


@pytest.mark.parametrize("trust", ["radio", "network"])
def test_a_contact_is_refused_where_it_is_easier_to_forge_than_its_role_allows(
    tmp_path: Path, trust: str
) -> None:
    """One contact after the other becomes a radio or network device."""
    driver = RADIO if trust == "radio" else NETWORK
    draft = drawn(tmp_path, WHOLE)
    judged = set()
    for number, use in enumerate(uses(draft)):
        point = draft.points[use.point].value
        assert point is not None
        if point.kind != "contact":
            continue
        role = role_of(draft, use)
        pin = f"gpio_contact, pin: {point.settings.pin}}}"
        line = f"  {use.point}: {{driver: "
        text = changed(WHOLE, (line + pin, line + driver.format(number) + "}"))
        refused = ORDER.index(trust) > ORDER.index(ALL[role].trust)
        if refused:
            assert f"{use.point} is reported" in said(tmp_path, text), role
        else:
            assert loaded(tmp_path, text).tolerated == (), role
        judged.add(role)
    assert len(judged) == 20


def test_a_supervised_line_is_wired(tmp_path: Path) -> None:
    line = "ads1115_line, bus: 1, address: 0x48, input: A1"
    text = changed(
        WHOLE,
        (
            line,
            "mqtt_meter, topic: a/b, values: {line_ohm: r}, "
            "lowest: {line_ohm: 0}, highest: {line_ohm: 1000000}",
        ),
    )
    assert "r.line is reported over the network (mqtt_meter)" in said(tmp_path, text)


def test_a_button_that_is_not_wired_opens_in_automatic_only(tmp_path: Path) -> None:
    text = changed(WHOLE, ("gpio_contact, pin: 24}", "mqtt_contact, topic: a/b}"))
    building = plan(loaded(tmp_path, text), now_utc_ms=NOW)
    assert [one.trusted for one in building.doors[0].activators] == [False, True, True, True]
    allowed = changed(text, ("    leaf: d.leaf\n", "    leaf: d.leaf\n    egress_untrusted: yes\n"))
    building = plan(loaded(tmp_path, allowed), now_utc_ms=NOW)
    assert building.doors[0].activators[0].trusted
    assert building.notices == (("d", "egress_untrusted"),)
    outside = changed(
        allowed,
        (
            "{point: d.button, kind: button, side: inside}",
            "{point: d.button, kind: button, side: outside}",
        ),
    )
    building = plan(loaded(tmp_path, outside), now_utc_ms=NOW)
    assert not building.doors[0].activators[0].trusted
    assert building.notices == ()


def test_a_leaf_that_is_not_wired_proves_no_burglary(tmp_path: Path) -> None:
    assert plan(loaded(tmp_path, WHOLE), now_utc_ms=NOW).doors[0].leaf_trusted
    text = changed(WHOLE, ("gpio_contact, pin: 6}", "mqtt_contact, topic: a/b}"))
    assert not plan(loaded(tmp_path, text), now_utc_ms=NOW).doors[0].leaf_trusted


FORGED = changed(WHOLE, ("gpio_contact, pin: 15}", "mqtt_contact, topic: a/b}"))


def state_after(folder: Path, text: str) -> tuple[Path, Path]:
    """A configuration that an older version has run: its plan lies in the state folder."""
    config, state = write(folder, text), folder / "state"
    digest = loaded(folder, text, accepted=wiring_trust.ANY).digest
    (state / "plan").mkdir(parents=True)
    (state / "plan" / "0.json").write_text(f"{{}}\n{json.dumps({'digest': digest})}")
    return config, state


def test_what_ran_before_the_check_goes_on_with_an_urgent_alarm(tmp_path: Path) -> None:
    config, state = state_after(tmp_path, FORGED)
    settings = load.settings(config, state, need=())
    assert settings.tolerated == (("cancel", "r.cancel"),)
    assert plan(settings, now_utc_ms=NOW).notices == (("r.cancel", "wiring_untrusted"),)
    assert ALARM_KINDS["wiring_untrusted"] == "urgent"


def test_a_new_configuration_is_refused_also_beside_one_that_ran(tmp_path: Path) -> None:
    config, state = state_after(tmp_path, FORGED)
    more = changed(FORGED, ("gpio_contact, pin: 4}", "mqtt_contact, topic: a/c}"))
    config.write_text(more, encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        load.settings(config, state, need=())
    assert "r.cancel is reported" in str(caught.value)
    with pytest.raises(SettingsError):
        load.settings(write(tmp_path, FORGED, "other.yaml"), tmp_path / "empty", need=())


def test_what_may_stay_is_remembered_by_role_point_and_driver(tmp_path: Path) -> None:
    """A change elsewhere keeps it; another terminal, role or driver does not."""
    config, state = state_after(tmp_path, FORGED)
    plans.accept_wiring(state, [wiring_name("cancel", "r.cancel", "mqtt_contact")])
    config.write_text(changed(FORGED, ("id: whole", "id: other")), encoding="utf-8")
    assert load.settings(config, state, need=()).tolerated == (("cancel", "r.cancel"),)
    more = changed(FORGED, ("gpio_contact, pin: 16}", "mqtt_contact, topic: a/c}"))
    config.write_text(more, encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        load.settings(config, state, need=())
    assert "r.presence is reported" in str(caught.value)
    assert "r.cancel" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "3", '["x", 3]', "\x00"])
def test_a_damaged_list_of_what_may_stay_lets_nothing_stay(tmp_path: Path, text: str) -> None:
    (tmp_path / "accepted-wiring.json").write_text(text, encoding="utf-8")
    assert plans.accepted_wiring(tmp_path) <= {"x"}
