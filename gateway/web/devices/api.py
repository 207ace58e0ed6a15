"""One's own devices that take push messages."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, ConfigDict, Field, JsonValue
from starlette.requests import Request

from gateway.push.subscriptions import Subscription
from gateway.web.access import TheSite, View
from gateway.web.devices import changes
from gateway.web.identity.sessions import browser_of
from gateway.web.shared.models import Strict, problems
from gateway.web.site import Site
from gateway.wire import calendar_time

router = APIRouter(tags=["account"])
DeviceId = Annotated[str, Path(max_length=100, description="As the list of devices names it.")]
EXAMPLE: dict[str, JsonValue] = {
    "id": "5f1c2a9e5d1b4c6e9d430a5f6f0f7b11",
    "browser": "Chrome, Android",
    "provider": "Google",
    "created": "2026-11-30T12:00:00Z",
}


class NewDevice(Strict):
    """What the browser says of itself (``PushSubscription``)."""

    endpoint: str = Field(max_length=2_000)
    p256dh: str = Field(max_length=200)
    auth: str = Field(max_length=200)
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "endpoint": "https://fcm.googleapis.com/fcm/send/…",
                    "p256dh": "BNcRd…",
                    "auth": "tBHI…",
                }
            ]
        },
    )


class DeviceShape(BaseModel):
    """A device; its address is told nobody. ``provider``: who passes messages on to it."""

    id: str
    browser: str
    provider: str
    created: datetime
    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})


class Tested(BaseModel):
    """``taken``: the push service has taken the message; whether the device shows it, only whoever
    looks at it knows. ``reason``: why it has not."""

    taken: bool
    reason: str
    model_config = ConfigDict(json_schema_extra={"examples": [{"taken": True, "reason": ""}]})


def shape(site: Site, one: Subscription) -> DeviceShape:
    return DeviceShape(
        id=one.id,
        browser=one.browser,
        provider=changes.provider_of(site, one),
        created=calendar_time(int(one.created * 1000)),
    )


@router.get(
    "/api/v1/me/devices",
    operation_id="list_devices",
    summary="One's own devices",
    responses=problems(),
)
async def devices(who: View, site: TheSite) -> list[DeviceShape]:
    """One's own phones and browsers that take push messages, the newest first."""
    return [shape(site, one) for one in changes.own(site, who)]


@router.post(
    "/api/v1/me/devices",
    operation_id="add_device",
    status_code=201,
    summary="Take push messages on a device",
    responses=problems(409),
)
async def add(wanted: NewDevice, request: Request, who: View, site: TheSite) -> DeviceShape:
    """Register the browser that asks. Its address must be one of a push service that is allowed:
    422 ``push_service`` else."""
    browser = browser_of(request.headers.get("user-agent", ""))
    made = await changes.add(site, who, wanted.endpoint, wanted.p256dh, wanted.auth, browser)
    return shape(site, made)


@router.delete(
    "/api/v1/me/devices/{device}",
    operation_id="remove_device",
    status_code=204,
    summary="Take no more push messages on a device",
    responses=problems(404),
)
async def remove(device: DeviceId, who: View, site: TheSite) -> Response:
    """Remove one of one's own devices: nothing is sent there any more."""
    await changes.remove(site, who, device)
    return Response(status_code=204)


@router.post(
    "/api/v1/me/devices/{device}/test",
    operation_id="test_device",
    summary="Send a test message to a device",
    responses=problems(404),
)
async def test(device: DeviceId, who: View, site: TheSite) -> Tested:
    """Send a test message now and say what came of it, within 13 s. A device that its push service
    does not know any more is removed."""
    reason = await changes.test(site, who, device)
    return Tested(taken=not reason, reason=reason)
