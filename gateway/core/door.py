"""The door. Theory of operation.

A door operator is a box that opens a leaf when a contact closes, keeps its own safety
sensors, and closes again by itself. Portier closes that contact and then looks whether the
leaf did what was asked. *It may ask, never guard*: nothing here is needed for the door to
be safe, so where anything is doubtful the door does less, and says so.

One door is four small parts, each with its own file, and this file that puts them together:

* ``door_rules``: who may ask in which mode. A table.
* ``opening``: the giving side. Strike, activation and hold-open relay, one phase.
* ``leaf``: the seeing side. What the reed contact tells, against what was asked.
* ``indicator``: the lamp or tone that answers the person who pressed.

The parts know nothing of each other. They meet in ``_Turn.settle``, at the end of every
turn, where the door asks three questions anew instead of remembering to act:

1. *May anything be activated at all?* Mode *off*, and fire where the door has to close,
   cut whatever runs. *Shall the door be held?* By fire, by the mode, or no longer.
2. *What do the relays do now?* The leaf is told, and starts or stops its clocks.
3. *Is it all over?* Then the strike locks after its tail.

So no path through the code can forget to switch off: fire, a change of mode or a lost
contact only change a field, and the levels of the relays follow from the fields. Effects
are the difference of those levels before and after the turn.

**Who wins.** Fire beats mode, mode beats requests, a running pulse beats nothing: it may be
cut, it is never lengthened. A fire contact that is unknown keeps its last known level.

**Requests.** Each becomes one fact with its outcome, and each command gets one reply:

* *accepted*: an opening begins;
* *merged*: an opening is under way and serves this request as well;
* *extended*: the leaf is open. The operator times its own hold-open, so it is given one
  more pulse after the rest; a maintained activation stays on longer; a *toggle* drive
  would close on a pulse and gets none;
* *refused*, with a key of ``reasons``.

Where another door of an interlock is open, a request waits (``Door.waits``) for
:class:`Interlocked`, and is judged again by the table when its turn comes: its mode may
have changed meanwhile. It is answered once, at the end of the wait.

**Conditions** (``Door.conditions``) are what needs a person *now*; ``building`` turns their
changes into alarms. Most stand as long as what they name. Two name a moment, and stand
until the contrary is proved: ``did_not_open`` until the leaf opens for a request, because a
later opening by hand proves nothing about the drive; ``forced`` until the leaf is closed,
because from then on the door is locked again, and the alarm itself is kept until it is
acknowledged.

**Time.** Every deadline is a field, ``wake_at`` is the least of them. A turn that comes late
lives what is due at its own ``now``; a relay is then off later than meant by just as much,
and by no more.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final, Literal

from gateway.core import door_rules, indicator, leaf, opening, tally
from gateway.core.door_rules import RequestKind
from gateway.core.effects import Drive, Effect, Reply, Status
from gateway.core.events import Mode
from gateway.core.facts import Fact, Json
from gateway.core.indicator import Indicator, Pattern
from gateway.core.leaf import Leaf, Position
from gateway.core.machine import Conditions, Ms, Step, UtcMs, earliest
from gateway.core.opening import Held, Opening
from gateway.core.plan import DoorPlan, Side
from gateway.core.tally import Tally

FRESH_MS: Final[Ms] = 2_000
"""A press that is older than this when it is judged is stale: its person may have left."""

SERVICE_LIMIT_MS: Final[Ms] = 8 * 3_600_000
"""Service mode mutes alarms, so it may not be forgotten for longer than a working day."""

ModeSource = Literal["schedule", "override", "switch", "safe", "fire"]


# --- events -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Requested:
    """Somebody asks for the door. ``pressed_ms``: the edge of the press, or the instant of the
    command; ``note``: the reason that staff gave; at ``expires_ms`` a command is void."""

    kind: RequestKind
    side: Side | None
    activator: str | None
    hold_open_ms: Ms | None
    pressed_ms: Ms
    by: str | None = None
    via: str | None = None
    command: str | None = None
    note: str = ""
    expires_ms: Ms | None = None


@dataclass(frozen=True, slots=True)
class Released:
    """An activator was let go. A request is made by the press alone, so this changes nothing;
    it is an event so that a door can be told every settled level of its activators."""

    activator: str


@dataclass(frozen=True, slots=True)
class LeafSeen:
    """The leaf contact: open, closed, or not known. ``edge_ms``: when it changed."""

    open: bool | None
    edge_ms: Ms


@dataclass(frozen=True, slots=True)
class BoltSeen:
    locked: bool | None


@dataclass(frozen=True, slots=True)
class OperatorFaultSeen:
    active: bool | None


@dataclass(frozen=True, slots=True)
class PresenceSeen:
    """Somebody stands in the doorway."""

    active: bool | None


@dataclass(frozen=True, slots=True)
class FireSeen:
    active: bool | None


@dataclass(frozen=True, slots=True)
class ModeChanged:
    """Another mode rules, or the same one from another source."""

    mode: Mode
    source: ModeSource
    until_utc_ms: UtcMs | None = None
    by: str | None = None
    command: str | None = None


@dataclass(frozen=True, slots=True)
class ServiceSet:
    """Service mode for so long; 0 ends it. While it lasts ``building`` mutes fault alarms."""

    for_ms: Ms
    by: str | None = None
    command: str | None = None


@dataclass(frozen=True, slots=True)
class RelayFailed:
    """A relay of this door could not be driven, or can be again (empty reason)."""

    point: str
    reason: str


@dataclass(frozen=True, slots=True)
class Interlocked:
    """Whether the interlock leaves this door free to open, and how long a request may wait
    where it does not (0: refused at once)."""

    free: bool
    wait_ms: Ms = 0


DoorEvent = (
    Requested
    | Released
    | LeafSeen
    | BoltSeen
    | OperatorFaultSeen
    | PresenceSeen
    | FireSeen
    | ModeChanged
    | ServiceSet
    | RelayFailed
    | Interlocked
)


# --- state --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Waiting:
    """A request that waits for the interlock until ``until_ms``."""

    request: Requested
    until_ms: Ms


@dataclass(frozen=True, slots=True)
class CanOpen:
    """What the page may offer: whether staff can open, why not, and whether it needs a reason."""

    ok: bool
    reason: str
    needs_reason: bool


@dataclass(frozen=True, slots=True)
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
    tally: Tally = field(default_factory=Tally)
    fire: bool = False
    """The last known level of the fire contact: what counts."""
    fire_seen: bool | None = None
    """Its level as it is seen now."""
    operator_fault: bool | None = None
    fault: bool = False
    """The last known level of the operator's fault contact."""
    conditions: Conditions = ()
    """What needs a person now, ordered by kind; the same tuple while nothing changes."""
    free: bool = True
    wait_ms: Ms = 0
    waiting: Waiting | None = None
    service_until_ms: Ms | None = None

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
        return away or self.opening.busy

    @property
    def waits(self) -> bool:
        """Wants to open and may not before another door of the interlock is closed."""
        return self.waiting is not None or (self._mode_holds and not self.busy)

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
        return held and door_rules.can_hold(self.plan)


def can_open(door: Door) -> CanOpen:
    """Whether a request of staff would be heard now."""
    reason = _forbidden(door, "staff", None, "asked by the page")
    if not reason and not door.free and door.wait_ms == 0 and not door.busy:
        reason = "interlock"
    return CanOpen(not reason, reason, door.mode == "night")


# --- the machine --------------------------------------------------------------------------


def start(plan: DoorPlan, now: Ms, books: Tally | None = None) -> Step[Door]:
    """Every relay off, everything unknown. ``books``: the counters from before the restart.

    The mode is the safe one where a schedule exists, until :class:`ModeChanged` says more;
    nothing is driven before the first event, so a start alone never moves a door."""
    mode = plan.safe_mode if plan.schedule else plan.mode
    door = Door(
        plan,
        mode,
        "safe" if plan.schedule else "schedule",
        now,
        tally=Tally() if books is None else books,
    )
    return Step(door, effects=tuple(Drive(point, on=False) for point, _ in _relays(door)))


def step(door: Door, event: DoorEvent | None, now: Ms) -> Step[Door]:
    """One turn: first whatever is due, then the event."""
    turn = _Turn(door, now)
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

    def __init__(self, door: Door, now: Ms) -> None:
        self.before = door
        self.door = door
        self.plan = door.plan
        self.now = now
        self.facts: list[Fact] = []
        self.replies: list[Reply] = []

    # --- time and events

    def pass_time(self) -> None:
        door, plan, now = self.door, self.plan, self.now
        self._change(
            opening=opening.pass_time(door.opening, plan, now),
            indicator=indicator.pass_time(door.indicator, now),
        )
        self._leaf(leaf.pass_time(door.leaf, plan, now))
        if door.waiting is not None and door.waiting.until_ms <= now:
            self._change(waiting=None)
            self._answer(door.waiting.request, "refused", "interlock")
        if _due(door.service_until_ms, now):
            self._change(service_until_ms=None)
            self._tell("door_service", active=False, for_ms=None, by=None, command=None)

    def take(self, event: DoorEvent) -> None:
        now = self.now
        match event:
            case Requested():
                self._requested(event)
            case Released():
                pass
            case LeafSeen():
                self._leaf_seen(event)
            case BoltSeen():
                self._change(leaf=replace(self.door.leaf, bolt=event.locked))
            case OperatorFaultSeen():
                known = self.door.fault if event.active is None else event.active
                self._change(operator_fault=event.active, fault=known)
            case PresenceSeen():
                seen = leaf.see_presence(self.door.leaf, self.plan, now, event.active)
                self._change(leaf=seen)
            case FireSeen():
                known = self.door.fire if event.active is None else event.active
                self._change(fire_seen=event.active, fire=known)
            case ModeChanged():
                self._mode(event)
            case ServiceSet():
                self._service(event)
            case RelayFailed():
                self._relay(event)
            case Interlocked():
                self._change(free=event.free, wait_ms=event.wait_ms)

    def settle(self) -> None:
        """Make the parts agree again, whatever has changed."""
        self._judge_waiting()
        self._cut_or_hold()
        self._pulse_toggle_for_fire()
        door, plan, now = self.door, self.plan, self.now
        kept = opening.kept_open(door.opening, plan)
        driven = door.opening.driving or opening.hold_relay(door.opening, plan)
        self._leaf(leaf.drive(door.leaf, plan, now, driven=driven, kept=kept))
        away = self.door.leaf.opened is not None or self.door.leaf.attempt is not None
        self._change(
            opening=opening.secure(self.door.opening, plan, now, leaf_away=away),
            leaf=leaf.watch_bolt(self.door.leaf, plan, now, locked=self._locked()),
        )

    def end(self) -> Step[Door]:
        before, facts = self.before, tuple(self.facts)
        if _proof_missing(self.door) and not _proof_missing(before):
            self._show("fault")
        self._change(tally=tally.count(self.door.tally, facts))
        if self.door.state != before.state:
            self._change(since_ms=self.now)
        conditions = _conditions(self.door)
        if conditions != before.conditions:
            self._change(conditions=conditions)
        was = dict(_relays(before))
        drives = (Drive(point, on) for point, on in _relays(self.door) if on != was[point])
        effects: tuple[Effect, ...] = (*drives, *self.replies)
        return Step(self.door, facts, effects)

    # --- requests

    def _requested(self, request: Requested) -> None:
        door = self.door
        reason = _too_late(request, self.now) or _forbidden(
            door, request.kind, request.side, request.note
        )
        if reason:
            self._answer(request, "refused", reason)
        elif door.opening.held != "no" and (door.leaf.opened or door.leaf.attempt):
            self._answer(request, "extended", "already_open")
        elif door.free or door.busy:
            self._open(request)
        elif door.waiting is not None:
            hold_ms = max(door.waiting.request.hold_open_ms or 0, request.hold_open_ms or 0)
            first = replace(door.waiting.request, hold_open_ms=hold_ms)
            self._change(waiting=replace(door.waiting, request=first))
            self._answer(request, "merged")
        elif door.wait_ms > 0:
            self._change(waiting=Waiting(request, self.now + door.wait_ms))
        else:
            self._answer(request, "refused", "interlock")

    def _judge_waiting(self) -> None:
        """The request that waits: forbidden meanwhile, its turn, or waiting on."""
        door = self.door
        if door.waiting is None:
            return
        request = door.waiting.request
        reason = _forbidden(door, request.kind, request.side, request.note)
        if reason or door.free:
            self._change(waiting=None)
            if reason:
                self._answer(request, "refused", reason)
            else:
                self._open(request)

    def _open(self, request: Requested) -> None:
        """Bring the leaf open for a request that may, by the least that does it."""
        now, plan = self.now, self.plan
        now_open = self.door.leaf.opened is not None
        hold_ms = request.hold_open_ms or 0
        outcome, drive = _answer_for(self.door)
        serve = opening.ask if drive else opening.lengthen
        self._change(opening=serve(self.door.opening, plan, now, hold_ms))
        if drive and not now_open:
            asked = leaf.asked(self.door.leaf, "request", now, request.pressed_ms, request.command)
            self._change(leaf=asked)
        self._answer(request, outcome)

    def _answer(self, request: Requested, outcome: Status, reason: str = "") -> None:
        self.facts.append(
            Fact(
                "door_request",
                self.plan.id,
                request.pressed_ms,
                {
                    "outcome": outcome,
                    "reason": reason or None,
                    "activator": request.activator,
                    "activator_kind": request.kind,
                    "side": request.side,
                    "by": request.by,
                    "via": request.via,
                    "command": request.command,
                    "note": request.note or None,
                },
            )
        )
        self._reply(request.command, outcome, reason)
        if request.kind != "staff":  # the lamp speaks to the person at the door
            self._show("refused" if outcome == "refused" else "accepted")

    # --- fire and modes

    def _cut_or_hold(self) -> None:
        door, plan, now = self.door, self.plan, self.now
        if door.barred:
            self._change(opening=opening.cut(door.opening, plan, now))
            self._withdraw()
            return
        held = door.holds
        if held == door.opening.held:
            return
        self._change(opening=opening.hold(door.opening, plan, now, held))
        if held == "no":
            self._withdraw("hold_open", "fire")
        elif door.leaf.opened is None:
            cause: leaf.Cause = "fire" if held == "fire" else "hold_open"
            self._change(leaf=leaf.asked(door.leaf, cause, now))

    def _withdraw(self, *causes: leaf.Cause) -> None:
        """Nobody waits for the leaf any more, where the attempt was for one of these causes."""
        attempt = self.door.leaf.attempt
        if attempt is not None and (not causes or attempt.cause in causes):
            self._change(leaf=leaf.withdrawn(self.door.leaf, self.now))

    def _pulse_toggle_for_fire(self) -> None:
        """A toggle drive is brought open by a pulse, and again whenever it is seen closed."""
        door, plan = self.door, self.plan
        by_pulse = plan.toggle and plan.pulse_ms is not None and plan.hold_open is None
        if door.opening.held != "fire" or not by_pulse or door.leaf.opened is not None:
            return
        begins = self.before.opening.held != "fire"
        if (
            door.opening.phase in ("idle", "lead")
            and door.opening.due_ms is None
            and (begins or (door.leaf.seen is False and door.leaf.attempt is None))
        ):
            self._change(
                opening=opening.ask(door.opening, plan, self.now, 0),
                leaf=leaf.asked(door.leaf, "fire", self.now),
            )

    def _mode(self, event: ModeChanged) -> None:
        door = self.door
        if event.mode == "hold_open" and not door_rules.can_hold(self.plan):
            self._tell(
                "command_refused",
                reason="not_wired",
                by=event.by,
                via=None,
                command=event.command,
                name="set_mode",
            )
            self._reply(event.command, "refused", "not_wired")
            return
        was = (door.mode, door.mode_source, door.mode_until_utc_ms)
        if was != (event.mode, event.source, event.until_utc_ms) or event.command is not None:
            self._tell(
                "door_mode",
                mode=event.mode,
                source=event.source,
                until_utc_ms=event.until_utc_ms,
                by=event.by,
                command=event.command,
            )
        self._change(
            mode=event.mode,
            mode_source=event.source,
            mode_until_utc_ms=event.until_utc_ms,
            mode_by=event.by,
        )
        self._reply(event.command, "accepted")

    def _service(self, event: ServiceSet) -> None:
        if event.for_ms > SERVICE_LIMIT_MS:
            self._reply(event.command, "refused", "limit")
            return
        active = event.for_ms > 0
        self._change(service_until_ms=self.now + event.for_ms if active else None)
        self._tell(
            "door_service",
            active=active,
            for_ms=event.for_ms if active else None,
            by=event.by,
            command=event.command,
        )
        self._reply(event.command, "accepted")

    # --- contacts and relays

    def _leaf_seen(self, event: LeafSeen) -> None:
        self._leaf(
            leaf.see(
                self.door.leaf,
                self.plan,
                is_open=event.open,
                edge_ms=event.edge_ms,
                locked=self._locked(),
            )
        )

    def _locked(self) -> bool:
        """Whether the leaf should stay where it is: locked by the mode, and not freed by us."""
        freed = self.door.opening.busy or self.door.opening.strike or self.door.fire_acts
        return self.door.mode in door_rules.LOCKED and not freed

    def _relay(self, event: RelayFailed) -> None:
        if event.point != self.plan.activation:
            return
        if event.reason:
            self._leaf(leaf.failed(self.door.leaf, self.plan, self.now, event.reason))
        else:
            self._change(leaf=leaf.works_again(self.door.leaf))

    # --- saying it

    def _change(self, **changes: object) -> None:
        self.door = replace(self.door, **changes)  # type: ignore[arg-type]  # checked by each caller

    def _leaf(self, seen: Step[Leaf]) -> None:
        self._change(leaf=seen.state)
        self.facts.extend(seen.facts)

    def _tell(self, kind: str, **data: Json) -> None:
        self.facts.append(Fact(kind, self.plan.id, self.now, data))

    def _reply(self, command: str | None, status: Status, reason: str = "") -> None:
        if command is not None:
            self.replies.append(Reply(command, status, reason))

    def _show(self, pattern: Pattern) -> None:
        if self.plan.indicator is not None:
            self._change(indicator=indicator.show(self.plan.indicator, pattern, self.now))


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
    if seen.attempt is not None and ((pulsed and given.phase == "rest") or plan.toggle):
        return "merged", False
    return "accepted", True


def _too_late(request: Requested, now: Ms) -> str:
    if request.expires_ms is not None and now >= request.expires_ms:
        return "expired"
    return "stale" if now - request.pressed_ms > FRESH_MS else ""


def _forbidden(door: Door, kind: RequestKind, side: Side | None, note: str) -> str:
    """Why the door does not open for this request at present, or an empty text."""
    if door.fire_acts is not None:
        return "fire" if door.fire_acts == "close" else ""
    return door_rules.refusal(door.plan, door.mode, kind, side, note)


def _relays(door: Door) -> tuple[tuple[str, bool], ...]:
    """The level of every relay of this door."""
    levels = opening.relays(door.opening, door.plan)
    if door.plan.indicator is None:
        return levels
    return (*levels, (door.plan.indicator.point, door.indicator.on))


def _conditions(door: Door) -> Conditions:
    fault = (("operator_fault", "the operator reports it"),) if door.fault else ()
    return tuple(sorted((*door.leaf.conditions, *fault)))


def _proof_missing(door: Door) -> bool:
    return leaf.stands(door.leaf, "did_not_open")


def _due(deadline_ms: Ms | None, now: Ms) -> bool:
    return deadline_ms is not None and deadline_ms <= now
