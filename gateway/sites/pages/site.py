"""The page of one site: as its gateway shows it, with what the centre may do there."""

from __future__ import annotations

from urllib.parse import quote, urlsplit
from uuid import uuid4

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from gateway.core.events import ATTENDS_MOST
from gateway.sites import asking
from gateway.sites.access import At, StaffAt, StaffAtProved, TheCentre, ViewAt
from gateway.sites.page_site import CentreSite
from gateway.sites.pages.parts import site_parts
from gateway.web.building.control_client import Answer
from gateway.web.identity.auth import form_of
from gateway.web.page import page
from gateway.web.shared.problems import Problem

router = APIRouter(include_in_schema=False)
SAID_FOR_S = 60
PENDING_AGAIN_S = 2
NOTHING = {"staff": False, "maintenance": False, "admin": False, "view": True}


@router.get("/sites/{site}")
async def one_site(
    request: Request, at: ViewAt, centre: TheCentre, armed: str = "", said: str = ""
) -> Response:
    """``armed`` and ``said`` are notes that we signed ourselves, for pages without JavaScript."""
    at.note_looks(centre)
    arm, note = centre.signer.read(armed), centre.signer.read(said)
    if arm.get("who") != at.who.actor or arm.get("site") != at.seen.id:
        arm = {}
    shown = at.presenter
    asked = shown.door(note.get("door", "")) if note.get("command") else None
    waits = asked is not None and note.get("command") != asked.command
    return page(
        request,
        "sites/site.html",
        {
            "site": shown,
            "seen": at.seen,
            "may": NOTHING,
            "may_here": {"staff": shown.may("staff"), "maintenance": False, "admin": False},
            "arm": armed if arm else "",
            "armed_door": arm.get("door", ""),
            "armed_reason": arm.get("reason", ""),
            "note": note,
            "call_note": note,
            "said": said,
            "again_s": PENDING_AGAIN_S if waits else 0,
        },
    )


@router.get("/sites/{site}/parts")
async def parts(at: ViewAt, centre: TheCentre) -> Response:
    """The pieces of the page, for its script: asked for when the stream says that the site has
    changed."""
    at.note_looks(centre)
    return JSONResponse(site_parts(at.presenter))


def _to(address: str, centre: CentreSite, anchor: str = "", **note: str) -> Response:
    said = centre.signer.sign(SAID_FOR_S, **note)
    target = f"{address}?said={said}{anchor}"
    return RedirectResponse(target, 303, {"Cache-Control": "no-store"})


@router.post("/sites/{site}/doors/{door}/open")
async def open_(request: Request, door: str, at: StaffAtProved, centre: TheCentre) -> Response:
    """The first tap arms, the second opens. The armed note is also the idempotency key."""
    form = await form_of(request)
    view, base = at.presenter.door(door), at.presenter.base
    if view is None:
        raise Problem(404, "unknown_door")
    reason = form.get("reason", "").strip()[: asking.REASON_MOST]
    armed, anchor = form.get("arm", ""), f"#door-{quote(door, safe='')}"
    note = centre.signer.read(armed)
    mine = (note.get("site"), note.get("door"), note.get("who"))
    if mine != (at.seen.id, door, at.who.actor):
        if armed:
            return _to(base, centre, anchor, door=door, text="door.armed_timeout", now=view.now)
        arm = centre.signer.sign(
            at.who.armed_s,
            site=at.seen.id,
            door=door,
            who=at.who.actor,
            reason=reason,
            once=uuid4().hex,
        )
        return RedirectResponse(f"{base}?armed={arm}{anchor}", 303, {"Cache-Control": "no-store"})
    reason = reason or note.get("reason", "")
    try:
        answer = await asking.open_door(centre, at, door, reason, note["once"])
    except Problem as problem:
        if problem.status != 429:
            raise
        return _to(base, centre, anchor, door=door, text="door.limited", now=view.now)
    if answer.done:
        text = "outcome.extended" if answer.status == "extended" else "result.pending"
        said = {"text": text, "command": answer.command}
    else:
        said = {"plain": at.presenter.reason(answer.reason or "unknown")}
    return _to(base, centre, anchor, door=door, now=view.now, **said)


@router.post("/sites/{site}/calls/acknowledge")
async def acknowledge(request: Request, at: StaffAt, centre: TheCentre) -> Response:
    """``attends``: who goes. ``do`` is ``seen`` where nobody does yet."""
    form = await form_of(request)
    call, seen = form.get("call", "")[:200], form.get("do") == "seen"
    if not call:
        raise Problem(422, "malformed")
    attends = "" if seen else " ".join(form.get("attends", "").split())
    back = _came_from(request, at)
    if not attends and not seen:
        return _said(back, centre, at, "sites.attends_missing", call=call)
    if len(attends) > ATTENDS_MOST:
        return _said(back, centre, at, "sites.attends_long", call=call)
    answer = await asking.acknowledge_call(centre, at, call, attends, uuid4().hex)
    if not answer.done:
        return _refused(back, centre, at, answer, call=call, attends=attends[:100])
    if answer.status == "merged":  # somebody was first, and the gateway has changed nothing
        key = "sites.seen_already" if seen else "sites.goes_already"
    else:
        key = "sites.marked_seen" if seen else "sites.goes"
    text = at.presenter.w(key, who=attends, place=at.presenter.place)
    return _to(back, centre, mood="" if answer.status == "merged" else "good", plain=text)


@router.post("/sites/{site}/alarms/acknowledge")
async def acknowledge_alarm(request: Request, at: StaffAt, centre: TheCentre) -> Response:
    form = await form_of(request)
    alarm, back = form.get("alarm", "")[:200], _came_from(request, at)
    if not alarm:
        raise Problem(422, "malformed")
    answer = await asking.acknowledge_alarm(centre, at, alarm, uuid4().hex)
    if not answer.done:
        return _refused(back, centre, at, answer)
    return _to(back, centre, mood="good", plain=at.presenter.w("sites.alarm_seen"))


def _said(back: str, centre: CentreSite, at: At, key: str, **note: str) -> Response:
    return _to(back, centre, "#calls", mood="bad", plain=at.presenter.w(key), **note)


def _refused(back: str, centre: CentreSite, at: At, answer: Answer, **note: str) -> Response:
    shown = at.presenter
    text = shown.w(
        "sites.refused", place=shown.place, reason=shown.reason(answer.reason or "unknown")
    )
    return _to(back, centre, "#calls" if note else "", mood="bad", plain=text, **note)


def _came_from(request: Request, at: At) -> str:
    """The page whose form it was: that of the site, the alarms, or the overview."""
    path = urlsplit(request.headers.get("referer", "")).path
    return path if path in (at.presenter.base, "/alarms") else "/"
