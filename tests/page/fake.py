"""A small building behind the real panel and the real journal, which tests can play with.

It behaves: a door opens some time after it was asked for, or does not; modes refuse;
alarms are raised and acknowledged. It knows nothing of schedules or electricity.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gateway.core.effects import Reply
from gateway.core.events import (
    AcknowledgeAlarm,
    AcknowledgeCall,
    OpenDoor,
    SetMode,
    ShelveAlarm,
    TestRoom,
)
from gateway.core.facts import Fact
from gateway.journal.queue import Batch
from gateway.journal.writer import Committed, Journal
from gateway.panel.messages import AuditNote, Bench, CommandMessage, Message, SettingsAsked
from gateway.panel.server import Server

Snapshot = dict[str, Any]


def now_ms() -> int:
    return time.monotonic_ns() // 1_000_000


def door(name: str, **values: Any) -> Snapshot:
    return {
        "name": name, "mode": "automatic", "mode_source": "schedule", "mode_until_utc_ms": None,
        "mode_by": None, "scheduled_mode": "automatic", "next_mode": None, "state": "closed",
        "since_ms": now_ms(), "assumed": False, "leaf": "closed", "activation": False,
        "strike": None, "hold_open": None, "fire": None, "service_until_ms": None, "bolt": None,
        "operator_fault": None, "last_request": None, "last_refusal": None,
        "last_opened_ms": None, "press_to_open_ms": None, "last_result": None,
        "can_open": {"staff": {"ok": True, "reason": "", "needs_reason": False}},
        "counters": {"openings": 0, "requests": 0, "refusals": {}}, "alarms": [], **values,
    }  # fmt: skip


def alarm(subject: str, kind: str, severity: str, **values: Any) -> Snapshot:
    return {
        "id": f"{subject}/{kind}", "subject": subject, "kind": kind, "severity": severity,
        "state": "active", "raised_ms": now_ms(), "raised_utc_ms": None, "count": 1,
        "acknowledged_by": None, "shelved_until_ms": None, "detail": "", **values,
    }  # fmt: skip


def contact(active: bool | None = False, **values: Any) -> Snapshot:
    return {
        "kind": "contact", "active": active, "raw": active, "since_ms": now_ms(), "reason": "",
        "faults": [], "changes": 0, "quantities": {}, **values,
    }  # fmt: skip


def quiet() -> Snapshot:
    return {
        "id": None, "state": "quiet", "test": False, "since_ms": now_ms(), "raised_ms": None,
        "raised_utc_ms": None, "cause": "", "points": [], "pulls": 0, "acknowledged_by": None,
        "acknowledged_ms": None, "attends": None, "seen_by": None, "seen_ms": None,
        "attended_ms": None, "attend_by_ms": None, "messages": [], "next_message_ms": None,
    }  # fmt: skip


def room(name: str, **values: Any) -> Snapshot:
    return {
        "name": name, "call": quiet(), "test_until_ms": None, "test_by": None,
        "lamps": {"reassurance": False, "lamp": "off", "sounder": False, "unlock": None},
        "cords": {"wc.cord": "normal"}, "occupancy": "vacant", "occupancy_since_ms": now_ms(),
        "leak": {"wet": False, "latched": False, "valve_closed": None},
        "climate": {"point": "wc.climate", "temperature_c": 21.3, "humidity_percent": 48.0,
                    "dew_point_c": 9.8, "at_ms": now_ms(), "fan": None},
        "last_calls": [{"id": "bad-1", "raised_utc_ms": 1_714_557_600_000, "test": False,
                        "acknowledged_after_ms": 12_000, "attended_after_ms": 95_000,
                        "cancelled_after_ms": None}],
        "alarms": [], **values,
    }  # fmt: skip


def called(call: str = "bad-2", **values: Any) -> Snapshot:
    """A call that nobody has reacted to."""
    return {
        **quiet(), "id": call, "state": "raised", "raised_ms": now_ms(), "cause": "cord",
        "points": ["wc.cord"], "pulls": 1, "next_message_ms": now_ms() + 60_000,
        "messages": [
            {"delivery": f"{call}#1", "receiver": "hausmeister", "channel": 0, "result": "skipped",
             "reason": "off_duty", "at_ms": now_ms(), "at_utc_ms": None, "medium": ""},
            {"delivery": f"{call}#2", "receiver": "empfang", "channel": 0, "result": "delivered",
             "reason": "", "at_ms": now_ms(), "at_utc_ms": None, "medium": "sms"},
        ], **values,
    }  # fmt: skip


def guarantee(now: int, value: str = "yes", reason: str = "", **more: Any) -> dict[str, Any]:
    """One guarantee as ``control`` shows it, with evidence of just now."""
    return {
        "ok": value in ("yes", "not_configured"), "value": value, "since_ms": now,
        "reason": reason, "subject": "", "evidence_ms": now, "void_after_ms": 2_000, **more,
    }  # fmt: skip


class FakeControl:
    """``opens_after_s``: how long the leaf takes; ``None``: it stays closed."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._lock = threading.RLock()
        self.opens_after_s: float | None = 0.2
        self.opens_within_s = 0.8
        self.outcome = "accepted"
        """What becomes of a request that a door takes: accepted, extended or refused."""
        self.commands: list[Any] = []
        self.audits: list[AuditNote] = []
        self.benches: list[Bench] = []
        self._timers: list[threading.Timer] = []
        now = now_ms()
        self.state: Snapshot = {
            "gateway": {"id": "test", "name": "Testhaus", "version": "0", "boot": "b",
                        "started_ms": now, "journal": "", "configuration": "c0ffee"},
            "utc_offset_ms": int(time.time() * 1000) - now,
            "clock_trusted": True,
            "clock_settled": True,
            "clock_since_ms": now,
            "doors": {"front": door("Haupteingang"), "wc": door("WC barrierefrei")},
            "rooms": {"bad": room("Barrierefreies WC")},
            "points": {
                "front.button_outside": contact(),
                "front.leaf": contact(),
                "front.activation": contact(kind="relay"),
                "wc.climate": contact(None, kind="meter", quantities={
                    "temperature_c": {"value": 21.34, "at_ms": now}}),
            },
            "alarms": [],
            "fire": None,
            "guarantees": {
                name: guarantee(now)
                for name in ("door_by_button", "door_by_staff", "journal", "clock")
            },
        }  # fmt: skip
        self.server = Server(state / "panel.sock", self)
        self.journal = Journal(
            state / "journal.sqlite",
            boot="b",
            limit_bytes=100_000_000,
            routine_wait_ms=40,
            cursor_wait_ms=200,
            lives={},
            on_commit=self._committed,
            on_state=lambda reason: None,
        )
        self.journal.clock(self.state["utc_offset_ms"])

    def start(self) -> FakeControl:
        self.journal.start()
        self.journal.saved_state(30)
        self.server.start()
        self.fact("gateway_started", "test", version="0", configuration="c0ffee", clean=True)
        return self

    def close(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self.server.close()
        self.journal.close(30)

    def away(self) -> None:
        """control goes away, and with it the socket."""
        self.server.close()

    def back(self) -> None:
        self.server = Server(self._state / "panel.sock", self)
        self.server.start()

    # --- what tests do to the building -------------------------------------------------

    def change(self, what: Callable[[Snapshot], object]) -> None:
        with self._lock:
            what(self.state)
        self.server.changed()

    def fact(self, kind: str, subject: str, **data: Any) -> None:
        self.journal.append(Batch(facts=(Fact(kind, subject, now_ms(), data),)))

    def raise_alarm(self, *args: str, **values: Any) -> None:
        self.change(lambda s: s["alarms"].append(alarm(*args, **values)))

    # --- the panel's handler ------------------------------------------------------------

    def snapshot(self) -> Mapping[str, object]:
        import copy

        with self._lock:
            return {**copy.deepcopy(self.state), "now_ms": now_ms()}

    def told(self, message: Message) -> None:
        if isinstance(message, AuditNote):
            self.audits.append(message)

    def bench(self, message: Bench, answer: Callable[[Mapping[str, object]], None]) -> None:
        self.benches.append(message)
        answer({"done": True})

    def settings(
        self, message: SettingsAsked, answer: Callable[[Mapping[str, object]], None]
    ) -> None:
        raise AssertionError("nobody asks the fake for settings")

    def gone(self, role: str) -> None:
        pass

    def command(self, message: CommandMessage) -> str:
        command = message.command
        self.commands.append(command)
        reply, fact = Reply(command.id, "accepted"), None
        if isinstance(command, OpenDoor):
            reply, fact = self._open(command)
        elif isinstance(command, SetMode):
            self._mode(command)
        elif isinstance(command, AcknowledgeAlarm | ShelveAlarm):
            reply = self._alarm(command)
        elif isinstance(command, AcknowledgeCall):
            reply = self._seen(command)
        elif isinstance(command, TestRoom):
            self._test(command)
        self.server.answered(reply)
        if fact is None:
            self.server.committed(command.id, None)
        else:
            self.journal.append(Batch(facts=(fact,), replies=(reply,)))
        self.server.changed()
        return ""

    def _committed(self, committed: Committed) -> None:
        for reply, event in committed.replies:
            self.server.committed(reply.command, event)
        self.server.rows(committed.journal, committed.head)

    def _open(self, command: OpenDoor) -> tuple[Reply, Fact | None]:
        with self._lock:
            door = self.state["doors"].get(command.door)
            if door is None:
                return Reply(command.id, "refused", "unknown_door"), None
            can = door["can_open"]["staff"]
            reason = "" if can["ok"] else can["reason"]
            if can["needs_reason"] and not command.reason:
                reason = "reason_needed"
            if self.outcome == "refused":
                reason = "interlock"
            outcome = "refused" if reason else self.outcome
            asked = {
                "outcome": outcome, "reason": reason or None, "activator": None,
                "activator_kind": None, "side": None, "by": command.issuer.name,
                "at_ms": now_ms(),
            }  # fmt: skip
            door["last_refusal" if reason else "last_request"] = asked
            if outcome == "accepted":
                door["last_result"] = {
                    "result": "pending", "command": command.id, "at_ms": now_ms(),
                    "press_to_open_ms": None,
                }  # fmt: skip
                self._later(command)
        data = {"outcome": outcome, "reason": reason, "by": command.issuer.name,
                "command": command.id}  # fmt: skip
        fact = Fact("door_request", command.door, now_ms(), data)
        return Reply(command.id, outcome, reason), fact  # type: ignore[arg-type]  # a status

    def _later(self, command: OpenDoor) -> None:
        opens = self.opens_after_s is not None
        after = self.opens_after_s if self.opens_after_s is not None else self.opens_within_s

        def leaf() -> None:
            def result(state: Snapshot) -> None:
                door = state["doors"][command.door]
                door["last_result"] = {
                    "result": "opened" if opens else "did_not_open", "command": command.id,
                    "at_ms": now_ms(), "press_to_open_ms": int(after * 1000) if opens else None,
                }  # fmt: skip
                if opens:
                    door.update(state="open", leaf="open", since_ms=now_ms())
                    door["last_opened_ms"] = now_ms()

            self.change(result)

        timer = threading.Timer(after, leaf)
        timer.daemon = True
        self._timers.append(timer)
        timer.start()

    def _mode(self, command: SetMode) -> None:
        with self._lock:
            door = self.state["doors"].get(command.door)
            if door is not None:
                scheduled = command.mode == "schedule"
                mode = door["scheduled_mode"] if scheduled else command.mode
                door.update(mode=mode, mode_source="schedule" if scheduled else "override",
                            mode_by=None if scheduled else command.issuer.name,
                            mode_until_utc_ms=command.until_utc_ms)  # fmt: skip
                door["can_open"]["staff"] = {
                    "ok": mode != "off", "reason": "mode_off" if mode == "off" else "",
                    "needs_reason": mode == "night",
                }  # fmt: skip

    def call(self, **values: Any) -> None:
        """Somebody pulls the cord."""
        self.change(lambda s: s["rooms"]["bad"].update(call=called(**values)))

    def _seen(self, command: AcknowledgeCall) -> Reply:
        with self._lock:
            for id, room in self.state["rooms"].items():
                call = room["call"]
                if command.call in (id, call["id"]) and call["state"] == "raised":
                    call.update(
                        state="acknowledged", acknowledged_by=command.issuer.name,
                        acknowledged_ms=now_ms(), attend_by_ms=now_ms() + 300_000,
                        next_message_ms=None,
                    )  # fmt: skip
                    return Reply(command.id, "accepted")
        return Reply(command.id, "refused", "unknown_call")

    def _test(self, command: TestRoom) -> None:
        with self._lock:
            until = now_ms() + command.for_ms if command.for_ms else None
            self.state["rooms"][command.room]["test_until_ms"] = until

    def _alarm(self, command: AcknowledgeAlarm | ShelveAlarm) -> Reply:
        with self._lock:
            for alarm in self.state["alarms"]:
                if alarm["id"] == command.alarm:
                    if isinstance(command, AcknowledgeAlarm):
                        alarm.update(state="acknowledged", acknowledged_by=command.issuer.name)
                    elif command.for_ms:
                        until = now_ms() + command.for_ms
                        alarm.update(state="shelved", shelved_until_ms=until)
                    else:
                        alarm.update(state="active", shelved_until_ms=None)
                    return Reply(command.id, "accepted")
        return Reply(command.id, "refused", "unknown_alarm")
