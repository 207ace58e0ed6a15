"""Rooms with an emergency call, the people who are told, and in which order."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator, Field, WithJsonSchema

from gateway.settings.values.types import (
    Duration,
    Id,
    Label,
    Model,
    Number,
    PointName,
    SecretValue,
    wrong,
)
from gateway.settings.values.weekly import HoursField, Rules

RESISTANCE_PATTERN = "^[0-9]+([.][0-9]+)? ?(k|M)?(\u03a9|\u2126|Ohm|ohm)$"
"""The Greek letter, and the sign that looks like it."""
_RESISTANCE = re.compile(
    r"(\d{1,9}(?:\.\d{1,6})?)\s*(k|M)?\s*(?:[\u03a9\u2126]|Ohm|ohm)\Z", re.ASCII
)
_FACTOR = {None: 1, "k": 1000, "M": 1_000_000}


def _resistance(value: object) -> float:
    text = value if isinstance(value, str) else ""
    match = _RESISTANCE.match(text)
    if match is None or not float(match[1]):
        raise wrong(f"{text[:40]!r} is not a resistance", "write for example 4.7 kΩ or 4700 Ohm")
    return float(match[1]) * _FACTOR[match[2]]


Resistance = Annotated[
    float,
    BeforeValidator(_resistance),
    WithJsonSchema({"type": "string", "pattern": RESISTANCE_PATTERN}),
]
"""Ohms; written with the unit."""


class Line(Model):
    """A supervised line: what a multimeter shows at its end, with everything in order."""

    rest_ohm: Resistance = Field(default=10_000.0, alias="rest")
    """The whole line with the cord at rest: the resistor at its far end; a number with its
    unit, such as 10 kΩ."""
    pulled_ohm: Resistance = Field(default=4_700.0, alias="pulled")
    """The whole line with the cord pulled; a number with its unit, such as 4.7 kΩ."""


class Room(Model):
    """An accessible bathroom: which points it has and when somebody should look."""

    name: Label | None = None
    """What people call it; no unit, a text. The id if it is not written."""
    cord: tuple[PointName, ...] = ()
    """Pull cords; no unit, names of contact points, or of meter points of supervised lines."""
    lines: dict[PointName, Line] = Field(default_factory=dict)
    """For cords on a supervised line: what it measures; no unit, by the name of the meter.
    10 kΩ at rest and 4.7 kΩ pulled where nothing is written."""
    cancel: PointName | None = None
    """The button in the room that ends a call; no unit, a contact point."""
    presence: PointName | None = None
    """The button that staff press on arrival; no unit, a contact point."""
    reassurance: PointName | None = None
    """The lamp at the caller; no unit, the name of a relay point."""
    lamp: PointName | None = None
    """The lamp over the door; no unit, the name of a relay point."""
    sounder: PointName | None = None
    """The sounder; no unit, the name of a relay point."""
    unlock: PointName | None = None
    """Frees the bolted door while a call stands; no unit, the name of a relay point."""
    motion: tuple[PointName, ...] = ()
    """Motion sensors; no unit, names of contact points."""
    elsewhere: tuple[PointName, ...] = ()
    """Motion sensors outside of the room; no unit, names of contact points. Who is seen there
    has left, where the room has no door contact."""
    door: PointName | None = None
    """The contact of the room's door; no unit, the name of a contact point."""
    bolt: PointName | None = None
    """The contact of the room's bolt; no unit, the name of a contact point."""
    taps: tuple[PointName, ...] = ()
    """Tap and flush contacts; no unit, names of contact points."""
    leak: PointName | None = None
    """The water sensor; no unit, the name of a contact point."""
    valve: PointName | None = None
    """Closes the water; no unit, the name of a relay point."""
    climate: PointName | None = None
    """The climate sensor; no unit, the name of a meter point."""
    frost_below_c: Number = 5.0
    """Colder is an alarm; a number, in degrees Celsius."""
    mould_above_percent: Number = 75.0
    """Moister for as long as mould_after is a notice; a number, in percent relative humidity."""
    mould_after_ms: Duration = 21_600_000
    """How long it must be moist; a duration."""
    fan: PointName | None = None
    """The fan; no unit, the name of a relay point."""
    fan_above_percent: Number = 65.0
    """The fan begins; a number, in percent relative humidity."""
    fan_below_percent: Number = 58.0
    """The air is dry enough; a number, in percent relative humidity."""
    fan_run_on_ms: Duration = 600_000
    """How much longer the fan runs then; a duration."""
    escalation: Id | None = None
    """Who is told of a call; no unit, a name under escalations."""
    attend_within_ms: Duration = 300_000
    """An acknowledged call that nobody attends in this time is raised again; a duration."""
    long_stay_after_ms: Duration = 2_700_000
    """Occupied for longer is a notice to look after the person; a duration."""
    no_motion_after_ms: Duration | None = None
    """Occupied without motion for longer is a notice; a duration."""
    vacant_after_ms: Duration = 10_000
    """A sign of a person (motion, a tap) counts while it lasts, and at least this long from its
    beginning; a duration."""
    lingers_ms: Duration = 120_000
    """With a door contact: a motion sensor may go on for this long after somebody has left.
    And signs that are no further apart are of one stay; a duration."""
    doubt_after_ms: Duration = 1_800_000
    """A motion sensor that never pauses for this long is no proof of a long stay; a duration."""


class Contact(Model):
    """Somebody who is told, and when they are on duty."""

    name: Label | None = None
    """What staff call them; no unit, a function such as care service, not a person."""
    channels: tuple[SecretValue, ...] = ()
    """How they are reached, in this order; no unit, !secret names of files with an address."""
    push: Label | None = None
    """Whose phones and browsers get a push message, when no channel has taken it; no unit, a role
    (view, staff, maintenance, admin) or the name of a user of the page. That a push service has
    taken a message does not say that a device is on: give push a contact of its own and a step
    beside the others."""
    hours: HoursField = Rules()
    """When they are on duty; no unit, such as mon-fri 08:00-16:00. Always if not written."""

    @property
    def ways(self) -> int:
        """How many channels there are, push messages included."""
        return len(self.channels) + (self.push is not None)


class EscalationStep(Model):
    """One step of an escalation: either after a time, or again and again at the end."""

    after_ms: Duration | None = None
    """How long after the call was raised; a duration."""
    every_ms: Duration | None = Field(default=None)
    """Instead, for the last step: again and again; a duration."""
    notify: Id
    """Whom; no unit, a name under contacts."""
