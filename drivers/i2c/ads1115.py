"""The ADS1115, an analogue-to-digital converter with four inputs that takes turns with them."""

from __future__ import annotations

import time
from typing import Annotated, Literal

from drivers import DriverFault
from drivers.i2c import Chip

ADDRESSES = range(0x48, 0x4C)
Input = Annotated[Literal["A0", "A1", "A2", "A3"], "terminal"]
Range = Literal["6.144 V", "4.096 V", "2.048 V", "1.024 V", "0.512 V", "0.256 V"]

GAINS: dict[str, tuple[int, float]] = {
    "6.144 V": (0, 6.144),
    "4.096 V": (1, 4.096),
    "2.048 V": (2, 2.048),
    "1.024 V": (3, 1.024),
    "0.512 V": (4, 0.512),
    "0.256 V": (5, 0.256),
}
"""Range -> the bits that choose it, and its end in volts."""

CONVERSION, CONFIG = b"\x00", b"\x01"
START = 0x8000
ONE_OF_128_A_SECOND = 0x0100 | 0x0080 | 0x0003
"""A single conversion, at 128 a second, without comparator. Slower ones filter hum better."""
TAKES_S = 0.009


def volts(chip: Chip, channel: str, span: str) -> float:
    """One conversion of one input against ground. Raises :class:`DriverFault`."""
    gain, end = GAINS[span]
    config = (4 + int(channel[1])) << 12 | gain << 9 | ONE_OF_128_A_SECOND
    with chip.alone:
        chip.transfer(CONFIG + (START | config).to_bytes(2, "big"))
        for _ in range(3):
            time.sleep(TAKES_S)
            now = int.from_bytes(chip.transfer(CONFIG, 2), "big")
            if now & START:
                break
        else:
            raise DriverFault(f"{chip} does not finish converting", "check its supply and cable")
        if now & ~START != config:
            raise DriverFault(
                f"{chip} was told something else meanwhile",
                "stop the other program that uses it, and check the cable",
            )
        raw = int.from_bytes(chip.transfer(CONVERSION, 2), "big", signed=True)
    if raw in {0x7FFF, -0x8000}:
        raise DriverFault(
            f"the voltage at {channel} of {chip} is beyond {span}",
            "choose a wider range, or a voltage divider",
        )
    return raw * end / 0x8000
