"""A relay of the simulated world. Leaves that follow it move when it is switched."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from drivers import DriverFault, Emit, Relay, simulated

KIND = "relay"
TRUST = "wired"


@dataclass(frozen=True, slots=True)
class Settings:
    """There is nothing to set: the leaf says which relay it follows."""


class SimulatedRelay:
    def __init__(self, world: simulated.World, name: str) -> None:
        self._world = world
        self._name = name
        self._closed = False

    def drive(self, on: bool) -> None:
        self._world.drive(self._name, on)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            with contextlib.suppress(DriverFault):
                self._world.drive(self._name, False)
            self._world.unwire(self._name)


def open(settings: Settings, emit: Emit, *, name: str) -> Relay:
    """Wire the relay to the world of this process; it is off."""
    world = simulated.world()
    world.wire_relay(name, emit)
    return SimulatedRelay(world, name)


def make_safe(settings: Settings) -> None:
    """Nothing to do: a simulated relay ends with its process."""
