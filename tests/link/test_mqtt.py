"""The connection to the broker, against a socket that answers CONNECT and nothing else."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator

import pytest

from gateway.link import client
from gateway.link.mqtt import Connection, Inbox, Lost, Message, Subscribe, Will
from gateway.mqtt.settings import BrokerSettings

CONNACK = bytes([0x20, 3, 0, 0, 0])


@pytest.fixture
def connected() -> Iterator[tuple[Connection, socket.socket]]:
    """A connection that is up, and the broker's end of it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        connection = Connection(
            BrokerSettings("gw", "localhost", server.getsockname()[1]),
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


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    """A connection that listens for a point, whose broker and clock are the test's."""
    one = Watched()
    monkeypatch.setattr(client, "boot_ms", lambda: one.now_ms)
    with socket.create_server(("127.0.0.1", 0)) as server:
        one.connection = Connection(
            BrokerSettings("gw", "localhost", server.getsockname()[1]),
            Will("portier/gw/availability", b"offline"),
            (),
            Inbox(),
        )
        one.connection.subscribe({"z/button"})
        one.connection.pump(0.0)
        one.broker, _ = server.accept()
        with one.broker:
            one.broker.settimeout(30)
            one.until(b"MQTT")
            one.broker.sendall(CONNACK)
            one.until(b"z/button")
            yield one
            one.connection.drop("test")


class Watched:
    connection: Connection
    broker: socket.socket
    now_ms = 100_000

    def until(self, words: bytes) -> None:
        """Pump until the broker has been sent this."""
        came, deadline = b"", time.monotonic() + 30
        self.broker.settimeout(0.01)
        while words not in came:
            assert time.monotonic() < deadline, came
            self.connection.pump(0.0)
            with contextlib.suppress(TimeoutError):
                came += self.broker.recv(4096)

    def says(self, *packets: bytes) -> list[int | None]:
        """What the broker sends, the last of it a message; since when each message may wait."""
        self.broker.sendall(b"".join(packets))
        found: list[int | None] = []
        wanted, deadline = sum(one[0] == 0x32 for one in packets), time.monotonic() + 30
        while len(found) < wanted:
            assert time.monotonic() < deadline
            self.connection.pump(0.0)
            while not self.connection._inbox.empty():
                item = self.connection._inbox.get()
                if isinstance(item, Message):
                    found.append(item.after_ms)
        return found


PINGREQ, PINGRESP = b"\xc0\0", b"\xd0\0"
PRESS = packed(b"", b"on", 7, b"z/button")


def test_a_message_is_younger_than_the_last_question_that_the_broker_has_answered(
    watched: Watched,
) -> None:
    began_ms = watched.now_ms
    watched.now_ms += 600
    watched.until(PINGREQ)
    assert watched.says(PRESS) == [began_ms], "it has answered none yet"
    assert watched.says(PINGRESP, PRESS) == [began_ms + 600]
    watched.now_ms += 8_000  # this process hangs; what came meanwhile is read now
    assert watched.says(PRESS) == [began_ms + 600]
    watched.until(PINGREQ)
    asked_ms = watched.now_ms
    watched.now_ms += 8_000  # the broker hangs
    assert watched.says(PRESS) == [began_ms + 600]
    # it works again: what it read after that question may have waited for as long as the answer
    assert watched.says(PINGRESP, PRESS) == [asked_ms]
    watched.until(PINGREQ)
    assert watched.says(PINGRESP, PRESS) == [asked_ms + 8_000]


def test_a_broker_is_asked_one_thing_at_a_time_and_only_where_a_point_listens(
    watched: Watched, connected: tuple[Connection, socket.socket]
) -> None:
    watched.now_ms += 600
    watched.until(PINGREQ)
    watched.now_ms += 60_000
    for _ in range(5):
        watched.connection.pump(0.0)
    connection, broker = connected
    connection.pump(0.0)
    for one in (watched.broker, broker):
        one.settimeout(0.05)
        with pytest.raises(TimeoutError):
            one.recv(4096)
