"""Counters, drift and gaps in words and as small pictures, for the page of maintenance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from statistics import median

from babel.dates import format_date

from gateway.core.snapshot_types import DoorShown, PointShown
from gateway.web.maintenance.queries import Gaps, Month
from gateway.web.presenter.presenter import Presenter
from gateway.web.shared.words import Words
from gateway.web.storage.weeks import WEEKS, Week

ENOUGH = 5
"""A week with fewer openings says nothing about the drive."""
APART = timedelta(weeks=4)
SAME_MS = 150
"""A smaller difference is none: nobody would notice it."""
WIDTH, HEIGHT, EDGE = 260, 64, 5
SIGNAL = {"rssi_dbm": "signal", "battery_percent": "battery", "battery_v": "battery"}


@dataclass(frozen=True, slots=True)
class Drift:
    """``than_ms`` later (or earlier) than in the weeks from ``since`` on; both ``None`` while
    there are too few openings to say."""

    since: date | None
    than_ms: int | None


def drift(weeks: Sequence[Week]) -> Drift:
    """The last two good weeks against the first two."""
    good = [week for week in weeks if week.openings >= ENOUGH and week.median_ms is not None]
    if len(good) < 2 or good[-1].monday - good[0].monday < APART:
        return Drift(None, None)
    first, last = (
        median(week.median_ms or 0 for week in some)
        for some in ([w for w in good[:2] if w.monday < good[-1].monday - APART] or good[:1],
                     [w for w in good[-2:] if w.monday > good[0].monday + APART] or good[-1:])
    )  # fmt: skip
    return Drift(good[0].monday, int(last - first))


def drift_text(w: Words, found: Drift) -> str:
    """One plain sentence: "opens 0.8 s later than in March"."""
    if found.since is None or found.than_ms is None:
        return w("maintenance.drift_few", openings=ENOUGH)
    middle = found.since + timedelta(days=3)  # a week belongs to the month of its Thursday
    month = format_date(middle, "LLLL", locale=w.language)
    if abs(found.than_ms) < SAME_MS:
        return w("maintenance.drift_same", month=month)
    key = "maintenance.drift_later" if found.than_ms > 0 else "maintenance.drift_sooner"
    return w(key, seconds=w.number(abs(found.than_ms) / 1000, 1), month=month)


@dataclass(frozen=True, slots=True)
class Picture:
    """Lines and dots of the weeks in a box of :data:`WIDTH` x :data:`HEIGHT`."""

    lines: tuple[str, ...]
    dots: tuple[tuple[float, float], ...]
    text: str
    low: str
    high: str
    begin: str
    width: int = WIDTH
    height: int = HEIGHT


def picture(w: Words, weeks: Sequence[Week]) -> Picture | None:
    """The weekly medians drawn from zero, so that a small change looks small; a week without
    openings is a gap. ``None`` where there is nothing to compare."""
    told = [(week.monday, week.median_ms) for week in weeks if week.median_ms is not None]
    if len(told) < 2:
        return None
    newest, top = weeks[-1].monday, max(took for _, took in told)
    runs: list[list[tuple[float, float]]] = []
    before: date | None = None
    for monday, took in told:
        weeks_ago = (newest - monday).days // 7
        x = WIDTH - EDGE - weeks_ago * (WIDTH - 2 * EDGE) / (WEEKS - 1)
        y = HEIGHT - EDGE - took * (HEIGHT - 2 * EDGE) / max(1, top)
        if before is None or monday - before > timedelta(weeks=1):
            runs.append([])
        runs[-1].append((round(x, 1), round(y, 1)))
        before = monday
    low, high = (w.seconds(pick(took for _, took in told)) for pick in (min, max))
    begin = day(w, told[0][0])
    text = w.plural("maintenance.drift_alt", len(told), begin=begin, low=low, high=high,
             last=w.seconds(told[-1][1]))  # fmt: skip
    return Picture(
        tuple(" ".join(f"{x},{y}" for x, y in run) for run in runs if len(run) > 1),
        tuple(spot for run in runs for spot in run),
        text, low, high, begin,
    )  # fmt: skip


def day(w: Words, date: date) -> str:
    """A date as this language writes it."""
    return w.day(datetime.combine(date, time(12), UTC).timestamp())


@dataclass(frozen=True, slots=True)
class DoorUpkeep:
    id: str
    name: str
    openings: str
    requests: str
    refusals: tuple[tuple[str, str], ...]
    """Why, and how often; the most frequent first."""
    missed: str
    sentence: str
    compared: bool
    """Whether there were enough openings to say something."""
    picture: Picture | None
    weeks: tuple[tuple[str, str, str], ...]


def door_upkeep(
    presenter: Presenter, id: str, door: DoorShown, missed: int, weeks: Sequence[Week]
) -> DoorUpkeep:
    """A door of the snapshot with what the journal knows of it."""
    w, counters = presenter.w, door.get("counters") or {}
    refusals = sorted((counters.get("refusals") or {}).items(), key=lambda item: -item[1])
    return DoorUpkeep(
        id=id,
        name=str(door.get("name") or id),
        openings=w.number(counters.get("openings") or 0, 0),
        requests=w.number(counters.get("requests") or 0, 0),
        refusals=tuple((presenter.reason(r).rstrip("."), w.number(n, 0)) for r, n in refusals),
        missed=w.number(missed, 0),
        sentence=drift_text(w, drift(weeks)),
        compared=drift(weeks).since is not None,
        picture=picture(w, weeks),
        weeks=tuple(
            (day(w, week.monday), w.number(week.openings, 0),
             w.seconds(week.median_ms))
            for week in reversed(weeks)
        ),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class MeterUpkeep:
    """``gaps``: what is missing, each with whether it is a fault."""

    id: str
    name: str
    heard: str
    battery: str
    signal: str
    gaps: tuple[tuple[str, str, bool], ...]


def meter_upkeep(presenter: Presenter, point: PointShown, gaps: Gaps) -> MeterUpkeep:
    """A meter of the snapshot with its gaps."""
    w, told = presenter.w, {"signal": "", "battery": ""}
    quantities = point.get("quantities") or {}
    for quantity, part in SIGNAL.items():
        found = quantities.get(quantity)
        value = found.get("value") if found else None
        if value is not None:
            told[part] = w.measured(value, quantity)
    heard = max((q["at_ms"] for q in quantities.values() if q.get("value") is not None), default=0)
    hours = {"empty": w.number(gaps.empty_hours, 0), "hours": w.number(gaps.hours, 0)}
    empty = w("maintenance.of_hours", **hours) if gaps.hours else "–"
    return MeterUpkeep(
        id=gaps.point,
        name=presenter.terminals.name(w, gaps.point),
        heard=presenter.at(heard or None) or w("maintenance.never"),
        battery=told["battery"],
        signal=told["signal"],
        gaps=(
            ("refused", w.number(gaps.refused, 0), gaps.refused > 0),
            ("silent", w.number(gaps.silent, 0), gaps.silent > 0),
            ("empty", empty, gaps.empty_hours > 0),
        ),
    )


@dataclass(frozen=True, slots=True)
class MonthUpkeep:
    month: str
    calls: str
    tests: str
    seen: str
    attended: str
    ended: str


def month_upkeep(w: Words, month: Month) -> MonthUpkeep:
    first = date.fromisoformat(f"{month.month}-01")
    spans = (month.acknowledged_ms, month.attended_ms, month.cancelled_ms)
    return MonthUpkeep(
        format_date(first, "LLLL yyyy", locale=w.language),
        w.number(month.calls, 0),
        w.number(month.tests, 0),
        *("–" if span is None else w.running(span) for span in spans),
    )
