"""The EnOcean Serial Protocol 3: packets out of bytes, telegrams out of packets. Pure.

A packet is ``55``, the lengths of data and optional data, its type, a CRC over these four
bytes, the data, the optional data, and a CRC over both. Bytes may be lost or mangled, and
``55`` may stand anywhere: a header is believed if its CRC is right, a packet if both are.
Where one is not, the search goes on at the very next byte, so that a packet that follows
garbage is never swallowed by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

SYNC = 0x55
HEADER = 6
RADIO_ERP1 = 0x01
COMMON_COMMAND = 0x05
DATA_MOST = 512
"""Bytes of data in any packet that a receiver says; a longer one is a mangled header."""
REPEATS = 0x0F
"""The bits of a telegram's status that count its repeaters."""


def _table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        crc = value
        for _ in range(8):
            crc = (crc << 1) ^ (0x07 if crc & 0x80 else 0)
        table.append(crc & 0xFF)
    return tuple(table)


_CRC8 = _table()


def crc8(data: Sequence[int]) -> int:
    """The checksum of ESP3: polynomial x⁸ + x² + x + 1, begun with 0."""
    crc = 0
    for byte in data:
        crc = _CRC8[crc ^ byte]
    return crc


@dataclass(frozen=True, slots=True)
class Packet:
    """Something that the stick has said. ``kind``: its type, such as :data:`RADIO_ERP1`."""

    kind: int
    data: bytes
    optional: bytes = b""


@dataclass(frozen=True, slots=True)
class Telegram:
    """What a device has sent by radio. ``device``: its id, eight hexadecimal digits."""

    rorg: int
    data: bytes
    device: str
    status: int
    rssi_dbm: int | None = None
    """How strong it was; ``None`` where the stick does not say."""

    @property
    def repeats(self) -> int:
        """Over how many repeaters it came."""
        return self.status & REPEATS


def parse(data: bytes) -> tuple[list[Packet], bytes]:
    """The packets in ``data``, and its end that may be the beginning of another one. For any
    bytes whatever."""
    packets: list[Packet] = []
    begun: int | None = None
    at = 0
    while (at := data.find(SYNC, at)) >= 0:
        header = data[at + 1 : at + HEADER]
        long, optional = int.from_bytes(header[:2], "big"), header[2] if len(header) > 2 else 0
        end = at + HEADER + long + optional + 1
        if len(header) < HEADER - 1 or (_sound(header, long) and end > len(data)):
            # The beginning of a packet, or garbage that looks like one: a whole packet behind
            # it is not kept waiting, and shows that it was garbage.
            begun = at if begun is None else begun
        elif _sound(header, long) and crc8(data[at + HEADER : end - 1]) == data[end - 1]:
            body = data[at + HEADER : end - 1]
            packets.append(Packet(header[3], body[:long], body[long:]))
            begun, at = None, end
            continue
        at += 1
    return packets, b"" if begun is None else data[begun:]


def _sound(header: bytes, long: int) -> bool:
    return crc8(header[:4]) == header[4] and 0 < long <= DATA_MOST


def telegram(packet: Packet) -> Telegram | None:
    """The radio telegram in a packet; ``None`` where it is none."""
    data, optional = packet.data, packet.optional
    if packet.kind != RADIO_ERP1 or len(data) < 7:
        return None
    rssi = -optional[5] if len(optional) >= 6 and optional[5] else None
    return Telegram(data[0], data[1:-5], data[-5:-1].hex().upper(), data[-1], rssi)


def encode(packet: Packet) -> bytes:
    """A packet as bytes."""
    header = bytes((*len(packet.data).to_bytes(2, "big"), len(packet.optional), packet.kind))
    body = packet.data + packet.optional
    return bytes((SYNC, *header, crc8(header), *body, crc8(body)))


ASK_VERSION = encode(Packet(COMMON_COMMAND, b"\x03"))
"""Asks the stick for its version: whatever it answers, it lives."""
