"""The pages of the manuals, and the signs to print."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from gateway.web.access import View
from gateway.web.help import manuals
from gateway.web.page import language_of, page

router = APIRouter(include_in_schema=False)


@router.get("/help")
async def overview(request: Request, who: View) -> Response:
    """The list of the manuals and signs."""
    found = [manuals.manual(name, language_of(request)) for name in manuals.NAMES]
    return page(request, "help.html", {"manuals": found, "icons": manuals.ICONS})


@router.get("/help/signs")
async def signs(request: Request, who: View) -> Response:
    """Signs for the door and the bathroom, each on a sheet of its own when printed."""
    return page(request, "signs.html")


@router.get("/help/{name}")
async def one(request: Request, name: str, who: View) -> Response:
    """One manual."""
    try:
        found = manuals.manual(name, language_of(request))
    except KeyError:
        raise HTTPException(404) from None
    return page(request, "manual.html", {"manual": found})
