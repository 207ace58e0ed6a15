"""Our own roles as processes of their own, for process tests.

``running(config, "control", …)`` starts roles on a folder and ends them by their process id.
Each test has a building of its own, written as YAML, with simulated points.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gateway.journal.queries.reader import Reader
from gateway.panel import client
from gateway.wire import Row

ROOT = Path(__file__).resolve().parents[2]

BUILDING = """
gateway: {id: test, name: Test building, bench: true}
points:
  front.button: {driver: simulated_contact}
  front.leaf: {driver: simulated_contact, wiring: normally_closed, follows: front.activation}
  front.activation: {driver: simulated_relay}
doors:
  front:
    activation: {point: front.activation, pulse: 500 ms}
    leaf: front.leaf
    activators: [{point: front.button, kind: button, side: inside}]
    left_open_after: 2 min
"""
"""The smallest building with a door. Sections such as ``mqtt:`` can be appended."""
BENCH = (ROOT / "config" / "bench.yaml").read_text(encoding="utf-8").partition("\nmqtt:")[0] + "\n"
"""The building of the bench, without broker, recorder and page."""
CALLING_BENCH = BENCH.replace(
    "    cord: [wc.cord]\n", "    cord: [wc.cord]\n    escalation: care\n"
)
"""The same, whose call goes the way ``care``, which is to be appended."""


def until(true: Callable[..., Any], within_s: float = 60.0, what: object = "") -> Any:
    """Wait until ``true`` gives something true; its value. Fails after ``within_s``, and says
    ``what``; where that can be called, what it gives then."""
    deadline = time.monotonic() + within_s
    while True:
        with contextlib.suppress(client.ControlAway):
            found = true()
            if found:
                return found
        assert time.monotonic() < deadline, (
            f"not within {within_s} s: {what() if callable(what) else what}"
        )
        time.sleep(0.01)


def hear(manager: socket.socket, *words: bytes) -> None:
    """Wait until a service manager's socket has heard each of these. It must be listened to
    from the start on: what does not fit into the socket is lost."""
    missing = set(words)
    while missing:
        missing.discard(manager.recv(100))


@dataclass
class Process:
    """One role, or the supervisor. ``lines`` is what it has said on both of its outputs."""

    popen: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)
    reader: threading.Thread | None = None

    @property
    def pid(self) -> int:
        return self.popen.pid

    def said(self, text: str) -> bool:
        return any(text in line for line in self.lines)

    def kill(self) -> None:
        """As a power cut does."""
        self.popen.kill()
        self.wait()

    def stop(self, within_s: float = 30.0) -> int:
        """In order; the exit status."""
        self.popen.send_signal(signal.SIGTERM)
        return self.wait(within_s)

    def wait(self, within_s: float = 60.0) -> int:
        status = self.popen.wait(within_s)
        if self.reader is not None:
            self.reader.join(30)
        return status


@dataclass
class House:
    """A configuration, a state folder, and the processes that run on them."""

    config: Path
    state: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    processes: list[Process] = field(default_factory=list)
    tree: Path = ROOT
    """The checkout whose code runs."""

    @property
    def panel(self) -> Path:
        return self.state / "panel.sock"

    def run(self, *arguments: str) -> Process:
        """``portier run …`` on this house; returns at once."""
        return self.portier(
            "run", *arguments, "--config", str(self.config), "--state", str(self.state)
        )

    def portier(self, *arguments: str) -> Process:
        return self.start(sys.executable, "-m", "gateway", *arguments)

    def start(self, *command: str) -> Process:
        process = Process(
            subprocess.Popen(
                command,
                cwd=self.tree,
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                errors="replace",
            )
        )
        process.reader = threading.Thread(target=_read, args=(process,), daemon=True)
        process.reader.start()
        self.processes.append(process)
        return process

    def control(self, *options: str) -> Process:
        """Start ``control`` and wait until it answers."""
        process = self.run("control", *options)
        until(lambda: process.popen.poll() is not None or self.snapshot(), what="no answer")
        assert process.popen.poll() is None, process.lines
        return process

    def snapshot(self) -> Any:
        return client.snapshot(self.panel)

    def bench(self, do: str, **args: Any) -> dict[str, Any]:
        message = {"type": "bench", "id": uuid.uuid4().hex, "do": do, **args}
        result: dict[str, Any] = client.ask(self.panel, message, timeout_s=60)["result"]
        assert "error" not in result, result
        return result

    def command(self, name: str, **args: Any) -> dict[str, Any]:
        message = client.command(name, args, id=uuid.uuid4().hex, actor="cli", via="cli")
        return client.ask(self.panel, message)

    def rows(self, *kinds: str) -> list[Row]:
        reader = Reader(self.state / "journal.sqlite")
        try:
            return reader.after_row(0, 100_000, kinds=kinds or None)
        finally:
            reader.close()

    def end(self) -> None:
        for process in reversed(self.processes):
            if process.popen.poll() is None:
                process.popen.terminate()
        for process in self.processes:
            try:
                process.popen.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
            if process.reader is not None:
                process.reader.join(30)
            if process.popen.stdout is not None:
                process.popen.stdout.close()


def _read(process: Process) -> None:
    if process.popen.stdout is not None:
        for line in process.popen.stdout:
            process.lines.append(line.rstrip("\n"))


def house(folder: Path, config: str = BUILDING, **environment: str) -> House:
    """A house in ``folder``, nothing running yet. Routine facts are written soon, so that no
    test waits a minute for one; where the configuration says how soon, that holds."""
    file = folder / "portier.yaml"
    if "\njournal:" not in config:
        config += "\njournal: {commit_within: 50 ms}\n"
    file.write_text(config)
    return House(file, folder / "state", environment)


@contextlib.contextmanager
def small_house(folder: Path, config: str = BUILDING) -> Iterator[House]:
    """A house whose state lies on a file system of 3 MB, which is on no disk at all."""
    made = house(folder, config)
    made.state.mkdir()
    if os.geteuid() != 0:
        pytest.skip("mounting a small tmpfs needs root")
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(made.state)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("this machine does not let us mount")
    yield made
    made.end()
    subprocess.run(["umount", str(made.state)], check=True)


@contextlib.contextmanager
def running(
    folder: Path, *roles: str, config: str = BUILDING, **environment: str
) -> Iterator[House]:
    """A house with these roles running; all of them are ended at the end."""
    made = house(folder, config, **environment)
    try:
        for role in roles:
            if role == "control":
                made.control()
            else:
                made.run(role)
        yield made
    finally:
        made.end()


def children(pid: int) -> list[int]:
    """The processes that this one has started and that still live."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8")
    return [int(child) for child in text.split()]


def roles_of(supervisor: Process, names: Collection[str]) -> dict[str, int]:
    """The roles that run, by name. One that is just being started looks like its parent, and
    one may go while we look."""
    found = {}
    for pid in children(supervisor.pid):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
            found.update({role: pid for role in names if role in words})
    return found


def alive(pid: int) -> bool:
    try:
        return (
            Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
            != "Z"
        )
    except (FileNotFoundError, ProcessLookupError):
        return False
