"""The clocks: monotonic, civil, travelling; and the name of a start."""

from __future__ import annotations

from gateway.control.clock import STEP_MS, Trust, boot
from tests.control.control_bench import Time


def test_civil_time_is_monotonic_time_plus_an_offset() -> None:
    time = Time()
    clock = time.clock()
    time.passes(5000)
    assert clock.now_ms() + clock.utc_offset_ms() == time.utc_ms


def test_a_bench_begins_when_it_is_told_to() -> None:
    time = Time()
    clock = time.clock(start_utc_ms=0)
    time.passes(1500)
    assert clock.now_ms() + clock.utc_offset_ms() == 1500


def test_a_journey_stands_still_at_its_stops_and_goes_on_from_the_last() -> None:
    time = Time()
    clock = time.clock()
    start = clock.now_ms()
    clock.travel_to(start + 86_400_000)
    time.passes(7)
    assert clock.now_ms() == start + 86_400_000
    assert clock.now_ns() == (start + 86_400_000) * 1_000_000
    clock.travel_to(start)
    assert clock.now_ms() == start + 86_400_000  # never back
    clock.go_on()
    assert clock.now_ms() == start + 86_400_000
    time.passes(5)
    assert clock.now_ms() == start + 86_400_005


def test_a_journey_takes_civil_time_along_without_a_step() -> None:
    time = Time()
    clock = time.clock()
    before = clock.utc_offset_ms()
    clock.travel_to(clock.now_ms() + 1000)
    clock.go_on()
    assert clock.utc_offset_ms() == before


def test_kernel_times_follow_the_journey() -> None:
    time = Time()
    clock = time.clock()
    clock.travel_to(clock.now_ms() + 1000)
    clock.go_on()
    assert clock.from_ns(time.mono_ms * 1_000_000) == clock.now_ms()
    assert clock.from_ms(time.mono_ms) == clock.now_ms()


def test_two_starts_have_two_names() -> None:
    time = Time()
    first = boot(time.clock())
    time.passes(1)
    second = boot(time.clock())
    assert first != second
    assert first.rpartition("-")[0] == second.rpartition("-")[0]


def test_trust_remembers_since_when() -> None:
    trust = Trust(False, 1000, 10)
    told, step = trust.seen(1000, 20, True)
    assert (told, step) == (Trust(True, 1000, 20), 0)
    same, step = told.seen(1000 + STEP_MS, 30, True)
    assert (same, step) == (told, 0)
    stepped, step = told.seen(1001 + STEP_MS, 30, None)
    assert (stepped, step) == (Trust(True, 1001 + STEP_MS, 20), STEP_MS + 1)
