"""Moving to a topic for each part of the building, before one with Home Assistant's rules."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from gateway.link import discovery, state
from gateway.link.home_assistant import MIGRATE, MIGRATION_MS, HomeAssistant
from gateway.mqtt.limits import Limits
from gateway.mqtt.topics import Topics
from tests.link.test_discovery import snapshot

TOPICS = Topics("csg")
OWN = "homeassistant/device/csg/config"
DOOR = "homeassistant/device/csg/door-front/config"
WEST = "homeassistant/device/csg/door-side_west-a7fc6e/config"


@dataclass
class Assistant:
    """What ``homeassistant/components/mqtt`` does with device messages. ``loaded``: (topic, key) →
    unique id. ``registry``: the unique ids with their history. ``refused``: that it had already."""

    loaded: dict[tuple[str, str], str] = field(default_factory=dict)
    registry: set[str] = field(default_factory=set)
    refused: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)

    def message(self, topic: str, payload: bytes) -> None:
        if not topic.startswith("homeassistant/device/"):
            return
        raw = json.loads(payload) if payload else {}
        mine = [key for of, key in self.loaded if of == topic]
        if raw == {"migrate_discovery": True}:
            for key in mine:
                del self.loaded[topic, key]  # and the registry keeps it
            return
        if not raw:
            raw = {"cmps": {key: {"p": "any"} for key in mine}}
        for key, component in raw["cmps"].items():
            if set(component) == {"p"}:
                gone = self.loaded.pop((topic, key), None)
                if gone is not None:
                    self.registry.discard(gone)
                    self.removed.append(gone)
                continue
            unique = component["uniq_id"]
            if (topic, key) not in self.loaded and unique in self.loaded.values():
                self.refused.append(unique)
                continue
            self.loaded[topic, key] = unique
            self.registry.add(unique)

    def restarted(self, retained: dict[str, bytes]) -> Assistant:
        after = Assistant(registry=set(self.registry))
        for topic, payload in retained.items():
            if payload:
                after.message(topic, payload)
        return after


@dataclass
class House:
    """The link's side and a broker that refuses some topics."""

    home: HomeAssistant
    assistant: Assistant = field(default_factory=Assistant)
    retained: dict[str, bytes] = field(default_factory=dict)
    refuses: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)
    now_ms: int = 0

    def connect(self) -> None:
        self.home.connected()
        self.shown: dict[str, bytes] = {}

    def turn(self, told: Any, ms: int = 0) -> None:
        """As ``Link._show`` does it."""
        self.now_ms += ms
        for _ in range(8):
            wanted, migrate = self.home.step(told, self.limits, self.now_ms)
            if migrate:
                self.assistant.message(OWN, MIGRATE)
                self.shown.pop(OWN, None)
            for topic, payload in wanted.items():
                if self.shown.get(topic) == payload:
                    continue
                self.shown[topic] = payload
                refused = any(topic.startswith(one) for one in self.refuses)
                if not refused:
                    self.retained[topic] = payload
                    self.assistant.message(topic, payload)
                    if not payload:
                        self.home.cleared(topic)
                self.home.answered(topic, "not authorized" if refused else "")

    def settle(self, told: Any) -> None:
        self.turn(told)
        self.turn(told, ms=MIGRATION_MS)


def before(told: Any) -> bytes:
    """One message for everything, as the version before published it."""
    messages = discovery.devices(TOPICS, told, "de")
    everything = {key: one for made in messages.values() for key, one in made["cmps"].items()}
    return state.encode(messages[OWN] | {"cmps": everything})


@pytest.fixture
def house() -> House:
    """A running assistant that knows the gateway from the version before."""
    made = House(HomeAssistant(TOPICS, "de"))
    made.retained[OWN] = before(snapshot())
    made.assistant.message(OWN, made.retained[OWN])
    made.connect()
    return made


def test_every_entity_keeps_its_history_when_it_moves(house: House) -> None:
    registry = set(house.assistant.registry)
    house.settle(snapshot())
    assert house.assistant.registry == registry
    assert house.assistant.refused == []
    assert house.assistant.removed == []
    assert set(house.assistant.loaded.values()) == registry
    assert {topic for topic, _ in house.assistant.loaded} == set(
        discovery.devices(TOPICS, snapshot(), "de")
    )
    again = house.assistant.restarted(house.retained)
    assert (again.loaded, again.refused) == (house.assistant.loaded, [])


def test_nothing_is_unloaded_before_the_new_topics_are_known_to_be_allowed(house: House) -> None:
    """The access list of an installation from before names one topic only."""
    house.refuses = tuple(
        topic for topic in discovery.devices(TOPICS, snapshot(), "de") if topic != OWN
    )
    loaded = dict(house.assistant.loaded)
    house.settle(snapshot())
    assert house.assistant.loaded == loaded
    assert house.assistant.removed == []
    names = {one["name"] for one in json.loads(house.retained[OWN])["cmps"].values()}
    assert {"Haupteingang", "Haupteingang: Öffnen", "wc.climate: Temperatur"} <= names


def test_a_part_moves_when_the_access_list_allows_it(house: House) -> None:
    house.refuses = (WEST,)
    registry = set(house.assistant.registry)
    house.settle(snapshot())
    assert (OWN, "door-side.west") in house.assistant.loaded
    assert (DOOR, "door-front") in house.assistant.loaded
    house.refuses = ()
    house.connect()
    house.settle(snapshot())
    assert (WEST, "door-side.west") in house.assistant.loaded
    assert (OWN, "door-side.west") not in house.assistant.loaded
    assert house.assistant.registry == registry
    assert house.assistant.refused == house.assistant.removed == []


def test_what_was_moved_is_not_moved_again(house: House) -> None:
    house.settle(snapshot())
    house.home = HomeAssistant(TOPICS, "de", json.loads(json.dumps(house.home.memory)))
    house.connect()
    _, migrate = house.home.step(snapshot(), Limits(), 10**6)
    assert not migrate
    assert not house.home.dirty


def test_a_door_that_is_no_more_is_taken_back_and_a_new_one_is_shown(house: House) -> None:
    house.settle(snapshot())
    told = snapshot()
    told["doors"]["back"] = told["doors"].pop("front")
    house.settle(told)
    assert house.retained[DOOR] == b""
    assert DOOR not in house.home.memory
    assert "portier-csg-door-front" not in house.assistant.registry
    assert "portier-csg-door-back" in house.assistant.registry
    assert house.assistant.refused == []


def test_a_component_that_is_no_more_is_removed_by_name(house: House) -> None:
    house.settle(snapshot())
    told = snapshot()
    told["rooms"]["wc"]["leak"] = None
    house.settle(told)
    room = json.loads(house.retained["homeassistant/device/csg/room-wc/config"])
    assert room["cmps"]["room-wc-leak"] == {"p": "binary_sensor"}
    assert house.assistant.removed == ["portier-csg-room-wc-leak"]


def test_a_part_that_is_too_large_does_not_move_and_the_gateways_own_is_published(
    house: House,
) -> None:
    house.limits = Limits(maximum_packet_size=1_500)
    house.settle(snapshot())
    assert DOOR not in house.home.memory
    assert {key for topic, key in house.assistant.loaded if topic == OWN} >= {"alarms", "trouble"}


def test_who_wants_home_assistant_no_more_is_taken_back(house: House) -> None:
    house.settle(snapshot())
    house.home = HomeAssistant(TOPICS, "", house.home.memory)
    house.connect()
    house.settle(snapshot())
    assert not any(house.retained.values())
    assert house.home.memory == {}
    assert house.assistant.registry == set()


@pytest.mark.parametrize("memory", [None, [], {"x": 1}, {"homeassistant/device/x": []}, {"x": {}}])
def test_a_memory_that_is_not_understood_is_none(memory: object) -> None:
    assert HomeAssistant(TOPICS, "de", memory).memory == {}
