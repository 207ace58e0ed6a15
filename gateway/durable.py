"""Files that a power cut must not leave empty: what is written is on the disk before the file gets
its name."""

from __future__ import annotations

import os
from pathlib import Path

Owner = tuple[int, int]
"""Numbers of a user and a group."""


def write(path: Path, data: bytes, mode: int = 0o644, owner: Owner | None = None) -> None:
    """Write a file that is renamed afterwards, and force it to the disk. Raises
    :class:`OSError`."""
    path.unlink(missing_ok=True)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(fd, "wb") as file:
        if owner is not None:
            os.fchown(fd, *owner)
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def replace(path: Path, data: bytes, mode: int = 0o644, owner: Owner | None = None) -> None:
    """Write ``path`` anew, by way of ``path.new``: whoever reads it sees the file of before or
    this one, also after a power cut. Raises :class:`OSError`."""
    new = path.with_name(f"{path.name}.new")
    write(new, data, mode, owner)
    new.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Force the names in a folder to the disk. Raises :class:`OSError`."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
