"""Logging in and out: the same for the page and the API."""

from __future__ import annotations

import asyncio

from starlette.requests import Request

from gateway.web.auth import Who
from gateway.web.problems import Problem
from gateway.web.sessions import browser_of
from gateway.web.site import Site
from gateway.web.users import User

_verifying = asyncio.Semaphore(2)
WAITING_MOST = 20
_waiting = 0


async def log_in(site: Site, request: Request, name: str, password: str) -> tuple[User, str]:
    """The user and the secret of a new session. The same answer, after the same time, for a
    wrong name and a wrong password.

    Raises :class:`Problem`: 401 ``login_wrong``, 429 ``login_limited``, 503 ``login_busy``."""
    global _waiting  # noqa: PLW0603  # one counter per process, beside its semaphore
    name = name[:100].strip()
    peer = request.client.host if request.client else ""
    buckets = ((site.login_by_name, name), (site.login_by_peer, peer), (site.login_all, ""))
    wait_s = max(bucket.wait_s(key) for bucket, key in buckets)
    if wait_s > 0:
        raise Problem(429, "login_limited", Retry_After=str(int(wait_s) + 1))
    for bucket, key in buckets:
        bucket.take(key)
    if _waiting >= WAITING_MOST:
        raise Problem(503, "login_busy", Retry_After="2")
    _waiting += 1
    try:
        async with _verifying:
            user = await asyncio.to_thread(site.users.verify, name, password)
    finally:
        _waiting -= 1
    if user is None:
        raise Problem(401, "login_wrong", WWW_Authenticate="Bearer")
    site.login_by_name.forget(name)
    browser = browser_of(request.headers.get("user-agent", ""))
    return user, site.users.start_session(user.id, browser)


def log_out(site: Site, who: Who) -> None:
    """End the session that asks; its streams end."""
    site.users.end_session(who.session)
    site.hub.check()
