"""The overview of all sites, and answering a call from there."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from gateway.sites.access import TheCentre
from gateway.sites.overview import MANY, SEARCH_LONGEST, Overview
from gateway.sites.page_site import CentreSite
from gateway.web.access import ViewAlways
from gateway.web.identity.accounts import Who
from gateway.web.page import language_of, page

router = APIRouter(include_in_schema=False)


@router.get("/")
async def overview(
    request: Request,
    who: ViewAlways,
    site: TheCentre,
    q: str = "",
    group: str | None = None,
    said: str = "",
) -> Response:
    """``q``: only sites that have these words; ``group``: only those of a group; ``said``: a note
    that we signed ourselves, for pages without JavaScript."""
    shown = site.presenter(language_of(request), who)
    site.note_all_looks(who, shown)
    note = site.signer.read(said)
    searched = q.strip()[:SEARCH_LONGEST]
    if searched:
        tiles = shown.search(searched)
    else:
        tiles = shown.tiles if group is None else shown.in_group(group)
    values: dict[str, Any] = {
        "presenter": shown,
        "tiles": tiles,
        "q": searched,
        "group": group,
        "many": len(shown.sites) > MANY,
        "narrowed": bool(searched) or group is not None,
        "note": note,
        "call_note": note,
        "first": site.identity.has_first_password(who),
        "factor_missing": _lacks_factor(site, who, shown),
    }
    return page(request, "sites/overview.html", values)


def _lacks_factor(site: CentreSite, who: Who, shown: Overview) -> bool:
    """Whether somebody may open doors once they have set up a second factor, and has none."""
    if site.identity.second_factor != "doors" or who.user_id is None:
        return False
    opens = any(shown.rights.may(one.id, "staff") for one in shown.sites)
    return opens and not site.users.has_factor(who.user_id)


@router.get("/more")
async def more(request: Request, who: ViewAlways) -> Response:
    """All places of the navigation, for the phone, and how the page looks."""
    return page(request, "more.html")
