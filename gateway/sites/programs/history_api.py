"""The API of the centre: history and events of a site, from what the recorder has stored."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from gateway.core.facts import KINDS, Lane
from gateway.sites.access import MaintenanceAt, TheCentre, ViewAt
from gateway.sites.history.files import history_csv
from gateway.sites.history.records import StoredRecords
from gateway.sites.history.stored import StoredEvent, Wanted
from gateway.sites.page_site import CentreSite
from gateway.web.building.models import As
from gateway.web.building.records import Unavailable
from gateway.web.building.view import iso
from gateway.web.history.api import LINK, KindName, When, history_shape, period, unavailable, utc_ms
from gateway.web.shared.models import HistoryShape, problems
from gateway.web.shared.problems import Problem

router = APIRouter(tags=["sites"])
FILE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The history, or a file of it.",
        "content": {"text/csv": {"example": "time,quantity,min,mean,max,count,covered_s\n"}},
    }
}


class SiteEventShape(BaseModel):
    """An event of a site. ``journal``, ``boot`` and ``monotonic_ms`` are null, and lists and tables
    in ``data`` are missing, where the recorder's store is the embedded one."""

    site: str
    journal: str | None
    lane: Lane
    sequence: int
    boot: str | None
    monotonic_ms: int | None
    time: str
    kind: str
    subject: str
    data: dict[str, Any]


SiteEventTold = Annotated[dict[str, Any], As(SiteEventShape)]


def _records(centre: CentreSite) -> StoredRecords:
    if centre.records is None:
        raise Problem(501, "not_recorded")
    return centre.records


@router.get(
    "/api/v1/sites/{site}/points/{point}/history",
    operation_id="get_site_point_history",
    summary="The history of a point of a site",
    response_model=HistoryShape,
    responses=problems(404, 501, 503) | FILE,
)
async def history(
    point: str,
    at: MaintenanceAt,
    centre: TheCentre,
    start: Annotated[When, Query(alias="from")] = None,
    end: Annotated[When, Query(alias="to")] = None,
    buckets: Annotated[int, Query(ge=1, le=5000)] = 500,
    format: Literal["json", "csv", "csv-de"] = "json",
) -> Any:
    """As a gateway gives it (``GET /points/{point}/history`` there), from what the recorder has
    stored. ``csv-de``: semicolons and decimal commas, as Excel in German opens it."""
    shown = at.presenter.control.points.get(point)
    if shown is None:
        raise Problem(404, "unknown_point")
    now = at.presenter.control.now_utc_ms
    since, to = period(start, end, now)
    first, last = int(since.timestamp() * 1000), int(to.timestamp() * 1000)
    records = _records(centre).of(at.seen.id)
    try:
        found = await records.history(point, shown, first, last, buckets, now)
    except Unavailable as error:
        raise unavailable(error, "no_history") from None
    if format == "json":
        return history_shape(point, since, to, found)
    text = history_csv(found, centre.options.zone, german=format == "csv-de")
    name = f"{at.seen.id}-{point}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(text, media_type="text/csv; charset=utf-8", headers=headers)


@router.get(
    "/api/v1/sites/{site}/events",
    operation_id="list_site_events",
    summary="The events of a site",
    responses=problems(404, 501, 503) | LINK,
)
async def events(
    request: Request,
    response: Response,
    at: ViewAt,
    centre: TheCentre,
    kind: Annotated[list[KindName] | None, Query(max_length=50)] = None,
    subject: Annotated[str | None, Query(max_length=200)] = None,
    start: Annotated[When, Query(alias="from")] = None,
    end: Annotated[When, Query(alias="to")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
) -> list[SiteEventTold]:
    """The newest events first, about so many (those of one instant come together). Where there may
    be more, the header ``Link`` names the next piece (``rel="next"``). An event that the recorder
    gets late takes its place by its time."""
    if kind and not set(kind) <= set(KINDS):
        raise Problem(422, "unknown_kind")
    wanted = Wanted(
        [at.seen.id], kind, utc_ms(start), utc_ms(end), limit=limit, subject=subject
    )  # fmt: skip
    try:
        found = await _records(centre).events(wanted)
    except Unavailable as error:
        raise unavailable(error, "no_history") from None
    if len(found) >= limit:
        following = request.url.include_query_params(to=iso(found[-1].utc_ms))
        response.headers["Link"] = f'<{following.path}?{following.query}>; rel="next"'
    _note_calls(centre, at.who.actor, found)
    return [event_json(one, private=at.presenter.may("staff")) for one in found]


def _note_calls(centre: CentreSite, actor: str, found: list[StoredEvent]) -> None:
    """Who looked at which call is audited."""
    for one in found:
        if one.kind.startswith("call_") and one.data.get("call"):
            centre.audit.looked(actor, one.gateway, str(one.data["call"]))


def event_json(one: StoredEvent, *, private: bool) -> dict[str, Any]:
    """``private``: with the name of who goes to a call."""
    hidden = () if private else ("attends",)
    return {
        "site": one.gateway,
        "journal": one.journal or None,
        "lane": one.lane,
        "sequence": one.seq,
        "boot": one.boot or None,
        "monotonic_ms": one.mono_ms if one.boot else None,
        "time": iso(one.utc_ms),
        "kind": one.kind,
        "subject": one.subject,
        "data": {name: value for name, value in one.data.items() if name not in hidden},
    }
