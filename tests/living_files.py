"""Files of a folder in which somebody is at work: what is written beside and renamed may be gone
between the listing and the look."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def contents(folder: Path, pattern: str = "**/*") -> Iterator[tuple[Path, bytes]]:
    """Each file that is still there when it is read, with its bytes."""
    for file in sorted(folder.glob(pattern)):
        if file.is_file():  # a socket is none
            with suppress(FileNotFoundError):
                yield file, file.read_bytes()
