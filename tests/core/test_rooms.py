"""What the rooms' machines mean to each other, seen from the whole building."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.core import building
from gateway.core.building.after_restart import tested as in_test_mode
from gateway.core.effects import Drive
from gateway.core.events import (
    AcknowledgeCall,
    AnyCommand,
    CivilTime,
    ConfirmMessage,
    Level,
    RelayFault,
    ResetAlarm,
    TestRoom,
)
from gateway.core.plan import RelayPlan
from gateway.core.snapshot_types import CallShown
from tests import plans
from tests.core.building_bench import OFFSET, STAFF, Bench
from tests.core.room_bench import BATH, LAMPS, WC, RoomBench


def shown_call(bench: Bench) -> CallShown:
    """The call of the room that is pulled in these tests, as people are shown it."""
    shown = bench.shown()["rooms"]["wc"]["call"]
    assert shown is not None
    return shown


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (AcknowledgeCall("c", STAFF, 5000, "wc"), "unknown_call"),
        (TestRoom("c", STAFF, 5000, "wc", 600_000), "unknown_room"),
        (ResetAlarm("c", STAFF, 5000, "wc/leak"), "unknown_alarm"),
        (ConfirmMessage("c", STAFF, 5000, "test#1"), "unknown_message"),
    ],
)
def test_what_is_not_there_is_refused_by_its_name(command: AnyCommand, reason: str) -> None:
    bench = Bench()
    bench.at(200, command)
    assert (bench.replies["c"].status, bench.replies["c"].reason) == ("refused", reason)
    assert [told["reason"] for told in bench.told("command_refused")] == [reason]


def test_a_call_is_meant_before_a_room_of_the_same_name() -> None:
    """The second call of the room wc is wc-2: the room wc-2 was seen in its place."""
    other = plans.room("wc-2", "Other WC", cords=("wc.shower",), cancel="wc.presence")
    wc = plans.room("wc", "Accessible WC", cords=("wc.cord",), cancel="wc.cancel")
    bench = RoomBench(replace(BATH, rooms=(other, wc)))
    bench.pull(1_000)
    bench.press(10_000, "wc.cancel", 1_000)
    bench.pull(20_000)
    bench.pull(20_000, "wc.shower")
    calls = bench.building.calls
    assert [one.record.id for one in calls.values() if one.record] == ["wc-2-1", "wc-2"]
    assert bench.seen(30_000, "wc-2") == "accepted"
    assert (calls["wc-2"].state, bench.building.calls["wc"].state) == ("raised", "acknowledged")
    assert bench.seen(31_000, "wc-2") == "merged"
    assert bench.seen(32_000, "wc-2-1") == "accepted"
    assert bench.building.calls["wc-2"].state == "acknowledged"


# --- from the terminal strip to the call ---------------------------------------------------


def test_a_pull_is_told_and_seen_at_once() -> None:
    bench = RoomBench()
    bench.pull(1000)
    assert bench.state == "raised"
    assert bench.lit() == list(LAMPS)
    [raised] = [fact for fact in bench.facts if fact.kind == "call_raised"]
    assert (raised.subject, raised.at_ms) == ("wc", 1000)
    assert shown_call(bench)["state"] == "raised"


def test_a_spike_on_the_line_of_a_cord_is_no_pull() -> None:
    bench = RoomBench()
    bench.at(1000, Level("wc.cord", True, 1000))
    bench.at(1029, Level("wc.cord", False, 1029))
    bench.until(5000)
    assert bench.state == "quiet"


def test_a_short_pull_that_is_found_late_calls() -> None:
    bench = RoomBench()
    bench.until(5000)
    bench.at(5000, Level("wc.cord", True, 1000))
    bench.at(5000, Level("wc.cord", False, 1040))
    assert bench.state == "raised"


def test_a_cord_that_is_pulled_at_start_calls() -> None:
    bench = RoomBench(levels=False)
    bench.level(10, "wc.cord", True)
    assert bench.state == "raised"


def test_a_cut_wire_of_a_normally_closed_cord_calls_and_goes_on_calling() -> None:
    bench = RoomBench()
    bench.level(1000, "wc.cord", True)
    bench.until(3_600_000)
    assert bench.state == "raised"
    assert "wc.cord" not in {name.partition("/")[0] for name in bench.alarms()}


def test_a_cord_that_is_held_for_longer_than_a_button_may_be_calls_all_the_same() -> None:
    contacts = tuple(replace(c, stuck_after_ms=30_000) for c in BATH.contacts)
    bench = RoomBench(replace(BATH, contacts=contacts))
    bench.level(1000, "wc.cord", True)
    bench.until(60_000)
    assert "wc.cord/contact_stuck" in bench.alarms()
    bench.level(70_000, "wc.cord", False)
    bench.press(80_000, "wc.cancel")
    assert bench.state == "quiet"
    bench.level(90_000, "wc.cord", True)
    assert bench.state == "raised"


def test_a_cord_that_cannot_be_read_is_an_urgent_alarm_and_calls_when_it_comes_back() -> None:
    bench = RoomBench()
    bench.level(1000, "wc.cord", None, "chip is gone")
    assert bench.building.alarms.by_id["wc.cord/contact_unknown"].severity == "urgent"
    assert bench.shown()["rooms"]["wc"]["cords"]["wc.cord"] == "unknown"
    bench.level(9000, "wc.cord", True)
    assert bench.state == "raised"


def test_a_line_says_pulled_cut_and_short_in_words_of_its_own() -> None:
    bench = RoomBench()
    bench.ohm(1000, 900_000.0)
    assert bench.alarms() == {"wc.line/line_cut": "active"}
    bench.ohm(2000, 12.0)
    assert bench.alarms()["wc.line/line_short"] == "active"
    assert bench.alarms()["wc.line/line_cut"] == "cleared"
    bench.ohm(3000, 4_700.0)
    assert bench.state == "raised"
    bench.press(4000, "wc.cancel")
    assert bench.alarms()["wc.line/cord_stuck"] == "active"
    bench.ohm(5000, 10_000.0)
    assert bench.alarms()["wc.line/cord_stuck"] == "cleared"


def test_a_line_that_is_silent_is_as_urgent_as_a_cord_that_cannot_be_read() -> None:
    bench = RoomBench()
    bench.until(120_000)
    assert bench.building.alarms.by_id["wc.line/meter_silent"].severity == "urgent"
    assert bench.shown()["rooms"]["wc"]["cords"]["wc.line"] == "unknown"


def test_a_cord_that_sticks_is_an_alarm_until_it_is_let_go() -> None:
    bench = RoomBench()
    bench.level(1000, "wc.cord", True)
    bench.press(5000, "wc.cancel")
    assert bench.state == "quiet"
    assert bench.alarms() == {"wc.cord/cord_stuck": "active"}
    assert bench.shown()["rooms"]["wc"]["alarms"] == ["wc.cord/cord_stuck"]
    bench.level(9000, "wc.cord", False)
    assert bench.alarms() == {"wc.cord/cord_stuck": "cleared"}


# --- the button that ends a call -----------------------------------------------------------


def test_cancel_that_is_found_pressed_at_start_ends_nothing() -> None:
    before = RoomBench()
    before.pull(1000)
    bench = before.again()
    bench.level(10, "wc.cancel", True)
    bench.level(20, "wc.presence", True)
    assert bench.state == "raised"


def test_cancel_that_is_pressed_right_after_the_start_ends_the_call() -> None:
    before = RoomBench()
    before.pull(1000)
    bench = before.again()
    bench.level(10, "wc.cancel", False)
    bench.press(15, "wc.cancel")
    assert bench.state == "quiet"


def test_cancel_that_comes_back_from_a_fault_ends_nothing() -> None:
    bench = RoomBench()
    bench.pull(1000)
    bench.level(3000, "wc.cancel", None, "chip is gone")
    bench.level(4000, "wc.cancel", True)
    assert bench.state == "raised"
    bench.level(5000, "wc.cancel", False)
    bench.level(6000, "wc.cancel", True)
    assert bench.state == "quiet"


def test_cancel_that_chatters_ends_nothing_until_it_is_calm() -> None:
    bench = RoomBench()
    for n in range(40):
        bench.press(1000 + n * 200, "wc.cancel", 100)
    bench.pull(10_000)
    bench.press(12_000, "wc.cancel")
    assert bench.state == "raised"
    bench.until(300_000)
    bench.press(300_000, "wc.cancel")
    assert bench.state == "quiet"


def test_a_cord_that_chatters_fills_nothing() -> None:
    bench = RoomBench()
    for n in range(600):
        bench.press(1000 + n * 200, "wc.cord", 100)
    assert bench.state == "raised"
    assert len(bench.told("call_raised")) <= 4
    assert len(bench.told("contact_changed")) <= 40


# --- relays --------------------------------------------------------------------------------


def test_a_lamp_that_flashes_is_told_once_on_and_once_off() -> None:
    bench = RoomBench()
    bench.pull(1000)
    bench.until(61_000)
    lamp = bench.building.relays["wc.lamp"]
    assert (lamp.on, lamp.operations) == (True, 60)  # the contact closes with each flash
    assert bench.shown()["rooms"]["wc"]["lamps"] == {
        "reassurance": True,
        "lamp": "flashing",
        "sounder": True,
        "unlock": True,
    }
    bench.press(61_600, "wc.cancel")  # in the dark half
    told = [
        f.data["on"] for f in bench.facts if (f.kind, f.subject) == ("relay_changed", "wc.lamp")
    ]
    assert told == [True, False]
    blinks = [on for _, point, on in bench.drives if point == "wc.lamp"]
    assert len(blinks) > 100
    assert bench.levels["wc.lamp"] is False


def test_no_lamp_is_on_for_longer_than_its_limit() -> None:
    relays = tuple(replace(r, max_on_ms=10_000) for r in BATH.relays)
    bench = RoomBench(replace(BATH, relays=relays))
    bench.pull(1000)
    bench.until(20_000)
    assert bench.lit() == []
    assert bench.levels["wc.lamp"] is False
    assert bench.state == "raised"
    assert {f"{point}/relay_limit" for point in LAMPS} <= bench.alarms().keys()
    assert bench.shown()["rooms"]["wc"]["lamps"]["lamp"] == "off"


def test_a_lamp_that_works_again_goes_on_where_it_is_in_its_flashing() -> None:
    bench = RoomBench()
    bench.pull(1000)
    bench.at(3000, RelayFault("wc.lamp", "chip is gone"))
    assert "wc.lamp/relay_fault" in bench.alarms()
    bench.until(4600)
    bench.drives.clear()
    bench.at(4600, RelayFault("wc.lamp", ""))
    assert bench.drives == [(4600, "wc.lamp", False)]


def test_no_relay_is_tested_while_somebody_calls() -> None:
    bench = RoomBench()
    bench.pull(1000)
    assert bench.test_relay(3000, "wc.fan", 1000).reason == "call"
    bench.press(4000, "wc.cancel")
    assert bench.test_relay(5000, "wc.lamp", 1000).status == "accepted"
    assert bench.test_relay(5000, "wc.fan", 3000).status == "accepted"
    bench.drives.clear()
    bench.pull(5100)
    assert bench.building.relays["wc.lamp"].on
    assert not bench.building.relays["wc.fan"].on, "no test goes on in a call"
    bench.until(9000)
    assert bench.lit() == list(LAMPS)


# --- commands ------------------------------------------------------------------------------


def test_a_call_is_acknowledged_by_its_room_or_by_its_name() -> None:
    bench = RoomBench()
    assert bench.seen(500) == "refused unknown_call"
    bench.pull(1000)
    assert bench.seen(3000, "wc-2") == "refused unknown_call"
    assert bench.seen(3000, "wc-1") == "accepted"
    assert bench.seen(4000) == "merged"
    [told] = bench.told("call_acknowledged")
    assert (told["by"], told["via"], told["after_ms"]) == ("web:3", "web", 2000)


def sounds(bench: RoomBench) -> bool:
    return bench.building.relays["wc.sounder"].on is True


def told_of(bench: RoomBench) -> bool:
    """Whether somebody is still being notified of the call."""
    return bench.building.escalations["wc-1"].running


def test_a_call_that_was_only_seen_goes_on_and_its_chain_with_it() -> None:
    bench = RoomBench()
    bench.pull(1000)
    assert bench.seen(3000, seen_only=True) == "accepted"
    assert bench.seen(4000, seen_only=True) == "merged"
    assert [bench.state, sounds(bench), told_of(bench)] == ["raised", True, True]
    assert bench.seen(5000, attends="Anna") == "accepted"
    assert [bench.state, sounds(bench), told_of(bench)] == ["acknowledged", False, False]
    assert bench.seen(6000, seen_only=True) == "merged"
    assert [len(bench.told(kind)) for kind in ("call_seen", "call_acknowledged")] == [1, 1]
    assert bench.told("call_acknowledged")[0]["attends"] == "Anna"
    shown = bench.shown()["rooms"]["wc"]["call"]
    assert shown is not None
    assert (shown["attends"], shown["seen_by"]) == ("Anna", "web:3")


def test_a_test_is_longer_than_its_last_minute_and_at_most_half_an_hour() -> None:
    bench = RoomBench()
    assert bench.test_mode(1000, 60_000) == "refused limit"
    assert bench.test_mode(1000, 1_800_001) == "refused limit"
    assert bench.test_mode(1000, -1) == "refused limit"
    assert bench.test_mode(1000, room="store") == "refused unknown_room"
    assert bench.test_mode(1000, 0) == "accepted"
    assert bench.test_mode(1000, 1_800_000) == "accepted"
    assert bench.test_mode(2000, 1_800_000) == "refused test_limit"
    shown = bench.shown()["rooms"]["wc"]
    assert (shown["test_until_ms"], shown["test_by"]) == (1_801_000, "web:3")
    subjects = {f.subject for f in bench.facts if f.kind == "command_refused"}
    assert subjects == {"wc", "store"}


def test_no_test_begins_while_somebody_calls() -> None:
    bench = RoomBench()
    bench.pull(1000)
    assert bench.test_mode(3000) == "refused call"
    assert bench.test_mode(3000, 0) == "refused call"
    assert bench.state == "raised"


def test_a_test_call_may_be_acknowledged_and_its_test_made_longer() -> None:
    bench = RoomBench()
    bench.test_mode(1000)
    bench.pull(2000)
    assert bench.seen(4000) == "accepted"
    assert bench.test_mode(5000) == "accepted"
    assert bench.test_mode(70_000, 0) == "accepted"
    assert bench.state == "acknowledged"
    assert bench.test_mode(71_000) == "refused test_pause"


# --- restart -------------------------------------------------------------------------------


def test_lamps_are_lit_by_the_first_step_after_a_restart() -> None:
    before = RoomBench()
    before.pull(1000)
    before.seen(3000)
    kept = before.kept()
    step = building.start(BATH, kept, 0)
    on = [effect.point for effect in step.effects if isinstance(effect, Drive) and effect.on]
    assert on == ["wc.reassurance", "wc.lamp", "wc.unlock"]
    assert [fact.kind for fact in step.facts] == ["relay_changed"] * 3


def test_a_stuck_cord_is_the_same_alarm_after_a_restart() -> None:
    before = RoomBench()
    before.level(1000, "wc.cord", True)
    before.press(5000, "wc.cancel")
    bench = before.again()
    bench.level(10, "wc.cord", True)
    assert bench.alarms() == {"wc.cord/cord_stuck": "active"}
    assert bench.raised() == []
    again = before.again()
    again.level(10, "wc.cord", False)
    assert again.alarms() == {"wc.cord/cord_stuck": "cleared"}


def test_what_was_kept_and_comes_late_finds_its_time() -> None:
    before = RoomBench()
    before.pull(1000)
    before.seen(3000)
    bench = RoomBench(kept=None, trusted=False)
    bench.at(1000, CivilTime(OFFSET + 61_000, True))
    bench.building = bench.note(building.restore(bench.building, before.kept(), 2000))
    shown = shown_call(bench)
    assert shown["state"] == "acknowledged"
    assert shown["raised_ms"] == -59_000
    assert shown["attend_by_ms"] == 243_000
    assert bench.kept()["calls"] == before.kept()["calls"]


def test_a_call_is_acknowledged_by_the_name_that_was_sent_before_its_own_was_known() -> None:
    before = RoomBench()
    before.pull(1000)
    late = RoomBench(kept=None, trusted=False)
    late.pull(1000)
    late.building = late.note(building.restore(late.building, before.kept(), 3000))
    assert shown_call(late)["id"] == "wc-1"
    again = late.again()
    assert again.seen(100, "wc-0-1000") == "accepted"


def test_what_was_kept_of_a_room_and_cannot_be_read_is_nothing() -> None:
    bench = RoomBench(kept={"calls": [1, 2]})
    assert bench.state == "quiet"


# --- what is shown -------------------------------------------------------------------------


def test_a_room_without_a_cord_has_no_call() -> None:
    shown = RoomBench().shown()["rooms"]["store"]
    assert shown["call"] is None
    assert shown["cords"] == {}
    assert shown["lamps"] == {"reassurance": None, "lamp": None, "sounder": None, "unlock": None}


def test_a_room_is_shown_quiet() -> None:
    bench = RoomBench()
    shown = bench.shown()["rooms"]["wc"]
    assert shown["name"] == WC.name
    assert shown["lamps"]["lamp"] == "off"
    assert shown["cords"] == {"wc.cord": "normal", "wc.shower": "normal", "wc.line": "normal"}
    assert shown_call(bench)["messages"] == []


def test_cancel_and_presence_of_a_room_without_a_cord_mean_nothing() -> None:
    plain = replace(WC, cords=(), lines=())
    bench = RoomBench(replace(BATH, rooms=(plain,)))
    bench.press(1000, "wc.cancel")
    bench.press(2000, "wc.presence")
    assert bench.told("call_cancelled") == []


def test_an_extra_relay_is_no_matter_of_the_call() -> None:
    bench = RoomBench(replace(BATH, relays=(*BATH.relays, RelayPlan("hall.light", None))))
    bench.pull(1000)
    assert bench.building.relays["hall.light"].on is False


def test_a_room_in_test_mode_is_known_to_be() -> None:
    bench = RoomBench()
    assert in_test_mode(bench.building) == []
    assert bench.test_mode(1_000) == "accepted"
    assert in_test_mode(bench.building) == ["wc"]
