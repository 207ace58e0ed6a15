"""When what a store holds is over: lives by kind, and a clock that may be believed.

The recorder sees the clock of its machine only. Removing by a clock that is years ahead would
empty the store, so it is believed when it goes on from the last sweep, or after a day of uptime
without a step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.core.clock import AHEAD_MS, JUMP_MS, SETTLE_MS
from gateway.core.facts import KINDS

SWEEP_EVERY_MS = 86_400_000


def life_ms(kind: str, lives_ms: Mapping[str, int]) -> int | None:
    """How long facts of this kind are stored, as the journal has it; ``None``: for ever. Of kinds
    that we do not know as of those about the gateway."""
    return lives_ms.get(KINDS[kind].life if kind in KINDS else "gateway")


@dataclass(slots=True)
class SweepClock:
    """Whether the clock of this machine may be believed. ``mark_utc_ms``: of the last sweep."""

    mark_utc_ms: int | None
    offset_ms: int | None = None
    since_ms: int = 0

    def settled(self, now_ms: int, utc_ms: int) -> bool:
        """``now_ms``: monotonic; ``utc_ms``: what the clock says."""
        offset_ms = utc_ms - now_ms
        if self.offset_ms is None:
            self.offset_ms, self.since_ms = offset_ms, now_ms
        elif abs(offset_ms - self.offset_ms) > JUMP_MS:
            # it was wrong before or is now: nothing is known from the sweep before, either
            self.offset_ms, self.since_ms, self.mark_utc_ms = offset_ms, now_ms, None
        if now_ms - self.since_ms >= SETTLE_MS:
            return True
        return self.mark_utc_ms is not None and 0 <= utc_ms - self.mark_utc_ms <= AHEAD_MS
