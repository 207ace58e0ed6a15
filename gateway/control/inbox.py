"""What waits for the controller: bounded, and nobody who puts something in ever waits.

There are four lanes, so that nothing takes the room of what matters more. *Wired*: edges of
wired contacts; it goes first. *News*: what the core relies on (a relay's fault, the state of the
journal, what became of a message) and tasks; it is never turned away, its givers are few and
slow. *Far*: readings, and levels that come by radio or network. *Commands*: refused where there
are too many of them.

Of reports only the newest of a contact or quantity is held once too many of it wait (a contact
that chatters like mad, a loop that hung): what it replaces is lost and counted, but none is left
wrong, and none costs the others their room.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import cast

from gateway.core.events import Event, Level, Reading
from gateway.core.instant import Ms

ITEMS_MOST = 10_000
"""Of one lane."""
SHARE_MOST = 256
"""Reports of one contact or quantity that wait at the same time."""
OTHERS_EVERY = 4
"""Takes; one of so many begins with another lane than usual, so that none is starved."""

Task = Callable[[Ms], None]
"""Something else that only the controller's thread may do. Gets the present instant."""

Item = Event | Task
Report = Level | Reading
Key = str | tuple[str, str]


def _key(report: Report) -> Key:
    return report.point if type(report) is Level else (report.point, report.quantity)  # type: ignore[union-attr]  # a Reading


class _Lane:
    """Items in their order. Of one contact or quantity only one thread reports; the counts
    therefore have one writer each."""

    __slots__ = ("_came", "_most", "_newest", "_share", "_went", "items")

    def __init__(self, most: int, share: int) -> None:
        self._most = most
        self._share = min(share, most)
        self._came: dict[Key, int] = {}
        self._went: dict[Key, int] = {}
        self._newest: dict[Key, Report] = {}
        self.items: deque[Item] = deque()

    @property
    def full(self) -> bool:
        return len(self.items) >= self._most

    def report(self, report: Report) -> bool:
        """Whether nothing was lost by it."""
        key = _key(report)
        came = self._came.get(key, 0)
        waiting = came - self._went.get(key, 0)
        if key in self._newest or waiting >= self._share or len(self.items) >= self._most:
            # One that was put aside is only ever followed by one that is put aside, so that
            # the reports of a contact stay in their order.
            lost = key in self._newest
            self._newest[key] = report
            return not lost
        self._came[key] = came + 1
        self.items.append(report)
        return True

    def take(self) -> Item | None:
        if not self.items:  # nobody else takes
            # as a list: somebody may put one in while we look
            return self._newest.pop([*self._newest][0]) if self._newest else None  # noqa: RUF015
        item = self.items.popleft()
        if type(item) is Level or type(item) is Reading:
            key = _key(item)
            self._went[key] = self._went.get(key, 0) + 1
        return item

    def waiting(self) -> list[Level]:
        """Take what waits now, of a lane that has levels only."""
        most = len(self.items) + len(self._newest)
        return [cast(Level, item) for _ in range(most) if (item := self.take()) is not None]

    def put_back(self, levels: list[Level]) -> None:
        """What was taken last is the next again."""
        for level in levels:
            self._went[level.point] = self._went.get(level.point, 0) - 1
        self.items.extendleft(reversed(levels))


def _instant(taken: tuple[Ms, Level]) -> Ms:
    return taken[0]


class Inbox:
    """One taker, any number of givers. Only the taker ever waits, for the bell: lanes are a
    ``deque`` and dictionary operations that the interpreter does in one piece. :meth:`do` may
    be called in a signal handler, too."""

    def __init__(self, most: int = ITEMS_MOST, *, share: int = SHARE_MOST) -> None:
        self._wired, self._news, self._far, self._commands = lanes = tuple(
            _Lane(most, share) for _ in range(4)
        )
        self._usual = lanes
        self._others = tuple((lane, *lanes) for lane in lanes[1:])
        self._takes = 0
        self._bell = threading.Lock()
        self._bell.acquire()
        self._counting = threading.Lock()
        self.overflows = 0
        """Reports and commands that found no room since the start."""

    def report(self, report: Report, *, wired: bool = True) -> None:
        """From a driver, any thread. Returns at once. ``wired``: it is an edge of a wired
        contact; what comes by radio or network, or over the panel, is not."""
        lane = self._wired if wired and type(report) is Level else self._far
        if not lane.report(report):
            self._overflow()
        self._ring()

    def offer(self, item: Item) -> bool:
        """A command; ``False`` if there is no room for it."""
        if self._commands.full:
            self._overflow()
            return False
        self._commands.items.append(item)
        self._ring()
        return True

    def post(self, event: Event) -> None:
        """News that the core relies on: never turned away."""
        self._news.items.append(event)
        self._ring()

    def do(self, task: Task) -> None:
        """Never turned away: there are only a few givers of tasks, and they wait."""
        self._news.items.append(task)
        self._ring()

    def take(self, wait_s: float) -> Item | None:
        """The next item, after at most ``wait_s``; ``None``: there was none."""
        item = self._next()
        if item is None:
            if wait_s > 0:
                self._bell.acquire(timeout=wait_s)
            else:
                self._bell.acquire(blocking=False)
            item = self._next()
        return item

    def edges(self, until_ms: Ms, first: Level | None = None) -> list[Level]:
        """Take every edge of a wired contact up to an instant, in the order of their instants;
        later ones go on waiting. Those of one contact stay in their order, whatever they carry.
        ``first``: one that was taken before, whenever it was."""
        newest_ms: dict[str, Ms] = {}
        taken: list[tuple[Ms, Level]] = []
        later: list[Level] = []
        if first is not None:
            newest_ms[first.point] = first.edge_ms
            taken.append((first.edge_ms, first))
        for edge in self._wired.waiting():
            at_ms = newest_ms[edge.point] = max(edge.edge_ms, newest_ms.get(edge.point, 0))
            if at_ms > until_ms:
                later.append(edge)
            else:
                taken.append((at_ms, edge))
        self._wired.put_back(later)
        taken.sort(key=_instant)
        return [edge for _, edge in taken]

    def _next(self) -> Item | None:
        self._takes += 1
        turn, rest = divmod(self._takes, OTHERS_EVERY)
        for lane in self._usual if rest else self._others[turn % len(self._others)]:
            item = lane.take()
            if item is not None:
                return item
        self._takes = 0  # so that a recording that is played again is taken in the same order
        return None

    def _overflow(self) -> None:
        with self._counting:
            self.overflows += 1

    def _ring(self) -> None:
        if self._bell.locked():
            try:
                self._bell.release()
            except RuntimeError:  # somebody else has just rung it
                return
