"""The answer to a command is what happens: whatever stands in the way, a door that says that it
opens is driven, and a mode that says that it holds the door holds it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.effects import Reply
from gateway.core.events import RelayFault, ResetAlarm
from gateway.core.instant import Ms
from gateway.core.plan import (
    BuildingPlan,
    DoorPlan,
    FirePlan,
    InterlockPlan,
    OnFire,
    RelayPlan,
)
from tests import plans
from tests.core.building_bench import STAFF, Bench

LIMIT_MS = 20_000
HOUR_MS = 3_600_000
SOON_MS = 3_000
"""Lead of a strike and rest of a drive are over by then."""


def door(name: str, *, hold: Ms | None = None, maintained: bool = False, **more: Any) -> DoorPlan:
    make = plans.maintained_door if maintained else plans.door
    button = plans.activator(f"{name}.button", "button", "inside", hold_open_ms=hold)
    leaf = f"{name}.leaf"
    return make(name, name, f"{name}.activation", leaf=leaf, activators=(button,), **more)


def building(
    *doors: DoorPlan, wait_ms: int = 0, on_fire: OnFire = "close", longer: str = ""
) -> BuildingPlan:
    """``longer``: the relay whose limit is an hour."""
    fire = FirePlan("fire", on_fire)
    doors = tuple(replace(one, fire=fire) for one in doors)
    names = tuple(one.id for one in doors)
    relays = {
        point
        for one in doors
        for point in (one.activation, one.strike, one.hold_open)
        if point is not None
    }
    contacts = (*(f"{name}.{end}" for name in names for end in ("button", "leaf")), "fire")
    return BuildingPlan(
        "gw",
        contacts=tuple(plans.contact(point) for point in contacts),
        relays=tuple(
            RelayPlan(point, HOUR_MS if point == longer else LIMIT_MS) for point in sorted(relays)
        ),
        doors=doors,
        interlocks=(InterlockPlan("lobby", names, wait_ms),) if len(names) > 1 else (),
    )


HELD = building(door("a", hold_open="a.hold", hold=10_000))
MAINTAINED = building(door("a", maintained=True))
LATCHED = building(door("a", strike="a.strike", hold_open="a.hold"))
LOBBY = building(door("a", maintained=True), door("b", hold_open="b.hold"), wait_ms=4_000)
SHORT_LOBBY = building(door("a", hold_open="a.hold"), door("b", maintained=True), on_fire="open")
STRIKE = building(door("a", strike="a.strike"))
STRIKE_MAINTAINED = building(door("a", strike="a.strike", maintained=True, hold=30_000),
                             longer="a.activation")  # fmt: skip
STRIKE_HELD = building(door("a", strike="a.strike", hold_open="a.hold"), longer="a.hold")
STRIKE_TOGGLE = building(door("a", strike="a.strike", toggle=True))
STRIKE_FIRE = building(door("a", strike="a.strike", maintained=True), on_fire="open")
STRIKES = [STRIKE, STRIKE_MAINTAINED, STRIKE_HELD, STRIKE_FIRE]


def driven(bench: Bench, name: str, *only: str, since_ms: int | None = None) -> bool:
    """Whether a relay that moves this door is on at ``since_ms`` (otherwise now), or comes on
    between then and soon; lives on until then."""
    plan = bench.building.index.doors[name]
    points = only or (plan.activation, plan.hold_open or "")
    since_ms = bench.now if since_ms is None else since_ms
    bench.until(bench.now + SOON_MS)
    before = {point: on for at_ms, point, on in bench.drives if at_ms <= since_ms}
    after = {point for at_ms, point, on in bench.drives if on and at_ms > since_ms}
    return any(before.get(point) or point in after for point in points)


def served(bench: Bench, name: str, asked_ms: int, status: object) -> bool:
    """The same for a request: one that is merged is served by a drive that may be over."""
    moved = driven(bench, name, since_ms=asked_ms - (SOON_MS if status == "merged" else 0))
    return moved and freed(bench, name, asked_ms)


def freed(bench: Bench, name: str, asked_ms: int) -> bool:
    """Whether the strike, where there is one, is released for a request, and before it drives."""
    plan = bench.building.index.doors[name]
    if plan.strike is None:
        return True
    for at_ms, point, on in bench.drives:
        if point == plan.activation and on and at_ms > asked_ms:
            before = [on for ms, point, on in bench.drives if point == plan.strike and ms <= at_ms]
            assert before[-1:] == [True], (at_ms, bench.drives)
    return driven(bench, name, plan.strike, since_ms=asked_ms)


Deed = tuple[str, str, int]
DEEDS = st.tuples(
    st.sampled_from(
        ["open", "press", "hold_open", "automatic", "leaf", "stuck", "fire", "fault", "test"]
    ),
    st.sampled_from("ab"),
    st.sampled_from([0, 700, 5_000, 15_000, 30_000]),
)


@pytest.mark.parametrize("plan", [HELD, MAINTAINED, LATCHED, LOBBY, SHORT_LOBBY, *STRIKES])
@given(deeds=st.lists(DEEDS, min_size=1, max_size=12))
def test_an_answer_without_a_reason_is_what_happens(plan: BuildingPlan, deeds: list[Deed]) -> None:
    """``stuck``: from then on the leaf is seen open for ever, as behind a wire that is cut."""
    bench, stuck = Bench(plan), set[str]()
    for deed, name, pause_ms in deeds:
        if name not in bench.building.doors or (deed in ("leaf", "stuck") and name in stuck):
            continue
        if deed == "stuck":
            stuck.add(name)
        bench.until(bench.now + 100 + pause_ms)
        _judge(bench, deed, name)


def _judge(bench: Bench, deed: str, name: str) -> None:
    now, of = bench.now, bench.building.index.doors[name]
    match deed:
        case "open":
            reply = bench.replies.get(bench.open(now, name))
            if reply is not None:
                _judge_answer(bench, name, now, reply.status, reply.reason)
        case "press":
            told = len(bench.told("door_request"))
            bench.press(now, f"{name}.button")
            answers = bench.told("door_request")[told:]
            if answers:
                _judge_answer(bench, name, now, answers[0]["outcome"], answers[0]["reason"])
        case "hold_open":
            reply = bench.mode(now, "hold_open", for_ms=HOUR_MS, door=name)
            if reply.status != "refused" and not reply.reason:
                assert driven(bench, name, of.hold_open or of.activation), reply
        case "automatic":
            bench.mode(now, "automatic", for_ms=HOUR_MS, door=name)
        case "leaf" | "stuck":
            shut = not bench.building.contacts[f"{name}.leaf"].active
            bench.level(now, f"{name}.leaf", shut or deed == "stuck")
        case "fire":
            bench.level(now, "fire", not bench.building.contacts["fire"].active)
        case "fault":
            works = not bench.building.relays[of.activation].fault
            bench.at(now, RelayFault(of.activation, "gone" if works else ""))
        case _:
            if bench.test_relay(now, of.activation, 1_000).status == "accepted":
                assert bench.levels[of.activation]


def _judge_answer(bench: Bench, name: str, now: int, status: object, reason: object) -> None:
    if reason == "already_open":
        assert freed(bench, name, now), status
    elif status != "refused" and not reason:
        assert served(bench, name, now, status), status


def held_to_its_limit(plan: BuildingPlan) -> Bench:
    bench = Bench(plan)
    assert bench.mode(1_000, "hold_open", for_ms=HOUR_MS, door="a") == Reply("c1", "accepted")
    bench.level(2_000, "a.leaf", True)
    bench.until(1_000 + LIMIT_MS)
    bench.level(25_000, "a.leaf", False)
    bench.until(60_000)
    return bench


@pytest.mark.parametrize("plan", [HELD, MAINTAINED, LATCHED])
def test_a_door_held_to_its_relays_limit_is_not_said_to_be_held(plan: BuildingPlan) -> None:
    """The answer was ``accepted`` and the door stayed shut; later it "did not open"."""
    bench = held_to_its_limit(plan)
    assert {name.partition("/")[2] for name in bench.alarms()} == {"relay_limit"}
    again = bench.mode(60_000, "hold_open", for_ms=HOUR_MS, door="a")
    assert (again.status, again.reason) == ("refused", "relay_limit")
    back = bench.mode(61_000, "schedule", door="a")
    assert (back.status, back.reason) == ("accepted", "")
    assert bench.mode(62_000, "hold_open", for_ms=HOUR_MS, door="a").status == "accepted"
    assert driven(bench, "a")


def test_a_schedule_that_holds_a_door_at_its_limit_says_why_the_door_stays_shut() -> None:
    """Only random examples came here, so the coverage of the core was complete now and then."""
    bench = Bench(building(door("a", hold_open="a.hold", mode="hold_open")))
    bench.level(2_000, "a.leaf", True)
    bench.until(30_000)
    bench.level(31_000, "a.leaf", False)
    back = bench.mode(60_000, "schedule", door="a")
    assert (back.status, back.reason) == ("accepted", "relay_limit")
    assert not driven(bench, "a")


@pytest.mark.parametrize("plan", [HELD, MAINTAINED, LATCHED])
def test_a_press_opens_a_door_that_is_held_no_more(plan: BuildingPlan) -> None:
    """It was ``merged`` with a hold that was over, or said to be open already."""
    bench = held_to_its_limit(plan)
    bench.press(60_000, "a.button")
    assert bench.told("door_request")[-1]["outcome"] == "accepted"
    assert driven(bench, "a")
    bench.level(64_000, "a.leaf", True)
    opened = bench.replies[bench.open(65_000, "a")]
    assert (opened.status, opened.reason) == ("extended", "")
    assert driven(bench, "a")


def test_a_request_after_a_hold_for_fire_that_its_limit_ended_opens_the_door() -> None:
    """It was merged with that hold, and nothing moved: relays off for 15 s count as no drive."""
    bench = Bench(SHORT_LOBBY)
    bench.level(9_100, "fire", True)
    bench.mode(14_000, "hold_open", for_ms=HOUR_MS, door="a")
    bench.level(44_330, "fire", False)
    reply = bench.replies[bench.open(44_560, "a")]
    assert (reply.status, reply.reason) == ("accepted", "")
    assert driven(bench, "a")


def test_a_door_held_to_its_limit_leaves_the_interlock_to_the_other() -> None:
    bench = Bench(LOBBY)
    bench.mode(1_000, "hold_open", for_ms=HOUR_MS, door="b")
    bench.level(2_000, "b.leaf", True)
    bench.level(25_000, "b.leaf", False)
    assert bench.replies[bench.open(60_000, "a")].status == "accepted"
    assert driven(bench, "a")


def test_a_mode_that_fire_an_interlock_or_a_fault_keeps_from_acting_says_so() -> None:
    bench = Bench(LOBBY)
    bench.open(1_000, "a")
    bench.level(1_500, "a.leaf", True)
    waits = bench.mode(3_000, "hold_open", for_ms=HOUR_MS, door="b")
    assert (waits.status, waits.reason) == ("accepted", "interlock")
    assert bench.levels["b.hold"] is False
    bench.level(10_000, "a.leaf", False)
    assert bench.levels.get("b.hold") is True
    bench.mode(11_000, "automatic", for_ms=HOUR_MS, door="b")
    bench.level(20_000, "fire", True)
    burns = bench.mode(21_000, "hold_open", for_ms=HOUR_MS, door="b")
    assert (burns.status, burns.reason) == ("accepted", "fire")
    bench.mode(22_000, "automatic", for_ms=HOUR_MS, door="b")
    bench.level(23_000, "fire", False)
    bench.at(24_000, RelayFault("b.hold", "gone"))
    broken = bench.mode(25_000, "hold_open", for_ms=HOUR_MS, door="b")
    assert (broken.status, broken.reason) == ("accepted", "relay_fault")


def test_a_request_is_tried_with_a_relay_that_cannot_be_switched_and_says_so() -> None:
    """The driver may have come back just now: whoever stands there is not refused for an old
    fault."""
    bench = Bench(LATCHED)
    bench.at(1_000, RelayFault("a.strike", "gone"))
    opened = bench.replies[bench.open(2_000, "a")]
    assert (opened.status, opened.reason) == ("accepted", "relay_fault")
    assert driven(bench, "a")
    bench.level(6_000, "a.leaf", True)  # an open leaf needs no latch
    assert bench.replies[bench.open(8_000, "a")] == Reply("c2", "extended")


def test_a_relay_that_cannot_be_switched_is_not_tested() -> None:
    bench = Bench(HELD)
    bench.at(1_000, RelayFault("a.hold", "gone"))
    assert bench.test_relay(2_000, "a.hold", 1_000).reason == "relay_fault"
    bench.at(3_000, RelayFault("a.hold", ""))
    assert bench.test_relay(4_000, "a.hold", 1_000).status == "accepted"


def test_a_reset_says_why_the_water_stays_off() -> None:
    plan = BuildingPlan(
        "gw",
        contacts=(plans.contact("x.leak"), plans.contact("y.leak")),
        relays=(RelayPlan("valve", None),),
        rooms=tuple(plans.room(n, n, leak=f"{n}.leak", valve="valve") for n in "xy"),
    )
    bench = Bench(plan)
    for name in "xy":
        bench.level(1_000, f"{name}.leak", True)
        bench.level(2_000, f"{name}.leak", False)
    answers = []
    for number, name in enumerate("xy"):
        bench.at(3_000, ResetAlarm(f"r{number}", STAFF, 9_000, f"{name}/leak"))
        reply = bench.replies[f"r{number}"]
        answers.append((reply.status, reply.reason, bench.levels["valve"]))
    assert answers == [("accepted", "in_use", True), ("accepted", "", False)]


def locked_by_its_limit(plan: BuildingPlan, leaf: list[bool | None], mode: str = "") -> Bench:
    """A door whose strike its limit has locked while its leaf was seen as ``leaf``, 2, 4, … s
    after it was opened."""
    bench = Bench(plan)
    if mode == "fire":
        bench.level(970, "fire", True)
    elif mode:
        bench.mode(1_000, mode, for_ms=HOUR_MS, door="a")
    else:
        bench.press(1_000, "a.button")
    for number, seen in enumerate(leaf, 1):
        bench.level(1_000 + number * 2_000, "a.leaf", seen)
    bench.until(25_000)
    assert bench.levels["a.strike"] is False
    assert "a.strike/relay_limit" in bench.raised()
    return bench


STUCK: list[list[bool | None]] = [[True], [True, None], [None, True]]


@pytest.mark.parametrize("leaf", STUCK, ids=["open", "open, then lost", "lost, then open"])
@pytest.mark.parametrize("plan", [*STRIKES, LATCHED, STRIKE_TOGGLE])
def test_a_request_frees_a_strike_that_its_limit_has_locked(
    plan: BuildingPlan, leaf: list[bool | None]
) -> None:
    """A leaf contact that stays open (a cut wire) shut the door for ever: ``extended``, and the
    strike never came on again."""
    bench = Bench(plan)
    bench.press(1_000, "a.button")
    for number, seen in enumerate(leaf, 1):
        bench.level(1_000 + number * 2_000, "a.leaf", seen)
    for asked_ms in range(40_000, 200_000, 40_000):  # each of them lasts until its limit again
        bench.until(asked_ms)
        assert bench.levels["a.strike"] is False
        reply = bench.replies[bench.open(asked_ms, "a")]
        assert (reply.status, reply.reason) in {("extended", ""), ("accepted", "")}
        toggle = plan is STRIKE_TOGGLE and reply.status == "extended"  # a pulse would close it
        assert toggle or served(bench, "a", asked_ms, reply.status)
        assert freed(bench, "a", asked_ms)


def test_a_request_frees_a_strike_that_was_locked_while_the_door_is_driven() -> None:
    """A maintained activation stays on: a leaf that it holds open does not fall shut for it."""
    bench = locked_by_its_limit(STRIKE_MAINTAINED, [True])
    assert bench.levels["a.activation"]
    assert bench.replies[bench.open(26_000, "a")] == Reply("c1", "extended")
    assert bench.levels["a.strike"]
    assert (26_000, "a.activation", False) not in bench.drives


@pytest.mark.parametrize("leaf", [[True], [True, False], [True, None], [False]])
@pytest.mark.parametrize("mode", ["hold_open", "fire"])
@pytest.mark.parametrize("plan", [STRIKE_MAINTAINED, STRIKE_HELD])
def test_a_request_frees_the_strike_of_a_door_that_is_held_open(
    plan: BuildingPlan, mode: str, leaf: list[bool | None]
) -> None:
    fire = replace(plan.doors[0], fire=FirePlan("fire", "open"))
    bench = locked_by_its_limit(replace(plan, doors=(fire,)), leaf, mode)
    reply = bench.replies[bench.open(26_000, "a")]
    assert reply.status != "refused"
    assert driven(bench, "a", since_ms=26_000)
    assert freed(bench, "a", 26_000)
    if reply.reason == "already_open":
        assert (26_000, "a.hold", False) not in bench.drives
        assert (26_000, "a.activation", False) not in bench.drives


def test_fire_frees_a_strike_that_its_limit_has_locked() -> None:
    """It found the activation on, and left the strike as it was."""
    plan = replace(STRIKE_MAINTAINED.doors[0], fire=FirePlan("fire", "open"))
    bench = locked_by_its_limit(replace(STRIKE_MAINTAINED, doors=(plan,)), [True])
    bench.level(26_000, "fire", True)
    assert bench.levels["a.strike"]
    assert bench.levels["a.activation"]


@pytest.mark.parametrize("leaf", [True, False, None])
@pytest.mark.parametrize("more", [{"maintained": True}, {}, {"hold_open": "a.hold"},
                                  {"maintained": True, "strike": "a.strike"}])  # fmt: skip
def test_a_request_opens_a_door_whose_limit_has_ended_what_fire_holds(
    more: dict[str, Any], leaf: bool | None
) -> None:
    """Behind a fire contact that is stuck it was refused for ever. The alarm stands meanwhile."""
    bench = Bench(building(door("a", **more), on_fire="open"))
    bench.level(970, "fire", True)
    bench.level(3_000, "a.leaf", True)
    bench.level(30_000, "a.leaf", leaf)
    for asked_ms in (40_000, 80_000):
        bench.until(asked_ms)
        assert bench.alarms()["a.activation/relay_limit"] == "active"
        reply = bench.replies[bench.open(asked_ms, "a")]
        assert reply.status != "refused"
        assert served(bench, "a", asked_ms, "accepted"), reply
    bench.level(120_000, "fire", False)
    bench.level(122_000, "a.leaf", False)
    assert bench.replies[bench.open(140_000, "a")] == Reply("c3", "accepted")
    assert served(bench, "a", 140_000, "accepted")


def test_a_request_under_fire_joins_no_drive_that_a_limit_has_ended() -> None:
    bench = Bench(building(door("a", opens_within_ms=HOUR_MS), on_fire="open"))
    bench.level(970, "fire", True)
    bench.until(40_000)
    assert bench.replies[bench.open(40_000, "a")].status == "accepted"
    assert driven(bench, "a", since_ms=40_000)


def test_a_request_joins_no_drive_whose_strike_was_locked_before_the_leaf_came() -> None:
    bench = Bench(STRIKE)
    bench.press(1_000, "a.button")
    bench.level(3_000, "a.leaf", True)
    bench.level(20_600, "a.leaf", False)
    bench.press(20_650, "a.button")  # the strike is still free, for 300 ms
    assert bench.told("door_request")[-1]["outcome"] == "accepted"
    bench.until(21_300)
    assert bench.levels == bench.levels | {"a.strike": False, "a.activation": False}
    assert bench.replies[bench.open(21_300, "a")] == Reply("c1", "accepted")
    assert served(bench, "a", 21_300, "accepted")


def test_an_open_leaf_whose_strike_is_locked_needs_the_relay_of_it() -> None:
    """The contact may be wrong, so that the answer names the relay that cannot be switched."""
    bench = locked_by_its_limit(STRIKE, [True])
    bench.at(25_500, RelayFault("a.strike", "gone"))
    reply = bench.replies[bench.open(26_000, "a")]
    assert (reply.status, reply.reason) == ("extended", "relay_fault")


def test_a_mode_that_holds_a_door_frees_a_strike_that_is_locked_in_a_pulse() -> None:
    bench = Bench(STRIKE_HELD)
    bench.press(1_000, "a.button")
    bench.level(3_000, "a.leaf", True)
    bench.press(20_700, "a.button")
    bench.until(21_100)
    assert bench.levels == bench.levels | {"a.strike": False, "a.activation": True}
    assert bench.mode(21_100, "hold_open", for_ms=HOUR_MS, door="a").status == "accepted"
    assert bench.levels == bench.levels | {"a.strike": True, "a.hold": True}


def test_a_hold_that_is_over_stays_so_when_another_relay_reaches_its_limit() -> None:
    """The door counted as held again, and its strike stayed free behind a leaf that was shut."""
    latched = door("a", strike="a.strike", hold_open="a.hold", maintained=True)
    bench = Bench(building(latched, longer="a.strike"))
    bench.mode(1_000, "hold_open", for_ms=HOUR_MS, door="a")
    bench.level(2_000, "a.leaf", True)
    bench.until(1_300 + LIMIT_MS)
    for pressed_ms in range(22_000, 44_000, 3_000):
        bench.press(pressed_ms, "a.button")
    assert "a.activation/relay_limit" in bench.raised()
    bench.until(70_000)
    bench.level(70_000, "a.leaf", False)
    bench.until(75_000)
    assert bench.levels["a.strike"] is False
