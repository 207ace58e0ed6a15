"""The MQTT client of the link: paho, but no message of a stranger ends it.

paho hangs up on a message that it cannot read, such as one with a byte order mark in a user
property or a payload format that is neither 0 nor 1. Brokers pass both on (Mosquitto 2.0.11
does). Whoever may publish anything that we listen to could so cut us off: for ever, if the
broker keeps that message and sends it again at each connection. It is passed over instead.
"""

from __future__ import annotations

import time

import paho.mqtt.client as mqtt
import structlog
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.exception import MalformedPacket
from paho.mqtt.packettypes import PacketTypes

log = structlog.get_logger("link.client")
SAY_EVERY_S = 60.0


class Client(mqtt.Client):
    """See the module. Subscribes with QoS 0 and 1 only."""

    _said_at = float("-inf")
    heard_at = float("-inf")
    """``time.monotonic()`` of the broker's last PUBACK or PINGRESP: it works, not only listens."""

    def _packet_handle(self) -> MQTTErrorCode:
        if self._in_packet["command"] >> 4 in (PacketTypes.PUBACK, PacketTypes.PINGRESP):
            self.heard_at = time.monotonic()
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
