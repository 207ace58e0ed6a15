"""The real ``control`` with a bathroom on mock pins, whose cord is pulled again and again.

Each call is ended in the room before the next. Arguments: CONFIG STATE OUT PULLS EVENTS_PER_SECOND;
it begins when OUT with the suffix .go is there.
What is measured goes to a JSON file: of each pull its edge and the instant the lamp went on,
both in nanoseconds of CLOCK_MONOTONIC (the second is null where the lamp stayed dark)."""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path

CORD, CANCEL, LAMP = "GPIO17", "GPIO2", "GPIO27"
BETWEEN_S = 2.5
"""Long enough for a message to have gone out."""


def main(arguments: list[str]) -> int:
    config, state, out = (Path(text) for text in arguments[:3])
    pulls, events = int(arguments[3]), float(arguments[4])

    from drivers import gpiod_pins
    from gateway.app import control
    from tests.benchmarks.gpio_control import LOAD
    from tests.benchmarks.mock_pins import as_in_its_unit, factory, never_chattering, toggle

    as_in_its_unit()
    pins = factory()
    gpiod_pins.factory = lambda chip: pins
    never_chattering()

    def measure() -> None:
        while not out.with_suffix(".go").exists():
            time.sleep(0.02)
        cord, cancel, lamp = pins.pin(CORD), pins.pin(CANCEL), pins.pin(LAMP)
        done, found = threading.Event(), []
        lines = [pins.pin(name) for name in LOAD if name != CANCEL]
        load = threading.Thread(target=toggle, args=(lines, events, 600.0, done), daemon=True)
        load.start()
        time.sleep(1.0)
        for _ in range(pulls):
            lamp.went_on.clear()
            edge_ns = time.monotonic_ns()
            cord.drive_low()
            lit = lamp.went_on.wait(2.0)
            found.append([edge_ns, lamp.on_at_ns if lit else None])
            time.sleep(0.2)
            cord.drive_high()
            time.sleep(BETWEEN_S)
            cancel.drive_low()
            time.sleep(0.2)
            cancel.drive_high()
            time.sleep(0.2)
        done.set()
        load.join()
        part = out.with_suffix(".part")
        part.write_text(json.dumps(found))
        part.rename(out)

    threading.Thread(target=measure, daemon=True).start()
    return control.main(control.Options(config, state))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
