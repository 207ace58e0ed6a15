"""The devices that take push messages: one file each in ``STATE/push``.

An address from a browser is a secret: whoever has it can send to the device. It is in this folder
and nowhere else. ``web`` alone writes here, ``notify`` reads. ``notify`` learns that a device is
gone, and says so in ``STATE/notify/gone.json``; ``web`` then removes it.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gateway import durable, regular

FOLDER = "push"
NOTIFY_FOLDER = "notify"
"""What ``notify`` alone writes."""
GONE_FILE = "gone.json"
OF_ONE_MOST = 10
"""Devices of one user."""
DEVICES_MOST = 500
BYTES_MOST = 4_000
_ID = re.compile(r"[0-9a-f]{32}\Z")
_KEY = re.compile(r"[A-Za-z0-9_-]{1,120}={0,2}\Z")


class TooManyDevices(Exception):
    """No further device is taken."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """A device. ``user_id``, ``user``, ``role``: whose it is; ``session``: hash of the log-in that
    made it; ``browser``: such as ``Firefox, Android``; ``created``: seconds since 1970.
    ``endpoint``, ``p256dh``, ``auth``: what the browser gave, see RFC 8291."""

    user_id: int
    user: str
    role: str
    session: str
    browser: str
    created: float
    endpoint: str
    p256dh: str
    auth: str

    def __repr__(self) -> str:
        return f"Subscription({self.id})"

    @property
    def id(self) -> str:
        """A name that tells nothing of the address; a browser that comes again has the same."""
        return hashlib.sha256(self.endpoint.encode()).hexdigest()[:32]

    def is_for(self, whom: str) -> bool:
        """Whether messages to ``whom``, a role or the name of a user, go to this device."""
        return whom in (self.role, self.user)


def are_keys(p256dh: str, auth: str) -> bool:
    """Whether these can be the keys of a browser: a point of the curve and 16 bytes (base64url)."""
    return _length(p256dh) == 65 and _length(auth) == 16


def _length(text: str) -> int:
    if not _KEY.match(text):
        return 0
    try:
        return len(base64.urlsafe_b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4)))
    except ValueError:
        return 0


def is_id(text: str) -> bool:
    return _ID.match(text) is not None


class Subscriptions:
    """The folder. Raises :class:`OSError` where it cannot be read or written."""

    def __init__(self, state: Path) -> None:
        self.folder = state / FOLDER
        self._gone = state / NOTIFY_FOLDER / GONE_FILE

    def all(self) -> list[Subscription]:
        """Every device, the newest first. A file that is damaged is none."""
        try:
            paths = sorted(self.folder.glob("*.json"))
        except OSError:
            return []
        found = [_read(path) for path in paths[:DEVICES_MOST]]
        return sorted((one for one in found if one is not None), key=lambda one: -one.created)

    def of(self, user_id: int) -> list[Subscription]:
        return [one for one in self.all() if one.user_id == user_id]

    def find(self, id: str) -> Subscription | None:
        return _read(self.folder / f"{id}.json") if is_id(id) else None

    def add(self, device: Subscription) -> None:
        """Store a device; one that is there is replaced. Raises :class:`TooManyDevices`."""
        others = [one for one in self.all() if one.id != device.id]
        own = [one for one in others if one.user_id == device.user_id]
        if len(own) >= OF_ONE_MOST or len(others) >= DEVICES_MOST:
            raise TooManyDevices
        self.folder.mkdir(mode=0o750, exist_ok=True)
        new = self.folder / f"{device.id}.new"
        durable.write(new, json.dumps(asdict(device)).encode(), 0o640)
        new.replace(self.folder / f"{device.id}.json")

    def remove(self, which: Callable[[Subscription], bool]) -> list[Subscription]:
        """Remove the devices for which ``which`` is true; those."""
        found = [one for one in self.all() if which(one)]
        for one in found:
            (self.folder / f"{one.id}.json").unlink(missing_ok=True)
        return found

    def tidy(self, belongs: Callable[[Subscription], bool]) -> list[Subscription]:
        """Remove what is gone, belongs to nobody any more, or was cut short; those removed."""
        with contextlib.suppress(OSError):
            for path in [*self.folder.glob("*.new"), *self.folder.glob("*.json")]:
                if path.suffix == ".new" or _read(path) is None:
                    path.unlink(missing_ok=True)
        gone = read_gone(self._gone)
        return self.remove(lambda one: (one.id, one.p256dh) in gone or not belongs(one))


def _read(path: Path) -> Subscription | None:
    try:
        with open(path, "rb") as file:
            raw = file.read(BYTES_MOST + 1)
        values: dict[str, Any] = json.loads(raw)
        device = Subscription(**values)
    except (OSError, ValueError, TypeError):
        return None
    texts = (device.user, device.role, device.session, device.browser, device.endpoint)
    good = isinstance(device.user_id, int) and isinstance(device.created, int | float)
    good = good and all(isinstance(text, str) for text in (*texts, device.p256dh, device.auth))
    return device if good and len(raw) <= BYTES_MOST and device.id == path.stem else None


def read_gone(path: Path) -> frozenset[tuple[str, str]]:
    """The (id, key) of devices that their push service does not know any more. The key tells them
    from the same browser that has come again."""
    try:
        return frozenset((str(id), str(key)) for id, key in json.loads(regular.read(path)))
    except (OSError, ValueError, TypeError):
        return frozenset()


def write_gone(path: Path, gone: Iterable[tuple[str, str]]) -> None:
    """For ``notify`` alone. Raises :class:`OSError`."""
    path.parent.mkdir(mode=0o751, exist_ok=True)
    new = path.with_suffix(".new")
    durable.write(new, json.dumps(sorted(gone)).encode(), 0o644)
    os.chmod(new, 0o644)
    new.replace(path)
