"""The giving side of a door: when its relays are on.

Three relays at most. The *activation* is what the door operator takes for a button; the
*strike* frees the latch and must be free before the leaf is pushed; *hold_open* keeps the
leaf open for as long as it is on. One phase says where an opening stands::

    idle -> lead (strike freed, activation waits) -> driving (activation on) -> rest -> idle

``relays`` derives every level from the state, and the door turns *changes* of them into
effects: a relay cannot be left on by a forgotten "off", nor by a second pulse during the
first, because there is no "off" to forget. The end of each phase is a deadline; whoever
comes late ends it late but never starts it again.

Two wishes meet here. A request wants the door open once (``due_ms``: for how long, beyond
a pulse); ``held`` wants it open until further notice, for the mode *hold_open* or for fire.
"""

from __future__ import annotations

from typing import Literal

from gateway.core.instant import Ms, earliest
from gateway.core.machine import replace
from gateway.core.plan import DoorPlan
from gateway.core.values import dataclass

Phase = Literal["idle", "lead", "driving", "rest"]
Held = Literal["no", "mode", "fire"]


@dataclass(frozen=True)
class Opening:
    """Where the relays stand. Instants are monotonic ms."""

    phase: Phase = "idle"
    until_ms: Ms | None = None
    """The end of the phase; ``None`` when idle, or driving for as long as the door is held."""
    due_ms: Ms | None = None
    """A drive is to follow the lead or rest, to hold open for this long (0: as a pulse does)."""
    hold_until_ms: Ms | None = None
    """The end of an activator's own hold-open time on the hold-open relay."""
    held: Held = "no"
    spent: bool = False
    """The time limit of a relay has ended this hold; the next one begins anew."""
    strike: bool = False
    lock_at_ms: Ms | None = None
    """The end of the strike's tail."""

    @property
    def driving(self) -> bool:
        """Whether the activation is on."""
        return self.phase == "driving"

    @property
    def busy(self) -> bool:
        """Whether anything is given or about to be: what must end before the strike locks."""
        held = self.held != "no" and not self.spent
        kept = held or self.hold_until_ms is not None
        return kept or self.phase in ("lead", "driving") or self.due_ms is not None


def ask(opening: Opening, plan: DoorPlan, now: Ms, hold_ms: Ms) -> Opening:
    """One drive: now where it may be, otherwise when lead or rest are over."""
    return _begin(opening, plan, now, due_ms=max(opening.due_ms or 0, _open_for(plan, hold_ms)))


def lengthen(opening: Opening, plan: DoorPlan, now: Ms, hold_ms: Ms) -> Opening:
    """Stay open for ``hold_ms`` from now, with no further drive; never shorter than before."""
    if opening.due_ms is not None:
        return replace(opening, due_ms=max(opening.due_ms, _open_for(plan, hold_ms)))
    if plan.pulse_ms is None:
        if opening.until_ms is None or not opening.driving:
            return opening
        return replace(opening, until_ms=max(opening.until_ms, now + _open_for(plan, hold_ms)))
    return _hold_relay_until(opening, plan, now + hold_ms) if hold_ms else opening


def hold(opening: Opening, plan: DoorPlan, now: Ms, held: Held) -> Opening:
    """Hold the door open until further notice, or no longer."""
    opening = replace(opening, held=held, spent=False)
    if _constant(opening, plan):
        return _drive_at_once(opening, plan, now)
    if opening.driving and opening.until_ms is None:
        opening = _rest(opening, plan, now)
    return opening if held == "no" else _begin(opening, plan, now, due_ms=opening.due_ms)


def cut(opening: Opening, plan: DoorPlan, now: Ms) -> Opening:
    """Everything off at once, and nothing due any more. The strike locks when all is quiet."""
    if not opening.busy:
        return opening
    opening = replace(opening, due_ms=None, hold_until_ms=None, held="no", spent=False)
    if opening.driving:
        return _rest(opening, plan, now)
    return replace(opening, phase="idle", until_ms=None) if opening.phase == "lead" else opening


def secure(opening: Opening, plan: DoorPlan, now: Ms, *, leaf_away: bool) -> Opening:
    """Lock the strike a tail after all is over; while the leaf is away it stays free."""
    over = opening.strike and not (leaf_away or opening.busy)
    if over == (opening.lock_at_ms is not None):
        return opening
    return replace(opening, lock_at_ms=now + plan.strike_tail_ms if over else None)


def pass_time(opening: Opening, plan: DoorPlan, now: Ms) -> Opening:
    """Process the deadlines that are due."""
    if opening.hold_until_ms is not None and opening.hold_until_ms <= now:
        opening = replace(opening, hold_until_ms=None)
    if opening.lock_at_ms is not None and opening.lock_at_ms <= now:
        opening = replace(opening, lock_at_ms=None, strike=False)
    if opening.until_ms is None or opening.until_ms > now:
        return opening
    if opening.driving:
        return _rest(opening, plan, now)
    opening = replace(opening, phase="idle", until_ms=None)
    return opening if opening.due_ms is None else _begin(opening, plan, now, opening.due_ms)


def wake_at(opening: Opening) -> Ms | None:
    """The next instant at which a relay or the phase changes by itself."""
    return earliest(opening.until_ms, opening.hold_until_ms, opening.lock_at_ms)


def limited(opening: Opening, plan: DoorPlan, point: str, now: Ms) -> Opening:
    """The time limit of a relay has switched it off. The strike or the maintained activation
    returns to off, and the next request may switch it on again: behind a leaf contact that says
    *open* for ever the door would otherwise stay shut. Fire still wants the activation until a
    request takes it (``renew``), and the mode the hold-open relay, which a request does not
    need."""
    if point == plan.strike:
        return replace(opening, strike=False, lock_at_ms=None)
    if point == plan.hold_open:
        return replace(opening, hold_until_ms=None, spent=opening.held == "mode")
    if plan.pulse_ms is not None or opening.held == "fire":
        return opening
    spent = opening.spent or (opening.held == "mode" and point == holder(plan))
    return replace(_rest(opening, plan, now), spent=spent)


def renew(opening: Opening, plan: DoorPlan, now: Ms) -> Opening:
    """Let go of an activation that fire wants and its limit keeps off: a request drives it anew."""
    return _rest(opening, plan, now)


def free(opening: Opening, plan: DoorPlan, now: Ms) -> Opening:
    """Free the strike for a request that needs no drive: its limit may have locked it behind a leaf
    that only seems to be open. What is due frees it by itself."""
    if plan.strike is None or opening.strike or opening.due_ms is not None:
        return opening
    if hold_relay(opening, plan):  # it stays on: a leaf that it does hold open must not fall shut
        return replace(opening, strike=True)
    return _begin(opening, plan, now, due_ms=None)


def holder(plan: DoorPlan) -> str:
    """The relay that holds the door open in its mode for that."""
    return plan.activation if plan.hold_open is None else plan.hold_open


def driven(opening: Opening, plan: DoorPlan, cut: frozenset[str]) -> bool:
    """Whether a relay that moves the leaf is on. ``cut``: relays that their limit keeps off."""
    return (opening.driving and plan.activation not in cut) or (
        hold_relay(opening, plan) and plan.hold_open not in cut
    )


def hold_relay(opening: Opening, plan: DoorPlan) -> bool:
    """Whether the hold-open relay is on: it waits for the strike, as the activation does."""
    wanted = opening.held != "no" or opening.hold_until_ms is not None
    return plan.hold_open is not None and wanted and opening.phase != "lead"


def kept_open(opening: Opening, plan: DoorPlan, cut: frozenset[str]) -> bool:
    """Whether we hold the leaf open, other than by a pulse that the operator makes a time of.
    ``cut``: as above."""
    if hold_relay(opening, plan) and plan.hold_open not in cut:
        return True
    lasting = plan.pulse_ms is None or opening.until_ms is None
    return opening.driving and lasting and plan.activation not in cut


def pulsed_for_fire(opening: Opening, plan: DoorPlan) -> bool:
    """Whether fire has to bring this door open by pulses, because it is a toggle drive."""
    by_pulses = plan.toggle and plan.pulse_ms is not None and plan.hold_open is None
    return opening.held == "fire" and by_pulses


def relays(opening: Opening, plan: DoorPlan) -> tuple[tuple[str, bool], ...]:
    """The level of every relay of the opening: strike first, because it must be free first."""
    levels = (
        (plan.strike, opening.strike),
        (plan.hold_open, hold_relay(opening, plan)),
        (plan.activation, opening.driving),
    )
    return tuple((point, on) for point, on in levels if point is not None)


def _begin(opening: Opening, plan: DoorPlan, now: Ms, due_ms: Ms | None) -> Opening:
    """Free the strike where it is locked, then drive if that is due: a rest is always kept. A drive
    that is on when the limit locks the strike is not broken off for a second lead."""
    if plan.strike is not None and not opening.strike:
        if opening.driving:
            return replace(opening, strike=True, due_ms=due_ms)
        ready_ms = max(now + plan.strike_lead_ms, opening.until_ms or now)
        return replace(opening, phase="lead", until_ms=ready_ms, strike=True, due_ms=due_ms)
    if opening.phase != "idle" or due_ms is None:
        return replace(opening, due_ms=due_ms)
    return _drive(opening, plan, now, due_ms)


def _drive_at_once(opening: Opening, plan: DoorPlan, now: Ms) -> Opening:
    """As ``_begin``, but a level that stays needs no rest between itself and the last pulse."""
    if opening.driving:
        return _begin(replace(opening, until_ms=None), plan, now, due_ms=opening.due_ms)
    if opening.phase == "rest":
        opening = replace(opening, phase="idle", until_ms=None)
    return _begin(opening, plan, now, due_ms=opening.due_ms or 0)


def _drive(opening: Opening, plan: DoorPlan, now: Ms, for_ms: Ms) -> Opening:
    if _constant(opening, plan):
        return replace(opening, phase="driving", until_ms=None, due_ms=None)
    until_ms = now + (for_ms if plan.pulse_ms is None else plan.pulse_ms)
    driving = replace(opening, phase="driving", until_ms=until_ms, due_ms=None)
    if plan.pulse_ms is None or not for_ms:
        return driving
    return _hold_relay_until(driving, plan, now + for_ms)


def _rest(opening: Opening, plan: DoorPlan, now: Ms) -> Opening:
    return replace(opening, phase="rest", until_ms=now + plan.rest_ms)


def _hold_relay_until(opening: Opening, plan: DoorPlan, until_ms: Ms) -> Opening:
    if plan.hold_open is None:
        return opening
    return replace(opening, hold_until_ms=max(opening.hold_until_ms or until_ms, until_ms))


def _open_for(plan: DoorPlan, hold_ms: Ms) -> Ms:
    """How long one drive is to keep the door open; a pulse adds no time of its own."""
    return max(plan.open_for_ms, hold_ms) if plan.pulse_ms is None else hold_ms


def _constant(opening: Opening, plan: DoorPlan) -> bool:
    """Whether holding means that the activation stays on.

    For fire it does, whatever the drive (that is what *open* promises), but a toggle drive
    would not understand a level: it gets pulses and looks at the leaf."""
    if opening.held == "fire":
        return plan.pulse_ms is None or not plan.toggle
    by_activation = plan.pulse_ms is None and plan.hold_open is None
    return opening.held == "mode" and by_activation and not opening.spent
