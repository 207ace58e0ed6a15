"""What several roles need of a configuration: the broker, certificates, ports, secrets."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, TypeVar

from gateway.app import broker
from gateway.mqtt.settings import BrokerSettings, TlsFiles
from gateway.settings.model.configuration import Settings
from gateway.settings.model.link import BrokerConnection, Tls
from gateway.settings.model.sites import SitesSettings
from gateway.settings.values.secrets import Secret

Configuration = Settings | SitesSettings
"""Of a gateway, or of a centre."""
BROKER_V5 = "PORTIER_BROKER_V5"
BROKER_V3 = "PORTIER_BROKER_V3"
"""The ports of the embedded broker, when they are not the usual ones."""
CENTRE = "sites"
"""In the names that a centre has at the broker, where a gateway has its id."""


class RoleError(Exception):
    """A role cannot run as configured. The text says why and what to do."""


def ports() -> broker.Ports:
    """The embedded broker's, as the supervisor has chosen them."""
    return broker.Ports(
        int(os.environ.get(BROKER_V5, broker.PORTS[0])),
        int(os.environ.get(BROKER_V3, broker.PORTS[1])),
    )


def page_certificate(settings: Configuration, config: Path) -> Path | None:
    """What browsers are shown: ours, or that of a proxy, which may use the one made for it."""
    web, beside = settings.web, config.absolute().parent
    if web is not None and web.tls is not None:
        return beside / web.tls.cert
    return beside / "tls" / "web.pem" if web is not None and web.trusted_proxies else None


def certificates(settings: Configuration, config: Path) -> dict[str, Path]:
    """The certificates that end some day: of the page, of ``link`` and of the recorder."""
    record = settings.record
    used = {
        "page": settings.web and settings.web.tls,
        "broker_client": settings.mqtt and settings.mqtt.tls,
        "recorder_client": record and record.tls,
    }
    beside = config.absolute().parent
    return {name: beside / tls.cert for name, tls in used.items() if tls and tls.cert}


def web_port() -> int | None:
    """``PORT=`` of the environment beats the configuration's port."""
    text = os.environ.get("PORT", "")
    if not text:
        return None
    if not text.isdigit() or not 0 < int(text) < 65_536:
        raise RoleError(f"PORT={text}: a port goes from 1 to 65535")
    return int(text)


M = TypeVar("M", bound=BrokerConnection)


def mqtt_of(mqtt: M | None) -> M:
    if mqtt is None:
        raise RoleError("mqtt: is not configured; add it, or do not start the role")
    return mqtt


def broker_settings(
    client: str, mqtt: BrokerConnection, config: Path, own: Tls | None = None
) -> BrokerSettings:
    """How to reach the broker, for both who speak to it; ``own``: another certificate."""
    if mqtt.embedded:
        return BrokerSettings(client, broker.HOST, ports().v5)
    tls = own or mqtt.tls
    return BrokerSettings(
        client,
        mqtt.host,
        mqtt.port_number,
        mqtt.user,
        secret_text(mqtt.password),
        None if tls is None else TlsFiles.of(tls, config),
    )


def secret_text(value: Any) -> str | None:
    return value.read() if isinstance(value, Secret) else value
