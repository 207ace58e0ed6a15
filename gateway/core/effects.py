"""What the core asks of the world. The controller carries effects out before facts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from gateway.core.facts import Json
from gateway.core.instant import Ms
from gateway.core.values import dataclass

Status = Literal["accepted", "merged", "extended", "refused"]


@dataclass(frozen=True)
class Drive:
    """Switch a relay."""

    point: str
    on: bool


@dataclass(frozen=True)
class Reply:
    """The answer to one command. ``reason`` is a key of the refusal catalogue, or empty."""

    command: str
    status: Status
    reason: str = ""


ANSWER_MS: Ms = 15_000
"""A delivery that is not answered by then has failed (``no_answer``), and the next way is tried."""


@dataclass(frozen=True)
class Send:
    """Hand a message to ``notify``, for one receiver over the channel of that number.

    ``about`` is the call's or the alarm's id, or empty; ``kind`` says what happened: ``call``,
    ``call_again``, an alarm kind, ``test`` or ``summary``. ``data`` holds what the text needs
    (room, door, point, the summary's alarms) and nothing of a bathroom's occupancy.
    The answer is a :class:`gateway.core.events.Delivered`; none in time is a failure."""

    delivery: str
    receiver: str
    channel: int
    kind: str
    about: str
    data: Mapping[str, Json]


Effect = Drive | Reply | Send
