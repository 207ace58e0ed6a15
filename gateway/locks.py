"""Locks of files (flock): a process holds one for as long as it lives, or for one piece of work."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TRY_EVERY_S = 0.05


def is_locked(path: Path) -> bool:
    """Whether a process holds the lock of this file; one that is not there is held by nobody.

    Raises :class:`OSError` where that cannot be told: no right to open it, no locks there."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: two who look do not meet
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


class LockedError(Exception):
    """Another process holds the lock, and has not let go of it in time."""


@contextmanager
def held(path: Path, within_s: float, mode: int = 0o600) -> Iterator[int]:
    """Hold the lock of this file, which is made where it is missing; gives its descriptor.

    :raises LockedError: another one has held it for ``within_s`` seconds
    :raises OSError: it cannot be opened
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    fd = os.open(path, flags, mode)
    try:
        deadline = time.monotonic() + within_s
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise LockedError(str(path)) from None
                time.sleep(TRY_EVERY_S)
        yield fd
    finally:
        os.close(fd)
