"""The counters of a door: openings, requests and refusals, and the latest of each.

They are counted from the door's own facts and from nothing else, so the numbers on the page and the
events in the journal cannot disagree.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import Any

from gateway.core.facts import Fact, Json
from gateway.core.instant import NEVER, At, Ms
from gateway.core.machine import replace
from gateway.core.saved_values import INSTANT, TEXT, WHOLE, Field, Kind, entry_of, map_of
from gateway.core.values import dataclass


@dataclass(frozen=True)
class Request:
    """The last request, or the last refusal: words of the ``door_request`` fact, and when."""

    outcome: str
    reason: str | None
    activator: str | None
    activator_kind: str | None
    side: str | None
    by: str | None
    at: At = NEVER


WORDS = ("outcome", "reason", "activator", "activator_kind", "side", "by")


@dataclass(frozen=True)
class Counters:
    """Counters since commissioning (they survive a restart) and the latest of each sort.

    ``open_ms``: the time the leaf was seen open, all openings together. ``opened``: the last
    opening. The latest of before a restart has no instant of this boot."""

    openings: int = 0
    requests: int = 0
    refusals: Mapping[str, int] = field(default_factory=dict)
    open_ms: Ms = 0
    opened: At = NEVER
    last_request: Request | None = None
    last_refusal: Request | None = None
    press_to_open_ms: Ms | None = None

    def __add__(self, earlier: Counters) -> Counters:
        """Add the counters from before a restart: numbers add up, the latest stays."""
        reasons = self.refusals.keys() | earlier.refusals.keys()
        return replace(
            self,
            openings=self.openings + earlier.openings,
            requests=self.requests + earlier.requests,
            refusals={
                reason: self.refusals.get(reason, 0) + earlier.refusals.get(reason, 0)
                for reason in sorted(reasons)
            },
            open_ms=self.open_ms + earlier.open_ms,
            opened=earlier.opened if self.opened == NEVER else self.opened,
            last_request=self.last_request or earlier.last_request,
            last_refusal=self.last_refusal or earlier.last_refusal,
        )


_REQUEST: Kind[Request] = entry_of(
    Request,
    Field("outcome", TEXT),
    *(Field(word, TEXT, None) for word in WORDS[1:]),
    Field("at_utc_ms", INSTANT, NEVER, of="at"),
)
SAVED: Kind[Counters] = entry_of(
    Counters,
    Field("openings", WHOLE, 0),
    Field("requests", WHOLE, 0),
    Field("refusals", map_of(WHOLE), {}),
    Field("open_ms", WHOLE, 0),
    Field("opened_utc_ms", INSTANT, NEVER, of="opened"),
    Field("last_request", _REQUEST, None),
    Field("last_refusal", _REQUEST, None),
)
"""What survives a restart. It changes only together with urgent facts, so it costs no commit of its
own."""


def count(counters: Counters, facts: Iterable[Fact]) -> Counters:
    """The counters after these facts of the door."""
    for fact in facts:
        if fact.kind == "door_request":
            counters = _request(counters, fact)
        elif fact.kind == "door_opened":
            counters = _opened(counters, fact)
        elif fact.kind == "door_closed":
            counters = _closed(counters, fact)
    return counters


def shown(request: Request | None, offset_ms: int | None) -> Json:
    """A request by the clock of this boot, ``null`` where it is not known when that was.
    ``offset_ms``: UTC minus monotonic, where it is known."""
    at_ms = None if request is None else request.at.ms_by(offset_ms)
    if at_ms is None:
        return None
    return {word: getattr(request, word) for word in WORDS} | {"at_ms": at_ms}


def _request(counters: Counters, fact: Fact) -> Counters:
    words: dict[str, Any] = {word: fact.data.get(word) for word in WORDS}
    request = Request(**words, at=At(fact.at_ms))
    counters = replace(counters, requests=counters.requests + 1, last_request=request)
    if request.outcome != "refused":
        return counters
    reason = str(request.reason)
    refusals = {**counters.refusals, reason: counters.refusals.get(reason, 0) + 1}
    return replace(counters, refusals=refusals, last_refusal=request)


def _opened(counters: Counters, fact: Fact) -> Counters:
    took_ms = fact.data["press_to_open_ms"]
    return replace(
        counters,
        openings=counters.openings + 1,
        opened=At(fact.at_ms),
        press_to_open_ms=took_ms if isinstance(took_ms, int) else counters.press_to_open_ms,
    )


def _closed(counters: Counters, fact: Fact) -> Counters:
    open_ms = fact.data["open_ms"]
    if fact.data["assumed"] or not isinstance(open_ms, int):
        return counters
    return replace(counters, open_ms=counters.open_ms + open_ms)
