"""One bathroom: who uses it, who falls, what its sensors see, and who helps.

The truth that the oracles are fed with: ``wanted`` (somebody has pulled, or the wire of a cord
is broken, and nobody has pressed the button in the room since) and ``inside``.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from math import sqrt

from gateway.core.events import TestRoom
from gateway.core.instant import Ms
from gateway.core.plan import LinePlan, RoomPlan
from gateway.simulation.agenda import HOUR, MINUTE, SECOND, Agenda, about
from gateway.simulation.host import Host
from gateway.simulation.meters import Meters

FALLS = 0.01
MISTAKES = 0.012
"""Of all visits: who takes the cord for the light switch."""
SLEEPS = 0.002
"""Of all visits: who stays for more than an hour, and calls nobody."""
LOOKS_IN_MS: Ms = 40 * MINUTE
"""Somebody sees the lamp or misses a colleague after so long, told or not."""


class RoomWorld:
    """People and wires of one room."""

    def __init__(
        self, plan: RoomPlan, host: Host, meters: Meters, agenda: Agenda, seed: int
    ) -> None:
        self.plan = plan
        self.host = host
        self.meters = meters
        self.agenda = agenda
        self.chance = random.Random(f"{seed}/room/{plan.id}")
        self.inside = False
        self.left_ms: Ms = 0
        self.entered_ms: Ms = 0
        self.visits = 0
        self.wanted = False
        self.wanted_ms: Ms = 0
        self.helped_ms: Ms = -1
        """When somebody last pressed a button in the room that only stands there."""
        self.cancelled_ms: Ms = -HOUR
        self.tested_until_ms: Ms = -1
        self.seen: dict[str, int] = {}
        self.on_pull: list[Callable[[], None]] = []
        self.on_cancel: list[Callable[[], None]] = []
        self.on_test: list[Callable[[str, Ms], None]] = []
        """Told the command that sets test mode, and for how long."""
        self.on_test_pull: list[Callable[[], None]] = []
        self._helping = False
        self._visit = 0
        self.moving = False
        """Whoever is inside moves now and then."""
        for line in plan.lines:
            meters.hold(line.point, "line_ohm", _rest_ohm(line))

    # --- wires -----------------------------------------------------------------------------

    def _set(self, point: str | None, active: bool) -> None:
        if point is not None and self.host.levels[point] is not None:
            self.host.edge(point, active)

    def pull(self, for_ms: Ms) -> None:
        """Somebody pulls a cord, and lets go after ``for_ms``."""
        cords = [p for p in self.plan.cords if self.host.levels[p] is False]
        if cords:
            point = self.chance.choice(cords)
            self.host.edge(point, True)
            self._pulled(for_ms)
            self.agenda.later(for_ms, lambda: self._set(point, False))
        elif self.plan.lines:
            line = self.chance.choice(self.plan.lines)
            self.meters.hold(line.point, "line_ohm", _pulled_ohm(line))
            self._pulled(for_ms)
            self.agenda.later(
                max(for_ms, SECOND),
                lambda: self.meters.hold(line.point, "line_ohm", _rest_ohm(line)),
            )

    def _pulled(self, for_ms: Ms) -> None:
        """It counts when somebody was there to see it (or is, before it is let go)."""
        self._count("pulls")
        if self.host.running:
            self.wants()
        elif for_ms > HOUR:
            self.host.on_up.append(self._wants_once)

    def _wants_once(self) -> None:
        self.host.on_up.remove(self._wants_once)
        if any(self.host.levels[p] for p in self.plan.cords):
            self.wants()

    def wants(self) -> None:
        """Somebody needs help from now on, unless it may be a test."""
        if self.agenda.now <= self.tested_until_ms:
            for tested in self.on_test_pull:
                tested()
            return
        if not self.wanted:
            self.wanted, self.wanted_ms = True, self.agenda.now
        for told in self.on_pull:
            told()

    def press(self, point: str | None) -> bool:
        """A button in the room, for as long as people press; whether it could be pressed."""
        if point is None or self.host.levels[point] is not False or not self.host.running:
            return False
        self.host.edge(point, True)
        self.agenda.later(300, lambda: self._set(point, False))
        if point == self.plan.cancel:
            self.cancelled_ms = self.agenda.now
        return True

    @property
    def busy(self) -> bool:
        """Somebody helps or tests."""
        return self._helping

    def healthy_since_ms(self) -> Ms:
        """Since when the building has had a chance to know about the room."""
        return max(self.host.ready_ms, self.helped_ms, self.cancelled_ms)

    # --- visits ----------------------------------------------------------------------------

    def visit(self) -> None:
        """Somebody comes in, if nobody is there."""
        if self.inside or self._helping:
            return
        plan = self.plan
        self.inside, self.entered_ms = True, self.agenda.now
        self.visits += 1
        self._visit += 1
        self._set(plan.door, True)
        self.agenda.later(4 * SECOND, lambda: self._set(plan.door, False))
        self.agenda.later(8 * SECOND, lambda: self._set(plan.bolt, True))
        luck = self.chance.random()
        stays_ms = about(self.chance, 6 * MINUTE)
        if luck < FALLS:
            self._count("falls")
            self.agenda.later(stays_ms // 2, self._falls)
            self._moves(self._visit, self.agenda.now + stays_ms // 2)
            return
        if luck < FALLS + MISTAKES:
            self.agenda.later(stays_ms // 3, lambda: self.pull(self.chance.choice([60, 300, 900])))
            self.agenda.later(stays_ms // 3 + LOOKS_IN_MS, self.found)
        elif luck < FALLS + MISTAKES + SLEEPS:
            self._count("long stays")
            stays_ms = HOUR + about(self.chance, HOUR)
        self._moves(self._visit, self.agenda.now + stays_ms)
        self.agenda.later(stays_ms, self._goes)

    def _moves(self, visit: int, until_ms: Ms) -> None:
        """The motion sensors see whoever moves, for some seconds at a time."""

        self.moving = until_ms - self.agenda.now > HOUR

        def moves() -> None:
            if not self.inside or visit != self._visit or self.agenda.now >= until_ms:
                return
            for point in self.plan.motion:
                if self.host.levels[point] is False:
                    self._set(point, True)
                    self.agenda.later(
                        self.chance.randrange(3, 12) * SECOND,
                        partial(self._set, point, False),
                    )
            self.agenda.later(self.chance.randrange(30, 120) * SECOND, moves)

        self.agenda.later(5 * SECOND, moves)

    def _goes(self) -> None:
        """Washes hands, goes out. Who has called by mistake goes, too: the call stands."""
        for point in self.plan.taps:
            self._set(point, True)
            self.agenda.later(8 * SECOND, partial(self._set, point, False))
        self._set(self.plan.bolt, False)
        self._set(self.plan.door, True)
        self.inside, self.moving, self.left_ms = False, False, self.agenda.now
        self.agenda.later(5 * SECOND, lambda: self._set(self.plan.door, False))

    # --- somebody needs help ---------------------------------------------------------------

    def _falls(self) -> None:
        """Who lies on the floor pulls; some hang on to the cord; one in ten cannot reach it."""
        if self.chance.random() < 0.9:
            self.pull(self.chance.choice([60, 300, 900, 4_000, 3 * HOUR]))
            if self.chance.random() < 0.3:
                self.agenda.later(2 * MINUTE, lambda: self.pull(400))
        else:
            self._count("falls without a call")
        self.agenda.later(about(self.chance, LOOKS_IN_MS), self.found)

    def found(self) -> None:
        """Somebody who looks in helps whoever is there or has called."""
        if self.wanted or self.inside:
            self.helper()

    def helper(self, in_ms: Ms = 0) -> None:
        """Somebody comes: presses *presence*, helps, ends the call with the button in the room."""
        if not self._helping:
            self._helping = True
            self.agenda.later(in_ms, self._helps)

    def _helps(self) -> None:
        self._set(self.plan.bolt, False)
        self._set(self.plan.door, True)
        self.agenda.later(3 * SECOND, lambda: self._set(self.plan.door, False))
        if self.chance.random() < 0.7 and self.press(self.plan.presence):
            self.helped_ms = self.agenda.now
        self.agenda.later(about(self.chance, 3 * MINUTE), self._ends)

    def _ends(self) -> None:
        """Lets go of the cords, then presses; again and again while the gateway is away."""
        for point in self.plan.cords:
            self._set(point, False)
        if self.plan.cancel is not None and self.wanted and not self._cancels():
            self.agenda.later(MINUTE, self._ends)
            return
        self._helping = False
        if self.inside:
            self.agenda.later(MINUTE, self._goes)

    def _cancels(self) -> bool:
        """A press counts only where somebody sees it."""
        if self.host.agenda.now < self.host.ready_ms + 2 * SECOND:
            return False
        if not self.press(self.plan.cancel):
            return False
        self.wanted = False
        self._count("cancels")
        for told in self.on_cancel:
            told()
        return True

    # --- weather and tests -----------------------------------------------------------------

    def cord_cut(self) -> None:
        """The wire of a cord breaks: that is a call. The electrician comes after the helper."""
        cords = [p for p in self.plan.cords if self.host.levels[p] is False]
        if not cords or not self.host.running:
            return
        self._count("cords cut")
        self.host.edge(cords[0], True)
        self._pulled(HOUR)
        self.agenda.later(LOOKS_IN_MS, self.found)
        self.agenda.later(about(self.chance, 3 * HOUR), lambda: self._set(cords[0], False))

    def cord_unknown(self) -> None:
        """A cord cannot be read for a while, and is as it was afterwards."""
        for point in self.plan.cords:
            if self.host.levels[point] is False:
                self.host.edge(point, None)
                back = about(self.chance, 20 * MINUTE)
                self.agenda.later(back, partial(self.host.edge, point, False))
                return

    def leak(self) -> None:
        """Water on the floor for an hour or two."""
        if self.plan.leak is not None and self.host.levels[self.plan.leak] is False:
            self._count("leaks")
            self._set(self.plan.leak, True)
            self.agenda.later(about(self.chance, HOUR), lambda: self._set(self.plan.leak, False))

    def tested(self) -> None:
        """The caretaker tests the cord: test mode, pull, look, cancel, end of the test."""
        if self.wanted or self.inside or self._helping:
            return
        for_ms = 10 * MINUTE
        if not self.host.running:
            return
        self.set_test(for_ms)
        self._count("tests")
        self.tested_until_ms = self.agenda.now + for_ms
        self._helping = True
        self.agenda.later(MINUTE, lambda: self.pull(800))
        self.agenda.later(2 * MINUTE, partial(self.press, self.plan.cancel))
        self.agenda.later(3 * MINUTE, self._test_over)

    def _test_over(self) -> None:
        self.set_test(0)
        self._helping = False

    def set_test(self, for_ms: Ms) -> None:
        """Somebody begins, prolongs or ends (0) test mode."""
        envelope = self.host.envelope()
        for told in self.on_test:
            told(envelope[0], for_ms)
        self.host.tell(TestRoom(*envelope, self.plan.id, for_ms))

    def _count(self, what: str) -> None:
        self.seen[what] = self.seen.get(what, 0) + 1


def _rest_ohm(line: LinePlan) -> float:
    """Well within what is neither pulled nor a fault."""
    if line.pulled_from_ohm > line.short_below_ohm:
        return round(sqrt(line.short_below_ohm * line.pulled_from_ohm), 1)
    return round(sqrt(line.pulled_to_ohm * line.cut_above_ohm), 1)


def _pulled_ohm(line: LinePlan) -> float:
    return round(sqrt(line.pulled_from_ohm * line.pulled_to_ohm), 1)
