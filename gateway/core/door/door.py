"""The door. Theory of operation.

A door operator is a box that opens a leaf when a contact closes, keeps its own safety
sensors, and closes again by itself. Portier closes that contact and then looks whether the
leaf did what was asked. *It may ask, never guard*: nothing here is needed for the door to
be safe, so where anything is doubtful the door does less, and says so.

One door is a few small parts, each with its own file, and this file that puts them together:

* ``rules``: who may ask in which mode. A table.
* ``opening``: the giving side. Strike, activation and hold-open relay, one phase.
* ``leaf``: the seeing side. What the reed contact tells, against what was asked.
* ``indicator``: the lamp or tone that answers the person who pressed.
* ``counters``: what maintenance wants to count, from the facts that the door gives.

The parts know nothing of each other. They meet in ``_Turn.settle``, after the deadlines and after
the event of a turn, where the door asks three questions anew instead of remembering to act:

1. *May anything be activated at all?* Mode *off*, and fire where the door has to close,
   cut whatever runs. *Shall the door be held?* By fire, by the mode, or no longer.
2. *What do the relays do now?* The leaf is told, and starts or stops its clocks.
3. *Is it all over?* Then the strike locks after its tail.

So no path through the code can forget to switch off: fire, a change of mode or a lost
contact only change a field, and the levels of the relays follow from the fields. Effects
are the difference of those levels before and after the turn.

**Who wins.** Fire beats mode, and mode beats requests. Fire and mode may cut a running pulse
short. Fire alone may prolong a pulse: a door that fire opens has its activation on until the fire
alarm ends. A fire contact that is unknown keeps its last known level.

**Requests.** Each becomes one fact with its outcome, and each command gets one reply:

* *accepted*: an opening begins;
* *merged*: an opening is under way and serves this request as well;
* *extended*: the leaf is open. The operator times its own hold-open, so it gets one more pulse
  after the rest; a maintained activation stays on longer. A *toggle* drive would close on a pulse
  and gets none; nor does a door that is held open;
* *refused*, with a key of ``reasons``.

The answer describes what the relays do. A relay that its time limit keeps off refuses the request;
a strike or a maintained activation that its limit has switched off is driven anew. A faulty relay
is tried all the same, a mode is accepted while fire or an interlock keeps it from acting, and a
request may join one that waits: these answers carry the reason.

Where another door of an interlock is open, a request waits (``Door.waits``) for
:class:`Interlocked`, and is judged again by the table when its turn comes: its mode may
have changed meanwhile. The waiting request is answered once, at the end of the wait; a request that
joins it meanwhile is answered at once (*merged*).

**Conditions** (``Door.conditions``) are what needs a person *now*; ``building`` turns their
changes into alarms. Most end with their cause. Two are moments, and end only on proof:
``did_not_open`` until the leaf opens because it was asked to
(a later opening by hand proves nothing about the drive); ``forced`` until the leaf is seen
closed (from then on the door is locked again, and the alarm stays listed until somebody has
seen it). An unknown level neither raises nor clears a condition.

**Time.** Every deadline is a field, ``wake_at`` is the least of them. Inputs carry the time of
their edge (``now``). Outputs switch in the present (``present_ms``): a turn that comes late ends a
pulse late by just as much, and no pulse that it begins is shorter for it.
"""

from __future__ import annotations

from typing import Final, assert_never

from gateway.core.door import counters, indicator, leaf, opening, rules
from gateway.core.door.counters import Counters
from gateway.core.door.events import (
    BoltSeen,
    DoorEvent,
    FireSeen,
    Interlocked,
    LeafSeen,
    ModeChanged,
    OperatorFaultSeen,
    PresenceSeen,
    RelayFailed,
    RelayLimited,
    RelayTested,
    Requested,
    ServiceSet,
)
from gateway.core.door.indicator import Pattern
from gateway.core.door.leaf import Condition, Leaf
from gateway.core.door.opening import Opening
from gateway.core.door.state import (
    CanOpen,
    Door,
    Waiting,
    can_open,
    cannot_hold,
    delayed,
    forbidden,
    relays,
    strike_locked,
    unsure,
)
from gateway.core.effects import Drive, Effect, Reply, Status
from gateway.core.facts import Fact, Json
from gateway.core.instant import Ms, earliest
from gateway.core.machine import Step, replace
from gateway.core.plan import DoorPlan

__all__ = [
    "BoltSeen",
    "CanOpen",
    "Door",
    "DoorEvent",
    "FireSeen",
    "Interlocked",
    "LeafSeen",
    "ModeChanged",
    "OperatorFaultSeen",
    "PresenceSeen",
    "RelayFailed",
    "RelayLimited",
    "RelayTested",
    "Requested",
    "ServiceSet",
    "can_open",
    "cannot_hold",
    "start",
    "step",
    "wake_at",
]

FRESH_MS: Final[Ms] = 2_000
"""A press that is older than this when it is judged is stale: its person may have left."""

SERVICE_LIMIT_MS: Final[Ms] = 8 * 3_600_000
"""Service mode mutes alarms, so it may not be forgotten for longer than a working day."""


def start(plan: DoorPlan, now: Ms, counted: Counters | None = None) -> Step[Door]:
    """Every relay off, everything unknown. ``counted``: the counters from before the restart.

    The mode is the safe one where a schedule exists, until :class:`ModeChanged` says more;
    nothing is switched on before the first event, so a start alone never moves a door."""
    mode = plan.safe_mode if plan.schedule else plan.mode
    door = Door(
        plan,
        mode,
        "safe" if plan.schedule else "schedule",
        now,
        counters=Counters() if counted is None else counted,
    )
    return Step(door, effects=tuple(Drive(point, on=False) for point, _ in relays(door)))


def step(door: Door, event: DoorEvent | None, now: Ms, present_ms: Ms | None = None) -> Step[Door]:
    """One turn: first whatever is due, then the event. ``now``: the instant of what is processed;
    ``present_ms``: the present, where the loop comes later than that (``None``: it is the same)."""
    turn = _Turn(door, now, now if present_ms is None else present_ms)
    if _due(wake_at(door), now):
        turn.pass_time()
        turn.settle()
    elif event is None:
        return Step(door)
    if event is not None:
        turn.take(event)
        turn.settle()
    return turn.end()


def wake_at(door: Door) -> Ms | None:
    """The earliest deadline of all parts."""
    return earliest(
        opening.wake_at(door.opening),
        leaf.wake_at(door.leaf),
        indicator.wake_at(door.indicator),
        None if door.waiting is None else door.waiting.until_ms,
        door.service_until_ms,
    )


class _Turn:
    """The scratch pad of one step: the door as it becomes, and what is said on the way."""

    def __init__(self, door: Door, now: Ms, present_ms: Ms) -> None:
        self.before = door
        self.door = door
        self.plan: Final = door.plan
        self.now: Final = now
        self.present_ms: Final = present_ms
        self.facts: list[Fact] = []
        self.replies: list[Reply] = []

    def pass_time(self) -> None:
        """Process every deadline that is due."""
        door, plan, now = self.door, self.plan, self.now
        self._set_opening(opening.pass_time(door.opening, plan, self.present_ms))
        self._set_leaf_and_facts(leaf.pass_time(door.leaf, plan, now))
        if _due(indicator.wake_at(door.indicator), now):
            self.door = replace(self.door, indicator=indicator.pass_time(door.indicator, now))
        if door.waiting is not None and door.waiting.until_ms <= now:
            self.door = replace(self.door, waiting=None)
            self._answer(door.waiting.request, "refused", "interlock")
        if _due(door.service_until_ms, now):
            self.door = replace(self.door, service_until_ms=None)
            self._add_fact("door_service", active=False, for_ms=None, by=None, command=None)

    def take(self, event: DoorEvent) -> None:
        """Take note of an event. What follows from it for the relays is left to ``settle``."""
        door = self.door
        match event:
            case Requested():
                self._requested(event)
            case LeafSeen(open=is_open, edge_ms=edge_ms):
                locked = _locked(door)
                seen = leaf.see(door.leaf, self.plan, is_open, edge_ms=edge_ms, locked=locked)
                self._set_leaf_and_facts(seen)
            case BoltSeen(locked=locked_now):
                self._set_leaf(replace(door.leaf, bolt=locked_now))
            case PresenceSeen(active=active):
                self._set_leaf(leaf.see_presence(door.leaf, self.plan, self.now, active))
            case OperatorFaultSeen(active=active):
                fault = door.fault if active is None else active
                self.door = replace(door, operator_fault=active, fault=fault)
            case FireSeen(active=active):
                self.door = replace(door, fire=door.fire if active is None else active)
            case ModeChanged():
                self._mode(event)
            case ServiceSet():
                self._service(event)
            case RelayFailed() | RelayLimited() | RelayTested():
                self._relay(event)
            case Interlocked(free=free, wait_ms=wait_ms):
                self.door = replace(door, free=free, wait_ms=wait_ms)
            case _:
                assert_never(event)

    def settle(self) -> None:
        """Make the parts agree again, whatever has changed."""
        self._cut_or_hold()
        self._pulse_toggle_for_fire()
        self._miss_held_leaf()
        self._judge_waiting()
        door, plan, now = self.door, self.plan, self.now
        kept = opening.kept_open(door.opening, plan, door.limited)
        driven = opening.driven(door.opening, plan, door.limited)
        self._set_leaf_and_facts(leaf.drive(door.leaf, plan, now, driven=driven, kept=kept))
        away = self.door.leaf.opened is not None or self.door.leaf.attempt is not None
        self._set_opening(opening.secure(self.door.opening, plan, self.present_ms, leaf_away=away))
        self._set_leaf(leaf.watch_bolt(self.door.leaf, plan, now, locked=_locked(self.door)))

    def end(self) -> Step[Door]:
        """Count the facts, and name the relays whose level is another than before."""
        before, facts = self.before, tuple(self.facts)
        if _proof_missing(self.door) and not _proof_missing(before):
            self._show("fault")
        if self.door is before and not facts:
            return Step(before)
        conditions = _conditions(self.door)
        after = replace(
            self.door,
            since_ms=before.since_ms if self.door.state == before.state else self.now,
            counters=counters.count(self.door.counters, facts),
            conditions=before.conditions if conditions == before.conditions else conditions,
        )
        return Step(after, facts, (*_drives(before, after), *self.replies))

    # --- requests

    def _requested(self, request: Requested) -> None:
        reason = _too_late(request, self.now) or _forbidden(self.door, request)
        if reason:
            self._answer(request, "refused", reason)
        else:
            self._serve(request)

    def _serve(self, request: Requested) -> None:
        """Serve a permitted request: the door is open already, opens now, or waits for the
        interlock."""
        door = self.door
        if door.opening.held != "no" and door.leaf.opened is not None and not door.stopped:
            self._set_opening(opening.free(door.opening, self.plan, self.present_ms))
            self._answer(request, "extended", "already_open")
        elif door.free or door.busy:
            self._open(request)
        elif door.waiting is not None:
            hold_ms = max(door.waiting.request.hold_open_ms or 0, request.hold_open_ms or 0)
            first = replace(door.waiting.request, hold_open_ms=hold_ms)
            self.door = replace(door, waiting=replace(door.waiting, request=first))
            self._answer(request, "merged", "interlock")
        elif door.wait_ms > 0:
            until_ms = self.now + door.wait_ms
            if request.expires_ms is not None:  # nothing that is void may move a relay
                until_ms = min(until_ms, request.expires_ms)
            self.door = replace(door, waiting=Waiting(request, until_ms))
        else:
            self._answer(request, "refused", "interlock")

    def _judge_waiting(self) -> None:
        """The request that waits for the interlock: forbidden meanwhile, served, or waiting on."""
        waiting = self.door.waiting
        if waiting is None:
            return
        reason = _forbidden(self.door, waiting.request)
        if reason or self.door.free or self.door.busy:
            self.door = replace(self.door, waiting=None)
            if reason:
                self._answer(waiting.request, "refused", reason)
            else:
                self._serve(waiting.request)

    def _open(self, request: Requested) -> None:
        """Bring the leaf open, or keep it open, by the least that does it."""
        plan, now = self.plan, self.now
        if plan.activation in self.door.limited:
            self._set_opening(opening.renew(self.door.opening, plan, self.present_ms))
        door = self.door
        outcome, drive = _answer_for(door)
        serve = opening.ask if drive else opening.lengthen
        given = serve(door.opening, plan, self.present_ms, request.hold_open_ms or 0)
        self._set_opening(opening.free(given, plan, self.present_ms))
        if drive and door.leaf.opened is None:
            pressed_ms, command = request.pressed_ms, request.command
            self._set_leaf(leaf.asked(door.leaf, "request", now, pressed_ms, command))
        self._answer(request, outcome, unsure(door))

    def _answer(self, request: Requested, outcome: Status, reason: str = "") -> None:
        """One fact, one reply to a command, one pattern for the person who pressed."""
        data: dict[str, Json] = {
            "outcome": outcome,
            "reason": reason or None,
            "activator": request.activator,
            "activator_kind": request.kind,
            "side": request.side,
            "by": request.by,
            "via": request.via,
            "command": request.command,
            "note": request.note or None,
        }
        self.facts.append(Fact("door_request", self.plan.id, request.pressed_ms, data))
        self._reply(request.command, outcome, reason)
        if request.kind != "staff":  # staff look at the page, not at the lamp
            self._show("refused" if outcome == "refused" else "accepted")

    # --- fire and modes

    def _cut_or_hold(self) -> None:
        door, plan, now = self.door, self.plan, self.present_ms
        if door.barred:
            self._set_opening(opening.cut(door.opening, plan, now))
            self._withdraw("request", "hold_open", "fire")
            return
        held = door.holds
        if held == door.opening.held:
            return
        self._set_opening(opening.hold(door.opening, plan, now, held))
        if held == "no":
            self._withdraw("hold_open", "fire")
        elif door.leaf.opened is None:
            self._ask_for_hold()

    def _withdraw(self, *causes: leaf.Cause) -> None:
        """Nobody waits for the leaf any more, where it was asked for one of these causes."""
        attempt = self.door.leaf.attempt
        if attempt is not None and attempt.cause in causes:
            self._set_leaf(leaf.unanswered(self.door.leaf, self.now))

    def _pulse_toggle_for_fire(self) -> None:
        """A toggle drive does not understand a level that stays. Under fire it is brought open
        by a pulse, and by another whenever it is then *seen* closed: never on a guess."""
        door, plan, before = self.door, self.plan, self.before
        begins = before.opening.held != "fire" and before.leaf.attempt is None
        shut = door.leaf.seen is False and door.leaf.attempt is None
        if not opening.pulsed_for_fire(door.opening, plan) or door.leaf.opened is not None:
            return
        if begins or shut:
            self._set_opening(opening.ask(door.opening, plan, self.present_ms, 0))
            self._set_leaf(leaf.asked(door.leaf, "fire", self.now))

    def _miss_held_leaf(self) -> None:
        """A leaf that is held open and yet closes was closed by somebody, or the hold does not
        work: it is expected back in the time that an opening takes."""
        door = self.door
        lost = door.leaf.seen is False and door.leaf.attempt is None and not _proof_missing(door)
        if lost and door.opening.held != "no" and not door.stopped:
            self._ask_for_hold()

    def _ask_for_hold(self) -> None:
        cause: leaf.Wish = "fire" if self.door.opening.held == "fire" else "hold_open"
        self._set_leaf(leaf.asked(self.door.leaf, cause, self.now))

    def _mode(self, event: ModeChanged) -> None:
        door = self.door
        if not rules.takes(self.plan, event.mode):
            self._refuse_command(event, "set_mode", "not_wired")
            return
        now_rules = (event.mode, event.source, event.until_utc_ms)
        if event.command or (door.mode, door.mode_source, door.mode_until_utc_ms) != now_rules:
            self._add_fact(
                "door_mode",
                mode=event.mode,
                source=event.source,
                until_utc_ms=event.until_utc_ms,
                by=event.by,
                command=event.command,
            )
        self.door = replace(
            door,
            mode=event.mode,
            mode_source=event.source,
            mode_until_utc_ms=event.until_utc_ms,
            mode_by=event.by,
        )
        self._reply(event.command, "accepted", delayed(self.door))

    def _service(self, event: ServiceSet) -> None:
        if event.for_ms > SERVICE_LIMIT_MS:
            self._refuse_command(event, "set_service", "limit")
            return
        for_ms = event.for_ms if event.for_ms > 0 else None
        until_ms = None if for_ms is None else self.now + for_ms
        self.door = replace(self.door, service_until_ms=until_ms)
        active = for_ms is not None
        by, command = event.by, event.command
        self._add_fact("door_service", active=active, for_ms=for_ms, by=by, command=command)
        self._reply(event.command, "accepted")

    def _relay(self, event: RelayFailed | RelayLimited | RelayTested) -> None:
        door = self.door
        if isinstance(event, RelayTested):
            tested = leaf.relay_tested(door.leaf, self.plan, self.now, event.for_ms, event.by)
            self._set_leaf(tested)
            return
        if event.point not in (self.plan.strike, self.plan.hold_open, self.plan.activation):
            return
        if isinstance(event, RelayLimited):
            limited = _with_or_without(door.limited, event.point, event.limited)
            self.door = replace(door, limited=limited)
            if event.limited:
                now = self.present_ms
                self._set_opening(opening.limited(door.opening, self.plan, event.point, now))
            return
        faulty = _with_or_without(door.faulty, event.point, bool(event.reason))
        self.door = replace(door, faulty=faulty)
        if event.point != self.plan.activation:
            return
        if event.reason:
            self._set_leaf_and_facts(leaf.failed(self.door.leaf, self.plan, self.now, event.reason))
        else:
            self._set_leaf(leaf.works_again(self.door.leaf))

    # --- the state and the facts of this turn

    def _set_opening(self, given: Opening) -> None:
        if given is not self.door.opening:
            self.door = replace(self.door, opening=given)

    def _set_leaf(self, known: Leaf) -> None:
        if known is not self.door.leaf:
            self.door = replace(self.door, leaf=known)

    def _set_leaf_and_facts(self, seen: Step[Leaf]) -> None:
        self._set_leaf(seen.state)
        self.facts.extend(seen.facts)

    def _add_fact(self, kind: str, **data: Json) -> None:
        self.facts.append(Fact(kind, self.plan.id, self.now, data))

    def _reply(self, command: str | None, status: Status, reason: str = "") -> None:
        if command is not None:
            self.replies.append(Reply(command, status, reason))

    def _refuse_command(self, event: ModeChanged | ServiceSet, name: str, reason: str) -> None:
        by, command = event.by, event.command
        self._add_fact(
            "command_refused", reason=reason, by=by, via=None, command=command, name=name
        )
        self._reply(command, "refused", reason)

    def _show(self, pattern: Pattern) -> None:
        if self.plan.indicator is not None:
            shown = indicator.show(self.plan.indicator, pattern, self.now)
            self.door = replace(self.door, indicator=shown)


def _answer_for(door: Door) -> tuple[Status, bool]:
    """What becomes of a request that may open, and whether it takes a drive of its own."""
    given, seen, plan = door.opening, door.leaf, door.plan
    if given.phase in ("lead", "driving"):
        longer = plan.pulse_ms is None and seen.opened is not None
        return ("extended" if longer else "merged"), False
    if given.due_ms is not None:
        return "merged", False
    if seen.opened is not None:
        return "extended", not plan.toggle
    pulsed = plan.pulse_ms is not None
    lost = strike_locked(door) or plan.activation in door.limited
    resting = pulsed and given.phase == "rest" and not lost
    if seen.attempt is not None and (plan.toggle or (resting and _moves(door, seen.attempt))):
        return "merged", False
    return "accepted", True


def _moves(door: Door, attempt: leaf.Attempt) -> bool:
    """Whether the drive before this rest belongs to this attempt: a pulse for a request, or a hold
    that goes on. A hold that its limit has ended moves nothing."""
    return attempt.cause == "request" or opening.driven(door.opening, door.plan, door.limited)


def _forbidden(door: Door, request: Requested) -> str:
    return forbidden(
        door, request.kind, request.side, request.note, trusted=_trusted(door, request)
    )


def _trusted(door: Door, request: Requested) -> bool:
    return all(one.trusted for one in door.plan.activators if one.point == request.activator)


def _with_or_without(points: frozenset[str], point: str, there: bool) -> frozenset[str]:
    return points | {point} if there else points - {point}


def _locked(door: Door) -> bool:
    """Whether the leaf should stay where it is: locked by the mode, and not freed by us."""
    freed = door.opening.busy or door.opening.strike or door.fire_acts
    return door.mode in rules.LOCKED and not freed


def _too_late(request: Requested, now: Ms) -> str:
    if request.expires_ms is not None and now >= request.expires_ms:
        return "expired"
    return "stale" if now - request.pressed_ms > FRESH_MS else ""


def _drives(before: Door, after: Door) -> tuple[Effect, ...]:
    """Every relay whose level is another now."""
    if after.opening is before.opening and after.indicator is before.indicator:
        return ()
    was = dict(relays(before))
    return tuple(Drive(point, on) for point, on in relays(after) if on != was[point])


def _conditions(door: Door) -> tuple[Condition, ...]:
    fault = (Condition("operator_fault", "the operator reports it"),) if door.fault else ()
    return tuple(sorted((*door.leaf.conditions, *fault)))


def _proof_missing(door: Door) -> bool:
    return leaf.stands(door.leaf, "did_not_open")


def _due(deadline_ms: Ms | None, now: Ms) -> bool:
    return deadline_ms is not None and deadline_ms <= now
