"""The snapshot: the shape that the page, the command line and MQTT rely on."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from gateway.core.door import counters
from gateway.core.events import CivilTime, Reading, RelayFault
from gateway.core.plan import RelayPlan
from gateway.core.snapshot_types import RequestShown
from tests.core.building_bench import OFFSET, PLAN, SMALL, Bench


def shown(bench: Bench) -> Any:
    """The snapshot, as whoever reads the JSON sees it."""
    return json.loads(json.dumps(bench.shown()))


def test_a_quiet_building_is_shown_whole() -> None:
    bench = Bench(SMALL)
    assert shown(bench) == {
        "gateway": {"id": "gw"},
        "now_ms": 100,
        "utc_offset_ms": OFFSET,
        "clock_trusted": True,
        "clock_since_ms": 0,
        "clock_settled": True,
        "clock_doubt": "",
        "clock_settles_in_ms": None,
        "clock_mark_utc_ms": OFFSET + 100,
        "uptime_ms": 100,
        "doors": {
            "front": {
                "name": "Front door",
                "mode": "automatic",
                "mode_source": "schedule",
                "mode_until_utc_ms": None,
                "mode_by": None,
                "scheduled_mode": "automatic",
                "next_mode": None,
                "state": "closed",
                "since_ms": 30,
                "assumed": False,
                "leaf": "closed",
                "activation": False,
                "strike": None,
                "hold_open": None,
                "fire": None,
                "service_until_ms": None,
                "bolt": None,
                "operator_fault": None,
                "last_request": None,
                "last_refusal": None,
                "last_opened_ms": None,
                "press_to_open_ms": None,
                "last_result": None,
                "can_open": {"staff": {"ok": True, "reason": "", "needs_reason": False}},
                "counters": {"openings": 0, "requests": 0, "refusals": {}, "open_ms": 0},
                "alarms": [],
            }
        },
        "points": {
            "front.inside": {
                "kind": "contact",
                "active": False,
                "raw": False,
                "since_ms": 0,
                "reason": "",
                "faults": [],
                "changes": 0,
                "quantities": {},
            },
            "front.leaf": {
                "kind": "contact",
                "active": False,
                "raw": False,
                "since_ms": 0,
                "reason": "",
                "faults": [],
                "changes": 0,
                "quantities": {},
            },
            "front.activation": {
                "kind": "relay",
                "active": False,
                "raw": False,
                "since_ms": 0,
                "reason": "",
                "faults": [],
                "changes": 0,
                "quantities": {},
            },
        },
        "alarms": [],
        "fire": None,
        "rooms": {},
        "receivers": {},
        "messages": [],
    }


def test_a_request_is_shown_as_it_was_counted() -> None:
    """It comes from the data of a fact, whose keys the type checker does not see."""
    assert {*counters.WORDS, "at_ms"} == RequestShown.__annotations__.keys()


def test_before_anything_is_seen_everything_is_unknown() -> None:
    bench = Bench(levels=False, trusted=False)
    whole = shown(bench)
    front = whole["doors"]["front"]
    assert (whole["utc_offset_ms"], whole["clock_trusted"]) == (None, False)
    assert (front["state"], front["leaf"], front["fire"], front["bolt"]) == (
        "unknown",
        "unknown",
        None,
        None,
    )
    assert whole["points"]["front.leaf"]["reason"] == "no_level_yet"
    assert whole["fire"] == {"active": None}


def test_an_opening_is_shown_with_what_the_leaf_did() -> None:
    bench = Bench()
    command = bench.open(1000)
    assert shown(bench)["doors"]["front"]["activation"] is True
    assert shown(bench)["doors"]["front"]["last_result"]["result"] == "pending"
    bench.level(2200, "front.leaf", True)
    front = shown(bench)["doors"]["front"]
    assert (front["state"], front["leaf"], front["press_to_open_ms"]) == ("open", "open", 1200)
    assert front["last_result"] == {
        "result": "opened",
        "command": command,
        "at_ms": 2200,
        "press_to_open_ms": 1200,
    }
    assert front["last_request"]["by"] == "web:3"
    assert front["counters"]["openings"] == 1


def test_the_mode_is_shown_with_its_end_and_what_comes_next() -> None:
    bench = Bench()
    assert shown(bench)["doors"]["front"]["next_mode"] == {
        "mode": "night",
        "utc_ms": OFFSET + 3_600_000,
    }
    bench.mode(1000, "off", for_ms=5000)
    front = shown(bench)["doors"]["front"]
    assert (front["mode"], front["mode_source"], front["mode_by"]) == ("off", "override", "web:3")
    assert front["next_mode"] == {"mode": "automatic", "utc_ms": OFFSET + 6000}
    assert front["can_open"]["staff"] == {"ok": False, "reason": "mode_off", "needs_reason": False}
    bench.press(2000)
    assert shown(bench)["doors"]["front"]["last_refusal"]["reason"] == "mode_off"


def test_during_a_fire_the_fire_is_the_source_of_the_mode() -> None:
    bench = Bench()
    bench.level(1000, "house.fire", True)
    whole = shown(bench)
    assert whole["doors"]["front"]["mode_source"] == "fire"
    assert whole["doors"]["front"]["fire"] is True
    assert whole["doors"]["back"]["mode_source"] == "schedule"
    assert whole["fire"] == {"active": True}


def test_alarms_are_shown_with_their_door_and_their_times() -> None:
    bench = Bench(trusted=False)
    bench.level(1000, "front.fault", True)
    assert shown(bench)["alarms"] == [
        {
            "id": "front/operator_fault",
            "subject": "front",
            "kind": "operator_fault",
            "severity": "fault",
            "state": "active",
            "raised_ms": 1030,
            "raised_utc_ms": None,
            "count": 1,
            "acknowledged_by": None,
            "shelved_until_ms": None,
            "detail": "the operator reports it",
        }
    ]
    bench.level(1500, "front.bolt", None, "gone")
    assert shown(bench)["doors"]["front"]["alarms"] == [
        "front/operator_fault",
        "front.bolt/contact_unknown",
    ]
    assert shown(bench)["doors"]["back"]["alarms"] == []
    bench.at(2000, CivilTime(OFFSET + 2000, True))
    bench.shelve(2000, "front/operator_fault", 1000)
    first = shown(bench)["alarms"][0]
    assert (first["raised_utc_ms"], first["state"], first["shelved_until_ms"]) == (
        OFFSET + 1030,
        "shelved",
        3000,
    )


def test_meters_are_shown_by_quantity_with_their_gaps() -> None:
    bench = Bench()
    bench.at(1000, Reading("wc.climate", "temperature_c", 20.5))
    point = shown(bench)["points"]["wc.climate"]
    assert (point["kind"], point["since_ms"], point["reason"]) == ("meter", 1000, "")
    assert point["quantities"] == {"temperature_c": {"value": 20.5, "at_ms": 1000, "reason": ""}}
    bench.until(181_000)
    point = shown(bench)["points"]["wc.climate"]
    assert (point["faults"], point["reason"]) == (["meter_silent"], "silent")
    assert point["quantities"]["temperature_c"]["value"] is None


def test_a_relay_is_shown_with_its_fault() -> None:
    bench = Bench()
    bench.at(1000, RelayFault("front.activation", "no such line"))
    point = shown(bench)["points"]["front.activation"]
    assert (point["faults"], point["reason"]) == (["relay_fault"], "no such line")


@pytest.mark.parametrize("relay", ["strike", "hold_open"])
def test_a_door_shows_each_relay_that_it_has(relay: str) -> None:
    relays = (*SMALL.relays, RelayPlan("front.more", None))
    change: dict[str, Any] = {relay: "front.more"}
    one = replace(SMALL.doors[0], **change)
    bench = Bench(replace(SMALL, doors=(one,), relays=relays))
    assert shown(bench)["doors"]["front"][relay] is False


def test_the_snapshot_of_the_whole_plan_is_json() -> None:
    bench = Bench()
    for number in range(40):
        bench.press(1000 + number * 3000, "front.outside" if number % 2 else "back.inside")
    assert json.loads(json.dumps(bench.shown())) == bench.shown()
    assert set(shown(bench)["points"]) == {
        *(contact.point for contact in PLAN.contacts),
        *(relay.point for relay in PLAN.relays),
        *(meter.point for meter in PLAN.meters),
    }
