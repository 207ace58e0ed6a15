"""The lines of the access list that ``portier site enrol`` prints, before a real Mosquitto."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from gateway.sites import handover
from tests.process.parts_mqtt import ROOT, Mosquitto, eventually

pytestmark = pytest.mark.process

SHIPPED = ROOT / "deploy" / "mosquitto" / "portier.acl"
SUCCESS, NOBODY_LISTENS, NOT_ALLOWED = 0, 16, 135
"""What a broker answers to a message (MQTT 5)."""


class Client:
    """Somebody at the broker, under this name."""

    def __init__(self, broker: Mosquitto, name: str) -> None:
        self.got: queue.Queue[str] = queue.Queue()
        self.answers: queue.Queue[int] = queue.Queue()
        self.client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        self.client.username_pw_set(name)
        self.client.on_message = lambda _c, _d, message: self.got.put(message.topic)
        self.client.on_publish = self._published
        self.client.on_subscribe = lambda *_: self.answers.put(SUCCESS)
        self.client.connect("127.0.0.1", broker.port)
        self.client.loop_start()
        eventually(self.client.is_connected)

    def _published(self, _c: Any, _d: Any, _mid: int, reason: Any, _p: Any) -> None:
        self.answers.put(reason.value)

    def listen(self, topic: str) -> None:
        self.client.subscribe(topic, qos=1)
        self.answers.get(timeout=60)

    def may(self, topic: str) -> bool:
        """Whether the broker takes a message of this client there."""
        self.client.publish(topic, b"{}", qos=1)
        answer = self.answers.get(timeout=60)
        assert answer in (SUCCESS, NOBODY_LISTENS, NOT_ALLOWED)
        return answer != NOT_ALLOWED

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def clients(tmp_path: Path) -> Iterator[dict[str, Client]]:
    """The centre, which has enrolled bad-1 alone, and two gateways."""
    acl = tmp_path / "portier.acl"
    lines = [SHIPPED.read_text(encoding="utf-8"), *handover.centre_access("bad-1")]
    acl.write_text("\n".join((*lines, *handover.gateway_access(), "")), encoding="utf-8")
    acl.chmod(0o600)
    broker = Mosquitto(tmp_path, extra=f"acl_file {acl}\nuser root\n")
    broker.start()
    found = {name: Client(broker, name) for name in (handover.ISSUER, "bad-1", "bad-2")}
    yield found
    for client in found.values():
        client.close()
    broker.stop()


def test_the_centre_asks_the_gateways_it_has_enrolled_for_doors_calls_and_alarms_alone(
    clients: dict[str, Client],
) -> None:
    centre = clients[handover.ISSUER]
    asked = (
        "command/door/front/open",
        "command/call/wc/acknowledge",
        "command/alarm/front/leaf/contact_stuck/acknowledge",
    )
    assert [centre.may(f"portier/bad-1/{topic}") for topic in asked] == [True] * 3
    assert [centre.may(f"portier/bad-2/{topic}") for topic in asked] == [False] * 3
    for topic in ("command/door/front/mode", "state/door/front", "response/x", "availability"):
        assert not centre.may(f"portier/bad-1/{topic}"), topic


def test_commands_and_answers_come_through_and_no_gateway_speaks_for_another(
    clients: dict[str, Client],
) -> None:
    centre, first, second = (clients[name] for name in (handover.ISSUER, "bad-1", "bad-2"))
    centre.listen("portier/+/response/#")
    for gateway in (first, second):
        gateway.listen("portier/+/command/#")
    assert centre.may("portier/bad-1/command/door/front/open")
    assert first.got.get(timeout=60) == "portier/bad-1/command/door/front/open"
    assert not second.may("portier/bad-1/response/x")
    assert first.may("portier/bad-1/response/x")
    assert centre.got.get(timeout=60) == "portier/bad-1/response/x"
    assert second.got.empty(), "the command came to its gateway alone"
    assert not first.may("portier/bad-1/command/door/front/open"), "nor to itself"
