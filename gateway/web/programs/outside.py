"""Outside the API: health for the service manager, numbers for Prometheus, the description."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fastapi import APIRouter
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
    Metric,
)
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway import __version__
from gateway.core.shown import DoorShown, RoomShown
from gateway.panel.shown import GatewayShown
from gateway.web.access import Public, TheSite, View
from gateway.web.house.guarantees import guarantees
from gateway.web.house.records import Unavailable
from gateway.web.programs.describing import describe
from gateway.web.site import Site

router = APIRouter(include_in_schema=False)
METRICS = "text/plain; version=0.0.4; charset=utf-8"


@router.get("/health/live")
async def live(who: Public) -> dict[str, str]:
    """This process answers."""
    return {"status": "ok"}


@router.get("/health/ready")
async def ready(who: Public, site: TheSite) -> Response:
    """Every part is asked the same way: does it work now? A ``control`` that has sent no snapshot
    for 5 s does not, whatever its socket says; nor does a journal that can be read and takes
    nothing."""
    parts = {"panel": "ok" if site.house.connected else "failed"}
    stored = guarantees(site.house).get("journal")
    stores = stored is None or stored["value"] != "no"
    try:
        await site.records.head()
    except Unavailable:
        stores = False
    parts["journal"] = "ok" if stores else "failed"
    good = all(state == "ok" for state in parts.values())
    return JSONResponse({"status": "ok" if good else "failed", **parts}, 200 if good else 503)


@router.get("/api/openapi.json")
async def openapi(request: Request, who: View) -> dict[str, Any]:
    """What the API offers."""
    return describe(request.app)


@router.get("/metrics")
async def metrics(who: View, site: TheSite) -> Response:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Numbers(site))
    return Response(generate_latest(registry), media_type=METRICS)


CALL_STATES = ("raised", "acknowledged", "attended", "test")
"""Of a call that stands; a test call has a state of its own, so that nobody is woken for it."""


class _Numbers:
    """The snapshot as metrics, made when it is asked for. What is not known now has no sample:
    a missing value is seen by whoever watches, a wrong one is not."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def collect(self) -> Iterator[Metric]:
        house = self._site.house
        now = None if house.stale else house.snapshot
        yield InfoMetricFamily("portier_build", "versions", value=_build(house.gateway))
        yield _one("portier_connected", "1 while the controller answers", house.connected)
        yield _one("portier_live_clients", "open live streams", len(self._site.hub.clients))
        trusted = now.get("clock_trusted") if now else None
        if trusted is not None:
            yield _one("portier_clock_trusted", "1 while the clock is set", trusted)
        yield from _doors(house.doors if now else {})
        yield _calls(house.rooms if now else {})
        promises = GaugeMetricFamily(
            "portier_guarantee",
            "1 yes, 0 no; absent while unknown or not configured",
            labels=["name"],
        )
        for name, told in guarantees(house).items():
            if told["value"] in ("yes", "no"):
                promises.add_metric([name], told["value"] == "yes")
        yield promises
        alarms = GaugeMetricFamily(
            "portier_alarm", "1 per alarm listed", labels=["subject", "kind", "severity", "state"]
        )
        for alarm in house.alarms if now else ():
            alarms.add_metric(
                [alarm["subject"], alarm["kind"], alarm["severity"], alarm["state"]], 1
            )
        yield alarms
        values = GaugeMetricFamily("portier_reading", "last value", labels=["point", "quantity"])
        for name, point in house.points.items() if now else ():
            for quantity, one in (point.get("quantities") or {}).items():
                if (value := one.get("value")) is not None:
                    values.add_metric([name, quantity], value)
        yield values


def _doors(doors: Mapping[str, DoorShown]) -> Iterator[Metric]:
    opened = CounterMetricFamily("portier_door_openings", "openings", labels=["door"])
    asked = CounterMetricFamily("portier_door_requests", "requests", labels=["door"])
    refused = CounterMetricFamily(
        "portier_door_refusals", "refused requests", labels=["door", "reason"]
    )
    is_open = GaugeMetricFamily(
        "portier_door_open", "1 while not closed; absent while unknown", labels=["door"]
    )
    for name, door in doors.items():
        counters = door.get("counters") or {}
        opened.add_metric([name], counters.get("openings") or 0)
        asked.add_metric([name], counters.get("requests") or 0)
        for reason, count in (counters.get("refusals") or {}).items():
            refused.add_metric([name, reason], count)
        if door["state"] != "unknown":
            is_open.add_metric([name], door["state"] != "closed")
    yield from (opened, asked, refused, is_open)


def _calls(rooms: Mapping[str, RoomShown]) -> Metric:
    active = GaugeMetricFamily(
        "portier_call_active", "1 while a call of this state stands", labels=["room", "state"]
    )
    for name, room in rooms.items():
        call = room.get("call")
        if not call:
            continue
        now = "test" if call.get("test") and call["state"] != "quiet" else call["state"]
        for state in CALL_STATES:
            active.add_metric([name, state], now == state)
    return active


def _build(gateway: GatewayShown | None) -> dict[str, str]:
    control = gateway.get("version") if gateway else None
    return {"version": __version__, "control": str(control or "")}


def _one(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=float(value))
