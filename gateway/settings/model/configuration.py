"""The settings: everything the file may say, typed, with its unit and its default."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from gateway.core.plan import Severity
from gateway.core.point_roles import Kind, Trust
from gateway.settings.model.backup import Backup
from gateway.settings.model.doors import Door, Interlock
from gateway.settings.model.link import Heartbeat, MqttField, Push, RecordField, Web
from gateway.settings.model.messages import Messages
from gateway.settings.model.rooms import Contact, EscalationStep, Room
from gateway.settings.values.problems import Adjusted
from gateway.settings.values.types import REGION_PATTERN as REGION
from gateway.settings.values.types import (
    Bool,
    Duration,
    Id,
    Label,
    Limit,
    Model,
    Number,
    PointName,
    Size,
    named,
)

DAY = 86_400_000
YEAR = 365 * DAY


class Gateway(Model):
    """This gateway, and where it stands."""

    id: Id
    """Its name on the broker and in the store; no unit. Never change it later."""
    name: Label = "Portier"
    """What people call the building; no unit, a text."""
    timezone: Label = "Europe/Berlin"
    """The zone of the schedule; no unit, a name such as Europe/Berlin."""
    holidays: Annotated[str, named(REGION, "a region", "DE-SN")] | None = None
    """Whose public holidays count; no unit, a country and its Land such as DE-SN."""
    languages: tuple[Literal["de", "en"], ...] = ("de", "en")
    """The languages of the page, the first is the default; no unit, de and en."""
    bench: Bool = False
    """Simulated points are allowed and can be operated; no unit, yes or no."""


class ContactOptions(Model):
    """What may be said of every contact, whatever drives it."""

    label: Label | None = None
    """What the electrician calls the terminal; no unit, a text."""
    settle_ms: Duration = 30
    """A level counts once it has been stable for this long; a duration."""
    stuck_after_ms: Duration | None = None
    """A pressed button that stays active for longer is a fault; a duration, 30 s for buttons,
    2 h for motion."""
    fault_severity: Severity | None = None
    """How serious a fault of this contact is; no unit, a severity."""


class RelayOptions(Model):
    """What may be said of every relay, whatever drives it."""

    label: Label | None = None
    """What the electrician calls the terminal; no unit, a text."""
    max_on_ms: Limit | None = None
    """Never on for longer, whatever is asked; a duration or unlimited. Not written: the limit of
    its use, where it has one."""


class MeterOptions(Model):
    """What may be said of every meter, whatever drives it."""

    label: Label | None = None
    """What the electrician calls the terminal; no unit, a text."""
    silent_after_ms: Duration | None = None
    """No value for this long is a fault; a duration, ten readings if it is not written."""
    heartbeat_ms: Duration = 900_000
    """A value is told at least this often, changed or not; a duration."""
    frozen_after_ms: Duration | None = None
    """The very same value for this long is a fault; a duration."""
    deadband: dict[str, Number] = Field(default_factory=dict)
    """The smallest change that is told, per quantity; in the unit of the quantity. 0.1 K, 0.5 %
    humidity, 0.5 hPa, 25 ppm CO₂ if it is not written, and every change of anything else."""


class Point(Model):
    """One terminal: what drives it, and how."""

    name: PointName
    """Its name; no unit."""
    driver: str
    """The driver; no unit, a file name of the folder drivers."""
    kind: Kind
    """What it is; no unit, contact, relay or meter."""
    trust: Trust
    """How hard it is to forge; no unit, wired, radio or network."""
    settings: Any
    """The driver's own settings; no unit, its frozen dataclass."""
    options: ContactOptions | RelayOptions | MeterOptions
    """What the core makes of it; no unit."""
    quantities: tuple[tuple[str, float, float], ...] = ()
    """(quantity, lowest, highest) of a meter, in the unit of the quantity's name."""


class Watch(Model):
    """A point that is watched: an alarm when it is active, or leaves its limits."""

    point: PointName
    """The contact or meter; no unit, the name of a point."""
    severity: Severity = "notice"
    """How serious it is; no unit, emergency, urgent, fault or notice."""
    delay_ms: Duration = 0
    """Only after this time; a duration."""
    active: Bool | None = None
    """Which level of a contact is the alarm; no unit, yes (the default) or no."""
    quantity: str | None = None
    """Which quantity of a meter; no unit, such as temperature_c."""
    above: Number | None = None
    """Alarm above this value; in the unit of the quantity."""
    below: Number | None = None
    """Alarm below this value; in the unit of the quantity."""
    hysteresis: Number = 0.0
    """How far back the value must come; in the unit of the quantity."""
    texts: dict[Literal["de", "en"], Label] = Field(default_factory=dict)
    """What the alarm says, per language; no unit, texts."""

    @property
    def alarm_level(self) -> bool:
        """Which level of a contact is the alarm, written or not."""
        return self.active is None or self.active


class Retention(Model):
    """How long each class of facts is kept."""

    calls_ms: Duration = YEAR
    """Emergency calls; a duration."""
    alarms_ms: Duration = YEAR
    """Alarms; a duration."""
    doors_ms: Duration = 90 * DAY
    """Door events; a duration."""
    occupancy_ms: Duration = DAY
    """Raw motion and occupancy, afterwards counts per hour; a duration."""
    counts_ms: Duration = 2 * YEAR
    """Counts per hour, without any person in them; a duration."""
    climate_ms: Duration = 2 * YEAR
    """Readings; a duration."""
    points_ms: Duration = 90 * DAY
    """Levels of contacts and relays; a duration."""
    gateway_ms: Duration = YEAR
    """Starts, stops, clock, configuration; a duration."""
    audit_ms: Duration = YEAR
    """The audit chain; a duration."""
    deliveries_ms: Duration = YEAR
    """Deliveries of messages; a duration."""
    testbook_ms: Duration = 10 * YEAR
    """The test book; a duration."""
    sessions_ms: Duration = 30 * DAY
    """Log-ins of the page; a duration."""
    logs_ms: Duration = 14 * DAY
    """Log files, without addresses; a duration."""


class Journal(Model):
    """The journal on this machine's disk."""

    limit_bytes: Size = 1_000_000_000
    """How large it may become; a size."""
    commit_within_ms: Duration = Field(default=50_000, le=60_000)
    """How long readings and other routine facts may wait until they are written together, which
    spares the card; a duration, at most 60 s. Calls, alarms and door events never wait."""


class House(Model):
    """What is said of the whole building in one line each."""

    fire: PointName | None = None
    """The fire alarm contact for every door that names no other; no unit, a contact point."""
    alarms: dict[Severity, Id] = Field(default_factory=dict)
    """The escalation of each severity; no unit, names under escalations."""
    export: tuple[Literal["motion", "occupancy"], ...] = ()
    """What leaves the gateway although it is about people; no unit, motion and occupancy."""


class Settings(House):
    """The whole configuration."""

    gateway: Gateway
    """This gateway; no unit."""
    points: dict[PointName, Point]
    """The terminal strip; no unit."""
    doors: dict[Id, Door] = Field(default_factory=dict)
    """The doors; no unit."""
    rooms: dict[Id, Room] = Field(default_factory=dict)
    """The accessible bathrooms; no unit."""
    interlocks: dict[Id, Interlock] = Field(default_factory=dict)
    """Groups of doors of which one opens at a time; no unit."""
    watch: dict[Id, Watch] = Field(default_factory=dict)
    """Points that raise an alarm; no unit."""
    contacts: dict[Id, Contact] = Field(default_factory=dict)
    """Who is told; no unit."""
    escalations: dict[Id, tuple[EscalationStep, ...]] = Field(default_factory=dict)
    """Who is told after whom; no unit."""
    messages: Messages = Messages()
    """The messages by the clock; no unit."""
    mqtt: MqttField | None = None
    """The broker; no unit. None: no broker."""
    record: RecordField | None = None
    """The time-series store; no unit. None: nothing is recorded from here."""
    recorders: tuple[Id, ...] = ()
    """The recorders that must have everything, here or elsewhere; no unit, names."""
    web: Web | None = None
    """The page; no unit. None: no page."""
    retention: Retention = Retention()
    """How long facts are kept; no unit."""
    journal: Journal = Journal()
    """The journal; no unit."""
    push: Push = Push()
    """Messages to browsers and phones; no unit."""
    backup: Backup | None = None
    """The nightly backup; no unit. None: none is made."""
    heartbeat: Heartbeat | None = None
    """Where to tell that the gateway lives; no unit."""
    digest: str = ""
    """sha256 over everything above in one canonical form; no unit, hexadecimal."""
    hints: tuple[str, ...] = ()
    """What could be better; no unit, texts with file, line and column."""
    overlay_problems: tuple[str, ...] = ()
    """Why the page's overlay was left out; no unit, texts with file, line and column."""
    adjusted: tuple[Adjusted, ...] = ()
    """Values that are not allowed, and what applies instead; no unit, texts with their place."""
    tolerated: tuple[tuple[str, str], ...] = ()
    """(role, point) of terminals that break a rule of wiring and were in use before that was
    checked; no unit."""
