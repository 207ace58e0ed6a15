"""A relay: the one gate that every drive of an output passes on its way out of the core.

It knows the level, tells each change as a fact, and never leaves a relay on for longer
than its limit, whatever asked for it. After the limit has cut in, the relay stays off
until whoever switched it on has let go. How often it has switched is counted and not limited.

Outside the core outputs are put off, too: by their drivers when they open and close, and by the
guard and ``portier outputs off`` after the end of ``control``.
"""

from __future__ import annotations

from gateway.core.effects import Drive
from gateway.core.events import RelayFault
from gateway.core.facts import Fact
from gateway.core.instant import Ms, earliest
from gateway.core.machine import Conditions, Step, replace
from gateway.core.plan import RelayPlan
from gateway.core.values import dataclass


@dataclass(frozen=True)
class Test:
    """Commissioning: on for ``for_ms``, until a machine drives it, or :class:`TestOver`."""

    __test__ = False  # not a test class, whatever its name says to pytest

    for_ms: Ms


@dataclass(frozen=True)
class TestOver:
    """A test ends now: something began that no test may begin in, or the door's mode changed."""

    __test__ = False


@dataclass(frozen=True)
class Blink:
    """A lamp that is on flashes: its bright and dark halves are neither told nor counted, and
    the limit runs on."""

    lit: bool


@dataclass(frozen=True)
class Relay:
    """One relay. ``on`` is what it was last told."""

    plan: RelayPlan
    on: bool = False
    dark: bool = False
    """It flashes, and is in the dark half."""
    since_ms: Ms = 0
    limit_at_ms: Ms | None = None
    limited: bool = False
    """The limit cut in, and the asker has not let go yet."""
    test_ends_ms: Ms | None = None
    fault: str = ""
    answered: bool = False
    """Its driver has opened it and taken a level since the start."""
    operations: int = 0
    """Times that its contact has closed since start, each flash included."""
    conditions: Conditions = ()


def start(plan: RelayPlan, now: Ms) -> Relay:
    """Off. The building's start drives every relay to that level, as nobody knows how it was
    left."""
    return Relay(plan, since_ms=now)


def wake_at(relay: Relay) -> Ms | None:
    """When the limit or a test ends."""
    return earliest(relay.limit_at_ms, relay.test_ends_ms)


RelayEvent = Drive | Blink | Test | TestOver | RelayFault


def step(relay: Relay, event: RelayEvent | None, now: Ms) -> Step[Relay]:  # noqa: PLR0911 - a table
    """A machine drives it, somebody tests it, it fails or works again, or time passes."""
    match event:
        case None:
            return _time(relay, now)
        case RelayFault(reason=reason):
            return _failed(relay, reason)
        case Blink(lit=lit):
            if not relay.on:
                return Step(relay)
            lit_again = int(lit and relay.dark)
            flashed = replace(relay, dark=not lit, operations=relay.operations + lit_again)
            return Step(flashed, (), (Drive(relay.plan.point, lit),))
        case Test(for_ms=for_ms):
            tested = _switch(relay, True, now)
            return replace(tested, state=replace(tested.state, test_ends_ms=now + for_ms))
        case TestOver():
            return _end_test(relay, now) if relay.test_ends_ms is not None else Step(relay)
        case _:
            on = event.on
            free = replace(relay, test_ends_ms=None) if relay.test_ends_ms is not None else relay
            if free.limited:
                if on:
                    return Step(free)
                return Step(_conditions(replace(free, limited=False)))
            return Step(free) if on == free.on else _switch(free, on, now)


def _time(relay: Relay, now: Ms) -> Step[Relay]:
    if relay.test_ends_ms is not None and relay.test_ends_ms <= now:
        return _end_test(relay, now)
    if relay.limit_at_ms is not None and relay.limit_at_ms <= now:
        forced = _switch(relay, False, now)
        return replace(forced, state=_conditions(replace(forced.state, limited=True)))
    return Step(relay)


def _end_test(relay: Relay, now: Ms) -> Step[Relay]:
    """Off, as it was before; a machine that has driven it since has ended the test."""
    return _switch(replace(relay, test_ends_ms=None), False, now)


def _switch(relay: Relay, on: bool, now: Ms) -> Step[Relay]:
    limit_ms = relay.plan.max_on_ms
    after = replace(
        relay,
        on=on,
        dark=False,
        since_ms=now,
        limit_at_ms=now + limit_ms if on and limit_ms is not None else None,
        operations=relay.operations + on,
    )
    point = relay.plan.point
    return Step(after, (Fact("relay_changed", point, now, {"on": on}),), (Drive(point, on),))


def _failed(relay: Relay, reason: str) -> Step[Relay]:
    """A relay that works again is told once more what it shall be."""
    after = _conditions(replace(relay, fault=reason, answered=relay.answered or not reason))
    if relay.fault and not reason:
        return Step(after, (), (Drive(relay.plan.point, relay.on and not relay.dark),))
    return Step(after)


def _conditions(relay: Relay) -> Relay:
    standing: list[tuple[str, str]] = []
    if relay.fault:
        standing.append(("relay_fault", relay.fault))
    if relay.limited:
        standing.append(("relay_limit", ""))
    return replace(relay, conditions=tuple(standing))
