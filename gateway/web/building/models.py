"""The shapes of the building as the API tells it. What is told is JSON already, made for many
readers at once: it goes out as it is, and these say in OpenAPI what it is.

Instants are RFC 3339 in UTC, null where they never were or the clock was not known."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from gateway.core.door.events import ModeSource
from gateway.core.door.leaf import Outcome, Position
from gateway.core.events import Mode
from gateway.core.facts import Lane
from gateway.core.notification.alarms import State as AlarmState
from gateway.core.notification.delivery import Result
from gateway.core.plan import Severity
from gateway.core.room.call_record import CallState, Cord
from gateway.core.room.occupancy import Belief


class As:
    """Describes an answer by a shape and leaves the answer alone."""

    def __init__(self, shape: type[BaseModel]) -> None:
        self._shape = shape

    def __get_pydantic_json_schema__(
        self, _: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return handler(self._shape.__pydantic_core_schema__)


Time = datetime | None


class NextMode(BaseModel):
    mode: Mode
    at: Time


class AskedShape(BaseModel):
    """A request for a door. ``by``: who, if a person asked; ``activator``: the point, if not."""

    outcome: str = Field(description="accepted, merged, extended, or refused")
    reason: str | None = Field(description="Why it was refused: a stable key.")
    activator: str | None
    activator_kind: str | None
    side: str | None
    by: str | None
    at: Time


class LastResult(BaseModel):
    """What the leaf did for the last request that was accepted."""

    result: Outcome
    command: str | None
    at: Time
    press_to_open_ms: int | None = Field(description="From the press to the open leaf, in ms.")


class CanOpen(BaseModel):
    """``reason``: why not, or empty. ``needs_reason``: whoever opens it has to give one."""

    ok: bool
    reason: str
    needs_reason: bool


class CanOpenBy(BaseModel):
    staff: CanOpen


class DoorTally(BaseModel):
    openings: int
    requests: int
    refusals: dict[str, int] = Field(description="How often, per reason.")
    open_ms: int = Field(0, description="How long it stood open in all, in ms.")


class DoorShape(BaseModel):
    """A door. What it does not have is null (no bolt, no strike, no leaf contact)."""

    id: str
    name: str
    mode: Mode
    mode_source: ModeSource
    mode_until: Time
    mode_by: str | None
    scheduled_mode: Mode
    next_mode: NextMode | None
    state: Position
    since: Time = Field(description="Since when it is in this state.")
    assumed: bool = Field(description="Without a leaf contact the state is reckoned, not seen.")
    leaf: Literal["open", "closed", "unknown"] | None
    activation: bool | None
    strike: bool | None
    hold_open: bool | None
    fire: bool | None
    service_until: Time
    bolt: bool | None
    operator_fault: bool | None
    last_request: AskedShape | None
    last_refusal: AskedShape | None
    last_opened: Time
    press_to_open_ms: int | None = Field(description="Of the last opening by a press, in ms.")
    last_result: LastResult | None
    can_open: CanOpenBy
    counters: DoorTally
    alarms: list[str] = Field(description="Ids.")


class MessageShape(BaseModel):
    """A message about a call. ``channel``: which of the receiver's, from 0; ``medium``: what it
    went by (mail, sms, telegram, ntfy, push, other), empty where that is not known (yet)."""

    delivery: str
    receiver: str
    channel: int
    kind: str = ""
    result: Result
    reason: str
    at: Time
    medium: str = ""


class CallShape(BaseModel):
    """``attend_by``: the call rings again then, if nobody has come. ``pulls``: how often.
    ``attends``: the name of who goes, where that is another than who acknowledged it; for staff.
    ``seen_by``: who has seen it, at ``seen``, and does not go."""

    id: str | None
    state: CallState
    test: bool
    since: Time
    raised: Time
    cause: str
    points: list[str]
    pulls: int
    acknowledged_by: str | None
    acknowledged: Time
    attends: str | None = None
    seen_by: str | None = None
    seen: Time = None
    attended: Time
    attend_by: Time
    messages: list[MessageShape]
    next_message: Time


class StandingCall(CallShape):
    """A call that stands, and the id of its room."""

    room: str


class PastCall(BaseModel):
    """Times from the first pull on, in ms; null: it never was."""

    id: str
    raised: Time
    acknowledged_after_ms: int | None
    attended_after_ms: int | None
    cancelled_after_ms: int | None
    test: bool


class RoomTally(BaseModel):
    calls: int
    tests: int


class Lamps(BaseModel):
    """Null: there is none."""

    reassurance: bool | None
    lamp: Literal["flashing", "off"] | None
    sounder: bool | None
    unlock: bool | None


class LeakShape(BaseModel):
    """``latched``: it was wet, and nobody has looked and reset it."""

    wet: bool | None
    latched: bool
    valve_closed: bool | None


class ClimateShape(BaseModel):
    """°C and % relative humidity; null: no value."""

    point: str
    temperature_c: float | None
    humidity_percent: float | None
    dew_point_c: float | None
    at: Time
    fan: bool | None


class RoomShape(BaseModel):
    """A room. ``call``: null where nobody can call; ``occupancy`` and
    ``occupancy_since`` are told to staff only."""

    id: str
    name: str
    call: CallShape | None
    test_until: Time
    test_by: str | None
    cords: dict[str, Cord]
    last_calls: list[PastCall]
    counters: RoomTally = RoomTally(calls=0, tests=0)
    lamps: Lamps
    occupancy: Belief | None = None
    occupancy_since: Time = None
    exported: bool = Field(False, description="Whether occupancy leaves the gateway.")
    leak: LeakShape | None
    climate: ClimateShape | None
    alarms: list[str] = Field(description="Ids.")


class QuantityShape(BaseModel):
    """In the unit that its name ends in. ``reason``: why there is no value."""

    value: float | None
    at: Time
    reason: str = ""


class PointShape(BaseModel):
    """``raw``: what the terminal says now; ``active``: once it has settled, null: unknown."""

    id: str
    kind: Literal["contact", "relay", "meter"]
    active: bool | None
    raw: bool | None
    since: Time
    reason: str
    faults: list[str] = Field(description="Kinds of alarms.")
    changes: int
    quantities: dict[str, QuantityShape]
    exported: bool | None = Field(None, description="Of motion: whether it leaves the gateway.")


class AlarmShape(BaseModel):
    """``id`` is ``subject/kind``. ``count``: how often since it was first raised."""

    id: str
    subject: str
    kind: str
    severity: Severity
    state: AlarmState
    raised: Time
    count: int
    acknowledged_by: str | None
    shelved_until: Time
    detail: str


class GuaranteeShape(BaseModel):
    """What the gateway promises. ``value``: *yes* only while fresh evidence says so, *unknown*
    without. ``ok`` is true for *yes* and *not_configured*. ``backlog`` counts facts."""

    name: str
    ok: bool
    value: Literal["yes", "no", "unknown", "not_configured"] = "unknown"
    since: Time = Field(description="Since when it has this value.")
    reason: str = Field(description="Why it is not *yes*: a stable key, or empty.")
    subject: str = Field("", description="The door, room, chain or recorder of the reason.")
    evidence: Time = Field(None, description="The newest evidence.")
    void_after_ms: int | None = Field(None, description="Evidence that is older is none.")
    aside: int | list[list[str]] | None = Field(
        None,
        description="Recording: points that a recorder set aside. Forwarding: topic and reason of"
        " messages that the broker does not take.",
    )
    aside_count: int | None = Field(None, description="How many such messages there are.")
    backlog: int | None = None
    oldest_unsent_ms: int | None = Field(None, description="Age of the oldest, in ms.")
    recorded_until: Time = None


class GatewayShape(BaseModel):
    """Empty until the controller was heard for the first time."""

    id: str = ""
    name: str = ""
    version: str = ""
    boot: str = ""
    started: Time = None
    configuration: str = Field("", description="SHA-256 of the configuration.")
    journal: str = ""
    overflows: int = Field(0, description="How often more came in than could be taken.")


class StatusShape(BaseModel):
    """Everything the page shows. ``stale``: the controller is away, ``since`` then."""

    gateway: GatewayShape
    now: datetime
    clock_trusted: bool
    clock_since: Time
    stale: bool
    since: datetime
    fire: bool | None = Field(description="Null: no contact says so, or none can be read.")
    doors: list[DoorShape]
    rooms: list[RoomShape]
    calls: list[StandingCall]
    alarms: list[AlarmShape]
    points: list[PointShape]
    guarantees: list[GuaranteeShape]


class PointTally(BaseModel):
    changes: int


class CountersShape(BaseModel):
    """By id; since the controller was first started, and of points since it was last."""

    doors: dict[str, DoorTally]
    points: dict[str, PointTally]


class RetainedShape(BaseModel):
    """``life_s``: seconds at most; ``None``: it ends as ``until`` says. ``enforced_by``: the code
    that removes it; empty: nothing does."""

    id: str
    life_s: int | None
    until: str
    enforced_by: str


class KeptShape(BaseModel):
    """``lives_s``: how long what is stored lives at most, in seconds; ``rows``: all of it."""

    lives_s: dict[str, int]
    rows: list[RetainedShape]
    broker: str
    store: str


class FactShape(BaseModel):
    """``row`` is the cursor of ``after`` and of the live stream. ``sequence`` counts up by one
    within its lane. ``monotonic_ms``: since the boot ``boot``. What ``data`` holds depends on
    the kind; units are last in the names."""

    row: int
    lane: Lane
    sequence: int
    boot: str
    monotonic_ms: int
    time: Time
    kind: str
    subject: str
    data: dict[str, Any]


class AuditShape(BaseModel):
    """One link of the chain. ``hash`` covers ``previous`` and the rest, of the detail only its
    hash: ``detail`` (JSON as text) is null once it was forgotten. ``mono_ms``: since the boot;
    ``utc_ms``: the instant ``time`` in ms, as it was hashed."""

    n: int
    boot: str
    mono_ms: int
    utc_ms: int | None
    time: Time
    actor: str
    action: str
    subject: str
    outcome: str
    detail: str | None
    detail_hash: str
    previous: str
    hash: str


DoorTold = Annotated[dict[str, Any], As(DoorShape)]
RoomTold = Annotated[dict[str, Any], As(RoomShape)]
CallTold = Annotated[dict[str, Any], As(StandingCall)]
PointTold = Annotated[dict[str, Any], As(PointShape)]
AlarmTold = Annotated[dict[str, Any], As(AlarmShape)]
GuaranteeTold = Annotated[dict[str, Any], As(GuaranteeShape)]
StatusTold = Annotated[dict[str, Any], As(StatusShape)]
CountersTold = Annotated[dict[str, Any], As(CountersShape)]
KeptTold = Annotated[dict[str, Any], As(KeptShape)]
FactTold = Annotated[dict[str, Any], As(FactShape)]
AuditTold = Annotated[dict[str, Any], As(AuditShape)]
