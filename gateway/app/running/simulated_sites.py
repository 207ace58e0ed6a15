"""``make run-sites``: three simulated gateways, a broker, a recorder and the page of a centre.

Each gateway and the centre is a ``portier run`` of its own, with its own supervisor and log, in a
folder of its own below one folder. What is missing there is made at the start: configurations,
keys, first log-ins. A second start goes on with what is there.

A gateway that ends is named and left alone: seeing that the centre says so is what this is for.
"""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gateway import durable, locks
from gateway.app import broker, connections
from gateway.app.parent import PARENT, end_with_parent
from gateway.app.running import readiness, welcome
from gateway.app.running.supervisor import end
from gateway.printable import in_a_text
from gateway.settings.values.secrets import Secret, places

CONFIG, STATE = Path("config/bench.yaml"), Path("state/sites")
FIRST_PORT = 8080
STOP_WITHIN_S = 1.8
TURN_S = 0.25
CENTRE = "centre"
GATEWAY_ROLES = ("control", "link", "web")
_SIGNALS = {signal.SIGINT, signal.SIGTERM, signal.SIGCHLD}
_CENTRE_FILE = """\
# yaml-language-server: $schema=../../../config/schema.json
# Made by `make run-sites`, which leaves it alone from then on.

sites: {{name: Drei Häuser (Prüfstand), bench: true}}
groups:
  Wohnpark Am Bernsdorfer Bad: [{parks}]
  Verwaltung: [{office}]
mqtt: embedded
record: sqlite
web: {{listen: 127.0.0.1:8080}}
"""


@dataclass(frozen=True, slots=True)
class SimulatedSite:
    """A gateway. ``rights``: what it lets the centre ask for."""

    id: str
    name: str
    door: str
    door_name: str
    room_name: str
    rights: str


SITES = (
    SimulatedSite(
        "bad-1", "Haus 1 (Prüfstand)", "front", "Haupteingang", "Pflegebad",
        "may: [acknowledge, open], doors: [front]",
    ),
    SimulatedSite(
        "bad-2", "Haus 2 (Prüfstand)", "garden", "Gartentür", "Gästebad", "may: [acknowledge]"
    ),
    SimulatedSite(
        "csg-office", "Geschäftsstelle (Prüfstand)", "front", "Haupteingang", "Barrierefreies WC",
        "may: [acknowledge]",
    ),
)  # fmt: skip
OPENS, REFUSES = SITES[0], SITES[1]


def configuration(site: SimulatedSite, bench: str) -> str:
    """The configuration of a site, made of that of the bench."""
    text, _, _ = bench.partition("\nmqtt: ")
    for old, new in (
        ("id: csg-office", f"id: {site.id}"),
        ("name: Geschäftsstelle (Prüfstand)", f"name: {site.name}"),
        ("name: Haupteingang", f"name: {site.door_name}"),
        ("name: Barrierefreies WC", f"name: {site.room_name}"),
        ("front.", f"{site.door}."),
        ("\n  front:", f"\n  {site.door}:"),
    ):
        if old not in text:
            raise ValueError(f"the configuration of the bench has no {old.strip()!r}")
        text = text.replace(old, new)
    return text + (
        "\n# What the centre may ask for is decided here.\n"
        "mqtt:\n"
        "  embedded: yes\n"
        "  issuers:\n"
        f"    sites: {{key: !secret sites_key, {site.rights}}}\n"
        "record: {store: none, expect: [centre]} # the centre's recorder has everything\n"
        "web: {listen: 127.0.0.1:8080}\n"
    )


@dataclass(slots=True)
class Part:
    """The centre, or a gateway. ``password``: of the user ``admin``, at the first start only."""

    name: str
    heading: str
    folder: Path
    roles: Sequence[str]
    port: int
    password: str = ""
    process: subprocess.Popen[bytes] | None = None

    @property
    def config(self) -> Path:
        return self.folder / "portier.yaml"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def log(self) -> Path:
        return self.folder / "portier.log"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def runs(self) -> bool:
        return self.process is not None and self.process.poll() is None


def parts(folder: Path, first_port: int) -> list[Part]:
    """The centre and the gateways, with free ports for their pages."""
    used: list[int] = []

    def port() -> int:
        least = max([first_port - 1, *used]) + 1
        found = next(one for one in range(least, 65_536) if broker.free("127.0.0.1", one))
        used.append(found)
        return found

    return [
        Part(CENTRE, "Centre", folder / CENTRE, (), port()),
        *(Part(one.id, one.name, folder / one.id, GATEWAY_ROLES, port()) for one in SITES),
    ]


# --- what is made at the first start --------------------------------------------------------


def make(all_parts: Sequence[Part], bench: Path) -> None:
    """Make what is missing: configurations, users, and the key of each gateway.

    :raises OSError: a file cannot be read or written
    :raises gateway.sites.keys.KeysError: the keys cannot be read
    """
    centre, *gateways = all_parts
    for part in all_parts:
        part.state.mkdir(parents=True, exist_ok=True)
        part.password = _first_password(part)
    parks, office = ", ".join(one.id for one in SITES[:-1]), SITES[-1].id
    _write_new(centre.config, _CENTRE_FILE.format(parks=parks, office=office))
    for site, part in zip(SITES, gateways, strict=True):
        if not part.config.exists():
            _write_new(part.config, configuration(site, bench.read_text(encoding="utf-8")))
    _enrol(centre, gateways)


def _write_new(path: Path, text: str) -> None:
    if not path.exists():
        durable.write(path, text.encode(), 0o644)


def _first_password(part: Part) -> str:
    from gateway.web.identity.users import Users, users_file

    path = users_file(part.state)
    path.parent.mkdir(parents=True, exist_ok=True)
    users = Users(path, gateway="sites" if part.name == CENTRE else part.name)
    try:
        return users.first_admin() or ""
    finally:
        users.close()


def _enrol(centre: Part, gateways: Sequence[Part]) -> None:
    from gateway.sites.handover import SECRET as THEIR_SECRET
    from gateway.sites.keys import SECRET, Keys

    keys = Keys(centre.state, Secret(SECRET, places(centre.config)))
    for part in gateways:
        key, file = keys.key(part.name), part.folder / "secrets" / THEIR_SECRET
        if key is None or not file.exists():
            file.parent.mkdir(mode=0o700, exist_ok=True)
            durable.write(file, (key or keys.enrol(part.name)) + b"\n", 0o600)


# --- running ----------------------------------------------------------------------------------


@dataclass(slots=True)
class Run:
    """Everything that is started, until the end. ``say`` writes a line for people."""

    parts: Sequence[Part]
    ports: broker.Ports
    folder: Path
    _pipe: tuple[int, int] = (-1, -1)
    _ended: set[str] = field(default_factory=set)

    def run(self) -> int:
        """Run until a signal; the exit status."""
        old = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        self._pipe = os.pipe()
        try:
            for part in self.parts:
                self._start(part)
            self._watch()
            return 0
        finally:
            self._stop()
            for fd in self._pipe:
                os.close(fd)
            signal.pthread_sigmask(signal.SIG_SETMASK, old)

    def _start(self, part: Part) -> None:
        environment = {
            **os.environ,
            "PORT": str(part.port),
            connections.BROKER_V5: str(self.ports.v5),
            connections.BROKER_V3: str(self.ports.v3),
            PARENT: str(self._pipe[0]),
        }
        arguments = ["run", *part.roles, "--config", str(part.config), "--state", str(part.state)]
        fd = welcome.rotated(part.log)
        try:
            part.process = subprocess.Popen(
                [sys.executable, "-m", "gateway", *arguments],
                env=environment,
                pass_fds=(self._pipe[0],),
                stdin=subprocess.DEVNULL,
                stdout=fd,
                stderr=fd,
                start_new_session=True,  # Ctrl-C is for this process, which ends all at once
                preexec_fn=_unblock,  # noqa: PLW1509 - this process has no threads
            )
        finally:
            os.close(fd)

    def _watch(self) -> None:
        look = readiness.Readiness(self._check, _say, ready=self._ready)
        is_ready = False
        while True:
            if not is_ready:
                is_ready = look.look()
            got = signal.sigtimedwait(_SIGNALS, TURN_S)
            if got is not None and got.si_signo != signal.SIGCHLD:
                return
            for part in self.parts:
                if not part.runs() and part.name not in self._ended:
                    self._ended.add(part.name)
                    _say(
                        f"{part.heading} has ended; the others go on. Why is in {part.log}. "
                        "It comes back with the next make run-sites."
                    )

    def _check(self) -> Mapping[str, str]:
        found = {"broker": readiness.broker_check(broker.HOST, self.ports.v5)}
        for part in self.parts:
            looked = readiness.Parts(
                part.roles or ("sites",),
                part.state,
                lambda _, part=part: part.runs(),  # type: ignore[misc]  # mypy knows no default
                ("127.0.0.1", part.port),
            )
            found[part.name] = "; ".join(dict.fromkeys(filter(None, looked.check().values())))
        return found

    def _ready(self, sentence: str) -> None:
        welcome.show_box("Three sites, one page (bench)", list(self._rows()), sentence)

    def _rows(self) -> Iterator[tuple[str, str]]:
        for part in self.parts:
            yield part.heading, part.url
            if part.password:
                yield "", f"log in: admin, password {part.password}"
        if not any(part.password for part in self.parts):
            yield "Log in", "admin, as at the first start"
        yield "", ""
        bench = f"{_portier()} bench press wc"
        opens, refuses = (
            next(part for part in self.parts if part.name == site.id) for site in (OPENS, REFUSES)
        )
        at = f"--state {shlex.quote(str(opens.state))}"
        yield "Try", f"1. Pull the cord in {opens.name} and see the call on the centre's page:"
        yield "", f"   {bench}.cord {at}"
        yield "", "2. Say on the centre's page who goes; then end the call in the room:"
        yield "", f"   {bench}.cancel {at}"
        yield "", f"3. Open {OPENS.door_name} of {opens.name} there; {REFUSES.door_name} of "
        yield "", f"   {refuses.name} has no button there: its configuration does not allow it"
        if refuses.process is not None:
            yield "", f"4. Switch {refuses.name} off and see it named: kill {refuses.process.pid}"
            yield "", "   It comes back when you stop everything and start it again"
        yield "", ""
        yield "Broker", str(self.ports)
        yield "Logs", f"{self.folder}/*/portier.log"
        yield "Stop", "Ctrl-C"

    def _stop(self) -> None:
        """Where a gateway is killed, its roles notice, and end by themselves."""
        end([part.process for part in self.parts if part.process is not None], STOP_WITHIN_S)


def _portier() -> str:
    """The command beside this Python, for lines that somebody is to copy."""
    beside = Path(sys.executable).with_name("portier")
    return os.path.relpath(beside) if beside.is_relative_to(Path.cwd()) else str(beside)


def _unblock() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)


def _say(text: str) -> None:
    sys.stderr.write(in_a_text(text) + "\n")
    sys.stderr.flush()


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status."""
    from gateway.sites.keys import KeysError

    parser = argparse.ArgumentParser(prog="make run-sites", description=__doc__)
    parser.add_argument("--config", type=Path, default=CONFIG, help="the bench's configuration")
    parser.add_argument("--state", type=Path, default=STATE, help="the folder of all of it")
    given = parser.parse_args(arguments)
    folder: Path = given.state
    end_with_parent()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with locks.held(folder / "run-sites.lock", 0):
            ports = broker.choose()
            all_parts = parts(folder, connections.web_port() or FIRST_PORT)
            make(all_parts, given.config)
            _say(f"Starting the centre and {len(SITES)} gateways. This takes half a minute.")
            status = Run(all_parts, ports, folder).run()
    except locks.LockedError:
        _say(f"make run-sites runs already on {folder}: stop it with Ctrl-C in its terminal")
        return 1
    except (connections.RoleError, KeysError, ValueError) as error:
        _say(str(error))
        return 1
    except OSError as error:
        _say(f"{error.filename}: {error.strerror}; choose another folder: make run-sites STATE=…")
        return 1
    if sys.stderr.isatty():
        sys.stderr.write("\r")  # the terminal has written ^C
    _say(
        f"Stopped: every process has ended. {folder} keeps what happened; make run-sites goes on "
        "from there."
    )
    return status


if __name__ == "__main__":
    sys.exit(main())
