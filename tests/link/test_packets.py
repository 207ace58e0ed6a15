"""What is published and its acknowledgements, past paho."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from gateway.link.packets import PacketSocket

Pair = tuple[PacketSocket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        theirs.setblocking(False)
        yield PacketSocket(ours), theirs


def test_publications_go_out_together_and_as_mqtt_says(pair: Pair) -> None:
    sock, theirs = pair
    assert sock.publish("a/b", b"x" * 200, b"\x00", qos=1, retain=False) == 256
    assert sock.publish("c", b"", b"\x02\x01\x01", qos=0, retain=True) == 257
    with pytest.raises(BlockingIOError):
        theirs.recv(1)
    sock.flush()
    first = b"\x32\xd0\x01" + b"\x00\x03a/b" + b"\x01\x00" + b"\x00" + b"x" * 200
    assert theirs.recv(1000) == first + b"\x31\x06" + b"\x00\x01c" + b"\x02\x01\x01"


def test_a_number_is_used_again_only_after_all_others(pair: Pair) -> None:
    sock, _ = pair
    numbers = [sock.publish("t", b"", b"\x00", qos=1, retain=False) for _ in range(65_281)]
    assert numbers[:-1] == list(range(256, 65_536))
    assert numbers[-1] == 256


def test_acknowledgements_come_in_order_however_they_are_cut_and_the_rest_is_paho_s(
    pair: Pair,
) -> None:
    sock, theirs = pair
    stream = (
        b"\x40\x02\x01\x00" + b"\xd0\x00" + b"\x40\x03\x01\x01\x97" + b"\x40\x04\x01\x02\x10\x00"
    )
    came = list[object]()
    for at in range(len(stream)):
        theirs.sendall(stream[at : at + 1])
        sock.read(lambda *one: came.append(one), lambda: came.append(sock.recv(100)))
    assert came == [(256, True), b"\xd0\x00", (257, False), (258, True)]


def test_what_the_socket_does_not_take_waits_for_it(pair: Pair) -> None:
    sock, theirs = pair
    for _ in range(50):
        sock.publish("t", b"y" * 100_000, b"\x00", qos=1, retain=False)
    sock.flush()
    assert sock.unsent
    came = 0
    while sock.unsent:
        came += len(theirs.recv(1_000_000))
        sock.flush()
    assert came + len(theirs.recv(10_000_000)) == 50 * (100_000 + 4 + 3 + 2 + 1)


def test_what_is_not_mqtt_ends_the_connection(pair: Pair) -> None:
    sock, theirs = pair
    theirs.sendall(b"\x40\xff\xff\xff\xff\x01")
    with pytest.raises(OSError, match="not MQTT"):
        sock.read(lambda *_: None, lambda: None)
