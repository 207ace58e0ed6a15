"""What is shown of the building, and the clock's mark."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from gateway.link import state
from gateway.mqtt import limits
from gateway.mqtt.topics import Topics
from gateway.panel import time_service
from gateway.wire import asyncapi

TOPICS = Topics("csg")
OFFSET = 1_700_000_000_000


def snapshot(offset_ms: int | None = OFFSET) -> Any:
    return {
        "gateway": {"id": "csg", "name": "Office", "version": "1", "boot": "b1"},
        "now_ms": 5_000,
        "utc_offset_ms": offset_ms,
        "clock_trusted": offset_ms is not None,
        "doors": {
            "front": {
                "name": "Front",
                "mode": "automatic",
                "mode_until_utc_ms": None,
                "state": "open",
                "since_ms": 1_000,
                "last_request": {"outcome": "accepted", "by": "web:3", "at_ms": 900},
                "last_result": None,
                "alarms": [],
            }
        },
        "points": {
            "wc.climate": {
                "kind": "meter",
                "active": None,
                "since_ms": 1,
                "quantities": {"temperature": {"value": 21.5, "at_ms": 2_000}},
            }
        },
        "alarms": [{"id": "front/left_open", "severity": "fault", "raised_ms": 4_000}],
        "guarantees": {
            "forwarding": {
                "ok": False,
                "value": "no",
                "since_ms": 0,
                "reason": "frozen",
                "evidence_ms": 500,
                "void_after_ms": 20_000,
                "aside": [["t", "too large"]],
                "aside_count": 1,
            },
            "call": {
                "ok": False,
                "value": "unknown",
                "since_ms": 0,
                "reason": "loop_stalled",
                "evidence_ms": None,
            },
        },
    }


def shown(offset_ms: int | None = OFFSET) -> dict[str, Any]:
    return {
        topic: json.loads(text) for topic, text in state.states(TOPICS, snapshot(offset_ms)).items()
    }


def test_info_says_what_an_issuer_with_limited_rights_may() -> None:
    """The centre shows which doors it may open; keys are nobody's business."""
    rights = {
        "sites": {"may": ["acknowledge", "open"], "doors": {"front": ["mon-fri 07:00-18:00"]}}
    }
    shown = json.loads(state.info(snapshot(), 20, "s", issuers=rights))
    assert shown["issuers"] == rights
    assert json.loads(state.info(snapshot(), 20, "s"))["issuers"] == {}
    assert "issuers" not in json.loads(state.info(snapshot(), 20, "s", issuers=rights, brief=True))


def test_states_have_a_topic_each_with_dots_as_slashes() -> None:
    assert set(shown()) == {
        "portier/csg/state/door/front",
        "portier/csg/state/point/wc/climate",
        "portier/csg/state/alarms",
    }


def test_instants_are_civil_time_where_the_clock_is_known() -> None:
    door = shown()["portier/csg/state/door/front"]
    assert door["since"] == "2023-11-14T22:13:21.000Z"
    assert door["last_request"] == {
        "outcome": "accepted",
        "by": "web:3",
        "at": "2023-11-14T22:13:20.900Z",
    }
    assert shown(None)["portier/csg/state/door/front"]["since"] is None
    assert shown()["portier/csg/state/alarms"][0]["raised"] == "2023-11-14T22:13:24.000Z"


def test_time_alone_changes_no_state() -> None:
    later = snapshot() | {"now_ms": 99_000}
    assert state.states(TOPICS, snapshot()) == state.states(TOPICS, later)


def test_health_tells_recorders_how_far_each_lane_was_sent() -> None:
    told = json.loads(
        state.health(
            snapshot(),
            journal="j1",
            sent={"urgent": 5},
            heads={"urgent": 9},
            backlog=4,
            oldest_unsent_ms=1_500,
            disk={"free_bytes": 1},
            temperature_c=None,
            places={"wc.climate": {"room": "wc"}},
        )
    )
    assert told["places"] == {"wc.climate": {"room": "wc"}}
    assert (told["journal"], told["sent"], told["backlog"]) == ("j1", {"urgent": 5}, 4)
    assert told["oldest_unsent_s"] == 1.5
    assert told["guarantees"] == {
        "forwarding": {
            "ok": False, "value": "no", "reason": "frozen", "since": "2023-11-14T22:13:20.000Z",
            "evidence": "2023-11-14T22:13:20.500Z", "void_after_ms": 20_000,
            "aside": [["t", "too large"]], "aside_count": 1,
        },
        "call": {
            "ok": False, "value": "unknown", "reason": "loop_stalled",
            "since": "2023-11-14T22:13:20.000Z", "evidence": None,
        },
    }  # fmt: skip


def test_a_name_cannot_become_a_wildcard() -> None:
    assert TOPICS.event("reading", "a.b/c+#") == "portier/csg/event/reading/a/b/c__"
    assert TOPICS.inside("portier/csg/replay/main") == ("replay", "main")
    assert TOPICS.inside("portier/csg2/replay/main") == ()


def test_the_clock_is_trusted_as_the_kernel_says_and_not_by_an_old_mark(
    tmp_path: Path, mocker: Any
) -> None:
    kernel = mocker.patch.object(time_service, "kernel_synchronized", return_value=False)
    mark = tmp_path / "synchronized"
    mark.touch()
    assert time_service.trusted(mark) is False  # the kernel knows how long ago that was
    mark.unlink()
    kernel.return_value = True
    assert time_service.trusted(mark) is True
    kernel.return_value = None  # it cannot be asked
    assert time_service.trusted(mark) is None


def test_where_the_kernel_cannot_be_asked_a_mark_is_valid_for_as_long_as_its_flag(
    tmp_path: Path, mocker: Any
) -> None:
    mocker.patch.object(time_service, "kernel_synchronized", return_value=None)
    mark = tmp_path / "synchronized"
    mark.touch()
    for age_s, is_trusted in (
        (0, True),
        (time_service.MARK_VOID_S - 60, True),
        (time_service.MARK_VOID_S + 60, False),
        (-3600, False),  # the clock was put back since
    ):
        at_s = time.time() - age_s
        os.utime(mark, (at_s, at_s))
        assert time_service.trusted(mark) is is_trusted, age_s


def test_the_kernels_flag_is_read_and_changes_nothing() -> None:
    assert time_service.kernel_synchronized() in (True, False, None)


def test_a_room_tells_its_call_and_neither_who_was_told_nor_who_is_inside() -> None:
    told = snapshot() | {
        "rooms": {
            "wc": {
                "name": "WC",
                "call": {
                    "id": "wc-7", "state": "raised", "test": False, "cause": "cord", "pulls": 2,
                    "points": ["wc.cord"], "acknowledged_by": None, "since_ms": 1_000,
                    "raised_ms": 1_000, "raised_utc_ms": None,
                    "messages": [{"receiver": "caretaker"}],
                },
                "climate": {"point": "wc.climate", "dew_point_c": 9.8, "at_ms": 2_000},
                "occupancy": "occupied", "occupancy_since_ms": 1, "test_until_ms": None,
            }
        }
    }  # fmt: skip
    text = state.states(TOPICS, told)["portier/csg/state/room/wc"]
    assert b"occup" not in text
    assert b"caretaker" not in text
    room = json.loads(text)
    assert (room["call"]["state"], room["call"]["raised"]) == ("raised", "2023-11-14T22:13:21.000Z")
    assert room["climate"] == {"dew_point_c": 9.8, "at": "2023-11-14T22:13:22.000Z"}


def test_a_call_says_who_has_seen_it_who_goes_and_until_when() -> None:
    call = {
        "id": "wc-7", "state": "acknowledged", "acknowledged_by": "mqtt:sites", "attends": "Anna",
        "acknowledged_ms": 3_000, "seen_by": "mqtt:sites", "seen_ms": 2_000, "attended_ms": None,
        "attend_by_ms": 303_000,
    }  # fmt: skip
    told = snapshot() | {"rooms": {"wc": {"name": "WC", "call": call}}}
    shown = json.loads(state.states(TOPICS, told)["portier/csg/state/room/wc"])["call"]
    wanted = {
        "acknowledged_by": "mqtt:sites", "attends": "Anna", "seen_by": "mqtt:sites",
        "seen": "2023-11-14T22:13:22.000Z", "acknowledged": "2023-11-14T22:13:23.000Z",
        "attended": None, "attend_by": "2023-11-14T22:18:23.000Z",
    }  # fmt: skip
    assert {name: shown[name] for name in wanted} == wanted
    unknown = told | {"utc_offset_ms": None}
    shown = json.loads(state.states(TOPICS, unknown)["portier/csg/state/room/wc"])["call"]
    assert [shown[name] for name in ("seen", "acknowledged", "attend_by")] == [None] * 3


def test_a_door_says_whether_it_can_be_opened_and_what_comes_next() -> None:
    told = snapshot()
    text = json.loads(state.states(TOPICS, told)["portier/csg/state/door/front"])
    added = ("can_open", "service_until", "next_mode", "last_opened")
    assert [text[name] for name in added] == [None] * 4, "a control of another version says nothing"
    can_open = {"ok": False, "reason": "mode_off", "needs_reason": True}
    told["doors"]["front"] |= {
        "can_open": {"staff": can_open}, "service_until_ms": 60_000, "last_opened_ms": 1_000,
        "next_mode": {"mode": "night", "utc_ms": OFFSET + 120_000},
    }  # fmt: skip
    text = json.loads(state.states(TOPICS, told)["portier/csg/state/door/front"])
    assert {name: text[name] for name in added} == {
        "can_open": can_open,
        "service_until": "2023-11-14T22:14:20.000Z",
        "next_mode": {"mode": "night", "at": "2023-11-14T22:15:20.000Z"},
        "last_opened": "2023-11-14T22:13:21.000Z",
    }


def test_what_tells_about_a_person_is_shown_only_where_it_is_exported() -> None:
    """A text that was shown before is taken back."""
    pir = {"kind": "contact", "active": True, "since_ms": 1_000}
    room = {"occupancy": "occupied", "occupancy_since_ms": 1_000}
    told = snapshot() | {
        "points": {"wc.pir": pir | {"exported": False}, "hall.pir": pir | {"exported": True}},
        "rooms": {"wc": room | {"exported": False}, "bath": room | {"exported": True}},
    }
    found = state.states(TOPICS, told)
    assert found["portier/csg/state/point/wc/pir"] == b""
    assert json.loads(found["portier/csg/state/point/hall/pir"])["active"] is True
    assert b"occupied" not in found["portier/csg/state/room/wc"]
    bath = json.loads(found["portier/csg/state/room/bath"])
    assert bath["occupancy"] == "occupied"
    assert bath["occupancy_since"] == "2023-11-14T22:13:21.000Z"


@pytest.mark.parametrize(
    ("topic", "kind"),
    [
        (TOPICS.event("door_opened", "front"), "application/cloudevents+json"),
        (TOPICS.availability, "text/plain"),
        (TOPICS.door("front"), "application/json"),
        (TOPICS.response("c1"), "application/json"),
    ],
)
def test_a_topic_says_what_its_payload_is_as_the_document_does(topic: str, kind: str) -> None:
    assert limits.content_type(topic) == kind
    document: Any = asyncapi("csg")
    messages = document["components"]["messages"]
    documented = {
        TOPICS.event("door_opened", "front"): "event.door_opened",
        TOPICS.availability: "availability",
        TOPICS.door("front"): "stateDoor",
        TOPICS.response("c1"): "response",
    }
    assert messages[documented[topic]]["contentType"] == kind


def test_points_without_a_state_are_named_so_that_nobody_waits_for_them() -> None:
    told = snapshot()
    told["points"]["wc.pir"] = {"kind": "contact", "exported": False}
    told["points"]["wc.door"] = {"kind": "contact", "exported": True}
    assert json.loads(state.info(told, 8, "s"))["unpublished"] == ["wc.pir"]
    assert "unpublished" not in json.loads(state.info(told, 8, "s", brief=True))
