"""The registers of the MCP23017, an expander with 16 terminals, and how to switch one off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from drivers.i2c import Chip

ADDRESSES = range(0x20, 0x28)
Terminal = Annotated[
    Literal[
        "GPA0", "GPA1", "GPA2", "GPA3", "GPA4", "GPA5", "GPA6", "GPA7",
        "GPB0", "GPB1", "GPB2", "GPB3", "GPB4", "GPB5", "GPB6", "GPB7",
    ],
    "terminal",
]  # fmt: skip
"""As in the datasheet; boards print them as A0, PA0 or GPA0."""

# Registers come in pairs, A before B, as the chip has them after a reset.
IODIR, GPINTEN, IOCON, GPPU, INTF, GPIO, OLAT = 0x00, 0x04, 0x0A, 0x0C, 0x0E, 0x12, 0x14
BANKED_IOCON = 0x05
"""Where IOCON is, should somebody have told the chip to sort its registers the other way."""
LENGTH = 0x16
IOCON_VALUE = 0x44
"""One interrupt line for both halves (MIRROR), which only ever pulls down (ODR)."""


def pair(seen: bytes, register: int) -> int:
    """The 16 bits of two registers; ``seen`` begins with register 0."""
    return int.from_bytes(seen[register : register + 2], "little")


def with_bits(value: int, mask: int, level: bool) -> int:
    """``value`` with the bits of ``mask`` all set or all cleared."""
    return value | mask if level else value & ~mask


def bit(terminal: str) -> int:
    """The terminal in the 16 bits of a pair of registers."""
    return 1 << (int(terminal[3]) + (8 if terminal[2] == "B" else 0))


@dataclass(slots=True)
class Registers:
    """What the chip's registers should be, both halves in 16 bits."""

    iodir: int = 0xFFFF
    gpinten: int = 0
    gppu: int = 0
    olat: int = 0

    def matches(self, seen: bytes) -> bool:
        pairs = ((IODIR, self.iodir), (GPINTEN, self.gpinten), (GPPU, self.gppu), (OLAT, self.olat))
        plain = not any(seen[0x02:0x04]) and not any(seen[0x06:0x0A])
        return (
            plain
            and seen[IOCON] == IOCON_VALUE
            and all(pair(seen, register) == value for register, value in pairs)
        )


def switch_off(bus: int, address: int, terminal: str, *, off: bool) -> None:
    """Put an output to its off level without a running gateway. Raises :class:`DriverFault`."""
    chip, mask = Chip(bus, address), bit(terminal)
    try:
        with chip.alone:
            for register, level in ((OLAT, off), (IODIR, False)):
                now = int.from_bytes(chip.transfer(bytes([register]), 2), "little")
                chip.transfer(bytes([register]) + with_bits(now, mask, level).to_bytes(2, "little"))
    finally:
        chip.close()
