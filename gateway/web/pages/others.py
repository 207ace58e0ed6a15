"""What is kept, and the bench."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from gateway.web import benching, retention
from gateway.web.access import Staff, TheSite, View
from gateway.web.auth import form_of
from gateway.web.page import page
from gateway.web.problems import Problem

router = APIRouter(include_in_schema=False)


@router.get("/kept")
async def kept(request: Request, who: View, site: TheSite) -> Response:
    """What is stored and for how long, from the running configuration."""
    return page(request, "kept.html", {"rows": retention.rows(site.options)})


@router.get("/bench")
async def bench(request: Request, who: Staff, site: TheSite) -> Response:
    benching.on_bench(site)
    return page(request, "bench.html", {"quantities_of": benching.quantities(site)})


@router.post("/bench")
async def act(request: Request, who: Staff, site: TheSite) -> Response:
    """Press a simulated contact or set a simulated value."""
    benching.on_bench(site)
    form = await form_of(request)
    point, do = form.get("point", ""), form.get("do", "")
    if do == "press":
        await benching.press(site, point)
    elif do in ("on", "off"):
        await benching.set_value(site, point, do == "on")
    elif do == "value":
        await benching.set_value(site, point, _number(form), form.get("quantity", ""))
    else:
        raise Problem(422, "malformed")
    return RedirectResponse("/bench", 303, {"Cache-Control": "no-store"})


def _number(form: dict[str, str]) -> float:
    try:
        return float(form.get("value", "").replace(",", "."))
    except ValueError:
        raise Problem(422, "malformed") from None
