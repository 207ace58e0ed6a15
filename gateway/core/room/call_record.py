"""The emergency call of a room as it stands: frozen records, and what can be read off them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Literal

from gateway.core.instant import NEVER, At, ClockKnown, Ms, clamped
from gateway.core.machine import Conditions, replace
from gateway.core.plan import LinePlan, RoomPlan
from gateway.core.values import dataclass

CallState = Literal["quiet", "raised", "acknowledged", "attended"]
Cord = Literal["normal", "pulled", "cut", "short", "unknown"]


# --- what a call is told ------------------------------------------------------------------


@dataclass(frozen=True)
class CordSeen:
    """The settled level of a cord, or what its supervised line says, from ``at_ms``."""

    point: str
    cord: Cord
    at_ms: Ms


@dataclass(frozen=True)
class CancelPressed:
    """Somebody presses the button in the room that ends a call. Nothing else ends one."""

    point: str
    at_ms: Ms


@dataclass(frozen=True)
class PresencePressed:
    """Somebody of the staff stands in the room and says so."""

    point: str
    at_ms: Ms


@dataclass(frozen=True)
class Acknowledged:
    """Somebody goes to the call. ``attends``: the name of who goes; empty: who says so."""

    by: str
    via: str
    command: str
    attends: str = ""


@dataclass(frozen=True)
class CallSeen:
    """Somebody has seen the call and says nothing of going there."""

    by: str
    via: str
    command: str


@dataclass(frozen=True)
class TestSet:
    """Test mode for ``for_ms`` from now; 0 ends it."""

    __test__ = False  # not a test class, whatever its name says to pytest

    for_ms: Ms
    by: str
    command: str


@dataclass(frozen=True)
class Restored:
    """The call as it was kept before the restart."""

    was: Call


CallEvent = (
    CordSeen
    | CancelPressed
    | PresencePressed
    | Acknowledged
    | CallSeen
    | TestSet
    | ClockKnown
    | Restored
)


# --- how it stands ------------------------------------------------------------------------


@dataclass(frozen=True)
class Record:
    """One call, from its first pull until it is cancelled. ``cause`` and ``since`` are of the
    last time that it was raised or changed its state."""

    id: str
    state: CallState
    cause: str
    since: At
    raised: At
    was: str | None = None
    """The name that it had before what was kept could be read."""
    test: bool = False
    points: tuple[str, ...] = ()
    """The cords that were pulled."""
    pulls: int = 1
    pulled_ms: Ms | None = None
    """The edge of the last pull; ``None``: in another boot."""
    found: bool = False
    """Nothing but cords that were found pulled at start."""
    told_ms: Ms = 0
    """When ``call_raised`` was told last."""
    acknowledged: At = NEVER
    acknowledged_by: str | None = None
    attends: str | None = None
    """The name of who goes, where that is another than who acknowledged it."""
    seen: At = NEVER
    seen_by: str | None = None
    """Who has seen it, since it was last raised, and does not go."""
    attended: At = NEVER
    attend_by: At = NEVER
    """An acknowledged call that nobody attends until then is raised again. What another boot says
    in civil time comes before ``ms`` as soon as the clock is known."""
    acknowledged_after_ms: Ms | None = None
    attended_after_ms: Ms | None = None
    cancelled_after_ms: Ms | None = None
    """Response times from the first pull; the first of each sort counts."""

    def after(self, at_ms: Ms) -> Ms | None:
        """The time from the first pull; ``None`` where the clock did not know it."""
        return None if self.raised.ms is None else at_ms - self.raised.ms

    def placed(self, offset_ms: int, now: Ms, attend_within_ms: Ms) -> Record:
        """The same with what follows from the clock. The deadline of another boot is at most
        ``attend_within_ms`` away."""
        attend_by = self.attend_by
        if attend_by.utc_ms is not None:
            attend_by = At(clamped(attend_by.utc_ms - offset_ms, now, attend_within_ms))
        return replace(
            self,
            since=self.since.placed(offset_ms, now),
            raised=self.raised.placed(offset_ms, now),
            acknowledged=self.acknowledged.placed(offset_ms, now),
            seen=self.seen.placed(offset_ms, now),
            attended=self.attended.placed(offset_ms, now),
            attend_by=attend_by,
        )


@dataclass(frozen=True)
class Call:
    """The call of one room. Instants are monotonic ms of this boot."""

    plan: RoomPlan
    record: Record | None = None
    """The call that stands; ``None``: quiet."""
    number: int | None = None
    """Of the last call; ``None`` until what was kept has been read."""
    cords: Mapping[str, Cord] = field(default_factory=dict)
    """What each cord was last seen to be; one that is missing was not seen since start."""
    pulled: frozenset[str] = frozenset()
    """The cords that were pulled when last known."""
    stuck: frozenset[str] = frozenset()
    """The cords that were still pulled when their call was cancelled."""
    cancelled: str | None = None
    """``cancel`` was pressed here before it was known what had been kept."""
    test_from_ms: Ms | None = None
    test_until_ms: Ms | None = None
    test_by: str | None = None
    test_ended: At = NEVER
    """When the last test mode ended."""
    quiet_ms: Ms = 0
    """Since when nobody calls, while nobody does."""
    lit: bool = False
    """The room lamp is in the bright half of its flashing."""
    blink_at_ms: Ms | None = None
    last: tuple[Record, ...] = ()
    """The last calls that were cancelled, oldest first."""
    calls: int = 0
    tests: int = 0
    """Since commissioning."""

    @property
    def state(self) -> CallState:
        return "quiet" if self.record is None else self.record.state

    @property
    def last_number(self) -> int:
        """Of the last call; 0: none, or what was kept has not been read yet."""
        return self.number or 0

    def cord(self, point: str) -> Cord:
        """What is known of a cord at present."""
        return self.cords.get(point, "unknown")


def points_of(plan: RoomPlan) -> tuple[str, ...]:
    """Every cord of a room, on a contact or on a supervised line."""
    return (*plan.cords, *(line.point for line in plan.lines))


def classified(plan: LinePlan, ohm: float | None) -> Cord:
    """What the resistance of a supervised line means."""
    if ohm is None:
        return "unknown"
    if ohm < plan.short_below_ohm:
        return "short"
    if ohm > plan.cut_above_ohm:
        return "cut"
    return "pulled" if plan.pulled_from_ohm <= ohm <= plan.pulled_to_ohm else "normal"


def troubles(call: Call, point: str) -> Conditions:
    """What is wrong with a cord, as far as it is seen now."""
    match call.cord(point):
        case "cut":
            return (("line_cut", ""),)
        case "short":
            return (("line_short", ""),)
        case "pulled" if point in call.stuck:
            return (("cord_stuck", ""),)
        case _:
            return ()


def outputs(call: Call) -> dict[str, bool]:
    """The level of every relay that the call drives; a lamp that flashes is on."""
    plan, stands = call.plan, call.record is not None
    levels = (
        (plan.reassurance, stands),
        (plan.lamp, stands),
        (plan.sounder, call.state == "raised"),
        (plan.unlock, stands),
    )
    return {point: on for point, on in levels if point is not None}
