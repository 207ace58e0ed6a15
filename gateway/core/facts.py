"""Facts: what happened, and the catalogue of their kinds.

A fact's *subject* is a point, a door, a room, the gateway, or for ``alarm_*`` the alarm's
id (``subject/kind``). Its *data* holds JSON values only.

The catalogue is data: the wire, the store, retention, the page and the tests all read it,
so a new kind of fact is one new row here (and its words in both languages).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Literal

from gateway.core.instant import Ms
from gateway.core.values import dataclass

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
Lane = Literal["urgent", "routine", "local"]
LANES: tuple[Lane, ...] = ("urgent", "routine", "local")


@dataclass(frozen=True)
class Fact:
    """Something that happened at ``at_ms`` (for a contact: at its edge, not when it settled)."""

    kind: str
    subject: str
    at_ms: Ms
    data: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True)
class Kind:
    """One row of the catalogue.

    ``life`` names the retention class of the settings. ``fields`` maps each name in the
    data to its JSON type (``"int"``, ``"float"``, ``"bool"``, ``"str"``; a trailing ``?``
    means that it may be null or absent). Names end in their unit.
    """

    name: str
    lane: Lane
    life: Literal[
        "calls", "deliveries", "alarms", "doors", "occupancy", "counts", "climate", "points",
        "gateway",
    ]  # fmt: skip
    fields: Mapping[str, str]
    doc: str


def _rows(*rows: Kind) -> dict[str, Kind]:
    return {row.name: row for row in rows}


KINDS: Mapping[str, Kind] = _rows(
    # --- doors
    Kind(
        "door_request",
        "urgent",
        "doors",
        {
            "outcome": "str",
            "reason": "str?",
            "activator": "str?",
            "activator_kind": "str?",
            "side": "str?",
            "by": "str?",
            "via": "str?",
            "command": "str?",
            "note": "str?",
        },
        "Somebody asked for a door, and what came of it: accepted, merged, extended, refused.",
    ),
    Kind(
        "door_opened",
        "urgent",
        "doors",
        {"press_to_open_ms": "int?", "cause": "str", "assumed": "bool", "by": "str?"},
        "The leaf left closed; cause: request, hand, forced, fire, hold_open, test (by: whose).",
    ),
    Kind(
        "door_closed",
        "urgent",
        "doors",
        {"open_ms": "int?", "assumed": "bool"},
        "The leaf is closed again.",
    ),
    Kind(
        "opened_by_hand",
        "urgent",
        "doors",
        {},
        "The leaf left closed with no request, in a mode where the door is not locked.",
    ),
    Kind(
        "door_mode",
        "urgent",
        "doors",
        {"mode": "str", "source": "str", "until_utc_ms": "int?", "by": "str?", "command": "str?"},
        "The mode of a door changed; source: schedule, override, switch, safe, fire.",
    ),
    Kind(
        "door_service",
        "urgent",
        "doors",
        {"active": "bool", "for_ms": "int?", "by": "str?", "command": "str?"},
        "Service mode of a door began or ended.",
    ),
    Kind(
        "fire_alarm",
        "urgent",
        "doors",
        {"active": "bool?", "door": "str?"},
        "The fire alarm contact spoke, cleared or is unknown.",
    ),
    # --- alarms: the subject is the alarm's id
    Kind(
        "alarm_raised",
        "urgent",
        "alarms",
        {"severity": "str", "count": "int", "detail": "str?"},
        "A condition that needs a person.",
    ),
    Kind(
        "alarm_acknowledged",
        "urgent",
        "alarms",
        {"by": "str", "command": "str?"},
        "A named person has seen an alarm.",
    ),
    Kind("alarm_cleared", "urgent", "alarms", {"active_ms": "int?"}, "The condition is gone."),
    Kind(
        "alarm_shelved",
        "urgent",
        "alarms",
        {"by": "str?", "for_ms": "int", "command": "str?"},
        "An alarm was put on the shelf for a while; 0 ms: taken off.",
    ),
    # --- rooms
    Kind(
        "call_raised",
        "urgent",
        "calls",
        {
            "call": "str",
            "cause": "str",
            "point": "str?",
            "pulls": "int",
            "test": "bool",
            "was": "str?",
        },
        "Somebody calls for help (or again); cause: cord, line, unattended (nobody came), "
        "test_over (in doubt it is real), restart. was: the id it had before the restart "
        "was overcome.",
    ),
    Kind(
        "call_acknowledged",
        "urgent",
        "calls",
        {
            "call": "str",
            "by": "str",
            "via": "str",
            "command": "str?",
            "after_ms": "int?",
            "test": "bool?",
            "attends": "str?",
        },
        "Somebody goes to the call; after_ms since it was raised. attends: the name of who goes, "
        "where that is another than who said so.",
    ),
    Kind(
        "call_seen",
        "urgent",
        "calls",
        {
            "call": "str",
            "by": "str",
            "via": "str",
            "command": "str?",
            "after_ms": "int?",
            "test": "bool?",
        },
        "Somebody has seen the call, and nobody goes yet; sounder and messages continue.",
    ),
    Kind(
        "call_attended",
        "urgent",
        "calls",
        {"call": "str", "point": "str", "after_ms": "int?", "test": "bool?"},
        "Somebody stands in the room.",
    ),
    Kind(
        "call_cancelled",
        "urgent",
        "calls",
        {"call": "str", "point": "str?", "after_ms": "int?", "test": "bool"},
        "The call was ended, in the room; no point: a test call went with the end of its test.",
    ),
    Kind(
        "room_test",
        "urgent",
        "calls",
        {"active": "bool", "for_ms": "int?", "by": "str?", "command": "str?", "reason": "str?"},
        "Test mode of a room began or ended.",
    ),
    Kind(
        "message",
        "urgent",
        "deliveries",
        {
            "delivery": "str",
            "receiver": "str",
            "channel": "int",
            "about": "str",
            "message": "str",
            "result": "str",
            "reason": "str?",
            "step": "int?",
            "medium": "str?",
        },
        "A message to a receiver; result: sent (handed to notify), delivered, failed, skipped;"
        " medium: mail, sms, telegram, ntfy, push or other, once it was tried.",
    ),
    Kind(
        "message_confirmed",
        "urgent",
        "deliveries",
        {"delivery": "str", "receiver": "str", "command": "str?"},
        "The receipt of a test message was confirmed.",
    ),
    Kind(
        "presence_changed",
        "local",
        "occupancy",
        {"active": "bool?", "reason": "str?", "initial": "bool"},
        "What a sensor that tells about a person sees: motion, a bathroom's door, bolt or tap.",
    ),
    Kind(
        "occupancy_changed",
        "local",
        "occupancy",
        {"occupancy": "str", "for_ms": "int?"},
        "A room is believed to be vacant, occupied or unknown; for_ms: how long it was before.",
    ),
    Kind(
        "occupancy_hour",
        "routine",
        "counts",
        {"visits": "int", "occupied_ms": "int", "known_ms": "int"},
        "Visits to a room and time occupied in the hour that ended; no more is kept of it.",
    ),
    Kind(
        "leak",
        "urgent",
        "alarms",
        {"wet": "bool?", "latched": "bool", "valve_closed": "bool?", "by": "str?"},
        "Water where none should be, dry again, or reset by staff.",
    ),
    # --- points
    Kind(
        "contact_changed",
        "routine",
        "points",
        {"active": "bool?", "reason": "str?", "initial": "bool"},
        "The settled level of a contact; null is unknown. Initial: the level found at start.",
    ),
    Kind(
        "contact_count",
        "routine",
        "points",
        {"changes": "int", "window_ms": "int"},
        "Changes of a chattering contact that were counted and not told one by one.",
    ),
    Kind("relay_changed", "routine", "points", {"on": "bool"}, "A relay was switched."),
    Kind(
        "reading",
        "routine",
        "climate",
        {
            "quantity": "str",
            "value": "float?",
            "reason": "str?",
            "min": "float?",
            "max": "float?",
            "count": "int?",
            "covers": "range?",
            "lasts_s": "float?",
            "covered_s": "float?",
        },
        "A value of a meter; null is a gap. With min, max, count: the mean of thinned readings, "
        "weighted by time, from this instant on for lasts_s, of which covered_s are known.",
    ),
    Kind(
        "refusals_counted",
        "routine",
        "doors",
        {"outcome": "str", "reason": "str", "by": "str?", "count": "int", "window_ms": "int"},
        "Refusals (also: merged, extended) beyond ten a minute per issuer and reason, counted.",
    ),
    # --- the gateway
    Kind(
        "command_refused",
        "urgent",
        "gateway",
        {"reason": "str", "by": "str?", "via": "str?", "command": "str?", "name": "str?"},
        "A command that is not a request for a door was refused.",
    ),
    Kind(
        "relay_tested",
        "urgent",
        "gateway",
        {"for_ms": "int", "by": "str", "command": "str?"},
        "A relay was switched on for commissioning.",
    ),
    Kind(
        "gateway_started",
        "urgent",
        "gateway",
        {"version": "str", "configuration": "str", "clean": "bool"},
        "control has started; clean: it had been stopped in order before.",
    ),
    Kind("gateway_stopped", "urgent", "gateway", {"reason": "str"}, "control stops in order."),
    Kind(
        "configuration_changed",
        "urgent",
        "gateway",
        {"digest": "str", "by": "str?", "detail": "str?"},
        "Another configuration rules.",
    ),
    Kind(
        "guarantee_changed",
        "routine",
        "gateway",
        {"value": "str", "before": "str?", "reason": "str?", "about": "str?", "changes": "int?"},
        "A guarantee (its name is the subject) has another value, from this instant on: yes, no, "
        "unknown, not_configured; before: null for the first one after a start; changes: how "
        "often it came and went in between.",
    ),
    Kind(
        "clock_trusted",
        "routine",
        "gateway",
        {"utc_offset_ms": "int"},
        "UTC = monotonic + offset for this boot, known from now on.",
    ),
    Kind(
        "clock_stepped",
        "routine",
        "gateway",
        {"by_ms": "int", "utc_offset_ms": "int"},
        "The wall clock jumped.",
    ),
    Kind(
        "journal_recovered",
        "urgent",
        "gateway",
        {"reason": "str", "kept": "int", "lost": "int?"},
        "The journal was torn, full or put back (a backup), and goes on; how many rows were kept.",
    ),
    Kind(
        "retention_ran",
        "routine",
        "gateway",
        {"deleted": "int", "detail": "str"},
        "What the retention job deleted.",
    ),
)

EVIDENCE = frozenset({"calls", "alarms", "deliveries"})
"""Lives of the facts that are removed last where a store has no room."""


def is_evidence(kind: str) -> bool:
    """Whether facts of this kind are removed last where a store has no room. Those of a kind that
    this version does not know are removed first."""
    return kind in KINDS and KINDS[kind].life in EVIDENCE
