"""The link's side of the broker: the only file of this room that knows paho.

Clean start, a last will on ``availability``, and a client of its own for every connection:
nothing of an earlier connection (paho's queue, its message numbers) can reach a later one.
What is to be sent again is decided by the journal's cursor alone.

What happens is put into ``inbox`` and handled by the link's one thread. The connection
comes back for ever, with growing pauses and jitter. A session that was taken over by
another client of the same name has pauses of its own: two gateways with one id would
otherwise throw each other out in a tight loop.
"""

from __future__ import annotations

import contextlib
import queue
import random
import socket
import ssl
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import paho.mqtt.client as mqtt
import structlog
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

log = structlog.get_logger("link.mqtt")

BACK_OFF_FIRST_S = 0.5
BACK_OFF_MOST_S = 60.0
TAKEN_OVER_FIRST_S = 15.0
TAKEN_OVER_MOST_S = 300.0
TAKEN_OVER_FOR_S = 600.0
"""For how long after the session was taken over the pauses stay long."""
_TAKEN_OVER = 0x8E
COMMANDS_WAITING_MOST = 200
"""Messages from outside that may wait for the link's thread; more are dropped, and counted."""


@dataclass(frozen=True, slots=True)
class BrokerSettings:
    """Where the broker is and who the gateway is there."""

    client_id: str
    host: str = "localhost"
    port: int = 1883
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: bool = False
    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    keepalive_s: int = 10
    window: int = 64
    """Publications in flight; the broker may want fewer."""


@dataclass(frozen=True, slots=True)
class Will:
    topic: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Subscribe:
    """One filter. ``retained`` ``False``: kept messages are not wanted (Retain Handling 2)."""

    filter: str
    qos: int = 1
    retained: bool = False


@dataclass(frozen=True, slots=True)
class Connected:
    generation: int
    window: int


@dataclass(frozen=True, slots=True)
class Lost:
    """``reason`` is stable: ``taken_over``, ``refused``, ``unreachable``, ``lost``, ``frozen``."""

    generation: int
    reason: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The broker has one publication (``ok``), or will not take it."""

    generation: int
    mid: int
    ok: bool


@dataclass(frozen=True, slots=True)
class Message:
    """One message from outside."""

    topic: str
    payload: bytes
    retained: bool
    response_topic: str | None = None
    correlation: bytes | None = None


@dataclass(frozen=True, slots=True)
class Flooded:
    """Messages from outside that were dropped because too many waited."""

    count: int


Happening = Connected | Lost | Acknowledged | Message | Flooded


class Connection:
    """The connection to the broker. All methods may be called from any thread."""

    def __init__(
        self,
        settings: BrokerSettings,
        will: Will,
        subscriptions: tuple[Subscribe, ...],
        inbox: queue.SimpleQueue[Any],
    ) -> None:
        self._settings = settings
        self._will = will
        self._subscriptions = subscriptions
        self._inbox = inbox
        self._client: mqtt.Client | None = None
        self._generation = 0
        self._stop = threading.Event()
        self._over = threading.Event()
        self._reason = ("lost", "")
        self._waiting = 0
        self._dropped = 0
        self._counting = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="mqtt", daemon=True)

    def start(self) -> None:
        """Connect, now and whenever the connection is lost."""
        self._thread.start()

    def stop(self) -> None:
        """Say offline, disconnect, do not come back."""
        client = self._client
        self._stop.set()
        if client is not None:
            with contextlib.suppress(ValueError, OSError):
                told = client.publish(self._will.topic, self._will.payload, qos=1, retain=True)
                with contextlib.suppress(RuntimeError):
                    told.wait_for_publish(1.0)
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    def drop(self, generation: int, reason: str) -> None:
        """Give this connection up: it is no use. Another one is made."""
        if generation == self._generation:
            self._reason = (reason, "")
            self._over.set()

    def handled(self) -> None:
        """One message from outside is done with; the next may wait in its place."""
        with self._counting:
            self._waiting -= 1

    def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        qos: int = 1,
        retain: bool = False,
        correlation: bytes | None = None,
    ) -> int | None:
        """Publish now; the number to be acknowledged, or ``None`` while not connected."""
        client = self._client
        if client is None:
            return None
        properties = _properties(PacketTypes.PUBLISH)
        properties.ContentType = "application/json"
        properties.PayloadFormatIndicator = 1
        if correlation is not None:
            properties.CorrelationData = correlation
        told = client.publish(topic, payload, qos=qos, retain=retain, properties=properties)
        return told.mid if told.rc == mqtt.MQTT_ERR_SUCCESS else None

    # --- connections --------------------------------------------------------------------

    def _run(self) -> None:
        pause_s, taken_pause_s, taken_at = BACK_OFF_FIRST_S, TAKEN_OVER_FIRST_S, float("-inf")
        while not self._stop.is_set():
            self._generation += 1
            began = time.monotonic()
            established, (reason, detail) = self._connection(self._generation)
            if self._stop.is_set():
                return
            self._inbox.put(Lost(self._generation, reason, detail))
            now = time.monotonic()
            if established and now - began > BACK_OFF_MOST_S:
                pause_s = BACK_OFF_FIRST_S
            if reason == "taken_over":
                taken_pause_s = (
                    min(taken_pause_s * 2, TAKEN_OVER_MOST_S)
                    if now - taken_at < TAKEN_OVER_FOR_S
                    else TAKEN_OVER_FIRST_S
                )
                taken_at = now
                wait_s = taken_pause_s
            else:
                wait_s = pause_s if not established else BACK_OFF_FIRST_S
                pause_s = BACK_OFF_FIRST_S if established else min(pause_s * 2, BACK_OFF_MOST_S)
            # jitter, so that a fleet does not come back in one instant
            self._stop.wait(wait_s * random.uniform(0.5, 1.0))

    def _connection(self, generation: int) -> tuple[bool, tuple[str, str]]:
        """Live through one connection: whether there was one, and why it ended."""
        self._over.clear()
        self._reason = ("lost", "")
        answered = threading.Event()
        client = self._make(generation, answered)
        properties = _properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = 0
        try:
            client.connect(
                self._settings.host,
                self._settings.port,
                keepalive=self._settings.keepalive_s,
                clean_start=True,
                properties=properties,
            )
        except (OSError, ValueError) as error:
            return False, ("unreachable", str(error))
        client.loop_start()
        established = False
        try:
            if not answered.wait(10):
                return False, ("frozen", "no answer to CONNECT")
            established = self._client is client
            if established:
                self._over.wait()
        finally:
            self._client = None
            with contextlib.suppress(ValueError, OSError):
                client.disconnect()
            client.loop_stop()
        return established, self._reason

    def _make(self, generation: int, answered: threading.Event) -> mqtt.Client:
        settings = self._settings
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=settings.client_id,
            protocol=mqtt.MQTTv5,
            reconnect_on_failure=False,
        )
        client.connect_timeout = 5.0
        client.max_inflight_messages_set(65_535)  # the window is ours, see outbox
        client.will_set(self._will.topic, self._will.payload, qos=1, retain=True)
        if settings.username is not None:
            client.username_pw_set(settings.username, settings.password)
        if settings.tls:
            client.tls_set_context(_tls(settings))

        def on_socket_open(_client: mqtt.Client, _data: Any, sock: Any) -> None:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def on_connect(
            one: mqtt.Client, _data: Any, _flags: Any, code: ReasonCode, properties: Any
        ) -> None:
            if code.is_failure:
                self._reason = ("refused", str(code))
                answered.set()
                return
            one.subscribe(
                [
                    (s.filter, SubscribeOptions(qos=s.qos, retainHandling=0 if s.retained else 2))
                    for s in self._subscriptions
                ]
            )
            broker_most = getattr(properties, "ReceiveMaximum", settings.window)
            self._client = one
            self._inbox.put(Connected(generation, min(settings.window, broker_most)))
            answered.set()

        def on_disconnect(
            _client: mqtt.Client, _data: Any, _flags: Any, code: ReasonCode, _properties: Any
        ) -> None:
            if generation != self._generation:
                return
            if not self._over.is_set() and self._reason[0] == "lost":
                if code.value == _TAKEN_OVER:
                    self._reason = ("taken_over", str(code))
                elif "Keep alive" in str(code):
                    self._reason = ("frozen", str(code))
                else:
                    self._reason = ("lost", str(code))
            self._over.set()
            answered.set()

        def on_publish(
            _client: mqtt.Client, _data: Any, mid: int, code: ReasonCode, _properties: Any
        ) -> None:
            self._inbox.put(Acknowledged(generation, mid, not code.is_failure))

        client.on_socket_open = on_socket_open
        client.on_connect = on_connect
        client.on_disconnect = on_disconnect
        client.on_publish = on_publish
        client.on_message = self._on_message
        return client

    def _on_message(self, _client: mqtt.Client, _data: Any, got: mqtt.MQTTMessage) -> None:
        with self._counting:
            if self._waiting >= COMMANDS_WAITING_MOST:
                self._dropped += 1
                return
            self._waiting += 1
            dropped, self._dropped = self._dropped, 0
        if dropped:
            self._inbox.put(Flooded(dropped))
        self._inbox.put(
            Message(
                got.topic,
                bytes(got.payload),
                got.retain,
                getattr(got.properties, "ResponseTopic", None),
                getattr(got.properties, "CorrelationData", None),
            )
        )


def _properties(packet: int) -> Properties:
    make: Any = Properties  # paho's class carries no types
    made: Properties = make(packet)
    return made


def _tls(settings: BrokerSettings) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=settings.ca)
    if settings.cert is not None:
        context.load_cert_chain(settings.cert, settings.key)
    return context
