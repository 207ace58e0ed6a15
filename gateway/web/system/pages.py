"""The system status with its past: what is promised, and how well that was so."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from gateway.web.access import TheSite, View
from gateway.web.building.guarantees import guarantees
from gateway.web.building.records import Unavailable
from gateway.web.history.logbook_pages import unreadable_since
from gateway.web.page import language_of, page
from gateway.web.system.reading import Past, read_past
from gateway.web.system.view import DAYS, begin_of, system_view

router = APIRouter(include_in_schema=False)


@router.get("/system")
async def system(request: Request, who: View, site: TheSite) -> Response:
    """Each guarantee and sensor: as it is now, and over the last weeks."""
    presenter, control = site.presenter(language_of(request), who), site.control
    past, problem, now_utc_ms = Past(), "", control.now_utc_ms
    until_utc_ms = now_utc_ms if control.connected else control.since_utc_ms
    try:
        past = await read_past(
            site.records, guarantees(control), control.points, begin_of(presenter), until_utc_ms
        )
    except Unavailable as error:
        problem = unreadable_since(site, error, language_of(request))
    values = {"view": system_view(presenter, past, now_utc_ms), "problem": problem, "number": DAYS}
    return page(request, "system.html", values)
