"""Doors: every setting arrives in the plan, and what is not safe is refused with a remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.core.plan import (
    FirePlan,
    InterlockPlan,
    RelayPlan,
    Transition,
)
from gateway.settings.plan.building import plan
from tests import plans
from tests.settings.house import NOW, SMALL, changed, loaded, said, with_door, with_point

FULL = """
gateway: {id: full, timezone: Europe/Berlin, holidays: DE-SN}
fire: fire.alarm
points:
  fire.alarm: {driver: gpio_contact, pin: 1, wiring: normally_closed}
  front.button: {driver: gpio_contact, pin: 2, settle: 10 ms, stuck_after: 1 min}
  front.inside: {driver: gpio_contact, pin: 3}
  front.key: {driver: gpio_contact, pin: 4, fault_severity: notice}
  front.reader: {driver: gpio_contact, pin: 5}
  front.leaf: {driver: gpio_contact, pin: 6, wiring: normally_closed}
  front.bolt: {driver: gpio_contact, pin: 7}
  front.fault: {driver: gpio_contact, pin: 8}
  front.mat: {driver: gpio_contact, pin: 9}
  front.switch_night: {driver: gpio_contact, pin: 10}
  front.switch_off: {driver: gpio_contact, pin: 11}
  front.activation: {driver: gpio_relay, pin: 12, max_on: unlimited}
  front.strike: {driver: gpio_relay, pin: 13, max_on: 10 min}
  front.hold: {driver: gpio_relay, pin: 14, max_on: 12 h}
  front.lamp: {driver: gpio_relay, pin: 15}
  back.activation: {driver: gpio_relay, pin: 16, max_on: 1 h}
doors:
  front:
    name: Haupteingang
    activation: {point: front.activation, pulse: 300 ms, rest: 2 s}
    strike: {point: front.strike, lead: 100 ms, tail: 400 ms}
    hold_open: front.hold
    leaf: front.leaf
    bolt: front.bolt
    operator_fault: front.fault
    presence: front.mat
    mode_switch: {front.switch_off: off, front.switch_night: night}
    activators:
      - {point: front.button, kind: button, side: outside, hold_open: 20 s}
      - {point: front.inside, kind: button, side: inside}
      - {point: front.key, kind: key_switch, side: outside}
      - {point: front.reader, kind: reader, side: outside}
    opens_within: 4 s
    closes_within: 15 s
    left_open_after: 2 min
    assumed_open: 9 s
    toggle: yes
    on_fire: open
    egress: never
    egress_reason: Nebenausgang, genehmigt von der Brandschutzbehörde
    indicator: {point: front.lamp, accepted: [1 s]}
    schedule: {mon-fri 07:00-18:00: automatic, holiday: hold_open, otherwise: night}
    exceptions: {2026-11-21: off}
    safe_mode: exit_only
    override_for: 1 h
  back:
    activation: {point: back.activation, maintained: 6 s}
    mode: night
interlocks:
  lobby: {doors: [front, back], wait: 10 s}
"""


def test_every_setting_of_a_door_arrives_in_the_plan(tmp_path: Path) -> None:
    building = plan(loaded(tmp_path, FULL), now_utc_ms=NOW)
    front, back = building.doors
    hour = 3_600_000
    assert front == plans.door(
        "front",
        "Haupteingang",
        "front.activation",
        pulse_ms=300,
        rest_ms=2000,
        strike="front.strike",
        strike_lead_ms=100,
        strike_tail_ms=400,
        hold_open="front.hold",
        leaf="front.leaf",
        bolt="front.bolt",
        operator_fault="front.fault",
        presence="front.mat",
        mode_switch=(("front.switch_off", "off"), ("front.switch_night", "night")),
        activators=(
            plans.activator("front.button", "button", "outside", hold_open_ms=20_000),
            plans.activator("front.inside", "button", "inside"),
            plans.activator("front.key", "key_switch", "outside"),
            plans.activator("front.reader", "reader", "outside"),
        ),
        opens_within_ms=4000,
        closes_within_ms=15_000,
        left_open_after_ms=120_000,
        assumed_open_ms=9000,
        toggle=True,
        fire=FirePlan("fire.alarm", "open"),
        egress="never",
        indicator=plans.indicator("front.lamp", accepted=(1000,)),
        schedule=front.schedule,
        safe_mode="exit_only",
        override_for_ms=hour,
    )
    # Friday before; NOW is the midnight at which the exception of Saturday begins.
    assert front.schedule[1:5] == (
        Transition(NOW - 17 * hour, "automatic"),
        Transition(NOW - 6 * hour, "night"),
        Transition(NOW, "off"),
        Transition(NOW + 24 * hour, "night"),
    )
    assert back == plans.maintained_door(
        "back", "back", "back.activation", open_for_ms=6000, mode="night"
    )
    assert building.interlocks == (InterlockPlan("lobby", ("front", "back"), 10_000),)
    assert building.notices == (("front", "egress_never"),)
    assert building.gateway == "full"


def test_points_arrive_in_the_plan_with_what_their_use_makes_of_them(tmp_path: Path) -> None:
    building = plan(loaded(tmp_path, FULL), now_utc_ms=NOW)
    contacts = {contact.point: contact for contact in building.contacts}
    assert contacts["front.button"] == plans.contact(
        "front.button", settle_ms=10, stuck_after_ms=60_000
    )
    assert contacts["front.inside"] == plans.contact("front.inside", stuck_after_ms=30_000)
    assert contacts["front.leaf"] == plans.contact("front.leaf", settle_ms=30)
    assert contacts["front.key"] == plans.button("front.key", fault_severity="notice")
    assert contacts["fire.alarm"].fault_severity == "urgent"
    assert building.relays == (
        RelayPlan("front.activation", None),
        RelayPlan("front.strike", 600_000),
        RelayPlan("front.hold", 43_200_000),
        RelayPlan("front.lamp", 2000),
        RelayPlan("back.activation", 3_600_000),
    )


def test_a_pulsed_relay_may_be_on_for_its_pulse_and_a_second(tmp_path: Path) -> None:
    (relay,) = plan(loaded(tmp_path, SMALL), now_utc_ms=NOW).relays
    assert relay == RelayPlan("front.activation", 1500)


def test_a_strike_without_leaf_contact_has_a_limit_of_its_own(tmp_path: Path) -> None:
    text = changed(with_door("strike: front.strike"), ("    leaf: front.leaf\n", ""))
    text = changed(
        text,
        (
            "  front.leaf: {driver: gpio_contact, pin: GPIO18, wiring: normally_closed}\n",
            "  front.strike: {driver: gpio_relay, pin: 13}\n",
        ),
    )
    relays = plan(loaded(tmp_path, text), now_utc_ms=NOW).relays
    assert RelayPlan("front.strike", 200 + 500 + 500 + 1000) in relays


LEAF = "  front.leaf: {driver: gpio_contact, pin: GPIO18, wiring: normally_closed}\n"


def without_leaf(*lines: str) -> str:
    """The small building without its leaf contact."""
    return changed(with_door(*lines), (LEAF, ""), ("    leaf: front.leaf\n", ""))


FORTY = "schedule: {mon-fri 07:00-18:00: automatic, wed 12:00-13:00: night, otherwise: off}"

REFUSED = [
    (
        without_leaf("left_open_after: 2 min"),
        "doors.front.left_open_after: nobody can tell that the door is open without a leaf contact",
    ),
    (
        with_door("egress: never"),
        "doors.front.egress: never locks people in at night; write egress",
    ),
    (with_door("on_fire: close"), "doors.front.on_fire: there is no fire alarm contact; write on_"),
    (
        with_door("on_fire: opn"),
        "doors.front.on_fire: 'opn' is not possible; did you mean open?",
    ),
    (
        with_door("mode: hold_open"),
        "doors.front.mode: nothing can hold the door open; add hold_open: with a relay",
    ),
    (with_door("safe_mode: hold_open"), "doors.front.safe_mode: nothing can hold the door open"),
    (
        with_door("schedule: {mon 08:00-09:00: hold_open, otherwise: night}"),
        "doors.front.schedule.mon 08:00-09:00: nothing can hold the door open",
    ),
    (
        with_door("schedule: {mon 08:00-09:00: night, otherwise: hold_open}"),
        "doors.front.schedule.otherwise: nothing can hold the door open",
    ),
    (
        changed(SMALL, ("side: outside", "side: outside, hold_open: 20 s")),
        "portier.yaml:12:71: doors.front.activators[0].hold_open: nothing can hold the door open",
    ),
    (
        changed(
            SMALL, ("activation: front.act", "activation: {pulse: 6 s, point: front.act")
        ).replace("front.activation\n", "front.activation}\n"),
        "doors.front.activation.pulse: 6 s is no pulse; a pulse lasts 20 ms to 5 s; for longer",
    ),
    (
        with_door("indicator: front.leaf"),
        "doors.front.indicator: front.leaf is a contact, indicator wants a relay",
    ),
    (
        with_door("schedule: {mon-fri 07:00-18:00: automatic}"),
        "doors.front.schedule: says nothing about mon 00:00; add otherwise:",
    ),
    (
        with_door("schedule: {daily: automatic, 2026-12-24 08:00-12:00: night}"),
        "doors.front.schedule: says nothing about the rest of 2026-12-24; add otherwise:",
    ),
    (
        with_door(
            "schedule: {mon-fri 07:00-18:00: automatic, wed 12:00-13:00: night, otherwise: off}"
        ),
        "schedule.wed 12:00-13:00: overlaps 'mon-fri 07:00-18:00' at wed 12:00; let one end",
    ),
    (
        with_door("schedule: {sun 22:00-06:00: off, mon 05:00-08:00: night, otherwise: automatic}"),
        "overlaps 'sun 22:00-06:00' at mon 05:00",
    ),
    (
        with_door("schedule: {monday: night, otherwise: off}"),
        "doors.front.schedule.monday: 'monday' is not a day; did you mean mon?",
    ),
    (
        with_door("schedule: {mon 25:00-26:00: night, otherwise: off}"),
        "schedule.mon 25:00-26:00: 25:00 is no time of day; times go from 00:00 to 24:00",
    ),
    (
        with_door("schedule: {mon 08:00-08:00: night, otherwise: off}"),
        "08:00-08:00 covers nothing; the whole day is 00:00-24:00",
    ),
    (
        with_door("schedule: {2026-02-30: night, otherwise: off}"),
        "2026-02-30 is no date; check day and month",
    ),
    (
        with_door("schedule: {2026-03-02..2026-03-01: night, otherwise: off}"),
        "ends before it begins; turn the dates round",
    ),
    (
        with_door("schedule: {mon 2026-03-01: night, otherwise: off}"),
        "mixes days, dates and holiday; write one line for each",
    ),
    (
        with_door("schedule: {08:00-09:00 mon: night, otherwise: off}"),
        "'mon' stands behind a time; write the days first, then the times",
    ),
    (
        with_door("schedule: {24.12.2026 08:00-12:00: night, otherwise: off}"),
        "'24.12.2026' is not a date; write 2026-12-24",
    ),
    (
        with_door("schedule: {holiday: night, otherwise: off}"),
        "schedule.holiday: whose holidays? gateway.holidays is not written; write holidays: DE-SN",
    ),
    (
        with_door("schedule: night"),
        "doors.front.schedule: is not a weekly plan; write for example mon-fri 07:00-18:00",
    ),
    (
        with_door("schedule: {mon: open, otherwise: off}"),
        "doors.front.schedule.mon: 'open' is not one of the modes; did you mean hold_open?",
    ),
    (
        with_door("schedule: {otherwise: off}", "exceptions: {mon: night}"),
        "doors.front.exceptions.mon: is no date; exceptions are for dates",
    ),
    (
        with_door("exceptions: {2026-12-24: night}"),
        "doors.front.exceptions: there is no schedule to except from; write a schedule: as well",
    ),
    (
        with_door("schedule: {2026-12-24: off, otherwise: off}", "exceptions: {2026-12-24: night}"),
        "doors.front.exceptions.2026-12-24: overlaps '2026-12-24'",
    ),
    (
        with_door("schedule: {otherwise: off}", "mode: night"),
        "doors.front.mode: counts only without a schedule; write it as otherwise: there",
    ),
    (
        without_leaf("toggle: yes"),
        "doors.front.toggle: without a leaf contact nobody knows whether a pulse would close",
    ),
    (with_door("toggle: maybe"), "doors.front.toggle: 'maybe' is neither yes nor no; write yes"),
    (with_door("colour: red"), "doors.front.colour: is not a known key; possible are name, activ"),
    (
        with_door("left_open_afer: 2 min"),
        "portier.yaml:11:5: doors.front.left_open_afer: is not a known key; did you mean left",
    ),
    (
        changed(SMALL, ("kind: button, ", "")),
        "portier.yaml:12:9: doors.front.activators[0]: kind is missing; write kind: …",
    ),
    (
        SMALL + "interlocks: {lobby: {doors: [front, bakc]}}\n",
        "interlocks.lobby.doors[1]: there is no door bakc; the doors are front",
    ),
    (
        SMALL + "interlocks: {lobby: {doors: [front]}}\n",
        "interlocks.lobby.doors: one door alone needs no interlock; name at least two doors",
    ),
    (
        SMALL + "interlocks: {lobby: {doors: [front, front]}}\n",
        "interlocks.lobby.doors[1]: front is here twice; keep one of the two",
    ),
    (
        changed(FULL, ("max_on: 12 h", "max_on: 10 s")),
        "points.front.hold.max_on: 10 s is shorter than the 20 s that hold_open of front needs",
    ),
    (
        changed(FULL, (", max_on: 12 h", "")),
        "points.front.hold: hold_open of front may be on for long (it holds the door open), and no "
        "limit is written; write max_on: 12 h (never on for longer) or max_on: unlimited",
    ),
    (
        changed(FULL, ("pin: 12, max_on: unlimited", "pin: 12")),
        "points.front.activation: the activation of front may be on for long (a fire alarm",
    ),
    (
        changed(FULL, ("maintained: 6 s", "maintained: 6 s, pulse: 1 s")),
        "doors.back.activation.maintained: pulse and maintained exclude each other",
    ),
    (
        changed(FULL, ("pin: 16, max_on: 1 h", "pin: 16")),
        "points.back.activation: the activation of back may be on for long (it is maintained)",
    ),
    (
        changed(FULL, ("accepted: [1 s]", "accepted: [20 s]")),
        "doors.front.indicator.accepted: the pattern is longer than 10 s; keep it short",
    ),
]


@pytest.mark.parametrize(("text", "message"), REFUSED, ids=[m[:60] for _, m in REFUSED])
def test_what_is_not_safe_or_not_known_is_refused_with_a_remedy(
    tmp_path: Path, text: str, message: str
) -> None:
    found = said(tmp_path, text)
    assert message in found
    assert len(found.splitlines()) == 1, found


def test_a_maintained_activation_holds_the_door_open_by_itself(tmp_path: Path) -> None:
    text = changed(
        SMALL,
        ("activation: front.activation", "activation: {point: front.activation, maintained: 5 s}"),
        ("side: outside", "side: outside, hold_open: 20 s"),
        ("pin: GPIO27", "pin: GPIO27, max_on: 1 min"),
    )
    (door,) = plan(loaded(tmp_path, text), now_utc_ms=NOW).doors
    assert door.activators[0].hold_open_ms == 20_000
    assert "is shorter than the 20 s that the activation of front needs" in said(
        tmp_path, changed(text, ("max_on: 1 min", "max_on: 10 s"))
    )


def test_one_fire_contact_and_one_programme_switch_serve_several_doors(tmp_path: Path) -> None:
    text = changed(
        FULL,
        (
            "    mode: night\n",
            "    mode: night\n    on_fire: close\n    mode_switch: {front.switch_off: off}\n",
        ),
    )
    doors = plan(loaded(tmp_path, text), now_utc_ms=NOW).doors
    assert doors[1].fire == FirePlan("fire.alarm", "close")


def test_all_errors_come_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = changed(
        with_point("front.spare: {driver: gpio_contact, pin: GPIO4}"),
        ("id: small", "id: Small House"),
        ("pin: GPIO18", "pin: GPIO17"),
        ("leaf: front.leaf\n", "leaf: front.lief\n    left_open_after: 2\n    egres: never\n"),
        ("kind: button", "kind: buton"),
    )
    assert said(tmp_path, text).splitlines() == [
        "portier.yaml:2:15: gateway.id: 'Small House' is not a name; write for example front "
        "(a-z, 0-9, _ and -)",
        "portier.yaml:5:43: points.front.leaf.pin: is the terminal of front.button already; every "
        "point has a terminal of its own: check the wiring list",
        "portier.yaml:7:3: points.front.spare: is used by nobody; name it under doors, rooms, fire "
        "or watch, or remove the line",
        "portier.yaml:11:11: doors.front.leaf: there is no point front.lief; did you mean "
        "front.leaf? (points are listed under points:)",
        "portier.yaml:12:22: doors.front.left_open_after: 2 has no unit; write 2 followed by ms, "
        "s, min, h, d, w or y, for example 2 s",
        "portier.yaml:13:5: doors.front.egres: is not a known key; did you mean egress?",
        "portier.yaml:15:37: doors.front.activators[0].kind: 'buton' is not possible; did you mean "
        "button?",
    ]


def test_every_line_that_a_long_one_covers_is_told(tmp_path: Path) -> None:
    lines = "{mon 08:00-18:00: automatic, mon 09:00-10:00: night, mon 11:00-12:00: night}"
    found = said(tmp_path, with_door(f"schedule: {lines}")).splitlines()
    assert [line.partition(" overlaps ")[2][:18] for line in found] == ["'mon 08:00-18:00' "] * 2


def test_a_relay_that_holds_the_door_open_spares_the_activation(tmp_path: Path) -> None:
    text = changed(
        FULL,
        (
            "    mode: night\n",
            "    activators: [{point: back.b, kind: button, side: inside, hold_open: 2 h}]\n",
        ),
        ("  back.activation:", "  back.b: {driver: gpio_contact, pin: 17}\n  back.activation:"),
    )
    assert "shorter than the 2 h that the activation of back needs" in said(tmp_path, text)
    relay = "  back.hold: {driver: gpio_relay, pin: 18, max_on: 3 h}\n"
    held = changed(
        text,
        ("points:\n", "points:\n" + relay),
        ("  back:\n", "  back:\n    hold_open: back.hold\n"),
    )
    assert loaded(tmp_path, held).doors["back"].hold_open == "back.hold"


def test_a_timetable_that_never_changes_has_not_ended(tmp_path: Path) -> None:
    settings = loaded(tmp_path, with_door("schedule: {daily: automatic}"))
    schedule = plan(settings, now_utc_ms=NOW).doors[0].schedule
    assert [transition.mode for transition in schedule] == ["automatic", "automatic"]
    assert schedule[-1].utc_ms - NOW == 399 * 86_400_000


@pytest.mark.parametrize(
    ("old", "new"),
    [("id: small", "id: CSG Office/#"), ("id: small, ", ""), ("small,", "small, holiday: DE-SN,")],
)
def test_holidays_that_are_written_are_not_missed_where_another_key_is_wrong(
    tmp_path: Path, old: str, new: str
) -> None:
    lines = "schedule: {holiday: night, otherwise: automatic}"
    text = changed(with_door(lines), ("Europe/Berlin", "Europe/Berlin, holidays: DE-SN"))
    if "holiday:" in new:
        text = changed(with_door(lines))
    found = said(tmp_path, changed(text, (old, new))).splitlines()
    assert [line.split(":")[3].strip().split(".")[0] for line in found] == ["gateway"]
