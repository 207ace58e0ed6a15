"""The alarm list: everything that needs a person, with the life that ISA-18.2 gives it.

An alarm is named by what it is about and its kind (``front/left_open``). Its condition
comes and goes; a person sees it (*acknowledges*) or puts it aside for a while (*shelves*).
It leaves the list when its condition is gone *and* it has been seen. A condition that
comes back before that is the same alarm with a higher count, so a storm is one alarm, and
its facts are told at most once a minute.

The list survives a restart. A condition that is still there then is the same alarm; one
that nobody has looked at yet stays as it was (``confirmed`` says which), because silence
of a fresh start is no proof of health.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any, Final, Literal, get_args

from gateway.core.effects import Reply, Status
from gateway.core.events import AcknowledgeAlarm, ShelveAlarm
from gateway.core.facts import Fact, Json
from gateway.core.instant import ClockKnown, Ms, UtcMs, earliest
from gateway.core.machine import Step, replace
from gateway.core.plan import Severity
from gateway.core.saved_values import FLAG, TEXT, WHOLE, Field, Kind, entry_of, one_of
from gateway.core.values import dataclass

ALARM_KINDS: Final[Mapping[str, Severity]] = {
    "did_not_open": "fault",
    "left_open": "fault",
    "did_not_close": "fault",
    "forced": "urgent",
    "operator_fault": "fault",
    "bolt_mismatch": "fault",
    "contact_stuck": "fault",
    "contact_chattering": "fault",
    "contact_unknown": "fault",
    "relay_fault": "fault",
    "relay_limit": "fault",
    "meter_silent": "fault",
    "implausible": "fault",
    "meter_frozen": "fault",
    "fire": "urgent",
    "fire_contact_unknown": "urgent",
    "clock_untrusted": "notice",
    "clock_jumped": "urgent",
    "clock_unsettled": "notice",
    "schedule_ended": "notice",
    "cord_stuck": "urgent",
    "line_cut": "urgent",
    "line_short": "urgent",
    "long_stay": "urgent",
    "no_motion": "urgent",
    "leak": "urgent",
    "frost": "fault",
    "mould": "notice",
    "nobody_told": "urgent",
    "test_unconfirmed": "fault",
    "egress_never": "notice",
    "egress_untrusted": "notice",
    "wiring_untrusted": "urgent",
    "overlay_broken": "fault",
    "setting_adjusted": "notice",
    "call_orphaned": "emergency",
    "call_unread": "emergency",
    "state_unread": "urgent",
    "journal_set_aside": "urgent",
    "journal_full": "urgent",
    "certificate_ends": "notice",
}
"""Kind -> severity. A watched point brings its own: its kind is ``watch:<id>``."""

UNTIL_SEEN: Final = frozenset({"call_orphaned", "call_unread", "state_unread", "journal_set_aside"})
"""What nothing but a person ends: nobody measures whether it still stands."""

SHELF_LIMIT_MS: Ms = 7 * 24 * 3_600_000
STORM_MS: Ms = 60_000
"""The facts of one alarm's comings and goings are told at most once in this time."""

State = Literal["active", "acknowledged", "cleared", "shelved"]


@dataclass(frozen=True)
class Raised:
    """A condition stands. ``muted``: the door is in service, faults and notices wait."""

    subject: str
    kind: str
    severity: Severity
    detail: str = ""
    muted: bool = False


@dataclass(frozen=True)
class Cleared:
    """A condition is gone."""

    subject: str
    kind: str


@dataclass(frozen=True)
class Restored:
    """An alarm that was on the list before the restart. It is ``confirmed`` when its condition
    was gone then; else nobody has looked yet."""

    alarm: Alarm


@dataclass(frozen=True)
class Unmuted:
    """These subjects are no longer in service: what stands there is raised now."""

    subjects: frozenset[str]


@dataclass(frozen=True)
class Alarm:
    """One alarm of the list. ``raised_ms`` is ``None`` for one of another boot."""

    subject: str
    kind: str
    severity: Severity
    detail: str = ""
    standing: bool = True
    """The condition is there (``confirmed``: and was seen to be, since this start)."""
    confirmed: bool = True
    muted: bool = False
    raised_ms: Ms | None = None
    raised_utc_ms: UtcMs | None = None
    count: int = 1
    acknowledged_by: str | None = None
    shelved: bool = False
    shelved_until_ms: Ms | None = None
    shelved_until_utc_ms: UtcMs | None = None
    told_ms: Ms | None = None
    """When ``alarm_raised`` was last told in this boot."""
    told: bool = True
    """The last fact said what is so; else it waits for the storm to pass."""

    @property
    def id(self) -> str:
        """The alarm's name on every interface."""
        return f"{self.subject}/{self.kind}"

    @property
    def state(self) -> State:
        """Where the alarm is in its life, as people are shown it."""
        if self.shelved:
            return "shelved"
        if not self.standing:
            return "cleared"
        return "active" if self.acknowledged_by is None else "acknowledged"

    @property
    def seen(self) -> bool:
        """Nothing is left for a person to do about it."""
        return not self.standing and self.acknowledged_by is not None


def _of_before(
    kind: str, standing: bool, shelved_until_utc_ms: UtcMs | None, **rest: Any
) -> Alarm | None:
    if kind not in ALARM_KINDS and not kind.startswith("watch:"):
        return None
    return Alarm(
        kind=kind,
        standing=standing,
        confirmed=not standing,
        shelved=shelved_until_utc_ms is not None,
        shelved_until_utc_ms=shelved_until_utc_ms,
        **rest,
    )


SAVED: Kind[Alarm] = entry_of(
    _of_before,
    Field("subject", TEXT),
    Field("kind", TEXT),
    Field("severity", one_of(get_args(Severity))),
    Field("detail", TEXT, ""),
    Field("standing", FLAG, True),
    Field("raised_utc_ms", WHOLE, None),
    Field("count", WHOLE, 1),
    Field("acknowledged_by", TEXT, None),
    Field("shelved_until_utc_ms", WHOLE, None),
)
"""What survives a restart. That one is shelved follows from until when."""


@dataclass(frozen=True)
class Alarms:
    """The list, by id, oldest first; muted ones are kept here and not listed."""

    by_id: Mapping[str, Alarm] = field(default_factory=dict)
    offset_ms: int | None = None
    wake_ms: Ms | None = None


Event = Raised | Cleared | Restored | Unmuted | ClockKnown | AcknowledgeAlarm | ShelveAlarm


def wake_at(alarms: Alarms) -> Ms | None:
    """The next end of a shelf, or of a storm's silence."""
    return alarms.wake_ms


def listed(alarms: Alarms) -> list[Alarm]:
    """What people are shown."""
    return [alarm for alarm in alarms.by_id.values() if not alarm.muted]


def step(alarms: Alarms, event: Event | None, now: Ms) -> Step[Alarms]:  # noqa: PLR0911 - a table
    """A condition comes or goes, a person has seen it, or time. Who acknowledges or shelves
    has made sure that the alarm is listed (:func:`find`)."""
    match event:
        case None:
            return _time(alarms, now)
        case Raised():
            return _raise(alarms, event, now)
        case Cleared():
            alarm = alarms.by_id.get(f"{event.subject}/{event.kind}")
            if alarm is None or not alarm.standing:
                return Step(alarms)
            return _put(alarms, *_clear(alarm, now))
        case Restored(alarm=alarm):
            return _restore(alarms, alarm, now)
        case Unmuted():
            return _unmute(alarms, event, now)
        case ClockKnown(offset_ms=offset_ms):
            known = {name: _with_clock(alarm, offset_ms) for name, alarm in alarms.by_id.items()}
            return Step(_scheduled(replace(alarms, by_id=known, offset_ms=offset_ms)))
        case AcknowledgeAlarm():
            return _acknowledge(alarms, event, now)
        case _:
            return _shelve(alarms, event, now)


def _raise(alarms: Alarms, event: Raised, now: Ms) -> Step[Alarms]:
    alarm = alarms.by_id.get(f"{event.subject}/{event.kind}")
    muted = event.muted and event.severity in ("fault", "notice")
    if alarm is None:
        alarm = Alarm(
            event.subject,
            event.kind,
            event.severity,
            event.detail,
            muted=muted,
            raised_ms=now,
            raised_utc_ms=None if alarms.offset_ms is None else now + alarms.offset_ms,
        )
        return _put(alarms, *_tell(alarm, now))
    alarm = replace(alarm, detail=event.detail, severity=event.severity, confirmed=True)
    if alarm.standing:
        return _put(alarms, alarm)
    alarm = replace(alarm, standing=True, count=alarm.count + 1)
    return _put(alarms, alarm) if muted else _put(alarms, *_tell(alarm, now))


def _restore(alarms: Alarms, was: Alarm, now: Ms) -> Step[Alarms]:
    """The alarm of before the restart, and what has been seen of it since."""
    if was.shelved:
        # Until the clock is known, the shelf ends at its limit at the latest.
        was = replace(was, shelved_until_ms=now + SHELF_LIMIT_MS)
    if alarms.offset_ms is not None:
        was = _with_clock(was, alarms.offset_ms)
    since = alarms.by_id.get(was.id)
    if since is not None:
        count = was.count if was.standing else was.count + since.count
        was = replace(was, standing=since.standing, confirmed=True, count=count, muted=False)
        was = replace(was, raised_ms=since.raised_ms, told_ms=since.told_ms, detail=since.detail)
    return _put(alarms, was)


def _tell(alarm: Alarm, now: Ms) -> tuple[Alarm, tuple[Fact, ...]]:
    """``alarm_raised``, unless nobody shall be called now."""
    if alarm.muted or alarm.shelved:
        return replace(alarm, told=False), ()
    if alarm.told_ms is not None and now < alarm.told_ms + STORM_MS:
        return replace(alarm, told=False), ()
    data = {"severity": alarm.severity, "count": alarm.count, "detail": alarm.detail or None}
    return replace(alarm, told_ms=now, told=True), (Fact("alarm_raised", alarm.id, now, data),)


def _clear(alarm: Alarm, now: Ms) -> tuple[Alarm, tuple[Fact, ...]]:
    gone = replace(alarm, standing=False, confirmed=True)
    return (gone, (_cleared(alarm, now),)) if alarm.told else (gone, ())


def _cleared(alarm: Alarm, now: Ms) -> Fact:
    active_ms = None if alarm.raised_ms is None else now - alarm.raised_ms
    return Fact("alarm_cleared", alarm.id, now, {"active_ms": active_ms})


def _unmute(alarms: Alarms, event: Unmuted, now: Ms) -> Step[Alarms]:
    facts: tuple[Fact, ...] = ()
    for alarm in listed_muted(alarms):
        if alarm.subject in event.subjects:
            told, more = _tell(replace(alarm, muted=False), now)
            alarms, facts = _put(alarms, told).state, facts + more
    return Step(alarms, facts)


def listed_muted(alarms: Alarms) -> list[Alarm]:
    """What stands at doors in service."""
    return [alarm for alarm in alarms.by_id.values() if alarm.muted]


def _acknowledge(alarms: Alarms, event: AcknowledgeAlarm, now: Ms) -> Step[Alarms]:
    alarm = alarms.by_id[event.alarm]
    if alarm.acknowledged_by is not None:
        return _answer(Step(alarms), event, "merged")
    by = event.issuer.name
    facts: tuple[Fact, ...] = (
        Fact("alarm_acknowledged", alarm.id, now, {"by": by, "command": event.id}),
    )
    seen = replace(alarm, acknowledged_by=by)
    if alarm.kind in UNTIL_SEEN and alarm.standing:
        seen, gone = _clear(seen, now)
        facts += gone
    return _answer(_put(alarms, seen, facts), event, "accepted")


def _shelve(alarms: Alarms, event: ShelveAlarm, now: Ms) -> Step[Alarms]:
    alarm = alarms.by_id[event.alarm]
    if alarm.severity not in ("fault", "notice"):
        return _refuse(alarms, event, "not_shelvable", now)
    if not 0 <= event.for_ms <= SHELF_LIMIT_MS:
        return _refuse(alarms, event, "limit", now)
    data: dict[str, Json] = {"by": event.issuer.name, "for_ms": event.for_ms, "command": event.id}
    fact = Fact("alarm_shelved", alarm.id, now, data)
    if event.for_ms == 0:
        after, more = _off_the_shelf(alarm, now)
        return _answer(_put(alarms, after, (fact, *more)), event, "accepted")
    until_ms = now + event.for_ms
    utc_ms = None if alarms.offset_ms is None else until_ms + alarms.offset_ms
    shelved = replace(alarm, shelved=True, shelved_until_ms=until_ms, shelved_until_utc_ms=utc_ms)
    return _answer(_put(alarms, shelved, (fact,)), event, "accepted")


def _off_the_shelf(alarm: Alarm, now: Ms) -> tuple[Alarm, tuple[Fact, ...]]:
    """What came while the alarm lay on the shelf is told now."""
    free = replace(alarm, shelved=False, shelved_until_ms=None, shelved_until_utc_ms=None)
    return _tell(free, now) if free.standing and not free.told else (free, ())


def _time(alarms: Alarms, now: Ms) -> Step[Alarms]:
    facts: tuple[Fact, ...] = ()
    for alarm in tuple(alarms.by_id.values()):
        after, more = alarm, ()  # type: Alarm, tuple[Fact, ...]
        if alarm.shelved_until_ms is not None and alarm.shelved_until_ms <= now:
            after, more = _off_the_shelf(alarm, now)
            data: dict[str, Json] = {"by": None, "for_ms": 0, "command": None}
            more = (Fact("alarm_shelved", alarm.id, now, data), *more)
        elif _storm_ends_ms(alarm) is not None and (_storm_ends_ms(alarm) or 0) <= now:
            after, more = _tell(alarm, now)
            if not alarm.standing:
                more += (_cleared(alarm, now),)
        if after is not alarm:
            alarms, facts = _put(alarms, after).state, facts + more
    return Step(_scheduled(alarms), facts)


def _storm_ends_ms(alarm: Alarm) -> Ms | None:
    if alarm.told or alarm.muted or alarm.shelved or alarm.told_ms is None:
        return None
    return alarm.told_ms + STORM_MS


def find(alarms: Alarms, name: str) -> Alarm | None:
    """The alarm of this name, where it is listed."""
    alarm = alarms.by_id.get(name)
    return None if alarm is None or alarm.muted else alarm


def _put(alarms: Alarms, alarm: Alarm, facts: tuple[Fact, ...] = ()) -> Step[Alarms]:
    """The alarm as it is now: off the list when its condition is gone and it has been seen
    (or nobody was ever told)."""
    by_id = {**alarms.by_id, alarm.id: alarm}
    if alarm.seen or (alarm.muted and not alarm.standing):
        del by_id[alarm.id]
    return Step(_scheduled(replace(alarms, by_id=by_id)), facts)


def _scheduled(alarms: Alarms) -> Alarms:
    wakes = (earliest(a.shelved_until_ms, _storm_ends_ms(a)) for a in alarms.by_id.values())
    return replace(alarms, wake_ms=earliest(*wakes))


def _with_clock(alarm: Alarm, offset_ms: int) -> Alarm:
    """Instants of another boot get their place in this one, those of this boot their time."""
    if alarm.raised_utc_ms is None and alarm.raised_ms is not None:
        alarm = replace(alarm, raised_utc_ms=alarm.raised_ms + offset_ms)
    if alarm.shelved and alarm.shelved_until_utc_ms is not None:
        # Never later than known so far: a clock that is set back must not hide an alarm longer.
        until_ms = earliest(alarm.shelved_until_ms, alarm.shelved_until_utc_ms - offset_ms)
        return replace(alarm, shelved_until_ms=until_ms)
    if alarm.shelved_until_ms is not None:
        return replace(alarm, shelved_until_utc_ms=alarm.shelved_until_ms + offset_ms)
    return alarm


def _answer(
    step_: Step[Alarms], event: AcknowledgeAlarm | ShelveAlarm, status: Status
) -> Step[Alarms]:
    return replace(step_, effects=(Reply(event.id, status),))


def _refuse(
    alarms: Alarms,
    event: ShelveAlarm,
    reason: str,
    now: Ms,
) -> Step[Alarms]:
    data = {
        "reason": reason,
        "by": event.issuer.name,
        "via": event.issuer.via,
        "command": event.id,
        "name": "shelve_alarm",
    }
    fact = Fact("command_refused", event.alarm, now, data)
    return Step(alarms, (fact,), (Reply(event.id, "refused", reason),))
