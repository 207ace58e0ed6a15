"""A potential-free contact on a GPIO line: a button, a reed contact, a pull cord.

Wired between the line and ground, with the pull-up of the chip: nothing else is needed on
a Raspberry Pi. A long cable wants an external resistor (``pull: none``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from drivers import ContactReport, Device, DriverFault, Emit, Pin

if TYPE_CHECKING:
    from gpiozero import InputDevice

KIND = "contact"
TRUST = "wired"


@dataclass(frozen=True, slots=True)
class Settings:
    pin: Pin
    """The line; no unit, ``GPIO17``, a header pin (``J8:11``), a line's name or number."""
    wiring: Literal["normally_open", "normally_closed"] = "normally_open"
    """What the contact does at rest; no unit, one of the two. Active is the other: a reed contact
    that is closed while its leaf is closed is normally closed, and active while it is open."""
    pull: Literal["up", "down", "none"] = "up"
    """The resistor of the chip; no unit. ``up``: the contact leads to ground; ``down``: to the
    supply (3.3 V); ``none``: an external resistor pulls, and ``leads_to`` says where."""
    leads_to: Literal["ground", "supply"] = "ground"
    """Where a closed contact leads; no unit, ground or supply. Counts with ``pull: none`` only."""
    chip: str = ""
    """The gpiochip; no unit, its path, label, name or number. Empty: the Raspberry Pi's header."""


class GpioContact:
    """gpiozero's input device, and what its levels mean."""

    def __init__(self, device: InputDevice, settings: Settings, emit: Emit) -> None:
        supply = settings.pull == "down" or (settings.pull, settings.leads_to) == ("none", "supply")
        self._active_level = supply == (settings.wiring == "normally_open")
        self._emit = emit
        self._device = device
        # In this order the initial level comes first, and no edge after it is missed: the
        # kernel queues them from the first line on, and they are read from the last one on.
        pin = device.pin
        pin.edges = "both"
        pin.when_troubled = self._troubled
        emit(ContactReport(self._active(pin.state)))
        pin.when_changed = self._changed

    def close(self) -> None:
        self._device.close()

    def _active(self, level: bool | int) -> bool:
        return bool(level) == self._active_level

    def _changed(self, ticks: float, level: bool | int) -> None:
        """Ours tick in nanoseconds, gpiozero's own factories in seconds of the same clock."""
        edge_ns = ticks if isinstance(ticks, int) else round(ticks * 1e9)
        self._emit(ContactReport(self._active(level), edge_ns))

    def _troubled(self, reason: str, level: bool | None) -> None:
        self._emit(ContactReport(None if level is None else self._active(level), None, reason))


def catch_up() -> None:
    """Report every edge that the kernel has stamped until now."""
    from drivers import gpiod_pins

    gpiod_pins.catch_up()


def open(settings: Settings, emit: Emit, *, name: str) -> Device:
    """Take the line as an input. Raises :class:`DriverFault`."""
    from gpiozero import GPIOZeroError, InputDevice

    from drivers import gpiod_pins

    try:
        device = InputDevice(
            settings.pin,
            pull_up={"up": True, "down": False, "none": None}[settings.pull],
            active_state=None if settings.pull != "none" else settings.leads_to == "supply",
            pin_factory=gpiod_pins.factory(settings.chip),
        )
        return GpioContact(device, settings, emit)
    except GPIOZeroError as error:
        raise DriverFault(
            f"{name}: {error}", "choose another pin; `gpioinfo` lists them"
        ) from error
