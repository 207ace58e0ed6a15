"""Users and tokens, for the administration."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from gateway.web.access import Admin, AdminProved, TheSite
from gateway.web.auth import form_of
from gateway.web.people import on_people
from gateway.web.problems import Problem
from gateway.web.render import page
from gateway.web.users import ROLES, UserError

router = APIRouter(include_in_schema=False)


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
            "sessions": {u.id: site.users.list_sessions(u.id) for u in site.users.list_users()},
            "factors": {u.id for u in site.users.list_users() if site.users.has_factor(u.id)},
            "tokens": site.users.list_tokens(),
            "roles": ROLES,
            "note": note,
            "secret": secret,
        },
        status=status,
    )  # fmt: skip


@router.post("/users")
async def change(request: Request, who: AdminProved, site: TheSite) -> Response:
    """One form per action; the field ``do`` says which."""
    form = await form_of(request)
    name, role, store = form.get("name", ""), form.get("role", ""), site.users
    do, secret, action = form.get("do", ""), "", ""
    by_id = {user.name: user.id for user in store.list_users()}
    try:
        if do == "add":
            added = await asyncio.to_thread(store.add_user, name, role, form.get("password", ""))
            by_id[added.name] = added.id
            action = "user_added"
        elif do == "role":
            store.set_role(name, role)
            action = "role_changed"
        elif do == "password":
            await asyncio.to_thread(store.set_password, name, form.get("password", ""))
            action = "password_set"
        elif do == "sessions":
            store.end_sessions(store.by_name(name).id)
            action = "sessions_ended"
        elif do == "factor":
            store.remove_factor(store.by_name(name).id)
            action = "factor_removed"
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
    named = f"token:{name}" if do in ("token", "revoke") else f"web:{by_id.get(name.strip(), '')}"
    await on_people(site, who, action, subject=named, **({"role": role} if role else {}))
    if secret:
        return _users(request, site, secret=secret)
    return RedirectResponse("/users", 303, {"Cache-Control": "no-store"})
