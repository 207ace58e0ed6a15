"""Giving the second factor: the same for the page and the API."""

from __future__ import annotations

from gateway.web.auth import Who
from gateway.web.mine import person
from gateway.web.people import on_people
from gateway.web.problems import Problem
from gateway.web.site import Site


async def prove(site: Site, who: Who, code: str) -> bool:
    """Whether ``code`` was right; this session is proved then. Five tries, then one in a
    quarter of an hour. Raises :class:`Problem`: 403 for an access token, 429."""
    key = str(person(who))
    if not site.factor_limit.take(key):
        raise Problem(429, "limit", Retry_After=str(int(site.factor_limit.wait_s(key)) + 1))
    kind = site.users.use_code(person(who), code)
    if not kind:
        return False
    site.factor_limit.forget(key)
    site.users.prove(who.session)
    if kind == "recovery":
        await on_people(site, who, "recovery_used", subject=who.actor)
    return True
