"""Doors: their state, opening them, their mode."""

from __future__ import annotations

from typing import Annotated
from uuid import uuid4

from fastapi import APIRouter, Header

from gateway.core.facts import Json
from gateway.web.access import Maintenance, StaffAlwaysProved, StaffProved, TheSite, ViewAlways
from gateway.web.api.building_models import DoorTold
from gateway.web.api.models import Accepted, ModeRequest, OpenRequest, ServiceRequest, problems
from gateway.web.commands import accepted
from gateway.web.opening import open_door
from gateway.web.polling import RESPONSES as TAGGED
from gateway.web.polling import Poll
from gateway.web.problems import Problem
from gateway.web.view import doors_json

router = APIRouter(tags=["doors"])


@router.get("/api/v1/doors", responses=problems() | TAGGED)
async def doors(who: ViewAlways, site: TheSite, poll: Poll) -> list[DoorTold]:
    """All doors in the order of the configuration."""
    return poll(doors_json(site.house))


@router.get("/api/v1/doors/{door}", responses=problems(404))
async def one_door(door: str, who: ViewAlways, site: TheSite) -> DoorTold:
    """One door."""
    for found in doors_json(site.house):
        if found["id"] == door:
            return found
    raise Problem(404, "unknown_door")


@router.post("/api/v1/doors/{door}/open", status_code=202, responses=problems(404, 409, 503))
async def open_(
    door: str,
    who: StaffAlwaysProved,
    site: TheSite,
    wanted: OpenRequest | None = None,
    idempotency_key: Annotated[str | None, Header(max_length=100)] = None,
) -> Accepted:
    """Ask for a door. The same ``Idempotency-Key`` gives the same answer and opens once."""
    reason = wanted.reason if wanted else ""
    return accepted(await open_door(site, who, door, reason, idempotency_key or uuid4().hex))


@router.put("/api/v1/doors/{door}/mode", status_code=202, responses=problems(404, 409, 503))
async def mode(door: str, wanted: ModeRequest, who: StaffProved, site: TheSite) -> Accepted:
    """Override the schedule until a time, or end the override with ``schedule``."""
    args: dict[str, Json] = {"door": door[:200], "mode": wanted.mode}
    if wanted.until is not None:
        args["until_utc_ms"] = int(wanted.until.timestamp() * 1000)
    return accepted(await site.house.ask("set_mode", args, who))


@router.put("/api/v1/doors/{door}/service", status_code=202, responses=problems(404, 409, 503))
async def service(door: str, wanted: ServiceRequest, who: Maintenance, site: TheSite) -> Accepted:
    """Mute the fault alarms of a door while somebody works on it; the page shows it."""
    args: dict[str, Json] = {"door": door[:200], "for_ms": wanted.minutes * 60_000}
    return accepted(await site.house.ask("set_service", args, who))
