"""Points over MQTT: a real Mosquitto, ``link`` and ``control`` as processes."""

from __future__ import annotations

import contextlib
import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from gateway.panel import client as panel
from tests.process.parts import House, house, until
from tests.process.parts_mqtt import Mosquitto

pytestmark = pytest.mark.process

BUILDING = """
gateway: {{id: test, bench: yes}}
points:
  wc.window: {{driver: mqtt_contact, topic: zigbee2mqtt/window, value: contact, active: ["false"], inactive: ["true"]}}
  front.button: {{driver: mqtt_contact, topic: zigbee2mqtt/button, value: action, active: [single], release_after: 500 ms}}
  front.lever: {{driver: mqtt_contact, topic: shelly/lever}}
  front.activation: {{driver: simulated_relay}}
  server.climate: {{driver: mqtt_meter, topic: zigbee2mqtt/climate, values: {{temperature_c: temperature}}}}
doors:
  front:
    activation: front.activation
    activators:
      - {{point: front.button, kind: button, side: inside}}
      - {{point: front.lever, kind: button, side: outside}}
watch:
  window: {{point: wc.window}}
  hot: {{point: server.climate, quantity: temperature_c, above: 30}}
mqtt: {{host: 127.0.0.1, port: {port}, tls: none}}
record: {{store: none}}
"""  # noqa: E501 - a point, a line


class Sensors:
    """Devices that publish, whatever becomes of the broker."""

    def __init__(self, broker: Mosquitto) -> None:
        self._port = broker.port

    def says(self, topic: str, payload: object, *, retain: bool = False) -> None:
        one = mqtt.Client(CallbackAPIVersion.VERSION2)
        one.connect("127.0.0.1", self._port)
        one.loop_start()
        text = payload if isinstance(payload, str) else json.dumps(payload)
        one.publish(topic, text, qos=1, retain=retain).wait_for_publish(5)
        one.disconnect()
        one.loop_stop()

    @contextlib.contextmanager
    def connected(self) -> Iterator[mqtt.Client]:
        """A device that stays connected."""
        one = mqtt.Client(CallbackAPIVersion.VERSION2)
        one.connect("127.0.0.1", self._port)
        one.loop_start()
        until(one.is_connected)
        yield one
        one.disconnect()
        one.loop_stop()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    one = Mosquitto(tmp_path)
    one.start()
    yield one
    one.stop()


@pytest.fixture
def home(tmp_path: Path, broker: Mosquitto) -> Iterator[House]:
    made = house(tmp_path, BUILDING.format(port=broker.port))
    made.control()
    made.run("link")
    yield made
    made.end()


def point(home: House, name: str) -> dict[str, Any]:
    found: dict[str, Any] = home.snapshot()["points"][name]
    return found


def accepted(home: House) -> int:
    found: int = home.snapshot()["doors"]["front"]["counters"]["openings"]
    return found


def hears(home: House) -> None:
    """Wait until ``link`` has the broker."""
    until(lambda: point(home, "front.button")["active"] is False, what="the broker")


def test_a_message_is_a_level_and_without_the_broker_nothing_is_known(
    home: House, broker: Mosquitto
) -> None:
    sensors = Sensors(broker)
    assert point(home, "wc.window")["active"] is None
    hears(home)
    sensors.says("zigbee2mqtt/window", {"contact": False, "battery": 90})
    until(lambda: point(home, "wc.window")["active"] is True, what="open")
    sensors.says("zigbee2mqtt/climate", {"temperature": 21.5})
    until(
        lambda: point(home, "server.climate")["quantities"]["temperature_c"]["value"] == 21.5,
        what="21.5",
    )
    broker.kill()
    until(lambda: point(home, "wc.window")["active"] is None, what="unknown")
    gone = point(home, "wc.window")
    assert gone["reason"].startswith("no broker: ")
    assert "contact_unknown" in gone["faults"]
    value = point(home, "server.climate")["quantities"]["temperature_c"]["value"]
    assert value is None
    broker.start()
    hears(home)
    assert point(home, "wc.window")["active"] is None
    sensors.says("zigbee2mqtt/window", {"contact": True})
    until(lambda: point(home, "wc.window")["active"] is False, what="known again")


def test_a_kept_message_is_a_level_and_opens_no_door(home: House, broker: Mosquitto) -> None:
    """Commands and presses that wait in a broker open doors at reconnect elsewhere."""
    sensors = Sensors(broker)
    hears(home)
    broker.kill()
    until(lambda: point(home, "front.button")["active"] is None, what="unknown")
    broker.start()
    sensors.says("shelly/lever", "off", retain=True)
    sensors.says("zigbee2mqtt/window", {"contact": False}, retain=True)
    hears(home)
    until(lambda: point(home, "wc.window")["active"] is True, what="the kept level")
    until(lambda: point(home, "front.lever")["active"] is False, what="the kept level")
    broker.kill()
    until(lambda: point(home, "front.lever")["active"] is None, what="unknown")
    broker.start()
    sensors.says("shelly/lever", "on", retain=True)
    sensors.says("zigbee2mqtt/button", {"action": "single"}, retain=True)
    sensors.says("zigbee2mqtt/window", {"contact": True}, retain=True)
    hears(home)
    until(lambda: point(home, "front.lever")["active"] is True, what="the kept level")
    until(lambda: point(home, "wc.window")["active"] is False, what="the kept level")
    assert accepted(home) == 0
    assert home.rows("door_request") == []
    sensors.says("zigbee2mqtt/button", {"action": "single"})
    until(lambda: home.rows("door_request"), what="a press that is told now")
    (request,) = home.rows("door_request")
    assert (request.data["activator"], request.data["outcome"]) == ("front.button", "accepted")
    until(lambda: point(home, "front.button")["active"] is False, what="its end")


def test_link_and_control_may_go_and_come(home: House, broker: Mosquitto) -> None:
    sensors = Sensors(broker)
    hears(home)
    sensors.says("zigbee2mqtt/window", {"contact": False})
    until(lambda: point(home, "wc.window")["active"] is True, what="open")
    control, link = home.processes
    control.kill()
    home.control()
    until(lambda: point(home, "wc.window")["active"] is True, what="told again")
    link.kill()
    until(lambda: point(home, "wc.window")["active"] is None, what="nobody tells")
    assert point(home, "wc.window")["reason"] == "link_away"
    home.run("link")
    hears(home)


def test_only_link_may_tell_a_point_and_only_a_point_that_listens(
    home: House, broker: Mosquitto
) -> None:
    hears(home)
    message = {
        "type": "point", "point": "wc.window", "active": True, "reason": "", "fresh": True,
        "monotonic_ms": 1, "id": "x",
    }  # fmt: skip
    with pytest.raises(panel.NotTaken, match="for link only"):
        panel.ask(home.panel, message, role="web")
    assert point(home, "wc.window")["active"] is None


@pytest.mark.parametrize("hangs", ["broker", "link"])
def test_a_press_that_has_waited_opens_no_door_by_surprise(
    home: House, broker: Mosquitto, hangs: str
) -> None:
    """Whoever pressed may be gone, and somebody else may stand in the door."""
    hears(home)
    part = home.processes[1].popen if hangs == "link" else broker.process
    assert part is not None
    with Sensors(broker).connected() as sensor:
        part.send_signal(signal.SIGSTOP)
        try:
            sensor.publish("zigbee2mqtt/button", json.dumps({"action": "single"}), qos=0)
            stopped = time.monotonic()
            until(lambda: time.monotonic() - stopped > 4)
        finally:
            part.send_signal(signal.SIGCONT)
        until(lambda: home.rows("door_request"), what="the press")
        (late,) = home.rows("door_request")
        assert (late.data["outcome"], late.data["reason"]) == ("refused", "stale")
        until(lambda: point(home, "front.button")["active"] is False, what="its end")
        sensor.publish("zigbee2mqtt/button", json.dumps({"action": "single"}), qos=0)
        until(lambda: len(home.rows("door_request")) == 2, what="a press of now")
    assert home.rows("door_request")[1].data["outcome"] == "accepted"
    assert accepted(home) == 1
