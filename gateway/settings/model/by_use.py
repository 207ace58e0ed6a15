"""What a point gets that its line does not say: defaults that depend on what it is used for.

The limits of a door's relays are in :mod:`gateway.settings.model.limits`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from gateway.core.plan import Severity
from gateway.settings.model.configuration import ContactOptions, MeterOptions, Point

PRESSED_STUCK_AFTER_MS: Final = 30_000
MOTION_STUCK_AFTER_MS: Final = 7_200_000
"""Nobody moves for two hours without any pause."""
CHATTER_CHANGES: Final = 100
CHATTER_WINDOW_MS: Final = 60_000
"""So many changes of any contact within so long are a fault; the file cannot say otherwise."""
FAULT_SEVERITY: Final[Severity] = "fault"
URGENT_FAULT_SEVERITY: Final[Severity] = "urgent"
"""Of a contact for an emergency: a pull cord, a fire alarm."""
READINGS_TO_SILENCE: Final = 10
SILENT_AFTER_MS: Final = 600_000
"""Of a meter that is not asked at set times, and whose driver does not say when it is silent."""
DEAD_BANDS: Final = {
    "temperature_c": 0.1,
    "humidity_percent": 0.5,
    "pressure_hpa": 0.5,
    "co2_ppm": 25.0,
}
"""Above the noise of the usual sensors, and finer than anybody looks: in a real room one value
in twelve is told then, most of them for the heartbeat."""


def stuck_after_ms(options: ContactOptions, *, pressed: bool, moved: bool) -> int | None:
    """When an active contact counts as stuck. ``pressed``: people press it; ``moved``: it is a
    motion sensor."""
    if options.stuck_after_ms is not None:
        return options.stuck_after_ms
    if pressed:
        return PRESSED_STUCK_AFTER_MS
    return MOTION_STUCK_AFTER_MS if moved else None


def fault_severity(options: ContactOptions, *, urgent: bool) -> Severity:
    """How serious a fault of the contact is. ``urgent``: an emergency is called with it."""
    return options.fault_severity or (URGENT_FAULT_SEVERITY if urgent else FAULT_SEVERITY)


def silent_after_ms(point: Point, options: MeterOptions) -> int:
    """How long a meter may be without a value: some readings, where it is asked at set times."""
    told_ms = options.silent_after_ms or getattr(point.settings, "alive_within_ms", None)
    if told_ms is not None:
        return int(told_ms)
    every_ms = getattr(point.settings, "every_ms", None)
    return READINGS_TO_SILENCE * every_ms if every_ms else SILENT_AFTER_MS


def dead_bands(options: MeterOptions, quantities: Iterable[str]) -> tuple[tuple[str, float], ...]:
    """(quantity, smallest change that is told)."""
    known = {name: DEAD_BANDS[name] for name in DEAD_BANDS if name in {*quantities}}
    return tuple({**known, **options.deadband}.items())
