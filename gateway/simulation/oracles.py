"""What must never be, and what must come: judged by the world's truth, never by what the core
says of itself.

Each oracle has a name; what it has seen broken is in ``Oracles.broken``. An oracle that was
never asked proves nothing, so ``asked`` counts how often each had something to judge.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from gateway.core.effects import Reply
from gateway.core.facts import Fact
from gateway.core.machine import Ms
from gateway.core.plan import BuildingPlan
from gateway.simulation.agenda import HOUR, SECOND, Agenda
from gateway.simulation.doors import DoorWorld
from gateway.simulation.host import BLOCKED_MOST_MS, EXPIRES_MS, Host
from gateway.simulation.oracles_calls import CallOracle
from gateway.simulation.rooms import RoomWorld
from gateway.simulation.staff import Staff

SLACK_MS: Ms = BLOCKED_MOST_MS + 100
FRESH_MS: Ms = 2_600 + SLACK_MS
"""From a press to its pulse at the latest: settling, the rest after the pulse before, and a
loop that stands still."""
KEPT_MOST = 50


@dataclass(frozen=True, slots=True)
class Broken:
    """An invariant that did not hold."""

    oracle: str
    at_ms: Ms
    text: str


class Oracles:
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
        self.plan = plan
        self.host = host
        self.agenda = agenda
        self.doors = doors
        self.broken: list[Broken] = []
        self.asked: Counter[str] = Counter()
        self.excused_ms: Ms = -HOUR
        """When a fire alarm or a change of mode last gave a door a reason of its own."""
        self._on_since: dict[str, Ms] = {}
        self._limits = {r.point: r.max_on_ms for r in plan.relays if r.max_on_ms is not None}
        self._activations = {d.activation: d.id for d in plan.doors}
        self._waits = {door: lock.wait_ms for lock in plan.interlocks for door in lock.doors}
        self._replies: Counter[str] = Counter()
        self._hours: dict[str, Ms] = {}
        self._rooms = rooms
        self.calls = {
            room.plan.id: CallOracle(room, staff, host, agenda, self)
            for room in rooms.values()
            if room.plan.cords or room.plan.lines
        }
        host.on_drive.append(self._driven)
        host.on_fact.append(self._told)
        host.on_reply.append(self._replied)
        host.on_up.append(self._up)

    def judge(self, oracle: str, holds: bool, text: str) -> None:
        """One thing that an oracle had to judge."""
        self.asked[oracle] += 1
        if not holds and len(self.broken) < KEPT_MOST:
            self.broken.append(Broken(oracle, self.agenda.now, text))

    # --- relays and doors ------------------------------------------------------------------

    def _driven(self, point: str, on: bool) -> None:
        now = self.agenda.now
        limit_ms = self._limits.get(point)
        if on:
            self._on_since.setdefault(point, now)
            if point in self._activations:
                self._opening(self._activations[point])
        else:
            since_ms = self._on_since.pop(point, now)
            if limit_ms is not None:
                late_ms = now - since_ms - limit_ms
                self.judge("relay_limit", late_ms <= SLACK_MS, f"{point}: {late_ms} ms beyond")

    def _opening(self, name: str) -> None:
        """An activation has a fresh request behind it, by somebody who may."""
        door, now = self.doors[name], self.agenda.now
        if now - self.excused_ms <= SLACK_MS or self._may_hold(door):
            return
        window_ms = FRESH_MS + self._waits.get(name, 0) + door.plan.strike_lead_ms
        fresh = [a for at, a in door.pressed[-20:] if at >= now - window_ms]
        word_ms = EXPIRES_MS + window_ms
        staff = any(at >= now - word_ms for at in door.asked[-20:])
        self.judge("opening_asked", bool(fresh) or staff, f"{name}: opened for nobody")
        mode = self._true_mode(door, now)
        if mode is None or staff or not fresh:
            return
        may = any(_may(a.kind, a.side, mode, door.plan.egress) for a in fresh)
        self.judge("opening_allowed", may, f"{name}: opened in {mode} for {fresh[-1].point}")

    def _may_hold(self, door: DoorWorld) -> bool:
        """A maintained activation holds the door in the mode for it and for a fire alarm."""
        fire = door.plan.fire
        return door.mode == "hold_open" or (
            fire is not None and self.host.levels[fire.point] is not False
        )

    def _true_mode(self, door: DoorWorld, now: Ms) -> str | None:
        """What the timetable says by a clock that is right; ``None``: not sure from outside."""
        plan, host = door.plan, self.host
        unsure = door.overrides or any(host.levels[point] for point, _ in plan.mode_switch)
        if unsure or not host.clock_trusted or host.clock_step_ms:
            return None
        if now < self.clock_ms + 10 * SECOND or now < host.ready_ms + 10 * SECOND:
            return None
        utc_ms, mode = host.utc_ms, plan.mode
        for transition in plan.schedule:
            if abs(transition.utc_ms - utc_ms) < 10 * SECOND:
                return None
            if transition.utc_ms > utc_ms:
                break
            mode = transition.mode
        return mode

    clock_ms: Ms = -HOUR
    """When the wall clock was last set."""

    # --- commands --------------------------------------------------------------------------

    def _replied(self, reply: Reply) -> None:
        self._replies[reply.command] += 1
        once = self._replies[reply.command] == 1
        self.judge("one_reply", once, f"{reply.command} was answered again")

    def _up(self) -> None:
        """A new process begins its hours anew."""
        self._hours.clear()

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


def _may(kind: str, side: str, mode: str, egress: str) -> bool:
    """The table of the domain, written down once more: who may open in which mode."""
    if kind in ("key_switch", "reader"):
        return mode != "off"
    if kind == "button" and side == "inside":
        return mode != "off" and (mode != "night" or egress == "always")
    return mode in ("automatic", "hold_open")
