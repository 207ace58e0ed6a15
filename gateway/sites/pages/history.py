"""The history of points of all sites, several of them side by side."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from gateway.sites.access import TheCentre
from gateway.sites.building import SiteBuilding
from gateway.sites.history.records import GatewayRecords, StoredRecords
from gateway.sites.overview import Overview
from gateway.sites.page_site import CentreSite
from gateway.sites.pages.logbook import not_recorded, unreadable_since
from gateway.sites.presenter import SitePresenter
from gateway.web.access import ViewAlways
from gateway.web.building.records import Unavailable
from gateway.web.history.charts import Figure, lane_figure, meters_of
from gateway.web.history.lanes import point_lane
from gateway.web.history.pages import script_texts
from gateway.web.history.presets import POINTS_MOST
from gateway.web.history.range_bar import DAY_MS, Asked, range_bar, shift_of
from gateway.web.history.range_text import EDGES
from gateway.web.history.ranges import Range, unread
from gateway.web.options import Options
from gateway.web.page import language_of, page
from gateway.web.shared.words import Words

router = APIRouter(include_in_schema=False)
FIRST_RANGE = "24h"


@dataclass(frozen=True, slots=True)
class SitePoints:
    """One site, as its charts are made: see
    :class:`gateway.web.history.point_history.PointHistory`."""

    control: SiteBuilding
    options: Options
    records: GatewayRecords


@dataclass(frozen=True, slots=True)
class PlacedPoint:
    """``sort``: what it is. ``key``: as the address names it."""

    site: str
    point: str
    name: str
    sort: str

    @property
    def key(self) -> str:
        return f"{self.site}/{self.point}"


@dataclass(frozen=True, slots=True)
class AskedSites(Asked):
    """``points`` are ``SITE/POINT``; with ``quantity`` those of all sites that measure it."""

    quantity: str = ""

    def address(
        self, query: Mapping[str, str], *, view: str = "", compare: bool | None = None
    ) -> str:
        asked: dict[str, str] = {}
        if self.quantity:
            asked["quantity"] = self.quantity
        elif self.points:
            asked["series"] = ",".join(self.points)
        if self.compare if compare is None else compare:
            asked["compare"] = "1"
        return urlencode(asked | dict(query))


@router.get("/history")
async def history(
    request: Request,
    who: ViewAlways,
    centre: TheCentre,
    series: Annotated[list[str] | None, Query(max_length=50)] = None,
    quantity: Annotated[str, Query(max_length=60)] = "",
    site: Annotated[str, Query(max_length=200)] = "",
    start: Annotated[str, Query(alias="from", max_length=40)] = "",
    end: Annotated[str, Query(alias="to", max_length=40)] = "",
    text: Annotated[str, Query(alias="range", max_length=100)] = "",
    shown_text: Annotated[str, Query(alias="shown", max_length=100)] = "",
    compare: bool = False,
) -> Response:
    """Chosen points (``series``: SITE/POINT), or one quantity of all sites, over a time: as charts
    with JavaScript, as words and tables always. ``site``: whose points are offered, too."""
    shown = centre.presenter(language_of(request), who)
    words, zone, now = shown.w, centre.options.zone, shown.now_utc_ms
    places = allowed_places(shown)
    known = {one.key: one for id in places for one in points_of(places[id])}
    quantities = _quantities(places.values(), words)
    quantity = quantity if quantity in dict(quantities) else ""
    wanted = _wanted(series, quantity, site, places, known)
    asked = AskedSites("sites", [one.key for one in wanted], compare, quantity)
    bar = range_bar(asked, (text, shown_text, start, end), now, FIRST_RANGE, words)
    chosen = bar.chosen.range
    shift_ms = shift_of(chosen, zone) if compare else 0
    problem = words("event.no_such_time") if unread(start, end) else ""
    figures: list[Figure] = []
    if not places:
        problem = words("sites.history_role")
    elif centre.records is None:
        problem = not_recorded(centre, words)
    else:
        try:
            figures = await _figures(centre, centre.records, places, wanted, chosen, shift_ms)
        except Unavailable as error:
            problem = unreadable_since(error, words, now)
    first, last = chosen.whole()
    data = {
        "from": first / 1000,
        "to": last / 1000,
        "now": now / 1000,
        "at": None,
        "zone": str(zone),
        "offset": words.offset_ms(first) / 1000,
        "edges": EDGES,
        "follows": bool(bar.chosen.span),
        "series": [figure.data for figure in figures],
        "marks": [],
        "texts": [],
        "subject": "",
    }
    offered = {*(one.site for one in wanted), site} & places.keys() or set(list(places)[:1])
    return page(
        request,
        "sites/history.html",
        {
            "presenter": shown,
            "view": "sites",
            "asked": asked,
            "wanted": set(asked.points),
            "quantity": quantity,
            "quantities": quantities,
            "offered": [
                (places[id].place, [one for one in known.values() if one.site == id])
                for id in places
                if id in offered
            ],
            "others": [(id, places[id].place) for id in places if id not in offered],
            "range_bar": bar,
            "compare": compare,
            "compare_address": asked.address(bar.query, compare=not compare),
            "compared": (
                words.plural("history.compared", round(shift_ms / DAY_MS)) if shift_ms else ""
            ),
            "bar_address": asked.address(bar.query),
            "filled": any(figure.filled for figure in figures),
            "script_texts": script_texts(words),
            "problem": problem,
            "data": json.dumps(data, separators=(",", ":"), ensure_ascii=False),
            "figures": figures,
            "marks": {"marks": [], "texts": [], "subjects": [], "told": [], "total": 0},
            "export": urlencode(chosen.query()),
            "zone": str(zone),
        },
    )


def allowed_places(shown: Overview) -> dict[str, SitePresenter]:
    """The sites whose history whoever looks may see, in the order of their names."""
    found = {}
    for one in sorted(shown.sites, key=lambda one: one.name.casefold()):
        presenter = shown.site(one.id)
        if presenter is not None and presenter.may("maintenance"):
            found[one.id] = presenter
    return found


def points_of(presenter: SitePresenter) -> list[PlacedPoint]:
    """The points that a site has, as its gateway names them; meters first."""
    names = presenter.terminals
    found = [
        PlacedPoint(presenter.control.seen.id, id, names.name(presenter.w, id), point["kind"])
        for id, point in presenter.control.points.items()
    ]
    return sorted(found, key=lambda one: (one.sort != "meter", one.name.casefold()))


def _quantities(places: Any, words: Words) -> list[tuple[str, str]]:
    """What is measured anywhere: (key, its word)."""
    keys = {
        quantity
        for presenter in places
        for point in presenter.control.points.values()
        for quantity in point.get("quantities") or {}
    }
    named = [(key, words.get(f"quantity.{key}", key)) for key in keys]
    return sorted(named, key=lambda one: one[1].casefold())


def _wanted(
    series: list[str] | None,
    quantity: str,
    site: str,
    places: Mapping[str, SitePresenter],
    known: Mapping[str, PlacedPoint],
) -> list[PlacedPoint]:
    """The points that are shown: those that measure a quantity, those of the address, or with
    nothing chosen the first of a site."""
    if quantity:
        found = [
            one
            for one in known.values()
            if quantity in (places[one.site].control.points[one.point].get("quantities") or {})
        ]
        return found[:POINTS_MOST]
    keys = dict.fromkeys(key for part in series or [] for key in part.split(","))
    if found := [known[key] for key in keys if key in known][:POINTS_MOST]:
        return found
    first = site if site in places else next(iter(places), "")
    return [one for one in known.values() if one.site == first][:2]


async def _figures(
    centre: CentreSite,
    records: StoredRecords,
    places: Mapping[str, SitePresenter],
    wanted: Sequence[PlacedPoint],
    chosen: Range,
    shift_ms: int,
) -> list[Figure]:
    """Charts of one quantity stand together, whichever site they are of."""
    figures: list[tuple[str, Figure]] = []
    for one in wanted:
        presenter = places[one.site]
        source = site_points(centre, records, presenter)
        if one.sort == "meter":
            made = await meters_of(source, presenter, one.point, chosen, shift_ms)
        else:
            lane = await point_lane(source, presenter, one.point, chosen)
            made = [lane_figure(lane, presenter, chosen, source.control.now_utc_ms)]
        figures += [(figure.title, _placed(figure, one, presenter)) for figure in made]
    titles = list(dict.fromkeys(title for title, _ in figures))
    return [figure for _, figure in sorted(figures, key=lambda one: titles.index(one[0]))]


def site_points(
    centre: CentreSite, records: StoredRecords, presenter: SitePresenter
) -> SitePoints:  # fmt: skip
    options = replace(centre.options, terminals=presenter.terminals)
    return SitePoints(presenter.control, options, records.of(presenter.control.seen.id))


def _placed(figure: Figure, one: PlacedPoint, presenter: SitePresenter) -> Figure:
    """With the name of the site, and the address of its values as a file."""
    place = ", ".join(part for part in (presenter.place, figure.place) if part)
    point, id = quote(one.point, safe=""), quote(one.site, safe="")
    files = f"/api/v1/sites/{id}/points/{point}/history"
    return replace(figure, place=place, table={**figure.table, "files": files})
