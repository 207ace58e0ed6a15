"""Who changed what: the audit chain for the administration."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from gateway.journal.audit import ChainEntry, Verdict
from gateway.web.access import Admin, TheSite
from gateway.web.building.records import Unavailable
from gateway.web.page import language_of, page
from gateway.web.people.audit_view import said

router = APIRouter(include_in_schema=False)
ENTRIES = 50


@router.get("/audit")
async def audit(
    request: Request,
    who: Admin,
    site: TheSite,
    before: Annotated[int | None, Query(ge=1, le=2**53)] = None,
) -> Response:
    """The newest entries first; ``before`` pages back. The first page verifies the chain."""
    words = site.words(language_of(request))
    found: list[ChainEntry] = []
    verdict: Verdict | None = None
    problem = ""
    try:
        found = await site.records.audit_before(before, ENTRIES)
        if before is None:
            verdict = await site.records.verify()
    except Unavailable as error:
        since = words.clock(int(error.since * 1000), site.control.now_utc_ms, seconds=True)
        problem = words("event.unavailable", since=since)
    return page(
        request,
        "audit.html",
        {
            "entries": [said(site, words, entry) for entry in found],
            "verdict": verdict,
            "waiting": site.handover.count(),
            "problem": problem,
            "older": found[-1].n if len(found) == ENTRIES else None,
            "paged": before is not None,
            "zone": str(site.options.zone),
        },
    )
