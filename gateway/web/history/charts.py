"""What a chart and its table show of the chosen points: values, gaps, and what happened.

Gaps are found here, once, so that the chart and the table beside it tell the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any, NamedTuple

from gateway.journal.past.history import STEPS_MS, Bucket, grid
from gateway.web.history.ranges import Range
from gateway.web.scene.facts import Told, tell
from gateway.web.scene.scene import Scene
from gateway.web.shared.words import DIGITS, Words
from gateway.web.site import Site

CHART_BUCKETS = 600
TABLE_ROWS = 48
MARKED = {
    "door_opened": "door", "door_mode": "door", "door_service": "door", "fire_alarm": "call",
    "call_raised": "call", "call_acknowledged": "call", "call_attended": "call",
    "call_cancelled": "call", "leak": "alarm", "alarm_raised": "alarm",
    "alarm_acknowledged": "alarm", "alarm_cleared": "alarm",
}  # fmt: skip
"""Kinds of facts that stand as marks in a chart, and as what."""


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


async def series_of(site: Site, scene: Scene, point: str, chosen: Range) -> list[dict[str, Any]]:
    """One series per quantity of a meter, one lane for a contact or relay: what the chart draws,
    and the table that tells the same.

    Raises :class:`gateway.web.house.records.Unavailable`."""
    told = site.house.points[point]
    now = site.house.now_utc_ms
    grid = Grid.of(chosen, now, site.options.zone)
    ends = (grid.begin_utc_ms, grid.end_utc_ms) if told["kind"] == "meter" else chosen.whole()
    found = await site.records.history(point, told, *ends, grid.number, now)
    name, words = site.options.terminals.name(scene.w, point), scene.w
    if found.lane:
        kind = "relay" if told["kind"] == "relay" else "contact"
        texts = {
            level: words(f"level.{kind}_{key}")
            for level, key in ((True, "on"), (False, "off"), (None, "unknown"))
        }
        lines = [(words.moment(at), texts[active]) for at, active in found.changes]
        summary = _lane_summary(found.changes, chosen, site.house.now_utc_ms, words)
        return [
            {
                "chart": {
                    "title": name,
                    "summary": summary,
                    "on": texts[True],
                    "off": texts[False],
                    "changes": [[at / 1000, active] for at, active in found.changes],
                },
                "table": {"title": name, "name": point, "unit": "", "lane": True,
                          "summary": summary, "rows": lines[-TABLE_ROWS:],
                          "more": len(lines) > TABLE_ROWS},
            }
        ]  # fmt: skip
    out = []
    for quantity, buckets in found.quantities.items():
        holes = gaps(buckets, grid)
        label = words.get(f"quantity.{quantity}", quantity)
        title = f"{name}: {label}" if label else name
        unit = words.get(f"unit.{quantity}", quantity)
        summary = _summary(buckets, quantity, words)
        by_time = all(bucket.covered_ms is not None for bucket in buckets)
        out.append(
            {
                "chart": {"title": title, "unit": unit, "summary": summary,
                          "digits": DIGITS.get(quantity, 2), "buckets": _drawn(buckets, grid)},
                "table": {"title": title, "name": point, "unit": unit, "lane": False,
                          "summary": summary, "rows": _lines(buckets, holes, grid, quantity, words),
                          "more": False, "by_time": by_time},
            }
        )  # fmt: skip
    return out


def _summary(buckets: list[Bucket], quantity: str, words: Words) -> str:
    """What a chart shows, for who does not see it, and at once for everybody."""
    known = [b for b in buckets if b.mean is not None]
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


def _lane_summary(
    changes: list[tuple[int, bool | None]], chosen: Range, now_utc_ms: int, words: Words
) -> str:
    if not changes:
        return words("history.empty")
    first, last = chosen.whole()
    ends = [*(max(at, first) for at, _ in changes[1:]), min(last, now_utc_ms)]
    active = sum(
        max(0, end - max(at, first))
        for (at, is_active), end in zip(changes, ends, strict=True)
        if is_active
    )
    share = words.number(100 * active / (last - first))
    return words.plural("history.lane_summary", len(changes), share=share)


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
        until = words.moment(hole.to_utc_ms, ms=False)
        time = words.moment(hole.from_utc_ms, ms=False)
        lines.append((hole.from_utc_ms, {"time": time, "gap": words("history.gap", until=until)}))
    return [line for _, line in sorted(lines, key=lambda line: line[0])]


def _line(begin: int, group: list[Bucket], quantity: str, words: Words) -> dict[str, Any]:
    time = words.moment(begin, ms=False)
    known = [bucket for bucket in group if bucket.mean is not None]
    if not known:
        return {"time": time, "gap": words("history.silent")}
    by_time = all(bucket.covered_ms is not None for bucket in known)
    weights = [(b.covered_ms or 0) if by_time else b.count for b in known]
    if not any(weights):
        weights = [1] * len(known)
    mean = sum((b.mean or 0.0) * w for b, w in zip(known, weights, strict=True)) / sum(weights)
    cells = (
        words.value(min(b.min for b in known if b.min is not None), quantity),
        words.value(mean, quantity) + ("" if by_time else "*"),
        words.value(max(b.max for b in known if b.max is not None), quantity),
        words.number(sum(b.count for b in known), 0),
    )
    return {"time": time, "cells": cells, "gap": ""}


def about(site: Site, points: list[str]) -> list[str]:
    """The points themselves and the doors and rooms they serve: whose events are marks."""
    owners = site.options.terminals.owners
    return list(dict.fromkeys([*(o for p in points for o in owners.get(p, ())), *points]))


async def marks_of(site: Site, scene: Scene, points: list[str], chosen: Range) -> Mapping[str, Any]:
    """Marks of the whole range for the chart, and the newest ones as sentences.

    Raises :class:`gateway.web.house.records.Unavailable`."""
    first, last = chosen.whole()
    subjects = about(site, points)
    found = await site.records.counts(subjects, MARKED, first, last, CHART_BUCKETS)
    rows = await site.records.marks(subjects, MARKED, first, last, TABLE_ROWS)
    texts: dict[tuple[str, str], int] = {}
    marks = [
        [m.utc_ms / 1000, texts.setdefault((m.kind, m.subject), len(texts)), m.number]
        for m in found
    ]
    told: list[Told] = [tell(row, scene) for row in reversed(rows)]
    return {
        "marks": marks,
        "texts": [[MARKED[kind], _text(kind, subject, scene)] for kind, subject in texts],
        "subjects": subjects,
        "told": told,
        "total": sum(m.number for m in found),
    }


def _text(kind: str, subject: str, scene: Scene) -> str:
    word = scene.w.get(f"fact.{kind}", kind)
    if kind.startswith("alarm_"):
        whom, _, alarm = subject.partition("/")
        return f"{word}: {scene.alarm_text(alarm, whom, 'what')}"
    return f"{scene.subject(subject)}: {word}"
