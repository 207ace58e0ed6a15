"""``portier run``: from the command line to processes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from gateway.app import announcement, broker, control, outputs, roles
from gateway.app.configuration import load, plans
from gateway.app.parent import end_with_parent
from gateway.app.running import readiness, supervisor, welcome
from gateway.formats import UnknownFormat
from gateway.printable import in_a_text
from gateway.settings.checks import contact_secrets
from gateway.settings.model.configuration import Settings
from gateway.settings.model.link import Web
from gateway.settings.values.problems import SettingsError


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
        settings = load.settings(config, state, need=_need(names))
        for one in settings.adjusted:
            _say(str(one))
        if len(names) == 1:
            return roles.run(names[0], settings, config, state)
        to = None if log is None else welcome.Log(log, password)
        return _supervise(names, settings, config, state, bench_start, to)
    except (SettingsError, UnknownFormat) as error:  # trying again does not help
        _say(str(error))
        return supervisor.CONFIGURATION
    except roles.RoleError as error:
        _say(str(error))
    except OSError as error:
        if error.filename is None:
            raise  # not about a file: this needs its traceback
        _say(f"{error.filename}: {error.strerror}; choose another folder with --state")
    return 1


EVERYTHING = ("mqtt", "record", "web")
"""The sections whose secrets everything needs. Those of the contacts and of the heartbeat are read
when they are used: one that has gone missing is named, and takes nothing else away."""


def _need(names: Sequence[str]) -> tuple[str, ...]:
    """Whose secrets a single role needs."""
    if len(names) != 1:
        return EVERYTHING
    return {"link": ("mqtt",), "record": ("mqtt", "record")}.get(names[0], ())


def _say(text: str) -> None:
    sys.stderr.write(in_a_text(text) + "\n")
    sys.stderr.flush()


def _supervise(
    names: Sequence[str],
    settings: Settings,
    config: Path,
    state: Path,
    bench_start: str | None,
    log: welcome.Log | None,
) -> int:
    state.mkdir(parents=True, exist_ok=True)
    wanted = tuple(names) or roles.wanted(settings)
    _only_one(state)
    environment: dict[str, str] = {}
    brokered = page = None
    if "broker" in wanted:
        ports = broker.choose()
        environment = {roles.BROKER_V5: str(ports.v5), roles.BROKER_V3: str(ports.v3)}
        if log is None:
            _say(f"Broker: {ports}")
        brokered = (broker.HOST, ports.v5)
    if "web" in wanted:
        page = _page(settings)
    options = ["--config", str(config), "--state", str(state)]

    def command(role: str) -> Sequence[str]:
        more = ["--bench-start", bench_start] if bench_start and role == "control" else []
        return supervisor.command(role, [*options, *more])

    known = settings

    def valid() -> bool:
        nonlocal known
        try:
            new = load.settings(config, state, EVERYTHING, strict=True)
        except (SettingsError, OSError) as error:
            _say(f"the new configuration is refused, the old one stays:\n{error}")
            return False
        faults = contact_secrets.new_faults(contact_secrets.faults(new), known)
        taken = {one.name for one in known.adjusted}
        wrong = [*faults, *(one.problem for one in new.adjusted if one.name not in taken)]
        for one in wrong:
            _say(f"the new configuration is refused, the old one stays:\n{one}")
        known = known if wrong else new
        return not wrong

    def crashed() -> None:
        if any(not point.driver.startswith("simulated") for point in settings.points.values()):
            switch_off = [sys.executable, "-m", "gateway", "outputs", "off", *options]
            try:
                subprocess.run(switch_off, check=False)
            except OSError as error:  # no process to be had: control itself comes first
                _say(f"the outputs cannot be switched off by a process of its own: {error}")

    changed = (lambda: None) if names else _changed(wanted, config, state)
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
    one.inherits = {"web": said.fd}
    environment[announcement.ANNOUNCE] = str(said.fd)
    look.ready = lambda sentence: shown.show(sentence, said.log_in(log.password))
    _say(f"Starting {len(wanted)} processes: {', '.join(wanted)}. This takes some seconds.")
    return _stopped(one, state, config)


def _only_one(state: Path) -> None:
    """Raises :class:`roles.RoleError` where this building runs already."""
    if outputs.held(state):
        raise roles.RoleError(
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


def _page(settings: Settings) -> tuple[str, int]:
    """Where the page will listen. Raises :class:`roles.RoleError` where something else does."""
    web = settings.web or Web()
    host, port = web.host, roles.web_port() or web.port
    if not broker.free(host, port):
        other = next((p for p in range(port + 1, port + 100) if broker.free(host, p)), port + 1)
        raise roles.RoleError(
            f"port {port} on {host} is in use by another program. Choose another one: "
            f"make run PORT={other} (or PORT={other} portier run), or stop that program."
        )
    return host, port
