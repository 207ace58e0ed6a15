"""The system status on the command line: each value of a guarantee, its evidence and why."""

from __future__ import annotations

from typing import Any, cast

from rich.console import Console

from gateway.app.cli.live import _doors, _guarantees, _no_alarms
from gateway.app.cli.rooms import rooms_table
from gateway.panel.snapshot_types import Snapshot
from tests.page.fake import called, door, guarantee, room

NOW = 10_000_000


def part(**shown: Any) -> Snapshot:
    """So much of a snapshot as a test is about."""
    return cast("Snapshot", shown)


def lines(**guarantees: dict[str, Any]) -> dict[str, str]:
    """The line of each guarantee, by its name."""
    console = Console(width=200, record=True)
    with console.capture() as shown:
        console.print(_guarantees(part(now_ms=NOW, guarantees=guarantees)))
    rows = shown.get().splitlines()[1:]
    return {name: next(row for row in rows if row.startswith(name.replace("_", " ")))
            for name in guarantees}  # fmt: skip


def test_each_value_is_said_and_only_yes_is_yes() -> None:
    since = NOW - 3_600_000
    found = lines(
        door_by_button=guarantee(since) | {"evidence_ms": NOW - 1_000},
        door_by_staff=guarantee(since, "no", "did_not_open") | {"subject": "front"},
        messages=guarantee(since, "unknown", "no_delivery") | {"evidence_ms": None},
        heartbeat=guarantee(since, "not_configured", "not_configured") | {"evidence_ms": None},
    )
    assert found["door_by_button"].split()[3:] == ["yes", "1", "h", "1", "s"]
    assert found["door_by_staff"].split()[3:] == [
        "no",
        "1",
        "h",
        "1",
        "h",
        "did_not_open",
        "(front)",
    ]
    assert found["messages"].split()[1:] == ["unknown", "1", "h", "no_delivery"]
    assert found["heartbeat"].split()[1:] == ["not", "configured"]


def test_a_control_of_before_that_says_no_value_says_nothing() -> None:
    found = lines(journal={"ok": True, "since_ms": NOW, "reason": ""})
    assert found["journal"].split()[1] == "unknown"


def test_what_was_set_aside_is_named() -> None:
    found = lines(
        recording=guarantee(NOW, "no", "recorder_aside", aside=70),
        forwarding=guarantee(NOW, aside=[["a/[b]", "too large"]], aside_count=3),
    )
    assert "recorder_aside, 70 points set aside" in found["recording"]
    assert "3 set aside: a/[b]: too large" in found["forwarding"]


def test_a_call_is_named_where_there_are_no_alarms() -> None:
    quiet, calls = {"call": {"state": "quiet"}}, {"call": {"state": "raised"}}
    assert _no_alarms(part()) == "No alarms."
    assert _no_alarms(part(rooms={"wc": quiet, "hall": {"call": None}})) == "No alarms."
    assert "a call from bath" in _no_alarms(part(rooms={"wc": quiet, "bath": calls}))


def test_a_call_from_before_the_start_without_a_clock_has_no_age() -> None:
    console = Console(width=200, record=True)
    wc = room("WC", call=called(since_ms=None))
    with console.capture() as shown:
        console.print(rooms_table(part(now_ms=NOW, gateway={"started_ms": 0}, rooms={"wc": wc})))
    assert shown.get().splitlines()[1].split()[:4] == ["wc", "raised", "wc.cord", "normal"]


def doors(started_ms: int, **values: Any) -> str:
    console = Console(width=200, record=True)
    with console.capture() as shown:
        front = door("Front", since_ms=NOW - 3_600_000, **values)
        gateway = {"id": "test", "started_ms": started_ms}
        console.print(_doors(part(now_ms=NOW, gateway=gateway, doors={"front": front})))
    return shown.get().splitlines()[1]


def test_what_was_read_anew_at_the_start_may_have_been_so_for_longer() -> None:
    assert "at least 1 h" in doors(NOW - 3_600_400)
    assert "at least" not in doors(NOW - 3_700_000)
    assert "at least" not in doors(NOW - 60_000)


def test_a_door_in_service_is_said_to_be() -> None:
    assert ", in service for 59 min" in doors(0, service_until_ms=NOW + 59 * 60_000)
    assert "service" not in doors(0, service_until_ms=None)
