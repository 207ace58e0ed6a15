"""A chip's interrupt output at a GPIO line, which it pulls down to say that something changed."""

from __future__ import annotations

from collections.abc import Callable

from drivers import DriverFault


class InterruptLine:
    """``called`` is told the kernel's instant of each falling edge, in the thread that hears all
    edges of this process: it must not wait for a bus."""

    def __init__(self, pin: str, whose: str, called: Callable[[int], None]) -> None:
        """Raises :class:`DriverFault`."""
        from gpiozero import GPIOZeroError, InputDevice

        from drivers import gpiod_pins

        self.pin = pin
        self._called = called
        try:
            self._device = InputDevice(pin, pull_up=True, pin_factory=gpiod_pins.factory(""))
        except GPIOZeroError as error:
            raise DriverFault(
                f"the interrupt of {whose}: {error}", "choose another pin; `gpioinfo` lists them"
            ) from error
        self._device.pin.edges = "falling"
        self._device.pin.when_changed = self._changed

    def is_high(self) -> bool:
        """Whether nobody calls; a line that cannot be read may well be low."""
        try:
            return bool(self._device.pin.state)
        except DriverFault:
            return False

    def close(self) -> None:
        self._device.close()

    def _changed(self, ticks: float, level: bool | int) -> None:
        """Ours tick in nanoseconds, gpiozero's own factories in seconds of the same clock."""
        if not level:
            self._called(ticks if isinstance(ticks, int) else round(ticks * 1e9))
