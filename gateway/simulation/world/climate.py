"""What a sensor measures: the usual value of each quantity, and a day without any chance in it."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping

Quantity = tuple[str, float, float]
"""Its name with the unit, and the least and the most that a sensor gives."""

USUAL: Mapping[str, tuple[float, float]] = {
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
DAYS: Mapping[str, tuple[float, float, float]] = {
    "temperature_c": (21.0, 1.5, 0.8),
    "humidity_percent": (45.0, -6.0, 5.0),
}
"""Quantity -> mean, swing of the day, and wander in :func:`sample`."""


def within(value: float, lowest: float, highest: float) -> float:
    """As a sensor gives it: rounded, and never outside of what it can measure."""
    return round(min(max(value, lowest), highest), 2)


def sample(seed: int, point: str, quantity: Quantity, at_days: float) -> float:
    """The value at an instant (in days): a warm afternoon and three slow waves. It depends on the
    seed, the point and the instant alone."""
    name, lowest, highest = quantity
    mean, swing, wander = DAYS[name]
    phase = zlib.crc32(f"{seed}/{point}/{name}".encode()) / 2**32
    day = at_days + phase
    value = mean + swing * math.sin(2 * math.pi * day)
    for turns in (3.7, 11.3, 41.9):
        value += wander / 3 * math.sin(2 * math.pi * (turns * day + phase * turns**2))
    return within(value, lowest, highest)
