"""How long a guarantee was fulfilled, a sensor in order: spans of time, days, shares.

Pure: civil time in, civil time out. What nobody has observed (``control`` did not run, or had no
evidence) is *unknown*, what is not set up is *off*; neither is counted for or against.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta, tzinfo
from typing import Literal, NamedTuple

from gateway.core.instant import Ms, UtcMs
from gateway.wire import utc_ms_of

State = Literal["yes", "no", "unknown", "off"]
STATES: tuple[State, ...] = ("yes", "no", "unknown", "off")
NOT_RUNNING = "not_running"


class Change(NamedTuple):
    """From ``utc_ms`` on it is so, for this reason."""

    utc_ms: UtcMs
    state: State
    reason: str = ""
    about: str = ""


class Span(NamedTuple):
    """``to_utc_ms`` is not included."""

    from_utc_ms: UtcMs
    to_utc_ms: UtcMs
    state: State
    reason: str = ""
    about: str = ""

    @property
    def ms(self) -> Ms:
        return self.to_utc_ms - self.from_utc_ms


class Run(NamedTuple):
    """``control`` ran from an instant until another one."""

    from_utc_ms: UtcMs
    to_utc_ms: UtcMs


def spans(
    changes: Iterable[Change],
    runs: Sequence[Run],
    within: tuple[UtcMs, UtcMs],
    *,
    survives: bool = False,
) -> list[Span]:
    """What was so between two instants, without a gap, equal neighbours joined.

    A change applies until the next one, at most to the end of its run; outside of runs everything
    is unknown. ``survives``: what was so before a run is so in it, too (an alarm that stands)."""
    ordered = sorted(changes, key=lambda change: change.utc_ms)
    times = [change.utc_ms for change in ordered]
    begin, end = within
    found: list[Span] = []
    at = begin
    for run in sorted(runs):
        first, last = max(run.from_utc_ms, at), min(run.to_utc_ms, end)
        if last <= first:
            continue
        _put(found, Span(at, first, "unknown", NOT_RUNNING))
        valid_from = None if survives else run.from_utc_ms
        for span in _along(ordered, times, first, last, valid_from):
            _put(found, span)
        at = last
    _put(found, Span(at, end, "unknown", NOT_RUNNING))
    return found


def _along(
    ordered: list[Change], times: list[UtcMs], first: UtcMs, last: UtcMs, valid_from: UtcMs | None
) -> Iterator[Span]:
    """The spans of one run."""
    place = bisect_right(times, first)
    state: Change | None = ordered[place - 1] if place else None
    if state is not None and valid_from is not None and state.utc_ms < valid_from:
        state = None
    at = first
    for change in [*ordered[place:], None]:
        until = last if change is None else min(last, change.utc_ms)
        if state is None:
            yield Span(at, until, "unknown")
        else:
            yield Span(at, until, state.state, state.reason, state.about)
        if change is None or change.utc_ms >= last:
            return
        at, state = until, change


def _put(found: list[Span], span: Span) -> None:
    if span.ms <= 0:
        return
    if found and found[-1][2:] == span[2:]:
        span = found.pop()._replace(to_utc_ms=span.to_utc_ms)
    found.append(span)


def faults(facts: Iterable[tuple[UtcMs, str, bool]], known_from: UtcMs | None) -> list[Change]:
    """Changes of a sensor from its alarms in order, (instant, kind, raised). ``known_from``: since
    when it is known at all; before it has said anything nobody can know how it was. An alarm that
    ends and was never raised has stood since then."""
    if known_from is None:
        return []
    told = sorted(facts)
    raised: set[str] = set()
    standing: dict[str, None] = {}
    for _utc_ms, kind, up in told:
        if up:
            raised.add(kind)
        elif kind not in raised:
            standing[kind] = None
            raised.add(kind)
    first = next(iter(standing), "")
    changes = [Change(known_from, "no" if standing else "yes", first)]
    for utc_ms, kind, up in told:
        if up:
            standing[kind] = None
        else:
            standing.pop(kind, None)
        reason = next(iter(standing), "")
        changes.append(Change(max(utc_ms, known_from), "no" if standing else "yes", reason))
    return changes


# --- days


@dataclass(frozen=True, slots=True)
class Day:
    """One day of the building's zone, 23 to 25 hours, as far as it has passed. ``spans``: its
    parts in order."""

    day: date
    from_utc_ms: UtcMs
    to_utc_ms: UtcMs
    spans: tuple[Span, ...]
    ms: dict[State, Ms] = field(default_factory=dict)

    @property
    def share(self) -> float | None:
        return share(self.ms)


def borders(today: date, number: int, zone: tzinfo) -> list[tuple[date, UtcMs, UtcMs]]:
    """The ``number`` days up to today with their first instant and that of the next day."""
    days = [today - timedelta(days=back) for back in range(number - 1, -1, -1)]
    return [(day, _midnight(day, zone), _midnight(day + timedelta(days=1), zone)) for day in days]


def _midnight(day: date, zone: tzinfo) -> UtcMs:
    return utc_ms_of(datetime.combine(day, time()), zone)


def days(
    found: Sequence[Span], limits: Iterable[tuple[date, UtcMs, UtcMs]], now_utc_ms: UtcMs
) -> list[Day]:
    """The spans, day by day; what lies in the future is nothing yet."""
    made = []
    for day, first, after in limits:
        last = min(after, now_utc_ms)
        parts = tuple(
            span._replace(
                from_utc_ms=max(span.from_utc_ms, first), to_utc_ms=min(span.to_utc_ms, last)
            )
            for span in found
            if span.from_utc_ms < last and span.to_utc_ms > first
        )
        made.append(Day(day, first, after, parts, total(parts)))
    return made


def total(found: Iterable[Span]) -> dict[State, Ms]:
    """How long each state lasted."""
    ms: dict[State, Ms] = dict.fromkeys(STATES, 0)
    for span in found:
        ms[span.state] += span.ms
    return ms


def share(ms: dict[State, Ms]) -> float | None:
    """The share of *yes* in the time in which it was known; ``None`` where it never was."""
    known = ms["yes"] + ms["no"]
    return ms["yes"] / known if known else None


def uncounted(ms: dict[State, Ms]) -> float:
    """The share of the time that is counted neither way."""
    whole = sum(ms.values())
    return (ms["unknown"] + ms["off"]) / whole if whole else 0.0
