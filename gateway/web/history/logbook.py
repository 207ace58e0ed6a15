"""Pages of the logbook: facts are read in pieces, grouped, and chosen by what people ask for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

from gateway.core.facts import Lane
from gateway.journal.queries.reader import Reader
from gateway.web.building.records import Expired, Records
from gateway.web.history.entries import (
    CONTEXT,
    FAMILIES,
    KINDS_OF,
    SPAN_ROWS,
    Entry,
    Family,
    entries,
)
from gateway.wire import Row

PIECE = 400
"""Facts that are read at once."""
MOST = 12_000
"""Facts that are looked through for one answer; the next page goes on from there."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """What somebody wants to see. ``kinds``: of facts, where only these are wanted, ``None`` for
    all of ``families``; ``everything``: levels and readings, too. ``says``: whether an entry has
    the words that are looked for."""

    families: tuple[Family, ...] = ()
    kinds: tuple[str, ...] | None = None
    everything: bool = False
    subject: str = ""
    lanes: tuple[Lane, ...] = ()
    from_utc_ms: int | None = None
    to_utc_ms: int | None = None
    says: Callable[[Entry], bool] | None = None

    @property
    def read(self) -> tuple[str, ...] | None:
        """The kinds that are read; ``None``: all."""
        if self.kinds is not None:
            return self.kinds
        if self.everything:
            return None
        wanted = [kind for family in self.families or FAMILIES for kind in KINDS_OF[family]]
        return tuple(dict.fromkeys([*wanted, *CONTEXT]))

    def takes(self, entry: Entry) -> bool:
        if self.families and entry.family not in self.families:
            return False
        if self.subject and not entry.about(self.subject):
            return False
        return self.says is None or self.says(entry)


@dataclass(slots=True)
class LogbookPage:
    """Entries, newest first. ``older``: the row before which the next page begins, ``newer``: the
    row after which the one before it does; ``None`` where there is none."""

    entries: list[Entry] = field(default_factory=list)
    older: int | None = None
    newer: int | None = None


async def older_page(
    records: Records, chosen: Chosen, before: int | None, wanted: int
) -> LogbookPage:
    """At most ``wanted`` entries that began before the row ``before``; ``None``: the newest."""
    page = LogbookPage()
    cursor = before
    for _ in range(0, MOST, PIECE):
        rows = await records.before(cursor, PIECE, **_filters(chosen))
        low = rows[-1].row if rows else cursor or 0
        made = await _grouped(records, chosen, rows[::-1])
        for entry in reversed(made):
            page.entries.append(entry)
            if len(page.entries) == wanted:
                page.older = entry.row
                break
        if page.older is not None:
            break
        if rows.reached is None and len(rows) < PIECE:
            break
        cursor = rows.reached if rows.reached is not None else low
        if rows.reached is not None:
            page.older = cursor
            break
        await asyncio.sleep(0)  # others are waiting, too
    else:
        page.older = cursor
    if before is not None:
        page.newer = page.entries[0].row if page.entries else before - 1
    return page


async def newer_page(records: Records, chosen: Chosen, after: int, wanted: int) -> LogbookPage:
    """The ``wanted`` oldest entries that began after the row ``after``; the newest page where
    there are fewer, or where that row is no longer kept."""
    found: list[Entry] = []
    cursor = after
    try:
        for _ in range(0, MOST, PIECE):
            rows = await records.after(cursor, PIECE, **_filters(chosen))
            found += await _grouped(records, chosen, rows)
            if len(found) > wanted or len(rows) < PIECE or rows.reached is not None:
                break
            cursor = rows[-1].row
    except Expired:
        found = []
    if len(found) <= wanted:
        return await older_page(records, chosen, None, wanted)
    found = found[:wanted]
    return LogbookPage(found[::-1], found[0].row, found[-1].row)


def _filters(chosen: Chosen) -> dict[str, Any]:
    kinds = chosen.read
    return {
        "kinds": None if kinds is None else list(kinds),
        "lanes": chosen.lanes or None,
        "from_utc_ms": chosen.from_utc_ms,
        "to_utc_ms": chosen.to_utc_ms,
    }


async def _grouped(records: Records, chosen: Chosen, rows: list[Row]) -> list[Entry]:
    """The chosen entries that begin with one of these rows (oldest first). What lies around them
    in the journal says how they begin and end."""
    if not rows:
        return []
    filters = {"kinds": _filters(chosen)["kinds"], "lanes": chosen.lanes or None}
    earlier = await records.around(rows[0].row, SPAN_ROWS, 0, **filters)
    high = rows[-1].row + 1
    later = await records.around(high, 0, SPAN_ROWS, **filters)
    own = {row.row for row in rows}
    inner = await _left_out(records, rows, own, filters, chosen)
    whole = sorted([*earlier, *rows, *inner, *later], key=lambda row: row.row)
    return [one for one in entries(whole) if one.row in own and chosen.takes(one)]


async def _left_out(
    records: Records, rows: list[Row], own: Collection[int], filters: Any, chosen: Chosen
) -> list[Row]:
    """Rows between these that a range of time leaves out: nearly none, unless a clock jumped."""
    if chosen.from_utc_ms is None and chosen.to_utc_ms is None:
        return []
    first, last = rows[0].row, rows[-1].row
    if last - first > MOST:
        return []
    found = await records.around(first, 0, last - first + 1, **filters)
    return [row for row in found if row.row not in own]


def entry_rows(chosen: Chosen, reader: Reader) -> Iterator[list[Row]]:
    """The facts of all chosen entries, oldest first, some at a time. Reads in the thread that asks:
    an export takes as long as it takes."""
    filters = _filters(chosen)
    around = {"kinds": filters["kinds"], "lanes": filters["lanes"]}
    head = reader.head_row()
    for at in range(0, head, PIECE):
        upto = min(at + PIECE, head)
        rows = reader.window(at, upto, **filters)
        own = {row.row for row in rows}
        if not own:
            continue
        inner = [row for row in reader.window(at, upto, **around) if row.row not in own]
        earlier = reader.window(max(0, at - SPAN_ROWS), at, **around)
        later = reader.window(upto, upto + SPAN_ROWS, **around)
        found = [
            fact
            for entry in entries([*earlier, *sorted([*rows, *inner], key=_row), *later])
            if entry.row in own and chosen.takes(entry)
            for fact in entry.facts
        ]
        yield sorted(found, key=_row)


def _row(row: Row) -> int:
    return row.row
