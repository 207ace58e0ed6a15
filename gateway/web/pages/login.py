"""Logging in and out."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from gateway.web.access import HalfIn, Public, TheSite
from gateway.web.auth import clear_session, form_of, set_session
from gateway.web.render import LANGUAGE_COOKIE, language_of, page
from gateway.web.sessions import browser_of
from gateway.web.site import Site

router = APIRouter(include_in_schema=False)
_verifying = asyncio.Semaphore(2)
WAITING_MOST = 20
_waiting = 0


@router.get("/login")
async def show(request: Request, who: Public, next: str = "/") -> Response:
    if who is not None:
        return RedirectResponse("/", 303)
    return page(request, "login.html", {"next": local_target(next), "note": ""})


def local_target(target: str) -> str:
    """Only our own pages; nobody is sent elsewhere after the log-in."""
    good = target.startswith("/") and not target.startswith(("//", "/\\")) and target.isprintable()
    return target if good and len(target) < 500 else "/"


def _wait_s(site: Site, name: str, peer: str) -> float:
    return max(
        site.login_by_name.wait_s(name), site.login_by_peer.wait_s(peer), site.login_all.wait_s("")
    )


@router.post("/login")
async def log_in(request: Request, who: Public, site: TheSite) -> Response:
    """The same answer, after the same time, for a wrong name and a wrong password."""
    global _waiting  # noqa: PLW0603  # one counter per process, beside its semaphore
    form = await form_of(request)
    name, password = form.get("name", "")[:100].strip(), form.get("password", "")
    target = local_target(form.get("next", "/"))
    words = site.words(language_of(request))
    peer = request.client.host if request.client else ""
    wait_s = _wait_s(site, name, peer)
    if wait_s > 0:
        note = words("login.limited", seconds=int(wait_s) + 1)
        return _again(request, target, note, 429, {"Retry-After": str(int(wait_s) + 1)})
    for bucket, key in (
        (site.login_by_name, name),
        (site.login_by_peer, peer),
        (site.login_all, ""),
    ):
        bucket.take(key)
    if _waiting >= WAITING_MOST:
        return _again(request, target, words("login.busy"), 503, {"Retry-After": "2"})
    _waiting += 1
    try:
        async with _verifying:
            user = await asyncio.to_thread(site.users.verify, name, password)
    finally:
        _waiting -= 1
    if user is None:
        return _again(request, target, words("login.wrong"), 401, {})
    site.login_by_name.forget(name)
    response = RedirectResponse(target, 303, {"Cache-Control": "no-store"})
    browser = browser_of(request.headers.get("user-agent", ""))
    set_session(response, site.users.start_session(user.id, browser), secure=site.secure)
    return response


def _again(
    request: Request, target: str, note: str, status: int, headers: dict[str, str]
) -> Response:
    return page(
        request, "login.html", {"next": target, "note": note}, status=status, headers=headers
    )


@router.post("/logout")
async def log_out(request: Request, who: HalfIn, site: TheSite) -> Response:
    site.users.end_session(who.session)
    site.hub.check()
    response = RedirectResponse("/login", 303, {"Cache-Control": "no-store"})
    clear_session(response, secure=site.secure)
    return response


@router.post("/language")
async def language(request: Request, who: Public, site: TheSite) -> Response:
    """Choose a language, logged in or not."""
    form = await form_of(request)
    response = RedirectResponse(local_target(form.get("next", "/")), 303)
    chosen = form.get("language", "")
    if chosen in site.options.languages:
        if who is not None and who.user_id is not None:
            site.users.set_preferences(who.user_id, chosen, who.armed_s)
        response.set_cookie(
            LANGUAGE_COOKIE,
            chosen,
            max_age=31_536_000,
            secure=site.secure,
            httponly=True,
            samesite="strict",
        )
    return response
