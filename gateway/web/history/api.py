"""What happened: events, the history of points, and exports."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import WithJsonSchema
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from gateway.core.facts import KINDS
from gateway.journal.queries.export import Wanted, german_csv, jsonl, plain_csv
from gateway.journal.queries.reader import Reader
from gateway.web.access import Maintenance, TheSite, View, lanes_for
from gateway.web.building.models import FactTold
from gateway.web.building.records import Expired, History, TooLong, Unavailable
from gateway.web.building.view import fact_json
from gateway.web.history.entries import FAMILIES
from gateway.web.history.logbook import Chosen, entry_rows
from gateway.web.history.logbook_lines import matcher
from gateway.web.history.search import search, words_of
from gateway.web.middleware import HEAD
from gateway.web.page import language_of
from gateway.web.shared.models import Bucket, Change, HistoryShape, Moment, problems
from gateway.web.shared.problems import Problem
from gateway.wire import PUBLISHED, calendar_time

router = APIRouter(tags=["journal"])
WRITERS = {"csv": plain_csv, "csv-de": german_csv, "jsonl": jsonl}
KindName = Annotated[str, WithJsonSchema({"type": "string", "enum": sorted(KINDS)})]
When = Annotated[
    Moment | None, Query(description="RFC 3339 with offset", examples=["2025-05-01T08:00:00+02:00"])
]


def utc_ms(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp() * 1000)


def unavailable(error: Unavailable, reason: str = "no_journal") -> Problem:
    if isinstance(error, TooLong):
        return Problem(503, "too_long", Retry_After="5")
    return Problem(503, reason, str(error), Retry_After="1")


LINK: dict[int | str, dict[str, Any]] = {
    200: {
        "headers": {
            "Link": {
                "description": "The next piece, if there is more.",
                "schema": {"type": "string"},
            }
        }
    }
}


@router.get(
    "/api/v1/events",
    operation_id="list_events",
    summary="Events, and search in them",
    responses=problems(410, 503) | LINK,
)
async def events(
    request: Request,
    response: Response,
    who: View,
    site: TheSite,
    after: Annotated[int, Query(ge=0, le=2**53, description="journal row; 0: the oldest")] = 0,
    kind: Annotated[list[KindName] | None, Query(max_length=50)] = None,
    subject: Annotated[str | None, Query(max_length=200)] = None,
    start: Annotated[When, Query(alias="from")] = None,
    end: Annotated[When, Query(alias="to")] = None,
    q: Annotated[
        str,
        Query(
            max_length=100,
            description="words that are in it as the page tells it, all of"
            " them, in the language asked for",
            examples=["haupteingang abgelehnt"],
        ),
    ] = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
) -> list[FactTold]:
    """Facts in the order of the journal after row ``after``, which is also the cursor of the
    live stream. 410 where the rows after it are no longer kept.

    Where there may be more, the header ``Link`` names the next piece (``rel="next"``). A search
    for words may find few and still have more to look through: follow it until it is gone."""
    if kind and not set(kind) <= set(KINDS):
        raise Problem(422, "unknown_kind")
    try:
        rows, more = await search(
            lambda row, size: site.records.after(
                row or 0, size, kinds=kind, subject=subject, lanes=lanes_for(who),
                from_utc_ms=utc_ms(start), to_utc_ms=utc_ms(end),
            ),
            site.presenter(language_of(request), who), words_of(q), after, limit,
        )  # fmt: skip
    except Expired:
        raise Problem(410, "expired_cursor") from None
    except Unavailable as error:
        raise unavailable(error) from None
    if more is not None:
        following = request.url.include_query_params(after=more)
        response.headers["Link"] = f'<{following.path}?{following.query}>; rel="next"'
    return [fact_json(row, private=who.may("staff")) for row in rows]


@router.get(
    "/api/v1/points/{point}/history",
    operation_id="get_point_history",
    summary="The history of a point",
    responses=problems(404, 503),
)
async def history(
    point: str,
    who: Maintenance,
    site: TheSite,
    start: Annotated[When, Query(alias="from")] = None,
    end: Annotated[When, Query(alias="to")] = None,
    buckets: Annotated[int, Query(ge=1, le=5000)] = 500,
) -> HistoryShape:
    """The history of one point: per bucket least, mean and greatest value, the mean weighted by
    time, and the number of readings, or each change of a contact or relay. A value is valid until
    the next one, or until twice the heartbeat of its point; what lies beyond that is a gap."""
    if point not in site.control.points:
        raise Problem(404, "unknown_point")
    since, to = period(start, end, site.control.now_utc_ms)
    first, last = int(since.timestamp() * 1000), int(to.timestamp() * 1000)
    try:
        shown = site.control.points[point]
        found = await site.records.history(
            point, shown, first, last, buckets, site.control.now_utc_ms
        )
    except Unavailable as error:
        raise unavailable(error) from None
    return history_shape(point, since, to, found)


def period(
    start: datetime | None, end: datetime | None, now_utc_ms: int
) -> tuple[datetime, datetime]:
    """Begin and end of what is asked for, the day before now where nothing is said. Raises
    :class:`Problem` 422 where it ends before it begins."""
    to = end or calendar_time(now_utc_ms)
    try:
        since = start or to - timedelta(days=1)
    except OverflowError:  # the day before the first of all
        since = to
    if since >= to:
        raise Problem(422, "malformed")
    return since, to


def history_shape(point: str, since: datetime, to: datetime, found: History) -> HistoryShape:
    """As the API gives it."""
    return HistoryShape(
        point=point,
        start=since,
        end=to,
        quantities={
            quantity: [
                Bucket(
                    time=calendar_time(b.utc_ms),
                    min=b.min, mean=b.mean, max=b.max, count=b.count,
                    covered_s=None if b.covered_ms is None else b.covered_ms / 1000,
                )
                for b in series
            ]
            for quantity, series in found.quantities.items()
        },
        changes=[
            Change(time=calendar_time(at), active=active)
            for at, active in found.changes
        ],
    )  # fmt: skip


FILES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The file.",
        "content": {
            "text/csv": {
                "example": "row,time,lane,sequence,boot,monotonic_ms,kind,subject,quantity,value,"
                "data\n1742,2026-01-05T02:15:46.400+01:00,urgent,612,3f0c9a52,8164221,door_opened,front,,,\n"
            },
            "application/jsonl": {
                "example": '{"row": 1742, "time": "2026-01-05T02:15:46.400+01:00",'
                ' "lane": "urgent", "sequence": 612, "boot": "3f0c9a52", "monotonic_ms": 8164221,'
                ' "kind": "door_opened", "subject": "front", "data": {}}\n'
            },
        },
    }
}


@router.get(
    "/api/v1/export",
    operation_id="export_events",
    summary="Events of a period as a file",
    response_class=Response,
    responses=problems(501, 503) | FILES,
)
async def export_(
    request: Request,
    who: Maintenance,
    site: TheSite,
    start: Annotated[When, Query(alias="from")] = None,
    end: Annotated[When, Query(alias="to")] = None,
    kind: Annotated[list[KindName] | None, Query(max_length=50)] = None,
    subject: Annotated[str | None, Query(max_length=200)] = None,
    format: Literal["csv", "csv-de", "jsonl", "parquet"] = "csv",
    before: bool = False,
    q: Annotated[
        str,
        Query(
            max_length=100, description="words of the logbook's entries, in the language asked for"
        ),
    ] = "",
    show: Annotated[
        str,
        Query(max_length=100, description="families of the logbook's entries, with commas between"),
    ] = "",
) -> Response:
    """All facts of a period as a file, streamed. ``csv-de``: semicolons and decimal commas,
    as Excel in German opens it. Parquet is written by the command line. ``before``: begin with
    the newest value of ``subject`` before the period, which applies at its begin. With ``q`` or
    ``show``: the facts of the entries that the page's logbook shows for these."""
    if format == "parquet":
        raise Problem(501, "parquet")
    if kind and not set(kind) <= set(KINDS):
        raise Problem(422, "unknown_kind")
    families = tuple(show.split(",")) if show else ()
    if not set(families) <= set(FAMILIES):
        raise Problem(422, "malformed")
    try:
        await site.records.head()
    except Unavailable as error:
        raise unavailable(error) from None
    media = "application/jsonl" if format == "jsonl" else "text/csv; charset=utf-8"
    suffix = "jsonl" if format == "jsonl" else "csv"
    name = f"portier-{datetime.now(site.options.zone):%Y%m%d-%H%M}.{suffix}"
    wanted = Wanted(utc_ms(start), utc_ms(end), kind, subject, before=before)
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    if request.scope.get(HEAD):  # a year of facts is read for nobody
        return Response(media_type=media, headers=headers)
    if words_of(q) or families:
        presenter = site.presenter(language_of(request), who)
        chosen = Chosen(
            families=tuple(family for family in FAMILIES if family in families),
            kinds=tuple(kind) if kind else None,
            subject=subject or "",
            lanes=PUBLISHED,
            from_utc_ms=wanted.from_utc_ms,
            to_utc_ms=wanted.to_utc_ms,
            says=matcher(words_of(q), presenter),
        )
        wanted = Wanted(rows=partial(entry_rows, chosen))
    lines = WRITERS[format](Reader(site.records.path), wanted, site.options.zone)
    return StreamingResponse(lines, media_type=media, headers=headers)
