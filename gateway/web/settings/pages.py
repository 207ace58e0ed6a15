"""What an admin may change: schedules, exceptions, contacts, and who is told after whom.

Every form changes one part of the overlay and works without a script; ``control`` judges.
"""

from __future__ import annotations

import copy
import re
from datetime import date
from itertools import groupby
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from gateway.core.events import MODES
from gateway.web.access import Admin, AdminProved, TheSite
from gateway.web.house.house import BUSY, NO_ANSWER, NO_PANEL
from gateway.web.identity.auth import form_of
from gateway.web.page import language_of, page
from gateway.web.settings import refusals, rows
from gateway.web.settings.answers import RETRY_AFTER
from gateway.web.settings.rows import Form
from gateway.web.shared.problems import Problem
from gateway.web.site import Site

router = APIRouter(include_in_schema=False)
_PART = re.compile(
    r"doors\.[a-z0-9_-]+\.(schedule|exceptions)|contacts\.[a-z0-9_-]+\.(hours|channels)"
    r"|escalations\.[a-z0-9_-]+"
)
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
PREVIEW, SAVE, ADD, REMOVE, UNDO, DROP, NEW = (
    "preview", "save", "add", "remove", "undo", "drop", "new",
)  # fmt: skip


@router.get("/settings")
async def settings(request: Request, who: Admin, site: TheSite) -> Response:
    shown = await _show(request, site, who)
    return _page(request, shown)


async def _show(request: Request, site: Site, who: Admin) -> dict[str, Any]:
    answer = await site.house.settings("show", {}, who)
    if answer["status"] != "accepted":
        language = language_of(request)
        said = "; ".join(
            refusals.at(language, e["key"], refusals.text(language, e["parts"][0]))
            for e in answer.get("errors", ())
        )
        if answer["reason"] in (NO_PANEL, NO_ANSWER):
            said = site.words(language_of(request))("settings.away")
        raise Problem(503, str(answer["reason"]), said, Retry_After=RETRY_AFTER)
    shown: dict[str, Any] = answer["settings"]
    return shown


@router.post("/settings")
async def change(  # noqa: PLR0911 - one line for each way it can end
    request: Request, who: AdminProved, site: TheSite
) -> Response:
    """The field ``do`` says what; ``part``, of which form."""
    fields = await form_of(request)
    do, _, which = fields.get("do", "").partition(":")
    part, version = fields.get("part", ""), fields.get("version", "")
    judge = site.author(who, "admin", "fresh").judge
    if do == UNDO:
        to = {"to": which} if which else {}
        answer = await site.house.settings("undo", {"version": version, **to}, who, judge)
        return await _answered(request, site, who, answer, None, "settings.undone")
    shown = await _show(request, site, who)
    sections = copy.deepcopy(shown["overlay"])
    if do in (NEW, DROP):
        _whole(do, part, fields, sections, shown)
        answer = await site.house.settings(
            "put", {"version": version, "sections": sections}, who, judge
        )
        entered = _entered(part, fields) if do == NEW else None
        return await _answered(request, site, who, answer, None, "settings.saved", entered)
    if not _PART.fullmatch(part):
        raise Problem(422, "malformed")
    form = rows.posted(fields, part, _kind(part))
    if do == ADD or (do == REMOVE and which.isdecimal()):
        if do == ADD:
            form.more()
        else:
            del form.rows[int(which) : int(which) + 1]
        return _page(request, shown, form, version=version)
    try:
        _put(sections, part, rows.value(form))
        _cover(sections, part, shown["effective"])
    except rows.Twice:
        form.errors[-1] = [site.words(language_of(request))("settings.twice")]
        return _page(request, shown, form, note="settings.wrong", status=422, version=version)
    if do == PREVIEW:
        answer = await site.house.settings("preview", {"sections": sections}, who)
        if answer["status"] == "accepted":
            shown["preview"] = answer["settings"]["preview"]
            return _page(request, shown, form, note="settings.only_preview", version=version)
        return await _answered(request, site, who, answer, form, "")
    if do != SAVE:
        raise Problem(422, "malformed")
    answer = await site.house.settings(
        "put", {"version": version, "sections": sections}, who, judge
    )
    return await _answered(request, site, who, answer, form, "settings.saved")


def _entered(part: str, fields: dict[str, str]) -> dict[str, str]:
    """What was typed for a new contact or escalation, to be shown again where it is refused."""
    if part == "contacts":
        return {"contact": fields.get("name", ""), "secret": fields.get("secret", "")}
    return {"escalation": fields.get("name", ""), "notify": fields.get("notify", "")}


async def _answered(
    request: Request,
    site: Site,
    who: Admin,
    answer: dict[str, Any],
    form: Form | None,
    note: str,
    entered: dict[str, str] | None = None,
) -> Response:
    if answer["status"] == "accepted":
        return _page(request, answer["settings"], note=note, good=True)
    reason = str(answer["reason"])
    if reason in (BUSY, "limit"):
        raise Problem(503, reason, Retry_After=RETRY_AFTER)
    others: list[str] = []
    for error in answer.get("errors", ()):
        message, hint = (refusals.text(language_of(request), part) for part in error["parts"])
        said = f"{message}; {hint}" if hint else message
        at = None if form is None else rows.place(form, error["key"])
        if form is None or at is None:
            others.append(refusals.at(language_of(request), error["key"], said))
        else:
            form.errors.setdefault(at, []).append(said)
    shown = await _show(request, site, who)
    note = "settings.wrong" if reason == "settings_wrong" else f"problem.{reason}"
    status = 409 if reason in ("changed_meanwhile", "room_test") else 422
    return _page(request, shown, form, note=note, others=others, status=status, entered=entered)


def _kind(part: str) -> str:
    return "steps" if part.startswith("escalations.") else part.rpartition(".")[2]


def _put(sections: dict[str, Any], part: str, value: Any) -> None:
    *way, last = part.split(".")
    for key in way:
        sections = sections.setdefault(key, {})
    sections[last] = value


def _cover(sections: dict[str, Any], part: str, effective: dict[str, Any]) -> None:
    """Exceptions of a door without a week want to know what counts on all other days."""
    section, _, rest = part.partition(".")
    door, _, kind = rest.partition(".")
    known = effective["doors"].get(door)
    if section == "doors" and kind == "exceptions" and known and not known["schedule"]:
        sections["doors"][door]["schedule"] = {"otherwise": known["mode"]}


def _whole(
    do: str, part: str, fields: dict[str, str], sections: dict[str, Any], shown: dict[str, Any]
) -> None:
    """A new contact or escalation, or one that the page has added and takes away."""
    section, _, name = part.partition(".")
    if section not in ("contacts", "escalations"):
        raise Problem(422, "malformed")
    if do == DROP:
        if name in shown["in_file"][section] or name not in sections.get(section, {}):
            raise Problem(422, "malformed")
        del sections[section][name]
        return
    name = fields.get("name", "").strip()
    if not _NAME.fullmatch(name) or name in shown["effective"][section]:
        raise Problem(422, "bad_name")
    made: Any = [{"after": "0 s", "notify": fields.get("notify", "")}]
    if section == "contacts":
        made = {"channels": [{"secret": fields.get("secret", "").strip()}]}
    sections.setdefault(section, {})[name] = made


def _forms(shown: dict[str, Any], edited: Form | None) -> dict[str, Form]:
    effective, made = shown["effective"], []
    for door, one in effective["doors"].items():
        for kind in ("schedule", "exceptions"):
            made.append(rows.weekly(f"doors.{door}.{kind}", kind, one[kind]))
    for name, one in effective["contacts"].items():
        made.append(rows.hours(f"contacts.{name}.hours", one.get("hours")))
        made.append(rows.channels(f"contacts.{name}.channels", one.get("channels")))
    for name, given in effective["escalations"].items():
        made.append(rows.steps(f"escalations.{name}", given))
    for form in made:
        form.more()
    return {form.part: form for form in made} | ({edited.part: edited} if edited else {})


def _alike(days: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Days that follow each other and are the same as one, with its ``last`` date."""

    def without_date(day: dict[str, Any]) -> dict[str, Any]:
        return {name: told for name, told in day.items() if name != "date"}

    runs = [list(run) for _, run in groupby(days, without_date)]
    return [{**run[0], "last": run[-1]["date"]} for run in runs]


def _later(shown: dict[str, Any], forms: dict[str, Form]) -> list[dict[str, str]]:
    """The exceptions after the last day of the preview, in order."""
    last = max((day["date"] for day in shown["preview"]), default="")
    found = [
        {**row, "last": row["last"] or row["first"], "door": door["name"]}
        for id, door in shown["effective"]["doors"].items()
        for row in forms[f"doors.{id}.exceptions"].rows
        if _is_date(row["first"]) and max(row["first"], row["last"]) > last
        if not row["last"] or _is_date(row["last"])
    ]
    return sorted(found, key=lambda row: (row["first"], row["from"], row["door"]))


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _address(request: Request, one: dict[str, Any]) -> str:
    """Of a contact that no message can go to: who, why, and the remedy."""
    contact = one["key"].split(".")[1]
    message, hint = (refusals.text(language_of(request), part) for part in one["parts"])
    return f"{contact}: {message}; {hint}"


def _page(
    request: Request,
    shown: dict[str, Any],
    edited: Form | None = None,
    *,
    note: str = "",
    good: bool = False,
    others: list[str] | None = None,
    status: int = 200,
    version: str = "",
    entered: dict[str, str] | None = None,
) -> Response:
    """``edited``: the form that was sent, as it was sent. ``version``: what it is based on.
    ``entered``: what was typed for a new contact or escalation that was refused."""
    forms = _forms(shown, edited)
    return page(
        request,
        "settings.html",
        {
            "shown": shown,
            "days": _alike(shown["preview"]),
            "later": _later(shown, forms),
            "forms": forms,
            "edited": edited.part if edited else "",
            "version": version or shown["version"],
            "modes": MODES,
            "day_choices": rows.DAYS,
            "units": rows.UNITS,
            "note": note,
            "good": good,
            "others": others or [],
            "entered": {"contact": "", "secret": "", "escalation": "", "notify": ""}
            | (entered or {}),
            "addresses": [_address(request, one) for one in shown.get("addresses", ())],
        },
        status=status,
    )  # fmt: skip
