"""The description of the API (OpenAPI), where the framework cannot know what is true."""

from __future__ import annotations

import json
from functools import reduce
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from gateway.web.answers import MEDIA

EXAMPLES: dict[str, Any] = json.loads((Path(__file__).parent / "examples.json").read_text("utf-8"))
"""An answer for each operation (``get /api/v1/doors``), or where in which other one it stands
(``get /api/v1/status|doors``)."""
ABOUT = """What the page does, for programs.

**Who asks**: an access token (`Authorization: Bearer …`), or the session of a log-in with its
`X-CSRF-Token` for every change. **Once**: every request that becomes a command (answered 202)
takes an `Idempotency-Key`; the same key gives the same answer for ten minutes, whatever became of
the connection. **Often**: what is asked for again and again has an `ETag`; for everything as it
happens there is `/api/v1/live`. **What goes wrong** is a problem of RFC 9457, its texts in the
language of `Accept-Language` (de, en), its `reason` a stable key for programs. **Times** are
RFC 3339; those that come in have an offset and a year between 1971 and 9000. Nothing here can end
an emergency call: that is done in the room."""
NAMES = {
    "door": ("Id of a door.", "front"),
    "room": ("Id of a room.", "wc"),
    "call": ("Id of a call, or of its room.", "wc-7"),
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
OF_BODIES = {"400": "The body cannot be read", "413": "The body is too large: over 64 KiB"}


def describe(app: FastAPI) -> dict[str, Any]:
    """The description, made once: problems are problems, and what a body may lead to."""
    if app.openapi_schema is None:
        app.description = ABOUT
        for path, methods in app.openapi()["paths"].items():
            for method, operation in methods.items():
                _describe(f"{method} {path}", operation)
    told: dict[str, Any] = app.openapi()
    return told


def example(operation: str) -> Any:
    """The example of an answer. Raises :class:`KeyError` where there is none."""
    found = EXAMPLES[operation]
    if not isinstance(found, str):
        return found
    other, *steps = found.split("|")
    return reduce(
        lambda told, step: told[int(step) if step.isdigit() else step], steps, example(other)
    )


def _describe(name: str, operation: dict[str, Any]) -> None:
    for parameter in operation.get("parameters", ()):
        if known := NAMES.get(parameter["name"]):
            parameter.setdefault("description", known[0])
            parameter.setdefault("example", known[1])
    answers: dict[str, Any] = operation["responses"]
    if "requestBody" in operation:
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
