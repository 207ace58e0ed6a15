"""mqtt-io as the peer for press → relay: runs in a venv of its own, not in ours.

A GPIO module made here plays a button and a relay. As with every gateway that only speaks
MQTT, somebody else must say what a press means: an automation client (``automation``) that
answers the button's topic with the relay's.

Arguments: ``gateway PORT PRESSES PER_SECOND`` prints the milliseconds of each press as JSON
(null: missed); ``automation PORT`` runs until it is ended."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import types
from collections.abc import Callable

BUTTON, RELAY = 1, 2
HOLD_S = 0.03


def automation(port: int) -> None:
    import paho.mqtt.client as mqtt
    from paho.mqtt.enums import CallbackAPIVersion

    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="automation")
    client.on_connect = lambda c, *_: c.subscribe("peer/input/button")
    client.on_message = lambda c, *_: c.publish("peer/output/relay/set", "ON")
    client.connect("127.0.0.1", port)
    client.loop_forever()


def gateway(port: int, presses: int, per_second: float) -> None:
    from mqtt_io.config import validate_and_normalise_main_config
    from mqtt_io.modules.gpio import GenericGPIO, InterruptSupport
    from mqtt_io.server import MqttIo

    on_at_ns = 0
    went_on = threading.Event()
    pressed: list[Callable[[], object]] = []

    class GPIO(GenericGPIO):  # type: ignore[misc]  # in a venv of its own
        INTERRUPT_SUPPORT = InterruptSupport.SOFTWARE_CALLBACK

        def setup_module(self) -> None:
            pass

        def setup_pin(self, *_settings: object, **_more: object) -> None:
            pass

        def setup_interrupt_callback(
            self, pin: object, edge: object, in_conf: object, callback: Callable[[], object]
        ) -> None:
            pressed.append(callback)

        def get_interrupt_value(self, *_which: object, **_more: object) -> bool:
            return True

        def get_pin(self, pin: object) -> bool:
            return False

        def set_pin(self, pin: object, value: bool) -> None:
            nonlocal on_at_ns
            if pin == RELAY and value:
                on_at_ns = time.monotonic_ns()
                went_on.set()

    def press() -> float | None:
        went_on.clear()
        edge_ns = time.monotonic_ns()
        pressed[0]()
        return (on_at_ns - edge_ns) / 1e6 if went_on.wait(1.0) else None

    def measure() -> None:
        deadline = time.monotonic() + 20
        while not pressed or press() is None:  # until both are connected
            if time.monotonic() > deadline:
                os._exit(1)
            time.sleep(0.1)
        times = []
        for _ in range(presses):
            times.append(press())
            time.sleep(HOLD_S + 1 / per_second)
        print(json.dumps(times), flush=True)
        os._exit(0)

    module = types.ModuleType("mqtt_io.modules.gpio.bench")
    vars(module)["GPIO"] = GPIO
    sys.modules[module.__name__] = module
    config = {
        "mqtt": {"host": "127.0.0.1", "port": port, "topic_prefix": "peer"},
        "gpio_modules": [{"name": "bench", "module": "bench"}],
        "digital_inputs": [
            {"name": "button", "module": "bench", "pin": BUTTON, "interrupt": "rising"}
        ],
        "digital_outputs": [{"name": "relay", "module": "bench", "pin": RELAY}],
        "logging": {"version": 1},
    }
    threading.Thread(target=measure, daemon=True).start()
    MqttIo(validate_and_normalise_main_config(config)).run()


if __name__ == "__main__":
    if sys.argv[1] == "automation":
        automation(int(sys.argv[2]))
    else:
        gateway(int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
