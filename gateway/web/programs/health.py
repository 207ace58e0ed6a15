"""Endpoints beside the API: health for the service manager, metrics for Prometheus, OpenAPI."""

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
from gateway.core.snapshot_types import DoorShown, RoomShown
from gateway.panel.snapshot_types import GatewayShown, GuaranteeShown
from gateway.web.access import Public, TheSite, View
from gateway.web.building.guarantees import VALUES, guarantees
from gateway.web.building.records import Unavailable
from gateway.web.programs.openapi import describe
from gateway.web.shared.machine import Machine
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
    parts = {"panel": "ok" if site.control.connected else "failed"}
    stored = guarantees(site.control).get("journal")
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
    registry.register(_Numbers(site, await site.machine.read()))
    return Response(generate_latest(registry), media_type=METRICS)


CALL_STATES = ("raised", "acknowledged", "attended", "test")
"""Of a call that stands; a test call has a state of its own, so that nobody is woken for it."""


class _Numbers:
    """The snapshot as metrics, made when it is asked for. What is not known now has no sample:
    a missing value is seen by whoever watches, a wrong one is not."""

    def __init__(self, site: Site, machine: Machine) -> None:
        self._site = site
        self._machine = machine

    def collect(self) -> Iterator[Metric]:
        control = self._site.control
        now = None if control.stale else control.snapshot
        yield InfoMetricFamily("portier_build", "versions", value=_build(control.gateway))
        yield gauge("portier_connected", "1 while the controller answers", control.connected)
        yield gauge("portier_live_clients", "open live streams", len(self._site.hub.clients))
        trusted = now.get("clock_trusted") if now else None
        if trusted is not None:
            yield gauge("portier_clock_trusted", "1 while the clock is set", trusted)
        yield from _doors(control.doors if now else {})
        yield from _calls(control.rooms if now else {})
        yield from _machine(self._machine)
        promises = GaugeMetricFamily(
            "portier_guarantee",
            "1 yes, 0 no; absent while unknown or not configured",
            labels=["name"],
        )
        for name, guarantee in guarantees(control).items():
            if guarantee["value"] in ("yes", "no"):
                promises.add_metric([name], guarantee["value"] == "yes")
        yield promises
        yield from _promises({} if control.stale else guarantees(control))
        alarms = GaugeMetricFamily(
            "portier_alarm", "1 per alarm listed", labels=["subject", "kind", "severity", "state"]
        )
        for alarm in control.alarms if now else ():
            alarms.add_metric(
                [alarm["subject"], alarm["kind"], alarm["severity"], alarm["state"]], 1
            )
        yield alarms
        values = GaugeMetricFamily(
            "portier_reading",
            "last value, in the unit of its quantity",
            labels=["point", "quantity"],
        )
        for name, point in control.points.items() if now else ():
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


def _promises(found: Mapping[str, GuaranteeShown]) -> Iterator[Metric]:
    """Guarantees as a state set, and what forwarding and recording say beside their value. Where
    the journal cannot be read nobody knows what is missing."""
    states = GaugeMetricFamily(
        "portier_guarantee_state",
        "1 for the value that a guarantee has now",
        labels=["name", "state"],
    )
    for name, one in found.items():
        for value in VALUES:
            states.add_metric([name, value], one["value"] == value)
    yield states
    for name, one in found.items():
        if one["value"] == "not_configured" or one["reason"] == "journal":
            continue
        if name == "forwarding":
            yield from _sent(one)
        elif name == "recording":
            yield from _recorded(one)


def _sent(one: GuaranteeShown) -> Iterator[Metric]:
    oldest_ms = one.get("oldest_unsent_ms")
    oldest_s = None if oldest_ms is None else oldest_ms / 1000
    for name, text, value in (
        ("unsent_facts", "facts the broker lacks", one.get("backlog")),
        ("unsent_oldest_seconds", "age of the oldest of them", oldest_s),
        ("refused_messages", "messages the broker refuses", one.get("aside_count")),
    ):
        yield from _some(f"portier_{name}", text, value)


def _recorded(one: GuaranteeShown) -> Iterator[Metric]:
    aside, until_ms = one.get("aside"), one.get("recorded_until_utc_ms")
    for name, text, value in (
        ("unrecorded_facts", "facts a recorder lacks", one.get("backlog")),
        ("set_aside_points", "points a store refuses", aside if isinstance(aside, int) else None),
        (
            "recorded_until_timestamp_seconds",
            "time of the newest fact up to which every recorder has everything",
            None if until_ms is None else until_ms / 1000,
        ),
    ):
        yield from _some(f"portier_{name}", text, value)


def _machine(machine: Machine) -> Iterator[Metric]:
    for name, text, value in (
        ("size", "size of the file system of the state folder", machine.disk_size_bytes),
        ("free", "free space there, for services", machine.disk_free_bytes),
    ):
        yield from _some(f"portier_state_filesystem_{name}_bytes", text, value)
    if machine.device_written_bytes is not None:
        yield CounterMetricFamily(
            "portier_state_device_written_bytes",
            "written to the device of the state folder since boot, by everybody",
            value=machine.device_written_bytes,
        )
    written = CounterMetricFamily(
        "portier_role_written_bytes", "written by a role since its start", labels=["role"]
    )
    for role, written_bytes in machine.written_bytes.items():
        written.add_metric([role], written_bytes)
    heat = GaugeMetricFamily(
        "portier_board_temperature_celsius", "temperature of the board", labels=["sensor"]
    )
    for sensor, celsius in machine.temperatures_c.items():
        heat.add_metric([sensor], celsius)
    ends = GaugeMetricFamily(
        "portier_certificate_not_after_timestamp_seconds",
        "until when a certificate is valid",
        labels=["certificate"],
    )
    for name, until_s in machine.certificates.items():
        ends.add_metric([name], until_s)
    yield from (written, heat, ends)


def _calls(rooms: Mapping[str, RoomShown]) -> Iterator[Metric]:
    active = GaugeMetricFamily(
        "portier_call_active", "1 while a call of this state stands", labels=["room", "state"]
    )
    raised = GaugeMetricFamily(
        "portier_call_raised_timestamp_seconds", "when a call that stands began", labels=["room"]
    )
    calls = CounterMetricFamily("portier_calls", "calls, without tests", labels=["room"])
    tests = CounterMetricFamily("portier_test_calls", "test calls", labels=["room"])
    for name, room in rooms.items():
        call = room.get("call")
        if not call:
            continue
        now = "test" if call.get("test") and call["state"] != "quiet" else call["state"]
        for state in CALL_STATES:
            active.add_metric([name, state], now == state)
        if (raised_utc_ms := call.get("raised_utc_ms")) is not None and call["state"] != "quiet":
            raised.add_metric([name], raised_utc_ms / 1000)
    for name, room in rooms.items():
        counters = room.get("counters") or {}
        for family, key in ((calls, "calls"), (tests, "tests")):
            if isinstance(count := counters.get(key), int):
                family.add_metric([name], count)
    yield from (active, raised, calls, tests)


def _build(gateway: GatewayShown | None) -> dict[str, str]:
    control = gateway.get("version") if gateway else None
    return {"version": __version__, "control": str(control or "")}


def _some(name: str, text: str, value: float | None) -> Iterator[Metric]:
    """What is not known has no sample."""
    if value is not None:
        yield gauge(name, text, value)


def gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=float(value))
