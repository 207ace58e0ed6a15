"""Doors: their state, opening them, their mode."""

from __future__ import annotations

from fastapi import APIRouter

from gateway.core.facts import Json
from gateway.web.access import Maintenance, StaffAlwaysProved, StaffProved, TheSite, ViewAlways
from gateway.web.building.models import DoorTold
from gateway.web.building.view import doors_json
from gateway.web.commands import Order, accepted
from gateway.web.doors.opening import open_door
from gateway.web.shared.models import Accepted, ModeRequest, OpenRequest, ServiceRequest, problems
from gateway.web.shared.polling import RESPONSES as TAGGED
from gateway.web.shared.polling import Poll
from gateway.web.shared.problems import Problem

router = APIRouter(tags=["doors"])


@router.get(
    "/api/v1/doors", operation_id="list_doors", summary="All doors", responses=problems() | TAGGED
)
async def doors(who: ViewAlways, site: TheSite, poll: Poll) -> list[DoorTold]:
    """All doors in the order of the configuration, each with its mode, what its leaf does, and
    whether it can be opened right now."""
    return poll(doors_json(site.control))


@router.get(
    "/api/v1/doors/{door}", operation_id="get_door", summary="One door", responses=problems(404)
)
async def one_door(door: str, who: ViewAlways, site: TheSite) -> DoorTold:
    """One door, as in the list of all."""
    for found in doors_json(site.control):
        if found["id"] == door:
            return found
    raise Problem(404, "unknown_door")


@router.post(
    "/api/v1/doors/{door}/open",
    operation_id="open_door",
    summary="Open a door",
    status_code=202,
    responses=problems(404, 409, 503),
)
async def open_(
    door: str,
    who: StaffAlwaysProved,
    site: TheSite,
    order: Order,
    wanted: OpenRequest | None = None,
) -> Accepted:
    """Ask for a door. 202 says that it was asked for; what the leaf did then is told by the
    door's ``last_result`` and the live stream."""
    reason = wanted.reason if wanted else ""
    return accepted(await open_door(site, who, door, reason, order.key))


@router.put(
    "/api/v1/doors/{door}/mode",
    operation_id="set_door_mode",
    summary="Set the mode of a door",
    status_code=202,
    responses=problems(404, 409, 503),
)
async def mode(door: str, wanted: ModeRequest, who: StaffProved, order: Order) -> Accepted:
    """Override the schedule until a time, or end the override with ``schedule``."""
    args: dict[str, Json] = {"door": door[:200], "mode": wanted.mode}
    if wanted.until is not None:
        args["until_utc_ms"] = int(wanted.until.timestamp() * 1000)
    return await order(who, "set_mode", args)


@router.put(
    "/api/v1/doors/{door}/service",
    operation_id="set_door_service",
    summary="Begin or end service at a door",
    status_code=202,
    responses=problems(404, 409, 503),
)
async def service(
    door: str, wanted: ServiceRequest, who: Maintenance, site: TheSite, order: Order
) -> Accepted:
    """Mute the fault alarms of a door while somebody works on it; the page shows it."""
    if wanted.minutes:
        site.identity.need_fresh_proof(who)
    args: dict[str, Json] = {"door": door[:200], "for_ms": wanted.minutes * 60_000}
    return await order(who, "set_service", args)
