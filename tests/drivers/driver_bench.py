"""What the tests of the drivers share besides their fixtures."""

from __future__ import annotations

from drivers import Report


class Heard(list[Report]):
    """What a driver has reported; it is its own ``emit``."""

    def __call__(self, report: Report) -> None:
        self.append(report)


class Clock:
    """Nanoseconds that stand still until somebody moves them."""

    def __init__(self) -> None:
        self.now_ns = 1_000_000_000

    def __call__(self) -> int:
        return self.now_ns

    def travel_ms(self, ms: float) -> None:
        self.now_ns += round(ms * 1e6)
