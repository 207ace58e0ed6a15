"""What messages mean for contacts and meters, and what is told in ``control``."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers import ContactReport, MeterReport, mqtt_contact, mqtt_meter
from drivers.mqtt import subscribers
from tests.drivers.driver_bench import Heard

WINDOW = mqtt_contact.Settings(
    "zigbee2mqtt/window", "contact", active=("false",), inactive=("true",)
)
CLIMATE = mqtt_meter.Settings(
    "zigbee2mqtt/climate", {"temperature_c": "temperature", "battery_percent": "battery.level"}
)


def level(payload: bytes, settings: mqtt_contact.Settings = WINDOW) -> object:
    """True, False, None, or "nothing"."""
    found = mqtt_contact.read(settings, payload)
    if not found:
        return "nothing"
    (report,) = found
    assert isinstance(report, ContactReport)
    assert report.edge_ns is None
    assert report.active is not None or report.reason
    return report.active


def test_a_zigbee_window_contact_is_read() -> None:
    assert level(b'{"battery":100,"contact":false,"linkquality":87}') is True
    assert level(b'{"contact":true}') is False


PLAIN = mqtt_contact.Settings("a/b")


@pytest.mark.parametrize(
    ("payload", "meant"),
    [
        (b"ON", True),
        (b" off\n", False),
        (b"1", True),
        (b"0", False),
        (b"true", True),
        (b'"off"', False),
        (b"perhaps", None),
        (b"", None),
        (b"null", None),
        (b"\xff\xfe", None),
        (b"[" * 50_000, None),
        (b"x" * 70_000, None),
    ],
)
def test_a_plain_word_is_read_and_anything_else_is_unknown(payload: bytes, meant: object) -> None:
    assert level(payload, PLAIN) is meant


def test_a_message_that_does_not_speak_of_it_changes_nothing() -> None:
    assert level(b'{"battery":100}') == "nothing"
    assert level(b"no json") is None


def test_a_place_deeper_in_the_message_is_found() -> None:
    dotted = mqtt_contact.Settings("a", "air.PM2.5")
    assert level(b'{"air": {"PM2.5": "on"}}', dotted) is True
    assert level(b'{"air": {"PM2": {"5": "off"}}}', dotted) is False
    assert level(b'{"air.PM2.5": "on", "air": {"PM2.5": "off"}}', dotted) is True
    deep = mqtt_contact.Settings("a", "ports.1.state")
    assert level(b'{"ports":[{"state":"on"},{"state":"off"}]}', deep) is False
    assert level(b'{"ports":[]}', deep) == "nothing"


def test_another_word_is_nothing_for_a_button() -> None:
    button = mqtt_contact.Settings("a", "action", active=("single",), release_after_ms=500)
    assert level(b'{"action":"single"}', button) is True
    assert level(b'{"action":"double"}', button) == "nothing"
    assert level(b'{"action":""}', button) == "nothing"


@pytest.mark.parametrize("number", [b"1e301", b"-1.7e308", b"1e999", b"NaN", b"1" + b"0" * 400])
def test_a_number_that_measures_nothing_is_none(number: bytes) -> None:
    """Beyond 1e300 ``control`` did not take it, and closed the link's connection."""
    settings = mqtt_meter.Settings("a", {"load_percent": ""})
    assert mqtt_meter.read(settings, number) == [
        MeterReport("load_percent", None, "the message is no number")
    ]


@given(st.binary(max_size=200) | st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["contact", "temperature", "battery", "level"]), inner),
    max_leaves=8,
).map(lambda value: json.dumps(value).encode()))  # fmt: skip
def test_no_message_can_do_harm(payload: bytes) -> None:
    for report in mqtt_contact.read(WINDOW, payload):
        assert isinstance(report, ContactReport)
    for report in mqtt_meter.read(CLIMATE, payload):
        assert isinstance(report, MeterReport)
        assert report.value is None or abs(report.value) < float("inf")
        assert report.value is not None or report.reason


def test_quantities_are_read_and_what_is_no_number_is_a_gap_with_its_reason() -> None:
    payload = b'{"temperature":21.5,"battery":{"level":"97"},"humidity":40}'
    assert mqtt_meter.read(CLIMATE, payload) == [
        MeterReport("temperature_c", 21.5),
        MeterReport("battery_percent", 97.0),
    ]
    assert mqtt_meter.read(CLIMATE, b'{"temperature":null}') == [
        MeterReport("temperature_c", None, "temperature is no number")
    ]
    assert mqtt_meter.read(CLIMATE, b'{"temperature":1e999}') == [
        MeterReport("temperature_c", None, "temperature is no number")
    ]
    alone = mqtt_meter.Settings("a", {"flow_l_per_h": ""}, {"flow_l_per_h": 0}, {"flow_l_per_h": 9})
    assert mqtt_meter.read(alone, b"7.5") == [MeterReport("flow_l_per_h", 7.5)]


def test_bounds_come_from_the_unit_or_are_written() -> None:
    (celsius, percent) = mqtt_meter.quantities(CLIMATE)
    assert (celsius.lowest, celsius.highest) == (-60.0, 150.0)
    assert (percent.lowest, percent.highest) == (0.0, 100.0)
    with pytest.raises(ValueError, match="does not end in a unit"):
        mqtt_meter.Settings("a", {"flow_l_per_h": "flow"})
    with pytest.raises(ValueError, match="values has no humidity_percent"):
        mqtt_meter.Settings("a", {"temperature_c": "t"}, {"humidity_percent": 0})
    with pytest.raises(ValueError, match="values is empty"):
        mqtt_meter.Settings("a", {})


def test_a_topic_is_that_of_one_thing() -> None:
    for topic in ("", "a/+/b", "a/#", "x" * 300):
        with pytest.raises(ValueError, match="not that of one thing"):
            mqtt_contact.Settings(topic)
    with pytest.raises(ValueError, match="both say on"):
        mqtt_contact.Settings("a", active=("on",), inactive=("ON",))


def test_a_level_that_nobody_saw_change_comes_by_way_of_unknown(heard: Heard) -> None:
    """So the core does not take a kept message for a press."""
    contact = mqtt_contact.open(PLAIN, heard, name="c")
    subscribers.tell("c", ContactReport(False))
    subscribers.tell("c", ContactReport(True))
    subscribers.tell("c", ContactReport(False, 5))
    subscribers.lose("link_away")
    contact.close()
    assert not subscribers.tell("c", ContactReport(True))
    levels = [report.active for report in heard if isinstance(report, ContactReport)]
    assert levels == [None, False, None, True, False, None]


def test_each_point_is_told_what_is_of_its_sort_only(heard: Heard) -> None:
    meter = mqtt_meter.open(CLIMATE, heard, name="m")
    heard.clear()
    assert subscribers.tell("m", ContactReport(True))
    subscribers.tell("m", MeterReport("pressure_hpa", 1.0))
    subscribers.tell("m", MeterReport("temperature_c", 20.0))
    assert heard == [MeterReport("temperature_c", 20.0)]
    meter.close()
    contact = mqtt_contact.open(PLAIN, heard, name="m")
    heard.clear()
    subscribers.tell("m", MeterReport("temperature_c", 20.0))
    assert heard == []
    contact.close()
