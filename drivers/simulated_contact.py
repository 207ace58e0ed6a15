"""A contact of the simulated world: a button, a cord, a switch, or the leaf of a door.

With ``follows`` it is the contact of a leaf that an operator moves: it becomes active when
the leaf leaves closed, and inactive when it has closed again.
"""

from __future__ import annotations

from dataclasses import dataclass

from drivers import Device, DurationMs, Emit, RelayName, simulated

KIND = "contact"
TRUST = "wired"


@dataclass(frozen=True, slots=True)
class Settings:
    wiring: simulated.Wiring = "normally_open"
    """What the contact does at rest; no unit, one of the two. Decides what a cut wire means."""
    active: bool = False
    """Whether it is active at the start; no unit, yes or no."""
    follows: RelayName = ""
    """The relay that opens the leaf; no unit, a relay point. Empty: no leaf."""
    held_by: RelayName = ""
    """The relay that keeps the leaf open; no unit, a relay point or empty."""
    strike: RelayName = ""
    """The relay that must be on for the leaf to open; no unit, a relay point or empty."""
    toggles: bool = False
    """Whether the operator closes an open leaf when it is asked again; no unit, yes or no."""
    starts_in_ms: DurationMs = 300
    """From the activation until the leaf leaves closed; a duration."""
    opens_in_ms: DurationMs = 1500
    """From the activation until the leaf is open; a duration."""
    stays_ms: DurationMs = 4000
    """How long the leaf stays open after the activation; a duration."""
    closes_in_ms: DurationMs = 2000
    """How long the leaf takes to close; a duration."""


class SimulatedContact:
    def __init__(self, world: simulated.World, name: str) -> None:
        self._world = world
        self._name = name

    def close(self) -> None:
        self._world.unwire(self._name)


def catch_up() -> None:
    """Live through everything that is due, where the thread that plays the world is late."""
    simulated.world().advance()


def open(settings: Settings, emit: Emit, *, name: str) -> Device:
    """Wire the contact to the world of this process."""
    world = simulated.world()
    if not settings.follows:
        world.wire_contact(name, settings.wiring, settings.active, emit)
        return SimulatedContact(world, name)
    operator = simulated.Operator(
        settings.follows,
        settings.held_by,
        settings.strike,
        settings.toggles,
        settings.starts_in_ms,
        settings.opens_in_ms,
        settings.stays_ms,
        settings.closes_in_ms,
    )
    world.wire_leaf(name, operator, emit)
    return SimulatedContact(world, name)
