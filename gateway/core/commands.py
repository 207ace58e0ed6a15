"""Commands: what people and other roles ask for, and the one answer that each of them gets."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.core import alarms, clock, door, relay, rooms, schedule
from gateway.core.effects import Reply
from gateway.core.events import (
    AcknowledgeAlarm,
    AcknowledgeCall,
    AnyCommand,
    CommandRefused,
    ConfirmClock,
    ConfirmMessage,
    OpenDoor,
    ResetAlarm,
    SetMode,
    SetService,
    ShelveAlarm,
    TestRelay,
    TestRoom,
)
from gateway.core.facts import Fact, Json
from gateway.core.machine import Broken, Ms, replace
from gateway.core.state import SCHEDULE
from gateway.core.turn import Turn, mode_of

TEST_LIMIT_MS: Ms = 60_000
"""A relay is tested for at most this long, and never beyond its own limit."""

_NAMES: Mapping[type, str] = {
    OpenDoor: "open_door",
    SetMode: "set_mode",
    SetService: "set_service",
    TestRelay: "test_relay",
    AcknowledgeAlarm: "acknowledge_alarm",
    ShelveAlarm: "shelve_alarm",
    ResetAlarm: "reset_alarm",
    AcknowledgeCall: "acknowledge_call",
    TestRoom: "test_room",
    ConfirmMessage: "confirm_message",
    ConfirmClock: "confirm_clock",
}


def take(turn: Turn, event: AnyCommand | CommandRefused) -> None:
    """Carry out or refuse a command. Each gets exactly one reply; a request that waits for
    an interlock gets it when its turn comes or its time is over."""
    answered = len(turn.effects)
    match event:
        case CommandRefused():
            _refused(turn, event)
            return
        case OpenDoor():
            _open_door(turn, event)
        case _ if turn.now >= event.expires_ms:
            _refuse(turn, event, "expired")
        case AcknowledgeAlarm() | ShelveAlarm() if alarms.find(turn.alarms, event.alarm) is None:
            _refuse(turn, event, "unknown_alarm")
        case AcknowledgeAlarm() | ShelveAlarm():
            turn.step_alarms(event)
        case TestRelay():
            _test_relay(turn, event)
        case AcknowledgeCall() | TestRoom() | ResetAlarm() | ConfirmMessage():
            _room(turn, event)
        case ConfirmClock():
            _confirm_clock(turn, event)
        case SetMode() | SetService() if event.door not in turn.doors:
            _refuse(turn, event, "unknown_door")
        case SetMode():
            _set_mode(turn, event)
        case _:
            _set_service(turn, event)
    replies = [
        effect
        for effect in turn.effects[answered:]
        if isinstance(effect, Reply) and effect.command == event.id
    ]
    waits = isinstance(event, OpenDoor) and not replies and turn.doors[event.door].waits
    if len(replies) != 1 and not waits:
        raise Broken(f"{event} has {len(replies)} replies")


def _open_door(turn: Turn, event: OpenDoor) -> None:
    if event.door not in turn.doors:
        _refuse(turn, event, "unknown_door")
        return
    issuer = event.issuer
    request = door.Requested(
        "staff",
        None,
        None,
        None,
        turn.now,
        by=issuer.name,
        via=issuer.via,
        command=event.id,
        note=event.reason,
        expires_ms=event.expires_ms,
    )
    turn.step_door(event.door, request)


def _set_mode(turn: Turn, event: SetMode) -> None:
    before, one = turn.schedules[event.door], turn.doors[event.door]
    if before.switch is not None:
        _refuse(turn, event, "switch")
        return
    by, command = event.issuer.name, event.id
    if event.mode == "schedule":
        after = schedule.step(before, schedule.BackToSchedule(), turn.now).state
        _follow(turn, event.door, after, by, command)
        return
    for_ms = event.for_ms if event.for_ms is not None else one.plan.override_for_ms
    if event.until_utc_ms is not None and not turn.clock.trusted:
        _refuse(turn, event, "clock_untrusted")
        return
    utc_ms = clock.utc_of(turn.clock, turn.now)
    ends_utc_ms = event.until_utc_ms
    over = for_ms <= 0 if ends_utc_ms is None else utc_ms is None or ends_utc_ms <= utc_ms
    if over:
        _refuse(turn, event, "past")
        return
    span_ms = for_ms if ends_utc_ms is None or utc_ms is None else ends_utc_ms - utc_ms
    if span_ms > schedule.OVERRIDE_LIMIT_MS:
        _refuse(turn, event, "limit")
        return
    given = schedule.Overridden(event.mode, ends_utc_ms, for_ms, by)
    _follow(turn, event.door, schedule.step(before, given, turn.now).state, by, command)


def _follow(turn: Turn, name: str, after: schedule.Schedule, by: str, command: str) -> None:
    """The door takes the mode and answers the command, or refuses it and nothing changes."""
    asked = len(turn.effects)
    turn.step_door(name, replace(mode_of(after.ruling), by=by, command=command))
    if any(isinstance(e, Reply) and e.status == "refused" for e in turn.effects[asked:]):
        return
    turn.schedules = {**turn.schedules, name: after}
    turn.wake((SCHEDULE, name), schedule.wake_at(after))


def _set_service(turn: Turn, event: SetService) -> None:
    if not 0 <= event.for_ms <= door.SERVICE_LIMIT_MS:
        _refuse(turn, event, "limit")
        return
    turn.step_door(event.door, door.ServiceSet(event.for_ms, event.issuer.name, event.id))


def _confirm_clock(turn: Turn, event: ConfirmClock) -> None:
    confirmed = clock.confirm(turn.clock, turn.now)
    if confirmed is None:
        _refuse(turn, event, "clock_untrusted")
        return
    turn.set_clock(confirmed)
    turn.effects.append(Reply(event.id, "accepted"))


def _test_relay(turn: Turn, event: TestRelay) -> None:
    tested = turn.relays.get(event.point)
    fire = any(turn.contacts[point].active for point in turn.index.fire_points)
    if tested is None:
        _refuse(turn, event, "unknown_point")
    elif fire:
        _refuse(turn, event, "fire")
    elif any(one.record is not None for one in turn.calls.values()):
        _refuse(turn, event, "call")
    elif tested.on or tested.limited:
        _refuse(turn, event, "in_use")
    elif event.for_ms <= 0:
        _refuse(turn, event, "past")
    elif event.for_ms > min(tested.plan.max_on_ms or TEST_LIMIT_MS, TEST_LIMIT_MS):
        _refuse(turn, event, "limit")
    else:
        turn.step_relay(event.point, relay.Test(event.for_ms))
        for name in turn.index.relay_doors.get(event.point, ()):
            turn.step_door(name, door.RelayTested(event.for_ms, event.issuer.name))
        data: dict[str, Json] = {
            "for_ms": event.for_ms,
            "by": event.issuer.name,
            "command": event.id,
        }
        turn.facts.append(Fact("relay_tested", event.point, turn.now, data))
        turn.effects.append(Reply(event.id, "accepted"))


def _room(turn: Turn, event: rooms.RoomCommand) -> None:
    reply = rooms.take(turn, event)
    if reply.status == "refused":
        _refuse(turn, event, reply.reason)
    else:
        turn.effects.append(reply)


def _refuse(turn: Turn, event: AnyCommand, reason: str) -> None:
    """The subject is the door, relay or room, where there is such a one: else anybody could invent
    subjects."""
    asked_for = next((v for n in ("door", "point", "room") if (v := getattr(event, n, None))), None)
    known = any(asked_for in there for there in (turn.doors, turn.relays, turn.index.room_plans))
    refused = CommandRefused(event.id, _NAMES[type(event)], event.issuer, reason)
    _refused(turn, refused, asked_for if known else None)
    turn.effects.append(Reply(event.id, "refused", reason))


def _refused(turn: Turn, event: CommandRefused, subject: str | None = None) -> None:
    data: dict[str, Json] = {
        "reason": event.reason,
        "by": event.issuer.name,
        "via": event.issuer.via,
        "command": event.command,
        "name": event.name,
    }
    turn.tell((Fact("command_refused", subject or turn.was.plan.gateway, turn.now, data),))
