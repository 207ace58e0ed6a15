"""What waits for the controller: bounded, and nobody who puts something in ever waits.

When it is full (a contact that chatters like mad, a loop that hung), readings and commands
are turned away, and of each contact only the newest level is kept and handed over when
there is room again: edges are lost then and counted, but no contact is left wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from queue import Empty, SimpleQueue

from gateway.core.events import Event, Level, Reading
from gateway.core.machine import Ms

ITEMS_MOST = 10_000

Task = Callable[[Ms], None]
"""Something else that only the controller's thread may do. Gets the present instant."""

Item = Event | Task


class Inbox:
    """One taker, any number of givers. No lock of ours: a ``SimpleQueue``, and dictionary
    operations that the interpreter does in one piece. Of one point only one thread reports."""

    def __init__(self, most: int = ITEMS_MOST) -> None:
        self._most = most
        self._queue: SimpleQueue[Item | None] = SimpleQueue()
        self._newest: dict[str, Level] = {}
        self.overflows = 0
        """Reports and commands that found no room since the start."""

    def report(self, report: Level | Reading) -> None:
        """From a driver, any thread. Returns at once."""
        if type(report) is Level and (report.point in self._newest or self._full()):
            # A level that was kept is only ever followed by one that is kept, so that the
            # levels of a point stay in their order.
            if report.point in self._newest:
                self.overflows += 1
            self._newest[report.point] = report
            self._queue.put(None)
        elif self._full():
            self.overflows += 1
        else:
            self._queue.put(report)

    def offer(self, item: Item) -> bool:
        """A command, or news; ``False`` if there is no room for it."""
        if self._full():
            self.overflows += 1
            return False
        self._queue.put(item)
        return True

    def do(self, task: Task) -> None:
        """Never turned away: there are only a few givers of tasks, and they wait."""
        self._queue.put(task)

    def take(self, wait_s: float) -> Item | None:
        """The next item, after at most ``wait_s``; ``None``: there was none."""
        try:
            item = self._queue.get(timeout=wait_s) if wait_s > 0 else self._queue.get_nowait()
        except Empty:
            item = None
        if item is None and self._newest and self._queue.empty():
            return self._newest.pop(next(iter(self._newest)))
        return item

    def _full(self) -> bool:
        return self._queue.qsize() >= self._most
