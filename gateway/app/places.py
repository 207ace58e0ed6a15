"""Where each point is: the door or room that names it, for those who read its values elsewhere."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.settings.model.configuration import Settings
from gateway.settings.model.point_roles import DOOR, ROOM, points_of

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
                elif point in found and role.name != "fire":  # which is the building's
                    found[point].setdefault(kind, id)
    return found
