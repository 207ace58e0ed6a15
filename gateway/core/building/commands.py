"""Commands: what people and other roles ask for, and the one answer that each of them gets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_never

from gateway.core.building import state, wiring_messages, wiring_rooms
from gateway.core.building.state import Building
from gateway.core.building.wiring import mode_of
from gateway.core.building.work import Do, Emit, Put, Tell, Work, told
from gateway.core.door import door, rules, schedule
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
    TestMessage,
    TestRelay,
    TestRoom,
)
from gateway.core.facts import Fact, Json
from gateway.core.instant import Ms
from gateway.core.machine import replace
from gateway.core.notification import alarms
from gateway.core.signals import clock, relay

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
    TestMessage: "test_message",
    ConfirmClock: "confirm_clock",
}


def taken(building: Building, event: AnyCommand | CommandRefused) -> list[Work]:
    """What carries a command out, or refuses it."""
    if isinstance(event, CommandRefused):
        return _refused(building, event, None)
    late = building.now_ms >= event.expires_ms and not isinstance(event, OpenDoor)  # door judges it
    work = "expired" if late else _judged(building, event)
    return _refuse(building, event, work) if isinstance(work, str) else work


def waits(building: Building, event: AnyCommand | CommandRefused) -> bool:
    """Whether its answer comes later: it waits for the interlock of its door."""
    return isinstance(event, OpenDoor) and building.doors[event.door].waits


def _judged(  # noqa: PLR0911, PLR0912 - a table
    building: Building, event: AnyCommand
) -> list[Work] | str:
    """A refusal is the key of its reason."""
    match event:
        case AcknowledgeAlarm() | ShelveAlarm():
            if alarms.find(building.alarms, event.alarm) is None:
                return "unknown_alarm"
            return [Do(state.ALARMS, "", event)]
        case TestRelay():
            return _test_relay(building, event)
        case AcknowledgeCall():
            return wiring_rooms.acknowledge(building, event)
        case TestRoom():
            return wiring_rooms.test(building, event)
        case ResetAlarm():
            return wiring_rooms.reset(building, event)
        case ConfirmMessage():
            return wiring_messages.confirm(building, event)
        case TestMessage():
            return wiring_messages.test(building, event)
        case ConfirmClock():
            return _confirm_clock(building, event)
        case SetMode() | SetService() if event.door not in building.doors:
            return "unknown_door"
        case SetMode():
            return _set_mode(building, event)
        case SetService(door=name, for_ms=for_ms):
            if not 0 <= for_ms <= door.SERVICE_LIMIT_MS:
                return "limit"
            return [Do(state.DOOR, name, door.ServiceSet(for_ms, event.issuer.name, event.id))]
        case OpenDoor():
            return _open_door(building, event)
        case _:
            assert_never(event)


def _open_door(building: Building, event: OpenDoor) -> list[Work] | str:
    if event.door not in building.doors:
        return "unknown_door"
    request = door.Requested(
        kind="staff",
        side=None,
        activator=None,
        hold_open_ms=None,
        pressed_ms=building.now_ms,
        by=event.issuer.name,
        via=event.issuer.via,
        command=event.id,
        note=event.reason,
        expires_ms=event.expires_ms,
    )
    return [Do(state.DOOR, event.door, request)]


def _set_mode(building: Building, event: SetMode) -> list[Work] | str:
    """The door takes the mode and answers, and its schedule follows; or it refuses, and nothing
    changes."""
    before = building.schedules[event.door]
    if before.switch is not None:
        return "switch"
    wish = _wish(building, event)
    if isinstance(wish, str):
        return wish
    after = schedule.step(before, wish, building.now_ms).state
    if event.mode == "hold_open" and door.cannot_hold(building.doors[event.door]):
        return "relay_limit"
    mode = replace(mode_of(after.ruling), by=event.issuer.name, command=event.id)
    work: list[Work] = [Do(state.DOOR, event.door, mode)]
    if rules.takes(building.doors[event.door].plan, mode.mode):
        work.append(Put(state.SCHEDULE, event.door, after, known=True))
    return work


def _wish(building: Building, event: SetMode) -> schedule.Event | str:
    if event.mode == "schedule":
        return schedule.BackToSchedule()
    for_ms, ends_utc_ms = event.for_ms, event.until_utc_ms
    if for_ms is None:
        for_ms = building.doors[event.door].plan.override_for_ms
    if ends_utc_ms is not None and not building.clock.trusted:
        return "clock_untrusted"
    utc_ms = clock.utc_of(building.clock, building.now_ms)
    over = for_ms <= 0 if ends_utc_ms is None else utc_ms is None or ends_utc_ms <= utc_ms
    if over:
        return "past"
    span_ms = for_ms if ends_utc_ms is None or utc_ms is None else ends_utc_ms - utc_ms
    if span_ms > schedule.OVERRIDE_LIMIT_MS:
        return "limit"
    return schedule.Overridden(event.mode, ends_utc_ms, for_ms, event.issuer.name)


def _confirm_clock(building: Building, event: ConfirmClock) -> list[Work] | str:
    confirmed = clock.confirm(building.clock, building.now_ms)
    if confirmed is None:
        return "clock_untrusted"
    return [Put(state.CLOCK, "", confirmed), Emit((Reply(event.id, "accepted"),))]


def _test_relay(building: Building, event: TestRelay) -> list[Work] | str:  # noqa: PLR0911 - a table
    tested = building.relays.get(event.point)
    if tested is None:
        return "unknown_point"
    if any(building.contacts[point].active for point in building.index.fire_points):
        return "fire"
    if any(one.record is not None for one in building.calls.values()):
        return "call"
    if tested.on or tested.limited:
        return "in_use"
    if tested.fault:  # it is opened anew again and again, whoever asks
        return "relay_fault"
    if event.for_ms <= 0:
        return "past"
    if event.for_ms > min(tested.plan.max_on_ms or TEST_LIMIT_MS, TEST_LIMIT_MS):
        return "limit"
    data: dict[str, Json] = {"for_ms": event.for_ms, "by": event.issuer.name, "command": event.id}
    told_to = door.RelayTested(event.for_ms, event.issuer.name)
    return [
        Do(state.RELAY, event.point, relay.Test(event.for_ms)),
        *(Do(state.DOOR, n, told_to) for n in building.index.relay_doors.get(event.point, ())),
        Tell((Fact("relay_tested", event.point, building.now_ms, data),)),
        Emit((Reply(event.id, "accepted"),)),
    ]


def _refuse(building: Building, event: AnyCommand, reason: str) -> list[Work]:
    """The subject is the door, relay or room, where there is such a one: else anybody could invent
    subjects."""
    asked_for = next((v for n in ("door", "point", "room") if (v := getattr(event, n, None))), None)
    there = (building.doors, building.relays, building.index.room_plans)
    known = any(asked_for in one for one in there)
    refused = CommandRefused(event.id, _NAMES[type(event)], event.issuer, reason)
    work = _refused(building, refused, asked_for if known else None)
    return [*work, Emit((Reply(event.id, "refused", reason),))]


def _refused(building: Building, event: CommandRefused, subject: str | None) -> list[Work]:
    data: dict[str, Json] = {
        "reason": event.reason,
        "by": event.issuer.name,
        "via": event.issuer.via,
        "command": event.command,
        "name": event.name,
    }
    about = subject or building.plan.gateway
    return told((Fact("command_refused", about, building.now_ms, data),))
