"""A climate sensor of the simulated world: temperature and humidity that wander plausibly."""

from __future__ import annotations

from dataclasses import dataclass

from drivers import Device, DurationMs, Emit, Quantity, simulated

KIND = "meter"
TRUST = "wired"
QUANTITIES = (
    Quantity("temperature_c", -40.0, 125.0),
    Quantity("humidity_percent", 0.0, 100.0),
)


@dataclass(frozen=True, slots=True)
class Settings:
    every_ms: DurationMs = 10_000
    """The time between two readings; a duration."""
    seed: int = 1
    """Which weather it is; no unit, a whole number. The same number, the same values."""


class SimulatedMeter:
    def __init__(self, world: simulated.World, name: str) -> None:
        self._world = world
        self._name = name

    def close(self) -> None:
        self._world.unwire(self._name)


def open(settings: Settings, emit: Emit, *, name: str) -> Device:
    """Wire the meter to the world of this process; its first values are reported at once."""
    world = simulated.world()
    world.wire_meter(name, QUANTITIES, settings.every_ms, settings.seed, emit)
    return SimulatedMeter(world, name)
