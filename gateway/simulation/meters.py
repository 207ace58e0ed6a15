"""What the meters of a simulated building measure.

Values are told every ten minutes and no oftener, so that a year does not consist of
temperatures: the plan's patience with silent meters is stretched to that (:func:`coarse`).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from gateway.core.events import Reading
from gateway.core.instant import Ms
from gateway.core.plan import BuildingPlan
from gateway.simulation.agenda import HOUR, MINUTE, SECOND, Agenda, about
from gateway.simulation.host import Host
from gateway.simulation.world.climate import USUAL, within

EVERY_MS: Ms = 10 * MINUTE
SILENT_MS: Ms = 31 * MINUTE
Measure = Callable[[str, str, float, float], float]
"""What a point measures of a quantity now, between its limits."""


def coarse(plan: BuildingPlan) -> BuildingPlan:
    """The plan with meters that may be silent for half an hour."""
    meters = tuple(
        replace(m, silent_after_ms=max(m.silent_after_ms, SILENT_MS), frozen_after_ms=None)
        for m in plan.meters
    )
    return replace(plan, meters=meters)


class Meters:
    """Every meter of the plan. ``measure``: what they measure, if not values that wander by
    chance."""

    def __init__(
        self,
        plan: BuildingPlan,
        host: Host,
        agenda: Agenda,
        seed: int,
        measure: Measure | None = None,
    ) -> None:
        self.plan = plan
        self.host = host
        self.agenda = agenda
        self.chance = random.Random(f"{seed}/meters")
        self._measure = self._wandering if measure is None else measure
        self._held: dict[tuple[str, str], float] = {}
        self._last: dict[tuple[str, str], float] = {}
        self._silent: dict[str, Ms] = {}
        for number in range(len(plan.meters)):
            agenda.later(1 + SECOND * number, partial(self._read, number))

    def hold(self, point: str, quantity: str, value: float) -> None:
        """From now on it measures this, and says so at once."""
        self._held[point, quantity] = value
        if self._silent.get(point, 0) <= self.agenda.now:
            self.host.tell(Reading(point, quantity, value))

    def silent(self) -> None:
        """A sensor (no cord) does not answer for a while."""
        lines = {line.point for room in self.plan.rooms for line in room.lines}
        points = [m.point for m in self.plan.meters if m.point not in lines]
        if points:
            for_ms = about(self.chance, HOUR)
            self.silence(self.chance.choice(points), for_ms)

    def silence(self, point: str, for_ms: Ms) -> None:
        """This sensor does not answer for so long."""
        self._silent[point] = self.agenda.now + for_ms

    def _read(self, number: int) -> None:
        meter = self.plan.meters[number]
        self.agenda.later(EVERY_MS, partial(self._read, number))
        if self._silent.get(meter.point, 0) > self.agenda.now:
            return
        limits = {quantity: (low, high) for quantity, low, high in meter.limits}
        for quantity in meter.quantities:
            value = self._held.get((meter.point, quantity))
            if value is None:
                low, high = limits.get(quantity, (-1e9, 1e9))
                value = within(self._measure(meter.point, quantity, low, high), low, high)
                self._last[meter.point, quantity] = value
            self.host.tell(Reading(meter.point, quantity, value))

    def _wandering(self, point: str, quantity: str, low: float, high: float) -> float:
        """The last value and a step, which leads back to the middle."""
        middle, swing = USUAL.get(quantity, (min(max(50.0, low), high), 0.0))
        was = self._last.get((point, quantity), middle)
        step = (middle - was) / 50 + swing * 0.1 * (self.chance.random() - 0.5)
        return was + step
