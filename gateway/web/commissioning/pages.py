"""Commissioning: every terminal live, testing a relay, and service mode of a door."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from gateway.core.facts import Json
from gateway.web.access import Maintenance, MaintenanceProved, TheSite, View
from gateway.web.identity.auth import form_of
from gateway.web.overview.pages import HOURS, back
from gateway.web.page import language_of, page
from gateway.web.presenter.view_models import PointView
from gateway.web.shared.problems import Problem
from gateway.web.site import Site

router = APIRouter(include_in_schema=False)
TEST_MS = 1000
SAID_FOR_S = 60


@router.get("/points")
async def points(request: Request, who: View, site: TheSite, said: str = "") -> Response:
    """Raw and settled level of every terminal, live."""
    note = site.signer.read(said)
    words = site.words(language_of(request))
    return page(
        request,
        "points.html",
        {
            "note": words.get(note.get("text", "")),
            "mood": note.get("mood", ""),
        },
    )


def _relay(request: Request, site: Site, id: str) -> PointView:
    presenter = site.presenter(language_of(request), None)
    for point in presenter.points:
        if point.id == id and point.kind == "relay":
            return point
    raise Problem(404, "unknown_point")


@router.get("/points/test")
async def ask(request: Request, who: Maintenance, site: TheSite, point: str = "") -> Response:
    """The question before something really moves."""
    return page(request, "test.html", {"point": _relay(request, site, point)})


@router.post("/points/test")
async def try_relay(request: Request, who: MaintenanceProved, site: TheSite) -> Response:
    """Switch one relay on for a second."""
    form = await form_of(request)
    point = _relay(request, site, form.get("point", ""))
    args: dict[str, Json] = {"point": point.id, "for_ms": TEST_MS}
    answer = await site.control.ask("test_relay", args, who)
    text = "points.tested" if answer.done else f"reason.{answer.reason or 'unknown'}"
    said = site.signer.sign(SAID_FOR_S, text=text, mood="good" if answer.done else "bad")
    return RedirectResponse(f"/points?said={said}", 303, {"Cache-Control": "no-store"})


@router.post("/doors/{door}/service")
async def service(request: Request, door: str, who: Maintenance, site: TheSite) -> Response:
    """Begin or end service mode: the door's fault alarms are muted meanwhile."""
    form = await form_of(request)
    if site.control.door(door) is None:
        raise Problem(404, "unknown_door")
    hours = HOURS.get(form.get("for", ""))
    starts = form.get("do") == "start"
    if form.get("do") not in ("start", "end") or (starts and hours is None):
        raise Problem(422, "malformed")
    if starts:
        site.identity.need_fresh_proof(who)
    args: dict[str, Json] = {"door": door, "for_ms": (hours or 0) * 3_600_000 if starts else 0}
    answer = await site.control.ask("set_service", args, who)
    done = "door.service_begun" if starts else "door.service_over"
    return back(site, door, text=done if answer.done else f"reason.{answer.reason or 'unknown'}")
