"""A short connection in MQTT 5 that waits for the answer to each thing it asks, and how a packet
is read. mqtt5 codes the packets; beside this file only the recorder's subscription knows it."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Sequence
from typing import Any

import mqtt5

from gateway.mqtt.reasons import refusal, words

_MQTT_3_CONNACK = b"\x20\x02"
"""In MQTT 5 the answer is longer."""
_FIRST_ANSWERS = frozenset({0x20, 0xE0, 0xF0})
"""CONNACK, DISCONNECT, AUTH: how an answer to CONNECT begins."""


class NotMqttError(Exception):
    """Something answers that does not speak MQTT 5. ``version_3``: MQTT 3.1.1 instead;
    ``answer``: how it began."""

    def __init__(self, answer: bytes, *, version_3: bool = False) -> None:
        super().__init__("does not speak MQTT 5")
        self.answer = answer
        self.version_3 = version_3


class DisconnectedError(Exception):
    """The broker ends the connection; the text is its reason in words."""


def read(data: memoryview) -> tuple[mqtt5.Packet, int] | None:
    """The first packet and how long it is; ``None`` while the rest of it is to come.

    :raises ValueError: it cannot be read
    """
    try:
        return mqtt5.read(data)
    except IndexError:
        return None
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # Rust's is no Exception
            raise
        raise ValueError(str(error)) from None


class Session:
    """One connection, which ends ``within_s`` after it was begun. Each method raises
    :class:`OSError`, those after :meth:`open` :class:`NotMqttError` and
    :class:`DisconnectedError` as well."""

    def __init__(self, host: str, port: int, within_s: float) -> None:
        self.host = host
        self.port = port
        self.within_s = within_s
        self.sock: socket.socket | None = None
        self._deadline = time.monotonic() + within_s
        self._came = bytearray()
        self._understood = False
        """It has sent a packet of MQTT 5."""
        self._number = 0

    @property
    def where(self) -> str:
        return f"{self.host}:{self.port}"

    def open(self, context: ssl.SSLContext | None) -> None:
        """Connect, and agree on TLS."""
        self.sock = socket.create_connection((self.host, self.port), min(3.0, self._left_s()))
        if context is not None:
            self.sock.settimeout(self._left_s())
            self.sock = context.wrap_socket(self.sock, server_hostname=self.host)

    def certificate_until(self) -> str | None:
        """Until when the certificate is valid that the broker has presented."""
        if not isinstance(self.sock, ssl.SSLSocket):
            return None
        until = (self.sock.getpeercert() or {}).get("notAfter")
        return until if isinstance(until, str) else None

    def connect(
        self, client_id: str, username: str | None, password: str | None, keepalive_s: int
    ) -> mqtt5.ConnAckPacket:
        """Say who we are; the broker's answer, which may be a refusal."""
        packet = mqtt5.ConnectPacket(
            client_id,
            username=username,
            password=None if password is None else password.encode(),
            clean_start=True,
            keep_alive=keepalive_s,
        )
        answer: mqtt5.ConnAckPacket = self._ask(packet, mqtt5.ConnAckPacket)
        return answer

    def subscribe(self, filters: Sequence[str]) -> list[str]:
        """Of each filter why it is refused, or nothing. What is retained there does not come."""
        wanted = [
            mqtt5.TopicFilter(
                one,
                max_qos=mqtt5.QoS.AT_LEAST_ONCE,
                retain_handling=mqtt5.RetainHandling.SEND_NEVER,
            )
            for one in filters
        ]
        number = self._next_number()
        answer = self._ask(mqtt5.SubscribePacket(number, wanted), mqtt5.SubAckPacket, number)
        return [refusal(code) for code in answer.reason_codes]

    def publish(self, topic: str, payload: bytes, *, retain: bool) -> str:
        """Publish with QoS 1: why the broker refuses it, or nothing."""
        number = self._next_number()
        packet = mqtt5.PublishPacket(
            topic, payload, qos=mqtt5.QoS.AT_LEAST_ONCE, retain=retain, packet_id=number
        )
        return refusal(self._ask(packet, mqtt5.PubAckPacket, number).reason_code)

    def close(self) -> None:
        """Say goodbye, if anything was said before."""
        if self.sock is not None:
            if self._understood:
                with contextlib.suppress(OSError):
                    self.sock.settimeout(0.5)
                    self.sock.sendall(mqtt5.DisconnectPacket().write())
            self.sock.close()

    def _next_number(self) -> int:
        self._number += 1
        return self._number

    def _left_s(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        return left

    def _ask(self, packet: Any, answer: type[Any], number: int = 0) -> Any:
        if self.sock is None:
            raise ConnectionResetError("not connected")
        self.sock.settimeout(self._left_s())
        self.sock.sendall(packet.write())
        while True:
            for got in self._packets():
                if isinstance(got, answer) and getattr(got, "packet_id", 0) == number:
                    return got
                if isinstance(got, mqtt5.DisconnectPacket):
                    raise DisconnectedError(words(got.reason_code.name))
            self.sock.settimeout(self._left_s())
            more = self.sock.recv(65_536)
            if not more:
                raise ConnectionResetError("it closes the connection without an answer")
            self._came += more

    def _packets(self) -> list[mqtt5.Packet]:
        if self._came[:2] == _MQTT_3_CONNACK:
            raise NotMqttError(bytes(self._came[:20]), version_3=True)
        packets = []
        while self._came:
            if not self._understood and self._came[0] not in _FIRST_ANSWERS:
                raise NotMqttError(bytes(self._came[:20]))
            try:
                found = read(memoryview(self._came))
            except ValueError:
                raise NotMqttError(bytes(self._came[:20])) from None
            if found is None:
                break
            packet, size = found
            self._understood = True
            packets.append(packet)
            self._came = self._came[size:]
        return packets
