"""A week that passes on the bench, with people who come and go: in portions, so that the page shows
how far it is, and somebody can stop it."""

from __future__ import annotations

import asyncio

from gateway.core.facts import Json
from gateway.panel.client import ControlAway
from gateway.web.building.control_client import ControlClient

DAYS = 7
PORTION_MS = 3 * 3_600_000
PORTIONS = DAYS * 86_400_000 // PORTION_MS
WITHIN_S = 120.0
"""For the answer to a portion: a second or two on a quick machine."""


class Week:
    """One of a site; at most one passes at a time."""

    def __init__(self) -> None:
        self.done = 0
        """Portions of the last week that have passed."""
        self.problem = ""
        """Why it ended early: ``call``, ``no_answer``, ``stopped``; empty: it has not."""
        self._stops = False
        self._task: asyncio.Task[None] | None = None

    @property
    def passes(self) -> bool:
        return self._task is not None and not self._task.done()

    @property
    def was(self) -> bool:
        """Whether one has passed, whole or in part, since the page's role started."""
        return self._task is not None and self._task.done()

    @property
    def days(self) -> int:
        """Whole days that have passed."""
        return self.done * PORTION_MS // 86_400_000

    def begin(self, control: ControlClient) -> bool:
        """Let a week pass; ``False``: one does already, or a call stands."""
        if self.passes:
            return False
        self.done, self.problem, self._stops = 0, "", False
        if calling(control):
            self.problem = "call"
            return False
        self._task = asyncio.create_task(self._live(control))
        return True

    def stop(self) -> None:
        """End it after the portion that passes now."""
        self._stops = True

    async def _live(self, control: ControlClient) -> None:
        while self.done < PORTIONS:
            if self._stops:
                self.problem = "stopped"
                return
            args: dict[str, Json] = {"by_ms": PORTION_MS, "goes_on": self.done > 0}
            try:
                answer = await control.bench("live", args, WITHIN_S)
            except ControlAway:
                self.problem = "no_answer"
                return
            if (answer.get("result") or {}).get("error"):
                self.problem = "call" if calling(control) else "no_answer"
                return
            self.done += 1


def calling(control: ControlClient) -> bool:
    """Whether a call stands in any room."""
    calls = (room.get("call") for room in control.rooms.values())
    return any(call is not None and call["state"] != "quiet" for call in calls)
