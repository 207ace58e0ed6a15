"""Everything but the doors: status, points, alarms, counters, guarantees."""

from __future__ import annotations

from fastapi import APIRouter

from gateway.core.facts import Json
from gateway.web.access import (
    AdminProved,
    Maintenance,
    MaintenanceProved,
    Staff,
    StaffAlways,
    TheSite,
    View,
    ViewAlways,
)
from gateway.web.building.models import (
    AlarmTold,
    CountersTold,
    GuaranteeTold,
    KeptTold,
    PointTold,
    StatusTold,
)
from gateway.web.building.view import (
    alarms_json,
    doors_json,
    guarantees_json,
    points_json,
    status_json,
)
from gateway.web.commands import Order
from gateway.web.retention import retention
from gateway.web.shared.models import Accepted, ShelveRequest, TestRequest, problems
from gateway.web.shared.polling import RESPONSES as TAGGED
from gateway.web.shared.polling import Poll
from gateway.web.shared.problems import Problem

router = APIRouter(tags=["building"])


@router.get(
    "/api/v1/status",
    operation_id="get_status",
    summary="Everything at once",
    responses=problems() | TAGGED,
)
async def status(who: ViewAlways, site: TheSite, poll: Poll) -> StatusTold:
    """Everything the page shows. ``stale``: the controller is away, ``since`` then.

    To ask often, send the ``ETag`` of the last answer as ``If-None-Match``: 304 without a body
    says that it is all still true, the times that move by themselves aside. A reading of a
    meter, a press, and that the controller is away are changes. For everything at once there
    is the live stream."""
    return poll(status_json(site.control))


@router.get(
    "/api/v1/points",
    operation_id="list_points",
    summary="All points",
    responses=problems() | TAGGED,
)
async def points(who: View, site: TheSite, poll: Poll) -> list[PointTold]:
    """All points in the order of the configuration: contacts, relays and meters."""
    return poll(points_json(site.control))


@router.get(
    "/api/v1/points/{point}", operation_id="get_point", summary="One point", responses=problems(404)
)
async def one_point(point: str, who: View, site: TheSite) -> PointTold:
    """One point, as in the list of all."""
    for found in points_json(site.control):
        if found["id"] == point:
            return found
    raise Problem(404, "unknown_point")


@router.post(
    "/api/v1/points/{point}/test",
    operation_id="test_relay",
    summary="Switch a relay on to try it",
    status_code=202,
    responses=problems(404, 409, 503),
)
async def try_relay(
    point: str, who: MaintenanceProved, order: Order, wanted: TestRequest | None = None
) -> Accepted:
    """Commissioning: switch one relay on for some seconds. Something may really move."""
    seconds = wanted.seconds if wanted else 1
    args: dict[str, Json] = {"point": point[:200], "for_ms": seconds * 1000}
    return await order(who, "test_relay", args)


@router.get(
    "/api/v1/alarms",
    operation_id="list_alarms",
    summary="All alarms that matter now",
    responses=problems() | TAGGED,
)
async def alarms(who: ViewAlways, site: TheSite, poll: Poll) -> list[AlarmTold]:
    """All alarms that are active, or over and not yet seen, or shelved."""
    return poll(alarms_json(site.control))


@router.post(
    "/api/v1/alarms/{alarm:path}/acknowledge",
    operation_id="acknowledge_alarm",
    summary="Mark an alarm as seen",
    status_code=202,
    responses=problems(404, 409, 503),
)
async def acknowledge(alarm: str, who: StaffAlways, order: Order) -> Accepted:
    """Somebody has seen it. The alarm's id contains a slash: ``front/left_open``."""
    return await order(who, "acknowledge_alarm", {"alarm": alarm[:200]})


@router.post(
    "/api/v1/alarms/{alarm:path}/reset",
    operation_id="reset_alarm",
    summary="Let a latched alarm go",
    status_code=202,
    responses=problems(404, 409, 503),
)
async def reset(alarm: str, who: Staff, order: Order) -> Accepted:
    """Let a latched alarm go (a leak that is dry again): somebody has looked."""
    return await order(who, "reset_alarm", {"alarm": alarm[:200]})


@router.post(
    "/api/v1/clock/confirm",
    operation_id="confirm_clock",
    summary="Confirm the time of day",
    status_code=202,
    responses=problems(409, 503),
)
async def confirm_clock(who: AdminProved, order: Order) -> Accepted:
    """Say that the gateway's time of day is right, after comparing it with another clock. What has
    reached its life by this time may then be deleted."""
    return await order(who, "confirm_clock", {})


@router.post(
    "/api/v1/alarms/{alarm:path}/shelve",
    operation_id="shelve_alarm",
    summary="Put an alarm aside for a while",
    status_code=202,
    responses=problems(404, 409, 503),
)
async def shelve(
    alarm: str, wanted: ShelveRequest, who: Maintenance, site: TheSite, order: Order
) -> Accepted:
    """Hide a fault or notice for a while; 0 minutes shows it again."""
    if wanted.minutes:
        site.identity.need_fresh_proof(who)
    args: dict[str, Json] = {"alarm": alarm[:200], "for_ms": wanted.minutes * 60_000}
    return await order(who, "shelve_alarm", args)


@router.get(
    "/api/v1/counters",
    operation_id="get_counters",
    summary="Counters for maintenance",
    responses=problems(),
)
async def counters(who: View, site: TheSite) -> CountersTold:
    """What is counted for maintenance, per door and point."""
    return {
        "doors": {door["id"]: door["counters"] for door in doors_json(site.control)},
        "points": {
            point["id"]: {"changes": point["changes"]} for point in points_json(site.control)
        },
    }


@router.get(
    "/api/v1/guarantees",
    operation_id="list_guarantees",
    summary="What works right now",
    responses=problems(),
)
async def guarantees(who: View, site: TheSite) -> list[GuaranteeTold]:
    """What works right now and what does not, each since when."""
    return guarantees_json(site.control)


@router.get(
    "/api/v1/kept",
    operation_id="get_retention",
    summary="What is stored, and how long",
    responses=problems(),
)
async def kept(who: View, site: TheSite) -> KeptTold:
    """What is stored and for how long (seconds), from the running configuration."""
    found = retention.rows(site.options)
    return {
        "lives_s": {row.id: row.life_ms // 1000 for row in found if row.life_ms is not None},
        "rows": [
            {
                "id": row.id,
                "life_s": None if row.life_ms is None else row.life_ms // 1000,
                "until": row.until,
                "enforced_by": row.enforcer,
            }
            for row in found
        ],
        "broker": site.options.broker,
        "store": site.options.store,
    }
