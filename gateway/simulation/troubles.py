"""What goes wrong beside the first kinds, from a random stream of its own: an operator that
sticks, contacts that bounce or are held over a start, and restarts under a wrong clock or in a
mode that staff have chosen."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from functools import partial

from gateway.core.events import Mode
from gateway.core.instant import Ms
from gateway.simulation.agenda import DAY, HOUR, MINUTE, SECOND, Agenda, about
from gateway.simulation.doors import Bounces, DoorWorld
from gateway.simulation.host import Host
from gateway.simulation.rooms import LOOKS_IN_MS, RoomWorld
from gateway.simulation.world.contact import bouncing

BOUNCE_MS = (1, 9)
STEPS_MS: tuple[Ms, ...] = (8 * DAY, 40 * DAY, 400 * DAY, 3_650 * DAY, -2 * HOUR, -3 * DAY,
                            -400 * DAY, -3_650 * DAY)  # fmt: skip
"""How wrong the wall clock is at a restart. A first time that is ahead by less than a week is
believed, so none is drawn."""


class Troubles:
    """``set_clock`` and ``lose_clock`` make the wall clock wrong and right again after a while."""

    def __init__(
        self,
        host: Host,
        agenda: Agenda,
        chance: random.Random,
        faults: Counter[str],
        set_clock: Callable[[Ms, Ms], None],
        lose_clock: Callable[[Ms], None],
    ) -> None:
        self.host = host
        self.agenda = agenda
        self.chance = chance
        self.faults = faults
        self.set_clock = set_clock
        self.lose_clock = lose_clock

    # --- operators -------------------------------------------------------------------------

    def jam(self, door: DoorWorld) -> None:
        """The operator sticks: closed at once, or open the next time that the leaf is."""
        for_ms = about(self.chance, 2 * HOUR)
        if self.chance.random() < 0.5:
            self.faults["operator stays closed"] += door.jams("shut", for_ms)
            if self.chance.random() < 0.3:
                wait_ms, down_ms = (
                    about(self.chance, 40 * MINUTE),
                    self.chance.randrange(200, 5_000),
                )
                self.agenda.later(wait_ms, lambda: self.host.end(down_ms, power=False))
            for side in ("inside", "outside"):
                comes_ms = about(self.chance, 10 * MINUTE)
                self.agenda.later(comes_ms, partial(door.passes, side, staffed=True))
        else:
            self._jam_open(door, for_ms, self.agenda.now + 4 * HOUR)

    def _jam_open(self, door: DoorWorld, for_ms: Ms, until_ms: Ms) -> None:
        if door.jams("open", for_ms):
            self.faults["operator stays open"] += 1
        elif self.agenda.now < until_ms:
            self.agenda.later(2 * SECOND, lambda: self._jam_open(door, for_ms, until_ms))

    # --- contacts --------------------------------------------------------------------------

    def hold_over_start(self, door: DoorWorld) -> None:
        """Something holds a button, key switch or reader; the process or the machine starts
        meanwhile. What is found held is no press."""
        if not door.plan.activators or not self.host.running:
            return
        for_ms = 10 * MINUTE + about(self.chance, 20 * MINUTE)
        activator = self.chance.choice(door.plan.activators)
        if not door.press(activator, for_ms):
            return
        self.faults[f"{activator.kind} held at a start"] += 1
        power = self.chance.random() < 0.3
        down_ms = about(self.chance, 2 * MINUTE) if power else self.chance.randrange(200, 5_000)
        self.agenda.later(20 * SECOND, lambda: self.host.end(down_ms, power=power))

    def bouncing_press(self, door: DoorWorld) -> None:
        """A worn button."""
        if door.plan.activators:
            activator = self.chance.choice(door.plan.activators)
            for_ms = self.chance.randrange(150, 900)
            self.faults["press that bounces"] += door.press(activator, for_ms, self._bounces())

    def bouncing_pull(self, room: RoomWorld) -> None:
        """The contact of a cord makes and breaks some times before it stays."""
        if not room.plan.cords or not self.host.running or room.busy:
            return
        self.faults["pull that bounces"] += 1
        at_ms, point = 0, self.chance.choice(room.plan.cords)
        if self.host.levels[point] is False:
            for at_ms, level in bouncing(True, self._bounces()[:-1]):
                self.agenda.later(at_ms, partial(self._edge, point, level))
        self.agenda.later(at_ms + 5, lambda: room.pull(self.chance.choice((60, 300, 2_000))))
        self.agenda.later(about(self.chance, LOOKS_IN_MS), room.found)

    def _edge(self, point: str, active: bool) -> None:
        if self.host.levels[point] is not None:
            self.host.edge(point, active)

    def _bounces(self) -> Bounces:
        count = 2 * self.chance.randrange(1, 6)
        return tuple(self.chance.randrange(*BOUNCE_MS) for _ in range(count))

    # --- modes -----------------------------------------------------------------------------

    def choose_mode(self, door: DoorWorld, mode: Mode, for_ms: Ms) -> None:
        """Staff choose a mode for some hours. People come, and there is a restart meanwhile, under
        a wrong clock every other time."""
        self.faults[f"{mode} chosen before a restart"] += 1
        door.staff_mode(mode, for_ms)
        wait_ms = self.chance.randrange(MINUTE, HOUR)
        if self.chance.random() < 0.5:
            self.agenda.later(wait_ms, self.restart_under_a_wrong_clock)
        else:
            down_ms, power = self.chance.randrange(200, 5_000), self.chance.random() < 0.5
            self.agenda.later(wait_ms, lambda: self.host.end(down_ms, power=power))
        for side in ("inside", "outside", "outside"):
            comes_ms = self.chance.randrange(MINUTE, for_ms)
            self.agenda.later(comes_ms, partial(door.passes, side, staffed=False))

    # --- clocks ----------------------------------------------------------------------------

    def restart_under_a_wrong_clock(self) -> None:
        """The wall clock is ahead, back or not trusted; meanwhile there is a restart."""
        for_ms, power = about(self.chance, 2 * HOUR), self.chance.random() < 0.5
        how = "over a power cut" if power else "over a restart"
        if self.chance.random() < 0.3:
            self.faults[f"clock not trusted {how}"] += 1
            self.lose_clock(for_ms)
        else:
            step_ms = self.chance.choice(STEPS_MS)
            self.faults[f"clock {'ahead' if step_ms > 0 else 'back'} {how}"] += 1
            self.set_clock(step_ms, for_ms)
        down_ms = about(self.chance, 5 * MINUTE) if power else self.chance.randrange(200, 5_000)
        wait_ms = self.chance.randrange(SECOND, 30 * MINUTE)
        self.agenda.later(wait_ms, lambda: self.host.end(down_ms, power=power))
