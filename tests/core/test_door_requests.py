"""Who may open a door: the table of requests, and what becomes of a request that may."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import get_args

import pytest

from gateway.core.door import door
from gateway.core.door.rules import REQUESTS, RequestKind
from gateway.core.effects import Reply
from gateway.core.events import MODES, Mode
from gateway.core.plan import ActivatorKind, DoorPlan, Side
from gateway.core.reasons import REASONS
from tests import plans
from tests.core.door_bench import BLIND, HOLD, MAINTAINED, PLAN, TOGGLE, Bench, fire

ASKS: list[tuple[RequestKind, Side | None]] = [
    *product(get_args(ActivatorKind), get_args(Side)),
    ("staff", None),
]

# The page of the facility manager, written down a second time and by hand.
EXPECTED: dict[tuple[RequestKind, Side | None], tuple[str, str, str, str, str]] = {
    #                       automatic   exit_only         hold_open   night         off
    ("button", "inside"): ("yes", "yes", "held", "yes", "mode_off"),
    ("button", "outside"): ("yes", "mode_exit_only", "held", "mode_night", "mode_off"),
    ("remote", "inside"): ("yes", "mode_exit_only", "held", "mode_night", "mode_off"),
    ("remote", "outside"): ("yes", "mode_exit_only", "held", "mode_night", "mode_off"),
    ("key_switch", "inside"): ("yes", "yes", "held", "yes", "mode_off"),
    ("key_switch", "outside"): ("yes", "yes", "held", "yes", "mode_off"),
    ("reader", "inside"): ("yes", "yes", "held", "yes", "mode_off"),
    ("reader", "outside"): ("yes", "yes", "held", "yes", "mode_off"),
    ("staff", None): ("yes", "yes", "held", "reason_needed", "mode_off"),
}
SAID = {"yes": "accepted", "held": "extended: already_open"}


def in_mode(mode: Mode, plan: DoorPlan = HOLD) -> Bench:
    """A door that has been in this mode for a while, open where the mode holds it open."""
    bench = Bench(plan)
    bench.mode(0, mode)
    if mode == "hold_open":
        bench.leaf(900, True)
    bench.until(5000)
    return bench


@pytest.mark.parametrize("ask", ASKS, ids=str)
@pytest.mark.parametrize("mode", MODES)
def test_the_table_of_requests(mode: Mode, ask: tuple[RequestKind, Side | None]) -> None:
    bench = in_mode(mode)
    expected = EXPECTED[ask][MODES.index(mode)]
    said = bench.staff(5000) if ask[0] == "staff" else bench.press(5000, *ask)
    assert said == SAID.get(expected, f"refused: {expected}")
    pulsed = bool(bench.times("activation"))
    assert pulsed == (expected == "yes")


def test_the_table_covers_every_kind_side_and_mode() -> None:
    assert set(EXPECTED) == set(ASKS)
    assert all(set(row) == set(MODES) for row in REQUESTS.values())


def test_staff_open_a_locked_door_with_a_reason() -> None:
    bench = in_mode("night")
    assert bench.staff(5000, "   ") == "refused: reason_needed"
    assert bench.staff(6000, "Rollstuhl wartet") == "accepted"
    assert bench.told("door_request")[-1]["note"] == "Rollstuhl wartet"


def test_the_way_out_is_closed_at_night_only_where_the_configuration_says_so() -> None:
    bench = in_mode("night", replace(PLAN, egress="never"))
    assert bench.press(5000, "button", "inside") == "refused: mode_night"
    bench.mode(6000, "exit_only")
    assert bench.press(7000, "button", "inside") == "accepted"


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("automatic", door.CanOpen(True, "", needs_reason=False)),
        ("night", door.CanOpen(True, "", needs_reason=True)),
        ("off", door.CanOpen(False, "mode_off", needs_reason=False)),
    ],
)
def test_the_page_knows_beforehand_what_staff_may(mode: Mode, expected: door.CanOpen) -> None:
    assert door.can_open(in_mode(mode).door) == expected


def test_the_page_knows_that_another_door_of_the_interlock_is_open() -> None:
    bench = Bench()
    bench.at(0, door.Interlocked(free=False))
    assert door.can_open(bench.door) == door.CanOpen(False, "interlock", needs_reason=False)
    bench.at(0, door.Interlocked(free=False, wait_ms=5000))
    assert door.can_open(bench.door).ok


def test_every_reason_that_the_table_gives_is_in_the_catalogue() -> None:
    given = {said for row in EXPECTED.values() for said in row} - {"yes", "held"}
    assert given < set(REASONS)


# --- late, void ----------------------------------------------------------------------------


def test_a_press_that_comes_up_after_two_seconds_is_stale() -> None:
    bench = Bench(at=10_000)
    assert bench.press(12_001, edge_ms=10_000) == "refused: stale"
    assert bench.press(12_001, edge_ms=10_001) == "accepted"


def test_a_command_at_the_end_of_its_life_is_expired() -> None:
    bench = Bench()
    assert bench.staff(5000, expires_ms=5000) == "refused: expired"
    assert bench.staff(5000, expires_ms=5001) == "accepted"
    assert bench.times("activation") == [5000]


# --- accepted, merged, extended -----------------------------------------------------------


def test_a_press_is_told_with_all_that_is_known_of_it() -> None:
    bench = Bench()
    bench.press(1030, "remote", "outside", edge_ms=1000)
    (fact,) = [f for f in bench.facts if f.kind == "door_request"]
    assert (fact.at_ms, fact.subject) == (1000, "front")
    assert {k: v for k, v in fact.data.items() if v is not None} == {
        "outcome": "accepted",
        "activator": "front.remote",
        "activator_kind": "remote",
        "side": "outside",
    }


def test_a_second_press_during_the_pulse_is_merged_and_the_relay_goes_off_all_the_same() -> None:
    """mqtt-io#193: a second pulse during the first left the relay on for ever."""
    bench = Bench()
    assert bench.press(1000) == "accepted"
    assert bench.press(1400) == "merged"
    assert bench.press(1499) == "merged"
    bench.until(60_000)
    assert bench.times("activation") == [1000, 1500]


def test_a_press_during_the_rest_is_merged_while_the_leaf_has_yet_to_answer() -> None:
    bench = Bench()
    bench.press(1000)
    assert bench.press(1600) == "merged"
    bench.leaf(1700, True)
    bench.until(60_000)
    assert bench.times("activation") == [1000, 1500]


def test_a_press_during_the_rest_of_an_open_door_sends_one_more_pulse_after_it() -> None:
    bench = Bench()
    bench.press(1000)
    bench.leaf(1300, True)
    assert bench.press(1600) == "extended"
    assert bench.press(1700) == "merged"
    bench.until(20_000)
    assert bench.times("activation") == [1000, 1500, 2500, 3000]


def test_a_press_at_an_open_door_sends_a_pulse_so_that_the_operator_stays_open() -> None:
    bench = Bench()
    bench.press(1000)
    bench.leaf(1300, True)
    assert bench.press(5000) == "extended"
    bench.until(20_000)
    assert bench.times("activation") == [1000, 1500, 5000, 5500]


def test_a_press_that_finds_the_leaf_still_closed_after_the_rest_asks_again() -> None:
    bench = Bench()
    bench.press(1000)
    assert bench.press(3000) == "accepted"
    assert bench.times("activation") == [1000, 1500, 3000]


def test_a_press_just_after_the_leaf_closed_is_served_after_the_rest() -> None:
    bench = Bench()
    bench.press(1000)
    bench.leaf(1300, True)
    bench.leaf(1900, False)
    assert bench.press(2000) == "accepted"
    bench.leaf(2900, True)
    bench.until(9000)
    assert bench.times("activation") == [1000, 1500, 2500, 3000]


def test_a_maintained_activation_stays_closed_for_its_time_and_longer_when_asked_again() -> None:
    bench = Bench(MAINTAINED)
    assert bench.press(1000) == "accepted"
    assert bench.press(1200) == "merged"
    bench.leaf(2000, True)
    assert bench.press(4000) == "extended"
    bench.until(60_000)
    assert bench.times("activation") == [1000, 9000]


def test_a_maintained_activation_rests_before_it_closes_again() -> None:
    bench = Bench(MAINTAINED)
    bench.press(1000)
    bench.leaf(2000, True)
    assert bench.press(6500) == "extended"
    bench.until(60_000)
    assert bench.times("activation") == [1000, 6000, 7000, 12_000]


def test_a_wheelchair_button_holds_a_maintained_activation_for_its_own_time() -> None:
    bench = Bench(MAINTAINED)
    bench.press(1000, hold_ms=20_000)
    bench.leaf(2000, True)
    bench.press(3000)
    bench.until(60_000)
    assert bench.times("activation") == [1000, 21_000]


def test_a_wheelchair_button_during_the_lead_of_another_still_gets_its_time() -> None:
    bench = Bench(replace(MAINTAINED, strike="strike"))
    bench.press(1000)
    assert bench.press(1100, hold_ms=20_000) == "merged"
    bench.leaf(2000, True)
    bench.until(60_000)
    assert bench.times("activation") == [1200, 21_200]


def test_a_wheelchair_button_closes_the_hold_open_relay_of_a_pulse_drive() -> None:
    bench = Bench(HOLD)
    assert bench.press(1000, hold_ms=20_000) == "accepted"
    bench.leaf(1500, True)
    assert bench.door.hold_open is True
    bench.until(60_000)
    assert bench.times("activation") == [1000, 1500]
    assert bench.times("hold") == [1000, 21_000]


def test_a_wheelchair_button_during_the_pulse_of_another_still_gets_its_time() -> None:
    bench = Bench(HOLD)
    bench.press(1000)
    assert bench.press(1200, hold_ms=20_000) == "merged"
    assert bench.press(1800, hold_ms=25_000) == "merged"
    bench.leaf(2000, True)
    assert bench.press(2200, hold_ms=1000) == "extended"
    bench.until(60_000)
    assert bench.times("activation") == [1000, 1500, 2500, 3000]
    assert bench.times("hold") == [1200, 26_800]


def test_a_hold_open_time_without_a_relay_for_it_is_just_a_pulse() -> None:
    bench = Bench()
    bench.press(1000, hold_ms=20_000)
    bench.until(60_000)
    assert bench.times("activation") == [1000, 1500]


def test_a_toggle_drive_gets_no_pulse_that_would_close_it() -> None:
    """konnected-esphome#13: a pulse at the wrong time does the opposite."""
    bench = Bench(TOGGLE)
    assert bench.press(1000) == "accepted"
    assert bench.press(3000) == "merged"  # on its way: a pulse would stop it
    bench.leaf(3500, True)
    assert bench.press(4000) == "extended"
    bench.until(60_000)
    assert bench.times("activation") == [1000, 1500]


def test_a_wheelchair_button_extends_an_open_toggle_drive_by_the_hold_open_relay() -> None:
    bench = Bench(replace(HOLD, toggle=True))
    bench.press(1000)
    bench.leaf(1300, True)
    assert bench.press(4000, hold_ms=20_000) == "extended"
    bench.until(60_000)
    assert bench.times("activation") == [1000, 1500]
    assert bench.times("hold") == [4000, 24_000]


def test_a_door_without_a_leaf_contact_is_extended_while_it_is_assumed_open() -> None:
    bench = Bench(BLIND)
    assert bench.press(1000) == "accepted"
    assert bench.press(1200) == "merged"
    assert bench.press(8000) == "extended"
    assert bench.press(30_000) == "accepted"
    assert bench.times("activation") == [1000, 1500, 8000, 8500, 30_000]


# --- replies ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("automatic", Reply("c1", "accepted")),
        ("off", Reply("c1", "refused", "mode_off")),
        ("hold_open", Reply("c1", "extended", "already_open")),
    ],
)
def test_a_command_gets_exactly_one_reply(mode: Mode, expected: Reply) -> None:
    bench = in_mode(mode)
    bench.staff(5000)
    bench.until(60_000)
    assert bench.replies == [expected]


def test_the_relay_moves_before_the_reply() -> None:
    bench = Bench()
    step = door.step(
        bench.door, door.Requested("staff", None, None, None, 0, by="web:7", command="c1"), 0
    )
    assert [type(effect).__name__ for effect in step.effects] == ["Drive", "Reply"]


# --- interlock ----------------------------------------------------------------------------


def test_a_request_waits_for_the_other_door_of_the_interlock() -> None:
    bench = Bench()
    bench.at(0, door.Interlocked(free=False, wait_ms=10_000))
    assert bench.staff(1000) == "waits"
    assert (bench.door.waits, bench.door.busy) == (True, False)
    assert bench.press(2000) == "merged: interlock"
    bench.at(4000, door.Interlocked(free=True, wait_ms=10_000))
    assert bench.times("activation") == [4000]
    assert bench.replies == [Reply("c1", "accepted")]
    assert (bench.door.waits, bench.door.busy) == (False, True)


def test_a_request_that_waited_too_long_is_refused() -> None:
    bench = Bench()
    bench.at(0, door.Interlocked(free=False, wait_ms=10_000))
    bench.staff(1000)
    bench.until(11_000)
    bench.at(11_000, door.Interlocked(free=True))
    assert bench.times("activation") == []
    assert bench.replies == [Reply("c1", "refused", "interlock")]


def test_a_command_waits_no_longer_than_it_lives() -> None:
    bench = Bench()
    bench.at(0, door.Interlocked(free=False, wait_ms=10_000))
    bench.staff(1000, expires_ms=6000)
    bench.until(6000)
    assert bench.replies == [Reply("c1", "refused", "interlock")]


def test_without_a_time_to_wait_the_interlock_refuses_at_once() -> None:
    bench = Bench()
    bench.at(0, door.Interlocked(free=False, wait_ms=0))
    assert bench.press(1000) == "refused: interlock"
    assert not bench.door.waits


def test_the_longest_hold_open_time_of_those_who_wait_counts() -> None:
    bench = Bench(HOLD)
    bench.at(0, door.Interlocked(free=False, wait_ms=10_000))
    bench.press(1000)
    bench.press(2000, hold_ms=20_000)
    bench.at(4000, door.Interlocked(free=True))
    bench.until(60_000)
    assert bench.times("hold") == [4000, 24_000]


def test_a_request_that_waits_is_judged_again_by_the_mode_of_its_turn() -> None:
    bench = Bench()
    bench.at(0, door.Interlocked(free=False, wait_ms=10_000))
    bench.press(1000)
    bench.mode(2000, "night")
    assert bench.told("door_request")[-1]["reason"] == "mode_night"
    bench.at(4000, door.Interlocked(free=True))
    assert bench.times("activation") == []


def test_an_open_door_is_extended_whatever_the_interlock_says() -> None:
    bench = Bench()
    bench.leaf(0, True)
    bench.at(0, door.Interlocked(free=False, wait_ms=0))
    assert bench.press(1000) == "extended"


def test_fire_beats_the_interlock_and_serves_who_waits() -> None:
    bench = Bench(replace(PLAN, fire=fire("open")))
    bench.at(0, door.Interlocked(free=False, wait_ms=10_000))
    bench.staff(1000)
    bench.fire(2000, True)
    assert bench.levels["activation"]
    assert bench.replies == [Reply("c1", "merged")]


def test_a_door_that_shall_be_held_open_waits_for_its_turn() -> None:
    bench = Bench(HOLD)
    bench.at(0, door.Interlocked(free=False, wait_ms=0))
    bench.mode(1000, "hold_open")
    assert bench.door.waits
    assert bench.times("hold") == []
    bench.at(2000, door.Interlocked(free=True))
    assert bench.times("hold") == [2000]
    assert not bench.door.waits


@pytest.mark.parametrize("side", get_args(Side))
@pytest.mark.parametrize("mode", MODES)
def test_a_button_that_can_be_forged_opens_where_everybody_may(mode: Mode, side: Side) -> None:
    """A replayed telegram of a radio button must not open a locked door."""
    forged = plans.activator("front.button", "button", side, trusted=False)
    bench = in_mode(mode, replace(HOLD, activators=(forged,)))
    expected = EXPECTED[("button", side)][MODES.index(mode)]
    if expected == "yes" and mode != "automatic":
        expected = "untrusted"
    assert bench.press(5000, "button", side) == SAID.get(expected, f"refused: {expected}")
    assert bench.press(6000, "reader", side) in {"accepted", "merged", *SAID.values()} or (
        mode == "off"
    )
