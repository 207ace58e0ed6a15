"""Changing users and tokens: said in the audit chain, and open streams end at once."""

from __future__ import annotations

from gateway.core.facts import Json
from gateway.web.auth import Who
from gateway.web.problems import Problem
from gateway.web.site import Site
from gateway.web.users import UserError

_STATUS = {"unknown_user": 404, "unknown_token": 404, "name_taken": 409, "last_admin": 409}


def user_problem(error: UserError) -> Problem:
    """What cannot be done about users, as an answer."""
    return Problem(_STATUS.get(error.key, 422), error.key)


async def on_people(site: Site, who: Who, action: str, **detail: Json) -> None:
    """After every change: into the audit chain, and streams of who lost a right end."""
    site.hub.check()
    await site.house.audit(who, action, **detail)
