"""Commands over a real broker: heard once, answered, and never from a queue."""

from __future__ import annotations

import json
import queue
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from gateway.mqtt.signature import sign
from gateway.panel.messages import ClockTold, LinkTold, Refused
from tests.process.parts_mqtt import Mosquitto, Role, eventually, running
from tests.process.stand_in import StandIn, links

pytestmark = pytest.mark.process

TOPIC = "portier/csg/command/door/front/open"
OWN = "portier/csg/issuer/homeassistant/command/door/front/open"
KEY = "a key"


class Outside:
    """Somebody at the broker who is not the gateway."""

    def __init__(self, broker: Mosquitto, protocol: MQTTProtocolVersion = mqtt.MQTTv5) -> None:
        self.got: queue.Queue[mqtt.MQTTMessage] = queue.Queue()
        self.client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=protocol)
        self.client.on_message = lambda _c, _d, message: self.got.put(message)
        self.client.connect("127.0.0.1", broker.port)
        self.client.loop_start()
        eventually(self.client.is_connected)

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()

    def next(self, within_s: float = 60.0) -> tuple[str, Any]:
        message = self.got.get(timeout=within_s)
        return message.topic, json.loads(message.payload)


@pytest.fixture
def broker(tmp_path: Path) -> Mosquitto:
    return Mosquitto(tmp_path)


@pytest.fixture
def link(tmp_path: Path, broker: Mosquitto) -> Role:
    settings = {
        "gateway": "csg",
        "broker": {"host": "127.0.0.1", "port": broker.port, "keepalive_s": 3},
        "state": str(tmp_path),
        "issuers": {"tablet": KEY, "homeassistant": None},
    }
    return Role(tmp_path, "link", "link", settings)


@pytest.fixture
def control(tmp_path: Path, broker: Mosquitto, link: Role) -> Iterator[StandIn]:
    """``control`` with its link connected, and one door."""
    control = StandIn(tmp_path)
    control.doors = {"front": {"name": "Front", "state": "closed", "mode": "automatic"}}
    control.started_ms -= 60_000
    control.start()
    with running(broker, link):
        eventually(lambda: "connected" in link.log())
        yield control
    control.close()


def envelope(**fields: Any) -> dict[str, Any]:
    issued = datetime.now(UTC) - timedelta(milliseconds=50)
    return {
        "id": f"c{time.monotonic_ns()}",
        "issued_at": issued.isoformat(),
        "ttl": 5,
        "by": "homeassistant",
    } | fields


def refusals(control: StandIn) -> list[str]:
    return [one.reason for one in control.told_messages if isinstance(one, Refused)]


def test_a_command_comes_to_control_and_its_answer_to_the_asker(
    broker: Mosquitto, control: StandIn
) -> None:
    outside = Outside(broker)
    outside.client.subscribe([("portier/csg/response/+", SubscribeOptions(qos=1))])
    outside.client.subscribe([("my/answers", SubscribeOptions(qos=1))])
    raw = envelope(reason="parcel")
    outside.client.publish(OWN, json.dumps(raw), qos=1)
    assert outside.next() == (
        f"portier/csg/response/{raw['id']}",
        {"status": "accepted", "reason": "", "fact": None},
    )
    (message,) = control.commands
    assert message.name == "open_door"
    assert message.command.issuer.name == "mqtt:homeassistant"
    assert dict(message.audit) == {"says": "homeassistant"}
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # of paho
    properties.ResponseTopic = "my/answers"
    properties.CorrelationData = b"7"
    outside.client.publish(OWN, json.dumps(envelope()), qos=1, properties=properties)
    answer = outside.got.get(timeout=60)
    assert (answer.topic, json.loads(answer.payload)["status"]) == ("my/answers", "accepted")
    assert answer.properties is not None
    assert vars(answer.properties)["CorrelationData"] == b"7"
    outside.close()


def test_signed_and_unsigned_and_twice(broker: Mosquitto, control: StandIn) -> None:
    outside = Outside(broker, mqtt.MQTTv311)  # the older protocol is understood
    outside.client.subscribe("portier/csg/response/+", qos=1)
    raw = envelope(issuer="tablet", by="anna")
    outside.client.publish(TOPIC, json.dumps(raw), qos=0)
    assert outside.next()[1]["reason"] == "unsigned"
    signed = raw | {"sig": sign(KEY.encode(), TOPIC, raw)}
    outside.client.publish(TOPIC, json.dumps(signed), qos=1)
    assert outside.next()[1]["status"] == "accepted"
    outside.client.publish(TOPIC, json.dumps(signed), qos=1)
    assert outside.next()[1]["reason"] == "duplicate"
    eventually(lambda: refusals(control) == ["unsigned", "duplicate"])
    outside.close()


def test_the_name_of_an_issuer_without_a_key_is_heard_on_its_own_topic_only(
    broker: Mosquitto, control: StandIn, link: Role
) -> None:
    """Whoever could write any command could say ``homeassistant`` in it; the broker's access list
    knows topics, and no texts."""
    outside = Outside(broker)
    outside.client.subscribe("portier/csg/response/+", qos=1)
    for topic, fields in (
        (TOPIC, {}),
        (TOPIC, {"issuer": "homeassistant", "by": "anna"}),
        (OWN.replace("homeassistant", "tablet"), {"issuer": "homeassistant"}),
    ):
        outside.client.publish(topic, json.dumps(envelope(**fields)), qos=1)
        assert outside.next()[1]["reason"] == "wrong_topic"
    eventually(lambda: refusals(control) == ["wrong_topic"] * 3)
    told = [one for one in control.told_messages if isinstance(one, Refused)]
    assert {one.actor for one in told} == {"mqtt:"}, "nobody has done anything in that name"
    assert TOPIC in link.log()
    outside.client.publish(OWN, json.dumps(envelope(by="anna")), qos=1)
    assert outside.next()[1]["status"] == "accepted"
    (message,) = control.commands
    assert message.command.issuer.name == "mqtt:homeassistant"
    assert dict(message.audit) == {"says": "anna"}
    outside.close()


def test_nothing_that_a_broker_kept_moves_a_relay(
    broker: Mosquitto, control: StandIn, link: Role
) -> None:
    """mqtt-io#283, zigbee2mqtt#8126: neither a retained command nor one sent while we were away."""
    outside = Outside(broker)
    link.stop()
    outside.client.publish(OWN, json.dumps(envelope(ttl=30)), qos=1, retain=True)
    outside.client.publish(OWN, json.dumps(envelope(ttl=30)), qos=1).wait_for_publish(60)
    control.told_messages.clear()
    link.start()
    told = {ClockTold, LinkTold}
    eventually(lambda: told <= {type(one) for one in control.told_messages})
    eventually(lambda: (True, "") in links(control))
    outside.client.publish(OWN, json.dumps(envelope(id="fresh")), qos=1)
    eventually(lambda: control.commands)
    assert [one.command.id for one in control.commands] == ["fresh"]
    assert refusals(control) == []
    outside.close()


def test_a_command_that_the_broker_shall_keep_is_refused_at_once(
    broker: Mosquitto, control: StandIn
) -> None:
    """Who sends such ones learns it the first time, not after the next reconnect."""
    outside = Outside(broker)
    outside.client.publish(OWN, json.dumps(envelope()), qos=1, retain=True)
    eventually(lambda: refusals(control) == ["retained"])
    assert control.commands == []
    outside.close()


def test_a_flood_of_commands_holds_up_no_fact(broker: Mosquitto, control: StandIn) -> None:
    outside = Outside(broker)
    outside.client.subscribe([("portier/csg/event/door_opened/#", SubscribeOptions(qos=1))])
    for number in range(3_000):
        outside.client.publish(TOPIC, b"x" * 4_000 if number % 2 else b"{}", qos=0)
    control.opening(1)
    assert outside.next()[0] == "portier/csg/event/door_opened/front"
    assert len(refusals(control)) < 200
    outside.close()


def test_states_are_there_after_every_reconnect(broker: Mosquitto, control: StandIn) -> None:
    """mqtt-io#333: subscriptions and states lost after a reconnect."""
    for _ in range(2):
        outside = Outside(broker)
        outside.client.subscribe([("portier/csg/#", SubscribeOptions(qos=1))])
        seen: dict[str, Any] = {}

        def collect(seen: dict[str, Any] = seen, outside: Outside = outside) -> bool:
            while not outside.got.empty():
                message = outside.got.get()
                seen[message.topic.removeprefix("portier/csg/")] = message.payload
            return {"availability", "info", "state/door/front", "state/alarms"} <= set(seen)

        eventually(collect)
        assert seen["availability"] == b"online"
        assert json.loads(seen["state/door/front"])["state"] == "closed"
        outside.client.subscribe([("portier/csg/response/+", SubscribeOptions(qos=1))])
        before = len(control.commands)
        outside.client.publish(OWN, json.dumps(envelope()), qos=1)
        eventually(lambda before=before: len(control.commands) == before + 1)  # type: ignore[misc]  # bound now
        outside.close()
        broker.kill()
        broker.start()


def test_the_will_says_offline_when_the_link_is_killed(tmp_path: Path, broker: Mosquitto) -> None:
    control = StandIn(tmp_path)
    control.start()
    at = {"host": "127.0.0.1", "port": broker.port}
    link = Role(tmp_path, "link", "link", {"gateway": "csg", "broker": at, "state": str(tmp_path)})
    with running(broker, link):
        outside = Outside(broker)
        outside.client.subscribe([("portier/csg/availability", SubscribeOptions(qos=1))])
        assert outside.got.get(timeout=60).payload == b"online"
        link.kill()
        assert outside.got.get(timeout=60).payload == b"offline"
        outside.close()
    control.close()
