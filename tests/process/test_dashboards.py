"""Every query of every dashboard finds something, in both stores, after a day of everything.

The building is a bench, and what happens goes the real way: ``control``, ``link``, a broker, and a
recorder for each store. A second gateway, of which only messages are there, has what a bench has
not: sensors by radio and a board with a thermometer.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from urllib.parse import urlencode

import pytest
from paho.mqtt import publish

from gateway.app import places
from gateway.app.configuration import load
from gateway.core.facts import Lane
from gateway.mqtt.topics import Topics
from gateway.wire import Row, rfc3339, to_cloudevent
from tests.deploy.dashboards import (
    DASHBOARDS,
    STORES,
    Query,
    Store,
    Variable,
    influxql,
    metricsql,
    variable_query,
)
from tests.process.parts import BENCH, House, house
from tests.process.parts_mqtt import Influx1, Mosquitto, Role, Victoria, eventually, http, running

pytestmark = pytest.mark.process

HOUR_MS = 3_600_000
LONG_AGO_MS = 10 * HOUR_MS
ALL = dict.fromkeys(("gateway", "door", "room", "point"), ".*")
BUILDING = (
    BENCH.replace("    cord: [wc.cord]\n", "    cord: [wc.cord]\n    escalation: care\n").replace(
        "every: 10 s", "every: 10 min"
    )
    + """
contacts: {care: {channels: [!secret care]}}
escalations: {care: [{after: 0 s, notify: care}]}
mqtt: {host: 127.0.0.1, port: PORT, tls: none}
"""
)


@dataclass(frozen=True)
class Stores:
    """Both, filled."""

    influx: Influx1
    victoria: Victoria
    begin_ms: int
    end_ms: int

    @property
    def range_s(self) -> int:
        return (self.end_ms - self.begin_ms) // 1000

    def ask_influx(self, query: Query) -> dict[tuple[str, ...], list[float]]:
        text = _filled(influxql(query)).replace(
            "$timeFilter", f"time >= {self.begin_ms}ms AND time <= {self.end_ms}ms"
        )
        return {
            tuple(one.get("tags", {}).get(tag, "") for tag in query.by): [
                row[1] for row in one["values"] if row[1] is not None
            ]
            for one in self.influx.query(text)
        }

    def ask_victoria(self, query: Query) -> dict[tuple[str, ...], list[float]]:
        text = _filled(metricsql(query)).replace("$__range", f"{self.range_s}s")
        asked: dict[str, Any] = {"query": text}
        if query.whole:
            path, asked["time"] = "query", self.end_ms / 1000
        else:
            path = "query_range"
            asked |= {"start": self.begin_ms / 1000, "end": self.end_ms / 1000, "step": 3600}
        return {
            tuple(one["metric"].get(tag, "") for tag in query.by): [
                float(value) for _, value in one.get("values", [one.get("value")])
            ]
            for one in self._victoria(path, asked)["result"]
        }

    def values(self, variable: Variable, store: Store) -> set[str]:
        """What a variable of a dashboard offers."""
        text = _filled(variable_query(variable, store))
        if store == "influxdb":
            return {row[1] for one in self.influx.query(text) for row in one["values"]}
        series, _, tag = text.removeprefix("label_values(").removesuffix(")").rpartition(", ")
        asked = {"match[]": series, "start": self.begin_ms // 1000, "end": self.end_ms // 1000}
        return set(self._victoria(f"label/{tag}/values", asked))

    def _victoria(self, path: str, asked: dict[str, Any]) -> Any:
        url = f"http://127.0.0.1:{self.victoria.port}/api/v1/{path}?{urlencode(asked)}"
        status, body = http(url)
        assert status == 200, body
        return json.loads(body)["data"]


def _filled(text: str) -> str:
    text = text.replace("$__interval", "1h")
    for name, value in ALL.items():
        text = text.replace(f"${name}", value)
    return text


def live(place: House) -> None:
    """Some hours in which everything happens that is on a dashboard."""

    def press(point: str, ms: int = 10_000) -> None:
        place.bench("press", point=point, for_ms=300)
        place.bench("travel", by_ms=ms)

    def command(name: str, **args: Any) -> None:
        place.command(name, **args)
        place.bench("travel", by_ms=1_000)

    for _ in range(3):
        press("front.button_outside", HOUR_MS)
    command("set_mode", door="front", mode="exit_only", for_ms=HOUR_MS)
    press("front.button_outside", HOUR_MS)
    press("wc.cord", 20_000)  # answered, attended, ended
    command("acknowledge_call", call="wc")
    press("wc.presence", 60_000)
    press("wc.cancel", HOUR_MS // 4)
    press("wc.cord", 20_000)  # answered, and nobody comes
    command("acknowledge_call", call="wc")
    place.bench("travel", by_ms=HOUR_MS)
    press("wc.cancel", HOUR_MS // 4)
    command("test_room", room="wc", for_ms=600_000)
    press("wc.cord", 20_000)
    press("wc.cancel", 20_000)
    command("acknowledge_call", call="nowhere")


def publish_cellar(port: int, utc_ms: int) -> None:
    """What a gateway with sensors by radio sends."""
    topics = Topics("cellar")
    messages: list[Any] = []

    def told(seq: int, kind: str, subject: str, lane: Lane, **data: Any) -> None:
        row = Row(seq, lane, seq, "b", seq, utc_ms + seq, kind, subject, data)
        text = json.dumps(to_cloudevent("cellar", "j", row, late=False))
        messages.append({"topic": topics.event(kind, subject), "payload": text, "qos": 1})

    told(1, "reading", "hall.window", "routine", quantity="battery_percent", value=81.0)
    told(2, "reading", "hall.window", "routine", quantity="rssi_dbm", value=-67.0)
    told(1, "command_refused", "cellar", "urgent", reason="unknown_call")
    health = {
        "journal": "j", "sent": {"urgent": 1, "routine": 2}, "boot": "b",
        "guarantees": {"call": {"value": "no"}, "clock": {"value": "yes"}},
        "backlog": 3, "oldest_unsent_s": 2.5, "aside_count": 1, "temperature_c": 51.5,
        "clock": {"trusted": True}, "disk": {"free_bytes": 10, "total_bytes": 20},
        "places": {"hall.window": {"room": "hall"}},
    }  # fmt: skip
    messages.append({"topic": topics.health, "payload": json.dumps(health), "qos": 1})
    publish.multiple(messages, "127.0.0.1", port)


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stores]:
    folder = tmp_path_factory.mktemp("dashboards")
    broker, influx, victoria = Mosquitto(folder), Influx1(folder), Victoria(folder)
    at = {"host": "127.0.0.1", "port": broker.port}
    begin_ms = int(time.time() * 1000) - LONG_AGO_MS
    place = house(folder, BUILDING.replace("PORT", str(broker.port)))
    (folder / "secrets").mkdir()
    (folder / "secrets" / "care").write_text("json://127.0.0.1:9/care\n")
    found = places.of(load.settings(place.config, need=()))
    link = {
        "gateway": "csg-office", "broker": at, "state": str(place.state),
        "places": {point: dict(one) for point, one in found.items()},
    }  # fmt: skip

    def recorder(name: str, store: str) -> Role:
        settings = {"name": name, "broker": at, "state": str(folder / name), "store": store}
        return Role(folder, f"record-{name}", "record", settings)

    parts = (
        broker, influx, victoria, Role(folder, "link", "link", link),
        recorder("influx", influx.store), recorder("victoria", victoria.store),
    )  # fmt: skip
    with contextlib.ExitStack() as stack:
        stack.callback(place.end)
        place.control("--bench-start", rfc3339(begin_ms).replace("Z", "+00:00"))
        stack.enter_context(running(*parts))
        eventually(lambda: place.snapshot()["clock_trusted"])
        live(place)
        publish_cellar(broker.port, begin_ms + HOUR_MS)
        wanted = [
            *((row.kind, row.seq) for row in place.rows() if row.lane != "local"),
            ("command_refused", 1), ("reading", 1), ("reading", 2),
        ]  # fmt: skip
        made = Stores(influx, victoria, begin_ms - HOUR_MS, int(time.time() * 1000) + HOUR_MS)
        for points in (influx.points, victoria.points):
            eventually(partial(_holds, points, sorted(wanted)), 120)
        eventually(lambda: _have_health(made), 180)  # once a minute, of all gateways together
        yield made


def _holds(points: Callable[[], list[tuple[str, int, int]]], wanted: list[tuple[str, int]]) -> bool:
    return sorted((kind, seq) for kind, _, seq in points()) == wanted


def _have_health(stores: Stores) -> bool:
    query = Query("last", "health", "backlog", by=("gateway",), whole=True)
    both = {("cellar",), ("csg-office",)}
    return stores.ask_influx(query).keys() == both == stores.ask_victoria(query).keys()


QUERIES = [
    pytest.param(query, id=f"{board.uid}-{panel.title}-{number}")
    for board in DASHBOARDS
    for number, (panel, query) in enumerate(board.queries)
]


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_finds_something_in_both_stores(stores: Stores, query: Query) -> None:
    found = {"influxdb": stores.ask_influx(query), "victoriametrics": stores.ask_victoria(query)}
    for store, series in found.items():
        values = [value for one in series.values() for value in one]
        assert values, store
        assert any(values) or query.field == "value", store
        assert all(all(tags) for tags in series) or not query.by, store


@pytest.mark.parametrize("query", QUERIES)
def test_both_stores_count_the_same(stores: Stores, query: Query) -> None:
    """Counts, and what is least and most. How a gateway is, each recorder has heard for itself."""
    if query.function not in ("sum", "count", "min", "max") or query.measurement == "health":
        return
    whole = replace(query, whole=True)
    assert stores.ask_influx(whole) == stores.ask_victoria(whole)


VARIABLES = sorted({(one.tag, one.measurement): one for b in DASHBOARDS for one in b.variables})
BY_NAME = {(one.tag, one.measurement): one for b in DASHBOARDS for one in b.variables}
OFFERED = {
    ("gateway", "health"): {"cellar", "csg-office"},
    ("subject", "door_opened"): {"front"},
    ("subject", "call_raised"): {"wc"},
    ("room", "place"): {"hall", "wc"},
}


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("name", VARIABLES)
def test_a_variable_offers_what_there_is(
    stores: Stores, name: tuple[str, str], store: Store
) -> None:
    found = stores.values(BY_NAME[name], store) - {""}
    if name == ("point", "place"):
        assert {"wc.climate", "hall.window", "front.leaf"} <= found
        assert "wc.pir" not in found  # which tells about people
    else:
        assert found == OFFERED[name]


@pytest.mark.parametrize("store", STORES)
def test_a_room_narrows_the_meters(
    stores: Stores, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ALL, "room", "hall")
    assert stores.values(BY_NAME["point", "place"], store) == {"hall.window"}


def test_what_was_never_recorded_is_not_found(stores: Stores) -> None:
    """The tests above can fail."""
    for query in (
        Query("sum", "fact", "count", {"kind": "nothing"}),
        Query("last", "health", "nothing", whole=True),
    ):
        assert not any(map(any, stores.ask_influx(query).values()))
        assert stores.ask_victoria(query) == {}


def test_refusals_have_their_reasons_and_openings_their_causes(stores: Stores) -> None:
    for ask in (stores.ask_influx, stores.ask_victoria):
        refused = Query(
            "sum", "fact", "count", {"kind": "door_request", "outcome": "refused"},
            ("reason",), whole=True,
        )  # fmt: skip
        assert ask(refused) == {("mode_exit_only",): [1.0]}
        opened = Query("sum", "fact", "count", {"kind": "door_opened"}, ("cause",), whole=True)
        assert ask(opened) == {("request",): [3.0]}
        calls = replace(opened, where={"kind": "call_raised"}, by=("cause", "test"))
        assert ask(calls) == {
            ("cord", "0"): [2.0], ("cord", "1"): [1.0], ("unattended", "0"): [1.0]
        }  # fmt: skip
