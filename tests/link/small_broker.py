"""A broker of a few lines that refuses in every way the protocol has. One connection at a time."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

CONNECT, PUBLISH, SUBSCRIBE, PING = 1, 3, 8, 12
OK = 0


@dataclass
class SmallBroker:
    """``publish`` and ``subscribe``: prefix of a topic or filter → what happens: a reason code (of
    PUBACK or SUBACK), ``("disconnect", code)``, ``"close"`` or ``"ignore"``.

    ``connack``: (reason code, properties) of the next CONNECTs, the last one for ever."""

    publish: dict[str, object] = field(default_factory=dict)
    subscribe: dict[str, object] = field(default_factory=dict)
    connack: list[tuple[int, bytes]] = field(default_factory=lambda: [(OK, b"")])
    taken: list[str] = field(default_factory=list)
    """Topics of what it has taken."""
    retained: dict[str, bytes] = field(default_factory=dict)
    subscribed: list[str] = field(default_factory=list)
    connects: list[int] = field(default_factory=list)
    """The flags of each CONNECT."""

    def __post_init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._stop, self._wake = socket.socketpair()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> SmallBroker:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._wake.close()
        self._thread.join(30)
        self._server.close()
        self._stop.close()

    def _run(self) -> None:
        while self._stop not in select.select([self._server, self._stop], [], [])[0]:
            sock, _ = self._server.accept()
            with sock, contextlib.suppress(OSError, EOFError):
                self._serve(sock)

    def _serve(self, sock: socket.socket) -> None:
        data = b""
        while True:
            if self._stop in select.select([sock, self._stop], [], [])[0]:
                return
            more = sock.recv(65_536)
            if not more:
                return
            data += more
            while (whole := _length(data)) is not None and len(data) >= whole[0] + whole[1]:
                head, body = data[0], data[whole[0] : whole[0] + whole[1]]
                data = data[whole[0] + whole[1] :]
                if not self._packet(sock, head, body):
                    return

    def _packet(self, sock: socket.socket, head: int, body: bytes) -> bool:
        """Whether the connection goes on."""
        kind = head >> 4
        if kind == CONNECT:
            self.connects.append(body[7])
            code, properties = self.connack[0] if len(self.connack) == 1 else self.connack.pop(0)
            sock.sendall(_packed(0x20, bytes([0, code, len(properties)]) + properties))
            return code < 0x80
        if kind == PING:
            sock.sendall(b"\xd0\0")
        elif kind == SUBSCRIBE:
            length = int.from_bytes(body[3:5], "big")
            wanted = body[5 : 5 + length].decode()
            return self._answer(sock, 0x90, body[:2], _found(self.subscribe, wanted), wanted)
        elif kind == PUBLISH:
            length = int.from_bytes(body[:2], "big")
            topic, rest = body[2 : 2 + length].decode(), body[2 + length :]
            mid, rest = (rest[:2], rest[2:]) if head & 6 else (b"", rest)
            answer = _found(self.publish, topic)
            if answer == OK:
                self.taken.append(topic)
                if head & 1:
                    self.retained[topic] = rest[1 + rest[0] :]
            if mid or not isinstance(answer, int):
                return self._answer(sock, 0x40, mid, answer, "")
        return True

    def _answer(
        self, sock: socket.socket, head: int, mid: bytes, answer: object, wanted: str
    ) -> bool:
        if answer == "close":
            return False
        if isinstance(answer, tuple):
            sock.sendall(_packed(0xE0, bytes([answer[1], 0])))
            return False
        if isinstance(answer, int):
            if wanted and answer < 0x80:
                self.subscribed.append(wanted)
            sock.sendall(
                _packed(head, mid + (b"\0" + bytes([answer]) if wanted else bytes([answer])))
            )
        return True


def _found(rules: Mapping[str, object], name: str) -> object:
    return next((answer for prefix, answer in rules.items() if name.startswith(prefix)), OK)


def _length(data: bytes) -> tuple[int, int] | None:
    """Bytes of the fixed header, and of the rest."""
    value = 0
    for place, byte in enumerate(data[1:5]):
        value |= (byte & 127) << (7 * place)
        if byte < 128:
            return place + 2, value
    return None


def _packed(head: int, body: bytes) -> bytes:
    return bytes([head, len(body)]) + body


def maximum_packet_size(number: int) -> bytes:
    return b"\x27" + struct.pack("!I", number)
