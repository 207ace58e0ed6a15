"""The controller's points: those that are open, and those that are not.

Relays are opened first, and off; then contacts. Meters, and whatever failed, are opened in a
helper thread, again and again with a growing pause: the door works with the points that are there;
a missing one is unknown.
"""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Literal, Protocol, cast

from gateway.backoff import BackOff
from gateway.control.inbox import Inbox
from gateway.control.log import Repeats, cause
from gateway.core.events import Level, Reading, RelayFault
from gateway.core.instant import Ms

RETRY_FIRST_S = 0.5
RETRY_MOST_S = 30.0
FORGIVEN_AFTER_S = 300.0
"""A point that has been open for this long is opened at once when it fails again."""
NAMED_MOST = 2_000


class PointFault(Exception):
    """A point could not be opened or driven; the text says why, and the remedy."""


class Opened(Protocol):
    def close(self) -> None:
        """Let go. A second call does nothing."""


class OpenedRelay(Opened, Protocol):
    def drive(self, on: bool) -> None:
        """Switch. Raises :class:`PointFault`."""


Report = Callable[[Level | Reading], None]


@dataclass(frozen=True, slots=True)
class Source:
    """How one point is opened. ``open`` raises :class:`PointFault`. ``quantities``: of a meter.
    ``heals``: the driver comes back by itself after it has reported *unknown*. ``wired``: what
    it reports does not come by radio or network."""

    point: str
    kind: Literal["contact", "relay", "meter"]
    open: Callable[[Report], Opened]
    quantities: tuple[str, ...] = ()
    heals: bool = False
    wired: bool = True
    catch_up: Callable[[], None] | None = None
    """Reports every edge of this driver's points until now before it returns; never waits."""


class Points:
    """``say(level, text, **fields)`` writes to the log without waiting."""

    def __init__(
        self,
        sources: Iterable[Source],
        inbox: Inbox,
        now_ms: Callable[[], Ms],
        say: Callable[..., None],
        *,
        retry_first_s: float = RETRY_FIRST_S,
    ) -> None:
        self._sources = {source.point: source for source in sources}
        self._catch_ups = {s.catch_up for s in self._sources.values() if s.catch_up is not None}
        self._inbox = inbox
        self._now_ms = now_ms
        self._say = say
        self._retry_first_s = retry_first_s
        self._open: dict[str, Opened] = {}
        self._relays: dict[str, OpenedRelay] = {}
        self._wanted: dict[str, bool] = {}
        self._asked: set[str] = set()
        self._asks: SimpleQueue[str | None] = SimpleQueue()
        self._missing_now: dict[str, str] = {}
        """Point -> why it is not open, for the log."""
        self._unsaid: set[str] = set()
        """Of those, the ones that failed since the log was last written."""
        self._repeats = Repeats()
        self._named: set[tuple[str, str]] = set()
        """Cause and point of lines that were written; a point that is new is named at once."""
        self._stop = False
        self._helper = threading.Thread(target=self._help, name="points", daemon=True)

    # --- the controller's thread ----------------------------------------------------------

    def open(self) -> None:
        """Open relays, then contacts; leave meters and failures to the helper."""
        for kind in ("relay", "contact"):
            for source in self._sources.values():
                if source.kind == kind and not self._try(source):
                    self._ask(source.point)
        for source in self._sources.values():
            if source.kind == "meter":
                self._ask(source.point)
        self._report_missing()
        self._helper.start()

    @property
    def alive(self) -> bool:
        """Whether the helper runs; it never ends by itself."""
        return self._helper.is_alive()

    def drive(self, point: str, on: bool) -> str:
        """Switch a relay; what went wrong, or empty. The helper then opens it anew."""
        self._wanted[point] = on
        relay = self._relays.get(point)
        if relay is None:
            return "not open"
        try:
            relay.drive(on)
        except PointFault as fault:
            self._ask(point)
            return str(fault)
        return ""

    def catch_up(self) -> None:
        """Have every edge until now in the inbox, as far as drivers know when edges were."""
        for catch_up in self._catch_ups:
            catch_up()

    def close(self) -> None:
        """Every relay off, then everything closed. Goes on whatever fails on the way."""
        self._stop = True
        self._asks.put(None)
        for source in sorted(self._sources.values(), key=lambda source: source.kind != "relay"):
            self._close(source.point)

    # --- any thread -----------------------------------------------------------------------

    def is_open(self, point: str) -> bool:
        """Whether its driver has this point open."""
        return point in self._open

    def _report(self, source: Source, report: Level | Reading) -> None:
        self._inbox.report(report, wired=source.wired)
        if type(report) is Level and report.active is None and not source.heals:
            self._ask(source.point)

    def _ask(self, point: str) -> None:
        """Ask the helper to open a point (anew)."""
        if point not in self._asked:
            self._asked.add(point)
            self._asks.put(point)

    # --- opening --------------------------------------------------------------------------

    def _try(self, source: Source) -> bool:
        try:
            opened = source.open(lambda report: self._report(source, report))
        except PointFault as fault:
            self._missing(source, str(fault))
            return False
        self._open[source.point] = opened
        self._missing_now.pop(source.point, None)
        if source.kind == "relay":
            relay = cast(OpenedRelay, opened)
            if self._helper.ident is None:
                self._relays[source.point] = relay
            else:
                self._inbox.do(lambda _now: self._adopt(source.point, relay))
        return True

    def _adopt(self, point: str, relay: OpenedRelay) -> None:
        """In the controller's thread: a relay is back, and takes the level it should have."""
        self._relays[point] = relay
        reason = self.drive(point, self._wanted.get(point, False))
        self._inbox.post(RelayFault(point, reason))

    def _missing(self, source: Source, reason: str) -> None:
        self._missing_now[source.point] = reason
        self._unsaid.add(source.point)
        if source.kind == "relay":
            self._inbox.post(RelayFault(source.point, reason))
        elif source.kind == "contact":
            self._inbox.report(
                Level(source.point, None, self._now_ms(), reason), wired=source.wired
            )
        else:
            for quantity in source.quantities:
                self._inbox.report(Reading(source.point, quantity, None, reason))

    def _report_missing(self) -> None:
        """One line for each cause, with all the points that are missing for it."""
        failed = {cause(self._missing_now[p]) for p in self._unsaid if p in self._missing_now}
        self._unsaid.clear()
        for one in sorted(failed):
            missing = {p: why for p, why in self._missing_now.items() if cause(why) == one}
            new = {(one, point) for point in missing} - self._named
            left_out = self._repeats.left_out(one)
            if left_out is None and not new:
                continue
            if len(self._named) < NAMED_MOST:
                self._named |= new
            more = {"repeated": left_out} if left_out else {}
            text = "point is not open" if len(missing) == 1 else "points are not open"
            reason = next(iter(missing.values()))
            self._say("warning", text, points=sorted(missing), reason=reason, **more)

    def _close(self, point: str) -> None:
        opened = self._open.pop(point, None)
        if opened is None:
            return
        try:
            opened.close()
        except Exception as error:  # noqa: BLE001 - the other relays must still go off
            if self._repeats.left_out(("close", point, cause(str(error)))) is not None:
                self._say("error", "point did not close", point=point, reason=str(error))

    # --- the helper -----------------------------------------------------------------------

    def _help(self) -> None:
        due: list[tuple[float, str]] = []
        pauses: dict[str, tuple[BackOff[float], float]] = {}  # and when it last failed
        while not self._stop:
            now = time.monotonic()
            try:
                point = self._asks.get(timeout=max(0.0, due[0][0] - now) if due else None)
            except Empty:
                point = None
            now = time.monotonic()
            if point is not None:
                first = point not in pauses and self._sources[point].kind == "meter"
                back_off, when = pauses.get(point) or (self._back_off(), now)
                if now - when > FORGIVEN_AFTER_S:
                    back_off.reset()
                pauses[point] = (back_off, now)
                pause_s = back_off.next()
                heapq.heappush(due, (now if first else now + pause_s, point))
            while due and due[0][0] <= now and not self._stop:
                self._reopen(heapq.heappop(due)[1])
            if self._asks.empty():  # else the next ones may fail for the same cause
                self._report_missing()

    def _back_off(self) -> BackOff[float]:
        return BackOff(self._retry_first_s, RETRY_MOST_S)

    def _reopen(self, point: str) -> None:
        source = self._sources[point]
        self._relays.pop(point, None)
        self._close(point)
        self._asked.discard(point)
        if not self._try(source):
            self._ask(point)
        elif self._stop:  # control has closed everything while this was being opened
            self._close(point)
