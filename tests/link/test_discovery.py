"""What Home Assistant is told: read with its own template language, and obeyed by our desk."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from jinja2 import StrictUndefined
from jinja2.sandbox import SandboxedEnvironment

from gateway.core.events import MODES
from gateway.link import discovery, state
from gateway.link.commands import Accepted, Desk, Issuer, Now, Refused
from gateway.link.discovery import DescribedPoint
from gateway.mqtt.topics import Topics
from tests.page.fake import called, contact, room
from tests.page.fake import door as a_door

TOPICS = Topics("csg")


def now() -> Now:
    return Now(50_000, int(datetime.now(UTC).timestamp() * 1000), True, 0)


def snapshot() -> Any:
    return {
        "gateway": {"id": "csg", "name": "Office", "version": "1"},
        "now_ms": 5_000,
        "utc_offset_ms": 1_700_000_000_000,
        "doors": {"front": a_door("Haupteingang"), "side.west": a_door("West", state="open")},
        "rooms": {"wc": room("WC")},
        "points": {
            "wc.climate": {
                "kind": "meter", "active": None, "since_ms": 1,
                "quantities": {
                    "temperature_c": {"value": 21.337, "at_ms": 1},
                    "humidity_percent": {"value": None, "at_ms": 1},
                },
            }
        },
        "alarms": [{"id": "front/left_open", "state": "active"}],
    }  # fmt: skip


def components(told: Any = None, language: str = "de", issuer: str = "") -> dict[str, Any]:
    """All of all messages, with what Home Assistant hands down to each."""
    return {
        key: {name: one[name] for name in ("avty", "avty_mode", "qos")} | component
        for one in discovery.devices(TOPICS, told or snapshot(), language, (), issuer).values()
        for key, component in one["cmps"].items()
    }


def assistant(template: str, **values: Any) -> str:
    """A template as Home Assistant renders it."""
    environment = SandboxedEnvironment(undefined=StrictUndefined)
    environment.globals["utcnow"] = lambda: datetime.now(UTC)
    environment.filters["to_json"] = json.dumps
    return environment.from_string(template).render(**values)


def shown(component: dict[str, Any], told: Any) -> str:
    """The state that an entity has while the building is as told."""
    text = state.states(TOPICS, told)[component["stat_t"]]
    return assistant(component["val_tpl"], value_json=json.loads(text))


def available(component: dict[str, Any], told: Any) -> bool:
    states = {TOPICS.availability: b"online"} | state.states(TOPICS, told)
    answers = []
    for one in component["avty"]:
        text = states[one["t"]]
        if "val_tpl" in one:
            answers.append(assistant(one["val_tpl"], value_json=json.loads(text)))
        else:
            answers.append(text.decode())
    assert set(answers) <= {"online", "offline"}
    return set(answers) == {"online"}


def test_every_entity_has_its_own_name_and_id_and_a_state_that_is_published() -> None:
    found = components()
    assert len({one["uniq_id"] for one in found.values()}) == len(found)
    for message in discovery.devices(TOPICS, snapshot(), "de").values():
        names = [one["name"] for one in message["cmps"].values()]
        assert len(set(names)) == len(names)
    topics = set(state.states(TOPICS, snapshot()))
    events = {TOPICS.event("door_request", id) for id in ("front", "side.west")}
    assert {one["stat_t"] for one in found.values() if "stat_t" in one} <= topics | events
    assert {one["p"] for one in found.values()} == {
        "cover", "button", "select", "event", "binary_sensor", "sensor",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("door-front", "closed"),
        ("door-side.west", "open"),
        ("door-front-mode", "automatic"),
        ("room-wc-call", "OFF"),
        ("room-wc-leak", "OFF"),
        ("room-wc-dew_point", "9.8"),
        ("meter-wc.climate-temperature_c", "21.34"),
        ("meter-wc.climate-humidity_percent", "None"),
        ("alarms", "1"),
        ("trouble", "ON"),
    ],
)
def test_states_are_read_as_they_are(key: str, value: str) -> None:
    assert shown(components()[key], snapshot()) == value


def test_a_call_is_on_until_it_was_ended_and_a_test_is_none() -> None:
    for values, value in (
        ({}, "ON"),
        ({"state": "acknowledged"}, "ON"),
        ({"state": "attended"}, "ON"),
        ({"test": True}, "OFF"),
    ):
        told = snapshot() | {"rooms": {"wc": room("WC", call=called(**values))}}
        assert shown(components(told)["room-wc-call"], told) == value


def test_the_climate_of_a_room_does_not_write_its_call_anew() -> None:
    """Attributes of an entity are a row in Home Assistant's history each time they change."""
    told = snapshot()
    one = components(told)["room-wc-call"]
    text = state.states(TOPICS, told)[one["json_attr_t"]]
    kept = json.loads(assistant(one["json_attr_tpl"], value_json=json.loads(text)))
    assert kept == json.loads(text)["call"]
    assert "climate" in json.loads(text)


def test_what_is_unknown_is_unavailable() -> None:
    told = snapshot()
    told["doors"]["front"]["state"] = "unknown"
    told["rooms"]["wc"]["leak"]["wet"] = None
    found = components(told)
    for key, there in (
        ("door-front", False),
        ("door-front-open", True),
        ("door-side.west", True),
        ("room-wc-leak", False),
        ("meter-wc.climate-temperature_c", True),
        ("meter-wc.climate-humidity_percent", False),
    ):
        assert (key, available(found[key], told)) == (key, there)


@pytest.mark.parametrize(
    ("key", "value", "name", "args"),
    [
        ("door-side.west-open", "PRESS", "open_door", {"door": "side.west", "reason": ""}),
        *(("door-front-mode", mode, "set_mode", {"door": "front", "mode": mode}) for mode in MODES),
        ("door-front-schedule", "PRESS", "set_mode", {"door": "front", "mode": "schedule"}),
        ("room-wc-seen", "PRESS", "acknowledge_call", {"call": "wc"}),
    ],
)
@pytest.mark.parametrize("own", ["", discovery.ISSUER])
def test_its_commands_are_obeyed_each_once(
    key: str, value: str, name: str, args: dict[str, Any], own: str
) -> None:
    """Without ``issuers:`` on the topic of all, as ever; else on a topic that carries its name."""
    component = components(issuer=own)[key]
    desk = Desk(issuers={own: Issuer(None)} if own else {})
    issuer, parts = TOPICS.commanded(TOPICS.inside(component["cmd_t"]))
    assert issuer == own
    assert parts is not None

    def judged(payload: str) -> Accepted | Refused:
        return desk.judge(component["cmd_t"], parts, payload.encode(), False, now(), own)

    payload = assistant(component["cmd_tpl"], value=value)
    verdict = judged(payload)
    assert isinstance(verdict, Accepted)
    assert (verdict.name, verdict.args) == (name, args)
    assert verdict.actor == f"mqtt:{own or 'broker'}"
    assert not isinstance(judged(payload), Accepted)
    assert isinstance(judged(assistant(component["cmd_tpl"], value=value)), Accepted)


def test_a_request_at_the_door_is_an_event_with_its_outcome() -> None:
    component = components()["door-front-request"]
    fact = {"data": {"outcome": "refused", "reason": "mode_night", "activator": None}}
    event = json.loads(assistant(component["val_tpl"], value_json=fact))
    assert event["event_type"] in component["evt_typ"]
    assert event["reason"] == "mode_night"


def test_the_names_follow_the_language() -> None:
    assert components()["room-wc-call"]["name"] == "Notruf"
    assert components(language="en")["room-wc-call"]["name"] == "Emergency call"
    assert discovery._NAMES["de"].keys() == discovery._NAMES["en"].keys()


def test_doors_and_rooms_are_devices_behind_the_gateway_and_meters_belong_to_it() -> None:
    found = discovery.devices(TOPICS, snapshot(), "de")
    assert {topic: one["dev"]["ids"][0] for topic, one in found.items()} == {
        "homeassistant/device/csg/config": "portier-csg",
        "homeassistant/device/csg/door-front/config": "portier-csg-door-front",
        "homeassistant/device/csg/door-side_west-a7fc6e/config": "portier-csg-door-side.west",
        "homeassistant/device/csg/room-wc/config": "portier-csg-room-wc",
        "homeassistant/device/csg/point-wc_climate-d2dde8/config": "portier-csg",
    }
    assert found["homeassistant/device/csg/room-wc/config"]["dev"]["via_device"] == "portier-csg"


# --- what the configuration says --------------------------------------------------------------

DESCRIBED = discovery.Described(
    {
        "front.leaf": DescribedPoint(door="front", role="leaf", label="X1:4"),
        "front.button": DescribedPoint(door="front", role="activator"),
        "wc.pir": DescribedPoint(role="motion"),
        "wc.window": DescribedPoint(role="watched", label="Fenster im WC"),
        "wc.climate": DescribedPoint(room="wc", role="climate", label="Fühler im WC"),
    },
    "https://portier.example",
)


def described(*, exported: bool = False) -> dict[str, Any]:
    """The messages of a building with contacts."""
    told = snapshot()
    told["points"] |= {
        "front.leaf": contact(False),
        "front.button": contact(False),
        "wc.pir": contact(True) | {"exported": exported},
        "wc.window": contact(None),
    }
    return discovery.devices(TOPICS, told, "de", described=DESCRIBED)


def test_doors_and_rooms_suggest_an_area_and_everything_leads_to_the_page() -> None:
    for topic, message in described().items():
        device = message["dev"]
        assert device["cu"] == "https://portier.example"
        own = device["ids"] == ["portier-csg"]
        assert ("sa" in device) is not own, topic
    wc = described()["homeassistant/device/csg/room-wc/config"]["dev"]
    assert (wc["sa"], wc["name"]) == ("WC", "WC")
    assert "cu" not in discovery.devices(TOPICS, snapshot(), "de")[discovery.topic("csg")]["dev"]


def contacts(messages: dict[str, Any]) -> dict[str, tuple[str, str, str | None]]:
    """Of each contact: its device, name and class."""
    return {
        key: (message["dev"]["ids"][0], one["name"], one.get("dev_cla"))
        for message in messages.values()
        for key, one in message["cmps"].items()
        if key.startswith("contact-")
    }


def test_a_contact_is_a_state_of_its_door_or_room_with_its_class() -> None:
    """A button is none: it is a request at its door."""
    assert contacts(described()) == {
        "contact-front.leaf": ("portier-csg-door-front", "Türblatt", "door"),
        "contact-wc.window": ("portier-csg", "Fenster im WC", None),
    }


def test_motion_is_there_only_where_it_is_exported() -> None:
    assert "contact-wc.pir" in contacts(described(exported=True))
    assert "contact-wc.pir" not in contacts(described())


def test_a_contact_that_is_unknown_is_unavailable() -> None:
    told = snapshot()
    told["points"] |= {"front.leaf": contact(True), "wc.window": contact(None)}
    found = {
        key: {name: message[name] for name in ("avty", "avty_mode")} | one
        for message in discovery.devices(TOPICS, told, "de", described=DESCRIBED).values()
        for key, one in message["cmps"].items()
    }
    assert shown(found["contact-front.leaf"], told) == "ON"
    assert available(found["contact-front.leaf"], told)
    assert not available(found["contact-wc.window"], told)


def test_a_meter_is_called_by_its_label() -> None:
    message = described()["homeassistant/device/csg/point-wc_climate-d2dde8/config"]
    names = [one["name"] for one in message["cmps"].values()]
    assert names == ["Fühler im WC: Temperatur", "Fühler im WC: Luftfeuchte"]


@pytest.mark.parametrize("language", ["de", "en"])
def test_an_entity_has_an_english_id_whatever_the_names_are(language: str) -> None:
    found = {key: one["def_ent_id"] for key, one in components(language=language).items()}
    assert found["door-front"] == "cover.csg_door_front"
    assert found["door-side.west-mode"] == "select.csg_door_side_west_mode"
    assert found["room-wc-call"] == "binary_sensor.csg_room_wc_call"
    assert found["meter-wc.climate-temperature_c"] == "sensor.csg_meter_wc_climate_temperature_c"
    assert all(re.fullmatch(r"[a-z_]+\.[a-z0-9_]+", one) for one in found.values())


def test_numbers_have_as_many_decimals_as_they_are_worth() -> None:
    told = snapshot()
    quantities = told["points"]["wc.climate"]["quantities"]
    quantities |= {name: {"value": 1.0, "at_ms": 1} for name in discovery._SENSORS}
    found = components(told)
    shown_digits = {
        key.rpartition("-")[2]: (one.get("sug_dsp_prc"), one.get("ent_cat"))
        for key, one in found.items()
        if key.startswith("meter-")
    }
    assert shown_digits["temperature_c"] == (1, None)
    assert shown_digits["humidity_percent"] == (0, None)
    assert shown_digits["battery_percent"] == (0, "diagnostic")
    assert shown_digits["battery_v"] == (2, "diagnostic")
    assert shown_digits["rssi_dbm"] == (0, "diagnostic")
    assert found["room-wc-dew_point"]["sug_dsp_prc"] == 1


def test_every_quantity_has_a_name_in_both_languages() -> None:
    for names in discovery._NAMES.values():
        assert discovery._SENSORS.keys() <= names.keys()


def test_a_building_may_grow_and_no_message_does() -> None:
    """One message for everything was 6 kB for one door, and small brokers take no more."""
    one = snapshot()
    long = {"name": "Eingang " * 8}
    told = one | {
        "doors": {f"d{n}." + "x" * 40: one["doors"]["front"] | long for n in range(50)},
        "rooms": {f"r{n}." + "x" * 40: one["rooms"]["wc"] | long for n in range(50)},
        "points": {f"p{n}." + "x" * 40: one["points"]["wc.climate"] for n in range(100)},
    }
    found = discovery.devices(TOPICS, told, "de")
    assert len(found) == 201
    assert max(len(state.encode(message)) for message in found.values()) < 4_096


def test_what_depends_on_a_value_stays_while_the_value_is_unknown() -> None:
    """Home Assistant forgets what is taken away: names, rooms, dashboards."""
    known = set(components())
    told = snapshot()
    told["rooms"]["wc"]["climate"]["dew_point_c"] = None
    told["points"]["wc.climate"]["quantities"] = {}
    found = {
        key: component
        for one in discovery.devices(TOPICS, told, "de", known).values()
        for key, component in one["cmps"].items()
    }
    assert set(found) == known
    assert not available(found["meter-wc.climate-temperature_c"], told)
    assert shown(found["meter-wc.climate-temperature_c"], told) == "None"
    assert not available(found["room-wc-dew_point"], told)


def test_while_nothing_is_heard_of_control_everything_is_unavailable() -> None:
    told = snapshot()
    states = {TOPICS.availability: b"offline"} | state.states(TOPICS, told)
    for component in components().values():
        first = component["avty"][0]
        assert component["avty_mode"] == "all"
        assert states[first["t"]] == b"offline"
        assert "val_tpl" not in first
