"""The simulated world of a bench, being played.

The world itself is pure (:mod:`gateway.simulation.world`). Here it has a clock, a thread and a
lock; the simulated drivers are wired to it, and the bench acts on it.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from threading import Condition, RLock, Thread

from drivers import ContactReport, DriverFault, Emit, MeterReport, Quantity, Report
from drivers.simulated import Operator, Wiring
from gateway.core.facts import Json
from gateway.simulation.world import terminals as w
from gateway.simulation.world.contact import Contact
from gateway.simulation.world.leaf import Leaf


class SimulatedWorld:
    """A world that is being lived.

    ``clock_ns`` tells its instants. With ``plays`` a thread wakes when something is due;
    without, nothing happens until somebody acts or calls :meth:`advance`: a bench clock that
    jumps forward lives through the deadlines of :meth:`wake_at_ns` one by one.

    Every method may be called from any thread, and from within an ``emit``. They raise
    :class:`KeyError` for a point that is not simulated."""

    def __init__(
        self, clock_ns: Callable[[], int] = time.monotonic_ns, *, plays: bool = True
    ) -> None:
        self._clock_ns = clock_ns
        self._plays = plays
        self._world = w.World()
        self._emits: dict[str, Emit] = {}
        self._told: deque[tuple[str, w.Report]] = deque()
        self._telling = False
        self._changed = Condition(RLock())
        self._thread: Thread | None = None

    # --- the drivers' side

    def wire_contact(self, point: str, wiring: Wiring, active: bool, emit: Emit) -> None:
        self._wire(point, Contact(wiring, pressed=active), emit)

    def wire_leaf(self, point: str, operator: Operator, emit: Emit) -> None:
        """The contact of a leaf, active unless the leaf is closed."""
        opens_in_ms = max(operator.opens_in_ms - operator.starts_in_ms, 0)
        leaf = w.DrivenLeaf(
            operator.follows,
            operator.held_by,
            operator.strike,
            operator.toggles,
            operator.starts_in_ms * w.MS,
            operator.stays_ms * w.MS,
            Leaf(opens_in_ms * w.MS, operator.closes_in_ms * w.MS),
        )
        self._wire(point, leaf, emit)

    def wire_relay(self, point: str, emit: Emit) -> None:
        self._wire(point, w.Relay(), emit)

    def wire_meter(
        self, point: str, quantities: Sequence[Quantity], every_ms: int, seed: int, emit: Emit
    ) -> None:
        measures = tuple((one.name, one.lowest, one.highest) for one in quantities)
        self._wire(point, w.Meter(measures, every_ms * w.MS, seed), emit)

    def _wire(self, point: str, part: w.Part, emit: Emit) -> None:
        """Connect a point; its first level or value is reported before this returns."""
        with self._changed:
            self._emits[point] = emit
            self._step(w.Wire(point, part))
            if self._plays and self._thread is None:
                self._thread = Thread(target=self._play, name="simulated-world", daemon=True)
                self._thread.start()

    def unwire(self, point: str) -> None:
        """Disconnect a point; a second call does nothing."""
        with self._changed:
            if self._emits.pop(point, None) is not None:
                self._step(w.Unwire(point))

    def drive(self, point: str, on: bool) -> None:
        """Switch a relay. Raises :class:`DriverFault` for one that is broken."""
        with self._changed:
            if self._world.relays[point].broken:
                raise DriverFault(f"{point} does not switch", "mend it on the bench")
            self._step(w.Drive(point, on))

    # --- the bench's side

    def press(self, point: str, for_ms: int = 200, *, bounces: int = 0) -> None:
        """Press a contact for so long; it bounces so many times on each end."""
        self._act(w.Press(point, for_ms * w.MS, bounces))

    def set(self, point: str, value: bool | float | None, quantity: str = "") -> None:
        """A contact is active or not, a meter's quantity (the first, if not named) has a value.
        ``None``: unknown, silent. Raises :class:`ValueError` for a value that it cannot have."""
        with self._changed:
            meter = self._world.meters.get(point)
            if meter is not None:
                known = [name for name, _, _ in meter.quantities]
                name = quantity or known[0]
                if name not in known:
                    raise ValueError(f"{point} has no {quantity}; it has {', '.join(known)}")
                if isinstance(value, bool):
                    raise ValueError(f"{point} is a meter: a number, or unknown")
                self._step(w.SetMeter(point, name, None if value is None else float(value)))
            elif quantity or not isinstance(value, bool | None):
                raise ValueError(f"{point} is no meter: on, off, or unknown")
            else:
                self._step(w.SetContact(point, value))

    def feed(self, point: str, active: bool, edge_ns: int) -> None:
        """An edge of a recording: a contact changes, and the report carries this instant."""
        self._act(w.SetContact(point, active, edge_ns))

    def stick(self, point: str) -> None:
        """A contact stays as it is now."""
        self._act(w.Stick(point))

    def cut(self, point: str) -> None:
        """The wire of a contact is cut."""
        self._act(w.Cut(point))

    def break_(self, point: str) -> None:
        """A relay switches no more; driving it is a fault."""
        self._act(w.Break(point))

    def mend(self, point: str) -> None:
        """Undo what was done to a point: faults, jams, values that were set."""
        self._act(w.Mend(point))

    def push(self, leaf: str, for_ms: int | None = None) -> None:
        """Open a leaf by hand; it falls closed after so long, or as its operator has it."""
        self._act(w.Push(leaf, None if for_ms is None else for_ms * w.MS))

    def jam(self, leaf: str, *, shut: bool) -> None:
        """Block a leaf: it stays shut, or else it stays open once it is."""
        self._act(w.Jam(leaf, "shut" if shut else "open"))

    def show(self) -> dict[str, dict[str, Json]]:
        """Every point as it truly is, whatever has been reported of it."""
        with self._changed:
            world = self._world
            points: dict[str, dict[str, Json]] = {}
            for name, contact in world.contacts.items():
                points[name] = {
                    "kind": "contact",
                    "active": contact.active,
                    "pressed": contact.pressed,
                    "fault": contact.fault,
                }
            for name, driven in world.leaves.items():
                points[name] |= {"leaf": driven.leaf.position, "jam": driven.leaf.jam}
            for name, relay in world.relays.items():
                points[name] = {
                    "kind": "relay",
                    "on": relay.on,
                    "broken": relay.broken,
                    "operations": relay.operations,
                }
            for name, meter in world.meters.items():
                now = self._clock_ns()
                values: dict[str, Json] = {
                    quantity[0]: w.measured(name, meter, quantity, now)
                    for quantity in meter.quantities
                }
                points[name] = {"kind": "meter", "values": values}
            return points

    # --- time

    def wake_at_ns(self) -> int | None:
        """When something happens of itself next."""
        with self._changed:
            return w.wake_at(self._world)

    def advance(self) -> None:
        """Live through everything that is due by the clock."""
        self._act(None)

    def close(self) -> None:
        """Stop playing. What is wired stays so; a second call does nothing."""
        with self._changed:
            self._plays = False
            thread, self._thread = self._thread, None
            self._changed.notify_all()
        if thread is not None:
            thread.join()

    # --- inside

    def _act(self, event: w.Event | None) -> None:
        with self._changed:
            self._step(event)

    def _step(self, event: w.Event | None) -> None:
        step = w.step(self._world, event, self._clock_ns())
        self._world = step.world
        self._told.extend(step.reports)
        self._changed.notify_all()
        if self._telling:  # an emit has acted on the world: the one who tells goes on telling
            return
        self._telling = True
        try:
            while self._told:
                point, report = self._told.popleft()
                if point in self._emits:
                    self._emits[point](_of_a_driver(report))
        finally:
            self._telling = False

    def _play(self) -> None:
        with self._changed:
            while self._plays:
                due = w.wake_at(self._world)
                if due is None:
                    self._changed.wait()
                elif (left_ns := due - self._clock_ns()) > 0:
                    self._changed.wait(left_ns / 1e9)
                else:
                    self._step(None)


def _of_a_driver(report: w.Report) -> Report:
    if isinstance(report, w.ContactReport):
        return ContactReport(report.active, report.edge, report.reason)
    return MeterReport(report.quantity, report.value, report.reason)
