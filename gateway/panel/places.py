"""How many may be connected to the panel: places are kept free for each role, so that no client
takes those of another.

The kernel names the user of a client, and the installer makes one for each role: those places are
the role's, whatever anybody else does. Of root and of control's own user (all roles, on a bench)
the role that the client names applies, as in :mod:`gateway.panel.rights`; until it has named one,
it has a place among those who have just come, and leaves it when more of them come. Everybody
else is a person of the group, who has a few of the places that all persons share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from gateway.panel import rights
from gateway.panel.messages import Role

NEW, OWN, PEOPLE = "new", "own", "people"
ROLE_MOST = 3
"""Of each role: one, and those of a start before that have not ended yet."""
PERSON_MOST = 4
MOST: Final[Mapping[str, int]] = {
    NEW: 12,
    OWN: 6,
    PEOPLE: 8,
    **dict.fromkeys(rights.USERS.values(), ROLE_MOST),
}
"""Kind of place -> how many there are."""
ALL = sum(MOST.values())


@dataclass(frozen=True, slots=True)
class Place:
    """``kind``: one of :data:`MOST`. ``uid``: who has it."""

    kind: str
    uid: int


def place(uid: int, user: str, own_uid: int, role: Role | None) -> Place:
    """The place of a client of this user that has named this role, or none yet."""
    if (fixed := rights.USERS.get(user)) is not None:
        return Place(fixed, uid)
    if uid not in (0, own_uid):
        return Place(PEOPLE, uid)
    if role is None:
        return Place(NEW, uid)
    return Place(OWN if role == "cli" else role, uid)


def is_free(wanted: Place, taken: Iterable[Place]) -> bool:
    """Whether there is still such a place beside those that others have."""
    same = [one for one in taken if one.kind == wanted.kind]
    if len(same) >= MOST[wanted.kind]:
        return False
    mine = sum(one.uid == wanted.uid for one in same)
    return wanted.kind != PEOPLE or mine < PERSON_MOST
