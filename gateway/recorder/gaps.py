"""When to ask a gateway for what is missing. Pure.

One request may be open per lane; it asks for at most :data:`MOST` numbers. A gap is given
a moment to close by itself (a broker that reconnects delivers out of order). A request
whose answers stop coming is asked again, with growing pauses, for as long as the gap
stands: every number has an answer, so every gap closes.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.backoff import pause_after
from gateway.recorder.sequences import Lane, Range

MOST = 10_000
"""Numbers per request, as the contract says."""
GRACE_MS = 1_000
REST_MS = 250
"""Between two requests for one lane."""
PATIENCE_MS = 5_000
"""Without one more number for this long, a request counts as lost."""
PATIENCE_MOST_MS = 300_000


@dataclass(frozen=True, slots=True)
class Asking:
    """Where the asking for one lane stands. Instants are monotonic ms of the recorder."""

    gap_since_ms: int | None = None
    open: Range | None = None
    missing: int = 0
    """How many numbers of the open request were missing when something last came."""
    moved_ms: int = 0
    """When the open request was sent, or one of its numbers last came."""
    asked_ms: int | None = None
    tries: int = 0


def _missing_in(gaps: tuple[Range, ...], asked: Range) -> int:
    low, high = asked
    return sum(max(0, min(high, b) - max(low, a) + 1) for a, b in gaps)


def _next(gaps: tuple[Range, ...]) -> Range:
    """One request that spans as many gaps as it may: small gaps cost one request together."""
    low = gaps[0][0]
    last = max((min(high, low + MOST - 1) for a, high in gaps if a < low + MOST), default=low)
    return low, last


def ask(asking: Asking, lane: Lane, now_ms: int) -> tuple[Asking, Range | None]:
    """What to ask for now, if anything."""
    gaps = lane.gaps()
    if not gaps:
        return (asking if asking == Asking() else Asking()), None
    since = asking.gap_since_ms if asking.gap_since_ms is not None else now_ms
    tries = asking.tries
    if asking.open is not None:
        missing = _missing_in(gaps, asking.open)
        if missing:
            if missing < asking.missing:
                return (
                    Asking(since, asking.open, missing, now_ms, asking.asked_ms, 0),
                    None,
                )
            if now_ms - asking.moved_ms < pause_after(tries, PATIENCE_MS, PATIENCE_MOST_MS):
                return asking, None
            tries += 1
        else:
            tries = 0
    if now_ms - since < GRACE_MS or (
        asking.asked_ms is not None and now_ms - asking.asked_ms < REST_MS
    ):
        return Asking(since, None, 0, now_ms, asking.asked_ms, tries), None
    request = _next(gaps)
    return Asking(since, request, _missing_in(gaps, request), now_ms, now_ms, tries), request


def reopened(asking: Asking) -> Asking:
    """The gateway has come back: what was asked before it left may be lost, ask at once."""
    return Asking(gap_since_ms=asking.gap_since_ms)
