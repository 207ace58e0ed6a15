"""Pages from templates: one environment, one language per request."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import DictLoader, Environment, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

from gateway.web.refusals import templates
from gateway.web.users import ROLES
from gateway.web.words import LANGUAGES, Words, best_language, catalogue

if TYPE_CHECKING:
    from gateway.web.auth import Who
    from gateway.web.shown import DoorScene
    from gateway.web.site import Site

HERE = Path(__file__).parent
STATIC = HERE / "static"
TEMPLATES = HERE / "templates"
LANGUAGE_COOKIE = "portier-language"


@cache
def static_files() -> dict[str, bytes]:
    """By their names in the address. Read once: an update that replaces them under a running page
    must not mix with what the page has in memory."""
    return {
        file.relative_to(STATIC).as_posix(): file.read_bytes()
        for file in sorted(STATIC.rglob("*"))
        if file.is_file()
    }


def preload() -> None:
    """Read all that pages are made of. Templates are compiled when they are first used."""
    static_files()
    environment()
    for language in LANGUAGES:
        catalogue(language)
        templates(language)


@cache
def digest(name: str) -> str:
    """Of a static file."""
    return hashlib.sha256(static_files()[name]).hexdigest()[:12]


def asset(name: str) -> str:
    """The address of a static file; it changes with the file, so it may be cached for ever."""
    return f"/static/{name}?v={digest(name)}"


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


def script_words(words: Words) -> str:
    """The few texts that the page's script says itself, as JSON."""
    keys = [key for key in words.keys if key.startswith("door.")]
    keys += ["status.lost", "result.pending", "outcome.extended", "call.heading"]
    keys += ["guarantee.unknown"]
    return json.dumps({key: words.raw(key) for key in keys}, ensure_ascii=False)


def answer_for(door: DoorScene, note: dict[str, str], words: Words) -> str:
    """What to say after a form: what the leaf did once that is known, else what we were told, as
    long as nothing has changed since."""
    if note.get("command") and note["command"] == door.command:
        return door.answer
    if note.get("now", door.now) != door.now:
        return ""
    return words.get(note.get("text", ""))


@cache
def environment() -> Environment:
    made = Environment(
        loader=DictLoader(
            {
                file.relative_to(TEMPLATES).as_posix(): file.read_text(encoding="utf-8")
                for file in TEMPLATES.rglob("*.html")
            }
        ),
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals |= {
        "asset": asset,
        "menu": menu,
        "MAIN": MAIN,
        "script_words": script_words,
        "answer_for": answer_for,
    }
    return made


def language_of(request: Request) -> str:
    """The user's choice, else the cookie's, else the browser's."""
    site: Site = request.app.state.site
    who: Who | None = getattr(request.state, "who", None)
    offered = site.options.languages
    for choice in (who.language if who else "", request.cookies.get(LANGUAGE_COOKIE, "")):
        if choice in offered:
            return choice
    return best_language(request.headers.get("accept-language", ""), offered)


def fragment(template: str, values: dict[str, Any]) -> str:
    """A part of a page, as it also goes over the live stream."""
    return environment().get_template(template).render(values)


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
        "who": who,
        "options": site.options,
        "house": site.house,
        "scene": site.scene(language, who),
        "path": request.url.path,
        "csrf": who.csrf if who else "",
        "may": {role: who is not None and who.may(role) for role in ROLES},
    }
    html = fragment(template, context | (values or {}))
    return HTMLResponse(html, status, {"Cache-Control": "no-store", **(headers or {})})
