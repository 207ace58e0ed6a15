"""The simulated terminal strip: pure, deterministic, and with the faults that real wires have."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from gateway.simulation.world import terminals as w
from gateway.simulation.world.contact import Contact
from gateway.simulation.world.leaf import Leaf
from gateway.simulation.world.terminals import MS, ContactReport, MeterReport, Report

SECOND = 1000 * MS
QUANTITIES = (("temperature_c", -40.0, 125.0), ("humidity_percent", 0.0, 100.0))
At = tuple[int, w.Event | None]
"""Something that happens at a millisecond."""


def driven(held_by: str = "", strike: str = "", *, toggles: bool = False) -> w.DrivenLeaf:
    """It starts in 0.3 s, is open after 1.5 s, stays so for 4 s, and closes in 2 s."""
    leaf = Leaf(opens_in=1200 * MS, closes_in=2000 * MS)
    return w.DrivenLeaf("act", held_by, strike, toggles, 300 * MS, 4000 * MS, leaf)


def wired(**parts: w.Part) -> w.World:
    world = w.World()
    for point, part in parts.items():
        world = w.step(world, w.Wire(point, part), 0).world
    return world


def live(world: w.World, *events: At, until_ms: int = 60_000) -> list[str]:
    """The events at their milliseconds, and time until the end: ``"300 leaf on"`` of each edge."""
    seen: list[str] = []
    for at_ms, event in (*events, (until_ms, None)):
        step = w.step(world, event, at_ms * MS)
        world = step.world
        for point, report in step.reports:
            assert isinstance(report, ContactReport)
            at = "start" if report.edge is None else report.edge // MS
            level = {True: "on", False: "off", None: "unknown"}[report.active]
            seen.append(f"{at} {point} {level}")
    return seen


DOOR = wired(act=w.Relay(), hold=w.Relay(), leaf=driven("hold"))
PULSE: list[At] = [(0, w.Drive("act", True)), (500, w.Drive("act", False))]


def test_a_pulse_opens_the_leaf_for_a_while() -> None:
    assert live(DOOR, *PULSE) == ["300 leaf on", "7500 leaf off"]


def test_a_second_pulse_keeps_an_open_leaf_open() -> None:
    again: list[At] = [(4000, w.Drive("act", True)), (4500, w.Drive("act", False))]
    assert live(DOOR, *PULSE, *again) == ["300 leaf on", "10500 leaf off"]


def test_a_pulse_while_the_leaf_closes_opens_it_again() -> None:
    again: list[At] = [(6000, w.Drive("act", True)), (6500, w.Drive("act", False))]
    assert live(DOOR, *PULSE, *again) == ["300 leaf on", "13500 leaf off"]


def test_a_maintained_activation_keeps_it_open() -> None:
    maintained: list[At] = [(0, w.Drive("act", True)), (30_000, w.Drive("act", False))]
    assert live(DOOR, *maintained) == ["300 leaf on", "36000 leaf off"]


def test_the_hold_open_relay_keeps_it_open() -> None:
    held: list[At] = [(1000, w.Drive("hold", True)), (20_000, w.Drive("hold", False))]
    assert live(DOOR, *PULSE, *held) == ["300 leaf on", "26000 leaf off"]


def test_a_locked_strike_keeps_the_leaf_shut() -> None:
    door = wired(act=w.Relay(), strike=w.Relay(), leaf=driven(strike="strike"))
    assert live(door, *PULSE) == []
    released: list[At] = [(0, w.Drive("strike", True)), (200, PULSE[0][1])]
    assert live(door, *released, until_ms=1000) == ["500 leaf on"]


def test_the_strike_must_be_released_when_the_operator_acts() -> None:
    door = wired(act=w.Relay(), strike=w.Relay(), leaf=driven(strike="strike"))
    after: At = (200, w.Drive("strike", True))
    assert live(door, PULSE[0], after, PULSE[1], until_ms=1000) == ["300 leaf on"]
    locked: At = (250, w.Drive("strike", False))
    assert live(door, (0, w.Drive("strike", True)), PULSE[0], locked, PULSE[1]) == []


def test_a_toggle_operator_closes_an_open_leaf() -> None:
    """konnected-esphome#13: "close" on a closed toggle drive opens it."""
    door = wired(act=w.Relay(), leaf=driven(toggles=True))
    again: list[At] = [(3000, w.Drive("act", True)), (3500, w.Drive("act", False))]
    assert live(door, *PULSE, *again) == ["300 leaf on", "5000 leaf off"]


def test_a_leaf_jammed_shut_does_not_open() -> None:
    assert live(DOOR, (0, w.Jam("leaf", "shut")), *PULSE) == []


def test_holding_an_open_leaf_does_not_toggle_it() -> None:
    door = wired(act=w.Relay(), hold=w.Relay(), leaf=driven("hold", toggles=True))
    held: At = (3000, w.Drive("hold", True))
    assert live(door, *PULSE, held) == ["300 leaf on"]


def test_a_leaf_jammed_shut_is_not_pushed_open_either() -> None:
    assert live(DOOR, (0, w.Jam("leaf", "shut")), (10, w.Push("leaf", MS))) == []


def test_a_leaf_jammed_open_closes_when_it_is_mended() -> None:
    jammed: list[At] = [(0, w.Jam("leaf", "open")), *PULSE]
    assert live(DOOR, *jammed) == ["300 leaf on"]
    assert live(DOOR, *jammed, (30_000, w.Mend("leaf"))) == ["300 leaf on", "36000 leaf off"]


def test_a_leaf_pushed_by_hand_falls_closed() -> None:
    assert live(DOOR, (1000, w.Push("leaf", 3 * SECOND))) == ["1000 leaf on", "6000 leaf off"]


BUTTON = wired(b=Contact())
CORD = wired(c=Contact("normally_closed"))


def test_a_press_bounces_on_both_ends_and_settles() -> None:
    seen = live(BUTTON, (0, w.Press("b", 100 * MS, bounces=2)))
    on, off = ["on", "off"] * 2 + ["on"], ["off", "on"] * 2 + ["off"]
    assert seen == [f"{i} b {level}" for i, level in enumerate(on)] + [
        f"{100 + i} b {level}" for i, level in enumerate(off)
    ]


def test_a_press_shorter_than_its_bounce_ends_inactive() -> None:
    assert live(BUTTON, (0, w.Press("b", 1, bounces=3)))[-1] == "13 b off"


def test_a_stuck_button_stays_and_is_let_go_when_mended() -> None:
    stuck: list[At] = [(0, w.Press("b", 200 * MS)), (100, w.Stick("b")), (5000, w.Press("b", MS))]
    assert live(BUTTON, *stuck) == ["0 b on"]
    assert live(BUTTON, *stuck, (9000, w.Mend("b"))) == ["0 b on", "9000 b off"]


def test_a_cut_wire_calls_where_it_is_normally_closed_and_is_silence_elsewhere() -> None:
    cut: list[At] = [(10, w.Cut("c")), (500, w.Press("c", MS)), (900, w.Mend("c"))]
    assert live(CORD, *cut) == ["10 c on", "900 c off"]
    assert live(BUTTON, (10, w.Cut("b")), (500, w.Press("b", MS))) == []


def test_unknown_is_a_value() -> None:
    seen = live(BUTTON, (5, w.SetContact("b", None)), (9, w.SetContact("b", True)))
    assert seen == ["5 b unknown", "9 b on"]


def test_a_recorded_edge_keeps_its_own_instant() -> None:
    step = w.step(BUTTON, w.SetContact("b", True, 123_456_789), 5 * SECOND)
    assert step.reports == (("b", ContactReport(True, 123_456_789)),)


def test_a_broken_relay_does_not_switch() -> None:
    assert live(DOOR, (0, w.Break("act")), *PULSE) == []
    assert live(DOOR, (0, w.Break("act")), (1, w.Mend("act")), (2, PULSE[0][1]), until_ms=999) == [
        "302 leaf on"
    ]


def climate(seed: int, hours: int = 24) -> list[MeterReport]:
    world = w.step(w.World(), w.Wire("m", w.Meter(QUANTITIES, 600 * SECOND, seed)), 0).world
    reports = w.step(world, None, hours * 3600 * SECOND).reports
    return [report for _, report in reports if isinstance(report, MeterReport)]


def test_climate_is_the_same_for_the_same_seed_and_plausible() -> None:
    assert climate(7) == climate(7)
    assert climate(7) != climate(8)
    for quantity, (low, high) in {"temperature_c": (15, 28), "humidity_percent": (25, 65)}.items():
        values = [r.value for r in climate(7) if r.quantity == quantity and r.value is not None]
        assert len(values) == 24 * 6
        assert all(low < value < high for value in values)
        assert max(abs(a - b) for a, b in pairwise(values)) < (high - low) / 8
        assert len(set(values)) > 50


def test_a_silent_meter_says_why_and_speaks_again_when_mended() -> None:
    world = w.step(w.World(), w.Wire("m", w.Meter(QUANTITIES, 10 * SECOND)), 0).world
    step = w.step(world, w.SetMeter("m", "temperature_c", None), SECOND)
    silent = step.reports[0][1]
    assert isinstance(silent, MeterReport)
    assert (silent.value, bool(silent.reason)) == (None, True)
    healed = w.step(step.world, w.Mend("m"), 2 * SECOND).reports[0][1]
    assert isinstance(healed, MeterReport)
    assert healed.value is not None


def test_the_order_of_edges_is_the_order_of_their_instants() -> None:
    world = wired(a=Contact(), b=Contact())
    seen = live(world, (0, w.Press("a", 100 * MS)), (10, w.Press("b", 20 * MS)))
    assert seen == ["0 a on", "10 b on", "30 b off", "100 a off"]


def test_late_steps_come_to_the_same() -> None:
    """Who steps later than ``wake_at`` asked for gets the same reports with the same instants."""
    world = w.step(DOOR, w.Drive("act", True), 0).world
    late = w.step(world, None, 9 * SECOND)
    reports: list[tuple[str, Report]] = []
    stepped = world
    while (due := w.wake_at(stepped)) is not None and due <= 9 * SECOND:
        step = w.step(stepped, None, due)
        stepped = step.world
        reports += step.reports
    assert late.reports == tuple(reports)
    assert late.world == stepped


def test_who_steps_early_changes_nothing() -> None:
    world = w.step(DOOR, w.Drive("act", True), 0).world
    due = w.wake_at(world)
    assert due is not None
    assert w.step(world, None, due - 1) == w.Step(world)


def test_a_point_that_is_unwired_is_silent() -> None:
    world = w.step(BUTTON, w.Press("b", 100 * MS), 0).world
    world = w.step(world, w.Unwire("b"), 50 * MS).world
    assert w.wake_at(world) is None
    with pytest.raises(KeyError):
        w.step(world, w.Press("b", MS), SECOND)


def test_a_world_is_a_value() -> None:
    assert replace(DOOR) == DOOR
    w.step(DOOR, w.Drive("act", True), 0)
    assert DOOR.relays["act"] == w.Relay()
