"""The bench, the same for the page and the API: press simulated contacts, set simulated values.

Every function raises :class:`Problem`: 404 where this is no bench or there is no such point,
409 where the bench cannot do that, 503 without an answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite

from gateway.core.facts import Json
from gateway.panel.client import ControlAway
from gateway.web.shared.problems import Problem
from gateway.web.site import Site

PRESS_MS = 300


def on_bench(site: Site) -> None:
    """Raises :class:`Problem` 404 where points are real."""
    if not site.options.bench:
        raise Problem(404, "no_bench")


def quantities(site: Site) -> dict[str, list[str]]:
    """What every point measures; nothing, for contacts and relays."""
    points = site.control.points
    return {name: list(point.get("quantities") or {}) for name, point in points.items()}


async def press(site: Site, point: str, for_ms: int = PRESS_MS) -> None:
    """Press a simulated contact and let it go again."""
    await _do(site, "press", {"point": point, "for_ms": for_ms})


async def set_value(site: Site, point: str, value: bool | float, quantity: str = "") -> None:
    """Hold a simulated contact on or off, or let a simulated meter measure a value."""
    if not isfinite(value):
        raise Problem(422, "malformed")
    args: dict[str, Json] = {"point": point, "value": value}
    await _do(site, "set", args | ({"quantity": quantity} if quantity else {}))


async def _do(site: Site, do: str, args: Mapping[str, Json]) -> None:
    on_bench(site)
    if args["point"] not in quantities(site):
        raise Problem(404, "unknown_point")
    try:
        told = await site.control.bench(do, args)
    except ControlAway:
        raise Problem(503, "no_answer", Retry_After="1") from None
    error = (told.get("result") or {}).get("error")
    if error:
        raise Problem(409, "bench", str(error))
