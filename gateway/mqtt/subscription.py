"""A client that subscribes: mqtt5 codes the packets, a socket of its own carries them.

Messages are acknowledged by hand: PUBACK goes out when :meth:`Subscription.acknowledge` is called
and not before. How many messages may wait for that is told to the broker (receive maximum), which
is the back-pressure of a slow store. The recorder has a persistent session (the broker queues while
it is away), the centre has none: see :class:`SessionOptions`.

Each connection gets a wire of its own (:class:`_Wire`) and a number, its *generation*: an
acknowledgement belongs to one connection, and one for an earlier connection is void (the
broker delivers that message again).

There is no thread but the caller's, which waits in :meth:`Subscription.pump`. Only
connecting, which may block, is done by a helper thread. One read takes hundreds of messages,
and what a batch acknowledges leaves in one write: that, and packets that are not read in
Python, is what an event costs here (see DECISIONS).

It is one file, although a long one, so that nothing else of its users knows the protocol.
"""

from __future__ import annotations

import contextlib
import os
import queue
import select
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import mqtt5
import structlog

from gateway.backoff import BackOff
from gateway.mqtt.limits import TOO_LARGE, Limits
from gateway.mqtt.reasons import TAKEN_OVER, refusal, words
from gateway.mqtt.reconnection import Reconnection
from gateway.mqtt.session import read
from gateway.mqtt.settings import ANSWER_WITHIN_S, CONNECT_WITHIN_S, PACKET_MOST, BrokerSettings

log = structlog.get_logger("mqtt")
STEADY_S = 30.0
"""A connection that lasted so long is followed by the shortest pause."""
ENDS_AT_ONCE = "connections end at once"
"""The reason of :class:`Lost` from the third short connection on: perhaps another client of the
same name, where the broker does not say so (Mosquitto 2.0 does not of a session that stays)."""
SHORT_MOST = 2
REFUSED_FIRST_S = 5.0
REFUSED_MOST_S = 300.0
"""Pauses before a subscription that was refused is tried again."""
READ_BYTES = 262_144
PUBLISH, PUBACK, SUBACK = 3, 4, 9
"""Types of packets: a message, and what the broker makes of one of ours or of a subscription."""
KEEPALIVE_S = 20
WAITING_MOST = 1_000
"""Publications of our own that wait for the broker; they are repeated anyway."""


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """What the broker does while this client is away. ``receive_most``: messages that may wait for
    their acknowledgement at one time; ``session_s``: how long the session stays with the broker;
    ``clean_start``: each connection begins with an empty one."""

    receive_most: int = 4_000
    session_s: int = 7 * 86_400
    clean_start: bool = False


NO_SESSION = SessionOptions(session_s=0, clean_start=True)
"""What was missed comes again in another way."""


class Received(NamedTuple):
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


@dataclass(frozen=True, slots=True)
class Refused:
    """The broker refuses a subscription, or (without a reason) grants one that it had refused."""

    filter: str
    reason: str


@dataclass(frozen=True, slots=True)
class Granted:
    """What is retained under a filter comes now, as asked by :meth:`Subscription.ask_again`."""

    filter: str


Happening = Received | Connected | Lost | Refused | Granted


class _Broken(Exception):
    """This connection is of no more use; the text says why."""


class _Wire:
    """One connection: bytes in and out, and whether the broker is still there."""

    def __init__(self, sock: socket.socket, keepalive_s: float, wake: int) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._wake = wake
        self._in = bytearray()
        self._out = bytearray()
        self.keepalive_s = keepalive_s
        self._heard = self._sent = time.monotonic()
        self._pinged: float | None = None
        self.odd_answers: list[tuple[int, int, str]] = []
        """Type and number of answers of the broker that could not be read, and why."""

    def wait(self, wait_s: float) -> list[mqtt5.Packet]:
        """Send what waits, and take what comes within ``wait_s``. Raises :class:`_Broken`."""
        if isinstance(self._sock, ssl.SSLSocket) and self._sock.pending():
            wait_s = 0.0  # TLS has read more than was asked for
        writes = [self._sock] if self._out else []
        try:
            readers: list[socket.socket | int] = [self._sock, self._wake]
            readable, writable, _ = select.select(readers, writes, [], wait_s)
            if writable:
                self._flush()
            if self._wake in readable:
                os.eventfd_read(self._wake)
            if self._sock not in readable and wait_s:
                return []
            came = self._sock.recv(READ_BYTES)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return []
        except (OSError, ValueError) as error:
            raise _Broken(str(error) or "socket") from error
        if not came:
            raise _Broken("connection lost")
        self._heard = time.monotonic()
        self._in += came
        return self._packets()

    def _packets(self) -> list[mqtt5.Packet]:
        """Every packet that is whole. Raises :class:`_Broken`."""
        packets = []
        used = 0
        with memoryview(self._in) as view:
            while True:
                with view[used:] as rest:
                    try:
                        found = read(rest)
                        if found is None:
                            break
                        packet, size = found
                        packets.append(packet)
                    except ValueError as error:
                        size = self._pass_over(rest, str(error))
                    used += size
        del self._in[:used]
        return packets

    def _pass_over(self, packet: memoryview, reason: str) -> int:
        """Of a message that cannot be read, how long it is. A stranger may have sent it, and the
        broker may keep it: hanging up would be for ever. Raises :class:`_Broken` where it is no
        message, because then the broker itself cannot be understood."""
        kind, qos = packet[0] >> 4, packet[0] >> 1 & 3
        if kind not in {PUBLISH, PUBACK, SUBACK} or qos > 1:
            raise _Broken(f"not MQTT: {reason}")
        length = 0
        for begins, byte in enumerate(packet[1:5], start=2):  # seven bits a byte, the lowest first
            length |= (byte & 0x7F) << 7 * (begins - 2)
            if byte < 0x80:
                break
        if begins + length > len(packet):
            raise _Broken(f"not MQTT: {reason}")
        if kind != PUBLISH:
            # a refusal with a code that this version of the protocol does not know
            number = int.from_bytes(packet[begins : begins + 2], "big")
            self.odd_answers.append((kind, number, reason))
            return begins + length
        log.warning("a message was skipped", reason=reason)
        if qos == 1:  # unacknowledged ones would fill the window
            at = begins + 2 + int.from_bytes(packet[begins : begins + 2], "big")
            number = int.from_bytes(packet[at : at + 2], "big")
            self._out += mqtt5.PubAckPacket(number).write()
        return begins + length

    def send(self, data: bytes) -> None:
        """Now, or as soon as the broker takes it."""
        self._out += data
        self._flush()

    def _flush(self) -> None:
        try:
            while self._out:
                del self._out[: self._sock.send(self._out)]
                self._sent = time.monotonic()
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        except OSError as error:
            log.debug("cannot send", reason=str(error))  # reading will say so, too

    def keep_alive(self) -> None:
        """Ask whether the broker is there where nothing was heard or said for a while. Raises
        :class:`_Broken` where it does not answer."""
        now = time.monotonic()
        if self._pinged is not None and self._heard > self._pinged:
            self._pinged = None
        if self._pinged is not None:
            if now - self._pinged > self.keepalive_s:
                raise _Broken("no answer to PINGREQ")
        elif self.keepalive_s and now - min(self._heard, self._sent) >= self.keepalive_s:
            self._pinged = now
            self.send(mqtt5.PingReqPacket().write())

    def close(self) -> None:
        """Say goodbye, if that can be said at once."""
        self.send(mqtt5.DisconnectPacket().write())
        self._sock.close()


class Subscription:
    """A connection that comes back for ever. All methods are for one thread, but :meth:`wake`."""

    def __init__(
        self,
        settings: BrokerSettings,
        filters: Iterable[tuple[str, int]],
        options: SessionOptions | None = None,
    ) -> None:
        self._settings = settings
        self._options = options or SessionOptions()
        self._filters = {name: _filter(name, qos) for name, qos in filters}
        self._once: dict[str, mqtt5.TopicFilter] = {}
        """Filters of this connection alone, for the sake of what is retained there."""
        self._client_id = settings.client_id
        self._limits = Limits()
        self._asked: dict[int, list[str]] = {}
        """Subscriptions that wait for their answer, by number of the packet."""
        self._refused: set[str] = set()
        self._named: set[tuple[str, str]] = set()
        self._refused_back_off = BackOff(REFUSED_FIRST_S, REFUSED_MOST_S)
        self._subscribe_at: float | None = None
        self._reconnection = Reconnection()
        self._up_at = 0.0
        self._unreachable = ""
        self.reason = "connecting"
        """Why there is no connection; empty while there is one."""
        self._short = 0
        self._wire: _Wire | None = None
        self._up = False
        self._generation = 0
        self._came: deque[Happening] = deque()
        self._made: queue.SimpleQueue[socket.socket | str] = queue.SimpleQueue()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._connecting = False
        self._next_at = 0.0
        self._answer_by = 0.0
        self._number = 0
        self._flying: dict[int, str] = {}
        self._flying_most = 0
        self._waiting: deque[tuple[str, bytes, bool, int | None]] = deque()

    def pump(self, wait_s: float) -> None:
        """Send and receive; returns when something happened, or after ``wait_s``."""
        wire = self._wire
        if wire is None:
            self._connect(wait_s)
            return
        try:
            for packet in wire.wait(wait_s):
                self._take(wire, packet)
            self._take_odd(wire)
            wire.keep_alive()
            if self._subscribe_at is not None and time.monotonic() >= self._subscribe_at:
                self._subscribe_at = None
                self._subscribe(wire, sorted(self._refused))
            if not self._up and time.monotonic() > self._answer_by:
                raise _Broken("no answer to CONNECT")
        except _Broken as broken:
            self._ended(str(broken))

    def take(self) -> Happening | None:
        """The next thing that has happened, if any."""
        return self._came.popleft() if self._came else None

    def acknowledge(self, messages: Iterable[Received]) -> None:
        """Tell the broker that these messages are safe."""
        if self._wire is not None:
            self._wire.send(
                b"".join(
                    mqtt5.PubAckPacket(message.mid).write()
                    for message in messages
                    if message.mid and message.generation == self._generation
                )
            )

    def publish(
        self, topic: str, payload: bytes, *, retain: bool = False, expiry_s: int | None = None
    ) -> bool:
        """Publish with QoS 1 if connected; ``False`` if it cannot be sent now. ``expiry_s``: how
        long the broker keeps it for a client that is away; ``None``: as long as it likes."""
        if self._wire is None or not self._up or len(self._waiting) >= WAITING_MOST:
            return False
        self._waiting.append((topic, payload, retain, expiry_s))
        self._send_waiting(self._wire)
        return True

    @property
    def unacknowledged(self) -> int:
        """Publications of our own that the broker has not acknowledged yet."""
        return len(self._waiting) + len(self._flying)

    def ask_again(self, name: str, qos: int) -> bool:
        """Subscribe a filter once more, so that what is retained there comes again; answered by
        :class:`Granted` or :class:`Refused`. ``False`` where nothing can be sent now. It ends with
        :meth:`drop` or with the connection."""
        if self._wire is None or not self._up or name in self._filters:
            return False
        self._once[name] = _filter(name, qos)
        self._subscribe(self._wire, [name])
        return True

    def drop(self, name: str) -> None:
        """End what :meth:`ask_again` has begun."""
        if self._once.pop(name, None) is not None and self._wire is not None:
            self._wire.send(mqtt5.UnsubscribePacket(self._next_number(), [name]).write())

    def wake(self) -> None:
        """End the wait of :meth:`pump`; for other threads."""
        with contextlib.suppress(OSError, ValueError):  # closed meanwhile
            os.eventfd_write(self._wake, 1)

    def close(self) -> None:
        """Disconnect. The session stays with the broker for as long as was asked."""
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.close()
        wake, self._wake = self._wake, -1
        os.close(wake)

    # --- what the broker says -----------------------------------------------------------

    def _take(self, wire: _Wire, packet: mqtt5.Packet) -> None:
        """One packet. Raises :class:`_Broken`."""
        if isinstance(packet, mqtt5.PublishPacket):
            mid = packet.packet_id or 0
            self._came.append(
                Received(self._generation, mid, packet.topic, packet.payload, packet.retain)
            )
        elif isinstance(packet, mqtt5.PubAckPacket):
            self._answered(wire, packet.packet_id, refusal(packet.reason_code))
        elif isinstance(packet, mqtt5.ConnAckPacket):
            self._welcomed(wire, packet)
        elif isinstance(packet, mqtt5.SubAckPacket):
            for name, code in zip(
                self._asked.get(packet.packet_id, ()), packet.reason_codes, strict=False
            ):
                known = self._filters.get(name) or self._once.get(name)
                if known is not None and int(code) < int(known.max_qos):
                    self._name_once(name, "sent with QoS 0 only; what is lost is asked for again")
            self._granted(packet.packet_id, [refusal(code) for code in packet.reason_codes])
        elif isinstance(packet, mqtt5.DisconnectPacket):
            raise _Broken(words(packet.reason_code.name))

    def _take_odd(self, wire: _Wire) -> None:
        while wire.odd_answers:
            kind, number, reason = wire.odd_answers.pop()
            if kind == PUBACK:
                self._answered(wire, number, reason)
            else:
                self._granted(number, [reason] * len(self._asked.get(number, ())))

    def _welcomed(self, wire: _Wire, packet: mqtt5.ConnAckPacket) -> None:
        """The broker lets us in, and says what it can. Raises :class:`_Broken`."""
        if reason := refusal(packet.reason_code):
            log.warning("broker refuses", reason=reason)
            raise _Broken(reason)
        if packet.server_keep_alive is not None:
            wire.keepalive_s = packet.server_keep_alive
        if packet.assigned_client_id:
            self._client_id = packet.assigned_client_id  # the session has this name from now on
        self._limits = Limits(packet.max_packet_size, int(packet.max_qos), packet.retain_available)
        self._flying.clear()
        self._waiting.clear()
        self._asked.clear()
        self._once.clear()
        self._refused.clear()
        self._named.clear()
        self._subscribe_at = None
        self._refused_back_off.reset()
        self._flying_most = packet.receive_max
        self._up, self._up_at, self.reason = True, time.monotonic(), ""
        self._came.append(Connected(self._generation))
        self._subscribe(wire, list(self._filters))

    # --- subscriptions ------------------------------------------------------------------

    def _subscribe(self, wire: _Wire, names: list[str]) -> None:
        """In as few packets as the broker's limit allows."""
        number = self._next_number()
        wanted = [self._filters.get(name) or self._once[name] for name in names]
        data = mqtt5.SubscribePacket(number, wanted).write()
        if not self._limits.takes(len(data)):
            if len(names) > 1:
                middle = len(names) // 2
                self._subscribe(wire, names[:middle])
                self._subscribe(wire, names[middle:])
                return
            self._asked[number] = names
            self._granted(number, [TOO_LARGE])
            return
        self._asked[number] = names
        wire.send(data)

    def _granted(self, number: int, reasons: list[str]) -> None:
        """What the broker makes of subscriptions; an empty reason: granted."""
        for name, reason in zip(self._asked.pop(number, ()), reasons, strict=False):
            if name not in self._filters:
                if self._once.get(name) is not None:
                    self._came.append(Refused(name, reason) if reason else Granted(name))
            elif reason:
                if name not in self._refused:
                    self._came.append(Refused(name, reason))
                self._refused.add(name)
            elif name in self._refused:
                self._refused.discard(name)
                self._came.append(Refused(name, ""))
        if self._refused and self._subscribe_at is None:
            self._subscribe_at = time.monotonic() + self._refused_back_off.next()

    # --- publications of our own --------------------------------------------------------

    def _answered(self, wire: _Wire, number: int, refused: str) -> None:
        topic = self._flying.pop(number, "")
        if refused:
            self._name_once(topic, refused)
        self._send_waiting(wire)

    def _name_once(self, topic: str, reason: str) -> None:
        if (topic, reason) not in self._named:
            self._named.add((topic, reason))
            log.warning("the broker restricts a topic", topic=topic, reason=reason)

    def _send_waiting(self, wire: _Wire) -> None:
        """Publish what waits, as many at a time as the broker takes, and as it can."""
        limits = self._limits
        while self._waiting and len(self._flying) < self._flying_most:
            topic, payload, retain, expiry_s = self._waiting.popleft()
            number = self._next_number() if limits.maximum_qos else None
            data = mqtt5.PublishPacket(
                topic,
                payload,
                qos=mqtt5.QoS.AT_LEAST_ONCE if limits.maximum_qos else mqtt5.QoS.AT_MOST_ONCE,
                retain=retain and limits.retain_available,
                packet_id=number,
                message_expiry_interval=expiry_s,
            ).write()
            if not limits.takes(len(data)):
                self._name_once(topic, TOO_LARGE)
                continue
            if number is not None:
                self._flying[number] = topic
            wire.send(data)

    def _next_number(self) -> int:
        while True:
            self._number = self._number % 65_535 + 1
            if self._number not in self._flying and self._number not in self._asked:
                return self._number

    # --- one connection after the other -------------------------------------------------

    def _connect(self, wait_s: float) -> None:
        now = time.monotonic()
        if not self._connecting and now >= self._next_at:
            self._connecting = True
            self._generation += 1
            try:
                threading.Thread(target=self._open, name="connect", daemon=True).start()
            except RuntimeError as error:  # there may be too many threads or too little memory
                self._made.put(str(error))
                self.wake()
        readable, _, _ = select.select([self._wake], [], [], wait_s)
        if readable:
            os.eventfd_read(self._wake)
        try:
            made = self._made.get_nowait()
        except queue.Empty:
            return
        self._connecting, self._up = False, False
        if isinstance(made, str):
            if made != self._unreachable:
                log.warning("broker not reachable", reason=made)
            self._unreachable = made
            self._ended(made)
        else:
            self._unreachable = ""
            self._wire = _Wire(made, self._settings.keepalive_s, self._wake)
            self._wire.send(self._hello())
            self._answer_by = time.monotonic() + ANSWER_WITHIN_S

    def _hello(self) -> bytes:
        settings = self._settings
        password = settings.password
        return mqtt5.ConnectPacket(
            self._client_id,
            username=settings.username,
            password=None if password is None else password.encode(),
            clean_start=self._options.clean_start,
            keep_alive=settings.keepalive_s,
            session_expiry_interval=self._options.session_s,
            receive_max=self._options.receive_most,
            max_packet_size=PACKET_MOST,
        ).write()

    def _open(self) -> None:
        """In the helper thread: look the name up, connect, agree on TLS."""
        settings = self._settings
        try:
            sock = socket.create_connection((settings.host, settings.port), CONNECT_WITHIN_S)
            try:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if settings.tls is not None:
                    sock = settings.tls.context().wrap_socket(sock, server_hostname=settings.host)
            except BaseException:
                sock.close()
                raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it ends this attempt only
            self._made.put(str(error) or type(error).__name__)
        else:
            self._made.put(sock)
        self.wake()

    def _ended(self, reason: str) -> None:
        wire, was_up, now = self._wire, self._up, time.monotonic()
        steady = was_up and now - self._up_at >= STEADY_S
        if was_up:
            self._short = 0 if steady else self._short + 1
            if self._short > SHORT_MOST and reason != TAKEN_OVER:
                reason = ENDS_AT_ONCE
        self._wire, self._up, self.reason = None, False, reason
        self._subscribe_at = None
        if wire is not None:
            wire.close()
        taken_over = reason in {TAKEN_OVER, ENDS_AT_ONCE}
        self._next_at = now + self._reconnection.pause_s(now, taken_over=taken_over, steady=steady)
        if was_up:
            self._came.append(Lost(self._generation, reason))


def _filter(name: str, qos: int) -> mqtt5.TopicFilter:
    """As the broker is asked for it: *retained* says that it had the message before."""
    return mqtt5.TopicFilter(name, max_qos=mqtt5.QoS(qos), retain_as_published=False)
