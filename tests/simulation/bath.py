"""A bathroom with a pull cord and the people who use, clean and repair it, drawn from a seed.

Process, disk, power and terminals are the simulated lives'. The people are harder, and so is the
oracle: it looks at the lamp after each deed, and asks the world only.
"""

from __future__ import annotations

import random
from collections import Counter
from typing import Final

from gateway.core.events import AcknowledgeCall, TestRoom
from gateway.core.facts import Fact
from gateway.core.instant import Ms
from gateway.core.plan import BuildingPlan, RelayPlan
from gateway.simulation.agenda import DAY, HOUR, MINUTE, SECOND, Agenda
from gateway.simulation.host import Host
from tests import plans

START_UTC_MS = 1_767_225_600_000
CORDS = ("wc.cord", "wc.shower")
BUTTONS = ("wc.cancel", "wc.presence")
LAMP, ROOM_LAMP, SOUNDER = "wc.lamp", "wc.room_lamp", "wc.sounder"
PLAN = BuildingPlan(
    "town",
    contacts=(
        *(plans.emergency(point) for point in CORDS),
        *(plans.button(point) for point in BUTTONS),
    ),
    relays=tuple(RelayPlan(point, None) for point in (LAMP, ROOM_LAMP, SOUNDER)),
    rooms=(
        plans.room(
            "wc",
            "WC",
            cords=CORDS,
            cancel="wc.cancel",
            presence="wc.presence",
            reassurance=LAMP,
            lamp=ROOM_LAMP,
            sounder=SOUNDER,
        ),
    ),
)
SETTLE_MS: Final = PLAN.contacts[0].settle_ms


class Bath:
    """The truth, and the building that lives in it."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.chance = random.Random(seed)
        self.wanted = False
        """Somebody has pulled who is no tester, and nobody has pressed the button since."""
        self.tested_until: Ms = -1
        """Until then nobody can say from outside whether a pull is a test."""
        self.seen = Counter[str]()
        self.kinds = Counter[str]()
        self.agenda = Agenda()
        self.host = Host(PLAN, self.agenda, seed, START_UTC_MS)
        self.host.on_fact.append(self._told)
        self.lit = self.host.lit
        self.start(late_ms=0)

    @property
    def now(self) -> Ms:
        return self.agenda.now

    def _told(self, fact: Fact) -> None:
        self.kinds[fact.kind] += 1

    # --- the process -----------------------------------------------------------------------

    def start(self, late_ms: Ms) -> None:
        """The process starts; its disk can be read at once or ``late_ms`` later."""
        self.host.clock_trusted = self.chance.random() < 0.8
        self.host.start(late_ms)
        self.pass_by(late_ms + SECOND)

    def pass_by(self, for_ms: Ms) -> None:
        self.host.live_until(self.now + for_ms)

    # --- people and wires ------------------------------------------------------------------

    def pull(self) -> None:
        point, for_ms = self.chance.choice(CORDS), self.chance.choice([10, 29, 30, 60, 900, 4000])
        if self.host.levels[point] is not False:
            return
        self.host.edge(point, True)
        if for_ms >= SETTLE_MS and self.now > self.tested_until:
            self.wanted = True
            self.seen["pull"] += 1
        self.pass_by(for_ms)
        if self.chance.random() < 0.8:
            self.host.edge(point, False)  # else it hangs
        self.pass_by(100)

    def let_go(self) -> None:
        for point in CORDS:
            if self.host.levels[point] is not False:
                self.host.edge(point, False)
        self.pass_by(100)

    def press(self, point: str) -> None:
        if self.host.levels[point] is not False:
            return
        self.host.edge(point, True)
        self.pass_by(200)
        self.host.edge(point, False)
        self.pass_by(100)

    def cancel(self) -> None:
        self.press("wc.cancel")
        self.wanted = False
        self.seen["cancel"] += 1
        self.check_quiet()

    def wire(self) -> None:
        """A cord cannot be read for a while."""
        point = self.chance.choice(CORDS)
        was = self.host.levels[point]
        self.host.edge(point, None)
        self.pass_by(self.chance.randrange(MINUTE))
        self.host.edge(point, was)
        self.pass_by(100)

    def acknowledge(self) -> None:
        self.host.tell(AcknowledgeCall(*self.host.envelope(), "wc"))

    def test(self) -> None:
        for_ms = self.chance.choice([0, 2 * MINUTE, 10 * MINUTE])
        self.host.tell(TestRoom(*self.host.envelope(), "wc", for_ms))
        self.tested_until = max(self.tested_until, self.now + for_ms)

    def killed(self) -> None:
        """kill -9, and it is back at once."""
        self.seen["killed"] += 1
        self.host.stop()
        self.start(self.chance.choice([0, 0, 5 * SECOND]))

    def power_cut(self) -> None:
        """Nobody can call in the dark, but a cord that hangs pulled calls afterwards."""
        self.seen["power cut"] += 1
        self.host.stop()
        self.pass_by(self.chance.randrange(HOUR))
        self.host.boot()
        self.start(self.chance.choice([0, 20 * SECOND]))

    def live(self, days: int) -> None:
        deeds = [
            *[self.pull] * 3,
            self.let_go,
            *[self.cancel] * 2,
            lambda: self.press("wc.presence"),
            *[self.acknowledge] * 2,
            self.wire,
            self.test,
            self.killed,
            self.power_cut,
        ]
        while self.now < days * DAY:
            self.pass_by(self.chance.choice([300, 20 * SECOND, 3 * MINUTE, 6 * MINUTE]))
            self.check()
            self.chance.choice(deeds)()
            self.check()
            if not self.wanted and not any(self.lit.values()):
                self.pass_by(self.chance.randrange(HOUR))

    # --- the oracle ------------------------------------------------------------------------

    def check(self) -> None:
        """Who wants help has the light, whatever happened in between."""
        if self.wanted:
            self.seen["checked"] += 1
            assert self.lit[LAMP], f"seed {self.seed}: the call of {self.now} is lost"

    def check_quiet(self) -> None:
        """The button in the room makes it dark and silent, in every state."""
        assert not any(self.lit.values()), f"seed {self.seed}: not cancelled at {self.now}"
