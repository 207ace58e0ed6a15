"""Calls and rooms: having seen a call, and test mode. Nothing here can end a call."""

from __future__ import annotations

from urllib.parse import urlsplit

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from gateway.core.facts import Json
from gateway.web.access import Staff, StaffAlways, TheSite, ViewAlways
from gateway.web.building.control_client import Answer
from gateway.web.building.records import Unavailable
from gateway.web.identity.auth import form_of
from gateway.web.page import language_of, page
from gateway.web.rooms.timeline import timeline
from gateway.web.shared.problems import Problem

router = APIRouter(include_in_schema=False)
TEST_MIN = {"0": 0, "5": 5, "10": 10, "15": 15, "20": 20, "30": 30}
"""From now on, also where a test is prolonged; ``control`` knows how long it may last in all."""
PAGES = frozenset(
    {"/", "/alarms", "/events", "/history", "/points", "/maintenance", "/kept", "/account"}
)


def _back(request: Request, answer: Answer) -> Response:
    """To the page the form stood on. Raises :class:`Problem` where it was refused."""
    if answer.unanswered:
        raise Problem(503, answer.reason)
    if not answer.done:
        raise Problem(409, answer.reason or "unknown")
    came_from = urlsplit(request.headers.get("referer", "")).path
    target = came_from if came_from in PAGES else "/"
    return RedirectResponse(target, 303, {"Cache-Control": "no-store"})


@router.get("/timeline/{call}")
async def one_call(request: Request, call: str, who: ViewAlways, site: TheSite) -> Response:
    """What happened during a call, to be read and printed afterwards. Names are for staff."""
    presenter = site.presenter(language_of(request), who)
    line, problem = None, ""
    try:
        line = await timeline(site.records, presenter, call[:200])
    except Unavailable as error:
        since = presenter.w.clock(int(error.since * 1000), site.control.now_utc_ms, seconds=True)
        problem = presenter.w("event.unavailable", since=since)
    status = 200 if line is not None else 503 if problem else 404
    values = {"id": call[:200], "line": line, "problem": problem}
    return page(request, "call.html", values, status=status)


@router.post("/calls/acknowledge")
async def acknowledge(request: Request, who: StaffAlways, site: TheSite) -> Response:
    form = await form_of(request)
    call = form.get("call", "")[:200]
    if not call:
        raise Problem(422, "malformed")
    return _back(request, await site.control.ask("acknowledge_call", {"call": call}, who))


@router.post("/rooms/{room}/test")
async def test(request: Request, room: str, who: Staff, site: TheSite) -> Response:
    form = await form_of(request)
    minutes = TEST_MIN.get(form.get("for", ""))
    if minutes is None:
        raise Problem(422, "malformed")
    if minutes:  # a pull alarms nobody meanwhile; to end the test is always possible
        site.identity.need_fresh_proof(who)
    args: dict[str, Json] = {"room": room[:200], "for_ms": minutes * 60_000}
    return _back(request, await site.control.ask("test_room", args, who))
