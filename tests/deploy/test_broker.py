"""The broker as it is installed: our roles get through with their certificates, others do not."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from tests.deploy.test_install import CHECKOUT, install
from tests.process.parts import BUILDING, running, until
from tests.process.parts_mqtt import Mosquitto

pytestmark = pytest.mark.process

ROLES = """
mqtt: {{host: localhost, port: {port}, tls: {{ca: tls/ca.pem, cert: tls/gateway.pem, key: tls/gateway.key}}}}
record: {{store: sqlite, tls: {{ca: tls/ca.pem, cert: tls/recorder.pem, key: tls/recorder.key}}}}
"""  # noqa: E501  # one section a line


class Installed(Mosquitto):
    """Mosquitto with the files of the installation; only their places and the port differ."""

    def __init__(self, folder: Path, root: Path) -> None:
        super().__init__(folder)
        self.tls = root / "etc/portier/tls"
        text = (root / "etc/mosquitto/conf.d/portier.conf").read_text()
        assert "listener 8883\n" in text
        text = text.replace("listener 8883", f"listener {self.port} 127.0.0.1")
        text = text.replace("/etc/", f"{root}/etc/").replace("/var/lib/mosquitto/", f"{folder}/")
        text = text.replace("log_dest syslog", "log_dest stderr")
        (self.folder / "mosquitto.conf").write_text(text + "\nuser root\n")


@dataclass
class Client:
    """Somebody with a certificate."""

    broker: Installed
    name: str
    received: list[tuple[str, bytes]] = field(default_factory=list)
    answers: list[Any] = field(default_factory=list)

    def __enter__(self) -> Client:
        self.connected = threading.Event()
        self.client = mqtt.Client(CallbackAPIVersion.VERSION2, self.name, protocol=mqtt.MQTTv5)
        tls = self.broker.tls
        self.client.tls_set(tls / "ca.pem", tls / f"{self.name}.pem", tls / f"{self.name}.key")
        self.client.on_connect = lambda *_: self.connected.set()
        self.client.on_message = lambda _c, _u, m: self.received.append((m.topic, m.payload))
        self.client.on_publish = lambda _c, _u, _mid, code, _p: self.answers.append(code)
        self.client.connect("localhost", self.broker.port)
        self.client.loop_start()
        assert self.connected.wait(60)
        return self

    def __exit__(self, *_error: object) -> None:
        self.client.disconnect()
        self.client.loop_stop()

    def may_write(self, topic: str) -> bool:
        """What the broker says to it; that nobody listens is no refusal."""
        self.answers.clear()
        self.client.publish(topic, "{}", qos=1)
        until(lambda: self.answers, what="no answer")
        return str(self.answers[0]) != "Not authorized"


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    root = tmp_path_factory.mktemp("root")
    office = (CHECKOUT / "config/office.yaml").read_text()
    assert "csg-office" in office
    (root / "etc/portier").mkdir(parents=True)
    (root / "etc/portier/portier.yaml").write_text(BUILDING)
    done = install(root)
    assert done.returncode == 0, done.stderr
    part = Installed(tmp_path_factory.mktemp("broker"), root)
    part.start()
    yield part
    part.stop()


def test_an_event_is_recorded_through_the_installed_broker(broker: Installed) -> None:
    config = BUILDING + ROLES.format(port=broker.port)
    with running(broker.tls.parent, "control", "record", "link", config=config) as house:
        house.bench("press", point="front.button")
        until(
            lambda: house.snapshot()["guarantees"]["recording"]["ok"],
            60,
            f"not recorded: {[process.lines[-5:] for process in house.processes]}",
        )
        assert (house.state / "record/record.sqlite").exists()


def test_a_gateway_cannot_write_commands_or_for_another(broker: Installed) -> None:
    with Client(broker, "gateway") as gateway:
        assert gateway.may_write("portier/test/event/door_opened/front")
        assert gateway.may_write("homeassistant/device/test/config")
        assert not gateway.may_write("homeassistant/device/other/config")
        assert not gateway.may_write("portier/test/command/door/front/open")
        assert not gateway.may_write("portier/other/event/door_opened/front")


def test_a_recorder_writes_what_it_has_and_no_command(broker: Installed) -> None:
    with Client(broker, "recorder") as recorder:
        assert recorder.may_write("portier/test/recorded/recorder")
        assert not recorder.may_write("portier/test/command/door/front/open")


def test_home_assistant_may_ask_for_doors_and_nothing_else(broker: Installed) -> None:
    with Client(broker, "homeassistant") as assistant:
        assert assistant.may_write("portier/test/command/door/front/open")
        assert assistant.may_write("portier/test/command/call/wc/acknowledge")
        assert not assistant.may_write("homeassistant/device/test/config")
        assert not assistant.may_write("portier/test/recorded/recorder")
        assert not assistant.may_write("portier/test/state/door/front")


def test_nobody_gets_in_without_a_certificate(broker: Installed) -> None:
    stranger = ssl.create_default_context(cafile=broker.tls / "ca.pem")
    # Under TLS 1.3 the broker's refusal comes with the first thing that is read.
    with (
        socket.create_connection(("localhost", broker.port), timeout=10) as plain,
        pytest.raises((ssl.SSLError, ConnectionError)),
        stranger.wrap_socket(plain, server_hostname="localhost") as tls,
    ):
        tls.recv(1)
