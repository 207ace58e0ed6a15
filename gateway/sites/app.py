"""The page and the API of the centre as one ASGI application."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware

from gateway.sites.page_site import CentreSite
from gateway.sites.pages import audit, lists, logbook, overview, people
from gateway.sites.pages import history as history_pages
from gateway.sites.pages import site as site_pages
from gateway.sites.programs import api, health, history_api
from gateway.web import answers
from gateway.web.account import api as account_api
from gateway.web.account import log_in_pages, second_factor_pages
from gateway.web.account import pages as account_pages
from gateway.web.app import Static, for_life, preload
from gateway.web.help import certificate_pages
from gateway.web.help.manuals import PICTURES
from gateway.web.install import pages as install_pages
from gateway.web.middleware import Armour
from gateway.web.people.changes import on_user_error
from gateway.web.shared.polling import Unchanged, on_unchanged
from gateway.web.shared.problems import Problem
from gateway.web.shared.proxies import Forwarded
from gateway.web.shared.render import STATIC, add_templates
from gateway.web.storage.errors import UserError

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
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError, Exception):  # said already
                await task
        site.centre.close()
        site.close()
        if site.saver.close():  # else the disk does not answer, and has the file's lock
            site.users.close()

    preload()
    app = FastAPI(
        title="Portier",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    app.state.site, app.state.identity = site, site.identity
    for router in ROUTERS:
        app.include_router(router)
    app.mount("/static", Static(directory=STATIC), name="static")
    app.mount("/help/pictures", StaticFiles(directory=PICTURES), name="pictures")
    app.add_exception_handler(Problem, answers.on_problem)
    app.add_exception_handler(UserError, on_user_error)
    app.add_exception_handler(Unchanged, on_unchanged)
    app.add_exception_handler(HTTPException, answers.on_http)
    app.add_exception_handler(RequestValidationError, answers.on_invalid)
    app.add_exception_handler(Exception, answers.on_crash)
    app.add_middleware(GZipMiddleware, minimum_size=600, compresslevel=6)
    return app


def create_server_app(site: CentreSite) -> Forwarded:
    """What the server runs: the application, its armour, and outermost what proxies report."""
    return Forwarded(Armour(create_app(site)), site.options.trusted_proxies)
