"""The MQTT client of the link: paho, but no message of a stranger ends it.

paho hangs up on a message that it cannot read, such as one with a byte order mark in a user
property or a payload format that is neither 0 nor 1. Brokers pass both on (Mosquitto 2.0.11
does). Whoever may publish anything that we listen to could so cut us off: for ever, if the
broker keeps that message and sends it again at each connection. It is passed over instead.

It also knows how long a message may have waited. A socket says nothing about that: it may have lain
in ours while this process hung, or in the sender's while the broker did. So the broker is asked
again and again (PINGREQ); what comes before the next answer came to it after the last question
that it has answered.
"""

from __future__ import annotations

import time
from collections import deque
from typing import Any

import paho.mqtt.client as mqtt
import structlog
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.exception import MalformedPacket
from paho.mqtt.packettypes import PacketTypes

log = structlog.get_logger("link.client")
SAY_EVERY_S = 60.0
ASK_EVERY_S = 0.5


def boot_ms() -> int:
    """Milliseconds since the machine was started, those in which it slept counted, too."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


class Client(mqtt.Client):
    """See the module. Subscribes with QoS 0 and 1 only."""

    _said_at = float("-inf")
    heard_at = float("-inf")
    """``time.monotonic()`` of the broker's last PUBACK or PINGRESP: it works, not only listens."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.worked_ms = boot_ms()
        """When the broker certainly had no message of now yet: before the connection, later when
        the question was sent that it has answered last."""
        self._asked_ms: deque[int] = deque()
        """When the questions were sent that it has not answered yet."""

    def ask(self) -> float:
        """Ask the broker whether it works, where that is due. How long nothing is due, in s."""
        if self._asked_ms:
            return float("inf")
        due_s = ASK_EVERY_S - (boot_ms() - self.worked_ms) / 1000
        if due_s > 0:
            return due_s
        waits = self._ping_t
        self._send_pingreq()
        self._ping_t = waits  # how long a broker may be silent is still paho's to say
        return float("inf")

    def _send_pingreq(self) -> MQTTErrorCode:
        self._asked_ms.append(boot_ms())
        return super()._send_pingreq()

    def _packet_handle(self) -> MQTTErrorCode:
        kind = self._in_packet["command"] >> 4
        if kind in (PacketTypes.PUBACK, PacketTypes.PINGRESP):
            self.heard_at = time.monotonic()
        if kind == PacketTypes.PINGRESP and self._asked_ms:
            self.worked_ms = self._asked_ms.popleft()
        # A name of paho's inside, with a test that notices when it goes: there is no other
        # place between the bytes and the disconnection.
        try:
            return super()._packet_handle()
        except (MalformedPacket, UnicodeDecodeError) as error:
            header, packet = self._in_packet["command"], self._in_packet["packet"]
            qos = header >> 1 & 3
            if header >> 4 != PacketTypes.PUBLISH or qos > 1:
                raise
            if time.monotonic() - self._said_at >= SAY_EVERY_S:
                self._said_at = time.monotonic()
                log.warning("a message was passed over", reason=str(error))
            if qos == 0:
                return MQTTErrorCode.MQTT_ERR_SUCCESS
            # unacknowledged ones would fill the window, and the broker would send no more
            length = int.from_bytes(packet[:2], "big")
            return self._send_puback(int.from_bytes(packet[2 + length : 4 + length], "big"))
