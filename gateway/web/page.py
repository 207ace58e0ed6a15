"""A whole page for whoever asks: in one language, with its menu and what the person may do."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse

from gateway.web.identity.accounts import Who
from gateway.web.identity.users import ROLES
from gateway.web.shared.render import fragment
from gateway.web.shared.words import best_language
from gateway.web.site import Site

LANGUAGE_COOKIE = "portier-language"

MENU = (
    ("status", "/", "view"),
    ("alarms", "/alarms", "view"),
    ("events", "/events", "view"),
    ("history", "/history", "maintenance"),
    ("maintenance", "/maintenance", "maintenance"),
    ("points", "/points", "view"),
    ("kept", "/kept", "view"),
    ("settings", "/settings", "admin"),
    ("users", "/users", "admin"),
    ("audit", "/audit", "admin"),
    ("account", "/account", "view"),
    ("bench", "/bench", "staff"),
)


MAIN = ("status", "alarms", "events", "history")
"""What everybody needs stands in the page's head, the rest in its menu."""


def menu(bench: bool) -> list[tuple[str, str, str]]:
    """The main menu: word, address, role."""
    return [entry for entry in MENU if bench or entry[0] != "bench"]


def language_of(request: Request) -> str:
    """The user's choice, else the cookie's, else the browser's."""
    site: Site = request.app.state.site
    who: Who | None = getattr(request.state, "who", None)
    offered = site.options.languages
    for choice in (who.language if who else "", request.cookies.get(LANGUAGE_COOKIE, "")):
        if choice in offered:
            return choice
    return best_language(request.headers.get("accept-language", ""), offered)


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
        "MAIN": MAIN,
        "who": who,
        "options": site.options,
        "second_factor": site.identity.second_factor,
        "house": site.house,
        "scene": site.scene(language, who),
        "path": request.url.path,
        "csrf": who.csrf if who else "",
        "may": {role: who is not None and who.may(role) for role in ROLES},
    }
    html = fragment(template, context | (values or {}))
    return HTMLResponse(html, status, {"Cache-Control": "no-store", **(headers or {})})
