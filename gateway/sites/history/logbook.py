"""The logbook of several sites: their events as the entries that each gateway's own page shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from gateway.core.instant import Ms, UtcMs
from gateway.sites.history.records import StoredRecords
from gateway.sites.history.stored import StoredEvent, Wanted
from gateway.web.history.entries import Entry, Family, entries
from gateway.web.history.logbook import Chosen

PIECE = 400
"""Events that are read at once."""
PIECES_MOST = 20
"""And so often for one answer; the next page goes on from there."""
CONTEXT_MS: Ms = 3_600_000
"""How long after the events of a piece is looked for what became of them, and before it for what
they belong to."""
CONTEXT_MOST = 1_000


class PlacedEntry(NamedTuple):
    gateway: str
    entry: Entry


@dataclass(slots=True)
class LogbookPage:
    """Entries, newest first. ``older``: the instant before which the next page begins; ``None``
    where there is none."""

    entries: list[PlacedEntry] = field(default_factory=list)
    older: UtcMs | None = None


async def older_page(
    records: StoredRecords,
    gateways: Sequence[str],
    families: tuple[Family, ...],
    before_ms: UtcMs | None,
    wanted: int,
    is_wanted: Callable[[PlacedEntry], bool] = lambda one: True,
) -> LogbookPage:
    """About ``wanted`` entries that began before an instant; ``None``: the newest. Raises
    :class:`gateway.web.building.records.Unavailable`."""
    chosen = Chosen(families=families)
    page = LogbookPage()
    at = Wanted(gateways, chosen.read, to_utc_ms=before_ms, limit=PIECE)
    for _ in range(PIECES_MOST):
        piece = await records.events(at)
        if not piece:
            return page
        low = piece[-1].utc_ms
        around = await _around(records, at, low)
        made = [
            one
            for one in _grouped(piece, around)
            if (not families or one.entry.family in families) and is_wanted(one)
        ]
        page.entries += made
        if len(page.entries) >= wanted:
            _cut(page, wanted, low if len(piece) >= PIECE else None)
            return page
        if len(piece) < PIECE:
            return page
        page.older = low
        at = replace(at, to_utc_ms=low)
    return page


async def _around(records: StoredRecords, at: Wanted, low: UtcMs) -> list[StoredEvent]:
    earlier = replace(
        at, from_utc_ms=low - CONTEXT_MS, to_utc_ms=low, limit=CONTEXT_MOST, oldest_first=False
    )
    found = await records.events(earlier)
    if at.to_utc_ms is not None:
        later = replace(
            at,
            from_utc_ms=at.to_utc_ms,
            to_utc_ms=at.to_utc_ms + CONTEXT_MS,
            limit=CONTEXT_MOST,
            oldest_first=True,
        )
        found += await records.events(later)
    return found


def _grouped(piece: Sequence[StoredEvent], around: Sequence[StoredEvent]) -> list[PlacedEntry]:
    """The entries whose first fact is in a piece, the newest first."""
    begin, end = piece[-1].utc_ms, piece[0].utc_ms
    by_gateway: dict[str, list[StoredEvent]] = {}
    for event in sorted([*piece, *around], key=lambda one: one.order):
        by_gateway.setdefault(event.gateway, []).append(event)
    found = [
        PlacedEntry(gateway, entry)
        for gateway, events in by_gateway.items()
        for entry in entries([event.row(n) for n, event in enumerate(events, 1)])
        if begin <= began(entry) <= end
    ]
    return sorted(found, key=lambda one: (-began(one.entry), one.gateway))


def began(entry: Entry) -> UtcMs:
    """When the first fact of an entry was."""
    return entry.first.utc_ms or 0


def _cut(page: LogbookPage, wanted: int, low: UtcMs | None) -> None:
    """End a page after so many entries, and those of the same instant. ``low``: where the events
    go on that were not read."""
    last = began(page.entries[wanted - 1].entry)
    rest = [one for one in page.entries[wanted:] if began(one.entry) == last]
    is_whole = len(page.entries) == wanted + len(rest)
    page.entries = [*page.entries[:wanted], *rest]
    page.older = low if is_whole else last
