"""gpiozero's pins on the kernel's own GPIO interface: ``GPIOZERO_PIN_FACTORY=gpiod``.

Two differences to gpiozero's other factories can be seen. Ticks are integer nanoseconds of
CLOCK_MONOTONIC, and those of an edge are the kernel's. And a pin has ``when_troubled``: it
is called with a reason and the level (``None``: unknown) when edges were lost or the chip
is gone.

A pin asks the kernel for its line when it gets a function, not when it is made; an output
has its level from that instant. One thread per process waits for the edges of all pins; it
sleeps until there is one. The lock of a pin keeps its request to one thread at a time,
because requests are not thread-safe.
"""

from __future__ import annotations

import os
import select
import time
import traceback
from collections.abc import Callable
from datetime import timedelta
from threading import Lock, RLock, Thread
from types import MethodType
from typing import Any
from weakref import ReferenceType, WeakMethod, ref

import gpiod
from gpiod.line import Bias, Direction, Edge, Value
from gpiozero import Device, Factory, GPIOPinInUse, Pin, PinInvalidFunction, PinSetInput
from gpiozero.pins import PinInfo

from drivers import gpiod_lines
from drivers.gpiod_lines import Line

BIASES = {"up": Bias.PULL_UP, "down": Bias.PULL_DOWN, "floating": Bias.DISABLED}
EDGES = {"both": Edge.BOTH, "rising": Edge.RISING, "falling": Edge.FALLING, "none": Edge.NONE}
LEVELS = {True: Value.ACTIVE, False: Value.INACTIVE}

WhenChanged = Callable[[int, int], None]
WhenTroubled = Callable[[str, bool | None], None]


class GpiodFactory(Factory):  # type: ignore[misc]  # gpiozero has no types
    """Pins of one gpiochip, or of this Raspberry Pi's header (``chip`` empty)."""

    def __init__(self, chip: str = "") -> None:
        super().__init__()
        self.chip = chip
        self.pins: dict[tuple[str, int], GpiodPin] = {}

    def reserve_pins(self, requester: Any, *names: str | int) -> None:
        """As gpiozero has it, but by chip and line: no table of boards is needed."""
        with self._res_lock:
            for name in names:
                line = gpiod_lines.find(name, self.chip)
                holders = self._reservations[line.path, line.offset]
                for holder in (weak() for weak in holders):
                    if holder is not None and requester._conflicts_with(holder):
                        raise GPIOPinInUse(f"pin {line.name} is already in use by {holder!r}")
                holders.append(ref(requester))

    def release_pins(self, reserver: Any, *names: str | int) -> None:
        """Whatever the reserver holds under these names is free again."""
        with self._res_lock:
            for (path, offset), holders in self._reservations.items():
                pin = self.pins.get((path, offset))
                if pin is not None and pin.info.name in names:
                    holders[:] = [weak for weak in holders if weak() not in (reserver, None)]

    def pin(self, name: str | int) -> GpiodPin:
        """The pin of that name; the same object each time. Raises ``DriverFault``."""
        line = gpiod_lines.find(name, self.chip)
        return self.pins.setdefault((line.path, line.offset), GpiodPin(self, line))

    def close(self) -> None:
        """Let go of every line, as it is."""
        for pin in self.pins.values():
            pin.close()
        self.pins.clear()

    @staticmethod
    def ticks() -> int:
        return time.monotonic_ns()

    @staticmethod
    def ticks_diff(later: int, earlier: int) -> float:
        return (later - earlier) / 1e9


class GpiodPin(Pin):  # type: ignore[misc]  # gpiozero has no types
    """One line. Closing lets go of it as it is: an output is switched off by who knows which
    level that is."""

    def __init__(self, factory: GpiodFactory, line: Line) -> None:
        super().__init__()
        self.factory = factory
        self.lock = RLock()
        self.when_troubled: WhenTroubled | None = None
        self._line = line
        self._lost = False
        names = frozenset({line.name})
        self._info = PinInfo(line.offset, line.name, names, "", 0, 0, frozenset({"gpio"}))
        self._request: gpiod.LineRequest | None = None
        self._function = "input"
        self._level = False
        self._pull = "floating"
        self._edges = "none"
        self._bounce_s: float | None = None
        self._when_changed: ReferenceType[Any] | None = None
        self._seqno = 0

    def __repr__(self) -> str:
        return self._line.name

    def close(self) -> None:
        with self.lock:
            self._set_when_changed(None)
            self.when_troubled = None
            if self._request is not None:
                self._request.release()
                self._request = None
            self._function, self._pull, self._edges = "input", "floating", "none"

    def output_with_state(self, state: bool) -> None:
        with self.lock:
            self._function, self._level = "output", bool(state)
            self._configure()

    def input_with_pull(self, pull: str) -> None:
        with self.lock:
            self._function, self._pull = "input", pull
            self._configure()

    # --- gpiozero's properties

    def _get_info(self) -> PinInfo:
        return self._info

    def _get_function(self) -> str:
        return self._function

    def _set_function(self, value: str) -> None:
        if value not in {"input", "output"}:
            raise PinInvalidFunction(f"{self!r} can be an input or an output, not {value}")
        with self.lock:
            self._function = value
            self._configure()

    def _get_state(self) -> int:
        with self.lock:
            if self._request is None:
                self._configure()
            try:
                return int(self._held().get_value(self._line.offset) is Value.ACTIVE)
            except OSError as error:
                raise self._gone(error) from error

    def _set_state(self, value: bool) -> None:
        if self._function != "output":
            raise PinSetInput(f"{self!r} is an input")
        with self.lock:
            self._level = bool(value)
            if self._request is None:  # the chip was gone: perhaps it is back
                self._configure()
            try:
                self._held().set_value(self._line.offset, LEVELS[self._level])
            except OSError as error:
                raise self._gone(error) from error

    def _get_pull(self) -> str:
        return self._pull

    def _set_pull(self, value: str) -> None:
        self.input_with_pull(value)

    def _get_bounce(self) -> float | None:
        return self._bounce_s

    def _set_bounce(self, value: float | None) -> None:
        """Seconds; the kernel's debouncing."""
        with self.lock:
            if value != self._bounce_s:
                self._bounce_s = value
                self._configure()

    def _get_edges(self) -> str:
        return self._edges

    def _set_edges(self, value: str) -> None:
        with self.lock:
            self._edges = value
            self._configure()

    def _get_when_changed(self) -> WhenChanged | None:
        return None if self._when_changed is None else self._when_changed()

    def _set_when_changed(self, value: WhenChanged | None) -> None:
        """Weak, as everywhere in gpiozero, so that a device that is dropped can go."""
        with self.lock:
            if value is None:
                if self._when_changed is not None and self._request is not None:
                    _watcher.forget(self._request.fd)
                self._when_changed = None
                return
            self._when_changed = WeakMethod(value) if isinstance(value, MethodType) else ref(value)
            if self._edges == "none":
                self._set_edges("both")
            _watcher.watch(self._held().fd, self)

    # --- the kernel's side

    def ready(self, fd: int) -> None:
        """There are edges to read (called by the thread that waits for them)."""
        with self.lock:
            if self._request is None or self._request.fd != fd:
                return
            try:
                events = self._request.read_edge_events()
            except BlockingIOError:
                return
            except OSError as error:
                self._trouble(str(self._gone(error)), None)
                return
            lost = 0
            for event in events:
                lost += (event.line_seqno - self._seqno - 1) & 0xFFFFFFFF
                self._seqno = event.line_seqno
                changed = self._get_when_changed()
                if changed is not None:
                    changed(event.timestamp_ns, int(event.event_type is event.Type.RISING_EDGE))
            if lost:
                self._trouble(f"{lost} edges of {self!r} were lost", bool(self._get_state()))

    def _held(self) -> gpiod.LineRequest:
        if self._request is None:
            raise PinInvalidFunction(f"{self!r} has no function yet")
        return self._request

    def _configure(self) -> None:
        if self._function == "output":
            settings = gpiod_lines.output(self._level)
        else:
            settings = gpiod.LineSettings(
                direction=Direction.INPUT,
                bias=BIASES[self._pull],
                edge_detection=EDGES[self._edges],
                debounce_period=timedelta(seconds=self._bounce_s or 0),
            )
        if self._request is None:
            if self._lost:  # a chip that was plugged in again may have another number
                self._line = gpiod_lines.find(self._line.name, self.factory.chip)
            self._request = gpiod_lines.request(self._line, settings)
            self._lost = False
            self._seqno = 0
            # Whoever reads an edge that is not there any more must not wait for the next.
            os.set_blocking(self._request.fd, False)
            return
        try:
            self._request.reconfigure_lines({self._line.offset: settings})
        except OSError as error:
            raise self._gone(error) from error

    def _gone(self, error: OSError) -> Exception:
        """The line cannot be used any more; the next use asks for it anew."""
        if self._request is not None:
            _watcher.forget(self._request.fd)
            self._request.release()
            self._request = None
            self._lost = True
        return gpiod_lines.fault(error, self._line.name)

    def _trouble(self, reason: str, level: bool | None) -> None:
        if self.when_troubled is not None:
            self.when_troubled(reason, level)


class _Watcher:
    """The thread that waits for edges; started by the first pin, asleep while there is none."""

    def __init__(self) -> None:
        self._start = Lock()
        self._reading = Lock()
        """Held from the kernel's queue to the end of the handler: who has it knows that no edge is
        on its way between the two."""
        self._epoll: select.epoll | None = None
        self._pins: dict[int, GpiodPin] = {}

    def watch(self, fd: int, pin: GpiodPin) -> None:
        with self._start:
            if self._epoll is None:
                self._epoll = select.epoll()
                Thread(target=self._run, args=[self._epoll], name="gpio", daemon=True).start()
            if fd not in self._pins:
                self._epoll.register(fd, select.EPOLLIN)
            self._pins[fd] = pin

    def forget(self, fd: int) -> None:
        with self._start:
            if self._epoll is not None and self._pins.pop(fd, None) is not None:
                self._epoll.unregister(fd)

    def catch_up(self) -> None:
        if self._epoll is not None:
            with self._reading:
                for fd, _ in self._epoll.poll(0):
                    self._read(fd)

    def _run(self, epoll: select.epoll) -> None:
        while True:
            for fd, _ in epoll.poll(maxevents=1):
                with self._reading:
                    self._read(fd)

    def _read(self, fd: int) -> None:
        pin = self._pins.get(fd)
        if pin is not None:
            try:
                pin.ready(fd)
            except Exception:  # noqa: BLE001 - one handler must not deafen all the others
                traceback.print_exc()


_watcher = _Watcher()


def catch_up() -> None:
    """Read every edge that the kernel has stamped until now; ``when_changed`` of their pins has
    returned when this does. For whoever decides by how long a line was quiet: the thread that
    waits for edges may be late."""
    _watcher.catch_up()


_factories: dict[str, GpiodFactory] = {}


def factory(chip: str) -> Factory:
    """The factory that the drivers of this process share for a chip. The one that somebody has
    set as gpiozero's own wins where no chip is named: a test's mock, or another binding."""
    if not chip and Device.pin_factory is not None:
        return Device.pin_factory
    return _factories.setdefault(chip, GpiodFactory(chip))
