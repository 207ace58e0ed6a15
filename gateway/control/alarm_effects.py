"""Which guarantee each kind of alarm breaks or leaves open. Every kind is decided: a test brings
each about and compares what the guarantees say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AlarmEffect:
    """``breaks``: the guarantees that are *no* while an alarm of this kind is active at a point or
    door that they depend on; ``doubts``: those that are *unknown* then; ``neighbours``: those that
    are *no* at the other doors of an interlock. ``why``: for the documents."""

    breaks: tuple[str, ...]
    why: str
    doubts: tuple[str, ...] = ()
    neighbours: tuple[str, ...] = ()


_DOORS = ("door_by_button", "door_by_staff")
_NOTHING: tuple[str, ...] = ()

WATCH = "watch"
"""All alarms of watched points: their kind is ``watch:<id>``."""

ALARM_EFFECTS: Mapping[str, AlarmEffect] = {
    "did_not_open": AlarmEffect(_DOORS, "the leaf stayed closed after an activation"),
    "left_open": AlarmEffect(
        _NOTHING, "the door is open; the others of its interlock stay shut", neighbours=_DOORS
    ),
    "did_not_close": AlarmEffect(_NOTHING, "the same", neighbours=_DOORS),
    "forced": AlarmEffect(_NOTHING, "the door opens; somebody has opened it"),
    "operator_fault": AlarmEffect(_DOORS, "the operator says that it may not move the leaf"),
    "bolt_mismatch": AlarmEffect(
        _NOTHING,
        "the bolt does not match an open leaf or a locked mode; a leaf that a bolt keeps closed is"
        " `did_not_open`",
    ),
    "contact_stuck": AlarmEffect(
        ("door_by_button",), "at the last activator of a door that was heard; alone it is an alarm"
    ),
    "contact_chattering": AlarmEffect(
        ("door_by_button",), "at the last activator of a door that was heard; a cord still calls"
    ),
    "contact_unknown": AlarmEffect(
        ("door_by_button", "call"), "at the last activator of a door that was heard, or at a cord"
    ),
    "relay_fault": AlarmEffect(
        (*_DOORS, "call"), "at an activation, a strike, or a relay of a call"
    ),
    "relay_limit": AlarmEffect(
        (*_DOORS, "call"), "the same: the relay stays off until whoever switched it on lets go"
    ),
    "meter_silent": AlarmEffect(("call",), "at a supervised line: its cord is not heard"),
    "implausible": AlarmEffect(("call",), "at a supervised line: its cord is not heard"),
    "meter_frozen": AlarmEffect(("call",), "at a supervised line: its cord may not be heard"),
    "fire": AlarmEffect(_DOORS, "at a door that fire closes; others do what is configured for it"),
    "fire_contact_unknown": AlarmEffect(_NOTHING, "the last known level applies"),
    "clock_untrusted": AlarmEffect(("clock",), "the time service does not trust the clock"),
    "clock_jumped": AlarmEffect(
        _NOTHING, "the time service trusts the clock; nothing is deleted by it until it is settled"
    ),
    "clock_unsettled": AlarmEffect(_NOTHING, "the same"),
    "schedule_ended": AlarmEffect(_NOTHING, "doors are in their safe mode, as configured"),
    "cord_stuck": AlarmEffect(("call",), "another pull of this cord would not be seen"),
    "line_cut": AlarmEffect(("call",), "the cord of this line is not heard"),
    "line_short": AlarmEffect(("call",), "the cord of this line is not heard"),
    "long_stay": AlarmEffect(_NOTHING, "about a person, not about the equipment"),
    "no_motion": AlarmEffect(_NOTHING, "about a person, not about the equipment"),
    "leak": AlarmEffect(_NOTHING, "about the room, not about a promise"),
    "frost": AlarmEffect(_NOTHING, "about the room, not about a promise"),
    "mould": AlarmEffect(_NOTHING, "about the room, not about a promise"),
    "nobody_told": AlarmEffect(("messages",), "a call or an alarm has reached nobody"),
    "test_unconfirmed": AlarmEffect(
        _NOTHING, "the message has arrived, or its way shows that it has not"
    ),
    "egress_never": AlarmEffect(_NOTHING, "as configured, with its reason"),
    "egress_untrusted": AlarmEffect(_NOTHING, "as configured"),
    "wiring_untrusted": AlarmEffect(_NOTHING, "the terminal works; its signal could be forged"),
    "setting_adjusted": AlarmEffect(_NOTHING, "the nearest value that is allowed applies"),
    "overlay_broken": AlarmEffect(_NOTHING, "the configuration in the file applies"),
    "call_orphaned": AlarmEffect(
        ("call",), "no lamp shows that call any more, and its room is configured no more"
    ),
    "call_unread": AlarmEffect(
        _NOTHING, "the cord works; whether an earlier pull is shown is not known", ("call",)
    ),
    "state_unread": AlarmEffect(
        ("door_by_button",),
        "at a door that is in night until somebody decides, for its activators"
        " that do not open then",
    ),
    "journal_set_aside": AlarmEffect(_NOTHING, "what happens is stored in a new journal"),
    "journal_full": AlarmEffect(("journal", "recording"), "what happens is not stored"),
    "certificate_ends": AlarmEffect(
        _NOTHING, "it is valid as yet; what ends with it says so by itself"
    ),
    WATCH: AlarmEffect(_NOTHING, "about what is watched, not about a promise"),
}


def breaks(kind: str, guarantee: str) -> bool:
    """Whether an alarm of this kind breaks the guarantee where it depends on its subject."""
    effect = ALARM_EFFECTS.get(kind.partition(":")[0])
    return effect is None or guarantee in effect.breaks


def doubts(kind: str, guarantee: str) -> bool:
    """Whether it leaves the guarantee open there."""
    effect = ALARM_EFFECTS.get(kind.partition(":")[0])
    return effect is not None and guarantee in effect.doubts


def shuts_neighbours(kind: str, guarantee: str) -> bool:
    """Whether it breaks the guarantee at the other doors of its interlock."""
    effect = ALARM_EFFECTS.get(kind.partition(":")[0])
    return effect is not None and guarantee in effect.neighbours
