"""A broker and two connections that lose, delay, repeat, refuse and hang.

The broker is one that acknowledges before it has saved: killed, it has forgotten what waited
for the recorder. A connection keeps its order and loses what is on its way when it breaks; a
half-open one swallows everything. The broker may refuse single messages, with a reason or by the
end of the connection, until its access list is mended.
"""

from __future__ import annotations

import json
import random
from collections import deque
from collections.abc import Callable, Iterable

from gateway.link.mqtt import Acknowledged, Inbox, Lost, Message
from gateway.link.mqtt import Connected as LinkConnected
from gateway.mqtt.subscription import Connected, Happening, Received
from gateway.mqtt.subscription import Lost as RecorderLost
from gateway.simulation.agenda import Agenda

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
        self.on_absent: list[Callable[[bytes], None]] = []
        self.refuses: Callable[[str, bytes], bool] = lambda _topic, _payload: False
        """Whether the access list keeps this publication of the link's away."""
        self.ends = False
        """It ends the connection over what it refuses, and gives no reason."""
        self.on_refused: list[Callable[[str, bytes], None]] = []
        self.on_drop: list[Callable[[str], None]] = []
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
        if what == "absent":
            for told in self.on_absent:
                told(payload)
        if what in ("event", "absent", "availability"):
            self.session.append((topic, payload))
            self.recorder.feed()
        if what == "health":
            self.recorder.hear(topic, payload)
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
        self.since_ms = 0
        """When this connection began."""
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
                if self.broker.refuses(topic, payload):
                    self._refuse(generation, mid, topic, payload)
                    return
                self.broker.take(topic, payload, retain)
                if qos:
                    self._in_order(lambda: self._ack(generation, mid))

        self._in_order(arrives)
        return mid

    def drop(self, reason: str) -> None:
        for told in self.broker.on_drop:
            told(reason)
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

    def _ack(self, generation: int, mid: int, refused: str = "") -> None:
        if self.up and not self.hangs and generation == self.generation:
            self.give(Acknowledged(generation, mid, not refused, refused))

    def _refuse(self, generation: int, mid: int, topic: str, payload: bytes) -> None:
        for told in self.broker.on_refused:
            told(topic, payload)
        if self.broker.ends:
            self.breaks(by_broker=True)
            return
        reason = "Not authorized"
        self._in_order(lambda: self._ack(generation, mid, reason))

    def give(self, item: object) -> None:
        if self.inbox is not None and self.up and not self.hangs:
            self.inbox.put(item)

    def connects(self) -> None:
        """A clean start; retained texts of the subscriptions come at once."""
        if self.up or not self.broker.up or not self.reachable or self.inbox is None:
            return
        self.up, self.hangs = True, False
        self.since_ms = self.broker.agenda.now
        self.generation += 1
        self.inbox.put(LinkConnected(self.generation, WINDOW))
        for topic, payload in self.broker.retained.items():
            if topic.split("/")[2] in ("recorded", "info"):
                self.inbox.put(Message(topic, payload, True))

    def breaks(self, reason: str = "lost", *, by_broker: bool = False) -> None:
        if not self.up:
            return
        self.up = False
        self.generation += 1  # what is on its way belongs to a connection that is no more
        if self.inbox is not None:
            self.inbox.put(Lost(self.generation, reason, by_broker=by_broker))
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

    def hear(self, topic: str, payload: bytes) -> None:
        """What was sent with QoS 0: it waits for nobody, and never comes again."""
        if self.up:
            self.came.append(Received(self.generation, 0, topic, payload, False))

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


def event_of(payload: bytes) -> tuple[object, ...]:
    """What the event of a name says, however often it is sent."""
    event = json.loads(payload)
    return tuple(event[key] for key in ("type", "subject", "bootid", "monotonicms", "data"))


def serial_of(payload: bytes) -> tuple[str, int | None]:
    """The name of an event, and the serial number of its fact."""
    event = json.loads(payload)
    data = event["data"]
    serial = data.get("press_to_open_ms", data.get("value"))
    return event["id"], None if serial is None else int(serial)
