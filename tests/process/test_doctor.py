"""``portier doctor`` before real brokers and stores, each wrong in one way."""

from __future__ import annotations

import contextlib
import http.server
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from gateway.app.doctor.examination import examine
from gateway.app.findings import Finding
from tests.process.parts import ROOT, house, until
from tests.process.parts_mqtt import Influx1, Mosquitto, Victoria, free_port, running
from tests.process.parts_mqtt import http as ask

pytestmark = pytest.mark.process

POINTS = """
gateway: {id: test, name: Test building, bench: true}
points:
  front.button: {driver: simulated_contact}
  front.activation: {driver: simulated_relay}
doors:
  front:
    activation: {point: front.activation, pulse: 500 ms}
    activators: [{point: front.button, kind: button, side: inside}]
"""


def broker_line(port: int, more: str = "tls: none", host: str = "127.0.0.1") -> str:
    return f"mqtt: {{host: {host}, port: {port}, {more}}}\n"


def found(folder: Path, *sections: str, about: str) -> list[Finding]:
    """What the doctor finds about one part of this building."""
    place = house(folder, POINTS + "".join(sections))
    place.state.mkdir(exist_ok=True)
    return [one for one in examine(place.config, place.state) if one.what.startswith(about)]


def wrong(findings: list[Finding]) -> list[str]:
    """What is not in order, each of which has a remedy."""
    assert all(one.remedy for one in findings if not one.ok)
    return [one.what for one in findings if one.value == "no"]


def one(findings: list[Finding], text: str) -> Finding:
    (match,) = [it for it in findings if it.what.startswith(text)] or [
        it for it in findings if text in it.what
    ]
    return match


@pytest.fixture
def accounts(tmp_path: Path) -> str:
    """A broker's settings with one user, ``gw``, whose password is ``right``."""
    file = tmp_path / "passwords"
    subprocess.run(
        ["mosquitto_passwd", "-b", "-c", str(file), "gw", "right"], check=True, capture_output=True
    )
    file.chmod(0o644)
    return f"allow_anonymous false\npassword_file {file}\nuser root\n"


def password(folder: Path, text: str) -> str:
    (folder / "secrets").mkdir(exist_ok=True)
    (folder / "secrets" / "mqtt").write_text(text + "\n", encoding="utf-8")
    return "tls: none, user: gw, password: !secret mqtt"


# --- the broker ---------------------------------------------------------------------------


def test_a_broker_in_order_is_ok_and_says_what_was_observed(tmp_path: Path, accounts: str) -> None:
    broker = Mosquitto(tmp_path, extra=accounts)
    with running(broker):
        more = password(tmp_path, "right")
        findings = found(tmp_path, broker_line(broker.port, more), about="broker")
    assert [it.value for it in findings] == ["yes"] * len(findings)
    assert "accepted a connection as gw just now" in findings[0].evidence
    assert "acknowledged just now" in one(findings, "takes messages on").evidence


def test_a_refused_password_names_its_file(tmp_path: Path, accounts: str) -> None:
    broker = Mosquitto(tmp_path, extra=accounts)
    with running(broker):
        more = password(tmp_path, "wrong")
        (refused,) = found(tmp_path, broker_line(broker.port, more), about="broker")
    assert refused.value == "no"
    assert "refuses" in refused.what
    assert "user gw" in refused.what
    assert str(tmp_path / "secrets" / "mqtt") in refused.remedy


def test_a_missing_user_is_asked_for(tmp_path: Path, accounts: str) -> None:
    broker = Mosquitto(tmp_path, extra=accounts)
    with running(broker):
        (refused,) = found(tmp_path, broker_line(broker.port), about="broker")
    assert refused.value == "no"
    assert "user: NAME" in refused.remedy


@pytest.mark.parametrize(
    ("extra", "text", "remedy"),
    [
        ("retain_available false\n", "no retained messages", "retain_available true"),
        ("max_qos 0\n", "QoS 0 only", "max_qos"),
        ("max_packet_size 1000\n", "1000 bytes at most", "max_packet_size"),
    ],
)
def test_what_a_broker_cannot_do_is_named(
    tmp_path: Path, extra: str, text: str, remedy: str
) -> None:
    broker = Mosquitto(tmp_path, extra=extra)
    with running(broker):
        findings = found(tmp_path, broker_line(broker.port), about="broker")
    (what,) = wrong(findings)
    assert text in what
    assert remedy in one(findings, text).remedy


def test_a_topic_that_may_not_be_written_is_named(tmp_path: Path) -> None:
    acl = tmp_path / "acl"
    acl.write_text("topic readwrite portier/test/response/#\ntopic read #\n", encoding="utf-8")
    acl.chmod(0o644)
    broker = Mosquitto(tmp_path, extra=f"acl_file {acl}\nuser root\n")
    with running(broker):
        findings = found(tmp_path, broker_line(broker.port), about="broker")
    (what,) = wrong(findings)
    assert what == "broker: refuses messages on portier/test/state/# (not authorized)"
    assert "`topic write portier/test/state/#`" in one(findings, "refuses").remedy


def test_the_trial_leaves_nothing_behind(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path)
    with running(broker):
        found(tmp_path, broker_line(broker.port), about="broker")
        heard: list[str] = []
        asked, over = threading.Event(), threading.Event()
        client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        client.on_subscribe = lambda *_: asked.set()

        def hears(_client: object, _data: object, message: mqtt.MQTTMessage) -> None:
            heard.append(message.topic)
            over.set()

        client.on_message = hears
        client.connect("127.0.0.1", broker.port)
        client.loop_start()
        client.subscribe("#")
        assert asked.wait(60)
        client.publish("the/last", b"1")  # comes after whatever is retained
        assert over.wait(60)
        client.disconnect()
        client.loop_stop()
    assert heard == ["the/last"]


def test_the_client_id_of_link_is_never_used(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path, extra="log_dest stderr\nlog_type all\nconnection_messages true\n")
    with running(broker):
        found(tmp_path, broker_line(broker.port), about="broker")
    assert "as portier-test-doctor-" in broker.log()
    assert "as portier-test " not in broker.log()


# --- TLS ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates of an installation whose broker is called broker.test."""
    folder = tmp_path_factory.mktemp("tls")
    script = str(ROOT / "deploy/tls.sh")
    subprocess.run(
        ["sh", script, str(folder), "test", "broker.test", "--host", "elsewhere.test"],
        check=True,
        timeout=60,
    )
    return folder


def signed(tls: Path, folder: Path, name: str, *, days: int, names: str) -> None:
    """A certificate of the same authority for ``days`` days from now on, or until then."""
    folder.mkdir(exist_ok=True)
    extensions = folder / "extensions"
    extensions.write_text(f"subjectAltName={names}\n", encoding="utf-8")
    request = subprocess.run(
        ["openssl", "req", "-new", "-key", tls / "broker.key", "-subj", f"/CN={name}"],
        check=True,
        capture_output=True,
    ).stdout
    authority: list[str | Path] = [
        "-CA",
        tls / "ca.pem",
        "-CAkey",
        tls / "ca.key",
        "-set_serial",
        "7",
    ]
    wanted: list[str | Path] = [
        "-days",
        str(days),
        "-extfile",
        extensions,
        "-out",
        folder / f"{name}.pem",
    ]
    subprocess.run(
        ["openssl", "x509", "-req", "-sha256", *authority, *wanted],
        input=request,
        check=True,
        capture_output=True,
    )


def secure(folder: Path, tls: Path, cert: Path, *, clients: bool = True) -> Mosquitto:
    return Mosquitto(
        folder,
        extra=f"cafile {tls}/clients.pem\ncertfile {cert}\nkeyfile {tls}/broker.key\nuser root\n"
        + ("require_certificate true\nuse_identity_as_username true\n" if clients else ""),
    )


def files(tls: Path, *names: str) -> str:
    """The section ``tls:`` with these of ca, cert, key."""
    of = {"ca": "ca.pem", "cert": "gateway.pem", "key": "gateway.key"}
    return "tls: {" + ", ".join(f"{name}: {tls / of[name]}" for name in names) + "}"


def test_a_certificate_that_serves_is_ok(tmp_path: Path, tls: Path) -> None:
    broker = secure(tmp_path, tls, tls / "broker.pem")
    with running(broker):
        section = broker_line(broker.port, files(tls, "ca", "cert", "key"))
        findings = found(tmp_path, section, about="")
    assert wrong([it for it in findings if it.what.startswith(("broker", "cert"))]) == []
    assert one(findings, "certificate of mqtt").value == "yes"
    assert "until" in one(findings, "broker: its certificate").evidence


def test_a_broker_that_wants_our_certificate(tmp_path: Path, tls: Path) -> None:
    broker = secure(tmp_path, tls, tls / "broker.pem")
    with running(broker):
        findings = found(tmp_path, broker_line(broker.port, files(tls, "ca")), about="broker")
    (what,) = wrong(findings)
    assert "cert: " in one(findings, what).remedy


def test_an_unknown_authority_and_a_wrong_name_and_no_tls(tmp_path: Path, tls: Path) -> None:
    other = tmp_path / "other"
    script = str(ROOT / "deploy/tls.sh")
    subprocess.run(["sh", script, str(other), "test", "broker.test"], check=True, timeout=60)
    signed(tls, tmp_path / "named", "elsewhere", days=30, names="DNS:elsewhere.test")
    with running(
        trusted := secure(tmp_path / "a", tls, tls / "broker.pem", clients=False),
        renamed := secure(tmp_path / "b", tls, tmp_path / "named/elsewhere.pem", clients=False),
        plain := Mosquitto(tmp_path / "c"),
    ):
        (untrusted,) = found(
            tmp_path, broker_line(trusted.port, files(other, "ca")), about="broker"
        )
        (named,) = found(tmp_path, broker_line(renamed.port, files(tls, "ca")), about="broker")
        (clear,) = found(tmp_path, broker_line(plain.port, files(tls, "ca")), about="broker")
        (hidden,) = found(tmp_path, broker_line(trusted.port), about="broker")
    assert "is not trusted" in untrusted.what
    assert "ca: FILE" in untrusted.remedy
    assert "is for another name" in named.what
    assert "host:" in named.remedy
    assert "TLS" in clear.remedy + clear.what
    assert "TLS" in hidden.remedy
    assert {it.value for it in (untrusted, named, clear, hidden)} == {"no"}


def test_a_certificate_that_has_expired_or_soon_will(tmp_path: Path, tls: Path) -> None:
    names = "DNS:localhost,IP:127.0.0.1"
    signed(tls, tmp_path / "old", "old", days=-1, names=names)
    signed(tls, tmp_path / "new", "new", days=3, names=names)
    with running(
        old := secure(tmp_path / "a", tls, tmp_path / "old/old.pem", clients=False),
        new := secure(tmp_path / "b", tls, tmp_path / "new/new.pem", clients=False),
    ):
        (expired,) = found(tmp_path, broker_line(old.port, files(tls, "ca")), about="broker")
        soon = found(tmp_path, broker_line(new.port, files(tls, "ca")), about="broker")
    assert expired.value == "no"
    assert "has expired" in expired.what
    assert "clock" in expired.remedy
    assert "ends in 3 days" in wrong(soon)[0] or "ends in 2 days" in wrong(soon)[0]


def test_a_key_that_does_not_belong_to_its_certificate(tmp_path: Path, tls: Path) -> None:
    more = f"tls: {{ca: {tls}/ca.pem, cert: {tls}/gateway.pem, key: {tls}/web.key}}"
    findings = found(tmp_path, broker_line(free_port(), more), about="certificate")
    assert findings[0].value == "no"
    assert "belong together" in findings[0].remedy


# --- what is no broker --------------------------------------------------------------------


@contextlib.contextmanager
def answering(*answers: bytes, stay: bool = True) -> Iterator[int]:
    """A port where somebody sends these bytes to whoever connects, and then says no more."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            held = []
            while not over.is_set():
                with contextlib.suppress(OSError):
                    sock, _ = server.accept()
                    for answer in answers:
                        sock.sendall(answer)
                    held.append(sock) if stay else sock.close()
            for sock in held:
                sock.close()

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        over.set()
        with socket.create_connection(server.getsockname()):
            pass  # so that accept returns
        thread.join()


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (b"", "does not answer"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "does not speak MQTT"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "does not"),
        (b"\x20\x02\x00\x01", "does not speak MQTT 5"),
        (b"\x20\x03\x00\x84\x00", "refuses the connection (unsupported protocol version)"),
        (b"\x20\x03\x00\x86\x00", "refuses the password of"),
        (b"\x20\x03\x00\x89\x00", "server busy"),
    ],
)
def test_what_is_no_broker_is_named_and_ends(tmp_path: Path, answer: bytes, text: str) -> None:
    with answering(answer) as port:
        findings = found(tmp_path, broker_line(port), about="broker")
    assert [it.value for it in findings] == ["no"]
    assert text in findings[0].what


def test_a_port_that_hangs_up_and_one_that_nobody_has(tmp_path: Path) -> None:
    with answering(stay=False) as port:
        (closed,) = found(tmp_path, broker_line(port), about="broker")
    (refused,) = found(tmp_path, broker_line(free_port()), about="broker")
    assert "closes the connection" in closed.what
    assert "is the broker running?" in refused.remedy


def test_a_store_and_a_page_that_never_answer_end_too(tmp_path: Path) -> None:
    with answering() as port:
        record = f"record: {{store: 'influx1://127.0.0.1:{port}/portier'}}\n"
        web = f"web: {{listen: '127.0.0.1:{port}'}}\n"
        findings = found(tmp_path, broker_line(port), record, web, about="")
    assert one(findings, "store:").value == "no"
    assert one(findings, "page:").value == "no"
    assert one(findings, "broker:").value == "no"


# --- stores -------------------------------------------------------------------------------


class Other(Victoria):
    """VictoriaMetrics with other options."""

    def __init__(self, folder: Path, **changed: str | None) -> None:
        super().__init__(folder)
        self.changed = changed

    def command(self) -> list[str]:
        same = [word for word in super().command() if word.split("=")[0][1:] not in self.changed]
        return same + [f"-{name}={value}" for name, value in self.changed.items() if value]


def recording(store: str, more: str = "") -> str:
    return f"record: {{store: '{store}'{more}}}\n"


def test_a_victoria_metrics_in_order(tmp_path: Path) -> None:
    store = Victoria(tmp_path)
    with running(store):
        findings = found(tmp_path, broker_line(1), recording(store.store), about="store")
        assert store.points() == []  # nothing was written into it
    assert [it.value for it in findings] == ["yes", "yes", "yes"]
    assert "retentionPeriod=100y" in findings[-1].evidence


def test_a_victoria_metrics_as_it_starts_by_itself(tmp_path: Path) -> None:
    store = Other(tmp_path, retentionPeriod=None, **{"dedup.minScrapeInterval": None})
    with running(store):
        findings = found(tmp_path, broker_line(1), recording(store.store), about="store")
    twice, short = wrong(findings)
    assert "twice" in twice
    assert "saves facts for 31 days" in short
    assert "asks for 730 days" in short
    assert "-retentionPeriod=730d" in one(findings, "saves facts").remedy


def test_a_victoria_metrics_that_thins_facts_out(tmp_path: Path) -> None:
    store = Other(tmp_path, **{"dedup.minScrapeInterval": "30s"})
    with running(store):
        findings = found(tmp_path, broker_line(1), recording(store.store), about="store")
    assert wrong(findings) == [
        "store: VictoriaMetrics drops points that lie closer together than 30s"
    ]


@pytest.fixture
def influx(tmp_path: Path) -> Iterator[Influx1]:
    store = Influx1(tmp_path)
    with running(store):
        yield store


def influxql(store: Influx1, text: str) -> None:
    query = urlencode({"q": text})
    assert ask(f"http://127.0.0.1:{store.port}/query?{query}", b"")[0] == 200


def test_an_influxdb_with_retention_of_its_own(tmp_path: Path, influx: Influx1) -> None:
    sections = (broker_line(1), recording(influx.store))
    (missing,) = found(tmp_path, *sections, about="store")
    assert missing.value == "unknown"
    assert "CREATE DATABASE" in missing.remedy
    influxql(influx, 'CREATE DATABASE "portier"')
    assert [it.value for it in found(tmp_path, *sections, about="store")] == ["yes", "yes"]
    influxql(influx, 'ALTER RETENTION POLICY "autogen" ON "portier" DURATION 30d SHARD DURATION 1d')
    findings = found(tmp_path, *sections, about="store")
    (short,) = wrong(findings)
    assert "saves facts for 30 days" in short
    assert 'ALTER RETENTION POLICY "autogen" ON "portier" DURATION 730d' in findings[-1].remedy
    longer = "retention: {climate: 20 d, counts: 20 d, calls: 20 d, alarms: 20 d, doors: 20 d,\n"
    longer += "  points: 20 d, gateway: 20 d, deliveries: 20 d, occupancy: 1 d}\n"
    assert wrong(found(tmp_path, *sections, longer, about="store")) == []


def test_an_influxdb_that_refuses_the_password(tmp_path: Path) -> None:
    store = Influx1(tmp_path)
    config = store.folder / "influxdb.conf"
    with running(store):
        influxql(store, "CREATE USER admin WITH PASSWORD 'right' WITH ALL PRIVILEGES")
        influxql(store, 'CREATE DATABASE "portier"')
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace("[http]\n", "[http]\nauth-enabled = true\n"), encoding="utf-8")
    (tmp_path / "secrets").mkdir()
    secret = tmp_path / "secrets" / "store"
    sections = (
        broker_line(1),
        recording(f"influx1://admin@127.0.0.1:{store.port}/portier", ", password: !secret store"),
    )
    with running(store):
        secret.write_text("wrong\n", encoding="utf-8")
        (refused,) = found(tmp_path, *sections, about="store")
        secret.write_text("right\n", encoding="utf-8")
        taken = found(tmp_path, *sections, about="store")
    assert refused.value == "no"
    assert str(secret) in refused.remedy
    assert [it.value for it in taken] == ["yes", "yes"]


@contextlib.contextmanager
def web_server(answers: dict[str, tuple[int, str, str]]) -> Iterator[int]:
    """Something that answers like this to each path; anything else with a log-in page."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            page = (200, "text/html", "<html>Log in</html>")
            status, kind, body = answers.get(self.path.partition("?")[0], page)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("scheme", ["influx", "influx1"])
def test_a_log_in_page_is_no_store_and_no_page(tmp_path: Path, scheme: str) -> None:
    with web_server({}) as port:
        findings = found(
            tmp_path,
            broker_line(1),
            recording(f"{scheme}://127.0.0.1:{port}/portier"),
            f"web: {{listen: '127.0.0.1:{port}'}}\n",
            about="",
        )
    assert "is not" in one(findings, "store:").what
    assert "is not the page" in one(findings, "page:").what
    assert one(findings, "store:").value == one(findings, "page:").value == "no"


@pytest.mark.parametrize(
    ("write", "buckets", "text"),
    [
        ((401, '{"code":"unauthorized","message":"x"}'), "", "refuses our token"),
        ((404, '{"code":"not found","message":"x"}'), "", "has no bucket"),
        ((400, '{"code":"invalid","message":"x"}'), '[{"everySeconds": 86400}]', "for 1 days"),
        ((400, '{"code":"invalid","message":"x"}'), '[{"everySeconds": 0}]', ""),
        ((503, '{"code":"unavailable","message":"x"}'), "", "takes nothing"),
    ],
)
def test_an_influxdb_2(tmp_path: Path, write: tuple[int, str], buckets: str, text: str) -> None:
    kind = "application/json"
    answers = {
        "/api/v2/write": (write[0], kind, write[1]),
        "/api/v2/buckets": (200, kind, f'{{"buckets": [{{"retentionRules": {buckets or "[]"}}}]}}'),
        "/metrics": (200, "text/plain", "go_info 1\n"),
    }
    with web_server(answers) as port:
        store = recording(f"influx://127.0.0.1:{port}/org/bucket")
        findings = found(tmp_path, broker_line(1), store, about="store")
    assert "".join(wrong(findings)).count(text or "nothing") == bool(text)


# --- the rest -----------------------------------------------------------------------------


def test_the_whole_gateway_running(tmp_path: Path) -> None:
    port = free_port()
    place = house(tmp_path, POINTS + f"web: {{listen: '127.0.0.1:{port}'}}\n")
    try:
        place.control()
        web = place.run("web")
        until(lambda: ask(f"http://127.0.0.1:{port}/health/ready")[0] == 200, what=web.lines)
        findings = examine(place.config, place.state)
    finally:
        place.end()
    assert wrong(findings) == []
    assert all(it.evidence for it in findings if it.value == "yes")
    assert one(findings, "page: answers").value == "yes"
    assert one(findings, "journal:").value == "yes"
    assert one(findings, "points: 2 are known").value == "yes"
    after = examine(place.config, place.state)
    assert one(after, "control: does not answer").value == "no"
    assert one(after, "guarantees").value == "unknown"


def test_a_panel_that_accepts_and_never_answers(tmp_path: Path) -> None:
    place = house(tmp_path, POINTS)
    place.state.mkdir()
    with socket.socket(socket.AF_UNIX) as panel:
        panel.bind(str(place.panel))
        panel.listen()
        findings = examine(place.config, place.state)
    assert one(findings, "control: does not answer").value == "no"


def test_a_full_disk_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_fd: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("gateway.app.doctor.machine.os.fsync", full)
    (disk,) = found(tmp_path, about="disk")
    assert disk.value == "no"
    assert "No space left" in disk.what
