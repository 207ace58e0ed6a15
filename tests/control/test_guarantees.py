"""Each guarantee is an observation: every reason that its record names is brought about, and the
guarantee is seen to go; with everything in order and fresh all of them are *yes*."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from gateway.control import guarantees as g
from gateway.control.guarantees import GUARANTEES, LinkSeen, Observed
from gateway.core import building as core
from gateway.core.events import Event, Level, Reading, RelayFault
from gateway.core.facts import Fact, Json
from gateway.core.plan import BuildingPlan, FirePlan, InterlockPlan
from tests import plans
from tests.control.guarantee_bench import BROKEN, NOW, PLAN, UTC, World

NAMES = tuple(one.name for one in GUARANTEES)


def test_with_fresh_evidence_for_everything_all_are_yes() -> None:
    world = World()
    assert world.values() == dict.fromkeys(NAMES, "yes")
    assert {one["reason"] for one in world.look().values()} == {""}
    assert all(one["ok"] for one in world.look().values())


# --- each reason, brought about ---------------------------------------------------------------


def deaf(point: str) -> Event:
    return Level(point, None, NOW, "line broken")


def failing(world: World, *receivers: str) -> World:
    """The newest attempt by every way of these receivers fails."""
    facts = [
        Fact("message", "office", world.now, {
            "delivery": "x#1", "receiver": receiver, "channel": channel, "result": "failed",
            "reason": "http 500",
        })
        for receiver, channel in (("reception", 0), ("reception", 1), ("night", 0))
        if receiver in receivers
    ]  # fmt: skip
    from gateway.core.notification.ways import noted

    now = noted(world.building.ways, facts, UTC)
    world.building = replace(world.building, ways=now)
    return world


def held(world: World, *points: str) -> World:
    world.event(*(Level(point, True, world.now) for point in points)).passes(100)
    world.event(Level("leaf", True, world.now)).passes(5_000)
    return world.event(Level("leaf", False, world.now)).passes(31_000)


def chattering(world: World) -> World:
    """Both buttons; the one that is stuck alone does not take the promise away."""
    world.event(Level("leaf", True, world.now))
    for _ in range(120):
        for point in ("inside", "outside"):
            world.passes(40).event(Level(point, True, world.now))
        for point in ("inside", "outside"):
            world.passes(40).event(Level(point, False, world.now))
    return world.passes(100)


def pressed_in_vain(world: World) -> World:
    """A press, and a leaf that stays closed; nobody looks at the loop meanwhile."""
    world.event(Level("outside", True, world.now)).passes(100)
    world.event(Level("outside", False, world.now)).passes(6_000)
    return world.sees(turned_ms=world.now, answered_ms=world.now)


def no_such(plan: BuildingPlan, **changes: Any) -> Callable[[], World]:
    return lambda: World(replace(plan, **changes))


NO_TURN = {"turned_ms": NOW - 2_001}
CLOSED = {"is_open": lambda point: point not in ("open", "strike", "lamp")}
WIRED = replace(PLAN, doors=(replace(PLAN.doors[0], mode="off"),))
FIRE = replace(
    PLAN,
    contacts=(*PLAN.contacts, plans.contact("fire")),
    doors=(replace(PLAN.doors[0], fire=FirePlan("fire", "close")),),
)
LOBBY = replace(
    PLAN,
    doors=(*PLAN.doors, plans.door("back", "Back", "open")),
    interlocks=(InterlockPlan("lobby", ("front", "back"), 0),),
)
QUIET: dict[str, Json] = {"wc": {"call": None}}

CASES: dict[tuple[str, str, str], Callable[[], World]] = {
    **{
        (name, "no", reason): case
        for name in ("door_by_button", "door_by_staff")
        for reason, case in {
            "did_not_open": lambda: pressed_in_vain(World()),
            "operator_fault": lambda: World().event(Level("fault", True, NOW)).passes(100),
            "relay_fault": lambda: World().event(RelayFault("strike", "dead")),
            "relay_limit": lambda: World().alarm("open", "relay_limit"),
            "mode_off": lambda: World(WIRED),
            "fire": lambda: World(FIRE).event(Level("fire", True, NOW)).passes(100),
            "interlock": lambda: World(LOBBY).alarm("back", "left_open").shut("front"),
        }.items()
    },
    **{
        (name, "unknown", reason): case
        for name in ("door_by_button", "door_by_staff")
        for reason, case in {
            "loop_stalled": lambda: World().sees(**NO_TURN),
            "relay_unknown": lambda: World().sees(**CLOSED),
            "operator_unknown": lambda: World().event(deaf("fault")),
        }.items()
    },
    ("door_by_button", "no", "contact_unknown"): lambda: World().event(
        deaf("inside"), deaf("outside")
    ),
    ("door_by_button", "no", "contact_stuck"): lambda: held(World(), "inside", "outside"),
    ("door_by_button", "no", "contact_chattering"): lambda: chattering(World()),
    ("door_by_button", "no", "state_unread"): lambda: World(
        saved_state={"format": 99, "calls": QUIET}
    ),
    ("door_by_button", "unknown", "no_level_yet"): lambda: unheard()
    .event(Level("fault", False, NOW))
    .passes(100),
    ("door_by_staff", "unknown", "command_path"): lambda: World().sees(answered_ms=NOW - 5_001),
    ("call", "no", "cord_cut"): lambda: World().event(Reading("line", "line_ohm", 9_000.0)),
    ("call", "no", "cord_short"): lambda: World().event(Reading("line", "line_ohm", 5.0)),
    ("call", "no", "cord_stuck"): lambda: World().alarm("cord", "cord_stuck"),
    ("call", "no", "cord_unknown"): lambda: World().event(deaf("cord")),
    ("call", "no", "relay_fault"): lambda: World().event(RelayFault("lamp", "dead")),
    ("call", "no", "relay_limit"): lambda: World().alarm("lamp", "relay_limit"),
    ("call", "no", "call_orphaned"): lambda: World().alarm("gone", "call_orphaned"),
    ("call", "unknown", "call_unread"): lambda: World().alarm("wc", "call_unread"),
    ("call", "unknown", "loop_stalled"): lambda: World().sees(**NO_TURN),
    ("call", "unknown", "cord_unknown"): lambda: unheard().passes(0),
    ("call", "unknown", "relay_unknown"): lambda: World().sees(**CLOSED),
    ("messages", "no", "no_contact"): no_such(PLAN, receivers=(), escalations=()),
    ("messages", "no", "notify_away"): lambda: World().sees(notify=False),
    ("messages", "no", "delivery_failed"): lambda: failing(World(), "reception"),
    ("messages", "no", "nobody_told"): lambda: World().alarm("wc", "nobody_told"),
    ("messages", "no", "no_address"): lambda: World().sees(broken=BROKEN),
    ("messages", "unknown", "notify_silent"): lambda: World().sees(notify_ms=NOW - 30_001),
    ("messages", "unknown", "no_delivery"): lambda: (
        World().passes(9 * 86_400_000).sees(notify_ms=NOW + 9 * 86_400_000)
    ),
    ("heartbeat", "no", "notify_away"): lambda: World().sees(notify=False),
    ("heartbeat", "no", "heartbeat_failed"): lambda: World().sees(
        heartbeat_ok_ms=NOW - 600_001, heartbeat_failed=True
    ),
    ("heartbeat", "unknown", "no_heartbeat"): lambda: World().sees(heartbeat_ok_ms=None),
    **{
        ("journal", "no", reason): lambda reason=reason: World().sees(journal_reason=reason)  # type: ignore[misc]
        for reason in ("journal_full", "journal_read_only", "journal_unavailable")
    },
    ("journal", "no", "journal_slow"): lambda: World().sees(overdue_ms=2_001),
    ("journal", "unknown", "no_evidence"): lambda: World().sees(journal=""),
    ("forwarding", "no", "link_away"): lambda: World().sees(link=None),
    ("forwarding", "no", "unsent"): lambda: World().sees(oldest_urgent_ms=10_001),
    ("forwarding", "no", "set_aside"): lambda: World().link(
        aside=(("portier/office/event/call_raised/wc", "not authorized"),), aside_count=1
    ),
    ("forwarding", "unknown", "broker_silent"): lambda: World().link(heard_ms=NOW - 30_001),
    ("forwarding", "unknown", "journal"): lambda: World().sees(oldest_urgent_ms=None),
    ("recording", "no", "recorder_missing"): lambda: World().recorder(heard=False),
    ("recording", "no", "recorder_behind"): lambda: World().recorder(good_ms=NOW - 60_001),
    ("recording", "no", "recorder_aside"): lambda: World().recorder(aside=1),
    ("recording", "no", "journal"): lambda: World().sees(journal_reason="journal_full"),
    ("recording", "unknown", "journal"): lambda: World().recorder(heard=None),
    ("recording", "unknown", "recorder_silent"): lambda: World().recorder(
        good_ms=None, since_ms=NOW - 59_000
    ),
    ("clock", "no", "clock_untrusted"): lambda: World().sees(trusted=False),
    ("clock", "unknown", "clock_unwatched"): lambda: World().sees(clock_seen_ms=NOW - 60_001),
}  # fmt: skip


def unheard() -> World:
    """A building that has just started: no contact has reported anything."""
    world = World()
    world.building = core.start(PLAN, {}, NOW).state
    return world


def test_every_reason_of_every_record_has_a_case() -> None:
    named = {
        (one.name, value, reason)
        for one in GUARANTEES
        for value, reasons in (("no", one.breaks), ("unknown", one.doubts))
        for reason in reasons
    }
    assert named == set(CASES)


@pytest.mark.parametrize("case", CASES, ids=" ".join)
def test_what_breaks_a_guarantee_is_seen(case: tuple[str, str, str]) -> None:
    name, value, reason = case
    world = CASES[case]()
    world.sees(**{
        key: world.now for key in ("turned_ms", "answered_ms") if world.seen[key] == NOW
    })  # fmt: skip
    found = world.look()[name]
    assert (found["value"], found["reason"], found["ok"]) == (value, reason, False)


@pytest.mark.parametrize("guarantee", GUARANTEES, ids=NAMES)
def test_without_evidence_nothing_is_yes(guarantee: g.Guarantee) -> None:
    """Whatever a judge says, a *yes* without fresh evidence is unknown."""
    stale = replace(guarantee, judge=lambda wiring, seen: g.Finding("yes"))
    world = World()
    seen = Observed(world.now, world.building, **world.seen)
    found = world.guarantees._evaluate(stale, seen)
    assert (found["value"], found["reason"], found["ok"]) == ("unknown", guarantee.void, False)
    assert guarantee.void in guarantee.doubts
    ahead = replace(
        guarantee, judge=lambda wiring, seen: g.Finding("yes", evidence_ms=seen.now_ms + 5_000)
    )
    assert world.guarantees._evaluate(ahead, seen)["value"] == "unknown"


def test_while_nobody_knows_what_stood_before_the_start_the_call_is_in_doubt() -> None:
    """A disk that does not answer tells neither that a call stood nor that none did."""
    found = World().sees(remembers=False).look()["call"]
    assert (found["value"], found["reason"]) == ("unknown", "call_unread")


# --- what does not take a promise away --------------------------------------------------------


def test_a_button_whose_line_is_not_open_is_not_heard_whatever_its_last_level() -> None:
    world = World().sees(is_open=lambda point: point != "inside")
    assert world.values()["door_by_button"] == "yes"
    world.sees(is_open=lambda point: point not in ("inside", "outside"))
    found = world.look()["door_by_button"]
    assert (found["value"], found["reason"]) == ("no", "contact_unknown")


@pytest.mark.parametrize("kind", ["deaf", "stuck"])
def test_a_single_deaf_button_is_an_alarm_and_no_more(kind: str) -> None:
    world = World()
    world = world.event(deaf("inside")) if kind == "deaf" else held(world, "inside")
    world.sees(turned_ms=world.now)
    assert world.look()["door_by_button"]["value"] == "yes"
    assert any(alarm.standing for alarm in world.building.alarms.by_id.values())


def test_an_unconfirmed_test_is_an_alarm_and_no_more() -> None:
    assert World().alarm("office", "test_unconfirmed").values()["messages"] == "yes"


def test_one_way_of_each_chain_is_enough() -> None:
    world = World()
    assert failing(world, "night").look()["messages"] | {"since_ms": 0} == {
        "ok": False, "value": "no", "since_ms": 0, "reason": "delivery_failed",
        "subject": "faults", "evidence_ms": world.look()["messages"]["evidence_ms"],
        "void_after_ms": 8 * 86_400_000,
    }  # fmt: skip


def test_a_way_whose_address_cannot_be_read_is_none() -> None:
    world = World().sees(broken=frozenset({("reception", 0)}))
    assert world.values()["messages"] == "unknown"  # the other one was never tried
    assert failing(world, "reception").values()["messages"] == "no"
    found = World().sees(broken=BROKEN).look()["messages"]
    assert (found["reason"], found["subject"]) == ("no_address", "day")


def test_a_way_that_was_never_tried_says_nothing() -> None:
    world = World()
    world.building = replace(world.building, ways={})
    found = world.look()["messages"]
    assert (found["value"], found["reason"], found["evidence_ms"]) == (
        "unknown", "no_delivery", None,
    )  # fmt: skip


def test_an_optional_message_set_aside_is_named_and_breaks_nothing() -> None:
    aside = (("homeassistant/device/portier_office/config", "not authorized"),)
    found = World().link(aside=aside, aside_count=1).look()["forwarding"]
    assert found["value"] == "yes"
    assert (found["aside"], found["aside_count"]) == ([list(aside[0])], 1)


def test_a_failed_heartbeat_breaks_nothing_while_the_last_one_is_young() -> None:
    assert World().sees(heartbeat_failed=True).values()["heartbeat"] == "yes"


def test_the_reason_of_a_lost_connection_is_the_links_own() -> None:
    found = World().link(connected=False, reason="refused").look()["forwarding"]
    assert (found["value"], found["reason"]) == ("no", "refused")


@pytest.mark.parametrize("state", ["muted", "shelved", "acknowledged"])
def test_an_alarm_that_is_put_aside_breaks_it_all_the_same(state: str) -> None:
    changes: dict[str, dict[str, Any]] = {
        "muted": {"muted": True},
        "shelved": {"shelved": True},
        "acknowledged": {"acknowledged_by": "web:1"},
    }
    world = World().alarm("front", "did_not_open", **changes[state])
    assert world.values()["door_by_staff"] == "no"
    gone = World().alarm("front", "did_not_open", standing=False)
    assert gone.values()["door_by_staff"] == "yes"


def test_an_alarm_about_something_else_breaks_nothing() -> None:
    world = World()
    for kind in ("relay_fault", "did_not_open", "contact_unknown", "meter_silent", "cord_stuck"):
        world.alarm("elsewhere", kind)
    assert world.values() == dict.fromkeys(NAMES, "yes")


# --- what is not configured -------------------------------------------------------------------


def test_what_is_not_configured_is_shown_as_such() -> None:
    nothing: dict[str, Any] = {
        "mqtt": False, "link": None, "recorders": (), "heartbeat_every_ms": 0, "notify": False,
    }  # fmt: skip
    world = World(BuildingPlan(gateway="office"), **nothing)
    absent = {n for n, one in world.look().items() if one["value"] == "not_configured"}
    assert absent == set(NAMES) - {"journal", "clock"}
    assert {one["reason"] for n, one in world.look().items() if n in absent} == {"not_configured"}


def test_a_door_without_an_activator_is_no_promise_by_button() -> None:
    world = World(replace(PLAN, doors=(replace(PLAN.doors[0], activators=()),)))
    assert world.values()["door_by_button"] == "not_configured"
    assert world.values()["door_by_staff"] == "yes"


def test_a_room_whose_chain_is_not_there_is_not_announced() -> None:
    world = World(replace(PLAN, rooms=(replace(PLAN.rooms[0], escalation=None),)))
    found = world.look()["messages"]
    assert (found["value"], found["reason"], found["subject"]) == ("no", "no_contact", "wc")


def test_a_bench_without_contacts_is_no_fault_and_no_promise() -> None:
    alone = replace(
        PLAN, receivers=(), escalations=(), alarm_escalations=(), mailings=(),
        rooms=(replace(PLAN.rooms[0], escalation=None),),
    )  # fmt: skip
    found = World(alone, bench=True).look()["messages"]
    assert (found["value"], found["reason"]) == ("not_configured", "bench")
    found = World(alone).look()["messages"]
    assert (found["value"], found["reason"]) == ("no", "no_contact"), "a real building"


def test_a_bench_with_contacts_is_judged_as_every_building() -> None:
    unattached = replace(PLAN, rooms=(replace(PLAN.rooms[0], escalation=None),))
    assert World(unattached, bench=True).look()["messages"]["reason"] == "no_contact"
    assert World(bench=True).look()["messages"]["value"] == "yes"


# --- over time --------------------------------------------------------------------------------


def test_since_when_changes_with_the_value_only() -> None:
    world = World()

    def since(reason: str, now: int) -> object:
        world.now = now
        link = LinkSeen(not reason, reason, now, 10_000)
        return world.look(link=link)["forwarding"]["since_ms"]

    steps = [("", 1), ("", 2), ("lost", 3), ("refused", 4), ("", 5)]
    assert [since(reason, now) for reason, now in steps] == [1, 1, 3, 3, 5]


def test_several_recorders_share_the_oldest_evidence() -> None:
    two = (
        g.RecorderSeen("a", True, NOW - 1_000, 0),
        g.RecorderSeen("b", True, NOW - 7_000, 0),
    )
    assert World().look(recorders=two)["recording"]["evidence_ms"] == NOW - 7_000
    behind = World().look(recorders=two, behind=g.BEHIND_MOST + 1)["recording"]
    assert (behind["value"], behind["reason"]) == ("no", "recorder_behind")
