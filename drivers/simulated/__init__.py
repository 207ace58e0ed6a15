"""The simulated world as the simulated drivers see it.

There is one in a process, and whoever starts the process brings it, before the first driver is
opened::

    use(world)

The drivers know no more of it than :class:`World`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from drivers import DriverFault, Emit, Quantity

__all__ = ["Operator", "Wiring", "World", "use", "world"]

Wiring = Literal["normally_open", "normally_closed"]


@dataclass(frozen=True, slots=True)
class Operator:
    """What moves a leaf: the names of its relays (empty where there is none), and how long it
    takes; times in milliseconds, as ``simulated_contact`` describes them."""

    follows: str
    held_by: str
    strike: str
    toggles: bool
    starts_in_ms: int
    opens_in_ms: int
    stays_ms: int
    closes_in_ms: int


class World(Protocol):
    """Every method may be called from any thread, and from within an ``emit``. The first level or
    value of a point is reported before the call that wires it returns."""

    def wire_contact(self, point: str, wiring: Wiring, active: bool, emit: Emit) -> None: ...

    def wire_leaf(self, point: str, operator: Operator, emit: Emit) -> None:
        """The contact of a leaf, active unless the leaf is closed."""

    def wire_relay(self, point: str, emit: Emit) -> None: ...

    def wire_meter(
        self, point: str, quantities: Sequence[Quantity], every_ms: int, seed: int, emit: Emit
    ) -> None: ...

    def unwire(self, point: str) -> None:
        """Disconnect a point; a second call does nothing."""

    def drive(self, point: str, on: bool) -> None:
        """Switch a relay. Raises :class:`DriverFault` for one that is broken."""

    def advance(self) -> None:
        """Live through everything that is due by the world's clock."""


_shared: World | None = None


def world() -> World:
    """The world of this process."""
    if _shared is None:
        raise DriverFault("there is no simulated world", "write `bench: true`")
    return _shared


def use(other: World | None) -> None:
    """Let the drivers that are opened from now on be wired to this world; ``None``: to none."""
    global _shared  # noqa: PLW0603 - one terminal strip per process is what is simulated
    _shared = other
