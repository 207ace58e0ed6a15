"""From the configuration to what each role is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.app.roles import RoleError, _broker, web_port
from gateway.settings.model_link import Mqtt, Tls

TLS = Tls(ca="ca.pem", cert="gw.pem", key="gw.key")


def test_the_files_of_a_connection_lie_beside_the_configuration() -> None:
    told = _broker(Mqtt(host="broker", tls=TLS), Path("/etc/portier/portier.yaml"))
    assert (told["host"], told["port"], told["tls"]) == ("broker", 8883, True)
    assert told["key"] == "/etc/portier/gw.key"


def test_the_recorder_may_have_a_certificate_of_its_own() -> None:
    own = Tls(ca="ca.pem", cert="rec.pem", key="rec.key")
    told = _broker(Mqtt(host="broker", tls=TLS), Path("/etc/portier/portier.yaml"), own)
    assert told["cert"] == "/etc/portier/rec.pem"


def test_the_embedded_broker_is_where_the_supervisor_put_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PORTIER_BROKER_V5", "4711")
    assert _broker(Mqtt(embedded="yes"), Path("c")) == {"host": "127.0.0.1", "port": 4711}


def test_the_port_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PORT", raising=False)
    assert web_port() is None
    monkeypatch.setenv("PORT", "8081")
    assert web_port() == 8081
    monkeypatch.setenv("PORT", "eighty")
    with pytest.raises(RoleError):
        web_port()
