"""``portier certificate``: from nothing to a page over TLS, and what each error says."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from gateway.app.certificates import signing
from gateway.app.cli import certificates as commands
from tests.cli.test_cli_offline import portier, words
from tests.process.parts import BUILDING


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "portier.yaml"
    file.write_text(BUILDING)
    return file


def certificate(config: Path, *arguments: str | Path) -> Result:
    return portier("certificate", *arguments, "--config", config)


def shown(config: Path) -> dict[str, Any]:
    result = certificate(config, "show", "--json")
    return {one["name"]: one for one in json.loads(result.output)}


def test_one_command_makes_everything_and_says_what_to_trust(config: Path) -> None:
    result = certificate(config, "new", "--host", "door.example", "--ip", "192.168.178.20")
    assert result.exit_code == 0
    found = shown(config)
    assert found["ca"]["sha256"] in result.output
    assert {"door.example", "192.168.178.20"} < set(found["web"]["for"])
    assert found["gateway"]["common_name"] == "test"
    assert {one["days"] <= 825 for one in found.values() if not one["authority"]} == {True}
    again = certificate(config, "new")
    assert "nothing was missing" in words(again)
    assert found["ca"]["sha256"] in words(certificate(config, "show")).replace(" ", "")


def test_a_renewal_says_what_is_to_be_done_then(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate(config, "new")
    assert "nothing ends soon" in words(certificate(config, "renew"))
    text = words(certificate(config, "renew", "web", "broker", "gateway", "homeassistant"))
    assert "sudo systemctl reload mosquitto" in text
    assert "sudo systemctl try-restart portier-link" in text
    assert "homeassistant.pem is for another machine" in text
    assert "portier-web" not in text, "the page reads it by itself"
    asked: list[list[str]] = []

    def systemctl(*words: str) -> subprocess.CompletedProcess[str]:
        asked.append([*words])
        return subprocess.CompletedProcess(words, int("mosquitto" in words), "", "it is masked")

    monkeypatch.setattr(commands, "systemctl", systemctl)
    result = certificate(config, "renew", "broker", "recorder", "--reload")
    assert asked == [["reload", "mosquitto"], ["try-restart", "portier-record"]]
    assert "systemctl reload mosquitto failed (it is masked)" in words(result)
    assert result.exit_code == 1, "the timer's unit has failed, too"


def test_what_was_renewed_is_handed_over_though_another_one_was_not(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate(config, "new")
    (config.parent / "tls/homeassistant.key").unlink()  # it was moved to where it is used
    asked: list[list[str]] = []

    def systemctl(*words: str) -> subprocess.CompletedProcess[str]:
        asked.append([*words])
        return subprocess.CompletedProcess(words, 0, "", "")

    monkeypatch.setattr(commands, "systemctl", systemctl)
    result = certificate(config, "renew", "broker", "homeassistant", "recorder", "--reload")
    assert asked == [["reload", "mosquitto"], ["try-restart", "portier-record"]]
    assert result.exit_code == 1
    assert "homeassistant.key is missing" in words(result)


@pytest.mark.parametrize("name", ["next-ca", "next-clients", "ca", "clients", "revoked", "web"])
def test_no_client_has_the_name_of_a_file_of_the_folder_s_own(config: Path, name: str) -> None:
    certificate(config, "new")
    result = certificate(config, "client", name)
    assert result.exit_code == 1
    assert "choose another name" in words(result)
    assert not (config.parent / "tls/next-ca.pem").exists()


def test_a_client_of_the_broker_comes_and_goes(config: Path) -> None:
    certificate(config, "new")
    assert certificate(config, "client", "tablet").exit_code == 0
    twice = certificate(config, "client", "tablet")
    assert twice.exit_code == 1
    assert "portier certificate revoke tablet" in words(twice)
    assert "restart mosquitto" in words(certificate(config, "revoke", "tablet"))
    assert "tablet" not in shown(config)
    assert certificate(config, "client", "tablet").exit_code == 0
    refused = certificate(config, "revoke", "web")
    assert refused.exit_code == 1
    assert "has not signed it" in words(refused)
    assert "is no certificate that can be read" in words(certificate(config, "revoke", "nobody"))


def test_another_root_in_two_steps(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    early = certificate(config, "replace-root")
    assert early.exit_code == 1
    assert "portier certificate new makes one" in words(early)
    certificate(config, "new", "--ip", "192.168.178.20")
    other = certificate(config, "new", "--ip", "10.0.0.1")
    assert other.exit_code == 1
    assert "portier certificate replace-root" in words(other)
    first = shown(config)["ca"]["sha256"]
    assert "--switch" in words(certificate(config, "replace-root", "--ip", "10.0.0.1"))
    assert shown(config)["ca"]["sha256"] == first
    broker = tmp_path / "portier.conf"
    broker.write_text(f"cafile {tmp_path}/tls/ca.pem\n")
    monkeypatch.setattr(commands, "BROKER", broker)
    refused = certificate(config, "replace-root", "--switch")
    assert refused.exit_code == 1
    assert f"cafile {tmp_path}/tls/clients.pem" in words(refused).replace("- ", "-")
    assert shown(config)["ca"]["sha256"] == first
    broker.write_text(f"cafile {tmp_path}/tls/clients.pem\n")
    assert certificate(config, "replace-root", "--switch").exit_code == 0
    assert shown(config)["ca"]["sha256"] != first
    assert certificate(config, "new", "--ip", "10.0.0.1").exit_code == 0


def test_keys_elsewhere_are_named(config: Path, tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    assert certificate(config, "new", "--keys", stick).exit_code == 0
    refused = certificate(config, "renew", "web")
    assert refused.exit_code == 1
    assert "--keys FOLDER" in words(refused)
    assert certificate(config, "renew", "web", "--keys", stick).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["new", "--host", "a b"], "is no host name"),
        (["new", "--ip", "gate"], "is no address"),
        (["new", "--lan", "gate"], "is no network"),
        (["renew", "web"], "has no web.pem"),
        (["show"], "portier certificate new"),
    ],
)
def test_what_cannot_be_done_says_why(config: Path, arguments: list[str], text: str) -> None:
    result = certificate(config, *arguments)
    assert result.exit_code == 1
    assert text in words(result)


def test_a_folder_that_belongs_to_root_says_so(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused() -> None:
        raise PermissionError(13, "Permission denied", "/etc/portier/tls/ca.key")

    monkeypatch.setattr(signing, "make_key", refused)
    result = certificate(config, "new")
    assert result.exit_code == 1
    assert "/etc/portier/tls/ca.key" in result.output
    assert "sudo portier" in words(result)
