"""The texts of a gateway's state topics as parts of the snapshot; see ``gateway/link/state.py``.

What MQTT does not carry, or carries in a wrong type, is unknown: ``None``, empty, or the word.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast, get_args

from gateway.core.room.call_record import CallState
from gateway.sites.picture.limits import ALARMS_MOST
from gateway.sites.picture.untrusted import (
    Clock,
    fields,
    flag,
    number,
    text,
    text_or_none,
    texts,
    whole,
)

if TYPE_CHECKING:
    from gateway.core.instant import Ms
    from gateway.core.snapshot_types import (
        AlarmShown,
        CallShown,
        CanOpenShown,
        ClimateShown,
        DoorShown,
        LampsShown,
        LeakShown,
        NextModeShown,
        PointShown,
        RequestShown,
        ResultShown,
        RoomShown,
    )
    from gateway.panel.snapshot_types import GuaranteeShown

UNKNOWN = "unknown"
CALL_STATES = frozenset(get_args(CallState))
LIST_MOST = 100
"""Entries of a list within a state: points of a call, alarms of a door."""


def _ms(instant: Ms | None) -> Ms:
    """An instant where the snapshot has one that is always known on a gateway."""
    return cast("Ms", instant)


# --- doors --------------------------------------------------------------------------------


def door(name: str, state: Mapping[str, Any], clock: Clock) -> DoorShown:
    """``name``: what it is called where the state does not say."""
    shown: dict[str, object] = {
        "name": text(state.get("name"), name),
        "mode": text(state.get("mode"), UNKNOWN),
        "mode_source": text(state.get("mode_source"), UNKNOWN),
        "mode_until_utc_ms": clock.utc(state.get("mode_until")),
        "mode_by": text_or_none(state.get("mode_by")),
        "scheduled_mode": text(state.get("scheduled_mode"), UNKNOWN),
        "next_mode": _next_mode(state.get("next_mode"), clock),
        "state": text(state.get("state"), UNKNOWN),
        "since_ms": clock.mono(state.get("since")),
        "assumed": state.get("assumed") is True,
        "leaf": text_or_none(state.get("leaf")),
        "activation": flag(state.get("activation")),
        "strike": flag(state.get("strike")),
        "hold_open": flag(state.get("hold_open")),
        "fire": flag(state.get("fire")),
        "service_until_ms": clock.mono(state.get("service_until")),
        "bolt": flag(state.get("bolt")),
        "operator_fault": flag(state.get("operator_fault")),
        "last_request": _request(state.get("last_request"), clock),
        "last_refusal": None,
        "last_opened_ms": clock.mono(state.get("last_opened")),
        "press_to_open_ms": whole(state.get("press_to_open_ms")),
        "last_result": _result(state.get("last_result"), clock),
        "can_open": {"staff": _can_open(state.get("can_open"))},
        "counters": {},
        "alarms": texts(state.get("alarms"), LIST_MOST),
    }
    return cast("DoorShown", shown)


def _next_mode(found: object, clock: Clock) -> NextModeShown | None:
    following = fields(found)
    utc_ms, mode = clock.utc(following.get("at")), text(following.get("mode"))
    return cast("NextModeShown", {"mode": mode, "utc_ms": utc_ms}) if mode and utc_ms else None


def _can_open(found: object) -> CanOpenShown:
    can = fields(found)
    ok, reason = can.get("ok") is True, text(can.get("reason"))
    return {
        "ok": ok,
        "reason": reason if ok or reason else UNKNOWN,
        "needs_reason": can.get("needs_reason") is True,
    }


def _request(found: object, clock: Clock) -> RequestShown | None:
    last = fields(found)
    if not (outcome := text(last.get("outcome"))):
        return None
    return {
        "outcome": outcome,
        "reason": text_or_none(last.get("reason")),
        "activator": text_or_none(last.get("activator")),
        "activator_kind": text_or_none(last.get("activator_kind")),
        "side": text_or_none(last.get("side")),
        "by": text_or_none(last.get("by")),
        "at_ms": _ms(clock.mono(last.get("at"))),
    }


def _result(found: object, clock: Clock) -> ResultShown | None:
    last = fields(found)
    if not (result := text(last.get("result"))):
        return None
    shown: dict[str, object] = {
        "result": result,
        "command": text_or_none(last.get("command")),
        "at_ms": clock.mono(last.get("at")),
        "press_to_open_ms": whole(last.get("press_to_open_ms")),
    }
    return cast("ResultShown", shown)


# --- points -------------------------------------------------------------------------------


def point(kind: str, state: Mapping[str, Any], clock: Clock) -> PointShown:
    """``kind``: as ``info`` names it, where the state does not."""
    quantities = {
        text(name): {
            "value": number(fields(one).get("value")),
            "at_ms": clock.mono(fields(one).get("at")),
            "reason": text(fields(one).get("reason")),
        }
        for name, one in list(fields(state.get("quantities")).items())[:LIST_MOST]
    }
    shown: dict[str, object] = {
        "kind": text(state.get("kind"), kind),
        "active": flag(state.get("active")),
        "raw": None,
        "since_ms": clock.mono(state.get("since")),
        "reason": text(state.get("reason")),
        "faults": texts(state.get("faults"), LIST_MOST),
        "changes": 0,
        "quantities": quantities,
    }
    return cast("PointShown", shown)


# --- rooms --------------------------------------------------------------------------------


def room(name: str, state: Mapping[str, Any], clock: Clock) -> RoomShown:
    """``name``: what it is called where the state does not say. A room without a state has no
    call, which is not the same as a quiet one."""
    shown: dict[str, object] = {
        "name": text(state.get("name"), name),
        "call": _call(state.get("call"), clock),
        "test_until_ms": clock.mono(state.get("test_until")),
        "test_by": None,
        "cords": {
            text(cord): text(level, UNKNOWN)
            for cord, level in list(fields(state.get("cords")).items())[:LIST_MOST]
        },
        "last_calls": [],
        "counters": {},
        "lamps": _lamps(fields(state.get("lamps"))),
        "occupancy": text_or_none(state.get("occupancy")),
        "occupancy_since_ms": clock.mono(state.get("occupancy_since")),
        "exported": "occupancy" in state,
        "leak": _leak(state.get("leak")),
        "climate": _climate(state.get("climate"), clock),
        "alarms": texts(state.get("alarms"), LIST_MOST),
    }
    return cast("RoomShown", shown)


def _call(found: object, clock: Clock) -> CallShown | None:
    """A call whose state cannot be read stands: whoever is in there may need somebody."""
    if not isinstance(found, dict):
        return None
    shown: dict[str, object] = {
        "id": text_or_none(found.get("id")),
        "state": state if (state := text(found.get("state"))) in CALL_STATES else "raised",
        "test": found.get("test") is True,
        "since_ms": clock.mono(found.get("since")),
        "raised_ms": None,
        "raised_utc_ms": clock.utc(found.get("raised")),
        "cause": text(found.get("cause")),
        "points": texts(found.get("points"), LIST_MOST),
        "pulls": whole(found.get("pulls")) or 0,
        "acknowledged_by": text_or_none(found.get("acknowledged_by")),
        "acknowledged_ms": clock.mono(found.get("acknowledged")),
        "attends": text_or_none(found.get("attends")),
        "seen_by": text_or_none(found.get("seen_by")),
        "seen_ms": clock.mono(found.get("seen")),
        "attended_ms": clock.mono(found.get("attended")),
        "attend_by_ms": clock.mono(found.get("attend_by")),
        "messages": [],
        "next_message_ms": None,
    }
    return cast("CallShown", shown)


def _lamps(lamps: Mapping[str, Any]) -> LampsShown:
    shown: dict[str, object] = {
        "reassurance": flag(lamps.get("reassurance")),
        "lamp": text_or_none(lamps.get("lamp")),
        "sounder": flag(lamps.get("sounder")),
        "unlock": flag(lamps.get("unlock")),
    }
    return cast("LampsShown", shown)


def _leak(found: object) -> LeakShown | None:
    if not isinstance(found, dict):
        return None
    return {
        "wet": flag(found.get("wet")),
        "latched": found.get("latched") is True,
        "valve_closed": flag(found.get("valve_closed")),
    }


def _climate(found: object, clock: Clock) -> ClimateShown | None:
    if not isinstance(found, dict):
        return None
    return {
        "point": "",
        "temperature_c": number(found.get("temperature_c")),
        "humidity_percent": number(found.get("humidity_percent")),
        "dew_point_c": number(found.get("dew_point_c")),
        "at_ms": clock.mono(found.get("at")),
        "fan": flag(found.get("fan")),
    }


# --- alarms and guarantees ----------------------------------------------------------------


def alarms(found: list[Any], clock: Clock) -> list[AlarmShown]:
    """Those that can be named."""
    return [
        shown
        for one in found[:ALARMS_MOST]
        if isinstance(one, dict) and (shown := _alarm(one, clock)) is not None
    ]


def _alarm(alarm: Mapping[str, Any], clock: Clock) -> AlarmShown | None:
    id = text(alarm.get("id"))
    subject, _, kind = id.rpartition("/")
    if not id:
        return None
    shown: dict[str, object] = {
        "id": id,
        "subject": text(alarm.get("subject"), subject),
        "kind": text(alarm.get("kind"), kind),
        "severity": text(alarm.get("severity"), UNKNOWN),
        "state": text(alarm.get("state"), "active"),
        "raised_ms": None,
        "raised_utc_ms": clock.utc(alarm.get("raised")),
        "count": whole(alarm.get("count")) or 0,
        "acknowledged_by": text_or_none(alarm.get("acknowledged_by")),
        "shelved_until_ms": clock.mono(alarm.get("shelved_until")),
        "detail": text(alarm.get("detail")),
    }
    return cast("AlarmShown", shown)


def guarantee(found: object, clock: Clock) -> GuaranteeShown:
    """As ``health`` says it."""
    one = fields(found)
    value = text(one.get("value"), UNKNOWN)
    shown: dict[str, object] = {
        "ok": one.get("ok") is True and value in ("yes", "not_configured"),
        "value": value,
        "since_ms": clock.mono(one.get("since")),
        "reason": text(one.get("reason")),
        "subject": text(one.get("subject")),
        "evidence_ms": clock.mono(one.get("evidence")),
        "void_after_ms": whole(one.get("void_after_ms")),
    }
    aside = one.get("aside")
    if isinstance(aside, list):
        messages = (texts(message, 2) for message in aside[:LIST_MOST])
        shown["aside"] = [message for message in messages if message]
    elif count := whole(aside):
        shown["aside"] = count
    for key in ("aside_count", "foreign"):
        if count := whole(one.get(key)):
            shown[key] = count
    return cast("GuaranteeShown", shown)


def unknown_guarantee(known: GuaranteeShown, since_ms: Ms | None, reason: str) -> GuaranteeShown:
    """A guarantee for which there is no evidence (any more)."""
    shown: dict[str, object] = {
        **known,
        "ok": False,
        "value": UNKNOWN,
        "since_ms": since_ms,
        "reason": reason,
        "subject": "",
    }
    return cast("GuaranteeShown", shown)
