"""The two shipped configurations, loaded once, and the bench's building as it starts."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from gateway.core import building
from gateway.core.building.state import Building
from gateway.core.events import CivilTime
from gateway.core.plan import BuildingPlan
from gateway.settings.load import load
from gateway.settings.plan.building import plan
from tests.settings.house import DRIVERS, NOW, ROOT

BENCH = ROOT / "config" / "bench.yaml"
OFFICE = ROOT / "config" / "office.yaml"


@lru_cache(maxsize=4)
def planned(path: Path = BENCH) -> BuildingPlan:
    return plan(load(path, DRIVERS, need=()), now_utc_ms=NOW)


@lru_cache(maxsize=4)
def house(path: Path = BENCH) -> Building:
    """One second after its start, at a time that is known."""
    begun = building.start(planned(path), {}, 0).state
    return building.step(begun, CivilTime(NOW, True), 1_000).state
