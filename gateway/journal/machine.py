"""Which machine this is, so that a journal on a cloned card is told from the one it was cloned
from: both would give the same numbers to different facts."""

from __future__ import annotations

import binascii
from collections.abc import Sequence
from pathlib import Path

SOURCES = (
    Path("/sys/firmware/devicetree/base/serial-number"),
    Path("/etc/machine-id"),
)
"""Serial number of the board, where it has one, and the id of the installed system."""
UNKNOWN = "-"


def identity(sources: Sequence[Path] = SOURCES) -> str:
    """A checksum of each source, ``-`` for one that cannot be read, in one line."""
    return " ".join(map(_checksum, sources))


def _checksum(source: Path) -> str:
    try:
        text = source.read_bytes().strip(b"\0 \n")
    except OSError:
        return UNKNOWN
    # A checksum, because hashlib takes milliseconds to import, which the first press waits for.
    return f"{binascii.crc32(text):08x}" if text else UNKNOWN


def differs(one: str, other: str) -> bool:
    """Whether these are two machines: a part that both know differs."""
    pairs = zip(one.split(), other.split(), strict=False)
    return any(a != b and UNKNOWN not in (a, b) for a, b in pairs)
