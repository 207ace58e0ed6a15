"""The building: what the machines say to one another, and what people get as an answer."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable
from dataclasses import replace
from typing import Literal, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core import building
from gateway.core.door.schedule import OVERRIDE_LIMIT_MS
from gateway.core.effects import Drive, Reply
from gateway.core.events import (
    CertificateState,
    CivilTime,
    CommandRefused,
    Event,
    JournalState,
    Level,
    Mode,
    OpenDoor,
    Reading,
    RelayFault,
    SetMode,
    TestRelay,
)
from gateway.core.facts import Json
from gateway.core.instant import Ms
from gateway.core.machine import Broken
from gateway.core.notification.alarms import ALARM_KINDS
from gateway.core.plan import BuildingPlan, FirePlan, RelayPlan
from gateway.core.reasons import REASONS
from tests import plans
from tests.core.building_bench import FRONT, OFFSET, PLAN, SMALL, STAFF, Bench

# --- start and time -----------------------------------------------------------------------


def test_every_relay_is_told_to_be_off_at_start_and_nothing_else_moves() -> None:
    """mqtt-io#131, esphome/issues#3094: relays that fire at boot."""
    started = building.start(PLAN, None, 5)
    assert started.effects == (Drive("front.activation", False), Drive("back.activation", False))
    bench = Bench()
    assert bench.drives == []


def test_deadlines_are_lived_each_at_its_own_time_before_the_event() -> None:
    bench = Bench(SMALL)
    bench.press(1000)
    # Nobody calls for ten seconds: the end of the pulse, and the leaf that did not come.
    step = building.step(bench.building, Level("front.leaf", True, 11_000), 11_000)
    assert [(fact.kind, fact.at_ms) for fact in step.facts] == [
        ("relay_changed", 11_000),  # that is when it went off
        ("alarm_raised", 6030),
    ]
    assert step.effects == (Drive("front.activation", False),)


def test_who_comes_early_gets_the_unchanged_building_and_earlier_time_is_now() -> None:
    bench = Bench(SMALL)
    assert building.step(bench.building, None, 200).state is bench.building
    later = building.step(bench.building, JournalState(""), 200).state
    assert building.step(later, Level("front.inside", True, 50), 50).state.now_ms == 200


def test_a_machine_that_asks_for_the_past_for_ever_is_a_bug_and_not_a_hang(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gateway.core.building.loop.DEADLINES_PER_STEP", 0)
    bench = Bench(SMALL, levels=False, trusted=False)
    with pytest.raises(Broken, match="again and again"):
        building.step(bench.building, None, 10**6)


def test_points_that_are_not_in_the_plan_are_ignored() -> None:
    bench = Bench(SMALL)
    bench.at(200, Level("nowhere", True, 200))
    bench.at(200, Reading("nowhere", "temperature_c", 20.0))
    bench.at(200, RelayFault("nowhere", "gone"))
    assert bench.facts == []


# --- the terminal strip -------------------------------------------------------------------


def test_a_press_opens_and_is_told_with_the_time_of_its_edge() -> None:
    bench = Bench()
    bench.opening(1000)
    assert bench.drives == [(1030, "front.activation", True), (1530, "front.activation", False)]
    assert [fact.at_ms for fact in bench.facts if fact.kind == "door_request"] == [1000]
    assert bench.told("door_opened") == [
        {"press_to_open_ms": 1500, "cause": "request", "assumed": False, "by": None}
    ]


def test_a_press_that_waited_in_a_queue_for_too_long_is_stale() -> None:
    bench = Bench()
    bench.until(9000)
    for active, edge_ms in ((True, 1000), (False, 1200)):
        bench.at(9000, Level("front.inside", active, edge_ms))
    bench.until(9001)
    assert bench.told("door_request")[0]["reason"] == "stale"
    assert bench.drives == []


def test_a_press_that_was_found_late_is_given_a_whole_pulse() -> None:
    """mqtt-io#310: a loop was blocked, and the pulse was of any length."""
    bench = Bench()
    for active, edge_ms in ((True, 1000), (False, 1200)):
        bench.building = bench.note(
            building.step(bench.building, Level("front.inside", active, edge_ms), 1700)
        )
    bench.now = 1700
    bench.until(5000)
    assert [(point, on) for _, point, on in bench.drives] == [
        ("front.activation", True),
        ("front.activation", False),
    ]
    assert bench.drives[-1][0] == 2200
    assert bench.told("door_request")[0]["outcome"] == "accepted"


@pytest.mark.parametrize("late_ms", [0, 300, 5000])
def test_a_pulse_that_a_deadline_begins_late_is_whole(late_ms: Ms) -> None:
    """mqtt-io#310, from the other side: the lead of the strike was over while nobody looked."""
    door = replace(SMALL.doors[0], strike="front.strike", strike_lead_ms=200)
    relays = (*SMALL.relays, RelayPlan("front.strike", None))
    bench = Bench(replace(SMALL, doors=(door,), relays=relays))
    bench.press(1000, for_ms=100)
    looked_ms = 1030 + 200 + late_ms
    late = building.step(bench.building, None, looked_ms)
    assert late.effects == (Drive("front.activation", True),)
    ends_ms = looked_ms + 500
    assert building.step(late.state, None, ends_ms - 1).effects == ()
    assert building.step(late.state, None, ends_ms).effects == (Drive("front.activation", False),)


def test_a_press_that_nobody_looked_at_for_too_long_is_stale() -> None:
    bench = Bench()
    bench.at(1000, Level("front.inside", True, 1000))
    step = building.step(bench.building, None, 3001)
    assert [fact.data["reason"] for fact in step.facts if fact.kind == "door_request"] == ["stale"]


def test_a_leaf_that_was_seen_late_was_still_in_time() -> None:
    bench = Bench()
    bench.press(1000)
    bench.until(6000)  # at 6030 the leaf should have left closed; nobody looks until 7000
    step = building.step(bench.building, Level("front.leaf", True, 2000), 7000)
    assert "alarm_raised" not in [fact.kind for fact in step.facts]
    after = building.step(step.state, None, 7000)
    assert [fact.kind for fact in after.facts] == ["contact_changed", "door_opened"]


def test_a_stuck_button_is_an_alarm_and_all_others_go_on_working() -> None:
    bench = Bench()
    bench.level(1000, "front.outside", True)
    bench.level(2000, "front.leaf", True)
    bench.level(9000, "front.leaf", False)
    bench.until(40_000)
    assert bench.alarms() == {"front.outside/contact_stuck": "active"}
    bench.opening(50_000)
    assert len(bench.told("door_opened")) == 2
    bench.level(70_000, "front.outside", False)
    assert bench.alarms() == {"front.outside/contact_stuck": "cleared"}


def test_presence_bolt_and_operator_fault_reach_their_door() -> None:
    bench = Bench()
    bench.level(1000, "front.bolt", True)
    bench.level(1000, "front.presence", True)
    bench.level(2000, "front.fault", True)
    shown = cast("dict[str, dict[str, object]]", bench.shown()["doors"])["front"]
    assert (shown["bolt"], shown["operator_fault"]) == (True, True)
    assert bench.building.doors["front"].leaf.presence is True
    assert bench.alarms() == {"front/operator_fault": "active"}


def test_a_contact_that_cannot_be_read_is_an_alarm_of_its_severity() -> None:
    bench = Bench()
    bench.level(1000, "front.leaf", None, "chip gone")
    assert bench.told("alarm_raised") == [{"severity": "fault", "count": 1, "detail": "chip gone"}]
    assert (
        cast("dict[str, dict[str, object]]", bench.shown()["doors"])["front"]["leaf"] == "unknown"
    )


def test_a_relay_that_fails_is_an_alarm_and_the_door_knows() -> None:
    bench = Bench()
    bench.press(1000)
    bench.at(1300, RelayFault("front.activation", "no such line"))
    assert set(bench.alarms()) == {"front.activation/relay_fault", "front/did_not_open"}
    bench.at(2000, RelayFault("front.activation", ""))
    assert bench.alarms()["front.activation/relay_fault"] == "cleared"


def test_the_limit_of_a_relay_beats_its_door() -> None:
    plan = replace(SMALL, relays=(RelayPlan("front.activation", 300),))
    bench = Bench(plan)
    bench.press(1000)
    bench.until(1400)
    assert bench.drives == [(1030, "front.activation", True), (1330, "front.activation", False)]
    assert bench.alarms() == {"front.activation/relay_limit": "active"}
    bench.until(1530)  # now the door itself lets go
    assert bench.alarms() == {"front.activation/relay_limit": "cleared"}


def test_watched_points_are_alarms_of_their_own_severity() -> None:
    bench = Bench()
    bench.level(1000, "house.mains", False)
    bench.at(1500, Reading("wc.climate", "temperature_c", 4.0))
    bench.until(3000)
    assert [data["severity"] for data in bench.told("alarm_raised")] == ["notice", "urgent"]
    assert set(bench.alarms()) == {"wc.climate/watch:frost", "house.mains/watch:mains"}


def test_a_silent_meter_is_a_gap_and_an_alarm() -> None:
    bench = Bench()
    bench.at(1000, Reading("wc.climate", "temperature_c", 20.0))
    bench.at(1000, Reading("wc.climate", "pressure_hpa", 1000.0))
    bench.until(200_000)
    assert [data["value"] for data in bench.told("reading")] == [20.0, None]
    assert bench.alarms() == {"wc.climate/meter_silent": "active"}


def test_a_condition_that_is_there_at_start_is_raised() -> None:
    """home-assistant#59812: alarms that do not fire when the problem is there at start."""
    bench = Bench(levels=False)
    for contact in PLAN.contacts:
        bench.at(0, Level(contact.point, contact.point == "front.fault", 0))
    bench.until(2000)
    assert {"front/operator_fault", "house.mains/watch:mains"} <= set(bench.alarms())


def test_a_chattering_button_fills_no_disk() -> None:
    bench = Bench()
    for index in range(2000):
        bench.level(1000 + index * 50, "front.inside", index % 2 == 0)
    bench.until(300_000)
    assert len(bench.facts) < 400
    assert sum(cast("int", data["changes"]) for data in bench.told("contact_count")) >= 1900
    counted = sum(cast("int", data["count"]) for data in bench.told("refusals_counted"))
    assert counted + len(bench.told("door_request")) == 1000


# --- fire ---------------------------------------------------------------------------------


def test_fire_moves_the_door_at_once_and_is_one_alarm() -> None:
    bench = Bench()
    bench.mode(1000, "off")
    bench.level(2000, "house.fire", True)
    assert bench.levels["front.activation"]
    assert bench.told("fire_alarm") == [{"active": True, "door": None}]
    assert bench.told("alarm_raised") == [{"severity": "urgent", "count": 1, "detail": None}]
    assert bench.shown()["fire"] == {"active": True}
    bench.level(3000, "house.fire", False)
    assert bench.alarms()["house.fire/fire"] == "cleared"
    assert bench.shown()["fire"] == {"active": False}


def test_a_fire_contact_that_cannot_be_read_is_urgent_and_keeps_what_it_said() -> None:
    bench = Bench()
    bench.level(1000, "house.fire", True)
    bench.level(2000, "house.fire", None, "wire cut")
    assert bench.alarms()["house.fire/fire_contact_unknown"] == "active"
    assert bench.alarms()["house.fire/fire"] == "active"
    assert bench.building.doors["front"].fire
    assert bench.shown()["fire"] == {"active": None}
    assert [data["active"] for data in bench.told("fire_alarm")] == [True, None]


# --- interlock ----------------------------------------------------------------------------


def test_of_an_interlock_one_door_opens_and_the_other_waits_for_its_turn() -> None:
    bench = Bench()
    bench.press(1000)
    bench.level(2000, "front.leaf", True)
    waits = bench.open(3000, "back")
    assert waits not in bench.replies
    bench.level(5000, "front.leaf", False)
    assert bench.replies[waits] == Reply(waits, "accepted")
    assert bench.levels["back.activation"]


def test_who_waits_for_too_long_is_refused_once() -> None:
    bench = Bench()
    bench.press(1000)
    bench.level(2000, "front.leaf", True)
    waits = bench.open(3000, "back")
    bench.until(20_000)
    assert bench.replies[waits] == Reply(waits, "refused", "interlock")


# --- commands -----------------------------------------------------------------------------


def test_staff_open_and_the_answer_names_the_command_in_the_fact() -> None:
    bench = Bench()
    name = bench.open(1000)
    assert bench.replies[name] == Reply(name, "accepted")
    assert [(d["command"], d["by"], d["via"]) for d in bench.told("door_request")] == [
        (name, "web:3", "web")
    ]


def test_a_command_at_the_end_of_its_life_is_refused() -> None:
    bench = Bench()
    name = bench.open(1000, ttl_ms=0)
    assert bench.replies[name] == Reply(name, "refused", "expired")
    assert bench.told("door_request")[0]["reason"] == "expired"
    bench.at(2000, SetMode("m", STAFF, 2000, "front", "off"))
    assert bench.replies["m"] == Reply("m", "refused", "expired")
    assert bench.drives == []


def test_a_door_that_does_not_exist_is_refused_as_such() -> None:
    bench = Bench()
    name = bench.open(1000, "side")
    assert bench.replies[name].reason == "unknown_door"
    assert bench.mode(1000, "off", door="side").reason == "unknown_door"
    assert bench.service(1000, 1, door="side").reason == "unknown_door"
    assert [d["name"] for d in bench.told("command_refused")] == [
        "open_door",
        "set_mode",
        "set_service",
    ]


def test_a_mode_is_set_until_its_end_and_the_schedule_rules_again() -> None:
    bench = Bench()
    assert bench.mode(1000, "off", for_ms=9000).status == "accepted"
    assert bench.told("door_mode")[-1] == {
        "mode": "off",
        "source": "override",
        "until_utc_ms": OFFSET + 10_000,
        "by": "web:3",
        "command": "c1",
    }
    bench.press(2000)
    assert bench.told("door_request")[-1]["reason"] == "mode_off"
    bench.until(10_000)
    assert bench.told("door_mode")[-1]["source"] == "schedule"
    bench.opening(11_000)
    assert len(bench.told("door_opened")) == 1


def test_the_schedule_changes_the_mode_of_its_door_at_its_instant() -> None:
    bench = Bench()
    bench.until(3_599_999)
    assert bench.shown()["doors"]["front"]["mode"] == "automatic"
    bench.until(3_600_000)
    assert bench.building.doors["front"].mode == "night"


def test_the_word_schedule_ends_an_override() -> None:
    bench = Bench()
    bench.mode(1000, "off")
    assert bench.mode(2000, "schedule").status == "accepted"
    assert bench.told("door_mode")[-1]["source"] == "schedule"
    assert bench.mode(3000, "schedule").status == "accepted"  # nothing to end, no harm


def test_without_a_length_an_override_lasts_as_the_door_says() -> None:
    bench = Bench()
    bench.mode(1000, "off", door="back")
    assert bench.told("door_mode")[-1]["until_utc_ms"] == OFFSET + 601_000


@pytest.mark.parametrize(
    ("until_utc_ms", "for_ms"), [(OFFSET + 1000, None), (OFFSET - 5, None), (None, 0), (None, -1)]
)
def test_an_override_that_is_over_before_it_begins_is_refused(
    until_utc_ms: int | None, for_ms: Ms | None
) -> None:
    bench = Bench()
    reply = bench.mode(1000, "off", until_utc_ms=until_utc_ms, for_ms=for_ms)
    assert (reply.status, reply.reason) == ("refused", "past")
    assert bench.building.doors["front"].mode == "automatic"


def test_an_end_in_civil_time_needs_a_trusted_clock() -> None:
    bench = Bench(trusted=False)
    assert bench.mode(1000, "off", until_utc_ms=OFFSET).reason == "clock_untrusted"
    assert bench.mode(1000, "off", for_ms=1000).status == "accepted"


def test_hold_open_that_nothing_can_hold_is_refused_and_changes_nothing() -> None:
    bench = Bench()
    assert bench.mode(1000, "hold_open", for_ms=9000).reason == "not_wired"
    assert bench.building.schedules["front"].override is None
    assert bench.building.doors["front"].mode == "automatic"


def test_the_programme_switch_on_site_beats_staff() -> None:
    bench = Bench()
    bench.level(1000, "front.switch_night", True)
    assert bench.mode(2000, "off").reason == "switch"
    bench.level(3000, "front.switch_off", True)
    assert bench.building.doors["front"].mode == "off"  # the first that is active
    bench.level(4000, "front.switch_off", False)
    bench.level(5000, "front.switch_night", False)
    assert [d["mode"] for d in bench.told("door_mode")] == ["night", "off", "night", "automatic"]


def test_service_mutes_the_faults_of_its_door_and_shows_them_afterwards() -> None:
    bench = Bench()
    assert bench.service(1000, 3_600_000).status == "accepted"
    bench.level(2000, "front.fault", True)
    bench.level(2000, "front.leaf", None, "unplugged")
    assert bench.alarms() == {}
    assert bench.told("door_service") == [
        {"active": True, "for_ms": 3_600_000, "by": "web:3", "command": "c1"}
    ]
    bench.service(4000, 0)
    assert bench.alarms() == {
        "front/operator_fault": "active",
        "front.leaf/contact_unknown": "active",
    }


@pytest.mark.parametrize("for_ms", [-1, 8 * 3_600_000 + 1])
def test_service_is_limited_to_a_working_day(for_ms: Ms) -> None:
    assert Bench().service(1000, for_ms).reason == "limit"


def test_alarms_are_acknowledged_and_shelved_by_command() -> None:
    bench = Bench()
    bench.level(1000, "front.fault", True)
    assert bench.shelve(1500, "front/operator_fault", 1000).status == "accepted"
    assert bench.acknowledge(2000, "front/operator_fault").status == "accepted"
    bench.until(3000)
    assert bench.alarms() == {"front/operator_fault": "acknowledged"}
    assert bench.acknowledge(4000, "front/nothing").reason == "unknown_alarm"
    assert bench.shelve(4000, "front/nothing", 1000).reason == "unknown_alarm"
    assert bench.shelve(4000, "front/operator_fault", -1).reason == "limit"


def test_a_relay_is_tested_for_a_while() -> None:
    bench = Bench()
    assert bench.test_relay(1000, "back.activation", 1000).status == "accepted"
    assert bench.told("relay_tested") == [{"for_ms": 1000, "by": "web:3", "command": "c1"}]
    bench.until(5000)
    assert bench.drives == [(1000, "back.activation", True), (2000, "back.activation", False)]


def test_a_test_takes_some_time() -> None:
    assert Bench().test_relay(1000, "front.activation", 0).reason == "past"


@pytest.mark.parametrize("for_ms", [1501, 60_001])
def test_a_test_is_never_longer_than_the_limit_of_the_relay(for_ms: Ms) -> None:
    assert Bench().test_relay(1000, "front.activation", for_ms).reason == "limit"


def test_a_relay_without_a_limit_is_tested_for_a_minute_at_most() -> None:
    bench = Bench(replace(SMALL, relays=(RelayPlan("front.activation", None),)))
    assert bench.test_relay(1000, "front.activation", 60_001).reason == "limit"
    assert bench.test_relay(1000, "front.activation", 60_000).status == "accepted"


def test_no_relay_is_tested_that_is_in_use_or_unknown_or_during_a_fire() -> None:
    bench = Bench()
    bench.press(1000)
    assert bench.test_relay(1300, "front.activation", 100).reason == "in_use"
    assert bench.test_relay(1300, "nowhere", 100).reason == "unknown_point"
    bench.level(9000, "house.fire", True)
    assert bench.test_relay(9100, "back.activation", 100).reason == "fire"


def test_what_refuses_a_test_ends_one_that_runs() -> None:
    """A hold-open relay under test held a door open for a minute after the fire alarm."""
    bench = Bench()
    assert bench.test_relay(1000, "back.activation", 1000).status == "accepted"
    bench.level(1300, "house.fire", True)
    (went_off,) = [at for at, point, on in bench.drives if point == "back.activation" and not on]
    assert 1300 <= went_off < 1400, "with the fire contact, not with the test"


def test_another_mode_ends_the_tests_of_that_door() -> None:
    bench = Bench()
    for point in ("back.activation", "front.activation"):
        assert bench.test_relay(1000, point, 1000).status == "accepted"
    bench.mode(1300, "off", door="back")
    bench.until(5000)
    off = {point: at for at, point, on in bench.drives if not on}
    assert (off["back.activation"], off["front.activation"]) == (1300, 2000)


def test_a_refusal_that_was_made_on_the_way_here_is_a_fact_and_limited() -> None:
    bench = Bench()
    for index in range(30):
        bench.at(1000, CommandRefused(f"x{index}", "open_door", STAFF, "bad_signature"))
    bench.until(70_000)
    assert len(bench.told("command_refused")) == 10
    assert bench.told("refusals_counted")[0]["count"] == 20
    assert bench.replies == {}


def test_a_command_that_nobody_answered_is_a_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(SMALL)
    monkeypatch.setattr("gateway.core.building.commands._test_relay", lambda *_: [])
    with pytest.raises(Broken, match="0 replies"):
        bench.at(1000, TestRelay("t", STAFF, 9000, "front.activation", 100))


# --- notices and the journal --------------------------------------------------------------


def test_what_the_configuration_admits_is_a_notice() -> None:
    bench = Bench(replace(PLAN, notices=(("back", "egress_never"),)), levels=False)
    assert bench.alarms() == {"back/egress_never": "active"}
    assert bench.told("alarm_raised") == [{"severity": "notice", "count": 1, "detail": None}]


def test_a_certificate_that_ends_soon_is_a_notice_until_it_is_renewed() -> None:
    bench = Bench()
    bench.at(1000, CertificateState(""))
    assert bench.alarms() == {}
    bench.at(2000, CertificateState("page"))
    bench.at(3000, CertificateState("page"))
    assert bench.alarms() == {"gw/certificate_ends": "active"}
    assert bench.told("alarm_raised") == [{"severity": "notice", "count": 1, "detail": "page"}]
    bench.at(4000, CertificateState(""))
    assert bench.alarms() == {"gw/certificate_ends": "cleared"}


def test_without_the_time_nobody_says_that_a_certificate_has_ended() -> None:
    bench = Bench()
    bench.at(1000, CivilTime(0, False))
    bench.at(2000, CertificateState("page"))
    assert "gw/certificate_ends" not in bench.alarms()


def test_a_journal_that_cannot_keep_is_urgent_until_it_can() -> None:
    bench = Bench()
    bench.at(1000, JournalState("disk full"))
    bench.at(2000, JournalState("still full"))
    assert bench.alarms() == {"gw/journal_full": "active"}
    assert bench.building.alarms.by_id["gw/journal_full"].count == 1
    bench.at(3000, JournalState(""))
    bench.at(4000, JournalState(""))
    assert bench.alarms() == {"gw/journal_full": "cleared"}


def test_an_untrusted_clock_is_a_notice_and_the_safe_mode() -> None:
    bench = Bench(trusted=False)
    bench.until(70_000)
    assert bench.alarms()["gw/clock_untrusted"] == "active"
    assert bench.shown()["doors"]["front"]["mode_source"] == "safe"
    bench.at(80_000, CivilTime(OFFSET + 80_000, True))
    assert bench.alarms()["gw/clock_untrusted"] == "cleared"
    assert bench.building.doors["front"].mode_source == "schedule"


def test_a_timetable_that_has_ended_is_a_notice() -> None:
    bench = Bench()
    bench.until(7_200_000)
    assert bench.alarms()["front/schedule_ended"] == "active"


def test_every_reason_and_alarm_kind_that_is_used_is_in_its_catalogue() -> None:
    bench = Bench()
    assert {"switch", "limit", "in_use", "expired", "unknown_door", "fire"} <= REASONS.keys()
    assert {"egress_never", "fire", "journal_full", "schedule_ended"} <= ALARM_KINDS.keys()
    assert bench.building.index.severities["house.mains", "watch:mains"] == "urgent"


# --- determinism --------------------------------------------------------------------------

POINTS = [contact.point for contact in PLAN.contacts]
MODES: list[Mode | Literal["schedule"]] = ["off", "night", "automatic", "schedule"]
some_events: st.SearchStrategy[Callable[[Ms, int], Event]] = st.one_of(
    st.tuples(st.sampled_from(POINTS), st.sampled_from([True, False, True, False, None])).map(
        lambda t: lambda now, _: Level(t[0], t[1], now, "" if t[1] is not None else "gone")
    ),
    st.sampled_from(["front", "back", "side"]).map(
        lambda d: lambda now, n: OpenDoor(f"o{n}", STAFF, now + 5000, d, "delivery")
    ),
    st.sampled_from(MODES).map(
        lambda m: lambda now, n: SetMode(f"m{n}", STAFF, now + 5000, "front", m, None, 60_000)
    ),
    st.sampled_from([0, OFFSET, OFFSET + 3_600_000]).map(
        lambda o: lambda now, _: CivilTime(now + o, o > 0)
    ),
    st.floats(-200, 100).map(lambda v: lambda _, __: Reading("wc.climate", "temperature_c", v)),
    st.sampled_from(["", "gone"]).map(lambda r: lambda _, __: RelayFault("front.activation", r)),
)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 20_000), some_events), max_size=60))
def test_the_same_events_give_the_same_building_even_if_it_was_stored_meanwhile(
    script: list[tuple[Ms, Callable[[Ms, int], Event]]],
) -> None:
    digests = []
    for run in range(2):
        bench, now, digest = Bench(), 100, hashlib.sha256()
        for number, (pause_ms, make) in enumerate(script):
            now += pause_ms
            bench.at(now, make(now, number))
            if run:
                bench.building = pickle.loads(pickle.dumps(bench.building))
        digest.update(repr((bench.facts, bench.drives, bench.replies)).encode())
        digests.append((digest.hexdigest(), bench.building))
    assert digests[0] == digests[1]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 20_000), some_events), max_size=60))
def test_whatever_happens_no_relay_is_on_beyond_its_limit_and_every_command_is_answered(
    script: list[tuple[Ms, Callable[[Ms, int], Event]]],
) -> None:
    bench = Bench()
    now, asked = 100, set()
    for number, (pause_ms, make) in enumerate(script):
        now += pause_ms
        event = make(now, number)
        bench.at(now, event)
        if isinstance(event, OpenDoor | SetMode):
            asked.add(event.id)
    bench.until(now + 60_000)
    assert bench.replies.keys() == asked
    since: dict[str, Ms] = {}
    for at_ms, point, on in bench.drives:
        began = since.pop(point, None)
        assert began is None or at_ms - began <= 1500
        if on:
            since[point] = at_ms
    assert since == {}


# --- unusual plans ------------------------------------------------------------------------


def test_one_fire_contact_may_move_several_doors_and_one_button_too() -> None:
    fire = FirePlan("house.fire", "open")
    other = plans.door(
        "side", "Side", "side.activation", activators=FRONT.activators[:1], fire=fire
    )
    plan = BuildingPlan(
        "gw",
        contacts=PLAN.contacts,
        relays=(*PLAN.relays, RelayPlan("side.activation", 1500)),
        doors=(*PLAN.doors, other),
    )
    bench = Bench(plan)
    bench.press(1000)
    assert [d for _, d, on in bench.drives if on] == ["front.activation", "side.activation"]
    bench.level(9000, "house.fire", True)
    assert bench.raised().count("house.fire/fire") == 1


def test_a_building_without_anything_lives() -> None:
    bench = Bench(BuildingPlan("gw"))
    bench.until(10**7)
    assert bench.shown()["doors"] == {}
    assert bench.shown()["fire"] is None


@pytest.mark.parametrize(
    ("until_ms", "for_ms", "reason"),
    [
        (OVERRIDE_LIMIT_MS, None, ""),
        (OVERRIDE_LIMIT_MS + 1, None, "limit"),
        (8_000 * OVERRIDE_LIMIT_MS, None, "limit"),
        (None, OVERRIDE_LIMIT_MS, ""),
        (None, OVERRIDE_LIMIT_MS + 1, "limit"),
        (None, 2**63, "limit"),
    ],
)
def test_a_mode_is_set_for_a_year_at_most(
    until_ms: Ms | None, for_ms: Ms | None, reason: str
) -> None:
    bench = Bench()
    until_utc_ms = None if until_ms is None else OFFSET + 1000 + until_ms
    assert bench.mode(1000, "off", until_utc_ms=until_utc_ms, for_ms=for_ms).reason == reason


def test_an_end_far_away_that_was_saved_before_there_was_a_limit_is_shortened() -> None:
    entry: dict[str, Json] = {"mode": "off", "until_utc_ms": 253_402_300_799_000, "by": "web:3"}
    started = building.start(PLAN, {"overrides": {"front": entry}}, 0).state
    known = building.step(started, CivilTime(OFFSET + 1000, True), 1000).state
    override = known.schedules["front"].override
    assert override is not None
    assert override.until_utc_ms == OFFSET + 1000 + OVERRIDE_LIMIT_MS
