"""The seeing side of a door: what the leaf does, and whether that is what was asked for.

The reed contact tells two things, *closed* and *not closed*; it may also tell nothing. So
the leaf's position (``position``) is partly seen and partly known from what the relays do:

* ``opening``: asked, and not yet left *closed* (an :class:`Attempt` stands);
* ``open``: has left *closed*; ``closing``: we held it open, let go, and wait for it;
* ``unknown``: no contact tells, and nothing was activated that would let us assume.

Every request is an attempt until the leaf has answered: this is the loop proof from button
to leaf. The answer is a :class:`Result`; a fault that stands is one of the ``conditions``.

Where no contact tells (there is none, or it is unknown at present), the leaf is *assumed*
open from the activation until ``assumed_open_ms`` after it, and everything said about it
says so. Nothing is concluded from an assumption: it raises no alarm and clears none.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from gateway.core import details
from gateway.core.facts import Fact, Json
from gateway.core.instant import Ms, earliest
from gateway.core.machine import Step, replace
from gateway.core.plan import DoorPlan
from gateway.core.values import dataclass

Position = Literal["closed", "opening", "open", "closing", "unknown"]
Wish = Literal["request", "hold_open", "fire"]
Cause = Wish | Literal["hand", "forced", "test"]
Outcome = Literal["opened", "did_not_open", "assumed_open", "pending"]


@dataclass(frozen=True)
class Attempt:
    """The leaf was asked to open and has not answered. ``by_ms``: until when it must have
    left *closed*; ``None`` while the activation has not begun."""

    cause: Wish
    pressed_ms: Ms | None = None
    command: str | None = None
    by_ms: Ms | None = None


@dataclass(frozen=True)
class Tested:
    """A relay of the door is tested: a leaf that opens until then was opened by that."""

    until_ms: Ms
    by: str


@dataclass(frozen=True)
class Opened:
    """The leaf is away from *closed* since ``since_ms``. ``cause`` ``None``: it was found
    open, nobody saw it open. ``assumed``: no contact tells."""

    since_ms: Ms
    cause: Cause | None
    assumed: bool = False


@dataclass(frozen=True)
class Result:
    """What the leaf did for the last request that was accepted."""

    result: Outcome
    command: str | None
    at_ms: Ms
    press_to_open_ms: Ms | None = None


class Condition(NamedTuple):
    """Something that stands and needs a person: a kind of alarm, and what it is about."""

    kind: str
    detail: str


@dataclass(frozen=True)
class Leaf:
    """All that is known of the leaf. ``seen``: open (True), closed, or not known; ``last``: the
    level that was known last."""

    seen: bool | None = None
    last: bool | None = None
    attempt: Attempt | None = None
    late: Attempt | None = None
    """The last attempt that got no answer: a leaf that comes after all still comes for it."""
    tested: Tested | None = None
    opened: Opened | None = None
    closed_ms: Ms | None = None
    driven: bool = False
    """The activation or the hold-open relay is on."""
    kept: bool = False
    """We hold the leaf open for a time, or until further notice."""
    closing: bool = False
    assumed_until_ms: Ms | None = None
    close_by_ms: Ms | None = None
    left_open_at_ms: Ms | None = None
    presence: bool | None = None
    bolt: bool | None = None
    mismatch_at_ms: Ms | None = None
    result: Result | None = None
    conditions: tuple[Condition, ...] = ()


def position(leaf: Leaf, plan: DoorPlan) -> Position:
    """Where the leaf is, as far as anybody can say."""
    if leaf.opened is not None:
        return "closing" if leaf.closing else "open"
    if leaf.attempt is not None:
        return "opening"
    return "unknown" if leaf.seen is None and plan.leaf is not None else "closed"


def asked(
    leaf: Leaf, cause: Wish, now: Ms, pressed_ms: Ms | None = None, command: str | None = None
) -> Leaf:
    """An opening was begun. While one stands unanswered, the new one joins it: people who
    press again and again must not put off the moment at which it is called a failure."""
    attempt = leaf.attempt
    if attempt is None:
        attempt = Attempt(cause, pressed_ms, command)
    elif cause == "request":
        attempt = replace(attempt, command=command)
    result = Result("pending", command, now) if cause == "request" else leaf.result
    return replace(leaf, attempt=attempt, result=result)


def relay_tested(leaf: Leaf, plan: DoorPlan, now: Ms, for_ms: Ms, by: str) -> Leaf:
    """Nobody waits for an answer, but one that comes has its cause."""
    return replace(leaf, tested=Tested(now + for_ms + plan.opens_within_ms, by))


def unanswered(leaf: Leaf, now: Ms) -> Leaf:
    """The attempt ends with no answer. As such this is no failure: the relays may have been
    cut off before the leaf could move."""
    attempt, result = leaf.attempt, leaf.result
    if result is not None and result.result in ("pending", "assumed_open"):
        result = Result("did_not_open", result.command, now)
    return replace(leaf, attempt=None, late=attempt, result=result)


def failed(leaf: Leaf, plan: DoorPlan, now: Ms, reason: str) -> Step[Leaf]:
    """The activation cannot be switched: whatever we wait for or assume will not happen."""
    step = Step(leaf)
    if leaf.opened is not None and leaf.opened.assumed:
        step = _closed(leaf, plan, now, assumed=True)
    elif leaf.attempt is None:
        return step
    return replace(step, state=_unproven(step.state, now, details.write("relay", reason)))


def works_again(leaf: Leaf) -> Leaf:
    """The activation can be switched again. Only where no leaf tells is that a proof."""
    return leaf if leaf.seen is not None else _without(leaf, "did_not_open")


def drive(leaf: Leaf, plan: DoorPlan, now: Ms, *, driven: bool, kept: bool) -> Step[Leaf]:
    """Look at the relays after each turn: an activation that begins starts the clock of the
    attempt, one that ends starts the clocks of the closing."""
    attempt = leaf.attempt
    if driven and attempt is not None and attempt.by_ms is None:
        attempt = replace(attempt, by_ms=now + plan.opens_within_ms)
    if (driven, kept) == (leaf.driven, leaf.kept):
        return Step(leaf if attempt is leaf.attempt else replace(leaf, attempt=attempt))
    begins, ends = driven and not leaf.driven, leaf.driven and not driven
    let_go = ends and leaf.kept and leaf.opened is not None
    if kept and not leaf.kept:
        leaf = _without(leaf, "left_open", "did_not_close")
    leaf = replace(leaf, attempt=attempt, driven=driven, kept=kept, closing=let_go)
    if begins:
        return _driven(leaf, plan, now)
    return Step(_watch_closing(leaf, plan, now) if ends else leaf)


def see(
    leaf: Leaf, plan: DoorPlan, is_open: bool | None, *, edge_ms: Ms, locked: bool
) -> Step[Leaf]:
    """The contact told. ``locked``: the door is, so that a leaf may not just be pulled open."""
    before = leaf.seen
    if is_open == before:
        return Step(leaf)
    if is_open is None:
        return _lost(replace(leaf, seen=None), plan, edge_ms)
    was_closed, leaf = leaf.last is False, replace(leaf, seen=is_open, last=is_open)
    if is_open:
        found = before is None and leaf.attempt is None and not (was_closed and locked)
        return _seen_open(leaf, plan, edge_ms, found=found, locked=locked)
    leaf = _without(leaf, "left_open", "did_not_close", "forced")
    if leaf.opened is None:
        return Step(leaf)
    leaf = replace(leaf, closed_ms=edge_ms)
    return _closed(leaf, plan, edge_ms, assumed=False, exact=before is not None)


def see_presence(leaf: Leaf, plan: DoorPlan, now: Ms, presence: bool | None) -> Leaf:
    """Somebody stands in the doorway: until they have left, nobody expects the leaf to close."""
    leaf = replace(leaf, presence=presence)
    if presence:
        return replace(leaf, close_by_ms=None)
    return leaf if leaf.driven or leaf.opened is None else _expect_closing(leaf, plan, now)


def watch_bolt(leaf: Leaf, plan: DoorPlan, now: Ms, *, locked: bool) -> Leaf:
    """A bolt that is out while the leaf is away, or that is not while the door is locked.

    Bolt and leaf do not move in the same instant, so only what stays is a mismatch."""
    out_while_open = leaf.bolt is True and leaf.seen is True
    not_out = leaf.bolt is False and leaf.seen is False and locked
    noticed = leaf.mismatch_at_ms is not None or stands(leaf, "bolt_mismatch")
    if (out_while_open or not_out) == noticed:
        return leaf
    if noticed:
        return _without(replace(leaf, mismatch_at_ms=None), "bolt_mismatch")
    return replace(leaf, mismatch_at_ms=now + plan.closes_within_ms)


def pass_time(leaf: Leaf, plan: DoorPlan, now: Ms) -> Step[Leaf]:
    """Process the deadlines that are due."""
    if _due(_answer_by(leaf), now):
        leaf = _no_answer(leaf, plan, now)
    if _due(leaf.close_by_ms, now):
        leaf = replace(leaf, close_by_ms=None, closing=False)
        leaf = _with(leaf, "did_not_close", details.write("still_open", plan.closes_within_ms))
    if _due(leaf.left_open_at_ms, now):
        leaf = replace(leaf, left_open_at_ms=None)
        leaf = _with(leaf, "left_open", details.write("open_for", plan.left_open_after_ms))
    if _due(leaf.mismatch_at_ms, now):
        detail = details.write("bolt_out" if leaf.bolt else "bolt_not_out")
        leaf = _with(replace(leaf, mismatch_at_ms=None), "bolt_mismatch", detail)
    if _due(leaf.assumed_until_ms, now):
        return _closed(leaf, plan, now, assumed=True)
    return Step(leaf)


def wake_at(leaf: Leaf) -> Ms | None:
    """The next instant at which the leaf should have done something."""
    return earliest(
        _answer_by(leaf),
        leaf.close_by_ms,
        leaf.left_open_at_ms,
        leaf.mismatch_at_ms,
        leaf.assumed_until_ms,
    )


def stands(leaf: Leaf, kind: str) -> bool:
    """Whether a condition of this kind stands."""
    return any(condition.kind == kind for condition in leaf.conditions)


# --- opening ------------------------------------------------------------------------------


def _driven(leaf: Leaf, plan: DoorPlan, now: Ms) -> Step[Leaf]:
    leaf = replace(leaf, close_by_ms=None, left_open_at_ms=None, assumed_until_ms=None)
    if leaf.seen is not None or leaf.opened is not None:
        return Step(leaf)
    return _open(leaf, plan, now, leaf.attempt.cause if leaf.attempt else "request", assumed=True)


def _seen_open(leaf: Leaf, plan: DoorPlan, edge_ms: Ms, *, found: bool, locked: bool) -> Step[Leaf]:
    """The leaf is open. ``found``: nobody knows since when, nor whether it was ever closed.

    A leaf that was closed and locked when its contact was lost, and is open when it comes
    back, is not just found: somebody may have seen to both."""
    if leaf.opened is not None:
        known = replace(leaf.opened, assumed=False)
        leaf = replace(leaf, opened=known, assumed_until_ms=None)
        leaf = leaf if leaf.attempt is None else _answered(leaf, edge_ms, None)
        return Step(leaf if leaf.driven else _watch_closing(leaf, plan, edge_ms))
    if found:
        return Step(_watch_closing(replace(leaf, opened=Opened(edge_ms, None)), plan, edge_ms))
    return _open(leaf, plan, edge_ms, _cause(leaf, plan, edge_ms, locked), assumed=False)


def _cause(leaf: Leaf, plan: DoorPlan, edge_ms: Ms, locked: bool) -> Cause:
    """Why the leaf left *closed*. A leaf that is late for a request still came for it, and one
    that bounces off its frame has been opened by nobody."""
    if leaf.attempt is not None:
        return leaf.attempt.cause
    late = leaf.late
    if late is not None and late.by_ms is not None:
        grace_ms = late.by_ms + plan.opens_within_ms
        if leaf.driven or edge_ms <= grace_ms:
            return late.cause
    if leaf.tested is not None and edge_ms <= leaf.tested.until_ms:
        return "test"
    bounced = leaf.closed_ms is not None and edge_ms - leaf.closed_ms <= plan.strike_tail_ms
    return "forced" if locked and plan.leaf_trusted and not bounced else "hand"


def _open(leaf: Leaf, plan: DoorPlan, at_ms: Ms, cause: Cause, *, assumed: bool) -> Step[Leaf]:
    """The leaf left *closed*, or is assumed to have."""
    attempt = leaf.attempt or leaf.late
    pressed_ms = attempt.pressed_ms if attempt and cause == "request" and not assumed else None
    took_ms = None if pressed_ms is None else max(0, at_ms - pressed_ms)
    leaf = replace(leaf, opened=Opened(at_ms, cause, assumed))
    if assumed:
        leaf = _assumed(leaf, plan, at_ms)
    elif cause in ("request", "hold_open", "fire"):
        leaf = _answered(leaf, at_ms, took_ms)
    if cause == "forced":
        leaf = _with(leaf, "forced", details.write("no_request"))
    if not leaf.driven:
        leaf = _watch_closing(leaf, plan, at_ms)
    by = leaf.tested.by if leaf.tested is not None and cause == "test" else None
    data: dict[str, Json] = {"press_to_open_ms": took_ms, "cause": cause, "assumed": assumed}
    told = Fact("door_opened", plan.id, at_ms, {**data, "by": by})
    by_hand = (Fact("opened_by_hand", plan.id, at_ms),) if cause == "hand" else ()
    return Step(leaf, (told, *by_hand))


def _answered(leaf: Leaf, at_ms: Ms, took_ms: Ms | None) -> Leaf:
    """The loop is proved: whatever was asked for has come."""
    attempt = leaf.attempt or leaf.late
    if attempt is not None and attempt.cause == "request":
        leaf = replace(leaf, result=Result("opened", attempt.command, at_ms, took_ms))
    return _without(replace(leaf, attempt=None, late=None), "did_not_open")


def _assumed(leaf: Leaf, plan: DoorPlan, at_ms: Ms) -> Leaf:
    """Nobody will answer. An attempt stays where a contact may yet come back and tell."""
    if leaf.attempt is not None and leaf.attempt.cause == "request":
        leaf = replace(leaf, result=Result("assumed_open", leaf.attempt.command, at_ms))
    return replace(leaf, attempt=leaf.attempt if plan.leaf is not None else None)


def _answer_by(leaf: Leaf) -> Ms | None:
    return None if leaf.attempt is None else leaf.attempt.by_ms


def _no_answer(leaf: Leaf, plan: DoorPlan, now: Ms) -> Leaf:
    if leaf.seen is None:
        return replace(leaf, attempt=None)
    return _unproven(leaf, now, details.write("still_closed", plan.opens_within_ms))


def _unproven(leaf: Leaf, now: Ms, detail: str) -> Leaf:
    return _with(unanswered(leaf, now), "did_not_open", detail)


# --- closing ------------------------------------------------------------------------------


def _watch_closing(leaf: Leaf, plan: DoorPlan, from_ms: Ms) -> Leaf:
    """From here on the leaf is left to itself: start the clocks that expect it back."""
    if leaf.opened is None:
        return leaf
    if leaf.opened.assumed:
        return replace(leaf, assumed_until_ms=from_ms + plan.assumed_open_ms)
    if plan.left_open_after_ms is not None and not stands(leaf, "left_open"):
        leaf = replace(leaf, left_open_at_ms=from_ms + plan.left_open_after_ms)
    return _expect_closing(leaf, plan, from_ms)


def _expect_closing(leaf: Leaf, plan: DoorPlan, from_ms: Ms) -> Leaf:
    """Only an opening of ours ends by itself; a leaf that was moved by hand may be left."""
    ours = leaf.opened is not None and leaf.opened.cause in ("request", "fire", "hold_open")
    if not ours or leaf.seen is not True or leaf.presence or stands(leaf, "did_not_close"):
        return leaf
    return replace(leaf, close_by_ms=from_ms + plan.closes_within_ms)


def _closed(
    leaf: Leaf, plan: DoorPlan, at_ms: Ms, *, assumed: bool, exact: bool = True
) -> Step[Leaf]:
    """The leaf is back, or is assumed to be."""
    opened = leaf.opened
    seen_both = opened is not None and opened.cause is not None and exact
    open_ms = max(0, at_ms - opened.since_ms) if opened is not None and seen_both else None
    leaf = replace(
        leaf,
        opened=None,
        closing=False,
        assumed_until_ms=None,
        close_by_ms=None,
        left_open_at_ms=None,
    )
    told = Fact("door_closed", plan.id, at_ms, {"open_ms": open_ms, "assumed": assumed})
    return Step(leaf, (told,))


def _lost(leaf: Leaf, plan: DoorPlan, at_ms: Ms) -> Step[Leaf]:
    """The contact tells no longer: from here on we can only assume."""
    leaf = replace(leaf, close_by_ms=None, left_open_at_ms=None, closing=False)
    if leaf.opened is not None:
        leaf = replace(leaf, opened=replace(leaf.opened, assumed=True))
        return Step(leaf if leaf.driven else _watch_closing(leaf, plan, at_ms))
    if leaf.attempt is not None and leaf.attempt.by_ms is not None:
        return _open(leaf, plan, at_ms, leaf.attempt.cause, assumed=True)
    return Step(leaf)


# --- conditions ---------------------------------------------------------------------------


def _with(leaf: Leaf, kind: str, detail: str) -> Leaf:
    others = _without(leaf, kind).conditions
    return replace(leaf, conditions=(*others, Condition(kind, detail)))


def _without(leaf: Leaf, *kinds: str) -> Leaf:
    return replace(leaf, conditions=tuple(c for c in leaf.conditions if c.kind not in kinds))


def _due(deadline_ms: Ms | None, now: Ms) -> bool:
    return deadline_ms is not None and deadline_ms <= now
