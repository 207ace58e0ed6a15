"""The bench as a page: press simulated contacts, set simulated values."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from gateway.web.access import Staff, TheSite
from gateway.web.bench import actions
from gateway.web.building.week import DAYS
from gateway.web.identity.auth import form_of
from gateway.web.page import page
from gateway.web.shared.problems import Problem
from gateway.web.site import Site

router = APIRouter(include_in_schema=False)


@router.get("/bench")
async def bench(request: Request, who: Staff, site: TheSite) -> Response:
    actions.on_bench(site)
    values = {"quantities_of": actions.quantities(site), "week": site.week, "week_days": DAYS}
    return page(request, "bench.html", values)


@router.post("/bench")
async def act(request: Request, who: Staff, site: TheSite) -> Response:
    """Press a simulated contact, set a simulated value, let a week pass or stop it."""
    actions.on_bench(site)
    form = await form_of(request)
    if form.get("do") in ("week", "stop"):
        _week(site, form["do"])
        return RedirectResponse("/bench#week", 303, {"Cache-Control": "no-store"})
    point, do = form.get("point", ""), form.get("do", "")
    if do == "press":
        await actions.press(site, point)
    elif do in ("on", "off"):
        await actions.set_value(site, point, do == "on")
    elif do == "value":
        await actions.set_value(site, point, _number(form), form.get("quantity", ""))
    else:
        raise Problem(422, "malformed")
    return RedirectResponse("/bench", 303, {"Cache-Control": "no-store"})


def _week(site: Site, do: str) -> None:
    if do == "week":
        site.week.begin(site.control)
    else:
        site.week.stop()


def _number(form: dict[str, str]) -> float:
    try:
        return float(form.get("value", "").replace(",", "."))
    except ValueError:
        raise Problem(422, "malformed") from None
