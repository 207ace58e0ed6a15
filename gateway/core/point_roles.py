"""What a point can be to a door, a room or the building: one table, one row for each role.

Everything that depends on the role alone is read from here, by the settings, the building and the
page: which kind of point it takes, how hard it must be to forge, whether several may share it,
whether it belongs to the door or room, whether it tells about a person, and what people call it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, Literal

from gateway.core.plan import DoorPlan, RoomPlan
from gateway.core.values import dataclass

Kind = Literal["contact", "relay", "meter"]
Trust = Literal["wired", "radio", "network"]
"""How hard it is to forge what a driver reports, hardest first."""

CONTACT: Final[tuple[Kind, ...]] = ("contact",)
RELAY: Final[tuple[Kind, ...]] = ("relay",)
METER: Final[tuple[Kind, ...]] = ("meter",)
ANY_INPUT: Final[tuple[Kind, ...]] = ("contact", "meter")


@dataclass(frozen=True)
class PointRole:
    """``name``: as errors say it. ``key``: in the door or room of the configuration; empty where
    the role follows from something else. ``field``: in the plan, where that has
    another name. ``kinds``: which points may have it.

    ``trust``: the least wiring trust: *network* takes any driver,
    *radio* takes radio and wires, *wired* only wires. ``note``: what else the role means for a
    driver that could be forged, in Markdown.

    ``shared``: one contact may serve several doors or rooms. ``own``: the point belongs to the door
    or room, so its faults are theirs; else to the building or to another room. ``private``: it
    tells about a person, and stays on the gateway. ``of_call``: means nothing in a room without a
    cord. ``lasting``: a relay that is on for as long as something lasts, so its limit must be
    written. ``terminal``: its word on the page (``terminal.…``); empty: it does not name the
    point."""

    name: str
    key: str
    kinds: tuple[Kind, ...]
    trust: Trust
    terminal: str = ""
    note: str = ""
    field: str = ""
    shared: bool = False
    own: bool = True
    private: bool = False
    of_call: bool = False
    lasting: bool = False


LEAF: Final = PointRole(
    "leaf", "leaf", CONTACT, "network", "leaf", "one that is not wired raises no `forced`"
)
BOLT: Final = PointRole("bolt", "bolt", CONTACT, "wired", "bolt")
OPERATOR_FAULT: Final = PointRole(
    "operator fault", "operator_fault", CONTACT, "wired", "operator_fault"
)
PRESENCE: Final = PointRole(
    "presence in the doorway", "presence", CONTACT, "network", "presence", shared=True
)
ACTIVATOR: Final = PointRole("activator", "activators", CONTACT, "network", shared=True)
"""Which of :data:`ACTIVATORS` it is, is said by its kind."""
MODE_SWITCH: Final = PointRole(
    "mode switch", "mode_switch", CONTACT, "wired", "mode_switch", shared=True
)
DOOR_FIRE: Final = PointRole(
    "fire", "on_fire", CONTACT, "wired", "fire", field="fire", shared=True, own=False
)
DOOR: Final = (
    PointRole("activation", "activation", RELAY, "wired", "activation"),
    PointRole("strike", "strike", RELAY, "wired", "strike"),
    PointRole("hold_open", "hold_open", RELAY, "wired", "hold_open"),
    PointRole("indicator", "indicator", RELAY, "wired", "indicator"),
    LEAF,
    BOLT,
    OPERATOR_FAULT,
    PRESENCE,
    ACTIVATOR,
    MODE_SWITCH,
    DOOR_FIRE,
)
ACTIVATORS: Final = (
    PointRole(
        "button", "", CONTACT, "network",
        note="one that is not wired opens in *automatic* and *hold_open*; an inside one in"
        " *exit_only* and *night*, too, where the door says `egress_untrusted: yes`",
    ),
    PointRole("remote", "", CONTACT, "radio"),
    PointRole("key_switch", "", CONTACT, "wired"),
    PointRole("reader", "", CONTACT, "wired"),
)  # fmt: skip

CORD: Final = PointRole(
    "cord", "cord", ANY_INPUT, "radio", "room_cord",
    "a radio one needs `alive_within`; a room without a wired one gets a hint", field="cords",
)  # fmt: skip
LINE: Final = PointRole("line", "", METER, "wired", field="lines")
"""A cord on a supervised line."""
CANCEL: Final = PointRole("cancel", "cancel", CONTACT, "wired", "room_cancel", of_call=True)
STAFF: Final = PointRole(
    "presence of staff", "presence", CONTACT, "wired", "room_presence", of_call=True
)
LEAK: Final = PointRole("leak", "leak", CONTACT, "network", "room_leak")
ROOM: Final = (
    CORD,
    CANCEL,
    STAFF,
    PointRole(
        "reassurance lamp", "reassurance", RELAY, "wired", "room_reassurance",
        of_call=True, lasting=True,
    ),
    PointRole("room lamp", "lamp", RELAY, "wired", "room_lamp", of_call=True, lasting=True),
    PointRole("sounder", "sounder", RELAY, "wired", "room_sounder", of_call=True, lasting=True),
    PointRole("unlock", "unlock", RELAY, "wired", "room_unlock", of_call=True, lasting=True),
    PointRole("motion", "motion", CONTACT, "network", "room_motion", shared=True, private=True),
    PointRole(
        "motion elsewhere", "elsewhere", CONTACT, "network", shared=True, own=False, private=True
    ),
    PointRole("door of the room", "door", CONTACT, "network", "room_door", private=True),
    PointRole("bolt of the room", "bolt", CONTACT, "wired", "room_bolt", private=True),
    PointRole("tap", "taps", CONTACT, "network", "room_taps", private=True),
    LEAK,
    PointRole("valve", "valve", RELAY, "wired", "room_valve", lasting=True),
    PointRole("climate", "climate", METER, "network", "room_climate"),
    PointRole("fan", "fan", RELAY, "wired", "room_fan", lasting=True),
)  # fmt: skip
_ROOM_PLAN: Final = (CORD, LINE, *(role for role in ROOM if role is not CORD))
"""The roles of a room's plan, which has cords on a supervised line in a field of their own."""
CALL_RELAYS: Final = tuple(role for role in ROOM if role.of_call and role.kinds == RELAY)
"""What shows a call."""
FIRE: Final = PointRole("fire", "fire", CONTACT, "wired", shared=True, own=False)
"""The fire contact of the building."""
WATCHED: Final = PointRole("watched", "point", ANY_INPUT, "network")
ALL: Final[Mapping[str, PointRole]] = {
    role.name: role for role in (*DOOR, *ACTIVATORS, *_ROOM_PLAN, WATCHED)
}
"""By name. The fire contact of a door and that of the building have one role."""
TOGETHER: Final = (
    frozenset({"leaf", "door of the room"}),
    frozenset({"bolt", "bolt of the room"}),
    frozenset({"motion", "motion elsewhere"}),
)
"""Pairs of roles that one contact may have."""


def points_in(plan: DoorPlan | RoomPlan) -> Iterator[tuple[PointRole, str]]:
    """Every point of a door or room, and its role, in the order of the table."""
    for role in DOOR if isinstance(plan, DoorPlan) else _ROOM_PLAN:
        value = getattr(plan, role.field or role.key)
        for named in value if isinstance(value, tuple) else (value,):
            point = named[0] if isinstance(named, tuple) else getattr(named, "point", named)
            if point is not None:
                yield role, point
