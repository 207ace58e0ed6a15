"""The reserve of the journal: a file of a fixed size that holds the newest state to be saved for
as long as the journal does not take it.

A disk that is full, fails or does not answer must not cost a standing call when ``control`` ends
then. What is written here goes over bytes that the file has had since there was room, so it needs
none; and it does not wait behind a transaction. Once the journal has the state, or a newer one,
the reserve is emptied.

The file has two slots, written in turn, so that one that is torn leaves the other.
"""

from __future__ import annotations

import errno
import json
import os
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from gateway import regular
from gateway.core.facts import Json

ENDING = ".reserve"
"""It is made with the first state of a journal, and stays: it tells that there has been one."""
SLOT_BYTES = 64 * 1024
"""A state of 50 rooms has 8 KB; the file grows when one has more than half of a slot."""
SLOT_MOST = 16 * 1024 * 1024
_HEADER = struct.Struct(">8sQQII")
"""Magic, slot size, count, length and checksum of what follows."""
_MAGIC = b"portier1"


class NumberedState(NamedTuple):
    """A state to be saved; each is newer than all with a lower number, also of earlier runs."""

    number: int
    state: Mapping[str, Json]


def there(path: Path) -> bool:
    """Whether the journal at ``path`` has a reserve, be it readable or not. Raises
    :class:`OSError`."""
    try:
        path.with_name(path.name + ENDING).lstat()
    except FileNotFoundError:
        return False
    return True


class Reserve:
    """``path``: the journal's. One thread uses it at a time. Raises :class:`OSError` where the
    disk fails."""

    def __init__(self, path: Path) -> None:
        self._path = path.with_name(path.name + ENDING)
        self._slot = 0
        self._count = 0
        self.unread = False
        """Whether there is one that could not be read, so that nobody knows what it holds."""

    def read(self) -> tuple[str, NumberedState] | None:
        """What it holds, and of which journal; ``None``: nothing, or nothing to be understood."""
        self.unread = False
        try:
            return self._newest(regular.read(self._path))
        except FileNotFoundError:
            return None
        except OSError:
            self.unread = True
            return None

    def prepare(self, length: int = 0) -> None:
        """Reserve room for a state of so many bytes. Does nothing where that is there already."""
        size = SLOT_BYTES
        while size < 2 * (length + _HEADER.size) and size < SLOT_MOST:
            size *= 2
        if self._slot == 0:
            self.read()
        if self._slot >= size and not self.unread:
            return
        reserved = self.read()
        new = self._path.with_name(self._path.name + ".new")
        try:
            new.unlink(missing_ok=True)
            fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(fd, "wb", buffering=0) as file:
                _put(file.fileno(), bytes(2 * size), 0)
                if reserved is not None:
                    _put(file.fileno(), _record(size, self._count, *reserved), 0)
                os.fsync(file.fileno())
            new.replace(self._path)
        except OSError:
            new.unlink(missing_ok=True)
            raise
        self._slot, self.unread = size, False

    def save(self, journal: str, saved: NumberedState, *, durable: bool) -> None:
        """Hold this state. ``durable``: also over a loss of power, which takes an ``fsync``."""
        record = _record(self._slot, self._count + 1, journal, saved)
        if self._slot == 0 or len(record) > self._slot:
            self.prepare(len(record))
            record = _record(self._slot, self._count + 1, journal, saved)
        if len(record) > self._slot:
            raise OSError(errno.EFBIG, f"the state is larger than {SLOT_MOST} bytes")
        self._write(record, durable=durable)

    def empty(self) -> None:
        """The journal has it."""
        for _ in range(2):  # nothing of it stays behind
            record = _HEADER.pack(_MAGIC, self._slot, self._count + 1, 0, 0)
            self._write(record.ljust(self._slot, b"\0"), durable=False)

    def _write(self, record: bytes, *, durable: bool) -> None:
        fd = os.open(self._path, os.O_WRONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            _put(fd, record, (self._count + 1) % 2 * self._slot)
            if durable:
                os.fdatasync(fd)
        finally:
            os.close(fd)
        self._count += 1

    def _newest(self, data: bytes) -> tuple[str, NumberedState] | None:
        """The newer of the slots, whose size is the same for both."""
        self._slot, self._count = len(data) // 2, 0
        found: tuple[str, NumberedState] | None = None
        for start in (0, self._slot):
            head = data[start : start + _HEADER.size]
            if len(head) < _HEADER.size:
                continue
            magic, size, count, length, checksum = _HEADER.unpack(head)
            body = data[start + _HEADER.size : start + _HEADER.size + length]
            if (magic, size) != (_MAGIC, self._slot) or zlib.crc32(body) != checksum:
                continue
            if count > self._count:
                self._count, found = count, _understood(body)
        return found


def _record(slot: int, count: int, journal: str, saved: NumberedState) -> bytes:
    text = json.dumps([journal, saved.number, dict(saved.state)], separators=(",", ":"))
    body = zlib.compress(text.encode(), 1)
    return _HEADER.pack(_MAGIC, slot, count, len(body), zlib.crc32(body)) + body


def _understood(body: bytes) -> tuple[str, NumberedState] | None:
    if not body:
        return None
    try:
        journal, number, state = json.loads(zlib.decompress(body))
    except (ValueError, TypeError, zlib.error):
        return None
    if not isinstance(state, dict) or not isinstance(number, int):
        return None
    return str(journal), NumberedState(number, state)


def _put(fd: int, data: bytes, at: int) -> None:
    while data:
        written = os.pwrite(fd, data, at)
        data, at = data[written:], at + written
