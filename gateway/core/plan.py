"""The plan of a building: what the configuration comes to, in numbers the machines use.

Made once by ``settings`` (names checked, units turned into milliseconds) and never
changed while running. Every list keeps the order of the configuration.

What applies where the configuration is silent is decided in one place, in
``gateway/settings/model``: the plan gets every value. So the only defaults here say that there is
none of a part: ``None`` for a terminal or for a plan within this one, ``()`` for a list of them.
No time, limit, number, word of the configuration, or yes and no has a default
(``tests/house_rules/test_defaults.py``).
"""

from __future__ import annotations

from dataclasses import KW_ONLY
from typing import Literal

from gateway.core.events import Mode
from gateway.core.instant import Ms, UtcMs
from gateway.core.values import dataclass

ActivatorKind = Literal["button", "remote", "key_switch", "reader"]
Side = Literal["inside", "outside"]
OnFire = Literal["open", "close", "ignore"]
Severity = Literal["emergency", "urgent", "fault", "notice"]
"""In falling order: EN/ISA-18.2 priorities as DOMAIN names them."""


@dataclass(frozen=True)
class ContactPlan:
    """A bool input. ``stuck_after_ms`` only for contacts that people press (else ``None``)."""

    point: str
    settle_ms: Ms
    stuck_after_ms: Ms | None
    chatter_changes: int
    chatter_window_ms: Ms
    fault_severity: Severity
    private: bool
    """It tells about a person (motion, a bathroom's door): its changes stay on the gateway."""


@dataclass(frozen=True)
class RelayPlan:
    """A bool output. ``max_on_ms``: the longest time that it is on; ``None``: unlimited. (In the
    configuration *unlimited* is a word, and a limit that is not written gets its default when the
    plan is made.)"""

    point: str
    max_on_ms: Ms | None


@dataclass(frozen=True)
class MeterPlan:
    """Numbers in. ``silent_after_ms``: no value for this long is a fault."""

    point: str
    quantities: tuple[str, ...]
    silent_after_ms: Ms
    limits: tuple[tuple[str, float, float], ...]
    """(quantity, lowest, highest) that the sensor can physically mean."""
    dead_bands: tuple[tuple[str, float], ...]
    """(quantity, smallest change that is told)."""
    heartbeat_ms: Ms
    """Told at least this often, changed or not."""
    frozen_after_ms: Ms | None
    """The very same value for this long is a fault; ``None``: not watched."""


@dataclass(frozen=True)
class ActivatorPlan:
    point: str
    kind: ActivatorKind
    side: Side
    hold_open_ms: Ms | None
    trusted: bool
    """Wired, or allowed to open a locked door all the same; else *automatic* only."""


@dataclass(frozen=True)
class FirePlan:
    point: str
    action: OnFire


@dataclass(frozen=True)
class Transition:
    """From this instant of civil time the schedule says ``mode``."""

    utc_ms: UtcMs
    mode: Mode


@dataclass(frozen=True)
class IndicatorPlan:
    """The relay of the feedback lamp or tone; one pattern of on/off times per outcome."""

    point: str
    accepted: tuple[Ms, ...]
    refused: tuple[Ms, ...]
    fault: tuple[Ms, ...]


@dataclass(frozen=True)
class DoorPlan:
    """One door. Exactly as the facility manager's list says, in milliseconds."""

    id: str
    name: str
    activation: str
    _: KW_ONLY
    pulse_ms: Ms | None
    """``None``: a maintained activation, closed for ``open_for_ms`` or longer."""
    rest_ms: Ms
    open_for_ms: Ms
    """How long a maintained activation stays closed for a request without a time of its own; 0
    where it is a pulse."""
    strike: str | None = None
    strike_lead_ms: Ms
    strike_tail_ms: Ms
    hold_open: str | None = None
    leaf: str | None = None
    leaf_trusted: bool
    """Wired: a leaf contact over radio or network proves no burglary (``forced``)."""
    bolt: str | None = None
    operator_fault: str | None = None
    presence: str | None = None
    mode_switch: tuple[tuple[str, Mode], ...] = ()
    """Contacts of a programme switch on site, each with the mode it selects; first active wins."""
    activators: tuple[ActivatorPlan, ...] = ()
    opens_within_ms: Ms
    closes_within_ms: Ms
    """From the end of the activation (or of the hold-open time) until ``did_not_close``."""
    left_open_after_ms: Ms | None
    assumed_open_ms: Ms
    """How long a door without a leaf contact is assumed to be open after an activation."""
    toggle: bool
    """The operator toggles: a pulse on an open door closes it, so none is sent then."""
    fire: FirePlan | None = None
    egress: Literal["always", "never"]
    indicator: IndicatorPlan | None = None
    schedule: tuple[Transition, ...] = ()
    """Ordered by time; empty: always ``mode``."""
    mode: Mode
    """The mode where there is no schedule."""
    safe_mode: Mode
    """The mode while the clock is not trusted and the schedule therefore unknown."""
    override_for_ms: Ms


@dataclass(frozen=True)
class InterlockPlan:
    """Of these doors one opens at a time; another's request waits up to ``wait_ms`` (0: it
    is refused)."""

    id: str
    doors: tuple[str, ...]
    wait_ms: Ms


@dataclass(frozen=True)
class WatchPlan:
    """A watched point: an alarm when a contact is ``active`` or a value leaves its limits."""

    id: str
    point: str
    severity: Severity
    delay_ms: Ms
    active: bool | None
    quantity: str | None
    above: float | None
    below: float | None
    hysteresis: float


@dataclass(frozen=True)
class LinePlan:
    """A pull cord on a supervised line: a meter that tells the loop's resistance (``line_ohm``).

    Below ``short_below_ohm`` the wires touch, above ``cut_above_ohm`` one is broken; between,
    the cord is pulled within ``pulled_from_ohm`` .. ``pulled_to_ohm`` and at rest elsewhere."""

    point: str
    short_below_ohm: float
    pulled_from_ohm: float
    pulled_to_ohm: float
    cut_above_ohm: float


@dataclass(frozen=True)
class ClimatePlan:
    """What is made of a room's climate meter. Temperatures in degrees Celsius, humidities in
    percent. ``None`` for a limit: it is not watched."""

    point: str
    _: KW_ONLY
    frost_below_c: float | None
    mould_above_percent: float | None
    mould_after_ms: Ms
    """Humid for so long without a break is a notice."""
    fan: str | None = None
    fan_above_percent: float
    fan_below_percent: float
    """The fan runs from the one on and until the other is reached."""
    fan_run_on_ms: Ms
    """And for this long after that."""


@dataclass(frozen=True)
class RoomPlan:
    """One accessible bathroom, exactly as the facility manager's list says."""

    id: str
    name: str
    _: KW_ONLY
    cords: tuple[str, ...] = ()
    """Contacts; a cut wire of a normally closed one is a pull."""
    lines: tuple[LinePlan, ...] = ()
    cancel: str | None = None
    presence: str | None = None
    reassurance: str | None = None
    lamp: str | None = None
    sounder: str | None = None
    unlock: str | None = None
    escalation: str | None = None
    """Who is told of a call, a long stay, a cord that sticks and a line that is cut."""
    attend_within_ms: Ms
    """An acknowledged call that nobody attends in this time is raised again."""
    motion: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()
    """Motion outside of the room that ends a stay where there is no door contact."""
    door: str | None = None
    bolt: str | None = None
    taps: tuple[str, ...] = ()
    vacant_after_ms: Ms
    """A sign of a person counts for as long as it lasts, and at least this long from its
    beginning."""
    lingers_ms: Ms
    """With a door contact: a sensor may go on seeing for so long who has left. And signs that
    are no further apart are of one stay."""
    doubt_after_ms: Ms
    """A sign without any pause for this long is no proof of a long stay: it may be a sensor
    that sticks."""
    long_stay_after_ms: Ms | None
    no_motion_after_ms: Ms | None
    leak: str | None = None
    valve: str | None = None
    climate: ClimatePlan | None = None

    @property
    def fan(self) -> str | None:
        return None if self.climate is None else self.climate.fan


@dataclass(frozen=True)
class DutyPlan:
    """From this instant of civil time a receiver is (or is not) on duty."""

    utc_ms: UtcMs
    on_duty: bool


@dataclass(frozen=True)
class ReceiverPlan:
    """Somebody who is told (a *contact* of the configuration), by a number of channels that
    are tried in order. The addresses are known to ``notify`` alone. No ``duty``: always."""

    id: str
    channels: int
    duty: tuple[DutyPlan, ...] = ()


@dataclass(frozen=True)
class EscalationStepPlan:
    """Tell ``receiver`` so long after the beginning, or (the last step) every so often."""

    receiver: str
    after_ms: Ms | None
    every_ms: Ms | None


@dataclass(frozen=True)
class EscalationPlan:
    id: str
    steps: tuple[EscalationStepPlan, ...]


@dataclass(frozen=True)
class MailingPlan:
    """A message that goes out by the clock: the weekly ``test`` (its receipt wants to be
    confirmed within ``confirm_within_ms``) or the ``summary`` of faults and notices."""

    kind: Literal["test", "summary", "by_hand"]
    receivers: tuple[str, ...]
    due: tuple[UtcMs, ...]
    """Every instant for 400 days, in order."""
    confirm_within_ms: Ms | None


@dataclass(frozen=True)
class BuildingPlan:
    gateway: str
    contacts: tuple[ContactPlan, ...] = ()
    relays: tuple[RelayPlan, ...] = ()
    meters: tuple[MeterPlan, ...] = ()
    doors: tuple[DoorPlan, ...] = ()
    interlocks: tuple[InterlockPlan, ...] = ()
    watches: tuple[WatchPlan, ...] = ()
    rooms: tuple[RoomPlan, ...] = ()
    receivers: tuple[ReceiverPlan, ...] = ()
    escalations: tuple[EscalationPlan, ...] = ()
    alarm_escalations: tuple[tuple[Severity, str], ...] = ()
    """Severity -> the escalation of an alarm that has none of its own."""
    mailings: tuple[MailingPlan, ...] = ()
    export: tuple[Literal["motion", "occupancy"], ...] = ()
    """What of people in rooms may leave the gateway as a state."""
    notices: tuple[tuple[str, str], ...] = ()
    """(subject, kind) of notices that stand because the configuration says so, such as
    ``("front", "egress_never")``."""
