"""Hints about who is told: a call that nobody hears is no error, and never meant."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.settings.checks.draft import Draft
from gateway.settings.values.reading import Loc
from gateway.settings.values.weekly import uncovered

Found = tuple[str, str, Loc, str]
"""(section, name, where in it, what could be better)."""


def found(draft: Draft) -> Iterator[Found]:
    """Only for a draft without problems."""
    for name, room in draft.rooms.items():
        if draft.bench() or room.value is None:
            continue
        if room.value.cord and room.value.escalation is None:
            text = "has a cord and no escalation: nobody outside of the room is told of a call"
            yield "rooms", name, (), text
    for name, escalation in draft.escalations.items():
        steps = escalation.value.steps if escalation.value is not None else ()
        if not steps or steps[-1].every_ms is not None:
            continue
        people = [draft.contacts[step.notify].value for step in steps]
        hours = [one.hours for one in people if one is not None]
        if not all(hours):
            continue  # somebody is always on duty
        gap = uncovered(rule for plan in hours for rule in plan.of("days"))
        if gap is not None:
            text = (
                f"has nobody on duty at {gap}: its last step is told then all the same, once; "
                "end it with a step that repeats, such as {every: 120 s, notify: …}"
            )
            yield "escalations", name, (), text
