"""Occupancy: whether somebody is believed to be in a room.

*Presence* is what a sensor sees; occupancy is a belief made of it. A sign of a person (motion,
a tap) counts for as long as it lasts, and at least ``vacant_after_ms`` from its beginning:
many sensors tell short pulses, others go on for a while by themselves and need no more.

With a contact at the door the room is a wasp in a box: a sign behind the closed door means
occupied until the door opens, however still the person lies. A sensor goes on seeing for a
while who has left, so one sign that began before the door was closed must outlast
``lingers_ms``. Without a door contact, motion elsewhere ends what a sign still counts.

One sign that never pauses is no proof of a long stay after ``doubt_after_ms``: it may be a
sensor that sticks, and is none of a person at all after two hours; the room is *unknown* then.
An unknown room is not vacant: a stay goes on behind a doubt, and its alarm stands until the
room is seen to be vacant. After a start nothing is known until the signs of before would be
over, or the door has opened.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Literal

from gateway.core.facts import Fact
from gateway.core.instant import ClockKnown, Ms, earliest
from gateway.core.machine import Conditions, Step, replace
from gateway.core.plan import RoomPlan
from gateway.core.values import dataclass

Belief = Literal["vacant", "occupied", "unknown"]
Role = Literal["motion", "taps", "bolt", "door", "elsewhere"]

HOUR_MS: Ms = 3_600_000

STUCK_AFTER_MS: Ms = 7_200_000
"""Nobody moves for so long without any pause. (The contact's own ``stuck_after_ms`` is what
makes a fault of it.)"""

NO_CALL = "no_call"
"""The detail of both alarms: nobody has called for help, somebody has to look."""


@dataclass(frozen=True)
class Seen:
    """A contact of the room. Active: motion, a tap that runs, bolted, the door is open."""

    role: Role
    point: str
    active: bool | None


@dataclass(frozen=True)
class Sign:
    """What one sensor says, since when."""

    active: bool | None = None
    since_ms: Ms = 0


@dataclass(frozen=True)
class Hour:
    """The counts of the hour that runs."""

    ends_ms: Ms
    visits: int = 0
    occupied_ms: Ms = 0
    known_ms: Ms = 0


@dataclass(frozen=True)
class Occupancy:
    """The belief about one room, and what it is made of."""

    plan: RoomPlan
    hour: Hour
    at_ms: Ms = 0
    """When it was last judged."""
    belief: Belief = "unknown"
    since_ms: Ms = 0
    motion: Mapping[str, Sign] = field(default_factory=dict)
    taps: Mapping[str, Sign] = field(default_factory=dict)
    bolt: bool | None = None
    open: bool | None = None
    """The door; ``None`` where there is no contact, too."""
    door_ms: Ms = 0
    boxed: bool = False
    """Somebody was seen behind the closed door."""
    counts_until_ms: Ms = 0
    """The last sign of a person counts until then."""
    unsure_until_ms: Ms | None = None
    """Until then it is too early to say that nobody is there; ``None``: until the door opens."""
    stay_ms: Ms | None = None
    """Since when somebody is believed to be there, through doubts and short pauses."""
    stay_ends_ms: Ms | None = None
    """Without a sign until then, the next one begins another stay."""
    moved_ms: Ms = 0
    """The last motion, or the beginning of the stay."""
    offset_ms: int | None = None
    conditions: Conditions = ()


Event = Seen | ClockKnown


def start(plan: RoomPlan, now: Ms) -> Occupancy:
    """Nothing seen yet. Somebody may be in there, and sit still."""
    return Occupancy(
        plan,
        Hour(now + HOUR_MS),
        at_ms=now,
        since_ms=now,
        motion={point: Sign(since_ms=now) for point in plan.motion},
        taps={point: Sign(since_ms=now) for point in plan.taps},
        door_ms=now,
        counts_until_ms=now,
        unsure_until_ms=now + plan.vacant_after_ms if plan.door is None else None,
        moved_ms=now,
    )


def wake_at(one: Occupancy) -> Ms | None:
    """The next instant at which time alone may change the belief, an alarm or the hour."""
    plan = one.plan
    waits = [one.hour.ends_ms, one.counts_until_ms, one.unsure_until_ms, one.stay_ends_ms]
    waits += [sign.since_ms + STUCK_AFTER_MS for sign in _active(one)]
    if one.open is False:
        waits.append(one.door_ms + plan.lingers_ms)
    if one.stay_ms is not None and plan.long_stay_after_ms is not None:
        waits.append(one.stay_ms + plan.long_stay_after_ms)
    if plan.no_motion_after_ms is not None:
        waits.append(one.moved_ms + plan.no_motion_after_ms)
    return earliest(*(at_ms for at_ms in waits if at_ms is not None and at_ms > one.at_ms))


def step(one: Occupancy, event: Event | None, now: Ms) -> Step[Occupancy]:
    """A contact has changed, the clock is known, or time."""
    after = _counted(one, now)
    match event:
        case Seen():
            after = _seen(after, event, now)
        case ClockKnown(offset_ms=offset_ms):
            after = replace(after, offset_ms=offset_ms)
            ends_ms = min(after.hour.ends_ms, _next_hour_ms(after, now))
            after = replace(after, hour=replace(after.hour, ends_ms=ends_ms))
    after, facts = _judged(after, now)
    if after.hour.ends_ms > now:
        return Step(after, facts)
    hour = after.hour
    told = Fact(
        "occupancy_hour",
        one.plan.id,
        now,
        {"visits": hour.visits, "occupied_ms": hour.occupied_ms, "known_ms": hour.known_ms},
    )
    return Step(replace(after, hour=Hour(_next_hour_ms(after, now))), (*facts, told))


def _next_hour_ms(one: Occupancy, now: Ms) -> Ms:
    """The next full hour, of the clock where it is known. (Zones differ from UTC by quarters of
    an hour at most in a few countries; their hours are those of UTC.)"""
    if one.offset_ms is None:
        return now + HOUR_MS
    return now + HOUR_MS - (now + one.offset_ms) % HOUR_MS


def _counted(one: Occupancy, now: Ms) -> Occupancy:
    """The time since the last look, for the hour's counts."""
    passed_ms = now - one.at_ms
    hour = replace(
        one.hour,
        occupied_ms=one.hour.occupied_ms + passed_ms * (one.belief == "occupied"),
        known_ms=one.hour.known_ms + passed_ms * (one.belief != "unknown"),
    )
    return replace(one, at_ms=now, hour=hour)


def _seen(one: Occupancy, event: Seen, now: Ms) -> Occupancy:  # noqa: PLR0911 - a table
    plan, sign = one.plan, Sign(event.active, now)
    match event.role:
        case "motion":
            one = replace(one, motion={**one.motion, event.point: sign}, moved_ms=now)
            return _begun(one, event, now)
        case "taps":
            return _begun(replace(one, taps={**one.taps, event.point: sign}), event, now)
        case "bolt":
            return replace(one, bolt=event.active)
        case "door":
            one = replace(one, open=event.active, door_ms=now)
            if event.active is False:
                return one
            # Who was in there may leave; nobody sees it where the contact cannot be read.
            return replace(one, boxed=False, unsure_until_ms=now if event.active else None)
        case _:
            if event.active and plan.door is None:
                until_ms = min(one.counts_until_ms, now)
                return replace(one, counts_until_ms=until_ms, stay_ends_ms=now)
            return one


def _begun(one: Occupancy, event: Seen, now: Ms) -> Occupancy:
    """A sign that begins counts for a while, however short it is."""
    if not event.active:
        return one
    return replace(one, counts_until_ms=now + one.plan.vacant_after_ms)


def _active(one: Occupancy) -> list[Sign]:
    return [sign for sign in (*one.motion.values(), *one.taps.values()) if sign.active]


def _fresh(one: Occupancy, now: Ms) -> list[Sign]:
    return [sign for sign in _active(one) if now - sign.since_ms < one.plan.doubt_after_ms]


def _judged(one: Occupancy, now: Ms) -> tuple[Occupancy, tuple[Fact, ...]]:
    """The belief as it is now, the stay, and what needs a person."""
    if one.open is False and not one.boxed:
        outlasts = now - one.door_ms >= one.plan.lingers_ms
        boxed = any(outlasts or sign.since_ms > one.door_ms for sign in _fresh(one, now))
        one = replace(one, boxed=boxed or one.bolt is True)
    believed = any(now - sign.since_ms < STUCK_AFTER_MS for sign in _active(one))
    belief: Belief = "vacant"
    if one.boxed or one.bolt or believed or now < one.counts_until_ms:
        belief = "occupied"
    elif _doubtful(one, now) or not _known(one):
        belief = "unknown"
    facts: tuple[Fact, ...] = ()
    if belief != one.belief:
        data = {"occupancy": belief, "for_ms": now - one.since_ms}
        facts = (Fact("occupancy_changed", one.plan.id, now, data),)
        one = replace(one, belief=belief, since_ms=now)
    return _cared(_stayed(one, now), now), facts


def _doubtful(one: Occupancy, now: Ms) -> bool:
    """A sensor says that somebody is there and is not believed, or it is too early to say that
    nobody is. (Water that runs for long says nothing of people.)"""
    unsure = one.unsure_until_ms is None or now < one.unsure_until_ms
    return unsure or any(sign.active for sign in one.motion.values())


def _known(one: Occupancy) -> bool:
    """Whether anything that would see a person can be read."""
    if one.plan.door is not None and one.open is None:
        return False
    watching = one.motion or one.taps
    return one.bolt is not None or any(s.active is not None for s in watching.values())


def _stayed(one: Occupancy, now: Ms) -> Occupancy:
    """A stay goes on through a pause of the sensors and behind a doubt. It ends with the open
    door, with motion elsewhere where there is no door contact, or after a while."""
    if one.belief == "occupied":
        one = replace(one, stay_ends_ms=None)
        if one.stay_ms is not None:
            return one
        hour = replace(one.hour, visits=one.hour.visits + 1)
        return replace(one, stay_ms=now, moved_ms=now, hour=hour)
    if one.belief == "unknown":
        doubted = _known(one) and _doubtful(one, now)
        return replace(one, stay_ms=one.stay_ms if doubted else None, stay_ends_ms=None)
    ends_ms = now + one.plan.lingers_ms if one.stay_ends_ms is None else one.stay_ends_ms
    over = one.open is True or ends_ms <= now
    return replace(one, stay_ms=None if over else one.stay_ms, stay_ends_ms=ends_ms)


def _cared(one: Occupancy, now: Ms) -> Occupancy:
    """Who stays for long, or does not move, is looked after, once per stay."""
    if one.belief != "occupied":
        ends = one.belief == "vacant" and one.stay_ms is None and one.conditions
        return replace(one, conditions=()) if ends else one
    plan, kinds = one.plan, {kind for kind, _ in one.conditions}
    long_ms, still_ms = plan.long_stay_after_ms, plan.no_motion_after_ms
    stayed_ms = 0 if one.stay_ms is None else now - one.stay_ms
    proved = one.boxed or one.bolt or now < one.counts_until_ms or _fresh(one, now)
    if long_ms is not None and stayed_ms >= long_ms and proved:
        kinds.add("long_stay")
    if still_ms is not None:
        levels = [sign.active for sign in one.motion.values()]
        still = True not in levels and False in levels and now - one.moved_ms >= still_ms
        kinds = kinds - {"no_motion"} | ({"no_motion"} if still else set())
    conditions = tuple((kind, NO_CALL) for kind in sorted(kinds))
    return one if conditions == one.conditions else replace(one, conditions=conditions)
