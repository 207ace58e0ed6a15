"""``portier run``: from the command line to processes."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from gateway import locks
from gateway.app import announcement, broker, connections, control, outputs, roles
from gateway.app.configuration import load, plans
from gateway.app.connections import Configuration
from gateway.app.parent import end_with_parent
from gateway.app.running import readiness, supervisor, welcome
from gateway.formats import UnknownFormat
from gateway.printable import in_a_text
from gateway.settings.checks import contact_secrets
from gateway.settings.model.configuration import Settings
from gateway.settings.model.link import Web
from gateway.settings.values.problems import SettingsError

REFUSED = "the new configuration is refused, the old one stays"
LOCK = "centre.lock"
"""In the state folder: a centre runs on it."""


def run(
    names: Sequence[str],
    config: Path,
    state: Path,
    bench_start: str | None,
    log: Path | None = None,
    password: str = "",
) -> int:
    """Start the roles; the exit status. ``log``: a file for what the roles write, the terminal then
    shows how to begin instead. ``password``: of the user ``admin``, to be shown there."""
    wrong = [name for name in names if name not in roles.ROLES]
    if wrong:
        _say(f"there is no role {wrong[0]}; the roles are {', '.join(roles.ROLES)}")
        return 2
    if list(names) == ["control"]:
        return control.main(control.Options(config, state, bench_start))
    end_with_parent()
    try:
        settings = _settings(names, config, state)
        if len(names) == 1:
            return roles.run(names[0], settings, config, state)
        to = None if log is None else welcome.Log(log, password)
        return _supervise(names, settings, config, state, bench_start, to)
    except (SettingsError, UnknownFormat) as error:  # trying again does not help
        _say(str(error))
        return supervisor.CONFIGURATION
    except connections.RoleError as error:
        _say(str(error))
    except OSError as error:
        if error.filename is None:
            raise  # not about a file: this needs its traceback
        _say(f"{error.filename}: {error.strerror}; choose another folder with --state")
    return 1


def _settings(names: Sequence[str], config: Path, state: Path) -> Configuration:
    """The configuration, of a gateway or of a centre."""
    if load.of_centre(config):
        return load.sites(config, _need(names))
    settings = load.settings(config, state, need=_need(names))
    for one in settings.adjusted:
        _say(str(one))
    return settings


EVERYTHING = ("mqtt", "record", "web")
"""The sections whose secrets everything needs. Those of the contacts and of the heartbeat are read
when they are used: one that has gone missing is named, and takes nothing else away."""


def _need(names: Sequence[str]) -> tuple[str, ...]:
    """Whose secrets a single role needs."""
    if len(names) != 1:
        return EVERYTHING
    return {"link": ("mqtt",), "sites": ("mqtt",), "record": ("mqtt", "record")}.get(names[0], ())


def _say(text: str) -> None:
    sys.stderr.write(in_a_text(text) + "\n")
    sys.stderr.flush()


def _supervise(
    names: Sequence[str],
    settings: Configuration,
    config: Path,
    state: Path,
    bench_start: str | None,
    log: welcome.Log | None,
) -> int:
    state.mkdir(parents=True, exist_ok=True)
    wanted = tuple(names) or roles.wanted(settings)
    for name in wanted:
        roles.check(name, settings)
    with contextlib.ExitStack() as held:
        if isinstance(settings, Settings):
            _only_one(state)
        else:
            held.enter_context(_only_centre(state))
        return _processes(wanted, settings, config, state, bench_start, log, named=bool(names))


def _processes(
    wanted: Sequence[str],
    settings: Configuration,
    config: Path,
    state: Path,
    bench_start: str | None,
    log: welcome.Log | None,
    *,
    named: bool,
) -> int:
    """Run these roles until told to stop; the exit status. ``named``: the command line names
    them, so they do not follow the configuration."""
    environment: dict[str, str] = {}
    brokered = page = None
    if "broker" in wanted:
        given = connections.BROKER_V5 in os.environ  # whoever has started us has chosen
        ports = connections.ports() if given else broker.choose()
        environment = {connections.BROKER_V5: str(ports.v5), connections.BROKER_V3: str(ports.v3)}
        if log is None:
            _say(f"Broker: {ports}")
        brokered = (broker.HOST, ports.v5)
    if "web" in wanted or "sites" in wanted:
        page = _page(settings.web or Web())
    options = ["--config", str(config), "--state", str(state)]

    def command(role: str) -> Sequence[str]:
        more = ["--bench-start", bench_start] if bench_start and role == "control" else []
        return supervisor.command(role, [*options, *more])

    changed: Callable[[], Sequence[str] | None] = _never
    crashed: Callable[[], None] = _never
    valid: Callable[[], bool] = partial(_valid_centre, config)
    if isinstance(settings, Settings):
        valid, crashed = _valid(settings, config, state), _crashed(settings, options)
        if not named:
            changed = _changed(wanted, config, state)
    one = supervisor.Supervisor(wanted, command, environment, _say, crashed, valid, changed=changed)
    tls = settings.web is not None and settings.web.tls is not None
    parts = readiness.Parts(wanted, state, one.runs, page, tls, brokered)
    look = readiness.Readiness(parts.check, _say)
    one.tick = look.look
    if log is None:
        return _stopped(one, state, config)
    shown = welcome.Welcome(settings, state, log.file, str(ports) if "broker" in wanted else "")
    one.log = welcome.rotated(log.file)
    said = announcement.Announcement()
    one.inherits = {"web": said.fd, "sites": said.fd}
    environment[announcement.ANNOUNCE] = str(said.fd)
    look.ready = lambda sentence: shown.show(sentence, said.log_in(log.password))
    _say(f"Starting {len(wanted)} processes: {', '.join(wanted)}. This takes some seconds.")
    return _stopped(one, state, config)


def _never() -> None:
    """Nothing has changed, and nothing is to be done."""


def _valid(known: Settings, config: Path, state: Path) -> Callable[[], bool]:
    """Whether the configuration that is there now can be taken over; what is wrong with it is
    said."""

    def valid() -> bool:
        nonlocal known
        try:
            new = load.settings(config, state, EVERYTHING, strict=True)
        except (SettingsError, OSError) as error:
            _say(f"{REFUSED}:\n{error}")
            return False
        faults = contact_secrets.new_faults(contact_secrets.faults(new), known)
        taken = {one.name for one in known.adjusted}
        wrong = [*faults, *(one.problem for one in new.adjusted if one.name not in taken)]
        for one in wrong:
            _say(f"{REFUSED}:\n{one}")
        known = known if wrong else new
        return not wrong

    return valid


def _valid_centre(config: Path) -> bool:
    try:
        load.sites(config, EVERYTHING)
    except (SettingsError, OSError) as error:
        _say(f"{REFUSED}:\n{error}")
        return False
    return True


def _crashed(settings: Settings, options: Sequence[str]) -> Callable[[], None]:
    """What is done after ``control`` has ended without an order."""

    def crashed() -> None:
        if any(not point.driver.startswith("simulated") for point in settings.points.values()):
            switch_off = [sys.executable, "-m", "gateway", "outputs", "off", *options]
            try:
                subprocess.run(switch_off, check=False)
            except OSError as error:  # no process to be had: control itself comes first
                _say(f"the outputs cannot be switched off by a process of its own: {error}")

    return crashed


@contextlib.contextmanager
def _only_centre(state: Path) -> Iterator[None]:
    """Raises :class:`connections.RoleError` where this centre runs already."""
    try:
        with locks.held(state / LOCK, 0):
            yield
    except locks.LockedError:
        raise connections.RoleError(
            f"this centre runs already on {state}. Stop it with Ctrl-C in its terminal, or start "
            "a second one: portier run --state FOLDER --config FILE"
        ) from None


def _only_one(state: Path) -> None:
    """Raises :class:`connections.RoleError` where this building runs already."""
    if outputs.held(state):
        raise connections.RoleError(
            f"control already runs on {state}: this building is running. Stop it with Ctrl-C in "
            "its terminal, or start a second one: make run STATE=state/second PORT=8081 (or "
            "portier run --state FOLDER)"
        )


def _stopped(one: supervisor.Supervisor, state: Path, config: Path) -> int:
    """Run until the end, and say what the end was; the exit status."""
    status = one.run()
    if status == 0:
        if sys.stderr.isatty():
            sys.stderr.write("\r")  # the terminal has written ^C
        again = {"bench.yaml": "make run", "demo.yaml": "make demo"}.get(config.name, "portier run")
        _say(
            f"Stopped: every process has ended. {state} keeps what happened; "
            f"{again} goes on from there."
        )
    return status


def _changed(
    wanted: Sequence[str], config: Path, state: Path
) -> Callable[[], Sequence[str] | None]:
    """The first contact that the page adds needs ``notify``, and the last one that it takes
    away ends it: nothing runs, and takes memory, for nobody."""
    written = plans.written(state)

    def look() -> Sequence[str] | None:
        nonlocal written
        now = plans.written(state)
        if now == written:
            return None
        written = now
        try:
            tells = "notify" in roles.wanted(load.settings(config, state, need=()))
        except (SettingsError, OSError):
            return None
        rest = [role for role in wanted if role != "notify"]
        return [*rest, "notify"] if tells else rest

    return look


def _page(web: Web) -> tuple[str, int]:
    """Where the page will listen. Raises :class:`connections.RoleError` where it cannot."""
    host, port = web.host, connections.web_port() or web.port
    if not broker.free(host, port):
        other = next((p for p in range(port + 1, port + 100) if broker.free(host, p)), port + 1)
        raise connections.RoleError(
            f"port {port} on {host} is in use by another program. Choose another one: "
            f"make run PORT={other} (or PORT={other} portier run), or stop that program."
        )
    return host, port
