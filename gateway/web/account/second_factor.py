"""Giving the second factor: the same for the page and the API."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from gateway.web.account.changes import person
from gateway.web.account.log_in import remember
from gateway.web.identity.accounts import Who
from gateway.web.identity.auth import BROWSER, read_cookie
from gateway.web.people.changes import on_people
from gateway.web.shared.problems import Problem
from gateway.web.shared.proxies import peer
from gateway.web.site import PageSite
from gateway.web.storage import saver


async def prove(site: PageSite, request: Request, who: Who, code: str) -> bool:
    """Whether ``code`` was right; this session is proved then. Five tries, then one in a
    quarter of an hour; a browser in which the user has given a right code before has tries of
    its own, so that who knows only the password locks nobody out of it. The answer to a right
    one is to :func:`know`. Raises :class:`Problem`: 403 for an access token, 429, and 503 for a
    right code that must not be accepted yet: ``code_early`` or ``code_waits``, see
    :mod:`gateway.web.identity.factors`."""
    user = person(who)
    browser = site.browsers.read(read_cookie(request, BROWSER))
    own = browser is not None and user in browser.proved
    key = f"{user} {browser.id}" if browser is not None and own else str(user)
    if not site.factor_limit.take(key):
        await site.login_audit.note("login_blocked", peer(request), user, outcome="limit")
        raise Problem(429, "limit", Retry_After=str(int(site.factor_limit.wait_s(key)) + 1))
    kind = site.users.take_code(user, code)
    if not kind:
        await site.login_audit.note("factor_failed", peer(request), user, outcome="wrong_code")
        return False
    site.factor_limit.forget(key)
    if kind == "early":
        raise Problem(503, "code_early", Retry_After=str(site.users.early_s()))
    if kind == "code":
        site.users.take_proof(who.session)
        await site.saver.soon(site.users.save_codes)
        return True
    if kind == "waits":
        raise _waits()
    return await _spent(site, who, user, code)


async def _spent(site: PageSite, who: Who, user: int, code: str) -> bool:
    """Whether a recovery code is used up in the file, and this session proved, after a moment."""
    try:
        spent = await site.saver.within(
            saver.ENDED_S, site.users.spend, user, code, who.session, author=site.author(who)
        )  # fmt: skip
    except TimeoutError:
        raise _waits() from None
    except Problem:
        site.users.release(user, code)
        raise
    await on_people(site)
    return spent


def _waits() -> Problem:
    return Problem(503, "code_waits", Retry_After="10")


def know(response: Response, request: Request, site: PageSite, who: Who) -> None:
    """Remember that a right code was given in this browser."""
    browser = site.browsers.read(read_cookie(request, BROWSER)) or site.browsers.new()
    remember(response, request, site, browser.with_proof(person(who)))
