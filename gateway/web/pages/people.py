"""My account; users and tokens for the administration."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from gateway.web.access import Admin, TheSite, View, form_of
from gateway.web.people import on_people
from gateway.web.problems import Problem
from gateway.web.render import page
from gateway.web.users import ROLES, UserError

router = APIRouter(include_in_schema=False)


@router.get("/account")
async def account(request: Request, who: View, done: str = "") -> Response:
    return page(request, "account.html", {"note": "account.done" if done else "", "bad": False})


@router.post("/account")
async def preferences(request: Request, who: View, site: TheSite) -> Response:
    """Language, and how long the open button stays armed."""
    form = await form_of(request)
    if who.user_id is None or not form.get("armed", "").isdigit():
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
    return RedirectResponse("/account?done=1", 303, {"Cache-Control": "no-store"})


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
        return page(request, "account.html", {"note": "account.wrong", "bad": True}, status=422)
    try:
        await asyncio.to_thread(
            site.users.set_password, who.name, form.get("new", ""), keep_session=who.session
        )
    except UserError as error:
        note = f"people.{error.key}"
        return page(request, "account.html", {"note": note, "bad": True}, status=422)
    site.login_by_name.forget(who.name)
    await on_people(site, who, "password_changed", user=who.user_id)
    return RedirectResponse("/account?done=1", 303, {"Cache-Control": "no-store"})


@router.get("/users")
async def users(request: Request, who: Admin, site: TheSite) -> Response:
    return _users(request, site)


def _users(
    request: Request, site: TheSite, *, note: str = "", secret: str = "", status: int = 200
) -> Response:
    return page(
        request,
        "users.html",
        {
            "users": site.users.list_users(),
            "tokens": site.users.list_tokens(),
            "roles": ROLES,
            "note": note,
            "secret": secret,
        },
        status=status,
    )  # fmt: skip


@router.post("/users")
async def change(request: Request, who: Admin, site: TheSite) -> Response:
    """One form per action; the field ``do`` says which."""
    form = await form_of(request)
    name, role, store = form.get("name", ""), form.get("role", ""), site.users
    do, secret, action = form.get("do", ""), "", ""
    try:
        if do == "add":
            await asyncio.to_thread(store.add_user, name, role, form.get("password", ""))
            action = "user_added"
        elif do == "role":
            store.set_role(name, role)
            action = "role_changed"
        elif do == "password":
            await asyncio.to_thread(store.set_password, name, form.get("password", ""))
            action = "password_set"
        elif do == "remove":
            store.remove_user(name)
            action = "user_removed"
        elif do == "token":
            days = form.get("days", "")
            secret = store.add_token(name, role, int(days) if days.isdigit() else 0, who.actor)
            action = "token_added"
        elif do == "revoke":
            store.revoke_token(name)
            action = "token_revoked"
        else:
            raise Problem(422, "malformed")
    except UserError as error:
        return _users(request, site, note=f"people.{error.key}", status=422)
    by_id = {user.name: user.id for user in store.list_users()}
    await on_people(site, who, action, user=by_id.get(name.strip()), role=role)
    if secret:
        return _users(request, site, secret=secret)
    return RedirectResponse("/users", 303, {"Cache-Control": "no-store"})
