"""The oracles of one door: what it may do without being asked (nothing), and what every press
comes to (one outcome, and a whole pulse)."""

from __future__ import annotations

from bisect import bisect_right

from gateway.core.facts import Fact
from gateway.core.instant import Ms
from gateway.core.plan import ActivatorPlan
from gateway.simulation.agenda import HOUR, MINUTE, SECOND, Agenda
from gateway.simulation.doors import DoorWorld
from gateway.simulation.host import BLOCKED_MOST_MS, EXPIRES_MS, Host
from gateway.simulation.oracles.judgement import Judgement

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
        self, door: DoorWorld, wait_ms: Ms, host: Host, agenda: Agenda, all_: Judgement
    ) -> None:
        self.door = door
        self.host = host
        self.agenda = agenda
        self.all = all_
        self.window_ms = FRESH_MS + wait_ms + door.plan.strike_lead_ms
        self._up_ms: Ms = 0
        self._on_ms: Ms = 0
        self._held_at_up: frozenset[str] = frozenset()
        """Activators that were active at the last start."""
        self._requests: list[tuple[Ms, str]] = []
        """When a press of which activator was answered one by one."""
        self._outcomes: dict[str, Ms] = {}
        """Activator -> when it was last told what came of a press."""
        host.on_drive.append(self._driven)
        host.on_fact.append(self._told)
        host.on_up.append(self._up)
        door.on_press.append(self._pressed)
        door.on_bounce.append(self._bounced)
        door.on_override.append(self._overridden)

    def _up(self) -> None:
        self._up_ms = self.agenda.now
        points = (a.point for a in self.door.plan.activators)
        self._held_at_up = frozenset(p for p in points if self.host.levels[p])
        up_ms = self._up_ms
        if self._held_at_up:
            self.agenda.later(self.window_ms, lambda: self._held(up_ms))
        override = self.door.override
        if override is not None and override.mode == "hold_open":
            wait_ms = max(self.host.ready_ms - up_ms, 0) + SURE_MS + SECOND
            self.agenda.later(wait_ms, self._is_held_open)

    def _held(self, up_ms: Ms) -> None:
        """What was found held at the start has opened nothing."""
        door, since_ms = self.door, up_ms - EXPIRES_MS - self.window_ms
        others = [at for at, _ in door.pressed[-20:] if at >= since_ms]
        others += [at for at in door.asked[-20:] if at >= since_ms]
        excused = self.agenda.now - self.all.excused_ms <= MINUTE or self._may_hold()
        if self._up_ms == up_ms and self.host.running and not others and not excused:
            opened = self._on_ms >= up_ms
            self.all.judge("held_opens_nothing", not opened, f"{door.plan.id}: a level opened it")

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
            held = self._held_at_up
            fresh += [
                a for a in door.plan.activators if self.host.levels[a.point] and a.point not in held
            ]
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
        override = self._override(now)
        if override is not None:
            return override
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

    # --- what staff have chosen ------------------------------------------------------------

    def _override(self, now: Ms) -> str | None:
        """The mode that staff have chosen, while nothing can have ended it: no restart and no
        clock does, but one that steps by less than an hour may end it that much sooner."""
        door, host, override = self.door, self.host, self.door.override
        if override is None or not override.since_ms + SLACK_MS < now < override.until_ms - HOUR:
            return None
        if now < host.ready_ms + SURE_MS or now - self.all.excused_ms <= SLACK_MS:
            return None
        switched = any(host.levels[point] is not False for point, _ in door.plan.mode_switch)
        fire = door.plan.fire is not None and host.levels[door.plan.fire.point] is not False
        return None if switched or fire else override.mode

    def _overridden(self) -> None:
        if self.door.override is not None and self.door.override.mode == "hold_open":
            self.agenda.later(MINUTE, self._is_held_open)

    def _is_held_open(self) -> None:
        """Staff hold the door open: its relay is on, or was for as long as it may be. Who chooses
        the same mode again has not let go of it."""
        door, host, now = self.door, self.host, self.agenda.now
        point = door.plan.hold_open
        if point is None or point in door.broken or not host.running:
            return
        if point in self.all.at_limit:
            return
        if self._override(now) == "hold_open" and now >= host.blocked_until_ms:
            on = host.lit[point]
            self.all.judge("override_holds", on, f"{door.plan.id}: not held open")

    def _serves(self, pressed_ms: Ms) -> None:
        """Whom the chosen mode lets in gets in."""
        door = self.door
        if self._override(self.agenda.now) == "automatic" and self.host.running:
            opened = door.open or self._on_ms >= pressed_ms - self.window_ms
            self.all.judge("override_holds", opened, f"{door.plan.id}: a press opened nothing")

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
        works = door_works(self.door, self.host, activator)
        if self._override(pressed_ms) == "automatic" and works and not self.door.open:
            self.agenda.later(self.window_ms, lambda: self._serves(pressed_ms))

    def _bounced(self, activator: ActivatorPlan) -> None:
        """However often the contact bounces, it is one press."""
        since_ms, point = self.agenda.now, activator.point

        def judged() -> None:
            if self.host.running and self._up_ms < since_ms:
                told = sum(at >= since_ms and p == point for at, p in self._requests)
                recent = self.door.pressed[-RECENT:]
                early_ms = since_ms - FRESH_MS
                true = sum(at >= early_ms and a.point == point for at, a in recent)
                text = f"{point}: {told} requests of {true} presses"
                self.all.judge("a_bounce_is_one_press", told <= true, text)

        self.agenda.later(FRESH_MS, judged)

    def _stays_off(self, pressed_ms: Ms) -> None:
        if self._is_off():
            opened = self._on_ms >= pressed_ms
            self.all.judge("off_stays_off", not opened, f"{self.door.plan.id}: a press opened it")

    def _told(self, fact: Fact) -> None:
        if fact.subject != self.door.plan.id:
            return
        now = self.agenda.now
        if fact.kind == "door_mode" and fact.data["mode"] != "hold_open":
            self.all.at_limit.discard(self.door.plan.hold_open or "")
        elif fact.kind == "refusals_counted":
            self._outcomes[str(fact.data["by"])] = now
        elif fact.kind == "door_request" and fact.data["activator"] is not None:
            point = str(fact.data["activator"])
            self._outcomes[point] = now
            self._requests = [*self._requests[-RECENT:], (now, point)]
            if now < self._up_ms + SURE_MS:
                return  # who pressed while it started has pressed, too
            recent = reversed(self.door.pressed[-RECENT:])
            pressed = any(a.point == point and at >= now - self.window_ms for at, a in recent)
            self.all.judge("only_a_press", pressed, f"{point}: a request that nobody made")


def door_works(door: DoorWorld, host: Host, activator: ActivatorPlan) -> bool:
    """Whether nothing at the door's terminals keeps this press from opening it."""
    relays = (door.plan.activation, door.plan.strike)
    return activator.trusted and not door.broken.intersection(relays) and host.readable


def allowed(kind: str, side: str, mode: str, egress: str) -> bool:
    """The table of the domain, written down once more: who may open in which mode."""
    if kind in ("key_switch", "reader"):
        return mode != "off"
    if kind == "button" and side == "inside":
        return mode != "off" and (mode != "night" or egress == "always")
    return mode in ("automatic", "hold_open")
