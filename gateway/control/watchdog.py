"""The service manager's notifications: ready, alive, stopping.

The watchdog is fed by a full turn of the controller's loop and by nothing else, so that a
loop that hangs is a service that is restarted, with its outputs off meanwhile.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import MutableMapping

TURN_MOST_S = 1.0
"""The loop turns at least this often, with or without a watchdog."""


class Watchdog:
    """Speaks to ``NOTIFY_SOCKET`` where there is one, and is silent elsewhere."""

    def __init__(self, environment: MutableMapping[str, str] = os.environ) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        microseconds = environment.get("WATCHDOG_USEC", "")
        mine = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self.feed_every_s: float | None = None
        if microseconds.isdigit() and int(microseconds) > 0 and mine:
            self.feed_every_s = int(microseconds) / 1e6 / 3
        self._fed_at = float("-inf")

    @property
    def turn_s(self) -> float:
        """The loop must turn at least this often."""
        return min(TURN_MOST_S, self.feed_every_s or TURN_MOST_S)

    def ready(self) -> None:
        self._say(b"READY=1")

    def stopping(self) -> None:
        self._say(b"STOPPING=1")

    def turned(self, now_s: float) -> None:
        """One full turn of the loop is done."""
        if self.feed_every_s is not None and now_s - self._fed_at >= self.feed_every_s:
            self._fed_at = now_s
            self._say(b"WATCHDOG=1")

    def _say(self, what: bytes) -> None:
        if not self._address:
            return
        with (
            contextlib.suppress(OSError),  # a manager that does not listen is not our fault
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock,
        ):
            sock.sendto(what, self._address)
