"""What the panel takes for a message, and what it does not."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.core.events import AcknowledgeCall, Issuer, OpenDoor, SetMode, ShelveAlarm, TestRelay
from gateway.panel import messages as m

COMMAND = {
    "type": "command",
    "id": "c1",
    "name": "open_door",
    "actor": "web:3",
    "via": "web",
    "expires_monotonic_ms": 5000,
    "args": {"door": "front", "reason": "delivery"},
}


def line(**changes: object) -> bytes:
    return json.dumps({**COMMAND, **changes}).encode() + b"\n"


def point(**told: object) -> bytes:
    base = {"type": "point", "point": "p", "reason": "", "fresh": True, "monotonic_ms": 5}
    return json.dumps({**base, **told}).encode() + b"\n"


def test_a_value_of_a_point_is_a_level_or_a_number() -> None:
    assert m.parse(point(active=True)) == m.PointTold("p", True, "", "", True, 5)
    assert m.parse(point(active=None, reason="no broker", fresh=False)) == m.PointTold(
        "p", None, "", "no broker", False, 5
    )
    told = m.parse(point(quantity="temperature_c", value=20))
    assert told == m.PointTold("p", 20.0, "temperature_c", "", True, 5)
    gap = m.parse(point(quantity="temperature_c", value=None, reason="gap"))
    assert gap == m.PointTold("p", None, "temperature_c", "gap", True, 5)


def test_a_command_becomes_the_buildings_event() -> None:
    message = m.parse(line(audit={"address": "::1"}))
    assert isinstance(message, m.CommandMessage)
    assert message.command == OpenDoor("c1", Issuer("web:3", "web"), 5000, "front", "delivery")
    assert message.audit == {"address": "::1"}


def test_every_command_has_its_arguments() -> None:
    mode = m.parse(line(name="set_mode", args={"door": "front", "mode": "off", "for_ms": 9}))
    assert isinstance(mode, m.CommandMessage)
    assert mode.command == SetMode("c1", Issuer("web:3", "web"), 5000, "front", "off", None, 9)
    args = {"call": "wc", "attends": "Anna", "seen_only": True}
    for some, wanted in ((args, ("wc", "Anna", True)), ({"call": "wc"}, ("wc", "", False))):
        seen = m.parse(line(name="acknowledge_call", args=some))
        assert isinstance(seen, m.CommandMessage)
        assert seen.command == AcknowledgeCall("c1", Issuer("web:3", "web"), 5000, *wanted)
    for wrong in ({"attends": "x" * 41}, {"attends": "a\n"}, {"seen_only": 1}):
        with pytest.raises(m.Malformed):
            m.parse(line(name="acknowledge_call", args={"call": "wc", **wrong}))
    shelve = m.parse(line(name="shelve_alarm", args={"alarm": "front/forced", "for_ms": 0}))
    assert isinstance(shelve, m.CommandMessage)
    assert shelve.command == ShelveAlarm("c1", Issuer("web:3", "web"), 5000, "front/forced", 0)
    relay = m.parse(line(name="test_relay", args={"point": "front.activation", "for_ms": 1000}))
    assert isinstance(relay, m.CommandMessage)
    assert relay.command == TestRelay("c1", Issuer("web:3", "web"), 5000, "front.activation", 1000)


@pytest.mark.parametrize(
    "wrong",
    [
        b"\n",
        b"[]\n",
        b"{}\n",
        b"\xff\n",
        b'{"type":"command"}\n',
        b'{"type":"shout"}\n',
        b'{"type":["hello"]}\n',
        b'{"type":"hello","role":"boss"}\n',
        b'{"type":"clock","trusted":1,"utc_ms":1,"monotonic_ms":1}\n',
        b'{"type":"clock","trusted":true,"utc_ms":NaN,"monotonic_ms":1}\n',
        b'{"type":"sent","lane":"fast","seq":1}\n',
        b'{"type":"sent","lane":"urgent","seq":true}\n',
        b'{"type":"recorded","recorder":"r","journal":"j","lanes":{"urgent":"1"}}\n',
        point(),
        point(active="on"),
        point(active=True, quantity="temperature_c", value=1),
        point(active=True, fresh=1),
        point(active=True, monotonic_ms=-1),
        point(active=True, point=""),
        point(quantity="temperature_c", value="20"),
        point(quantity="temperature_c", value=True),
        b'{"type":"point","point":"p","fresh":true,"monotonic_ms":1,"quantity":"x_c","value":1e999}\n',
        line(name="cancel_call"),
        line(name=""),
        line(via="phone"),
        line(actor=""),
        line(actor="x" * 501),
        line(id=None),
        line(expires_monotonic_ms=1.5),
        line(expires_monotonic_ms=2**60),
        line(args={"door": "front", "pulse_ms": 60_000}),
        line(args={"door": 3}),
        line(args=[]),
        line(name="set_mode", args={"door": "front", "mode": "party"}),
        line(name="shelve_alarm", args={"alarm": "front/forced", "for_ms": -1}),
        b'{"type":"bench","do":"press"}\n',
        line(id="\ud800"),
        line(audit={"says": ["\udfff"]}),
        b'{"type":"audit","actor":"a","action":"b","detail":{"x":1e999}}\n',
        b'{"type":"audit","actor":"a","action":"b","detail":{"x":' + b"[" * 99 + b"]" * 99 + b"}}",
        line().decode().encode("utf-16"),
        b"[" * 70_000 + b"\n",
        b"[" * 30_000 + b"\n",
    ],
)
def test_what_is_no_message_is_refused(wrong: bytes) -> None:
    with pytest.raises(m.Malformed):
        m.parse(wrong)


def test_half_a_character_in_an_answer_brings_nobody_down() -> None:
    """It ended the panel's thread, and in an audit entry the journal's."""
    assert m.encode({"reason": "\ud800"}) == b'{"reason":"?"}\n'


@given(st.binary(max_size=300))
def test_any_bytes_are_a_message_or_malformed(noise: bytes) -> None:
    try:
        m.parse(noise)
    except m.Malformed:
        return


json_values = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.just({"x": [1]})
)


@settings(suppress_health_check=[HealthCheck.too_slow])  # beside a busy core
@given(
    st.sampled_from(["hello", "command", "refused", "sent", "recorded", "clock", "link", "audit"]),
    st.dictionaries(
        st.sampled_from(["id", "name", "role", "actor", "via", "args", "lane", "seq", "lanes"]),
        json_values,
    ),
)
def test_any_fields_are_a_message_or_malformed(kind: str, fields: dict[str, object]) -> None:
    try:
        m.parse(m.encode({**fields, "type": kind}))
    except m.Malformed:
        return


# --- fields that a newer part adds ------------------------------------------------------------


def test_the_connection_as_an_older_link_reports_it() -> None:
    assert m.parse(b'{"type":"link","connected":true}') == m.LinkTold(True, "")
    assert m.parse(b'{"type":"link","connected":true,"aside":[],"broker":null}') == m.LinkTold(
        True, ""
    )


def test_the_connection_with_everything_that_link_knows_of_it() -> None:
    told: dict[str, object] = {
        "type": "link", "connected": True, "reason": "", "heard_ms": 5, "keepalive_ms": 10_000,
        "aside": [["t" * 600, "not authorized"]], "aside_count": 30,
        "broker": {"retain_available": False, "maximum_qos": 1, "maximum_packet_size": 1_000,
                   "topic_alias_maximum": 10, "server_keep_alive_s": 30, "new": "field"},
    }  # fmt: skip
    assert m.parse(m.encode(told)) == m.LinkTold(
        True, "", 5, 10_000, (("t" * 500, "not authorized"),), 30,
        m.BrokerLimits(False, 1, 1_000, 10, 30),
    )  # fmt: skip
    assert m.parse(m.encode({**told, "broker": {}})).broker == m.BrokerLimits()  # type: ignore[union-attr]
    few = m.parse(m.encode({**told, "aside_count": None}))
    assert isinstance(few, m.LinkTold)
    assert few.aside_count == 1


def test_what_a_recorder_set_aside_is_none_where_it_does_not_say() -> None:
    told: dict[str, object] = {
        "type": "recorded", "recorder": "main", "journal": "j", "lanes": {"urgent": 3}
    }  # fmt: skip
    assert m.parse(m.encode(told)) == m.Recorded("main", "j", {"urgent": 3})
    assert m.parse(m.encode({**told, "aside": 70})) == m.Recorded("main", "j", {"urgent": 3}, 70)


MALFORMED: tuple[dict[str, object], ...] = (
    {"type": "link", "connected": "yes"},
    {"type": "link", "connected": True, "heard_ms": -1},
    {"type": "link", "connected": True, "keepalive_ms": "10 s"},
    {"type": "link", "connected": True, "aside": "topic"},
    {"type": "link", "connected": True, "aside": [["t", "r"]] * 21},
    {"type": "link", "connected": True, "aside": [["t"]]},
    {"type": "link", "connected": True, "aside_count": True},
    {"type": "link", "connected": True, "broker": []},
    {"type": "link", "connected": True, "broker": {"retain_available": 1}},
    {"type": "link", "connected": True, "broker": {"maximum_qos": -1}},
    {"type": "recorded", "recorder": "main", "journal": "j", "lanes": {}, "aside": -1},
    {"type": "recorded", "recorder": "main", "journal": "j", "lanes": {"urgent": "all"}},
    {"type": "sent", "lane": "all", "seq": 1},
    {**COMMAND, "args": {"door": "front", "knock": True}},
    {**COMMAND, "name": "knock"},
)


@pytest.mark.parametrize("message", MALFORMED)
def test_a_field_that_is_there_and_wrong_is_told_apart(message: dict[str, object]) -> None:
    with pytest.raises(m.MalformedField) as caught:
        m.parse(m.encode(message))
    assert caught.value.id == message.get("id", "")


@pytest.mark.parametrize(
    "message", [{"type": "sent"}, {"type": "link"}, {"type": "hello"}, {"type": "knock"}]
)
def test_what_lacks_a_field_is_no_message(message: dict[str, object]) -> None:
    with pytest.raises(m.Malformed) as caught:
        m.parse(m.encode(message))
    assert not isinstance(caught.value, m.MalformedField)
