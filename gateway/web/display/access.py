"""Who is asking as a display: a screen that was paired, and may do nothing else."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import Depends
from starlette.requests import Request

from gateway.web.identity.auth import SAFE, csrf_token, form_of, read_cookie, same_origin
from gateway.web.shared.problems import NotLoggedIn, Problem
from gateway.web.site import Site
from gateway.web.storage.displays import Display

COOKIE = "display"
COOKIE_LIFE_S = 400 * 86_400
"""The longest that browsers save a cookie; it is set anew with each visit."""


@dataclass(frozen=True, slots=True)
class Screen:
    """A display that asks. ``csrf``: what its forms carry."""

    display: Display
    csrf: str


def screen_of(request: Request) -> Screen | None:
    """The display whose cookie the request has."""
    site: Site = request.app.state.site
    found = site.displays.find(read_cookie(request, COOKIE) or "")
    if found is None:
        return None
    return Screen(found, csrf_token(site.identity.secret, f"display:{found.hash}"))


class NeedsDisplay:
    """The dependency of routes that are for displays alone: no user and no token gets in here, and
    a display gets in nowhere else."""

    role: Literal["display"] = "display"

    async def __call__(self, request: Request) -> Screen:
        request.state.who = None
        change = request.method not in SAFE
        if change and not same_origin(request):
            raise Problem(403, "other_origin")
        screen = screen_of(request)
        if screen is None:
            raise NotLoggedIn
        if change:
            given = (await form_of(request)).get("csrf", "")
            if not hmac.compare_digest(given.encode(), screen.csrf.encode()):
                raise Problem(403, "csrf")
        return screen


AsDisplay = Annotated[Screen, Depends(NeedsDisplay())]
