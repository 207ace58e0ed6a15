"""What the core asks of the world. The controller carries effects out before facts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["accepted", "merged", "extended", "refused"]


@dataclass(frozen=True, slots=True)
class Drive:
    """Switch a relay."""

    point: str
    on: bool


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to one command. ``reason`` is a key of the refusal catalogue, or empty."""

    command: str
    status: Status
    reason: str = ""


Effect = Drive | Reply
