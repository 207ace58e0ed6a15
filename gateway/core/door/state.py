"""A door as it stands: one frozen record, and what can be read off it."""

from __future__ import annotations

from dataclasses import field
from typing import Literal

from gateway.core.door import indicator, leaf, opening, rules
from gateway.core.door.counters import Counters
from gateway.core.door.events import ModeSource, Requested
from gateway.core.door.indicator import Indicator
from gateway.core.door.leaf import Condition, Leaf, Position
from gateway.core.door.opening import Held, Opening
from gateway.core.door.rules import RequestKind
from gateway.core.events import Mode
from gateway.core.instant import Ms, UtcMs
from gateway.core.plan import DoorPlan, Side
from gateway.core.values import dataclass


@dataclass(frozen=True)
class Waiting:
    """A request that waits for the interlock until ``until_ms``."""

    request: Requested
    until_ms: Ms


@dataclass(frozen=True)
class CanOpen:
    """What the page may offer: whether staff can open, why not, and whether it needs a reason."""

    ok: bool
    reason: str
    needs_reason: bool


@dataclass(frozen=True)
class Door:
    """One door as it stands. Instants are monotonic ms of this boot."""

    plan: DoorPlan
    mode: Mode
    mode_source: ModeSource
    since_ms: Ms
    """Since when ``state`` is what it is."""
    mode_until_utc_ms: UtcMs | None = None
    mode_by: str | None = None
    opening: Opening = field(default_factory=Opening)
    leaf: Leaf = field(default_factory=Leaf)
    indicator: Indicator = indicator.DARK
    counters: Counters = field(default_factory=Counters)
    fire: bool = False
    """The last known level of the fire contact: what counts."""
    operator_fault: bool | None = None
    fault: bool = False
    """The last known level of the operator's fault contact."""
    conditions: tuple[Condition, ...] = ()
    """What needs a person now, ordered by kind; the same tuple while nothing changes."""
    free: bool = True
    wait_ms: Ms = 0
    waiting: Waiting | None = None
    service_until_ms: Ms | None = None
    faulty: frozenset[str] = frozenset()
    """Relays of this door that cannot be switched."""
    limited: frozenset[str] = frozenset()
    """Relays that their time limit keeps off until they are let go of."""

    @property
    def state(self) -> Position:
        """What the leaf does, as far as anybody can say."""
        return leaf.position(self.leaf, self.plan)

    @property
    def assumed(self) -> bool:
        """Whether ``state`` is only assumed, because no contact tells."""
        opened = self.leaf.opened
        return self.plan.leaf is None or (opened is not None and opened.assumed)

    @property
    def leaf_seen(self) -> Literal["open", "closed", "unknown"] | None:
        """What the leaf contact tells; ``None``: there is none."""
        if self.plan.leaf is None:
            return None
        if self.leaf.seen is None:
            return "unknown"
        return "open" if self.leaf.seen else "closed"

    @property
    def activation(self) -> bool:
        return self.opening.driving

    @property
    def strike(self) -> bool | None:
        """Whether the strike is released; ``None``: there is none."""
        return None if self.plan.strike is None else self.opening.strike

    @property
    def hold_open(self) -> bool | None:
        """Whether the hold-open relay is on; ``None``: there is none."""
        return None if self.plan.hold_open is None else opening.hold_relay(self.opening, self.plan)

    @property
    def busy(self) -> bool:
        """Open, about to open, or assumed so: no other door of an interlock may open."""
        away = self.leaf.opened is not None or self.leaf.attempt is not None
        return away or (self.opening.busy and not self.stopped)

    @property
    def stopped(self) -> bool:
        """Shall be held open, and a time limit keeps off all that would do it."""
        wanted = {point for point, on in opening.relays(self.opening, self.plan) if on}
        wanted.discard(self.plan.strike or "")
        kept_off = bool(wanted) and wanted <= self.limited
        return self.opening.spent or (self.opening.held != "no" and kept_off)

    @property
    def waits(self) -> bool:
        """Wants to open and may not before another door of the interlock is closed."""
        held = self._mode_holds and not self.stopped
        return self.waiting is not None or (held and not self.busy)

    @property
    def fire_acts(self) -> Literal["open", "close"] | None:
        """What the fire alarm makes of this door at present."""
        if self.plan.fire is None or self.plan.fire.action == "ignore" or not self.fire:
            return None
        return self.plan.fire.action

    @property
    def barred(self) -> bool:
        """Nothing may be activated."""
        return self.fire_acts == "close" or (self.mode == "off" and self.fire_acts is None)

    @property
    def holds(self) -> Held:
        """Whether the door shall be held open at present, and what for."""
        if self.fire_acts == "open":
            return "fire"
        return "mode" if self._mode_holds and (self.free or self.opening.held != "no") else "no"

    @property
    def _mode_holds(self) -> bool:
        held = self.mode == "hold_open" and self.fire_acts is None
        return held and rules.can_hold(self.plan)


def can_open(door: Door) -> CanOpen:
    """Whether a request of staff would be heard now."""
    reason = forbidden(door, "staff", None, "asked by the page")
    if not reason and not door.free and door.wait_ms == 0 and not door.busy:
        reason = "interlock"
    return CanOpen(not reason, reason, door.mode == "night")


def forbidden(
    door: Door, kind: RequestKind, side: Side | None, note: str, *, trusted: bool = True
) -> str:
    """Why the door does not open for this request at present, or an empty text."""
    if door.fire_acts == "close":
        return "fire"
    reason = ""
    if door.fire_acts is None:
        reason = rules.refusal(door.plan, door.mode, kind, side, note, trusted=trusted)
    if reason or door.fire_acts == "open":  # a request under fire takes the relays anew
        return reason
    return "" if door.limited.isdisjoint(_takes(door)) else "relay_limit"


def unsure(door: Door) -> str:
    """Why an opening that is tried may move nothing; empty where nothing speaks against it."""
    return "" if door.faulty.isdisjoint(_takes(door)) else "relay_fault"


def delayed(door: Door) -> str:
    """Why the mode that was set moves nothing now; empty where it acts at once."""
    if door.fire_acts is not None:
        return "fire"
    if door.mode != "hold_open" or not rules.can_hold(door.plan):
        return ""
    if cannot_hold(door):
        return "relay_limit"
    if not door.free and door.opening.held == "no":
        return "interlock"
    return "relay_fault" if opening.holder(door.plan) in door.faulty else ""


def cannot_hold(door: Door) -> bool:
    """Whether a time limit keeps the door from being held open until its mode is another one."""
    return door.opening.spent or opening.holder(door.plan) in door.limited


def strike_locked(door: Door) -> bool:
    """Whether there is a strike and it is locked, as after its time limit: even behind a leaf that
    is seen open, because a contact may be wrong."""
    return door.plan.strike is not None and not door.opening.strike


def _takes(door: Door) -> tuple[str, ...]:
    """The relays that an opening takes: an open leaf needs the strike only if the strike is
    locked."""
    strike = door.plan.strike if door.leaf.opened is None or strike_locked(door) else None
    return tuple(point for point in (strike, door.plan.activation) if point is not None)


def relays(door: Door) -> tuple[tuple[str, bool], ...]:
    """The level of every relay of this door."""
    levels = opening.relays(door.opening, door.plan)
    if door.plan.indicator is None:
        return levels
    return (*levels, (door.plan.indicator.point, door.indicator.on))
