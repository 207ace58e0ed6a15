"""Calls and alarms on their way to people, seen from the whole building."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import pytest

from gateway.core import building
from gateway.core.events import (
    AcknowledgeAlarm,
    AcknowledgeCall,
    CivilTime,
    ConfirmMessage,
    Delivered,
    JournalState,
    TestMessage,
    TestRoom,
)
from gateway.core.facts import Json
from gateway.core.instant import Ms
from gateway.core.plan import (
    BuildingPlan,
    DutyPlan,
    EscalationPlan,
    MailingPlan,
    ReceiverPlan,
    RelayPlan,
)
from tests import plans
from tests.core.building_bench import OFFSET, SMALL, STAFF, Bench

HOUR = 3_600_000
CARE = EscalationPlan(
    "care",
    (plans.step("caretaker", 0), plans.last_step("care_service", 120_000)),
)
HOUSE = EscalationPlan("house", (plans.step("caretaker", 0),))
ROOM = plans.room(
    "wc",
    "Accessible WC",
    cords=("wc.cord",),
    cancel="wc.cancel",
    presence="wc.presence",
    lamp="wc.lamp",
    escalation="care",
)
PLAN = replace(
    SMALL,
    contacts=(
        *SMALL.contacts,
        plans.emergency("wc.cord"),
        plans.contact("wc.cancel"),
        plans.contact("wc.presence"),
        plans.contact("house.mains"),
    ),
    relays=(*SMALL.relays, RelayPlan("wc.lamp", None)),
    rooms=(ROOM,),
    watches=(plans.watch("mains", "house.mains", "urgent", 0, active=False),),
    receivers=(
        ReceiverPlan("caretaker", 1, (DutyPlan(OFFSET - 1, True), DutyPlan(OFFSET + HOUR, False))),
        ReceiverPlan("care_service", 2),
    ),
    escalations=(CARE, HOUSE),
    alarm_escalations=(("urgent", "house"), ("fault", "house")),
    mailings=(
        MailingPlan("test", ("care_service",), (OFFSET + 2 * HOUR,), HOUR),
        MailingPlan("summary", ("caretaker",), (OFFSET + 2 * HOUR,), None),
    ),
)


def on_duty(bench: Bench) -> dict[str, bool | None]:
    return {name: one["on_duty"] for name, one in bench.shown()["receivers"].items()}


def sent(bench: Bench) -> list[str]:
    """Who was sent what, since the last time."""
    said = [f"{one.receiver}: {one.kind} {one.about}".strip() for one in bench.sent]
    bench.sent.clear()
    return said


def answered(bench: Bench, now: Ms, *, ok: bool = True) -> Bench:
    """Everything that was sent is delivered, or has failed."""
    names, bench.sent[:] = [one.delivery for one in bench.sent], []
    for name in names:
        bench.at(now, Delivered(name, ok, "" if ok else "connection"))
    return bench


def pulled(plan: BuildingPlan = PLAN, now: Ms = 1_000) -> Bench:
    bench = Bench(plan, {})
    bench.level(now, "wc.cord", True)
    return bench


# --- calls --------------------------------------------------------------------------------


def test_a_call_is_told_at_once() -> None:
    bench = pulled()
    (send,) = bench.sent
    assert (send.receiver, send.kind, send.about, send.delivery) == (
        "caretaker",
        "call",
        "wc-1",
        "wc-1#1",
    )
    assert send.data == {
        "room": "Accessible WC",
        "room_id": "wc",
        "test": False,
        "pulls": 1,
        "raised_utc_ms": OFFSET + 1_000,
        "cause": "cord",
    }
    bench.at(1_100, Delivered("wc-1#1", True))
    shown = cast("dict[str, dict[str, Json]]", bench.shown()["rooms"])["wc"]["call"]
    call = cast("dict[str, Json]", shown)
    (message,) = cast("list[dict[str, Json]]", call["messages"])
    assert (message["receiver"], message["result"]) == ("caretaker", "delivered")
    assert (message["at_ms"], message["at_utc_ms"]) == (1_030, OFFSET + 1_030)
    assert call["next_message_ms"] == 121_030


def test_acknowledged_nobody_else_is_told_unattended_it_begins_again() -> None:
    bench = pulled()
    bench.at(2_000, AcknowledgeCall("c", STAFF, 5_000, "wc"))
    assert sent(answered(bench, 2_000)) == []
    bench.until(301_000)
    assert sent(bench) == []
    bench.until(302_000)
    assert sent(bench) == ["caretaker: call_again wc-1"]


def test_a_cancelled_call_leaves_no_chain_but_its_last_answer_is_told() -> None:
    bench = pulled()
    bench.level(2_000, "wc.cord", False)
    bench.level(3_000, "wc.cancel", True)
    assert bench.building.escalations["wc-1"].messages
    bench.at(4_000, Delivered("wc-1#1", True))
    assert bench.told("message")[-1]["result"] == "delivered"
    assert bench.building.escalations == {}
    assert "wc-1" not in bench.building.escalations
    bench.at(4_000, Delivered("wc-1#1", True))
    bench.at(4_000, Delivered("wc-1", True))
    assert len(bench.told("message")) == 2


def test_a_room_without_an_escalation_tells_nobody() -> None:
    bench = pulled(replace(PLAN, rooms=(replace(ROOM, escalation=None),), alarm_escalations=()))
    assert sent(bench) == []
    bench.at(2_000, AcknowledgeCall("c", STAFF, 5_000, "wc"))
    bench.at(2_500, AcknowledgeCall("d", STAFF, 5_000, "wc"))
    assert bench.replies["d"].status == "merged"


def test_off_duty_is_known_with_the_clock() -> None:
    bench = Bench(PLAN, {})
    bench.until(HOUR)
    assert on_duty(bench) == {"caretaker": False, "care_service": True}
    bench.level(HOUR, "wc.cord", True)
    assert sent(bench) == ["care_service: call wc-1"]
    assert bench.told("message")[0]["reason"] == "off_duty"


def test_duty_that_ends_while_a_call_stands_is_heeded() -> None:
    bench = pulled(now=HOUR - 10_000)
    answered(bench, HOUR - 9_000)
    bench.until(HOUR + 10)
    bench.at(HOUR + 10, CivilTime(OFFSET + HOUR + 10, False))
    assert bench.building.escalations["wc-1"].off == frozenset()
    bench.at(HOUR + 11, CivilTime(OFFSET + HOUR + 11, True))
    assert bench.building.escalations["wc-1"].off == {"caretaker"}


# --- nobody told --------------------------------------------------------------------------


def test_that_nobody_was_told_is_an_urgent_alarm_with_a_way_of_its_own() -> None:
    bench = pulled()
    for _ in range(3):
        answered(bench, bench.now, ok=False)
    assert "wc/nobody_told" in bench.alarms()
    assert sent(bench) == ["caretaker: nobody_told wc/nobody_told"]
    bench.at(bench.now, Delivered("wc/nobody_told#1", False, "connection"))
    bench.until(bench.now + 5_000)
    answered(bench, bench.now)
    assert bench.alarms()["wc/nobody_told"] == "cleared"


def test_two_chains_of_one_room_that_reach_nobody_are_one_alarm() -> None:
    bench = pulled()
    bench.at(1_100, AcknowledgeCall("c", STAFF, 5_000, "wc"))
    bench.level(2_000, "wc.cancel", True)  # the cord is still pulled: cord_stuck
    assert "caretaker: cord_stuck wc.cord/cord_stuck" in sent(bench)
    bench.until(200_000)
    assert "wc.cord/nobody_told" in bench.alarms()


# --- alarms -------------------------------------------------------------------------------


def test_an_alarm_goes_the_way_of_its_severity() -> None:
    bench = Bench(PLAN, {})
    bench.level(1_000, "house.mains", False)
    (send,) = bench.sent
    assert (send.receiver, send.kind) == ("caretaker", "watch:mains")
    assert send.data == {
        "subject": "house.mains",
        "name": "house.mains",
        "severity": "urgent",
        "detail": "",
        "raised_utc_ms": OFFSET + 1_030,  # a settled level
    }
    answered(bench, 1_100)
    (message,) = cast("list[dict[str, Json]]", bench.shown()["messages"])
    assert (message["about"], message["result"]) == ("house.mains/watch:mains", "delivered")


def test_a_cord_that_nobody_hears_goes_the_way_of_its_calls() -> None:
    bench = Bench(PLAN, {})
    bench.level(1_000, "wc.cord", None, "the driver failed")
    answered(bench, 1_100).until(121_100)
    assert sent(bench) == ["care_service: contact_unknown wc.cord/contact_unknown"]
    assert bench.building.escalations["wc.cord/contact_unknown"].data == {
        "subject": "wc.cord",
        "name": "Accessible WC (wc.cord)",
        "severity": "urgent",
        "detail": "the driver failed",
        "raised_utc_ms": OFFSET + 1_000,
    }


def test_acknowledged_alarms_are_told_no_further_and_cleared_ones_neither() -> None:
    bench = Bench(PLAN, {})
    bench.level(1_000, "wc.cord", None)
    answered(bench, 1_100)
    bench.acknowledge(2_000, "wc.cord/contact_unknown")
    bench.until(500_000)
    assert sent(bench) == []
    bench.level(500_000, "wc.cord", False)
    bench.level(501_000, "wc.cord", None)
    assert sent(bench) == ["caretaker: contact_unknown wc.cord/contact_unknown"]
    assert bench.building.escalations["wc.cord/contact_unknown"].count == 2
    bench.level(502_000, "wc.cord", False)
    assert not bench.building.escalations["wc.cord/contact_unknown"].running


def test_a_fault_without_a_way_is_on_the_list_only() -> None:
    bench = Bench(replace(PLAN, alarm_escalations=()), {})
    bench.level(1_000, "house.mains", False)
    assert sent(bench) == []
    assert bench.alarms() == {"house.mains/watch:mains": "active"}


def test_doors_are_called_by_their_names() -> None:
    bench = Bench(PLAN, {})
    bench.level(1_000, "front.leaf", None)
    assert bench.sent[0].data["name"] == "Front door (front.leaf)"
    bench.sent.clear()
    bench.press(10_000, "front.inside")
    bench.until(20_000)
    bench.level(20_000, "front.leaf", False)
    bench.press(30_000, "front.inside")
    bench.until(50_000)
    assert [one.data["name"] for one in bench.sent if one.kind == "did_not_open"] == ["Front door"]


def test_an_alarm_about_the_gateway_is_told_as_well() -> None:
    bench = Bench(PLAN, {})
    bench.at(1_000, JournalState("disk full"))
    assert sent(bench) == ["caretaker: journal_full gw/journal_full"]


# --- by the clock -------------------------------------------------------------------------


def test_test_and_summary_go_out_and_the_test_is_confirmed() -> None:
    bench = Bench(PLAN, {})
    bench.level(1_000, "house.mains", False)
    answered(bench, 1_100).until(2 * HOUR)
    summary, test = sorted(bench.sent, key=lambda one: one.kind)
    assert (test.delivery, test.data) == ("test#1", {"confirm_within_ms": HOUR})
    assert summary.data == {
        "alarms": [
            {
                "id": "house.mains/watch:mains",
                "kind": "watch:mains",
                "subject": "house.mains",
                "name": "house.mains",
                "severity": "urgent",
                "raised_utc_ms": OFFSET + 1_030,
                "count": 1,
            }
        ]
    }
    bench.at(2 * HOUR, Delivered("test#1", True))
    for name, status in (("a", "accepted"), ("b", "merged")):
        bench.at(2 * HOUR + 5, ConfirmMessage(name, STAFF, 3 * HOUR, "test#1"))
        assert bench.replies[name].status == status
    bench.at(2 * HOUR + 5, ConfirmMessage("c", STAFF, 3 * HOUR, "summary#1"))
    assert bench.replies["c"].reason == "unknown_message"
    assert [one["receiver"] for one in bench.told("message_confirmed")] == ["care_service"]


def test_a_test_that_nobody_confirms_is_a_fault() -> None:
    bench = Bench(PLAN, {})
    bench.until(2 * HOUR)
    answered(bench, 2 * HOUR).until(3 * HOUR)
    assert bench.alarms() == {"gw/test_unconfirmed": "active"}
    again = bench.restarted()
    assert again.alarms() == {"gw/test_unconfirmed": "active"}


# --- by hand ------------------------------------------------------------------------------


def by_hand(bench: Bench, at_ms: int, receiver: str, key: str = "t") -> str:
    bench.at(at_ms, TestMessage(key, STAFF, at_ms + 5_000, receiver))
    reply = bench.replies[key]
    return reply.reason or reply.status


def ways(bench: Bench, receiver: str) -> list[tuple[bool | None, str, bool, bool]]:
    shown = bench.shown()["receivers"][receiver]["ways"]
    return [(way["ok"], way["reason"], way["under_way"], way["confirmed"]) for way in shown]


def test_a_test_by_hand_tries_every_channel_and_says_what_came_of_each() -> None:
    bench = Bench(PLAN, {})
    assert ways(bench, "care_service") == [(None, "", False, False)] * 2
    assert by_hand(bench, 1_000, "care_service") == "accepted"
    assert [(one.kind, one.channel, one.data) for one in bench.sent] == [
        ("test", 0, {"by_hand": True}), ("test", 1, {"by_hand": True}),
    ]  # fmt: skip
    assert by_hand(bench, 1_100, "care_service", "again") == "merged", "one is under way"
    assert len(bench.sent) == 2
    bench.at(1_200, Delivered("by_hand#1", True))
    bench.at(1_300, Delivered("by_hand#2", False, "connection"))
    assert ways(bench, "care_service") == [
        (True, "", False, False),
        (False, "connection", False, False),
    ]
    assert len(bench.sent) == 2, "another channel is no answer to what was asked"
    assert bench.alarms() == {}, "who asked sees it; nobody else waits for it"
    bench.at(1_400, ConfirmMessage("seen", STAFF, 9_000, "by_hand#1"))
    assert ways(bench, "care_service")[0] == (True, "", False, True)


def test_a_test_by_hand_that_nobody_answers_has_failed() -> None:
    bench = Bench(PLAN, {})
    by_hand(bench, 1_000, "caretaker")
    assert ways(bench, "caretaker") == [(None, "", True, False)]
    bench.until(17_000)
    assert ways(bench, "caretaker") == [(False, "no_answer", False, False)]


def test_a_test_by_hand_for_nobody_is_refused() -> None:
    bench = Bench(PLAN, {})
    assert by_hand(bench, 1_000, "stranger") == "unknown_receiver"
    assert not bench.sent


def test_a_confirmed_test_by_hand_proves_the_way_of_the_weekly_one() -> None:
    bench = Bench(PLAN, {})
    bench.until(2 * HOUR)
    answered(bench, 2 * HOUR).until(3 * HOUR)
    assert bench.alarms() == {"gw/test_unconfirmed": "active"}
    by_hand(bench, 3 * HOUR + 1, "care_service")
    bench.at(3 * HOUR + 2, Delivered("by_hand#1", True))
    bench.at(3 * HOUR + 3, ConfirmMessage("seen", STAFF, 4 * HOUR, "by_hand#1"))
    assert bench.alarms().get("gw/test_unconfirmed") != "active"


# --- over a restart -----------------------------------------------------------------------


def test_a_chain_goes_on_after_a_restart_and_tells_nobody_twice() -> None:
    bench = pulled()
    answered(bench, 1_100).until(61_000)
    again = bench.restarted()
    again.at(again.now, AcknowledgeCall("x", STAFF, 5_000, "nowhere"))
    assert sent(again) == []
    assert again.building.escalations["wc-1"].messages
    again.until(again.now + 61_000)
    assert sent(again) == ["care_service: call wc-1"]


def test_a_chain_whose_call_does_not_stand_is_not_begun_again() -> None:
    """Of a state that was put together: nobody could acknowledge it, and it told for ever."""
    kept = answered(pulled(), 1_100).kept()
    calls = cast("dict[str, dict[str, Json]]", kept["calls"])
    again = Bench(PLAN, {**kept, "calls": {"wc": {**calls["wc"], "call": None}}})
    again.until(HOUR)
    assert again.building.escalations == {}
    assert sent(again) == []


def test_kept_state_that_is_readable_late_does_not_undo_what_was_told() -> None:
    kept = answered(pulled(), 1_100).kept()
    late = Bench(PLAN, {})
    late.level(5_000, "wc.cord", True)
    answered(late, 5_100)
    late.building = late.note(building.restore(late.building, kept, 6_000))
    assert late.building.escalations["wc-1"].running
    fresh = Bench(PLAN, {})
    fresh.building = fresh.note(building.restore(fresh.building, kept, 6_000))
    chain = fresh.building.escalations["wc-1"]
    assert (chain.count, chain.offset_ms) == (1, OFFSET)


def test_an_alarm_that_stands_goes_on_one_that_was_seen_does_not() -> None:
    bench = Bench(PLAN, {})
    bench.level(1_000, "house.mains", False)
    answered(bench, 1_100)
    standing = bench.restarted(levels=False)
    assert standing.building.escalations["house.mains/watch:mains"].running
    bench.acknowledge(2_000, "house.mains/watch:mains")
    seen = bench.restarted(levels=False)
    chain = seen.building.escalations["house.mains/watch:mains"]
    assert (chain.running, chain.count) == (False, 1)


def test_an_alarm_of_before_is_told_only_when_it_is_seen_again() -> None:
    bench = Bench(replace(PLAN, alarm_escalations=()), {})
    bench.level(1_000, "house.mains", False)
    again = Bench(PLAN, bench.kept(), levels=False)
    assert sent(again) == []
    again.level(2_000, "house.mains", False)
    assert sent(again) == ["caretaker: watch:mains house.mains/watch:mains"]


@pytest.mark.parametrize(
    "plan",
    [
        replace(PLAN, rooms=()),
        replace(PLAN, escalations=(HOUSE,)),
        replace(PLAN, rooms=(replace(ROOM, cords=()),)),
    ],
    ids=["no room", "no escalation", "no cord"],
)
def test_what_the_configuration_does_not_know_any_more_is_left_out(plan: BuildingPlan) -> None:
    kept = answered(pulled(), 1_100).kept()
    chains = Bench(plan, kept, levels=False).building.escalations
    assert [name for name in chains if not name.endswith("/call_orphaned")] == []


def test_an_escalation_of_another_name_is_the_rooms() -> None:
    kept = answered(pulled(), 1_100).kept()
    other = replace(CARE, id="other")
    plan = replace(PLAN, escalations=(other, HOUSE), rooms=(replace(ROOM, escalation="other"),))
    assert Bench(plan, kept, levels=False).building.escalations["wc-1"].plan == other


@pytest.mark.parametrize("section", [None, 3, {"wc-1": 3, "nobody": {}}, {"wc-1": None}])
def test_what_cannot_be_read_is_left_out(section: Json) -> None:
    kept = {**Bench(PLAN, {}).kept(), "escalations": section, "mailings": section}
    assert Bench(PLAN, kept, levels=False).building.escalations == {}


def test_without_a_clock_everybody_is_on_duty() -> None:
    bench = Bench(PLAN, {}, trusted=False)
    assert on_duty(bench) == {"caretaker": None, "care_service": True}
    bench.level(1_000, "wc.cord", True)
    assert bench.sent[0].data["raised_utc_ms"] is None
    bench.at(2_000, CivilTime(OFFSET + HOUR, True))
    assert bench.building.escalations["wc-1"].messages[0].at.utc_ms == OFFSET + HOUR - 970


# --- a call whose room is configured no more ----------------------------------------------

WITHOUT_ROOM = replace(PLAN, rooms=())
ORPHAN = "wc/call_orphaned"


def orphaned(plan: BuildingPlan = WITHOUT_ROOM) -> Bench:
    """Started without the room in which a call stood."""
    return Bench(plan, kept=pulled().kept())


def test_a_call_whose_room_is_no_more_is_an_emergency_and_is_told() -> None:
    bench = orphaned(replace(WITHOUT_ROOM, alarm_escalations=(("emergency", "care"),)))
    alarm = bench.building.alarms.by_id[ORPHAN]
    assert (alarm.severity, alarm.detail, alarm.state) == ("emergency", "wc-1", "active")
    bench.until(2_000)
    assert sent(bench) == [f"caretaker: call_orphaned {ORPHAN}"]


def test_without_a_chain_for_emergencies_it_is_told_by_the_first_there_is() -> None:
    bench = orphaned()
    bench.until(2_000)
    assert sent(bench) == [f"caretaker: call_orphaned {ORPHAN}"]


def test_a_call_whose_room_is_no_more_stands_over_restarts_until_somebody_acknowledges() -> None:
    again = orphaned().restarted(later_ms=60_000).restarted(later_ms=60_000)
    again.until(3_600_000)
    assert again.building.alarms.by_id[ORPHAN].standing
    again.sent.clear()
    again.at(3_600_100, AcknowledgeAlarm("c", STAFF, 4_000_000, ORPHAN))
    assert ORPHAN not in again.building.alarms.by_id
    again.until(7_200_000)
    assert [one for one in again.sent if one.about == ORPHAN] == []
    assert ORPHAN not in again.restarted().building.alarms.by_id


@pytest.mark.parametrize("state", ["raised", "acknowledged"])
def test_a_configuration_without_the_room_of_a_standing_call_is_known(state: str) -> None:
    bench = pulled()
    if state == "acknowledged":
        bench.at(2_000, AcknowledgeCall("c", STAFF, 5_000, "wc"))
    without_cord = replace(PLAN, rooms=(replace(ROOM, cords=()),))
    assert building.deserted(bench.building, WITHOUT_ROOM) == ["wc"]
    assert building.deserted(bench.building, without_cord) == ["wc"]
    assert building.deserted(bench.building, PLAN) == []


def test_a_room_without_a_call_may_go() -> None:
    bench = Bench(PLAN, {})
    assert building.deserted(bench.building, WITHOUT_ROOM) == []
    assert ORPHAN not in Bench(WITHOUT_ROOM, kept=bench.kept()).building.alarms.by_id


def test_a_test_of_a_room_keeps_nothing_from_going() -> None:
    bench = Bench(PLAN, {})
    bench.at(500, TestRoom("t", STAFF, 9_000, "wc", 600_000))
    bench.level(1_000, "wc.cord", True)
    assert bench.building.calls["wc"].record is not None
    assert building.deserted(bench.building, WITHOUT_ROOM) == []
    assert ORPHAN not in Bench(WITHOUT_ROOM, kept=bench.kept()).building.alarms.by_id


# --- a call that cannot be read -----------------------------------------------------------


UNREAD = "wc/call_unread"


@pytest.mark.parametrize(
    "calls",
    [
        None,
        {},
        [],
        {"wc": 7},
        {"wc": {}},
        {"wc": {"call": "wc-1"}},
        {"wc": {"call": {"name": "x"}}},
    ],
)
def test_a_call_of_an_unknown_format_is_no_quiet_room(calls: Json) -> None:
    bench = Bench(PLAN, {"format": 2, "calls": calls})
    assert UNREAD in bench.building.alarms.by_id
    assert any(send.kind == "call_unread" for send in bench.sent), "it goes the way of its calls"
    bench.acknowledge(bench.now, UNREAD)
    assert UNREAD not in bench.building.alarms.by_id


def test_a_call_of_an_unknown_format_that_can_be_read_stands() -> None:
    bench = Bench(PLAN, {**pulled().kept(), "format": 2})
    assert bench.building.calls["wc"].record is not None
    assert UNREAD not in bench.building.alarms.by_id


@pytest.mark.parametrize("entry", [7, {"call": "wc-1"}, {"call": {"name": "x"}}])
def test_a_damaged_call_is_no_quiet_room_either(entry: Json) -> None:
    bench = Bench(PLAN, {**pulled().kept(), "calls": {"wc": entry}})
    assert UNREAD in bench.building.alarms.by_id


def test_a_room_that_is_new_had_no_call() -> None:
    bench = Bench(PLAN, {**pulled().kept(), "calls": {}})
    assert UNREAD not in bench.building.alarms.by_id
