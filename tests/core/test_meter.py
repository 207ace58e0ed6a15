"""A meter: what is believed, and what is worth telling."""

from __future__ import annotations

from math import inf, nan

import pytest

from gateway.core.events import Reading
from gateway.core.facts import Json
from gateway.core.instant import Ms
from gateway.core.plan import MeterPlan
from gateway.core.signals import meter
from gateway.core.signals.meter import Meter
from tests import plans

PLAN = plans.meter(
    "wc.climate",
    ("temperature_c", "humidity_percent"),
    180_000,
    limits=(("temperature_c", -40.0, 80.0), ("humidity_percent", 0.0, 100.0)),
    dead_bands=(("temperature_c", 0.2),),
    frozen_after_ms=3_600_000,
)
MINUTE = 60_000


class Bench:
    def __init__(self, plan: MeterPlan = PLAN) -> None:
        self.meter: Meter = meter.start(plan, 0)
        self.told: list[tuple[Ms, Json, Json]] = []

    def read(self, value: float | None, now: Ms, reason: str = "") -> None:
        self.step(Reading("wc.climate", "temperature_c", value, reason), now)

    def step(self, event: Reading | None, now: Ms) -> None:
        result = meter.step(self.meter, event, now)
        self.meter = result.state
        self.told += [(f.at_ms, f.data["value"], f.data["reason"]) for f in result.facts]

    def faults(self) -> list[str]:
        return [kind for kind, _ in self.meter.conditions]


def test_told_are_changes_beyond_the_dead_band_and_a_heartbeat() -> None:
    bench = Bench()
    for minute, value in enumerate([20.0, 20.1, 20.15, 20.3, 20.3]):
        bench.read(value, minute * MINUTE)
    assert bench.told == [(0, 20.0, None), (3 * MINUTE, 20.3, None)]
    bench.read(20.3, 18 * MINUTE)
    assert bench.told[-1] == (18 * MINUTE, 20.3, None)


def test_without_a_dead_band_every_change_is_told_and_no_repetition() -> None:
    bench = Bench()
    for now, value in [(0, 50.0), (1, 50.0), (2, 50.1)]:
        bench.step(Reading("wc.climate", "humidity_percent", value), now)
    assert bench.told == [(0, 50.0, None), (2, 50.1, None)]


@pytest.mark.parametrize("value", [nan, inf, -inf, -127.0, 81.0, -40.1])
def test_a_reading_that_cannot_be_true_is_a_fault_and_a_gap_and_never_a_spike(value: float) -> None:
    bench = Bench()
    bench.read(20.0, 0)
    bench.read(value, MINUTE)
    bench.read(value, 2 * MINUTE)
    assert bench.told == [(0, 20.0, None), (MINUTE, None, "implausible")]
    assert bench.meter.conditions == (("implausible", f"temperature_c {value!r}"),)
    bench.read(20.0, 3 * MINUTE)
    assert bench.told[-1] == (3 * MINUTE, 20.0, None)
    assert bench.faults() == []


def test_the_same_value_for_too_long_is_frozen_until_it_moves() -> None:
    bench = Bench()
    for minute in range(61):
        bench.read(20.0, minute * MINUTE)
    assert bench.faults() == ["meter_frozen"]
    assert bench.told[-1:] == [(60 * MINUTE, None, "frozen")]
    bench.read(20.1, 61 * MINUTE)
    assert bench.faults() == []
    assert bench.told[-1] == (61 * MINUTE, 20.1, None)


def test_a_meter_that_is_not_watched_for_it_is_never_frozen() -> None:
    bench = Bench(plans.meter("wc.climate", ("temperature_c",), 10**9))
    for hour in range(48):
        bench.read(20.0, hour * 60 * MINUTE)
    assert bench.faults() == []


def test_silence_is_a_state_with_one_gap_and_ends_with_the_next_value() -> None:
    bench = Bench()
    bench.read(20.0, 0)
    assert meter.wake_at(bench.meter) == 180_000
    bench.step(None, 180_000)
    assert bench.faults() == ["meter_silent"]
    # One gap for each quantity: the humidity was never heard.
    assert bench.told[1:] == [(180_000, None, "silent"), (180_000, None, "silent")]
    assert meter.wake_at(bench.meter) is None
    bench.read(20.0, 200_000)
    assert bench.told[-1] == (200_000, 20.0, None)
    assert bench.faults() == ["meter_silent"]  # the humidity still is
    bench.step(Reading("wc.climate", "humidity_percent", 50.0), 200_000)
    assert bench.faults() == []


def test_one_failed_look_is_a_gap_and_becomes_silence_only_when_it_lasts() -> None:
    bench = Bench(plans.meter("wc.climate", ("temperature_c",), 180_000))
    bench.read(20.0, 0)
    bench.read(None, MINUTE, "no answer on the bus")
    bench.read(None, 2 * MINUTE)
    assert bench.told[1:] == [(MINUTE, None, "no answer on the bus")]
    assert bench.faults() == []
    bench.step(None, 3 * MINUTE)
    assert bench.faults() == ["meter_silent"]
    bench.read(None, 4 * MINUTE)
    assert bench.faults() == ["meter_silent"]
    assert len(bench.told) == 2


def test_time_alone_and_quantities_nobody_planned_change_nothing() -> None:
    bench = Bench()
    before = bench.meter
    bench.step(None, 1000)
    bench.step(Reading("wc.climate", "pressure_hpa", 1013.0), 1000)
    assert bench.meter is before
