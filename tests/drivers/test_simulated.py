"""The simulated drivers, and the world that they are wired to as a bench plays it."""

from __future__ import annotations

import time
from itertools import pairwise
from threading import Event, Thread

import pytest

from drivers import (
    ContactReport,
    DriverFault,
    MeterReport,
    Report,
    simulated,
    simulated_contact,
    simulated_meter,
    simulated_relay,
)
from gateway.app.simulated_world import SimulatedWorld
from tests.drivers.driver_bench import Clock, Heard


def door(heard: Heard) -> simulated_relay.SimulatedRelay:
    relay = simulated_relay.open(simulated_relay.Settings(), print, name="act")
    simulated_contact.open(simulated_contact.Settings(follows="act"), heard, name="leaf")
    assert isinstance(relay, simulated_relay.SimulatedRelay)
    return relay


def test_a_relay_moves_the_leaf_that_follows_it(
    world: SimulatedWorld, clock: Clock, heard: Heard
) -> None:
    relay = door(heard)
    relay.drive(True)
    began_ns = clock.now_ns
    clock.travel_ms(1600)
    world.advance()
    assert world.show()["leaf"]["leaf"] == "open"
    relay.drive(False)
    clock.travel_ms(6000)
    world.advance()
    edges = [
        (r.active, (r.edge_ns - began_ns) // 1_000_000)
        for r in heard
        if isinstance(r, ContactReport) and r.edge_ns is not None
    ]
    assert edges == [(True, 300), (False, 7600)]


def test_a_broken_relay_is_a_fault_until_it_is_mended(world: SimulatedWorld, heard: Heard) -> None:
    relay = door(heard)
    world.break_("act")
    with pytest.raises(DriverFault, match="mend"):
        relay.drive(True)
    world.mend("act")
    relay.drive(True)
    assert world.show()["act"] == {"kind": "relay", "on": True, "broken": False, "operations": 1}
    world.break_("act")
    relay.close()


def test_an_emit_may_drive_and_reports_keep_their_order(
    world: SimulatedWorld, clock: Clock
) -> None:
    seen: list[Report] = []
    relay = simulated_relay.open(simulated_relay.Settings(), print, name="act")

    def follow(report: Report) -> None:
        seen.append(report)
        assert isinstance(report, ContactReport)
        relay.drive(bool(report.active))

    simulated_contact.open(simulated_contact.Settings(), follow, name="b")
    world.press("b", 100, bounces=1)
    clock.travel_ms(500)
    world.advance()
    levels = [r.active for r in seen if isinstance(r, ContactReport)]
    assert levels == [False, True, False, True, False, True, False]
    assert world.show()["act"]["operations"] == 3


def test_a_bench_clock_jumps_from_deadline_to_deadline(
    world: SimulatedWorld, clock: Clock, heard: Heard
) -> None:
    relay = door(heard)
    relay.drive(True)
    relay.drive(False)
    visited = []
    while (due := world.wake_at_ns()) is not None:
        visited.append((due - 1_000_000_000) // 1_000_000)
        clock.now_ns = due
        world.advance()
    assert visited == [300, 1500, 5500, 7500]


def test_catching_up_reports_what_is_due(world: SimulatedWorld, clock: Clock, heard: Heard) -> None:
    """The thread that plays the world may be late; what happened in it is not."""
    simulated_contact.open(simulated_contact.Settings(), heard, name="b")
    world.press("b", 200, bounces=4)
    began = clock.now_ns
    clock.travel_ms(1_000)
    simulated_contact.catch_up()
    edges = [report.edge_ns for report in heard if isinstance(report, ContactReport)]
    assert heard.levels[-1] is False
    assert max(edge for edge in edges if edge is not None) < began + 300_000_000


def test_a_fed_edge_carries_its_own_time(world: SimulatedWorld, heard: Heard) -> None:
    simulated_contact.open(simulated_contact.Settings(), heard, name="b")
    world.feed("b", True, 42)
    world.feed("b", True, 43)
    world.feed("b", False, 44)
    assert heard == [ContactReport(False), ContactReport(True, 42), ContactReport(False, 44)]


def test_a_meter_shows_what_was_set(world: SimulatedWorld, clock: Clock, heard: Heard) -> None:
    simulated_meter.open(simulated_meter.Settings(every_ms=1000), heard, name="m")
    heard.clear()
    world.set("m", 35.5)
    world.set("m", None, "humidity_percent")
    clock.travel_ms(1000)
    world.advance()
    assert heard[-2:] == [
        MeterReport("temperature_c", 35.5),
        MeterReport("humidity_percent", None, "the sensor is silent"),
    ]
    assert world.show()["m"] == {
        "kind": "meter",
        "values": {"temperature_c": 35.5, "humidity_percent": None},
    }


def test_a_point_that_is_not_simulated_is_a_key_error(world: SimulatedWorld) -> None:
    for act in (world.press, world.cut, world.stick, world.push, world.mend):
        with pytest.raises(KeyError):
            act("nobody")


def test_it_plays_in_real_time_and_is_closed(heard: Heard) -> None:
    released = Event()

    def emit(report: Report) -> None:
        heard(report)
        if len(heard) == 3:
            released.set()

    world = SimulatedWorld()
    simulated.use(world)
    try:
        simulated_contact.open(simulated_contact.Settings(), emit, name="b")
        before_ns = time.monotonic_ns()
        world.press("b", 20)
        assert released.wait(30)
        down, up = heard[1:]
        assert isinstance(down, ContactReport)
        assert isinstance(up, ContactReport)
        assert down.edge_ns is not None
        assert up.edge_ns == down.edge_ns + 20_000_000
        assert before_ns <= down.edge_ns <= time.monotonic_ns()
    finally:
        world.close()
        world.close()
        simulated.use(None)


def test_many_threads_may_act_at_once(world: SimulatedWorld, heard: Heard) -> None:
    simulated_contact.open(simulated_contact.Settings(), heard, name="b")

    def flip() -> None:
        for _ in range(200):
            world.set("b", True)
            world.set("b", False)

    threads = [Thread(target=flip) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    levels = [report.active for report in heard if isinstance(report, ContactReport)]
    assert all(a != b for a, b in pairwise(levels))
    assert levels[-1] is False
