"""Users and what was granted to them, for the owners of the centre."""

from __future__ import annotations

from urllib.parse import quote

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from gateway.sites.access import TheCentre
from gateway.sites.building import name_of
from gateway.sites.grants import Grant
from gateway.sites.page_site import CentreSite
from gateway.sites.pages.audit import scope_text
from gateway.web.access import Admin, AdminProved
from gateway.web.identity.accounts import ROLES, Who
from gateway.web.identity.auth import form_of
from gateway.web.page import language_of, page
from gateway.web.people import changes
from gateway.web.people.ended_logins import NOTES
from gateway.web.people.pages import change_access
from gateway.web.storage.errors import UserError

router = APIRouter(include_in_schema=False)
DONE = {
    "add": "people.added", "owner": "people.role_is_set", "password": "people.password_is_set",
    "remove": "people.removed", "grant": "sites.granted", "ungrant": "sites.ungranted",
}  # fmt: skip
"""What a form has done -> what the page says of it."""


@router.get("/people")
async def people(
    request: Request, who: Admin, site: TheCentre, done: str = "", name: str = ""
) -> Response:
    """``name``: the user for whom something was just done, who is chosen for the next right."""
    note, done = NOTES.get(done, ""), DONE.get(done, "")
    return _people(request, site, note=note, done=done, chosen=name)


def _people(
    request: Request,
    site: CentreSite,
    *,
    note: str = "",
    done: str = "",
    secret: str = "",
    chosen: str = "",
    status: int = 200,
) -> Response:
    w = site.words(language_of(request))
    gateways = site.centre.picture.gateways
    names = {id: name_of(seen) for id, seen in gateways.items()}
    granted = site.grants.all()

    def said(grant: Grant) -> str:
        return scope_text(w, grant.scope, grant.name, gateways)

    users = site.users.list_users()
    values = {
        "users": users,
        "grants": {
            user.id: [(one, said(one)) for one in sorted(granted.get(user.id, ()))]
            for user in users
        },
        "sessions": {user.id: site.users.list_sessions(user.id) for user in users},
        "factors": {user.id for user in users if site.users.has_factor(user.id)},
        "tokens": site.users.list_tokens(),
        "roles": ROLES,
        "groups": list(site.options.groups),
        "sites": sorted(names.items(), key=lambda one: one[1].casefold()),
        "note": note,
        "done": done,
        "secret": secret,
        "chosen": chosen,
    }
    return page(request, "sites/people.html", values, status=status)


@router.post("/people")
async def change(request: Request, who: AdminProved, site: TheCentre) -> Response:
    """One form per action; the field ``do`` says which."""
    form = await form_of(request)
    try:
        secret = await _do(site, who, form)
    except UserError as error:
        return _people(request, site, note=f"people.{error.key}", status=422)
    if secret in NOTES:
        return RedirectResponse(f"/people?done={secret}", 303, {"Cache-Control": "no-store"})
    if secret:
        return _people(request, site, secret=secret)
    did = form.get("do", "")
    address = f"/people?done={did}" if did in DONE else "/people"
    if did in ("add", "grant"):
        address += f"&name={quote(form.get('name', '')[:100])}"
    return RedirectResponse(address, 303, {"Cache-Control": "no-store"})


async def _do(site: CentreSite, who: Who, form: dict[str, str]) -> str:
    """The new token, where one was made, or a key of :data:`NOTES`. Raises :class:`UserError`, and
    :class:`Problem` for what no form of ours says."""
    name, role, password = (form.get(field, "") for field in ("name", "role", "password"))
    match form.get("do"):
        case "add":
            await changes.add_user(site, who, name, "view", password)
        case "owner":
            owns = "admin" if form.get("owner") == "yes" else "view"
            await changes.set_role(site, who, site.users.by_name(name), owns)
        case "grant":
            await give(site, who, name, where_of(form.get("where", "")), role)
        case "ungrant":
            await take(site, who, name, where_of(form.get("where", "")))
        case _:
            return await change_access(site, who, form)
    return ""


def where_of(text: str) -> tuple[str, str]:
    """Scope and name of a field such as ``site:bad-1``, ``group:Nord`` or ``all:``."""
    scope, _, name = text.partition(":")
    return scope, name


async def give(site: CentreSite, who: Who, name: str, where: tuple[str, str], role: str) -> None:
    """Grant a role at a place. Raises :class:`UserError`."""
    user, author = site.users.by_name(name), site.author(who, "admin", "fresh")
    scope, place = where
    grant = Grant(scope, place, role)  # type: ignore[arg-type]  # judged by give
    await site.saver.run(site.grants.give, user.id, grant, author)
    await changes.on_people(site)


async def take(site: CentreSite, who: Who, name: str, where: tuple[str, str]) -> None:
    """Take back what was granted there; open streams of the user begin anew."""
    user, author = site.users.by_name(name), site.author(who, "admin", "fresh")
    await site.saver.run(site.grants.take, user.id, *where, author)
    await changes.on_people(site)
