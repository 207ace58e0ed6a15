"""What the gateway promises, and whether it is observed to be so.

A guarantee is one record: what it promises, the evidence for it, the age at which that evidence
is void, and what breaks it. Its value is *yes* only while fresh evidence says so, *no* where
something that breaks it is observed, *unknown* without fresh evidence, and *not_configured*
where the configuration asks for nothing. ``reason`` is a key that the page has words for; of
several the first in the order of the configuration.

A guarantee speaks of the equipment and the wires, not of the schedule: a door that is locked
for the night as planned keeps its promise. The records below are the source of the table in
``gateway/README.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gateway.control.alarm_effects import ALARM_EFFECTS, breaks, doubts, shuts_neighbours
from gateway.core.building.state import Building
from gateway.core.door import rules
from gateway.core.facts import KINDS
from gateway.core.instant import Ms, UtcMs
from gateway.core.notification.ways import Way, latest, ways_of
from gateway.core.plan import BuildingPlan
from gateway.core.point_roles import CALL_RELAYS, points_in
from gateway.core.room.call_record import points_of
from gateway.core.signals.contact import NO_LEVEL_YET
from gateway.panel.messages import HEALTH_MS

if TYPE_CHECKING:
    from gateway.panel.snapshot_types import GuaranteeNumbers, GuaranteeShown
    from gateway.panel.snapshot_types import GuaranteeValue as Value

LOOP_VOID_MS: Ms = 2_000
PATH_VOID_MS: Ms = 5_000
"""A question through the command path is asked with each snapshot: every 2 s at rest."""
JOURNAL_LATE_MS: Ms = 2_000
UNSENT_MOST_MS: Ms = 10_000
REPORT_MS: Ms = 10_000
"""How often ``link`` reports at least; what it hears between is known with its next report."""
KEEPALIVE_MS: Ms = 60_000
"""Where ``link`` has not said which one it has agreed with the broker."""
NOTIFY_VOID_MS: Ms = 30_000
"""``notify`` says every 10 s that it works."""
MESSAGES_VOID_MS: Ms = 8 * 86_400_000
CLOCK_VOID_MS: Ms = 60_000
"""The time service is asked every 10 s."""
BEHIND_MOST = 1_000
"""Facts that a recorder may be behind before the page says so."""
AHEAD_MOST_MS: Ms = 1_000
"""Evidence that lies further in the future is none."""


# --- what is observed -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LinkSeen:
    """The connection to the broker, as ``link`` reported it last, at ``reported_ms``.
    ``heard_ms``: the last PUBACK or PINGRESP. ``aside``: (topic, reason) of messages that the
    broker will not take."""

    connected: bool
    reason: str = ""
    heard_ms: Ms | None = None
    keepalive_ms: Ms | None = None
    aside: tuple[tuple[str, str], ...] = ()
    aside_count: int = 0
    reported_ms: Ms | None = None


@dataclass(frozen=True, slots=True)
class RecorderSeen:
    """One recorder that is expected. ``heard``: it has ever said how far it is, ``None`` while
    that and what is due cannot be read. ``good_ms``: when its cursor last moved or nothing was
    due; ``since_ms``: since when that is watched.
    ``aside``: points that it set aside and that nobody has retried or acknowledged. ``foreign``:
    messages on this gateway's topics that were somebody else's; they break nothing."""

    name: str
    heard: bool | None
    good_ms: Ms | None = None
    since_ms: Ms = 0
    aside: int = 0
    foreign: int = 0


@dataclass(frozen=True, slots=True)
class Observed:
    """What ``control`` knows at ``now_ms``. All instants are of the building's clock.

    ``remembers``: whether it knows what stood before its start, or that this cannot be read.
    ``turned_ms``: the last full turn of the loop; ``answered_ms``: the loop answered a question
    that went the way of commands; ``is_open``: whether the driver has this point open;
    ``oldest_urgent_ms``: age of the oldest urgent fact that is not sent, ``None`` while that
    cannot be read; ``notify_ms``: when ``notify`` last said that it works; ``broken``: the ways
    whose address it cannot read; ``heartbeat_every_ms``: 0 where there shall be none."""

    now_ms: Ms
    building: Building
    remembers: bool = True
    turned_ms: Ms | None = None
    answered_ms: Ms | None = None
    is_open: Callable[[str], bool] = lambda point: True
    journal: str = ""
    journal_reason: str = ""
    overdue_ms: Ms = 0
    mqtt: bool = False
    link: LinkSeen | None = None
    backlog: int = 0
    oldest_unsent_ms: Ms = 0
    oldest_urgent_ms: Ms | None = 0
    recorders: tuple[RecorderSeen, ...] = ()
    behind: int = 0
    recorded_until_utc_ms: UtcMs | None = None
    trusted: bool = False
    clock_seen_ms: Ms | None = None
    notify: bool = False
    notify_ms: Ms | None = None
    broken: frozenset[Way] = frozenset()
    heartbeat_every_ms: Ms = 0
    heartbeat_ok_ms: Ms | None = None
    heartbeat_failed: bool = False
    bench: bool = False
    """Nothing but simulated points: nobody is in need behind a cord."""

    def fresh(self, evidence_ms: Ms | None, void_after_ms: Ms) -> bool:
        """Whether evidence of this instant still counts."""
        if evidence_ms is None:
            return False
        return -AHEAD_MOST_MS <= self.now_ms - evidence_ms <= void_after_ms


# --- what is found ----------------------------------------------------------------------------


def _no_numbers() -> GuaranteeNumbers:
    return {}


@dataclass(frozen=True, slots=True)
class Finding:
    """``subject``: the door, room, chain or recorder that ``reason`` is about.
    ``void_after_ms``: where it depends on the configuration."""

    value: Value
    reason: str = ""
    subject: str = ""
    evidence_ms: Ms | None = None
    void_after_ms: Ms | None = None
    more: GuaranteeNumbers = field(default_factory=_no_numbers)


NOT_CONFIGURED = Finding("not_configured", "not_configured")
NOBODY_ON_BENCH = Finding("not_configured", "bench")
"""A bench without contacts is complete; shown as such, and never as a tick."""
_WORST: tuple[Value, ...] = ("no", "unknown", "yes")


def _worst(findings: Iterable[Finding]) -> Finding:
    """Of several parts the first of the worst, with the oldest evidence of all."""
    found = list(findings)
    if not found:
        return NOT_CONFIGURED
    one = min(found, key=lambda finding: _WORST.index(finding.value))
    known = [f.evidence_ms for f in found if f.evidence_ms is not None]
    evidence_ms = min(known) if len(known) == len(found) else None
    return Finding(one.value, one.reason, one.subject, evidence_ms)


# --- what the guarantees are about ------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _DoorParts:
    door: str
    activators: tuple[str, ...]
    relays: tuple[str, ...]
    """What opens it: the activation and the strike."""
    fault: str | None
    """The operator's fault contact."""


@dataclass(frozen=True, slots=True)
class _CallParts:
    room: str
    cords: tuple[str, ...]
    relays: tuple[str, ...]
    """Lamps, sounder, and what unlocks the door for helpers."""
    chain: str | None


@dataclass(frozen=True, slots=True)
class Wiring:
    """The plan, read for the guarantees."""

    doors: tuple[_DoorParts, ...]
    calls: tuple[_CallParts, ...]
    chains: Mapping[str, tuple[Way, ...]]
    """Chains that somebody is told by -> their ways, in order."""

    @classmethod
    def of(cls, plan: BuildingPlan) -> Wiring:
        calls = tuple(
            _CallParts(
                room.id,
                points_of(room),
                tuple(point for role, point in points_in(room) if role in CALL_RELAYS),
                room.escalation,
            )
            for room in plan.rooms
            if points_of(room)
        )
        used = {call.chain for call in calls} | {name for _, name in plan.alarm_escalations}
        ways = ways_of(plan)
        return cls(
            tuple(
                _DoorParts(
                    door.id,
                    tuple(dict.fromkeys(a.point for a in door.activators)),
                    _present(door.activation, door.strike),
                    door.operator_fault,
                )
                for door in plan.doors
            ),
            calls,
            {
                chain.id: tuple(
                    way
                    for receiver in dict.fromkeys(step.receiver for step in chain.steps)
                    for way in ways.get(receiver, ())
                )
                for chain in plan.escalations
                if chain.id in used
            },
        )


def _present(*points: str | None) -> tuple[str, ...]:
    return tuple(point for point in points if point is not None)


def _breaking_alarm(
    building: Building,
    guarantee: str,
    subjects: tuple[str, ...],
    does: Callable[[str, str], bool] = breaks,
) -> str:
    """The first alarm about one of these that breaks the guarantee, or ``does`` what is asked;
    empty where none does. One that is muted or put aside breaks it all the same."""
    for alarm in building.alarms.by_id.values():
        if alarm.standing and alarm.subject in subjects and does(alarm.kind, guarantee):
            return alarm.kind
    return ""


# --- the judges -------------------------------------------------------------------------------


def _door_by_button(wiring: Wiring, seen: Observed) -> Finding:
    return _worst(_button(parts, seen) for parts in wiring.doors if parts.activators)


def _door_by_staff(wiring: Wiring, seen: Observed) -> Finding:
    found = _worst(_door(parts, seen, "door_by_staff") for parts in wiring.doors)
    if found.value == "yes" and not seen.fresh(seen.answered_ms, PATH_VOID_MS):
        return Finding("unknown", "command_path", evidence_ms=seen.answered_ms)
    return found


def _door(parts: _DoorParts, seen: Observed, guarantee: str) -> Finding:
    """Whether a door would open, whoever asks."""
    building, name = seen.building, parts.door
    door = building.doors[name]
    broken = _breaking_alarm(building, guarantee, (name, *parts.relays))
    if door.operator_fault:
        broken = "operator_fault"
    elif door.fire_acts == "close":
        broken = "fire"
    elif door.barred:
        broken = "mode_off"
    elif not broken and not door.free and _kept_shut(building, name, guarantee):
        broken = "interlock"
    elif not broken:
        faults = (building.relays[point].fault for point in parts.relays)
        broken = "relay_fault" if any(faults) else ""
    if broken:
        return Finding("no", broken, name, seen.turned_ms)
    if not all(seen.is_open(point) for point in parts.relays):
        return Finding("unknown", "relay_unknown", name)
    if parts.fault is not None and door.operator_fault is None:
        return Finding("unknown", "operator_unknown", name)
    return Finding("yes", evidence_ms=seen.turned_ms)


def _kept_shut(building: Building, name: str, guarantee: str) -> bool:
    """Whether another door of its interlock stays open, which is more than somebody passing."""
    others = (other for lock in building.index.interlocks[name] for other in lock.doors)
    neighbours = tuple(other for other in others if other != name)
    return bool(_breaking_alarm(building, guarantee, neighbours, shuts_neighbours))


def _button(parts: _DoorParts, seen: Observed) -> Finding:
    """*no* where none of its activators is heard; a single deaf one is an alarm."""
    found = _door(parts, seen, "door_by_button")
    if found.value == "no":
        return found
    if _locked_in_doubt(seen.building, parts.door):
        return Finding("no", "state_unread", parts.door, seen.turned_ms)
    heard = [_heard(point, seen) for point in parts.activators]
    if "" in heard:
        return found
    if NO_LEVEL_YET in heard:
        return found if found.reason else Finding("unknown", NO_LEVEL_YET, parts.door)
    return Finding("no", heard[0], parts.door, seen.turned_ms)


def _locked_in_doubt(building: Building, name: str) -> bool:
    """Whether an activator does not open because nobody knows which mode the door had: in *night*
    by nobody's word (``schedule.restricted``)."""
    door = building.doors[name]
    if (door.mode, door.mode_source, door.mode_by) != ("night", "override", None):
        return False
    return door.fire_acts is None and any(
        rules.refusal(door.plan, door.mode, one.kind, one.side, "", trusted=one.trusted)
        for one in door.plan.activators
    )


def _heard(point: str, seen: Observed) -> str:
    """Why a press here would not be heard; empty where it would be. The evidence is the open
    line of its driver and a known level, not an edge."""
    contact = seen.building.contacts[point]
    kinds = [kind for kind, _ in contact.conditions if breaks(kind, "door_by_button")]
    if kinds:
        return kinds[0]
    if contact.active is None and contact.reason == NO_LEVEL_YET:
        return NO_LEVEL_YET
    return "contact_unknown" if contact.active is None or not seen.is_open(point) else ""


def _call(wiring: Wiring, seen: Observed) -> Finding:
    for alarm in seen.building.alarms.by_id.values():
        orphaned = alarm.subject not in seen.building.calls and alarm.kind == "call_orphaned"
        if alarm.standing and orphaned:
            return Finding("no", alarm.kind, alarm.subject, seen.turned_ms)
    return _worst(_call_of(parts, seen) for parts in wiring.calls)


def _call_of(parts: _CallParts, seen: Observed) -> Finding:
    building, room = seen.building, parts.room
    call = building.calls[room]
    levels = {point: call.cord(point) for point in parts.cords}
    for level in levels.values():
        if level in ("cut", "short"):
            return Finding("no", f"cord_{level}", room, seen.turned_ms)
    for kind in (_breaking_alarm(building, "call", (point,)) for point in parts.cords):
        if kind:
            reason = kind if kind == "cord_stuck" else "cord_unknown"
            return Finding("no", reason, room, seen.turned_ms)
    broken = _breaking_alarm(building, "call", parts.relays)
    faults = (building.relays[point].fault for point in parts.relays)
    if broken or any(faults):
        return Finding("no", broken or "relay_fault", room, seen.turned_ms)
    doubt = _breaking_alarm(building, "call", (room,), doubts)
    if not seen.remembers:
        doubt = "call_unread"
    if "unknown" in levels.values():
        doubt = "cord_unknown"
    elif not all(seen.is_open(point) for point in parts.relays):
        doubt = "relay_unknown"
    return Finding("unknown", doubt, room) if doubt else Finding("yes", evidence_ms=seen.turned_ms)


def _messages(wiring: Wiring, seen: Observed) -> Finding:  # noqa: PLR0911 - one line a reason
    if seen.bench and not wiring.chains:
        return NOBODY_ON_BENCH
    for call in wiring.calls:
        if not wiring.chains.get(call.chain or ""):
            return Finding("no", "no_contact", call.room)
    if not wiring.chains:
        return NOT_CONFIGURED
    if not seen.notify:
        return Finding("no", "notify_away")
    for alarm in seen.building.alarms.by_id.values():
        if alarm.standing and breaks(alarm.kind, "messages"):
            return Finding("no", alarm.kind, alarm.subject)
    if not seen.fresh(seen.notify_ms, NOTIFY_VOID_MS):
        return Finding("unknown", "notify_silent", evidence_ms=seen.notify_ms)
    return _worst(_chain(name, ways, seen) for name, ways in wiring.chains.items())


def _chain(name: str, ways: tuple[Way, ...], seen: Observed) -> Finding:
    """One way whose newest attempt has arrived is enough; one never tried says nothing, and one
    whose address cannot be read is none."""
    ways = tuple(way for way in ways if way not in seen.broken)
    if not ways:
        return Finding("no", "no_address", name)
    tried = [seen.building.ways.get(way) for way in ways]
    evidence_ms = latest(seen.building.ways, ways)
    if any(one is not None and one.ok for one in tried):
        if seen.fresh(evidence_ms, MESSAGES_VOID_MS):
            return Finding("yes", "", name, evidence_ms)
        return Finding("unknown", "no_delivery", name, evidence_ms)
    if None in tried:
        return Finding("unknown", "no_delivery", name, evidence_ms)
    return Finding("no", "delivery_failed", name, evidence_ms)


def _heartbeat(_wiring: Wiring, seen: Observed) -> Finding:
    if not seen.heartbeat_every_ms:
        return NOT_CONFIGURED
    void_ms = 2 * seen.heartbeat_every_ms
    if not seen.notify:
        return Finding("no", "notify_away", "", seen.heartbeat_ok_ms, void_ms)
    if seen.heartbeat_failed and not seen.fresh(seen.heartbeat_ok_ms, void_ms):
        return Finding("no", "heartbeat_failed", "", seen.heartbeat_ok_ms, void_ms)
    return Finding("yes", "", "", seen.heartbeat_ok_ms, void_ms)


def _journal(_wiring: Wiring, seen: Observed) -> Finding:
    if seen.journal_reason:
        return Finding("no", seen.journal_reason)
    if seen.overdue_ms > JOURNAL_LATE_MS:
        return Finding("no", "journal_slow")
    return Finding("yes", evidence_ms=seen.now_ms if seen.journal else None)


def _forwarding(_wiring: Wiring, seen: Observed) -> Finding:
    link = seen.link
    more: GuaranteeNumbers = {
        "backlog": seen.backlog,
        "oldest_unsent_ms": seen.oldest_unsent_ms,
        "aside": [list(one) for one in link.aside] if link else [],
        "aside_count": link.aside_count if link else 0,
    }
    if not seen.mqtt:
        return Finding("not_configured", "not_configured", more=more)
    if link is None or not link.connected:
        return Finding("no", (link.reason if link else "") or "link_away", more=more)
    silent_ms = 2 * (link.keepalive_ms or KEEPALIVE_MS)
    void_ms = silent_ms + REPORT_MS
    if link.heard_ms is not None and (link.reported_ms or 0) - link.heard_ms > silent_ms:
        return Finding("unknown", "broker_silent", "", link.heard_ms, void_ms, more)
    value: Value = "yes"
    reason = ""
    if any(_is_urgent(topic) for topic, _ in link.aside):
        value, reason = "no", "set_aside"
    elif seen.oldest_urgent_ms is None:
        value, reason = "unknown", "journal"
    elif seen.oldest_urgent_ms > UNSENT_MOST_MS:
        value, reason = "no", "unsent"
    return Finding(value, reason, "", link.heard_ms, void_ms, more)


def _is_urgent(topic: str) -> bool:
    """Whether a message of this topic is an urgent fact (``…/event/KIND/SUBJECT``)."""
    kind = KINDS.get(topic.partition("/event/")[2].partition("/")[0])
    return kind is not None and kind.lane == "urgent"


def _recording(_wiring: Wiring, seen: Observed) -> Finding:
    aside = sum(one.aside for one in seen.recorders)
    more: GuaranteeNumbers = {
        "recorded_until_utc_ms": seen.recorded_until_utc_ms,
        "backlog": seen.behind,
        "aside": aside,
    }
    foreign = sum(one.foreign for one in seen.recorders)
    if foreign:
        more["foreign"] = foreign
    if not seen.recorders:
        return Finding("not_configured", "not_configured", more=more)
    found = _worst(_recorder(one, seen) for one in seen.recorders)
    value, reason, subject = found.value, found.reason, found.subject
    if value != "no" and seen.journal_reason:
        value, reason, subject = "no", "journal", ""
    elif value != "no" and seen.behind > BEHIND_MOST:
        value, reason = "no", "recorder_behind"
    return Finding(value, reason, subject, found.evidence_ms, more=more)


def _recorder(one: RecorderSeen, seen: Observed) -> Finding:
    if one.heard is None:
        return Finding("unknown", "journal", one.name, one.good_ms)
    if not one.heard:
        return Finding("no", "recorder_missing", one.name, one.good_ms)
    if one.aside:
        return Finding("no", "recorder_aside", one.name, one.good_ms)
    if seen.fresh(one.good_ms, 2 * HEALTH_MS):
        return Finding("yes", "", one.name, one.good_ms)
    if seen.fresh(one.since_ms, 2 * HEALTH_MS):
        return Finding("unknown", "recorder_silent", one.name, one.good_ms)
    return Finding("no", "recorder_behind", one.name, one.good_ms)


def _clock(_wiring: Wiring, seen: Observed) -> Finding:
    if not seen.trusted:
        return Finding("no", "clock_untrusted", "", seen.clock_seen_ms)
    return Finding("yes", "", "", seen.clock_seen_ms)


# --- the records ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Guarantee:
    """One promise. ``breaks`` (*no*) and ``doubts`` (*unknown*) map each reason to what is
    observed then. Where ``void_after_ms`` is ``None`` it follows from the configuration, as
    ``void_after`` says. ``void``: the reason once the evidence is too old, or there never was
    any."""

    name: str
    promise: str
    evidence: str
    void_after_ms: Ms | None
    void_after: str
    void: str
    breaks: Mapping[str, str]
    doubts: Mapping[str, str]
    judge: Callable[[Wiring, Observed], Finding]


_LOOP = "the control loop has made no full turn for 2 s"
_DOOR_BREAKS: Mapping[str, str] = {
    "did_not_open": "the leaf stayed closed after the last activation",
    "operator_fault": "the operator reports a fault",
    "relay_fault": "the activation or the strike relay cannot be switched",
    "relay_limit": "the time limit of one of these relays has switched it off",
    "mode_off": "the mode of the door is off",
    "fire": "the fire alarm keeps the door closed",
    "interlock": "another door of its interlock stays open",
}
_DOOR_DOUBTS: Mapping[str, str] = {
    "loop_stalled": _LOOP,
    "relay_unknown": "the driver does not have one of these relays open",
    "operator_unknown": "the operator's fault contact is unknown",
}

GUARANTEES: tuple[Guarantee, ...] = (
    Guarantee(
        "door_by_button",
        "Every door with an activator opens when somebody presses.",
        "A full turn of the control loop; the open line of the driver of each relay and of at"
        " least one activator of the door, and its level.",
        LOOP_VOID_MS,
        "2 s",
        "loop_stalled",
        {
            **_DOOR_BREAKS,
            "contact_unknown": "none of its activators is heard: the level is unknown",
            "contact_stuck": "none of its activators is heard: the contact is stuck",
            "contact_chattering": "none of its activators is heard: the contact chatters",
            "state_unread": "what was saved cannot be read: the door is in night until somebody"
            " chooses its mode",
        },
        {**_DOOR_DOUBTS, NO_LEVEL_YET: "no activator has reported a level since the start"},
        _door_by_button,
    ),
    Guarantee(
        "door_by_staff",
        "Staff can open every door.",
        "The same without the activators, and an answer of the control loop to a question that"
        " went the way of commands.",
        LOOP_VOID_MS,
        "2 s; the answer 5 s",
        "loop_stalled",
        _DOOR_BREAKS,
        {**_DOOR_DOUBTS, "command_path": "no question was answered within 5 s"},
        _door_by_staff,
    ),
    Guarantee(
        "call",
        "A pulled cord raises an emergency call, and its lamps show it.",
        "A full turn of the control loop, a known level of each cord, the open line of the driver"
        " of each relay of the call.",
        LOOP_VOID_MS,
        "2 s",
        "loop_stalled",
        {
            "cord_cut": "a supervised line is cut",
            "cord_short": "a supervised line is short-circuited",
            "cord_stuck": "a cord is still pulled after the call was ended",
            "cord_unknown": "the driver of a cord does not answer, or its line is not plausible",
            "relay_fault": "a lamp, the sounder or the unlock relay cannot be switched",
            "relay_limit": "the time limit of one of these relays has switched it off",
            "call_orphaned": "the room of a call was taken out of the configuration, and nobody has"
            " acknowledged that",
        },
        {
            "loop_stalled": _LOOP,
            "call_unread": "whether a call stood before the start cannot be read, and nobody has"
            " looked yet",
            "cord_unknown": "a cord has reported no level since the start",
            "relay_unknown": "the driver does not have one of these relays open",
        },
        _call,
    ),
    Guarantee(
        "messages",
        "Each notification chain reaches somebody.",
        "The newest attempt by at least one way of each chain has arrived.",
        MESSAGES_VOID_MS,
        "8 days",
        "no_delivery",
        {
            "no_contact": "a room has a call and nobody to be told of it",
            "notify_away": "the notify role is not connected",
            "no_address": "no address of a chain can be read now",
            "delivery_failed": "the newest attempt by every way of a chain has failed",
            "nobody_told": "a call or an alarm has reached nobody",
        },
        {
            "notify_silent": "the notify role has said nothing for 30 s: it hangs",
            "no_delivery": "nobody of a chain was reached within 8 days, or a way was never tried",
        },
        _messages,
    ),
    Guarantee(
        "heartbeat",
        "An address outside hears that the gateway is alive.",
        "The last successful heartbeat.",
        None,
        "2 × `every`",
        "no_heartbeat",
        {
            "notify_away": "the notify role is not connected",
            "heartbeat_failed": "attempts fail, and none has succeeded within 2 × `every`",
        },
        {"no_heartbeat": "no attempt is known within 2 × `every`"},
        _heartbeat,
    ),
    Guarantee(
        "journal",
        "What happens is stored.",
        "No fact waits for its commit.",
        JOURNAL_LATE_MS,
        "2 s",
        "no_evidence",
        {
            "journal_full": "the disk or the journal's limit is full",
            "journal_read_only": "the disk cannot be written",
            "journal_unavailable": "the file cannot be used",
            "journal_slow": "a fact has waited over 2 s for its commit",
        },
        {"no_evidence": "the journal has not been opened yet"},
        _journal,
    ),
    Guarantee(
        "forwarding",
        "What happens reaches the broker.",
        "The last PUBACK or PINGRESP of the broker.",
        None,
        "2 keep-alives, and the 10 s within which `link` reports",
        "broker_silent",
        {
            "link_away": "the link role is not connected, or not to the broker (its own reason"
            " is shown then)",
            "unsent": "the oldest unsent urgent fact is older than 10 s",
            "set_aside": "the broker refuses urgent facts (the topics are named)",
        },
        {
            "broker_silent": "neither PUBACK nor PINGRESP within two keep-alives",
            "journal": "the journal cannot be read, so what is unsent is not known",
        },
        _forwarding,
    ),
    Guarantee(
        "recording",
        "Each expected recorder has what happened.",
        "Its `recorded` moved, or nothing was due.",
        2 * HEALTH_MS,
        "two health intervals (60 s)",
        "recorder_silent",
        {
            "recorder_missing": "a recorder has never said how far it is",
            "recorder_behind": "facts are due and `recorded` has not moved for 60 s, or more than"
            " 1,000 facts are missing",
            "recorder_aside": "points are set aside that nobody has retried or acknowledged",
            "journal": "the journal does not store what happens",
        },
        {
            "recorder_silent": "facts are due, and `recorded` has not moved yet since the start,"
            " which is less than 60 s ago",
            "journal": "the journal has not been read yet, so what is due is not known",
        },
        _recording,
    ),
    Guarantee(
        "clock",
        "The time of day is right.",
        "The kernel's flag, which every time service sets and which lapses about 9 h after"
        " its last synchronisation; `link`, `web` and `notify` read it every 10 s. A bench has its"
        " own clock.",
        CLOCK_VOID_MS,
        "60 s",
        "clock_unwatched",
        {"clock_untrusted": "no time service keeps the clock, or nobody has asked"},
        {"clock_unwatched": "the kernel was not asked for 60 s"},
        _clock,
    ),
)


@dataclass(slots=True)
class Guarantees:
    """All guarantees of one building; remembers since when each has its value."""

    wiring: Wiring
    _since: dict[str, tuple[Value, Ms]] = field(default_factory=dict)

    @classmethod
    def of(cls, plan: BuildingPlan) -> Guarantees:
        return cls(Wiring.of(plan))

    def evaluate(self, seen: Observed) -> dict[str, GuaranteeShown]:
        """Each guarantee as the snapshot shows it."""
        return {one.name: self._evaluate(one, seen) for one in GUARANTEES}

    def _evaluate(self, guarantee: Guarantee, seen: Observed) -> GuaranteeShown:
        found = guarantee.judge(self.wiring, seen)
        void_ms = found.void_after_ms or guarantee.void_after_ms
        value, reason = found.value, found.reason
        if value == "yes" and not seen.fresh(found.evidence_ms, void_ms or 0):
            value, reason = "unknown", guarantee.void
        before = self._since.get(guarantee.name)
        if before is None or before[0] != value:
            self._since[guarantee.name] = before = (value, seen.now_ms)
        return {
            "ok": value in ("yes", "not_configured"),
            "value": value,
            "since_ms": before[1],
            "reason": reason,
            "subject": found.subject if reason else "",
            "evidence_ms": found.evidence_ms,
            "void_after_ms": void_ms,
            **found.more,
        }


# --- the table of the documents ---------------------------------------------------------------


def table() -> str:
    """The guarantees and what each kind of alarm breaks, as Markdown."""
    lines = [
        "| guarantee | promise | evidence | void after | no | unknown |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for one in GUARANTEES:
        cells = (f"`{one.name}`", one.promise, one.evidence, one.void_after,
                 _list(one.breaks), _list(one.doubts))  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "| alarm | breaks | because |", "| --- | --- | --- |"]
    for kind, effect in ALARM_EFFECTS.items():
        broken = ", ".join(
            [
                *(f"`{name}`" for name in effect.breaks),
                *(f"`{name}` (unknown)" for name in effect.doubts),
                *(f"`{name}` of neighbours" for name in effect.neighbours),
            ]
        )
        broken = broken or "nothing"
        lines.append(f"| `{kind}` | {broken} | {effect.why} |")
    return "\n".join(lines)


def _list(reasons: Mapping[str, str]) -> str:
    return "<br>".join(f"`{reason}`: {words}" for reason, words in reasons.items())
