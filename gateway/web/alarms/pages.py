"""Alarms: the list, and having seen one."""

from __future__ import annotations

from urllib.parse import urlsplit

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from gateway.core.facts import Json
from gateway.web.access import (
    AdminProved,
    Maintenance,
    Staff,
    StaffAlways,
    TheSite,
    ViewAlways,
)
from gateway.web.alarms.history import KINDS as LIFE_KINDS
from gateway.web.alarms.history import Life, lives
from gateway.web.building.control_client import Answer
from gateway.web.building.records import Unavailable
from gateway.web.identity.auth import form_of
from gateway.web.page import language_of, page
from gateway.web.shared.problems import Problem

router = APIRouter(include_in_schema=False)
LIFE_FACTS = 400
LIVES = 50
SHELF_H = {"0": 0, "1": 1, "8": 8, "24": 24}


@router.get("/alarms")
async def alarms(request: Request, who: ViewAlways, site: TheSite) -> Response:
    """The alarms that stand, and the lives of all of the last time."""
    presenter = site.presenter(language_of(request), who)
    shown: list[Life] = []
    readable = True
    try:
        rows = await site.records.before(None, LIFE_FACTS, kinds=LIFE_KINDS)
        shown = lives(reversed(rows), presenter)[:LIVES]
    except Unavailable:
        readable = False
    doubt = site.control.snapshot.get("clock_doubt") if site.control.snapshot else None
    told = {
        "lives": shown,
        "readable": readable,
        "zone": str(site.options.zone),
        "clock_time": presenter.w.moment(site.control.now_utc_ms, ms=False) if doubt else "",
    }
    return page(request, "alarms.html", told)


def _back(request: Request, answer: Answer) -> Response:
    """To the page the form stood on. Raises :class:`Problem` where it was refused."""
    if answer.unanswered:
        raise Problem(503, answer.reason)
    if not answer.done:
        raise Problem(409, answer.reason or "unknown")
    came_from = urlsplit(request.headers.get("referer", "")).path
    target = "/" if came_from == "/" else "/alarms"
    return RedirectResponse(target, 303, {"Cache-Control": "no-store"})


@router.post("/alarms/acknowledge")
async def acknowledge(request: Request, who: StaffAlways, site: TheSite) -> Response:
    form = await form_of(request)
    alarm = form.get("alarm", "")[:200]
    if not alarm:
        raise Problem(422, "malformed")
    return _back(request, await site.control.ask("acknowledge_alarm", {"alarm": alarm}, who))


@router.post("/alarms/reset")
async def reset(request: Request, who: Staff, site: TheSite) -> Response:
    """A latched alarm may go: somebody has looked, and it is dry."""
    form = await form_of(request)
    alarm = form.get("alarm", "")[:200]
    if not alarm:
        raise Problem(422, "malformed")
    return _back(request, await site.control.ask("reset_alarm", {"alarm": alarm}, who))


@router.post("/clock/confirm")
async def confirm_clock(request: Request, who: AdminProved, site: TheSite) -> Response:
    """An admin has compared the time with another clock."""
    return _back(request, await site.control.ask("confirm_clock", {}, who))


@router.post("/alarms/shelve")
async def shelve(request: Request, who: Maintenance, site: TheSite) -> Response:
    form = await form_of(request)
    alarm, hours = form.get("alarm", "")[:200], SHELF_H.get(form.get("for", ""))
    if not alarm or hours is None:
        raise Problem(422, "malformed")
    if hours:
        site.identity.need_fresh_proof(who)
    args: dict[str, Json] = {"alarm": alarm, "for_ms": hours * 3_600_000}
    return _back(request, await site.control.ask("shelve_alarm", args, who))
