"""A relay at a terminal of an MCP23017 on I²C, through a relay board or a transistor.

Off from the first instant, also where the board switches on with a low level (``active: low``).
Wire it so that a terminal that floats means off: all are inputs after the chip's start. A relay
must not hang on the bus alone where nobody may wait for it: a bus that fails, fails for all of its
chips. A door's activation is better on a GPIO line of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from drivers import Emit, I2cAddress, I2cBus, Relay
from drivers.i2c import check_address
from drivers.i2c.expander import Expander, expander
from drivers.i2c.mcp23017 import ADDRESSES, Terminal, switch_off

KIND = "relay"
TRUST = "wired"
MAKE_SAFE_NEEDS = ("smbus2",)


@dataclass(frozen=True, slots=True)
class Settings:
    terminal: Terminal
    """The terminal of the chip; no unit, GPA0 to GPA7 and GPB0 to GPB7."""
    bus: I2cBus = 1
    """The I²C bus; no unit, its number. The Raspberry Pi's header has bus 1."""
    address: I2cAddress = 0x20
    """The chip's address; no unit, 0x20 to 0x27: it follows from its pins A0 to A2."""
    active: Literal["high", "low"] = "high"
    """The level at which the relay is on; no unit, high or low."""

    def __post_init__(self) -> None:
        check_address(self.address, ADDRESSES, "an MCP23017")


class Mcp23017Relay:
    """An output of the chip, off first and off last."""

    def __init__(self, chip: Expander, settings: Settings) -> None:
        self._chip = chip
        self._terminal = settings.terminal
        self._on = settings.active == "high"
        chip.add_output(self._terminal, not self._on)
        self._open = True

    def drive(self, on: bool) -> None:
        self._chip.drive(self._terminal, on == self._on)

    def close(self) -> None:
        if self._open:
            self._open = False
            self._chip.remove_output(self._terminal)


def open(settings: Settings, emit: Emit, *, name: str) -> Relay:
    """Make the terminal an output that is off. Raises :class:`DriverFault`."""
    return Mcp23017Relay(expander(settings.bus, settings.address), settings)


def make_safe(settings: Settings) -> None:
    """Off, whoever left it on. Raises :class:`DriverFault`."""
    switch_off(settings.bus, settings.address, settings.terminal, off=settings.active == "low")
