"""What the meters of a simulated building measure.

Values are told every ten minutes and no oftener, so that a year does not consist of
temperatures: the plan's patience with silent meters is stretched to that (:func:`coarse`).
"""

from __future__ import annotations

import random
from dataclasses import replace
from functools import partial

from gateway.core.events import Reading
from gateway.core.instant import Ms
from gateway.core.plan import BuildingPlan
from gateway.simulation.agenda import HOUR, MINUTE, Agenda, about
from gateway.simulation.host import Host

EVERY_MS: Ms = 10 * MINUTE
SILENT_MS: Ms = 31 * MINUTE
MIDDLE = {
    "temperature_c": (21.0, 3.0),
    "humidity_percent": (48.0, 12.0),
    "pressure_hpa": (1013.0, 8.0),
    "co2_ppm": (650.0, 200.0),
    "voltage_v": (13.2, 0.4),
    "rssi_dbm": (-70.0, 6.0),
    "illuminance_lx": (300.0, 250.0),
    "line_ohm": (4_700.0, 0.0),
}
"""Quantity -> the middle of a day, and how far it wanders from there."""


def coarse(plan: BuildingPlan) -> BuildingPlan:
    """The plan with meters that may be silent for half an hour."""
    meters = tuple(
        replace(m, silent_after_ms=max(m.silent_after_ms, SILENT_MS), frozen_after_ms=None)
        for m in plan.meters
    )
    return replace(plan, meters=meters)


class Meters:
    """Every meter of the plan."""

    def __init__(self, plan: BuildingPlan, host: Host, agenda: Agenda, seed: int) -> None:
        self.plan = plan
        self.host = host
        self.agenda = agenda
        self.chance = random.Random(f"{seed}/meters")
        self._held: dict[tuple[str, str], float] = {}
        self._last: dict[tuple[str, str], float] = {}
        self._silent: dict[str, Ms] = {}
        for number in range(len(plan.meters)):
            agenda.later(1 + 1_000 * number, partial(self._read, number))

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
            self._silent[self.chance.choice(points)] = self.agenda.now + about(self.chance, HOUR)

    def _read(self, number: int) -> None:
        meter = self.plan.meters[number]
        self.agenda.later(EVERY_MS, lambda: self._read(number))
        if self._silent.get(meter.point, 0) > self.agenda.now:
            return
        limits = {quantity: (low, high) for quantity, low, high in meter.limits}
        for quantity in meter.quantities:
            value = self._held.get((meter.point, quantity))
            if value is None:
                low, high = limits.get(quantity, (-1e9, 1e9))
                middle, swing = MIDDLE.get(quantity, (min(max(50.0, low), high), 0.0))
                was = self._last.get((meter.point, quantity), middle)
                step = (middle - was) / 50 + swing * 0.1 * (self.chance.random() - 0.5)
                value = round(min(max(was + step, low), high), 2)
                self._last[meter.point, quantity] = value
            self.host.tell(Reading(meter.point, quantity, value))
