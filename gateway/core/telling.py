"""Who is told of what: roster, escalation and mailing, between calls, alarms and messages.

Functions over ``Turn``, called by ``rooms`` only. The machines are ``roster``, ``escalation``
and ``mailing``; a message leaves as the effect ``Send`` and comes back as ``Delivered``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from gateway.core.effects import Reply
from gateway.core.events import ConfirmMessage, Delivered
from gateway.core.facts import Json
from gateway.core.machine import Ms
from gateway.core.plan import BuildingPlan

if TYPE_CHECKING:
    from gateway.core.alarms import Alarms
    from gateway.core.kept import Kept
    from gateway.core.state import Building
    from gateway.core.turn import Turn


def rosters(plan: BuildingPlan, now: Ms) -> Mapping[str, object]:
    """Everybody who is told of anything."""
    del plan, now
    return {}


def mailings(plan: BuildingPlan, now: Ms) -> Mapping[str, object]:
    """The messages by the clock."""
    del plan, now
    return {}


def begin(turn: Turn) -> None:
    """Every machine names its first deadline."""


def restore(turn: Turn, was: Kept) -> None:
    """What stood before the restart goes on. Calls and alarms are restored already."""


def kept(building: Building) -> dict[str, Json]:
    """What must survive a restart: a section for each sort of machine (read it back from
    ``Kept.sections``). It must not change without a fact, or nobody writes it."""
    del building
    return {}


def shown(building: Building, now: Ms) -> dict[str, Json]:
    """The receivers and the last messages about alarms, as people see them."""
    del building, now
    return {"receivers": {}, "messages": []}


def told(building: Building, about: str) -> dict[str, Json]:
    """Who was told of a call, and when the next one will be."""
    del building, about
    return {"messages": [], "next_message_ms": None}


def live(turn: Turn, sort: int, name: str) -> None:
    """A deadline of the machine of this sort and name."""


def clock_changed(turn: Turn) -> None:
    """The civil time is known, is trusted, is not trusted any more, or jumped."""


def alarmed(turn: Turn, before: Alarms) -> None:
    """The alarm list has taken a step from ``before`` to ``turn.alarms``."""


def delivered(turn: Turn, event: Delivered) -> None:
    """What became of a message."""


def confirm(turn: Turn, event: ConfirmMessage) -> Reply:
    """The receiver of a test message has it."""
    return Reply(event.id, "refused", "unknown_message")
