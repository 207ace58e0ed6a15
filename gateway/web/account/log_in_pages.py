"""Logging in and out."""

from __future__ import annotations

from functools import partial

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from gateway.web.access import HalfIn, Public, ThePage
from gateway.web.account.log_in import let_in, log_in, log_out
from gateway.web.identity.auth import clear_session, form_of
from gateway.web.identity.repair import unseen
from gateway.web.page import LANGUAGE_COOKIE, THEME_COOKIE, THEMES, language_of, page
from gateway.web.shared.problems import Problem
from gateway.web.shared.proxies import is_secure
from gateway.web.site import PageSite

router = APIRouter(include_in_schema=False)
NAME_LONGEST = 40


@router.get("/login")
async def show(
    request: Request, who: Public, site: ThePage, next: str = "/", ended: str = ""
) -> Response:
    """``ended``: see :func:`leave`."""
    if who is not None:
        return RedirectResponse("/", 303)
    note = site.words(language_of(request))("session.until_restart") if ended else ""
    return _login(request, site, local_target(next), note)


def _login(
    request: Request,
    site: PageSite,
    target: str,
    note: str,
    *,
    name: str = "",
    status: int = 200,
    headers: dict[str, str] | None = None,
) -> Response:
    """With what whoever cannot log in any more needs to know, where the users' file was damaged."""
    repaired = ""
    if unseen(site.options.users) is not None:
        admins = any(user.role == "admin" for user in site.users.list_users())
        repaired = "login.repaired" if admins else "login.nobody"
    values = {
        "next": target,
        "note": note,
        "name": name,
        "repaired": repaired,
        "offers_root": bool(site.certificates.roots),
    }
    return page(request, "login.html", values, status=status, headers=headers)


def local_target(target: str) -> str:
    """Only our own pages; nobody is sent elsewhere after the log-in."""
    good = target.startswith("/") and not target.startswith(("//", "/\\")) and target.isprintable()
    return target if good and len(target) < 500 else "/"


@router.post("/login")
async def enter(request: Request, who: Public, site: ThePage) -> Response:
    """Who still has the first password comes to where it is changed, and can go on from there."""
    form = await form_of(request)
    target = local_target(form.get("next", "/"))
    try:
        user, secret = await log_in(site, request, form.get("name", ""), form.get("password", ""))
    except Problem as problem:
        if not problem.reason.startswith("login_"):
            raise
        return _again(request, site, target, problem, form.get("name", ""))
    if site.users.has_first_password(user.id):
        target = "/account"
    response = RedirectResponse(target, 303, {"Cache-Control": "no-store"})
    let_in(response, request, site, user, secret)
    return response


def _again(request: Request, site: PageSite, target: str, problem: Problem, name: str) -> Response:
    """The name stays: mostly the password was mistyped."""
    words, wait_s = site.words(language_of(request)), problem.headers.get("Retry-After", "")
    note = words(problem.reason.replace("_", ".", 1), seconds=wait_s)
    headers = {"Retry-After": wait_s} if wait_s else {}
    return _login(
        request,
        site,
        target,
        note,
        name=name[:NAME_LONGEST],
        status=problem.status,
        headers=headers,
    )


@router.post("/logout")
async def leave(request: Request, who: HalfIn, site: ThePage) -> Response:
    """Where the disk does not answer, the page of the log-in says what that means."""
    target = "/login" if await log_out(site, who) else "/login?ended=until_restart"
    response = RedirectResponse(target, 303, {"Cache-Control": "no-store"})
    clear_session(response, request, who)
    return response


@router.post("/language")
async def language(request: Request, who: Public, site: ThePage) -> Response:
    """Choose a language, logged in or not."""
    form = await form_of(request)
    response = RedirectResponse(local_target(form.get("next", "/")), 303)
    chosen = form.get("language", "")
    if chosen in site.options.languages:
        if who is not None and who.user_id is not None:
            await site.saver.soon(
                partial(site.users.set_preferences, who.user_id, chosen, who.armed_s)
            )
        _remember(request, response, LANGUAGE_COOKIE, chosen)
    return response


@router.post("/theme")
async def theme(request: Request, who: Public) -> Response:
    """Light, dark, or as the system says; remembered in this browser, not with the person."""
    form = await form_of(request)
    response = RedirectResponse(local_target(form.get("next", "/")), 303)
    chosen = form.get("theme", "")
    if chosen in THEMES:
        _remember(request, response, THEME_COOKIE, chosen)
    else:
        response.delete_cookie(THEME_COOKIE, secure=is_secure(request), httponly=True)
    return response


def _remember(request: Request, response: Response, cookie: str, value: str) -> None:
    """In this browser, for a year."""
    response.set_cookie(
        cookie,
        value,
        max_age=31_536_000,
        secure=is_secure(request),
        httponly=True,
        samesite="strict",
    )
