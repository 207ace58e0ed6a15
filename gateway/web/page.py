"""Renders a whole page in one language, with the menu and the rights of whoever asks."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import HTMLResponse

from gateway.web.identity.accounts import Who
from gateway.web.identity.users import ROLES, Role
from gateway.web.shared.render import fragment
from gateway.web.shared.words import best_language
from gateway.web.site import Site

LANGUAGE_COOKIE = "portier-language"

THEME_COOKIE = "portier-theme"
THEMES = ("light", "dark")


class Place(NamedTuple):
    """A page of the navigation. ``main``: it stands in the rail, not only under *More*."""

    name: str
    address: str
    role: Role
    icon: str
    main: bool = False


MENU = (
    Place("status", "/", "view", "house", main=True),
    Place("alarms", "/alarms", "view", "bell", main=True),
    Place("history", "/history", "maintenance", "history", main=True),
    Place("events", "/events", "view", "list", main=True),
    Place("testbook", "/maintenance#testbook", "maintenance", "book-check", main=True),
    Place("maintenance", "/maintenance", "maintenance", "wrench", main=True),
    Place("settings", "/settings", "admin", "settings", main=True),
    Place("points", "/points", "view", "activity"),
    Place("users", "/users", "admin", "users"),
    Place("audit", "/audit", "admin", "pencil"),
    Place("kept", "/kept", "view", "lock"),
    Place("help", "/help", "view", "help"),
    Place("account", "/account", "view", "user"),
    Place("bench", "/bench", "staff", "flask"),
)
HERE = {"/": "status", "/more": "more"}
BAR_MOST = 3
"""Places of the phone's bar, beside *More*."""


def menu(bench: bool) -> list[Place]:
    """All places; that of the bench where there is one."""
    return [place for place in MENU if bench or place.name != "bench"]


def bar(who: Who | None) -> list[str]:
    """What the phone's bar leads to: the first places that somebody may see."""
    may_see = [place.name for place in MENU if who is not None and who.may(place.role)]
    return [*may_see[:BAR_MOST], "more"]


def here(path: str) -> str:
    """The place that a page belongs to; empty where it belongs to none."""
    if path in HERE:
        return HERE[path]
    if path.startswith("/maintenance/testbook"):
        return "testbook"
    if path.startswith("/timeline/"):
        return "alarms"
    found = (p.name for p in MENU if p.address != "/" and path.startswith(p.address))
    return next(found, "")


def theme_of(request: Request) -> str:
    """``light`` or ``dark`` as chosen in this browser; empty: as the system says."""
    chosen = request.cookies.get(THEME_COOKIE, "")
    return chosen if chosen in THEMES else ""


def language_of(request: Request) -> str:
    """The user's choice, else the cookie's, else the browser's."""
    site: Site = request.app.state.site
    who: Who | None = getattr(request.state, "who", None)
    offered = site.options.languages
    for choice in (who.language if who else "", request.cookies.get(LANGUAGE_COOKIE, "")):
        if choice in offered:
            return choice
    return best_language(request.headers.get("accept-language", ""), offered)


def _certificates(site: Site, who: Who | None) -> list[tuple[str, float]]:
    """Which certificates end soon or are not valid yet (a key of ``page.toml``) and when, for those
    who see to that."""
    if who is None or not who.may("maintenance"):
        return []
    now = time.time()
    return [
        *((f"certificate_early.{name}", since) for name, since in site.certificates.early(now)),
        *((f"certificate.{name}", until) for name, until in site.certificates.soon(now)),
    ]


def page(
    request: Request,
    template: str,
    values: dict[str, Any] | None = None,
    *,
    status: int = 200,
    headers: dict[str, str] | None = None,
) -> HTMLResponse:
    """A whole page for whoever asks."""
    site: Site = request.app.state.site
    who: Who | None = getattr(request.state, "who", None)
    language = language_of(request)
    words = site.words(language)
    context: dict[str, Any] = {
        "w": words,
        "menu": menu(site.options.bench),
        "bar": bar(who),
        "here": here(request.url.path),
        "main_places": [place.name for place in MENU if place.main],
        "theme": theme_of(request),
        "who": who,
        "options": site.options,
        "second_factor": site.identity.second_factor,
        "control": site.control,
        "presenter": site.presenter(language, who),
        "live": False,
        "path": request.url.path,
        "csrf": who.csrf if who else "",
        "certificates": _certificates(site, who),
        "may": {role: who is not None and who.may(role) for role in ROLES},
    }
    html = fragment(template, context | (values or {}))
    return HTMLResponse(html, status, {"Cache-Control": "no-store", **(headers or {})})
