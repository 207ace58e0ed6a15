"""The floor: a gpiozero button whose callback switches a relay, and nothing else.

Prints the milliseconds of each press as JSON. Arguments: PRESSES PER_SECOND."""

from __future__ import annotations

import json
import sys
import time

from gpiozero import DigitalInputDevice, DigitalOutputDevice

from tests.benchmarks.mock_pins import as_in_its_unit, factory, press


def main(presses: int, per_second: float) -> None:
    as_in_its_unit()
    pins = factory()
    button = DigitalInputDevice("GPIO17", pull_up=True, pin_factory=pins)
    relay = DigitalOutputDevice("GPIO27", pin_factory=pins)
    button.when_activated = relay.on
    button.when_deactivated = relay.off
    times = []
    for _ in range(presses):
        times.append(press(button.pin, relay.pin))
        time.sleep(1 / per_second)
    json.dump(times, sys.stdout)


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
