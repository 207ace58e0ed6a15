"""Events and history for people, with the choice in the address."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from gateway.core.facts import KINDS
from gateway.web.access import Maintenance, TheSite, View, lanes_for
from gateway.web.pages.ranges import Range
from gateway.web.records import Unavailable
from gateway.web.render import language_of, page
from gateway.web.site import Site
from gateway.web.telling import tell

router = APIRouter(include_in_schema=False)
EVENTS = 100
IMPORTANT = [kind.name for kind in KINDS.values() if kind.lane == "urgent"]
"""What people ask for first: doors, alarms, the gateway. Levels and readings are many."""
TABLE_ROWS = 48
CHART_BUCKETS = 600
POINTS_MOST = 8


@router.get("/events")
async def events(
    request: Request,
    who: View,
    site: TheSite,
    kind: str = "",
    subject: str = "",
    start: Annotated[str, Query(alias="from", max_length=40)] = "",
    end: Annotated[str, Query(alias="to", max_length=40)] = "",
    before: Annotated[int | None, Query(ge=1, le=2**53)] = None,
) -> Response:
    """The newest events first; ``before`` pages back."""
    scene = site.scene(language_of(request), who)
    chosen = Range.read(start, end, site.options.zone)
    shown = [kind] if kind in KINDS else [k for k in KINDS if kind == "all" or k in IMPORTANT]
    rows, problem = [], ""
    try:
        rows = await site.records.before(
            before,
            EVENTS,
            kinds=shown,
            subject=subject[:200] or None,
            lanes=lanes_for(who),
            from_utc_ms=chosen.from_utc_ms,
            to_utc_ms=chosen.to_utc_ms,
        )
    except Unavailable as error:
        problem = _since(site, error, request)
    fields = {"kind": kind, "subject": subject, "from": start, "to": end}
    older = {**{k: v for k, v in fields.items() if v}, "before": rows[-1].row} if rows else {}
    return page(
        request,
        "events.html",
        {
            "events": [tell(row, scene) for row in rows],
            "kinds": list(KINDS),
            "shown_kinds": shown,
            "fields": fields,
            "problem": problem,
            "older": urlencode(older) if len(rows) == EVENTS else "",
            "paged": before is not None,
            "zone": str(site.options.zone),
        },
    )


def _since(site: Site, error: Unavailable, request: Request) -> str:
    words = site.words(language_of(request))
    since = words.clock(int(error.since * 1000), site.house.now_utc_ms, seconds=True)
    return words("event.unavailable", since=since)


@router.get("/history")
async def history(
    request: Request,
    who: Maintenance,
    site: TheSite,
    points: Annotated[list[str] | None, Query(max_length=50)] = None,
    start: Annotated[str, Query(alias="from", max_length=40)] = "",
    end: Annotated[str, Query(alias="to", max_length=40)] = "",
) -> Response:
    """Chosen points over a chosen time: as a chart with JavaScript, as a table always."""
    words = site.words(language_of(request))
    known = list((site.house.snapshot or {"points": {}})["points"])
    wanted = [name for part in points or [] for name in part.split(",") if name in known]
    wanted = wanted[:POINTS_MOST] or _first(site, known)
    now = datetime.fromtimestamp(site.house.now_utc_ms / 1000, UTC)
    chosen = Range.read(start, end, site.options.zone).filled(now, timedelta(days=1))
    series: list[dict[str, Any]] = []
    problem = ""
    try:
        for point in wanted:
            series += await _series(site, point, chosen)
    except Unavailable as error:
        problem = _since(site, error, request)
    for one in series:
        title = site.options.terminals.name(words, one["point"])
        quantity = words.get(f"quantity.{one['quantity']}", one["quantity"])
        one["title"] = f"{title}: {quantity}" if quantity else title
        one["unit"] = words.get(f"unit.{one['quantity']}", one["quantity"])
    data = {
        "from": chosen.from_utc_ms / 1000 if chosen.from_utc_ms else 0,
        "to": chosen.to_utc_ms / 1000 if chosen.to_utc_ms else 0,
        "zone": str(site.options.zone),
        "series": series,
    }
    start_text, end_text = chosen.fields(site.options.zone)
    span = urlencode({"from": chosen.iso(chosen.from_utc_ms), "to": chosen.iso(chosen.to_utc_ms)})
    return page(
        request,
        "history.html",
        {
            "known": known,
            "wanted": wanted,
            "start": start_text,
            "end": end_text,
            "problem": problem,
            "data": json.dumps(data, separators=(",", ":")),
            "tables": [{"title": one["title"], **_table(one, words)} for one in series],
            "export": span,
            "quick": _quick(now, wanted, site),
            "zone": str(site.options.zone),
        },
    )


def _first(site: Site, known: list[str]) -> list[str]:
    """With nothing chosen: the leaf contacts, or whatever comes first."""
    leaves = [name for name in known if name.endswith(".leaf")]
    return (leaves or known)[:2]


def _quick(now: datetime, wanted: list[str], site: Site) -> list[tuple[str, str]]:
    spans = (("hour", 1), ("day", 24), ("week", 168), ("month", 720))
    out = []
    for name, hours in spans:
        local = [
            moment.astimezone(site.options.zone).strftime("%Y-%m-%dT%H:%M")
            for moment in (now - timedelta(hours=hours), now + timedelta(minutes=1))
        ]
        out.append(
            (name, urlencode({"points": ",".join(wanted), "from": local[0], "to": local[1]}))
        )
    return out


async def _series(site: Site, point: str, chosen: Range) -> list[dict[str, Any]]:
    """One series per quantity of a meter, one lane for a contact or relay."""
    first, last = chosen.from_utc_ms or 0, chosen.to_utc_ms or 0
    told = (site.house.snapshot or {"points": {}})["points"][point]
    found = await site.records.history(point, told, first, last, CHART_BUCKETS)
    width_s = (last - first) / CHART_BUCKETS / 1000
    if found.lane:
        changes = [[at / 1000, active] for at, active in found.changes]
        return [{"point": point, "quantity": "", "changes": changes}]
    return [
        {
            "point": point,
            "quantity": quantity,
            "width": width_s,
            "buckets": [[b.utc_ms / 1000, b.min, b.mean, b.max, b.count] for b in buckets],
        }
        for quantity, buckets in found.quantities.items()
    ]


def _table(series: dict[str, Any], words: Any) -> dict[str, Any]:
    """At most :data:`TABLE_ROWS` lines: changes as they are, buckets put together."""
    name = series["point"]
    if not series["quantity"]:
        rows = [
            (words.moment(int(at * 1000)), words(_level_key(active)))
            for at, active in series["changes"]
        ]
        return {"name": name, "unit": "", "lane": True, "rows": rows[-TABLE_ROWS:],
                "more": len(rows) > TABLE_ROWS}  # fmt: skip
    buckets = series["buckets"]
    step = max(1, -(-len(buckets) // TABLE_ROWS))
    lines: list[tuple[str, ...]] = []
    for index in range(0, len(buckets), step):
        group = buckets[index : index + step]
        told = [b for b in group if b[4]]
        count = sum(b[4] for b in told)
        mean = sum(b[2] * b[4] for b in told) / max(1, count)
        lines.append(
            (
                words.moment(int(group[0][0] * 1000), ms=False),
                words.number(min(b[1] for b in told)) if told else "–",
                words.number(mean) if told else "–",
                words.number(max(b[3] for b in told)) if told else "–",
                str(count),
            )
        )
    unit = words.get(f"unit.{series['quantity']}", series["quantity"])
    return {"name": name, "unit": unit, "lane": False, "rows": lines, "more": False}


def _level_key(active: bool | None) -> str:
    return f"level.contact_{'unknown' if active is None else 'on' if active else 'off'}"
