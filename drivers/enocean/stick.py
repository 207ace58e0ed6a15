"""One serial stick for all points of this process that hear through it.

A thread reads the port and tells each telegram to every listener. It also tells them the
time, for presses whose release got lost and for devices that have gone silent. A stick that
is pulled out, or that no longer answers, is lost: the listeners are told, and the thread
opens the port again and again until it is back.

A telegram that may have waited in the port, because this process hung, has the time at which the
port was last seen empty: no door opens for a press of before. A late pull is a call all the same.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import threading
import time
from collections.abc import Callable
from typing import Protocol

from drivers import DriverFault
from drivers.enocean.esp3 import ASK_VERSION, Packet, Telegram, parse, telegram

BAUD = 57_600
OPEN_EVERY_S = 2.0
"""Between two attempts to open a port that was lost."""
ASK_AFTER_S = 60.0
"""A stick that has said nothing for so long is asked whether it lives."""
ANSWER_WITHIN_S = 5.0
REPEATED_NS = 1_000_000_000
"""The same telegram over more repeaters within this time is the same telegram."""
WAIT_MOST_S = 3600.0
LOOK_EVERY_S = 0.5
"""How often an open port is looked at, so that it is known since when it was empty."""
LATE_NS = 1_000_000_000
"""What has waited for less was heard now."""


class Listener(Protocol):
    """A point that hears. One call at a time: in the stick's thread, or while it begins to."""

    def back(self, now_ns: int) -> None:
        """The stick is there: at the start, and again after it was lost."""

    def lost(self, reason: str) -> None:
        """The stick is gone."""

    def heard(self, told: Telegram, now_ns: int) -> None:
        """A telegram, of any device."""

    def time(self, now_ns: int) -> int | None:
        """What is due up to now; the instant at which something is due next."""


class Port(Protocol):
    """What is used of a serial port of pyserial. Reading and writing raise ``OSError``."""

    def fileno(self) -> int: ...

    def read(self, size: int) -> bytes: ...

    def write(self, data: bytes) -> int | None: ...

    def close(self) -> None: ...


def device_id(text: str) -> str:
    """The id of a device as telegrams have it. Raises :class:`ValueError`."""
    digits = text.replace(":", "").upper()
    if len(digits) != 8 or not set(digits) <= set("0123456789ABCDEF"):
        raise ValueError(f"device is {text!r}, not eight hexadecimal digits such as 0029A1B2")
    return digits


def connect(path: str) -> Port:
    """Open the port for this process alone. Raises :class:`DriverFault`."""
    import termios

    import serial

    try:
        port: Port = serial.Serial(path, BAUD, timeout=0, write_timeout=0, exclusive=True)
    except (OSError, ValueError, termios.error) as error:  # pyserial's own are OSErrors
        raise _fault(path, error) from error
    return port


def _fault(path: str, error: Exception) -> DriverFault:
    number = getattr(error, "errno", None)
    if number in (errno.ENOENT, errno.ENXIO, errno.ENODEV):
        remedy = "plug the stick in; `ls /dev/serial/by-id` lists those that are there"
        return DriverFault(f"there is no serial port {path}", remedy)
    if number in (errno.EACCES, errno.EPERM):
        remedy = "add the user to the group dialout: sudo usermod -aG dialout $USER, log in again"
        return DriverFault(f"{path} may not be opened", remedy)
    if number in (errno.EAGAIN, errno.EBUSY):
        remedy = "one program at a time; for the gateway: sudo systemctl stop portier-control"
        return DriverFault(f"{path} is in use by another program", remedy)
    return DriverFault(f"{path}: {error}", "is it the serial port of an EnOcean stick?")


class Repeats:
    """Knows a telegram again that comes a second time over a repeater."""

    def __init__(self) -> None:
        self._recent: list[tuple[int, Telegram]] = []

    def known(self, told: Telegram, now_ns: int) -> bool:
        """Whether the same telegram was heard over fewer repeaters just now."""
        self._recent = [(at, one) for at, one in self._recent if now_ns - at < REPEATED_NS]
        for _, one in self._recent:
            same = (one.rorg, one.data, one.device) == (told.rorg, told.data, told.device)
            if same and one.repeats < told.repeats:
                return True
        self._recent.append((now_ns, told))
        return False


class Stick:
    """An open stick, which is read from the first listener on. Raises :class:`DriverFault` where
    it cannot be opened at once."""

    def __init__(self, path: str, connect: Callable[[str], Port] = connect) -> None:
        self._path = path
        self._connect = connect
        self._port: Port | None = connect(path)
        self._listeners: list[Listener] = []
        self._lock = threading.RLock()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._stop = False
        self._buffer = b""
        self._repeats = Repeats()
        self._spoke = time.monotonic()
        self._asked: float | None = None
        self._again = 0.0
        self._empty_ns = time.monotonic_ns()
        """When nothing waited in the port."""
        self._thread = threading.Thread(target=self._run, name=f"enocean {path}", daemon=True)

    def listen(self, listener: Listener) -> None:
        """Tell this one, too, from now on."""
        with self._lock:
            self._listeners.append(listener)
            if self._port is None:
                listener.lost(f"{self._path} is gone")
            else:
                listener.back(time.monotonic_ns())
            if self._thread.ident is None:
                self._thread.start()
        os.eventfd_write(self._wake, 1)

    def leave(self, listener: Listener) -> int:
        """Tell it nothing more; how many are left."""
        with self._lock:
            if listener in self._listeners:
                self._listeners.remove(listener)
            return len(self._listeners)

    def close(self) -> None:
        self._stop = True
        os.eventfd_write(self._wake, 1)
        if self._thread.ident is not None:
            self._thread.join(timeout=5)
        elif self._port is not None:
            self._port.close()
        if not self._thread.is_alive():
            os.close(self._wake)

    # --- the thread -----------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._stop:
                if self._port is None:
                    self._reopen()
                self._turn()
        finally:
            if not self._stop:
                self._lose("the reader of the stick has failed")
            if self._port is not None:
                self._port.close()

    def _turn(self) -> None:
        port, now = self._port, time.monotonic()
        wait_s = self._due_s(now)
        try:
            reads = [self._wake] if port is None else [self._wake, port.fileno()]
            if port is not None and not select.select([port.fileno()], [], [], 0.0)[0]:
                self._empty_ns = time.monotonic_ns()
                wait_s = min(wait_s, LOOK_EVERY_S)
            readable, _, _ = select.select(reads, [], [], wait_s)
            if self._wake in readable:
                os.eventfd_read(self._wake)
            if port is not None:
                if port.fileno() in readable:
                    self._take(port.read(4096))
                self._ask(port, time.monotonic())
        except OSError as error:  # a stick that was pulled out, in several sorts
            self._lose(f"{self._path}: {error.strerror or error}")

    def _due_s(self, now: float) -> float:
        """How long nothing is due."""
        with self._lock:
            now_ns = time.monotonic_ns()
            due = [d for one in self._listeners if (d := one.time(now_ns)) is not None]
        waits = [WAIT_MOST_S, *((d - now_ns) / 1e9 for d in due)]
        if self._port is None:
            waits.append(self._again - now)
        elif self._asked is None:
            waits.append(self._spoke + ASK_AFTER_S - now)
        else:
            waits.append(self._asked + ANSWER_WITHIN_S - now)
        return max(0.0, min(waits))

    def _take(self, data: bytes) -> None:
        packets, self._buffer = parse(self._buffer + data)
        now_ns = time.monotonic_ns()
        if now_ns - self._empty_ns > LATE_NS:
            now_ns = self._empty_ns
        for packet in packets:
            self._spoke, self._asked = time.monotonic(), None
            self._tell(packet, now_ns)

    def _tell(self, packet: Packet, now_ns: int) -> None:
        told = telegram(packet)
        if told is None or self._repeats.known(told, now_ns):
            return
        with self._lock:
            for listener in self._listeners:
                listener.heard(told, now_ns)

    def _ask(self, port: Port, now: float) -> None:
        if self._asked is not None and now - self._asked >= ANSWER_WITHIN_S:
            self._lose(f"{self._path}: the stick does not answer")
        elif self._asked is None and now - self._spoke >= ASK_AFTER_S:
            port.write(ASK_VERSION)
            self._asked = now

    def _lose(self, reason: str) -> None:
        port, self._port = self._port, None
        self._buffer, self._asked = b"", None
        self._again = time.monotonic() + OPEN_EVERY_S
        if port is not None:
            with contextlib.suppress(OSError):
                port.close()
        with self._lock:
            for listener in self._listeners:
                listener.lost(reason)

    def _reopen(self) -> None:
        if time.monotonic() < self._again:
            return
        try:
            port = self._connect(self._path)
        except DriverFault:
            self._again = time.monotonic() + OPEN_EVERY_S
            return
        self._spoke = time.monotonic()
        self._empty_ns = time.monotonic_ns()
        with self._lock:
            self._port = port
            for listener in self._listeners:
                listener.back(time.monotonic_ns())


_sticks: dict[str, Stick] = {}
_sharing = threading.Lock()


def join(path: str, listener: Listener) -> Callable[[], None]:
    """Let the listener hear through this port. Gives what ends it; with the last listener the
    port is closed. Raises :class:`DriverFault`."""
    key = os.path.realpath(path)  # one stick may have several names
    with _sharing:
        stick = _sticks.get(key)
        if stick is None:
            stick = _sticks[key] = Stick(path)
        stick.listen(listener)

    def leave() -> None:
        with _sharing:
            if stick.leave(listener) == 0 and _sticks.get(key) is stick:
                del _sticks[key]
                stick.close()

    return leave
