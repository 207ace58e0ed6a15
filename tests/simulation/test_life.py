"""A month of building life, twenty times: what must never be is not, and what must come comes.

People, wires and weather are drawn from the seed; the oracles of ``gateway.simulation`` judge by
what was true. A seed that fails becomes a named test here."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from functools import partial
from zoneinfo import ZoneInfo

import pytest

from gateway.core.events import Mode
from gateway.core.plan import BuildingPlan
from gateway.simulation.agenda import HOUR, MINUTE
from gateway.simulation.days import days
from gateway.simulation.life import Life
from gateway.simulation.weather import LATER, Weather
from tests.simulation.lived import BUILDING, FIRST, ZONE, lived, plan_of

LOOKED_INTO = range(5)
SEEDS = [*LOOKED_INTO, *(pytest.param(seed, marks=pytest.mark.lives) for seed in range(5, 20))]
"""The first every time; the others beside the processes and the page, in `make lives`."""
DAYS = 30
_lives: dict[int, Life] = {}


@pytest.fixture(scope="module")
def plan() -> BuildingPlan:
    return plan_of(BUILDING)


def life_of(plan: BuildingPlan, seed: int) -> Life:
    """Lived once in each process of the tests."""
    if seed not in _lives:
        _lives[seed] = lived(plan, DAYS, seed)
    return _lives[seed]


@pytest.fixture(scope="module")
def lives(plan: BuildingPlan) -> list[Life]:
    return [life_of(plan, seed) for seed in LOOKED_INTO]


@pytest.mark.parametrize("seed", SEEDS)
def test_no_invariant_is_broken(plan: BuildingPlan, seed: int) -> None:
    assert life_of(plan, seed).oracles.broken == []


def test_every_oracle_had_something_to_judge(lives: list[Life]) -> None:
    """An oracle that was never asked proves nothing."""
    asked = {name for life in lives for name in life.oracles.asked}
    assert asked >= {
        "relay_limit",
        "opening_asked",
        "opening_allowed",
        "off_stays_off",
        "pulse_whole",
        "press_answered",
        "only_a_press",
        "one_reply",
        "a_reply",
        "hours_add_up",
        "hours_empty",
        "call_stands",
        "only_in_the_room",
        "cancel_works",
        "somebody_told",
        "failed_moves_on",
        "escalation_goes_on",
        "a_pull_is_real",
        "test_is_short",
        "test_pauses",
        "test_waits",
        "no_test_in_a_call",
        "override_holds",
        "held_opens_nothing",
        "a_bounce_is_one_press",
        "opened_is_true",
        "jam_is_seen",
        "jam_stays_seen",
        "jam_is_never_green",
        "open_is_seen",
        "reload_is_taken",
        "reload_keeps_the_call",
        "reload_moves_nothing",
        "call_keeps_its_room",
        "orphan_is_shown",
        "orphan_is_told",
    }


def test_a_life_is_not_a_quiet_one(lives: list[Life]) -> None:
    """The oracles mean nothing where nothing happens."""
    faults = {name for life in lives for name in life.faults}
    assert len(faults) > 30
    for life in lives:
        assert life.report.kinds["door_opened"] > 200
        assert life.report.kinds["call_raised"] > 1


def test_the_same_seed_is_the_same_life(plan: BuildingPlan) -> None:
    one, two, other = (lived(plan, 2, seed).digest for seed in (7, 7, 8))
    assert one == two != other


def test_without_the_later_kinds_a_seed_is_the_life_that_it_was_before(plan: BuildingPlan) -> None:
    """They are drawn from random streams of their own. Another digest here means that the core has
    other facts or effects, or that people and weather are drawn otherwise: both want a reason."""
    before = replace(Weather.drawn(7), **dict.fromkeys(LATER, 0.0))
    digest = "382a8ba37c038e0a8a2e239441f92c692d82ace7c30a269ccbfda28ba12a5ca5"
    assert lived(plan, 5, 7, before).digest == digest


@pytest.mark.parametrize("kind", sorted(LATER))
def test_each_later_kind_is_lived_alone(plan: BuildingPlan, kind: str) -> None:
    """Nothing else goes wrong, and this often: no oracle is broken, and there was something."""
    life = lived(plan, 10, 3, replace(Weather.fine(), **{kind: 3 * LATER[kind]}))
    assert life.oracles.broken == []
    assert sum(life.faults.values()) >= 3


def test_with_fine_weather_everybody_gets_in(plan: BuildingPlan) -> None:
    """People only: who comes in office hours finds an open door, and nothing is a fault."""
    life = lived(plan, 5, 1, Weather.fine())
    assert life.oracles.broken == []
    assert life.faults == {}
    (front,) = life.doors.values()
    assert front.passed > 5 * front.gave_up > 0
    assert front.openings == life.report.kinds["door_opened"] > 100


def test_days_are_as_long_as_the_clock_says() -> None:
    """The day of the change to summer time has 23 hours, and a Sunday is no working day."""
    saturday, sunday, monday = days(date(2026, 3, 28), 3, ZoneInfo("Europe/Berlin"), set())
    assert sunday.utc_ms - saturday.utc_ms == 24 * 3_600_000
    assert monday.utc_ms - sunday.utc_ms == 23 * 3_600_000
    assert [day.works for day in (saturday, sunday, monday)] == [False, False, True]


@pytest.mark.lives
@pytest.mark.parametrize("seed", [1020, 1126, 1193])
def test_a_call_found_at_the_start_and_seen_before_waits_for_nobody(
    plan: BuildingPlan, seed: int
) -> None:
    """Three seeds of the long run: the disk could be read only later, and until then the call that
    somebody had acknowledged looked like a new one. (The oracle took it for one.)"""
    assert lived(plan, DAYS, seed).oracles.broken == []


def test_hold_open_that_is_chosen_again_does_not_outlast_the_limit_of_its_relay(
    plan: BuildingPlan,
) -> None:
    """Seed 14: staff held the door open, its relay was off after its hour, and they
    chose the same mode again. Only another mode lets go of the relay."""
    life = Life(plan, days(FIRST, 1, ZONE, ()), 1, Weather.fine())
    (door,) = life.doors.values()
    held = []
    modes: tuple[tuple[int, Mode], ...] = (
        (10, "hold_open"),
        (80, "hold_open"),
        (90, "automatic"),
        (95, "hold_open"),
    )
    for at_min, mode in modes:
        life.agenda.later(at_min * MINUTE, partial(door.staff_mode, mode, 4 * HOUR))
        life.agenda.later((at_min + 2) * MINUTE, lambda: held.append(life.host.lit["front.hold"]))
    life.host.start()
    life.host.live_until(2 * HOUR)
    assert held == [True, False, False, True]
    assert life.oracles.broken == []
    assert life.oracles.asked["override_holds"] == 2


def test_a_door_that_is_not_held_open_is_seen(
    plan: BuildingPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    life = Life(plan, days(FIRST, 1, ZONE, ()), 1, Weather.fine())
    (door,) = life.doors.values()
    drive = life.host._drive
    monkeypatch.setattr(
        life.host, "_drive", lambda point, on: point == "front.hold" or drive(point, on)
    )
    life.agenda.later(10 * MINUTE, partial(door.staff_mode, "hold_open", 4 * HOUR))
    life.host.start()
    life.host.live_until(HOUR)
    assert [one.oracle for one in life.oracles.broken] == ["override_holds"]
