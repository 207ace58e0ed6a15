"""What survives a restart, as it is written: modes and overrides, service mode, the alarm list,
calls, leaks, messages, the doors' counters and the clock. :mod:`.after_restart` puts it back.

``state_to_save`` writes it as JSON, ``read`` reads it back; machines say how in their tables
``SAVED…`` (see :mod:`gateway.core.saved_values`). An entry that cannot be read (written by another
version) is left out: the building starts with the rest. Of a state in a ``format`` that is not
known nobody can say what was left out, so it opens no door and ends no call silently: see
:func:`gateway.core.building.after_restart.restored`.
"""

from __future__ import annotations

from collections.abc import Mapping

from gateway.core.building.state import Building
from gateway.core.door import counters, schedule
from gateway.core.door.counters import Counters
from gateway.core.door.schedule import Carried, Override
from gateway.core.facts import Json
from gateway.core.instant import UtcMs
from gateway.core.machine import replace
from gateway.core.notification import alarms, escalation_state, mailing, ways
from gateway.core.notification.alarms import Alarm, listed
from gateway.core.notification.escalation_state import Chain
from gateway.core.notification.mailing import Mailing
from gateway.core.notification.ways import WayStates
from gateway.core.room import call_saved
from gateway.core.room.call_record import Call
from gateway.core.saved_values import TEXT, WHOLE, Field, Kind, Times, entry_of, list_of, map_of
from gateway.core.signals import clock
from gateway.core.signals.clock import Clock, Past
from gateway.core.values import dataclass

FORMAT = 1
"""Count it up when the version before can no longer read the state; that version takes a missing
key for nothing. Version 0.1 wrote no format: it counts as 1."""


@dataclass(frozen=True)
class SavedState:
    """What must survive a restart. Values that were read have no plan yet; instants of the
    monotonic clock are of this boot."""

    alarms: tuple[Alarm, ...]
    clock: Clock | None
    overrides: Mapping[str, Override]
    modes: Mapping[str, Carried]
    service: Mapping[str, UtcMs]
    counters: Mapping[str, Counters]
    calls: Mapping[str, Call]
    leaks: tuple[str, ...]
    escalations: Mapping[str, Chain]
    mailings: Mapping[str, Mailing]
    ways: WayStates
    unknown_format: str = ""
    """The format, where it is not :data:`FORMAT`."""
    journal_aside: str = ""
    """The journal of another version that this state was found in, and where it is now."""


SAVED: Kind[SavedState] = entry_of(
    SavedState,
    Field("alarms", list_of(alarms.SAVED), ()),
    Field("clock", clock.SAVED, None),
    Field("overrides", map_of(schedule.SAVED_OVERRIDE), {}),
    Field("modes", map_of(schedule.SAVED_MODE), {}),
    Field("service", map_of(WHOLE), {}),
    Field("counters", map_of(counters.SAVED), {}, of="counters"),
    Field("calls", map_of(call_saved.SAVED), {}),
    Field("leaks", list_of(TEXT), ()),
    Field("escalations", map_of(escalation_state.SAVED), {}),
    Field("mailings", map_of(mailing.SAVED), {}),
    Field("deliveries", ways.SAVED, {}, of="ways"),
)


def state_to_save(building: Building) -> dict[str, Json]:
    """What must survive a restart. Equal to the last one as long as nothing of it changed."""
    offset_ms = building.clock.offset_ms
    schedules, doors = building.schedules, building.doors
    service = dict(building.service)
    if offset_ms is not None:
        ends = ((name, doors[name].service_until_ms) for name in schedules)
        service |= {name: until_ms + offset_ms for name, until_ms in ends if until_ms is not None}
    state = SavedState(
        alarms=tuple(listed(building.alarms)),
        clock=building.clock,
        overrides={n: one.override for n, one in schedules.items() if one.override is not None},
        modes={n: one.carried for n, one in schedules.items() if one.carried is not None},
        service=service,
        counters={name: one.counters for name, one in doors.items()},
        calls=building.calls,
        leaks=tuple(room for room, one in building.leaks.items() if one.latched),
        escalations=building.escalations,
        mailings={  # of tests by hand only once there was one
            name: one
            for name, one in building.mailings.items()
            if name != mailing.BY_HAND or one.count
        },
        ways=building.ways,
    )
    written = SAVED.write(state, Times(offset_ms, building.clock.past.uptime_ms))
    assert isinstance(written, dict)  # noqa: S101 - an entry is one
    return {"format": FORMAT, **written}


def read(saved: Mapping[str, Json], past: Past = Past()) -> SavedState:  # noqa: B008 - frozen
    """Read what ``state_to_save`` wrote. ``past``: the boots before this one, over which saved
    uptimes are summed."""
    was = SAVED.read({**saved}, Times(uptime_ms=past.uptime_ms))
    assert was is not None  # noqa: S101 - each section has a default
    found = saved.get("format", FORMAT)
    known = found == FORMAT and not isinstance(found, bool)
    return replace(
        was,
        unknown_format="" if known else str(found)[:40],
        journal_aside=TEXT.read(saved.get("journal_aside"), Times()) or "",
    )
