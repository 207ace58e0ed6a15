"""My account: preferences, password, and where I am logged in."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from gateway.web.access import TheSite, ViewAlways
from gateway.web.account import changes, tour
from gateway.web.devices import pages as devices
from gateway.web.identity.accounts import Who
from gateway.web.identity.auth import form_of
from gateway.web.identity.sessions import session_id
from gateway.web.page import page
from gateway.web.people.ended_logins import NOTES
from gateway.web.shared.problems import Problem
from gateway.web.storage.errors import UserError

router = APIRouter(include_in_schema=False)


@router.get("/account")
async def account(request: Request, who: ViewAlways, site: TheSite, done: str = "") -> Response:
    note = "account.done" if done else ""
    texts = NOTES | devices.NOTES
    warn = done in NOTES or done == "device_failed"
    return _account(request, who, site, note=texts.get(done, note), warn=warn)


def _account(
    request: Request,
    who: Who,
    site: TheSite,
    *,
    note: str = "",
    status: int = 200,
    warn: bool = False,
) -> Response:
    first = site.identity.has_first_password(who)
    return page(
        request,
        "first_password.html" if first else "account.html",
        {
            "note": note,
            "bad": warn or status >= 400,
            "sessions": [] if who.user_id is None else site.users.list_sessions(who.user_id),
            "factor": who.user_id is not None and site.users.has_factor(who.user_id),
            "tour": tour.exists(site, who),
            "this": session_id(who.session),
            **devices.values(site, who),
        },
        status=status,
    )


def _done(how: str = "1") -> Response:
    return RedirectResponse(f"/account?done={how}", 303, {"Cache-Control": "no-store"})


@router.post("/account")
async def preferences(request: Request, who: ViewAlways, site: TheSite) -> Response:
    """Language, and how long the open button stays armed."""
    form = await form_of(request)
    armed = form.get("armed", "")
    if not armed.isdecimal():
        raise Problem(422, "malformed")
    await changes.set_preferences(site, who, form.get("language", ""), int(armed[:4]))
    return _done()


@router.post("/account/password")
async def password(request: Request, who: ViewAlways, site: TheSite) -> Response:
    """Needs the old one, or, in place of the one of the first start, the new one twice; all other
    log-ins of this person end."""
    form = await form_of(request)
    first = "again" in form
    if first and form["again"] != form.get("new", ""):
        return _account(request, who, site, note="account.differ", status=422)
    try:
        if first:
            await changes.replace_first_password(site, who, form.get("new", ""))
            return RedirectResponse("/", 303, {"Cache-Control": "no-store"})
        await changes.change_password(site, who, form.get("old", ""), form.get("new", ""))
    except UserError as error:
        return _account(request, who, site, note=f"people.{error.key}", status=422)
    except Problem as problem:
        if problem.reason != "wrong_password":
            raise
        return _account(request, who, site, note="account.wrong", status=422)
    return _done()


@router.post("/account/tour")
async def move_tour(request: Request, who: ViewAlways, site: TheSite) -> Response:
    """Go on with the tour, end it, or begin it again."""
    form = await form_of(request)
    await tour.move(site, who, form.get("do", ""), form.get("step", ""))
    return RedirectResponse("/", 303, {"Cache-Control": "no-store"})


@router.post("/account/sessions")
async def end_sessions(request: Request, who: ViewAlways, site: TheSite) -> Response:
    """End one log-in of one's own, or all others."""
    form = await form_of(request)
    if form.get("do") == "others":
        durable = await changes.end_other_sessions(site, who)
    else:
        durable = await changes.end_session(site, who, form.get("session", ""))
    return _done("1" if durable else "until_restart")
