"""Reads the files of a journal past SQLite, without giving up the locks of SQLite.

A process that closes any descriptor of a file gives up every lock that it has on the file (POSIX),
also those of SQLite's connections in its other threads (https://sqlite.org/howtocorrupt.html, 2.2).
Another process then takes the -shm for left behind and empties it, and a process that has it in
memory is ended by SIGBUS. So a descriptor stays open here for as long as its file is in its place.
"""

from __future__ import annotations

import io
import os
import threading
from pathlib import Path
from typing import Any

from gateway import regular

_lock = threading.Lock()
_open: dict[tuple[int, int], tuple[Path, int]] = {}
"""Device and inode -> where the file was found, and its descriptor."""


class _Reading(io.RawIOBase):
    """Reads a descriptor from the beginning with a position of its own, and never closes it."""

    def __init__(self, fd: int) -> None:
        super().__init__()
        self._fd = fd
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position}.get(whence)
        self._position = offset + (os.fstat(self._fd).st_size if start is None else start)
        return self._position

    def readinto(self, buffer: Any) -> int:
        count = os.preadv(self._fd, [buffer], self._position)
        self._position += count
        return count


def opened(path: Path) -> io.BufferedReader:
    """A file to be read from its beginning; closing it leaves the descriptor open.

    Raises :class:`OSError`, also where it is anything else than a file.
    """
    with _lock:
        for known, (where, fd) in list(_open.items()):
            if _identity(where) != known:
                del _open[known]
                os.close(fd)
        regular.check(path)
        identity = _identity(path)
        if identity is None or identity not in _open:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            now = os.fstat(fd)
            identity = now.st_dev, now.st_ino
            _open.setdefault(identity, (path, fd))
        return io.BufferedReader(_Reading(_open[identity][1]))


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        now = path.stat()
    except OSError:
        return None
    return now.st_dev, now.st_ino
