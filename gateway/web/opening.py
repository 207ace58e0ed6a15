"""Opening a door for staff: the same for the page and the API."""

from __future__ import annotations

import json

from gateway.web.auth import Who
from gateway.web.house import Answer
from gateway.web.limits import Reused
from gateway.web.problems import Problem
from gateway.web.site import Site


async def open_door(site: Site, who: Who, door: str, reason: str, key: str) -> Answer:
    """Ask for the door, once per ``key`` of this person.

    Raises :class:`Problem`: 404 for a door that is not there, 422 for a key used before for
    something else, 429 for too many."""
    if site.house.snapshot is not None and site.house.door(door) is None:
        raise Problem(404, "unknown_door")
    request = json.dumps([door, reason])

    async def ask() -> Answer:
        if not site.door_limit.take(who.actor):
            raise Problem(429, "limit", Retry_After="2")
        return await site.house.ask("open_door", {"door": door, "reason": reason}, who)

    try:
        return await site.answers.do(f"{who.actor} {key}", request, ask)
    except Reused:
        raise Problem(422, "key_reused") from None
