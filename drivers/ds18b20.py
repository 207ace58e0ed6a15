"""A DS18B20 temperature sensor on the kernel's 1-wire bus.

Three wires: 3.3 V, ground, and data to a GPIO pin with a resistor of 4.7 kΩ to 3.3 V; in
``config.txt``: ``dtoverlay=w1-gpio,gpiopin=9`` for GPIO9. Many sensors share the wire. The
kernel measures when it is asked, which takes 0.75 s, and says whether the checksum was right.
"""

from __future__ import annotations

import errno
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from drivers import Device, DriverFault, DurationMs, Emit, Quantity
from drivers.polling import Poller

KIND = "meter"
TRUST = "wired"
QUANTITIES = (Quantity("temperature_c", -55.0, 125.0),)

POWER_ON_MC = 85_000
"""What the sensor says before it has measured (milli-°C)."""
DISCONNECTED_MC = -127_000
"""What libraries and adapters say where there is no sensor."""

_ANSWER = re.compile(
    r"(?P<bytes>(?:[0-9a-f]{2} ){9}): crc=[0-9a-f]{2} (?P<crc>YES|NO)\n.*\bt=(?P<mc>-?\d+)\s*\Z",
    re.DOTALL,
)
_ID = re.compile(r"28-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class Settings:
    id: Annotated[str, "terminal"] = ""
    """The sensor; no unit, its number such as 28-0316a2795cff. Empty: the only one there."""
    every_ms: DurationMs = 60_000
    """The time between two readings; a duration."""
    root: str = "/sys/bus/w1/devices"
    """Where the kernel shows its 1-wire sensors; no unit, a folder. Leave it as it is."""

    def __post_init__(self) -> None:
        if self.id and not _ID.fullmatch(self.id):
            raise ValueError(f"id is {self.id}, but a DS18B20 is called like 28-0316a2795cff")


def find(root: Path, sensor: str) -> Path:
    """The folder of the sensor. Raises :class:`DriverFault`."""
    try:
        there = sorted(name for name in os.listdir(root) if name.startswith("28-"))
    except OSError as error:
        raise DriverFault(
            "this machine has no 1-wire bus",
            "write dtoverlay=w1-gpio,gpiopin=9 (or another pin) in config.txt and restart",
        ) from error
    known = f"there are {', '.join(there)}" if there else "the kernel sees none"
    if sensor in there:
        return root / sensor
    if sensor:
        raise DriverFault(
            f"there is no sensor {sensor}", f"check its three wires and the resistor: {known}"
        )
    if len(there) != 1:
        raise DriverFault(
            "it is not clear which sensor is meant", f"connect it, or write its id: {known}"
        )
    return root / there[0]


def parse(answer: str) -> float:
    """°C from what the kernel says of a measurement. Raises :class:`DriverFault`."""
    match = _ANSWER.match(answer)
    if match is None:
        raise DriverFault("the sensor has not answered", "check its three wires")
    data, mc = bytes.fromhex(match["bytes"]), int(match["mc"])
    # A data wire that touches ground reads as zeros, whose checksum is right.
    if match["crc"] == "NO" or not any(data):
        raise DriverFault(
            "the answer of the sensor was garbled",
            "check the wires, the resistor of 4.7 kΩ and the length of the cable",
        )
    if mc == POWER_ON_MC:
        raise DriverFault(
            "the sensor has been reset and not measured (85 °C)",
            "check its supply: three wires are better than two",
        )
    if mc == DISCONNECTED_MC:
        raise DriverFault("the sensor is disconnected (-127 °C)", "check its three wires")
    return mc / 1000


def open(settings: Settings, emit: Emit, *, name: str) -> Device:
    """Find the sensor and begin to ask it; the first value comes a second later. Raises
    :class:`DriverFault`."""
    root = Path(settings.root)
    find(root, settings.id)

    def read() -> dict[str, float]:
        path = find(root, settings.id) / "w1_slave"
        try:
            answer = path.read_text("ascii", "replace")
        except OSError as error:
            if error.errno == errno.EACCES:
                raise DriverFault(f"no permission for {path}", "it should be readable") from error
            raise DriverFault(
                f"the sensor is gone ({error.strerror})", "check its three wires"
            ) from error
        return {"temperature_c": parse(answer)}

    poller = Poller(read, QUANTITIES, settings.every_ms, emit, name=name)
    poller.start()
    return poller
