"""What an EnOcean radio device tells in numbers: its climate, its battery, how well it is heard.

Beside a contact of the same device it says when that one was heard last (the time of its
value) and how strongly; a device that is silent for longer than ``alive_within`` is a fault.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from drivers import Device, DurationMs, Emit, MeterReport, Quantity
from drivers.enocean import profiles, stick
from drivers.enocean.esp3 import Telegram

KIND = "meter"
TRUST = "radio"
HEALS = True
RSSI = Quantity("rssi_dbm", -130.0, 0.0)
HUMIDITY = Quantity("humidity_percent", 0.0, 100.0)
BATTERY = Quantity("battery_v", 0.0, 5.0)


@dataclass(frozen=True, slots=True)
class Settings:
    port: str
    """The stick; no unit, a path such as /dev/serial/by-id/usb-EnOcean…"""
    device: str
    """The id of the device; no unit, eight hexadecimal digits as they are printed on it."""
    profile: Literal[
        "F6-02-01", "F6-02-02", "F6-01-01", "D5-00-01", "A5-07-01", "A5-04-01", "A5-04-02"
    ]
    """What the device is; no unit, its EnOcean profile. A5-04 tells temperature and humidity,
    A5-07-01 its battery, every one the strength of its signal."""
    alive_within_ms: DurationMs = 24 * 3_600_000
    """A fault when nothing was heard for longer; a duration."""

    def __post_init__(self) -> None:
        stick.device_id(self.device)


def quantities(settings: Settings) -> tuple[Quantity, ...]:
    """What a device of this profile tells."""
    if settings.profile in profiles.CLIMATE:
        return (Quantity("temperature_c", *profiles.CLIMATE[settings.profile]), HUMIDITY, RSSI)
    return (BATTERY, RSSI) if settings.profile == "A5-07-01" else (RSSI,)


class EnoceanMeter:
    """What the telegrams of one device tell. A :class:`stick.Listener`."""

    def __init__(self, settings: Settings, emit: Emit) -> None:
        self._settings = settings
        self._emit = emit
        self._device = stick.device_id(settings.device)
        self._leave = stick.join(settings.port, self)

    def close(self) -> None:
        self._leave()

    def back(self, now_ns: int) -> None:
        self.lost("not heard yet")

    def heard(self, told: Telegram, now_ns: int) -> None:
        if told.device != self._device:
            return
        found = profiles.values(self._settings.profile, told)
        if told.rssi_dbm is not None:
            found[RSSI.name] = told.rssi_dbm
        for quantity, value in found.items():
            self._emit(MeterReport(quantity, value))

    def lost(self, reason: str) -> None:
        for quantity in quantities(self._settings):
            self._emit(MeterReport(quantity.name, None, reason))

    def time(self, now_ns: int) -> int | None:
        return None  # silence of a meter is seen by the core


def open(settings: Settings, emit: Emit, *, name: str) -> Device:
    """Hear through the stick. Raises :class:`DriverFault`."""
    return EnoceanMeter(settings, emit)
