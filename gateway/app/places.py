"""What the configuration says of each point, for those who read its values elsewhere: the door or
room that names it, what it is to that, and its label."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.core.point_roles import DOOR, FIRE, ROOM, WATCHED
from gateway.settings.model.configuration import Settings
from gateway.settings.model.named_points import points_of

Places = Mapping[str, Mapping[str, str]]
"""Point -> ``door``, ``room`` or both, by id."""


def of(settings: Settings) -> Places:
    """Of all points but those that tell about a person; of several doors or rooms the first. A
    point that is in none has an empty place."""
    found: dict[str, dict[str, str]] = {point: {} for point in settings.points}
    for kind, owners, roles in (("door", settings.doors, DOOR), ("room", settings.rooms, ROOM)):
        for id, owner in owners.items():
            for role, point, _ in points_of(owner, roles):
                if role.private:
                    found.pop(point, None)
                elif point in found and role.own:
                    found[point].setdefault(kind, id)
    return found


def described(settings: Settings) -> Places:
    """The same, with ``role`` (the first that a point has) and ``label``; of all points."""
    found: dict[str, dict[str, str]] = {point: dict(place) for point, place in of(settings).items()}
    for owners, roles in ((settings.doors, DOOR), (settings.rooms, ROOM)):
        for owner in owners.values():
            for role, point, _ in points_of(owner, roles):
                found.setdefault(point, {}).setdefault("role", role.name)
    for watch in settings.watch.values():
        found.setdefault(watch.point, {}).setdefault("role", WATCHED.name)
    if settings.fire is not None:
        found.setdefault(settings.fire, {}).setdefault("role", FIRE.name)
    for point, one in settings.points.items():
        if label := one.options.label:
            found.setdefault(point, {})["label"] = str(label)
    return found
