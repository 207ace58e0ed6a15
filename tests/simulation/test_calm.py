"""A calm year: lively, quiet, the same for the same seed, and with one thing to find."""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from itertools import pairwise
from pathlib import Path
from statistics import median

import pytest

from gateway.core.facts import Fact
from gateway.core.plan import BuildingPlan
from gateway.simulation.agenda import DAY, MINUTE
from gateway.simulation.calm import CalmYear
from gateway.simulation.days import days
from gateway.simulation.habits import date_in_month, edges
from tests.simulation.lived import BUILDING, ZONE, plan_of

DEMO = Path("config/demo.yaml")
FIRST = date(2026, 1, 1)
COUNT = 181
"""January to June."""


class Lived:
    def __init__(self, plan: BuildingPlan, count: int, seed: int) -> None:
        self.year = CalmYear(plan, days(FIRST, count, ZONE, ()), seed)
        self.facts: list[Fact] = []
        self.year.host.on_fact.append(self.facts.append)
        self.year.live()

    def of(self, kind: str) -> list[Fact]:
        return [fact for fact in self.facts if fact.kind == kind]

    def month(self, fact: Fact) -> str:
        return self.year.days[min(fact.at_ms // DAY, COUNT - 1)].date[:7]


@pytest.fixture(scope="module")
def plan() -> BuildingPlan:
    return plan_of(DEMO)


@pytest.fixture(scope="module")
def lived(plan: BuildingPlan) -> Lived:
    return Lived(plan, COUNT, 1)


def test_each_month_has_one_fault_that_somebody_has_seen(lived: Lived) -> None:
    months = defaultdict(list)
    for fact in lived.of("alarm_raised"):
        months[lived.month(fact)].append(fact.subject)
    assert sorted(months) == [f"2026-0{n}" for n in range(1, 7)]
    assert all(len(found) <= 2 for found in months.values()), months
    assert len({kind.rpartition("/")[2] for found in months.values() for kind in found}) >= 4
    assert len(lived.year.faults) >= 4
    seen = {fact.subject for fact in lived.of("alarm_acknowledged")}
    assert seen == {fact.subject for fact in lived.of("alarm_raised")}
    assert lived.year.host.building.alarms.by_id == {}  # and all of them are over


def test_each_month_has_one_call_that_is_attended_within_minutes(lived: Lived) -> None:
    raised = [fact for fact in lived.of("call_raised") if not fact.data["test"]]
    assert [lived.month(fact) for fact in raised] == [f"2026-0{n}" for n in range(1, 7)]
    attended = [int(str(fact.data["after_ms"])) for fact in lived.of("call_attended")]
    assert len(attended) >= len(raised)
    assert max(attended) <= 5 * MINUTE
    ended = [fact for fact in lived.of("call_cancelled") if not fact.data["test"]]
    assert len(ended) == len(raised)


def test_the_call_system_is_tested_each_quarter(lived: Lived) -> None:
    tests = [fact for fact in lived.of("call_raised") if fact.data["test"]]
    assert [lived.month(fact) for fact in tests] == ["2026-01", "2026-04"]
    assert [room for room, _ in lived.year.tests] == ["wc", "wc"]
    assert {command.outcome for command in lived.year.commands} == {"accepted"}


def test_the_door_grows_slower_and_that_can_be_found(lived: Lived) -> None:
    by_week: dict[int, list[int]] = defaultdict(list)
    for fact in lived.of("door_opened"):
        took = fact.data["press_to_open_ms"]
        if isinstance(took, int):
            by_week[fact.at_ms // (7 * DAY)].append(took)
    typical = [median(by_week[week]) for week in sorted(by_week)]
    assert all(abs(took - typical[0]) < 100 for took in typical[:12])  # nothing to be seen yet
    assert typical[-1] - typical[0] > 800
    last = typical[15:]
    assert sum(one < other for one, other in pairwise(last)) >= len(last) - 3


def test_working_days_are_busy_and_weekends_are_not(lived: Lived) -> None:
    openings: dict[bool, list[int]] = {True: [], False: []}
    counted: dict[int, int] = defaultdict(int)
    for fact in lived.of("door_opened"):
        counted[fact.at_ms // DAY] += 1
    for number, day in enumerate(lived.year.days):
        openings[day.works].append(counted[number])
    assert median(openings[True]) > 25
    assert median(openings[False]) < 8


def test_the_climate_follows_the_season_and_the_day(lived: Lived) -> None:
    found = [
        (fact.at_ms, value)
        for fact in lived.of("reading")
        if fact.data["quantity"] == "temperature_c"
        and isinstance(value := fact.data["value"], float)
    ]

    def mean(values: list[float]) -> float:
        return sum(values) / len(values)

    january = mean([value for at, value in found if at < 31 * DAY])
    june = mean([value for at, value in found if at > 151 * DAY])
    assert 1.5 < june - january < 6
    afternoon = mean([value for at, value in found if at % DAY // (DAY // 24) in (13, 14, 15)])
    night = mean([value for at, value in found if at % DAY // (DAY // 24) in (1, 2, 3)])
    assert 1 < afternoon - night < 3


def test_the_same_seed_is_the_same_year(plan: BuildingPlan) -> None:
    one, two, other = (Lived(plan, 9, seed).year.digest for seed in (7, 7, 8))
    assert one == two != other


def test_another_building_is_calm_too() -> None:
    """Schedules, a strike, several rooms: people come when the door lets them in."""
    lived = Lived(plan_of(BUILDING), 35, 2)
    assert len(lived.of("door_opened")) > 100
    assert len(lived.of("alarm_raised")) < 12


def test_habits_are_of_the_day_alone(plan: BuildingPlan) -> None:
    """So a bench that lives single days lives the same ones."""
    calendar = days(FIRST, 31, ZONE, ())
    assert edges(plan, calendar[5], 1) == edges(plan, calendar[5], 1)
    assert edges(plan, calendar[5], 1) != edges(plan, calendar[6], 1)
    called = [day for day in calendar if any(e.point == "wc.cord" for e in edges(plan, day, 1))]
    assert [day.date for day in called] == [date_in_month(calendar[0], "call", 1)]
    for day in calendar:
        held: dict[str, bool] = {}
        for edge in edges(plan, day, 1):
            held[edge.point] = edge.active
        assert not any(held.values()), day.date  # nothing stays pressed at night
