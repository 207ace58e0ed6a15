"""A stick that is made of a pseudo-terminal, and telegrams for it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from drivers.enocean.esp3 import RADIO_ERP1, Packet, encode

ROCKER = "018DF8BD"
BO_PRESSED = bytes.fromhex("55000707017af670018df8bd3001ffffffff55008b")
"""As a real remote was recorded: its last bytes hold the sync byte, as the signal's strength."""
LEARN_A5 = bytes.fromhex("55000a0701eba5100802800190 9bdc0001ffffffff28009f")
"""As a real sensor was recorded when its learn button was pressed."""
_RESPONSE = 0x02
"""The type of a packet that answers a command (ESP3, 1.4)."""
ALIVE = encode(Packet(_RESPONSE, b"\x00" + bytes(32)))
"""What a stick answers when it is asked for its version."""


def radio(
    rorg: int, data: bytes, device: str = ROCKER, status: int = 0, rssi_dbm: int = -60
) -> bytes:
    """A telegram of a device, as the stick tells it."""
    body = bytes((rorg, *data)) + bytes.fromhex(device) + bytes((status,))
    return encode(Packet(RADIO_ERP1, body, b"\x01\xff\xff\xff\xff" + bytes((-rssi_dbm, 0))))


def rocker(byte: int, device: str = ROCKER, repeats: int = 0) -> bytes:
    """A rocker: 10 AI, 30 AO, 50 BI, 70 BO are down; 00 all are up (hexadecimal)."""
    return radio(0xF6, bytes((byte,)), device, (0x30 if byte else 0x20) | repeats)


def window(closed: bool, device: str = ROCKER) -> bytes:
    return radio(0xD5, bytes((0x09 if closed else 0x08,)), device)


class FakeStick:
    """``path`` stays the same however often the stick is pulled out and plugged in."""

    def __init__(self, folder: Path | None = None) -> None:
        self.path = str((folder or Path(tempfile.mkdtemp())) / "stick")
        self._master = -1
        self.plug()

    def plug(self) -> None:
        self._master, slave = os.openpty()
        Path(self.path).unlink(missing_ok=True)
        Path(self.path).symlink_to(os.ttyname(slave))
        self._slave = slave

    def unplug(self) -> None:
        Path(self.path).unlink(missing_ok=True)
        os.close(self._slave)
        os.close(self._master)
        self._master = -1

    def says(self, *parts: bytes) -> None:
        for part in parts:
            os.write(self._master, part)

    def hears(self) -> bytes:
        """What was asked; waits for it."""
        return os.read(self._master, 100)

    def close(self) -> None:
        if self._master >= 0:
            self.unplug()
