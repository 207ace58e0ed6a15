"""The system status over time in words and bars: what the template prints."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from gateway.core.instant import Ms, UtcMs
from gateway.web.building.guarantees import guarantees
from gateway.web.history.logbook_lines import lasted
from gateway.web.presenter.presenter import Presenter
from gateway.web.presenter.view_models import GuaranteeView, PointView
from gateway.web.system.availability import (
    STATES,
    Change,
    Day,
    Span,
    State,
    borders,
    days,
    share,
    spans,
    total,
    uncounted,
)
from gateway.web.system.promises import BREAKS
from gateway.web.system.reading import Past
from gateway.wire import calendar_time

DAYS = 30
HIGH = 32
"""The height of a bar, in the units of the picture."""
LEAST = 5
"""So much of a bar a fault has at least, however short it was."""
TROUBLES_MOST = 10
RESTART_MS = 60_000
REST_MOST = 0.9
"""Where more is not known than this, a share of the rest would say more than is known."""
REST_LEAST = 0.0005
"""A smaller share that is counted neither way (some minutes) is named day by day only."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One day of a picture. ``parts``: (top, height, state), from above. ``text`` says the same."""

    x: int
    parts: tuple[tuple[int, int, State], ...]
    text: str


@dataclass(frozen=True, slots=True)
class Record:
    """A guarantee as a record: what it promises, the evidence, its age, what breaks it."""

    promise: str
    evidence: str
    age: str
    void_after: str
    breaks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Watched:
    """One guarantee or sensor: how it is now, and how it was. ``share``: "99,8 %", or empty;
    ``rest``: what is counted neither way. ``summary`` says what the picture shows."""

    id: str
    name: str
    value: str
    value_text: str
    detail: str
    share: str
    rest: str
    bars: tuple[Bar, ...]
    summary: str
    troubles: tuple[str, ...]
    more_troubles: str
    days: tuple[str, ...]
    record: Record | None = None

    @property
    def troubled(self) -> bool:
        return self.value != "yes" or bool(self.troubles)


@dataclass(frozen=True, slots=True)
class SystemView:
    guarantees: tuple[Watched, ...]
    sensors: tuple[Watched, ...]
    first: str
    last: str


def begin_of(presenter: Presenter) -> UtcMs:
    """The first instant that the picture shows."""
    return borders(_today(presenter), DAYS, presenter.w.zone)[0][1]


def system_view(presenter: Presenter, past: Past, now_utc_ms: UtcMs) -> SystemView:
    """Everything that is promised or watched, over the last :data:`DAYS` days."""
    limits = borders(_today(presenter), DAYS, presenter.w.zone)
    drawing = _Drawing(presenter, past, limits, now_utc_ms)
    return SystemView(
        tuple(drawing.guarantee(one) for one in presenter.guarantees),
        tuple(drawing.sensor(point) for point in presenter.points),
        presenter.w.heading(limits[0][0], limits[-1][0]),
        presenter.w.heading(limits[-1][0], limits[-1][0]),
    )


def _today(presenter: Presenter) -> date:
    return calendar_time(presenter.control.now_utc_ms, presenter.w.zone).date()


class _Drawing:
    """Bars and sentences of one page."""

    def __init__(
        self,
        presenter: Presenter,
        past: Past,
        limits: Sequence[tuple[date, UtcMs, UtcMs]],
        now_utc_ms: UtcMs,
    ) -> None:
        self._presenter, self._past, self._limits = presenter, past, limits
        self._now = now_utc_ms
        self._reported = guarantees(presenter.control)

    def guarantee(self, one: GuaranteeView) -> Watched:
        w = self._presenter.w
        found = self._spans(self._past.changes.get(one.name, ()), survives=False)
        off = one.value == "not_configured"
        words = w("system.off" if off else f"system.{one.value}")
        said = self._since(words, one.value, found) or f"{words} {one.since}".rstrip()
        if one.value == "unknown" and one.since:
            said = self._since(words, one.value, found) or one.since
        detail = "" if off else one.detail
        return self._watched(
            one.name, one.text, (one.value, said), detail, found, self._record(one)
        )

    def sensor(self, point: PointView) -> Watched:
        w = self._presenter.w
        found = self._spans(self._past.sensors.get(point.id, ()), survives=True)
        value = "yes" if point.known and not point.faults else "no" if point.faults else "unknown"
        if self._presenter.control.stale:
            value = "unknown"
        words = w(f"system.sensor_{value}")
        said = self._since(words, value, found) or words
        return self._watched(point.id, point.name, (value, said), point.faults, found)

    def _since(self, words: str, value: str, found: list[Span]) -> str:
        """Since when it is as it is now, where the journal says more of it than ``control`` does,
        which looks anew at each start. A restart of less than a minute is passed over."""
        state = "off" if value == "not_configured" else value
        if (
            self._presenter.control.stale
            or not found
            or found[-1].state != state
            or state == "unknown"
        ):
            return ""
        begin = found[-1].from_utc_ms
        for span in reversed(found):
            if span.state != state and not (span.state == "unknown" and span.ms <= RESTART_MS):
                break
            begin = span.from_utc_ms if span.state == state else begin
        if begin <= self._limits[0][1]:
            return self._presenter.w("system.since_before", text=words)
        since = self._presenter.w("state.since", time=self._presenter.utc(begin))
        return f"{words} {since}"

    def _spans(self, changes: Sequence[Change], *, survives: bool) -> list[Span]:
        within = (self._limits[0][1], self._now)
        return spans(changes, self._past.runs, within, survives=survives)

    def _watched(
        self,
        id: str,
        name: str,
        value: tuple[str, str],
        detail: str,
        found: list[Span],
        record: Record | None = None,
    ) -> Watched:
        w = self._presenter.w
        by_day = days(found, self._limits, self._now)
        ms = total(found)
        whole, rest = share(ms), uncounted(ms)
        tells = whole is not None and rest < REST_MOST
        share_text = percent(whole, self._presenter) if whole is not None and tells else ""
        rest_text = w("system.rest", share=percent(rest, self._presenter, up=True))
        if rest < REST_LEAST or (whole is None and value[0] == "not_configured"):
            rest_text = ""
        elif whole is not None and not tells:
            rest_text = w("system.known_only", duration=w.ago(ms["yes"] + ms["no"]))
        troubles = [self._trouble(span) for span in found if span.state == "no"]
        more = len(troubles) - TROUBLES_MOST
        said = [share_text if whole is not None else w("system.nothing_known")]
        said.append("" if whole is None else rest_text)
        if troubles:
            said.append(w.plural("system.troubles", len(troubles)))
        return Watched(
            id=id,
            name=name,
            value=value[0],
            value_text=value[1],
            detail=detail,
            share=share_text,
            rest=rest_text,
            bars=tuple(self._bar(place, day) for place, day in enumerate(by_day)),
            summary=w("system.summary", name=name, text=", ".join(filter(None, said))),
            troubles=tuple(troubles[::-1][:TROUBLES_MOST]),
            more_troubles=w.plural("system.more_troubles", more) if more > 0 else "",
            days=tuple(self._day_text(day) for day in reversed(by_day) if _incomplete(day)),
            record=record,
        )

    def _record(self, one: GuaranteeView) -> Record:
        presenter, w = self._presenter, self._presenter.w
        told = self._reported[one.name]
        evidence_ms, void_ms = told.get("evidence_ms"), told.get("void_after_ms")
        known = evidence_ms is not None and not presenter.control.stale
        age_ms = (
            presenter.control.now_ms - evidence_ms if known and evidence_ms is not None else None
        )
        return Record(
            promise=w.get(f"system.promise_{one.name}", one.text),
            evidence=w.get(f"system.evidence_{one.name}"),
            age=w("system.no_evidence") if age_ms is None else w.ago(age_ms),
            void_after=lasted(void_ms, presenter) if void_ms else "",
            breaks=tuple(presenter.why(reason) for reason in BREAKS.get(one.name, ())),
        )

    def _bar(self, place: int, day: Day) -> Bar:
        return Bar(place * 10, tuple(_parts(day.ms)), self._day_text(day))

    def _day_text(self, day: Day) -> str:
        w = self._presenter.w
        if not any(day.ms.values()):
            return w("system.day_empty", day=w.date(day.day.isoformat()))
        said = ["" if day.share is None else percent(day.share, self._presenter)]
        said += [
            w(f"system.day_{state}", duration=self._lasted(day.ms[state]))
            for state in ("no", "unknown", "off")
            if day.ms[state]
        ]
        text = " · ".join(filter(None, said))
        return w("system.day", day=w.date(day.day.isoformat()), text=text)

    def _trouble(self, span: Span) -> str:
        presenter, w = self._presenter, self._presenter.w
        begin = w.clock(span.from_utc_ms, self._now)
        same = calendar_time(span.from_utc_ms, w.zone).date() == (
            calendar_time(span.to_utc_ms, w.zone).date()
        )
        end = w.time_of_day(span.to_utc_ms) if same else w.clock(span.to_utc_ms, self._now)
        if span.to_utc_ms >= self._now:
            end = w("system.until_now")
        reason = w.get(f"point_fault.{span.reason}") or presenter.guarantee_reason(
            {"reason": span.reason, "about": span.about}
        )
        return w(
            "system.trouble", begin=begin, end=end, duration=self._lasted(span.ms),
            reason=(reason or w("system.no_reason")).rstrip("."),
        )  # fmt: skip

    def _lasted(self, ms: Ms) -> str:
        return lasted(ms, self._presenter)


def percent(share: float, presenter: Presenter, *, up: bool = False) -> str:
    """A share with one decimal, two near the whole: what was not always so is never 100 %, and
    what was so at times is never 0 (``up``)."""
    digits = 2 if 0.999 <= share < 1 else 1
    scaled = share * 100 * 10**digits
    # a hair more or less than a whole number is that number
    steps = math.ceil(scaled - 1e-6) if up else math.floor(scaled + 1e-6)
    if share < 1:
        steps = min(steps, 100 * 10**digits - 1)
    return f"{presenter.w.number(steps / 10**digits, digits)}\u202f%"


def _incomplete(day: Day) -> bool:
    return any(day.ms[state] for state in STATES if state != "yes")


def _parts(ms: dict[State, Ms]) -> Iterator[tuple[int, int, State]]:
    """The parts of a bar from above: what was good, what nobody knows, what was bad. Each that
    there was has a height."""
    whole = sum(ms.values())
    if not whole:
        return
    heights: dict[State, int] = {}
    for state in ("no", "unknown", "off"):
        high = round(HIGH * ms[state] / whole)
        if ms[state] and (high or state == "no"):
            heights[state] = max(LEAST, high) if state == "no" else high
    rest = HIGH - sum(heights.values())
    if ms["yes"] and rest > 0:
        heights["yes"] = rest
    elif rest and heights:
        grave = next(iter(heights))
        heights[grave] += rest
    top = 0
    order: tuple[State, ...] = ("yes", "off", "unknown", "no")
    for state in order:
        if state in heights:
            yield top, heights[state], state
            top += heights[state]
