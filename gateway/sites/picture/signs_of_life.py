"""Whether a gateway that the broker calls connected is there. Pure.

A broker is told that a gateway is away by the gateway or, if it dies, by its connection. Where both
fail at once nobody tells it, and what it has retained says for ever that the gateway is there.
"""

from __future__ import annotations

from gateway.core.instant import Ms

ITS_OWN = frozenset({"info", "health", "absent", "state", "event", "response"})
"""First levels of the topics that a gateway alone writes on; and ``availability``, of which the
broker writes ``offline``."""


class SignsOfLife:
    """``within_ms``: how long a gateway may send nothing. ``silent``: it was longer;
    ``health_overdue``: it sends other messages, and its health was not among them for so long."""

    def __init__(self, within_ms: Ms) -> None:
        self.silent = False
        self.health_overdue = False
        self._within_ms = within_ms
        self._heard_ms: Ms = 0
        self._health_due_ms: Ms = 0

    def begin(self, mono_ms: Ms) -> None:
        """From now on it can be heard."""
        self._heard_ms = mono_ms

    def arrived(self, mono_ms: Ms) -> None:
        """It has come or gone: its health need not come at once."""
        self.silent, self.health_overdue = False, False
        self._health_due_ms = mono_ms + self._within_ms

    def heard(self, mono_ms: Ms) -> bool:
        """Whether it was silent before."""
        self._heard_ms = mono_ms
        return self.silent

    def took_health(self, mono_ms: Ms) -> None:
        self.health_overdue = False
        self._health_due_ms = mono_ms + self._within_ms

    def pass_time(self, mono_ms: Ms) -> bool:
        """Of a gateway that is there: whether something is missed that was not before."""
        before = self.silent, self.health_overdue
        self.silent = mono_ms - self._heard_ms >= self._within_ms
        self.health_overdue = not self.silent and mono_ms >= self._health_due_ms
        return before != (self.silent, self.health_overdue)
