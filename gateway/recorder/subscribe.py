"""The recorder's side of the broker: the only file of this room that knows paho.

A persistent session (the broker queues while the recorder is away), acknowledged by hand:
PUBACK goes out when :meth:`Subscription.acknowledge` is called and not before. How many
messages may wait for that is told to the broker (receive maximum), which is the
back-pressure of a slow store.

Each connection gets a client of its own and a number, its *generation*: an acknowledgement
belongs to one connection, and one for an earlier connection is void (the broker delivers
that message again).

There is no thread of paho's: the recorder's one thread waits in :meth:`Subscription.pump`.
Only connecting, which may block, is done by a helper thread.
"""

from __future__ import annotations

import contextlib
import os
import queue
import random
import select
import socket
import ssl
import threading
import time
from collections import deque
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
ANSWER_WITHIN_S = 10.0
MISC_EVERY_S = 0.5
READ_MOST = 200


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


Happening = Received | Connected | Lost


class Subscription:
    """A connection that comes back for ever. All methods are for the recorder's one thread."""

    def __init__(self, settings: BrokerSettings, filters: Iterable[tuple[str, int]]) -> None:
        self._settings = settings
        self._filters = tuple(filters)
        self._client: mqtt.Client | None = None
        self._up = False
        self._over: str | None = None
        self._generation = 0
        self._came: deque[Happening] = deque()
        self._made: queue.SimpleQueue[mqtt.Client | str] = queue.SimpleQueue()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._connecting = False
        self._next_at = 0.0
        self._answer_by = 0.0
        self._misc_at = 0.0
        self._pause_s = BACK_OFF_FIRST_S

    def pump(self, wait_s: float) -> None:
        """Send and receive; returns when something happened, or after ``wait_s``."""
        client = self._client
        if client is None:
            self._connect(wait_s)
            return
        sock: Any = client.socket()
        if sock is not None:
            pending = getattr(sock, "pending", None)
            if pending is not None and pending() > 0:
                wait_s = 0.0  # TLS has read more than was asked for
                client.loop_read()
            writes = [sock] if client.want_write() else []
            try:
                readable, writable, _ = select.select([sock], writes, [], wait_s)
            except (OSError, ValueError):
                readable, writable = [], []
                self._over = self._over or "socket"
            if writable:
                client.loop_write()
            if readable:
                self._read(client)
        now = time.monotonic()
        if now >= self._misc_at:
            self._misc_at = now + MISC_EVERY_S
            client.loop_misc()
        if not self._up and now > self._answer_by:
            self._over = self._over or "no answer to CONNECT"
        if client.socket() is None:
            self._over = self._over or "connection lost"
        if self._over is not None:
            self._ended(now)

    def _read(self, client: mqtt.Client) -> None:
        """Read what is there: ``loop_read`` stops after each message."""
        for _ in range(READ_MOST):
            before = len(self._came)
            client.loop_read()
            if len(self._came) == before:
                return

    def take(self) -> Happening | None:
        """The next thing that has happened, if any."""
        return self._came.popleft() if self._came else None

    def acknowledge(self, messages: Iterable[Received]) -> None:
        """Tell the broker that these messages are safe."""
        client = self._client
        sock: Any = None if client is None else client.socket()
        if client is None or sock is None:
            return
        with contextlib.suppress(OSError):  # many small packets leave as few large ones
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, True)
        for message in messages:
            if message.mid and message.generation == self._generation:
                client.ack(message.mid, 1)
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, False)

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> bool:
        """Publish with QoS 1 if connected; ``False`` if it cannot be sent now."""
        if self._client is None or not self._up:
            return False
        told = self._client.publish(topic, payload, qos=1, retain=retain)
        return told.rc == mqtt.MQTT_ERR_SUCCESS

    def close(self) -> None:
        """Disconnect. The session stays with the broker."""
        client, self._client = self._client, None
        if client is not None:
            with contextlib.suppress(ValueError, OSError):
                client.disconnect()
        os.close(self._wake)
        self._wake = -1

    # --- one connection after the other -------------------------------------------------

    def _connect(self, wait_s: float) -> None:
        now = time.monotonic()
        if not self._connecting and now >= self._next_at:
            self._connecting = True
            self._generation += 1
            threading.Thread(
                target=self._open, args=(self._generation,), name="connect", daemon=True
            ).start()
        readable, _, _ = select.select([self._wake], [], [], wait_s)
        if readable:
            os.eventfd_read(self._wake)
        try:
            made = self._made.get_nowait()
        except queue.Empty:
            return
        self._connecting, self._up, self._over = False, False, None
        if isinstance(made, str):
            log.info("broker not reachable", reason=made)
            self._ended(time.monotonic())
        else:
            self._client = made
            self._answer_by = time.monotonic() + ANSWER_WITHIN_S

    def _open(self, generation: int) -> None:
        """In the helper thread: look the name up, connect, send CONNECT."""
        properties = _properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = self._settings.session_s
        properties.ReceiveMaximum = self._settings.receive_maximum
        try:
            client = self._make(generation)
            client.connect(
                self._settings.host,
                self._settings.port,
                keepalive=self._settings.keepalive_s,
                clean_start=False,
                properties=properties,
            )
        except (OSError, ValueError) as error:
            self._made.put(str(error))
        else:
            self._made.put(client)
        with contextlib.suppress(OSError):  # closed meanwhile
            os.eventfd_write(self._wake, 1)

    def _ended(self, now: float) -> None:
        client, was_up = self._client, self._up
        self._client, self._up = None, False
        if client is not None:
            client.on_disconnect = None
            with contextlib.suppress(ValueError, OSError):
                client.disconnect()
        self._pause_s = BACK_OFF_FIRST_S if was_up else min(self._pause_s * 2, BACK_OFF_MOST_S)
        # jitter, so that a fleet does not come back in one instant
        self._next_at = now + self._pause_s * random.uniform(0.5, 1.0)
        if was_up:
            self._came.append(Lost(self._generation, self._over or ""))

    def _make(self, generation: int) -> mqtt.Client:
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
        came = self._came

        def on_socket_open(_client: mqtt.Client, _data: Any, sock: Any) -> None:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def on_connect(
            one: mqtt.Client, _data: Any, _flags: Any, reason: ReasonCode, _properties: Any
        ) -> None:
            if reason.is_failure:
                log.warning("broker refuses", reason=str(reason))
                self._over = str(reason)
                return
            one.subscribe([(name, SubscribeOptions(qos=qos)) for name, qos in self._filters])
            self._up = True
            came.append(Connected(generation))

        def on_message(_client: mqtt.Client, _data: Any, got: mqtt.MQTTMessage) -> None:
            mid = got.mid if got.qos else 0
            came.append(Received(generation, mid, got.topic, bytes(got.payload), got.retain))

        def on_disconnect(
            _client: mqtt.Client, _data: Any, _flags: Any, reason: ReasonCode, _properties: Any
        ) -> None:
            self._over = self._over or str(reason)

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
