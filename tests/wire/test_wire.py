"""CloudEvents out and in, their schemas, and the AsyncAPI document."""

from __future__ import annotations

import contextlib
import json
import math
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import wire
from gateway.core.facts import KINDS
from gateway.wire import Event, Row, WireError

NAMES = st.text("abcdefgh-_.0123456789äß", min_size=1, max_size=20)
ROW = Row(
    row=9,
    lane="urgent",
    seq=42,
    boot="3f1c",
    mono_ms=12_345,
    utc_ms=1_700_000_000_123,
    kind="door_opened",
    subject="front",
    data={"cause": "request", "assumed": False, "press_to_open_ms": 420},
)


def test_an_event_is_exactly_as_the_contract_says() -> None:
    assert wire.to_cloudevent("csg-office", "a1b2", ROW, late=True) == {
        "specversion": "1.0",
        "id": "csg-office/a1b2/urgent/42",
        "source": "/portier/csg-office",
        "type": "portier.door_opened.v1",
        "subject": "front",
        "time": "2023-11-14T22:13:20.123Z",
        "datacontenttype": "application/json",
        "lane": "urgent",
        "sequence": "00000000000000000042",
        "bootid": "3f1c",
        "monotonicms": 12_345,
        "late": True,
        "data": {"cause": "request", "assumed": False, "press_to_open_ms": 420},
    }


@pytest.mark.parametrize("utc_ms", [None, -1, 253_402_300_800_000])
def test_time_is_absent_while_it_is_not_known(utc_ms: int | None) -> None:
    row = Row(1, "urgent", 1, "b", 0, utc_ms, "opened_by_hand", "front", {})
    event = wire.to_cloudevent("gw", "j", row, late=False)
    assert "time" not in event
    assert wire.from_cloudevent(event).utc_ms is None


def test_the_local_lane_never_leaves_the_gateway() -> None:
    row = Row(1, "local", 1, "b", 0, None, "motion", "wc.pir", {})
    with pytest.raises(ValueError, match="local"):
        wire.to_cloudevent("gw", "j", row, late=False)


@st.composite
def _rows(draw: st.DrawFn) -> Row:
    kind = draw(st.sampled_from([kind for kind in KINDS.values() if kind.lane != "local"]))
    values = {
        "int": st.integers(-(2**53), 2**53),
        "float": st.floats(allow_nan=False, allow_infinity=False),
        "bool": st.booleans(),
        "range": st.lists(st.integers(0, 2**53), min_size=2, max_size=2),
        "str": st.text(max_size=30),
    }
    data: dict[str, Any] = {}
    for name, wanted in kind.fields.items():
        value = draw(values[wanted.rstrip("?")])
        if not wanted.endswith("?") or draw(st.booleans()):
            data[name] = value
    return Row(
        row=draw(st.integers(1, 2**60)),
        lane=kind.lane,
        seq=draw(st.integers(1, 2**63 - 1)),
        boot=draw(NAMES),
        mono_ms=draw(st.integers(0, 2**53)),
        utc_ms=draw(st.none() | st.integers(0, 253_402_300_799_999)),
        kind=kind.name,
        subject=draw(NAMES | st.just("front/left_open")),
        data=data,
    )


@given(_rows(), NAMES, st.booleans())
def test_what_goes_out_comes_in_the_same(row: Row, gateway: str, late: bool) -> None:
    text = json.dumps(wire.to_cloudevent(gateway, "a1b2", row, late=late))
    assert wire.from_cloudevent(json.loads(text)) == Event(
        gateway=gateway,
        journal="a1b2",
        lane=row.lane,
        seq=row.seq,
        boot=row.boot,
        mono_ms=row.mono_ms,
        utc_ms=row.utc_ms,
        kind=row.kind,
        subject=row.subject,
        data=row.data,
        late=late,
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
KEYS = st.sampled_from(sorted(wire.to_cloudevent("gw", "j", ROW, late=False)))


@given(JSON)
def test_anything_may_come_in_and_only_a_wire_error_comes_out(anything: object) -> None:
    with pytest.raises(WireError):
        wire.from_cloudevent(anything)


@given(KEYS, JSON | st.text("0123456789.-:TZ/portier", max_size=30))
def test_an_event_with_one_wrong_part_is_refused_or_read(key: str, value: object) -> None:
    event = wire.to_cloudevent("gw", "j", ROW, late=False)
    event[key] = value  # type: ignore[assignment]  # anything at all, on purpose
    with contextlib.suppress(WireError):
        assert isinstance(wire.from_cloudevent(event), Event)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"specversion": "0.3"}, "specversion"),
        ({"type": "portier.door_opened.v2"}, "type"),
        ({"type": "other.door_opened.v1"}, "type"),
        ({"source": "/portier/another"}, "source"),
        ({"id": "gw/j/urgent"}, "id"),
        ({"id": "gw/j/urgent/43"}, "sequence differs"),
        ({"id": "gw/j/routine/42"}, "lane"),
        ({"id": "gw/j/local/42", "lane": "local"}, "lane"),
        ({"sequence": "42"}, "sequence"),
        ({"sequence": "0" * 20, "id": "gw/j/urgent/0"}, "sequence"),
        ({"sequence": "٤" * 20}, "sequence"),
        ({"sequence": "9" * 20}, "sequence"),
        ({"time": "2023-11-14T22:13:20Z"}, "time"),
        ({"time": "2023-02-31T22:13:20.000Z"}, "time"),
        ({"time": "1969-12-31T23:59:59.999Z"}, "time"),
        ({"monotonicms": 1.5}, "monotonicms"),
        ({"monotonicms": True}, "monotonicms"),
        ({"late": 1}, "late"),
        ({"bootid": ""}, "bootid"),
        ({"subject": None}, "subject"),
        ({"data": []}, "data"),
        ({"data": {"cause": "request"}}, "data.assumed"),
        ({"data": {"cause": 1, "assumed": True}}, "data.cause"),
    ],
)
def test_a_wrong_part_is_named(change: dict[str, Any], reason: str) -> None:
    event = {**wire.to_cloudevent("gw", "j", ROW, late=False), **change}
    with pytest.raises(WireError, match=reason):
        wire.from_cloudevent(event)


@pytest.mark.parametrize("value", [math.nan, math.inf, True, "21", 2**70])
def test_a_reading_that_is_no_number_is_refused(value: object) -> None:
    row = Row(1, "routine", 1, "b", 0, None, "reading", "m", {"quantity": "t", "value": None})
    event = wire.to_cloudevent("gw", "j", row, late=False)
    with pytest.raises(WireError, match=r"data\.value"):
        wire.from_cloudevent({**event, "data": {"quantity": "t", "value": value}})


def test_kinds_and_fields_of_a_newer_gateway_are_let_through() -> None:
    event = wire.to_cloudevent("gw", "j", ROW, late=False)
    newer = {**event, "type": "portier.teleported.v1", "data": {"any": [1]}}
    assert wire.from_cloudevent(newer).kind == "teleported"
    more = {**event, "data": {**ROW.data, "more": 1}}
    assert wire.from_cloudevent(more).data["more"] == 1


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_each_kind_has_a_json_schema(kind: Any) -> None:
    schema = wire.data_schema(kind)
    assert set(schema["properties"]) == set(kind.fields)  # type: ignore[arg-type]  # an object
    required = [name for name, wanted in kind.fields.items() if not wanted.endswith("?")]
    assert schema["required"] == required
    json.dumps(schema)


@given(_rows())
def test_what_goes_out_has_what_the_schema_requires(row: Row) -> None:
    schema: Any = wire.event_schema(KINDS[row.kind])
    event = wire.to_cloudevent("gw", "j", row, late=False)
    assert set(schema["required"]) <= set(event) <= set(schema["properties"])
    assert schema["properties"]["lane"]["enum"] == [row.lane]
    assert schema["properties"]["type"]["const"] == event["type"]


def _references(node: object) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [ref for value in node.values() for ref in _references(value)]
    return [ref for value in node for ref in _references(value)] if isinstance(node, list) else []


@pytest.mark.parametrize("gateway", ["{gateway}", "csg-office"])
def test_the_asyncapi_document_is_whole(gateway: str) -> None:
    document: Any = wire.asyncapi(gateway)
    assert document["asyncapi"] == "3.0.0"
    json.dumps(document)
    for reference in _references(document):
        node = document
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]
    addresses = {channel["address"] for channel in document["channels"].values()}
    assert {
        f"portier/{gateway}/{rest}"
        for rest in (
            "availability",
            "info",
            "health",
            "state/door/{door}",
            "state/alarms",
            "event/{kind}/{subject}",
            "recorded/{recorder}",
            "replay/{recorder}",
            "absent",
            "command/door/{door}/open",
            "command/door/{door}/mode",
            "command/alarm/{alarm}/acknowledge",
            "response/{command}",
        )
    } <= addresses
    for channel in document["channels"].values():
        wanted = {part[1:-1] for part in channel["address"].split("/") if part[0] == "{"}
        assert set(channel.get("parameters", {})) == wanted
    for operation in document["operations"].values():
        assert operation["action"] in ("send", "receive")
        assert set(operation["bindings"]["mqtt"]) == {"qos", "retain", "bindingVersion"}


@pytest.mark.parametrize(
    ("broker", "host", "protocol", "shown_by"),
    [
        (None, "{broker}", "secure-mqtt", ["certificate"]),
        (wire.Broker("mqtt.example.org", 8884), "mqtt.example.org:8884", "secure-mqtt",
         ["certificate"]),
        (wire.Broker("10.0.0.2", 1883, False, "password"), "10.0.0.2:1883", "mqtt", ["password"]),
        (wire.Broker("", 1883, False, "nothing"), "{broker}", "mqtt", []),
    ],
)  # fmt: skip
def test_the_asyncapi_document_says_where_the_broker_is(
    broker: wire.Broker | None, host: str, protocol: str, shown_by: list[str]
) -> None:
    document: Any = wire.asyncapi(broker=broker)
    server = document["servers"]["broker"]
    assert (server["host"], server["protocol"]) == (host, protocol)
    assert server.get("security", []) == [
        {"$ref": f"#/components/securitySchemes/{name}"} for name in shown_by
    ]
    assert set(shown_by) <= document["components"]["securitySchemes"].keys()
    if host == "{broker}":
        assert server["variables"]["broker"]["default"].startswith("localhost:")


def test_the_asyncapi_document_has_what_linters_ask_for() -> None:
    document: Any = wire.asyncapi()
    assert {"license", "tags", "description"} <= document["info"].keys()
    for name, operation in document["operations"].items():
        quality = operation["bindings"]["mqtt"]
        assert operation["description"].endswith("."), name
        if operation["action"] == "send":
            assert ("not retained" not in operation["description"]) == quality["retain"], name
            assert f"QoS {quality['qos']}," in operation["description"], name


def test_every_published_kind_is_a_message_of_the_asyncapi_document() -> None:
    document: Any = wire.asyncapi()
    messages = set(document["channels"]["event"]["messages"])
    assert messages == {kind.name for kind in KINDS.values() if kind.lane != "local"}


def test_commands_are_never_retained_and_events_arrive_at_least_once() -> None:
    operations: Any = wire.asyncapi()["operations"]
    for name, operation in operations.items():
        if "Command" in name:
            assert operation["action"] == "receive"
            assert operation["bindings"]["mqtt"]["retain"] is False
    assert operations["sendEvent"]["bindings"]["mqtt"]["qos"] == 1


@pytest.mark.parametrize("utc_ms", [-(10**30), -1, 0, 253_402_300_799_999, 10**30, 1e308])
@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago", "Europe/Berlin"])
def test_every_instant_can_be_shown_in_every_zone(utc_ms: float, zone: str) -> None:
    shown = wire.calendar_time(utc_ms, ZoneInfo(zone))
    assert shown.strftime("%d.%m.%Y %H:%M:%S")
    if abs(utc_ms) < 10:
        assert shown == datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=utc_ms)
