"""A stand-in for ``control``: a real journal and a real panel, and facts on request."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gateway.core.facts import Fact, Lane
from gateway.journal.queries.reader import Reader
from gateway.journal.queue import Batch
from gateway.journal.writer import Committed, Journal
from gateway.panel import messages as m
from gateway.panel.server import Server
from gateway.wire import Row


def mono_ms() -> int:
    return time.monotonic_ns() // 1_000_000


class StandIn:
    """``told`` are all messages that it got; ``commands`` those for the building."""

    def __init__(
        self, folder: Path, *, gateway: str = "csg", boot: str = "boot-1", trusted: bool = True
    ) -> None:
        self.folder = folder
        self.gateway = gateway
        self.boot = boot
        self.trusted = trusted
        self.offset_ms: int | None = time.time_ns() // 1_000_000 - mono_ms() if trusted else None
        self.started_ms = mono_ms()
        self.told_messages: list[m.Message] = []
        self.commands: list[m.CommandMessage] = []
        self.doors: dict[str, Any] = {}
        self.journal = Journal(
            folder / "journal.sqlite",
            boot=boot,
            limit_bytes=1_000_000_000,
            routine_wait_ms=40,
            cursor_wait_ms=200,
            lives={},
            on_commit=self._committed,
            on_state=lambda _state: None,
            gateway=gateway,
        )
        self.server = Server(folder / "panel.sock", self, group="")
        self.reader = Reader(folder / "journal.sqlite")

    def start(self) -> None:
        self.journal.start()
        self.journal.saved_state(30)
        if self.offset_ms is not None:
            self.journal.clock(self.offset_ms)
        self.server.start()

    def close(self) -> None:
        self.server.close()
        self.journal.close(30)
        self.reader.close()

    def _committed(self, committed: Committed) -> None:
        self.server.rows(committed.journal, committed.head)

    # --- the panel's handler

    def command(self, message: m.CommandMessage) -> str:
        self.commands.append(message)
        from gateway.core.effects import Reply

        self.server.answered(Reply(message.command.id, "accepted"))
        self.server.committed(message.command.id, None)
        return ""

    def told(self, message: m.Message) -> None:
        self.told_messages.append(message)
        match message:
            case m.Sent(lane, seq):
                self.journal.sent(_lane(lane), seq)
            case m.Recorded(recorder, journal, lanes):
                self.journal.recorded(recorder, journal, lanes)
            case _:
                pass

    def bench(self, message: m.Bench, answer: Callable[[Mapping[str, object]], None]) -> None:
        answer({"error": "not_a_bench"})

    def settings(
        self, message: m.SettingsAsked, answer: Callable[[Mapping[str, object]], None]
    ) -> None:
        raise AssertionError("nobody asks the stand-in for settings")

    def gone(self, role: m.Role) -> None:
        pass

    def snapshot(self) -> Mapping[str, object]:
        return {
            "gateway": {
                "id": self.gateway,
                "name": "Stand-in",
                "version": "0",
                "boot": self.boot,
                "started_ms": self.started_ms,
                "journal": "",
                "configuration": "0",
            },
            "now_ms": mono_ms(),
            "utc_offset_ms": self.offset_ms,
            "clock_trusted": self.offset_ms is not None,
            "clock_since_ms": 0,
            "doors": self.doors,
            "points": {},
            "alarms": [],
            "guarantees": {},
        }

    # --- facts

    def facts(self, *facts: Fact) -> None:
        self.journal.append(Batch(facts))

    def opening(self, number: int) -> None:
        """Two urgent facts and a routine one, in one and the same millisecond."""
        at = mono_ms()
        self.facts(
            Fact("door_request", "front", at, {"outcome": "accepted", "activator": "front.button"}),
            Fact("door_opened", "front", at, {"cause": "request", "assumed": False}),
            Fact("reading", "wc.climate", at, {"quantity": "temperature", "value": number / 10}),
        )

    def rows(self) -> list[Row]:
        """Everything in the journal that leaves the gateway."""
        found: list[Row] = []
        for lane in ("urgent", "routine"):
            at = 1
            while batch := self.reader.lane(_lane(lane), at, 5000):
                found += batch
                at = batch[-1].seq + 1
        return found

    def settled(self, count: int) -> bool:
        """Whether at least so many facts are durable."""
        return sum(self.reader.heads().values()) >= count


def links(control: StandIn) -> list[tuple[bool, str]]:
    """What the link has said of its connection: whether there is one, and why not."""
    told = [one for one in control.told_messages if isinstance(one, m.LinkTold)]
    return [(one.connected, one.reason) for one in told]


def _lane(name: str) -> Lane:
    return "urgent" if name == "urgent" else "routine"
