"""``portier doctor`` at a centre: a real broker, enrolled gateways, and what is missing."""

from __future__ import annotations

from pathlib import Path

import pytest
from paho.mqtt.publish import multiple

from gateway.app.doctor import centre, examination
from gateway.app.findings import Finding
from gateway.app.running import readiness
from gateway.settings.values.secrets import Secret, places
from gateway.sites.broker import filters
from gateway.sites.keys import SECRET, Keys
from tests.process.parts_mqtt import Mosquitto, free_port, running

pytestmark = pytest.mark.process


def configured(folder: Path, port: int, more: str = "") -> Path:
    file = folder / "sites.yaml"
    file.write_text(
        f"sites: {{bench: true}}\nmqtt: {{host: 127.0.0.1, port: {port}, tls: none}}\n"
        f"groups: {{North: [bad-1, bad-2]}}\n{more}",
        encoding="utf-8",
    )
    return file


def enrol(config: Path, state: Path, *gateways: str) -> None:
    keys = Keys(state, Secret(SECRET, places(config)))
    for gateway in gateways:
        keys.enrol(gateway)


def said(found: list[Finding], value: str, what: str) -> Finding:
    """The one finding of this value that begins so."""
    (one,) = (one for one in found if one.value == value and one.what.startswith(what))
    return one


def test_what_is_in_order_and_what_is_not_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(centre, "RETAINED_WITHIN_S", 1.5)
    broker = Mosquitto(tmp_path)
    config, state = configured(tmp_path, broker.port), tmp_path / "state"
    state.mkdir()
    with running(broker):
        enrol(config, state, "bad-1", "csg")
        multiple(
            [
                ("portier/bad-1/availability", b"online", 1, True),
                ("portier/bad-1/info", b"{}", 1, True),
                ("portier/csg/availability", b"offline", 1, True),
            ],
            hostname="127.0.0.1", port=broker.port,
        )  # fmt: skip
        found = examination.examine(config, state)
    assert said(found, "yes", "configuration:").what.endswith("of a centre")
    assert said(found, "yes", f"broker: grants {len(filters())} subscriptions")
    assert said(found, "yes", "gateways: 2 enrolled")
    hint = said(found, "yes", "gateways: bad-2 in groups: and not enrolled yet")
    assert hint.remedy.startswith("portier site enrol")
    assert said(found, "yes", "gateways: availability of all 2 is retained")
    assert "info of csg" in said(found, "no", "gateways: nothing retained").what
    assert said(found, "not_configured", "page:")
    assert said(found, "not_configured", "clock:")
    assert not any("control" in one.what or "journal" in one.what for one in found)


def test_a_centre_is_told_where_its_certificates_come_from(tmp_path: Path) -> None:
    config = configured(tmp_path, free_port(), "web: {listen: '127.0.0.1:1'}\nrecord: {}\n")
    config.write_text(
        config.read_text().replace(
            "tls: none", "tls: {ca: tls/ca.pem, cert: tls/sites.pem, key: tls/sites.key}"
        )
    )
    found = examination.examine(config, tmp_path / "state")
    lines = [f"{one.what} {one.remedy}" for one in found]
    assert not any("certificate new" in line or line.endswith("make run") for line in lines)
    file = str(tmp_path / "tls/sites.pem")
    missing = said(found, "no", "certificate of mqtt:")
    assert missing.what == f"certificate of mqtt: {file}: No such file or directory"
    assert "portier certificate client NAME" in missing.remedy
    assert "on the bench: make run-sites" in said(found, "no", "page:").remedy


def test_a_broker_that_is_away_and_keys_of_another_secret_are_named(tmp_path: Path) -> None:
    config, state = configured(tmp_path, free_port()), tmp_path / "state"
    state.mkdir()
    enrol(config, state, "bad-1")
    (tmp_path / "secrets" / SECRET).write_text("another one, which is as long as it has to be\n")
    found = examination.examine(config, state)
    assert "127.0.0.1" in said(found, "no", "broker:").what
    assert "is encrypted under another secret" in said(found, "no", "gateways:").what


def test_a_centre_without_gateways_says_how_they_are_enrolled(tmp_path: Path) -> None:
    config = configured(tmp_path, free_port())
    found = examination.examine(config, tmp_path)
    assert "portier site enrol" in said(found, "yes", "gateways: none").remedy


def test_a_configuration_that_is_wrong_is_named_once(tmp_path: Path) -> None:
    config = configured(tmp_path, free_port(), "doors: {}\n")
    found = examination.examine(config, tmp_path)
    assert "doors" in said(found, "no", "configuration: 1 error").evidence
    assert not any(one.what.startswith("broker") for one in found)


def test_a_centre_that_runs_is_asked_and_no_connection_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broker may take the name in the certificate for the client id, and end the first one."""
    config = configured(tmp_path, free_port(), "web: {listen: 127.0.0.1:18080}\n")
    enrol(config, tmp_path, "bad-1", "bad-2")
    monkeypatch.setattr(readiness, "page_check", lambda *_, **__: "")
    found = examination.examine(config, tmp_path)
    assert said(found, "yes", "broker:").what == "broker: sites is connected"
    assert said(found, "yes", "gateways: sites asks")
