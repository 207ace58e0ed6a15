"""The gateway's own retained topics: what it wrote there, and what somebody else did. Pure.

A retained text stays until it is written over, whoever wrote it: a last will that comes late, a
test with a command-line client, a second program.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

AGAIN_MS = 60_000
"""How often at most one topic is written over."""
STRANGERS_MOST = 1_000
CLEARED_MOST = 20
"""Of one turn."""
ECHO_MS = 10_000
"""How long a broker that sends us our own texts (it knows no *No Local*) may take for it."""
ECHOES_MOST = 500
"""Texts of one topic within that time."""


@dataclass(slots=True)
class Retained:
    """``shown``: topic → our newest text, of this connection. ``strangers``: texts that the broker
    has below our topics and that are not of this connection.

    An earlier text of ours that comes back is an echo where the newest one follows it; where it
    does not, somebody has sent the earlier one again."""

    shown: dict[str, bytes] = field(default_factory=dict)
    strangers: dict[str, bytes] = field(default_factory=dict)
    _foreign: set[str] = field(default_factory=set)
    _written: dict[str, deque[tuple[int, int]]] = field(default_factory=dict)
    """Topic → when a text that was not the newest any more was written, and its hash."""
    _awaited: dict[str, int] = field(default_factory=dict)
    """Topic → until when the echo of the newest text must have come."""
    _mended_ms: dict[str, int] = field(default_factory=dict)

    def lost(self) -> None:
        """On the next connection everything is written again."""
        self.shown.clear()
        self.strangers.clear()
        self._foreign.clear()
        self._written.clear()
        self._awaited.clear()

    def write(self, topic: str, payload: bytes, now_ms: int) -> None:
        """``payload`` is our newest text on ``topic``."""
        if (before := self.shown.get(topic)) is not None:
            written = self._written.setdefault(topic, deque(maxlen=ECHOES_MOST))
            while written and now_ms - written[0][0] > ECHO_MS:
                written.popleft()
            written.append((now_ms, hash(before)))
        self.shown[topic] = payload

    def came(self, topic: str, payload: bytes, retained: bool, now_ms: int) -> None:
        """A message has come on a topic of ours. ``retained``: the broker had it when we
        subscribed, before anything that we have written since."""
        ours = self.shown.get(topic)
        if ours is None:
            if payload and len(self.strangers) < STRANGERS_MOST:
                self.strangers[topic] = payload
        elif payload == ours:
            self._foreign.discard(topic)
            self._awaited.pop(topic, None)
        elif retained:
            return
        elif self._is_echo(topic, hash(payload), now_ms):
            self._awaited[topic] = now_ms + ECHO_MS
        else:
            self._foreign.add(topic)

    def _is_echo(self, topic: str, text: int, now_ms: int) -> bool:
        """Whether we wrote this text just now; it and those before it are not awaited again."""
        written = self._written.get(topic)
        recent = [one for at_ms, one in written or () if now_ms - at_ms <= ECHO_MS]
        if written is None or text not in recent:
            return False
        while written.popleft()[1] != text:
            pass
        return True

    def due(self, now_ms: int, is_there: bool | None) -> list[tuple[str, bytes]]:
        """What is to be written now. ``is_there``: all states of the building are known, so that
        a text on any other topic is of a part that is no more."""
        late = [topic for topic, until_ms in self._awaited.items() if now_ms > until_ms]
        for topic in late:
            del self._awaited[topic]
            self._foreign.add(topic)
        found = [(topic, self.shown[topic]) for topic in self._foreign if self._may(topic, now_ms)]
        self._foreign.difference_update(topic for topic, _ in found)
        if is_there and self.strangers:
            for topic in list(self.strangers):
                if topic in self.shown:
                    del self.strangers[topic]
                elif len(found) < CLEARED_MOST and "/state/" in topic and self._may(topic, now_ms):
                    del self.strangers[topic]
                    found.append((topic, b""))
        return found

    def _may(self, topic: str, now_ms: int) -> bool:
        """Whether this topic was not written over within the last minute."""
        if now_ms - self._mended_ms.get(topic, -AGAIN_MS) < AGAIN_MS:
            return False
        if len(self._mended_ms) >= STRANGERS_MOST:
            recent = {k: v for k, v in self._mended_ms.items() if now_ms - v < AGAIN_MS}
            self._mended_ms = recent
            if len(recent) >= STRANGERS_MOST:
                return False
        self._mended_ms[topic] = now_ms
        return True
