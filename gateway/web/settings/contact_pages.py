"""Who can be told, by which ways, whether the last message by each arrived, and who is told after
whom."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from gateway.settings.values.recipients import PUSH
from gateway.web.access import Admin, AdminProved, TheSite
from gateway.web.identity.accounts import ROLES
from gateway.web.identity.auth import form_of
from gateway.web.settings import rows, sheet
from gateway.web.settings.rows import Form
from gateway.web.settings.sheet import Look, look
from gateway.web.settings.week import slug
from gateway.web.shared.problems import Problem
from gateway.web.site import Site

router = APIRouter(include_in_schema=False)
NEW = "new"
ADD, REMOVE, SAVE, TEST, DROP = "add", "remove", "save", "test", "drop"
TEST_WITHIN_S = 20.0
"""How long the page waits for what becomes of a test message: a delivery is given up after 10 s,
and ``control`` may just take over what was saved."""
AGAIN_S = 2.0
NAME_LONGEST = 60
SEVERITIES = ("urgent", "fault", "notice")
"""Of alarms that a chain can be for; an emergency is a call and goes the way of its room."""


@dataclass(frozen=True, slots=True)
class WayText:
    """One address of a contact. ``state``: good, bad or none (not tried); ``reference``: how the
    form names it; ``whom``: of push messages, a role or the name of a user."""

    kind: str
    shown: str
    state: str
    said: str
    last: str
    reference: str
    whom: str = ""


@dataclass(frozen=True, slots=True)
class PushChoice:
    """A role or a user, and how many of their devices are registered."""

    whom: str
    text: str


def ways(seen: Look, contact: str) -> list[WayText]:
    """The addresses of a contact, each with what became of the newest message by it."""
    snapshot: Any = seen.site.control.snapshot or {}
    results = ((snapshot.get("receivers") or {}).get(contact) or {}).get("ways", ())
    found = []
    for number, way in enumerate(seen.shown["ways"].get(contact, ())):
        result = results[number] if number < len(results) else None
        reference = f"address:{way['address']}" if way["address"] else f"secret:{way['shown']}"
        shown, whom = way["shown"], ""
        state, said, last = _result(seen, result)
        if way["kind"] == PUSH:
            whom, reference = shown, ""
            shown = _with_devices(seen, whom)
        if not way["kind"]:
            state, said = "bad", seen.text.w("settings.address_gone")
        found.append(WayText(way["kind"], shown, state, said, last, reference, whom))
    return found


def _with_devices(seen: Look, whom: str) -> str:
    """Whose devices get push messages, and how many are registered now."""
    w = seen.text.w
    count = sum(one.is_for(whom) for one in seen.site.users.devices.all())
    return f"{seen.text.whom(whom)} ({w.plural('settings.devices', count)})"


def push_choices(seen: Look) -> tuple[list[PushChoice], list[PushChoice]]:
    """Roles and users whose devices can be named."""
    roles = [PushChoice(one, _with_devices(seen, one)) for one in ROLES]
    users = sorted(one.name for one in seen.site.users.list_users() if one.name not in ROLES)
    return roles, [PushChoice(one, _with_devices(seen, one)) for one in users]


def _result(seen: Look, result: Any) -> tuple[str, str, str]:
    """State, sentence, and when a message last went by this way, where that is not the newest."""
    w, control = seen.text.w, seen.site.control
    if result is None or (result["ok"] is None and not result["under_way"]):
        return "none", w("settings.way_untried"), ""
    if result["under_way"]:
        return "none", w("settings.way_under_way"), ""
    at = result["at_utc_ms"]
    when = w.clock(at, control.now_utc_ms) if at is not None else ""
    if result["ok"]:
        key = "settings.way_confirmed" if result["confirmed"] else "settings.way_handed_over"
        return "good", w(key, when=when).strip(), ""
    reason, _, detail = str(result["reason"]).partition(" ")
    why = w.get(f"message_reason.{reason.rstrip(':')}", reason, detail=detail)
    delivered = result["delivered_utc_ms"]
    last = (
        w("settings.way_never")
        if delivered is None
        else w("settings.way_last", when=w.clock(delivered, control.now_utc_ms))
    )
    return "bad", w("settings.way_failed", when=when, why=why), last


# --- contacts -----------------------------------------------------------------------------


@router.get("/settings/contacts")
async def contacts(request: Request, who: Admin, site: TheSite) -> Response:
    seen = await look(request, site, who)
    known = seen.shown["effective"]["contacts"]
    return seen.page("settings_contacts.html", {"ways": {name: ways(seen, name) for name in known}})


@router.get("/settings/contacts/{contact}")
async def contact(request: Request, who: Admin, site: TheSite, contact: str) -> Response:
    seen = await look(request, site, who)
    return _contact(seen, contact, _hours_form(seen, contact))


def _hours_form(seen: Look, contact: str) -> Form:
    known = seen.shown["effective"]["contacts"].get(contact)
    if known is None and contact != NEW:
        raise Problem(404, "not_found")
    return rows.hours(f"contacts.{contact}.hours", (known or {}).get("hours"))


def _contact(
    seen: Look,
    contact: str,
    form: Form,
    entered: dict[str, str] | None = None,
    wrong: str = "",
    **more: Any,
) -> Response:
    known = seen.shown["effective"]["contacts"].get(contact) or {}
    kinds = seen.shown.get("kinds", [])
    roles, users = push_choices(seen)
    values = {
        "contact": contact,
        "is_new": contact == NEW,
        "in_file": contact in seen.shown["in_file"]["contacts"],
        "name": (entered or {}).get(
            "name", known.get("name") or ("" if contact == NEW else contact)
        ),
        "entered": entered or {"kind": kinds[0] if kinds else "", "to": ""},
        "wrong": wrong,
        "kinds": kinds,
        "ways": ways(seen, contact),
        "push": (entered or {}).get("push", known.get("push") or ""),
        "push_roles": roles,
        "push_users": users,
        "form": form,
        "day_choices": rows.DAYS,
        "used": [
            (name, chain_title(seen, name))
            for name, steps in seen.shown["effective"]["escalations"].items()
            if any(step.get("notify") == contact for step in steps or ())
        ],
        "tested": seen.request.query_params.get("tested", ""),
    }
    return seen.page("settings_contact.html", values, **more)


@router.post("/settings/contacts/{contact}")
async def change_contact(
    request: Request, who: AdminProved, site: TheSite, contact: str
) -> Response:
    fields = await form_of(request)
    seen = await look(request, site, who)
    form = _hours_form(seen, contact)
    do, _, which = fields.get("do", "").partition(":")
    if do == TEST and contact != NEW:
        outcome = await send_test(site, who, contact)
        address = f"/settings/contacts/{contact}?tested={outcome}#ways"
        return RedirectResponse(address, 303, {"Cache-Control": "no-store"})
    if do == DROP and contact != NEW:
        return await _drop(seen, who, contact, fields)
    form = rows.posted(fields, f"contacts.{contact}.hours", "hours")
    entered = {name: fields.get(name, "").strip() for name in ("name", "kind", "to")}
    if "push" in fields:
        entered["push"] = fields["push"].strip()
    version = fields.get("version", "")
    if do in (ADD, REMOVE):
        if do == ADD:
            form.more()
        elif which.isdecimal():
            del form.rows[int(which) : int(which) + 1]
        return _contact(seen, contact, form, entered, version=version)
    if do != SAVE:
        raise Problem(422, "malformed")
    return await _save(seen, who, contact, form, entered, fields)


async def _save(
    seen: Look,
    who: Admin,
    contact: str,
    form: Form,
    entered: dict[str, str],
    fields: dict[str, str],
) -> Response:
    sections, version = seen.sections(), fields.get("version", "")
    taken = seen.shown["effective"]["contacts"]
    id = slug(entered["name"], {*taken, NEW}) if contact == NEW else contact
    if contact == NEW and not entered["name"]:
        seen.others.append(seen.text.w("settings.name_missing"))
        return _contact(seen, contact, form, entered, note="settings.wrong", status=422)
    if entered["name"] in {seen.text.contact(one) for one in taken if one != contact}:
        seen.others.append(seen.text.w("settings.name_taken"))
        return _contact(seen, contact, form, entered, note="settings.wrong", status=422)
    made = sections.setdefault("contacts", {}).setdefault(id, {})
    before = taken.get(id) or {}
    if entered["name"][:NAME_LONGEST] != (before.get("name") or id):
        made["name"] = entered["name"][:NAME_LONGEST]
    hours = rows.value(form)
    if hours != rows.value(rows.hours("", before.get("hours"))):
        made["hours"] = hours
    channels = _channels(seen, contact, fields)
    more: dict[str, Any] = {}
    if entered["to"]:
        channels.append({"address": NEW})
        more["addresses"] = {NEW: {"kind": entered["kind"], "to": entered["to"]}}
    if channels != (before.get("channels") or []):
        made["channels"] = channels
    _push(seen, contact, made, entered.get("push"))
    if not made:
        del sections["contacts"][id]
    answer = await sheet.put(seen.site, who, version, sections, **more)
    if answer["status"] == "accepted":
        return sheet.saved(answer, f"/settings/contacts/{id}")
    own = [one for one in answer.get("errors", ()) if one["key"].startswith("addresses")]
    form.part = f"contacts.{id}.hours"
    note, status = seen.take(answer, form)
    wrong = ""
    if own and seen.others:
        wrong, seen.others = " ".join(seen.others), []
    return _contact(seen, contact, form, entered, wrong, note=note, status=status, version=version)


def _push(seen: Look, contact: str, made: dict[str, Any], whom: str | None) -> None:
    """Whose devices get push messages; a form without the field changes nothing."""
    before = (seen.shown["effective"]["contacts"].get(contact) or {}).get("push") or ""
    if whom is None or whom == before:
        return
    if whom and whom not in {one.whom for of in push_choices(seen) for one in of}:
        raise Problem(422, "malformed")
    made["push"] = whom
    if not whom and contact not in seen.shown["in_file"]["contacts"]:
        del made["push"]


def _channels(seen: Look, contact: str, fields: dict[str, str]) -> list[dict[str, str]]:
    """The addresses that stay, in their order: a box beside each takes it away."""
    found = []
    for number, way in enumerate(ways(seen, contact)):
        if way.reference and f"remove_way.{number}" not in fields:
            kind, _, name = way.reference.partition(":")
            found.append({kind: name})
    return found


async def _drop(seen: Look, who: Admin, contact: str, fields: dict[str, str]) -> Response:
    """Remove a contact that the page has added, with its addresses."""
    sections, version = seen.sections(), fields.get("version", "")
    in_file = contact in seen.shown["in_file"]["contacts"]
    if in_file or contact not in sections.get("contacts", {}):
        raise Problem(422, "malformed")
    del sections["contacts"][contact]
    more = {"forget": contact} if "forget" in fields else {}
    answer = await sheet.put(seen.site, who, version, sections, **more)
    if answer["status"] == "accepted":
        return sheet.saved(answer, "/settings/contacts")
    note, status = seen.take(answer)
    return _contact(seen, contact, _hours_form(seen, contact), note=note, status=status)


async def send_test(site: Site, who: Admin, contact: str) -> str:
    """Send a test message over every way of a contact, and wait for what becomes of it: a key of
    what to say. Where ``notify`` just starts again with what was saved, it is tried once more."""
    control, loop = site.control, asyncio.get_running_loop()
    until = loop.time() + TEST_WITHIN_S
    site.author(who, "admin", "fresh").judge()
    while (left_s := until - loop.time()) > 0:
        if not control.connected or control.taking_over:
            await control.change(left_s)
            continue
        before = _results(site, contact)
        answer = await control.ask("test_message", {"receiver": contact}, who, id=uuid4().hex)
        if not answer.done and not answer.unanswered:
            return answer.reason
        while (left_s := until - loop.time()) > 0 and _under_way(site, contact):
            await control.change(left_s)
        if answer.done and _results(site, contact) != before:
            return "done"
        await control.change(min(AGAIN_S, left_s))
    return "not_yet"


def _results(site: Site, contact: str) -> list[Any]:
    shown: Any = site.control.snapshot or {}
    known = ((shown.get("receivers") or {}).get(contact) or {}).get("ways", ())
    return [(way["ok"], way["reason"], way["at_utc_ms"]) for way in known]


def _under_way(site: Site, contact: str) -> bool:
    shown: Any = site.control.snapshot or {}
    known = ((shown.get("receivers") or {}).get(contact) or {}).get("ways", ())
    return any(way["under_way"] for way in known)


# --- chains -------------------------------------------------------------------------------


@router.get("/settings/chains")
async def chains(request: Request, who: Admin, site: TheSite) -> Response:
    seen = await look(request, site, who)
    known = seen.shown["effective"]["escalations"]
    return seen.page("settings_chains.html", {"used": {name: uses(seen, name) for name in known}})


def chain_title(seen: Look, chain: str) -> str:
    """What people know a chain by: what it is for. Its id where it is for nothing."""
    return ", ".join(uses(seen, chain)) or seen.text.w("settings.chain_called", name=chain)


def uses(seen: Look, chain: str) -> list[str]:
    """What a chain is for, in words."""
    effective, w = seen.shown["effective"], seen.text.w
    found = [
        w("settings.calls_of", room=room["name"])
        for room in effective["rooms"].values()
        if room["escalation"] == chain
    ]
    return found + [
        w("settings.alarms_of", severity=w(f"severity.{severity}"))
        for severity, name in effective["alarms"].items()
        if name == chain
    ]


@router.get("/settings/chains/{chain}")
async def chain(request: Request, who: Admin, site: TheSite, chain: str) -> Response:
    seen = await look(request, site, who)
    form = _steps_form(seen, chain)
    return _chain(seen, chain, form, _bound(seen, chain))


def _steps_form(seen: Look, chain: str) -> Form:
    known = seen.shown["effective"]["escalations"].get(chain)
    if known is None and chain != NEW:
        raise Problem(404, "not_found")
    form = rows.steps(f"escalations.{chain}", known)
    if not form.rows:
        form.rows.append({"kind": "after", "count": "0", "unit": "s", "notify": ""})
    return form


def _bound(seen: Look, chain: str) -> set[str]:
    """The rooms and alarms that a chain is for, as the form names them."""
    effective = seen.shown["effective"]
    if chain == NEW:  # a tick that nobody sets would leave calls unheard
        known = effective["rooms"].items()
        return {f"room.{id}" for id, one in known if one["cord"] and not one["escalation"]}
    rooms = {f"room.{id}" for id, one in effective["rooms"].items() if one["escalation"] == chain}
    return rooms | {f"alarm.{one}" for one, name in effective["alarms"].items() if name == chain}


def _chain(
    seen: Look, chain: str, form: Form, bound: set[str], name: str = "", **more: Any
) -> Response:
    effective = seen.shown["effective"]
    values = {
        "chain": chain,
        "title": chain_title(seen, chain),
        "is_new": chain == NEW,
        "in_file": chain in seen.shown["in_file"]["escalations"],
        "name": name,
        "form": form,
        "bound": bound,
        "units": rows.UNITS,
        "said": seen.text.steps(rows.value(form)),
        "rooms": {id: one for id, one in effective["rooms"].items() if one["cord"]},
        "severities": SEVERITIES,
    }
    return seen.page("settings_chain.html", values, **more)


@router.post("/settings/chains/{chain}")
async def change_chain(request: Request, who: AdminProved, site: TheSite, chain: str) -> Response:
    fields = await form_of(request)
    seen = await look(request, site, who)
    _steps_form(seen, chain)
    do, _, which = fields.get("do", "").partition(":")
    form = rows.posted(fields, f"escalations.{chain}", "steps")
    bound = {name for name in fields if name.startswith(("room.", "alarm."))}
    name, version = fields.get("name", "").strip(), fields.get("version", "")
    sections = seen.sections()
    if do == DROP and chain != NEW:
        if chain in seen.shown["in_file"]["escalations"]:
            raise Problem(422, "malformed")
        sections.get("escalations", {}).pop(chain, None)
        _bind(seen, sections, chain, set())
        answer = await sheet.put(site, who, version, sections)
        if answer["status"] == "accepted":
            return sheet.saved(answer, "/settings/chains")
        note, status = seen.take(answer)
        return _chain(seen, chain, _steps_form(seen, chain), bound, note=note, status=status)
    if do != SAVE:
        if do == ADD:
            form.rows.append({"kind": "after", "count": "2", "unit": "min", "notify": ""})
        elif do == REMOVE and which.isdecimal():
            del form.rows[int(which) : int(which) + 1]
        elif do != "preview":
            raise Problem(422, "malformed")
        return _chain(seen, chain, form, bound, name, version=version)
    id = slug(name, {*seen.shown["effective"]["escalations"], NEW}) if chain == NEW else chain
    if chain == NEW and not name:
        seen.others.append(seen.text.w("settings.name_missing"))
        return _chain(seen, chain, form, bound, name, note="settings.wrong", status=422)
    steps = rows.value(form)
    if steps != seen.shown["effective"]["escalations"].get(id):
        sections.setdefault("escalations", {})[id] = steps
    _bind(seen, sections, id, bound)
    answer = await sheet.put(site, who, version, sections)
    if answer["status"] == "accepted":
        return sheet.saved(answer, f"/settings/chains/{id}")
    form.part = f"escalations.{id}"
    note, status = seen.take(answer, form)
    return _chain(seen, chain, form, bound, name, note=note, status=status, version=version)


def _bind(seen: Look, sections: dict[str, Any], chain: str, bound: set[str]) -> None:
    """The chain is for what ``bound`` names, and for nothing that it was for before."""
    effective = seen.shown["effective"]
    for id, room in effective["rooms"].items():
        wanted = f"room.{id}" in bound
        if wanted != (room["escalation"] == chain):
            of_room = sections.setdefault("rooms", {}).setdefault(id, {})
            of_room["escalation"] = chain if wanted else ""
    for severity in SEVERITIES:
        wanted = f"alarm.{severity}" in bound
        if wanted != (effective["alarms"].get(severity) == chain):
            sections.setdefault("alarms", {})[severity] = chain if wanted else ""
