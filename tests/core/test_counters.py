"""The counters of a door, counted from its own facts."""

from __future__ import annotations

from gateway.core.door import counters, door
from gateway.core.door.counters import Counters
from gateway.core.facts import Json
from gateway.core.instant import At
from gateway.core.saved_values import Times
from tests.core.door_bench import BLIND, Bench


def test_openings_requests_and_times_are_counted() -> None:
    bench = Bench()
    bench.press(1030, edge_ms=1000)
    bench.leaf(2000, True)
    bench.press(3000)
    bench.leaf(9000, False)
    bench.mode(10_000, "night")
    bench.press(11_000, "remote")
    bench.press(12_000, "remote")
    bench.staff(13_000)
    counted = bench.door.counters
    assert (counted.openings, counted.requests, counted.open_ms) == (1, 5, 7000)
    assert counted.refusals == {"mode_night": 2, "reason_needed": 1}
    assert counted.press_to_open_ms == 1000
    assert counted.opened == At(2000)


def test_the_last_request_and_the_last_refusal_are_kept_in_the_words_of_the_fact() -> None:
    bench = Bench()
    bench.press(1000, "reader", "inside")
    bench.staff(3000, expires_ms=2000)
    bench.press(9000, "reader", "inside")
    assert counters.shown(bench.door.counters.last_request, None) == {
        "outcome": "accepted",
        "reason": None,
        "activator": "front.reader",
        "activator_kind": "reader",
        "side": "inside",
        "by": None,
        "at_ms": 9000,
    }
    assert counters.shown(bench.door.counters.last_refusal, None) == {
        "outcome": "refused",
        "reason": "expired",
        "activator": None,
        "activator_kind": "staff",
        "side": None,
        "by": "web:7",
        "at_ms": 3000,
    }


def test_an_opening_by_hand_has_no_press_and_leaves_the_last_time_alone() -> None:
    bench = Bench()
    bench.press(1000)
    bench.leaf(2000, True)
    bench.leaf(5000, False)
    bench.leaf(50_000, True)
    assert (bench.door.counters.openings, bench.door.counters.press_to_open_ms) == (2, 1000)


def test_an_assumed_opening_counts_as_a_cycle_but_not_as_time() -> None:
    bench = Bench(BLIND)
    bench.press(1000)
    bench.until(60_000)
    assert (bench.door.counters.openings, bench.door.counters.open_ms) == (1, 0)


def test_the_counters_survive_a_restart() -> None:
    counted = Counters(openings=7, requests=9, refusals={"stale": 2}, open_ms=1234)
    assert counters.SAVED.read(counters.SAVED.write(counted, Times()), Times()) == counted
    assert door.start(BLIND, 0, counted).state.counters is counted


def test_counters_that_cannot_be_read_begin_at_nought() -> None:
    assert counters.SAVED.read({}, Times()) == Counters()
    odd: Json = {"openings": True, "requests": "9", "refusals": [1]}
    assert counters.SAVED.read(odd, Times()) == Counters()


def test_counters_from_before_a_restart_are_added_to_those_since() -> None:
    since = Counters(openings=1, requests=2, refusals={"stale": 1}, open_ms=5, opened=At(77))
    before = Counters(openings=7, requests=9, refusals={"stale": 2, "fire": 1}, open_ms=10)
    assert since + before == Counters(
        openings=8, requests=11, refusals={"fire": 1, "stale": 3}, open_ms=15, opened=At(77)
    )
