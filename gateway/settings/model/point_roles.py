"""What a point can be to a door, a room or the building: one table, one row for each role.

Everything that depends on the role alone is read from here: which kind of point it takes, how hard
it must be to forge, whether several may share it, whether it tells about a person, and what people
call it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from gateway.settings.values.drivers import Trust
from gateway.settings.values.reading import Loc

CONTACT, RELAY, METER = ("contact",), ("relay",), ("meter",)


@dataclass(frozen=True, slots=True)
class PointRole:
    """``name``: as errors say it. ``key``: in the door or room of the configuration; empty where
    the role follows from something else. ``kinds``: which points may have it.

    ``trust``: the least wiring trust: *network* takes any driver,
    *radio* takes radio and wires, *wired* only wires. ``note``: what else the role means for a
    driver that could be forged, in Markdown.

    ``shared``: one contact may serve several doors or rooms. ``private``: it tells about a person,
    and stays on the gateway. ``of_call``: means nothing in a room without a cord. ``lasting``: a
    relay that is on for as long as something lasts, so its limit must be written. ``terminal``:
    its word on the page (``terminal.…``); empty: it does not name the point."""

    name: str
    key: str
    kinds: tuple[str, ...]
    trust: Trust
    terminal: str = ""
    note: str = ""
    shared: bool = False
    private: bool = False
    of_call: bool = False
    lasting: bool = False


DOOR: Final = (
    PointRole("activation", "activation", RELAY, "wired", "activation"),
    PointRole("strike", "strike", RELAY, "wired", "strike"),
    PointRole("hold_open", "hold_open", RELAY, "wired", "hold_open"),
    PointRole("indicator", "indicator", RELAY, "wired", "indicator"),
    PointRole(
        "leaf", "leaf", CONTACT, "network", "leaf", "one that is not wired raises no `forced`"
    ),
    PointRole("bolt", "bolt", CONTACT, "wired", "bolt"),
    PointRole("operator fault", "operator_fault", CONTACT, "wired", "operator_fault"),
    PointRole("presence in the doorway", "presence", CONTACT, "network", "presence", shared=True),
    # which of ACTIVATORS it is, is said by its kind
    PointRole("activator", "activators", CONTACT, "network", shared=True),
    PointRole("mode switch", "mode_switch", CONTACT, "wired", "mode_switch", shared=True),
    PointRole("fire", "on_fire", CONTACT, "wired", "fire", shared=True),
)
ACTIVATORS: Final = (
    PointRole(
        "button", "", CONTACT, "network", note="one that is not wired opens in *automatic* only; an"
        " inside one in *exit_only* and *night*, too, where the door says `egress_untrusted: yes`",
    ),
    PointRole("remote", "", CONTACT, "radio"),
    PointRole("key_switch", "", CONTACT, "wired"),
    PointRole("reader", "", CONTACT, "wired"),
)  # fmt: skip
ROOM: Final = (
    PointRole(
        "cord", "cord", ("contact", "meter"), "radio", "room_cord",
        "a radio one needs `alive_within`; a room without a wired one gets a hint",
    ),
    PointRole("cancel", "cancel", CONTACT, "wired", "room_cancel", of_call=True),
    PointRole("presence of staff", "presence", CONTACT, "wired", "room_presence", of_call=True),
    PointRole(
        "reassurance lamp", "reassurance", RELAY, "wired", "room_reassurance",
        of_call=True, lasting=True,
    ),
    PointRole("room lamp", "lamp", RELAY, "wired", "room_lamp", of_call=True, lasting=True),
    PointRole("sounder", "sounder", RELAY, "wired", "room_sounder", of_call=True, lasting=True),
    PointRole("unlock", "unlock", RELAY, "wired", "room_unlock", of_call=True, lasting=True),
    PointRole("motion", "motion", CONTACT, "network", "room_motion", shared=True, private=True),
    PointRole("motion elsewhere", "elsewhere", CONTACT, "network", shared=True, private=True),
    PointRole("door of the room", "door", CONTACT, "network", "room_door", private=True),
    PointRole("bolt of the room", "bolt", CONTACT, "wired", "room_bolt", private=True),
    PointRole("tap", "taps", CONTACT, "network", "room_taps", private=True),
    PointRole("leak", "leak", CONTACT, "network", "room_leak"),
    PointRole("valve", "valve", RELAY, "wired", "room_valve", lasting=True),
    PointRole("climate", "climate", METER, "network", "room_climate"),
    PointRole("fan", "fan", RELAY, "wired", "room_fan", lasting=True),
)  # fmt: skip
LINE: Final = PointRole("line", "", METER, "wired")
"""A cord on a supervised line."""
FIRE: Final = PointRole("fire", "fire", CONTACT, "wired", shared=True)
"""The fire contact of the building."""
WATCHED: Final = PointRole("watched", "point", ("contact", "meter"), "network")
ALL: Final[Mapping[str, PointRole]] = {
    role.name: role for role in (*DOOR, *ACTIVATORS, ROOM[0], LINE, *ROOM[1:], WATCHED)
}
"""By name. The fire contact of a door and that of the building have one role."""
TOGETHER: Final = (
    frozenset({"leaf", "door of the room"}),
    frozenset({"bolt", "bolt of the room"}),
    frozenset({"motion", "motion elsewhere"}),
)
"""Pairs of roles that one contact may have."""


def points_of(owner: object, roles: Iterable[PointRole]) -> Iterator[tuple[PointRole, str, Loc]]:
    """Every point that a door or room names: its role, its id, and where it is named."""
    for role in roles:
        for point, rest in _named(getattr(owner, role.key)):
            yield role, point, (role.key, *rest)


def _named(value: Any) -> Iterator[tuple[str, Loc]]:
    if isinstance(value, str):
        yield value, ()
    elif isinstance(value, Mapping):
        for point in value:
            yield point, (point,)
    elif isinstance(value, tuple):
        for number, item in enumerate(value):
            for point, rest in _named(item):
                yield point, (number, *rest)
    elif value is not None and value.point is not None:
        yield value.point, ("point",)
