"""The machine that the building lives on: its process, its power, its disk and its wall clock.

It takes what the terminals tell to the core, carries effects out into the world, and keeps
what a killed process would find on its disk: the state after the last step that had anything
to write.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from typing import Literal

from gateway.core import building
from gateway.core.building.state import Building
from gateway.core.effects import Drive, Effect, Reply, Send
from gateway.core.events import CivilTime, Event, Issuer, Level
from gateway.core.facts import Fact
from gateway.core.instant import Ms, UtcMs
from gateway.core.machine import Step
from gateway.core.plan import BuildingPlan
from gateway.core.signals.clock import Past
from gateway.simulation.agenda import HOUR, MINUTE, SECOND, Agenda, about

BLOCKED_MOST_MS: Ms = 400
EXPIRES_MS: Ms = 5_000
CUT = "wire cut"

Envelope = tuple[str, Issuer, Ms]


class Host:
    """``running`` is whether the process is; ``ready_ms`` since when it has all it knew."""

    def __init__(self, plan: BuildingPlan, agenda: Agenda, seed: int, start_utc_ms: UtcMs) -> None:
        self.plan = plan
        self.agenda = agenda
        self.chance = random.Random(f"{seed}/host")
        self.start_utc_ms = start_utc_ms
        self.levels: dict[str, bool | None] = {c.point: False for c in plan.contacts}
        """What each terminal is electrically, whether anybody looks or not."""
        self.lit: dict[str, bool] = {r.point: False for r in plan.relays}
        """What each relay was told last; nothing while the process is down."""
        self.on_drive: list[Callable[[str, bool], None]] = []
        self.on_fact: list[Callable[[Fact], None]] = []
        self.on_reply: list[Callable[[Reply], None]] = []
        self.on_send: list[Callable[[Send], None]] = []
        self.on_command: list[Callable[[str], None]] = []
        self.on_up: list[Callable[[], None]] = []
        self.on_clock: list[Callable[[], None]] = []
        """The wall clock has been set, after it was not."""
        self.running = False
        self.ready_ms: Ms = 0
        self.ended_ms: Ms = -HOUR
        """When the process last ended."""
        self.touched_ms: Ms = -HOUR
        """When a level last changed, or a command was given."""
        self.clock_step_ms: Ms = 0
        self.clock_trusted = True
        self.blank_clock = 0.0
        """Share of power cuts after which nobody vouches for the wall clock for some hours."""
        self.boot_ms: Ms = 0
        self.past = Past("boot 1")
        self._boots = 1
        self._last_ms: Ms = 0
        """The newest instant of this boot that is on the disk."""
        self.blocked_until_ms: Ms = 0
        self.steps = 0
        self.commands = 0
        self.digest = hashlib.sha256()
        self._inbox: list[Event] = []
        self._written: Building | None = None
        self._readable = True
        self._life = 0
        self.building: Building = building.start(plan, None, 0).state

    # --- time ------------------------------------------------------------------------------

    @property
    def mono_ms(self) -> Ms:
        """The monotonic clock of this boot."""
        return self.agenda.now - self.boot_ms

    @property
    def utc_ms(self) -> UtcMs:
        """What the wall clock shows, right or wrong."""
        return self.start_utc_ms + self.agenda.now + self.clock_step_ms

    def wake_ms(self) -> Ms | None:
        """When the building wants to be woken, in the world's time."""
        due = building.wake_at(self.building) if self.running else None
        return None if due is None else max(due + self.boot_ms, self.blocked_until_ms)

    def live_until(self, until_ms: Ms) -> None:
        """Live until this instant, in the world's time: from one thing that happens to the next,
        and what people do comes before what is due in the building."""
        agenda = self.agenda
        while True:
            due, first = self.wake_ms(), agenda.next_ms()
            if first is not None and first <= until_ms and (due is None or first <= due):
                agenda.do_next()
            elif due is not None and due <= until_ms:
                agenda.now = max(agenda.now, due)
                self.tell(None)
            else:
                agenda.now = max(agenda.now, until_ms)
                return

    # --- the process -----------------------------------------------------------------------

    def start(self, late_ms: Ms = 0) -> None:
        """The process starts. Its disk can be read at once, or ``late_ms`` later."""
        self._life += 1
        self.running = True
        self.blocked_until_ms = 0
        self._readable = late_ms == 0
        self.ready_ms = self.agenda.now + late_ms
        kept = building.state_to_save(self._written) if self._written is not None else {}
        readable = kept if self._readable else None
        self.take(building.start(self.plan, readable, self.mono_ms, self.past))
        for point, level in self.levels.items():
            if point in self.building.contacts:
                self.tell(Level(point, level, self.mono_ms, "" if level is not None else CUT))
        self.tell(CivilTime(self.utc_ms, self.clock_trusted))
        for told in self.on_up:
            told()
        if late_ms:
            life = self._life

            def read() -> None:
                if self.running and self._life == life:
                    self._readable = True
                    self.take(building.restore(self.building, kept, self.mono_ms, self.past))

            self.agenda.later(late_ms, read)

    def end(self, for_ms: Ms, *, power: bool) -> None:
        """The process is killed (``power``: with the whole machine) and comes back."""
        if not self.running:
            return
        self.stop()

        def back() -> None:
            if power:
                self.boot()
            late = self.chance.random() < self.disk_late
            self.start(self.chance.randrange(SECOND, MINUTE) if late else 0)

        self.agenda.later(for_ms, back)

    def stop(self) -> None:
        """The process is gone, and every relay is off."""
        self.running, self.ended_ms = False, self.agenda.now
        self._inbox.clear()
        for point, on in self.lit.items():
            if on:
                self._drive(point, False)

    def reload(self, plan: BuildingPlan, for_ms: Ms) -> bool:
        """Another configuration takes over, as SIGHUP makes it; ``False``: it is refused."""
        if not self.running or building.deserted(self.building, plan):
            return False
        self.rewire(plan)
        self.end(for_ms, power=False)
        return True

    def rewire(self, plan: BuildingPlan) -> None:
        """The next start has this plan. New terminals are at rest."""
        self.plan = plan
        for contact in plan.contacts:
            self.levels.setdefault(contact.point, False)
        for relay in plan.relays:
            self.lit.setdefault(relay.point, False)

    def boot(self) -> None:
        """The machine has power again. Its monotonic clock begins anew."""
        before, self._boots = self.past, self._boots + 1
        self.past = Past(
            f"boot {self._boots}", before.uptime_ms + self._last_ms, before.boot, self._last_ms
        )
        self.boot_ms = self.agenda.now - 10 * SECOND
        self._last_ms = 0
        if self.chance.random() < self.blank_clock and self.clock_trusted:
            self.clock_trusted = False
            self.agenda.later(about(self.chance, 6 * HOUR), self._set_clock)

    def _set_clock(self) -> None:
        self.clock_trusted = True
        for told in self.on_clock:
            told()
        self.tell(CivilTime(self.utc_ms, True))

    @property
    def readable(self) -> bool:
        """Whether the disk is read and takes what happens."""
        return self.running and self._readable

    disk_late = 0.0

    def block(self, for_ms: Ms) -> None:
        """The loop stands still; what is told meanwhile waits."""
        if self.running and self.agenda.now >= self.blocked_until_ms:
            self.blocked_until_ms = self.agenda.now + for_ms
            self.agenda.later(for_ms, self._unblock)

    def _unblock(self) -> None:
        waiting, self._inbox = self._inbox, []
        for event in waiting:
            self.tell(event)

    # --- what the building hears -----------------------------------------------------------

    def tell(self, event: Event | None) -> None:
        """The building takes an event, or lives through what is due."""
        if not self.running:
            return
        if self.agenda.now < self.blocked_until_ms:
            if event is not None:
                self._inbox.append(event)
            return
        self.take(building.step(self.building, event, self.mono_ms))

    def edge(self, point: str, active: bool | None, why: str = CUT) -> None:
        """The level of a terminal changes."""
        if self.levels[point] is not active:
            self.levels[point] = active
            self.touched_ms = self.agenda.now
            self.tell(Level(point, active, self.mono_ms, why if active is None else ""))

    def envelope(self, by: str = "web:3", fresh_ms: Ms = EXPIRES_MS) -> Envelope:
        """Id, issuer and end of a command that is told now."""
        self.commands += 1
        self.touched_ms = self.agenda.now
        via: Literal["link", "mqtt", "web"] = "web"
        if by.startswith("link:"):
            via = "link"
        elif by.startswith("mqtt:"):
            via = "mqtt"
        name = f"c{self.commands}"
        for told in self.on_command:
            told(name)
        return name, Issuer(by, via), self.mono_ms + fresh_ms

    # --- what comes of it ------------------------------------------------------------------

    def take(self, step: Step[Building]) -> None:
        """Effects before facts, as outside."""
        self.steps += 1
        self.building = step.state
        if not step.facts and not step.effects:
            return
        facts = [(f.kind, f.subject, f.at_ms, f.data) for f in step.facts]
        self.digest.update(repr((facts, step.effects)).encode())
        replied = False
        for effect in step.effects:
            replied = replied or isinstance(effect, Reply)
            self._carry_out(effect)
        if self._readable and (step.facts or replied):
            self._written = step.state
            self._last_ms = self.mono_ms
        for fact in step.facts:
            for told in self.on_fact:
                told(fact)

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case Drive(point, on):
                self._drive(point, on)
            case Reply():
                for answered in self.on_reply:
                    answered(effect)
            case _:
                for sent in self.on_send:
                    sent(effect)

    def _drive(self, point: str, on: bool) -> None:
        self.lit[point] = on
        for told in self.on_drive:
            told(point, on)
