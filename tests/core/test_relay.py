"""A relay: never on for longer than its limit, whatever asked for it."""

from __future__ import annotations

from itertools import pairwise

import pytest

from gateway.core.effects import Drive
from gateway.core.events import RelayFault
from gateway.core.instant import Ms
from gateway.core.plan import RelayPlan
from gateway.core.signals import relay
from gateway.core.signals.relay import Blink, Relay, Test, TestOver

PLAN = RelayPlan("front.activation", 1500)
ON, OFF = Drive("front.activation", True), Drive("front.activation", False)


class Bench:
    def __init__(self, plan: RelayPlan = PLAN) -> None:
        self.relay: Relay = relay.start(plan, 0)
        self.levels: list[tuple[Ms, bool]] = []
        self.told: list[tuple[Ms, object]] = []

    def step(self, event: relay.RelayEvent | None, now: Ms) -> Relay:
        result = relay.step(self.relay, event, now)
        self.relay = result.state
        self.levels += [(now, e.on) for e in result.effects if isinstance(e, Drive)]
        self.told += [(fact.at_ms, fact.data["on"]) for fact in result.facts]
        return self.relay


def test_a_flashing_lamp_counts_each_time_that_its_contact_closes() -> None:
    """The bench counted 5 operations after one call, and maintenance 1."""
    bench = Bench()
    bench.step(ON, 0)
    for at, lit in enumerate([True, False, False, True, True, False, True]):
        bench.step(Blink(lit), at + 1)
    bench.step(OFF, 9)
    bench.step(Blink(True), 10)
    closed = [on for (_, before), (_, on) in pairwise([(0, False), *bench.levels]) if on > before]
    assert bench.relay.operations == len(closed) == 3
    assert bench.told == [(0, True), (9, False)]


def test_a_relay_is_driven_and_told_on_change_only() -> None:
    bench = Bench()
    bench.step(ON, 1000)
    bench.step(ON, 1100)
    bench.step(OFF, 1500)
    bench.step(OFF, 1600)
    assert bench.levels == bench.told == [(1000, True), (1500, False)]
    assert bench.relay.operations == 1


def test_the_limit_cuts_in_and_holds_until_the_asker_has_let_go() -> None:
    """mqtt-io#193, #310: relays that stayed on."""
    bench = Bench()
    bench.step(ON, 1000)
    assert relay.wake_at(bench.relay) == 2500
    assert bench.step(None, 2499).on
    assert bench.step(None, 2500).conditions == (("relay_limit", ""),)
    assert bench.levels == [(1000, True), (2500, False)]
    assert not bench.step(ON, 2600).on
    bench.step(OFF, 2700)
    assert bench.relay.conditions == ()
    bench.step(ON, 2800)
    assert bench.relay.on


def test_a_second_on_does_not_extend_the_limit() -> None:
    bench = Bench()
    bench.step(ON, 1000)
    bench.step(ON, 2400)
    assert relay.wake_at(bench.relay) == 2500


def test_unlimited_is_what_the_plan_says_in_words() -> None:
    bench = Bench(RelayPlan("front.hold", None))
    bench.step(ON, 1000)
    assert relay.wake_at(bench.relay) is None


def test_a_test_ends_by_itself() -> None:
    bench = Bench()
    bench.step(Test(800), 1000)
    bench.step(None, 1800)
    assert bench.levels == [(1000, True), (1800, False)]
    assert relay.wake_at(bench.relay) is None


def test_a_test_that_is_over_early_leaves_what_a_machine_drives() -> None:
    bench = Bench()
    bench.step(TestOver(), 500)
    assert bench.levels == []
    bench.step(Test(800), 1000)
    bench.step(TestOver(), 1200)
    assert bench.levels == [(1000, True), (1200, False)]
    assert relay.wake_at(bench.relay) is None
    bench.step(Test(800), 2000)
    bench.step(ON, 2100)
    bench.step(TestOver(), 2200)
    assert bench.relay.on


@pytest.mark.parametrize("drive", [ON, OFF])
def test_a_machine_that_drives_takes_the_relay_over_from_a_test(drive: Drive) -> None:
    bench = Bench()
    bench.step(Test(800), 1000)
    bench.step(drive, 1200)
    assert bench.relay.on is drive.on
    assert bench.relay.test_ends_ms is None


def test_a_fault_stands_until_it_works_again_and_is_then_told_what_it_shall_be() -> None:
    bench = Bench()
    bench.step(ON, 1000)
    fault = bench.step(RelayFault("front.activation", "no such line"), 1001)
    assert fault.conditions == (("relay_fault", "no such line"),)
    bench.step(OFF, 1500)
    bench.step(RelayFault("front.activation", ""), 9000)
    assert bench.relay.conditions == ()
    assert bench.levels == [(1000, True), (1500, False), (9000, False)]
