"""The settings for people: one list that says what applies, and a page for each thing to change.

Every form changes one part of the overlay and works without a script; ``control`` judges.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from gateway.core.events import MODES
from gateway.web.access import Admin, AdminProved, TheSite
from gateway.web.identity.auth import form_of
from gateway.web.settings import rows, sheet
from gateway.web.settings.rows import Form
from gateway.web.settings.sentences import effects, is_date
from gateway.web.settings.sheet import Look, look
from gateway.web.settings.week import week
from gateway.web.shared.problems import Problem

router = APIRouter(include_in_schema=False)
PREVIEW, SAVE, ADD, REMOVE, REGION = "preview", "save", "add", "remove", "region"


@router.get("/settings")
async def settings(request: Request, who: Admin, site: TheSite) -> Response:
    seen = await look(request, site, who)
    today = seen.shown["preview"][0]["date"] if seen.shown["preview"] else ""
    contacts = seen.shown["effective"]["contacts"]
    return seen.page(
        "settings.html",
        {
            "exceptions": [one for one in _exceptions(seen) if one["last"] >= today],
            "tried": sum(
                any(way["delivered_utc_ms"] for way in _ways(seen, name)) for name in contacts
            ),
        },
    )


def _ways(seen: Look, contact: str) -> list[Any]:
    shown: Any = seen.site.control.snapshot or {}
    receivers: Any = shown.get("receivers") or {}
    return list((receivers.get(contact) or {}).get("ways", ()))


def _exceptions(seen: Look) -> list[dict[str, str]]:
    """Every exception of every door, the nearest first."""
    found = []
    for id, door in seen.shown["effective"]["doors"].items():
        notes = seen.shown.get("notes", {}).get(id, {})
        form = rows.weekly("", "exceptions", door["exceptions"], notes)
        for row in form.rows:
            if is_date(row["first"]):
                last = row["last"] if is_date(row["last"]) else row["first"]
                found.append({**row, "last": last, "door": door["name"]})
    return sorted(found, key=lambda one: (one["first"], one["from"]))


# --- the week of a door -------------------------------------------------------------------


@router.get("/settings/doors/{door}")
async def door(request: Request, who: Admin, site: TheSite, door: str) -> Response:
    seen = await look(request, site, who)
    return _door(seen, door, _week_form(seen, door))


def _week_form(seen: Look, door: str) -> Form:
    known = seen.shown["effective"]["doors"].get(door)
    if known is None:
        raise Problem(404, "not_found")
    return rows.weekly(f"doors.{door}.schedule", "schedule", known["schedule"])


def _door(seen: Look, door: str, form: Form, **more: Any) -> Response:
    known = seen.shown["effective"]["doors"][door]
    values = {
        "door": door,
        "name": known["name"],
        "form": form,
        "lines": week(form, str(known["mode"])),
        "summary": seen.text.week_lines(form, str(known["mode"])),
        "modes": MODES,
        "day_choices": rows.DAYS,
        "becomes": more.pop("becomes", None),
    }
    return seen.page("settings_door.html", values, **more)


@router.post("/settings/doors/{door}")
async def change_door(request: Request, who: AdminProved, site: TheSite, door: str) -> Response:
    fields = await form_of(request)
    seen = await look(request, site, who)
    _week_form(seen, door)
    form = rows.posted(fields, f"doors.{door}.schedule", "schedule")
    version = fields.get("version", "")
    if _edited(form, fields):
        return _door(seen, door, form, version=version)
    sections = seen.sections()
    try:
        sections.setdefault("doors", {}).setdefault(door, {})["schedule"] = rows.value(form)
    except rows.Twice:
        form.errors[-1] = [seen.text.w("settings.twice")]
        return _door(seen, door, form, note="settings.wrong", status=422, version=version)
    if fields.get("do") == PREVIEW:
        return await _tried(seen, who, sections, form, lambda **m: _door(seen, door, form, **m))
    answer = await sheet.put(site, who, version, sections)
    if answer["status"] == "accepted":
        return sheet.saved(answer, f"/settings/doors/{door}")
    note, status = seen.take(answer, form)
    return _door(seen, door, form, note=note, status=status, version=version)


def _edited(form: Form, fields: dict[str, str]) -> bool:
    """Whether a row was added or taken away, and nothing else is asked."""
    do, _, which = fields.get("do", "").partition(":")
    if do == ADD:
        form.more()
    elif do == REMOVE and which.isdecimal():
        del form.rows[int(which) : int(which) + 1]
    elif do not in (SAVE, PREVIEW):
        raise Problem(422, "malformed")
    else:
        return False
    return True


async def _tried(seen: Look, who: Admin, sections: Any, form: Form, show: Any) -> Response:
    """The same page with what would be different in the next days."""
    answer = await seen.site.control.settings("preview", {"sections": sections}, who)
    version = (await form_of(seen.request)).get("version", "")
    if answer["status"] != "accepted":
        note, status = seen.take(answer, form)
        found: Response = show(note=note, status=status, version=version)
        return found
    after = answer["settings"]["preview"]
    becomes = effects(seen.shown["preview"], after, seen.text) + _later(seen, form, after)
    shown: Response = show(note="settings.only_preview", becomes=becomes, version=version)
    return shown


def _later(seen: Look, form: Form, after: list[dict[str, Any]]) -> list[str]:
    """The new exceptions that begin after the days of the preview."""
    if form.kind != "exceptions":
        return []
    door = seen.shown["effective"]["doors"][form.part.split(".")[1]]
    last = after[-1]["date"] if after else ""
    return [
        seen.text.exception(row, door["name"], row.get("note", ""))
        for row in form.rows
        if is_date(row["first"]) and row["first"] > last and row["mode"]
        if door["exceptions"].get(rows.key_of(form.kind, row)) != row["mode"]
    ]


# --- public holidays and exceptions -------------------------------------------------------


@router.get("/settings/days")
async def days(request: Request, who: Admin, site: TheSite) -> Response:
    return _days(await look(request, site, who))


def _exception_forms(seen: Look) -> dict[str, Form]:
    made = {}
    for id, door in seen.shown["effective"]["doors"].items():
        notes = seen.shown.get("notes", {}).get(id, {})
        form = rows.weekly(f"doors.{id}.exceptions", "exceptions", door["exceptions"], notes)
        form.more()
        made[id] = form
    return made


def _days(seen: Look, edited: Form | None = None, **more: Any) -> Response:
    forms = _exception_forms(seen)
    if edited is not None:
        forms[edited.part.split(".")[1]] = edited
    doors = seen.shown["effective"]["doors"]
    said = {
        id: [
            seen.text.exception(row, doors[id]["name"], row.get("note", ""))
            for row in form.rows
            if is_date(row["first"]) and row["mode"]
        ]
        for id, form in forms.items()
    }
    values = {
        "forms": forms,
        "said": said,
        "modes": MODES,
        "edited": "" if edited is None else edited.part.split(".")[1],
        "becomes": more.pop("becomes", None),
    }
    return seen.page("settings_days.html", values, **more)


@router.post("/settings/days")
async def change_days(  # noqa: PLR0911 - one line for each way it can end
    request: Request, who: AdminProved, site: TheSite
) -> Response:
    fields = await form_of(request)
    seen = await look(request, site, who)
    version, sections = fields.get("version", ""), seen.sections()
    if fields.get("do") == REGION:
        sections.setdefault("gateway", {})["holidays"] = fields.get("region", "")
        answer = await sheet.put(site, who, version, sections)
        if answer["status"] == "accepted":
            return sheet.saved(answer, "/settings/days")
        note, status = seen.take(answer)
        return _days(seen, note=note, status=status, version=version)
    door = fields.get("door", "")
    known = seen.shown["effective"]["doors"].get(door)
    if known is None:
        raise Problem(422, "malformed")
    form = rows.posted(fields, f"doors.{door}.exceptions", "exceptions")
    if _edited(form, fields):
        return _days(seen, form, version=version)
    try:
        of_door = sections.setdefault("doors", {}).setdefault(door, {})
        of_door["exceptions"] = rows.value(form)
    except rows.Twice:
        form.errors[-1] = [seen.text.w("settings.twice")]
        return _days(seen, form, note="settings.wrong", status=422, version=version)
    if not known["schedule"]:  # what applies on all other days
        of_door["schedule"] = {"otherwise": known["mode"]}
    notes = sections.setdefault("notes", {})
    notes[door] = rows.notes(form)
    sections["notes"] = {name: said for name, said in notes.items() if said}
    if not sections["notes"]:
        del sections["notes"]
    if fields.get("do") == PREVIEW:
        return await _tried(seen, who, sections, form, lambda **m: _days(seen, form, **m))
    answer = await sheet.put(site, who, version, sections)
    if answer["status"] == "accepted":
        return sheet.saved(answer, "/settings/days")
    note, status = seen.take(answer, form)
    return _days(seen, form, note=note, status=status, version=version)


# --- earlier states -----------------------------------------------------------------------


@router.get("/settings/changes")
async def changes(request: Request, who: Admin, site: TheSite) -> Response:
    return (await look(request, site, who)).page("settings_changes.html")


@router.post("/settings/changes")
async def undo(request: Request, who: AdminProved, site: TheSite) -> Response:
    """Back to the version ``to``, as a new one."""
    fields = await form_of(request)
    seen = await look(request, site, who)
    args: dict[str, Any] = {"version": fields.get("version", "")}
    if fields.get("to"):
        args["to"] = fields["to"]
    judge = site.author(who, "admin", "fresh").judge
    answer = await site.control.settings("undo", args, who, judge)
    if answer["status"] == "accepted":
        return sheet.saved(answer, "/settings/changes")
    note, status = seen.take(answer)
    return seen.page("settings_changes.html", note=note, status=status)
