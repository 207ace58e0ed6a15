"""The web role: one process that serves page and API until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import structlog
import uvicorn
from starlette.types import ASGIApp

from gateway.core.facts import Json
from gateway.settings.model.configuration import Settings
from gateway.settings.model.link import Web
from gateway.web.app import create_server_app, make_site
from gateway.web.identity.repair import OwnTable, Repaired, open_users, unseen
from gateway.web.identity.users import Users
from gateway.web.options import ListenError, Options
from gateway.web.presenter.terminals import terminals_of
from gateway.web.retention.retention import under_systemd
from gateway.web.shared.certificate_reload import CertificateReload
from gateway.web.shared.connections import allow_files, protocol_for
from gateway.web.shared.proxies import Trusted
from gateway.web.site import PageSite, Site

log = structlog.get_logger("web")
KEEP_ALIVE_S = 20
STOP_WITHIN_S = 1
TICK_S = 1.0


class Server(uvicorn.Server):
    """Ends the live streams first, which would otherwise hold up the stop. It wakes once a
    second, for the Date header, and when it shall end; uvicorn's own loop wakes ten times."""

    def __init__(self, config: uvicorn.Config, site: PageSite) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._end = asyncio.Event()
        self._ends = False
        super().__init__(config)
        self._site = site

    @property
    def should_exit(self) -> bool:
        """Set by uvicorn's signal handler, and from other threads in tests."""
        return self._ends

    @should_exit.setter
    def should_exit(self, ends: bool) -> None:
        self._ends = ends
        if ends and self._loop is not None:
            self._loop.call_soon_threadsafe(self._end.set)

    async def main_loop(self) -> None:
        self._loop = asyncio.get_running_loop()
        certificate = self._certificate()
        try:
            while not await self.on_tick(0):  # 0: with the headers
                if certificate is not None:
                    certificate.check()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._end.wait(), TICK_S)
        finally:
            self._loop = None

    def _certificate(self) -> CertificateReload | None:
        context = self.config.ssl
        if context is None:
            return None
        options = self._site.options
        assert options.tls_cert is not None  # noqa: S101  # else there is no context
        assert options.tls_key is not None  # noqa: S101
        return CertificateReload(context, options.tls_cert, options.tls_key)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._site.hub.end_all()
        await super().shutdown(sockets)


def config_of(site: Site) -> uvicorn.Config:
    """How the server of a gateway runs."""
    return server_config(site.options, create_server_app(site))


def server_config(options: Options, app: ASGIApp) -> uvicorn.Config:
    """How a server runs."""
    return uvicorn.Config(
        app,
        host=options.host,
        port=options.port,
        ssl_certfile=options.tls_cert,
        ssl_keyfile=options.tls_key,
        loop="gateway.web.shared.connections:Loop",
        http=protocol_for(Trusted(options.trusted_proxies)),
        lifespan="on",
        access_log=False,
        log_level="warning",
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=STOP_WITHIN_S,
        limit_concurrency=options.max_live + 300,
        h11_max_incomplete_event_size=32 * 1024,
    )


Announce = Callable[[str, str | None, bool], bool]
"""Takes the page's address, the password of the first start where this is one, and whether that
password still applies; says whether that was enough."""


Page = Callable[[Users], tuple[PageSite, uvicorn.Config]]
"""Makes what the routes of a page share, and how its server runs."""


def serve(options: Options, announced: Announce = lambda url, password, initial: False) -> int:
    """Serve the page of a gateway, see :func:`serve_page`."""

    def made(users: Users) -> tuple[PageSite, uvicorn.Config]:
        site = make_site(options, users)
        return site, config_of(site)

    return serve_page(options, made, announced)


def serve_page(
    options: Options, made: Page, announced: Announce, own: Sequence[OwnTable] = ()
) -> int:
    """Serve until SIGTERM or SIGINT. Returns the exit code. What nobody takes in ``announced`` is
    written to the log. ``own``: tables of this page in the file of the users."""
    try:
        options.check()
    except ListenError as error:
        print(error, file=sys.stderr)  # noqa: T201  # for the person who starts it
        return 78
    allow_files()
    users, repaired = open_users(
        options.users, options.gateway, wants_factors=options.second_factor != "off", own=own
    )
    password = users.first_admin()
    if repaired is not None:
        say_repaired(options, users, repaired)
    site, config = made(users)
    if not announced(options.url, password, users.anybody_has_first_password()):
        announce(options, password)
    Server(config, site).run()
    return 0


def say_repaired(options: Options, users: Users, repaired: Repaired) -> None:
    """In the log and in the audit chain; the page says it at the log-in."""
    log.error(
        "the file of the users was damaged and is made anew from what can be read",
        damaged=str(unseen(options.users)),
        **asdict(repaired),
        remedy="portier user list shows who is there; portier user add NAME --role ROLE adds one",
    )
    detail: dict[str, Json] = {"subject": options.gateway, "users": repaired.users}
    detail |= {"tokens": repaired.tokens, "lacks": list(repaired.incomplete)}
    users.keep_entry("gateway", "users_repaired", detail)


def announce(options: Options, password: str | None) -> None:
    """Say where the page is and, once, how to get in."""
    lines = [f"Portier: {options.url}"]
    if password is not None:
        lines += [
            f"First log-in: user admin, password {password}",
            "  Shown once. The page asks for one of your own; add the others there under Users,"
            f" or: portier user add NAME --role staff --state {options.state}",
        ]
    print("\n".join(lines), file=sys.stderr, flush=True)  # noqa: T201  # shown once, not logged


def options_of(settings: Settings, state: Path, overrides: Mapping[str, Any]) -> Options:
    """The page's options from the configuration. ``overrides`` win (such as ``port``)."""
    web = settings.web or Web()
    mqtt, record = settings.mqtt, settings.record
    broker = ""
    if mqtt is not None:
        broker = "embedded" if mqtt.embedded else mqtt.host
    lives = settings.retention.model_dump()
    values: dict[str, Any] = {
        "state": state,
        "gateway": settings.gateway.id,
        "name": settings.gateway.name,
        "zone": ZoneInfo(settings.gateway.timezone),
        "languages": settings.gateway.languages,
        "host": web.host,
        "port": web.port,
        "tls_cert": Path(web.tls.cert) if web.tls else None,
        "tls_key": Path(web.tls.key) if web.tls else None,
        "trusted_proxies": web.trusted_proxies,
        "second_factor": web.second_factor,
        "bench": settings.gateway.bench,
        "systemd": under_systemd(),
        "retention": {name.removesuffix("_ms"): life for name, life in lives.items()},
        "store": "" if record is None else record.store,
        "broker": broker,
        "terminals": terminals_of(settings),
        "push_hosts": settings.push.hosts,
        "push_to": tuple(one.push for one in settings.contacts.values() if one.push is not None),
    }
    return Options(**(values | dict(overrides)))
