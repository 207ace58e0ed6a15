"""What the panel takes for a message, and what it does not."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.events import Issuer, OpenDoor, SetMode, ShelveAlarm, TestRelay
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
