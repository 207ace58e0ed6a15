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

from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar, get_args

from gateway.core.building.state import Building
from gateway.core.door import schedule, tally
from gateway.core.door.schedule import Carried, Override
from gateway.core.door.tally import Tally
from gateway.core.events import MODES
from gateway.core.facts import Json
from gateway.core.instant import Ms, UtcMs
from gateway.core.notification import deliveries, escalation_state, mailing
from gateway.core.notification.alarms import ALARM_KINDS, Alarm, listed
from gateway.core.notification.escalation_state import Chain
from gateway.core.plan import Severity
from gateway.core.room import call_kept
from gateway.core.saved_values import Times
from gateway.core.signals import clock
from gateway.core.values import dataclass

T = TypeVar("T")

FORMAT = 1
"""Counted up where the version before could not read it any more: what it reads by name and does
not find, it takes for nothing. Version 0.1 has written none: its format is this one."""


@dataclass(frozen=True)
class Kept:
    """The kept state, read."""

    alarms: tuple[Alarm, ...]
    overrides: Mapping[str, Override]
    """With ``until_ms`` as summed uptime, as in ``modes``."""
    modes: Mapping[str, Carried]
    service: Mapping[str, UtcMs]
    tallies: Mapping[str, Tally]
    sections: Mapping[str, Json]
    """Everything as it was written: what calls, chains and mailings read back themselves."""
    unknown_format: str = ""
    """The format, where it is not :data:`FORMAT`."""
    journal_aside: str = ""
    """The journal of another version that this state was found in, and where it is now."""


def kept(building: Building) -> dict[str, Json]:
    """What must survive a restart. Equal to the last one as long as nothing of it changed."""
    offset_ms = building.clock.offset_ms
    service: dict[str, Json] = dict(building.service)
    overrides: dict[str, Json] = {}
    modes: dict[str, Json] = {}
    before_ms = building.clock.past.uptime_ms
    times = Times(offset_ms, before_ms)
    for name, one in building.schedules.items():
        override, carried = one.override, one.carried
        if override is not None:
            overrides[name] = {
                "mode": override.mode,
                "until_utc_ms": override.until_utc_ms,
                "until_uptime_ms": override.until_ms + before_ms,
                "by": override.by,
            }
        if carried is not None:
            until_ms = carried.until_ms
            modes[name] = {
                "mode": carried.mode,
                "until_uptime_ms": None if until_ms is None else until_ms + before_ms,
            }
        until_ms = building.doors[name].service_until_ms
        if until_ms is not None and offset_ms is not None:
            service[name] = until_ms + offset_ms
    return {
        "format": FORMAT,
        "alarms": [_alarm(alarm) for alarm in listed(building.alarms)],
        "clock": clock.SAVED.write(building.clock, times),
        "overrides": overrides,
        "modes": modes,
        "service": service,
        "counters": {n: tally.kept(d.tally, offset_ms) for n, d in building.doors.items()},
        "calls": {room: call_kept.kept(one, offset_ms) for room, one in building.calls.items()},
        "leaks": [room for room, one in building.leaks.items() if one.latched],
        "escalations": {name: _chain(chain) for name, chain in building.escalations.items()},
        "mailings": {name: mailing.kept(one) for name, one in building.mailings.items()},
        "deliveries": deliveries.kept(building.deliveries),
    }


def _chain(chain: Chain) -> Json:
    """Of an alarm that nobody is told of now only how many messages there were: their names
    are not used twice."""
    if chain.running or "/" not in chain.about:
        return escalation_state.kept(chain)
    return {"escalation": chain.plan.id, "subject": chain.subject, "count": chain.count}


def read(kept: Mapping[str, Json]) -> Kept:
    """What ``kept`` wrote."""
    alarms, found = kept.get("alarms"), kept.get("format", FORMAT)
    known = found == FORMAT and not isinstance(found, bool)
    return Kept(
        tuple(filter(None, map(_read_alarm, alarms if isinstance(alarms, list) else ()))),
        dict(_entries(kept.get("overrides"), _read_override)),
        dict(_entries(kept.get("modes"), _read_mode)),
        dict(_entries(kept.get("service"), _integer)),
        dict(_entries(kept.get("counters"), _read_tally)),
        kept,
        "" if known else str(found)[:40],
        _text(kept.get("journal_aside")) or "",
    )


def _alarm(alarm: Alarm) -> Json:
    return {
        "subject": alarm.subject,
        "kind": alarm.kind,
        "severity": alarm.severity,
        "detail": alarm.detail,
        "standing": alarm.standing,
        "raised_utc_ms": alarm.raised_utc_ms,
        "count": alarm.count,
        "acknowledged_by": alarm.acknowledged_by,
        "shelved_until_utc_ms": alarm.shelved_until_utc_ms,
    }


def _read_alarm(entry: Json) -> Alarm | None:
    if not isinstance(entry, dict):
        return None
    subject, kind, severity = entry.get("subject"), entry.get("kind"), entry.get("severity")
    if not isinstance(subject, str) or not isinstance(kind, str):
        return None
    if severity not in get_args(Severity) or not (kind in ALARM_KINDS or kind[:6] == "watch:"):
        return None
    shelved_until_utc_ms = _integer(entry.get("shelved_until_utc_ms"))
    return Alarm(
        subject,
        kind,
        next(known for known in get_args(Severity) if known == severity),
        str(entry.get("detail", "")),
        standing=entry.get("standing") is not False,
        confirmed=entry.get("standing") is False,
        raised_utc_ms=_integer(entry.get("raised_utc_ms")),
        count=_integer(entry.get("count")) or 1,
        acknowledged_by=_text(entry.get("acknowledged_by")),
        shelved=shelved_until_utc_ms is not None,
        shelved_until_utc_ms=shelved_until_utc_ms,
    )


def _read_override(entry: Json) -> Override | None:
    if not isinstance(entry, dict):
        return None
    mode = next((known for known in MODES if known == entry.get("mode")), None)
    until_utc_ms = _integer(entry.get("until_utc_ms"))
    until_ms = _integer(entry.get("until_uptime_ms"))
    if mode is None or (until_utc_ms is None and until_ms is None):
        return None
    # an older version saved the civil end only
    ends_ms: Ms = schedule.NEVER_MS if until_ms is None else until_ms
    by = _text(entry.get("by"))
    return Override(mode, ends_ms, by, until_utc_ms, civil=until_utc_ms is not None)


def _read_mode(entry: Json) -> Carried | None:
    if not isinstance(entry, dict):
        return None
    mode = next((known for known in MODES if known == entry.get("mode")), None)
    return None if mode is None else Carried(mode, _integer(entry.get("until_uptime_ms")))


def _read_tally(entry: Json) -> Tally | None:
    return tally.restored(entry) if isinstance(entry, dict) else None


def _entries(section: Json, read_one: Callable[[Json], T | None]) -> Iterator[tuple[str, T]]:
    for name, entry in section.items() if isinstance(section, dict) else ():
        value = read_one(entry)
        if value is not None:
            yield name, value


def _integer(value: Json) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _text(value: Json) -> str | None:
    return value if isinstance(value, str) else None
