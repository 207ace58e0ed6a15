"""The oracle of one room's test mode: it is short, it pauses, and it never hides a call."""

from __future__ import annotations

from gateway.core.instant import Ms
from gateway.simulation.agenda import HOUR, MINUTE, Agenda
from gateway.simulation.oracles.calls import SETTLED_MS
from gateway.simulation.oracles.judgement import Judgement
from gateway.simulation.room_tests import RoomTests

TEST_MOST_MS: Ms = 30 * MINUTE
PAUSE_MS: Ms = 10 * MINUTE
AFTER_CALL_MS: Ms = 2 * MINUTE


class TestModeOracle:
    """``tests`` is the truth. The limits are those of the domain, written down once more."""

    def __init__(self, tests: RoomTests, agenda: Agenda, all_: Judgement) -> None:
        self.tests = tests
        self.agenda = agenda
        self.all = all_
        self._cancelled_ms: Ms = -HOUR
        tests.on_accepted.append(self._accepted)
        tests.room.on_cancel.append(self._cancelled)

    def _cancelled(self) -> None:
        self._cancelled_ms = self.agenda.now

    def _accepted(self, for_ms: Ms) -> None:
        tests, room, now = self.tests, self.tests.room, self.agenda.now
        calls = room.wanted and room.wanted_ms < now - SETTLED_MS
        self._judge("no_test_in_a_call", not calls, "test mode while somebody waits for help")
        if for_ms == 0:
            return
        began_ms = now if tests.began_ms is None else tests.began_ms
        lasts_ms = now + for_ms - began_ms
        self._judge("test_is_short", lasts_ms <= TEST_MOST_MS, f"for {lasts_ms} ms in all")
        if tests.began_ms is not None:
            return
        paused_ms, after_ms = now - tests.ended_ms, now - self._cancelled_ms
        if tests.saved:
            self._judge("test_pauses", paused_ms >= PAUSE_MS, f"{paused_ms} ms after the last")
        self._judge("test_waits", after_ms >= AFTER_CALL_MS, f"{after_ms} ms after a call")

    def _judge(self, oracle: str, holds: bool, text: str) -> None:
        self.all.judge(oracle, holds, f"{self.tests.room.plan.id}: {text}")
