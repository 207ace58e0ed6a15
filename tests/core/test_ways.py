"""What became of the newest message by each way: noted from facts, and over a restart."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.core import building as core
from gateway.core.building.state import Building
from gateway.core.events import CivilTime, Delivered
from gateway.core.facts import Fact, Json
from gateway.core.instant import NEVER, At
from gateway.core.notification import ways as w
from gateway.core.plan import BuildingPlan, MailingPlan, ReceiverPlan
from gateway.core.saved_values import Times

UTC = 1_800_000_000_000
PLAN = BuildingPlan(
    gateway="office",
    receivers=(ReceiverPlan("reception", 2),),
    mailings=(MailingPlan("test", ("reception",), (UTC + 1_000,), None),),
)


def message(result: str, at_ms: int = 5, reason: str | None = None, channel: int = 0) -> Fact:
    data: dict[str, Json] = {
        "receiver": "reception", "channel": channel, "result": result, "reason": reason,
    }  # fmt: skip
    return Fact("message", "office", at_ms, data)


def state(ok: bool, reason: str, at: At, delivered: At) -> w.WayState:
    return w.WayState("reception", 0, ok, reason, at, delivered)


def test_the_newest_attempt_and_the_last_that_arrived_are_remembered() -> None:
    one = w.noted({}, [message("delivered")], UTC)["reception", 0]
    assert one == state(True, "", At(5, UTC + 5), At(5, UTC + 5))
    then = w.noted({("reception", 0): one}, [message("failed", 9, "http 500")], UTC)
    assert then["reception", 0] == w.WayState(
        "reception", 0, False, "http 500", At(9, UTC + 9), At(5, UTC + 5)
    )
    never = w.noted({}, [message("failed", 9, "http 500", channel=1)], None)["reception", 1]
    assert (never.at, never.delivered) == (At(9), NEVER)


@pytest.mark.parametrize(
    "fact",
    [
        message("sent"),
        message("skipped", reason="off_duty"),
        message("failed", reason="notify_away"),
        Fact("message_confirmed", "office", 5, {"delivery": "test#1", "receiver": "reception"}),
    ],
)
def test_what_is_no_attempt_changes_nothing(fact: Fact) -> None:
    before: w.WayStates = {}
    assert w.noted(before, [fact], UTC) is before


def test_the_last_arrival_of_several_ways_counts() -> None:
    both = w.noted({}, [message("delivered", 5), message("delivered", 9, channel=1)], None)
    ways = w.ways_of(PLAN)["reception"]
    assert w.latest(both, ways) == 9
    assert w.latest(both, ways[:1]) == 5
    assert w.latest({}, ways) is None
    elsewhere = {("reception", 0): state(True, "", At(None, UTC), At(None, UTC))}
    assert w.latest(elsewhere, ways) is None
    assert w.latest(w.with_clock(elsewhere, UTC - 7, 100), ways) == 7


def run(kept: dict[str, Json], now: int = 0) -> Building:
    return core.start(PLAN, kept, now).state


def delivered(building: Building, now: int, *, ok: bool = True) -> Building:
    """The weekly test is sent and answered."""
    building = core.step(building, CivilTime(UTC + now, True), now).state
    building = core.step(building, None, now + 1_000).state
    message = building.mailings["test"].messages[-1]
    return core.step(
        building, Delivered(message.delivery, ok, "" if ok else "x"), now + 1_010
    ).state


def test_deliveries_survive_a_restart_and_get_their_place_in_the_new_boot() -> None:
    first = delivered(run({}), 0)
    again = run(core.state_to_save(first), 50)
    assert again.ways == {
        ("reception", 0): w.WayState(
            "reception", 0, True, "", At(None, UTC + 1_010), At(None, UTC + 1_010)
        )
    }
    clocked = core.step(again, CivilTime(UTC + 60_000, True), 60).state
    assert w.latest(clocked.ways, w.ways_of(PLAN)["reception"]) == 60 - 60_000 + 1_010
    late = core.start(PLAN, None, 50).state
    late = core.step(late, CivilTime(UTC + 60_000, True), 60).state
    late = core.restore(late, core.state_to_save(first), 70).state
    assert late.ways == clocked.ways


def read(rows: Json) -> w.WayStates:
    return w.SAVED.read(rows, Times()) or {}


def test_an_attempt_since_the_start_is_newer_than_what_is_restored() -> None:
    failed = w.noted({}, [message("failed", 9, "x")], None)
    kept: Json = [["reception", 0, True, "", UTC, UTC], ["reception", 1, True, "", UTC, UTC]]
    was = read(kept)
    both = w.restored(PLAN, was, failed)
    assert both["reception", 0] == state(False, "x", At(9), At(None, UTC))
    assert both["reception", 1].ok
    arrived = w.noted({}, [message("delivered", 9)], None)
    assert w.restored(PLAN, was, arrived)["reception", 0] == arrived["reception", 0]
    assert w.restored(PLAN, read(None), failed) == failed


@pytest.mark.parametrize(
    "row",
    [
        ["reception", 2, True, "", UTC, UTC],
        ["left", 0, True, "", UTC, UTC],
        ["reception", 0, 1, "", UTC, UTC],
        ["reception", False, True, "", UTC, UTC],
        ["reception", 0, True, "", "yesterday", UTC],
        "reception",
    ],
)
def test_a_row_that_cannot_be_read_or_is_of_nobody_is_left_out(row: Json) -> None:
    assert w.restored(PLAN, read([row]), {}) == {}


def test_nothing_that_is_kept_changes_at_rest() -> None:
    building = delivered(run({}), 0)
    before = core.state_to_save(building)
    for minute in range(1, 60):
        now = 2_000 + minute * 60_000
        building = core.step(building, CivilTime(UTC + now, True), now).state
        kept = core.state_to_save(building)
        assert kept["deliveries"] == before["deliveries"]
    assert replace(building, ways={}).ways == {}
