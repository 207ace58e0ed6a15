"""Opening a door for staff: the same for the page and the API."""

from __future__ import annotations

from gateway.web.building.control_client import Answer
from gateway.web.commands import once
from gateway.web.identity.accounts import Who
from gateway.web.shared.problems import Problem
from gateway.web.site import Site


async def open_door(site: Site, who: Who, door: str, reason: str, key: str) -> Answer:
    """Ask for the door, once per ``key`` of this person.

    Raises :class:`Problem`: 404 for a door that is not there, 422 for a key used before for
    something else, 429 for too many."""
    if site.control.snapshot is not None and site.control.door(door) is None:
        raise Problem(404, "unknown_door")

    def limited() -> None:
        if not site.door_limit.take(who.actor):
            raise Problem(429, "limit", Retry_After="2")

    return await once(site, who, key, "open_door", {"door": door, "reason": reason}, limited)
