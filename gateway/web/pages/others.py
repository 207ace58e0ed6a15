"""What is kept, and the bench."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from gateway.core.facts import KINDS, Json
from gateway.panel.client import ControlAway
from gateway.web.access import Staff, TheSite, View
from gateway.web.auth import form_of
from gateway.web.problems import Problem
from gateway.web.render import page
from gateway.web.site import Site

router = APIRouter(include_in_schema=False)
OWN_LIVES = ("audit", "deliveries", "testbook", "sessions", "logs")


@router.get("/kept")
async def kept(request: Request, who: View, site: TheSite) -> Response:
    """What is stored and for how long, from the running configuration."""
    classes: dict[str, list[str]] = {}
    for kind in KINDS.values():
        classes.setdefault(kind.life, []).append(kind.name)
    lives = site.options.retention
    return page(
        request,
        "kept.html",
        {
            "classes": [(life, kinds, lives.get(life)) for life, kinds in classes.items()],
            "own": [(life, lives[life]) for life in OWN_LIVES if life in lives],
        },
    )


@router.get("/bench")
async def bench(request: Request, who: Staff, site: TheSite) -> Response:
    if not site.options.bench:
        raise Problem(404)
    return page(request, "bench.html", {"quantities_of": _quantities(site)})


def _quantities(site: Site) -> dict[str, list[str]]:
    """What every point measures; nothing, for contacts and relays."""
    found = (site.house.snapshot or {"points": {}})["points"]
    return {name: list(point.get("quantities") or {}) for name, point in found.items()}


@router.post("/bench")
async def act(request: Request, who: Staff, site: TheSite) -> Response:
    """Press a simulated contact or set a simulated value."""
    if not site.options.bench:
        raise Problem(404)
    form = await form_of(request)
    point, do = form.get("point", ""), form.get("do", "")
    if point not in _quantities(site):
        raise Problem(404, "unknown_point")
    try:
        if do == "press":
            told = await site.house.bench("press", {"point": point, "for_ms": 300})
        elif do in ("on", "off"):
            told = await site.house.bench("set", {"point": point, "value": do == "on"})
        elif do == "value":
            value = float(form.get("value", "").replace(",", "."))
            args: dict[str, Json] = {
                "point": point,
                "value": value,
                "quantity": form.get("quantity", ""),
            }
            told = await site.house.bench("set", args)
        else:
            raise Problem(422, "malformed")
    except ValueError:
        raise Problem(422, "malformed") from None
    except ControlAway:
        raise Problem(503, "no_answer") from None
    error = (told.get("result") or {}).get("error")
    if error:
        raise Problem(409, "bench", str(error))
    return RedirectResponse("/bench", 303, {"Cache-Control": "no-store"})
