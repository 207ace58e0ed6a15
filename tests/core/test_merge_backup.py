"""What stands at present goes on over the state of a backup."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.core.building.merge_backup import merge_backup, standing, unreadable


def room(number: int, call: Any = None, *last: str) -> dict[str, Any]:
    return {"number": number, "call": call, "last": [{"id": name} for name in last]}


def record(name: str, state: str = "raised", *, test: bool = False) -> dict[str, Any]:
    return {"id": name, "state": state, "test": test}


def wc(entry: Any) -> dict[str, Any]:
    return {"format": 1, "calls": {"wc": entry}}


@pytest.mark.parametrize(
    ("was", "now", "number", "stands"),
    [
        (room(3), room(4, record("wc-4")), 4, "wc-4"),
        (room(3), room(4, record("wc-4", "attended")), 4, "wc-4"),
        (room(3, record("wc-3")), room(4, record("wc-4")), 4, "wc-4"),
        (room(3), room(4, None, "wc-4"), 4, ""),
        (room(3, record("wc-3")), room(3, None, "wc-3"), 3, ""),
        (room(3, record("wc-3")), room(0), 3, "wc-3"),
        (room(3, record("wc-3")), None, 3, "wc-3"),
        (None, room(1, record("wc-1")), 1, "wc-1"),
        (room(9), room(2, record("wc-2")), 9, "wc-2"),
        (room(3, record("wc-3")), room(9, None, *(f"wc-{n}" for n in range(5, 10))), 9, ""),
        (room(3), room(4, record("wc-4", test=True)), 4, ""),
    ],
    ids=[
        "raised since",
        "attended since",
        "another one since",
        "raised and ended since",
        "ended since",
        "a gateway that is new",
        "a gateway without the room",
        "a room that is new",
        "higher numbers in the backup",
        "ended long ago",
        "a test",
    ],
)
def test_a_call_is_neither_ended_nor_named_twice(
    was: Any, now: Any, number: int, stands: str
) -> None:
    present = wc(now) if now else {"format": 1}
    merged = merge_backup(wc(was) if was else {"format": 1}, present)
    entry: Any = merged["calls"]
    assert entry["wc"]["number"] == number
    assert standing(merged) == ([stands] if stands else [])
    assert not unreadable(merged)


@pytest.mark.parametrize("now", [{"format": "unreadable"}, wc({"number": 3, "call": {}})])
def test_what_cannot_be_read_is_a_call_that_cannot_be_read(now: Any) -> None:
    assert unreadable(now)
    assert unreadable(merge_backup(wc(room(3)), now)), "an alarm is raised for it"


def test_of_a_present_that_cannot_be_read_whole_the_calls_that_can_be_stand_on() -> None:
    now = {**wc(room(4, record("wc-4"))), "format": "unreadable"}
    assert standing(merge_backup(wc(room(3)), now)) == ["wc-4"]


def test_alarms_and_water_stand_on_and_messages_count_on() -> None:
    old = {"subject": "front", "kind": "forced", "count": 1}
    was: Any = {
        "format": 1,
        "alarms": [old, {"subject": "a", "kind": "frost"}],
        "leaks": ["wc"],
        "escalations": {"front/forced": {"running": False, "count": 2}, "wc-1": {"count": 9}},
        "mailings": {"caretaker": {"count": 1, "letters": [1]}},
    }
    now: Any = {
        "format": 1,
        "alarms": [{**old, "count": 5}],
        "leaks": ["kitchen", "wc"],
        "calls": {"wc": room(1, record("wc-1"))},
        "escalations": {"front/forced": {"running": True, "count": 1}, "wc-1": {"count": 11}},
        "mailings": {"caretaker": {"count": 6, "letters": []}},
    }
    assert merge_backup(was, now) == {
        "format": 1,
        "alarms": [{**old, "count": 5}, {"subject": "a", "kind": "frost"}],
        "leaks": ["wc", "kitchen"],
        "calls": {"wc": room(1, record("wc-1"))},
        "escalations": {"front/forced": {"running": True, "count": 2}, "wc-1": {"count": 11}},
        "mailings": {"caretaker": {"count": 6, "letters": [1]}},
    }


def test_an_empty_present_changes_nothing() -> None:
    was: Any = {**wc(room(3, record("wc-3"))), "overrides": {"front": {"mode": "off"}}}
    assert merge_backup(was, {}) == was


def test_a_chain_goes_on_only_where_its_call_stands() -> None:
    """People were messaged again and again of a call that had ended, and that nobody could
    acknowledge."""
    was = {**wc(room(3, record("wc-3"))), "escalations": {"wc-3": {"running": True}}}
    assert merge_backup(was, wc(room(3, None, "wc-3")))["escalations"] == {}
    assert merge_backup(was, wc(room(9, None)))["escalations"] == {}
    assert merge_backup(was, {})["escalations"] == {"wc-3": {"running": True}}


HOLD, NIGHT, OFF = ({"mode": mode, "by": "web:3"} for mode in ("hold_open", "night", "off"))
OLD: Any = {
    "format": 1,
    "overrides": {"front": HOLD, "back": OFF},
    "modes": {"front": {"mode": "automatic"}, "back": {"mode": "night"}},
    "service": {"front": 5},
    "clock": {"offset_ms": 1},
}


def test_staff_want_of_a_door_what_they_want_now() -> None:
    """A door that staff had locked since the backup was held open after it."""
    now: Any = {"format": 1, "overrides": {"front": NIGHT}, "modes": {}, "clock": {"offset_ms": 2}}
    merged = merge_backup(OLD, now)
    assert {name: merged.get(name) for name in ("overrides", "modes", "service", "clock")} == {
        "overrides": {"front": NIGHT},
        "modes": {},
        "service": None,
        "clock": {"offset_ms": 2},
    }


@pytest.mark.parametrize("now", [{}, {"format": "unreadable", "overrides": {"front": HOLD}}])
def test_where_that_is_not_known_nothing_old_opens_a_door(now: Any) -> None:
    merged = merge_backup(OLD, now)
    assert merged["overrides"] == {"back": OFF}
    assert merged["modes"] == {"back": {"mode": "night"}}
    assert merged["service"] == {"front": 5}, "somebody may be at work there; it ends by itself"


def test_a_call_that_is_the_same_in_both_stays() -> None:
    assert merge_backup(wc(room(3)), wc(room(3)))["calls"] == wc(room(3))["calls"]
