"""gpiozero's mock pins with a clock: when an output went on, and a press that waits for it."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from gpiozero.pins.mock import MockFactory, MockPin


class TimedPin(MockPin):  # type: ignore[misc]  # gpiozero has no types
    """An output notes when it went on."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.on_at_ns = 0
        self.went_on = threading.Event()
        self.when_troubled = None

    def _set_state(self, value: Any) -> None:
        super()._set_state(value)
        if value and self.function == "output":
            self.on_at_ns = time.monotonic_ns()
            self.went_on.set()


def as_in_its_unit() -> None:
    """At the priority that systemd gives ``control``, where we may: deploy/systemd has it."""
    with contextlib.suppress(PermissionError):
        os.nice(-10)


def factory() -> MockFactory:
    return MockFactory(pin_class=TimedPin)


def press(button: TimedPin, relay: TimedPin, hold_s: float = 0.03) -> float | None:
    """Press and let go; milliseconds from the edge until the relay was on, ``None``: missed."""
    relay.went_on.clear()
    edge_ns = time.monotonic_ns()
    button.drive_low()
    served = relay.went_on.wait(1.0)
    time.sleep(hold_s)
    button.drive_high()
    return (relay.on_at_ns - edge_ns) / 1e6 if served else None


def toggle(
    lines: Sequence[TimedPin], per_second: float, seconds: float, done: threading.Event
) -> int:
    """Change one line after the other at this rate until ``done``; how many changes it were."""
    started, changes = time.monotonic(), 0
    while not done.is_set() and time.monotonic() - started < seconds:
        for line in lines:
            (line.drive_high if line.state == 0 else line.drive_low)()
            changes += 1
            ahead = started + changes / per_second - time.monotonic()
            if ahead > 0:
                time.sleep(ahead)
        if done.is_set():
            break
    return changes


def never_chattering() -> None:
    """Changes at these rates would be called chattering, which is not what is measured."""
    from gateway.app.configuration import plans

    known = plans.known

    def patient(config: Path, state: Path, now_utc_ms: int) -> plans.Plan:
        made = known(config, state, now_utc_ms)
        contacts = tuple(replace(c, chatter_window_ms=-1) for c in made.cached.plan.contacts)
        plan = replace(made.cached.plan, contacts=contacts)
        return replace(made, cached=replace(made.cached, plan=plan))

    plans.known = patient
