"""The overview, and what can be done there: open a door in two taps, set a mode."""

from __future__ import annotations

import re
from datetime import date, datetime, time
from uuid import uuid4

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from gateway.core.facts import Json
from gateway.web.access import StaffAlwaysProved, StaffProved, TheSite, ViewAlways
from gateway.web.account import tour
from gateway.web.building.control_client import Answer
from gateway.web.doors.opening import open_door
from gateway.web.identity.accounts import Who
from gateway.web.identity.auth import form_of
from gateway.web.inspection.view import overdue_line
from gateway.web.inspection.walk import due
from gateway.web.page import language_of, page
from gateway.web.presenter.view_models import DoorView
from gateway.web.shared.models import LAST_YEAR
from gateway.web.shared.problems import Problem
from gateway.web.shared.words import LANGUAGES
from gateway.web.site import Site
from gateway.wire import calendar_time, utc_ms_of

router = APIRouter(include_in_schema=False)
SAID_FOR_S = 60
PENDING_AGAIN_S, OPEN_AGAIN_S = 2, 5
HOURS = {"1h": 1, "2h": 2, "4h": 4, "8h": 8}
UNTIL = "until:"
"""Before the civil ms of the schedule's next change, as the form offers it."""
CIVIL_MS = re.compile(r"[0-9]{1,15}")
ENTERED_LONGEST = 40


@router.get("/")
async def overview(
    request: Request, who: ViewAlways, site: TheSite, armed: str = "", said: str = ""
) -> Response:
    """``armed`` and ``said`` are notes that we signed ourselves, for pages without JavaScript."""
    arm, note = site.signer.read(armed), site.signer.read(said)
    await site.today.look()
    if arm.get("who") != who.actor:
        arm = {}
    presenter = site.presenter(language_of(request), who)
    asked = presenter.door(note.get("door", "")) if note.get("command") else None
    answer = asked.answer_to(note, presenter.w) if asked is not None else ""
    return page(
        request,
        "status.html",
        {
            "arm": armed if arm else "",
            "armed_door": arm.get("door", ""),
            "armed_reason": arm.get("reason", ""),
            "note": note,
            "wanted": {
                name: note.get(name, "") for name in ("door", "mode", "until", "day", "wrong")
            },
            "said": said,
            "overdue": overdue_line(presenter, due(site)) if who.may("staff") else "",
            "again_s": _again_s(asked, note) if asked is not None and answer else 0,
            "first": site.identity.has_first_password(who),
            "tour": None if site.identity.has_first_password(who) else tour.step(site, who),
            "factor_missing": _lacks_factor(site, who),
            "climates": site.options.terminals.climates,
            "door_points": {
                door.id: site.options.terminals.of(door.name) for door in presenter.doors
            },
        },
    )


@router.get("/more")
async def more(request: Request, who: ViewAlways) -> Response:
    """All places of the navigation, for the phone, and how the page looks."""
    return page(request, "more.html")


def _lacks_factor(site: Site, who: Who) -> bool:
    """Whether somebody may open doors once they have set up a second factor, and has none."""
    wanted = site.identity.second_factor == "doors" and who.may("staff")
    return wanted and who.user_id is not None and not site.users.has_factor(who.user_id)


def _again_s(door: DoorView, note: dict[str, str]) -> int:
    """Without a script the page is asked for again while its answer may soon be another one, at
    most for :data:`SAID_FOR_S`; 0: it is final."""
    if note["command"] == door.command and door.settled:
        return OPEN_AGAIN_S if door.result == "opened" else 0
    return OPEN_AGAIN_S if note.get("text") == "outcome.extended" else PENDING_AGAIN_S


def back(site: Site, door: str, **note: str) -> Response:
    """To the overview, which then says what became of it."""
    said = site.signer.sign(SAID_FOR_S, door=door, **note)
    return RedirectResponse(f"/?said={said}#door-{door}", 303, {"Cache-Control": "no-store"})


@router.post("/doors/{door}/open")
async def open_(request: Request, door: str, who: StaffAlwaysProved, site: TheSite) -> Response:
    """The first tap arms, the second opens. The armed note is also the idempotency key."""
    form = await form_of(request)
    if site.control.door(door) is None:
        raise Problem(404, "unknown_door")
    reason = form.get("reason", "").strip()[:200]
    armed = form.get("arm", "")
    note = site.signer.read(armed)
    if note.get("door") != door or note.get("who") != who.actor:
        if armed:
            return back(site, door, text="door.armed_timeout", now=_now(site, door))
        arm = site.signer.sign(
            who.armed_s, door=door, who=who.actor, reason=reason, once=uuid4().hex
        )
        return RedirectResponse(f"/?armed={arm}#open-{door}", 303, {"Cache-Control": "no-store"})
    reason = reason or note.get("reason", "")
    try:
        answer = await open_door(site, who, door, reason, note["once"])
    except Problem as problem:
        if problem.status != 429:
            raise
        return back(site, door, text="door.limited", now=_now(site, door))
    return back(site, door, command=answer.command, text=_text_of(answer), now=_now(site, door))


def _now(site: Site, door: str) -> str:
    """What the door does now: an answer is shown as long as this is the same."""
    found = site.presenter(LANGUAGES[0], None).door(door)
    return "" if found is None else found.now


def _text_of(answer: Answer) -> str:
    """The key of the sentence that answers a command."""
    if answer.status == "extended":
        return "outcome.extended"
    if answer.done:
        return "result.pending"
    return f"reason.{answer.reason or 'unknown'}"


@router.post("/doors/{door}/mode")
async def mode(request: Request, door: str, who: StaffProved, site: TheSite) -> Response:
    form = await form_of(request)
    wrong = "door.mode_no_time" if form.get("day") and not form.get("until") else ""
    args = {} if wrong else mode_args(door, form, site)
    until = args.get("until_utc_ms")
    if isinstance(until, int) and until <= site.control.now_utc_ms:
        wrong = "door.mode_past"
    if wrong:  # with all that was entered
        entered = {name: form.get(name, "")[:ENTERED_LONGEST] for name in ("mode", "until", "day")}
        return back(site, door, wrong=wrong, **entered)
    answer = await site.control.ask("set_mode", args, who)
    if answer.done and answer.reason:
        return back(site, door, text="door.mode_waits", why=f"reason.{answer.reason}")
    return back(site, door, text="door.mode_done" if answer.done else _text_of(answer))


def mode_args(door: str, form: dict[str, str], site: Site) -> dict[str, Json]:
    """The fields of the form as the command's arguments. Raises :class:`Problem` 422."""
    args: dict[str, Json] = {"door": door, "mode": form.get("mode", "")}
    span = form.get("for", "")
    if form.get("until", ""):
        args["until_utc_ms"] = _until(form, site)
    elif hours := HOURS.get(span):
        args["for_ms"] = hours * 3_600_000
    elif span.startswith(UNTIL):
        if not CIVIL_MS.fullmatch(end := span.removeprefix(UNTIL)):
            raise Problem(422, "malformed")
        args["until_utc_ms"] = int(end)
    if args["mode"] not in ("automatic", "exit_only", "hold_open", "night", "off", "schedule"):
        raise Problem(422, "malformed")
    return args


def _until(form: dict[str, str], site: Site) -> int:
    """The end that was entered, in civil ms: a time of day, today where no day is given; or both in
    one, as forms of earlier versions have it. Raises :class:`Problem` 422."""
    until, day, zone = form["until"], form.get("day", ""), site.options.zone
    try:
        if "-" in until:
            moment = datetime.fromisoformat(until)
        else:
            today = calendar_time(site.control.now_utc_ms, zone).date()
            on = date.fromisoformat(day) if day else today
            moment = datetime.combine(on, time.fromisoformat(until))
    except ValueError:
        raise Problem(422, "malformed") from None
    if moment.year > LAST_YEAR:
        raise Problem(422, "malformed")
    return utc_ms_of(moment, zone)
