"""Outside the API: health for the service manager, numbers for Prometheus, the description."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import APIRouter
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway.web.access import Public, TheSite, View
from gateway.web.api.describing import describe
from gateway.web.records import Unavailable
from gateway.web.site import Site

router = APIRouter(include_in_schema=False)
METRICS = "text/plain; version=0.0.4; charset=utf-8"


@router.get("/health/live")
async def live(who: Public) -> dict[str, str]:
    """This process answers."""
    return {"status": "ok"}


@router.get("/health/ready")
async def ready(who: Public, site: TheSite) -> Response:
    """Every part is asked the same way: does it work now?"""
    parts = {"panel": "ok" if site.house.connected else "failed"}
    try:
        await site.records.head()
        parts["journal"] = "ok"
    except Unavailable:
        parts["journal"] = "failed"
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


class _Numbers:
    """The snapshot as metrics, made when it is asked for."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def collect(self) -> Iterator[Metric]:
        house, snapshot = self._site.house, self._site.house.snapshot or {}
        yield _one("portier_connected", "1 while the controller answers", house.connected)
        yield _one("portier_live_clients", "open live streams", len(self._site.hub.clients))
        yield _one("portier_clock_trusted", "1 while the clock is set",
                   snapshot.get("clock_trusted"))  # fmt: skip
        doors = snapshot.get("doors") or {}
        opened = CounterMetricFamily("portier_door_openings", "openings", labels=["door"])
        asked = CounterMetricFamily("portier_door_requests", "requests", labels=["door"])
        refused = CounterMetricFamily(
            "portier_door_refusals", "refused requests", labels=["door", "reason"]
        )
        is_open = GaugeMetricFamily("portier_door_open", "1 while not closed", labels=["door"])
        for name, door in doors.items():
            counters = door.get("counters") or {}
            opened.add_metric([name], counters.get("openings") or 0)
            asked.add_metric([name], counters.get("requests") or 0)
            for reason, count in (counters.get("refusals") or {}).items():
                refused.add_metric([name, reason], count)
            is_open.add_metric([name], door["state"] not in ("closed", "unknown"))
        holds = GaugeMetricFamily("portier_guarantee", "1 while it holds", labels=["name"])
        for name, told in (snapshot.get("guarantees") or {}).items():
            holds.add_metric([name], bool(told.get("ok")))
        alarms = GaugeMetricFamily("portier_alarm", "1 per alarm listed",
                                   labels=["subject", "kind", "severity", "state"])  # fmt: skip
        for alarm in snapshot.get("alarms") or []:
            alarms.add_metric(
                [alarm["subject"], alarm["kind"], alarm["severity"], alarm["state"]], 1
            )
        values = GaugeMetricFamily("portier_reading", "last value", labels=["point", "quantity"])
        for name, point in (snapshot.get("points") or {}).items():
            for quantity, told in (point.get("quantities") or {}).items():
                if told.get("value") is not None:
                    values.add_metric([name, quantity], told["value"])
        yield from (opened, asked, refused, is_open, holds, alarms, values)


def _one(name: str, text: str, value: object) -> Metric:
    return GaugeMetricFamily(name, text, value=float(bool(value) if value is None else value))  # type: ignore[arg-type]  # bool or int
