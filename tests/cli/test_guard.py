"""However ``control`` dies, its guard switches the relays off at once, and only then."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from drivers import simulated_relay
from gateway.app import guard

DRIVER = '''
"""A relay whose off level is a line in a file. One that is called bad breaks."""
from __future__ import annotations
import os
from dataclasses import dataclass
KIND = "relay"
@dataclass(frozen=True, slots=True)
class Settings:
    file: str
    name: str
def make_safe(settings):
    if settings.name == "bad":
        raise RuntimeError("a library's own error")
    with open(settings.file, "a") as file:
        file.write(settings.name + "\\n")
'''

CONTROL = """
import os, socket, sys
folder = sys.argv[1]
import drivers
drivers.__path__.append(folder)
from drivers.file_relay import Settings
from gateway.app import guard
from gateway.control.service import lock
from pathlib import Path
held = lock(Path(folder)), socket.create_server(("127.0.0.1", 0))
relays = {n: ("file_relay", Settings(folder + "/off", n)) for n in ("bad", "front", "side")}
pid = guard.post(relays)
print(pid, flush=True)
match sys.stdin.readline().strip():
    case "dismiss":
        guard.dismiss(pid)
        print("dismissed", flush=True)
        sys.stdin.readline()
    case "crash":
        raise RuntimeError("a broken invariant")
"""
"""What ``control`` does with its guard, and nothing else of it."""


@dataclass
class Control:
    """A process with a guard, both seen from outside."""

    folder: Path
    popen: subprocess.Popen[str]
    guard: int = 0

    def tell(self, what: str) -> None:
        assert self.popen.stdin is not None
        self.popen.stdin.write(what + "\n")
        self.popen.stdin.flush()

    def says(self) -> str:
        assert self.popen.stdout is not None
        return self.popen.stdout.readline().strip()

    def end(self) -> str:
        """Wait for both; what they had to say at the end. The pipe is closed by the last."""
        _, said = self.popen.communicate(timeout=30)
        return said

    @property
    def off(self) -> list[str]:
        file = self.folder / "off"
        return file.read_text().splitlines() if file.exists() else []


def until(true: Callable[[], bool], within_s: float = 30.0) -> None:
    end = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.005)


@pytest.fixture
def control(tmp_path: Path) -> Iterator[Control]:
    (tmp_path / "file_relay.py").write_text(DRIVER)
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", CONTROL, str(tmp_path)]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as popen:
        made = Control(tmp_path, popen)
        try:
            made.guard = int(made.says())
            title = Path(f"/proc/{made.guard}/cmdline")  # the last preparation of the guard
            until(lambda: title.read_bytes().startswith(b"portier guard"))
            yield made
        finally:
            popen.kill()
            with contextlib.suppress(ProcessLookupError):
                os.kill(made.guard or popen.pid, signal.SIGKILL)


def test_a_killed_control_leaves_no_relay_on(control: Control) -> None:
    """Raspberry Pi OS keeps the outputs of a process that was killed."""
    watched = os.pidfd_open(control.guard)
    control.popen.kill()
    said = control.end()
    assert control.off == ["front", "side"]
    assert "relays may be on" in said
    assert "bad: RuntimeError: a library's own error" in said
    ended, _, _ = select.select([watched], [], [], 5)
    os.close(watched)
    assert ended, "the guard ends when it is done"


def test_a_control_that_breaks_leaves_no_relay_on(control: Control) -> None:
    control.tell("crash")
    assert "a broken invariant" in control.end()
    assert control.off == ["front", "side"]


def test_an_orderly_end_dismisses_the_guard(control: Control) -> None:
    """Neither a process nor a zombie of it is left, and no relay is touched a second time."""
    control.tell("dismiss")
    assert control.says() == "dismissed"
    assert not Path(f"/proc/{control.guard}").exists()
    control.tell("end")
    assert control.end() == ""
    assert control.off == []


def test_what_is_sent_to_the_whole_service_does_not_end_the_guard(control: Control) -> None:
    """Service managers and terminals signal the group; the guard is the last to go."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGABRT):
        os.kill(control.guard, number)
    control.popen.kill()
    control.end()
    assert control.off == ["front", "side"]


def test_the_end_of_the_process_group_is_not_that_of_the_guard(control: Control) -> None:
    assert os.getsid(control.guard) == control.guard


def test_it_holds_nothing_of_control(control: Control) -> None:
    """A lock that the guard held would keep the next control from starting; its own pipe's other
    end would keep it asleep for ever."""
    there = Path(f"/proc/{control.guard}/fd")
    assert {fd.name for fd in there.iterdir()} == {"0", "1", "2", "3"}
    assert os.readlink(there / "3").startswith("pipe:")


def test_it_sleeps(control: Control) -> None:
    def switches() -> list[str]:
        status = Path(f"/proc/{control.guard}/status").read_text(encoding="utf-8").splitlines()
        return [line for line in status if "ctxt_switches" in line or line.startswith("State")]

    until(lambda: "S (sleeping)" in switches()[0])
    before = switches()
    time.sleep(0.3)
    assert switches() == before


def test_an_operator_sees_what_it_is(control: Control) -> None:
    shown = Path(f"/proc/{control.guard}")
    assert (shown / "comm").read_bytes().strip() == guard.COMM
    title = (shown / "cmdline").read_bytes().rstrip(b"\0")
    assert guard.TITLE.startswith(title)
    assert title.startswith(b"portier guard")


def test_simulated_relays_need_no_guard() -> None:
    relays = {"front": ("simulated_relay", simulated_relay.Settings())}
    assert guard.post(relays) is None
    guard.dismiss(None)


def test_where_no_process_can_be_made_the_door_works_all_the_same(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse() -> int:
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", refuse)
    from drivers.gpio_relay import Settings

    assert guard.post({"front": ("gpio_relay", Settings("GPIO99"))}) is None
    assert "no guard of the relays: Resource temporarily" in capsys.readouterr().err
