"""A broker, two connections and a store that lose, delay, repeat and hang.

The broker is one that acknowledges before it has saved: killed, it has forgotten what waited
for the recorder. A connection keeps its order and loses what is on its way when it breaks; a
half-open one swallows everything. The store may take a write and say that it did not, and may
forget its last two seconds when it is killed; something in front of it may answer instead of
it, and it may refuse single points until somebody has mended it.
"""

from __future__ import annotations

import json
import random
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from gateway.link.mqtt import Acknowledged, Inbox, Lost, Message
from gateway.link.mqtt import Connected as LinkConnected
from gateway.recorder.points import Point, probe_point
from gateway.recorder.store import (
    BadPointsError,
    Rejected,
    StoreDownError,
    bisect,
    nothing,
)
from gateway.recorder.subscribe import Connected, Happening, Received
from gateway.recorder.subscribe import Lost as RecorderLost
from gateway.simulation.agenda import Agenda
from tests.simulation.delivery_disk import Killed

WINDOW = 20
GATEWAY = "sim"


class Broker:
    """With the link's connection on one side and the recorder's session on the other."""

    def __init__(self, agenda: Agenda, chance: random.Random, delay_ms: int) -> None:
        self.agenda, self.chance, self.delay_ms = agenda, chance, delay_ms
        self.up = True
        self.retained: dict[str, bytes] = {}
        self.session: deque[tuple[str, bytes]] = deque()
        """What waits for the recorder, acknowledged to the link."""
        self.on_event: list[Callable[[bytes], None]] = []
        self.link = LinkSide(self)
        self.recorder = RecorderSide(self)

    def later(self, do: Callable[[], object]) -> None:
        self.agenda.later(self.chance.randrange(1, self.delay_ms + 1), do)

    def take(self, topic: str, payload: bytes, retain: bool) -> None:
        """A publication has arrived here."""
        if retain:
            self.retained[topic] = payload
        what = topic.split("/")[2]
        if what == "event":
            for told in self.on_event:
                told(payload)
        if what in ("event", "absent", "availability", "health"):
            self.session.append((topic, payload))
            self.recorder.feed()
        if what in ("command", "replay", "recorded", "info"):
            self.link.give(Message(topic, payload, False))

    def killed(self, forgets: bool) -> None:
        """It comes back with what it had saved."""
        self.up = False
        self.link.breaks()
        self.recorder.breaks()
        if forgets:
            self.session.clear()
            self.retained.clear()


class LinkSide:
    """The link's :class:`gateway.link.link.Broker`."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.inbox: Inbox | None = None
        self.generation = 0
        self.up = False
        self.hangs = False
        self.reachable = True
        self.mid = 0
        self.acknowledged: set[tuple[int, int]] = set()
        self._busy_ms = 0

    # --- what the link calls

    def publish(
        self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False,
        correlation: bytes | None = None,
    ) -> int | None:  # fmt: skip
        if not self.up:
            return None
        self.mid += 1
        mid, generation = self.mid, self.generation

        def arrives() -> None:
            if self.up and not self.hangs and generation == self.generation:
                self.broker.take(topic, payload, retain)
                if qos:
                    self._in_order(lambda: self._ack(generation, mid))

        self._in_order(arrives)
        return mid

    def drop(self, reason: str) -> None:
        self.breaks(reason)

    def soon(self) -> None:
        pass

    def heard_ms(self) -> int | None:
        return None

    def pump(self, wait_s: float) -> None:
        pass

    # --- what the network does

    def _in_order(self, do: Callable[[], object]) -> None:
        broker = self.broker
        wait_ms = broker.chance.randrange(1, broker.delay_ms + 1)
        self._busy_ms = max(self._busy_ms, broker.agenda.now + wait_ms)
        broker.agenda.later(self._busy_ms - broker.agenda.now, do)

    def _ack(self, generation: int, mid: int) -> None:
        if self.up and not self.hangs and generation == self.generation:
            self.give(Acknowledged(generation, mid, True))

    def give(self, item: object) -> None:
        if self.inbox is not None and self.up and not self.hangs:
            self.inbox.put(item)

    def connects(self) -> None:
        """A clean start; retained texts of the subscriptions come at once."""
        if self.up or not self.broker.up or not self.reachable or self.inbox is None:
            return
        self.up, self.hangs = True, False
        self.generation += 1
        self.inbox.put(LinkConnected(self.generation, WINDOW))
        for topic, payload in self.broker.retained.items():
            if topic.split("/")[2] in ("recorded", "info"):
                self.inbox.put(Message(topic, payload, True))

    def breaks(self, reason: str = "lost") -> None:
        if not self.up:
            return
        self.up = False
        self.generation += 1  # what is on its way belongs to a connection that is no more
        if self.inbox is not None:
            self.inbox.put(Lost(self.generation, reason))
        will = f"portier/{GATEWAY}/availability"
        self.broker.later(lambda: self.broker.take(will, b"offline", True))


class RecorderSide:
    """The recorder's :class:`gateway.recorder.recorder.Broker`: a session that stays."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.came: deque[Happening] = deque()
        self.generation = 0
        self.up = False
        self.reachable = True
        self.mid = 0
        self.open: dict[int, tuple[str, bytes]] = {}
        self.pass_by: Callable[[int], None] = lambda ms: None
        self.repeats = 0

    # --- what the recorder calls

    def pump(self, wait_s: float) -> None:
        self.pass_by(max(1, round(wait_s * 1000)))

    def take(self) -> Happening | None:
        return self.came.popleft() if self.came else None

    def acknowledge(self, messages: Iterable[Received]) -> None:
        for message in messages:
            if message.mid and message.generation == self.generation and self.up:
                self.open.pop(message.mid, None)
        self.feed()

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> bool:
        if not self.up:
            return False
        generation = self.generation

        def arrives() -> None:
            if generation == self.generation:
                self.broker.take(topic, payload, retain)

        self.broker.later(arrives)
        return True

    # --- what the network does

    def feed(self) -> None:
        """Deliver what waits, in order, as far as the window allows."""
        while self.up and self.broker.session and len(self.open) < 4 * WINDOW:
            self._give(*self.broker.session.popleft())

    def _give(self, topic: str, payload: bytes) -> None:
        self.mid += 1
        self.open[self.mid] = (topic, payload)
        self.came.append(Received(self.generation, self.mid, topic, payload, False))

    def connects(self) -> None:
        """What was not acknowledged is delivered again, first."""
        if self.up or not self.broker.up or not self.reachable:
            return
        self.up = True
        self.generation += 1
        again, self.open = list(self.open.values()), {}
        self.came.append(Connected(self.generation))
        self.repeats += len(again)
        for topic, payload in again:
            self._give(topic, payload)
        self.feed()

    def breaks(self) -> None:
        if self.up:
            self.up = False
            self.came.append(RecorderLost(self.generation, "lost"))

    def forget(self) -> None:
        """The recorder's process is gone; its session is not."""
        self.up = False
        self.came.clear()


class Store:
    """Points by series and time, as a time-series store knows them."""

    forgets_ms = 2_000

    def __init__(self, agenda: Agenda, chance: random.Random) -> None:
        self.agenda, self.chance = agenda, chance
        self.points: dict[Any, Point] = {}
        self.times: dict[Any, int] = {}
        self.down = False
        self.lies = 0.0
        """Share of writes that are done and reported as failed."""
        self.kill: str = ""
        """``before`` or ``after``: the recorder dies at its next write."""
        self.life = 1
        self.writes = 0
        self.between: Callable[[], None] = nothing
        self.in_front = ""
        """What answers instead of the store: ``400`` to everything, or ``a page``."""
        self.picky = 0
        """Every so-manieth fact is refused; 0: none."""
        self.refused: set[int] = set()

    def write(self, points: Sequence[Point]) -> list[Rejected]:
        return bisect(points, self._send, self._probe, self.between)

    def _probe(self) -> None:
        self._send([probe_point(self.agenda.now)])

    def _send(self, points: Sequence[Point]) -> None:
        if self.kill == "before":
            self.kill = ""
            raise Killed
        if self.down:
            raise StoreDownError("connection refused", lost=True)
        if self.in_front == "a page":
            raise StoreDownError("HTTP 200 <html>", code="not_the_store")
        if self.in_front:
            raise BadPointsError("HTTP 400")
        self.writes += 1
        bad = [point for point in points if self._refuses(point)]
        for point in points if not bad or self.chance.random() < 0.5 else ():
            if point not in bad and point.measurement != "recorder":
                self.points[point.series, point.time_ms] = point
                self.times[point.series, point.time_ms] = self.agenda.now
        if bad:
            raise BadPointsError(f"HTTP 400 partial write: dropped={len(bad)}")
        if self.kill == "after":
            self.kill = ""
            raise Killed
        if self.chance.random() < self.lies:
            raise StoreDownError("timed out")

    def _refuses(self, point: Point) -> bool:
        serial = _serial_of(point)
        if serial is None or not self.picky or serial % self.picky:
            return False
        self.refused.add(serial)
        return True

    def identity(self) -> str | None:
        if self.down:
            raise StoreDownError("connection refused", lost=True)
        return str(self.life)

    def close(self) -> None:
        pass

    def killed(self) -> None:
        """It forgets its last moments, says another identity, and is down for a while."""
        self.life += 1
        self.down = True
        since_ms = self.agenda.now - self.forgets_ms
        for key in [key for key, at_ms in self.times.items() if at_ms >= since_ms]:
            del self.points[key], self.times[key]

    def back(self) -> None:
        self.down = False

    def serials(self) -> Counter[int]:
        """Serial number of a fact -> how often it is stored."""
        found: Counter[int] = Counter()
        for point in self.points.values():
            serial = _serial_of(point)
            if serial is not None:
                found[serial] += 1
        return found


def _serial_of(point: Point) -> int | None:
    serial = point.fields.get("press_to_open_ms", point.fields.get("value"))
    return int(serial) if isinstance(serial, int | float) else None


def serial_of(payload: bytes) -> tuple[str, int | None]:
    """The name of an event, and the serial number of its fact."""
    event = json.loads(payload)
    data = event["data"]
    serial = data.get("press_to_open_ms", data.get("value"))
    return event["id"], None if serial is None else int(serial)
