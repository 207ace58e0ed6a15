"""What the state of a room has to say after an event of its call. Pure.

States come with QoS 0: a broker with many messages for a client that is slow drops some of them and
says nothing. An event that nobody can fit to the state of its room shows that.
"""

from __future__ import annotations

from gateway.core.instant import Ms
from gateway.wire import Event

WITHIN_MS = 5_000
"""So long after its event the state of a room may come."""
ROOMS_MOST = 1_000
_AFTER = {
    "call_raised": "raised",
    "call_acknowledged": "acknowledged",
    "call_attended": "attended",
    "call_cancelled": "quiet",
}


class ExpectedCalls:
    """By room, what its call has to be in a moment: the newest event of a room decides."""

    def __init__(self) -> None:
        self._rooms: dict[str, tuple[str, Ms]] = {}

    def take(self, event: Event, mono_ms: Ms) -> None:
        """An event that has just come. One that is late says nothing of what is so now."""
        state = _AFTER.get(event.kind)
        if state is None or event.late:
            return
        if event.subject in self._rooms or len(self._rooms) < ROOMS_MOST:
            self._rooms[event.subject] = (state, mono_ms + WITHIN_MS)

    def due(self, mono_ms: Ms) -> list[tuple[str, str]]:
        """Rooms whose state should have come by now, and what it should say; each once."""
        found = [(room, state) for room, (state, at_ms) in self._rooms.items() if mono_ms >= at_ms]
        for room, _ in found:
            del self._rooms[room]
        return found

    def forget(self) -> None:
        """Everything comes anew."""
        self._rooms.clear()
