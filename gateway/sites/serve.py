"""Serving the page of the centre until the process is told to stop."""

from __future__ import annotations

from collections.abc import Callable

import uvicorn

from gateway.sites import audit, grants
from gateway.sites.app import create_server_app
from gateway.sites.audit import Asked
from gateway.sites.interfaces import CentreSeen
from gateway.sites.options import CentreOptions
from gateway.sites.page_site import CentreSite, audit_of
from gateway.web.building.control_client import Answer
from gateway.web.identity.users import Users
from gateway.web.serve import Announce, serve_page, server_config
from gateway.web.storage.saver import Saver

MakeCentre = Callable[[Callable[[Asked, Answer], object]], CentreSeen]
"""Makes the connection to the broker; its commands report to what it is given, each with what
became of it."""


def serve(
    options: CentreOptions,
    make_centre: MakeCentre,
    announced: Announce = lambda url, password, initial: False,
) -> int:
    """Serve the page of the centre, see :func:`gateway.web.serve.serve_page`."""

    def made(users: Users) -> tuple[CentreSite, uvicorn.Config]:
        saver = Saver()
        noted = audit_of(options, saver)
        site = CentreSite(options, make_centre(noted.command), users, noted, saver)
        return site, server_config(options, create_server_app(site))

    return serve_page(options, made, announced, (grants.REPAIRED, audit.REPAIRED))
