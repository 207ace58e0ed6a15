"""The oracles of one door: what it may do without being asked (nothing), and what every press
comes to (one outcome, and a whole pulse)."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

from gateway.core.facts import Fact
from gateway.core.machine import Ms
from gateway.core.plan import ActivatorPlan
from gateway.simulation.agenda import HOUR, MINUTE, SECOND, Agenda
from gateway.simulation.doors import DoorWorld
from gateway.simulation.host import BLOCKED_MOST_MS, EXPIRES_MS, Host

if TYPE_CHECKING:
    from gateway.simulation.oracles import Oracles

SLACK_MS: Ms = BLOCKED_MOST_MS + 100
FRESH_MS: Ms = 2_600 + SLACK_MS
"""From a press to its pulse at the latest: settling, the rest after the pulse before, and a
loop that stands still."""
COUNTED_MS: Ms = 2 * MINUTE + SECOND
"""What is refused again and again is told as a number, a minute later."""
SURE_MS: Ms = 10 * SECOND
RECENT = 200


class DoorOracle:
    """``door`` is the truth."""

    def __init__(
        self, door: DoorWorld, wait_ms: Ms, host: Host, agenda: Agenda, all_: Oracles
    ) -> None:
        self.door = door
        self.host = host
        self.agenda = agenda
        self.all = all_
        self.window_ms = FRESH_MS + wait_ms + door.plan.strike_lead_ms
        self._up_ms: Ms = 0
        self._on_ms: Ms = 0
        self._outcomes: dict[str, Ms] = {}
        """Activator -> when it was last told what came of a press."""
        host.on_drive.append(self._driven)
        host.on_fact.append(self._told)
        host.on_up.append(self._up)
        door.on_press.append(self._pressed)

    def _up(self) -> None:
        self._up_ms = self.agenda.now

    # --- no opening without a request ------------------------------------------------------

    def _driven(self, point: str, on: bool) -> None:
        if point != self.door.plan.activation:
            return
        if on:
            self._on_ms = self.agenda.now
            self._opening()
        elif self.door.plan.pulse_ms is not None and self.host.running:
            lasted_ms = self.agenda.now - self._on_ms
            self.agenda.later(0, lambda: self._pulse(lasted_ms))

    def _pulse(self, lasted_ms: Ms) -> None:
        """A pulse is given whole, however late; only a mode, a fire or an end cuts it."""
        door, now = self.door, self.agenda.now
        cut = now - max(self._up_ms, door.mode_ms, self.all.excused_ms) <= SECOND
        if self.host.running and not cut and self._on_ms > self._up_ms:
            whole = lasted_ms >= (door.plan.pulse_ms or 0)
            self.all.judge("pulse_whole", whole, f"{door.plan.id}: {lasted_ms} ms")

    def _opening(self) -> None:
        """An activation has a fresh request behind it, by somebody who may."""
        door, now, name = self.door, self.agenda.now, self.door.plan.id
        if self._is_off():
            self.all.judge("off_stays_off", False, f"{name}: opened though it is switched off")
        if now - self.all.excused_ms <= SLACK_MS or self._may_hold():
            return
        fresh = [a for at, a in door.pressed[-20:] if at >= now - self.window_ms]
        if now < self._up_ms + FRESH_MS:  # who presses while it starts has pressed, too
            fresh += [a for a in door.plan.activators if self.host.levels[a.point]]
        staff = any(at >= now - EXPIRES_MS - self.window_ms for at in door.asked[-20:])
        self.all.judge("opening_asked", bool(fresh) or staff, f"{name}: opened for nobody")
        mode = self._true_mode(now)
        if mode is None or staff or not fresh:
            return
        may = any(allowed(a.kind, a.side, mode, door.plan.egress) for a in fresh)
        self.all.judge("opening_allowed", may, f"{name}: opened in {mode} for {fresh[-1].point}")

    def _is_off(self) -> bool:
        """Whether staff have switched the door off: it stays off over restarts and under any
        clock. One that steps by less than an hour may end it that much sooner."""
        door, host, now = self.door, self.host, self.agenda.now
        plan = door.plan
        switched = any(host.levels[point] is not False for point, _ in plan.mode_switch)
        fire = plan.fire is not None and host.levels[plan.fire.point] is not False
        sure = host.ready_ms + SURE_MS <= now and not switched and not fire and door.off_saved
        return sure and now < door.off_until_ms - HOUR

    def _may_hold(self) -> bool:
        """A maintained activation holds the door in the mode for it and for a fire alarm."""
        fire = self.door.plan.fire
        return self.door.mode == "hold_open" or (
            fire is not None and self.host.levels[fire.point] is not False
        )

    def _true_mode(self, now: Ms) -> str | None:
        """What the timetable says by a clock that is right; ``None``: not sure from outside."""
        plan, host = self.door.plan, self.host
        switched = any(host.levels[point] for point, _ in plan.mode_switch)
        if self.door.overrides or switched or not host.clock_trusted or host.clock_step_ms:
            return None
        if now < max(self.all.clock_ms, host.ready_ms) + SURE_MS:
            return None
        utc_ms = host.utc_ms
        after = bisect_right(plan.schedule, utc_ms, key=lambda transition: transition.utc_ms)
        near = plan.schedule[max(after - 1, 0) : after + 1]
        if any(abs(transition.utc_ms - utc_ms) < SURE_MS for transition in near):
            return None
        return plan.schedule[after - 1].mode if after else plan.mode

    # --- an outcome for every press, and for nothing else ----------------------------------

    def _pressed(self, activator: ActivatorPlan) -> None:
        pressed_ms = self.agenda.now

        def answered() -> None:
            if self._up_ms < pressed_ms and self.host.running:
                told = self._outcomes.get(activator.point, -HOUR) >= pressed_ms
                self.all.judge("press_answered", told, f"{activator.point}: nothing came of it")

        self.agenda.later(COUNTED_MS, answered)
        if self._is_off():
            self.agenda.later(FRESH_MS, lambda: self._stays_off(pressed_ms))

    def _stays_off(self, pressed_ms: Ms) -> None:
        if self._is_off():
            opened = self._on_ms >= pressed_ms
            self.all.judge("off_stays_off", not opened, f"{self.door.plan.id}: a press opened it")

    def _told(self, fact: Fact) -> None:
        if fact.subject != self.door.plan.id:
            return
        now = self.agenda.now
        if fact.kind == "refusals_counted":
            self._outcomes[str(fact.data["by"])] = now
        elif fact.kind == "door_request" and fact.data["activator"] is not None:
            point = str(fact.data["activator"])
            self._outcomes[point] = now
            if now < self._up_ms + SURE_MS:
                return  # who pressed while it started has pressed, too
            recent = reversed(self.door.pressed[-RECENT:])
            pressed = any(a.point == point and at >= now - self.window_ms for at, a in recent)
            self.all.judge("only_a_press", pressed, f"{point}: a request that nobody made")


def allowed(kind: str, side: str, mode: str, egress: str) -> bool:
    """The table of the domain, written down once more: who may open in which mode."""
    if kind in ("key_switch", "reader"):
        return mode != "off"
    if kind == "button" and side == "inside":
        return mode != "off" and (mode != "night" or egress == "always")
    return mode in ("automatic", "hold_open")
