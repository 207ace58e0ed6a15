"""Events and history for people, with the choice in the address."""

from __future__ import annotations

import json
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from gateway.web.access import Maintenance, TheSite
from gateway.web.building.records import Unavailable
from gateway.web.history.charts import Figure, counts_of, lane_of, marks_of, meters_of
from gateway.web.history.logbook_pages import unreadable_since
from gateway.web.history.presets import POINTS_MOST, VIEWS, Charts, charts_of, views
from gateway.web.history.range_bar import DAY_MS, Asked, range_bar, shift_of
from gateway.web.history.range_text import EDGES
from gateway.web.history.ranges import Range, unread
from gateway.web.page import language_of, page
from gateway.web.presenter.presenter import Presenter
from gateway.web.shared.words import Words
from gateway.web.site import Site

router = APIRouter(include_in_schema=False)
SCRIPT_TEXTS = (
    "lasted", "lane_share", "min", "mean", "max", "readings", "before", "below", "above",
    "unreachable", "unit_day", "time",
)  # fmt: skip


@router.get("/history")
async def history(
    request: Request,
    who: Maintenance,
    site: TheSite,
    view: Annotated[str, Query(max_length=20)] = "",
    points: Annotated[list[str] | None, Query(max_length=50)] = None,
    start: Annotated[str, Query(alias="from", max_length=40)] = "",
    end: Annotated[str, Query(alias="to", max_length=40)] = "",
    text: Annotated[str, Query(alias="range", max_length=100)] = "",
    shown: Annotated[str, Query(max_length=100)] = "",
    compare: bool = False,
    at: Annotated[str, Query(max_length=40)] = "",
) -> Response:
    """One view of the building, or chosen points, over a time: as charts with JavaScript, as
    words and tables always.

    ``text``: the range in words; ``shown``: those that the form had, so that the exact range
    remains while nobody changes them. ``at``: the instant that somebody came for."""
    presenter = site.presenter(language_of(request), who)
    words, zone, now = presenter.w, site.options.zone, site.control.now_utc_ms
    charts = _charts(site, view, points)
    asked = Asked(charts.view, charts.points, compare)
    bar = range_bar(asked, (text, shown, start, end), now, charts.first_range, words)
    chosen = bar.chosen.range
    shift_ms = shift_of(chosen, zone) if compare else 0
    problem = words("event.no_such_time") if unread(start, end) else ""
    figures: list[Figure] = []
    marks: dict[str, Any] = {"marks": [], "texts": [], "subjects": [], "told": [], "total": 0}
    try:
        figures = await _figures(site, presenter, charts, chosen, shift_ms)
        marks |= await marks_of(site, presenter, charts, chosen)
    except Unavailable as error:
        problem = unreadable_since(site, error, language_of(request))
    first, last = chosen.whole()
    instant = Range.read(at, "", zone).from_utc_ms
    data = {
        "from": first / 1000,
        "to": last / 1000,
        "now": now / 1000,
        "at": None if instant is None else instant / 1000,
        "zone": str(zone),
        "offset": words.offset_ms(first) / 1000,
        "edges": EDGES,
        "follows": bool(bar.chosen.span),
        "series": [figure.data for figure in figures],
        "marks": marks["marks"],
        "texts": marks["texts"],
        "subject": marks["subjects"][0] if len(marks["subjects"]) == 1 else "",
    }
    return page(
        request,
        "history.html",
        {
            "view": charts.view,
            "views": [(name, asked.address(bar.query, view=name)) for name in views(site)],
            "known": list(site.control.points),
            "wanted": charts.points,
            "range_bar": bar,
            "compare": compare,
            "compare_address": asked.address(bar.query, compare=not compare),
            "compared": (
                words.plural("history.compared", round(shift_ms / DAY_MS)) if shift_ms else ""
            ),
            "bar_address": asked.address(bar.query),
            "filled": bool(marks["total"]) or any(figure.filled for figure in figures),
            "script_texts": script_texts(words),
            "problem": problem,
            "data": json.dumps(data, separators=(",", ":"), ensure_ascii=False),
            "figures": figures,
            "marks": marks,
            "export": urlencode(chosen.query()),
            "zone": str(zone),
        },
    )


def script_texts(words: Words) -> str:
    """The words that the script of the charts needs, as JSON."""
    return json.dumps(
        {name: words.raw(f"history.{name}") for name in SCRIPT_TEXTS}
        | {name: words.raw(f"mark.{name}") for name in ("number", "span", "events", "closer")},
        ensure_ascii=False,
    )


def _charts(site: Site, view: str, points: list[str] | None) -> Charts:
    """The view that is asked for; chosen points, where the address names some; else the first."""
    known = site.control.points
    wanted = [name for part in points or [] for name in part.split(",") if name in known]
    wanted = list(dict.fromkeys(wanted))[:POINTS_MOST]
    offered = views(site)
    chosen = next((name for name in VIEWS if name == view), "points" if wanted else offered[0])
    if chosen not in offered:
        chosen = offered[0]
    if chosen == "points" and not wanted:
        wanted = _first(list(known))
    return charts_of(site, chosen, wanted)


def _first(known: list[str]) -> list[str]:
    """With nothing chosen: the leaf contacts, or whatever comes first."""
    leaves = [name for name in known if name.endswith(".leaf")]
    return (leaves or known)[:2]


async def _figures(
    site: Site, presenter: Presenter, charts: Charts, chosen: Range, shift_ms: int
) -> list[Figure]:
    figures = [await lane_of(site, presenter, sort, id, chosen) for sort, id in charts.lanes]
    for point in charts.meters:
        figures += await meters_of(site, presenter, point, chosen, shift_ms)
    for what, subjects in charts.bars:
        figures.append(await counts_of(site, presenter, what, subjects, chosen, shift_ms))
    return figures
