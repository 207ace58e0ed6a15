"""Buildings that have lived: what control really tells, in many of its states."""

from __future__ import annotations

from dataclasses import fields
from functools import cache
from typing import Any

from gateway.control.guarantees import Guarantees, Outside
from gateway.core.facts import Fact
from gateway.core.snapshot import snapshot
from gateway.simulation.days import days
from gateway.simulation.life import Life
from gateway.simulation.weather import Weather
from tests.simulation.lived import BUILDING, FIRST, ZONE, plan_of

SEED = 3
EVERY = 10
"""Of so many facts, the building is looked at after one."""
SHARES = {"disk_late": 0.5, "message_fails": 0.3}
STORM = Weather(**{field.name: SHARES.get(field.name, 6.0) for field in fields(Weather)})
"""Everything that may go wrong does, some times a day."""
IDENTITY = {
    "id": "sim", "name": "Simulated house", "version": "1", "boot": "b", "started_ms": 0,
    "configuration": "c0ffee", "journal": "j", "overflows": 0,
}  # fmt: skip


@cache
def states() -> tuple[dict[str, Any], ...]:
    """One day of a building to which everything happens, looked at again and again."""
    life = Life(plan_of(BUILDING), days(FIRST, 1, ZONE, ()), SEED, STORM)
    guarantees = Guarantees({"front": ("front.inside",)}, {"front": ("front.activation",)})
    found: list[dict[str, Any]] = []
    facts = 0

    def look(fact: Fact) -> None:
        nonlocal facts
        facts += 1
        if facts % EVERY:
            return
        now = life.host.mono_ms
        told: dict[str, Any] = snapshot(life.host.building, now)
        told["gateway"] = IDENTITY
        outside = Outside("", "", 3, 20, ("main",), (), 0, 1_700_000_000_000, True, "", "")
        told["guarantees"] = guarantees.look(told, outside, now)
        found.append(told)

    life.host.on_fact.append(look)
    life.live()
    return tuple(found)
