"""A Debian that boots in a container: its own processes, users, cgroup and loopback, nothing else
of this machine's network, and no right to set the clock.

Everything runs in a process namespace and a mount namespace of its own. They end with one
process, so that neither a container nor a mount can stay behind, however the tests end.
"""

from __future__ import annotations

import contextlib
import ctypes
import http.client
import json
import os
import select
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

BOOT_WITHIN_S = 180.0
_CLONE_NEWNET = 0x40000000
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)

_START = """
set -eu
mount -t overlay overlay -o "lowerdir=$1,upperdir=$2,workdir=$3" "$4"
shift 4
systemd-nspawn "$@" || exit
exit 0
"""
"""As the first process of its namespace; without the last line dash would become nspawn."""


class MachineError(Exception):
    """The system did not do what every Debian does; the text says what it said."""


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a command."""

    status: int
    out: str

    def check(self) -> str:
        """The output. Fails where the command has failed."""
        assert self.status == 0, f"exit status {self.status}\n{self.out[-4000:]}"
        return self.out


@dataclass
class Machine:
    """``layers``: folders of a system, the uppermost first. What is written goes to ``folder``."""

    layers: Sequence[Path]
    folder: Path
    binds: Mapping[Path, str] = field(default_factory=dict)
    """Folders of this machine -> where they are seen, read-only, while it runs."""
    _process: subprocess.Popen[bytes] | None = None
    _cgroups: list[Path] = field(default_factory=list)
    _leader: int = 0

    @property
    def upper(self) -> Path:
        """What this system has written, as a folder; a layer of others once it is stopped."""
        return self.folder / "upper"

    def write(self, name: str, text: str, mode: int = 0o644) -> None:
        """Write a file, running or not; missing folders are made."""
        file = self.inside(name)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        file.chmod(mode)

    def read(self, name: str) -> str:
        return self.inside(name).read_text(encoding="utf-8")

    def inside(self, name: str) -> Path:
        """Where a file of the machine is seen from outside, running or not."""
        top = Path(f"/proc/{self._leader}/root") if self._leader else self.upper
        return top / name.lstrip("/")

    # --- on and off -----------------------------------------------------------------------

    def boot(self) -> None:
        """Start it, and wait until systemd has nothing left to start."""
        for name in ("upper", "work", "merged"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        lower = ":".join(str(layer) for layer in self.layers)
        self._make_cgroups()
        console = (self.folder / "console").open("ab")
        binds = [f"--bind-ro={source}:{target}" for source, target in self.binds.items()]
        self._process = subprocess.Popen(
            [
                *("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"),
                *("sh", "-c", _START, "sh", lower, str(self.upper)),
                *(str(self.folder / "work"), str(self.folder / "merged")),
                *("--quiet", f"--directory={self.folder / 'merged'}", "--boot"),
                *("--register=no", "--keep-unit", "--resolv-conf=off", "--private-network"),
                "--system-call-filter=adjtimex clock_adjtime",  # as it is on a real machine
                *("--hostname=gateway", *binds),
            ],
            env={"PATH": os.environ["PATH"], "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=self._in_its_cgroup,  # noqa: PLW1509 - no thread holds a lock it needs
        )
        console.close()
        deadline = time.monotonic() + BOOT_WITHIN_S
        while not self._up():
            if self._process.poll() is not None or time.monotonic() > deadline:
                said = (self.folder / "console").read_text(encoding="utf-8", errors="replace")
                self.kill()
                raise MachineError(f"it does not boot: {said[-2000:]}")
            time.sleep(0.1)

    def kill(self) -> None:
        """Everything is killed at once: no unit is stopped. What was written stays, this
        machine's page cache included."""
        if self._process is not None:
            with contextlib.ExitStack() as stack:
                first = -1
                with contextlib.suppress(OSError):  # it had not come so far
                    first = os.pidfd_open(self._leader or _first_of(self._process.pid) or -1)
                    stack.callback(os.close, first)
                self._process.kill()
                self._process.wait()
                if first >= 0:  # it ends after `unshare`, and its mounts with it
                    select.select([first], [], [], 60)
        self._left()

    def stop(self) -> None:
        """Shut it down in order."""
        assert self._process is not None
        self.run("systemctl", "poweroff", "--no-block")
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self.kill()
            raise MachineError("it does not shut down") from None
        self._left()

    def _left(self) -> None:
        self._process, self._leader = None, 0
        for group in self._cgroups:
            for inner in sorted(group.rglob("*/"), reverse=True):
                with contextlib.suppress(OSError):  # what has just died is still in there
                    inner.rmdir()
            with contextlib.suppress(OSError):
                group.rmdir()
        self._cgroups = []

    def _make_cgroups(self) -> None:
        """Without one of its own it would share its tree with every other container here."""
        for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines():
            _, mount, kind, options, *_ = line.split()
            if kind == "cgroup2" or (kind == "cgroup" and "name=systemd" in options.split(",")):
                group = Path(mount) / f"portier-system-{os.getpid()}-{id(self):x}"
                group.mkdir(exist_ok=True)
                self._cgroups.append(group)

    def _in_its_cgroup(self) -> None:
        for group in self._cgroups:
            (group / "cgroup.procs").write_text(str(os.getpid()))
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

    def _up(self) -> bool:
        assert self._process is not None
        if not self._leader:
            self._leader = _first_of(self._process.pid)
            if not self._leader:
                return False
        done = self.run("systemctl", "is-system-running", "--wait")
        if done.out.strip() in ("running", "degraded"):
            return True
        self._leader = 0
        return False

    # --- inside ---------------------------------------------------------------------------

    def run(
        self,
        *command: str,
        text: str = "",
        timeout_s: float = 300.0,
        environment: Mapping[str, str] | None = None,
    ) -> Done:
        """Run a command as root and wait for it; both of its outputs."""
        done = subprocess.run(
            self._entered(command, environment),
            input=text,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
        )
        return Done(done.returncode, done.stdout)

    @contextlib.contextmanager
    def running(
        self, *command: str, environment: Mapping[str, str] | None = None
    ) -> Iterator[subprocess.Popen[str]]:
        """A command as root that runs meanwhile; its output is for the test to read."""
        process = subprocess.Popen(
            self._entered(command, environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()

    def _entered(self, command: Sequence[str], environment: Mapping[str, str] | None) -> list[str]:
        return [
            *("nsenter", "-t", str(self._leader), "-a", "setpriv"),
            *("--bounding-set=-sys_time,-sys_module,-sys_boot", "--inh-caps=-all"),
            *("env", "-i", "HOME=/root", "LANG=C.UTF-8"),
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            *(f"{name}={value}" for name, value in (environment or {}).items()),
            *command,
        ]

    def ok(self, *command: str, **more: Any) -> str:
        """Run a command that has to succeed; its output."""
        return self.run(*command, **more).check()

    def show(self, unit: str, what: str) -> str:
        """One property of a unit."""
        return self.ok("systemctl", "show", "-P", what, unit).strip()

    def log(self, unit: str) -> list[dict[str, Any]]:
        """What a unit has said in this boot: the journal's entries, our JSON as ``said``."""
        found = []
        out = self.ok("journalctl", "-b", "-u", unit, "-o", "json", "--no-pager")
        for line in out.splitlines():
            entry = json.loads(line)
            message = entry.get("MESSAGE")
            entry["said"] = {}
            if isinstance(message, str) and message.startswith("{"):
                with contextlib.suppress(ValueError):
                    entry["said"] = json.loads(message)
            found.append(entry)
        return found

    # --- its network ----------------------------------------------------------------------

    def connect(self, host: str, port: int, timeout_s: float = 30.0) -> socket.socket:
        """A connection that is made from inside. Raises :class:`OSError`."""
        return self._from_inside(lambda: socket.create_connection((host, port), timeout_s))

    def listen(self, port: int) -> socket.socket:
        """A socket that listens on the machine's loopback, and is served by the test."""
        return self._from_inside(lambda: socket.create_server(("127.0.0.1", port)))

    def _from_inside(self, make: Callable[[], socket.socket]) -> socket.socket:
        """A socket belongs to the network of the thread that has made it; this one ends."""
        found: list[socket.socket] = []
        failed: list[OSError] = []

        def enter() -> None:
            try:
                with open(f"/proc/{self._leader}/ns/net", encoding="utf-8") as space:
                    if _LIBC.setns(space.fileno(), _CLONE_NEWNET) != 0:
                        raise OSError(ctypes.get_errno(), "setns")
                found.append(make())
            except OSError as error:
                failed.append(error)

        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
        if failed:
            raise failed[0]
        return found[0]


def _first_of(outer: int) -> int:
    """The container's systemd among the descendants of ``unshare``; 0: not there yet."""
    queue = [outer]
    while queue:
        pid = queue.pop()
        with contextlib.suppress(OSError):
            status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
            spaces = next(line for line in status.splitlines() if line.startswith("NSpid:"))
            inner = spaces.split()[1:]
            # In the namespace of `unshare` it is some process, in its own it is the first.
            if len(inner) >= 3 and inner[-1] == "1":
                return pid
            for task in Path(f"/proc/{pid}/task").iterdir():
                queue.extend(int(child) for child in (task / "children").read_text().split())
    return 0


@dataclass
class Page:
    """The page and its API, as a browser or a program inside sees them."""

    machine: Machine
    port: int = 8080
    tls: ssl.SSLContext | None = None
    cookie: str = ""
    token: str = ""

    def ask(
        self, method: str, path: str, body: Any = None, **headers: str
    ) -> tuple[int, dict[str, str], str]:
        """Status, headers (names in lower case) and text. ``body``: a mapping is sent as a form,
        unless the header says JSON. Raises :class:`OSError`."""
        connection = http.client.HTTPConnection("localhost", self.port, timeout=60)
        sock = self.machine.connect("127.0.0.1", self.port)
        connection.sock = (
            sock if self.tls is None else self.tls.wrap_socket(sock, server_hostname="localhost")
        )
        sent = {"Host": f"localhost:{self.port}", **headers}
        if self.cookie:
            sent["Cookie"] = self.cookie
        if self.token:
            sent["Authorization"] = f"Bearer {self.token}"
        data = None
        if body is not None and sent.get("Content-Type") == "application/json":
            data = json.dumps(body)
        elif body is not None:
            sent["Content-Type"] = "application/x-www-form-urlencoded"
            data = urllib.parse.urlencode(body)
        try:
            connection.request(method, path, data, sent)
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            cookies = answer.headers.get_all("set-cookie", [])
            if cookies:  # as a browser sends them back, all in one line
                found["set-cookie"] = "; ".join(one.partition(";")[0] for one in cookies)
            return answer.status, found, answer.read().decode()
        except http.client.HTTPException as error:
            raise OSError(str(error)) from error
        finally:
            connection.close()

    def json(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """The API's answer."""
        headers = {"Content-Type": "application/json", **headers}
        status, _, text = self.ask(method, path, body, **headers)
        return status, json.loads(text) if text else None


def until(true: Callable[[], Any], within_s: float = 180.0, what: str = "") -> Any:
    """Wait until ``true`` gives something true; its value. A connection that is refused is
    not true yet."""
    deadline = time.monotonic() + within_s
    while True:
        with contextlib.suppress(OSError):
            if found := true():
                return found
        assert time.monotonic() < deadline, f"not within {within_s} s: {what}"
        time.sleep(0.1)


@contextlib.contextmanager
def booted(
    layers: Sequence[Path], folder: Path, binds: Mapping[Path, str] | None = None
) -> Iterator[Machine]:
    """A system that runs, and that is gone afterwards together with all it has written."""
    machine = Machine(layers, folder, binds or {})
    try:
        machine.boot()
        yield machine
    finally:
        machine.kill()
        shutil.rmtree(folder, ignore_errors=True)
