"""The logbook of all sites: what happened anywhere, the newest first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from gateway.sites.access import TheCentre
from gateway.sites.history.logbook import LogbookPage, PlacedEntry, older_page
from gateway.sites.overview import Overview
from gateway.sites.page_site import CentreSite
from gateway.sites.presenter import SitePresenter
from gateway.web.access import ViewAlways
from gateway.web.building.records import TooLong, Unavailable
from gateway.web.history.entries import FAMILIES, Family
from gateway.web.history.logbook_lines import LogbookLine, days, line, matcher
from gateway.web.history.search import words_of
from gateway.web.identity.accounts import Who
from gateway.web.page import language_of, page
from gateway.web.shared.words import Words

router = APIRouter(include_in_schema=False)
ENTRIES = 60


@dataclass(frozen=True, slots=True)
class PlacedLine:
    """An entry in words, and where it happened."""

    site: SitePresenter
    line: LogbookLine


@dataclass(frozen=True, slots=True)
class Asked:
    """What the address asks for. ``site``: an id; empty: all."""

    site: str
    show: tuple[Family, ...]
    q: str

    def address(self, **changed: object) -> str:
        """The address of the same with something else; the newest page of it."""
        values: dict[str, object] = {
            "site": self.site, "show": ",".join(self.show), "q": self.q, **changed,
        }  # fmt: skip
        query = urlencode({name: value for name, value in values.items() if value})
        return f"/logbook?{query}" if query else "/logbook"


@router.get("/logbook")
async def logbook(
    request: Request,
    who: ViewAlways,
    centre: TheCentre,
    site: Annotated[str, Query(max_length=200)] = "",
    show: Annotated[str, Query(max_length=100)] = "",
    q: Annotated[str, Query(max_length=100)] = "",
    before: Annotated[int | None, Query(ge=0, le=2**53)] = None,
) -> Response:
    """``before``: the instant (UTC ms) that the page's entries began before."""
    shown = centre.presenter(language_of(request), who)
    places = {one.id: one.name for one in shown.sites}
    site = site if site in places else ""
    asked = Asked(site, tuple(one for one in FAMILIES if one in show.split(",")), q.strip())
    found, problem = LogbookPage(), ""
    presenters = _presenters(shown)
    if centre.records is None:
        problem = not_recorded(centre, shown.w)
    else:
        wanted = [site] if site else list(places)
        try:
            found = await older_page(
                centre.records, wanted, asked.show, before, ENTRIES, _says(asked, presenters)
            )
        except Unavailable as error:
            problem = unreadable_since(error, shown.w, shown.now_utc_ms)
    _note_calls(centre, who, found)
    lines = [
        (one.entry, PlacedLine(presenter, line(one.entry, presenter)))
        for one in found.entries
        if (presenter := presenters(one.gateway)) is not None
    ]
    values = {
        "presenter": shown,
        "asked": asked,
        "places": sorted(places.items(), key=lambda one: one[1].casefold()),
        "families": _families(asked, shown.w),
        "days": days(lines, shown.now_utc_ms, shown.w),
        "problem": problem,
        "older": asked.address(before=found.older) if found.older is not None else "",
        "newest": asked.address() if before is not None else "",
        "zone": str(centre.options.zone),
    }
    return page(request, "sites/logbook.html", values)


def _presenters(shown: Overview) -> Callable[[str], SitePresenter | None]:
    """Each site in words, made once."""
    made: dict[str, SitePresenter | None] = {}

    def of(gateway: str) -> SitePresenter | None:
        if gateway not in made:
            made[gateway] = shown.site(gateway)
        return made[gateway]

    return of


def _says(
    asked: Asked, presenters: Callable[[str], SitePresenter | None]
) -> Callable[[PlacedEntry], bool]:
    """Whether an entry has the words that are looked for, as whoever looks would read it."""
    words = words_of(asked.q)

    def has(one: PlacedEntry) -> bool:
        presenter = presenters(one.gateway)
        says = None if presenter is None else matcher(words, presenter)
        return says is None or says(one.entry)

    return has


def _note_calls(centre: CentreSite, who: Who, found: LogbookPage) -> None:
    """Who looked at which site's calls is audited, those that are over, too."""
    for gateway, entry in found.entries:
        if entry.sort == "call":
            centre.audit.looked(who.actor, gateway, str(entry.first.data.get("call")))


def _families(asked: Asked, w: Words) -> list[tuple[str, str, bool]]:
    """Each chip: its word, the address with it alone, and whether it is on."""
    chips = [(w("logbook.family_all"), asked.address(show=""), not asked.show)]
    return chips + [
        (w(f"logbook.family_{one}"), asked.address(show=one), one in asked.show) for one in FAMILIES
    ]


def not_recorded(centre: CentreSite, w: Words) -> str:
    """Why there is no history here."""
    if not centre.options.store or centre.options.store == "none":
        return w("sites.nothing_recorded")
    return w("sites.recorded_elsewhere")


def unreadable_since(error: Unavailable, w: Words, now_utc_ms: int) -> str:
    """That the store cannot be read, and since when, or that the question is too large."""
    if isinstance(error, TooLong):
        return w("problem.too_long")
    since = w.clock(int(error.since * 1000), now_utc_ms, seconds=True)
    return w("sites.history_unavailable", since=since)
