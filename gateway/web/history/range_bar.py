"""The range above the charts: what is shown, and the addresses that lead to another one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from urllib.parse import urlencode

from gateway.core.instant import Ms, UtcMs
from gateway.web.history.range_text import SPANS, Chosen, RangeError, edge_s, read, say
from gateway.web.history.ranges import Range
from gateway.web.shared.models import FIRST_YEAR, LAST_YEAR
from gateway.web.shared.words import Words
from gateway.wire import calendar_time

DAY_MS = 86_400_000
EARLIEST, LATEST = (
    int(datetime(year, 1, 2, tzinfo=UTC).timestamp() * 1000) for year in (FIRST_YEAR, LAST_YEAR)
)


@dataclass(frozen=True, slots=True)
class Asked:
    """What an address says beside the range."""

    view: str
    points: Sequence[str]
    compare: bool

    def address(
        self, query: Mapping[str, str], *, view: str = "", compare: bool | None = None
    ) -> str:
        view = view or self.view
        asked = {"view": view}
        if view == "points" and self.points:
            asked["points"] = ",".join(self.points)
        if self.compare if compare is None else compare:
            asked["compare"] = "1"
        return urlencode(asked | dict(query))


@dataclass(frozen=True, slots=True)
class RangeBar:
    """``text``: what the field holds; ``error``: what is wrong with it. ``query``: the range as an
    address takes it; empty where none was asked for."""

    chosen: Chosen
    text: str
    shown: str
    error: str
    query: dict[str, str]
    exact: str
    spans: list[tuple[str, str]]
    earlier: str
    later: str
    closer: str
    wider: str


def range_bar(
    asked: Asked, given: tuple[str, str, str, str], now: UtcMs, otherwise: str, words: Words
) -> RangeBar:
    """From the text, the text that the form had, and both ends of an address."""
    text, shown, start, end = given
    error, query = "", dict[str, str]()
    chosen: Chosen | None = None
    if text and text != shown:
        try:
            chosen = read(text, now, words.zone)
            query = {"range": chosen.span or text} if chosen.relative else chosen.range.query()
        except RangeError as wrong:
            error = words(f"history.range_{wrong.why}")
    if chosen is None:
        ends = Range.read(start, end, words.zone)
        if (ends.from_utc_ms, ends.to_utc_ms) != (None, None):
            moment = calendar_time(now)
            chosen = Chosen(ends.filled(moment, timedelta(days=1)))
            query = chosen.range.query()
    if chosen is None:
        query = {}
        try:
            chosen = read(shown or otherwise, now, words.zone)
            query = {"range": chosen.span or shown} if shown else {}
        except RangeError:
            chosen = read(otherwise, now, words.zone)
    said = text if chosen.relative and not chosen.span and not error else say(chosen, now, words)
    first, last = chosen.range.whole()
    half, whole = (last - first) // 2, last - first

    def moved(first: UtcMs, last: UtcMs) -> str:
        return asked.address(_whole(max(first, EARLIEST), min(last, LATEST), words).query())

    return RangeBar(
        chosen=chosen,
        text=text if error else said,
        shown=said,
        error=error,
        query=query,
        exact=words("history.range", start=words.minute(first), end=words.minute(last)),
        spans=[(span, asked.address({"range": span})) for span in SPANS],
        earlier=moved(first - whole, last - whole),
        later=moved(first + whole, last + whole) if last < now else "",
        closer=moved(first + half // 2, last - half // 2),
        wider=moved(first - half, min(last + half, max(last, now))),
    )


def _whole(first: UtcMs, last: UtcMs, words: Words) -> Range:
    """The range from one whole step to another."""
    step_ms = edge_s((last - first) / 1000) * 1000
    offset = words.offset_ms(first)
    begin, end = (round((ms + offset) / step_ms) * step_ms - offset for ms in (first, last))
    return Range(begin, max(end, begin + step_ms))


def shift_of(chosen: Range, zone: tzinfo) -> Ms:
    """How much earlier the range before begins: whole days, so that the same hours meet. 0 where
    there is none."""
    first, last = chosen.whole()
    days = max(1, math.ceil((last - first) / DAY_MS - 1 / 12))
    try:
        begin = calendar_time(first, zone).replace(tzinfo=None) - timedelta(days=days)
    except OverflowError:
        return 0
    if begin.year < FIRST_YEAR:
        return 0
    return first - int(begin.replace(tzinfo=zone).timestamp() * 1000)
