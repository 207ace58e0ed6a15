"""What the oracles of one life have judged, and what excuses the building meanwhile.

Each oracle has a name; what it has seen broken is in ``broken``. An oracle that was never asked
proves nothing, so ``asked`` counts how often each had something to judge.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from gateway.core.instant import Ms
from gateway.simulation.agenda import HOUR, Agenda

KEPT_MOST = 50


@dataclass(frozen=True, slots=True)
class Broken:
    """An invariant that did not hold."""

    oracle: str
    at_ms: Ms
    text: str


class Judgement:
    """Shared by all oracles of one life."""

    def __init__(self, agenda: Agenda) -> None:
        self.agenda = agenda
        self.broken: list[Broken] = []
        self.asked: Counter[str] = Counter()
        self.excused_ms: Ms = -HOUR
        """When a fire alarm or a change of mode last gave a door a reason of its own."""
        self.clock_ms: Ms = -HOUR
        """When the wall clock was last set."""
        self.at_limit: set[str] = set()
        """Relays that were on for as long as they may, and that nobody has let go of since."""
        self.green: Callable[[str], bool] | None = None
        """Whether people are shown that this guarantee holds, where somebody can tell."""

    def judge(self, oracle: str, holds: bool, text: str) -> None:
        """One thing that an oracle had to judge."""
        self.asked[oracle] += 1
        if not holds and len(self.broken) < KEPT_MOST:
            self.broken.append(Broken(oracle, self.agenda.now, text))
