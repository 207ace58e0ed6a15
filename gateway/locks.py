"""Locks of files (flock) that a process holds for as long as it lives."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


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
