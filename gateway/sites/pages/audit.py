"""The audit of the centre in words: who did what at which site, and what became of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from gateway.core.facts import Json
from gateway.sites.access import TheCentre
from gateway.sites.audit import Entry
from gateway.sites.building import name_of
from gateway.sites.overview import Overview
from gateway.sites.page_site import CentreSite
from gateway.sites.presenter import SitePresenter
from gateway.web.access import Admin
from gateway.web.identity.login_audit import UNKNOWN
from gateway.web.page import language_of, page
from gateway.web.people.audit_view import details_text, outcome_text
from gateway.web.shared.words import Words

router = APIRouter(include_in_schema=False)
ENTRIES = 100
UNREADABLE_MOST = 200


@router.get("/audit")
async def audit(
    request: Request, who: Admin, site: TheCentre, before: int | None = None
) -> Response:
    """The newest entries first; ``before``: those before this number."""
    await site.saver.soon(site.audit.take_over)
    found = await asyncio.to_thread(site.audit.newest, ENTRIES + 1, before)
    shown = site.presenter(language_of(request), who)
    entries = AuditView(site, shown)
    older = found[ENTRIES - 1].n if len(found) > ENTRIES else 0
    values = {
        "presenter": shown,
        "entries": [entries.row(one) for one in found[:ENTRIES]],
        "older": older,
        "paged": before is not None,
    }
    return page(request, "sites/audit.html", values)


@dataclass(frozen=True, slots=True)
class EntryRow:
    """An entry as people read it."""

    time: str
    who: str
    what: str
    site: str
    detail: str


class AuditView:
    """``shown``: the sites that whoever looks may see; of others the ids are shown."""

    def __init__(self, site: CentreSite, shown: Overview) -> None:
        self._site, self._w = site, shown.w
        self._at = cache(shown.site)

    def row(self, one: Entry) -> EntryRow:
        w, at = self._w, self._at(one.gateway) if one.gateway else None
        what = w.get(f"site_audit.{one.action}") or w.get(f"action.{one.action}", one.action)
        parts = [
            self._subject(str(one.detail.get("subject") or ""), one, at),
            self._where(one.detail),
            self._done(one, at),
            str(one.detail.get("unreadable") or "")[:UNREADABLE_MOST],
        ]
        return EntryRow(
            w.moment(int(one.at * 1000), ms=False),
            self._person(one.actor),
            what,
            one.gateway if at is None else at.place,
            ", ".join(filter(None, parts)),
        )

    def _person(self, actor: str) -> str:
        """A user by name, others as what they are."""
        via, _, name = actor.partition(":")
        if via == "web" and name.isdecimal():
            return self._site.users.name_of(int(name)) or self._w("who.gone", name=name)
        if UNKNOWN in (actor, name):
            return self._w("who.unknown")
        if via == "web" and name.startswith("token-"):
            via, name = "token", name.removeprefix("token-")
        return self._w.get(f"who.{via}", actor, name=name)

    def _subject(self, subject: str, one: Entry, at: SitePresenter | None) -> str:
        """What it was done to: a door, a room or an alarm by its name where the picture has it."""
        if subject in ("", one.actor):
            return ""
        if not one.gateway:
            return self._person(subject)
        if at is None:
            return subject
        about, _, alarm = subject.partition("/")
        if alarm:
            return at.alarm_text(alarm, about, "what").rstrip(".")
        if one.action in ("acknowledge_call", "call_looked_at"):
            return at.subject(_room_of(subject, at))
        return at.subject(subject)

    def _where(self, detail: Mapping[str, Json]) -> str:
        """Where a right applies."""
        if "scope" not in detail:
            return ""
        return scope_text(
            self._w,
            str(detail["scope"]),
            str(detail.get("name") or ""),
            self._site.centre.picture.gateways,
        )

    def _done(self, one: Entry, at: SitePresenter | None) -> str:
        """What came of it."""
        w, detail = self._w, dict(one.detail)
        status, reason = str(detail.get("status") or ""), str(detail.get("reason") or "")
        if not status:  # no command to a site
            outcome = str(detail.get("outcome") or "")
            parts = [outcome_text(w, outcome) if outcome else "", details_text(w, detail)]
            return ", ".join(part.rstrip(".") for part in parts if part)
        text = str(detail.get("text") or "")
        if one.action == "acknowledge_call":
            text = w("sites.audit_goes", who=text) if text else w("sites.audit_seen")
        elif text:
            text = details_text(w, {"reason": text})
        outcome = outcome_text(w, status).rstrip(".")
        if reason:
            why = w.get(f"site_reason.{reason}") if at is None else at.reason(reason)
            outcome += f": {why or reason}".rstrip(".")
        return ", ".join(filter(None, (text, outcome)))


def _room_of(call: str, at: SitePresenter) -> str:
    """The room of a call, whose id begins with that of the room; the id where no room is known."""
    rooms = [room for room in at.control.rooms if call == room or call.startswith(f"{room}-")]
    return max(rooms, key=len, default=call)


def scope_text(w: Words, scope: str, name: str, gateways: Mapping[str, Any]) -> str:
    """Where a right applies: everywhere, in a group, or at a site."""
    if scope == "all":
        return w("sites.everywhere")
    if scope == "group":
        return w("sites.in_group", group=name)
    seen = gateways.get(name)
    return name if seen is None else name_of(seen)
