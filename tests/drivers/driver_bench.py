"""What the tests of the drivers share besides their fixtures."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from drivers import ContactReport, MeterReport, Report


class Heard(list[Report]):
    """What a driver has reported; it is its own ``emit``, for any thread."""

    def __init__(self) -> None:
        super().__init__()
        self._told = threading.Condition()

    def __call__(self, report: Report) -> None:
        with self._told:
            self.append(report)
            self._told.notify_all()

    def wait(self, length: int, timeout_s: float = 30.0) -> None:
        """Until so many reports have come; fails when they do not."""
        with self._told:
            assert self._told.wait_for(lambda: len(self) >= length, timeout_s), list(self)

    @property
    def levels(self) -> list[bool | None]:
        return [report.active for report in self if isinstance(report, ContactReport)]

    @property
    def values(self) -> list[tuple[str, float | None]]:
        return [(r.quantity, r.value) for r in self if isinstance(r, MeterReport)]


def wait_until(true: Callable[[], bool], timeout_s: float = 30.0) -> None:
    """Until it is; fails when it does not become so."""
    end_s = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < end_s, "it did not become true"
        time.sleep(0.001)


class Clock:
    """Nanoseconds that stand still until somebody moves them."""

    def __init__(self) -> None:
        self.now_ns = 1_000_000_000

    def __call__(self) -> int:
        return self.now_ns

    def travel_ms(self, ms: float) -> None:
        self.now_ns += round(ms * 1e6)
