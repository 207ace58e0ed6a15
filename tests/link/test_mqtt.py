"""The connection to the broker, against a socket that answers CONNECT and nothing else."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest

from gateway.link.mqtt import BrokerSettings, Connection, Inbox, Subscribe, Will

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
