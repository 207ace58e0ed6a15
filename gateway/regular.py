"""Files of the state folder that are read without waiting.

Something else may lie under a file's name: reading a pipe waits for a writer who never comes, and
a device has no end. Whoever starts with such a file takes it for one that cannot be read.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path


def read(path: Path) -> bytes:
    """All bytes of a file. Raises :class:`OSError`, also where it is anything else than a file."""
    with open(path, "rb", opener=_without_waiting) as file:
        return file.read()


def check(path: Path) -> None:
    """Nothing, where this is a file; for what is then opened by somebody who waits. Raises
    :class:`OSError`."""
    _judge(path, path.stat().st_mode)


def _without_waiting(path: str, flags: int) -> int:
    fd = os.open(path, flags | os.O_NONBLOCK)
    try:
        _judge(path, os.fstat(fd).st_mode)
    except OSError:
        os.close(fd)
        raise
    return fd


def _judge(path: str | Path, mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "it is no file, but a pipe, a socket or a device", str(path))
