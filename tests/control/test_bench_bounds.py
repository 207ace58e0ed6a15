"""What the bench is asked for is bounded: it runs in the process that opens the door."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import pytest

from drivers.simulated_meter import QUANTITIES
from gateway.app.simulated_world import SimulatedWorld
from gateway.control.bench import Bench
from gateway.control.controller import Controller
from gateway.control.inbox import Inbox
from tests.control.control_bench import Rig, Time


class World:
    """Takes every press, and remembers it."""

    def __init__(self) -> None:
        self.presses: list[tuple[str, int, int]] = []

    def press(self, point: str, for_ms: int = 200, *, bounces: int = 0) -> None:
        self.presses.append((point, for_ms, bounces))


def asked(world: object, what: str, **args: object) -> Mapping[str, Any]:
    """The one answer. A journey would need the controller that is not there."""
    inbox, answers = Inbox(10), list[Mapping[str, Any]]()
    nobody = cast("Controller", None)
    bench = Bench(cast("Any", world), nobody, inbox, Time().clock())
    bench.do(what, cast("Any", args), answers.append)
    task = inbox.take(0)
    if callable(task):
        task(0)
    (answer,) = answers
    return answer


def test_a_press_may_bounce_a_hundred_times() -> None:
    world = World()
    assert asked(world, "press", point="p", for_ms=300, bounces=100) == {"ok": True}
    assert world.presses == [("p", 300, 100)]


@pytest.mark.parametrize("bounces", [101, 10**9, -1])
def test_a_press_that_bounces_for_ever_is_refused_with_its_bound(bounces: int) -> None:
    """10**9 bounces took all memory of ``control``, and the door with it."""
    world = World()
    assert asked(world, "press", point="p", bounces=bounces) == {"error": "bounces: 0 to 100"}
    assert world.presses == []


@pytest.mark.parametrize("for_ms", [-1, 10**30])
def test_a_press_has_a_length_that_a_clock_can_wait_for(for_ms: int) -> None:
    answer = asked(World(), "press", point="p", for_ms=for_ms)
    assert answer["error"].startswith("for_ms: 0 to ")


def test_a_value_that_is_no_number_of_a_computer_is_refused() -> None:
    """Nobody in the panel's thread caught the error of `float`."""
    world = SimulatedWorld(plays=False)
    world.wire_meter("m", QUANTITIES, 60_000, 1, lambda _: None)
    answer = asked(world, "set", point="m", value=10**400)
    assert set(answer) == {"error"}


@pytest.mark.parametrize(
    ("what", "args"),
    [
        ("travel", {"by_ms": 10**30}),
        ("travel", {"to_ms": 10**30}),
        ("set", {"point": "p", "value": True, "at_ms": 10**30}),
        ("play", {"edges": [[10**30, "p", True]]}),
    ],
)
def test_a_journey_of_more_than_ten_years_is_refused(what: str, args: dict[str, object]) -> None:
    assert set(asked(World(), what, **args)) == {"error"}


def test_after_a_journey_what_waits_in_the_journal_is_written() -> None:
    """By the bench's clock its minute is over; by the journal's, hardly a second."""
    flushed: list[bool] = []
    rig = Rig()
    rig.controller.begin(0)
    world = SimulatedWorld(rig.clock.now_ns, plays=False)
    bench = Bench(
        cast("Any", world), rig.controller, rig.inbox, rig.clock, lambda: flushed.append(True)
    )
    answers: list[Mapping[str, Any]] = []
    bench.do("show", {}, answers.append)
    assert flushed == []
    bench.do("travel", {"by_ms": 120_000}, answers.append)
    task = rig.inbox.take(0)
    while not callable(task):
        task = rig.inbox.take(0)
    task(0)
    assert answers[-1]["ok"]
    assert flushed == [True]


@pytest.mark.parametrize("by_ms", [-1, 86_400_001, 10**30, "day"])
def test_life_goes_on_for_a_day_at_most_in_one_go(by_ms: object) -> None:
    """Others wait for the controller meanwhile."""
    assert set(asked(World(), "live", by_ms=by_ms)) == {"error"}
