"""Meters that are asked: one thread per meter, that goes on whatever goes wrong."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence

from drivers import DriverFault, Emit, MeterReport, Quantity

RETRY_AFTER_MS = 5_000
"""A meter that fails is asked at least this often: an outage ends soon after its cause."""

Read = Callable[[], Mapping[str, float]]
"""One reading, quantity -> value. Raises :class:`DriverFault`."""


class Poller:
    """Reports every reading until it is closed; while there is none, *unknown* with a reason,
    once for each reason."""

    def __init__(
        self,
        read: Read,
        quantities: Sequence[Quantity],
        every_ms: int,
        emit: Emit,
        *,
        name: str,
        release: Callable[[], None] = lambda: None,
    ) -> None:
        self._read = read
        self._quantities = quantities
        self._every_ms = every_ms
        self._emit = emit
        self._release = release
        self._reason = ""
        self._pause_ms = 0
        self._lock = threading.RLock()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"meter {name}", daemon=True)

    def start(self, values: Mapping[str, float] | None = None) -> None:
        """Report these values and go on one period later; ``None``: begin with a reading now,
        which nobody waits for."""
        if values is not None:
            self._report(values)
            self._pause_ms = self._every_ms
        self._thread.start()

    def close(self) -> None:
        """Nothing is reported from now on. A reading that is under way ends by itself."""
        with self._lock:
            self._closed.set()

    def _run(self) -> None:
        due = time.monotonic() + self._pause_ms / 1000
        while not self._closed.wait(max(0.0, due - time.monotonic())):
            try:
                self._report(self._read())
                self._pause_ms = self._every_ms
            except DriverFault as fault:
                self._fail(str(fault))
                self._pause_ms = min(self._every_ms, RETRY_AFTER_MS)
            except Exception as error:  # noqa: BLE001 - see below
                # A mistake in a driver may cost a value, and never the meter: a thread that
                # ends would leave its last value standing.
                self._fail(f"its driver failed: {type(error).__name__}: {error}")
                self._pause_ms = min(self._every_ms, RETRY_AFTER_MS)
            # A reading that came late is not made up for by two at once.
            due = max(due + self._pause_ms / 1000, time.monotonic())
        self._release()

    def _report(self, values: Mapping[str, float]) -> None:
        with self._lock:
            self._reason = ""
            if not self._closed.is_set():
                for quantity in self._quantities:
                    self._emit(MeterReport(quantity.name, values[quantity.name]))

    def _fail(self, reason: str) -> None:
        with self._lock:
            if self._closed.is_set() or reason == self._reason:
                return
            self._reason = reason
            for quantity in self._quantities:
                self._emit(MeterReport(quantity.name, None, reason))


def poll(
    read: Read,
    quantities: Sequence[Quantity],
    every_ms: int,
    emit: Emit,
    *,
    name: str,
    release: Callable[[], None] = lambda: None,
) -> Poller:
    """A poller whose first reading has been reported. Raises :class:`DriverFault` where that
    fails: there is nothing to poll."""
    poller = Poller(read, quantities, every_ms, emit, name=name, release=release)
    try:
        values = read()
    except DriverFault:
        release()
        raise
    poller.start(values)
    return poller
