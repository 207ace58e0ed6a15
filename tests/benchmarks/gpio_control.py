"""The real ``control`` with its real GPIO drivers on gpiozero's mock pins, pressed from a thread.

Everything is as in the service but the pins. What is measured goes to a JSON file:
the milliseconds of each press (null: missed), the instant the first press was served, and
of every commit its rows, when they were durable and how long after its edge an urgent fact was.
Arguments: CONFIG STATE OUT PRESSES PER_SECOND EVENTS_PER_SECOND SECONDS."""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

LOAD = [f"GPIO{n}" for n in (*range(2, 17), *range(18, 27))]
"""The lines of the contacts that make events; the button is on 17, the relay on 27."""


def main(arguments: list[str]) -> int:
    config, state, out = (Path(text) for text in arguments[:3])
    presses, per_second, events, seconds = (float(text) for text in arguments[3:7])

    gc.disable()  # as the command does
    from drivers import gpiod_pins
    from gateway.app import control
    from gateway.control.service import Service
    from gateway.journal.writer import Committed
    from tests.benchmarks.mock_pins import (
        TimedPin,
        as_in_its_unit,
        factory,
        never_chattering,
        press,
        toggle,
    )

    as_in_its_unit()
    pins = factory()
    gpiod_pins.factory = lambda chip: pins

    never_chattering()

    commits: list[tuple[int, int]] = []
    urgent_ms: list[float] = []
    committed = Service._committed

    def noted(self: Service, done: Committed) -> None:
        now_ns = time.monotonic_ns()
        for row, lane, _seq, fact in done.rows:
            commits.append((row, now_ns))
            if lane == "urgent":
                urgent_ms.append(now_ns / 1e6 - fact.at_ms)
        committed(self, done)

    Service._committed = noted  # type: ignore[method-assign]

    done = threading.Event()
    told = {"changes": 0}

    def load() -> None:
        lines: list[TimedPin] = [pins.pin(name) for name in LOAD]
        told["changes"] = toggle(lines, events, seconds, done)

    def measure() -> None:
        while not (state / "panel.sock").exists():
            time.sleep(0.02)
        time.sleep(0.5)
        button, relay = pins.pin("GPIO17"), pins.pin("GPIO27")
        loader = threading.Thread(target=load, daemon=True)
        if events:
            loader.start()
            time.sleep(1.0)
        times = []
        for _ in range(int(presses)):
            times.append(press(button, relay))
            time.sleep(1 / per_second)
        if events:
            if not presses:
                loader.join()
            done.set()
            loader.join()
        time.sleep(0.2)  # the last commit
        measured = {"times": times, "commits": commits, "urgent_ms": urgent_ms}
        whole = out.with_suffix(".part")
        whole.write_text(json.dumps({**measured, "changes": told["changes"]}))
        whole.rename(out)

    def first() -> None:
        """Press as soon as there is somebody to see it; for the time to the first press."""
        while not {"GPIO17", "GPIO27"} <= {str(p.info.name) for p in list(pins.pins.values())}:
            time.sleep(0.000_2)
        button, relay = pins.pin("GPIO17"), pins.pin("GPIO27")
        while not relay.went_on.is_set():
            button.drive_low()
            relay.went_on.wait(0.002)
            button.drive_high()
        out.write_text(json.dumps({"served_ns": relay.on_at_ns}))
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=measure if seconds else first, daemon=True).start()
    return control.main(control.Options(config, state))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
