"""Serving the page of the centre until the process is told to stop."""

from __future__ import annotations

import sys
from collections.abc import Callable

from gateway.sites import audit, grants
from gateway.sites.app import create_server_app
from gateway.sites.audit import Asked
from gateway.sites.interfaces import CentreSeen
from gateway.sites.options import CentreOptions
from gateway.sites.page_site import CentreSite, audit_of
from gateway.web.building.control_client import Answer
from gateway.web.identity.repair import open_users
from gateway.web.options import ListenError
from gateway.web.serve import Announce, Server, announce, say_repaired, server_config
from gateway.web.shared.connections import allow_files
from gateway.web.storage.saver import Saver

MakeCentre = Callable[[Callable[[Asked, Answer], object]], CentreSeen]
"""Makes the connection to the broker; its commands report to what it is given, each with what
became of it."""


def serve(
    options: CentreOptions,
    make_centre: MakeCentre,
    announced: Announce = lambda url, password, initial: False,
) -> int:
    """Serve until SIGTERM or SIGINT. Returns the exit code. What nobody takes in ``announced`` is
    written to the log."""
    try:
        options.check()
    except ListenError as error:
        print(error, file=sys.stderr)  # noqa: T201  # for the person who starts it
        return 78
    allow_files()
    users, repaired = open_users(
        options.users,
        options.gateway,
        wants_factors=options.second_factor != "off",
        own=(grants.REPAIRED, audit.REPAIRED),
    )
    password = users.first_admin()
    if repaired is not None:
        say_repaired(options, users, repaired)
    saver = Saver()
    noted = audit_of(options, saver)
    site = CentreSite(options, make_centre(noted.command), users, noted, saver)
    if not announced(options.url, password, users.anybody_has_first_password()):
        announce(options, password)
    Server(server_config(options, create_server_app(site)), site).run()
    return 0
