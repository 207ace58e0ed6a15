"""Modes, fire, service: what beats what, and what is on at once or off at once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.core.door import door
from gateway.core.door.leaf import Result
from gateway.core.effects import Drive, Reply
from gateway.core.events import Mode
from gateway.core.plan import DoorPlan, Transition
from tests.core.door_bench import BLIND, HOLD, LAMP, MAINTAINED, PLAN, STRIKE, TOGGLE, Bench, fire

# --- start --------------------------------------------------------------------------------


def test_every_relay_is_off_at_start() -> None:
    """Relays that fire at boot: mqtt-io#131, GarageQTPi#13, esphome/issues#3094."""
    plan = replace(STRIKE, hold_open="hold", indicator=LAMP.indicator, mode="hold_open")
    assert door.start(plan, 0).effects == (
        Drive("strike", False),
        Drive("hold", False),
        Drive("activation", False),
        Drive("lamp", False),
    )


def test_a_schedule_that_is_not_known_yet_leaves_the_safe_mode() -> None:
    plan = replace(PLAN, schedule=(Transition(0, "automatic"),), safe_mode="night")
    one = door.start(plan, 0).state
    assert (one.mode, one.mode_source) == ("night", "safe")


def test_a_door_reads_what_it_has_not() -> None:
    bench = Bench()
    assert (bench.door.strike, bench.door.hold_open, bench.door.activation) == (None, None, False)


def test_a_door_reads_what_it_has() -> None:
    bench = Bench(replace(HOLD, strike="strike"))
    assert (bench.door.strike, bench.door.hold_open) == (False, False)


# --- modes --------------------------------------------------------------------------------


def test_a_mode_is_told_with_who_and_until_when() -> None:
    bench = Bench()
    bench.at(1000, door.ModeChanged("night", "override", 99_000, "web:7", "c9"))
    assert bench.told("door_mode") == [
        {
            "mode": "night",
            "source": "override",
            "until_utc_ms": 99_000,
            "by": "web:7",
            "command": "c9",
        }
    ]
    assert bench.replies == [Reply("c9", "accepted")]
    one = bench.door
    assert (one.mode, one.mode_source, one.mode_until_utc_ms, one.mode_by) == (
        "night",
        "override",
        99_000,
        "web:7",
    )


def test_the_same_mode_again_is_no_fact_but_a_command_has_its_answer() -> None:
    bench = Bench()
    bench.at(1000, door.ModeChanged("night", "override", 99_000, "web:7", "c9"))
    bench.at(2000, door.ModeChanged("night", "override", 99_000, "web:7"))
    assert len(bench.told("door_mode")) == 1
    bench.at(3000, door.ModeChanged("night", "override", 99_000, "web:7", "c10"))
    assert len(bench.told("door_mode")) == 2
    assert len(bench.replies) == 2


@pytest.mark.parametrize(
    ("plan", "relay"), [(HOLD, "hold"), (MAINTAINED, "activation")], ids=["relay", "maintained"]
)
def test_hold_open_holds_until_another_mode_comes(plan: DoorPlan, relay: str) -> None:
    bench = Bench(plan)
    bench.mode(1000, "hold_open")
    bench.leaf(2000, True)
    bench.until(10**7)
    assert (bench.times(relay), bench.standing()) == ([1000], [])
    assert bench.told("door_opened")[0]["cause"] == "hold_open"
    bench.mode(10**7, "automatic")
    assert bench.times(relay) == [1000, 10**7]
    assert bench.until(10**7).state == "closing"


def test_hold_open_without_a_relay_for_it_is_refused() -> None:
    bench = Bench()
    bench.at(1000, door.ModeChanged("hold_open", "override", None, "web:7", "c9"))
    assert bench.replies == [Reply("c9", "refused", "not_wired")]
    assert bench.told("command_refused")[0]["reason"] == "not_wired"
    assert (bench.door.mode, bench.drives) == ("automatic", [])


def test_a_held_door_waits_for_its_strike() -> None:
    bench = Bench(replace(HOLD, strike="strike"))
    bench.mode(1000, "hold_open")
    bench.leaf(2000, True)
    bench.mode(9000, "night")
    bench.leaf(12_000, False)
    bench.until(60_000)
    assert bench.drives == [
        (1000, "strike", True),
        (1200, "hold", True),
        (9000, "hold", False),
        (12_500, "strike", False),
    ]


def test_a_held_door_that_does_not_open_is_told_and_may_be_asked() -> None:
    bench = Bench(HOLD)
    bench.mode(1000, "hold_open")
    bench.until(6000)
    assert bench.standing() == ["did_not_open"]
    assert bench.press(8000) == "accepted"  # it looks at the leaf, not at the mode
    bench.leaf(9000, True)
    assert bench.times("activation") == [8000, 8500]
    assert bench.press(10_000) == "extended: already_open"
    assert bench.standing() == []


def test_a_held_door_that_closes_is_expected_back() -> None:
    bench = Bench(HOLD)
    bench.mode(1000, "hold_open")
    bench.leaf(2000, True)
    bench.leaf(600_000, False)
    assert bench.until(604_999).conditions == ()
    bench.until(605_000)
    assert (bench.standing(), bench.door.state) == (["did_not_open"], "closed")
    assert bench.until(900_000).conditions != ()
    bench.leaf(900_000, True)
    assert bench.standing() == []
    assert bench.told("door_opened")[-1]["cause"] == "hold_open"


def test_a_request_that_a_hold_takes_over_keeps_its_answer() -> None:
    bench = Bench(HOLD)
    bench.staff(1000)
    bench.mode(1200, "hold_open")
    bench.leaf(2000, True)
    assert bench.door.leaf.result == Result("opened", "c1", 2000, 1000)
    assert bench.told("door_opened")[0]["cause"] == "request"


def test_leaving_hold_open_before_the_leaf_moved_is_no_failure() -> None:
    bench = Bench(HOLD)
    bench.mode(1000, "hold_open")
    bench.mode(2000, "automatic")
    bench.until(60_000)
    assert (bench.standing(), bench.door.state) == ([], "closed")


def test_hold_open_at_a_door_that_is_open_asks_for_no_proof() -> None:
    bench = Bench(HOLD)
    bench.leaf(0, True)
    bench.mode(1000, "hold_open")
    assert door.wake_at(bench.door) is None


def test_hold_open_takes_over_a_maintained_activation_and_lets_go_of_it() -> None:
    bench = Bench(MAINTAINED)
    bench.press(1000)
    bench.leaf(2000, True)
    bench.mode(3000, "hold_open")
    bench.press(4000)
    bench.until(60_000)
    bench.mode(60_000, "automatic")
    assert bench.times("activation") == [1000, 60_000]


def test_a_maintained_door_in_hold_open_that_was_closed_has_nothing_more_to_give() -> None:
    bench = Bench(MAINTAINED)
    bench.mode(1000, "hold_open")
    bench.leaf(2000, True)
    bench.leaf(9000, False)
    assert bench.press(10_000) == "merged"
    assert bench.until(20_000).state == "closed"


def test_hold_open_during_the_rest_of_a_maintained_activation_begins_at_once() -> None:
    bench = Bench(MAINTAINED)
    bench.press(1000)
    bench.leaf(2000, True)
    bench.mode(6100, "hold_open")
    assert bench.times("activation") == [1000, 6000, 6100]


@pytest.mark.parametrize("mode", ["exit_only", "night", "off"])
def test_changing_the_mode_during_a_pulse_never_lengthens_it(mode: Mode) -> None:
    bench = Bench()
    bench.press(1000)
    bench.mode(1200, mode)
    bench.mode(1300, "automatic")
    bench.until(60_000)
    switched = bench.times("activation")
    assert switched in ([1000, 1500], [1000, 1200])


def test_switching_off_ends_everything_at_once() -> None:
    bench = Bench(replace(HOLD, strike="strike"))
    bench.press(1000, hold_ms=20_000)
    bench.until(1400)
    bench.mode(1400, "off")
    assert bench.levels == {"strike": True, "activation": False, "hold": False}
    bench.until(60_000)
    assert bench.times("strike") == [1000, 1900]
    assert bench.standing() == []


def test_switching_off_during_the_lead_activates_nothing() -> None:
    bench = Bench(STRIKE)
    bench.press(1000)
    bench.mode(1100, "off")
    bench.until(60_000)
    assert (bench.times("activation"), bench.door.state) == ([], "closed")
    bench.leaf(61_000, True)  # somebody uses the handle: not for that request
    assert bench.told("door_opened")[0]["cause"] == "hand"


def test_a_request_that_is_due_after_the_rest_is_dropped_when_switched_off() -> None:
    bench = Bench()
    bench.press(1000)
    bench.leaf(1300, True)
    bench.press(1600)
    bench.mode(1700, "off")
    bench.until(60_000)
    assert bench.times("activation") == [1000, 1500]


def test_a_request_that_began_before_night_ends_as_it_began() -> None:
    bench = Bench(MAINTAINED)
    bench.press(1000)
    bench.mode(1500, "night")
    bench.leaf(2000, True)
    bench.until(60_000)
    assert bench.times("activation") == [1000, 6000]
    assert bench.told("door_opened")[0]["cause"] == "request"


# --- fire ---------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["automatic", "exit_only", "night", "off"])
def test_fire_opens_in_every_mode_and_holds_until_it_clears(mode: Mode) -> None:
    bench = Bench(replace(STRIKE, fire=fire("open")))
    bench.mode(0, mode)
    bench.fire(1000, True)
    bench.leaf(2000, True)
    assert bench.staff(3000) == "extended: already_open"
    bench.mode(4000, "automatic")
    bench.mode(5000, mode)
    bench.until(10**7)
    assert bench.drives == [(1000, "strike", True), (1200, "activation", True)]
    assert bench.told("door_opened")[0]["cause"] == "fire"
    assert bench.standing() == []
    bench.fire(10**7, False)
    assert bench.levels["activation"] is False
    assert bench.until(10**7).state == "closing"


def test_fire_takes_over_a_pulse_and_a_rest_at_once() -> None:
    bench = Bench(replace(PLAN, fire=fire("open")))
    bench.press(1000)
    bench.fire(1200, True)
    bench.until(9000)
    assert bench.times("activation") == [1000]
    bench.fire(9000, False)
    bench.fire(9100, True)
    assert bench.times("activation") == [1000, 9000, 9100]


def test_fire_during_the_lead_waits_for_the_strike_only() -> None:
    bench = Bench(replace(STRIKE, fire=fire("open")))
    bench.press(1000)
    bench.fire(1100, True)
    bench.until(60_000)
    assert bench.times("activation") == [1200]


def test_fire_closes_the_hold_open_relay_as_well_where_there_is_one() -> None:
    bench = Bench(replace(HOLD, fire=fire("open")))
    bench.mode(500, "hold_open")
    bench.fire(1000, True)
    bench.fire(9000, False)
    bench.until(9000)
    assert bench.drives == [
        (500, "hold", True),
        (1000, "activation", True),
        (9000, "activation", False),
    ]


def test_fire_ends_into_a_maintained_hold_open_without_a_gap() -> None:
    bench = Bench(replace(MAINTAINED, fire=fire("open")))
    bench.fire(1000, True)
    bench.mode(2000, "hold_open")
    bench.fire(3000, False)
    bench.until(60_000)
    assert bench.times("activation") == [1000]


def test_fire_closes_a_door_that_must_close() -> None:
    bench = Bench(replace(HOLD, fire=fire("close"), strike="strike"))
    bench.mode(0, "hold_open")
    bench.leaf(1000, True)
    bench.fire(2000, True)
    assert bench.levels["hold"] is False
    assert bench.staff(3000, "Notfall") == "refused: fire"
    assert bench.press(3000, "button", "inside") == "refused: fire"
    assert door.can_open(bench.door).reason == "fire"
    bench.leaf(8000, False)
    bench.until(60_000)
    assert bench.levels == {"strike": False, "hold": False, "activation": False} | bench.levels
    bench.fire(60_000, False)
    bench.until(61_000)
    assert bench.levels["hold"] is True


def test_fire_cuts_a_pulse_and_refuses_who_waits() -> None:
    bench = Bench(replace(PLAN, fire=fire("close")))
    bench.press(1000)
    bench.fire(1100, True)
    assert bench.times("activation") == [1000, 1100]
    bench.at(2000, door.Interlocked(free=False, wait_ms=5000))
    bench.fire(2000, False)
    bench.until(10_000)
    assert bench.staff(10_000) == "waits"
    bench.fire(11_000, True)
    assert bench.replies == [Reply("c1", "refused", "fire")]


def test_fire_may_be_none_of_a_doors_business() -> None:
    bench = Bench(replace(PLAN, fire=fire("ignore")))
    bench.fire(1000, True)
    assert bench.drives == []
    assert bench.press(2000) == "accepted"


def test_a_fire_contact_that_is_unknown_keeps_its_last_known_level() -> None:
    bench = Bench(replace(PLAN, fire=fire("open")))
    bench.fire(500, None)
    assert bench.drives == []
    bench.fire(1000, True)
    bench.fire(2000, None)
    bench.until(60_000)
    assert bench.levels["activation"] is True
    bench.fire(60_000, False)
    assert bench.levels["activation"] is False


def test_fire_that_clears_before_the_leaf_moved_is_no_failure() -> None:
    bench = Bench(replace(PLAN, fire=fire("open")))
    bench.fire(1000, True)
    bench.fire(2000, False)
    bench.until(60_000)
    assert bench.standing() == []


def test_fire_that_cannot_open_the_door_says_so() -> None:
    bench = Bench(replace(PLAN, fire=fire("open")))
    bench.fire(1000, True)
    bench.until(60_000)
    assert (bench.standing(), bench.levels["activation"]) == (["did_not_open"], True)


def test_fire_brings_a_toggle_drive_open_and_looks_at_the_leaf() -> None:
    bench = Bench(replace(TOGGLE, fire=fire("open")))
    bench.fire(1000, True)
    bench.leaf(2000, True)
    bench.until(30_000)
    assert bench.times("activation") == [1000, 1500]
    bench.leaf(30_000, False)  # it has closed by itself: once more
    bench.leaf(31_000, True)
    bench.until(90_000)
    assert bench.times("activation") == [1000, 1500, 30_000, 30_500]


def test_fire_pulses_a_toggle_drive_that_stays_closed_until_it_opens() -> None:
    bench = Bench(replace(TOGGLE, fire=fire("open")))
    bench.fire(1000, True)
    bench.until(7000)
    assert bench.times("activation") == [1000, 1500, 6000, 6500]
    assert bench.standing() == ["did_not_open"]


@pytest.mark.parametrize("fire_ms", [1200, 1700, 3000])
def test_fire_gives_a_toggle_drive_that_is_on_its_way_no_second_pulse(fire_ms: int) -> None:
    bench = Bench(replace(TOGGLE, fire=fire("open")))
    bench.press(1000)
    bench.fire(fire_ms, True)
    bench.leaf(4000, True)
    bench.until(60_000)
    assert bench.times("activation") == [1000, 1500]


def test_fire_gives_a_toggle_drive_that_closed_during_its_rest_a_pulse_after_it() -> None:
    bench = Bench(replace(TOGGLE, fire=fire("open")))
    bench.fire(1000, True)
    bench.leaf(1300, True)
    bench.leaf(1400, False)
    bench.leaf(4000, True)
    bench.until(60_000)
    assert bench.times("activation") == [1000, 1500, 2500, 3000]


def test_fire_gives_an_open_toggle_drive_no_pulse() -> None:
    bench = Bench(replace(TOGGLE, fire=fire("open")), leaf=True)
    bench.fire(1000, True)
    bench.until(60_000)
    assert bench.times("activation") == []


def test_fire_gives_a_toggle_drive_that_tells_nothing_one_pulse_only() -> None:
    bench = Bench(replace(TOGGLE, fire=fire("open")), leaf=None)
    bench.fire(1000, True)
    bench.until(60_000)
    assert bench.times("activation") == [1000, 1500]


def test_fire_opens_a_toggle_drive_by_its_strike_and_pulse() -> None:
    bench = Bench(replace(TOGGLE, strike="strike", fire=fire("open")))
    bench.fire(1000, True)
    bench.leaf(2000, True)
    bench.until(60_000)
    assert bench.drives == [
        (1000, "strike", True),
        (1200, "activation", True),
        (1700, "activation", False),
    ]


def test_fire_holds_a_toggle_drive_by_its_relay_for_that() -> None:
    bench = Bench(replace(HOLD, toggle=True, fire=fire("open")))
    bench.fire(1000, True)
    bench.leaf(2000, True)
    bench.until(60_000)
    assert bench.drives == [(1000, "hold", True)]


def test_fire_with_no_leaf_contact_is_assumed_to_have_opened() -> None:
    bench = Bench(replace(BLIND, fire=fire("open")))
    bench.fire(1000, True)
    assert bench.until(10**6).state == "open"
    bench.fire(10**6, False)
    assert bench.until(10**6 + 8000).state == "closed"


def test_a_leaf_that_opens_under_fire_is_not_forced() -> None:
    bench = Bench(replace(PLAN, fire=fire("close")))
    bench.mode(0, "night")
    bench.fire(1000, True)
    bench.leaf(2000, True)
    assert bench.standing() == []


# --- service ------------------------------------------------------------------------------


def test_service_ends_by_itself() -> None:
    bench = Bench()
    served = bench.at(1000, door.ServiceSet(60_000, "web:7", "c1"))
    assert served.service_until_ms == 61_000
    assert bench.until(61_000).service_until_ms is None
    assert [told["active"] for told in bench.told("door_service")] == [True, False]
    assert bench.replies == [Reply("c1", "accepted")]


def test_service_can_be_ended() -> None:
    bench = Bench()
    bench.at(1000, door.ServiceSet(60_000))
    bench.at(2000, door.ServiceSet(0, "web:7", "c2"))
    assert (bench.door.service_until_ms, door.wake_at(bench.door)) == (None, None)
    assert bench.replies == [Reply("c2", "accepted")]


def test_service_lasts_a_working_day_at_most() -> None:
    bench = Bench()
    bench.at(1000, door.ServiceSet(8 * 3_600_000 + 1, "web:7", "c1"))
    assert bench.replies == [Reply("c1", "refused", "limit")]
    assert bench.door.service_until_ms is None
    assert bench.told("command_refused")[0]["name"] == "set_service"


# --- time ---------------------------------------------------------------------------------


def test_a_step_that_comes_seconds_late_ends_the_pulse_and_begins_no_other() -> None:
    """mqtt-io#310: a pulse lasted for seconds because a loop was blocked; whoever comes then
    switches off first of all, also where the step that comes is another press."""
    for event in (None, door.Requested("button", "outside", "b", None, 9000)):
        bench = Bench()
        bench.press(1000)
        step = door.step(bench.door, event, 9000)
        assert step.effects == (Drive("activation", False),)


def test_a_step_before_its_time_changes_nothing() -> None:
    bench = Bench()
    bench.press(1000)
    assert door.step(bench.door, None, 1499).state is bench.door
