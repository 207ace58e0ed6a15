"""Buildings that have lived: what control really tells, in many of its states."""

from __future__ import annotations

from dataclasses import fields
from functools import cache
from typing import Any

from gateway.control.guarantees import Guarantees, LinkSeen, Observed, RecorderSeen
from gateway.core.building.snapshot import snapshot
from gateway.core.facts import Fact
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
def states() -> tuple[Any, ...]:
    """One day of a building to which everything happens, looked at again and again."""
    plan = plan_of(BUILDING)
    life = Life(plan, days(FIRST, 1, ZONE, ()), SEED, STORM)
    guarantees = Guarantees.of(plan)
    found: list[Any] = []
    facts = 0

    def look(fact: Fact) -> None:
        nonlocal facts
        facts += 1
        if facts % EVERY:
            return
        now = life.host.mono_ms
        evaluated = guarantees.evaluate(
            Observed(
                now, life.host.building, turned_ms=now, answered_ms=now - facts % 9_000,
                journal="j", mqtt=True, backlog=3, oldest_unsent_ms=20,
                link=LinkSeen(True, "", now, 10_000, (("t", "too large"),), 1),
                recorders=(RecorderSeen("main", True, now, 0, facts % 3),),
                recorded_until_utc_ms=1_700_000_000_000, trusted=True, clock_seen_ms=now,
                notify=True, heartbeat_every_ms=300_000, heartbeat_ok_ms=now,
            )
        )  # fmt: skip
        shown = snapshot(life.host.building, now)
        found.append({**shown, "gateway": IDENTITY, "guarantees": evaluated})

    life.host.on_fact.append(look)
    life.live()
    return tuple(found)
