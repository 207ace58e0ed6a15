"""The one shape of every machine in the core.

A machine is two pure functions over a frozen state::

    step(state, event | None, now) -> Step(state, facts, effects)
    wake_at(state) -> Ms | None

``None`` as the event means *time has passed*. There are no timers to set, cancel or
forget: a deadline is a field of the state, and ``wake_at`` names the earliest one. Who
calls ``step`` later than ``wake_at`` asked for gets the same result, only later; who
calls it earlier gets the unchanged state.

``now`` is always a parameter: integer monotonic milliseconds of this boot. Civil time
enters the core only as an event (:class:`gateway.core.events.CivilTime`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from gateway.core.effects import Effect
    from gateway.core.facts import Fact

Ms = int
"""Milliseconds: a duration, or an instant of the monotonic clock of this boot."""

UtcMs = int
"""Milliseconds since 1970-01-01T00:00:00Z, an instant of civil time."""


class Broken(Exception):
    """An invariant of ours does not hold: a bug, and never the world's fault. Nobody catches
    it; the process ends, the outputs are off, and it starts again."""


Conditions = tuple[tuple[str, str], ...]
"""What stands and needs a person: (alarm kind, detail), as a machine sees it. A machine keeps
it as a field and keeps the very same tuple while nothing changes."""

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Step(Generic[S]):
    """What one step of a machine comes to."""

    state: S
    facts: tuple[Fact, ...] = ()
    effects: tuple[Effect, ...] = ()


def earliest(*instants: Ms | None) -> Ms | None:
    """The first of several deadlines, ``None`` where none is set."""
    first = None
    for instant in instants:
        if instant is not None and (first is None or instant < first):
            first = instant
    return first


_Reader = Callable[[Any], tuple[Any, ...]]
_Setter = Callable[[object, Any], None]
_layouts: dict[type, tuple[_Reader, tuple[_Setter, ...], dict[str, _Setter]]] = {}
"""How to copy a state: read all fields, write all fields, write one by its name."""

if TYPE_CHECKING:
    from dataclasses import replace as replace  # noqa: PLC0414 - exported from here
else:

    def replace(state, /, **changes):
        """The state with some fields changed: ``dataclasses.replace`` for frozen slots
        dataclasses of at least two fields, in a third of its time (half of all time was
        spent there). Types are checked as the original's."""
        cls = type(state)
        layout = _layouts.get(cls)
        if layout is None:
            names = [field.name for field in fields(cls)]
            setters = {name: getattr(cls, name).__set__ for name in names}
            layout = _layouts[cls] = (attrgetter(*names), tuple(setters.values()), setters)
        read, setters, by_name = layout
        copy = object.__new__(cls)
        for write, value in zip(setters, read(state), strict=True):
            write(copy, value)
        for name, value in changes.items():
            by_name[name](copy, value)
        return copy
