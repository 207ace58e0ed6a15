"""The packets that come in numbers, whatever way the stream is cut."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.recorder.packets import PacketSocket

_PINGRESP = b"\xd0\x00"


def _length(value: int) -> bytes:
    out = bytearray()
    while True:
        value, byte = value >> 7, value & 0x7F
        out.append(byte | (0x80 if value else 0))
        if not value:
            return bytes(out)


def _publish(
    topic: str, payload: bytes, number: int, *, retained: bool, properties: bytes
) -> bytes:
    name = topic.encode()
    body = len(name).to_bytes(2, "big") + name
    body += number.to_bytes(2, "big") if number else b""
    body += _length(len(properties)) + properties + payload
    return bytes([0x30 | (2 if number else 0) | retained]) + _length(len(body)) + body


class Cut:
    """A socket that gives a stream in pieces."""

    def __init__(self, pieces: list[bytes]) -> None:
        self.pieces = pieces

    def recv(self, size: int) -> bytes:
        if not self.pieces:
            raise BlockingIOError
        return self.pieces.pop(0)


@pytest.fixture
def pair() -> Iterator[tuple[PacketSocket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        theirs.setblocking(False)
        yield PacketSocket(ours), theirs


_messages = st.tuples(
    st.text(max_size=20), st.binary(max_size=300), st.integers(0, 65_535), st.booleans()
)


@given(st.lists(_messages, max_size=6), st.data())
def test_messages_come_whole_and_in_order_however_the_stream_is_cut(
    messages: list[tuple[str, bytes, int, bool]], data: st.DataObject
) -> None:
    stream, wanted = b"", list[object]()
    for topic, payload, number, retained in messages:
        stream += _publish(topic, payload, number, retained=retained, properties=b"\x03\x00\x01j")
        stream += _PINGRESP
        wanted += [(topic, payload, number, retained), _PINGRESP]
    pieces = []
    while stream:
        at = data.draw(st.integers(1, len(stream)))
        pieces.append(stream[:at])
        stream = stream[at:]
    came = list[object]()
    sock = PacketSocket(Cut(pieces))
    for _ in range(len(pieces) + 1):
        sock.read(lambda *one: came.append(one), lambda: came.append(sock.recv(100)))
    assert came == wanted


def test_acknowledgements_go_out_together_and_behind_what_was_not_written_yet(
    pair: tuple[PacketSocket, socket.socket],
) -> None:
    sock, theirs = pair
    big = b"x" * 5_000_000
    assert sock.send(big) == len(big)
    assert sock.unsent
    sock.acknowledge([1, 258])
    came = bytearray()
    while sock.unsent or len(came) < len(big) + 8:
        came += theirs.recv(1_000_000)
        sock.flush()
    assert came == big + b"\x40\x02\x00\x01\x40\x02\x01\x02"


@pytest.mark.parametrize(
    "bad", [b"\x30\xff\xff\xff\xff\x01", b"\x32\x02\x00\x09", b"\x30\x03\x00\x00\x7f"]
)
def test_what_is_not_mqtt_ends_the_connection(
    pair: tuple[PacketSocket, socket.socket], bad: bytes
) -> None:
    sock, theirs = pair
    theirs.sendall(bad)
    with pytest.raises(OSError, match="not MQTT"):
        sock.read(lambda *_: None, lambda: None)


def test_a_broker_that_hangs_up_is_told_to_paho(pair: tuple[PacketSocket, socket.socket]) -> None:
    sock, theirs = pair
    theirs.close()
    came = list[bytes]()
    sock.read(lambda *_: None, lambda: came.append(sock.recv(1)))
    assert came == [b""]
