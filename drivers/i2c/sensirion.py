"""What Sensirion's humidity sensors share: a command, a pause, two words with a checksum each."""

from __future__ import annotations

import time
from math import nan

from drivers import DriverFault, Quantity, humidity_percent
from drivers.i2c import Chip

CLIMATE = (Quantity("temperature_c", -40.0, 125.0), Quantity("humidity_percent", 0.0, 100.0))
"""The range of both families."""


def crc8(data: bytes) -> int:
    """The checksum of a word: polynomial 0x31, beginning with 0xFF (0xBEEF has 0x92)."""
    crc = 0xFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1) ^ 0x31 if crc & 0x80 else crc << 1
    return crc & 0xFF


def measure(chip: Chip, command: bytes, takes_s: float) -> tuple[int, int]:
    """The two words that ``command`` measures, temperature first. Raises
    :class:`DriverFault`."""
    with chip.alone:
        chip.transfer(command)
        time.sleep(takes_s)
        data = chip.transfer(b"", 6)
    for word, crc in ((data[0:2], data[2]), (data[3:5], data[5])):
        if crc8(word) != crc:
            raise DriverFault(
                f"{chip} sent a word with a wrong checksum",
                "check the cable: short, away from mains, with pull-up resistors",
            )
    return int.from_bytes(data[0:2], "big"), int.from_bytes(data[3:5], "big")


def celsius(word: int) -> float:
    """Temperature, in steps that mean something."""
    return round(-45 + 175 * word / 65535, 2)


def percent(word: int, lowest: float, span: float) -> float:
    """Relative humidity of a word: ``lowest`` at 0, ``span`` more at 65535. Not a number where the
    word is at its end: no air reads so, the channel is dead."""
    if word in (0, 0xFFFF):
        return nan
    return humidity_percent(lowest + span * word / 65535)
