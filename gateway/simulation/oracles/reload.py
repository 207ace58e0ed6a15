"""The oracles of a reload: it loses no call, moves no relay by itself, and never takes the room
of a call away."""

from __future__ import annotations

from gateway.core.effects import Send
from gateway.core.instant import Ms
from gateway.simulation.agenda import HOUR, MINUTE, SECOND, Agenda
from gateway.simulation.host import Host
from gateway.simulation.oracles.calls import SETTLED_MS
from gateway.simulation.oracles.judgement import Judgement
from gateway.simulation.reloads import Reloads
from gateway.simulation.rooms import RoomWorld

AT_REST_MS: Ms = 10 * SECOND
"""Nothing came from outside for so long: what moves then moves by itself."""


class ReloadOracle:
    """``reloads`` and ``rooms`` are the truth."""

    def __init__(
        self,
        reloads: Reloads,
        rooms: dict[str, RoomWorld],
        host: Host,
        agenda: Agenda,
        all_: Judgement,
    ) -> None:
        self.reloads = reloads
        self.rooms = rooms
        self.host = host
        self.agenda = agenda
        self.all = all_
        self._asked_ms: Ms = -2 * HOUR
        self._orphan_ms: Ms = -2 * HOUR
        """When the power was cut over a configuration without the room of a call."""
        self._ready = False
        """Whether the process knew then what it had known before its start."""
        self._lit: frozenset[str] = frozenset()
        """The relays that were on when it was asked for."""
        self._calls: tuple[str, ...] = ()
        """The rooms whose call stood then."""
        self._sent_ms: Ms = -HOUR
        """When somebody was last told of a call without a room."""
        self._alarm = f"{reloads.spare.plan.id}/call_orphaned"
        reloads.on_reload.append(self._reload)
        reloads.on_answer.append(self._answered)
        reloads.on_orphan.append(self._orphan)
        host.on_up.append(self._up)
        host.on_send.append(self._sent)

    def _reload(self) -> None:
        now = self.agenda.now
        self._asked_ms = now
        self._ready = self.host.readable and self.host.ready_ms < now - 2 * SECOND
        self._lit = frozenset(point for point, on in self.host.lit.items() if on)
        self._calls = tuple(
            name
            for name, room in self.rooms.items()
            if room.wanted and room.wanted_ms < now - SETTLED_MS
        )

    def _answered(self, removes: bool, taken: bool) -> None:
        spare, now = self.reloads.spare, self.agenda.now
        calls = spare.plan.id in self._calls
        if removes and calls and self._ready:
            self.all.judge("call_keeps_its_room", not taken, "the room of a call was removed")
        doubt = spare.wanted or now - spare.cancelled_ms <= 2 * SECOND
        if not removes or not doubt:
            self.all.judge("reload_is_taken", taken, "refused, and no call stands there")
        if not taken:
            self._asked_ms = -2 * HOUR

    # --- the process that takes over -------------------------------------------------------

    def _up(self) -> None:
        if self.host.ended_ms == self._orphan_ms:
            ended_ms, late_ms = self._orphan_ms, self.host.ready_ms - self.agenda.now
            self.agenda.later(late_ms + 2 * SECOND, lambda: self._orphan_shown(ended_ms))
            self.agenda.later(late_ms + MINUTE, lambda: self._orphan_told(ended_ms))
        if self.host.ended_ms != self._asked_ms:
            return  # it ended over something else
        asked_ms, wait_ms = self._asked_ms, self.host.ready_ms - self.agenda.now + 2 * SECOND
        self.agenda.later(wait_ms, lambda: self._took_over(asked_ms))

    def _took_over(self, asked_ms: Ms) -> None:
        host = self.host
        if not self._same_run(asked_ms):
            return
        for name in self._calls:
            room = self.rooms[name]
            if not room.wanted or name not in host.building.calls:
                continue
            steady = (room.plan.reassurance, room.plan.unlock)
            dark = [point for point in steady if point is not None and not host.lit[point]]
            stands = host.building.calls[name].record is not None
            text = f"{name}: no call, dark: {dark}"
            self.all.judge("reload_keeps_the_call", stands and not dark, text)
        excused_ms = max(self.all.excused_ms, self.all.clock_ms)
        if max(host.touched_ms, excused_ms) < asked_ms - AT_REST_MS and not self._timetable():
            moved = sorted(self._may_not_move() - self._lit)
            self.all.judge("reload_moves_nothing", not moved, f"on by itself: {moved}")

    def _timetable(self) -> bool:
        """Whether a timetable changes a mode about now, or would by the true clock."""
        utc_ms = self.host.utc_ms
        times = (change.utc_ms for door in self.host.plan.doors for change in door.schedule)
        return any(abs(at_ms - utc_ms) < 2 * MINUTE for at_ms in times)

    def _may_not_move(self) -> set[str]:
        """The relays that are on now, of doors, and of rooms where nobody has called."""
        plan, lit = self.host.plan, self.host.lit
        points = {p for d in plan.doors for p in (d.activation, d.strike, d.hold_open)}
        for room in plan.rooms:
            mine = {room.reassurance, room.lamp, room.sounder, room.unlock}
            truth = self.rooms.get(room.id)
            if truth is not None and not truth.wanted and not mine & self._lit:
                points |= mine
        return {point for point in points if point is not None and lit[point]}

    # --- a call without a room -------------------------------------------------------------

    def _sent(self, send: Send) -> None:
        if send.about == self._alarm:
            self._sent_ms = self.agenda.now

    def _orphan(self) -> None:
        """Its room is not configured any more: somebody must be told, and it must be shown."""
        self._orphan_ms = self.host.ended_ms

    def _same_run(self, ended_ms: Ms) -> bool:
        """Whether the process that started after this end is running, and is not blocked."""
        host = self.host
        free = self.agenda.now >= host.blocked_until_ms
        return free and host.readable and host.ended_ms == ended_ms

    def _orphan_shown(self, ended_ms: Ms) -> None:
        if self._same_run(ended_ms):
            alarm = self.host.building.alarms.by_id.get(self._alarm)
            shown = alarm is not None and alarm.standing
            self.all.judge("orphan_is_shown", shown, "a call lost its room, and nobody sees it")

    def _orphan_told(self, ended_ms: Ms) -> None:
        if self._same_run(ended_ms) and self.host.plan.escalations:
            told = self._sent_ms >= ended_ms
            self.all.judge("orphan_is_told", told, "a call lost its room, and nobody is told")
