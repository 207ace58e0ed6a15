"""A Bosch BME280 on I²C: temperature, relative humidity and air pressure.

Four wires: 3.3 V, ground, SDA (GPIO2) and SCL (GPIO3). Boards bring the pull-up resistors.
Many boards that are sold under this name carry a BMP280, which measures no humidity: it is
told apart and refused.
"""

from __future__ import annotations

import struct
import time
from dataclasses import dataclass
from math import nan

from drivers import (
    Device,
    DriverFault,
    DurationMs,
    Emit,
    I2cAddress,
    I2cBus,
    Quantity,
    humidity_percent,
)
from drivers.i2c import Chip, check_address
from drivers.polling import poll

KIND = "meter"
TRUST = "wired"
QUANTITIES = (
    Quantity("temperature_c", -40.0, 85.0),
    Quantity("humidity_percent", 0.0, 100.0),
    Quantity("pressure_hpa", 300.0, 1100.0),
)

ID, BME280, BMP280 = b"\xd0", 0x60, (0x56, 0x57, 0x58)
CALIBRATION_TP, CALIBRATION_H1, CALIBRATION_H = b"\x88", b"\xa1", b"\xe1"
ONE_MEASUREMENT = b"\xf2\x01\xf4\x25"
"""Oversampling 1 for all three, once, and back to sleep: the datasheet's "weather monitoring",
in which the chip does not warm itself."""
STATUS, MEASURING, DATA = b"\xf3", 0b1001, b"\xf7"
TAKES_S = 0.010


@dataclass(frozen=True, slots=True)
class Settings:
    bus: I2cBus = 1
    """The I²C bus; no unit, its number. The Raspberry Pi's header has bus 1."""
    address: I2cAddress = 0x76
    """The sensor's address; no unit, 0x76 with its pin SDO to ground, 0x77 to the supply."""
    every_ms: DurationMs = 60_000
    """The time between two readings; a duration."""

    def __post_init__(self) -> None:
        check_address(self.address, range(0x76, 0x78), "a BME280")


@dataclass(frozen=True, slots=True)
class Calibration:
    """The numbers that each chip was given at the factory, as the datasheet calls them
    (``t[0]`` is dig_T1)."""

    t: tuple[int, ...]
    p: tuple[int, ...]
    h: tuple[int, ...]

    @classmethod
    def of(cls, tp: bytes, h1: bytes, h: bytes) -> Calibration:
        """From the registers 0x88 to 0x9f, 0xa1, and 0xe1 to 0xe7."""
        words = struct.unpack("<H2hH8h", tp)
        h2, h3, e4, e5, e6, h6 = struct.unpack("<hBbBbb", h)
        # Two numbers of 12 bits share a byte; the sign is in their high bytes.
        return cls(
            words[:3], words[3:], (h1[0], h2, h3, e4 * 16 + (e5 & 15), e6 * 16 + e5 // 16, h6)
        )


def compensate(c: Calibration, raw_t: int, raw_p: int, raw_h: int) -> dict[str, float]:
    """The datasheet's formulas with double precision (its appendix A)."""
    t1, t2, t3 = c.t
    x = raw_t / 16384 - t1 / 1024
    y = raw_t / 131072 - t1 / 8192
    fine = x * t2 + y * y * t3

    p1, p2, p3, p4, p5, p6, p7, p8, p9 = c.p
    v1 = fine / 2 - 64000
    v2 = (v1 * v1 * p6 / 32768 + v1 * p5 * 2) / 4 + p4 * 65536
    v1 = (1 + (p3 * v1 * v1 / 524288 + p2 * v1) / 524288 / 32768) * p1
    pascal = 0.0
    if v1:
        pascal = (1048576 - raw_p - v2 / 4096) * 6250 / v1
        pascal += (p9 * pascal * pascal / 2147483648 + pascal * p8 / 32768 + p7) / 16

    h1, h2, h3, h4, h5, h6 = c.h
    h = fine - 76800
    h = (raw_h - (h4 * 64 + h5 / 16384 * h)) * (
        h2 / 65536 * (1 + h6 / 67108864 * h * (1 + h3 / 67108864 * h))
    )
    h *= 1 - h1 * h / 524288
    return {
        "temperature_c": round(fine / 5120, 2),
        "humidity_percent": nan if raw_h in (0, 0xFFFF) else humidity_percent(h),
        "pressure_hpa": round(pascal / 100, 2),
    }


def measure(chip: Chip) -> dict[str, float]:
    """One measurement. Nothing is remembered from the last one, the calibration neither: the
    sensor may have lost its supply, or be another one, in between. Raises
    :class:`DriverFault`."""
    with chip.alone:
        _check_id(chip)
        calibration = Calibration.of(
            chip.transfer(CALIBRATION_TP, 24),
            chip.transfer(CALIBRATION_H1, 1),
            chip.transfer(CALIBRATION_H, 7),
        )
        chip.transfer(ONE_MEASUREMENT)
        for _ in range(5):
            time.sleep(TAKES_S)
            if not chip.transfer(STATUS, 1)[0] & MEASURING:
                break
        else:
            raise DriverFault(f"{chip} does not finish measuring", "check its supply and cable")
        data = chip.transfer(DATA, 8)
    raw_p = int.from_bytes(data[0:3], "big") >> 4
    raw_t = int.from_bytes(data[3:6], "big") >> 4
    raw_h = int.from_bytes(data[6:8], "big")
    if raw_t == 0x80000 or raw_p == 0x80000 or raw_h == 0x8000:
        raise DriverFault(f"{chip} has not measured", "check its supply: it may have been reset")
    return compensate(calibration, raw_t, raw_p, raw_h)


def _check_id(chip: Chip) -> None:
    """Also what tells a bus that is stuck at 0 or 1 from a sensor."""
    found = chip.transfer(ID, 1)[0]
    if found in BMP280:
        raise DriverFault(
            f"{chip} is a BMP280, which measures no humidity", "use a board with a BME280"
        )
    if found != BME280:
        raise DriverFault(f"{chip} is no BME280 (it says 0x{found:02x})", "check address and cable")


def open(settings: Settings, emit: Emit, *, name: str) -> Device:
    """Take a first reading, and go on. Raises :class:`DriverFault`."""
    chip = Chip(settings.bus, settings.address)
    return poll(
        lambda: measure(chip),
        QUANTITIES,
        settings.every_ms,
        emit,
        name=name,
        release=chip.close,
    )
