"""Doors as the facility manager lists them."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field

from gateway.core.events import Mode
from gateway.core.plan import ActivatorKind, OnFire, Side
from gateway.settings.values.types import Bool, Duration, Id, Label, Model, PointName, Short
from gateway.settings.values.weekly import Rules, ScheduleField


class Activation(Model):
    """How the operator is asked to open."""

    point: PointName
    """The relay on the operator's input for an opening; no unit, the name of a relay point."""
    pulse_ms: Duration | None = None
    """How long the relay closes for one request; a duration, 500 ms if neither this nor
    maintained is written."""
    maintained_ms: Duration | None = None
    """Instead of a pulse: the relay stays closed this long for one request; a duration."""
    rest_ms: Duration = 1000
    """The pause after a pulse before the next one may begin; a duration."""


class Strike(Model):
    """The electric strike that lets the leaf go before the operator pulls."""

    point: PointName
    """The relay of the strike; no unit, the name of a relay point."""
    lead_ms: Duration = 200
    """How long before the activation it is released; a duration."""
    tail_ms: Duration = 500
    """How long it stays released after the activation; a duration."""


UNWRITTEN_STRIKE: Final = Strike.model_construct(point="")
"""Gives a door without a strike its times: after closing, a leaf may bounce for ``tail_ms``."""


class Activator(Model):
    """A contact with which people ask for the door."""

    point: PointName
    """The contact; no unit, the name of a contact point."""
    kind: ActivatorKind
    """What it is; no unit, one of button, remote, key_switch, reader."""
    side: Side
    """Where the person stands; no unit, inside or outside."""
    hold_open_ms: Duration | None = Field(default=None)
    """How long the door stays open for this one, such as a wheelchair button; a duration."""


class OnFireSettings(Model):
    """What the door does while the fire alarm contact is active."""

    action: OnFire
    """What the door does; no unit, one of open, close, ignore."""
    point: PointName | None = None
    """The fire alarm contact; no unit, the name of a contact point. Else the one under fire:."""


class Indicator(Model):
    """The lamp or tone that tells the person at the door what came of the request."""

    point: PointName
    """Its relay; no unit, the name of a relay point."""
    accepted_ms: tuple[Duration, ...] = (400,)
    """The pattern for accepted: on, off, on …; durations."""
    refused_ms: tuple[Duration, ...] = (100, 100, 100, 100, 100)
    """The pattern for refused: on, off, on …; durations."""
    fault_ms: tuple[Duration, ...] = (1000, 300, 1000)
    """The pattern for a fault: on, off, on …; durations."""


class Door(Model):
    """A door: which points it has and how they behave."""

    name: Label | None = None
    """What people call it; no unit, a text. The id if it is not written."""
    activation: Annotated[Activation, Short("point")]
    """The relay that asks the operator to open; no unit, a point or a mapping."""
    strike: Annotated[Strike, Short("point")] | None = None
    """The electric strike; no unit, a point or a mapping."""
    hold_open: PointName | None = None
    """The relay that keeps the door open; no unit, the name of a relay point."""
    leaf: PointName | None = None
    """The reed contact that is active while the leaf is not closed; no unit, a contact point."""
    bolt: PointName | None = None
    """The contact of the bolt; no unit, the name of a contact point."""
    operator_fault: PointName | None = None
    """The fault contact of the operator; no unit, the name of a contact point."""
    presence: PointName | None = None
    """The sensor in the doorway; no unit, the name of a contact point."""
    mode_switch: dict[PointName, Mode] = Field(default_factory=dict)
    """Contacts of a programme switch on site, each with its mode; no unit. First active wins."""
    activators: tuple[Activator, ...] = ()
    """Buttons, remotes, key switches and readers; no unit, a list."""
    opens_within_ms: Duration = 5000
    """The leaf must have left closed within this time of the activation; a duration."""
    closes_within_ms: Duration = 20_000
    """The leaf must be closed this long after the activation has ended; a duration."""
    left_open_after_ms: Duration | None = None
    """A leaf that is open for longer is an alarm; a duration."""
    assumed_open_ms: Duration = 8000
    """How long a door without leaf contact is taken to be open after a request; a duration."""
    on_fire: Annotated[OnFireSettings, Short("action")] | None = None
    """What the door does on a fire alarm; no unit, a word or a mapping."""
    egress: Literal["always", "never"] = "always"
    """Whether the inside button works in mode night; no unit, always or never."""
    egress_reason: Label | None = None
    """Why it may be never: who allowed it, which other way out there is; no unit, a text."""
    egress_untrusted: Bool = False
    """An inside button over radio or network opens in exit_only and night, too; no unit, yes or
    no. Whoever records its telegram can open the door."""
    indicator: Annotated[Indicator, Short("point")] | None = None
    """The lamp or tone at the door; no unit, a point or a mapping."""
    toggle: Bool = False
    """The operator closes an open door when it is asked again; no unit, yes or no."""
    schedule: ScheduleField = Rules()
    """The mode by day of the week and time; no unit, a mapping."""
    exceptions: ScheduleField = Rules()
    """The mode on single dates; no unit, a mapping with dates."""
    mode: Mode | None = None
    """The mode where there is no schedule; no unit, automatic if it is not written."""
    safe_mode: Mode = "automatic"
    """The mode while the clock cannot be trusted; no unit, one of the modes."""
    override_for_ms: Duration = 14_400_000
    """How long an override by staff lasts that names no end; a duration."""

    @property
    def unscheduled_mode(self) -> Mode:
        """The mode where there is no schedule, written or not."""
        return self.mode or "automatic"


class Interlock(Model):
    """Doors of which one opens at a time."""

    doors: tuple[Id, ...]
    """The doors; no unit, a list of at least two."""
    wait_ms: Duration = 0
    """How long a request waits for the other door; a duration, 0 s: it is refused at once."""
