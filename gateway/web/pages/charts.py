"""What a chart and its table show of the chosen points: values, gaps, and what happened.

Gaps are found here, once, so that the chart and the table beside it tell the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise
from statistics import median
from typing import Any, NamedTuple

from gateway.journal.history import Bucket
from gateway.web.pages.ranges import Range
from gateway.web.scene import Scene
from gateway.web.site import Site
from gateway.web.telling import Told, tell
from gateway.web.words import Words

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


def gaps(
    buckets: list[Bucket], chosen: Range, now_utc_ms: int, heartbeat_ms: int | None
) -> list[Gap]:
    """Where a meter told nothing for longer than it ever should while it is well.

    Without a heartbeat that is several times its usual distance. Before the first value of the
    range nothing is said: the meter may be new."""
    first, last = chosen.whole()
    width = -((first - last) // CHART_BUCKETS)
    told = [bucket.utc_ms for bucket in buckets]
    if not told:
        return []
    steps = [after - before for before, after in pairwise(told)]
    usual = heartbeat_ms * 1.2 if heartbeat_ms else 3 * median(steps or [0])
    most = max(2.5 * width, usual)
    end = min(last, now_utc_ms)
    return [
        Gap(before + width, after)
        for before, after in zip(told, [*told[1:], end], strict=True)
        if after - before > most
    ]


async def series_of(site: Site, scene: Scene, point: str, chosen: Range) -> list[dict[str, Any]]:
    """One series per quantity of a meter, one lane for a contact or relay: what the chart draws,
    and the table that tells the same.

    Raises :class:`gateway.web.records.Unavailable`."""
    first, last = chosen.whole()
    told = (site.house.snapshot or {"points": {}})["points"][point]
    found = await site.records.history(point, told, first, last, CHART_BUCKETS)
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
        holes = gaps(
            buckets, chosen, site.house.now_utc_ms, site.options.terminals.heartbeats_ms.get(point)
        )
        label = words.get(f"quantity.{quantity}", quantity)
        title = f"{name}: {label}" if label else name
        unit = words.get(f"unit.{quantity}", quantity)
        summary = _summary(buckets, words)
        out.append(
            {
                "chart": {"title": title, "unit": unit, "summary": summary,
                          "buckets": _drawn(buckets, holes)},
                "table": {"title": title, "name": point, "unit": unit, "lane": False,
                          "summary": summary, "rows": _lines(buckets, holes, chosen, words),
                          "more": False},
            }
        )  # fmt: skip
    return out


def _summary(buckets: list[Bucket], words: Words) -> str:
    """What a chart shows, for who does not see it, and at once for everybody."""
    told = [b for b in buckets if b.count]
    if not told:
        return words("history.empty")
    return words(
        "history.summary",
        count=words.number(sum(b.count for b in told), 0),
        min=words.number(min(b.min for b in told if b.min is not None)),
        max=words.number(max(b.max for b in told if b.max is not None)),
        last=words.number(told[-1].mean or 0.0),
    )


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
    return words("history.lane_summary", count=words.number(len(changes), 0), share=share)


def _drawn(buckets: list[Bucket], holes: Iterable[Gap]) -> list[list[float | None]]:
    """Buckets as the chart takes them, with an empty one where a gap begins."""
    rows: list[list[float | None]] = [[b.utc_ms / 1000, *b[1:]] for b in buckets]
    rows += [[hole.from_utc_ms / 1000, None, None, None, 0] for hole in holes]
    return sorted(rows, key=lambda row: row[0] or 0)


def _lines(
    buckets: list[Bucket], holes: list[Gap], chosen: Range, words: Words
) -> list[dict[str, Any]]:
    """About :data:`TABLE_ROWS` lines of equal width, and one for each long gap."""
    first, last = chosen.whole()
    slot = -((first - last) // TABLE_ROWS)
    long = [hole for hole in holes if hole.to_utc_ms - hole.from_utc_ms >= slot]
    groups: dict[tuple[int, int], list[Bucket]] = {}
    passed = 0
    for bucket in buckets:
        while passed < len(long) and long[passed].from_utc_ms <= bucket.utc_ms:
            passed += 1
        groups.setdefault(((bucket.utc_ms - first) // slot, passed), []).append(bucket)
    lines = [(group[0].utc_ms, _line(group, words)) for group in groups.values()]
    for hole in long:
        until = words.moment(hole.to_utc_ms, ms=False)
        time = words.moment(hole.from_utc_ms, ms=False)
        lines.append((hole.from_utc_ms, {"time": time, "gap": words("history.gap", until=until)}))
    return [line for _, line in sorted(lines, key=lambda line: line[0])]


def _line(group: list[Bucket], words: Words) -> dict[str, Any]:
    time = words.moment(group[0].utc_ms, ms=False)
    count = sum(b.count for b in group)
    if not count:
        return {"time": time, "gap": words("history.silent")}
    mean = sum(b.mean * b.count for b in group if b.mean is not None) / count
    cells = (
        words.number(min(b.min for b in group if b.min is not None)),
        words.number(mean),
        words.number(max(b.max for b in group if b.max is not None)),
        words.number(count, 0),
    )
    return {"time": time, "cells": cells, "gap": ""}


def about(site: Site, points: list[str]) -> list[str]:
    """The points themselves and the doors and rooms they serve: whose events are marks."""
    owners = site.options.terminals.owners
    return list(dict.fromkeys([*(o for p in points for o in owners.get(p, ())), *points]))


async def marks_of(site: Site, scene: Scene, points: list[str], chosen: Range) -> Mapping[str, Any]:
    """Marks of the whole range for the chart, and the newest ones as sentences.

    Raises :class:`gateway.web.records.Unavailable`."""
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
