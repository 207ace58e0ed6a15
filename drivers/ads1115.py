"""A voltage at one input of an ADS1115 on I²C, and what it stands for.

The input must never be above the chip's own supply (3.3 V beside a Raspberry Pi): higher
voltages go through a divider, whose ``factor`` is then counted in. A transmitter (pressure,
level, CO₂) that gives a voltage becomes a quantity of its own: ``quantity: pressure_bar`` with
``scale`` and ``offset``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from drivers import Device, DurationMs, Emit, I2cAddress, I2cBus, Quantity
from drivers.i2c import Chip, check_address
from drivers.i2c.ads1115 import ADDRESSES, GAINS, Input, Range, volts
from drivers.polling import poll

KIND = "meter"
TRUST = "wired"

_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)+")


@dataclass(frozen=True, slots=True)
class Settings:
    bus: I2cBus = 1
    """The I²C bus; no unit, its number. The Raspberry Pi's header has bus 1."""
    address: I2cAddress = 0x48
    """The chip's address; no unit, 0x48 to 0x4b: it follows from where its pin ADDR leads."""
    input: Input = "A0"
    """The input; no unit, A0 to A3."""
    range: Range = "4.096 V"
    """The largest voltage at the input; no unit, one of the chip's six ranges."""
    factor: float = 1.0
    """What a divider in front of the input takes away; no unit, 11 for 10 kΩ over 1 kΩ."""
    quantity: str = ""
    """What the voltage stands for; no unit, a name that ends in its unit. Empty: nothing."""
    scale: float = 1.0
    """That quantity per volt; no unit of its own. Counts with quantity only."""
    offset: float = 0.0
    """That quantity at 0 V; no unit of its own. Counts with quantity only."""
    lowest: float = -1e6
    """Below this, the transmitter cannot mean it; no unit of its own, that of the quantity."""
    highest: float = 1e6
    """Above this, the transmitter cannot mean it; no unit of its own, that of the quantity."""
    every_ms: DurationMs = 10_000
    """The time between two readings; a duration."""

    def __post_init__(self) -> None:
        check_address(self.address, ADDRESSES, "an ADS1115")
        if self.factor <= 0:
            raise ValueError("factor is not above 0")
        if self.quantity and not _NAME.fullmatch(self.quantity):
            raise ValueError(f"quantity is {self.quantity}, not a name such as pressure_bar")


def quantities(settings: Settings) -> tuple[Quantity, ...]:
    """The voltage, and what it stands for."""
    end = GAINS[settings.range][1] * settings.factor
    voltage = Quantity("voltage_v", -end, end)
    if not settings.quantity:
        return (voltage,)
    return (voltage, Quantity(settings.quantity, settings.lowest, settings.highest))


def open(settings: Settings, emit: Emit, *, name: str) -> Device:
    """Take a first reading, and go on. Raises :class:`DriverFault`."""
    chip = Chip(settings.bus, settings.address)

    def read() -> dict[str, float]:
        voltage = volts(chip, settings.input, settings.range) * settings.factor
        value = voltage * settings.scale + settings.offset
        return {settings.quantity: round(value, 6), "voltage_v": round(voltage, 6)}

    return poll(read, quantities(settings), settings.every_ms, emit, name=name, release=chip.close)
