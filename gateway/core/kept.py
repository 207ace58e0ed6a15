"""What survives a restart: overrides, service mode, the alarm list and the doors' books.

``kept`` writes it as JSON, ``read`` reads it back. An entry that cannot be read (written by
another version) is left out: the building starts with the rest. Of a state in a ``format`` that
is not known nobody can say what was left out, so it opens no door and ends no call silently: see
:meth:`gateway.core.turn.Turn.restore`. Instants are civil time or
uptime summed over boots (``*_uptime_ms``), because the monotonic clock of another boot means
nothing here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar, get_args

from gateway.core import clock, rooms, schedule, tally
from gateway.core.alarms import ALARM_KINDS, UNTIL_SEEN, Alarm, listed
from gateway.core.events import MODES
from gateway.core.facts import Json
from gateway.core.machine import Ms, UtcMs
from gateway.core.plan import Severity
from gateway.core.schedule import Carried, Override
from gateway.core.state import Building
from gateway.core.tally import Tally
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
    """Everything as it was written: what the machines of rooms read back themselves."""
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
        "clock": clock.kept(building.clock),
        "overrides": overrides,
        "modes": modes,
        "service": service,
        "counters": {n: tally.kept(d.tally, offset_ms) for n, d in building.doors.items()},
        **rooms.kept(building),
    }


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


def healed(building: Building, alarm: Alarm) -> bool:  # noqa: PLR0911 - a table of proofs
    """Whether it is *seen* that what stood before the restart stands no longer.

    A machine that sees the condition again raises it again. One that has seen nothing yet
    says nothing, and silence is no proof of health."""
    subject, kind = alarm.subject, alarm.kind
    if kind in UNTIL_SEEN:
        return False
    if kind.startswith("watch:"):
        one = building.watches.get(kind.removeprefix("watch:"))
        return one is None or one.known
    if subject in building.doors:
        return _door_healed(building, subject, kind)
    if subject in building.contacts:
        return building.contacts[subject].active is not None
    if subject in building.relays:
        relay = building.relays[subject]
        works = relay.operations > 0 or (relay.answered and not relay.fault)
        return kind == "relay_limit" or works
    if subject in building.meters:
        return all(series.value is not None for series in building.meters[subject].series.values())
    if subject in building.index.room_plans:
        return rooms.healed(building, subject, kind)
    if kind in ("clock_untrusted", "clock_jumped", "clock_unsettled"):
        return building.clock.trusted
    if kind == "journal_full":
        return building.journal is not None
    return True


def _door_healed(building: Building, name: str, kind: str) -> bool:
    one = building.doors[name]
    match kind:
        case "did_not_open":
            result = one.leaf.result
            return one.plan.leaf is None or (result is not None and result.result == "opened")
        case "forced" | "left_open" | "did_not_close":
            return one.leaf_seen in (None, "closed")
        case "operator_fault":
            return one.plan.operator_fault is None or one.operator_fault is not None
        case "bolt_mismatch":
            bolt = one.plan.bolt
            return bolt is None or building.contacts[bolt].active is not None
        case "schedule_ended":
            return building.clock.trusted
        case _:
            return True


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
