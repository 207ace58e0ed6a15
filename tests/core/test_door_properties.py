"""What holds for a door whatever happens to it, in whatever order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.door import door
from gateway.core.door.door import Door, DoorEvent
from gateway.core.effects import Drive, Reply
from gateway.core.events import MODES
from gateway.core.instant import Ms
from gateway.core.machine import Step
from gateway.core.plan import DoorPlan
from tests.core.door_bench import BLIND, HOLD, LAMP, MAINTAINED, PLAN, STRIKE, TOGGLE, Bench, fire

PLANS: dict[str, DoorPlan] = {
    "pulse": PLAN,
    "strike": replace(STRIKE, fire=fire("close")),
    "maintained": replace(MAINTAINED, strike="strike"),
    "hold": replace(HOLD, strike="strike", left_open_after_ms=90_000),
    "blind": replace(BLIND, strike="strike", fire=fire("close")),
    "toggle": TOGGLE,
    "lamp": LAMP,
    "fire": replace(HOLD, strike="strike", fire=fire("open")),
    "fire toggle": replace(TOGGLE, strike="strike", fire=fire("open")),
}


@dataclass(frozen=True)
class Happening:
    """An event, this long after the one before. ``ask`` of a request is its place in the story."""

    after_ms: Ms
    what: str
    value: object = None


TIMES = st.one_of(
    st.sampled_from([0, 1, 200, 499, 500, 501, 1000, 1500, 5000, 8000, 20_000]),
    st.integers(0, 30_000),
)
KINDS = st.sampled_from(["button", "remote", "key_switch", "reader", "staff"])
TRI = st.sampled_from([True, False, None])
HAPPENINGS = st.one_of(
    st.builds(Happening, TIMES, st.just("request"), st.tuples(KINDS, st.sampled_from([0, 15_000]))),
    st.builds(Happening, TIMES, st.sampled_from(["leaf", "bolt", "presence", "fault"]), TRI),
    st.builds(Happening, TIMES, st.just("leaf"), st.booleans()),
    st.builds(Happening, TIMES, st.just("fire"), TRI),
    st.builds(Happening, TIMES, st.just("mode"), st.sampled_from(MODES)),
    st.builds(Happening, TIMES, st.just("free"), st.booleans()),
    st.builds(Happening, TIMES, st.just("relay"), st.sampled_from(["", "line in use"])),
    st.builds(Happening, TIMES, st.just("late"), st.just(None)),
)
STORIES = st.lists(HAPPENINGS, max_size=25)
ALL = st.sampled_from(sorted(PLANS)).map(PLANS.__getitem__)
often = settings(max_examples=80, deadline=None)


def request(value: object, now: Ms, number: int) -> door.Requested:
    assert isinstance(value, tuple)
    kind, hold_ms = value
    if kind == "staff":
        return door.Requested(kind, None, None, hold_ms, now, command=f"c{number}", note="x")
    return door.Requested(kind, "outside", None, hold_ms, now, note="x")


EVENTS: dict[str, Callable[[Any, Ms, int], DoorEvent | None]] = {
    "request": request,
    "leaf": lambda value, now, _: door.LeafSeen(value, now),
    "bolt": lambda value, _now, _: door.BoltSeen(value),
    "presence": lambda value, _now, _: door.PresenceSeen(value),
    "fault": lambda value, _now, _: door.OperatorFaultSeen(value),
    "fire": lambda value, _now, _: door.FireSeen(value),
    "mode": lambda value, _now, _: door.ModeChanged(value, "override"),
    "free": lambda value, _now, _: door.Interlocked(value, wait_ms=7000),
    "relay": lambda value, _now, _: door.RelayFailed("activation", value),
    "late": lambda _value, _now, _: None,
}


class Watcher(Bench):
    """A bench that measures every relay and checks after each step what must always hold."""

    def __init__(self, plan: DoorPlan) -> None:
        super().__init__(plan, leaf=None)
        self.on_since: dict[str, Ms] = {}
        self.drives.clear()

    def play(self, story: list[Happening]) -> None:
        for number, happening in enumerate(story):
            now = self.now + happening.after_ms
            if happening.what == "leaf" and self.door.plan.leaf is None:
                continue  # there is no contact that could tell
            event = EVENTS[happening.what](happening.value, now, number)
            if event is not None:
                self.at(now, event)
            elif door.wake_at(self.door) is not None:
                self.now = now  # whoever calls has been asleep
                self._note(door.step(self.door, None, now))

    def _note(self, step: Step[Door]) -> Door:
        super()._note(step)
        self._check_effects(step)
        self._check_state(step.state)
        return self.door

    def _check_effects(self, step: Step[Door]) -> None:
        points = [effect.point for effect in step.effects if isinstance(effect, Drive)]
        assert len(points) == len(set(points)), "a relay is told one thing in a step"
        commands = [reply.command for reply in self.replies]
        assert len(commands) == len(set(commands)), "a command is answered once"

    def _check_state(self, after: Door) -> None:
        due = door.wake_at(after)
        if due is not None:
            early = door.step(after, None, due - 1)
            assert early.state is after
            assert (early.facts, early.effects) == ((), ())
        if after.barred:
            assert not after.activation
            assert not after.hold_open
            assert after.waiting is None
        if after.activation and after.plan.strike is not None:
            assert after.strike
        if after.leaf.opened is None and after.leaf.attempt is None and not after.opening.busy:
            assert not after.busy
        assert after.since_ms <= self.now


def longest_on(bench: Bench, point: str) -> Ms:
    switched = bench.times(point)
    ends = [*switched[1::2], *([bench.now] if len(switched) % 2 else [])]
    return max((end - begin for begin, end in zip(switched[::2], ends, strict=True)), default=0)


@often
@given(plan=ALL, story=STORIES)
def test_a_pulse_is_never_longer_than_the_plan_says(plan: DoorPlan, story: list[Happening]) -> None:
    lived = [h for h in story if h.what not in ("fire", "late")]
    bench = Watcher(plan)
    bench.play(lived)
    bench.until(bench.now + 10**6)
    if plan.pulse_ms is not None:
        assert longest_on(bench, "activation") <= plan.pulse_ms


@often
@given(plan=ALL, story=STORIES)
def test_nothing_is_ever_on_without_a_request_a_hold_or_a_fire(
    plan: DoorPlan, story: list[Happening]
) -> None:
    wishes = ("request", "fire")
    quiet = [h for h in story if h.what not in wishes and h.value != "hold_open"]
    bench = Watcher(plan)
    bench.play(quiet)
    bench.until(bench.now + 10**6)
    assert [drive for drive in bench.drives if drive[1] != "lamp"] == []


@often
@given(plan=ALL, story=STORIES)
def test_every_pulse_has_a_request_of_its_own(plan: DoorPlan, story: list[Happening]) -> None:
    """No opening without a fresh authorised request: pulses are at most as many as requests."""
    bench = Watcher(plan)
    bench.play([h for h in story if h.what != "fire" and h.value != "hold_open"])
    bench.until(bench.now + 10**6)
    heard = [told for told in bench.told("door_request") if told["outcome"] != "refused"]
    assert len(bench.times("activation")) <= 2 * len(heard)


@often
@given(plan=ALL, story=STORIES)
def test_everything_settles(plan: DoorPlan, story: list[Happening]) -> None:
    bench = Watcher(plan)
    bench.play(story)
    bench.fire(bench.now, False)
    bench.at(bench.now, door.Interlocked(free=True))
    bench.at(bench.now, door.BoltSeen(None))
    bench.mode(bench.now, "night")
    if plan.leaf is not None:
        bench.leaf(bench.now, False)
    bench.until(bench.now + 10**6)
    assert door.wake_at(bench.door) is None
    assert not any(bench.levels.values())
    assert bench.door.state == "closed"
    assert not bench.door.busy
    assert set(bench.standing()) <= {"did_not_open", "operator_fault"}


@often
@given(plan=ALL, story=STORIES)
def test_every_command_is_answered_exactly_once(plan: DoorPlan, story: list[Happening]) -> None:
    bench = Watcher(plan)
    bench.play(story)
    bench.until(bench.now + 10**6)
    asked = [
        f"c{number}"
        for number, h in enumerate(story)
        if h.what == "request" and isinstance(h.value, tuple) and h.value[0] == "staff"
    ]
    assert sorted(reply.command for reply in bench.replies) == sorted(asked)
    assert all(isinstance(reply, Reply) for reply in bench.replies)


@often
@given(plan=ALL, story=STORIES)
def test_the_same_story_gives_the_same_door(plan: DoorPlan, story: list[Happening]) -> None:
    one, other = Watcher(plan), Watcher(plan)
    one.play(story)
    other.play(story)
    assert one.door == other.door
    assert (one.facts, one.drives) == (other.facts, other.drives)


@often
@given(plan=ALL, story=STORIES, late_ms=st.integers(0, 60_000))
def test_a_late_step_leaves_nothing_on_that_should_be_off(
    plan: DoorPlan, story: list[Happening], late_ms: Ms
) -> None:
    """One step that comes late turns off all that a punctual one would have by then, unless
    the same late step has just begun it."""
    bench = Watcher(plan)
    bench.play(story)
    due = door.wake_at(bench.door)
    if due is None or bench.door.opening.held != "no":
        return
    was_on = bench.door.activation and bench.door.opening.until_ms is not None
    until_ms = bench.door.opening.until_ms
    late = door.step(bench.door, None, max(due, bench.now) + late_ms)
    if was_on and until_ms is not None and until_ms <= max(due, bench.now) + late_ms:
        assert not late.state.activation
