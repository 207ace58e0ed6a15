"""Many MQTT packets with one read and one write.

paho reads each packet with three system calls or more, makes an object of it that knows
every property of MQTT 5, and writes each acknowledgement by itself: that is two thirds of
what recording an event costs. So the two packets that come in numbers, PUBLISH and its
PUBACK, are taken from and put onto the wire here. Everything else is paho's, which is given
this as its socket.
"""

from __future__ import annotations

import ssl
import struct
from collections.abc import Callable, Iterable
from typing import Any

READ_BYTES = 256 * 1024
_PUBLISH, _PUBACK = 0x30, 0x40
_QOS_1, _QOS_2, _RETAIN = 0x02, 0x04, 0x01
_WAIT = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)

Publication = Callable[[str, bytes, int, bool], None]
"""Topic, payload, number to acknowledge (0: none), retained."""


class PacketSocket:
    """A connected socket, TLS or not, for one thread; the same methods as a socket's are
    those that paho calls."""

    def __init__(self, sock: Any) -> None:
        self._sock = sock
        self._in = b""
        self._out = bytearray()
        self._rest = bytearray()
        self._ended = False

    # --- ours ---------------------------------------------------------------------------

    def read(self, publication: Publication, rest: Callable[[], object]) -> bool:
        """Read once and hand on every whole packet, in order. For one that is no PUBLISH
        ``rest`` is called, which shall make paho read it. Whether there is likely more.

        :raises OSError: the connection broke, or what came is not MQTT
        """
        try:
            came = self._sock.recv(READ_BYTES)
        except _WAIT:
            return False
        self._ended = not came
        data = self._in + came if self._in else came
        at = 0
        try:
            while (found := _frame(data, at)) is not None:
                head, end = found
                if data[at] & 0xF0 == _PUBLISH and not data[at] & _QOS_2:
                    _publish(data, at, head, end, publication)
                else:
                    self._rest += data[at:end]
                    rest()
                at = end
        except (ValueError, IndexError, struct.error) as error:
            raise ConnectionError(f"not MQTT: {error}") from error
        self._in = data[at:]
        if self._ended:
            rest()
        return len(came) == READ_BYTES or self.unread()

    def unread(self) -> bool:
        """TLS has read more than was asked for: the descriptor does not tell."""
        pending = getattr(self._sock, "pending", None)
        return pending is not None and pending() > 0

    def acknowledge(self, numbers: Iterable[int]) -> None:
        """PUBACK (success) for each of these. Raises :class:`OSError`."""
        self._out += b"".join(struct.pack("!BBH", _PUBACK, 2, number) for number in numbers)
        self.flush()

    def flush(self) -> None:
        """Write what waits, as far as it goes. Raises :class:`OSError`."""
        while self._out:
            try:
                done = self._sock.send(self._out)
            except _WAIT:
                return
            del self._out[:done]

    @property
    def unsent(self) -> bool:
        """Something waits until the socket takes more."""
        return bool(self._out)

    # --- for paho -----------------------------------------------------------------------

    def recv(self, size: int) -> bytes:
        """From the packets that are paho's."""
        if not self._rest and not self._ended:
            raise BlockingIOError
        taken = bytes(self._rest[:size])
        del self._rest[:size]
        return taken

    def send(self, data: bytes | bytearray) -> int:
        """All of it, so that what is written here never falls into the middle of a packet."""
        self._out += data
        self.flush()
        return len(data)

    def fileno(self) -> int:
        """The descriptor, to wait for."""
        return int(self._sock.fileno())

    def setblocking(self, flag: bool) -> None:
        """As a socket's."""
        self._sock.setblocking(flag)

    def close(self) -> None:
        """As a socket's."""
        self._sock.close()


def _length(data: bytes, at: int) -> tuple[int, int] | None:
    """A number of one to four bytes, and where it ends; ``None`` if not all of it is here."""
    value = 0
    for shift in (0, 7, 14, 21):
        if at >= len(data):
            return None
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a length of more than four bytes")


def _frame(data: bytes, at: int) -> tuple[int, int] | None:
    """Where the packet's variable header begins and where it ends, if it is here whole."""
    found = _length(data, at + 1)
    if found is None:
        return None
    length, head = found
    return (head, head + length) if head + length <= len(data) else None


def _publish(data: bytes, at: int, head: int, end: int, publication: Publication) -> None:
    """One PUBLISH of MQTT 5. Its properties say nothing that the recorder needs."""
    at_topic = head + 2
    behind = at_topic + (data[head] << 8 | data[head + 1])
    topic = data[at_topic:behind].decode("utf-8", "replace")
    number = 0
    if data[at] & _QOS_1:
        number = data[behind] << 8 | data[behind + 1]
        behind += 2
    properties = _length(data, behind)
    if properties is None or sum(properties) > end:
        raise ValueError("a PUBLISH that is too short")
    publication(topic, data[sum(properties) : end], number, bool(data[at] & _RETAIN))
