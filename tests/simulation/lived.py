"""Lives for the tests: a building as people write it down, and its days."""

from __future__ import annotations

import tempfile
from datetime import date
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

from gateway.app.configuration import load
from gateway.control.guarantees import Guarantees, Observed
from gateway.core.plan import BuildingPlan
from gateway.settings.plan.building import plan
from gateway.simulation.days import days
from gateway.simulation.life import Life
from gateway.simulation.weather import Weather

FIRST = date(2026, 1, 5)
ZONE = ZoneInfo("Europe/Berlin")
BUILDING = Path(__file__).with_name("building.yaml")


def plan_of(file: Path) -> BuildingPlan:
    """The plan of this file, with its schedules from the first day on."""
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder)
        calendar = days(FIRST, 1, ZONE, ())
        return plan(load.settings(file, state, need=()), now_utc_ms=calendar[0].utc_ms)


def green(life: Life, guarantee: str) -> bool:
    """Whether people are shown that this guarantee holds, where all other evidence is fresh."""
    now_ms = life.host.mono_ms
    seen = Observed(now_ms, life.host.building, turned_ms=now_ms, answered_ms=now_ms)
    return Guarantees.of(life.host.plan).evaluate(seen)[guarantee]["value"] == "yes"


def lived(plan: BuildingPlan, count: int, seed: int, weather: Weather | None = None) -> Life:
    """A life that is over."""
    life = Life(plan, days(FIRST, count, ZONE, ()), seed, weather)
    life.oracles.green = partial(green, life)
    life.live()
    return life
