"""Virtual time: what is to happen, in order, and nothing in between."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable

from gateway.core.instant import Ms

SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000

Deed = Callable[[], object]
"""What it gives back is nobody's business."""


class Agenda:
    """``now`` is milliseconds since the beginning of the simulated life."""

    def __init__(self) -> None:
        self.now: Ms = 0
        self._number = 0
        self._heap: list[tuple[Ms, int, Deed]] = []

    def later(self, in_ms: Ms, do: Deed) -> None:
        """``do`` so long from now, behind what was said before for the same instant."""
        self._number += 1
        heapq.heappush(self._heap, (self.now + max(in_ms, 0), self._number, do))

    def next_ms(self) -> Ms | None:
        """The instant of the first deed."""
        return self._heap[0][0] if self._heap else None

    def do_next(self) -> None:
        """Go on to the first deed, and do it."""
        at_ms, _, do = heapq.heappop(self._heap)
        self.now = max(self.now, at_ms)
        do()


def often(agenda: Agenda, chance: random.Random, per_day: float, do: Deed) -> None:
    """``do`` at random, so often a day on average, for ever."""
    if per_day <= 0:
        return

    def wait_ms() -> Ms:
        return round(chance.expovariate(per_day / DAY)) + 1

    def again() -> None:
        agenda.later(wait_ms(), again)
        do()

    agenda.later(wait_ms(), again)


def about(chance: random.Random, typical_ms: Ms) -> Ms:
    """A time that people take: mostly near ``typical_ms``, seldom three times as long."""
    return round(typical_ms * (0.4 + 0.8 * chance.random() + 1.8 * chance.random() ** 8))


def drawn(chance: random.Random, mean: float) -> int:
    """A number of people, ``mean`` on average."""
    count, rest = 0, chance.expovariate(1)
    while rest < mean:
        count += 1
        rest += chance.expovariate(1)
    return count
