"""From the configuration to what each role is told."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.app.connections import RoleError, broker_settings, web_port
from gateway.mqtt.settings import BrokerSettings
from gateway.settings.model.link import Mqtt, Tls

TLS = Tls(ca="ca.pem", cert="gw.pem", key="gw.key")


def test_the_files_of_a_connection_lie_beside_the_configuration() -> None:
    found = broker_settings("gw", Mqtt(host="broker", tls=TLS), Path("/etc/portier/portier.yaml"))
    assert (found.host, found.port) == ("broker", 8883)
    assert found.tls is not None
    assert found.tls.key == "/etc/portier/gw.key"


def test_without_tls_there_are_no_certificates() -> None:
    found = broker_settings("gw", Mqtt(host="localhost"), Path("/etc/portier/portier.yaml"))
    assert (found.port, found.tls) == (1883, None)


def test_the_recorder_may_have_a_certificate_of_its_own() -> None:
    own = Tls(ca="ca.pem", cert="rec.pem", key="rec.key")
    found = broker_settings(
        "rec", Mqtt(host="broker", tls=TLS), Path("/etc/portier/portier.yaml"), own
    )
    assert found.tls is not None
    assert found.tls.cert == "/etc/portier/rec.pem"


def test_the_embedded_broker_is_where_the_supervisor_put_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PORTIER_BROKER_V5", "4711")
    found = broker_settings("gw", Mqtt.model_validate({"embedded": "yes"}), Path("c"))
    assert found == BrokerSettings("gw", "127.0.0.1", 4711)


def test_the_port_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PORT", raising=False)
    assert web_port() is None
    monkeypatch.setenv("PORT", "8081")
    assert web_port() == 8081
    monkeypatch.setenv("PORT", "eighty")
    with pytest.raises(RoleError):
        web_port()


@pytest.mark.parametrize("role", ["link", "record", "notify", "web", "sites"])
def test_a_role_keeps_nothing_of_the_command_line_in_memory(tmp_path: Path, role: str) -> None:
    """It runs for months, and typer with rich would be 8 MB of each. Here a section is missing,
    or a port is no port, so that it ends when everything is imported."""
    config = tmp_path / "portier.yaml"
    gateway = "gateway: {id: bench, name: Bench}\npoints: {}\n"
    centre = "sites: {name: Bench}\nmqtt: {host: localhost}\nweb: {}\n"
    config.write_text(centre if role == "sites" else gateway)
    script = (
        "import sys; sys.argv = ['portier', 'run', *sys.argv[1:]]\n"
        "from gateway.__main__ import main\n"
        "try: main()\n"
        "except SystemExit as end: status = end.code\n"
        "loaded = {name for name, module in sys.modules.items() if module is not None}\n"
        "print(status, sorted({'typer', 'rich'} & loaded), 'structlog' in loaded)"
    )
    options = ["--config", str(config), "--state", str(tmp_path / "state")]
    done = subprocess.run(
        [sys.executable, "-c", script, role, *options],
        capture_output=True, text=True, check=True, timeout=60, env={**os.environ, "PORT": "x"},
    )  # fmt: skip
    assert done.stdout.split(maxsplit=1)[1] == "[] True\n", done.stderr
