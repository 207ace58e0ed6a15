"""Renders a whole page in one language, with the menu and the rights of whoever asks."""

from __future__ import annotations

import time
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse

from gateway.web.identity.accounts import Who
from gateway.web.identity.users import ROLES
from gateway.web.places import bar, here
from gateway.web.shared.render import fragment
from gateway.web.shared.words import best_language
from gateway.web.site import PageSite

LANGUAGE_COOKIE = "portier-language"

THEME_COOKIE = "portier-theme"
THEMES = ("light", "dark")


def theme_of(request: Request) -> str:
    """``light`` or ``dark`` as chosen in this browser; empty: as the system says."""
    chosen = request.cookies.get(THEME_COOKIE, "")
    return chosen if chosen in THEMES else ""


def language_of(request: Request) -> str:
    """The user's choice, else the cookie's, else the browser's."""
    site: PageSite = request.app.state.site
    who: Who | None = getattr(request.state, "who", None)
    offered = site.options.languages
    for choice in (who.language if who else "", request.cookies.get(LANGUAGE_COOKIE, "")):
        if choice in offered:
            return choice
    return best_language(request.headers.get("accept-language", ""), offered)


def _certificates(site: PageSite, who: Who | None) -> list[tuple[str, float]]:
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
    site: PageSite = request.app.state.site
    who: Who | None = getattr(request.state, "who", None)
    language = language_of(request)
    words = site.words(language)
    places = site.places
    context: dict[str, Any] = {
        "w": words,
        "menu": places,
        "bar": bar(who, places),
        "here": here(request.url.path, places),
        "main_places": [place.name for place in places if place.main],
        "calls_part": site.calls_part,
        "styles": site.styles,
        "role_text": "" if who is None else words(site.role_key(who)),
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
