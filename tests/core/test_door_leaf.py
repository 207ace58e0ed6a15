"""The leaf against what was asked for: proofs, failures, and what is only assumed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.core.door import door
from gateway.core.door.leaf import Result
from gateway.core.events import Mode
from tests.core.door_bench import BLIND, HOLD, LAMP, MAINTAINED, PLAN, STRIKE, Bench

# --- the life of an opening ---------------------------------------------------------------


def test_the_life_of_an_opening_with_a_strike() -> None:
    bench = Bench(STRIKE)
    states = []
    for ms, is_open in ((1000, None), (2100, True), (9000, False), (9500, None), (60_000, None)):
        if ms == 1000:
            bench.press(1030, edge_ms=1000)
        elif is_open is not None:
            bench.leaf(ms, is_open)
        states.append(bench.until(max(ms, bench.now)).state)
    assert states == ["opening", "open", "closed", "closed", "closed"]
    assert bench.drives == [
        (1030, "strike", True),
        (1230, "activation", True),  # its lead later
        (1730, "activation", False),
        (9500, "strike", False),  # its tail after the leaf has closed
    ]
    assert bench.kinds() == ["door_request", "door_opened", "door_closed"]
    assert bench.told("door_opened") == [
        {"press_to_open_ms": 1100, "cause": "request", "assumed": False, "by": None}
    ]
    assert bench.told("door_closed") == [{"open_ms": 6900, "assumed": False}]
    assert bench.standing() == []


def test_the_strike_needs_no_second_lead_while_it_is_free() -> None:
    bench = Bench(STRIKE)
    bench.press(1000)
    bench.leaf(2000, True)
    bench.press(5000)
    assert bench.times("activation") == [1200, 1700, 5000]


def test_a_press_during_the_lead_is_merged() -> None:
    bench = Bench(STRIKE)
    bench.press(1000)
    assert bench.press(1100) == "merged"
    bench.until(1199)
    assert bench.times("activation") == []
    bench.until(30_000)
    assert bench.times("activation") == [1200, 1700]


def test_the_strike_locks_again_where_the_leaf_never_opens() -> None:
    bench = Bench(STRIKE)
    bench.press(1000)
    bench.until(60_000)
    assert bench.times("strike") == [1000, 1200 + 5000 + 500]


def test_the_strike_locks_by_time_where_no_leaf_tells() -> None:
    bench = Bench(replace(BLIND, strike="strike"))
    bench.press(1000)
    bench.until(60_000)
    assert bench.times("strike") == [1000, 1700 + 8000 + 500]


def test_a_drive_that_is_due_after_the_rest_keeps_both_the_rest_and_the_lead() -> None:
    bench = Bench(replace(STRIKE, strike_tail_ms=100, rest_ms=2000))
    bench.press(1000)
    bench.leaf(1300, True)
    bench.leaf(1800, False)
    bench.until(2000)
    assert bench.times("strike") == [1000, 1900]
    assert bench.press(2500) == "accepted"
    bench.until(4500)
    assert bench.times("strike") == [1000, 1900, 2500]
    assert bench.times("activation") == [1200, 1700, 3700, 4200]


def test_state_has_its_own_since() -> None:
    bench = Bench()
    bench.press(1000)
    bench.leaf(1800, True)
    assert (bench.door.state, bench.door.since_ms) == ("open", 1800)
    bench.press(3000)
    assert bench.until(5000).since_ms == 1800


def test_a_held_door_that_is_let_go_is_closing_until_it_has_closed() -> None:
    bench = Bench(MAINTAINED)
    bench.press(1000)
    bench.leaf(2000, True)
    assert bench.until(5999).state == "open"
    assert bench.until(6000).state == "closing"
    bench.press(6200)
    assert bench.until(7000).state == "open"
    bench.until(12_000)
    bench.leaf(15_000, False)
    assert bench.door.state == "closed"


# --- the loop proof -----------------------------------------------------------------------


def test_a_leaf_that_stays_closed_did_not_open() -> None:
    bench = Bench()
    bench.staff(1000)
    assert bench.door.leaf.result == Result("pending", "c1", 1000)
    assert bench.until(5999).conditions == ()
    bench.until(6000)
    assert bench.door.conditions == (("did_not_open", "still closed 5000 ms after the activation"),)
    assert bench.door.leaf.result == Result("did_not_open", "c1", 6000)
    assert bench.door.state == "closed"


def test_pressing_again_does_not_put_off_the_proof() -> None:
    bench = Bench()
    for ms in (1000, 3000, 5000):
        bench.press(ms)
    assert bench.until(6000).conditions != ()


def test_only_an_opening_that_was_asked_for_proves_the_drive() -> None:
    bench = Bench()
    bench.press(1000)
    bench.leaf(20_000, True)
    bench.leaf(25_000, False)
    assert bench.standing() == ["did_not_open"]
    bench.staff(30_000)
    bench.leaf(31_000, True)
    assert bench.standing() == []
    assert bench.door.leaf.result == Result("opened", "c1", 31_000, 1000)


def test_a_leaf_that_comes_late_still_came_for_the_request() -> None:
    bench = Bench()
    bench.mode(0, "night")
    bench.press(1000, "reader")
    bench.leaf(6700, True)
    assert bench.standing() == []
    assert bench.told("door_opened")[0]["press_to_open_ms"] == 5700


def test_conditions_are_the_same_tuple_while_nothing_changes() -> None:
    bench = Bench()
    bench.press(1000)
    standing = bench.until(6000).conditions
    bench.press(7000)
    assert bench.door.conditions is standing


def test_the_lamp_shows_that_the_door_did_not_open() -> None:
    bench = Bench(LAMP)
    bench.press(1000)
    bench.until(60_000)
    assert bench.times("lamp") == [1000, 1400, 6000, 7000, 7300, 8300]


# --- closing ------------------------------------------------------------------------------


def test_a_leaf_that_does_not_come_back_did_not_close_and_is_left_open() -> None:
    bench = Bench()
    bench.press(1000)
    bench.leaf(2000, True)
    assert bench.until(21_999).conditions == ()
    bench.until(22_000)
    assert bench.standing() == ["did_not_close"]
    bench.until(122_000)
    assert bench.standing() == ["did_not_close", "left_open"]
    bench.leaf(130_000, False)
    assert bench.standing() == []


def test_the_time_to_close_begins_when_the_activation_ends() -> None:
    bench = Bench()
    bench.press(1000)
    bench.leaf(1300, True)
    assert bench.until(21_499).conditions == ()
    assert bench.until(21_500).conditions != ()


def test_a_leaf_that_did_not_close_is_open_and_no_longer_closing() -> None:
    bench = Bench(MAINTAINED)
    bench.press(1000)
    bench.leaf(2000, True)
    assert bench.until(25_999).state == "closing"
    bench.until(26_000)
    assert (bench.door.state, bench.standing()) == ("open", ["did_not_close"])


def test_a_leaf_that_reopens_while_it_closes_is_extended_and_gets_its_time_anew() -> None:
    bench = Bench(MAINTAINED)
    bench.press(1000)
    bench.leaf(2000, True)
    assert bench.until(20_000).state == "closing"
    assert bench.press(20_000) == "extended"
    assert bench.until(44_999).conditions == ()
    bench.leaf(44_999, False)
    assert bench.until(90_000).conditions == ()
    assert len(bench.told("door_opened")) == 1


def test_nobody_expects_the_leaf_back_while_somebody_stands_in_the_doorway() -> None:
    bench = Bench()
    bench.press(1000)
    bench.leaf(2000, True)
    bench.at(10_000, door.PresenceSeen(True))
    bench.until(60_000)
    assert bench.standing() == []
    bench.at(60_000, door.PresenceSeen(False))
    assert bench.until(79_999).conditions == ()
    bench.until(80_000)
    assert bench.standing() == ["did_not_close"]


def test_presence_at_a_closed_door_means_nothing() -> None:
    bench = Bench()
    bench.at(1000, door.PresenceSeen(True))
    bench.at(2000, door.PresenceSeen(False))
    assert door.wake_at(bench.door) is None


def test_presence_that_was_there_before_the_leaf_counts_as_well() -> None:
    bench = Bench()
    bench.press(1000)
    bench.at(1100, door.PresenceSeen(True))
    bench.leaf(2000, True)
    bench.until(60_000)
    assert bench.standing() == []


def test_a_press_does_not_clear_what_stands_nor_raise_it_twice() -> None:
    bench = Bench()
    bench.press(1000)
    bench.leaf(2000, True)
    bench.until(130_000)
    standing = bench.door.conditions
    bench.press(130_000)
    bench.until(300_000)
    assert bench.door.conditions is standing


def test_a_door_that_is_held_open_is_not_left_open() -> None:
    bench = Bench(replace(HOLD, left_open_after_ms=120_000))
    bench.press(1000)
    bench.leaf(2000, True)
    bench.until(130_000)
    assert bench.standing() == ["did_not_close", "left_open"]
    bench.mode(130_000, "hold_open")
    assert bench.standing() == []
    assert bench.until(900_000).conditions == ()
    bench.mode(900_000, "automatic")
    assert bench.until(900_000).state == "closing"
    bench.until(1_020_000)
    assert bench.standing() == ["did_not_close", "left_open"]


def test_a_leaf_without_a_limit_may_stand_open() -> None:
    bench = Bench(STRIKE)
    bench.leaf(1000, True)
    assert bench.until(10**7).conditions == ()


def test_deadlines_that_coincide_are_all_lived() -> None:
    bench = Bench(replace(PLAN, closes_within_ms=60_000, left_open_after_ms=60_000))
    bench.press(1000)
    bench.leaf(2000, True)
    bench.until(62_000)
    assert bench.standing() == ["did_not_close", "left_open"]


# --- by hand, by force --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "cause"),
    [
        ("automatic", "hand"),
        ("exit_only", "hand"),
        ("hold_open", "hand"),
        ("off", "hand"),
        ("night", "forced"),
    ],
)
def test_a_leaf_that_opens_by_itself_is_forced_where_it_is_locked(mode: Mode, cause: str) -> None:
    bench = Bench()
    bench.mode(0, mode)
    bench.leaf(50_000, True)
    assert bench.told("door_opened")[0]["cause"] == cause
    assert bench.kinds().count("opened_by_hand") == (cause == "hand")
    assert bench.standing() == (["forced"] if cause == "forced" else [])


@pytest.mark.parametrize("mode", ["automatic", "night"])
def test_a_leaf_that_opens_while_a_relay_is_tested_was_opened_by_that(mode: Mode) -> None:
    bench = Bench()
    bench.mode(0, mode)
    bench.at(50_000, door.RelayTested(1_000, "web:3"))
    bench.leaf(51_500, True)
    opened = bench.told("door_opened")[0]
    assert (opened["cause"], opened["by"]) == ("test", "web:3")
    assert "opened_by_hand" not in bench.kinds()
    assert bench.standing() == []
    bench.leaf(60_000, False)
    bench.leaf(90_000, True)  # long after the test
    later = bench.told("door_opened")[1]
    assert (later["cause"], later["by"]) == ("forced" if mode == "night" else "hand", None)


def test_a_leaf_contact_that_can_be_forged_proves_no_burglary() -> None:
    bench = Bench(replace(PLAN, leaf_trusted=False))
    bench.mode(0, "night")
    bench.leaf(50_000, True)
    assert bench.told("door_opened")[0]["cause"] == "hand"
    assert bench.standing() == []


def test_forced_stands_until_the_leaf_is_closed() -> None:
    bench = Bench()
    bench.mode(0, "night")
    bench.leaf(50_000, True)
    bench.mode(51_000, "automatic")
    assert bench.until(52_000).conditions != ()
    bench.leaf(53_000, False)
    assert bench.standing() == []


def test_a_leaf_that_bounces_off_its_frame_was_forced_by_nobody() -> None:
    bench = Bench()
    bench.mode(0, "night")
    bench.press(1000, "reader")
    bench.leaf(2000, True)
    bench.leaf(9000, False)
    bench.leaf(9400, True)
    bench.leaf(9600, False)
    assert bench.standing() == []
    assert [told["cause"] for told in bench.told("door_opened")] == ["request", "hand"]
    bench.leaf(10_200, True)
    assert bench.standing() == ["forced"]


def test_wind_that_moves_a_leaf_by_hand_may_leave_it_but_not_for_ever() -> None:
    bench = Bench()
    bench.leaf(1000, True)
    assert bench.until(120_999).conditions == ()
    bench.until(121_000)
    assert bench.standing() == ["left_open"]


def test_the_state_is_read_and_never_toggled() -> None:
    """Leosac: toggled per edge, one missed edge inverted the door for ever."""
    bench = Bench()
    bench.leaf(1000, True)
    bench.leaf(2000, True)
    assert (bench.door.state, len(bench.told("door_opened"))) == ("open", 1)
    bench.leaf(3000, False)
    bench.leaf(4000, False)
    assert (bench.door.state, len(bench.told("door_closed"))) == ("closed", 1)


# --- unknown and assumed ------------------------------------------------------------------


def test_a_door_that_has_not_been_told_is_unknown() -> None:
    bench = Bench(leaf=None)
    assert (bench.door.state, bench.door.leaf_seen, bench.door.assumed) == (
        "unknown",
        "unknown",
        False,
    )


@pytest.mark.parametrize(("is_open", "state"), [(True, "open"), (False, "closed")])
def test_a_leaf_that_is_found_so_at_start_is_no_event(is_open: bool, state: str) -> None:
    bench = Bench(leaf=is_open)
    assert (bench.door.state, bench.door.leaf_seen, bench.facts) == (state, state, [])


def test_a_door_that_is_found_open_at_start_is_left_open_in_time() -> None:
    """home-assistant#59812: an alarm that did not fire when the problem was there at start."""
    bench = Bench(leaf=True)
    bench.until(120_000)
    assert bench.standing() == ["left_open"]
    bench.leaf(130_000, False)
    assert bench.told("door_closed") == [{"open_ms": None, "assumed": False}]


def test_a_door_without_a_leaf_contact_is_timed_and_says_so() -> None:
    bench = Bench(BLIND)
    assert (bench.door.state, bench.door.assumed, bench.door.leaf_seen) == ("closed", True, None)
    bench.staff(1000)
    assert (bench.door.state, bench.door.assumed) == ("open", True)
    assert bench.door.leaf.result == Result("assumed_open", "c1", 1000)
    bench.until(60_000)
    assert bench.told("door_opened") == [
        {"press_to_open_ms": None, "cause": "request", "assumed": True, "by": None}
    ]
    assert bench.told("door_closed") == [{"open_ms": 8500, "assumed": True}]
    assert (bench.door.state, bench.standing()) == ("closed", [])


def test_a_request_while_the_leaf_is_unknown_is_served_and_only_assumed() -> None:
    bench = Bench(leaf=None)
    assert bench.press(1000) == "accepted"
    assert (bench.door.state, bench.door.assumed, bench.door.leaf_seen) == ("open", True, "unknown")
    bench.until(60_000)
    assert (bench.door.state, bench.standing()) == ("unknown", [])


def test_a_contact_that_comes_back_during_the_attempt_tells_the_truth_again() -> None:
    bench = Bench(leaf=None)
    bench.staff(1000)
    bench.leaf(2000, False)
    assert (bench.door.state, bench.door.assumed) == ("opening", False)
    bench.until(6000)
    assert bench.standing() == ["did_not_open"]
    assert bench.door.leaf.result == Result("did_not_open", "c1", 6000)


def test_a_contact_that_comes_back_open_proves_the_opening_but_not_its_time() -> None:
    bench = Bench(leaf=None)
    bench.staff(1000)
    bench.leaf(2000, True)
    assert (bench.door.state, bench.door.assumed) == ("open", False)
    assert bench.door.leaf.result == Result("opened", "c1", 2000, None)
    assert len(bench.told("door_opened")) == 1
    bench.until(22_000)
    assert bench.standing() == ["did_not_close"]


def test_a_contact_that_is_lost_after_the_activation_leaves_an_assumption() -> None:
    bench = Bench()
    bench.staff(1000)
    bench.leaf(1200, None)
    assert (bench.door.state, bench.door.assumed) == ("open", True)
    bench.until(60_000)
    assert (bench.door.state, bench.standing()) == ("unknown", [])
    assert bench.door.leaf.result == Result("assumed_open", "c1", 1200)


def test_a_contact_that_is_lost_during_the_lead_leaves_an_assumption_later() -> None:
    bench = Bench(STRIKE)
    bench.press(1000)
    bench.leaf(1100, None)
    assert bench.door.state == "opening"
    assert bench.until(1200).state == "open"


def test_a_contact_that_is_lost_while_open_closes_by_assumption() -> None:
    bench = Bench(STRIKE)
    bench.press(1000)
    bench.leaf(2000, True)
    bench.leaf(3000, None)
    assert (bench.door.state, bench.door.assumed) == ("open", True)
    bench.until(60_000)
    assert bench.door.state == "unknown"
    assert bench.times("strike") == [1000, 11_500]


def test_a_contact_that_is_lost_and_comes_back_open_is_watched_anew() -> None:
    bench = Bench()
    bench.leaf(2000, True)
    bench.leaf(3000, None)
    bench.leaf(5000, True)
    assert (bench.door.assumed, len(bench.told("door_opened"))) == (False, 1)
    bench.until(125_000)
    assert bench.standing() == ["left_open"]


def test_a_contact_that_is_lost_while_the_door_is_held_open_changes_no_relay() -> None:
    bench = Bench(HOLD)
    bench.mode(1000, "hold_open")
    bench.leaf(2000, True)
    bench.leaf(3000, None)
    bench.until(90_000)
    assert (bench.door.state, bench.levels["hold"]) == ("open", True)
    bench.leaf(90_000, True)
    assert bench.door.assumed is False
    assert door.wake_at(bench.door) is None


@pytest.mark.parametrize(
    ("mode", "last", "forced"),
    [("night", False, True), ("night", True, False), ("automatic", False, False)],
)
def test_a_locked_leaf_that_is_open_when_its_contact_comes_back_was_forced(
    mode: Mode, last: bool, forced: bool
) -> None:
    bench = Bench(leaf=last)
    bench.leaf(1000, None)
    bench.until(50_000)
    bench.mode(50_000, mode)
    bench.leaf(60_000, True)
    assert ("forced" in bench.standing()) == forced
    assert bench.door.state == "open"


def test_an_alarm_is_not_cleared_by_a_contact_that_says_nothing() -> None:
    bench = Bench()
    bench.leaf(1000, True)
    bench.until(121_000)
    bench.leaf(122_000, None)
    bench.until(200_000)
    assert bench.standing() == ["left_open"]
    bench.leaf(200_000, False)
    assert bench.standing() == []


def test_how_long_it_was_open_is_not_told_where_nobody_saw_it_close() -> None:
    bench = Bench()
    bench.leaf(1000, True)
    bench.leaf(2000, None)
    bench.leaf(3000, False)
    assert bench.told("door_closed") == [{"open_ms": None, "assumed": False}]


# --- operator, bolt, relay ----------------------------------------------------------------


def test_the_operators_own_fault_stands_as_long_as_it_is_reported() -> None:
    bench = Bench()
    bench.at(1000, door.OperatorFaultSeen(True))
    assert (bench.standing(), bench.door.operator_fault) == (["operator_fault"], True)
    bench.at(2000, door.OperatorFaultSeen(None))
    assert (bench.standing(), bench.door.operator_fault) == (["operator_fault"], None)
    bench.at(3000, door.OperatorFaultSeen(False))
    assert (bench.standing(), bench.door.operator_fault) == ([], False)


def test_a_bolt_that_is_out_while_the_leaf_is_open_is_a_mismatch() -> None:
    bench = Bench()
    bench.at(1000, door.BoltSeen(True))
    bench.leaf(2000, True)
    assert bench.until(21_999).conditions == ()
    assert bench.until(22_000).conditions == (("bolt_mismatch", "bolt out while open"),)
    bench.at(23_000, door.BoltSeen(False))
    assert bench.standing() == []


def test_a_bolt_that_is_not_out_at_night_is_a_mismatch() -> None:
    bench = Bench()
    bench.at(1000, door.BoltSeen(False))
    assert bench.until(100_000).conditions == ()
    bench.mode(100_000, "night")
    bench.until(120_000)
    assert bench.door.conditions == (("bolt_mismatch", "bolt not out while locked"),)
    bench.mode(121_000, "automatic")
    assert bench.standing() == []


def test_a_bolt_that_moves_a_little_later_than_the_leaf_is_none() -> None:
    bench = Bench()
    bench.at(1000, door.BoltSeen(True))
    bench.leaf(2000, True)
    bench.at(2500, door.BoltSeen(False))
    assert bench.until(100_000).conditions == ()
    assert (bench.door.leaf.mismatch_at_ms, bench.door.leaf.bolt) == (None, False)


def test_an_activation_that_cannot_be_switched_opens_nothing() -> None:
    bench = Bench()
    bench.staff(1000)
    bench.at(1000, door.RelayFailed("activation", "line in use"))
    assert bench.door.conditions == (("did_not_open", "activation relay: line in use"),)
    assert bench.door.leaf.result == Result("did_not_open", "c1", 1000)
    bench.at(2000, door.RelayFailed("activation", ""))
    assert bench.standing() == ["did_not_open"]  # the leaf will prove it


def test_where_no_leaf_tells_a_failed_activation_ends_the_assumption() -> None:
    bench = Bench(BLIND)
    bench.press(1000)
    bench.at(1000, door.RelayFailed("activation", "line in use"))
    assert (bench.door.state, bench.standing()) == ("closed", ["did_not_open"])
    bench.at(60_000, door.RelayFailed("activation", ""))
    assert bench.standing() == []


@pytest.mark.parametrize("point", ["activation", "lamp"])
def test_a_relay_that_fails_while_nothing_is_asked_says_nothing_about_the_door(point: str) -> None:
    bench = Bench(LAMP)
    before, told = bench.door, len(bench.facts)
    after = bench.at(1000, door.RelayFailed(point, "line in use"))
    assert replace(after, faulty=frozenset()) == before
    assert (after.conditions, len(bench.facts)) == ((), told)
