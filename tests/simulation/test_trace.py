"""The order in which the core does things, pinned step by step.

The digest of a life is over its facts and effects as they left, whatever step they left in: a
worklist that runs first in, first out has the same digest, and another order. The trace is over
every step: when it was, what it told and drove in which order, and when the building asked to
be woken. What order means: deadlines by time, then machine, then name; depth first; a machine's
relays before its own facts, then its conditions, then the interlock; a press is answered in the
present.

A trace changes only with a reason that its commit names."""

from __future__ import annotations

import hashlib
from dataclasses import fields, is_dataclass
from functools import partial
from pathlib import Path

import pytest

from gateway.core.building.state import Building
from gateway.core.events import SetMode, SetService
from gateway.core.machine import Step
from gateway.simulation.agenda import HOUR, MINUTE
from gateway.simulation.days import days
from gateway.simulation.life import Life
from tests.simulation.lived import BUILDING, FIRST, ZONE, plan_of

HERE = Path(__file__).parent
CONFIG = HERE.parent.parent / "config"

TRACES = {
    "office": (CONFIG / "office.yaml", 10, "b498e8f8197398f8"),
    "bench": (CONFIG / "bench.yaml", 5, "d1a15bee26e9d2ec"),
    "simulated": (BUILDING, 5, "85727a627aeaee11"),
    "lobby": (HERE / "lobby.yaml", 10, "6500a8a2a4feea47"),
}
"""Building -> (file, days lived, the first digits of the trace)."""


class Trace:
    """SHA-256 over every step that a host takes."""

    def __init__(self, life: Life) -> None:
        self._life = life
        self._sum = hashlib.sha256()
        self._take = life.host.take
        self.kinds: set[str] = set()
        self.waited = False
        life.host.take = self._step  # type: ignore[method-assign]

    def _step(self, step: Step[Building]) -> None:
        host = self._life.host
        told = (host.mono_ms, step.state.wake_ms, plain(step.facts), plain(step.effects))
        self._sum.update(repr(told).encode())
        self.kinds.update(fact.kind for fact in step.facts)
        self.waited |= any(door.waits for door in step.state.doors.values())
        self._take(step)

    @property
    def hash(self) -> str:
        return self._sum.hexdigest()


def plain(value: object) -> object:
    """A value of the core without the names of its module and fields, which may change."""
    if is_dataclass(value):
        return [type(value).__name__, *(plain(getattr(value, f.name)) for f in fields(value))]
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    return value


def traced(file: Path, count: int) -> Trace:
    """A life in which staff set modes and service, all buttons are pressed at once, and there is
    a fire every seven hours; seed 7."""
    life = Life(plan_of(file), days(FIRST, count, ZONE, ()), 7)
    trace = Trace(life)
    for hour in range(5, 24 * count, 7):
        for door in life.doors:
            life.agenda.later(hour * HOUR, partial(_service, life, door, HOUR))
            life.agenda.later(hour * HOUR + 40 * MINUTE, partial(_service, life, door, 0))
            life.agenda.later((hour + 2) * HOUR, partial(_mode, life, door))
            for button in life.doors[door].plan.activators:
                life.agenda.later((hour + 4) * HOUR, partial(_pressed, life, button.point))
        for point in sorted({d.plan.fire.point for d in life.doors.values() if d.plan.fire}):
            life.agenda.later((hour + 6) * HOUR, partial(life.host.edge, point, True))
            life.agenda.later((hour + 6) * HOUR + MINUTE, partial(life.host.edge, point, False))
    life.live()
    return trace


def _service(life: Life, door: str, for_ms: int) -> None:
    life.host.tell(SetService(*life.host.envelope(), door, for_ms))


def _pressed(life: Life, point: str) -> None:
    """Every button at once: of two doors that interlock one has to wait."""
    life.host.edge(point, True)
    life.agenda.later(300, partial(life.host.edge, point, False))


def _mode(life: Life, door: str) -> None:
    until_ms = life.host.utc_ms + 30 * MINUTE
    life.host.tell(SetMode(*life.host.envelope(), door, "exit_only", until_ms))


@pytest.mark.parametrize("name", TRACES)
def test_the_order_of_every_step_is_kept(name: str) -> None:
    file, count, was = TRACES[name]
    assert traced(file, count).hash[:16] == was


def test_the_lobby_has_interlock_fire_and_service() -> None:
    """A trace proves nothing of what does not happen in it."""
    file, _, _ = TRACES["lobby"]
    trace = traced(file, 4)
    assert trace.waited
    assert trace.kinds >= {"fire_alarm", "door_service", "call_raised", "message", "door_mode"}
