"""What holds, since when, and why not."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.control.guarantees import BEHIND_MOST, NAMES, Guarantees, Outside

GOOD = Outside(link="", expected=("main",), recorded_until_utc_ms=5, trusted=True)


def shown(**changes: Any) -> dict[str, Any]:
    door = {"operator_fault": None, "mode": "automatic"}
    contact = {"active": False, "faults": []}
    return {
        "doors": {"front": door | changes.get("door", {})},
        "points": {
            "inside": contact | changes.get("inside", {}),
            "outside": contact | changes.get("outside", {}),
            "relay": {"active": False, "faults": changes.get("relay", [])},
        },
    }


def look(snapshot: dict[str, Any], outside: Outside = GOOD) -> dict[str, dict[str, Any]]:
    guarantees = Guarantees({"front": ("inside", "outside")}, {"front": ("relay",)})
    return guarantees.look(snapshot, outside, 1000)


def test_a_sound_house_keeps_everything() -> None:
    assert {name: it["ok"] for name, it in look(shown()).items()} == dict.fromkeys(NAMES, True)


UNKNOWN, STUCK = {"active": None}, {"active": True, "faults": ["contact_stuck"]}


@pytest.mark.parametrize(
    ("snapshot", "button", "staff"),
    [
        (shown(inside=UNKNOWN), "", ""),  # the other button still works
        (shown(inside=UNKNOWN, outside=STUCK), "contact_unknown", ""),
        (shown(relay=["relay_fault"]), "relay_fault", "relay_fault"),
        (shown(door={"operator_fault": True}), "operator_fault", "operator_fault"),
        (shown(door={"mode": "off"}), "mode_off", "mode_off"),
        (shown(door={"mode": "night"}), "", ""),  # as planned is no failure
    ],
)
def test_the_door(snapshot: dict[str, Any], button: str, staff: str) -> None:
    found = look(snapshot)
    assert (found["door_by_button"]["reason"], found["door_by_staff"]["reason"]) == (button, staff)


@pytest.mark.parametrize(
    ("outside", "name", "ok", "reason"),
    [
        (Outside(), "forwarding", True, "not_configured"),
        (Outside(link="refused"), "forwarding", False, "refused"),
        (Outside(), "recording", True, "not_configured"),
        (Outside(expected=("m",), missing=("m",)), "recording", False, "recorder_missing"),
        (Outside(expected=("m",), behind=BEHIND_MOST + 1), "recording", False, "recorder_behind"),
        (Outside(journal="journal_full"), "journal", False, "journal_full"),
        (Outside(trusted=False), "clock", False, "clock_untrusted"),
    ],
)
def test_the_world_outside(outside: Outside, name: str, ok: bool, reason: str) -> None:
    found = look(shown(), outside)[name]
    assert (found["ok"], found["reason"]) == (ok, reason)


def test_since_when_changes_only_when_it_holds_or_not() -> None:
    guarantees = Guarantees({}, {})

    def since(reason: str, now: int) -> object:
        outside = Outside(link=reason)
        return guarantees.look(shown(), outside, now)["forwarding"]["since_ms"]

    assert [since("", 1), since("", 2), since("lost", 3), since("refused", 4), since("", 5)] == [
        1,
        1,
        3,
        3,
        5,
    ]


@pytest.mark.parametrize("name", ["messages", "heartbeat"])
def test_what_is_told_to_people_is_promised_only_where_somebody_is_named(name: str) -> None:
    assert name not in look(shown())
    assert look(shown(), Outside(messages="", heartbeat=""))[name]["ok"]
    away = look(shown(), Outside(messages="notify_away", heartbeat="notify_away"))[name]
    assert (away["ok"], away["reason"]) == (False, "notify_away")


def with_a_room(cords: dict[str, str], faults: list[str], alarms: list[str]) -> dict[str, Any]:
    told = shown()
    told["points"]["wc.lamp"] = {"active": False, "faults": faults}
    told["rooms"] = {"wc": {"call": {"state": "quiet"}, "cords": cords, "alarms": alarms}}
    return told


@pytest.mark.parametrize(
    ("cords", "faults", "alarms", "reason"),
    [
        ({"wc.cord": "normal"}, [], [], ""),
        ({"wc.cord": "pulled"}, [], [], ""),
        ({"wc.cord": "unknown"}, [], [], "cord_unknown"),
        ({"wc.cord": "normal", "wc.line": "cut"}, [], [], "cord_cut"),
        ({"wc.line": "short"}, [], [], "cord_short"),
        ({"wc.cord": "pulled"}, [], ["wc.cord/cord_stuck"], "cord_stuck"),
        ({"wc.cord": "normal"}, ["relay_fault"], [], "relay_fault"),
    ],
)
def test_the_call(cords: dict[str, str], faults: list[str], alarms: list[str], reason: str) -> None:
    guarantees = Guarantees({}, {}, {"wc": ("wc.lamp",)})
    found = guarantees.look(with_a_room(cords, faults, alarms), GOOD, 1000)["call"]
    assert (found["ok"], found["reason"]) == (not reason, reason)
    assert "call" not in look(shown())
