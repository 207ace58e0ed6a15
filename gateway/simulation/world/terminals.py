"""A terminal strip: what the electrician's wires lead to, when nobody has wired any.

Pure, and of the same shape as the machines of the core: :func:`step` takes the world, an
event (or ``None``: time has advanced) and the instant, and gives the next world and what the
terminal strip reports. :func:`wake_at` says when something happens of itself. Instants and
durations are integer nanoseconds of the monotonic clock, so that an edge keeps the time
that it was given.

What is in it: contacts that bounce, stick and are cut; relays that can be broken; leaves
that an operator opens, holds and closes when its relay asks for it, that people push by
hand, and that jam; and meters whose values wander through the day. There is no chance in
it: a value depends on the seed and the instant only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from gateway.simulation.world.climate import Quantity, sample
from gateway.simulation.world.contact import Contact, bouncing
from gateway.simulation.world.leaf import Jammed, Leaf, advanced, asked, let_go, pushed

Ns = int
MS: Ns = 1_000_000
DAY: Ns = 86_400_000 * MS
BOUNCE_GAP: Ns = MS
"""Between two edges of a contact that bounces."""


# --- what is wired ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Relay:
    on: bool = False
    broken: bool = False
    operations: int = 0


@dataclass(frozen=True, slots=True)
class DrivenLeaf:
    """A leaf whose operator follows relays. The contact of the same name is active unless it is
    closed.

    ``follows`` asks for an opening, ``held_by`` keeps it open, ``strike`` must be released (on)
    for it to move; all three are names of relays, or empty."""

    follows: str
    held_by: str
    strike: str
    toggles: bool
    starts_in: Ns
    stays: Ns
    leaf: Leaf


@dataclass(frozen=True, slots=True)
class Meter:
    """``held`` are values that somebody set; ``None`` among them: the sensor is silent."""

    quantities: tuple[Quantity, ...]
    every: Ns
    seed: int = 0
    due: Ns | None = None
    held: Mapping[str, float | None] = field(default_factory=dict)


Part = Contact | Relay | DrivenLeaf | Meter


@dataclass(frozen=True, slots=True)
class Edge:
    """The mechanics of a contact will change at an instant to come."""

    at: Ns
    point: str
    pressed: bool


@dataclass(frozen=True, slots=True)
class World:
    contacts: Mapping[str, Contact] = field(default_factory=dict)
    relays: Mapping[str, Relay] = field(default_factory=dict)
    leaves: Mapping[str, DrivenLeaf] = field(default_factory=dict)
    meters: Mapping[str, Meter] = field(default_factory=dict)
    edges: tuple[Edge, ...] = ()
    """In the order of their instants."""


# --- what happens -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Wire:
    """A part comes on to the terminal strip; its first level is reported."""

    point: str
    part: Part


@dataclass(frozen=True, slots=True)
class Unwire:
    """The driver has closed: nothing is reported from this point any more."""

    point: str


@dataclass(frozen=True, slots=True)
class Press:
    """Somebody presses, and lets go after ``length``; each time it bounces so many times."""

    point: str
    length: Ns
    bounces: int = 0


@dataclass(frozen=True, slots=True)
class SetContact:
    """A contact is active from now on; ``None``: nobody can tell. ``edge`` is the instant
    that the report shall carry, where it is not now (a recording that is played again)."""

    point: str
    active: bool | None
    edge: Ns | None = None


@dataclass(frozen=True, slots=True)
class SetMeter:
    """A quantity stays at a value; ``None``: the sensor is silent about it."""

    point: str
    quantity: str
    value: float | None


@dataclass(frozen=True, slots=True)
class Stick:
    """A contact stays as it is, whoever presses it."""

    point: str


@dataclass(frozen=True, slots=True)
class Cut:
    """A wire is cut."""

    point: str


@dataclass(frozen=True, slots=True)
class Break:
    """A relay cannot be switched any more."""

    point: str


@dataclass(frozen=True, slots=True)
class Mend:
    """Whatever was done to a point is undone: faults, jams, values that were set."""

    point: str


@dataclass(frozen=True, slots=True)
class Drive:
    """A relay is switched."""

    point: str
    on: bool


@dataclass(frozen=True, slots=True)
class Push:
    """Somebody opens a leaf by hand; it falls closed ``length`` later."""

    point: str
    length: Ns | None = None


@dataclass(frozen=True, slots=True)
class Jam:
    """A leaf is blocked: it stays shut, or it stays open once it is."""

    point: str
    how: Jammed


Event = (
    Wire | Unwire | Press | SetContact | SetMeter | Stick | Cut | Break | Mend | Drive | Push | Jam
)


@dataclass(frozen=True, slots=True)
class ContactReport:
    """What a contact reports; ``edge``: the instant of the change, ``None`` for the first level."""

    active: bool | None
    edge: Ns | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class MeterReport:
    """One value of one quantity; ``None``: no value, with the reason."""

    quantity: str
    value: float | None
    reason: str = ""


Report = ContactReport | MeterReport


@dataclass(frozen=True, slots=True)
class Step:
    """What one step comes to: the next world, and (point, report) in the order they happened."""

    world: World
    reports: tuple[tuple[str, Report], ...] = ()


# --- the two functions ------------------------------------------------------------------


def wake_at(world: World) -> Ns | None:
    """The first instant at which something happens of itself."""
    instants = [edge.at for edge in world.edges[:1]]
    instants += [due for one in world.leaves.values() if (due := one.leaf.wake_at) is not None]
    instants += [meter.due for meter in world.meters.values() if meter.due is not None]
    return min(instants, default=None)


def step(world: World, event: Event | None, now: Ns) -> Step:
    """First everything that was due until now, each at its own instant, then the event.

    Raises :class:`KeyError` for a point that is not wired."""
    reports: list[tuple[str, Report]] = []
    while (due := wake_at(world)) is not None and due <= now:
        lived = _pass(world, due)
        world = lived.world
        reports += lived.reports
    if event is not None:
        happened = _happen(world, event, now)
        world = happened.world
        reports += happened.reports
    return Step(world, tuple(reports))


def measured(point: str, meter: Meter, quantity: Quantity, at: Ns) -> float | None:
    """What a meter measures, whether it reports it now or not."""
    return meter.held.get(quantity[0], sample(meter.seed, point, quantity, at / DAY))


# --- time passes ------------------------------------------------------------------------


def _pass(world: World, at: Ns) -> Step:
    if world.edges and world.edges[0].at == at:
        edge, *rest = world.edges
        return _move(replace(world, edges=tuple(rest)), edge.point, edge.pressed, at)
    for point, driven in world.leaves.items():
        if driven.leaf.wake_at == at:
            return _advance_leaf(world, point, driven, at)
    for point, meter in world.meters.items():
        if meter.due == at:
            meters = {**world.meters, point: replace(meter, due=at + meter.every)}
            return Step(replace(world, meters=meters), _read(point, meter, at))
    raise AssertionError("wake_at named an instant at which nothing is due")


def _advance_leaf(world: World, point: str, driven: DrivenLeaf, at: Ns) -> Step:
    locked = bool(driven.strike) and not _on(world, driven.strike)
    held = _held(world, driven)
    leaf = advanced(driven.leaf, at, lambda: driven.stays, locked=locked, held=held)
    return _set_leaf(world, point, leaf, at)


def _read(point: str, meter: Meter, at: Ns) -> tuple[tuple[str, Report], ...]:
    return tuple((point, _reading(point, meter, quantity, at)) for quantity in meter.quantities)


def _reading(point: str, meter: Meter, quantity: Quantity, at: Ns) -> MeterReport:
    value = measured(point, meter, quantity, at)
    return MeterReport(quantity[0], value, "" if value is not None else "the sensor is silent")


# --- something happens ------------------------------------------------------------------


def _happen(  # noqa: PLR0911, PLR0912 - one short case for each thing that can happen
    world: World, event: Event, now: Ns
) -> Step:
    match event:
        case Wire():
            return _wire(world, event.point, event.part, now)
        case Unwire(point):
            return Step(_without(world, point))
        case Press():
            return _press(world, event, now)
        case SetContact(point, active, edge):
            contact = world.contacts[point]
            if active is None:
                changed = replace(contact, fault="unknown")
            else:
                fault = "" if contact.fault == "unknown" else contact.fault
                changed = replace(contact, fault=fault, pressed=_stays(contact, active))
            return _change(_drop_edges(world, point), point, changed, now if edge is None else edge)
        case SetMeter(point, quantity, value):
            meter = world.meters[point]
            meter = replace(meter, held={**meter.held, quantity: value})
            return _meter(world, point, meter, now)
        case Stick(point):
            return _change(world, point, replace(world.contacts[point], fault="stuck"), now)
        case Cut(point):
            return _change(world, point, replace(world.contacts[point], fault="cut"), now)
        case Break(point):
            broken = replace(world.relays[point], broken=True)
            return Step(replace(world, relays={**world.relays, point: broken}))
        case Mend(point):
            return _mend(world, point, now)
        case Drive(point, on):
            return _drive(world, point, on, now)
        case Push(point, length):
            driven = world.leaves[point]
            stays = driven.stays if length is None else length
            return _set_leaf(
                _drop_edges(world, point), point, let_go(pushed(driven.leaf), now, stays), now
            )
        case Jam(point, how):
            return _set_leaf(world, point, replace(world.leaves[point].leaf, jam=how), now)


def _wire(world: World, point: str, part: Part, now: Ns) -> Step:
    match part:
        case Contact():
            world = replace(world, contacts={**world.contacts, point: part})
            return Step(world, ((point, ContactReport(part.active)),))
        case Relay():
            return Step(replace(world, relays={**world.relays, point: part}))
        case DrivenLeaf():
            world = replace(world, leaves={**world.leaves, point: part})
            return _wire(world, point, Contact("normally_closed"), now)
        case Meter():
            return _meter(world, point, part, now)


def _without(world: World, point: str) -> World:
    return World(
        contacts={k: v for k, v in world.contacts.items() if k != point},
        relays={k: v for k, v in world.relays.items() if k != point},
        leaves={k: v for k, v in world.leaves.items() if k != point},
        meters={k: v for k, v in world.meters.items() if k != point},
        edges=tuple(edge for edge in world.edges if edge.point != point),
    )


def _press(world: World, press: Press, now: Ns) -> Step:
    """The first edge is now, the others are to come."""
    _ = world.contacts[press.point]
    bounces = [BOUNCE_GAP] * (2 * press.bounces)
    release = max(press.length, sum(bounces) + BOUNCE_GAP)
    edges = [
        Edge(now + start + after, press.point, level)
        for start, pressed in ((0, True), (release, False))
        for after, level in bouncing(pressed, bounces)
    ]
    world = _drop_edges(world, press.point)
    for edge in edges[1:]:
        world = _later(world, edge)
    return _move(world, press.point, True, now)


def _drive(world: World, point: str, on: bool, now: Ns) -> Step:
    relay = world.relays[point]
    if relay.broken or relay.on == on:
        return Step(world)
    switched = replace(relay, on=on, operations=relay.operations + on)
    world = replace(world, relays={**world.relays, point: switched})
    reports: list[tuple[str, Report]] = []
    for name, driven in world.leaves.items():
        if point not in (driven.follows, driven.held_by):
            continue
        if on:
            toggles = driven.toggles and point == driven.follows
            leaf = asked(driven.leaf, now, driven.starts_in, toggles=toggles)
        else:
            leaf = let_go(driven.leaf, now, driven.stays)
        moved = _set_leaf(world, name, leaf, now)
        world = moved.world
        reports += moved.reports
    return Step(world, tuple(reports))


def _held(world: World, driven: DrivenLeaf) -> bool:
    return _on(world, driven.follows) or _on(world, driven.held_by)


def _on(world: World, relay: str) -> bool:
    return relay in world.relays and world.relays[relay].on


def _mend(world: World, point: str, now: Ns) -> Step:
    if point in world.relays:
        relay = replace(world.relays[point], broken=False)
        return Step(replace(world, relays={**world.relays, point: relay}))
    if point in world.meters:
        return _meter(world, point, replace(world.meters[point], held={}), now)
    contact = replace(world.contacts[point], fault="")
    driven = world.leaves.get(point)
    if driven is not None:
        contact = replace(contact, pressed=driven.leaf.is_open)
        leaf = replace(driven.leaf, jam="")
        if driven.leaf.jam == "open" and not _held(world, driven):
            leaf = let_go(leaf, now, driven.stays)
        world = _set_leaf(world, point, leaf, now).world
    elif world.contacts[point].fault == "stuck" and not any(e.point == point for e in world.edges):
        contact = replace(contact, pressed=False)  # the finger has long been gone
    return _change(world, point, contact, now)


# --- small steps ------------------------------------------------------------------------


def _move(world: World, point: str, pressed: bool, at: Ns) -> Step:
    contact = world.contacts[point]
    return _change(world, point, replace(contact, pressed=_stays(contact, pressed)), at)


def _stays(contact: Contact, pressed: bool) -> bool:
    return contact.pressed if contact.fault == "stuck" else pressed


def _change(world: World, point: str, contact: Contact, at: Ns) -> Step:
    """Tell a change, and nothing where the wires let no change through."""
    before = world.contacts[point].active
    world = replace(world, contacts={**world.contacts, point: contact})
    if contact.active == before:
        return Step(world)
    reason = "" if contact.active is not None else "the contact is simulated as unknown"
    return Step(world, ((point, ContactReport(contact.active, at, reason)),))


def _set_leaf(world: World, point: str, leaf: Leaf, at: Ns) -> Step:
    """The leaf is like this now, and its contact says so where it has left closed or closes."""
    driven = world.leaves[point]
    world = replace(world, leaves={**world.leaves, point: replace(driven, leaf=leaf)})
    if leaf.is_open == driven.leaf.is_open:
        return Step(world)
    return _move(world, point, leaf.is_open, at)


def _meter(world: World, point: str, meter: Meter, now: Ns) -> Step:
    meter = replace(meter, due=now + meter.every)
    return Step(replace(world, meters={**world.meters, point: meter}), _read(point, meter, now))


def _drop_edges(world: World, point: str) -> World:
    """Nothing that was to happen to this contact will."""
    return replace(world, edges=tuple(edge for edge in world.edges if edge.point != point))


def _later(world: World, edge: Edge) -> World:
    return replace(world, edges=tuple(sorted((*world.edges, edge), key=lambda e: e.at)))
