"""The devices on the page of one's account, also without JavaScript; only to register one needs
it, because the browser gives its address to a script alone."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from gateway.push.keys import public_key
from gateway.web.access import TheSite, View
from gateway.web.devices import changes
from gateway.web.identity.accounts import Who
from gateway.web.identity.auth import form_of
from gateway.web.shared.problems import Problem
from gateway.web.site import Site

router = APIRouter(include_in_schema=False)
NOTES = {
    "device_removed": "device.removed",
    "device_taken": "device.taken",
    "device_failed": "device.failed",
}
"""What was done -> its text."""


def values(site: Site, who: Who) -> dict[str, Any]:
    """What the card shows. ``named``: whether a contact of the configuration leads to this
    person's devices: else they get test messages alone."""
    devices = changes.own(site, who)
    return {
        "devices": devices,
        "providers": {one.id: changes.provider_of(site, one) for one in devices},
        "push_key": public_key(site.options.state),
        "push_named": any(whom in (who.role, who.name) for whom in site.options.push_to),
    }


@router.post("/account/devices")
async def change(request: Request, who: View, site: TheSite) -> Response:
    """Remove or test one of one's own."""
    form = await form_of(request)
    device = form.get("device", "")
    match form.get("do"):
        case "remove":
            await changes.remove(site, who, device)
            done = "device_removed"
        case "test":
            reason = await changes.test(site, who, device)
            done = "device_failed" if reason else "device_taken"
        case _:
            raise Problem(422, "malformed")
    return RedirectResponse(f"/account?done={done}#devices", 303, {"Cache-Control": "no-store"})
