"""The role ``sites``: from the configuration to what page and connection of a centre need."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

from gateway.app import connections
from gateway.app.announcement import announce
from gateway.app.certificates.reading import begins, ends, roots
from gateway.mqtt.settings import BrokerSettings
from gateway.panel import time_service
from gateway.settings.model.sites import SitesRecord, SitesSettings
from gateway.settings.plan.cache import lives_of
from gateway.settings.values.secrets import Secret, places
from gateway.sites.audit import Asked
from gateway.sites.broker import Centre
from gateway.sites.commands import Commands
from gateway.sites.history.sqlite import SqliteHistory
from gateway.sites.history.stored import StoredHistory
from gateway.sites.keys import SECRET, Keys
from gateway.sites.options import CentreOptions
from gateway.sites.serve import serve
from gateway.web.building.control_client import Answer
from gateway.web.retention.retention import under_systemd


def run(settings: SitesSettings, config: Path, state: Path) -> int:
    """Serve the page of the centre until told to stop; the exit status. Raises
    :class:`gateway.app.connections.RoleError`."""
    keys = Keys(state, Secret(SECRET, places(config)))
    mqtt = settings.mqtt
    broker = connections.broker_settings(
        mqtt.client or f"portier-{connections.CENTRE}", mqtt, config
    )

    def make(audit: Callable[[Asked, Answer], object]) -> Centre:
        return connection(broker, keys, audit, bench=settings.sites.bench)

    return serve(options_of(settings, config, state), make, announce)


def connection(
    broker: BrokerSettings,
    keys: Keys,
    audit: Callable[[Asked, Answer], object],
    *,
    bench: bool,
) -> Centre:
    """The connection to the broker, and the commands that are sent over it. ``bench``: where
    nobody keeps the clock, as in a container, it counts as right."""

    def commands(publish: Callable[[str, bytes], bool]) -> Commands:
        return Commands(
            publish,
            keys.key,
            trusted=lambda: bench or time_service.trusted() is True,
            audit=audit,
            is_confirmed=keys.is_confirmed,
            confirm=keys.confirm,
        )

    return Centre(broker, keys.enrolled, commands)


def options_of(settings: SitesSettings, config: Path, state: Path) -> CentreOptions:
    """The page's options. Raises :class:`gateway.app.connections.RoleError`."""
    web, record = settings.web, settings.record
    if web is None:
        raise connections.RoleError("web: is not configured; add it, or do not start the role")
    beside = config.absolute().parent
    files = connections.certificates(settings, config)
    page = connections.page_certificate(settings, config)
    return CentreOptions(
        state,
        name=settings.sites.name,
        zone=ZoneInfo(settings.sites.timezone),
        languages=settings.sites.languages,
        host=web.host,
        port=connections.web_port() or web.port,
        tls_cert=None if web.tls is None else beside / web.tls.cert,
        tls_key=None if web.tls is None else beside / web.tls.key,
        bench=settings.sites.bench,
        retention=lives_of(settings),
        systemd=under_systemd(),
        store="" if record is None else record.store,
        broker="embedded" if settings.mqtt.embedded else settings.mqtt.host,
        trusted_proxies=web.trusted_proxies,
        second_factor=web.second_factor,
        certificates=lambda: ends(files),
        certificate_begins=lambda: begins(files),
        roots=dict if page is None else (lambda: roots(page)),
        groups=settings.groups,
        open_history=None if record is None else history_of(record, state),
    )


def history_of(record: SitesRecord, state: Path) -> Callable[[], StoredHistory] | None:
    """How what the recorder has stored is read; ``None``: its store is none that the centre reads.
    The file of an embedded one is read where this machine's own recorder has it."""
    address = record.address
    if address.kind == "sqlite":
        return partial(SqliteHistory, state / "record" / address.file)
    if address.kind != "postgresql":
        return None
    from gateway.sites.history.postgresql import PostgresqlHistory  # and psycopg with it

    password = partial(connections.secret_text, record.password)
    return partial(PostgresqlHistory, address, password)
