"""What is shown of a building, pinned: the snapshot that goes through the panel, and what the API
and the states on MQTT make of it.

Whoever types, moves or reads the snapshot in another way changes none of these bytes. A digest
changes only with a reason that its commit names."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from gateway.control.guarantees import Guarantees, LinkSeen, Observed, RecorderSeen
from gateway.core.building.snapshot import snapshot
from gateway.core.facts import Fact
from gateway.link import discovery, state
from gateway.mqtt.topics import Topics
from gateway.panel.client import AsyncPanelClient
from gateway.panel.messages import encode
from gateway.simulation.days import days
from gateway.simulation.life import Life
from gateway.web.building import view
from gateway.web.building.control_client import ControlClient
from tests.simulation.lived import FIRST, ZONE, plan_of
from tests.simulation.test_trace import TRACES
from tests.web.lived import IDENTITY, STORM

EVERY = 25
"""Of so many facts, the building is looked at after one."""
TOPICS = Topics("csg")

SHOWN = {
    "office": {"panel": "164b447154d44243", "api": "76f6643370ae5939", "mqtt": "3f06b7bf1194e08e"},
    "bench": {"panel": "a483154fdb9ccbc2", "api": "46eaea633fe71c15", "mqtt": "6205ba1e5b1f3d01"},
    "simulated": {
        "panel": "146e056c4aa33900",
        "api": "cf8de31e7ea4fdc1",
        "mqtt": "069b98536ffca3e1",
    },
    "lobby": {"panel": "67e00a154f7f9ef9", "api": "5b81fd4fa010e905", "mqtt": "d9b4b94038f6b4e5"},
}
"""Building -> the first digits of each digest."""


@cache
def moments(name: str) -> tuple[Any, ...]:
    """Snapshots of a day on which everything happens, as whoever reads the panel gets them."""
    plan = plan_of(TRACES[name][0])
    life = Life(plan, days(FIRST, 1, ZONE, ()), 3, STORM)
    guarantees = Guarantees.of(plan)
    found: list[Any] = []
    facts = 0

    def look(_: Fact) -> None:
        nonlocal facts
        facts += 1
        if facts % EVERY:
            return
        now, shown = life.host.mono_ms, snapshot(life.host.building, life.host.mono_ms)
        seen = Observed(
            now, life.host.building, turned_ms=now, answered_ms=now - facts % 9_000, journal="j",
            mqtt=facts % 2 == 0, backlog=3, oldest_unsent_ms=facts % 20_000,
            oldest_urgent_ms=facts % 20_000,
            link=LinkSeen(facts % 3 > 0, "", now, 10_000, (("t", "too large"),), 1),
            recorders=(RecorderSeen("main", True, now, 0, facts % 3, facts % 2),),
            recorded_until_utc_ms=1_700_000_000_000, trusted=True, clock_seen_ms=now,
            notify=True, heartbeat_every_ms=300_000, heartbeat_ok_ms=now,
        )  # fmt: skip
        whole = {**shown, "gateway": IDENTITY, "guarantees": guarantees.evaluate(seen)}
        found.append(json.loads(encode(whole)))

    life.host.on_fact.append(look)
    life.live()
    return tuple(found)


def panel(name: str) -> Iterator[bytes]:
    """The snapshots themselves. Python keeps the order of keys, also while it reads JSON."""
    return map(encode, moments(name))


def api(name: str) -> Iterator[bytes]:
    """What the API makes of them, with and without ``control``."""
    house = ControlClient(
        AsyncPanelClient(Path("/nowhere"), "web"), monotonic=lambda: 1.0, wall=lambda: 1_700_000_000
    )
    for number, shown in enumerate(moments(name)):
        house.snapshot, house.connected = shown, number % 5 > 0
        for part in (view.status_json(house), view.rooms_json(house, private=True)):
            yield json.dumps(part).encode()


def mqtt(name: str) -> Iterator[bytes]:
    """The retained states, what the gateway says of itself, and the messages to Home Assistant."""
    known = ("meter-wc.climate-co2_ppm", "room-wc-dew_point")
    for shown in moments(name):
        yield repr(state.states(TOPICS, shown)).encode()
        yield state.info(shown, 8, "s")
        yield state.info(shown, 8, "s", brief=True)
        yield json.dumps(discovery.devices(TOPICS, shown, "de", known, "ha")).encode()
        yield state.health(
            shown, journal="j", sent={"urgent": 5}, heads={"urgent": 9}, backlog=4,
            oldest_unsent_ms=70, disk={"free_bytes": 1}, temperature_c=40.5,
        )  # fmt: skip


READERS = {"panel": panel, "api": api, "mqtt": mqtt}


def digest(name: str, reader: str) -> str:
    found = hashlib.sha256()
    for text in READERS[reader](name):
        found.update(text + b"\n")
    return found.hexdigest()[:16]


@pytest.mark.parametrize("name", SHOWN)
@pytest.mark.parametrize("reader", READERS)
def test_what_is_shown_stays_the_same(name: str, reader: str) -> None:
    assert digest(name, reader) == SHOWN[name][reader]


def test_these_buildings_show_everything() -> None:
    """A digest proves nothing of what is never shown."""
    shown = [one for name in SHOWN for one in moments(name)]
    doors = [door for one in shown for door in one["doors"].values()]
    rooms = [room for one in shown for room in one["rooms"].values()]
    points = [point for one in shown for point in one["points"].values()]
    calls = [room["call"] for room in rooms if room["call"]]
    for key in ("last_request", "last_refusal", "last_result", "next_mode", "mode_until_utc_ms",
                "fire", "bolt", "operator_fault", "hold_open", "strike", "alarms"):  # fmt: skip
        assert any(door[key] for door in doors), key
    for key in ("messages", "acknowledged_by", "attended_ms", "attend_by_ms", "next_message_ms"):
        assert any(call[key] for call in calls), key
    for key in ("leak", "climate", "occupancy", "last_calls", "test_until_ms", "alarms"):
        assert any(room[key] for room in rooms), key
    assert {point["kind"] for point in points} == {"contact", "relay", "meter"}
    assert any("exported" in point for point in points)
    assert any(one["messages"] for one in shown)
    assert any(one["receivers"] for one in shown)
    assert {alarm["state"] for one in shown for alarm in one["alarms"]} >= {"active", "cleared"}
    assert {one["utc_offset_ms"] is None for one in shown} == {True, False}


if __name__ == "__main__":
    for building in SHOWN:
        print(building, len(moments(building)), {one: digest(building, one) for one in READERS})
