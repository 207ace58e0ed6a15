"""The link's side of the broker. Only this file and ``client`` know paho.

Clean start, a last will on ``availability``, and a client of its own for every connection:
nothing of an earlier connection (paho's queue, its message numbers) can reach a later one.
What is to be sent again is decided by the journal's cursor alone.

There is no thread of paho's: the link's one thread waits in :meth:`Connection.pump` for the
socket and for its inbox at once (two threads that hand every message to each other cost half
of the throughput). Only connecting, which may block, is done by a helper thread. What
happens is put into ``inbox``.

What is published between two pumps leaves together (``TCP_CORK``): one TCP segment for
each small message costs both sides a third more.

The connection comes back for ever, after pauses that :mod:`gateway.mqtt.reconnection` names.
"""

from __future__ import annotations

import contextlib
import os
import queue
import select
import socket
import threading
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from gateway.link.client import Client
from gateway.mqtt import reconnection
from gateway.mqtt.limits import EVENT, JSON, NO_WILDCARD, TEXT, Limits, content_type
from gateway.mqtt.reasons import words
from gateway.mqtt.reconnection import Reconnection
from gateway.mqtt.settings import ANSWER_WITHIN_S, CONNECT_WITHIN_S, PACKET_MOST, BrokerSettings

_TAKEN_OVER = 0x8E
_NO_RETAIN, _NO_QOS = 0x9A, 0x9B
_NOT_THE_WILL = {0x84, 0x85, 0x86, 0x88, 0x89, 0x8A, 0x9C, 0x9D, 0x9F}
"""Refusals of CONNECT that have nothing to do with a will: protocol, name, password, server."""
MISC_EVERY_S = 0.5
SUBSCRIBE_TRIES = 2
AGAIN_AFTER_S = 60.0
"""After a connection that held this long, every subscription is tried again, and the next pause is
the shortest."""
WINDOW = 64
"""Publications in flight; the broker may want fewer."""
READ_MOST = 100
"""Messages of one pump."""


@dataclass(frozen=True, slots=True)
class Will:
    topic: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Subscribe:
    """One filter. ``retained`` ``False``: kept messages are not wanted (Retain Handling 2), and
    one that comes now to be kept says so (Retain as Published). ``own`` ``False``: what this
    client publishes is not sent back to it."""

    filter: str
    qos: int = 1
    retained: bool = False
    own: bool = True


@dataclass(frozen=True, slots=True)
class Connected:
    """``will``: why the broker has no last will of ours, or not the whole of it; mostly empty.
    Not ``subscribed``: :class:`Subscribed` follows, and nothing is published before."""

    generation: int
    window: int
    limits: Limits = field(default_factory=Limits)
    will: str = ""
    subscribed: bool = True


@dataclass(frozen=True, slots=True)
class Subscribed:
    """Every subscription is answered: from now on what is said to us is heard."""

    generation: int


@dataclass(frozen=True, slots=True)
class NotSubscribed:
    """The broker does not let us listen there."""

    generation: int
    filter: str
    reason: str


@dataclass(frozen=True, slots=True)
class Lost:
    """``reason`` is stable: ``taken_over``, ``refused``, ``unreachable``, ``lost``, ``frozen``.
    ``by_broker``: it was connected and ended it, perhaps over a message of ours."""

    generation: int
    reason: str
    detail: str = ""
    by_broker: bool = False


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The broker has one publication (``ok``), or will not take it, for ``reason``."""

    generation: int
    mid: int
    ok: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """One message from outside."""

    topic: str
    payload: bytes
    retained: bool
    response_topic: str | None = None
    correlation: bytes | None = None
    after_ms: int | None = None
    """It has reached the broker after this instant of :func:`gateway.link.client.boot_ms`; ``None``
    where that is not watched."""


class Inbox(queue.SimpleQueue[Any]):
    """Where other threads put what the link's thread shall handle; it wakes the pump."""

    def __init__(self) -> None:
        self.wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def post(self, item: object) -> None:
        """Put something in from another thread."""
        self.put(item)
        os.eventfd_write(self.wake, 1)

    def awake(self) -> None:
        """Forget the wake-ups so far."""
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self.wake)


class Connection:
    """The connection to the broker. All methods are for the link's one thread."""

    def __init__(
        self,
        settings: BrokerSettings,
        will: Will,
        subscriptions: tuple[Subscribe, ...],
        inbox: Inbox,
    ) -> None:
        self._settings = settings
        self._will = will
        self._subscriptions = subscriptions
        self._inbox = inbox
        self._client: Client | None = None
        self._up = False
        self._generation = 0
        self._reason: tuple[str, str] | None = None
        self._made: queue.SimpleQueue[tuple[Client | None, str]] = queue.SimpleQueue()
        self._connecting = False
        self._next_at = 0.0
        self._up_at: float | None = None
        self._answer_by = 0.0
        self._misc_at = 0.0
        self._corked = False
        self._reconnection = Reconnection()
        self._will_qos, self._will_retain, self._has_will = 1, True, True
        self._limits = Limits()
        self._no_will = ""
        """Why the broker refused a connection with the will."""
        self._asked: dict[int, Subscribe] = {}
        """Subscriptions that are not answered yet, by message number."""
        self._unanswered: dict[str, int] = {}
        """How often the broker ended the connection at this one."""
        self._asks = False
        """Whether the broker is asked again and again whether it works."""
        self._plain = {kind: _publish_properties(kind, None) for kind in (EVENT, JSON, TEXT)}

    def subscribe(self, topics: Collection[str]) -> None:
        """Listen to these, too, and to what is kept there; from the next connection on. Of their
        messages it is known how long they may have waited."""
        self._asks = bool(topics) or self._asks
        more = (Subscribe(topic, retained=True) for topic in sorted(topics))
        self._subscriptions = (*self._subscriptions, *more)

    def pump(self, wait_s: float) -> None:
        """Send and receive; returns when something happened, or after ``wait_s``."""
        client = self._client
        if client is None:
            self._connect(wait_s)
            return
        if self._asks and self._up:
            wait_s = min(wait_s, client.ask())
        self._cork(False)
        sock: Any = client.socket()
        if sock is not None:
            reads = [sock, self._inbox.wake]
            pending = getattr(sock, "pending", None)
            if pending is not None and pending() > 0:
                wait_s = 0.0  # TLS has read more than was asked for
                client.loop_read()
            writes = [sock] if client.want_write() else []
            try:
                readable, writable, _ = select.select(reads, writes, [], wait_s)
            except (OSError, ValueError):
                readable, writable = [], []
                self._end("lost", "socket")
            if self._inbox.wake in readable:
                self._inbox.awake()
            if writable:
                client.loop_write()
            if sock in readable:
                self._read(client)
        now = time.monotonic()
        if now >= self._misc_at:
            self._misc_at = now + MISC_EVERY_S
            client.loop_misc()
        self._check(client, now)
        if self._reason is not None:
            self._ended(now)

    def _check(self, client: Client, now: float) -> None:
        """Notice what did not come: an answer, or the rest of the connection."""
        if not self._up and now > self._answer_by:
            self._end("frozen", "no answer to CONNECT")
        elif client.socket() is None and self._reason is None:
            self._end("lost", "")
        elif self._asked and now > self._answer_by:
            for asked in self._asked.values():
                self._inbox.put(NotSubscribed(self._generation, asked.filter, "no answer"))
            self._asked.clear()
            self._inbox.put(Subscribed(self._generation))

    def _read(self, client: mqtt.Client) -> None:
        """Read what is there: ``loop_read`` stops after each message."""
        for _ in range(READ_MOST):
            before = self._inbox.qsize()
            client.loop_read()
            if self._inbox.qsize() == before:
                return

    def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        qos: int = 1,
        retain: bool = False,
        correlation: bytes | None = None,
    ) -> int | None:
        """Publish by the next pump; the number to be acknowledged, or ``None`` while not
        connected."""
        client = self._client
        if client is None or not self._up:
            return None
        self._cork(True)
        kind = content_type(topic)
        plain = correlation is None
        properties = self._plain[kind] if plain else _publish_properties(kind, correlation)
        told = client.publish(topic, payload, qos=qos, retain=retain, properties=properties)
        return told.mid if told.rc == mqtt.MQTT_ERR_SUCCESS else None

    def _cork(self, on: bool) -> None:
        """Hold small packets back, or let them go (the kernel does so after 200 ms anyway)."""
        sock: Any = None if self._client is None else self._client.socket()
        if on != self._corked and sock is not None:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, on)
            self._corked = on

    def heard_ms(self) -> int | None:
        """When the broker acknowledged something or answered a ping; ms of the monotonic clock."""
        heard_at = float("-inf") if self._client is None else self._client.heard_at
        return int(heard_at * 1000) if heard_at > 0 else None

    @property
    def keepalive_s(self) -> int:
        return self._settings.keepalive_s

    def soon(self) -> None:
        """Why the connection ended is known and mended: the next one need not wait longer."""
        self._reconnection = Reconnection()
        self._next_at = min(self._next_at, time.monotonic() + reconnection.FIRST_S)

    def drop(self, reason: str) -> None:
        """Give this connection up: it is no use. Another one is made."""
        if self._client is not None:
            self._end(reason, "")

    def close(self, within_s: float = 1.0) -> None:
        """Say offline and disconnect."""
        client = self._client
        if client is None:
            return
        limits = self._limits
        told = self.publish(
            self._will.topic,
            self._will.payload,
            qos=min(1, limits.maximum_qos),
            retain=limits.retain_available,
        )
        deadline = time.monotonic() + within_s
        while told is not None and self._client is not None and time.monotonic() < deadline:
            self.pump(0.05)
            with contextlib.suppress(queue.Empty):
                while True:
                    item = self._inbox.get_nowait()
                    if isinstance(item, Acknowledged) and item.mid == told:
                        told = None
        with contextlib.suppress(ValueError, OSError):
            client.disconnect()

    # --- one connection after the other -------------------------------------------------

    def _connect(self, wait_s: float) -> None:
        now = time.monotonic()
        if not self._connecting and now >= self._next_at:
            self._connecting = True
            self._generation += 1
            threading.Thread(
                target=self._open, args=(self._generation,), name="connect", daemon=True
            ).start()
        until_next = max(0.0, self._next_at - now) if not self._connecting else wait_s
        readable, _, _ = select.select([self._inbox.wake], [], [], min(wait_s, until_next))
        if readable:
            self._inbox.awake()
        try:
            client, detail = self._made.get_nowait()
        except queue.Empty:
            return
        self._connecting = self._corked = False
        self._up, self._up_at, self._reason = False, None, None
        self._asked.clear()
        if client is None:
            self._reason = ("unreachable", detail)
            self._ended(time.monotonic())
            return
        self._client = client
        self._answer_by = time.monotonic() + ANSWER_WITHIN_S

    def _open(self, generation: int) -> None:
        """In the helper thread: look the name up, connect, send CONNECT."""
        properties = _properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = 0
        properties.MaximumPacketSize = PACKET_MOST
        try:
            client = self._make(generation)
            client.connect(
                self._settings.host,
                self._settings.port,
                keepalive=self._settings.keepalive_s,
                clean_start=True,
                properties=properties,
            )
        except (OSError, ValueError) as error:
            self._made.put((None, str(error)))
        else:
            self._made.put((client, ""))
        os.eventfd_write(self._inbox.wake, 1)

    def _end(self, reason: str, detail: str) -> None:
        """The first reason for the end counts."""
        if self._reason is None:
            self._reason = (reason, detail)

    def _ended(self, now: float) -> None:
        reason, detail = self._reason or ("lost", "")
        by_broker = self._up and reason in ("lost", "frozen")
        client, self._client, self._up, self._reason = self._client, None, False, None
        if by_broker and self._asked:
            # they are older than every publication: it is one of them
            by_broker, oldest = False, next(iter(self._asked.values())).filter
            self._unanswered[oldest] = self._unanswered.get(oldest, 0) + 1
        if client is not None:
            client.on_disconnect = None
            with contextlib.suppress(ValueError, OSError):
                client.disconnect()
        steady = self._up_at is not None and now - self._up_at > AGAIN_AFTER_S
        if steady:
            self._unanswered.clear()
        taken_over = reason == "taken_over"
        self._next_at = now + self._reconnection.pause_s(now, taken_over=taken_over, steady=steady)
        self._inbox.put(Lost(self._generation, reason, detail, by_broker))

    def _make(self, generation: int) -> Client:
        settings = self._settings
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=settings.client_id,
            protocol=mqtt.MQTTv5,
            reconnect_on_failure=False,
        )
        client.connect_timeout = CONNECT_WITHIN_S
        client.max_inflight_messages_set(65_535)  # the window is ours, see outbox
        if self._has_will:
            client.will_set(
                self._will.topic,
                self._will.payload,
                qos=self._will_qos,
                retain=self._will_retain,
            )
        if settings.username is not None:
            client.username_pw_set(settings.username, settings.password)
        if settings.tls is not None:
            client.tls_set_context(settings.tls.context())
        inbox, asks = self._inbox, self._asks

        def on_socket_open(_client: mqtt.Client, _data: Any, sock: Any) -> None:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def on_connect(
            one: mqtt.Client, _data: Any, _flags: Any, code: ReasonCode, properties: Any
        ) -> None:
            if code.is_failure:
                self._refused_will(code)
                self._end("refused", str(code))
                return
            limits = self._limits = limits_of(properties)
            window = min(WINDOW, getattr(properties, "ReceiveMaximum", WINDOW))
            self._up, self._up_at = True, time.monotonic()
            inbox.put(Connected(generation, window, limits, self._will_lacks(), False))
            self._answer_by = time.monotonic() + ANSWER_WITHIN_S
            self._subscribe_all(one, generation, limits)

        def on_subscribe(
            _client: mqtt.Client, _data: Any, mid: int, codes: list[ReasonCode], _properties: Any
        ) -> None:
            self._answered(generation, mid, codes)

        def on_disconnect(
            _client: mqtt.Client, _data: Any, _flags: Any, code: ReasonCode, _properties: Any
        ) -> None:
            if code.value == _TAKEN_OVER:
                self._end("taken_over", str(code))
            elif code.getName() == "Keep alive timeout":
                self._end("frozen", str(code))
            else:
                self._end("lost", str(code))

        def on_publish(
            _client: mqtt.Client, _data: Any, mid: int, code: ReasonCode, _properties: Any
        ) -> None:
            reason = words(str(code)) if code.is_failure else ""
            inbox.put(Acknowledged(generation, mid, not reason, reason))

        def on_message(_client: mqtt.Client, _data: Any, got: mqtt.MQTTMessage) -> None:
            inbox.put(
                Message(
                    got.topic,
                    bytes(got.payload),
                    got.retain,
                    getattr(got.properties, "ResponseTopic", None),
                    getattr(got.properties, "CorrelationData", None),
                    client.worked_ms if asks else None,
                )
            )

        client.on_socket_open = on_socket_open
        client.on_connect = on_connect
        client.on_disconnect = on_disconnect
        client.on_publish = on_publish
        client.on_subscribe = on_subscribe
        client.on_message = on_message
        return client

    def _subscribe_all(self, client: mqtt.Client, generation: int, limits: Limits) -> None:
        """Each filter by itself: a broker that ends the connection over one of them has then
        answered those before it, and that one is left out."""
        for wanted in self._subscriptions:
            reason = ""
            if not limits.wildcards_available and not {"#", "+"}.isdisjoint(wanted.filter):
                reason = NO_WILDCARD
            elif self._unanswered.get(wanted.filter, 0) >= SUBSCRIBE_TRIES:
                reason = "the broker ends the connection"
            if reason:
                self._inbox.put(NotSubscribed(generation, wanted.filter, reason))
                continue
            options = SubscribeOptions(
                qos=wanted.qos,
                noLocal=not wanted.own,
                retainAsPublished=not wanted.retained,
                retainHandling=0 if wanted.retained else 2,
            )
            _, mid = client.subscribe(wanted.filter, options=options)
            if mid is not None:
                self._asked[mid] = wanted
        if not self._asked:
            self._inbox.put(Subscribed(generation))

    def _answered(self, generation: int, mid: int, codes: list[ReasonCode]) -> None:
        """The answer to one subscription."""
        asked = self._asked.pop(mid, None)
        if asked is None:
            return
        if codes and codes[0].is_failure:
            self._inbox.put(NotSubscribed(generation, asked.filter, words(str(codes[0]))))
        else:
            self._unanswered.pop(asked.filter, None)
        if not self._asked:
            self._inbox.put(Subscribed(generation))

    def _refused_will(self, code: ReasonCode) -> None:
        """A refusal of CONNECT may be one of its last will: try with less of it."""
        if code.value == _NO_RETAIN and self._will_retain:
            self._will_retain = False
        elif code.value == _NO_QOS and self._will_qos:
            self._will_qos = 0
        elif code.value not in _NOT_THE_WILL:
            # Nobody says whether the user or the will is not welcome: by turns.
            self._has_will = not self._has_will
            self._no_will = words(str(code))

    def _will_lacks(self) -> str:
        if not self._has_will:
            return self._no_will
        return "" if self._will_qos and self._will_retain else "without retain or QoS"


def limits_of(properties: Any) -> Limits:
    """What the CONNACK says of the broker."""

    def of(name: str, otherwise: Any) -> Any:
        return getattr(properties, name, otherwise)

    return Limits(
        of("MaximumPacketSize", None),
        of("MaximumQoS", 2),
        bool(of("RetainAvailable", 1)),
        bool(of("WildcardSubscriptionAvailable", 1)),
        of("TopicAliasMaximum", 0),
        of("ServerKeepAlive", None),
    )


class _Packed(Properties):
    """Properties that are the same for every message, packed once: paho packs them anew each
    time, which costs a third of a publication."""

    def __init__(self, packed: bytes) -> None:
        object.__setattr__(self, "_packed", packed)

    def pack(self) -> bytes:
        found: bytes = object.__getattribute__(self, "_packed")
        return found


def _publish_properties(kind: str, correlation: bytes | None) -> Properties:
    properties = _properties(PacketTypes.PUBLISH)
    properties.ContentType = kind
    if correlation is not None:
        properties.CorrelationData = correlation
        return properties
    pack: Any = properties.pack  # paho has no types here
    return _Packed(pack())


def _properties(packet: int) -> Properties:
    make: Any = Properties  # paho's class carries no types
    made: Properties = make(packet)
    return made
