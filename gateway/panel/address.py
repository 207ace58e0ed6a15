"""Unix sockets whose path is longer than the kernel takes.

An address of a Unix socket ends at 107 bytes, wherever the state folder lies. A longer one is
reached through a descriptor of its folder, which Linux shows as ``/proc/self/fd/N``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ADDRESS_MOST = 107
"""Bytes of the path of a Unix socket; ``sun_path`` has 108, the last of which is zero."""


@contextmanager
def short(path: Path) -> Iterator[str]:
    """The address of the socket at ``path``, to bind or to connect inside this context. Raises
    :class:`OSError` where there is no such folder."""
    if len(os.fsencode(path)) <= ADDRESS_MOST:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
