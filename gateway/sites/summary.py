"""What the overview needs of one gateway, counted once after each change of its picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import structlog

from gateway.sites.building import STALE, name_of, not_there
from gateway.sites.interfaces import CentreSeen, GatewaySeen
from gateway.web.building.guarantees import value_of
from gateway.web.presenter.presenter import SEVERITIES

CLIMATE = frozenset({"frost", "mould"})
"""Kinds of alarms about a climate that is out of its range."""
INCOMPLETE, UNREADABLE, NO_HEALTH = "incomplete", "unreadable", "no_health"
log = structlog.get_logger("sites")


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a site does not work: one of the reasons above, or the name of a guarantee that is *no*.
    ``reason`` and ``subject``: what the gateway says of that."""

    kind: str
    since_utc_ms: int | None
    reason: str = ""
    subject: str = ""


@dataclass(frozen=True, slots=True)
class Summary:
    """``calls``: the rooms whose call stands. ``severities``: how many open alarms are of each;
    ``climate``: rooms whose climate is out of its range."""

    id: str
    name: str
    changes: int
    troubles: tuple[Trouble, ...]
    calls: tuple[str, ...]
    doors: int
    doors_open: int
    alarms: int
    climate: int
    heard_utc_ms: int | None
    severities: Mapping[str, int] = field(default_factory=Counter)

    @property
    def works(self) -> bool:
        return not self.troubles


@contextmanager
def apart(gateway: str) -> Iterator[None]:
    """Never raises: what one gateway says must not hide the others."""
    try:
        yield
    except Exception:
        log.exception("what a gateway says cannot be shown", gateway=gateway)


def summary_of(seen: GatewaySeen) -> Summary:
    """Never raises: what one gateway says must not hide the others."""
    with apart(seen.id):
        return _summary_of(seen)
    trouble = Trouble(UNREADABLE, None)
    return Summary(seen.id, seen.id, seen.changes, (trouble,), (), 0, 0, 0, 0, seen.heard_utc_ms)


def _summary_of(seen: GatewaySeen) -> Summary:
    shown = seen.snapshot
    rooms = shown.get("rooms") or {} if shown else {}
    doors = shown.get("doors") or {} if shown else {}
    alarms = shown.get("alarms") or () if shown else ()
    calls = tuple(
        id for id, room in rooms.items() if (call := room.get("call")) and call["state"] != "quiet"
    )
    is_open = sum(door["state"] in ("open", "opening", "closing") for door in doors.values())
    listed = [alarm for alarm in alarms if alarm["state"] != "shelved"]
    return Summary(
        id=seen.id,
        name=name_of(seen),
        changes=seen.changes,
        troubles=tuple(_troubles(seen)),
        calls=calls,
        doors=len(doors),
        doors_open=is_open,
        alarms=len(listed),
        climate=len({alarm["subject"] for alarm in listed if alarm["kind"] in CLIMATE}),
        heard_utc_ms=seen.heard_utc_ms,
        # one that a newer version has is a fault, at least
        severities=Counter(
            alarm["severity"] if alarm["severity"] in SEVERITIES else "fault" for alarm in listed
        ),
    )


def _troubles(seen: GatewaySeen) -> Iterator[Trouble]:
    if seen.presence != "online":
        yield Trouble(not_there(seen), seen.presence_since_utc_ms)
        return  # nothing else that it said is known to be so now
    if seen.complete and not seen.fresh:
        yield Trouble(STALE, seen.fresh_since_utc_ms)
    if not seen.complete:
        yield Trouble(INCOMPLETE, None, subject=", ".join(list(seen.lacks)[:3]))
    if seen.health_overdue:
        yield Trouble(NO_HEALTH, seen.health_utc_ms)
    shown = seen.snapshot
    if shown is None:
        return
    offset = shown.get("utc_offset_ms")
    for name, one in (shown.get("guarantees") or {}).items():
        if value_of(one) == "no":
            since, reason = one.get("since_ms"), str(one.get("reason") or "")
            yield Trouble(
                name,
                None if since is None or offset is None else since + offset,
                reason,
                str(one.get("subject") or ""),
            )


class Summaries:
    """Those of all gateways, each made again only after its picture has changed."""

    def __init__(self, centre: CentreSeen) -> None:
        self._centre = centre
        self._known: dict[str, Summary] = {}

    def of(self, seen: GatewaySeen) -> Summary:
        known = self._known.get(seen.id)
        if known is None or known.changes != seen.changes:
            known = self._known[seen.id] = summary_of(seen)
        return known

    def all(self) -> list[Summary]:
        """In the order of their names."""
        gateways = self._centre.picture.gateways
        for id in [id for id in self._known if id not in gateways]:
            del self._known[id]
        found = [self.of(seen) for seen in gateways.values()]
        return sorted(found, key=lambda one: (one.name.casefold(), one.id))
