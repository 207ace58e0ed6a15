"""What a step of one machine asks for: pieces of work, in the order in which they are done.

The wiring hands them out and the loop does them, depth first: what a piece asks for is done
before the piece that follows it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from gateway.core.building import state
from gateway.core.effects import Effect
from gateway.core.facts import Fact
from gateway.core.instant import Ms, UtcMs
from gateway.core.notification.limits import limited


class Do(NamedTuple):
    """The machine of this sort and name takes an event; ``None``: time has passed. ``start``:
    its state where there is no such machine yet."""

    sort: int
    name: str
    event: Any = None
    start: Any = None


class Put(NamedTuple):
    """The machine has this state from now on, as if a step had led there. ``known``: whoever must
    know of it does already."""

    sort: int
    name: str
    state: Any
    known: bool = False


class Tell(NamedTuple):
    """Facts go out."""

    facts: tuple[Fact, ...]


class Emit(NamedTuple):
    """Effects go out."""

    effects: tuple[Effect, ...]


class At(NamedTuple):
    """What follows is processed at this instant (``Building.now_ms``); ``None``: in the present."""

    now: Ms | None


class Later(NamedTuple):
    """What is to be done is asked when its turn comes: ``ask(building, *values)``."""

    ask: Callable[..., Sequence[Work]]
    values: tuple[object, ...] = ()


class Service(NamedTuple):
    """Doors whose service mode waits for the clock: ``Building.service``."""

    waiting: Mapping[str, UtcMs]


class Journal(NamedTuple):
    """Why the journal cannot store what happens: ``Building.journal``."""

    reason: str


class Certificates(NamedTuple):
    """Which certificates end soon or are not valid: ``Building.certificates``."""

    names: str


Work = Do | Put | Tell | Emit | At | Later | Service | Journal | Certificates


def told(facts: Iterable[Fact]) -> list[Work]:
    """Facts go out, those that anybody can cause at will only so many a minute."""
    return [Do(state.LIMITS, "", fact) if limited(fact) else Tell((fact,)) for fact in facts]
