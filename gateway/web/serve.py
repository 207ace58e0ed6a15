"""The web role: one process that serves page and API until it is told to stop."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import structlog
import uvicorn

from gateway.web.app import create_server_app, make_site
from gateway.web.options import ListenError, Options
from gateway.web.users import Users

log = structlog.get_logger("web")
KEEP_ALIVE_S = 20
STOP_WITHIN_S = 1


def serve(options: Options) -> int:
    """Serve until SIGTERM or SIGINT. Returns the exit code."""
    try:
        options.check()
    except ListenError as error:
        print(error, file=sys.stderr)  # noqa: T201  # for the person who starts it
        return 78
    users = Users(options.users)
    password = users.first_admin()
    site = make_site(options, users)
    config = uvicorn.Config(
        create_server_app(site),
        host=options.host,
        port=options.port,
        ssl_certfile=options.tls_cert,
        ssl_keyfile=options.tls_key,
        loop="uvloop",
        lifespan="on",
        access_log=False,
        log_level="warning",
        server_header=False,
        date_header=True,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=STOP_WITHIN_S,
        limit_concurrency=options.max_live + 300,
        h11_max_incomplete_event_size=32 * 1024,
    )
    announce(options, password)
    uvicorn.Server(config).run()
    return 0


def announce(options: Options, password: str | None) -> None:
    """Say where the page is and, once, how to get in."""
    lines = [f"Portier: {options.url}"]
    if password is not None:
        lines.append(f"First log-in: admin / {password}  (shown once; change it under My account)")
    print("\n".join(lines), file=sys.stderr, flush=True)  # noqa: T201  # shown once, not logged


def options_of(settings: Any, state: Path, overrides: Mapping[str, Any]) -> Options:
    """The page's options from the configuration. ``overrides`` win (``port=``)."""
    raise NotImplementedError
