"""The one shape of every machine in the core.

A machine is two pure functions over a frozen state::

    step(state, event | None, now) -> Step(state, facts, effects)
    wake_at(state) -> Ms | None

``None`` as the event means *time has passed*. There are no timers to set, cancel or
forget: a deadline is a field of the state, and ``wake_at`` names the earliest one. Who
calls ``step`` later than ``wake_at`` asked for gets the same result, only later; who
calls it earlier gets the unchanged state.

``now`` is always a parameter: integer monotonic milliseconds of this boot. No machine reads a
clock: the wall clock comes as an event (:class:`gateway.core.events.CivilTime`), and other
instants of civil time come with the plan, with commands and with the saved state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from gateway.core.effects import Effect
from gateway.core.facts import Fact
from gateway.core.values import dataclass


class Broken(Exception):
    """An invariant of ours does not hold: a bug, and never the world's fault. Nobody catches
    it; the process ends, the outputs are off, and it starts again."""


Conditions = tuple[tuple[str, str], ...]
"""What stands and needs a person: (alarm kind, detail), as a machine sees it. A machine keeps
it as a field and keeps the very same tuple while nothing changes."""

S = TypeVar("S")


@dataclass(frozen=True)
class Step(Generic[S]):
    """What one step of a machine comes to."""

    state: S
    facts: tuple[Fact, ...] = ()
    effects: tuple[Effect, ...] = ()


if TYPE_CHECKING:
    from dataclasses import replace as replace  # noqa: PLC0414 - exported from here
else:

    def replace(state, /, **changes):
        """The state with some fields changed, as ``dataclasses.replace`` has it, in a fraction of
        its time: a press is mostly copying. For that a state is a frozen dataclass without
        slots; types are checked as the original's."""
        was = state.__dict__
        fields = was | changes
        if len(fields) != len(was):
            raise TypeError(f"{type(state).__name__} has no such field: {changes}")
        copy = _new(state.__class__)
        _set(copy, "__dict__", fields)
        return copy


_new, _set = object.__new__, object.__setattr__
