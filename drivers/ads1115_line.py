"""A supervised line at an input of an ADS1115: the resistance of a loop with a resistor at its
far end.

From the supply through ``series_ohm`` (at the gateway) to the input; from the input through the
loop to ground. At the far end are 4.7 kΩ and 5.6 kΩ in a row, and the cord's contact bridges the
second: the line has 10.3 kΩ at rest, 4.7 kΩ while it is pulled, nearly nothing when its wires
touch, and no end when one is cut. What that means is said in the room, under ``lines``.
"""

from __future__ import annotations

from dataclasses import dataclass

from drivers import Device, DriverFault, DurationMs, Emit, I2cAddress, I2cBus, Quantity
from drivers.i2c import Chip, check_address
from drivers.i2c.ads1115 import ADDRESSES, Input, volts
from drivers.polling import poll

KIND = "meter"
TRUST = "wired"
CUT_OHM = 1_000_000.0
"""What stands for a resistance without end: no loop of copper has more."""
QUANTITIES = (Quantity("line_ohm", 0.0, CUT_OHM),)

FOREIGN_SHARE = 1.1
"""More than this of the supply does not come from the supply."""
FOREIGN_V = -0.1


@dataclass(frozen=True, slots=True)
class Settings:
    bus: I2cBus = 1
    """The I²C bus; no unit, its number. The Raspberry Pi's header has bus 1."""
    address: I2cAddress = 0x48
    """The chip's address; no unit, 0x48 to 0x4b: it follows from where its pin ADDR leads."""
    input: Input = "A0"
    """The input; no unit, A0 to A3."""
    supply_mv: int = 3_300
    """The voltage that feeds the line and the chip; in millivolts, measured once."""
    series_ohm: float = 4_700.0
    """The resistor between the supply and the input; in ohms."""
    every_ms: DurationMs = 100
    """The time between two readings; a duration. A pull that is shorter can be missed."""

    def __post_init__(self) -> None:
        check_address(self.address, ADDRESSES, "an ADS1115")
        if not 1_000 <= self.supply_mv <= 5_500:
            raise ValueError("supply_mv is not between 1000 and 5500")
        if self.series_ohm <= 0:
            raise ValueError("series_ohm is not above 0")


def line_ohm(volts_at_input: float, settings: Settings) -> float:
    """The resistance of the loop, 0 to :data:`CUT_OHM`. Raises :class:`DriverFault` where the
    voltage does not come from the line's supply."""
    supply = settings.supply_mv / 1000
    if not FOREIGN_V <= volts_at_input <= supply * FOREIGN_SHARE:
        raise DriverFault(
            f"there are {volts_at_input:.2f} V at {settings.input}, which the line is not fed with",
            "take the line off at once: a foreign voltage is on it",
        )
    at_series = supply - volts_at_input
    if at_series <= 0:
        return CUT_OHM
    ohm = settings.series_ohm * max(volts_at_input, 0.0) / at_series
    return round(min(ohm, CUT_OHM), 1)


def open(settings: Settings, emit: Emit, *, name: str) -> Device:
    """Take a first reading, and go on. Raises :class:`DriverFault`."""
    chip = Chip(settings.bus, settings.address)
    # A range that a foreign voltage does not leave at once: it shall be told, too.
    span = "4.096 V" if settings.supply_mv <= 3_600 else "6.144 V"

    def read() -> dict[str, float]:
        return {"line_ohm": line_ohm(volts(chip, settings.input, span), settings)}

    return poll(read, QUANTITIES, settings.every_ms, emit, name=name, release=chip.close)
