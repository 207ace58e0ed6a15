"""What survives a restart: overrides, service mode, the alarm list and the doors' books.

``kept`` writes it as JSON, ``read`` reads it back. An entry that cannot be read (written by
another version) is left out: the building starts with the rest. Instants are civil time,
because the monotonic clock of another boot means nothing here; what stands until an instant
whose civil time was never known is not kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar, get_args

from gateway.core import rooms, tally
from gateway.core.alarms import ALARM_KINDS, UNTIL_SEEN, Alarm, listed
from gateway.core.events import MODES
from gateway.core.facts import Json
from gateway.core.machine import UtcMs
from gateway.core.plan import Severity
from gateway.core.schedule import Override
from gateway.core.state import Building
from gateway.core.tally import Tally
from gateway.core.values import dataclass

T = TypeVar("T")


@dataclass(frozen=True)
class Kept:
    """The kept state, read."""

    alarms: tuple[Alarm, ...]
    overrides: Mapping[str, Override]
    service: Mapping[str, UtcMs]
    tallies: Mapping[str, Tally]
    sections: Mapping[str, Json]
    """Everything as it was written: what the machines of rooms read back themselves."""


def kept(building: Building) -> dict[str, Json]:
    """What must survive a restart. Equal to the last one as long as nothing of it changed."""
    offset_ms = building.clock.offset_ms
    service: dict[str, Json] = dict(building.service)
    overrides: dict[str, Json] = {}
    for name, one in building.schedules.items():
        override = one.override
        if override is not None and override.until_utc_ms is not None:
            overrides[name] = {
                "mode": override.mode,
                "until_utc_ms": override.until_utc_ms,
                "by": override.by,
            }
        until_ms = building.doors[name].service_until_ms
        if until_ms is not None and offset_ms is not None:
            service[name] = until_ms + offset_ms
    return {
        "alarms": [_alarm(alarm) for alarm in listed(building.alarms)],
        "overrides": overrides,
        "service": service,
        "counters": {n: tally.counters(d.tally) for n, d in building.doors.items()},
        **rooms.kept(building),
    }


def read(kept: Mapping[str, Json]) -> Kept:
    """What ``kept`` wrote."""
    alarms = kept.get("alarms")
    return Kept(
        tuple(filter(None, map(_read_alarm, alarms if isinstance(alarms, list) else ()))),
        dict(_entries(kept.get("overrides"), _read_override)),
        dict(_entries(kept.get("service"), _integer)),
        dict(_entries(kept.get("counters"), _read_tally)),
        kept,
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
        return kind == "relay_limit" or building.relays[subject].operations > 0
    if subject in building.meters:
        return all(series.value is not None for series in building.meters[subject].series.values())
    if subject in building.index.room_plans:
        return rooms.healed(building, subject, kind)
    if kind == "clock_untrusted":
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
    if mode is None or until_utc_ms is None:
        return None
    return Override(mode, until_utc_ms, civil=True, by=_text(entry.get("by")))


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
