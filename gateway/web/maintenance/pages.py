"""Maintenance: counters, drift, gaps of meters, calls per month, and what is due to be tested."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from gateway.web.access import Maintenance, TheSite
from gateway.web.building.records import Unavailable
from gateway.web.inspection.view import due_view, page_view
from gateway.web.inspection.walk import due
from gateway.web.maintenance.queries import GAP_DAYS
from gateway.web.maintenance.upkeep import Upkeep, upkeep_of
from gateway.web.maintenance.view import door_upkeep, meter_upkeep, month_upkeep
from gateway.web.page import language_of, page

router = APIRouter(include_in_schema=False)
RECORDS = 40


@router.get("/maintenance")
async def maintenance(request: Request, who: Maintenance, site: TheSite) -> Response:
    """How the building wears, in counters, small pictures and plain sentences."""
    language = language_of(request)
    presenter, w, problem = site.presenter(language, who), site.words(language), ""
    found = Upkeep()
    try:
        found = await upkeep_of(site)
    except Unavailable as error:
        since = w.clock(int(error.since * 1000), site.control.now_utc_ms, seconds=True)
        problem = w("event.unavailable", since=since)
    points, rooms = site.control.points, site.control.rooms
    doors = [
        door_upkeep(presenter, id, door, found.missed.get(id, 0), found.weeks.get(id, ()))
        for id, door in site.control.doors.items()
    ]
    counted = [
        (point.name, point.kind_text, w.number(points[point.id]["changes"], 0))
        for point in presenter.points
        if point.kind != "meter"
    ]
    return page(
        request,
        "maintenance.html",
        {
            "problem": problem,
            "doors": doors,
            "counted": counted,
            "meters": [
                meter_upkeep(presenter, points[id], gaps) for id, gaps in found.gaps.items()
            ],
            "rooms": [
                (str(rooms[id].get("name") or id), [month_upkeep(w, m) for m in months])
                for id, months in found.months.items()
            ],
            "days": GAP_DAYS,
            "due": [due_view(presenter, one) for one in due(site)],
            "records": [page_view(presenter, p) for p in site.testbook.signed_pages(RECORDS)],
        },
    )
