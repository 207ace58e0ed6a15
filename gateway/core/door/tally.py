"""The books of a door: what maintenance wants to know, kept from the door's own facts.

Nothing is counted that was not told: the door folds every fact it emits into its tally,
so the numbers on the page and the rows in the journal cannot disagree.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field

from gateway.core.facts import Fact, Json
from gateway.core.instant import Ms, UtcMs
from gateway.core.machine import replace
from gateway.core.values import dataclass


@dataclass(frozen=True)
class Tally:
    """Counters since commissioning (they survive a restart) and the latest of each sort.

    ``last_request`` and ``last_refusal`` are the data of the ``door_request`` fact and its
    ``at_ms``. ``open_ms``: the time the leaf was seen open, all openings together.
    ``opened_utc_ms``, ``request_before`` and ``refusal_before`` (with ``at_utc_ms``): the last
    before this start."""

    openings: int = 0
    requests: int = 0
    refusals: Mapping[str, int] = field(default_factory=dict)
    open_ms: Ms = 0
    last_request: Mapping[str, Json] | None = None
    last_refusal: Mapping[str, Json] | None = None
    last_opened_ms: Ms | None = None
    opened_utc_ms: UtcMs | None = None
    request_before: Mapping[str, Json] | None = None
    refusal_before: Mapping[str, Json] | None = None
    press_to_open_ms: Ms | None = None

    def __add__(self, earlier: Tally) -> Tally:
        """These books and those from before a restart: counters add up, the latest stays."""
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
            opened_utc_ms=earlier.opened_utc_ms,
            request_before=earlier.request_before,
            refusal_before=earlier.refusal_before,
        )


SHOWN = ("outcome", "reason", "activator", "activator_kind", "side", "by")


def count(tally: Tally, facts: Iterable[Fact]) -> Tally:
    """The books after these facts of the door."""
    for fact in facts:
        if fact.kind == "door_request":
            tally = _request(tally, fact)
        elif fact.kind == "door_opened":
            tally = _opened(tally, fact)
        elif fact.kind == "door_closed":
            tally = _closed(tally, fact)
    return tally


def last_opened_ms(tally: Tally, offset_ms: int | None) -> Ms | None:
    """The last opening by the clock of this start, also one from before it. ``offset_ms``: UTC
    minus monotonic, where it is known."""
    if tally.last_opened_ms is not None:
        return tally.last_opened_ms
    if tally.opened_utc_ms is None or offset_ms is None:
        return None
    return tally.opened_utc_ms - offset_ms


def last_request(tally: Tally, offset_ms: int | None) -> dict[str, Json] | None:
    """The last request by the clock of this start, also one from before it. ``offset_ms``: as
    above."""
    return _last(tally.last_request, tally.request_before, offset_ms)


def last_refusal(tally: Tally, offset_ms: int | None) -> dict[str, Json] | None:
    """The last refusal, likewise."""
    return _last(tally.last_refusal, tally.refusal_before, offset_ms)


def _last(
    since: Mapping[str, Json] | None, before: Mapping[str, Json] | None, offset_ms: int | None
) -> dict[str, Json] | None:
    if since is not None:
        return dict(since)
    at_utc_ms = None if before is None else before.get("at_utc_ms")
    if before is None or offset_ms is None or not isinstance(at_utc_ms, int):
        return None
    return {name: before.get(name) for name in SHOWN} | {"at_ms": at_utc_ms - offset_ms}


def kept(tally: Tally, offset_ms: int | None) -> dict[str, Json]:
    """What is kept over a restart. ``offset_ms``: as above. It changes with what is told at once,
    so that it costs no commit of its own."""
    opened_utc_ms = tally.opened_utc_ms
    if tally.last_opened_ms is not None:
        opened_utc_ms = None if offset_ms is None else tally.last_opened_ms + offset_ms
    return {
        **counters(tally),
        "opened_utc_ms": opened_utc_ms,
        "last_request": _kept(tally.last_request, tally.request_before, offset_ms),
        "last_refusal": _kept(tally.last_refusal, tally.refusal_before, offset_ms),
    }


def _kept(
    since: Mapping[str, Json] | None, before: Mapping[str, Json] | None, offset_ms: int | None
) -> Json:
    if since is None:
        return None if before is None else dict(before)
    at_ms = since["at_ms"]
    at_utc_ms = at_ms + offset_ms if isinstance(at_ms, int) and offset_ms is not None else None
    return {name: since.get(name) for name in SHOWN} | {"at_utc_ms": at_utc_ms}


def counters(tally: Tally) -> dict[str, Json]:
    """The counters as JSON."""
    return {
        "openings": tally.openings,
        "requests": tally.requests,
        "refusals": dict(tally.refusals),
        "open_ms": tally.open_ms,
    }


def restored(kept: Mapping[str, Json]) -> Tally:
    """The books as ``kept`` wrote them. What is missing or no number counts as zero."""
    refusals = kept.get("refusals")
    pairs = refusals.items() if isinstance(refusals, dict) else ()
    return Tally(
        openings=_number(kept.get("openings")),
        requests=_number(kept.get("requests")),
        refusals={reason: _number(number) for reason, number in pairs},
        open_ms=_number(kept.get("open_ms")),
        opened_utc_ms=_number(kept.get("opened_utc_ms")) or None,
        request_before=_read(kept.get("last_request")),
        refusal_before=_read(kept.get("last_refusal")),
    )


def _read(entry: Json) -> Mapping[str, Json] | None:
    """A request as ``kept`` wrote it; ``None`` where it is not one whole."""
    if not isinstance(entry, dict) or not isinstance(entry.get("outcome"), str):
        return None
    words = {name: entry.get(name) for name in SHOWN}
    if not all(word is None or isinstance(word, str) for word in words.values()):
        return None
    return {**words, "at_utc_ms": _number(entry.get("at_utc_ms")) or None}


def _request(tally: Tally, fact: Fact) -> Tally:
    shown: dict[str, Json] = {name: fact.data.get(name) for name in SHOWN}
    shown["at_ms"] = fact.at_ms
    tally = replace(tally, requests=tally.requests + 1, last_request=shown)
    if fact.data["outcome"] != "refused":
        return tally
    reason = str(fact.data["reason"])
    refusals = {**tally.refusals, reason: tally.refusals.get(reason, 0) + 1}
    return replace(tally, refusals=refusals, last_refusal=shown)


def _opened(tally: Tally, fact: Fact) -> Tally:
    took_ms = fact.data["press_to_open_ms"]
    return replace(
        tally,
        openings=tally.openings + 1,
        last_opened_ms=fact.at_ms,
        press_to_open_ms=took_ms if isinstance(took_ms, int) else tally.press_to_open_ms,
    )


def _closed(tally: Tally, fact: Fact) -> Tally:
    open_ms = 0 if fact.data["assumed"] else _number(fact.data["open_ms"])
    return replace(tally, open_ms=tally.open_ms + open_ms)


def _number(value: Json) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
