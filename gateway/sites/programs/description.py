"""The description of the centre's API (OpenAPI)."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from gateway.web.programs import openapi

ABOUT = """What the page of all sites does, for programs.

**Who asks**: an access token (`Authorization: Bearer …`), or the session of a log-in with its
`X-CSRF-Token` for every change. What somebody may is granted by site or group; a site that they may
not see is answered 404. `x-least-role` of an operation about one site is the least role there.
**Once**: every request that becomes a command (answered 202) takes an `Idempotency-Key`. **The
gateway decides**: what it refuses is 409 with its reason; where it does not answer in time it is
503, and nothing is kept for it. **What goes wrong** is a problem of RFC 9457, its `reason` a stable
key for programs. **Times** are RFC 3339. Nothing here can end an emergency call: that is done in
the room."""
TAGS = {
    "sites": "Sites, their calls and alarms, and what may be asked of them.",
    "account": "The user who asks: log-in, password, second factor.",
    "people": "Users, access tokens, and what was granted to whom.",
}


def describe(app: FastAPI) -> dict[str, Any]:
    """The description, made once."""
    return openapi.describe(app, about=ABOUT, tags=TAGS, server="all sites")
