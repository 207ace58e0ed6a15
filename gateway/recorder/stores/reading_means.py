"""Means by time of the readings in a store. Pure.

Rule and code are those of the journal (:mod:`gateway.journal.queries.means`). A store knows
neither the heartbeat of a meter (the usual one is assumed) nor the end of a run of the gateway (its
last value is valid for at most two heartbeats).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gateway.core.instant import Ms, UtcMs
from gateway.journal.queries import means
from gateway.journal.schema import HOUR_MS

VALID_MS = 2 * means.HEARTBEAT_MS
BEFORE_MS = HOUR_MS
"""How far before a range its readings begin that reach into it."""
AFTER_MS = HOUR_MS // 2
"""And after it: versions of before have put a thinned one into the middle of its hour."""

StoredReading = tuple[
    UtcMs,
    float | None,
    int | None,
    float | None,
    float | None,
    float | None,
    float | None,
]
"""UTC ms, value, count, low, high, lasts_s, covered_s; ``count`` is ``None`` unless it is a thinned
one."""


def add_readings(
    rows: Sequence[StoredReading],
    within: tuple[UtcMs, UtcMs],
    grid: tuple[Ms, Ms],
    until_ms: UtcMs,
    found: means.Parts,
) -> None:
    """Add what one series said in a range. ``rows``: its readings from :data:`BEFORE_MS` before
    the range to :data:`AFTER_MS` after it, in order. ``grid``: (base, width), as of
    :func:`gateway.journal.queries.means.from_facts`. ``until_ms``: up to when the last reading may
    be valid."""
    low, high = within
    plain = [row[:3] for row in rows]
    before = [row for row in plain if row[0] < low]
    inside = [row for row in plain if low <= row[0] < high]
    times = (VALID_MS, until_ms)
    means.add_readings(inside, before[-1] if before else None, within, grid, times, found)
    means.add_thinned(_thinned(rows), within, grid, found)


def _thinned(
    rows: Iterable[StoredReading],
) -> list[tuple[UtcMs, int, float | None, dict[str, float | None]]]:
    found = []
    for at_ms, value, count, low, high, lasts_s, covered_s in rows:
        if count is None:
            continue
        begin, lasts, covered = at_ms - HOUR_MS // 2, 3600.0, 3600.0
        if lasts_s is not None and covered_s is not None and lasts_s > 0:
            begin, lasts = at_ms, min(lasts_s, 3600.0)
            covered = max(0.0, min(covered_s, lasts))
        # else versions of before have put it into the middle of its hour
        data = {"min": low, "max": high, "lasts_s": lasts, "covered_s": covered}
        found.append((begin, count, value, data))
    return found
