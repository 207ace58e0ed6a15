"""Points whose values come over MQTT: from a topic's messages to what ``control`` is told. Pure.

``control`` has no network. What a message means is in the driver's ``read``; here is when it
counts: a kept message is a level whose edge nobody saw, a press that is told ends by itself,
and without the broker, or after a long silence, a value is not known.

A press is lived in the present: what may have waited, in a broker or a process that hung, has the
time at which it may have been sent. ``control`` opens no door for a press of before, and says so;
a late pull of a cord is a call all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

NO_MESSAGE = "no message yet"
LATE_MS = 1_000
"""What has waited for less has come now."""
LATE_MOST_MS = 5_000
"""Beyond that nobody knows: old enough that no door opens for it, and not stuck for that."""


@dataclass(frozen=True, slots=True)
class Value:
    """What a message says: the level of a contact (no quantity), or a number of a meter.
    ``None``: it is not known, for ``reason``."""

    value: bool | float | None
    quantity: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Listening:
    """A point and its topic. ``read`` never raises; ``quantities`` are a meter's.
    ``release_ms``: a press that is told ends after it, 0: its end is told. ``alive_ms``: not
    known when there was no message for longer, 0: not watched."""

    point: str
    topic: str
    read: Callable[[bytes], Sequence[Value]]
    quantities: tuple[str, ...] = ()
    release_ms: int = 0
    alive_ms: int = 0


@dataclass(slots=True)
class _Heard:
    """What is known of one point."""

    of: Listening
    told: dict[str, Value] = field(default_factory=dict)
    silent_at_ms: int | None = None
    release_at_ms: int | None = None


class Points:
    """``send`` gives one message to ``control``; what does not come through is told again when
    ``control`` is back (:meth:`again`)."""

    def __init__(
        self, points: Sequence[Listening], send: Callable[[Mapping[str, object]], bool]
    ) -> None:
        self._send = send
        self._heard = [_Heard(point) for point in points]
        self._by_topic: dict[str, list[_Heard]] = {}
        for heard in self._heard:
            self._by_topic.setdefault(heard.of.topic, []).append(heard)

    @property
    def topics(self) -> tuple[str, ...]:
        """What is to be subscribed to."""
        return tuple(self._by_topic)

    def message(
        self, topic: str, payload: bytes, retained: bool, now_ms: int, *, waited_ms: int = 0
    ) -> bool:
        """A message has come, which may have waited for so long; ``False`` where no point listens
        to this topic."""
        points = self._by_topic.get(topic, ())
        edge_ms = now_ms
        if waited_ms > LATE_MS:
            edge_ms = max(0, now_ms - min(waited_ms, LATE_MOST_MS))
        for heard in points:
            heard.silent_at_ms = now_ms + heard.of.alive_ms if heard.of.alive_ms else None
            values = heard.of.read(payload)
            for value in values:
                self._value(heard, value, retained, now_ms, edge_ms)
            if not values and all(told.value is None for told in heard.told.values()):
                self._unknown(heard, "the message does not speak of it", now_ms)
        return bool(points)

    def connected(self, now_ms: int) -> None:
        """The broker is there. A button is up, as far as anybody can know."""
        for heard in self._heard:
            if heard.of.release_ms:
                self._tell(heard, Value(False), now_ms, fresh=False)
            else:
                self._unknown(heard, NO_MESSAGE, now_ms)

    def lost(self, reason: str, now_ms: int) -> None:
        """The broker is gone: nothing is known any more."""
        for heard in self._heard:
            heard.silent_at_ms = heard.release_at_ms = None
            self._unknown(heard, f"no broker: {reason}", now_ms)

    def not_subscribed(self, topic: str, reason: str, now_ms: int) -> bool:
        """The broker does not let us listen; whether a point is on this topic."""
        points = self._by_topic.get(topic, ())
        for heard in points:
            heard.silent_at_ms = heard.release_at_ms = None
            self._unknown(heard, f"the broker refuses the subscription: {reason}", now_ms)
        return bool(points)

    def due_ms(self) -> int | None:
        """The next instant that :meth:`time` waits for."""
        dues = (due for one in self._heard for due in (one.silent_at_ms, one.release_at_ms))
        return min((due for due in dues if due is not None), default=None)

    def again(self, now_ms: int) -> None:
        """``control`` has been away, and knows nothing."""
        for heard in self._heard:
            for value in heard.told.values():
                self._say(heard.of, value, now_ms, fresh=False)

    def time(self, now_ms: int) -> None:
        """What is due up to now."""
        for heard in self._heard:
            if heard.release_at_ms is not None and now_ms >= heard.release_at_ms:
                heard.release_at_ms = None
                self._tell(heard, Value(False), now_ms, fresh=True)
            if heard.silent_at_ms is not None and now_ms >= heard.silent_at_ms:
                heard.silent_at_ms = None
                minutes = heard.of.alive_ms / 60_000
                self._unknown(heard, f"no message for {minutes:g} min", now_ms)

    def _value(
        self, heard: _Heard, value: Value, retained: bool, now_ms: int, edge_ms: int
    ) -> None:
        if not heard.of.release_ms:
            self._tell(heard, value, edge_ms, fresh=not retained)
        elif not retained and value.value is not None:  # a press that was kept is none
            heard.release_at_ms = now_ms + heard.of.release_ms if value.value else None
            self._tell(heard, value, edge_ms, fresh=True)

    def _unknown(self, heard: _Heard, reason: str, now_ms: int) -> None:
        for name in heard.of.quantities or ("",):
            self._tell(heard, Value(None, name, reason), now_ms, fresh=False)

    def _tell(self, heard: _Heard, value: Value, now_ms: int, *, fresh: bool) -> None:
        """A level is told when it changes, a number each time."""
        before = heard.told.get(value.quantity)
        heard.told[value.quantity] = value
        if value != before or (value.quantity and value.value is not None):
            self._say(heard.of, value, now_ms, fresh=fresh)

    def _say(self, of: Listening, value: Value, now_ms: int, *, fresh: bool) -> None:
        message: dict[str, object] = {
            "type": "point",
            "point": of.point,
            "reason": value.reason[:200],
            "fresh": fresh,
            "monotonic_ms": now_ms,
        }
        if value.quantity:
            self._send({**message, "quantity": value.quantity, "value": value.value})
        else:
            self._send({**message, "active": value.value})
