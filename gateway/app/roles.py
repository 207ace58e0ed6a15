"""Every role but ``control``: from the configuration to what the package of each needs."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, MutableMapping
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

from gateway import threads
from gateway.app import broker, places
from gateway.app.configuration import mqtt_points, people, plans
from gateway.app.connections import (
    CENTRE,
    Configuration,
    RoleError,
    broker_settings,
    certificates,
    mqtt_of,
    page_certificate,
    ports,
    secret_text,
    web_port,
)
from gateway.control.log import Repeats, cause
from gateway.printable import in_a_line, in_a_text
from gateway.settings.model.configuration import Settings
from gateway.settings.model.sites import SitesSettings
from gateway.settings.plan.cache import lives_of
from gateway.settings.values.secrets import SecretError

ROLES = ("control", "broker", "record", "link", "notify", "web", "sites")
"""In the order in which they are started: a recorder that has not subscribed yet when ``link``
begins has to ask for what it missed."""

OF_CENTRES = ("broker", "record", "sites")
"""Those that the configuration of a centre may name."""
OVERLAY_EVERY_S = 2.0
Line = MutableMapping[str, Any]


def wanted(settings: Configuration) -> tuple[str, ...]:
    """The roles that the configuration names."""
    mqtt = settings.mqtt
    have: dict[str, bool]
    if isinstance(settings, SitesSettings):
        have = {
            "broker": settings.mqtt.embedded,
            "record": settings.record is not None,
            "sites": settings.web is not None,
        }
        return tuple(role for role in ROLES if have.get(role))
    have = {
        "control": True,
        "broker": mqtt is not None and mqtt.embedded,
        "link": mqtt is not None,
        "record": mqtt is not None and settings.record is not None,
        "notify": bool(settings.contacts) or settings.heartbeat is not None,
        "web": settings.web is not None,
    }
    return tuple(role for role in ROLES if have.get(role))


def check(role: str, settings: Configuration) -> None:
    """Raises :class:`RoleError` where this configuration has no such role."""
    is_centre = isinstance(settings, SitesSettings)
    if is_centre and role not in OF_CENTRES:
        raise RoleError(
            f"{role} is a role of a gateway, and this is the configuration of a centre; its roles "
            f"are {', '.join(OF_CENTRES)}"
        )
    if role == "sites" and not is_centre:
        raise RoleError(
            "sites is the role of a centre, and this is the configuration of a gateway; name that "
            "of the centre with --config"
        )


def run(role: str, settings: Configuration, config: Path, state: Path) -> int:
    """Be this role until told to stop; the exit status. Raises :class:`RoleError`."""
    check(role, settings)
    threads.guard()
    state.mkdir(parents=True, exist_ok=True)
    _log(role)
    try:
        if role == "broker":
            return _embedded(state)
        if role == "record":
            return _record(settings, config, state)
        if isinstance(settings, SitesSettings):
            from gateway.app import centre

            return centre.run(settings, config, state)
        if role == "web":
            return _web(settings, config, state)
        if role == "notify":
            stop = _stop_event()
            _end_when_changed(state, stop)
            return people.run(settings, config, state, stop)
        return _link(settings, config, state)
    except SecretError as error:
        raise RoleError(str(error)) from error


def _log(role: str) -> None:
    """Lines for people on a terminal, JSON elsewhere; on standard error, as ``control`` does."""
    terminal = sys.stderr.isatty()
    if not terminal:
        # structlog takes rich where there is any: 5 MB in each role, for colours
        sys.modules.setdefault("rich", None)  # type: ignore[arg-type]  # as Python documents it
    import structlog

    renderer: Any = structlog.dev.ConsoleRenderer() if terminal else None
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            once_per_cause(structlog.DropEvent),
            structlog.processors.format_exc_info,
            *([printable] if terminal else []),  # JSON has escapes
            structlog.processors.TimeStamper("%H:%M:%S" if terminal else "iso", utc=not terminal),
            renderer or structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    structlog.contextvars.bind_contextvars(role=role)


def printable(_logger: Any, _level: str, line: Line) -> Line:
    """A processor of structlog: no text of a line steers the terminal. A traceback keeps its
    lines."""
    for name, value in line.items():
        if isinstance(value, str):
            line[name] = in_a_text(value) if name == "exception" else in_a_line(value)
        elif not isinstance(value, bool | int | float | None):
            line[name] = in_a_line(str(value))
    return line


def once_per_cause(drop: type[BaseException]) -> Callable[[Any, str, Line], Line]:
    """A processor of structlog that leaves out what repeats: equal lines, where numbers do not
    count, and neither do those within a reason. ``drop`` is raised for a line left out."""
    repeats = Repeats()
    of_the_cause = ("reason", "detail", "error")

    def process(_logger: Any, level: str, line: Line) -> Line:
        key = [level]
        for name, value in line.items():
            if isinstance(value, str):
                key.append(f"{name}={cause(value) if name in of_the_cause else value}")
        left_out = repeats.left_out(tuple(key))
        if left_out is None:
            raise drop
        if left_out:
            line["repeated"] = left_out
        return line

    return process


def _stop_event() -> threading.Event:
    stop = threading.Event()

    def handler(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, handler)
    signal.signal(signal.SIGINT, handler)
    return stop


def _end_when_changed(state: Path, stop: threading.Event) -> None:
    """Contacts that were changed on the page count for a role that starts afresh, and whoever
    looks after it starts it again."""
    first = plans.written(state)

    def watch() -> None:
        while not stop.wait(OVERLAY_EVERY_S):
            if plans.written(state) != first:
                stop.set()

    threading.Thread(target=watch, name="overlay", daemon=True).start()


def _link(settings: Settings, config: Path, state: Path) -> int:
    from zoneinfo import ZoneInfo

    from gateway.app.configuration import issuers
    from gateway.link.discovery import Described, DescribedPoint
    from gateway.link.main import LinkSettings, run

    mqtt = mqtt_of(settings.mqtt)
    client = mqtt.client or f"portier-{settings.gateway.id}"
    run(
        LinkSettings(
            settings.gateway.id,
            broker_settings(client, mqtt, config),
            state,
            issuers.of(settings),
            settings.gateway.languages[0] if mqtt.home_assistant else "",
            settings.gateway.bench,
            listens=mqtt_points.of(settings.points.values()),
            places=places.of(settings),
            described=Described(
                {
                    point: DescribedPoint(**told)
                    for point, told in places.described(settings).items()
                },
                (settings.web and settings.web.public_url) or "",
            ),
            zone=ZoneInfo(settings.gateway.timezone),
        ),
        _stop_event(),
    )
    return 0


def _record(settings: Configuration, config: Path, state: Path) -> int:
    from gateway.journal.schema import DAMAGED
    from gateway.mqtt.subscription import KEEPALIVE_S
    from gateway.recorder.main import RecorderSettings, run
    from gateway.recorder.state import StateInUseError

    record = settings.record
    if record is None:
        raise RoleError("record: is not configured; add it, or do not start the role")
    own = settings.gateway.id if isinstance(settings, Settings) else CENTRE
    # a share keeps its name at the broker when the number of shares changes, and what waits there
    share = f"-{record.share.number}" if record.share.number > 1 else ""
    client = f"portier-{own}-{record.name}{share}"
    try:
        run(
            RecorderSettings(
                replace(
                    broker_settings(client, mqtt_of(settings.mqtt), config, record.tls),
                    keepalive_s=KEEPALIVE_S,
                ),
                record.address,
                state / "record",
                record.name,
                record.silent_after_ms,
                () if record.gateways == "all" else record.gateways or (own,),
                secret=secret_text(record.token or record.password),
                lives_ms=lives_of(settings),
                limit_bytes=record.limit_bytes,
                share=record.share,
            ),
            _stop_event(),
        )
    except StateInUseError as error:
        sys.stderr.write(f"record: {error}\n")
        return 1
    except DAMAGED as error:
        # whoever looks after it starts it again; until then the broker and the journal keep all
        sys.stderr.write(f"record: the state in {state / 'record'} cannot be used: {error}\n")
        return 1
    return 0


def _embedded(state: Path) -> int:
    chosen = ports()
    for port in (chosen.v5, chosen.v3):
        if not broker.free(broker.HOST, port):
            raise RoleError(
                f"port {port} on {broker.HOST} is in use by another program. Stop that program, "
                "or start Portier again: it then takes another port."
            )
    broker.run(chosen, state)
    return 0


def _web(settings: Settings, config: Path, state: Path) -> int:
    from gateway.app.announcement import announce
    from gateway.app.certificates.reading import begins, ends, roots
    from gateway.web.serve import options_of, serve

    overrides: dict[str, Any] = {}
    if settings.web is not None and settings.web.tls is not None:
        beside = config.absolute().parent
        overrides["tls_cert"] = beside / settings.web.tls.cert
        overrides["tls_key"] = beside / settings.web.tls.key
    files = certificates(settings, config)
    overrides["certificates"] = lambda: ends(files)
    overrides["certificate_begins"] = lambda: begins(files)
    page = page_certificate(settings, config)
    if page is not None:
        overrides["roots"] = lambda: roots(page)
    if port := web_port():
        overrides["port"] = port
    return serve(options_of(settings, state, overrides), announce)
