"""The building of one gateway, as the page's view models read it, and what its gateway lets the
centre ask for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gateway.sites.interfaces import CentreSeen, GatewaySeen
from gateway.web.building.snapshot_reader import SnapshotReader

OFFLINE, UNKNOWN, STALE = "site_offline", "site_unknown", "site_stale"
SILENT = "site_silent"
NO_BROKER = "no_broker"


class SiteBuilding(SnapshotReader):
    """A picture as it is now; made for one answer and thrown away."""

    def __init__(self, centre: CentreSeen, seen: GatewaySeen) -> None:
        super().__init__()
        self.seen = seen
        self.name = name_of(seen)
        self.snapshot = seen.snapshot
        self.away_reason = away_reason(centre, seen)
        self.connected = not self.away_reason
        since = seen.fresh_since_utc_ms
        if seen.presence == "offline" or seen.silent:
            since = seen.presence_since_utc_ms
        if not centre.connected:
            since = centre.since_utc_ms
        self.since_known = since is not None
        if since is not None:
            self.since_utc_ms = since
            offset = self.utc_offset_ms
            self.changed_ms = None if offset is None else since - offset

    @property
    def now_ms(self) -> int:
        """The centre's monotonic clock, on which the picture puts every instant."""
        return int(self._monotonic() * 1000)


def name_of(seen: GatewaySeen) -> str:
    """What a site is called; its id while that is not known."""
    return str(seen.info.get("name") or "").strip() or seen.id


def away_reason(centre: CentreSeen, seen: GatewaySeen) -> str:
    """Why nothing can be asked of a site; empty where it is there."""
    if not centre.connected:
        return NO_BROKER
    if seen.presence != "online" or seen.snapshot is None:
        return not_there(seen)
    return "" if seen.fresh else STALE


def not_there(seen: GatewaySeen) -> str:
    """How a gateway is away that is not known to be there."""
    if seen.silent:
        return SILENT
    return OFFLINE if seen.presence == "offline" else UNKNOWN


class Allowed:
    """What a gateway says that the centre may ask of it. A gateway before 0.3 says nothing: it then
    judges an acknowledgement, and no door is offered."""

    def __init__(self, seen: GatewaySeen, issuer: str) -> None:
        self.issuer = issuer
        issuers = seen.info.get("issuers")
        known = issuers.get(issuer) if isinstance(issuers, Mapping) else None
        self._says = isinstance(issuers, Mapping)
        rights = known if isinstance(known, Mapping) else {}
        may, doors = rights.get("may"), rights.get("doors")
        self._may = {str(one) for one in may} if isinstance(may, Sequence) else set()
        self._doors: dict[str, str] = {}
        if isinstance(doors, Mapping):
            self._doors = {str(door): _hours(hours) for door, hours in doors.items()}

    @property
    def acknowledge(self) -> bool:
        return not self._says or "acknowledge" in self._may

    @property
    def see(self) -> bool:
        """Whether a call can be marked as only seen. A gateway that does not say what the centre
        may takes that for an acknowledgement: its sounder and its notifications would stop, and
        nobody goes."""
        return self._says and self.acknowledge

    def open(self, door: str) -> bool:
        """Whether this door is one that the centre may open, at some time of the week."""
        return "open" in self._may and door in self._doors

    def hours(self, door: str) -> str:
        """When that is, as the gateway's configuration says it; empty: always."""
        found = self._doors.get(door, "")
        return "" if found == "daily" else found


def _hours(found: object) -> str:
    if isinstance(found, str):
        return found[:200]
    if isinstance(found, Sequence):
        return ", ".join(str(one) for one in found)[:200]
    return ""
