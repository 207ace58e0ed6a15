"""Noticing that the file of the users is damaged: the next start repairs it
(:mod:`gateway.web.identity.repair`), and this process ends for that."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gateway import threads
from gateway.journal.schema import DAMAGED, damaged
from gateway.set_aside import beside

MARK = ".damaged"
"""Behind the name of a file that an error has called damaged."""


def reason_of(error: Exception) -> str:
    """What an error says of a damaged file, without what is in it."""
    if isinstance(error, UnicodeDecodeError) or "Could not decode" in str(error):
        return "a text in it cannot be read"
    return str(error)


@contextmanager
def watched(path: Path) -> Iterator[None]:
    """Around whatever reads or writes the file."""
    try:
        yield
    except DAMAGED as error:
        if damaged(error):
            with suppress(OSError):
                beside(path, MARK).write_text(reason_of(error), encoding="utf-8")
            if threads.guarded():
                threads.fail("users", error)
        raise
