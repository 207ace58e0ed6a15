"""The shape of the snapshot: what is shown of a building, as JSON.

The core makes it in this shape and whoever shows it reads it in this shape, so that the type
checker sees a wrong key on either side. It is a dict from the start: objects of their own that are
written as JSON afterwards take more than twice as long. For the same reason
the core imports this for the type checker alone, and this imports no machine for those who only
read it. Nobody changes a snapshot that was made.

An instant is ``…_ms``, monotonic of this boot, or ``…_utc_ms``, civil time; ``None`` where it is
not known or never was. What a door or room does not have is ``None``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal, NotRequired, TypedDict

if TYPE_CHECKING:
    from gateway.core.door.events import ModeSource
    from gateway.core.door.leaf import Outcome, Position
    from gateway.core.events import Mode
    from gateway.core.instant import Ms, UtcMs
    from gateway.core.notification.alarms import State as AlarmState
    from gateway.core.notification.delivery import Result
    from gateway.core.plan import Severity
    from gateway.core.room.call_record import CallState, Cord
    from gateway.core.room.occupancy import Belief
    from gateway.core.signals.clock import Doubt

# --- doors --------------------------------------------------------------------------------


class NextModeShown(TypedDict):
    """The next change of the mode that is foreseen."""

    mode: Mode
    utc_ms: UtcMs


class RequestShown(TypedDict):
    """A request for a door. ``by``: who, if a person asked; ``activator``: the point, if not.
    ``reason``: why it was refused."""

    outcome: str
    reason: str | None
    activator: str | None
    activator_kind: str | None
    side: str | None
    by: str | None
    at_ms: Ms


class ResultShown(TypedDict):
    """What the leaf did for the last request that was accepted."""

    result: Outcome
    command: str | None
    at_ms: Ms
    press_to_open_ms: Ms | None


class CanOpenShown(TypedDict):
    """``reason``: why not, or empty. ``needs_reason``: whoever opens it has to give one."""

    ok: bool
    reason: str
    needs_reason: bool


class CanOpenByShown(TypedDict):
    """Who can open a door now."""

    staff: CanOpenShown


class DoorCountersShown(TypedDict):
    """Since commissioning. ``refusals``: how often, per reason; ``open_ms``: the time that the
    leaf was seen open, all openings together."""

    openings: int
    requests: int
    refusals: Mapping[str, int]
    open_ms: Ms


class DoorShown(TypedDict):
    """A door. ``since_ms``: since when it is in this ``state``; ``assumed``: no contact tells;
    ``alarms``: ids."""

    name: str
    mode: Mode
    mode_source: ModeSource
    mode_until_utc_ms: UtcMs | None
    mode_by: str | None
    scheduled_mode: Mode
    next_mode: NextModeShown | None
    state: Position
    since_ms: Ms
    assumed: bool
    leaf: Literal["open", "closed", "unknown"] | None
    activation: bool | None
    strike: bool | None
    hold_open: bool | None
    fire: bool | None
    service_until_ms: Ms | None
    bolt: bool | None
    operator_fault: bool | None
    last_request: RequestShown | None
    last_refusal: RequestShown | None
    last_opened_ms: Ms | None
    press_to_open_ms: Ms | None
    last_result: ResultShown | None
    can_open: CanOpenByShown
    counters: DoorCountersShown
    alarms: Sequence[str]


# --- points -------------------------------------------------------------------------------


class QuantityShown(TypedDict):
    """In the unit that its name ends in. ``reason``: why there is no value."""

    value: float | None
    at_ms: Ms
    reason: str


class PointShown(TypedDict):
    """``raw``: what the terminal says now; ``active``: once it has settled. ``faults``: kinds of
    alarms. ``exported``, of a contact that tells about a person: it may be shown outside."""

    kind: Literal["contact", "relay", "meter"]
    active: bool | None
    raw: bool | None
    since_ms: Ms
    reason: str
    faults: Sequence[str]
    changes: int
    quantities: Mapping[str, QuantityShown]
    exported: NotRequired[bool]


# --- rooms --------------------------------------------------------------------------------


class MessageShown(TypedDict):
    """A message. ``channel``: which of the receiver's, from 0; ``medium``: such as ``mail``;
    empty where it is not known (yet)."""

    delivery: str
    receiver: str
    channel: int
    kind: str
    result: Result
    reason: str
    at_ms: Ms | None
    at_utc_ms: UtcMs | None
    medium: str


class AlarmMessageShown(MessageShown):
    """A message and the id of the alarm that it is about."""

    about: str


class CallShown(TypedDict):
    """The call of a room. ``points``: the cords that were pulled; ``attend_by_ms``: it is raised
    again then, if nobody has come. ``attends``: the name of who goes, where that is another than
    who acknowledged it; ``seen_by``: who has seen it since it was last raised, and does not go."""

    id: str | None
    state: CallState
    test: bool
    since_ms: Ms | None
    raised_ms: Ms | None
    raised_utc_ms: UtcMs | None
    cause: str
    points: Sequence[str]
    pulls: int
    acknowledged_by: str | None
    acknowledged_ms: Ms | None
    attends: str | None
    seen_by: str | None
    seen_ms: Ms | None
    attended_ms: Ms | None
    attend_by_ms: Ms | None
    messages: Sequence[MessageShown]
    next_message_ms: Ms | None


class PastCallShown(TypedDict):
    """A call that is over. Times from the first pull on; ``None``: it never was."""

    id: str
    raised_utc_ms: UtcMs | None
    acknowledged_after_ms: Ms | None
    attended_after_ms: Ms | None
    cancelled_after_ms: Ms | None
    test: bool


class CallCountersShown(TypedDict):
    """Since commissioning."""

    calls: int
    tests: int


class CordsShown(TypedDict):
    """What a room shows of its call system beside the call itself. ``cords``: by point."""

    test_until_ms: Ms | None
    test_by: str | None
    cords: Mapping[str, Cord]
    last_calls: Sequence[PastCallShown]
    counters: CallCountersShown


class LampsShown(TypedDict):
    """What a room shows of a call."""

    reassurance: bool | None
    lamp: Literal["flashing", "off"] | None
    sounder: bool | None
    unlock: bool | None


class LeakShown(TypedDict):
    """``latched``: it was wet, and nobody has looked and reset it."""

    wet: bool | None
    latched: bool
    valve_closed: bool | None


class ClimateShown(TypedDict):
    """°C and % relative humidity; ``None``: no value."""

    point: str
    temperature_c: float | None
    humidity_percent: float | None
    dew_point_c: float | None
    at_ms: Ms | None
    fan: bool | None


class RoomShown(CordsShown):
    """A room. ``call``: ``None`` where nobody can call. ``exported``: whether occupancy may be
    shown outside. ``alarms``: ids."""

    name: str
    call: CallShown | None
    lamps: LampsShown
    occupancy: Belief | None
    occupancy_since_ms: Ms | None
    exported: bool
    leak: LeakShown | None
    climate: ClimateShown | None
    alarms: Sequence[str]


# --- the building -------------------------------------------------------------------------


class AlarmShown(TypedDict):
    """``id`` is ``subject/kind``. ``count``: how often since it was first raised."""

    id: str
    subject: str
    kind: str
    severity: Severity
    state: AlarmState
    raised_ms: Ms | None
    raised_utc_ms: UtcMs | None
    count: int
    acknowledged_by: str | None
    shelved_until_ms: Ms | None
    detail: str


class FireShown(TypedDict):
    """Over all fire contacts; ``None``: one cannot be read, and none speaks."""

    active: bool | None


class WayShown(TypedDict):
    """One channel of a receiver. ``ok``: whether the newest message was handed over, ``None``
    where none was tried; ``reason``: why not. ``under_way``: one is being handed over now;
    ``confirmed``: whoever got the last test by hand has said so."""

    ok: bool | None
    reason: str
    at_utc_ms: UtcMs | None
    delivered_utc_ms: UtcMs | None
    under_way: bool
    confirmed: bool


class ReceiverShown(TypedDict):
    """Somebody who gets messages. ``ways``: in the order of their channels."""

    on_duty: bool | None
    ways: Sequence[WayShown]


class EverythingShown(TypedDict):
    """A building without what the gateway says of itself. ``utc_offset_ms``: UTC minus monotonic;
    ``clock_settles_in_ms``: how much uptime is missing; ``messages``: the last ones about
    alarms."""

    now_ms: Ms
    utc_offset_ms: int | None
    clock_trusted: bool
    clock_since_ms: Ms
    clock_settled: bool
    clock_doubt: Doubt
    clock_settles_in_ms: Ms | None
    clock_mark_utc_ms: UtcMs | None
    uptime_ms: Ms
    doors: Mapping[str, DoorShown]
    points: Mapping[str, PointShown]
    alarms: Sequence[AlarmShown]
    fire: FireShown | None
    rooms: Mapping[str, RoomShown]
    receivers: Mapping[str, ReceiverShown]
    messages: Sequence[AlarmMessageShown]


class GatewayIdShown(TypedDict):
    """What the core knows of the gateway."""

    id: str


class BuildingShown(EverythingShown):
    """What the core shows of a building; ``control`` adds to it, see
    ``gateway/panel/snapshot_types.py``."""

    gateway: GatewayIdShown
