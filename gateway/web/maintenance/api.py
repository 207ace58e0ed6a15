"""Counters, drift and gaps for programs."""

from __future__ import annotations

from dataclasses import asdict

from fastapi import APIRouter

from gateway.web.access import Maintenance, TheSite
from gateway.web.building.records import Unavailable
from gateway.web.history.api import unavailable
from gateway.web.maintenance.models import (
    DoorCounters,
    MeterGaps,
    MonthShape,
    PointCounters,
    RoomMonths,
    UpkeepShape,
    WeekShape,
)
from gateway.web.maintenance.queries import Gaps
from gateway.web.maintenance.upkeep import Upkeep, upkeep_of
from gateway.web.maintenance.view import SIGNAL, drift
from gateway.web.shared.models import problems
from gateway.web.site import Site
from gateway.wire import calendar_time

router = APIRouter(tags=["maintenance"])


@router.get(
    "/api/v1/maintenance",
    operation_id="get_maintenance",
    summary="How the building wears",
    responses=problems(503),
)
async def maintenance(who: Maintenance, site: TheSite) -> UpkeepShape:
    """How the building wears: cycles, refusals and drift of doors, gaps of meters, and response
    times of rooms per month."""
    try:
        found = await upkeep_of(site)
    except Unavailable as error:
        raise unavailable(error) from None
    points = site.control.points
    return UpkeepShape(
        doors=[_door(site, id, found) for id in site.control.doors],
        points=[
            PointCounters(id=id, kind=point["kind"], changes=point["changes"])
            for id, point in points.items()
            if point["kind"] != "meter"
        ],
        meters=[_meter(site, gaps) for gaps in found.gaps.values()],
        rooms=[
            RoomMonths(id=id, months=[MonthShape(**asdict(month)) for month in months])
            for id, months in found.months.items()
        ],
    )


def _door(site: Site, id: str, found: Upkeep) -> DoorCounters:
    door, weeks = site.control.doors[id], found.weeks.get(id, [])
    counted, drifts = door.get("counters") or {}, drift(weeks)
    return DoorCounters(
        id=id,
        name=str(door.get("name") or id),
        openings=counted.get("openings") or 0,
        requests=counted.get("requests") or 0,
        refusals=dict(counted.get("refusals") or {}),
        missed=found.missed.get(id, 0),
        weeks=[WeekShape(**week._asdict()) for week in weeks],
        drift_ms=drifts.than_ms,
        drift_since=drifts.since,
    )


def _meter(site: Site, gaps: Gaps) -> MeterGaps:
    quantities = site.control.points[gaps.point].get("quantities") or {}
    values = {
        name: value for name, q in quantities.items() if (value := q.get("value")) is not None
    }
    at_ms = max((quantities[name]["at_ms"] for name in values), default=None)
    offset = site.control.utc_offset_ms
    heard = None
    if at_ms is not None and offset is not None:
        heard = calendar_time(at_ms + offset)
    return MeterGaps(
        id=gaps.point,
        refused=gaps.refused,
        silent=gaps.silent,
        empty_hours=gaps.empty_hours,
        hours=gaps.hours,
        heard=heard,
        told={name: float(values[name]) for name in SIGNAL if name in values},
    )
