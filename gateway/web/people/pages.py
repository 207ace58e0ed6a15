"""Users and tokens, for the administration."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from gateway.web.access import Admin, AdminProved, TheSite
from gateway.web.identity.accounts import Who
from gateway.web.identity.auth import form_of
from gateway.web.identity.repair import unseen
from gateway.web.identity.users import ROLES
from gateway.web.page import language_of, page
from gateway.web.people import changes
from gateway.web.people.ended_logins import NOTES
from gateway.web.shared.problems import Problem
from gateway.web.site import PageSite, Site
from gateway.web.storage.errors import UserError

router = APIRouter(include_in_schema=False)
DONE = {
    "add": "people.added", "role": "people.role_is_set", "password": "people.password_is_set",
    "remove": "people.removed",
}  # fmt: skip
"""What a form has done -> what the page says of it."""


@router.get("/users")
async def users(request: Request, who: Admin, site: TheSite, done: str = "") -> Response:
    return _users(request, site, note=NOTES.get(done, ""), done=DONE.get(done, ""))


def _users(
    request: Request,
    site: Site,
    *,
    note: str = "",
    done: str = "",
    secret: str = "",
    code: str = "",
    status: int = 200,
) -> Response:
    words = site.words(language_of(request))
    return page(
        request,
        "users.html",
        {
            "users": site.users.list_users(),
            "sessions": {u.id: site.users.list_sessions(u.id) for u in site.users.list_users()},
            "factors": {u.id for u in site.users.list_users() if site.users.has_factor(u.id)},
            "tokens": [
                (token, site.name_of(token.by, words), site.users.is_orphaned(token))
                for token in site.users.list_tokens()
            ],
            "displays": site.displays.all(),
            "code": code,
            "display_address": f"{str(request.base_url).rstrip('/')}/display",
            "roles": ROLES,
            "note": note,
            "done": done,
            "secret": secret,
            "repaired": unseen(site.options.users) is not None,
        },
        status=status,
    )  # fmt: skip


@router.post("/users")
async def change(request: Request, who: AdminProved, site: TheSite) -> Response:
    """One form per action; the field ``do`` says which."""
    form = await form_of(request)
    try:
        if form.get("do") == "display":
            code = changes.make_display_code(site, who, form.get("name", ""))
            return _users(request, site, code=code)
        secret = await _do(site, who, form)
    except UserError as error:
        return _users(request, site, note=f"people.{error.key}", status=422)
    if secret in NOTES:
        return RedirectResponse(f"/users?done={secret}", 303, {"Cache-Control": "no-store"})
    if secret:
        return _users(request, site, secret=secret)
    did = form.get("do", "")
    address = f"/users?done={did}" if did in DONE else "/users"
    return RedirectResponse(address, 303, {"Cache-Control": "no-store"})


async def _do(site: Site, who: Who, form: dict[str, str]) -> str:
    """The new token, where one was made, or a key of :data:`NOTES`. Raises :class:`UserError`,
    and :class:`Problem` for what no form of ours says."""
    name, role, password = (form.get(field, "") for field in ("name", "role", "password"))
    match form.get("do"):
        case "add":
            await changes.add_user(site, who, name, role, password)
        case "role":
            await changes.set_role(site, who, site.users.by_name(name), role)
        case "remove_display":
            await changes.remove_display(site, who, form.get("id", ""))
        case "seen":
            await changes.see_repair(site, who)
        case _:
            return await change_access(site, who, form)
    return ""


async def change_access(site: PageSite, who: Who, form: dict[str, str]) -> str:
    """What the forms of every page of users do, as :func:`_do`."""
    name, role, password = (form.get(field, "") for field in ("name", "role", "password"))
    days = form.get("days", "")
    match form.get("do"):
        case "password":
            await changes.set_password(site, who, site.users.by_name(name), password)
        case "sessions":
            if not await changes.end_sessions(site, who, site.users.by_name(name)):
                return "until_restart"
        case "factor":
            await changes.remove_factor(site, who, site.users.by_name(name))
        case "remove":
            await changes.remove_user(site, who, site.users.by_name(name))
        case "token":
            lives = int(days[:5]) if days.isdecimal() else 0
            return await changes.add_token(site, who, name, role, lives)
        case "revoke":
            await changes.revoke_token(site, who, name)
        case _:
            raise Problem(422, "malformed")
    return ""
