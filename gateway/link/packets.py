"""Many MQTT packets with one read and one write.

paho writes each PUBLISH by itself, reads each PUBACK with three system calls, and makes
objects of it that know every property and reason of MQTT 5: that is more than half of what
sending an event costs. So these two packets are put onto and taken from the wire here.
Everything else is paho's, which is given this as its socket.
"""

from __future__ import annotations

import ssl
import struct
from collections.abc import Callable
from typing import Any

READ_BYTES = 64 * 1024
_PUBLISH, _PUBACK = 0x30, 0x40
_FAILURE = 0x80
_FIRST, _LAST = 256, 65_535
"""The numbers of our publications; paho has those below for what it sends itself."""
_WAIT = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class PacketSocket:
    """A connected socket, TLS or not, for one thread; the same methods as a socket's are
    those that paho calls."""

    def __init__(self, sock: Any) -> None:
        self._sock = sock
        self._number = _LAST
        self._in = b""
        self._out = bytearray()
        self._rest = bytearray()
        self._ended = False

    # --- ours ---------------------------------------------------------------------------

    def publish(
        self, topic: str, payload: bytes, properties: bytes, *, qos: int, retain: bool
    ) -> int:
        """Put one PUBLISH behind what waits for :meth:`flush`; its number.

        :param properties: packed, with their length before them
        :raises ValueError: topic or payload are longer than MQTT can say
        """
        self._number = number = self._number + 1 if self._number < _LAST else _FIRST
        name = topic.encode()
        if len(name) > 0xFFFF:
            raise ValueError("the topic is too long")
        head = struct.pack("!H", len(name)) + name
        if qos:
            head += struct.pack("!H", number)
        head += properties
        first = _PUBLISH | qos << 1 | retain
        self._out += bytes([first]) + _packed(len(head) + len(payload)) + head + payload
        return number

    def read(self, acknowledged: Callable[[int, bool], object], rest: Callable[[], object]) -> None:
        """Read once and hand on every whole packet, in order: for a PUBACK its number and
        whether it is a good one; for others ``rest`` is called, which shall make paho read it.

        :raises OSError: the connection broke, or what came is not MQTT
        """
        try:
            came = self._sock.recv(READ_BYTES)
        except _WAIT:
            return
        self._ended = not came
        data = self._in + came if self._in else came
        at = 0
        while (found := _frame(data, at)) is not None:
            head, end = found
            if data[at] == _PUBACK and end - head >= 2:
                good = end - head == 2 or data[head + 2] < _FAILURE
                acknowledged(data[head] << 8 | data[head + 1], good)
            else:
                self._rest += data[at:end]
                rest()
            at = end
        self._in = data[at:]
        if self._ended:
            rest()

    def unread(self) -> bool:
        """TLS has read more than was asked for: the descriptor does not tell."""
        pending = getattr(self._sock, "pending", None)
        return pending is not None and pending() > 0

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


def _packed(length: int) -> bytes:
    """A length as MQTT writes it, seven bits at a time."""
    if length >= 1 << 28:
        raise ValueError("the message is too long")
    out = bytearray()
    while length >= 0x80:
        out.append(length & 0x7F | 0x80)
        length >>= 7
    out.append(length)
    return bytes(out)


def _frame(data: bytes, at: int) -> tuple[int, int] | None:
    """Where the packet's variable header begins and where it ends, if it is here whole."""
    length = 0
    for index, shift in enumerate((0, 7, 14, 21), at + 1):
        if index >= len(data):
            return None
        length |= (data[index] & 0x7F) << shift
        if data[index] < 0x80:
            head = index + 1
            return (head, head + length) if head + length <= len(data) else None
    raise ConnectionError("not MQTT: a length of more than four bytes")
