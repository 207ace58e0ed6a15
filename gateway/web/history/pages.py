"""The history of points for people, with the choice in the address."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from gateway.web.access import Maintenance, TheSite
from gateway.web.history.charts import marks_of, series_of
from gateway.web.history.logbook_pages import unreadable_since
from gateway.web.history.ranges import Range, unread
from gateway.web.house.records import Unavailable
from gateway.web.page import language_of, page
from gateway.web.site import Site
from gateway.wire import calendar_time

router = APIRouter(include_in_schema=False)
POINTS_MOST = 8
HOUR_MS = 3_600_000
SPANS = {"hour": 1, "day": 24, "week": 168, "month": 720, "year": 8760}
"""Ranges that people ask for often, in hours."""


@router.get("/history")
async def history(
    request: Request,
    who: Maintenance,
    site: TheSite,
    points: Annotated[list[str] | None, Query(max_length=50)] = None,
    start: Annotated[str, Query(alias="from", max_length=40)] = "",
    end: Annotated[str, Query(alias="to", max_length=40)] = "",
    at: Annotated[str, Query(max_length=40)] = "",
) -> Response:
    """Chosen points over a chosen time: as a chart with JavaScript, as a table always.

    ``at``: the instant that somebody came for."""
    scene = site.scene(language_of(request), who)
    words, zone = scene.w, site.options.zone
    known = list(site.house.points)
    wanted = [name for part in points or [] for name in part.split(",") if name in known]
    wanted = list(dict.fromkeys(wanted))[:POINTS_MOST] or _first(site, known)
    now = calendar_time(site.house.now_utc_ms)
    chosen = Range.read(start, end, zone).filled(now, timedelta(days=1))
    series: list[dict[str, Any]] = []
    marks: dict[str, Any] = {"marks": [], "texts": [], "subjects": [], "told": [], "total": 0}
    problem = words("event.no_such_time") if unread(start, end) else ""
    try:
        for point in wanted:
            series += await series_of(site, scene, point, chosen)
        marks |= await marks_of(site, scene, wanted, chosen)
    except Unavailable as error:
        problem = unreadable_since(site, error, language_of(request))
    first, last = chosen.whole()
    instant = Range.read(at, "", zone).from_utc_ms
    data = {
        "from": first / 1000,
        "to": last / 1000,
        "now": site.house.now_utc_ms / 1000,
        "at": None if instant is None else instant / 1000,
        "zone": str(zone),
        "series": [one["chart"] for one in series],
        "marks": marks["marks"],
        "texts": marks["texts"],
        "subject": marks["subjects"][0] if len(marks["subjects"]) == 1 else "",
    }
    start_text, end_text = chosen.fields(zone)
    return page(
        request,
        "history.html",
        {
            "known": known,
            "wanted": wanted,
            "start": start_text,
            "end": end_text,
            "range": words(
                "history.range",
                start=words.moment(first, ms=False),
                end=words.moment(last, ms=False),
            ),
            "problem": problem,
            "data": json.dumps(data, separators=(",", ":"), ensure_ascii=False),
            "tables": [one["table"] for one in series],
            "marks": marks,
            "export": urlencode(chosen.query()),
            "quick": _quick(now, wanted),
            "span": _span(now, first, last),
            "zone": str(zone),
        },
    )


def _first(site: Site, known: list[str]) -> list[str]:
    """With nothing chosen: the leaf contacts, or whatever comes first."""
    leaves = [name for name in known if name.endswith(".leaf")]
    return (leaves or known)[:2]


def _span(now: datetime, first: int, last: int) -> str:
    """Which of :data:`SPANS` is shown, to a minute or two; empty where it is another range."""
    if abs(last - now.timestamp() * 1000) > 120_000:
        return ""
    return next((n for n, h in SPANS.items() if abs(last - first - h * HOUR_MS) <= 120_000), "")


def _quick(now: datetime, wanted: list[str]) -> list[tuple[str, str]]:
    """Ranges that people ask for often, as addresses."""
    end = int(now.timestamp() * 1000)
    return [
        (
            name,
            urlencode(
                {
                    "points": ",".join(wanted),
                    **Range(end - hours * HOUR_MS, end + 60_000).query(),
                }
            ),
        )
        for name, hours in SPANS.items()
    ]
