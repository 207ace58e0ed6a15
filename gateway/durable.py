"""Files that a power cut must not leave empty: what is written is on the disk before the file gets
its name."""

from __future__ import annotations

import os
from pathlib import Path


def write(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Write a file that is renamed afterwards, and force it to the disk. Raises
    :class:`OSError`."""
    path.unlink(missing_ok=True)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(fd, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
