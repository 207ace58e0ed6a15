"""The API of the centre: sites, their calls and alarms, and what may be asked of them."""

from __future__ import annotations

from typing import Annotated
from uuid import uuid4

from fastapi import APIRouter, Header, Query
from starlette.requests import Request
from starlette.responses import Response

from gateway.sites import asking
from gateway.sites.access import StaffAt, StaffAtProved, TheCentre, ViewAt
from gateway.sites.shapes import (
    AcknowledgeRequest,
    SiteAlarmTold,
    SiteCallTold,
    SiteTold,
    site_alarms_json,
    site_calls_json,
    site_status_json,
    sites_json,
)
from gateway.sites.streams import Seeing
from gateway.web.access import ViewAlways
from gateway.web.building.models import StatusTold
from gateway.web.live.streams import TooMany
from gateway.web.page import language_of
from gateway.web.programs.stream import Stream
from gateway.web.shared.models import Accepted, OpenRequest, problems
from gateway.web.shared.polling import RESPONSES as TAGGED
from gateway.web.shared.polling import Poll
from gateway.web.shared.problems import Problem

router = APIRouter(tags=["sites"])
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        max_length=100,
        description="Made up by who asks, such as a UUID. For ten minutes the same key gives the"
        " same answer, and the command is sent once.",
        examples=["6f1c2a9e-5d1b-4c6e-9d43-0a5f6f0f7b11"],
    ),
]


@router.get(
    "/api/v1/sites",
    operation_id="list_sites",
    summary="All sites",
    responses=problems() | TAGGED,
)
async def sites(who: ViewAlways, site: TheCentre, poll: Poll) -> list[SiteTold]:
    """All sites that whoever asks may see, in the order of their names."""
    return poll(sites_json(site.presenter("en", who)))


@router.get(
    "/api/v1/sites/{site}",
    operation_id="get_site",
    summary="The status of a site",
    responses=problems(404) | TAGGED,
)
async def one_site(at: ViewAt, centre: TheCentre, poll: Poll) -> StatusTold:
    """Everything that its page shows, in the shape of the gateway's own status. ``stale``: nothing
    is known of what is so now, ``since`` then."""
    at.note_looks(centre)
    return poll(site_status_json(at.presenter))


@router.get(
    "/api/v1/calls",
    operation_id="list_calls",
    summary="The calls that stand, of all sites",
    responses=problems() | TAGGED,
)
async def calls(who: ViewAlways, site: TheCentre, poll: Poll) -> list[SiteCallTold]:
    """Every call that stands at a site that whoever asks may see."""
    overview = site.presenter("en", who)
    site.note_all_looks(who, overview)
    return poll(site_calls_json(overview))


@router.get(
    "/api/v1/alarms",
    operation_id="list_alarms",
    summary="The alarms of all sites",
    responses=problems() | TAGGED,
)
async def alarms(who: ViewAlways, site: TheCentre, poll: Poll) -> list[SiteAlarmTold]:
    """Every alarm that is listed at a site that whoever asks may see."""
    return poll(site_alarms_json(site.presenter("en", who)))


@router.post(
    "/api/v1/sites/{site}/doors/{door}/open",
    operation_id="open_site_door",
    summary="Open a door of a site",
    status_code=202,
    responses=problems(404, 409, 503),
)
async def open_(
    door: str,
    at: StaffAtProved,
    centre: TheCentre,
    key: Key = None,
    wanted: OpenRequest | None = None,
) -> Accepted:
    """Ask a gateway for a door that it lets the centre open. 202 says that the gateway has accepted
    it; what the leaf did then is in the door's ``last_result``. Without an answer within 5 s it is
    503, and nothing is kept: the gateway does not open the door later."""
    reason = wanted.reason if wanted else ""
    answer = await asking.open_door(centre, at, door[:200], reason, key or uuid4().hex)
    return asking.accepted(at, answer)


@router.post(
    "/api/v1/sites/{site}/calls/{call}/acknowledge",
    operation_id="acknowledge_site_call",
    summary="Answer a call at a site",
    status_code=202,
    responses=problems(404, 409, 503),
)
async def acknowledge(
    call: str,
    at: StaffAt,
    centre: TheCentre,
    key: Key = None,
    wanted: AcknowledgeRequest | None = None,
) -> Accepted:
    """Say who goes to the room: the sounder falls silent, the light stays. Without a name the call
    is only marked as seen. ``call`` is the id of a call or of its room. Nothing can end a call from
    here."""
    name = wanted.attends if wanted else ""
    answer = await asking.acknowledge_call(centre, at, call[:200], name, key or uuid4().hex)
    return asking.accepted(at, answer)


@router.post(
    "/api/v1/sites/{site}/alarms/{alarm:path}/acknowledge",
    operation_id="acknowledge_site_alarm",
    summary="Mark an alarm of a site as seen",
    status_code=202,
    responses=problems(404, 409, 503),
)
async def acknowledge_alarm(
    alarm: str, at: StaffAt, centre: TheCentre, key: Key = None
) -> Accepted:
    """Somebody has seen an alarm. ``alarm`` is its id: what it is about, a slash, its kind."""
    answer = await asking.acknowledge_alarm(centre, at, alarm[:200], key or uuid4().hex)
    return asking.accepted(at, answer)


@router.get(
    "/api/v1/live",
    operation_id="follow_live",
    summary="All sites as they change",
    response_class=Response,
    responses=problems(503)
    | {
        200: {
            "content": {"text/event-stream": {"example": "event: beat\ndata: {}\n\n"}},
            "description": "Events sites, beat",
        }
    },
)
async def live(
    request: Request,
    who: ViewAlways,
    site: TheCentre,
    view: Annotated[str, Query(pattern="^(json|page)$")] = "json",
) -> Response:
    """Every change of a site that whoever asks may see: ``sites`` first with all of them by their
    id, as in the list, then with those that changed (at most twice a second; ``null``: it is there
    no more), ``beat`` every 5 s.

    One log-in or token has 12 streams at most and one user 40 (429), all have 500 (503).

    ``view=page`` gives the pieces of the page instead of JSON."""
    language = language_of(request) if view == "page" else ""
    try:
        client = site.hub.join(Seeing(language, site.rights(who)), who)
    except TooMany as error:
        status = 503 if error.reason == "too_many_streams" else 429
        raise Problem(status, error.reason, Retry_After="5") from None
    if language:
        site.note_all_looks(who, site.presenter(language, who))
    return Stream(site.hub, client, None)
