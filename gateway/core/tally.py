"""The books of a door: what maintenance wants to know, kept from the door's own facts.

Nothing is counted that was not told: the door folds every fact it emits into its tally,
so the numbers on the page and the rows in the journal cannot disagree.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field

from gateway.core.facts import Fact, Json
from gateway.core.machine import Ms, replace
from gateway.core.values import dataclass


@dataclass(frozen=True)
class Tally:
    """Counters since commissioning (they survive a restart) and the latest of each sort.

    ``last_request`` and ``last_refusal`` are the data of the ``door_request`` fact and its
    ``at_ms``. ``open_ms``: the time the leaf was seen open, all openings together."""

    openings: int = 0
    requests: int = 0
    refusals: Mapping[str, int] = field(default_factory=dict)
    open_ms: Ms = 0
    last_request: Mapping[str, Json] | None = None
    last_refusal: Mapping[str, Json] | None = None
    last_opened_ms: Ms | None = None
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


def counters(tally: Tally) -> dict[str, Json]:
    """The counters as JSON: for the snapshot, and to be kept over a restart."""
    return {
        "openings": tally.openings,
        "requests": tally.requests,
        "refusals": dict(tally.refusals),
        "open_ms": tally.open_ms,
    }


def restored(kept: Mapping[str, Json]) -> Tally:
    """The books as ``counters`` wrote them. What is missing or no number counts as zero."""
    refusals = kept.get("refusals")
    pairs = refusals.items() if isinstance(refusals, dict) else ()
    return Tally(
        openings=_number(kept.get("openings")),
        requests=_number(kept.get("requests")),
        refusals={reason: _number(number) for reason, number in pairs},
        open_ms=_number(kept.get("open_ms")),
    )


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
