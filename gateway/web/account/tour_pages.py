"""Going on with the tour of the bench."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from gateway.web.access import TheSite, ViewAlways
from gateway.web.account import tour
from gateway.web.identity.auth import form_of

router = APIRouter(include_in_schema=False)


@router.post("/account/tour")
async def move_tour(request: Request, who: ViewAlways, site: TheSite) -> Response:
    """Go on with the tour, end it, or begin it again."""
    form = await form_of(request)
    await tour.move(site, who, form.get("do", ""), form.get("step", ""))
    return RedirectResponse("/", 303, {"Cache-Control": "no-store"})
