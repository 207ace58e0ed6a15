"""A meter that others tell over MQTT, such as a Zigbee climate sensor behind zigbee2mqtt.

One message may hold several quantities. Their names end in their units, which say between
which bounds a value makes sense.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from drivers import ContactReport, Device, DurationMs, Emit, MeterReport, Quantity, Report
from drivers.mqtt import payload, subscribers

KIND = "meter"
TRUST = "network"
HEALS = True
BOUNDS = {
    "c": (-60.0, 150.0),
    "percent": (0.0, 100.0),
    "ppm": (0.0, 100_000.0),
    "hpa": (300.0, 1200.0),
    "lux": (0.0, 200_000.0),
    "dbm": (-150.0, 30.0),
    "v": (0.0, 1000.0),
    "mv": (0.0, 100_000.0),
    "a": (-1000.0, 1000.0),
    "w": (-1_000_000.0, 1_000_000.0),
    "kwh": (0.0, 1e9),
    "lqi": (0.0, 255.0),
}
"""Between which bounds a quantity of this unit makes sense."""


LARGEST = 1e300
"""From here on it is no number of anything: a few of them have no sum."""


@dataclass(frozen=True, slots=True)
class Settings:
    topic: str
    """Where it is told; no unit, a topic such as zigbee2mqtt/climate."""
    values: dict[str, str]
    """What it measures and where that is in the JSON; no unit, a quantity with its unit and names
    with dots: temperature_c: temperature. An empty text: the whole message."""
    lowest: dict[str, float] = field(default_factory=dict)
    """The lowest value that makes sense; no unit but that of the quantity."""
    highest: dict[str, float] = field(default_factory=dict)
    """The highest value that makes sense; no unit but that of the quantity."""
    alive_within_ms: DurationMs = 24 * 3_600_000
    """A fault when no message came for longer; a duration."""

    def __post_init__(self) -> None:
        payload.check_topic(self.topic)
        if not self.values:
            raise ValueError("values is empty; write for example temperature_c: temperature")
        for name in (*self.lowest, *self.highest):
            if name not in self.values:
                raise ValueError(f"values has no {name}")
        for one in quantities(self):
            if one.lowest >= one.highest:
                raise ValueError(f"{one.name} goes from {one.lowest:g} to {one.highest:g}")


def quantities(settings: Settings) -> tuple[Quantity, ...]:
    """What it measures. Raises :class:`ValueError` where a name has no known unit or bounds."""
    found = []
    for name in settings.values:
        low, high = BOUNDS.get(name.rpartition("_")[2], (None, None))
        low, high = settings.lowest.get(name, low), settings.highest.get(name, high)
        if low is None or high is None or not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)+", name):
            raise ValueError(
                f"{name[:40]!r} does not end in a unit such as _c, _percent or _ppm; write its "
                "lowest and highest, or another name"
            )
        found.append(Quantity(name, low, high))
    return tuple(found)


def read(settings: Settings, message: bytes) -> Sequence[Report]:
    """What a message says, quantity by quantity. Never raises."""
    reports: list[Report] = []
    for name, path in settings.values.items():
        try:
            found = payload.at(payload.content(message), path)
            if isinstance(found, bool) or not isinstance(found, int | float | str):
                raise payload.Unreadable(f"{path or 'the message'} is no number")
            value = float(found)
            if not abs(value) < LARGEST:
                raise payload.Unreadable(f"{path or 'the message'} is no number")
            reports.append(MeterReport(name, value))
        except payload.Missing:
            continue
        except (ValueError, OverflowError) as error:
            known = isinstance(error, payload.Unreadable)
            reason = str(error) if known else f"{path or 'the message'} is no number"
            reports.append(MeterReport(name, None, reason))
    return reports


class MqttMeter:
    """The values of one point. A :class:`subscribers.Listener`."""

    def __init__(self, settings: Settings, point: str, emit: Emit) -> None:
        self._names = tuple(quantity.name for quantity in quantities(settings))
        self._emit = emit
        self._leave = subscribers.join(point, self)

    def close(self) -> None:
        self._leave()

    def told(self, report: ContactReport | MeterReport) -> None:
        if isinstance(report, MeterReport) and report.quantity in self._names:
            self._emit(report)

    def lost(self, reason: str) -> None:
        for name in self._names:
            self._emit(MeterReport(name, None, reason))


def open(settings: Settings, emit: Emit, *, name: str) -> Device:
    """Listen to what is told for this point; no value until then."""
    return MqttMeter(settings, name, emit)
