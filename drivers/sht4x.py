"""A Sensirion SHT40, SHT41 or SHT45 on I²C: temperature and relative humidity.

Four wires: 3.3 V, ground, SDA (GPIO2) and SCL (GPIO3). Boards bring the pull-up resistors.
"""

from __future__ import annotations

from dataclasses import dataclass

from drivers import Device, DurationMs, Emit, I2cAddress, I2cBus
from drivers.i2c import Chip, check_address, sensirion
from drivers.polling import poll

KIND = "meter"
TRUST = "wired"
QUANTITIES = sensirion.CLIMATE

MEASURE = b"\xfd"
TAKES_S = 0.010


@dataclass(frozen=True, slots=True)
class Settings:
    bus: I2cBus = 1
    """The I²C bus; no unit, its number. The Raspberry Pi's header has bus 1."""
    address: I2cAddress = 0x44
    """The sensor's address; no unit, 0x44, 0x45 or 0x46: it follows from the order number."""
    every_ms: DurationMs = 60_000
    """The time between two readings; a duration."""

    def __post_init__(self) -> None:
        check_address(self.address, range(0x44, 0x47), "an SHT4x")


def open(settings: Settings, emit: Emit, *, name: str) -> Device:
    """Take a first reading, and go on. Raises :class:`DriverFault`."""
    chip = Chip(settings.bus, settings.address)

    def read() -> dict[str, float]:
        temperature, humidity = sensirion.measure(chip, MEASURE, TAKES_S)
        return {
            "temperature_c": sensirion.celsius(temperature),
            "humidity_percent": sensirion.percent(humidity, -6, 125),
        }

    return poll(read, QUANTITIES, settings.every_ms, emit, name=name, release=chip.close)
