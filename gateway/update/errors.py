"""What an update says, and how it fails."""

from __future__ import annotations

import contextlib
import sys


class UpdateError(Exception):
    """The update cannot go on. ``remedy``: what to do about it, as a sentence or a command."""

    def __init__(self, wrong: str, remedy: str) -> None:
        super().__init__(f"{wrong}\n{remedy}")
        self.wrong = wrong
        self.remedy = remedy


class PackError(Exception):
    """The release cannot be packed; the text says why and what to do."""


def say(text: str) -> None:
    """One line of progress. A terminal that is gone stops nothing."""
    with contextlib.suppress(OSError):
        sys.stdout.write(f"- {text}\n")
        sys.stdout.flush()
