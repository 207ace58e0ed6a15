"""What a broker does not take, by what it said when it answered CONNECT. Pure.

A client that ignores these is disconnected (MQTT 5, 3.2.2.3): at each connection again, by the
same message. So they are checked before a message leaves.
"""

from __future__ import annotations

from dataclasses import dataclass

EVENT, JSON, TEXT = "application/cloudevents+json", "application/json", "text/plain"
TOO_LARGE = "packet too large"
NO_RETAIN = "retain not supported"
NO_QOS = "qos not supported"
NO_WILDCARD = "wildcard subscriptions not supported"


@dataclass(frozen=True, slots=True)
class Limits:
    """The properties of one CONNACK, with the protocol's defaults where the broker is silent."""

    maximum_packet_size: int | None = None
    """Bytes of a whole packet."""
    maximum_qos: int = 2
    retain_available: bool = True
    wildcards_available: bool = True
    topic_alias_maximum: int = 0
    """Reported only: the gateway uses no aliases."""
    server_keep_alive_s: int | None = None

    def takes(self, packet_bytes: int) -> bool:
        """Whether the broker takes a packet of this size."""
        return self.maximum_packet_size is None or packet_bytes <= self.maximum_packet_size

    def too_large(self, topic: str, payload: bytes, correlation: bytes | None = None) -> bool:
        """Whether the broker takes no packet of this size."""
        return not self.takes(packet_bytes(topic, payload, correlation))

    def shown(self) -> dict[str, object]:
        """For ``control``."""
        return {
            "retain_available": self.retain_available,
            "maximum_qos": self.maximum_qos,
            "maximum_packet_size": self.maximum_packet_size,
            "topic_alias_maximum": self.topic_alias_maximum,
            "server_keep_alive_s": self.server_keep_alive_s,
        }


def content_type(topic: str) -> str:
    """What the payload on a topic is; as the AsyncAPI document says."""
    if "/event/" in topic:
        return EVENT
    return TEXT if topic.endswith("/availability") else JSON


def packet_bytes(topic: str, payload: bytes, correlation: bytes | None = None) -> int:
    """The size of a whole PUBLISH of QoS 1 as this gateway sends it, in bytes."""
    properties = 3 + len(content_type(topic))
    properties += 0 if correlation is None else 3 + len(correlation)
    body = 2 + len(topic.encode()) + 2 + _length_bytes(properties) + properties + len(payload)
    return 1 + _length_bytes(body) + body


def _length_bytes(length: int) -> int:
    """How many bytes a length takes on the wire."""
    return 1 if length < 128 else 2 if length < 16_384 else 3 if length < 2_097_152 else 4
