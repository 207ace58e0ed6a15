"""What nobody may do from afar, and somebody tries."""

from __future__ import annotations

import random

from gateway.core.events import (
    AcknowledgeCall,
    OpenDoor,
    SetService,
    ShelveAlarm,
    TestRelay,
    TestRoom,
)
from gateway.core.plan import BuildingPlan
from gateway.simulation.agenda import HOUR
from gateway.simulation.host import Host

BY = "mqtt:somebody"


def prank(host: Host, plan: BuildingPlan, chance: random.Random) -> None:
    """One of them. None may end a call or darken its lamps, and none may open a door."""
    deed = chance.randrange(6)
    room = chance.choice(plan.rooms).id if plan.rooms else "attic"
    door = chance.choice(plan.doors).id if plan.doors else "attic"
    if deed == 0 and plan.rooms:
        standing = any(one.record is not None for one in host.building.calls.values())
        if standing:  # in a room without a call it would be a test, and no prank
            host.tell(TestRoom(*host.envelope(BY), room, HOUR))
    elif deed == 1:
        alarms = sorted(host.building.alarms.by_id) or [f"{room}/call"]
        host.tell(ShelveAlarm(*host.envelope(BY), chance.choice(alarms), HOUR))
    elif deed == 2 and host.lit:
        lamps = sorted(p for r in plan.rooms for p in (r.reassurance, r.lamp, r.sounder) if p)
        if lamps:
            host.tell(TestRelay(*host.envelope(BY), chance.choice(lamps), 1_000))
    elif deed == 3:
        host.tell(OpenDoor(*host.envelope(BY, -HOUR), door, "late"))
    elif deed == 4:
        host.tell(SetService(*host.envelope(BY), door, -1))
    else:
        host.tell(AcknowledgeCall(*host.envelope(BY), f"{room}-999"))
