"""The logbook: what happened, one entry for each opening, call, alarm and change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from gateway.core.facts import KINDS
from gateway.web.access import TheSite, View, lanes_for
from gateway.web.building.records import TooLong, Unavailable
from gateway.web.history.entries import FAMILIES, Family
from gateway.web.history.logbook import Chosen, LogbookPage, newer_page, older_page
from gateway.web.history.logbook_lines import days, line, matcher
from gateway.web.history.ranges import Range, unread
from gateway.web.history.search import words_of
from gateway.web.history.setting_changes import with_changes
from gateway.web.identity.accounts import Who
from gateway.web.page import language_of, page
from gateway.web.presenter.presenter import Presenter
from gateway.web.site import Site

router = APIRouter(include_in_schema=False)
ENTRIES = 60
EVERYTHING = "everything"
"""In the address as ``kind``: readings and levels of single contacts, too. (``all``, which is in
addresses of earlier versions, is what is shown without a choice.)"""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the address asks for."""

    show: tuple[Family, ...]
    kind: str
    subject: str
    q: str
    start: str
    end: str

    def address(self, **changed: object) -> str:
        """The address of the same with something else; without a page of it."""
        values: dict[str, object] = {
            "show": ",".join(self.show), "kind": self.kind, "subject": self.subject, "q": self.q,
            "from": self.start, "to": self.end, **changed,
        }  # fmt: skip
        query = urlencode({name: value for name, value in values.items() if value})
        return f"/events?{query}" if query else "/events"

    def chosen(self, who: Who, presenter: Presenter, within: Range) -> Chosen:
        return Chosen(
            families=self.show,
            kinds=(self.kind,) if self.kind in KINDS else None,
            everything=self.kind == EVERYTHING,
            subject=self.subject,
            lanes=lanes_for(who),
            from_utc_ms=within.from_utc_ms,
            to_utc_ms=within.to_utc_ms,
            says=matcher(words_of(self.q), presenter),
        )


@router.get("/events")
async def logbook(
    request: Request,
    who: View,
    site: TheSite,
    show: Annotated[str, Query(max_length=100)] = "",
    kind: Annotated[str, Query(max_length=100)] = "",
    subject: Annotated[str, Query(max_length=200)] = "",
    q: Annotated[str, Query(max_length=100)] = "",
    start: Annotated[str, Query(alias="from", max_length=40)] = "",
    end: Annotated[str, Query(alias="to", max_length=40)] = "",
    before: Annotated[int | None, Query(ge=1, le=2**53)] = None,
    after: Annotated[int | None, Query(ge=0, le=2**53)] = None,
) -> Response:
    """The newest entries first; ``before`` and ``after`` name the row where a page begins."""
    presenter = site.presenter(language_of(request), who)
    families = tuple(family for family in FAMILIES if family in show.split(","))
    asked = Asked(families, "" if kind == "all" else kind, subject, q, start, end)
    within = Range.read(start, end, site.options.zone)
    chosen = asked.chosen(who, presenter, within)
    problem = presenter.w("event.no_such_time") if unread(start, end) else ""
    found, head = LogbookPage(), 0
    readable = True
    try:
        head = await site.records.head()  # before the entries: what comes later is told live
        if after is not None:
            found = await newer_page(site.records, chosen, after, ENTRIES)
        else:
            found = await older_page(site.records, chosen, before, ENTRIES)
    except Unavailable as error:
        problem, readable = unreadable_since(site, error, language_of(request)), False
    lines = [(entry, line(entry, presenter)) for entry in found.entries]
    lines = await with_changes(lines, site, who, presenter.w)
    kinds = chosen.read
    start_text, end_text = within.fields(site.options.zone)
    return page(
        request,
        "logbook.html",
        {
            "days": days(lines, site.control.now_utc_ms, presenter.w),
            "head": max([head, *(entry.last_row for entry in found.entries)]),
            "kinds": " ".join(kinds or ()),
            "asked": asked,
            "families": _families(asked, presenter),
            "filters": _filters(asked, within, presenter),
            "subjects": _subjects(site, presenter),
            "fields": {"from": start_text, "to": end_text},
            "everything": kind == EVERYTHING,
            "problem": problem,
            "readable": readable,
            "older": asked.address(before=found.older) if found.older else "",
            "newer": asked.address(after=found.newer) if found.newer else "",
            "live": found.newer is None and within.to_utc_ms is None,
            "export": urlencode(_export(asked, within)),
            "zone": str(site.options.zone),
        },
    )


def unreadable_since(site: Site, error: Unavailable, language: str) -> str:
    """That the journal cannot be read, and since when, or that the question is too large."""
    words = site.words(language)
    if isinstance(error, TooLong):
        return words("problem.too_long")
    since = words.clock(int(error.since * 1000), site.control.now_utc_ms, seconds=True)
    return words("event.unavailable", since=since)


def _families(asked: Asked, presenter: Presenter) -> list[tuple[str, str, bool]]:
    """Each chip: its word, the address with it switched over, and whether it is on."""
    chips = [(presenter.w("logbook.family_all"), asked.address(show=""), not asked.show)]
    for family in FAMILIES:
        on = family in asked.show
        after = [one for one in FAMILIES if (one in asked.show) != (one == family)]
        all_of_them = len(after) == len(FAMILIES)
        address = asked.address(show="" if all_of_them else ",".join(after))
        chips.append((presenter.w(f"logbook.family_{family}"), address, on))
    return chips


def _filters(asked: Asked, within: Range, presenter: Presenter) -> list[tuple[str, str]]:
    """The filters that hold beside chips and words: each with the address without it."""
    w = presenter.w
    found = []
    if asked.subject:
        point, _, kind = asked.subject.partition("/")
        name = presenter.alarm_text(kind, point, "what") if kind else presenter.subject(point)
        found.append((name, asked.address(subject="")))
    if asked.kind in KINDS:
        said = w("logbook.only_kind", kind=w.get(f"fact.{asked.kind}", asked.kind))
        found.append((said, asked.address(kind="")))
    elif asked.kind == EVERYTHING:
        found.append((w("logbook.everything"), asked.address(kind="")))
    if within.from_utc_ms is not None:
        when = w.moment(within.from_utc_ms, ms=False)
        found.append((f"{w('event.from')} {when}", asked.address(**{"from": ""})))
    if within.to_utc_ms is not None:
        when = w.moment(within.to_utc_ms, ms=False)
        found.append((f"{w('event.to')} {when}", asked.address(to="")))
    return found


def _subjects(site: Site, presenter: Presenter) -> list[tuple[str, str]]:
    """Whatever entries can be about, with its name: doors, rooms, points, standing alarms."""
    ids = [*site.control.doors, *site.control.rooms, *site.control.points]
    named = [(id, presenter.subject(id)) for id in ids]
    return named + [(alarm.id, alarm.what) for alarm in presenter.alarms]


def _export(asked: Asked, within: Range) -> dict[str, Any]:
    """What the export of the same facts is asked for."""
    found: dict[str, Any] = dict(within.query())
    if asked.subject:
        found["subject"] = asked.subject
    if asked.kind in KINDS:
        found["kind"] = asked.kind
    if asked.q:
        found["q"] = asked.q
    if asked.show:
        found["show"] = ",".join(asked.show)
    return found
