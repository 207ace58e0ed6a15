"""The dashboards in ``deploy/grafana``: each query is written once, for both stores.

``python -m tests.deploy.dashboards`` writes the files; ``make generated`` does, too. A query says
what is asked of which measurement; :func:`influxql` and :func:`metricsql` say it in the language of
InfluxDB 1.x and of VictoriaMetrics.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as field_
from pathlib import Path
from typing import Any, Final, Literal

FOLDER: Final = Path(__file__).resolve().parents[2] / "deploy" / "grafana"
Store = Literal["influxdb", "victoriametrics"]
STORES: Final[tuple[Store, ...]] = ("influxdb", "victoriametrics")
DATASOURCE: Final[Mapping[Store, Mapping[str, str]]] = {
    "influxdb": {"type": "influxdb", "uid": "portier-influxdb"},
    "victoriametrics": {"type": "prometheus", "uid": "portier-victoriametrics"},
}
Function = Literal["sum", "count", "mean", "min", "max", "last", "p50", "p95"]
_PERCENT: Final = {"p50": 50, "p95": 95}


@dataclass(frozen=True)
class Query:
    """One value per interval, or with ``whole`` one for all the time that is shown.

    ``where``: tag -> value, alternatives (``a|b``), or a variable (``$door``). ``by``: the tags
    that make a series of their own; ``legend``: a text of its own, where there is one series."""

    function: Function
    measurement: str
    field: str
    where: Mapping[str, str] = field_(default_factory=dict)
    by: tuple[str, ...] = ()
    legend: str = ""
    whole: bool = False

    @property
    def label(self) -> str:
        """How Grafana names its series, in the words of a Prometheus datasource."""
        tags = " ".join(f"{{{{{tag}}}}}" for tag in self.by)
        return " ".join(filter(None, (tags, self.legend)))


def influxql(query: Query) -> str:
    """The query in InfluxQL."""
    percent = _PERCENT.get(query.function)
    value = (
        f'percentile("{query.field}", {percent})'
        if percent
        else f'{query.function}("{query.field}")'
    )
    conditions = [
        f'"{tag}" =~ /^({one})$/' if "|" in one or one.startswith("$") else f"\"{tag}\" = '{one}'"
        for tag, one in {"gateway": "$gateway", **query.where}.items()
    ]
    groups = [*(() if query.whole else ("time($__interval)",)), *(f'"{tag}"' for tag in query.by)]
    return (
        f'SELECT {value} FROM "{query.measurement}" WHERE {" AND ".join(conditions)}'
        " AND $timeFilter"
        + (f" GROUP BY {', '.join(groups)}" if groups else "")
        + ("" if query.whole else f" fill({'0' if query.function in ('sum', 'count') else 'none'})")
    )


_OUTER: Final = {"sum": "sum", "count": "sum", "mean": "avg", "min": "min", "max": "max",
                 "last": "max", "p50": "max", "p95": "max"}  # fmt: skip
"""How the series of a store become one series of the dashboard. A percentile is of one series of
the store: ``by`` names the tags that tell them apart."""


def metricsql(query: Query) -> str:
    """The query in MetricsQL, which is PromQL here but for nothing."""
    matchers = ", ".join(
        f'{tag}=~"{one}"' if "|" in one or one.startswith("$") else f'{tag}="{one}"'
        for tag, one in {"gateway": "$gateway", **query.where}.items()
    )
    window = "$__range" if query.whole else "$__interval"
    series = f"{query.measurement}_{query.field}{{{matchers}}}[{window}]"
    percent = _PERCENT.get(query.function)
    inner = (
        f"quantile_over_time({percent / 100}, {series})"
        if percent
        else f"{'avg' if query.function == 'mean' else query.function}_over_time({series})"
    )
    by = f" by ({', '.join(query.by)})" if query.by else ""
    return f"{_OUTER[query.function]}{by} ({inner})"


@dataclass(frozen=True)
class Variable:
    """A choice above the dashboard: the values of a tag, of one measurement and field. ``within``
    narrows them to the choice of other variables."""

    name: str
    label: str
    measurement: str
    field: str
    tag: str
    within: Mapping[str, str] = field_(default_factory=dict)


def variable_query(one: Variable, store: Store) -> str:
    """How the store is asked for the values of a variable."""
    if store == "influxdb":
        where = " AND ".join(f'"{tag}" =~ /^({value})$/' for tag, value in one.within.items())
        asked = f'SHOW TAG VALUES FROM "{one.measurement}" WITH KEY = "{one.tag}"'
        return f"{asked} WHERE {where}" if where else asked
    matchers = ", ".join(f'{tag}=~"{value}"' for tag, value in one.within.items())
    series = f"{one.measurement}_{one.field}" + (f"{{{matchers}}}" if matchers else "")
    return f"label_values({series}, {one.tag})"


GATEWAY: Final = Variable("gateway", "Gateway", "health", "backlog", "gateway")
_OF_GATEWAY: Final = {"gateway": "$gateway"}
DOOR: Final = Variable("door", "Door", "door_opened", "seq", "subject", _OF_GATEWAY)
CALL_ROOM: Final = Variable("room", "Room", "call_raised", "seq", "subject", _OF_GATEWAY)
ROOM: Final = Variable("room", "Room", "place", "present", "room", _OF_GATEWAY)
POINT: Final = Variable(
    "point", "Meter", "place", "present", "point", {**_OF_GATEWAY, "room": "$room"}
)
"""All points of the room; those that are no meters have no readings."""

Look = Literal["timeseries", "stat", "bargauge", "state-timeline"]


@dataclass(frozen=True)
class Panel:
    """``wide``: of the 24 columns of Grafana. ``unit``: in Grafana's words. ``every``: the shortest
    interval. ``bars``: counts are bars, values are lines. ``good``: 1 is green and 0 red."""

    title: str
    text: str
    look: Look
    queries: Sequence[Query]
    unit: str = "none"
    wide: int = 12
    high: int = 8
    every: str = "1m"
    bars: bool = False
    good: bool = False


@dataclass(frozen=True)
class Dashboard:
    uid: str
    title: str
    text: str
    panels: Sequence[Panel]
    variables: Sequence[Variable] = ()

    @property
    def queries(self) -> Iterator[tuple[Panel, Query]]:
        for panel in self.panels:
            for query in panel.queries:
                yield panel, query


# --- what is shown ------------------------------------------------------------------------------


def facts(
    kind: str,
    *by: str,
    whole: bool = False,
    where: Mapping[str, str] | None = None,
) -> Query:
    """How many facts of a kind there were."""
    found = {"kind": kind, **(where or {})}
    return Query("sum", "fact", "count", found, by, whole=whole)


def total(title: str, text: str, query: Query, unit: str = "none", wide: int = 6) -> Panel:
    """One number for all the time that is shown."""
    return Panel(title, text, "stat", (query,), unit, wide, high=4)


def bars(title: str, text: str, *queries: Query, wide: int = 12) -> Panel:
    """Counts over time."""
    return Panel(title, text, "timeseries", queries, wide=wide, every="1h", bars=True)


REFUSALS: Final = "door_request|refusals_counted"
REFUSED: Final = {"outcome": "refused"}
REAL: Final = {"test": "0"}
_DOOR: Final = {"subject": "$door"}
_ROOM: Final = {"subject": "$room"}
_METER: Final = {"point": "$point"}


def _after(kind: str, what: str) -> Panel:
    """How long it takes until something happens to a call, per room."""
    queries = tuple(
        Query(function, "fact", "after_ms", {"kind": kind, **REAL, **_ROOM}, ("subject",), function)
        for function in ("p50", "p95")
    )
    return Panel(
        f"Time until {what}",
        "From the pull of the cord, per room, never per person; without tests.",
        "timeseries", queries, "ms", 8, every="1h",
    )  # fmt: skip


def _quantity(title: str, quantity: str, unit: str, wide: int = 12, text: str = "") -> Panel:
    query = Query("mean", "reading", "value", {"quantity": quantity, **_METER}, ("point",))
    return Panel(title, text, "timeseries", (query,), unit, wide, every="15m")


DASHBOARDS: Final = (
    Dashboard(
        "portier-building",
        "Portier: building",
        "What happens in the building, and whether Portier keeps its promises.",
        (
            total("Calls", "Emergency calls, without tests.",
                  facts("call_raised", where=REAL, whole=True)),
            total("Unattended", "Calls that were raised again because nobody came.",
                  facts("call_raised", where={"cause": "unattended"}, whole=True)),
            total("Openings", "Of all doors, by button, hand and staff.",
                  facts("door_opened", whole=True)),
            total("Refused", "Requests for a door that were refused.",
                  facts(REFUSALS, where=REFUSED, whole=True)),
            Panel("Guarantees", "What Portier promises: 1 is kept, 0 is not. A gap is unknown.",
                  "state-timeline",
                  (Query("last", "guarantee", "value", by=("gateway", "guarantee")),),
                  wide=24, every="5m", good=True),
            bars("Openings per door", "How often each door opened.",
                 facts("door_opened", "subject")),
            bars("Alarms", "New alarms by severity.", facts("alarm_raised", "severity")),
            Panel("Most frequent alarms", "By kind, in the time that is shown.", "bargauge",
                  (facts("alarm_raised", "alarm", whole=True),)),
            Panel("Temperature", "Mean of each meter.", "timeseries",
                  (Query("mean", "reading", "value", {"quantity": "temperature_c"}, ("point",)),),
                  "celsius", every="15m"),
        ),
        (GATEWAY,),
    ),
    Dashboard(
        "portier-door",
        "Portier: doors",
        "How doors are used, how fast they open, and what is refused.",
        (
            total("Openings", "In the time that is shown.",
                  facts("door_opened", whole=True, where=_DOOR)),
            total("Refused", "Requests that were refused.",
                  facts(REFUSALS, where={**REFUSED, **_DOOR}, whole=True)),
            total("Press to open, median", "From the press to the leaf leaving its frame.",
                  Query("p50", "door_opened", "press_to_open_ms", _DOOR, ("subject",), whole=True),
                  "ms"),
            total("Press to open, p95", "95 of 100 openings are faster.",
                  Query("p95", "door_opened", "press_to_open_ms", _DOOR, ("subject",), whole=True),
                  "ms"),
            bars("Openings by cause", "request: by button or staff; hand: nobody had asked.",
                 facts("door_opened", "cause", where=_DOOR)),
            bars("Requests by outcome",
                 "merged: the door was on its way already; extended: it stays open for longer.",
                 facts(REFUSALS, "outcome", where=_DOOR)),
            Panel("Press to open", "Median and 95 of 100, per door.", "timeseries",
                  (Query("p50", "door_opened", "press_to_open_ms", _DOOR, ("subject",), "p50"),
                   Query("p95", "door_opened", "press_to_open_ms", _DOOR, ("subject",), "p95")),
                  "ms", every="1h"),
            Panel("Refusals by reason", "The reasons are those of the page.", "bargauge",
                  (facts(REFUSALS, "reason", where={**REFUSED, **_DOOR}, whole=True),)),
            bars("Changes of the mode", "By the mode that began.",
                 facts("door_mode", "mode", where=_DOOR)),
            Panel("How long it stays open", "95 of 100 openings are shorter.", "timeseries",
                  (Query("p95", "door_closed", "open_ms", _DOOR, ("subject",)),), "ms",
                  every="1h"),
        ),
        (GATEWAY, DOOR),
    ),
    Dashboard(
        "portier-calls",
        "Portier: emergency calls",
        "How often help is called, and how soon somebody comes.",
        (
            total("Calls", "Without tests.",
                  facts("call_raised", where={**REAL, **_ROOM}, whole=True)),
            total("Unattended", "Raised again because nobody came.",
                  facts("call_raised", where={"cause": "unattended", **_ROOM}, whole=True)),
            total("Tests", "Test calls.",
                  facts("call_raised", where={"test": "1", **_ROOM}, whole=True)),
            total("Longest time until somebody was there", "In the time that is shown.",
                  Query("max", "fact", "after_ms", {"kind": "call_attended", **REAL, **_ROOM},
                        whole=True), "ms"),
            _after("call_acknowledged", "somebody answers"),
            _after("call_attended", "somebody is there"),
            _after("call_cancelled", "the call is ended"),
            bars("Calls per room", "Without tests.",
                 facts("call_raised", "subject", where={**REAL, **_ROOM})),
            bars("Messages", "sent: on the way; delivered; failed; skipped.",
                 facts("message", "result")),
        ),
        (GATEWAY, CALL_ROOM),
    ),
    Dashboard(
        "portier-climate",
        "Portier: climate",
        "Temperature, humidity and dew point, and how the sensors are.",
        (
            _quantity("Temperature", "temperature_c", "celsius"),
            _quantity("Humidity", "humidity_percent", "percent"),
            _quantity("Dew point", "dew_point_c", "celsius",
                      text="Below the temperature of a wall water settles there."),
            Panel("Coldest and warmest", "In the time that is shown.", "stat",
                  (Query("min", "reading", "value", {"quantity": "temperature_c", **_METER},
                         ("point",), "min", whole=True),
                   Query("max", "reading", "value", {"quantity": "temperature_c", **_METER},
                         ("point",), "max", whole=True)), "celsius"),
            _quantity("Battery", "battery_percent", "percent", text="Of sensors by radio."),
            _quantity("Signal", "rssi_dbm", "dBm", text="Below -90 dBm telegrams get lost."),
        ),
        (GATEWAY, ROOM, POINT),
    ),
    Dashboard(
        "portier-gateway",
        "Portier: gateways",
        "Whether gateways send, record and have room.",
        (
            total("Not sent", "Facts that the broker does not have yet.",
                  Query("last", "health", "backlog", by=("gateway",), whole=True)),
            total("Free space", "Of the state folder.",
                  Query("last", "health", "disk_free_bytes", by=("gateway",), whole=True), "bytes"),
            total("Refused by the broker", "Messages that are set aside.",
                  Query("last", "health", "refused", by=("gateway",), whole=True)),
            total("Starts", "A gateway that starts often has a reason.",
                  Query("count", "gateway_started", "seq", by=("gateway",), whole=True)),
            Panel("Guarantees", "1 is kept, 0 is not. A gap is unknown.", "state-timeline",
                  (Query("last", "guarantee", "value", by=("gateway", "guarantee")),), wide=24,
                  every="5m", good=True),
            Panel("Not sent", "How many facts wait, and how old the oldest is.", "timeseries",
                  (Query("max", "health", "backlog", by=("gateway",), legend="facts"),
                   Query("max", "health", "oldest_unsent_s", by=("gateway",), legend="age (s)")),
                  every="5m"),
            Panel("Free space", "Of the file system of the state folder.", "timeseries",
                  (Query("min", "health", "disk_free_bytes", by=("gateway",)),), "bytes",
                  every="5m"),
            Panel("Temperature of the board", "A Raspberry Pi slows down at 80 °C.", "timeseries",
                  (Query("max", "health", "temperature_c", by=("gateway",)),), "celsius",
                  every="5m"),
            Panel("Clock", "1 while a time service keeps it.", "state-timeline",
                  (Query("last", "health", "clock_trusted", by=("gateway",)),), every="5m",
                  good=True),
            bars("Refused commands", "By reason; of doors see there.",
                 facts("command_refused", "reason")),
        ),
        (GATEWAY,),
    ),
)  # fmt: skip


# --- Grafana's files ----------------------------------------------------------------------------


def files() -> dict[Path, str]:
    """Every file with its text."""
    found = {}
    for store in STORES:
        for dashboard in DASHBOARDS:
            path = FOLDER / "dashboards" / store / f"{dashboard.uid}.json"
            text = json.dumps(document(dashboard, store), indent=1, ensure_ascii=False)
            found[path] = text + "\n"
    return found


def document(dashboard: Dashboard, store: Store) -> dict[str, Any]:
    """A dashboard as Grafana reads it."""
    panels: list[dict[str, Any]] = []
    x = y = high = 0
    for number, panel in enumerate(dashboard.panels, start=1):
        if x + panel.wide > 24:
            x, y, high = 0, y + high, 0
        at = {"x": x, "y": y, "w": panel.wide, "h": panel.high}
        panels.append(_panel(panel, number, at, store))
        x, high = x + panel.wide, max(high, panel.high)
    return {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "description": dashboard.text,
        "tags": ["portier"],
        "editable": True,
        "graphTooltip": 1,
        "schemaVersion": 38,
        "version": 1,
        "refresh": "1m",
        "time": {"from": "now-7d", "to": "now"},
        "timezone": "browser",
        "annotations": {"list": []},
        "links": [
            {"title": "Portier", "type": "dashboards", "tags": ["portier"], "asDropdown": True,
             "includeVars": False, "keepTime": True}
        ],
        "templating": {"list": [_variable(one, store) for one in dashboard.variables]},
        "panels": panels,
    }  # fmt: skip


def _variable(one: Variable, store: Store) -> dict[str, Any]:
    asked = variable_query(one, store)
    return {
        "name": one.name,
        "label": one.label,
        "type": "query",
        "datasource": dict(DATASOURCE[store]),
        "definition": asked,
        "query": asked if store == "influxdb" else {"query": asked, "refId": one.name},
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        # of meters only those of the chosen rooms
        "allValue": None if "room" in one.within else ".*",
        "current": {"text": ["All"], "value": ["$__all"], "selected": True},
    }


GREEN, RED, BLUE = "green", "red", "blue"


def _panel(panel: Panel, number: int, at: Mapping[str, int], store: Store) -> dict[str, Any]:
    steps = (
        [{"color": RED, "value": None}, {"color": GREEN, "value": 1}]
        if panel.good
        else [{"color": BLUE, "value": None}]
    )
    defaults: dict[str, Any] = {
        "unit": panel.unit,
        "color": {"mode": "thresholds" if panel.look != "timeseries" else "palette-classic"},
        "thresholds": {"mode": "absolute", "steps": steps},
        "custom": {},
        "noValue": "nothing recorded",
    }
    if panel.good:
        words = {"0": {"text": "no", "color": RED}, "1": {"text": "yes", "color": GREEN}}
        defaults["mappings"] = [{"type": "value", "options": words}]
        defaults["custom"] = {"fillOpacity": 70, "lineWidth": 0}
    elif panel.look == "timeseries":
        defaults["custom"] = (
            {"drawStyle": "bars", "fillOpacity": 80, "stacking": {"mode": "normal", "group": "A"}}
            if panel.bars
            else {"drawStyle": "line", "lineInterpolation": "stepAfter", "spanNulls": 3_600_000}
        )
        defaults["decimals"] = 0 if panel.bars else None
    options: dict[str, Any] = {}
    if panel.look in ("stat", "bargauge"):
        # one number per series, whichever of its points comes last
        options = {
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            "orientation": "horizontal" if panel.look == "bargauge" else "auto",
        }
        if panel.look == "bargauge":
            options["displayMode"] = "basic"
    elif panel.look == "timeseries":
        options = {
            "legend": {"displayMode": "list", "placement": "bottom"},
            "tooltip": {"mode": "multi"},
        }
    return {
        "id": number,
        "title": panel.title,
        "description": panel.text,
        "type": panel.look,
        "datasource": dict(DATASOURCE[store]),
        "gridPos": dict(at),
        "interval": panel.every,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": options,
        "targets": [
            _target(query, chr(ord("A") + index), store)
            for index, query in enumerate(panel.queries)
        ],
    }


def _target(query: Query, letter: str, store: Store) -> dict[str, Any]:
    target: dict[str, Any] = {"refId": letter, "datasource": dict(DATASOURCE[store])}
    if store == "influxdb":
        alias = " ".join(filter(None, (*(f"$tag_{tag}" for tag in query.by), query.legend)))
        return target | {
            "query": influxql(query),
            "rawQuery": True,
            "resultFormat": "time_series",
            "alias": alias or query.measurement,
        }
    return target | {
        "expr": metricsql(query),
        "legendFormat": query.label or query.measurement,
        "instant": query.whole,
        "range": not query.whole,
        "editorMode": "code",
    }


def main() -> None:
    """Write the files, and remove those of dashboards that are no more."""
    made = files()
    for path in (FOLDER / "dashboards").rglob("*.json"):
        if path not in made:
            path.unlink()
    for path, text in made.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
