"""Configurations that are read again: the same, a changed one, and ones with a room more or less.

The spare room has a cord, a button and a lamp. It comes and goes with the configuration, and now
and then somebody calls there. Then no reload may remove it; only who changes the file and cuts
the power can.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from functools import partial

from gateway.core.instant import Ms
from gateway.core.machine import replace
from gateway.core.plan import BuildingPlan, RelayPlan, RoomPlan
from gateway.simulation.agenda import MINUTE, SECOND, Agenda, about
from gateway.simulation.host import Host
from gateway.simulation.rooms import LOOKS_IN_MS, RoomWorld

SPARE = "spare"
LASTS_MS: tuple[Ms, Ms] = (300, 3 * SECOND)
"""From the old process to the new one."""


def spare_room(plan: BuildingPlan) -> RoomPlan:
    """The room that comes and goes; its calls are told as those of the first room. It has no
    sensors, so none of their times matters."""
    escalation = next((room.escalation for room in plan.rooms if room.escalation), None)
    return RoomPlan(
        SPARE,
        "Spare room",
        cords=(f"{SPARE}.cord",),
        cancel=f"{SPARE}.cancel",
        reassurance=f"{SPARE}.lamp",
        escalation=escalation,
        attend_within_ms=5 * MINUTE,
        vacant_after_ms=0,
        lingers_ms=0,
        doubt_after_ms=0,
        long_stay_after_ms=None,
        no_motion_after_ms=None,
    )


def with_room(plan: BuildingPlan, room: RoomPlan) -> BuildingPlan:
    """The plan with this room and its terminals, which settle as the first contact does."""
    wired = replace(plan.contacts[0], private=False)
    pressed = replace(wired, stuck_after_ms=30 * SECOND, fault_severity="fault")
    pulled = replace(wired, stuck_after_ms=None, fault_severity="urgent")
    presses = (replace(pressed, point=room.cancel),) if room.cancel else ()
    cords = tuple(replace(pulled, point=point) for point in room.cords)
    lamps = (RelayPlan(room.reassurance, None),) if room.reassurance else ()
    return replace(
        plan,
        contacts=(*plan.contacts, *cords, *presses),
        relays=(*plan.relays, *lamps),
        rooms=(*plan.rooms, room),
    )


def changed(plan: BuildingPlan) -> BuildingPlan:
    """The plan with other times. None of them is one that an oracle knows."""
    return replace(
        plan,
        contacts=tuple(
            replace(c, stuck_after_ms=c.stuck_after_ms and c.stuck_after_ms + 5 * SECOND)
            for c in plan.contacts
        ),
        doors=tuple(replace(d, closes_within_ms=d.closes_within_ms + SECOND) for d in plan.doors),
        rooms=tuple(replace(r, attend_within_ms=r.attend_within_ms + MINUTE) for r in plan.rooms),
    )


class Reloads:
    """``spare`` is the truth about the room that comes and goes."""

    def __init__(
        self,
        spare: RoomWorld,
        host: Host,
        agenda: Agenda,
        chance: random.Random,
        faults: Counter[str],
    ) -> None:
        self.spare = spare
        self.host = host
        self.agenda = agenda
        self.chance = chance
        self.faults = faults
        self.there = False
        """Whether the spare room is configured."""
        self.on_reload: list[Callable[[], None]] = []
        """Told right before one is asked for."""
        self.on_answer: list[Callable[[bool, bool], None]] = []
        """Told whether the room is removed by it, and whether it was accepted."""
        self.on_orphan: list[Callable[[], None]] = []
        """Told when a call has lost its room."""
        plain, room = host.plan, spare.plan
        self._plans = {
            (False, False): plain,
            (False, True): changed(plain),
            (True, False): with_room(plain, room),
            (True, True): changed(with_room(plain, room)),
        }
        self._changed = False

    def happens(self, why: str = "reload", what: str = "") -> None:
        """The configuration is read again. ``what`` is drawn where it is not said."""
        if not self.host.running:
            return
        there, is_changed = self.there, self._changed
        what = what or self.chance.choice(("same", "changed", "room", "room"))
        if what == "changed":
            is_changed = not is_changed
        elif what == "room":
            there = not there
        self.faults[f"{why}: {_name(what, there=there)}"] += 1
        if what == "same" and self.chance.random() < 0.5:
            return  # nothing new, and its timetable is fresh: the process goes on
        for told in self.on_reload:
            told()
        taken = self.host.reload(self._plans[there, is_changed], self.chance.randrange(*LASTS_MS))
        for answered in self.on_answer:
            answered(self.there and not there, taken)
        if not taken:
            return
        if there and not self.there and self.chance.random() < 0.5:
            self.agenda.later(about(self.chance, 20 * MINUTE), self._somebody_calls)
        self.there, self._changed = there, is_changed

    def in_a_call(self, rate: float) -> None:
        """Somebody calls: the configuration may be changed in the middle of it."""
        if self.chance.random() < rate:
            wait_ms = self.chance.randrange(5 * MINUTE)
            self.agenda.later(wait_ms, partial(self.happens, "reload in a call"))

    def _somebody_calls(self) -> None:
        if not self.there or not self.host.readable:
            return
        self.faults["call in the spare room"] += 1
        if self.chance.random() < 0.5:
            self.spare.pull(LOOKS_IN_MS)
            self.agenda.later(about(self.chance, MINUTE), self._orphan)
            return
        self.spare.pull(self.chance.choice((300, 900, 4 * SECOND)))
        wait_ms = about(self.chance, MINUTE)
        self.agenda.later(wait_ms, partial(self.happens, "reload in a call", "room"))
        self.agenda.later(about(self.chance, LOOKS_IN_MS), self.spare.found)

    def _orphan(self) -> None:
        """The file is changed and the power is cut: the next start does not know the room."""
        host, spare = self.host, self.spare
        if not (self.there and spare.wanted and host.readable):
            self.agenda.later(LOOKS_IN_MS, spare.found)
            return
        self.faults["room of a call removed over a power cut"] += 1
        host.rewire(self._plans[False, self._changed])
        host.end(20 * SECOND + about(self.chance, MINUTE), power=True)
        self.there, spare.wanted = False, False
        for point in spare.plan.cords:
            host.edge(point, False)
        for told in self.on_orphan:
            told()


def _name(what: str, *, there: bool) -> str:
    if what == "room":
        return "a room more" if there else "a room less"
    return what
