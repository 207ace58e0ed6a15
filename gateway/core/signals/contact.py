"""A contact: from edges to levels that count, and to knowing when not to believe them.

A level counts once it has been stable for ``settle_ms``, measured between edges and not
between looks: a press that ended before anybody looked still counts, a spike never does,
and a bounce of many edges is one change. A change is told with the time of its edge.

What cannot be believed is a fault of this contact only: *stuck* (held for longer than
anybody presses), *chattering* (more changes than a person makes; they are counted then
and not told one by one) and *unknown* (its driver cannot tell).
"""

from __future__ import annotations

from gateway.core.events import Level
from gateway.core.facts import Fact
from gateway.core.instant import Ms, earliest
from gateway.core.machine import Conditions, Step, replace
from gateway.core.plan import ContactPlan
from gateway.core.values import dataclass

FIRST_LEVEL_MS: Ms = 5000
"""A contact whose driver has told nothing for this long after start is a fault."""

NO_LEVEL_YET = "no_level_yet"


@dataclass(frozen=True)
class Change:
    """The level that counts has changed, at the edge ``edge_ms``.

    ``pressed``: somebody presses now. An edge is a press, a level is none: what is found
    active at the start or when a driver comes back may be a wire or a jammed button. The edge
    counts as soon as the driver has reported *inactive*, settled or not.
    """

    active: bool | None
    edge_ms: Ms
    pressed: bool


@dataclass(frozen=True)
class ContactStep(Step["Contact"]):
    """A step and the changes in it, oldest first (a press may end within one step)."""

    changes: tuple[Change, ...] = ()


@dataclass(frozen=True)
class Contact:
    """One contact. ``active`` is the level that counts, ``raw`` the last one reported."""

    plan: ContactPlan
    active: bool | None = None
    since_ms: Ms = 0
    reason: str = NO_LEVEL_YET
    raw: bool | None = None
    raw_ms: Ms = 0
    first: bool | None = None
    """The first level that the driver reported since start, or since it last could not tell."""
    heard: bool = False
    """Anything was reported since start."""
    settle_at_ms: Ms | None = None
    stuck_at_ms: Ms | None = None
    unheard_at_ms: Ms | None = None
    window_ends_ms: Ms | None = None
    """Set while chattering: when the changes counted so far are told."""
    counted: int = 0
    recent_ms: tuple[Ms, ...] = ()
    changes: int = 0
    """Settled changes since start."""
    told: bool | None = None
    """The level the last fact told."""
    stuck: bool = False
    conditions: Conditions = ()

    @property
    def held(self) -> bool:
        """Active and believed to be a person."""
        return self.active is True and not self.stuck


def start(plan: ContactPlan, now: Ms, *, stuck: bool = False) -> Contact:
    """A contact that nobody has read yet. ``stuck``: it was so before the restart and is no
    request until it has been inactive."""
    return Contact(plan, since_ms=now, raw_ms=now, unheard_at_ms=now + FIRST_LEVEL_MS, stuck=stuck)


def wake_at(contact: Contact) -> Ms | None:
    """The next instant at which time alone changes something."""
    return earliest(
        contact.settle_at_ms,
        contact.stuck_at_ms,
        contact.window_ends_ms,
        contact.unheard_at_ms,
    )


def step(contact: Contact, event: Level | None, now: Ms) -> ContactStep:
    """An edge, a lost or found level, or time."""
    if event is None:
        return _time(contact, now)
    edge_ms = max(min(event.edge_ms, now), contact.raw_ms)
    if event.active is not None and contact.first is None:
        contact = replace(contact, first=event.active)
    after, facts, changes = contact, (), ()  # type: Contact, tuple[Fact, ...], tuple[Change, ...]
    if contact.settle_at_ms is not None and edge_ms - contact.raw_ms >= contact.plan.settle_ms:
        # The level before this edge had been stable for long enough.
        after, facts, changes = _settle(contact, contact.raw, contact.raw_ms, now, "")
    if event.active == after.raw and (after.heard or after.settle_at_ms is not None):
        if event.active is None and event.reason != after.reason:
            after = _conditions(replace(after, reason=event.reason))
        return ContactStep(after, facts, changes=changes)
    if event.active is None or after.plan.settle_ms == 0:
        reason = event.reason if event.active is None else ""
        after, more, last = _settle(after, event.active, edge_ms, now, reason)
        return ContactStep(after, facts + more, changes=changes + last)
    settle_at_ms = None
    if event.active != after.active:
        # Edges that come late come in a row: the rest of the row is told within this same
        # millisecond, so this level is not judged before the next.
        settle_at_ms = max(edge_ms + after.plan.settle_ms, now + 1)
    after = replace(
        after, raw=event.active, raw_ms=edge_ms, settle_at_ms=settle_at_ms, unheard_at_ms=None
    )
    return ContactStep(after, facts, changes=changes)


def _time(contact: Contact, now: Ms) -> ContactStep:
    after, facts, changes = contact, (), ()  # type: Contact, tuple[Fact, ...], tuple[Change, ...]
    if after.settle_at_ms is not None and after.settle_at_ms <= now:
        after, facts, changes = _settle(after, after.raw, after.raw_ms, now, "")
    if after.stuck_at_ms is not None and after.stuck_at_ms <= now:
        after = _conditions(replace(after, stuck=True, stuck_at_ms=None))
    if after.unheard_at_ms is not None and after.unheard_at_ms <= now:
        after = _conditions(replace(after, heard=True, unheard_at_ms=None))
    if after.window_ends_ms is not None and after.window_ends_ms <= now:
        after, more = _count(after, now)
        facts += more
    return ContactStep(after, facts, changes=changes)


def _settle(
    contact: Contact, active: bool | None, edge_ms: Ms, now: Ms, reason: str
) -> tuple[Contact, tuple[Fact, ...], tuple[Change, ...]]:
    """From ``edge_ms`` on the level that counts is ``active``. ``reason``: why it is unknown."""
    plan, initial = contact.plan, not contact.heard
    stuck = contact.stuck and active is not False
    before = contact.first if contact.active is None else contact.active
    change = Change(
        active,
        edge_ms,
        pressed=active is True and not stuck and before is False,
    )
    recent_ms = () if initial else (*contact.recent_ms[-plan.chatter_changes :], edge_ms)
    window_ends_ms, counted = contact.window_ends_ms, contact.counted + 1
    if window_ends_ms is None:
        counted = 0
        if (
            len(recent_ms) > plan.chatter_changes
            and recent_ms[-1] - recent_ms[0] <= plan.chatter_window_ms
        ):
            window_ends_ms, counted = now + plan.chatter_window_ms, 1
    stuck_at_ms = None
    if active is True and not stuck and plan.stuck_after_ms is not None:
        stuck_at_ms = edge_ms + plan.stuck_after_ms
    facts: tuple[Fact, ...] = ()
    told = contact.told
    if window_ends_ms is None:
        facts, told = (_changed(plan, active, edge_ms, reason, initial=initial),), active
    after = replace(
        contact,
        active=active,
        since_ms=edge_ms,
        reason=reason,
        raw=active,
        raw_ms=edge_ms,
        first=None if active is None else contact.first,
        heard=True,
        settle_at_ms=None,
        unheard_at_ms=None,
        stuck_at_ms=stuck_at_ms,
        stuck=stuck,
        window_ends_ms=window_ends_ms,
        counted=counted,
        recent_ms=recent_ms,
        changes=contact.changes + (not initial),
        told=told,
    )
    return _conditions(after), facts, (change,)


def _count(contact: Contact, now: Ms) -> tuple[Contact, tuple[Fact, ...]]:
    """A window of chattering is over: its changes are told as one number, unless they tell
    about a person. Calm again when they were no more than half of what makes a fault."""
    plan = contact.plan
    facts: tuple[Fact, ...] = ()
    if contact.counted and not plan.private:
        data = {"changes": contact.counted, "window_ms": plan.chatter_window_ms}
        facts = (Fact("contact_count", plan.point, now, data),)
    if contact.counted * 2 > plan.chatter_changes:
        return replace(contact, counted=0, window_ends_ms=now + plan.chatter_window_ms), facts
    if contact.active != contact.told:
        told = _changed(plan, contact.active, contact.since_ms, contact.reason, initial=False)
        facts += (told,)
    calm = replace(contact, counted=0, window_ends_ms=None, recent_ms=(), told=contact.active)
    return _conditions(calm), facts


def _changed(
    plan: ContactPlan, active: bool | None, edge_ms: Ms, reason: str, *, initial: bool
) -> Fact:
    told = reason if active is None else None
    data = {"active": active, "reason": told, "initial": initial}
    kind = "presence_changed" if plan.private else "contact_changed"
    return Fact(kind, plan.point, edge_ms, data)


def _conditions(contact: Contact) -> Contact:
    """What is wrong with the contact itself."""
    standing: list[tuple[str, str]] = []
    if contact.active is None and contact.heard:
        standing.append(("contact_unknown", contact.reason))
    if contact.stuck and contact.active is True:
        standing.append(("contact_stuck", ""))
    if contact.window_ends_ms is not None:
        standing.append(("contact_chattering", ""))
    if tuple(standing) == contact.conditions:
        return contact
    return replace(contact, conditions=tuple(standing))
