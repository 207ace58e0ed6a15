"""The page and the API of the centre as one ASGI application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import APIRouter, FastAPI

from gateway.sites.page_site import CentreSite
from gateway.sites.pages import audit, lists, logbook, overview, people
from gateway.sites.pages import history as history_pages
from gateway.sites.pages import site as site_pages
from gateway.sites.programs import api, health, history_api
from gateway.web.account import api as account_api
from gateway.web.account import log_in_pages, second_factor_pages
from gateway.web.account import pages as account_pages
from gateway.web.app import application, end, for_life
from gateway.web.help import certificate_pages
from gateway.web.install import pages as install_pages
from gateway.web.middleware import Armour
from gateway.web.shared.proxies import Forwarded
from gateway.web.shared.render import add_templates

ROUTERS: tuple[APIRouter, ...] = (
    overview.router,
    site_pages.router,
    audit.router,
    lists.router,
    logbook.router,
    history_pages.router,
    people.router,
    account_pages.router,
    second_factor_pages.router,
    log_in_pages.router,
    install_pages.router,
    certificate_pages.router,
    api.router,
    history_api.router,
    account_api.router,
    health.router,
)
add_templates(Path(__file__).parent / "pages" / "templates")


def create_app(site: CentreSite) -> FastAPI:
    """The application. It follows the broker from its start to its end."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        tasks = [
            for_life("centre", site.centre.run()),
            for_life("live", site.hub.run()),
            for_life("audit", site.audit.run()),
            for_life("certificates", site.certificates.run()),
        ]
        yield
        await end(tasks)
        site.centre.close()
        site.close()
        if site.saver.close():  # else the disk does not answer, and has the file's lock
            site.users.close()

    return application(site, ROUTERS, lifespan)


def create_server_app(site: CentreSite) -> Forwarded:
    """What the server runs: the application, its armour, and outermost what proxies report."""
    return Forwarded(Armour(create_app(site)), site.options.trusted_proxies)
