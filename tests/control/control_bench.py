"""A controller without processes: a small building, a clock that is set, parts with behaviour."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.control.clock import Clock
from gateway.control.controller import Controller
from gateway.control.inbox import Inbox
from gateway.control.points import PointFault, Points, Report, Source
from gateway.control.watchdog import Watchdog
from gateway.core.effects import Reply
from gateway.core.events import Issuer, Level, OpenDoor
from gateway.core.facts import Fact, Json
from gateway.core.plan import BuildingPlan, RelayPlan
from gateway.core.signals.clock import Past
from gateway.journal.queue import Batch
from gateway.panel.messages import CommandMessage
from gateway.panel.snapshot_types import IdentityShown
from tests import plans

BUTTON, LEAF, RELAY = "front.button", "front.leaf", "front.activation"

PLAN = BuildingPlan(
    gateway="test",
    contacts=(plans.button(BUTTON), plans.contact(LEAF)),
    relays=(RelayPlan(RELAY, max_on_ms=1500),),
    doors=(
        plans.door(
            id="front",
            name="Front",
            activation=RELAY,
            leaf=LEAF,
            activators=(plans.activator(BUTTON, "button", "outside"),),
            left_open_after_ms=120_000,
        ),
    ),
)

IDENTITY: IdentityShown = {
    "id": "test", "name": "Test", "timezone": "Europe/Berlin", "version": "0", "boot": "b",
    "started_ms": 0, "configuration": "c0ffee",
}  # fmt: skip


@dataclass
class Time:
    """Both clocks of a machine, which stand until they are moved."""

    mono_ms: int = 1_000_000
    utc_ms: int = 1_800_000_000_000

    def clock(self, **options: Any) -> Clock:
        return Clock(
            monotonic_ns=lambda: self.mono_ms * 1_000_000,
            wall_ns=lambda: self.utc_ms * 1_000_000,
            **options,
        )

    def passes(self, ms: int) -> None:
        self.mono_ms += ms
        self.utc_ms += ms


@dataclass
class FakeRelay:
    """``broken``: driving it is a fault. ``log`` is shared with the journal, to see the order."""

    name: str
    log: list[str]
    broken: bool = False
    on: bool = False
    closed: bool = False

    def drive(self, on: bool) -> None:
        if self.broken or self.closed:
            raise PointFault("the coil is dead")
        self.on = on
        self.log.append(f"{self.name} {'on' if on else 'off'}")

    def close(self) -> None:
        self.on, self.closed = False, True


@dataclass
class FakeContact:
    report: Report
    closed: bool = False

    def close(self) -> None:
        self.closed = True


@dataclass
class FakeJournal:
    """Keeps everything in memory. ``state_before`` ``None``: it cannot be read yet."""

    log: list[str]
    state_before: Mapping[str, Json] | None = field(default_factory=dict)
    batches: list[Batch] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    was_clean: bool | None = True
    flushed: int = 0
    overdue: int = 0
    past: Past = field(default_factory=Past)
    settles: list[bool] = field(default_factory=list)

    def settled(self, settled: bool) -> None:
        self.settles.append(settled)

    def overdue_ms(self, now_ms: int) -> int:
        return self.overdue

    @property
    def readable(self) -> bool:
        return self.state_before is not None

    def append(self, batch: Batch) -> None:
        self.batches.append(batch)
        self.log.extend(f"fact {fact.kind}" for fact in batch.facts)

    def look(self) -> None:
        """The file is where it was."""

    def flush(self) -> None:
        self.flushed += 1

    def clock(self, utc_offset_ms: int, trusted: bool) -> None:
        self.offsets.append(utc_offset_ms)

    def saved_state(self, timeout: float) -> Mapping[str, Json] | None:
        return self.state_before

    def facts(self, *kinds: str) -> list[Fact]:
        return [f for batch in self.batches for f in batch.facts if not kinds or f.kind in kinds]


class Rig:
    """A controller with everything around it, turned by hand."""

    def __init__(
        self,
        *,
        saved_state: Mapping[str, Json] | None = None,
        readable: bool = True,
        trusted: bool = True,
        plan: BuildingPlan = PLAN,
    ) -> None:
        self.time = Time()
        self.clock = self.time.clock()
        self.inbox = Inbox()
        self.log: list[str] = []
        self.relay = FakeRelay(RELAY, self.log)
        self.contacts: dict[str, FakeContact] = {}
        self.unread: list[Level] = []
        """Edges that happened and that the drivers' thread has not come to read."""
        self.journal = FakeJournal(self.log, (saved_state or {}) if readable else None)
        self.replies: list[Reply] = []
        self.unreadable: list[Exception] = []
        self.points = Points(
            [
                Source(BUTTON, "contact", self._opener(BUTTON), catch_up=self.read),
                Source(RELAY, "relay", self._open_relay),
                Source(LEAF, "contact", self._opener(LEAF), catch_up=self.read),
            ],
            self.inbox,
            self.clock.now_ms,
            lambda *words, **fields: None,
            retry_first_s=0.01,
        )
        self.controller = Controller(
            plan,
            clock=self.clock,
            inbox=self.inbox,
            points=self.points,
            journal=self.journal,
            watchdog=Watchdog({}),
            trusted=trusted,
            started={"version": "1", "configuration": "c"},
            changed=lambda: None,
            answered=self.replies.append,
            unread=self.unreadable.append,
        )

    def _opener(self, point: str) -> Callable[[Report], FakeContact]:
        def open_(report: Report) -> FakeContact:
            report(Level(point, False, self.clock.now_ms()))
            # Last: a test that waits for the new contact goes on from here, in its thread.
            self.contacts[point] = contact = FakeContact(report)
            return contact

        return open_

    def _open_relay(self, report: Report) -> FakeRelay:
        self.relay.closed = False
        return self.relay

    def start(self) -> Rig:
        self.points.open()
        self.controller.begin(0.0)
        self.turn()
        self.passes(100)
        self.log.clear()
        return self

    def turn(self) -> None:
        """Take what is in the inbox, and live up to now."""
        while (item := self.inbox.take(0)) is not None:
            self.controller.turn(item)
        self.controller.turn(None)

    def passes(self, ms: int, step_ms: int = 10) -> None:
        for _ in range(0, ms, step_ms):
            self.time.passes(step_ms)
            self.turn()

    def level(self, point: str, active: bool | None, edge_ms: int | None = None) -> None:
        edge = self.clock.now_ms() if edge_ms is None else edge_ms
        self.contacts[point].report(Level(point, active, edge))

    def read(self, most: int = 1000) -> None:
        """The oldest edges that were not read are reported, as a thread of the drivers does it."""
        edges, self.unread = self.unread[:most], self.unread[most:]
        for edge in edges:
            self.contacts[edge.point].report(edge)

    def press(self, for_ms: int = 200) -> None:
        self.level(BUTTON, True)
        self.passes(for_ms)
        self.level(BUTTON, False)
        self.passes(50)

    def command(self, id_: str = "c1", life_ms: int = 5000) -> None:
        issuer = Issuer("web:3", "web")
        command = OpenDoor(id_, issuer, self.clock.now_ms() + life_ms, "front", "delivery")
        message = CommandMessage("open_door", command, {})
        self.inbox.do(lambda now: self.controller.command(message, now))
        self.turn()
