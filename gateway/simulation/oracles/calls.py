"""The oracles of one room's call: the cord WAS pulled, so help has to be called until somebody
presses the button in the room."""

from __future__ import annotations

from gateway.core.facts import Fact
from gateway.core.instant import Ms
from gateway.core.plan import EscalationPlan
from gateway.simulation.agenda import MINUTE, SECOND, Agenda
from gateway.simulation.host import BLOCKED_MOST_MS, Host
from gateway.simulation.oracles.judgement import Judgement
from gateway.simulation.rooms import RoomWorld
from gateway.simulation.staff import Staff

SETTLED_MS: Ms = BLOCKED_MOST_MS + 200
ANSWER_MS: Ms = 15 * SECOND
RETRY_MS: Ms = 5 * MINUTE


class CallOracle:
    """``room`` is the truth."""

    def __init__(
        self, room: RoomWorld, staff: Staff, host: Host, agenda: Agenda, all_: Judgement
    ) -> None:
        self.room = room
        self.staff = staff
        self.host = host
        self.agenda = agenda
        self.all = all_
        plan = room.plan
        steady = (plan.reassurance, plan.unlock)
        self.steady = tuple(point for point in steady if point is not None)
        self.lamps = tuple(
            p for p in (plan.reassurance, plan.lamp, plan.sounder, plan.unlock) if p is not None
        )
        self.chain = next((e for e in host.plan.escalations if e.id == plan.escalation), None)
        self._called_ms: Ms | None = None
        """Since when a call has been standing that nobody has answered."""
        self._since_ms: Ms = 0
        """The same, or when the process came back: from then on it has its time anew."""
        self._pulled_ms: Ms = -1
        self._round = 0
        room.on_pull.append(self._pulled)
        room.on_cancel.append(self._cancelled)
        host.on_drive.append(self._driven)
        host.on_fact.append(self._told)
        host.on_up.append(self._up)
        staff.on_failed.append(self._failed)

    def _settled(self) -> bool:
        """The process has been up for a moment, and knows what it knew."""
        host, now = self.host, self.agenda.now
        if self.room.plan.id not in host.building.calls:
            return False  # the configuration has no such room now
        return host.running and now >= max(host.ready_ms + SECOND, self.host.blocked_until_ms)

    # --- raised, and stays -----------------------------------------------------------------

    def _pulled(self) -> None:
        self._pulled_ms = self.agenda.now
        self.agenda.later(SETTLED_MS, self._stands)
        self._anew()

    def _up(self) -> None:
        if self.room.wanted:
            self.agenda.later(self.host.ready_ms - self.agenda.now + 2 * SECOND, self._stands)
            self._watch()

    def _stands(self) -> None:
        """Somebody wants help: there is light, and a call that everybody can see."""
        if not self.room.wanted or not self._settled():
            return
        dark = [point for point in self.steady if not self.host.lit[point]]
        record = self.host.building.calls[self.room.plan.id].record
        self._judge("call_stands", record is not None and not dark, f"no call, dark: {dark}")
        real = record is not None and not record.test
        self._judge("a_pull_is_real", real, "somebody needs help, and it is a test")

    def _driven(self, point: str, on: bool) -> None:
        if point in self.steady and not on and self.room.wanted and self._settled():
            self._judge("call_stays", False, f"{point} went dark while somebody waits for help")

    def _told(self, fact: Fact) -> None:
        if fact.subject != self.room.plan.id:
            return
        now = self.agenda.now
        if fact.kind == "call_cancelled":
            in_room = now - self.room.cancelled_ms <= SETTLED_MS
            over = bool(fact.data["test"]) and fact.data["point"] is None
            self._judge("only_in_the_room", in_room or over, "a call ended by itself or from afar")
        elif fact.kind == "call_raised" and not fact.data["test"]:
            if fact.data["was"] and self._answered_ms() >= self._pulled_ms:
                # Found pulled at a start that knew nothing yet; then it was known again that
                # this very pull had been answered.
                self._called_ms = self._pulled_ms
            else:
                self._anew()

    def _cancelled(self) -> None:
        """The button in the room ends a call in every state: dark and silent."""

        def quiet() -> None:
            if not self.room.wanted and self._settled():
                on = [point for point in self.lamps if self.host.lit[point]]
                self._judge("cancel_works", not on, f"cancelled, and on: {on}")

        self._round += 1
        self._called_ms = None
        self.agenda.later(SETTLED_MS, quiet)

    # --- somebody is told ------------------------------------------------------------------

    def _anew(self) -> None:
        """The call is raised: nobody has answered it."""
        if self._called_ms is None or self._answered_ms() >= self._called_ms:
            self._called_ms = self.agenda.now
        self._watch()

    def _watch(self) -> None:
        """From now on somebody has to be told, and again until somebody answers."""
        self._round += 1
        self._since_ms = max(self.agenda.now, self.host.ready_ms)
        round_, chain = self._round, self.chain
        if chain is None:
            return
        wait_ms = self._since_ms - self.agenda.now + self._told_within_ms(chain)
        self.agenda.later(wait_ms, lambda: self._somebody(round_))
        last = chain.steps[-1]
        always = all(not r.duty for r in self.host.plan.receivers if r.id == last.receiver)
        if last.every_ms is not None and always:
            self.agenda.later(wait_ms, lambda: self._again(round_, chain))

    def _told_within_ms(self, chain: EscalationPlan) -> Ms:
        """Every channel of every receiver may be silent until the next is tried."""
        channels = {r.id: max(r.channels, 1) for r in self.host.plan.receivers}
        ways = sum(channels.get(step.receiver, 1) for step in chain.steps)
        return (chain.steps[0].after_ms or 0) + ways * (ANSWER_MS + SECOND) + 5 * SECOND

    def _waits(self, round_: int) -> bool:
        """Nobody has answered since: no link, no button in the room."""
        called_ms = self._called_ms
        if called_ms is None or round_ != self._round or not self.room.wanted:
            return False
        return self._settled() and self._answered_ms() < called_ms

    def _answered_ms(self) -> Ms:
        room = self.room.plan.id
        return max(self.staff.acknowledged_ms.get(room, -1), self.room.helped_ms)

    def _told_since(self) -> bool:
        """A message about this call has arrived."""
        return self.staff.told_ms.get(self.room.plan.id, -1) >= (self._called_ms or 0)

    def _somebody(self, round_: int) -> None:
        if not self._waits(round_):
            return
        room = self.room.plan.id
        alarm = self.host.building.alarms.by_id.get(f"{room}/nobody_told")
        said = alarm is not None and alarm.standing
        told = self._told_since()
        self._judge("somebody_told", told or said, "a call, nobody told, and nobody says so")

    def _failed(self, room: str) -> None:
        """Who could not be told is not waited for: the next one is told at once. (Only where no
        other message may still arrive, or has.)"""
        failed_ms, round_ = self.agenda.now, self._round
        alone = self.staff.under_way[room] <= 1
        if room != self.room.plan.id or self._told_since():
            return

        def moved_on() -> None:
            if alone and self._waits(round_):
                alarm = self.host.building.alarms.by_id.get(f"{room}/nobody_told")
                said = alarm is not None and alarm.standing
                next_ = self.staff.sent_ms.get(room, -1) >= failed_ms
                self._judge("failed_moves_on", next_ or said, "nobody is told after a failure")

        self.agenda.later(SETTLED_MS, moved_on)

    def _again(self, round_: int, chain: EscalationPlan) -> None:
        """The chain goes on until somebody has seen it."""
        if not self._waits(round_):
            return
        steps = [step.after_ms or 0 for step in chain.steps]
        gap_ms = max(*steps, chain.steps[-1].every_ms or 0) + self._told_within_ms(chain)
        if not self._told_since():
            gap_ms += RETRY_MS
        last_ms = self.staff.sent_ms.get(self.room.plan.id, -1)
        quiet_ms = self.agenda.now - max(last_ms, self._since_ms)
        self._judge("escalation_goes_on", quiet_ms <= gap_ms, f"silent for {quiet_ms} ms")
        self.agenda.later(30 * SECOND, lambda: self._again(round_, chain))

    def _judge(self, oracle: str, holds: bool, text: str) -> None:
        self.all.judge(oracle, holds, f"{self.room.plan.id}: {text}")
