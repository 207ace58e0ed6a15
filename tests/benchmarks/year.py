"""A year of building life: people, wires and weather of a whole building, on one core.

The building is that of the simulation's tests, with a door, a bathroom and a service chain. The
kinds of trouble that were added later are left out, so that years can be compared."""

from __future__ import annotations

import time
from dataclasses import replace

from gateway.simulation.weather import LATER, Weather
from tests.benchmarks.figures import Figure
from tests.simulation.lived import BUILDING, lived, plan_of

DAYS = 365
SEED = 1
GOAL_S = 20.0


def figures() -> list[Figure]:
    plan = plan_of(BUILDING)
    began_s = time.process_time()
    life = lived(plan, DAYS, SEED, replace(Weather.drawn(SEED), **dict.fromkeys(LATER, 0.0)))
    took_s = time.process_time() - began_s
    return [
        Figure(
            "a building-year on one core", took_s, "s", GOAL_S,
            note=f"{life.host.steps / took_s:,.0f} steps/s, {life.host.steps:,} steps; "
            f"digest {life.digest[:12]}",
        ),
        Figure(
            "invariants broken in that year", len(life.oracles.broken), "", 0,
            note=f"judged {sum(life.oracles.asked.values()):,} times",
        ),
    ]  # fmt: skip
