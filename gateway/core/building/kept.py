"""What survives a restart, as it is written: overrides, service mode, the alarm list, calls,
leaks, messages and the doors' books. How it comes back is in ``restore``.

``kept`` writes it as JSON, ``read`` reads it back. An entry that cannot be read (written by
another version) is left out: the building starts with the rest. Of a state in a ``format`` that
is not known nobody can say what was left out, so it opens no door and ends no call silently: see
:meth:`gateway.core.building.restore.restored`. Instants are civil time or
uptime summed over boots (``*_uptime_ms``), because the monotonic clock of another boot means
nothing here.
"""

from __future__ import annotations

from collections.abc import Mapping

from gateway.core.building.state import Building
from gateway.core.door import schedule, tally
from gateway.core.door.schedule import Carried, Override
from gateway.core.door.tally import Tally
from gateway.core.facts import Json
from gateway.core.instant import UtcMs
from gateway.core.notification import alarms, deliveries, escalation_state, mailing
from gateway.core.notification.alarms import Alarm, listed
from gateway.core.notification.deliveries import Deliveries
from gateway.core.notification.escalation_state import Chain
from gateway.core.notification.mailing import Mailing
from gateway.core.room import call_kept
from gateway.core.room.call_record import Call
from gateway.core.saved_values import WHOLE, Times, list_of, map_of
from gateway.core.signals import clock
from gateway.core.signals.clock import Past
from gateway.core.values import dataclass

FORMAT = 1
"""Counted up where the version before could not read it any more: what it reads by name and does
not find, it takes for nothing. Version 0.1 has written none: its format is this one."""


@dataclass(frozen=True)
class Kept:
    """The kept state, read."""

    alarms: tuple[Alarm, ...]
    overrides: Mapping[str, Override]
    modes: Mapping[str, Carried]
    service: Mapping[str, UtcMs]
    tallies: Mapping[str, Tally]
    calls: Mapping[str, Call]
    escalations: Mapping[str, Chain]
    mailings: Mapping[str, Mailing]
    deliveries: Deliveries
    sections: Mapping[str, Json]
    """Everything as it was written: what calls read back themselves."""
    unknown_format: str = ""
    """The format, where it is not :data:`FORMAT`."""
    journal_aside: str = ""
    """The journal of another version that this state was found in, and where it is now."""


def kept(building: Building) -> dict[str, Json]:
    """What must survive a restart. Equal to the last one as long as nothing of it changed."""
    offset_ms = building.clock.offset_ms
    service: dict[str, Json] = dict(building.service)
    times = Times(offset_ms, building.clock.past.uptime_ms)
    overrides: dict[str, Json] = {}
    modes: dict[str, Json] = {}
    for name, one in building.schedules.items():
        if one.override is not None:
            overrides[name] = schedule.SAVED_OVERRIDE.write(one.override, times)
        if one.carried is not None:
            modes[name] = schedule.SAVED_MODE.write(one.carried, times)
        until_ms = building.doors[name].service_until_ms
        if until_ms is not None and offset_ms is not None:
            service[name] = until_ms + offset_ms
    return {
        "format": FORMAT,
        "alarms": [alarms.SAVED.write(one, times) for one in listed(building.alarms)],
        "clock": clock.SAVED.write(building.clock, times),
        "overrides": overrides,
        "modes": modes,
        "service": service,
        "counters": {n: tally.SAVED.write(d.tally, times) for n, d in building.doors.items()},
        "calls": map_of(call_kept.SAVED).write(building.calls, times),
        "leaks": [room for room, one in building.leaks.items() if one.latched],
        "escalations": map_of(escalation_state.SAVED).write(building.escalations, times),
        "mailings": map_of(mailing.SAVED).write(building.mailings, times),
        "deliveries": deliveries.SAVED.write(building.deliveries, times),
    }


def read(kept: Mapping[str, Json], past: Past = Past()) -> Kept:  # noqa: B008 - frozen
    """What ``kept`` wrote. ``past``: the boots before this one, where the instants of it matter."""
    times = Times(uptime_ms=past.uptime_ms)
    found = kept.get("format", FORMAT)
    known = found == FORMAT and not isinstance(found, bool)
    return Kept(
        list_of(alarms.SAVED).read(kept.get("alarms"), times) or (),
        map_of(schedule.SAVED_OVERRIDE).read(kept.get("overrides"), times) or {},
        map_of(schedule.SAVED_MODE).read(kept.get("modes"), times) or {},
        map_of(WHOLE).read(kept.get("service"), times) or {},
        map_of(tally.SAVED).read(kept.get("counters"), times) or {},
        map_of(call_kept.SAVED).read(kept.get("calls"), times) or {},
        map_of(escalation_state.SAVED).read(kept.get("escalations"), times) or {},
        map_of(mailing.SAVED).read(kept.get("mailings"), times) or {},
        deliveries.SAVED.read(kept.get("deliveries"), times) or {},
        kept,
        "" if known else str(found)[:40],
        _text(kept.get("journal_aside")) or "",
    )


def _text(value: Json) -> str | None:
    return value if isinstance(value, str) else None
