"""What must never be, and what must come: judged by the world's truth, never by what the core
says of itself.

Here are those of the whole building; those of a door, a room or a reload have a file each.
"""

from __future__ import annotations

from collections import Counter

from gateway.core.effects import Reply
from gateway.core.facts import Fact
from gateway.core.instant import Ms
from gateway.core.plan import BuildingPlan
from gateway.simulation.agenda import HOUR, MINUTE, SECOND, Agenda
from gateway.simulation.doors import DoorWorld
from gateway.simulation.host import Host
from gateway.simulation.oracles.calls import CallOracle
from gateway.simulation.oracles.doors import SLACK_MS, DoorOracle
from gateway.simulation.oracles.jams import JamOracle
from gateway.simulation.oracles.judgement import Judgement
from gateway.simulation.rooms import RoomWorld
from gateway.simulation.staff import Staff

ANSWERED_MS: Ms = MINUTE
"""A request that waits for an interlock has been served or refused by then."""


class Oracles(Judgement):
    """All of them, over one life."""

    def __init__(
        self,
        plan: BuildingPlan,
        host: Host,
        agenda: Agenda,
        doors: dict[str, DoorWorld],
        rooms: dict[str, RoomWorld],
        staff: Staff,
    ) -> None:
        super().__init__(agenda)
        self.plan = plan
        self.host = host
        self._on_since: dict[str, Ms] = {}
        self._limits = {r.point: r.max_on_ms for r in plan.relays if r.max_on_ms is not None}
        self._up_ms: Ms = 0
        self._replies: Counter[str] = Counter()
        self._hours: dict[str, Ms] = {}
        self._rooms = rooms
        self.calls = {
            room.plan.id: CallOracle(room, staff, host, agenda, self)
            for room in rooms.values()
            if room.plan.cords or room.plan.lines
        }
        waits = {door: lock.wait_ms for lock in plan.interlocks for door in lock.doors}
        for name, door in doors.items():
            DoorOracle(door, waits.get(name, 0), host, agenda, self)
            JamOracle(door, host, agenda, self)
        host.on_drive.append(self._driven)
        host.on_fact.append(self._told)
        host.on_reply.append(self._replied)
        host.on_up.append(self._up)
        host.on_command.append(self._asked)

    # --- relays ------------------------------------------------------------------

    def _driven(self, point: str, on: bool) -> None:
        now = self.agenda.now
        limit_ms = self._limits.get(point)
        if on:
            self._on_since.setdefault(point, now)
            self.at_limit.discard(point)
        else:
            since_ms = self._on_since.pop(point, now)
            if limit_ms is not None:
                late_ms = now - since_ms - limit_ms
                if late_ms >= -SLACK_MS:
                    self.at_limit.add(point)
                self.judge("relay_limit", late_ms <= SLACK_MS, f"{point}: {late_ms} ms beyond")

    # --- commands --------------------------------------------------------------------------

    def _replied(self, reply: Reply) -> None:
        self._replies[reply.command] += 1
        once = self._replies[reply.command] == 1
        self.judge("one_reply", once, f"{reply.command} was answered again")

    def _asked(self, command: str) -> None:
        """Every command has its answer, unless the process was killed over it."""
        asked_ms = self.agenda.now

        def answered() -> None:
            if self.host.running and self._up_ms < asked_ms:
                self.judge("a_reply", self._replies[command] == 1, f"{command}: no answer")

        if self.host.running:
            self.agenda.later(ANSWERED_MS, answered)

    def _up(self) -> None:
        """A new process begins its hours anew."""
        self._up_ms = self.agenda.now
        self._hours.clear()
        self.at_limit.clear()

    # --- occupancy -------------------------------------------------------------------------

    def _told(self, fact: Fact) -> None:
        if fact.kind != "occupancy_hour":
            return
        room, now = self._rooms[fact.subject], self.agenda.now
        visits, occupied_ms, known_ms = (
            int(str(fact.data[name])) for name in ("visits", "occupied_ms", "known_ms")
        )
        began_ms = self._hours.get(fact.subject, now - HOUR)
        self._hours[fact.subject] = now
        length_ms = now - began_ms + SLACK_MS
        self.judge(
            "hours_add_up",
            0 <= occupied_ms <= known_ms <= min(length_ms, HOUR + SLACK_MS),
            f"{fact.subject}: {occupied_ms} of {known_ms} of {length_ms} ms",
        )
        empty = not room.inside and not room.busy and room.left_ms < now - 2 * HOUR
        if empty and room.healthy_since_ms() < now - 3 * HOUR:
            self.judge("hours_empty", occupied_ms == 0 == visits, f"{fact.subject}: a ghost")
        full = room.inside and room.entered_ms < now - HOUR - 5 * 60 * SECOND
        if full and room.moving and room.plan.door is not None:
            self.judge("hours_full", occupied_ms > 0, f"{fact.subject}: nobody was seen")
