"""The truth about the test mode of one room, and somebody who prolongs it again and again while
people need help.

A window begins and is prolonged by commands that were accepted. It ends when its time is over,
by a command, or with the process. Who pulls within it may be testing; who still hangs on the
cord when it ends, or pulls in its last minute, needs help.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from functools import partial

from gateway.core.effects import Reply
from gateway.core.instant import Ms
from gateway.simulation.agenda import HOUR, MINUTE, SECOND, Agenda, about
from gateway.simulation.host import Host
from gateway.simulation.rooms import LOOKS_IN_MS, RoomWorld

LAST_MINUTE_MS: Ms = MINUTE
SAVED_MS: Ms = SECOND
"""What happened so long ago is on the disk, where there is one."""


class RoomTests:
    """``began_ms``: of the window that is open now."""

    def __init__(
        self,
        room: RoomWorld,
        host: Host,
        agenda: Agenda,
        chance: random.Random,
        faults: Counter[str],
    ) -> None:
        self.room = room
        self.host = host
        self.agenda = agenda
        self.chance = chance
        self.faults = faults
        self.began_ms: Ms | None = None
        self.until_ms: Ms = 0
        self.ended_ms: Ms = -HOUR
        self.saved = True
        """Whether the disk took the newest window."""
        self.on_accepted: list[Callable[[Ms], None]] = []
        """Told for how long, before this window changes."""
        self._asked: dict[str, Ms] = {}
        self._test_pull_ms: Ms = -HOUR
        self._call_saved = False
        room.on_test.append(self._asked.__setitem__)
        room.on_test_pull.append(self._test_pulled)
        host.on_reply.append(self._replied)
        host.on_up.append(self._up)

    # --- the window ------------------------------------------------------------------------

    def _replied(self, reply: Reply) -> None:
        for_ms = self._asked.pop(reply.command, None)
        if for_ms is None or reply.status != "accepted":
            return
        now = self.agenda.now
        for told in self.on_accepted:
            told(for_ms)
        if for_ms == 0:
            self._over(now)
            return
        if self.began_ms is None:
            self.began_ms = now
        self.saved = self.host.readable
        self.until_ms = now + for_ms
        self.room.tested_until_ms = self.until_ms - LAST_MINUTE_MS + SECOND
        self.agenda.later(for_ms, partial(self._time, self.until_ms))

    def _time(self, until_ms: Ms) -> None:
        if self.began_ms is not None and self.until_ms == until_ms and self.host.running:
            self._over(until_ms)

    def _over(self, at_ms: Ms) -> None:
        """Who hangs on the cord now, or has pulled a moment ago, is taken to need help."""
        if self.began_ms is None:
            return
        self.began_ms, self.ended_ms = None, at_ms
        self.room.tested_until_ms = min(self.room.tested_until_ms, self.agenda.now - 1)
        fresh = self._test_call and self._test_pull_ms > at_ms - LAST_MINUTE_MS + SECOND
        if self.host.running and (fresh or self._hangs):
            self._needs_help()

    def _up(self) -> None:
        """The process ended with a window open, or with a test call that nobody had ended."""
        if self.began_ms is not None:
            self.began_ms, self.ended_ms = None, min(self.until_ms, self.host.ended_ms)
            self.room.tested_until_ms = min(self.room.tested_until_ms, self.agenda.now - 1)
        if self._hangs or (self._test_call and self._call_saved):
            self._needs_help()

    # --- test calls ------------------------------------------------------------------------

    @property
    def _test_call(self) -> bool:
        return self._test_pull_ms > self.room.cancelled_ms and not self.room.wanted

    @property
    def _hangs(self) -> bool:
        """A cord that was pulled in the test is pulled still."""
        pulled = any(self.host.levels[point] for point in self.room.plan.cords)
        return self._test_call and pulled

    def _test_pulled(self) -> None:
        pulled_ms, self._test_pull_ms, self._call_saved = self.agenda.now, self.agenda.now, False

        def saved() -> None:
            if self._test_pull_ms == pulled_ms and self.host.readable:
                self._call_saved = self.host.ready_ms <= pulled_ms

        self.agenda.later(SAVED_MS, saved)

    def _needs_help(self) -> None:
        self._test_pull_ms = -HOUR
        self.room.wants()
        self.agenda.later(about(self.chance, LOOKS_IN_MS), self.room.found)

    # --- people ----------------------------------------------------------------------------

    def prolong(self) -> None:
        """For some hours somebody begins it and prolongs it, and others pull the cord."""
        if self.room.wanted or self.room.busy:
            return
        lasts_ms = about(self.chance, 2 * HOUR)
        self._prolong_until(self.agenda.now + lasts_ms)
        for _ in range(self.chance.randrange(4)):
            self.agenda.later(self.chance.randrange(lasts_ms), self._somebody_pulls)

    def _prolong_until(self, until_ms: Ms) -> None:
        if self.agenda.now >= until_ms:
            self._leave()
            return
        if self.host.running and self.host.ready_ms + SECOND <= self.agenda.now:
            self.room.set_test(self.chance.choice((5, 10, 20, 30)) * MINUTE)
        wait_ms = self.chance.randrange(MINUTE, 20 * MINUTE)
        self.agenda.later(wait_ms, partial(self._prolong_until, until_ms))

    def _somebody_pulls(self) -> None:
        if not self.host.running or self.room.busy:
            return
        before = self._test_pull_ms
        self.room.pull(self.chance.choice((300, 900, 4 * SECOND, 20 * MINUTE, 2 * HOUR)))
        in_test = self._test_pull_ms != before
        self.faults["cord pulled in a test" if in_test else "cord pulled beside a test"] += 1
        if in_test and self.chance.random() < 0.3:
            self.faults["killed in a test call"] += 1
            down_ms = self.chance.randrange(200, 5_000)
            wait_ms = self.chance.randrange(2 * SECOND, MINUTE)
            self.agenda.later(wait_ms, lambda: self.host.end(down_ms, power=False))
        self.agenda.later(about(self.chance, LOOKS_IN_MS), self.room.found)

    def _leave(self) -> None:
        """Who has tested ends the test call, if there is one."""
        if self._test_call and not self.room.press(self.room.plan.cancel):
            self.agenda.later(MINUTE, self._leave)
