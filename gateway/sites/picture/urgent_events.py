"""The newest urgent events of all gateways, for a list that is always up to date. Pure."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from typing import NamedTuple

from gateway.core.facts import KINDS
from gateway.core.instant import UtcMs
from gateway.sites.picture.limits import EVENT_MOST, EVENTS_MOST, EVENTS_OF_ONE
from gateway.wire import Event, WireError, from_cloudevent, read_json

URGENT_KINDS = tuple(
    kind.name
    for kind in KINDS.values()
    if kind.lane == "urgent" and kind.life in ("calls", "alarms", "doors")
)
"""Calls, alarms, and what happened at doors."""


class UrgentEvent(NamedTuple):
    """``came_utc_ms``: when it came to the centre."""

    event: Event
    came_utc_ms: UtcMs


class UrgentEvents:
    """In the order in which they came, the newest first. No gateway drives out all others."""

    def __init__(self) -> None:
        self._events: deque[UrgentEvent] = deque()
        self._of: Counter[str] = Counter()
        self._ids: set[tuple[str, str, str, int]] = set()

    def __iter__(self) -> Iterator[UrgentEvent]:
        return reversed(self._events)

    def __len__(self) -> int:
        return len(self._events)

    def of(self, gateway: str) -> list[UrgentEvent]:
        """Those of one gateway."""
        return [one for one in self if one.event.gateway == gateway]

    def take(self, gateway: str, payload: bytes, utc_ms: UtcMs) -> bool:
        """An event that came on a topic of this gateway; whether it is one, and new."""
        if len(payload) > EVENT_MOST:
            return False
        try:
            event = from_cloudevent(read_json(payload))
        except (WireError, ValueError):
            return False
        if event.gateway != gateway or event.kind not in URGENT_KINDS or _id(event) in self._ids:
            return False
        if self._of[gateway] >= EVENTS_OF_ONE:
            self._drop(next(one for one in self._events if one.event.gateway == gateway))
        elif len(self._events) >= EVENTS_MOST:
            self._drop(self._events[0])
        self._events.append(UrgentEvent(event, utc_ms))
        self._ids.add(_id(event))
        self._of[gateway] += 1
        return True

    def forget(self, gateway: str) -> None:
        """The gateway is not enrolled any more."""
        for one in self.of(gateway):
            self._drop(one)

    def _drop(self, one: UrgentEvent) -> None:
        self._events.remove(one)
        self._ids.discard(_id(one.event))
        self._of[one.event.gateway] -= 1
        if not self._of[one.event.gateway]:
            del self._of[one.event.gateway]


def _id(event: Event) -> tuple[str, str, str, int]:
    return event.gateway, event.journal, event.lane, event.seq
