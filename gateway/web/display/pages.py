"""The display: pairing it, what it shows, and who goes to a call.

It is asked for what it shows every one and a half seconds, and judges by its own clock whether it
is blind. Without JavaScript it is loaded anew every few seconds.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from time import time
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from gateway.web.access import Public, TheSite
from gateway.web.display import view
from gateway.web.display.access import COOKIE, COOKIE_LIFE_S, AsDisplay, Screen, screen_of
from gateway.web.identity.auth import form_of, read_cookie, set_cookie
from gateway.web.page import language_of
from gateway.web.shared.models import problems
from gateway.web.shared.problems import Problem
from gateway.web.shared.proxies import peer
from gateway.web.shared.render import environment, fragment, static_files
from gateway.web.site import Site

router = APIRouter(tags=["display"])
EVERYBODY = "everybody"


@dataclass(frozen=True, slots=True)
class Asker:
    """Whoever goes, as the journal knows them: a function, not a person."""

    actor: str


class DisplayState(BaseModel):
    """``html``: what is shown; ``connected``: whether the controller answers, or nothing of it
    counts; ``version``: of the page, which is loaded anew when it changes."""

    html: str
    connected: bool
    ringing: bool = Field(description="A call that nobody has answered.")
    now_utc_ms: int
    version: str
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "html": "<p>…</p>",
                    "connected": True,
                    "ringing": False,
                    "now_utc_ms": 1_764_500_000_000,
                    "version": "3f0a91b2c4d5",
                }
            ]
        }
    )


def version() -> str:
    """Of all that the display is made of."""
    files = static_files()
    parts = [files[name] for name in ("display.js", "display.css", "ring.js")]
    loader = environment().loader
    assert loader is not None  # noqa: S101  # it is made with one
    for name in ("display.html", "parts/display_state.html"):
        parts.append(loader.get_source(environment(), name)[0].encode())
    return hashlib.sha256(b"".join(parts)).hexdigest()[:12]


def _page(
    request: Request, site: Site, screen: Screen | None, *, note: str = "", status: int = 200
) -> Response:
    language = language_of(request)
    shown: dict[str, Any] = {
        "w": site.words(language),
        "options": site.options,
        "screen": screen,
        "note": note,
        "version": version(),
    }
    if screen is not None:
        shown |= _values(site, language, screen)
    html = fragment("display.html", shown)
    return HTMLResponse(html, status, {"Cache-Control": "no-store"})


def _values(site: Site, language: str, screen: Screen) -> dict[str, Any]:
    now = site.control.now_utc_ms if site.control.connected else int(time() * 1000)
    return {
        **view.values(site, language, time(), screen.display.heard),
        "csrf": screen.csrf,
        "now_utc_ms": now,
    }


@router.get("/display", include_in_schema=False)
async def show(request: Request, who: Public, site: TheSite) -> Response:
    """The display, or what pairs it."""
    screen = screen_of(request)
    answer = _page(request, site, screen)
    if screen is not None:
        secret = read_cookie(request, COOKIE) or ""
        set_cookie(answer, request, COOKIE, secret, COOKIE_LIFE_S)
    return answer


@router.post("/display/pair", include_in_schema=False)
async def pair(request: Request, who: Public, site: TheSite) -> Response:
    """With a code that an administrator has made on the page of users."""
    form = await form_of(request)
    for key in (peer(request), EVERYBODY):
        if not site.pair_limit.take(key):
            raise Problem(429, "limit", Retry_After="30")
    made = await site.saver.run(site.displays.pair, form.get("code", ""))
    if made is None:
        return _page(request, site, None, note="display.wrong_code", status=403)
    display, secret = made
    await site.handover.note(display.actor, "display_paired", {"subject": display.actor})
    answer = RedirectResponse("/display", 303, {"Cache-Control": "no-store"})
    set_cookie(answer, request, COOKIE, secret, COOKIE_LIFE_S)
    return answer


@router.get(
    "/api/v1/display",
    operation_id="get_display",
    summary="What the display shows",
    responses=problems(),
)
async def state(request: Request, screen: AsDisplay, site: TheSite) -> DisplayState:
    """What a paired display shows now. For displays alone: no user and no access token."""
    values = _values(site, language_of(request), screen)
    return DisplayState(
        html=fragment("parts/display_state.html", values),
        connected=values["connected"],
        ringing=values["ringing"],
        now_utc_ms=values["now_utc_ms"],
        version=version(),
    )


@router.post("/display/acknowledge", include_in_schema=False)
async def acknowledge(request: Request, screen: AsDisplay, site: TheSite) -> Response:
    """Somebody goes to a call; the form says in which function."""
    form = await form_of(request)
    function = form.get("function", "")
    if function not in view.functions(site, language_of(request)):
        raise Problem(422, "malformed")
    call = form.get("call", "")[:200]
    asker = Asker(f"display:{function}")
    share = f"display {screen.display.id}"
    answer = await site.control.ask("acknowledge_call", {"call": call}, asker, share=share)
    if answer.unanswered:
        raise Problem(503, answer.reason, Retry_After="1")
    return RedirectResponse("/display", 303, {"Cache-Control": "no-store"})


@router.post("/display/sound", include_in_schema=False)
async def sound(request: Request, screen: AsDisplay, site: TheSite) -> Response:
    """Somebody in front of the display has heard its sound."""
    await site.saver.run(site.displays.confirm_sound, screen.display)
    return RedirectResponse("/display", 303, {"Cache-Control": "no-store"})
