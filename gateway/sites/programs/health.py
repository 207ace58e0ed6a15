"""Endpoints beside the API: health for the service manager, metrics for Prometheus, OpenAPI."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import APIRouter
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway import __version__
from gateway.sites.access import TheCentre
from gateway.sites.overview import Overview
from gateway.sites.page_site import CentreSite
from gateway.sites.programs.description import describe
from gateway.web.access import Public, ViewAlways
from gateway.web.programs.health import CALL_STATES, METRICS, gauge

router = APIRouter(include_in_schema=False)


@router.get("/health/live")
async def live(who: Public) -> dict[str, str]:
    """This process answers."""
    return {"status": "ok"}


@router.get("/health/ready")
async def ready(who: Public, site: TheCentre) -> Response:
    """Whether the centre sees what it should: without the broker, or what that lets it hear,
    nothing that is shown is so now; without its keys it knows no gateways."""
    centre = site.centre
    parts = {
        "broker": centre.connected and not centre.refused,
        "keys": not centre.enrolments_unreadable,
    }
    good = all(parts.values())
    found = {name: "ok" if part else "failed" for name, part in parts.items()}
    status = {"status": "ok" if good else "failed"}
    return JSONResponse(status | found, 200 if good else 503)


@router.get("/api/openapi.json")
async def openapi(request: Request, who: ViewAlways) -> dict[str, Any]:
    """What the API offers."""
    return describe(request.app)


@router.get("/metrics")
async def metrics(who: ViewAlways, site: TheCentre) -> Response:
    """Of the sites that whoever asks may see."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Numbers(site, site.presenter("en", who)))
    return Response(generate_latest(registry), media_type=METRICS)


class _Numbers:
    """What is not known now has no sample: whoever watches sees that it is missing."""

    def __init__(self, site: CentreSite, overview: Overview) -> None:
        self._site, self._overview = site, overview

    def collect(self) -> Iterator[Metric]:
        site, overview = self._site, self._overview
        yield InfoMetricFamily("portier_build", "versions", value={"version": __version__})
        yield gauge("portier_connected", "1 while the broker answers", site.centre.connected)
        yield gauge("portier_live_clients", "open live streams", len(site.hub.clients))
        if overview.rights.owner:
            strangers = sum(site.centre.picture.strangers.values())
            yield gauge("portier_sites_strangers", "messages of others than sites", strangers)
        yield from self._sites()
        yield from self._calls()

    def _sites(self) -> Iterator[Metric]:
        presences = GaugeMetricFamily(
            "portier_sites_gateways", "enrolled gateways, by presence", labels=["presence"]
        )
        seen = [self._overview.seen(one.id) for one in self._overview.sites]
        for presence in ("online", "offline", "unknown"):
            count = sum(one.presence == presence for one in seen)
            presences.add_metric([presence], count)
        yield presences
        labels = ["gateway"]
        works = GaugeMetricFamily("portier_site_works", "1 while nothing is wrong", labels=labels)
        heard = GaugeMetricFamily(
            "portier_site_heard_timestamp_seconds", "when it was heard last", labels=labels
        )
        alarms = GaugeMetricFamily("portier_site_alarms", "alarms listed", labels=labels)
        for one in self._overview.sites:
            if self._site.centre.connected:
                works.add_metric([one.id], one.works)
            if one.heard_utc_ms is not None:
                heard.add_metric([one.id], one.heard_utc_ms / 1000)
            alarms.add_metric([one.id], one.alarms)
        yield from (works, heard, alarms)

    def _calls(self) -> Iterator[Metric]:
        active = GaugeMetricFamily(
            "portier_call_active",
            "1 while a call of this state stands",
            labels=["gateway", "room", "state"],
        )
        for one in self._overview.sites:
            building = self._site.building(one.id)
            if building is None or building.stale:
                continue
            for name, room in building.rooms.items():
                call = room.get("call")
                if call:
                    tested = call.get("test") and call["state"] != "quiet"
                    now = "test" if tested else call["state"]
                    for state in CALL_STATES:
                        active.add_metric([one.id, name, state], now == state)
        yield active
