"""What is known of all gateways. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from gateway.core.instant import Ms, UtcMs
from gateway.sites.picture.gateway_picture import GatewayPicture, Now
from gateway.sites.picture.limits import STRANGER_NAME_MOST, STRANGERS_MOST
from gateway.sites.picture.urgent_events import UrgentEvents

ROOT = "portier"


class Picture:
    """Of the enrolled gateways; of others only how many messages came, by name."""

    def __init__(self, gateways: Iterable[str]) -> None:
        self._gateways = {id: GatewayPicture(id) for id in gateways}
        self._strangers: Counter[str] = Counter()
        self.events = UrgentEvents()
        """The newest urgent events of all gateways."""
        self._is_connected = False

    @property
    def gateways(self) -> Mapping[str, GatewayPicture]:
        return self._gateways

    @property
    def strangers(self) -> Mapping[str, int]:
        """Messages of gateways that are not enrolled, by their name; ``""``: of further ones."""
        return self._strangers

    def take(
        self, topic: str, payload: bytes, *, retained: bool, mono_ms: Ms, utc_ms: UtcMs
    ) -> str | None:
        """A message; the gateway of which something changed by it."""
        root, _, below = topic.partition("/")
        id, _, rest = below.partition("/")
        if root != ROOT or not rest:
            return None
        gateway = self._gateways.get(id)
        if gateway is None:
            self._count_stranger(id)
            return None
        now = Now(mono_ms, utc_ms)
        if rest.startswith("event/"):
            woke = gateway.heard(retained=retained, now=now)
            taken = not retained and self.events.take(id, payload, utc_ms)
            if taken:
                gateway.take_event(next(iter(self.events)).event, now)
            return id if taken or woke else None
        return id if gateway.take(rest, payload, retained=retained, now=now) else None

    def _count_stranger(self, name: str) -> None:
        known = name[:STRANGER_NAME_MOST]
        if known not in self._strangers and len(self._strangers) >= STRANGERS_MOST:
            known = ""
        self._strangers[known] += 1

    def connected(self, *, mono_ms: Ms, utc_ms: UtcMs) -> None:
        """The centre is connected to its broker, and what that keeps will come."""
        self._is_connected = True
        for gateway in self._gateways.values():
            gateway.connected(Now(mono_ms, utc_ms))

    def lost(self, *, mono_ms: Ms, utc_ms: UtcMs) -> None:
        """The centre is not connected any more."""
        self._is_connected = False
        for gateway in self._gateways.values():
            gateway.lost(Now(mono_ms, utc_ms))

    def pass_time(self, *, mono_ms: Ms, utc_ms: UtcMs) -> Sequence[str]:
        """To be called about once a second: the gateways of which something is too old now."""
        now = Now(mono_ms, utc_ms)
        return [id for id, gateway in self._gateways.items() if gateway.pass_time(now)]

    def missing(self, mono_ms: Ms) -> Sequence[str]:
        """Gateways of which something has not come in time, and should be asked for with
        ``portier/<id>/#``; say so with :meth:`fetched`."""
        return [id for id, gateway in self._gateways.items() if gateway.fetch_due(mono_ms)]

    def fetched(self, gateway: str, mono_ms: Ms) -> None:
        """What is missing of a gateway is asked for now."""
        self._gateways[gateway].fetched(mono_ms)

    def enrol(self, gateway: str, *, mono_ms: Ms, utc_ms: UtcMs) -> None:
        """A gateway is enrolled while the centre runs; what is known of one stays."""
        if gateway not in self._gateways:
            self._gateways[gateway] = GatewayPicture(gateway)
            self._strangers.pop(gateway, None)
            if self._is_connected:
                self._gateways[gateway].connected(Now(mono_ms, utc_ms))

    def revoke(self, gateway: str) -> None:
        """A gateway is not enrolled any more: nothing of it is shown."""
        self._gateways.pop(gateway, None)
        self.events.forget(gateway)
