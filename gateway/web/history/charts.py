"""What the charts and their tables show: values, gaps, states, counts, and what happened.

Gaps are found here, once, so that the chart and the table beside it tell the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Any, NamedTuple

from gateway.journal.queries.history import STEPS_MS, Bucket, grid
from gateway.web.history import bars, lanes
from gateway.web.history.bars import Pattern
from gateway.web.history.lanes import Lane
from gateway.web.history.point_history import PointHistory
from gateway.web.history.presets import Charts
from gateway.web.history.ranges import Range
from gateway.web.presenter.facts import Told, tell
from gateway.web.presenter.presenter import Presenter
from gateway.web.shared.words import DIGITS, NARROW, Words
from gateway.web.site import Site

CHART_BUCKETS = 600
TABLE_ROWS = 48
MARKED = {
    "door_opened": "door", "door_mode": "door", "door_service": "door", "fire_alarm": "call",
    "call_raised": "call", "call_acknowledged": "call", "call_attended": "call",
    "call_cancelled": "call", "leak": "alarm", "alarm_raised": "alarm",
    "alarm_acknowledged": "alarm", "alarm_cleared": "alarm",
}  # fmt: skip
"""Kinds of facts that are ticks beside the charts, and of which sort."""


class Gap(NamedTuple):
    """Nothing was told from ``from_utc_ms`` until before ``to_utc_ms``."""

    from_utc_ms: int
    to_utc_ms: int


@dataclass(frozen=True, slots=True)
class Grid:
    """Buckets of ``width_ms`` from ``begin_utc_ms`` on, of which the range shows a part;
    ``now_utc_ms``: nothing is known after it."""

    begin_utc_ms: int
    width_ms: int
    number: int
    first_utc_ms: int
    last_utc_ms: int
    now_utc_ms: int

    @classmethod
    def of(cls, chosen: Range, now_utc_ms: int, zone: tzinfo) -> Grid:
        first, last = chosen.whole()
        return cls(*grid(first, last, CHART_BUCKETS, zone), first, last, now_utc_ms)

    @property
    def end_utc_ms(self) -> int:
        """The end of the last bucket."""
        return self.begin_utc_ms + self.width_ms * self.number

    @property
    def until_utc_ms(self) -> int:
        """Up to when something may be known."""
        return min(self.last_utc_ms, self.now_utc_ms)


def gaps(buckets: list[Bucket], grid: Grid) -> list[Gap]:
    """Where no value was valid: since the last one for longer than twice the heartbeat, or the
    meter has said that it has none. Before the first value of the range nothing is said: the
    meter may be new."""
    known = [bucket.utc_ms for bucket in buckets if bucket.mean is not None]
    if not known:
        return []
    width = grid.width_ms
    return [
        Gap(before + width, after)
        for before, after in zip(known, [*known[1:], grid.until_utc_ms], strict=True)
        if after - before > width
    ]


@dataclass(frozen=True, slots=True)
class Figure:
    """One chart with what stands beside it. ``data`` is what the script draws, ``table`` the same
    for who does not see it; ``now`` the newest value, ``stats`` the line below it."""

    kind: str
    title: str
    place: str
    summary: str
    now: str
    stats: str
    data: dict[str, Any]
    table: dict[str, Any]
    note: str = ""
    patterns: list[Pattern] = field(default_factory=list)

    @property
    def filled(self) -> bool:
        """Whether there is anything to see."""
        return bool(self.table["rows"])


async def meters_of(
    site: PointHistory, presenter: Presenter, point: str, chosen: Range, shift_ms: int = 0
) -> list[Figure]:
    """One chart for each quantity of a meter. ``shift_ms``: how much earlier the range lies that
    it is compared with; 0 for none.

    Raises :class:`gateway.web.building.records.Unavailable`."""
    shown = site.control.points[point]
    now = site.control.now_utc_ms
    grid = Grid.of(chosen, now, site.options.zone)
    ends = (grid.begin_utc_ms, grid.end_utc_ms)
    found = await site.records.history(point, shown, *ends, grid.number, now)
    before: Mapping[str, list[Bucket]] = {}
    if shift_ms:
        first, last = ends[0] - shift_ms, ends[1] - shift_ms
        past = await site.records.history(point, shown, first, last, grid.number, now)
        before = past.quantities
    words, terminals = presenter.w, site.options.terminals
    place, part = terminals.served.get(point, ("", ""))
    alone = part in ("room_climate", "") or not part
    figures = []
    for quantity, buckets in found.quantities.items():
        label = words.get(f"quantity.{quantity}", quantity)
        name = place or terminals.name(words, point)
        title = label if alone else f"{terminals.part(words, point)}: {label}"
        unit = words.get(f"axis.{quantity}") or words.get(f"unit.{quantity}", quantity)
        summary = _summary(buckets, quantity, words)
        by_time = all(bucket.covered_ms is not None for bucket in buckets)
        data: dict[str, Any] = {
            "kind": "meter",
            "unit": unit,
            "digits": DIGITS.get(quantity, 2),
            "least": LEAST_SPAN.get(quantity, 0),
            "buckets": _drawn(buckets, grid),
            "limits": _limits(site, presenter, point, quantity),
        }
        if before.get(quantity):
            moved = replace_times(before[quantity], shift_ms)
            data["before"] = [row[:1] + row[2:3] for row in _drawn(moved, grid)]
        table = {
            "name": point, "kinds": (), "unit": unit, "sort": "meter", "by_time": by_time,
            "more": False, "rows": _lines(buckets, gaps(buckets, grid), grid, quantity, words),
        }  # fmt: skip
        newest, stats = _stats(buckets, grid, quantity, words)
        if stats and (mean := _mean_before(before.get(quantity, []), quantity, words)):
            stats += words("history.stats_before", mean=mean)
        figures.append(
            Figure(
                "meter", title, name, summary,
                f"{newest}{NARROW}{unit}" if newest else "", stats, data, table,
            )
        )  # fmt: skip
    return figures


LEAST_SPAN = {
    "temperature_c": 2, "dew_point_c": 2, "humidity_percent": 10, "pressure_hpa": 4, "co2_ppm": 100,
}  # fmt: skip
"""What an axis shows at least, so that a steady value looks steady."""


def replace_times(buckets: list[Bucket], shift_ms: int) -> list[Bucket]:
    return [bucket._replace(utc_ms=bucket.utc_ms + shift_ms) for bucket in buckets]


def _limits(site: PointHistory, presenter: Presenter, point: str, quantity: str) -> list[list[Any]]:
    """Where alarms of this meter begin: [value, its name, whether above it is wrong]."""
    found = []
    for limit in site.options.terminals.limits.get(point, ()):
        if limit.quantity == quantity:
            name = presenter.w.get(f"history.limit_{limit.kind}") or presenter.alarm_text(
                limit.kind, limit.subject, "what"
            )
            found.append([limit.value, name, limit.above])
    return found


def _stats(buckets: list[Bucket], grid: Grid, quantity: str, words: Words) -> tuple[str, str]:
    """The last value, empty where none is valid at the end, and the line below it."""
    known = _known(buckets)
    if not known:
        return "", ""
    _, cells = _cells(known, quantity, words)
    valid = known[-1].utc_ms + grid.width_ms >= grid.until_utc_ms
    last = words.value(known[-1].mean or 0.0, quantity) if valid else ""
    return last, words("history.stats", min=cells[0], mean=cells[1], max=cells[2])


def _known(buckets: Iterable[Bucket]) -> list[Bucket]:
    """Those of which a value is known."""
    return [bucket for bucket in buckets if bucket.mean is not None]


def _mean_before(buckets: list[Bucket], quantity: str, words: Words) -> str:
    """The mean of the period that is compared with; empty where nothing is known of it."""
    known = _known(buckets)
    return _cells(known, quantity, words)[1][1] if known else ""


async def lane_of(site: Site, presenter: Presenter, sort: str, id: str, chosen: Range) -> Figure:
    """A lane of states. Raises :class:`gateway.web.building.records.Unavailable`."""
    lane = await lanes.lane_of(site, presenter, sort, id, chosen)
    return lane_figure(lane, presenter, chosen, site.control.now_utc_ms)


def lane_figure(lane: Lane, presenter: Presenter, chosen: Range, now: int) -> Figure:
    """A lane and the table of its states."""
    words = presenter.w
    rows = [
        (
            words.moment(span.from_utc_ms, ms=False),
            lane.words.get(span.state or "", span.state),
            lanes.lasting(span.to_utc_ms - span.from_utc_ms, words),
        )
        for span in lane.spans[-TABLE_ROWS:]
    ]
    table = {
        "name": lane.subject, "kinds": lane.kinds, "unit": "", "sort": "lane", "rows": rows,
        "more": lane.cut or len(lane.spans) > TABLE_ROWS,
    }  # fmt: skip
    first, last = chosen.whole()
    return Figure(
        "lane", lane.title, lane.place, lanes.summary(lane, words, min(last, now) - first),
        lanes.now_of(lane, chosen, now, words), "", lanes.drawn(lane, chosen), table,
        words("history.lane_cut") if lane.cut else "",
    )  # fmt: skip


async def counts_of(
    site: Site,
    presenter: Presenter,
    what: str,
    subjects: tuple[str, ...],
    chosen: Range,
    shift_ms: int,
) -> Figure:
    """Counts as bars. Raises :class:`gateway.web.building.records.Unavailable`."""
    words = presenter.w
    found = await bars.bars_of(site, presenter, what, subjects, chosen, shift_ms)
    data: dict[str, Any] = {
        "kind": "bars",
        "bins": [[one.from_utc_ms / 1000, one.to_utc_ms / 1000, one.number] for one in found.bins],
        "before": found.before,
    }
    rows = [
        (bars.label_of(one, found.unit, words), words.number(one.number, 0))
        for one in found.bins
        if one.number
    ]
    table = {
        "name": subjects[0] if len(subjects) == 1 else "", "kinds": (found.kind,), "unit": "",
        "sort": "bars", "rows": rows[-TABLE_ROWS:], "more": len(rows) > TABLE_ROWS,
    }  # fmt: skip
    return Figure(
        "bars", found.title, found.place, bars.summary(found, words),
        words.number(found.total, 0), "", data, table,
        found.note, found.patterns,
    )  # fmt: skip


def _summary(buckets: list[Bucket], quantity: str, words: Words) -> str:
    """What a chart shows, for who does not see it, and at once for everybody."""
    known = _known(buckets)
    if not known:
        return words("history.empty")
    count = sum(b.count for b in known)
    values = {
        "min": words.value(min(b.min for b in known if b.min is not None), quantity),
        "max": words.value(max(b.max for b in known if b.max is not None), quantity),
        "last": words.value(known[-1].mean or 0.0, quantity),
    }
    if not count:
        return words("history.summary_valid", **values)
    return words.plural("history.summary", count, **values)


def _drawn(buckets: list[Bucket], grid: Grid) -> list[list[float | None]]:
    """Steps as the chart takes them: [time, min, mean, max, readings], each valid up to the next.
    One without values begins a gap; the last one says its values again where they end, because the
    chart draws a step up to a value only."""
    rows: list[list[float | None]] = []
    for place, bucket in enumerate(buckets):
        if bucket.mean is None:
            continue
        begin = max(bucket.utc_ms, grid.first_utc_ms)
        rows.append([begin / 1000, bucket.min, bucket.mean, bucket.max, bucket.count])
        end = bucket.utc_ms + grid.width_ms
        following = buckets[place + 1] if place + 1 < len(buckets) else None
        if following is None or following.utc_ms > end or following.mean is None:
            end = max(begin, min(end, grid.until_utc_ms))
            rows.append([end / 1000, None, None, None, 0])
    if rows:
        rows[-1][1:4] = rows[-2][1:4]
    return rows


def _lines(
    buckets: list[Bucket], holes: list[Gap], grid: Grid, quantity: str, words: Words
) -> list[dict[str, Any]]:
    """About :data:`TABLE_ROWS` lines of equal width, and one for each long gap."""
    first = grid.begin_utc_ms
    least = (grid.last_utc_ms - grid.first_utc_ms) / TABLE_ROWS
    width = grid.width_ms
    fits = (step for step in STEPS_MS if step >= least and step % width == 0)
    slot = next(fits, -int(-least // width) * width)
    first -= (first + words.offset_ms(first)) % slot if slot <= STEPS_MS[-1] else 0
    long = [hole for hole in holes if hole.to_utc_ms - hole.from_utc_ms >= slot]
    groups: dict[tuple[int, int], list[Bucket]] = {}
    passed = 0
    for bucket in buckets:
        while passed < len(long) and long[passed].from_utc_ms <= bucket.utc_ms:
            passed += 1
        groups.setdefault(((bucket.utc_ms - first) // slot, passed), []).append(bucket)
    lines = []
    for group in groups.values():
        begin = max(group[0].utc_ms, grid.first_utc_ms)
        lines.append((begin, _line(begin, group, quantity, words)))
    for hole in long:
        until = words.minute(hole.to_utc_ms)
        time = words.minute(hole.from_utc_ms)
        lines.append((hole.from_utc_ms, {"time": time, "gap": words("history.gap", until=until)}))
    return [line for _, line in sorted(lines, key=lambda line: line[0])]


def _line(begin: int, group: list[Bucket], quantity: str, words: Words) -> dict[str, Any]:
    time = words.minute(begin)
    known = _known(group)
    if not known:
        return {"time": time, "gap": words("history.silent")}
    by_time, cells = _cells(known, quantity, words)
    count = words.number(sum(b.count for b in known), 0)
    least, mean, most = cells
    return {"time": time, "cells": (least, mean + ("" if by_time else "*"), most, count), "gap": ""}


def _cells(known: list[Bucket], quantity: str, words: Words) -> tuple[bool, tuple[str, str, str]]:
    """Whether the mean is one by time; least, mean and greatest value."""
    by_time = all(bucket.covered_ms is not None for bucket in known)
    weights = [(b.covered_ms or 0) if by_time else b.count for b in known]
    if not any(weights):
        weights = [1] * len(known)
    mean = sum((b.mean or 0.0) * w for b, w in zip(known, weights, strict=True)) / sum(weights)
    return by_time, (
        words.value(min(b.min for b in known if b.min is not None), quantity),
        words.value(mean, quantity),
        words.value(max(b.max for b in known if b.max is not None), quantity),
    )


async def marks_of(
    site: Site, presenter: Presenter, charts: Charts, chosen: Range
) -> Mapping[str, Any]:
    """Ticks of the whole range for the chart, and the newest ones as sentences.

    Raises :class:`gateway.web.building.records.Unavailable`."""
    first, last = chosen.whole()
    subjects = charts.subjects
    kinds = [kind for kind in MARKED if not charts.kinds or kind.startswith(charts.kinds)]
    found = await site.records.counts(subjects, kinds, first, last, CHART_BUCKETS)
    rows = await site.records.marks(subjects, kinds, first, last, TABLE_ROWS)
    texts: dict[tuple[str, str], int] = {}
    marks = [
        [m.utc_ms / 1000, texts.setdefault((m.kind, m.subject), len(texts)), m.number]
        for m in found
    ]
    events: list[Told] = [tell(row, presenter) for row in reversed(rows)]
    return {
        "marks": marks,
        "texts": [[MARKED[kind], _text(kind, subject, presenter)] for kind, subject in texts],
        "subjects": list(subjects),
        "told": events,
        "total": sum(m.number for m in found),
    }


def _text(kind: str, subject: str, presenter: Presenter) -> str:
    word = presenter.w.get(f"fact.{kind}", kind)
    if kind.startswith("alarm_"):
        whom, _, alarm = subject.partition("/")
        return f"{word}: {presenter.alarm_text(alarm, whom, 'what')}"
    return f"{presenter.subject(subject)}: {word}"
