"""The recorder's side of the broker: the only file of this room that knows paho.

A persistent session (the broker queues while the recorder is away), acknowledged by hand:
PUBACK goes out when :meth:`Subscription.acknowledge` is called and not before. How many
messages may wait for that is told to the broker (receive maximum), which is the
back-pressure of a slow store.

Each connection gets a client of its own and a number, its *generation*: an acknowledgement
belongs to one connection, and one for an earlier connection is void (the broker delivers
that message again).
"""

from __future__ import annotations

import contextlib
import queue
import random
import socket
import ssl
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import paho.mqtt.client as mqtt
import structlog
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

log = structlog.get_logger("recorder.subscribe")
BACK_OFF_FIRST_S = 0.5
BACK_OFF_MOST_S = 60.0


@dataclass(frozen=True, slots=True)
class BrokerSettings:
    """Where the broker is and who the recorder is there."""

    client_id: str
    host: str = "localhost"
    port: int = 1883
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: bool = False
    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    keepalive_s: int = 20
    receive_maximum: int = 4000
    """Messages that may wait for their acknowledgement at one time."""
    session_s: int = 7 * 86_400
    """How long the broker keeps the session of a recorder that is away."""


@dataclass(frozen=True, slots=True)
class Received:
    """One message. ``mid`` 0: nothing to acknowledge."""

    generation: int
    mid: int
    topic: str
    payload: bytes
    retained: bool


@dataclass(frozen=True, slots=True)
class Connected:
    generation: int


@dataclass(frozen=True, slots=True)
class Lost:
    generation: int
    reason: str


Inbox = queue.SimpleQueue[Received | Connected | Lost]


class Subscription:
    """A connection that comes back for ever. What happens is put into ``inbox``."""

    def __init__(
        self, settings: BrokerSettings, filters: Iterable[tuple[str, int]], inbox: Inbox
    ) -> None:
        self._settings = settings
        self._filters = tuple(filters)
        self._inbox = inbox
        self._client: mqtt.Client | None = None
        self._generation = 0
        self._stop = threading.Event()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="broker", daemon=True)

    def start(self) -> None:
        """Connect, now and whenever the connection is lost."""
        self._thread.start()

    def stop(self) -> None:
        """Disconnect. The session stays with the broker."""
        self._stop.set()
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    def acknowledge(self, messages: Iterable[Received]) -> None:
        """Tell the broker that these messages are safe."""
        client, generation = self._client, self._generation
        if client is None:
            return
        for message in messages:
            if message.mid and message.generation == generation:
                client.ack(message.mid, 1)

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> bool:
        """Publish with QoS 1 if connected; ``False`` if it cannot be sent now."""
        client = self._client
        if client is None:
            return False
        return client.publish(topic, payload, qos=1, retain=retain).rc == mqtt.MQTT_ERR_SUCCESS

    # --- connections --------------------------------------------------------------------

    def _run(self) -> None:
        pause_s = BACK_OFF_FIRST_S
        while not self._stop.is_set():
            generation = self._generation = self._generation + 1
            self._over.clear()
            if self._stop.is_set():
                return
            if self._connection(generation):
                pause_s = BACK_OFF_FIRST_S
            # jitter, so that a fleet does not come back in one instant
            self._stop.wait(pause_s * random.uniform(0.5, 1.0))  # no secret
            pause_s = min(pause_s * 2, BACK_OFF_MOST_S)

    def _connection(self, generation: int) -> bool:
        """Live through one connection; whether there was one."""
        established = threading.Event()
        client = self._make(generation, established)
        properties = _properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = self._settings.session_s
        properties.ReceiveMaximum = self._settings.receive_maximum
        try:
            client.connect(
                self._settings.host,
                self._settings.port,
                keepalive=self._settings.keepalive_s,
                clean_start=False,
                properties=properties,
            )
        except (OSError, ValueError) as error:
            log.info("broker not reachable", reason=str(error))
            return False
        client.loop_start()
        try:
            if not established.wait(10) and not self._stop.is_set():
                log.warning("broker does not answer")
            else:
                self._over.wait()
        finally:
            self._client = None
            with contextlib.suppress(ValueError, OSError):
                client.disconnect()
            client.loop_stop()
        return established.is_set()

    def _make(self, generation: int, established: threading.Event) -> mqtt.Client:
        settings = self._settings
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=settings.client_id,
            protocol=mqtt.MQTTv5,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        client.connect_timeout = 5.0
        if settings.username is not None:
            client.username_pw_set(settings.username, settings.password)
        if settings.tls:
            client.tls_set_context(_tls(settings))

        def on_socket_open(_client: mqtt.Client, _data: Any, sock: Any) -> None:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def on_connect(
            one: mqtt.Client, _data: Any, _flags: Any, reason: ReasonCode, _properties: Any
        ) -> None:
            if reason.is_failure:
                log.warning("broker refuses", reason=str(reason))
                self._over.set()
                established.set()
                return
            one.subscribe([(name, SubscribeOptions(qos=qos)) for name, qos in self._filters])
            self._client = one
            established.set()
            self._inbox.put(Connected(generation))

        def on_message(_client: mqtt.Client, _data: Any, got: mqtt.MQTTMessage) -> None:
            self._inbox.put(
                Received(
                    generation, got.mid if got.qos else 0, got.topic, bytes(got.payload), got.retain
                )
            )

        def on_disconnect(
            _client: mqtt.Client, _data: Any, _flags: Any, reason: ReasonCode, _properties: Any
        ) -> None:
            established.set()
            self._inbox.put(Lost(generation, str(reason)))
            if generation == self._generation:
                self._over.set()

        client.on_socket_open = on_socket_open
        client.on_connect = on_connect
        client.on_message = on_message
        client.on_disconnect = on_disconnect
        return client


def _properties(packet: int) -> Properties:
    make: Any = Properties  # paho's class carries no types
    made: Properties = make(packet)
    return made


def _tls(settings: BrokerSettings) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=settings.ca)
    if settings.cert is not None:
        context.load_cert_chain(settings.cert, settings.key)
    return context
