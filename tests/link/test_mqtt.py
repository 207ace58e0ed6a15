"""The connection to the broker, against a socket that answers CONNECT and nothing else."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest

from gateway.link.mqtt import Connection, Inbox, Lost, Message, Subscribe, Will
from gateway.mqtt.settings import BrokerSettings

CONNACK = bytes([0x20, 3, 0, 0, 0])


@pytest.fixture
def connected() -> Iterator[tuple[Connection, socket.socket]]:
    """A connection that is up, and the broker's end of it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        connection = Connection(
            BrokerSettings("gw", port=server.getsockname()[1]),
            Will("portier/gw/availability", b"offline"),
            (Subscribe("portier/gw/command/#"),),
            Inbox(),
        )
        connection.pump(0.0)
        broker, _ = server.accept()
        with broker:
            broker.settimeout(5)
            assert broker.recv(4096)[0] == 0x10  # CONNECT
            broker.sendall(CONNACK)
            deadline = time.monotonic() + 30
            while connection.publish("up", b"here", qos=0) is None:
                assert time.monotonic() < deadline
                connection.pump(0.05)
            connection.pump(0.0)
            came = b""
            while not came.endswith(b"here"):  # after SUBSCRIBE
                came += broker.recv(4096)
            yield connection, broker
            connection.drop("test")


def test_what_is_published_between_two_pumps_leaves_together(
    connected: tuple[Connection, socket.socket],
) -> None:
    connection, broker = connected
    for number in range(3):
        connection.publish("portier/gw/event", b"payload %d" % number)
    broker.settimeout(0.05)
    with pytest.raises(TimeoutError):
        broker.recv(4096)
    connection.pump(0.0)
    assert broker.recv(4096).count(b"payload") == 3


TOPIC = b"portier/gw/command/x"


def packed(properties: bytes, payload: bytes, mid: int, topic: bytes = TOPIC) -> bytes:
    """A PUBLISH of QoS 1, shorter than 128 bytes."""
    head = len(topic).to_bytes(2, "big") + topic + mid.to_bytes(2, "big")
    body = head + bytes([len(properties)]) + properties + payload
    return bytes([0x32, len(body)]) + body


@pytest.mark.parametrize(
    ("properties", "topic"),
    [
        pytest.param(b"\x26\0\x01a\0\x03\xef\xbb\xbf", TOPIC, id="a byte order mark"),
        pytest.param(b"\x01\x07", TOPIC, id="a format that is none"),
        pytest.param(b"\x08\0\x01a\x08\0\x01b", TOPIC, id="two topics for the answer"),
        pytest.param(b"\x7e\x01", TOPIC, id="a property that is none"),
        pytest.param(b"", b"portier/gw/command/\xff", id="a topic that is no text"),
    ],
)
def test_a_message_that_cannot_be_read_is_acknowledged_and_passed_over(
    connected: tuple[Connection, socket.socket], properties: bytes, topic: bytes
) -> None:
    """Mosquitto passes them on, and paho hangs up: at each connection, if one is kept."""
    connection, broker = connected
    inbox = connection._inbox
    broker.sendall(packed(properties, b"odd", 7, topic) + packed(b"", b"good", 8))
    happened, deadline = list[object](), time.monotonic() + 30
    while not any(isinstance(one, Message) for one in happened):
        assert time.monotonic() < deadline
        connection.pump(0.05)
        while not inbox.empty():
            happened.append(inbox.get())
    assert not any(isinstance(one, Lost) for one in happened)
    assert [one.payload for one in happened if isinstance(one, Message)] == [b"good"]
    came = b""
    while len(came) < 8:
        came += broker.recv(4096)
    assert came == b"\x40\x02\0\x07\x40\x02\0\x08"
