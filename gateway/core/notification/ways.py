"""The newest message by each way to a receiver: whether it arrived, and when one last did.

A *way* is one channel of one receiver. Whether a message would go out cannot be seen from the
configuration; that one has arrived can. Kept over a restart, and changed only by the fact
``message``, so that nothing is written at rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gateway.core.facts import Fact, Json
from gateway.core.instant import NEVER, At, ClockKnown, Ms
from gateway.core.machine import Step, replace
from gateway.core.plan import BuildingPlan
from gateway.core.saved_values import (
    FLAG,
    INSTANT,
    TEXT,
    WHOLE,
    Field,
    Kind,
    Times,
    list_of,
    row_of,
)
from gateway.core.values import dataclass

Way = tuple[str, int]
"""A receiver and the number of one of its channels, from 0."""

NOT_TRIED = "notify_away"
"""The message failed before anybody tried to hand it over."""


@dataclass(frozen=True)
class WayState:
    """What is known of one way. ``ok``: the newest attempt has arrived, else ``reason`` says why
    not. ``delivered``: when a message last arrived."""

    receiver: str
    channel: int
    ok: bool
    reason: str
    at: At
    delivered: At = NEVER


WayStates = Mapping[Way, WayState]


@dataclass(frozen=True)
class MessageFacts:
    """Facts of messages. ``offset_ms``: UTC minus monotonic, where it is known."""

    facts: tuple[Fact, ...]
    offset_ms: int | None


def step(before: WayStates, event: MessageFacts | ClockKnown, now: Ms) -> Step[WayStates]:
    """Take note of messages, or of the clock."""
    if isinstance(event, MessageFacts):
        return Step(noted(before, event.facts, event.offset_ms))
    return Step(with_clock(before, event.offset_ms, now))


def noted(before: WayStates, facts: Iterable[Fact], offset_ms: int | None) -> WayStates:
    """The ways after these facts; the very same mapping where none is of a message that
    was delivered or has failed. ``offset_ms``: UTC minus monotonic, where it is known."""
    after = before
    for fact in facts:
        data = fact.data
        result, reason = data.get("result"), str(data.get("reason") or "")
        if fact.kind != "message" or result not in ("delivered", "failed") or reason == NOT_TRIED:
            continue
        receiver, channel = data["receiver"], data["channel"]
        assert isinstance(receiver, str) and isinstance(channel, int)  # noqa: S101, PT018 - ours
        at, was = At(fact.at_ms, At(fact.at_ms).utc_by(offset_ms)), after.get((receiver, channel))
        ok = result == "delivered"
        delivered = at if ok else NEVER if was is None else was.delivered
        one = WayState(receiver, channel, ok, reason, at, delivered)
        after = {**after, (receiver, channel): one}
    return after


def with_clock(before: WayStates, offset_ms: int | None, now: Ms) -> WayStates:
    """Instants of this boot get their time, those of another boot their place in this one, once
    the clock is known."""
    if offset_ms is None:
        return before
    return {
        way: replace(
            one,
            at=one.at.placed(offset_ms, now),
            delivered=one.delivered.placed(offset_ms, now),
        )
        for way, one in before.items()
    }


def ways_of(plan: BuildingPlan) -> Mapping[str, tuple[Way, ...]]:
    """Receiver -> its ways, in the order in which they are tried."""
    return {
        one.id: tuple((one.id, channel) for channel in range(one.channels))
        for one in plan.receivers
    }


_ROWS: Kind[tuple[WayState, ...]] = list_of(
    row_of(
        WayState,
        Field("receiver", TEXT),
        Field("channel", WHOLE),
        Field("ok", FLAG),
        Field("reason", TEXT),
        Field("at", INSTANT, NEVER),
        Field("delivered", INSTANT, NEVER),
    )
)


def _read(value: Json, times: Times) -> WayStates:
    return {(one.receiver, one.channel): one for one in _ROWS.read(value, times) or ()}


SAVED: Kind[WayStates] = Kind(
    _read, lambda states, times: _ROWS.write(tuple(states.values()), times)
)
"""What survives a restart: a row for each way."""


def restored(plan: BuildingPlan, was: WayStates, since: WayStates) -> WayStates:
    """The states of before the restart, and those ``since``, without ways that no longer exist."""
    known = {way for ways in ways_of(plan).values() for way in ways}
    found = {way: one for way, one in was.items() if way in known}
    for way, one in since.items():
        before = found.get(way)
        keeps = before is not None and one.delivered == NEVER
        found[way] = replace(one, delivered=before.delivered) if before and keeps else one
    return found


def latest(states: WayStates, ways: Iterable[Way]) -> Ms | None:
    """When a message last arrived by one of these ways, as far as its instant is known in this
    boot."""
    known = (one.delivered.ms for way in ways if (one := states.get(way)) is not None)
    return max((ms for ms in known if ms is not None), default=None)
