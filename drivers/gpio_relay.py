"""A relay on a GPIO line, through a relay board or a transistor.

Off from the first instant, also where the board switches on with a low level
(``active: low``). Wire it so that a line that floats means off: that is what a line does
before this machine has started.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from drivers import DriverFault, Emit, Pin, Relay

if TYPE_CHECKING:
    from gpiozero import OutputDevice

KIND = "relay"
TRUST = "wired"
MAKE_SAFE_NEEDS = ("drivers.gpiod_lines",)


@dataclass(frozen=True, slots=True)
class Settings:
    pin: Pin
    """The line; no unit, ``GPIO27``, a header pin (``J8:13``), a line's name or number."""
    active: Literal["high", "low"] = "high"
    """The level at which the relay is on; no unit, high or low."""
    chip: str = ""
    """The gpiochip; no unit, its path, label, name or number. Empty: the Raspberry Pi's header."""


class GpioRelay:
    """gpiozero's output device, off first and off last."""

    def __init__(self, device: OutputDevice) -> None:
        self._device = device

    def drive(self, on: bool) -> None:
        self._device.value = on

    def close(self) -> None:
        if self._device.closed:
            return
        # A chip that is gone has no line to switch off, and `outputs off` will say so.
        with contextlib.suppress(DriverFault):
            self._device.off()
        self._device.close()


def open(settings: Settings, emit: Emit, *, name: str) -> Relay:
    """Take the line as an output that is off. Raises :class:`DriverFault`."""
    from gpiozero import GPIOZeroError, OutputDevice

    from drivers import gpiod_pins

    try:
        device = OutputDevice(
            settings.pin,
            active_high=settings.active == "high",
            initial_value=False,
            pin_factory=gpiod_pins.factory(settings.chip),
        )
    except GPIOZeroError as error:
        raise DriverFault(
            f"{name}: {error}", "choose another pin; `gpioinfo` lists them"
        ) from error
    return GpioRelay(device)


def make_safe(settings: Settings) -> None:
    """Off, whoever left it on. Raises :class:`DriverFault`."""
    from drivers import gpiod_lines

    gpiod_lines.switch_off(settings.pin, active_high=settings.active == "high", chip=settings.chip)
