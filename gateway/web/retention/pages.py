"""What is stored, and for how long."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from gateway.web.access import TheSite, View
from gateway.web.page import page
from gateway.web.retention import retention

router = APIRouter(include_in_schema=False)


@router.get("/kept")
async def kept(request: Request, who: View, site: TheSite) -> Response:
    """What is stored and for how long, from the running configuration."""
    return page(request, "kept.html", {"rows": retention.rows(site.options)})
