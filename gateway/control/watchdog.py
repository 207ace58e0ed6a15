"""The service manager's notifications: ready, alive, reloading, stopping.

The watchdog is fed by a full turn of the controller's loop and by nothing else, and only while
the threads run that live as long as the process, so that a loop that hangs is a service that is
restarted, with its outputs off meanwhile.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable, MutableMapping

TURN_MOST_S = 1.0
"""The loop turns at least this often, with or without a watchdog."""
FEEDS = 3
"""So many feedings fit into the manager's limit."""
EARLY = 0.9
"""A turn that comes in the last tenth of the time between two feedings feeds as well."""
TAKEOVER_S = 30.0
"""A new configuration may take this long to take over, from the last turn of the old loop to
the first of the new one. The unit's own second is too short for a Python that starts."""


class Watchdog:
    """Speaks to ``NOTIFY_SOCKET`` where there is one, and is silent elsewhere."""

    def __init__(self, environment: MutableMapping[str, str] = os.environ) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        microseconds = environment.get("WATCHDOG_USEC", "")
        mine = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self.feed_every_s: float | None = None
        self._limit_usec = 0
        if microseconds.isdigit() and int(microseconds) > 0 and mine:
            self._limit_usec = int(microseconds)
            self.feed_every_s = self._limit_usec / 1e6 / FEEDS
        self._fed_at = float("-inf")
        self.alive: Callable[[], bool] = lambda: True
        """Whether everything runs that has to, beside the loop."""

    def wait_s(self, now_s: float) -> float:
        """The loop must turn within this time. It is counted from the last feeding, not from the
        last turn: a turn just before a feeding is due would put that off by another wait."""
        if self.feed_every_s is None:
            return TURN_MOST_S
        left_s = self._fed_at + self.feed_every_s - now_s
        return min(TURN_MOST_S, left_s if left_s > 0 else self.feed_every_s)

    def starting(self) -> None:
        """The loop is about to turn while the rest of the start still needs the processor."""
        if self._limit_usec:
            self._say(f"WATCHDOG_USEC={int(TAKEOVER_S * 1e6)}")

    def ready(self) -> None:
        """The start, or the takeover, is complete: the manager's own limit applies from now on."""
        self._say("READY=1")
        if self._limit_usec:
            self._say(f"WATCHDOG_USEC={self._limit_usec}")

    def reloading(self) -> None:
        """This process is about to start again as itself. To be sent after the outputs are off:
        until :meth:`ready` a hang is noticed only after :data:`TAKEOVER_S`."""
        now_usec = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        lines = ["RELOADING=1", f"MONOTONIC_USEC={now_usec}"]
        if self._limit_usec:
            lines.append(f"WATCHDOG_USEC={int(TAKEOVER_S * 1e6)}")
        self._say(*lines)

    def stopping(self) -> None:
        """This process is about to end. Whoever sends it is killed if it goes on."""
        self._say("STOPPING=1")

    def turned(self, now_s: float) -> None:
        """One full turn of the loop is done."""
        every_s = self.feed_every_s
        if every_s is not None and now_s - self._fed_at >= every_s * EARLY and self.alive():
            self._fed_at = now_s
            self._say("WATCHDOG=1")

    def _say(self, *lines: str) -> None:
        if not self._address:
            return
        with (
            contextlib.suppress(OSError),  # a manager that does not listen is not our fault
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock,
        ):
            sock.sendto("\n".join(lines).encode(), self._address)
