"""Logging in and out: the same for the page and the API."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import Response

from gateway.web.identity.accounts import Who, normal_name
from gateway.web.identity.auth import BROWSER, read_cookie, set_cookie, set_session
from gateway.web.identity.browsers import LIFE_S, Browser
from gateway.web.identity.login_limits import Attempt
from gateway.web.identity.sessions import browser_of
from gateway.web.identity.users import User, Verified
from gateway.web.people.ended_logins import end_log_ins
from gateway.web.shared.problems import Problem
from gateway.web.shared.proxies import peer
from gateway.web.site import PageSite

WAITING_MOST = 20


class _Queue:
    """Passwords that are being verified: so many at once, which costs memory."""

    def __init__(self, at_once: int) -> None:
        self.verifying = asyncio.Semaphore(at_once)
        self.waiting = 0


_STRANGERS, _KNOWN = _Queue(2), _Queue(1)


async def log_in(site: PageSite, request: Request, name: str, password: str) -> tuple[User, str]:
    """The user and the secret of a new session. The same answer, after the same time, for a
    wrong name and a wrong password.

    Raises :class:`Problem`: 401 ``login_wrong``, 429 ``login_limited``, 503 ``login_busy``."""
    name = normal_name(name[:100])
    named = site.users.find(name)
    subject = named.id if named else None
    attempt = Attempt(
        str(subject or f"?{name}"),
        peer(request),
        subject,
        site.browsers.read(read_cookie(request, BROWSER)),
    )
    wait_s, limit = site.logins.take(attempt)
    if wait_s > 0:
        await site.login_audit.note(
            "login_blocked", attempt.peer, subject, outcome="login_limited", limit=limit
        )
        raise Problem(429, "login_limited", Retry_After=str(int(wait_s) + 1))
    verified = await _verified(site, name, password, known=attempt.known)
    if verified is None:
        await site.login_audit.note("login_failed", attempt.peer, subject, outcome="login_wrong")
        raise Problem(401, "login_wrong", WWW_Authenticate="Bearer")
    user = verified.user
    site.logins.succeeded(attempt)
    await site.login_audit.note("login", attempt.peer, user.id)
    browser = browser_of(request.headers.get("user-agent", ""))
    secret = site.users.begin_session(user.id, browser, verified.password_hash)
    await site.saver.soon(site.users.save_sessions)
    if verified.composed:
        await site.saver.soon(lambda: site.users.compose(verified))
    return user, secret


async def _verified(site: PageSite, name: str, password: str, *, known: bool) -> Verified | None:
    """A known browser waits in a queue of its own: strangers cannot fill that one."""
    queue = _KNOWN if known else _STRANGERS
    if queue.waiting >= WAITING_MOST:
        raise Problem(503, "login_busy", Retry_After="2")
    queue.waiting += 1
    try:
        async with queue.verifying:
            return await asyncio.to_thread(site.users.verified, name, password)
    finally:
        queue.waiting -= 1


def let_in(response: Response, request: Request, site: PageSite, user: User, secret: str) -> None:
    """Set the cookies of a log-in: the session, and that the user's browser is known."""
    set_session(response, request, secret)
    browser = site.browsers.read(read_cookie(request, BROWSER)) or site.browsers.new()
    remember(response, request, site, browser.with_user(user.id))


def remember(response: Response, request: Request, site: PageSite, browser: Browser) -> None:
    """Set the cookie of a browser that is known from now on."""
    set_cookie(response, request, BROWSER, site.browsers.write(browser), LIFE_S)


async def log_out(site: PageSite, who: Who) -> bool:
    """End the session that asks, see :func:`end_log_ins`."""
    site.users.forget_session(who.session)
    return await end_log_ins(site)
