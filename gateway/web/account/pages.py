"""My account: preferences, password, and where I am logged in."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from gateway.web.access import ThePage, ViewAlways
from gateway.web.account import changes, tour
from gateway.web.devices import pages as devices
from gateway.web.identity.accounts import Who
from gateway.web.identity.auth import form_of
from gateway.web.identity.sessions import session_id
from gateway.web.page import page
from gateway.web.people.ended_logins import NOTES
from gateway.web.shared.problems import Problem
from gateway.web.site import PageSite, Site
from gateway.web.storage.errors import UserError

router = APIRouter(include_in_schema=False)


@router.get("/account")
async def account(request: Request, who: ViewAlways, site: ThePage, done: str = "") -> Response:
    note = "account.done" if done else ""
    texts = NOTES | devices.NOTES
    warn = done in NOTES or done == "device_failed"
    return _account(request, who, site, note=texts.get(done, note), warn=warn)


def _account(
    request: Request,
    who: Who,
    site: ThePage,
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
            "this": session_id(who.session),
            **_of_gateway(site, who),
        },
        status=status,
    )


def _of_gateway(site: PageSite, who: Who) -> dict[str, Any]:
    """What a gateway's page has besides: the tour of its bench, and one's devices."""
    if not isinstance(site, Site):
        return {"tour": False, "devices": None}
    return {"tour": tour.exists(site, who), **devices.values(site, who)}


def _done(how: str = "1") -> Response:
    return RedirectResponse(f"/account?done={how}", 303, {"Cache-Control": "no-store"})


@router.post("/account")
async def preferences(request: Request, who: ViewAlways, site: ThePage) -> Response:
    """Language, and how long the open button stays armed."""
    form = await form_of(request)
    armed = form.get("armed", "")
    if not armed.isdecimal():
        raise Problem(422, "malformed")
    await changes.set_preferences(site, who, form.get("language", ""), int(armed[:4]))
    return _done()


@router.post("/account/password")
async def password(request: Request, who: ViewAlways, site: ThePage) -> Response:
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


@router.post("/account/sessions")
async def end_sessions(request: Request, who: ViewAlways, site: ThePage) -> Response:
    """End one log-in of one's own, or all others."""
    form = await form_of(request)
    if form.get("do") == "others":
        durable = await changes.end_other_sessions(site, who)
    else:
        durable = await changes.end_session(site, who, form.get("session", ""))
    return _done("1" if durable else "until_restart")
