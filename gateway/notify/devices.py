"""The devices that a push way leads to, and what became of them.

One that its push service does not know any more (404, 410) is not sent to again: it is named in
``STATE/notify/gone.json``, and ``web`` removes it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from gateway.notify.addresses import AddressError
from gateway.push import keys
from gateway.push.subscriptions import (
    GONE_FILE,
    NOTIFY_FOLDER,
    Subscription,
    Subscriptions,
    read_gone,
    write_gone,
)

log = structlog.get_logger("notify")
GONE = ("http 404", "http 410")


@dataclass(frozen=True, slots=True)
class PushSettings:
    """``own_hosts``: push services of the configuration; ``ca``: who signs their certificates;
    ``mail``: whom a push service may write to."""

    own_hosts: tuple[str, ...] = ()
    ca: Path | None = None
    mail: str = "portier@portier.invalid"


@dataclass(slots=True)
class Devices:
    """The devices in a state folder."""

    state: Path
    settings: PushSettings = field(default_factory=PushSettings)
    _gone: set[tuple[str, str]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._gone |= read_gone(self._file)

    @property
    def _file(self) -> Path:
        return self.state / NOTIFY_FOLDER / GONE_FILE

    def to(self, whom: str) -> list[Subscription]:
        """Those of a role or of a user that are not gone."""
        return [one for one in self._there() if one.is_for(whom)]

    def find(self, id: str) -> Subscription | None:
        return next((one for one in self._there() if one.id == id), None)

    def _there(self) -> list[Subscription]:
        there = Subscriptions(self.state).all()
        return [one for one in there if (one.id, one.p256dh) not in self._gone]

    def address(self, device: Subscription) -> str:
        """All that an attempt needs, in one text. Raises :class:`AddressError`."""
        key = keys.read_key(self.state).decode("ascii", "replace")
        if not key:
            raise AddressError("the key for push messages cannot be read")
        return json.dumps(
            {
                "endpoint": device.endpoint,
                "p256dh": device.p256dh,
                "auth": device.auth,
                "key": key,
                "mail": self.settings.mail,
                "own_hosts": list(self.settings.own_hosts),
                "ca": str(self.settings.ca) if self.settings.ca else None,
            }
        )

    def result(self, device: Subscription, reason: str) -> None:
        """What became of an attempt."""
        if reason not in GONE:
            return
        log.warning("a device takes no push messages any more", device=device.id, reason=reason)
        there = {(one.id, one.p256dh) for one in Subscriptions(self.state).all()}
        self._gone = {*(self._gone & there), (device.id, device.p256dh)}
        try:
            write_gone(self._file, self._gone)
        except OSError as error:
            log.error("it cannot be noted which devices are gone", reason=error.strerror)


@dataclass(frozen=True, slots=True)
class PushWay:
    """A channel that leads to all devices of a role or of a user. Called as an address it raises
    :class:`AddressError` where there is none, so that it counts as a way that leads nowhere."""

    devices: Devices
    whom: str

    def __call__(self) -> str:
        if not keys.read_key(self.devices.state):
            raise AddressError("the key for push messages cannot be read")
        if not self.devices.to(self.whom):
            raise AddressError(f"no device of {self.whom} takes push messages")
        return ""
