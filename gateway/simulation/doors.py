"""One door, its operator and its wires, and the people who want to pass.

People press, wait, press once more, and then ask staff. The truth about every press is kept
for the oracles: long enough to count, on a contact that could be read and was at rest.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from gateway.core.effects import Reply
from gateway.core.events import Mode, OpenDoor, SetMode
from gateway.core.facts import Fact
from gateway.core.instant import Ms
from gateway.core.plan import ActivatorPlan, DoorPlan
from gateway.simulation.agenda import HOUR, MINUTE, SECOND, Agenda, about
from gateway.simulation.host import Host
from gateway.simulation.world.contact import bouncing
from gateway.simulation.world.leaf import Leaf, advanced, asked, let_go, pushed

PATIENCE_MS: Ms = 6_000
"""Who has pressed looks at the door for so long."""
TRIES_AGAIN_MS: Ms = 20 * SECOND
"""An operator tries again to close a leaf that something holds open."""
BOUNCE_MS: Ms = 2
"""Between two edges of a leaf's contact that bounces."""
Bounces = tuple[Ms, ...]
"""An even number of durations, so that the contact ends as it began."""
PRESSES_MS: tuple[Ms, ...] = (10, 29, 30, 60, 150, 250, 400, 400, 900, 2_000)


@dataclass(frozen=True, slots=True)
class Override:
    """A mode that staff have chosen, from when and until when by the world's time."""

    mode: Mode
    since_ms: Ms
    until_ms: Ms


class DoorWorld:
    """The leaf moves as its relays say, unless something is in the way."""

    def __init__(self, plan: DoorPlan, host: Host, agenda: Agenda, seed: int) -> None:
        self.plan = plan
        self.host = host
        self.agenda = agenda
        self.chance = random.Random(f"{seed}/door/{plan.id}")
        self.leaf = Leaf(tries_again=TRIES_AGAIN_MS)
        self.mode: str = plan.mode
        self.pressed: list[tuple[Ms, ActivatorPlan]] = []
        """True presses."""
        self.mode_ms: Ms = -HOUR
        """When the mode last changed."""
        self.on_press: list[Callable[[ActivatorPlan], None]] = []
        self.on_bounce: list[Callable[[ActivatorPlan], None]] = []
        self.on_override: list[Callable[[], None]] = []
        self.asked: list[Ms] = []
        """When staff asked for this door."""
        self.overrides = 0
        self.off_until_ms: Ms = 0
        """Until when staff have switched the door off, at the earliest."""
        self.off_saved = False
        self.openings = 0
        self.passed = 0
        self.gave_up = 0
        self.jammed_ms: Ms = 0
        self.on_jam: list[Callable[[], None]] = []
        self.moved_ms: Ms = -HOUR
        """When the leaf last moved."""
        self.override: Override | None = None
        """The newest that was accepted."""
        self._asked_modes: dict[str, tuple[Mode, Ms]] = {}
        self.wedged = False
        self.broken: set[str] = set()
        """Relays that cannot be switched."""
        self._held: dict[str, Ms] = {}
        host.on_drive.append(self._driven)
        host.on_fact.append(self._told)
        host.on_reply.append(self._replied)
        if plan.bolt is not None:
            host.levels[plan.bolt] = True

    # --- operator and leaf -----------------------------------------------------------------

    @property
    def open(self) -> bool:
        """Whether the leaf is."""
        return self.leaf.is_open

    def _driven(self, point: str, on: bool) -> None:
        plan = self.plan
        if point not in (plan.activation, plan.hold_open) or point in self.broken:
            return
        if not on:
            if self.open:
                self.agenda.later(0, self._let_go)
        elif not self.leaf.dead:
            toggles = plan.toggle and point == plan.activation and not self.wedged
            starts_in_ms = self._opens_in_ms()
            self._become(asked(self.leaf, self.agenda.now, starts_in_ms, toggles=toggles))

    def _opens_in_ms(self) -> Ms:
        """From the activation until the leaf moves."""
        return self.chance.randrange(400, 2_200)

    def _stays_ms(self) -> Ms:
        """How long the leaf stays open."""
        return self.chance.randrange(3_500, 7_000)

    def _let_go(self) -> None:
        self._become(let_go(self.leaf, self.agenda.now, self._stays_ms()))

    def _become(self, leaf: Leaf) -> None:
        """The leaf is like this now. What happens of itself does so when it is due."""
        now, was, self.leaf = self.agenda.now, self.leaf, leaf
        if leaf.is_open is not was.is_open:
            self._moved()
        for at_ms in leaf.instants:
            if at_ms > now and at_ms not in was.instants:
                self.agenda.later(at_ms - now, self._pass)

    def _pass(self) -> None:
        strike = self.plan.strike
        while (due_ms := self.leaf.wake_at) is not None and due_ms <= self.agenda.now:
            locked = strike is not None and not self.host.lit[strike]
            held = self.wedged or self._driven_open()
            self._become(advanced(self.leaf, due_ms, self._stays_ms, locked=locked, held=held))

    def _driven_open(self) -> bool:
        relays = [self.plan.hold_open, *([self.plan.activation] if not self.plan.pulse_ms else [])]
        return any(p is not None and p not in self.broken and self.host.lit[p] for p in relays)

    def _moved(self) -> None:
        self.moved_ms = self.agenda.now
        self.openings += self.open
        if self.plan.leaf is not None:
            self._bounce(self.plan.leaf, self.open)
        self._follow_bolt()

    def _bounce(self, point: str, active: bool) -> None:
        """A contact of metal: a few edges within ten milliseconds."""
        if self.host.levels[point] is None:
            return
        bounces = [BOUNCE_MS] * (2 * self.chance.randrange(0, 3))
        for after_ms, level in bouncing(active, bounces):
            self.agenda.later(after_ms, partial(self._edge, point, level))

    def _edge(self, point: str, active: bool) -> None:
        if self.host.levels[point] is not None:
            self.host.edge(point, active)

    def _told(self, fact: Fact) -> None:
        """The operator's own programme follows the mode, and with it its bolt."""
        if fact.kind == "door_mode" and fact.subject == self.plan.id:
            self.mode, self.mode_ms = str(fact.data["mode"]), self.agenda.now
            self.agenda.later(SECOND, self._follow_bolt)

    def _follow_bolt(self) -> None:
        if self.plan.bolt is not None:
            self._edge(self.plan.bolt, self.mode == "night" and not self.open)

    # --- fingers ---------------------------------------------------------------------------

    def press(self, activator: ActivatorPlan, for_ms: Ms, bounces: Bounces = ()) -> bool:
        """A finger, unless it is on this button already: whether it is now. A press counts from
        ``settle_ms`` on. ``bounces``: how long the contact is on and off by turns before it
        stays on, and again after it was let go."""
        point, now = activator.point, self.agenda.now
        if self._held.get(point, -1) >= now or self.host.levels[point] is not False:
            return False
        self._held[point] = now + for_ms + 200
        settle_ms = next(c.settle_ms for c in self.host.plan.contacts if c.point == point)
        if for_ms >= settle_ms and self.host.running:
            self.pressed.append((now, activator))
            for told in self.on_press:
                told(activator)
        self.host.edge(point, True)
        self.agenda.later(for_ms, lambda: self._edge(point, False))
        for bounced in self.on_bounce if bounces and self.host.running else ():
            bounced(activator)
        for start_ms, first in ((0, True), (for_ms, False)):
            for after_ms, level in bouncing(first, bounces)[1:]:
                self.agenda.later(start_ms + after_ms, partial(self._edge, point, level))
        return True

    # --- people ----------------------------------------------------------------------------

    def passes(self, side: str, *, staffed: bool) -> None:
        """Somebody comes who wants to go through."""
        doors = [a for a in self.plan.activators if a.side == side or a.kind == "remote"]
        if self.open or not doors:
            self.passed += self.open
            return
        activator = self.chance.choice(doors)
        self.press(activator, self.chance.choice(PRESSES_MS))
        self.agenda.later(PATIENCE_MS, lambda: self._looks(activator, 1, staffed))

    def _looks(self, activator: ActivatorPlan, tries: int, staffed: bool) -> None:
        """Who finds the door closed presses again, then asks, then goes away."""
        if self.open:
            self.passed += 1
            self._in_the_doorway()
        elif tries < 2:
            self.press(activator, 400)
            self.agenda.later(PATIENCE_MS, lambda: self._looks(activator, tries + 1, staffed))
        elif tries < 3 and staffed:
            self.staff_open("somebody waits")
            self.agenda.later(PATIENCE_MS, lambda: self._looks(activator, tries + 1, staffed))
        else:
            self.gave_up += 1

    def _in_the_doorway(self) -> None:
        point = self.plan.presence
        if point is not None and self.host.levels[point] is False:
            self.host.edge(point, True)
            self.agenda.later(about(self.chance, 2 * SECOND), lambda: self._edge(point, False))

    def staff_open(self, reason: str) -> None:
        """Staff open from the page."""
        self.asked.append(self.agenda.now)
        self.host.tell(OpenDoor(*self.host.envelope(), self.plan.id, reason))

    def staff_mode(self, mode: Mode, for_ms: Ms) -> None:
        """Staff choose another mode for some time."""
        self.overrides += 1
        self.off_until_ms = self.agenda.now + for_ms if mode == "off" else 0
        self.off_saved = self.host.readable and self.agenda.now >= self.host.blocked_until_ms
        envelope = self.host.envelope()
        self._asked_modes[envelope[0]] = (mode, for_ms)
        self.host.tell(SetMode(*envelope, self.plan.id, mode, for_ms=for_ms))

    def _replied(self, reply: Reply) -> None:
        asked = self._asked_modes.pop(reply.command, None)
        if asked is not None and reply.status == "accepted":
            now = self.agenda.now
            self.override = Override(asked[0], now, now + asked[1]) if self.host.readable else None
            for told in self.on_override:
                told()

    # --- weather ---------------------------------------------------------------------------

    def by_hand(self) -> None:
        """Wind or a hand pushes the leaf; a bolted one does not give way."""
        if self.plan.bolt is None or not self.host.levels[self.plan.bolt]:
            self._become(pushed(self.leaf))
            self._let_go()

    def wedge(self) -> None:
        self.wedge_for(about(self.chance, 10 * MINUTE))

    def wedge_for(self, for_ms: Ms) -> None:
        self.wedged = True
        self.agenda.later(for_ms, self._unwedge)

    def _unwedge(self) -> None:
        self.wedged = False

    def jams(self, where: Literal["shut", "open"], for_ms: Ms) -> bool:
        """The operator sticks where the leaf is, and reports nothing; whether it is there."""
        if self.leaf.jam or self.leaf.dead or self.open is not (where == "open"):
            return False
        self.leaf, self.jammed_ms = replace(self.leaf, jam=where), self.agenda.now
        for told in self.on_jam:
            told()

        def freed() -> None:
            self.leaf = replace(self.leaf, jam="")

        self.agenda.later(for_ms, freed)
        return True

    def stop_operator(self, stops: bool) -> None:
        """It does not move, and reports nothing; or it does again."""
        self.leaf = replace(self.leaf, dead=stops)

    def operator_dies(self) -> None:
        """It does not move for some hours; where there is a contact for it, it says so."""
        if self.leaf.dead:
            return
        self.stop_operator(True)
        point = self.plan.operator_fault
        if point is not None:
            self._edge(point, True)

        def mended() -> None:
            self.stop_operator(False)
            if point is not None:
                self._edge(point, False)

        self.agenda.later(about(self.chance, 2 * HOUR), mended)

    def leaf_wire(self) -> None:
        """The leaf's contact cannot be read for a while."""
        point = self.plan.leaf
        if point is None or self.host.levels[point] is None:
            return
        self.host.edge(point, None)
        back = about(self.chance, HOUR)
        self.agenda.later(back, lambda: self.host.edge(point, self.open))

    def stick(self) -> None:
        """A button is held for far longer than anybody presses."""
        self.press(self._any(), self.chance.randrange(MINUTE, HOUR))

    def chatter(self) -> None:
        """A loose wire presses a button again and again."""
        activator = self._any()
        for n in range(self.chance.randrange(60, 160)):
            self.agenda.later(n * 400, lambda: self.press(activator, 100))

    def _any(self) -> ActivatorPlan:
        return self.chance.choice(self.plan.activators)

    def lose_button(self) -> None:
        """A driver fails and comes back with the contact closed: nobody has pressed."""
        if not self.plan.activators:
            return
        point, now = self._any().point, self.agenda.now
        if self._held.get(point, -1) >= now or self.host.levels[point] is not False:
            return
        self._held[point] = now + 2 * MINUTE
        self.host.edge(point, None)
        self.agenda.later(MINUTE, lambda: self.host.edge(point, True))
        self.agenda.later(MINUTE + 5 * SECOND, lambda: self.host.edge(point, False))
