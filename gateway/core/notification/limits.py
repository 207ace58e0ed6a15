"""Limits on facts that anybody can cause at will.

Refusals (and requests that change nothing: merged, extended) are told at most ten times
a minute per issuer and reason; what comes beyond that is counted and told as one fact at
the end of the minute. So a finger on a button, a loose wire or a script fills no disk.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from gateway.core.facts import Fact, Json
from gateway.core.instant import Ms
from gateway.core.machine import Step, replace
from gateway.core.values import dataclass

PER_WINDOW = 10
WINDOW_MS: Ms = 60_000

Key = tuple[str, str, str, str]
"""Door or point, issuer, outcome, reason."""


@dataclass(frozen=True)
class Window:
    """One issuer and reason, in the minute that began at ``from_ms``."""

    from_ms: Ms
    seen: int


@dataclass(frozen=True)
class Limits:
    """The minutes that are running."""

    windows: Mapping[Key, Window] = field(default_factory=dict)
    wake_ms: Ms | None = None


def wake_at(limits: Limits) -> Ms | None:
    """The end of the earliest minute."""
    return limits.wake_ms


def limited(fact: Fact) -> bool:
    """Whether this fact is one that has to pass here."""
    if fact.kind == "door_request":
        return fact.data["outcome"] != "accepted"
    return fact.kind == "command_refused"


def step(limits: Limits, event: Fact | None, now: Ms) -> Step[Limits]:
    """A fact wants to be told, or time: the facts of the step are those that are told."""
    if event is None:
        return _minute_over(limits, now)
    data = event.data
    issuer = data.get("by") or data.get("activator") or ""
    key = (event.subject, str(issuer), str(data.get("outcome", "refused")), str(data["reason"]))
    window = limits.windows.get(key)
    window = Window(now, 1) if window is None else replace(window, seen=window.seen + 1)
    wake_ms = limits.wake_ms if limits.wake_ms is not None else now + WINDOW_MS
    after = Limits({**limits.windows, key: window}, wake_ms)
    return Step(after, (event,) if window.seen <= PER_WINDOW else ())


def _minute_over(limits: Limits, now: Ms) -> Step[Limits]:
    facts: list[Fact] = []
    running: dict[Key, Window] = {}
    for key, window in limits.windows.items():
        if window.from_ms + WINDOW_MS > now:
            running[key] = window
        elif window.seen > PER_WINDOW:
            subject, issuer, outcome, reason = key
            data: dict[str, Json] = {
                "outcome": outcome,
                "reason": reason,
                "by": issuer,
                "count": window.seen - PER_WINDOW,
                "window_ms": WINDOW_MS,
            }
            facts.append(Fact("refusals_counted", subject, now, data))
    wake_ms = min((window.from_ms + WINDOW_MS for window in running.values()), default=None)
    return Step(Limits(running, wake_ms), tuple(facts))
