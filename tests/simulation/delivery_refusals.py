"""A broker that refuses single messages: what it has refused, in truth, and what must not come
of it. A refused message delays no other, ends no connection, is named, is never said to be
absent, and is delivered at a later connection."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gateway.simulation.agenda import DAY, MINUTE, SECOND
from gateway.wire import PUBLISHED
from tests.simulation.delivery_net import serial_of

if TYPE_CHECKING:
    from tests.simulation.delivery import Delivery

ARRIVES_MS = 30 * SECOND
"""A fact that is durable has arrived by then, over a connection that holds."""
CALM_MS = MINUTE
"""The connection has held for so long before: what waited is sent."""
NAMED_MS = 3 * SECOND
ABSENT, HEALTH = "absent", "health"
RULES = ("every 7th", "door_opened", "front", ABSENT, HEALTH)


class Refusals:
    """``world`` lives; ``rule`` is what the broker refuses now."""

    def __init__(self, world: Delivery) -> None:
        self.world = world
        self.rule = ""
        self.refused: dict[str, int] = {}
        """Name of an event that was refused and has never arrived -> when it was."""
        self._since_ms = 0
        net = world.net
        net.refuses = self._refuses
        net.on_refused.append(self._was_refused)
        net.on_absent.append(self._absent)
        net.on_drop.append(self._dropped)
        net.on_event.append(self._arrived)

    def begin(self, rule: str, *, ends: bool) -> None:
        """From now on the access list keeps these messages away."""
        self.rule, self.world.net.ends = rule, ends

    def heal(self) -> None:
        self.rule, self.world.net.ends = "", False

    def _refuses(self, topic: str, payload: bytes) -> bool:
        what = topic.split("/")[2]
        if self.rule in (ABSENT, HEALTH):
            return what == self.rule
        if not self.rule or what != "event":
            return False
        if self.rule == "every 7th":
            serial = serial_of(payload)[1]
            return serial is not None and serial % 7 == 0
        return self.rule in topic.split("/")

    # --- what has happened

    def _was_refused(self, topic: str, payload: bytes) -> None:
        if topic.split("/")[2] == "event":
            name, serial = serial_of(payload)
            if name in self.world.names:
                return  # it has arrived before; who asks for it again goes on asking
            self.refused[name] = self.world.agenda.now
            if serial is not None:
                self.world.serials[name] = serial

    def _arrived(self, payload: bytes) -> None:
        self.refused.pop(serial_of(payload)[0], None)

    # --- what must not come of it

    def _dropped(self, reason: str) -> None:
        """No refusal is a reason to end the connection. (Over the day that is skipped at the end
        the broker seems to hang.)"""
        if self.world.agenda.now < DAY:
            text = f"the link ended a connection that answers: {reason}"
            self.world.judge("refusals_end_nothing", self.world.net.link.hangs, text)

    def _absent(self, payload: bytes) -> None:
        """What is only refused is not absent."""
        told: dict[str, Any] = json.loads(payload)
        wrong = [name for name in self.refused if _within(name, told)]
        self.world.judge("refused_is_not_absent", not wrong, f"in the journal: {wrong[:9]}")

    def named(self) -> None:
        """Every refused fact is on the link's list, or its cursor has not passed it."""
        world, link, net = self.world, self.world.link, self.world.net
        if link is None or world.lying or not net.link.up or net.link.hangs:
            return
        publisher, now = link.publisher, world.agenda.now
        if now < net.link.since_ms + NAMED_MS:
            return
        for name, at_ms in self.refused.items():
            journal, lane, seq = _place(name)
            if at_ms > now - NAMED_MS or journal != publisher.journal or lane not in PUBLISHED:
                continue
            known = seq in publisher.aside.facts[lane] or seq > publisher.flights[lane].cursor
            world.judge("refused_is_named", known, f"{name} is passed, and on no list")

    def watch(self, serials: list[int]) -> None:
        """These are durable now: whatever is refused, they arrive soon."""
        world, side = self.world, self.world.net.link
        calm = side.up and world.agenda.now - side.since_ms >= CALM_MS
        if not calm or side.hangs or world.lying or world.net.delay_ms > 50 or not self.rule:
            return
        if not serials:
            return  # or the oracle would count as asked, and have judged nothing
        generation, link = side.generation, world.link

        def judged() -> None:
            if side.generation != generation or side.hangs or world.link is not link:
                return
            there = set(world.names.values())
            there |= {world.serials.get(name, 0) for name in self.refused}
            late = [serial for serial in serials if serial not in there]
            world.judge("refused_delays_nobody", not late, f"not sent in time: {late[:9]}")

        world.agenda.later(ARRIVES_MS, judged)

    def all_others(self, until_ms: int, live: Callable[[int], None]) -> None:
        """All else is mended, and the broker refuses still: what it takes arrives all the same, and
        what it does not take is named. Then the list is mended, and a new connection comes."""
        world = self.world
        if not self.rule or world.net.ends:
            self.heal()
            return
        while world.agenda.now < until_ms and not self._sent():
            world.disk.heal()
            live(world.agenda.now + 5 * SECOND)
        live(world.agenda.now + 2 * NAMED_MS)
        world.judge("others_arrive", self._sent(), f"not sent beside what is refused: {self.rule}")
        self.named()
        self.heal()
        world.net.link.breaks()

    def _sent(self) -> bool:
        link, journal = self.world.link, self.world.journal
        resting = journal is not None and journal.rests and self.world.trusted
        return resting and link is not None and link.publisher.backlog == 0


def _within(name: str, told: dict[str, Any]) -> bool:
    """Whether an absence is about this event."""
    journal, lane, seq = _place(name)
    mine = (journal, lane) == (told["journal"], told["lane"])
    return mine and any(low <= seq <= high for low, high in told["ranges"])


def _place(name: str) -> tuple[str, str, int]:
    """Journal, lane and number in the name of an event."""
    _gateway, journal, lane, seq = name.split("/")
    return journal, lane, int(seq)
