"""The oracle of an operator that sticks: somebody is told, and no guarantee is green over it."""

from __future__ import annotations

from gateway.core.facts import Fact
from gateway.core.instant import Ms
from gateway.simulation.agenda import HOUR, MINUTE, SECOND, Agenda
from gateway.simulation.doors import DoorWorld
from gateway.simulation.host import Host
from gateway.simulation.oracles.doors import SLACK_MS, SURE_MS
from gateway.simulation.oracles.judgement import Judgement

LOOKS_MS: Ms = 10 * MINUTE
MOVED_MS: Ms = 2 * SECOND


class JamOracle:
    """``door`` is the truth."""

    def __init__(self, door: DoorWorld, host: Host, agenda: Agenda, all_: Judgement) -> None:
        self.door = door
        self.host = host
        self.agenda = agenda
        self.all = all_
        self._up_ms: Ms = 0
        self._driven_ms: Ms = -HOUR
        """When a relay that moves the leaf was last switched."""
        self._seen_ms: Ms = -1
        """The jam that was seen (when it began)."""
        host.on_drive.append(self._driven)
        host.on_fact.append(self._told)
        host.on_up.append(self._up)
        door.on_jam.append(self._jammed)

    def _up(self) -> None:
        self._up_ms = self.agenda.now

    def _driven(self, point: str, on: bool) -> None:
        door, plan = self.door, self.door.plan
        if point not in (plan.activation, plan.hold_open):
            return
        self._driven_ms = self.agenda.now
        if on and point == plan.activation and door.leaf.jam == "shut" and self._readable():
            began_ms, driven_ms = door.jammed_ms, self.agenda.now
            wait_ms = plan.opens_within_ms + SLACK_MS + SECOND
            self.agenda.later(wait_ms, lambda: self._closed(began_ms, driven_ms))

    def _told(self, fact: Fact) -> None:
        """Nothing says that a door has opened whose leaf has not moved."""
        if fact.kind != "door_opened" or fact.subject != self.door.plan.id:
            return
        door, now = self.door, self.agenda.now
        if not fact.data["assumed"] and door.plan.leaf is not None:
            moved = door.open or now - door.moved_ms <= MOVED_MS
            self._judge("opened_is_true", moved, "told as opened, and it has not moved")

    def _readable(self) -> bool:
        """Whether the leaf's contact and the relays are what they should be."""
        door, plan = self.door, self.door.plan
        if plan.leaf is None or self.host.levels[plan.leaf] is None:
            return False
        return not door.broken.intersection((plan.activation, plan.hold_open, plan.strike))

    def _alarm(self, *kinds: str) -> bool:
        found = (self.host.building.alarms.by_id.get(f"{self.door.plan.id}/{k}") for k in kinds)
        return any(alarm is not None and alarm.standing for alarm in found)

    def _undisturbed(self, since_ms: Ms) -> bool:
        """No restart since, and nothing that takes a request back."""
        last_ms = max(self._up_ms, self.host.ready_ms, self.door.mode_ms, self.all.excused_ms)
        ready = self.agenda.now >= self.host.blocked_until_ms
        return self.host.running and ready and last_ms < since_ms

    # --- stays closed ----------------------------------------------------------------------

    def _closed(self, began_ms: Ms, driven_ms: Ms) -> None:
        """Asked, and it did not open."""
        door = self.door
        if door.leaf.jam != "shut" or door.jammed_ms != began_ms or not self._readable():
            return
        if not self._undisturbed(driven_ms):
            return
        seen = self._alarm("did_not_open")
        self._judge("jam_is_seen", seen, "asked, did not open, and nobody is told")
        self._never_green()
        if self._seen_ms != began_ms:
            self._seen_ms = began_ms
            self.agenda.later(LOOKS_MS, lambda: self._stays(began_ms))

    def _stays(self, began_ms: Ms) -> None:
        """Until it has opened for somebody, nothing else ends the alarm: no restart either."""
        door, host, now = self.door, self.host, self.agenda.now
        if door.leaf.jam != "shut" or door.jammed_ms != began_ms:
            return
        if host.readable and now >= max(host.ready_ms + SURE_MS, host.blocked_until_ms):
            self._judge("jam_stays_seen", self._alarm("did_not_open"), "the alarm ended by itself")
            self._never_green()
        self.agenda.later(LOOKS_MS, lambda: self._stays(began_ms))

    def _never_green(self) -> None:
        if self.all.green is not None:
            green = self.all.green("door_by_button") or self.all.green("door_by_staff")
            self._judge("jam_is_never_green", not green, "it does not open, and all is well")

    # --- stays open ------------------------------------------------------------------------

    def _jammed(self) -> None:
        began_ms = self.door.jammed_ms
        self.agenda.later(MINUTE, lambda: self._open(began_ms))

    def _open(self, began_ms: Ms) -> None:
        """Open for too long, with nothing that holds it."""
        door, plan, now = self.door, self.door.plan, self.agenda.now
        if door.leaf.jam != "open" or door.jammed_ms != began_ms:
            return
        since_ms = max(self._driven_ms, door.moved_ms)
        held = any(p is not None and self.host.lit[p] for p in (plan.activation, plan.hold_open))
        limit_ms = plan.left_open_after_ms
        fire = plan.fire is not None and self.host.levels[plan.fire.point] is not False
        held = held or fire or door.mode == "hold_open"  # then nobody expects it to close
        if limit_ms is not None and not held and self._readable():
            long = now - since_ms > limit_ms + SLACK_MS + MINUTE
            if long and self._undisturbed(now - limit_ms - SLACK_MS - SECOND):
                seen = self._alarm("left_open", "did_not_close")
                self._judge("open_is_seen", seen, "it stays open, and nobody is told")
        self.agenda.later(MINUTE, lambda: self._open(began_ms))

    def _judge(self, oracle: str, holds: bool, text: str) -> None:
        self.all.judge(oracle, holds, f"{self.door.plan.id}: {text}")
