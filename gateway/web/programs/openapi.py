"""The description of the API (OpenAPI), where the framework cannot know what is true."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import reduce
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts

from gateway.web.display.access import COOKIE as DISPLAY
from gateway.web.display.access import NeedsDisplay
from gateway.web.identity.auth import SAFE, SESSION, Needs, cookie_name
from gateway.web.shared.problems import MEDIA

EXAMPLES: dict[str, Any] = json.loads((Path(__file__).parent / "examples.json").read_text("utf-8"))
"""An answer for each operation (``get /api/v1/doors``), or where in which other one it stands
(``get /api/v1/status|doors``)."""
ABOUT = """What the page does, for programs.

**Who asks**: an access token (`Authorization: Bearer …`), or the session of a log-in with its
`X-CSRF-Token` for every change; `x-least-role` of an operation is the least role that may.
**Once**: every request that becomes a command (answered 202) takes an `Idempotency-Key`; the same
key gives the same answer for ten minutes, whatever became of the connection. **Often**: what is
asked for again and again has an `ETag`; for everything as it happens there is `/api/v1/live`.
**What goes wrong** is a problem of RFC 9457, its texts in the language of `Accept-Language`
(de, en), its `reason` a stable key for programs. **Times** are RFC 3339; those that come in have an
offset and a year between 1971 and 9000. Nothing here can end an emergency call: that is done in
the room."""
NAMES = {
    "door": ("Id of a door.", "front"),
    "room": ("Id of a room.", "wc"),
    "call": ("Id of a call, or of its room.", "wc-7"),
    "site": ("Id of a site: that of its gateway.", "csg-office"),
    "alarm": ("Id of an alarm: what it is about, a slash, its kind.", "front/left_open"),
    "point": ("Id of a point.", "wc.climate"),
    "contact": ("Id of a contact.", "caretaker"),
    "user": ("Number of a user.", 2),
    "session": ("Id of a log-in.", "5b1f0c2e9a7d"),
    "name": ("Name of an access token.", "prometheus"),
    "number": ("Number of a page.", 7),
    "kind": ("Only facts of these kinds.", ["door_opened"]),
    "subject": ("Only facts about this door, room, point or alarm.", "front"),
    "limit": ("At most so many.", 50),
    "after": ("Only what comes after this number.", 1742),
    "buckets": ("Into how many pieces of equal length the time is cut.", 500),
    "before": ("Begin with the value of the subject that applies at the begin.", False),
    "format": ("csv-de: semicolons and decimal commas, as Excel in German opens it.", "csv-de"),
    "view": ("json, or page for the pieces of the page.", "json"),
    "last-event-id": ("As a browser sends it after a break.", "1742"),
}
"""What a parameter means and an example, where the route itself does not say."""
HEADERS = {
    one.lower(): one for one in ("Idempotency-Key", "If-Match", "If-None-Match", "Last-Event-ID")
}
"""How a header is written elsewhere; the framework knows it in small letters only."""
REQUIRED = {"If-Match"}
"""Without it a request is answered 428, which says more than the framework's own 422 would."""
TAGS = {
    "doors": "Doors: their state, opening them, their mode.",
    "rooms": "Rooms and their emergency calls.",
    "building": "Status, points, alarms, counters and guarantees.",
    "journal": "Events, history and export.",
    "account": "The user who asks: log-in, password, second factor, devices.",
    "people": "Users, access tokens and the audit chain.",
    "settings": "What may be changed on the page, and who can be notified.",
    "maintenance": "Wear and the test book.",
    "live": "Everything as it happens.",
    "display": "The screen at the reception.",
    "bench": "Simulated points; 404 on a gateway with real ones.",
}
OF_USERS = {
    "log_out", "get_preferences", "set_preferences", "change_password", "get_second_factor",
    "prove_second_factor", "begin_second_factor", "confirm_second_factor", "remove_second_factor",
    "end_own_session", "add_device", "remove_device", "test_device",
}  # fmt: skip
"""Operations that an access token cannot use: it has no password, no log-in and no device."""
TOKEN, LOG_IN, CSRF, SCREEN = "token", "session", "csrf", "display"
OF_BODIES = {"400": "The body cannot be read", "413": "The body is too large: over 64 KiB"}


def describe(
    app: FastAPI,
    *,
    about: str = ABOUT,
    tags: Mapping[str, str] = TAGS,
    server: str = "this gateway",
) -> dict[str, Any]:
    """The description, made once: problems are problems, what a body may lead to, who may ask."""
    is_made = app.openapi_schema is not None
    app.description = about
    document: dict[str, Any] = app.openapi()
    if is_made:
        return document
    options = app.state.site.options
    document["info"] |= {
        "contact": {"name": f"The administrators of {options.name}"},
        "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
    }
    document["servers"] = [{"url": "/", "description": f"{options.name}: {server}"}]
    document["tags"] = [{"name": name, "description": text} for name, text in tags.items()]
    document["components"]["securitySchemes"] = _schemes(options.gateway, options.tls)
    asked = dict(_asked(app))
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            _describe(f"{method} {path}", operation)
            _secure(operation, method, asked[operation["operationId"]])
    return document


def _schemes(gateway: str, secure: bool) -> dict[str, Any]:
    """How somebody says who asks."""
    behind = "" if secure else " Behind a proxy that speaks TLS the name begins with `__Host-`."
    cookies = {
        LOG_IN: (SESSION, "The cookie of a log-in, set by `log_in`."),
        SCREEN: (DISPLAY, "The cookie of a screen that is paired as a display."),
    }
    return {
        TOKEN: {
            "type": "http",
            "scheme": "bearer",
            "description": "An access token: page *Users*, or `portier token add NAME --role ROLE`."
            " It has a role and an end, and needs no `X-CSRF-Token`.",
        },
        CSRF: {
            "type": "apiKey",
            "in": "header",
            "name": "X-CSRF-Token",
            "description": "`csrf` of the answer of `log_in`; wanted for every change beside the"
            " cookie of a log-in.",
        },
    } | {
        name: {
            "type": "apiKey",
            "in": "cookie",
            "name": cookie_name(what, gateway, secure),
            "description": text + behind,
        }
        for name, (what, text) in cookies.items()
    }


def _asked(app: FastAPI) -> Iterator[tuple[str, Needs | NeedsDisplay]]:
    """The id of each operation, and what its route asks of whoever calls it."""
    for context in iter_route_contexts(app.routes):
        route = context.original_route
        if isinstance(route, APIRoute) and route.include_in_schema:
            calls = [one.call for one in route.dependant.dependencies]
            needs = next(one for one in calls if isinstance(one, Needs | NeedsDisplay))
            yield route.operation_id or route.unique_id, needs


def _secure(operation: dict[str, Any], method: str, needs: Needs | NeedsDisplay) -> None:
    """Say who may ask: each entry of ``security`` is one way to be let in."""
    change: dict[str, Any] = {} if method.upper() in SAFE else {CSRF: []}
    ways: list[dict[str, Any]] = [{TOKEN: []}, {LOG_IN: []} | change]
    if isinstance(needs, NeedsDisplay):
        ways = [{SCREEN: []}]
    elif needs.role is None:
        ways = []
    elif operation["operationId"] in OF_USERS:
        ways = ways[1:]
    operation["security"] = ways
    if needs.role is not None:
        operation["x-least-role"] = needs.least_role if isinstance(needs, Needs) else needs.role


def example(operation: str) -> Any:
    """The example of an answer. Raises :class:`KeyError` where there is none."""
    found = EXAMPLES[operation]
    if not isinstance(found, str):
        return found
    other, *steps = found.split("|")
    return reduce(
        lambda node, step: node[int(step) if step.isdigit() else step], steps, example(other)
    )


def _describe(name: str, operation: dict[str, Any]) -> None:
    for parameter in operation.get("parameters", ()):
        if "description" not in parameter and (known := NAMES.get(parameter["name"])):
            parameter["description"], parameter["example"] = known
        if parameter["in"] == "header":
            parameter["name"] = HEADERS[parameter["name"].lower()]
            parameter["required"] = parameter["name"] in REQUIRED
        parameter["schema"] = _without_null(parameter["schema"])
    answers: dict[str, Any] = operation["responses"]
    if "requestBody" in operation:
        for body in operation["requestBody"]["content"].values():
            body["schema"] = _without_null(body["schema"])
        for status, text in OF_BODIES.items():
            known = answers["500"]["content"]
            answers.setdefault(status, {"content": dict(known)})["description"] = text
    if name in EXAMPLES:
        good = next(answer for status, answer in answers.items() if status.startswith("2"))
        good["content"]["application/json"]["example"] = example(name)
    for status, answer in answers.items():
        if status >= "400":
            content = answer["content"]
            content[MEDIA] = content.pop("application/json")


def _without_null(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of a parameter or a body, which is left out rather than null: a query or a header
    cannot say null, and programs that are generated would send the word."""
    shapes = [one for one in schema.get("anyOf", ()) if one != {"type": "null"}]
    if len(shapes) != 1:
        return dict(schema)
    return {**{key: value for key, value in schema.items() if key != "anyOf"}, **shapes[0]}
