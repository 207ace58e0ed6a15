"""My account: preferences, password, and where I am logged in."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from gateway.web.access import TheSite, View
from gateway.web.auth import Who, form_of
from gateway.web.people import on_people
from gateway.web.problems import Problem
from gateway.web.render import page
from gateway.web.sessions import session_id
from gateway.web.users import UserError

router = APIRouter(include_in_schema=False)


@router.get("/account")
async def account(request: Request, who: View, site: TheSite, done: str = "") -> Response:
    return _account(request, who, site, note="account.done" if done else "")


def _account(
    request: Request, who: Who, site: TheSite, *, note: str = "", status: int = 200
) -> Response:
    return page(
        request,
        "account.html",
        {
            "note": note,
            "bad": status >= 400,
            "sessions": [] if who.user_id is None else site.users.list_sessions(who.user_id),
            "factor": who.user_id is not None and site.users.has_factor(who.user_id),
            "first": who.user_id is not None and site.users.has_first_password(who.user_id),
            "this": session_id(who.session),
        },
        status=status,
    )


def _done() -> Response:
    return RedirectResponse("/account?done=1", 303, {"Cache-Control": "no-store"})


@router.post("/account")
async def preferences(request: Request, who: View, site: TheSite) -> Response:
    """Language, and how long the open button stays armed."""
    form = await form_of(request)
    if who.user_id is None or not form.get("armed", "").isdecimal():
        raise Problem(422, "malformed")
    language = form.get("language", "")
    try:
        site.users.set_preferences(
            who.user_id,
            language if language in site.options.languages else "",
            int(form["armed"][:4]),
        )
    except UserError as error:
        raise Problem(422, error.key) from None
    return _done()


@router.post("/account/password")
async def password(request: Request, who: View, site: TheSite) -> Response:
    """Needs the old one; all other log-ins of this person end."""
    form = await form_of(request)
    if who.user_id is None:
        raise Problem(422, "malformed")
    if not site.login_by_name.take(who.name):
        raise Problem(429, "limit", Retry_After="30")
    user = await asyncio.to_thread(site.users.verify, who.name, form.get("old", ""))
    if user is None:
        return _account(request, who, site, note="account.wrong", status=422)
    try:
        await asyncio.to_thread(
            site.users.set_password, who.name, form.get("new", ""), keep_session=who.session
        )
    except UserError as error:
        return _account(request, who, site, note=f"people.{error.key}", status=422)
    site.login_by_name.forget(who.name)
    await on_people(site, who, "password_changed", subject=who.actor)
    return _done()


@router.post("/account/sessions")
async def end_sessions(request: Request, who: View, site: TheSite) -> Response:
    """End one log-in of one's own, or all others."""
    form = await form_of(request)
    if who.user_id is None:
        raise Problem(422, "malformed")
    if form.get("do") == "others":
        site.users.end_sessions(who.user_id, keep=who.session)
    elif not site.users.end_session_of(who.user_id, form.get("session", "")):
        raise Problem(404, "unknown_session")
    await on_people(site, who, "sessions_ended", subject=who.actor)
    return _done()
