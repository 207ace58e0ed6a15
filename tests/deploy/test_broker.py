"""The broker as it is installed: our roles get through with their certificates, others do not."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from gateway.app.doctor import broker_files
from gateway.app.doctor import examination as doctor
from gateway.sites import handover
from tests.deploy.test_broker_files import DEBIAN
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
        text = text.replace("/etc/", f"{root}/etc/")
        text = text.replace("log_dest syslog", "log_dest stderr")
        (self.folder / "conf.d").mkdir()
        (self.folder / "conf.d/portier.conf").write_text(text + "\nuser root\n")
        # Together with Debian's own file, as it is there and as an upgrade may bring it back.
        own = DEBIAN
        for place in ("/var/lib/mosquitto", "/var/log/mosquitto", "/etc/mosquitto"):
            own = own.replace(place, str(self.folder))
        (self.folder / "mosquitto.conf").write_text(own)


@dataclass
class Client:
    """Somebody with a certificate."""

    broker: Installed
    name: str
    id: str = ""
    """Its client id, its name if it is not said."""
    within_s: float = 60.0
    received: list[tuple[str, bytes]] = field(default_factory=list)
    answers: list[Any] = field(default_factory=list)

    def __enter__(self) -> Client:
        self.connected = threading.Event()
        self.ended = threading.Event()
        self.client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            self.id or self.name,
            protocol=mqtt.MQTTv5,
            reconnect_on_failure=False,
        )
        tls = self.broker.tls
        own = str(tls / self.name)
        self.client.tls_set(str(tls / "ca.pem"), f"{own}.pem", f"{own}.key")
        self.client.on_connect = lambda *_: self.connected.set()
        self.client.on_disconnect = lambda *_: self.ended.set()
        self.client.on_message = lambda _c, _u, m: self.received.append((m.topic, bytes(m.payload)))
        self.client.on_publish = lambda _c, _u, _mid, code, _p: self.answers.append(code)
        self.client.connect("localhost", self.broker.port)
        self.client.loop_start()
        assert self.connected.wait(self.within_s)
        return self

    def __exit__(self, *_error: object) -> None:
        self.client.disconnect()
        self.client.loop_stop()
        # They hold this object, and it holds them: such a circle is freed with its sockets open.
        self.client.on_connect = self.client.on_disconnect = None
        self.client.on_message = self.client.on_publish = None

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


def test_home_assistant_commands_the_gateway_that_it_is_let_and_no_other(
    broker: Installed,
) -> None:
    with Client(broker, "homeassistant") as assistant:
        for command in ("command/door/front/open", "command/call/wc/acknowledge",
                        "issuer/homeassistant/command/door/front/open"):  # fmt: skip
            assert assistant.may_write(f"portier/test/{command}")
            assert not assistant.may_write(f"portier/other/{command}")


@pytest.fixture(scope="module")
def centre(broker: Installed) -> Installed:
    """The broker with a certificate for the centre, which is enrolled at the gateway ``test``."""
    made = subprocess.run(
        [sys.executable, "-m", "gateway", "certificate", "client", "sites",
         "--folder", str(broker.tls)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr + made.stdout
    return broker


def test_the_centre_reads_all_gateways_and_commands_those_that_it_is_enrolled_at(
    centre: Installed,
) -> None:
    acl = centre.tls.parent.parent / "mosquitto/portier.acl"
    before = acl.read_text()
    commands = ("command/door/front/open", "command/call/wc/acknowledge",
                "command/alarm/front/left_open/acknowledge")  # fmt: skip
    with Client(centre, "sites") as sites, Client(centre, "gateway") as gateway:
        assert not any(sites.may_write(f"portier/test/{one}") for one in commands)
        sites.client.subscribe("portier/+/#", qos=1)
        until(lambda: not sites.may_write("portier/test/command/door/front/open"))
        for one in ("availability", "info", "health", "state/door/front", "event/call_raised/wc",
                    "response/c1"):  # fmt: skip
            topic = f"portier/test/{one}"
            gateway.client.publish(topic, "{}", qos=1)
            until(lambda topic=topic: topic in [got for got, _ in sites.received], what=topic)
    acl.write_text("\n".join((before, *handover.centre_access("test"), "")))
    centre.stop()
    centre.start()
    try:
        with Client(centre, "sites") as sites, Client(centre, "gateway") as gateway:
            for one in commands:
                assert sites.may_write(f"portier/test/{one}")
                assert not sites.may_write(f"portier/other/{one}")
            for one in ("command/door/front/mode", "issuer/sites/command/door/front/open",
                        "state/door/front", "response/c1", "recorded/recorder"):  # fmt: skip
                assert not sites.may_write(f"portier/test/{one}")
    finally:
        acl.write_text(before)
        centre.stop()
        centre.start()


def test_a_list_of_before_works_and_what_it_lacks_can_be_applied(centre: Installed) -> None:
    """Whoever has a list in which Home Assistant may command every gateway keeps it until they
    take the diff."""
    acl = centre.tls.parent.parent / "mosquitto/portier.acl"
    shipped = acl.read_text()
    old = shipped.replace("topic write portier/test/", "topic write portier/+/")
    assert old != shipped
    try:
        for text, other in ((old, True), (broker_files.narrowed(old, "test")[0], False)):
            acl.write_text(text)
            centre.stop()
            centre.start()
            with Client(centre, "homeassistant") as assistant:
                assert assistant.may_write("portier/test/command/door/front/open")
                assert assistant.may_write("portier/other/command/door/front/open") is other
        assert broker_files.narrowed(old, "test")[0] == shipped
    finally:
        acl.write_text(shipped)
        centre.stop()
        centre.start()


def test_no_other_user_takes_a_clients_session(broker: Installed) -> None:
    """With the client id of ``link``, which is no secret, another user threw it out at once."""
    with Client(broker, "gateway", "portier-test") as gateway:
        for other in ("recorder", "homeassistant"):
            with Client(broker, other, "portier-test") as stranger:
                assert stranger.may_write("portier/test/command/door/front/open") is (
                    other == "homeassistant"
                ), "it has its own rights, whatever its id"
        assert gateway.may_write("portier/test/health"), "it is still there"
        assert not gateway.ended.is_set()


def test_an_issuer_without_a_key_is_let_its_own_topic_and_nobody_else_is(
    broker: Installed,
) -> None:
    own = "portier/test/issuer/homeassistant/command/door/front/open"
    with Client(broker, "homeassistant") as assistant:
        assert assistant.may_write(own)
        assert not assistant.may_write(own.replace("homeassistant", "tablet"))
    for other in ("gateway", "recorder"):
        with Client(broker, other) as stranger:
            assert not stranger.may_write(own)


def test_the_name_of_an_issuer_without_a_key_opens_the_door_on_its_topic_only(
    broker: Installed,
) -> None:
    config = BUILDING + ROLES.format(port=broker.port).replace(
        "tls: {ca: tls/ca.pem, cert: tls/gateway", "issuers: {homeassistant: {}}, "
        "tls: {ca: tls/ca.pem, cert: tls/gateway"
    ).partition("record:")[0]  # fmt: skip
    with running(broker.tls.parent, "control", "link", config=config) as house:
        until(lambda: house.snapshot()["guarantees"]["forwarding"]["ok"], 60, "link is away")
        with Client(broker, "homeassistant") as assistant:
            assistant.client.subscribe("portier/test/response/#", qos=1)

            def ask(topic: str) -> dict[str, Any]:
                assistant.received.clear()
                issued = datetime.now(UTC).isoformat()
                raw = {"id": f"c{time.monotonic_ns()}", "issued_at": issued, "by": "homeassistant"}
                assistant.client.publish(topic, json.dumps(raw), qos=1)
                until(lambda: assistant.received, what="no answer")
                answer: dict[str, Any] = json.loads(assistant.received[0][1])
                return answer

            refused = ask("portier/test/command/door/front/open")
            assert (refused["status"], refused["reason"]) == ("refused", "wrong_topic")
            own = "portier/test/issuer/homeassistant/command/door/front/open"
            assert ask(own)["status"] == "accepted"


def test_a_second_gateway_is_seen_although_the_broker_says_nothing(broker: Installed) -> None:
    """``link`` may read ``info``: whoever has introduced itself there with this id is another."""
    config = BUILDING + ROLES.format(port=broker.port).partition("record:")[0]
    with running(broker.tls.parent, "control", "link", config=config) as house:
        until(lambda: house.snapshot()["guarantees"]["forwarding"]["ok"], 60, "link is away")
        with Client(broker, "gateway", "elsewhere") as second:
            info = json.dumps({"gateway": "test", "session": "another"})
            second.client.publish("portier/test/info", info, qos=1, retain=True)
            until(lambda: second.answers, what="not taken")
        link = house.processes[-1]
        until(lambda: any("a second gateway with this id" in line for line in link.lines))


def test_doctor_sees_the_brokers_certificate_and_leaves_link_connected(broker: Installed) -> None:
    """The broker lets each user in once, and doctor has link's certificate."""
    config = BUILDING + ROLES.format(port=broker.port)
    with running(broker.tls.parent, "control", "record", "link", config=config) as house:
        until(lambda: house.snapshot()["guarantees"]["recording"]["ok"], 60, "not recorded")
        findings = [
            one for one in doctor.examine(house.config, house.state) if "broker" in one.what
        ]
        assert [one.what for one in findings if not one.ok] == []
        assert any("broker: its certificate is valid for" in one.what for one in findings)
        assert [line for line in house.processes[-1].lines if "broker lost" in line] == []


def test_a_revoked_certificate_is_let_in_no_more(broker: Installed) -> None:
    script, tls = str(CHECKOUT / "deploy/tls.sh"), broker.tls
    with Client(broker, "homeassistant"):
        pass
    kept = (tls / "revoked.pem").read_bytes()
    revoke = ["sh", script, "--revoke", str(tls), str(tls / "homeassistant.pem")]
    assert subprocess.run(revoke, capture_output=True, check=False).returncode == 0
    broker.stop()
    broker.start()
    try:
        with pytest.raises((OSError, AssertionError)), Client(broker, "homeassistant", within_s=5):
            pass
        with Client(broker, "recorder") as recorder:
            assert recorder.may_write("portier/test/recorded/recorder")
        again = subprocess.run(revoke, capture_output=True, text=True, check=False)
        assert again.returncode == 1
        assert "is already revoked" in again.stderr
    finally:
        (tls / "revoked.pem").write_bytes(kept)
        broker.stop()
        broker.start()


def test_nobody_gets_in_without_a_certificate(broker: Installed) -> None:
    stranger = ssl.create_default_context(cafile=broker.tls / "ca.pem")
    # Under TLS 1.3 the broker's refusal comes with the first thing that is read.
    with (
        socket.create_connection(("localhost", broker.port), timeout=10) as plain,
        pytest.raises((ssl.SSLError, ConnectionError)),
        stranger.wrap_socket(plain, server_hostname="localhost") as tls,
    ):
        tls.recv(1)
