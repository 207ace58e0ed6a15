"""From what stands at a machine (its conditions) to the alarm list."""

from __future__ import annotations

from gateway.core.building import state
from gateway.core.building.state import Building
from gateway.core.building.work import Do, Work
from gateway.core.machine import Conditions
from gateway.core.notification import alarms


def conditions(
    building: Building, subject: str, before: Conditions, after: Conditions
) -> list[Work]:
    """What began and ended to stand at a machine."""
    if before is after or before == after:
        return []
    kinds = [kind for kind, _ in after]
    work: list[Work] = [
        Do(state.ALARMS, "", alarms.Cleared(subject, _kind(building, subject, kind)))
        for kind, _ in before
        if kind not in kinds
    ]
    for condition in after:
        if condition not in before:
            kind, detail = condition
            work.append(raised(building, subject, _kind(building, subject, kind), detail))
    return work


def _kind(building: Building, subject: str, kind: str) -> str:
    """That a fire contact cannot be read is an alarm of its own."""
    fire = kind == "contact_unknown" and subject in building.index.fire_points
    return "fire_contact_unknown" if fire else kind


def raised(building: Building, subject: str, kind: str, detail: str) -> Do:
    """An alarm is raised, with the severity that this building gives it."""
    severity = building.index.severities.get((subject, kind)) or alarms.ALARM_KINDS[kind]
    event = alarms.Raised(subject, kind, severity, detail, muted(building, subject))
    return Do(state.ALARMS, "", event)


def muted(building: Building, subject: str) -> bool:
    """Whether service mode of a door mutes the faults of this subject."""
    doors = building.index.service.get(subject, ())
    return any(building.doors[name].service_until_ms is not None for name in doors)
