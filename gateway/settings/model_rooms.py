"""Rooms with an emergency call, the people who are told, and in which order."""

from __future__ import annotations

from pydantic import Field

from gateway.settings.types import Duration, Id, Label, Model, PointName, SecretValue
from gateway.settings.weekly import HoursField, Rules


class Room(Model):
    """An accessible bathroom: which points it has and when somebody should look."""

    name: Label | None = None
    """What people call it; no unit, a text. The id if it is not written."""
    cord: tuple[PointName, ...] = ()
    """Pull cords; no unit, names of contact (or supervised meter) points."""
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
    fan: PointName | None = None
    """The fan; no unit, the name of a relay point."""
    escalation: Id | None = None
    """Who is told of a call; no unit, a name under escalations."""
    attend_within_ms: Duration = 300_000
    """An acknowledged call that nobody attends in this time is raised again; a duration."""
    long_stay_after_ms: Duration = 2_700_000
    """Occupied for longer is a notice to look after the person; a duration."""
    no_motion_after_ms: Duration | None = None
    """Occupied without motion for longer is a notice; a duration."""
    vacant_after_ms: Duration = 600_000
    """Without a door contact: vacant this long after the last motion; a duration."""


class Contact(Model):
    """Somebody who is told, and when they are on duty."""

    name: Label | None = None
    """What staff call them; no unit, a function such as care service, not a person."""
    channels: tuple[SecretValue, ...]
    """How they are reached, in this order; no unit, !secret names of files with an address."""
    hours: HoursField = Rules()
    """When they are on duty; no unit, such as mon-fri 08:00-16:00. Always if not written."""


class EscalationStep(Model):
    """One step of an escalation: either after a time, or again and again at the end."""

    after_ms: Duration | None = None
    """How long after the call was raised; a duration."""
    every_ms: Duration | None = Field(default=None)
    """Instead, for the last step: again and again; a duration."""
    notify: Id
    """Whom; no unit, a name under contacts."""
