"""A potential-free contact at a terminal of an MCP23017 on I²C, of which one chip has 16.

Wired between the terminal and ground, with the pull-up of the chip (100 kΩ; a long cable wants
an external one of 4.7 kΩ to the 3.3 V that feed the chip). Lead INTA or INTB to a GPIO pin and
name it as ``interrupt``: a press then has its exact time. Without it the chip is polled every
20 ms, and a press that is shorter than two polls may not count. The chip keeps one change of
each terminal for a reader that is late; of a bounce, some edges are missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from drivers import (
    ContactReport,
    Device,
    DurationMs,
    Emit,
    I2cAddress,
    I2cBus,
    SharedPin,
)
from drivers.i2c import check_address
from drivers.i2c.expander import Expander, Input, expander
from drivers.i2c.mcp23017 import ADDRESSES, Terminal

KIND = "contact"
TRUST = "wired"
HEALS = True
"""The chip is looked for all the time; when it is back, its levels are told."""


@dataclass(frozen=True, slots=True)
class Settings:
    terminal: Terminal
    """The terminal of the chip; no unit, GPA0 to GPA7 and GPB0 to GPB7."""
    bus: I2cBus = 1
    """The I²C bus; no unit, its number. The Raspberry Pi's header has bus 1."""
    address: I2cAddress = 0x20
    """The chip's address; no unit, 0x20 to 0x27: it follows from its pins A0 to A2."""
    wiring: Literal["normally_open", "normally_closed"] = "normally_open"
    """What the contact does at rest; no unit, one of the two. Active is the other."""
    pull: Literal["up", "none"] = "up"
    """The resistor of the chip; no unit. ``none``: an external resistor pulls, and ``leads_to``
    says where the contact leads."""
    leads_to: Literal["ground", "supply"] = "ground"
    """Where a closed contact leads; no unit, ground or supply. Counts with ``pull: none`` only."""
    interrupt: SharedPin = ""
    """The line of the header that INTA or INTB leads to; no unit, such as GPIO4, the same for
    all points of the chip. Empty: the chip is polled."""
    poll_ms: DurationMs = 20
    """The time between two looks without an interrupt line; a duration."""
    check_ms: DurationMs = 500
    """The time between two checks of the whole chip, which find what was missed; a duration."""

    def __post_init__(self) -> None:
        check_address(self.address, ADDRESSES, "an MCP23017")


class Mcp23017Contact:
    """A contact at the chip, and what its levels mean."""

    def __init__(self, chip: Expander, settings: Settings, emit: Emit) -> None:
        supply = (settings.pull, settings.leads_to) == ("none", "supply")
        self._active_level = supply == (settings.wiring == "normally_open")
        self._emit = emit
        self._chip = chip
        self._input = Input(
            settings.terminal,
            settings.pull == "up",
            settings.interrupt,
            settings.poll_ms / 1000,
            settings.check_ms / 1000,
            self._heard,
        )
        chip.add_input(self._input)

    def close(self) -> None:
        self._chip.remove_input(self._input)

    def _heard(self, level: bool | None, edge_ns: int | None, reason: str) -> None:
        active = None if level is None else level == self._active_level
        self._emit(ContactReport(active, edge_ns, reason))


def open(settings: Settings, emit: Emit, *, name: str) -> Device:
    """Make the terminal an input. Raises :class:`DriverFault`."""
    return Mcp23017Contact(expander(settings.bus, settings.address), settings, emit)
