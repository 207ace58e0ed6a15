"""The page and the API as one ASGI application."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from mimetypes import guess_type
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.staticfiles import StaticFiles
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import Response

from gateway import threads
from gateway.panel import time_service
from gateway.panel.client import AsyncPanelClient
from gateway.panel.tickets import preload as preload_links
from gateway.web import answers
from gateway.web.account import api as account_api
from gateway.web.account import log_in_pages, second_factor_pages, tour_pages
from gateway.web.account import pages as account_pages
from gateway.web.alarms import pages as alarms_pages
from gateway.web.bench import api as bench_api
from gateway.web.bench import pages as bench_pages
from gateway.web.building.control_client import ControlClient
from gateway.web.building.records import Records
from gateway.web.commissioning import pages as commissioning_pages
from gateway.web.devices import api as devices_api
from gateway.web.devices import pages as devices_pages
from gateway.web.display import pages as display_pages
from gateway.web.doors import api as doors_api
from gateway.web.help import certificate_pages
from gateway.web.help import pages as help_pages
from gateway.web.help.manuals import PICTURES
from gateway.web.history import api as history_api
from gateway.web.history import logbook_pages
from gateway.web.history import pages as history_pages
from gateway.web.identity.users import Users
from gateway.web.inspection import api as inspection_api
from gateway.web.inspection import pages as inspection_pages
from gateway.web.install import pages as install_pages
from gateway.web.maintenance import api as maintenance_api
from gateway.web.maintenance import pages as maintenance_pages
from gateway.web.maintenance.upkeep import keep_weeks
from gateway.web.middleware import Armour
from gateway.web.options import Options
from gateway.web.overview import pages as overview_pages
from gateway.web.people import api as people_api
from gateway.web.people import audit_pages
from gateway.web.people import pages as people_pages
from gateway.web.people.changes import on_user_error
from gateway.web.programs import building, health, stream
from gateway.web.retention import pages as retention_pages
from gateway.web.rooms import api as rooms_api
from gateway.web.rooms import pages as rooms_pages
from gateway.web.rooms import tickets
from gateway.web.settings import api as settings_api
from gateway.web.settings import contact_pages, refusals
from gateway.web.settings import pages as settings_pages
from gateway.web.shared.polling import Unchanged, on_unchanged
from gateway.web.shared.problems import Problem
from gateway.web.shared.proxies import Forwarded
from gateway.web.shared.render import STATIC, digest, environment, static_files
from gateway.web.shared.words import LANGUAGES, catalogue
from gateway.web.site import PageSite, Site
from gateway.web.storage.errors import UserError
from gateway.web.system import pages as system_pages

ROUTERS: tuple[APIRouter, ...] = (
    overview_pages.router,
    rooms_pages.router,
    alarms_pages.router,
    history_pages.router,
    logbook_pages.router,
    system_pages.router,
    commissioning_pages.router,
    maintenance_pages.router,
    inspection_pages.router,
    retention_pages.router,
    certificate_pages.router,
    help_pages.router,
    bench_pages.router,
    people_pages.router,
    settings_pages.router,
    contact_pages.router,
    account_pages.router,
    tour_pages.router,
    devices_pages.router,
    audit_pages.router,
    second_factor_pages.router,
    log_in_pages.router,
    tickets.router,
    install_pages.router,
    display_pages.router,
    doors_api.router,
    rooms_api.router,
    building.router,
    history_api.router,
    account_api.router,
    devices_api.router,
    people_api.router,
    settings_api.router,
    maintenance_api.router,
    inspection_api.router,
    stream.router,
    bench_api.router,
    health.router,
)


TIDY_EVERY_S = 60.0


class Static(StaticFiles):
    """Files from memory. Those whose address carries their hash may be kept for ever."""

    async def get_response(self, path: str, scope: Any) -> Response:
        if scope["method"] not in ("GET", "HEAD"):
            raise HTTPException(405, headers={"Allow": "GET, HEAD"})
        content = static_files().get(path)
        if content is None:
            raise HTTPException(404)
        hashed = b"v=" in scope.get("query_string", b"")
        headers = {
            "ETag": f'"{digest(path)}"',
            "Cache-Control": "public, max-age=31536000, immutable" if hashed else "no-cache",
        }
        if self.is_not_modified(Headers(headers), Headers(scope=scope)):
            return Response(None, 304, headers)
        return Response(content, headers=headers, media_type=guess_type(path)[0] or "text/plain")


def for_life(name: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """A task that runs until it is cancelled; where it ends of itself, the process ends."""

    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            threads.fail(name, task.exception())

    task = asyncio.create_task(work, name=name)
    task.add_done_callback(ended)
    return task


async def tidy_devices(site: Site) -> None:
    """Remove the devices that take no push messages any more, again and again: ``notify`` says
    which. Runs until cancelled."""
    while True:
        with suppress(OSError, Problem):
            await site.saver.run(site.users.tidy_devices)
        await asyncio.sleep(TIDY_EVERY_S)


def make_site(options: Options, users: Users | None = None) -> Site:
    """The shared parts, from what is in the state folder."""
    control = ControlClient(AsyncPanelClient(options.panel, "web"))
    return Site(
        options,
        control,
        users or Users(options.users, gateway=options.gateway),
        Records(options.journal),
    )


def create_app(site: Site) -> FastAPI:
    """The application. It follows the panel from its start to its end."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await site.hub.start()
        tasks = [
            for_life("panel", site.control.run()),
            for_life("live", site.hub.run()),
            for_life("today", site.today.run()),
            for_life("weeks", keep_weeks(site)),
            for_life("handover", site.handover.run()),
            for_life("devices", tidy_devices(site)),
            for_life("certificates", site.certificates.run()),
            for_life(
                "certificates reported",
                site.control.report_certificates(lambda: site.certificates.wrong(time.time())),
            ),
        ]
        if not site.options.bench:  # a bench trusts its own clock
            tasks.append(for_life("clock", site.control.report_clock(time_service.trusted)))
        yield
        site.today.close()
        await end(tasks)
        site.records.close()
        if site.saver.close():  # else the disk does not answer, and has the file's lock
            site.users.close()

    preload_links()
    return application(site, ROUTERS, lifespan)


async def end(tasks: Sequence[asyncio.Task[None]]) -> None:
    """End what :func:`for_life` has begun."""
    for task in tasks:
        task.cancel()
    for task in tasks:
        with suppress(asyncio.CancelledError, Exception):  # said already
            await task


def application(
    site: PageSite, routers: Sequence[APIRouter], lifespan: Callable[[FastAPI], Any]
) -> FastAPI:
    """The application that has these routes. ``lifespan``: what runs while it does."""
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
    for router in routers:
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


def preload() -> None:
    """Read all that pages are made of. Templates are compiled when they are first used."""
    static_files()
    environment()
    for language in LANGUAGES:
        catalogue(language)
        refusals.templates(language)


def create_server_app(site: Site) -> Forwarded:
    """What the server runs: the application, its armour, and outermost what proxies report."""
    return Forwarded(Armour(create_app(site)), site.options.trusted_proxies)
