"""The building as it stands between two steps: every machine's state, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from gateway.core.building.routing import Index
from gateway.core.door.door import Door
from gateway.core.door.interlock import Interlock
from gateway.core.door.schedule import Schedule
from gateway.core.instant import Ms, UtcMs
from gateway.core.notification.alarms import Alarms
from gateway.core.notification.duty_roster import Roster
from gateway.core.notification.escalation_state import Chain
from gateway.core.notification.limits import Limits
from gateway.core.notification.mailing import Mailing
from gateway.core.notification.ways import WayStates
from gateway.core.plan import BuildingPlan
from gateway.core.room.call_record import Call
from gateway.core.room.climate import Climate
from gateway.core.room.leak import Leak
from gateway.core.room.occupancy import Occupancy
from gateway.core.signals.clock import Clock
from gateway.core.signals.contact import Contact
from gateway.core.signals.meter import Meter
from gateway.core.signals.relay import Relay
from gateway.core.signals.watch import Watch
from gateway.core.values import dataclass

Key = tuple[int, str]
"""Which machine: its sort and its name. Of two that are due at once the lesser goes first:
what is seen before who presses, and a door before the limit of its relays."""

(
    CLOCK,
    CONTACT,
    METER,
    WATCH,
    SCHEDULE,
    ROSTER,
    PRESS,
    DOOR,
    CALL,
    OCCUPANCY,
    LEAK,
    CLIMATE,
    RELAY,
    ALARMS,
    ESCALATION,
    MAILING,
    LIMITS,
    INTERLOCK,
    WAYS,
) = range(19)


@dataclass(frozen=True)
class Building:
    """Every machine by its name. No mapping is changed in place, but for ``wakes`` within a step,
    where the loop has a copy of its own."""

    plan: BuildingPlan
    index: Index
    now_ms: Ms
    """How far time has been processed: nothing that was due up to here is left."""
    clock: Clock
    contacts: Mapping[str, Contact] = field(default_factory=dict)
    relays: Mapping[str, Relay] = field(default_factory=dict)
    meters: Mapping[str, Meter] = field(default_factory=dict)
    watches: Mapping[str, Watch] = field(default_factory=dict)
    schedules: Mapping[str, Schedule] = field(default_factory=dict)
    doors: Mapping[str, Door] = field(default_factory=dict)
    interlocks: Mapping[str, Interlock] = field(default_factory=dict)
    calls: Mapping[str, Call] = field(default_factory=dict)
    """Room -> its emergency call, where there is a cord."""
    occupancies: Mapping[str, Occupancy] = field(default_factory=dict)
    leaks: Mapping[str, Leak] = field(default_factory=dict)
    climates: Mapping[str, Climate] = field(default_factory=dict)
    """Room -> the machine, where the room has what it needs."""
    rosters: Mapping[str, Roster] = field(default_factory=dict)
    """Receiver -> whether on duty."""
    escalations: Mapping[str, Chain] = field(default_factory=dict)
    """What it is about (a call's or an alarm's id) -> the chain of messages that runs."""
    mailings: Mapping[str, Mailing] = field(default_factory=dict)
    """Kind -> the messages by the clock."""
    ways: WayStates = field(default_factory=dict)
    """What became of the newest message by each way."""
    alarms: Alarms = field(default_factory=Alarms)
    limits: Limits = field(default_factory=Limits)
    journal: str | None = None
    """Why the journal cannot store what happens; empty: it can; ``None``: not known yet."""
    certificates: str | None = None
    """Which certificates end soon or are not valid; empty: none; ``None``: not known yet."""
    service: Mapping[str, UtcMs] = field(default_factory=dict)
    """Doors whose service mode stood before the restart, until the clock is known again."""
    wakes: Mapping[Key, Ms] = field(default_factory=dict)
    wake_ms: Ms | None = None
