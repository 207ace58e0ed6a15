"""Small pictures of today: bars of openings per hour, the curve of a room's climate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from gateway.web.presenter.view_models import BarsView, BarView, SparkView
from gateway.web.shared.words import Words

WIDTH, HEIGHT = 100, 30
"""Of a curve, in units of its own."""
BAR, BAR_MOST = 10, 40
"""The room of a bar, and the height of the highest."""
LEAST = 6
"""Fewer values make no curve."""
LEAST_RANGE = 2.0
"""Less than that between lowest and highest looks like a flat line, not like weather."""


def spark(words: Words, means: Sequence[float | None]) -> SparkView | None:
    """The curve of values at equal distances; a gap where there is none. ``None`` where there are
    too few of them."""
    known = [value for value in means if value is not None]
    if len(known) < LEAST:
        return None
    low, high = min(known), max(known)
    middle, half = (low + high) / 2, max(high - low, LEAST_RANGE) / 2
    step = WIDTH / (len(means) - 1)
    points = [
        None
        if value is None
        else f"{place * step:.1f},{HEIGHT / 2 - (value - middle) / half * (HEIGHT / 2 - 2):.1f}"
        for place, value in enumerate(means)
    ]
    text = words(
        "today.climate",
        low=words.value(low, "temperature_c"),
        high=words.value(high, "temperature_c"),
    )
    return SparkView(tuple(_lines(points)), text)


def _lines(points: Sequence[str | None]) -> Iterator[str]:
    for there, piece in groupby(points, key=lambda point: point is not None):
        if there:
            yield " ".join(point for point in piece if point is not None)


def bars(words: Words, name: str, counts: Sequence[int], now: int) -> BarsView:
    """The bars of a door, one per hour of the day."""
    most, total = max(counts, default=0), sum(counts)
    text = words.plural("today.openings", total, 0, name=name)
    if most:
        hour = counts.index(most)
        text = f"{text} {words('today.most', hour=hour, next=hour + 1, count=most)}"
    return BarsView(
        name=name,
        count=words.plural("today.count", total),
        bars=tuple(_bars(counts, most, now)),
        width=len(counts) * BAR,
        text=text,
    )


def _bars(counts: Sequence[int], most: int, now: int) -> Iterator[BarView]:
    for hour, count in enumerate(counts):
        if count or hour == now:
            height = max(2, round(count / most * BAR_MOST)) if most else 2
            yield BarView(hour * BAR + 2, BAR_MOST - height, BAR - 4, height, hour == now)
