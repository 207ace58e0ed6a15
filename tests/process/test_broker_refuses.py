"""A real broker that does not take everything: access lists, limits, and no retained messages."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.subscribeoptions import SubscribeOptions

from tests.process.parts_mqtt import Mosquitto, Role, eventually, running
from tests.process.stand_in import StandIn
from tests.process.test_delivery_commands import Outside

pytestmark = pytest.mark.process

ALL = "topic readwrite #\n"
ROOT = "portier/csg/"


class Listener:
    """Somebody at the broker who notes the newest text of each topic below the gateway's."""

    def __init__(self, broker: Mosquitto, *filters: str) -> None:
        self.outside = Outside(broker)
        self.seen: dict[str, bytes] = {}
        self.events: list[str] = []
        self.outside.client.subscribe(
            [(one, SubscribeOptions(qos=1)) for one in filters or (ROOT + "#", "homeassistant/#")]
        )

    def look(self) -> dict[str, bytes]:
        while not self.outside.got.empty():
            message = self.outside.got.get()
            name = message.topic.removeprefix(ROOT)
            self.seen[name] = bytes(message.payload)
            if name.startswith("event/"):
                self.events.append(json.loads(message.payload)["id"])
        return self.seen

    def json(self, topic: str) -> Any:
        text = self.look().get(topic)
        return json.loads(text) if text else {}

    def aside(self) -> list[list[str]]:
        """What the gateway names in its health, which it tells a new recorder at once."""
        text = b'{"journal": "", "lanes": {}}'
        self.outside.client.publish(ROOT + "recorded/new", text, qos=1)
        found: list[list[str]] = self.json("health").get("aside", [])
        return found


class Place:
    def __init__(self, folder: Path, control: StandIn) -> None:
        self.folder, self.control = folder, control
        control.doors = {"front": {"name": "Front", "state": "closed", "mode": "automatic"}}
        self.acl = folder / "acl"

    def broker(self, extra: str = "", acl: str = "") -> Mosquitto:
        if acl:
            self.acl.write_text(acl)
            self.acl.chmod(0o644)
            extra += f"user root\nacl_file {self.acl}\n"  # a temporary folder is ours alone
        return Mosquitto(self.folder, extra=extra)

    def link(self, broker: Mosquitto) -> Role:
        settings = {
            "gateway": "csg",
            "broker": {"host": "127.0.0.1", "port": broker.port, "keepalive_s": 3},
            "state": str(self.folder),
            "language": "de",
        }
        return Role(self.folder, "link-role", "link", settings)

    def saved(self) -> dict[str, Any]:
        file = self.folder / "link" / "link.json"
        return json.loads(file.read_text()) if file.exists() else {}


@pytest.fixture
def place(tmp_path: Path, control: StandIn) -> Iterator[Place]:
    return Place(tmp_path, control)  # type: ignore[return-value]  # of a fixture


def sent(control: StandIn) -> dict[str, int]:
    return {str(lane): seq for lane, seq in control.reader.cursors().sent.items()}


@pytest.mark.parametrize(
    ("extra", "endings"),
    [
        pytest.param("max_queued_messages 1000\n", 0, id="refuses"),
        # Mosquitto 2.0.11 with this setting, whatever else it is good for
        pytest.param("max_queued_messages 0\n", 3, id="refuses and ends the connection"),
    ],
)
def test_an_access_list_without_home_assistant_costs_nothing_but_home_assistant(
    place: Place, control: StandIn, extra: str, endings: int
) -> None:
    """Each connection lived for 55 ms, the next came up to a minute later, and nothing said why."""
    broker = place.broker(extra, acl="topic readwrite portier/#\n")
    link = place.link(broker)
    with running(broker, link):
        listener = Listener(broker)
        for number in range(20):
            control.opening(number)
        eventually(lambda: control.settled(60))
        heads = control.reader.heads()
        eventually(lambda: sent(control) == heads, 60, link.log)
        eventually(lambda: listener.look().get("availability") == b"online")
        wanted = ["homeassistant/device/csg/door-front/config", "not authorized"]
        eventually(lambda: wanted in listener.aside(), 60, link.log)
        before = link.log().count("broker lost")
        assert before <= endings
        control.opening(21)
        eventually(lambda: listener.look() and len(set(listener.events)) == 63, 60, link.log)
        assert link.log().count("broker lost") == before
        listener.outside.close()


@pytest.mark.parametrize("extra", ["max_queued_messages 1000\n", "max_queued_messages 0\n"])
def test_a_kind_of_fact_that_the_broker_refuses_waits_and_comes_when_it_is_allowed(
    place: Place, control: StandIn, extra: str
) -> None:
    forbidden = "topic deny portier/csg/event/reading/#\n" + ALL
    broker = place.broker(extra, acl=forbidden)
    link = place.link(broker)
    with running(broker, link):
        listener = Listener(broker)
        for number in range(20):
            control.opening(number)
        eventually(lambda: control.settled(60))
        heads = control.reader.heads()
        eventually(lambda: sent(control) == heads, 60, link.log)
        eventually(lambda: len([one for one in listener.look() if one]) and listener.events)
        assert not any("/routine/" in one for one in listener.events)
        assert len(place.saved()["aside"]["routine"]) == 20
        link.kill()
        place.acl.write_text(ALL)
        broker.signal(signal.SIGHUP)
        link.start()
        eventually(
            lambda: (
                len({one for one in listener.events if listener.look() and "/routine/" in one})
                == 20
            ),
            60,
            link.log,
        )
        eventually(lambda: place.saved()["aside"]["routine"] == [])
        listener.outside.close()


def test_a_broker_of_a_thousand_bytes_gets_what_fits(place: Place, control: StandIn) -> None:
    broker = place.broker("max_packet_size 1000\n")
    link = place.link(broker)
    with running(broker, link):
        listener = Listener(broker)
        for number in range(20):
            control.opening(number)
        eventually(lambda: control.settled(60))
        heads = control.reader.heads()
        eventually(lambda: sent(control) == heads, 60, link.log)
        eventually(lambda: {"availability", "state/door/front", "info"} <= set(listener.look()))
        assert listener.seen["availability"] == b"online"
        assert listener.json("info")["gateway"] == "csg"
        eventually(lambda: len(set(listener.events)) == 60 or (listener.look() and False), 60)
        assert "broker lost" not in link.log()
        wanted = ["homeassistant/device/csg/door-front/config", "packet too large"]
        eventually(lambda: wanted in listener.aside(), 60, link.log)
        assert {"alarms", "trouble"} == set(
            json.loads(listener.seen["homeassistant/device/csg/config"])["cmps"]
        )
        listener.outside.close()


def test_a_broker_without_retained_messages_has_the_present_ones(
    place: Place, control: StandIn
) -> None:
    broker = place.broker("retain_available false\n")
    link = place.link(broker)
    with running(broker):
        listener = Listener(broker)
        link.start()
        try:
            control.opening(1)
            eventually(lambda: control.settled(3))
            heads = control.reader.heads()
            eventually(lambda: sent(control) == heads, 60, link.log)
            eventually(lambda: listener.look().get("availability") == b"online")
            eventually(lambda: "state/door/front" in listener.look())
            assert "retain not supported" in link.log()
            # The will comes all the same.
            link.kill()
            eventually(lambda: listener.look().get("availability") == b"offline")
        finally:
            link.stop()
            listener.outside.close()


def test_a_broker_without_qos_1_has_the_states_and_the_facts_wait(
    place: Place, control: StandIn
) -> None:
    """What is not acknowledged is not known to have arrived: no cursor passes it."""
    broker = place.broker("max_qos 0\n")
    link = place.link(broker)
    with running(broker):
        listener = Listener(broker)
        link.start()
        try:
            control.opening(1)
            eventually(lambda: control.settled(3))
            eventually(lambda: listener.look().get("availability") == b"online", 60, link.log)
            wanted = ["portier/csg/event/#", "qos not supported"]
            eventually(lambda: wanted in listener.aside(), 60, link.log)
            assert sum(sent(control).values()) == 0
        finally:
            link.stop()
            listener.outside.close()


def test_what_somebody_else_wrote_on_our_topics_is_written_over(
    place: Place, control: StandIn
) -> None:
    """A retained ``offline`` of somebody else stood for ever."""
    broker = place.broker()
    link = place.link(broker)
    with running(broker, link):
        listener = Listener(broker)
        eventually(lambda: listener.look().get("availability") == b"online")
        eventually(lambda: listener.json("state/door/front").get("state") == "closed")
        control.opening(1)
        for topic, payload in (
            ("availability", b"offline"),
            ("state/door/front", b'{"state": "open"}'),
            ("state/door/gone", b'{"state": "open"}'),
        ):
            listener.outside.client.publish(ROOT + topic, payload, qos=1, retain=True)
        eventually(lambda: "somebody else wrote" in link.log())
        late = Outside(broker)
        late.close()
        for topic, wanted in (("availability", b"online"), ("state/door/gone", b"")):
            eventually(lambda t=topic, w=wanted: listener.look().get(t) == w)  # type: ignore[misc]  # bound now
        eventually(lambda: listener.json("state/door/front").get("state") == "closed")
        assert "a second gateway" not in link.log()
        listener.outside.close()
