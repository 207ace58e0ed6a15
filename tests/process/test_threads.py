"""A thread that lives as long as its process ends the process when it fails; what serves one
request never does."""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import uuid
from pathlib import Path
from typing import Any

import pytest

from gateway import threads
from gateway.panel import client
from gateway.panel.messages import encode
from tests.process.parts import ROOT, House, Process, hear, until

pytestmark = pytest.mark.process


# --- the mechanism ------------------------------------------------------------------------


def program(text: str) -> subprocess.CompletedProcess[str]:
    begin = "import asyncio, os, signal, sys, threading, time\nfrom gateway import threads\n"
    return subprocess.run(
        [sys.executable, "-c", begin + text],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


FAIL = "threading.Thread(target=lambda: 1 / 0, name='worker').start()\ntime.sleep(300)\n"


def test_a_thread_that_fails_ends_the_process_with_its_traceback() -> None:
    done = program("threads.guard()\n" + FAIL)
    assert done.returncode == threads.FAILED
    assert "thread worker has ended" in done.stderr
    assert "ZeroDivisionError" in done.stderr


def test_an_orderly_end_is_begun_in_the_thread_that_failed() -> None:
    done = program(
        "stop = threading.Event()\n"
        "threads.guard(lambda name: (print(name, flush=True), stop.set()))\n"
        "threading.Thread(target=lambda: 1 / 0, name='worker').start()\n"
        "stop.wait()\nsys.exit(5)\n"
    )
    assert (done.returncode, done.stdout) == (5, "worker\n")


@pytest.mark.parametrize("end", ["lambda name: None", "lambda name: time.sleep(300)"])
def test_an_end_that_does_not_come_is_not_waited_for(end: str) -> None:
    """Also where no thread can be started any more."""
    done = program(f"threads.END_WITHIN_S = 0.1\nthreads.guard({end})\n" + FAIL)
    assert done.returncode == -signal.SIGALRM


def test_an_end_that_fails_is_an_end() -> None:
    done = program("threads.guard(lambda name: 1 / 0)\n" + FAIL)
    assert done.returncode == threads.FAILED


def test_a_thread_that_leaves_ends_nothing() -> None:
    done = program(
        "threads.guard()\nt = threading.Thread(target=sys.exit)\nt.start()\nt.join()\nsys.exit(7)\n"
    )
    assert done.returncode == 7


@pytest.mark.parametrize("how", ["raise OSError(5, 'gone')", "return"])
def test_a_task_of_the_page_that_ends_ends_the_process(how: str) -> None:
    done = program(
        "from gateway.web.app import for_life\n"
        f"async def work():\n    {how}\n"
        "async def main():\n"
        "    threads.guard()\n"
        "    task = for_life('live', work())\n"
        "    await asyncio.sleep(300)\n"
        "asyncio.run(main())\n"
    )
    assert done.returncode == threads.FAILED
    assert "thread live has ended" in done.stderr


# --- control ------------------------------------------------------------------------------

FAULT = """
import sys, threading
from pathlib import Path
from gateway.__main__ import main
{patch}
sys.argv = ["portier", "run", "control", "--config", sys.argv[1], "--state", sys.argv[2]]
main()
"""


def control(place: House, patch: str) -> Process:
    """``control`` with something broken in it, once the file ``fault`` is there."""
    code = FAULT.format(patch=patch.replace("FAULT", f"Path({str(place.state / 'fault')!r})"))
    return place.start(sys.executable, "-c", code, str(place.config), str(place.state))


BROKEN = {
    "panel": """
from gateway.panel import server
old = server.Server._publish
def publish(self):
    if FAULT.exists():
        raise RuntimeError("can't start new thread")
    old(self)
server.Server._publish = publish
""",
    "journal": """
from gateway.journal import writer
old = writer.Journal._look_after
def look_after(self):
    if FAULT.exists():
        raise MemoryError
    old(self)
writer.Journal._look_after = look_after
""",
    "replies": """
from gateway.journal import pending_replies
old = pending_replies.PendingReplies.give_up
def give_up(self, until_ms=None):
    if FAULT.exists():
        raise RuntimeError("a mistake")
    old(self, until_ms)
pending_replies.PendingReplies.give_up = give_up
""",
    "points": """
from gateway.control import points
old = points.Points._reopen
def reopen(self, point):
    if FAULT.exists():
        raise RuntimeError("a mistake")
    old(self, point)
points.Points._reopen = reopen
""",
}


def started(place: House, process: Process) -> None:
    until(lambda: process.popen.poll() is not None or place.snapshot(), what="no answer")
    assert process.popen.poll() is None, process.lines


@pytest.mark.parametrize("thread", BROKEN)
def test_a_thread_of_control_that_fails_ends_it_with_the_outputs_off(
    place: House, thread: str
) -> None:
    """One whose panel was dead fed its watchdog for ever, and nobody could ask it anything."""
    process = control(place, BROKEN[thread])
    started(place, process)
    if thread == "points":  # it is asked when a relay has failed
        place.bench("world", point="front.activation", change="break")
    (place.state / "fault").touch()

    def ended() -> bool:
        place.command("open_door", door="front")  # so that every thread has something to do
        return process.popen.poll() is not None

    until(lambda: process.popen.poll() is not None or ended())
    assert process.wait() == threads.FAILED, process.lines
    assert process.said(f"thread {thread} has ended")
    assert process.said("Traceback")
    (place.state / "fault").unlink()
    if thread != "journal":  # there was nobody to write it
        assert [row.data["reason"] for row in place.rows("gateway_stopped")] == ["thread_failed"]


SILENT = """
from gateway.journal import writer
old = writer.Journal._look_after
def look_after(self):
    if FAULT.exists():
        sys.exit()
    old(self)
writer.Journal._look_after = look_after
"""


def test_a_thread_that_is_not_there_leaves_the_watchdog_unfed(place: House) -> None:
    """However it came to its end: the loop alone does not feed it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("")
        place.environment = {
            "NOTIFY_SOCKET": "@" + os.fsdecode(manager.getsockname()[1:]),
            "WATCHDOG_USEC": "300000",
        }
        process = control(place, SILENT)
        hear(manager, b"READY=1", b"WATCHDOG=1")
        (place.state / "fault").touch()
        place.command("open_door", door="front")
        manager.settimeout(3)
        with pytest.raises(TimeoutError):
            _listen_for_ever(manager)
        assert process.popen.poll() is None


def _listen_for_ever(manager: socket.socket) -> None:
    while True:
        manager.recv(100)


REST = """
from gateway.control import guarantees
def fail(self, *args, **options):
    raise LookupError("a mistake in the second half of the start")
guarantees.Guarantees.__init__ = fail
"""


def test_a_mistake_in_the_second_half_of_the_start_ends_control(place: House) -> None:
    """The door worked, nobody could reach it, and the service manager waited for ever."""
    process = control(place, REST)
    assert process.wait() == threads.FAILED
    assert process.said("a mistake in the second half of the start")
    assert process.said("Traceback")


NO_THREAD = """
old = threading.Thread.start
def start(self):
    if FAULT.exists():
        raise RuntimeError("can't start new thread")
    old(self)
threading.Thread.start = start
"""


def test_control_needs_no_new_thread_for_what_it_is_asked(place: House) -> None:
    """Reloads and questions about the settings; under a limit of tasks there may be none left."""
    process = control(place, NO_THREAD)
    started(place, process)
    (place.state / "fault").touch()
    for _ in range(3):
        process.popen.send_signal(signal.SIGHUP)
        assert settings(place)["status"] == "accepted"
        assert place.command("open_door", door="front")["status"] != "refused"
    until(lambda: process.said("the configuration has not changed"))
    assert process.popen.poll() is None


def settings(place: House) -> dict[str, Any]:
    message = {
        "type": "settings", "id": uuid.uuid4().hex, "actor": "web:7", "do": "show", "args": {}
    }  # fmt: skip
    return client.ask(place.panel, message, role="web", timeout_s=60)


def tasks(process: Process) -> int:
    return len(os.listdir(f"/proc/{process.pid}/task"))


def test_a_flood_of_questions_about_the_settings_makes_no_thread(place: House) -> None:
    """A hundred made a hundred threads. Now some share an answer, and the rest hears at once
    that control is busy."""
    process = place.control()
    assert settings(place)["status"] == "accepted"
    before, most = tasks(process), 0
    with client.connect(place.panel, "web", 60) as sock, sock.makefile("rb") as lines:
        for number in range(100):
            args = {"sections": {}} if number % 2 else {"sections": {"doors": {}}, "n": number}
            sock.sendall(
                encode(
                    {
                        "type": "settings", "id": f"q{number}", "actor": "web:7",
                        "do": "preview", "args": args,
                    }
                )
            )  # fmt: skip
        answers: dict[str, dict[str, Any]] = {}
        while len(answers) < 100:
            got = client._read(lines.readline())
            assert got is not None
            if got["type"] == "reply":
                answers[got["id"]] = got
            most = max(most, tasks(process))
    assert most <= before
    reasons = [answer["reason"] for answer in answers.values() if answer["status"] == "refused"]
    assert reasons.count("busy") >= 40
    assert sum(a["status"] == "accepted" for a in answers.values()) >= 50, "they share an answer"


def test_out_of_descriptors_the_door_works_and_the_panel_comes_back(place: House) -> None:
    process = place.control()
    with client.connect(place.panel, "web", 60) as old, old.makefile("rb") as lines:
        lines.readline()
        have = len(os.listdir(f"/proc/{process.pid}/fd"))
        _, hard = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (have, hard))
        late = [socket.socket(socket.AF_UNIX) for _ in range(3)]
        for sock in late:
            sock.connect(str(place.panel))
        old.sendall(
            encode(client.command("open_door", {"door": "front"}, id="a", actor="web:1", via="web"))
        )
        while (got := client._read(lines.readline()) or {})["type"] != "reply":
            pass
        assert got["status"] == "accepted"
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (hard, hard))
        assert place.snapshot()["doors"]
        for sock in late:
            sock.close()
    assert process.popen.poll() is None


def test_a_restart_is_announced_and_so_is_a_stop(place: House) -> None:
    process = place.control()
    heard: list[dict[str, Any]] = []
    away = threading.Semaphore(0)

    def hear(message: dict[str, Any]) -> None:
        if message["type"] in ("closing", "away"):
            heard.append(message)
        if message["type"] == "away":
            away.release()

    panel = client.PanelClient(place.panel, "link", hear)
    panel.start()
    try:
        until(lambda: panel.connected)
        place.config.write_text(place.config.read_text().replace("Test building", "Other"))
        process.popen.send_signal(signal.SIGHUP)
        assert away.acquire(timeout=60)
        until(lambda: panel.connected and place.snapshot()["gateway"]["name"] == "Other")
        process.stop()
        assert away.acquire(timeout=60)
    finally:
        panel.close()
    assert heard == [
        {"type": "closing", "reason": "reload"},
        {"type": "away"},
        {"type": "closing", "reason": "stop"},
        {"type": "away"},
    ]


def test_a_control_that_falls_announces_nothing(place: House) -> None:
    process = place.control()
    with client.connect(place.panel, "cli", 60) as sock, sock.makefile("rb") as lines:
        lines.readline()
        process.kill()
        assert b"closing" not in lines.read()


def test_a_state_folder_with_a_long_path_has_a_panel(place: House, tmp_path: Path) -> None:
    """The address of a Unix socket ends at 107 bytes."""
    folder = tmp_path / ("s" * 120)
    other = House(place.config, folder)
    try:
        other.control()
        assert other.command("open_door", door="front")["status"] == "accepted"
        shown = other.portier("status", "--state", str(folder))
        assert shown.wait() == 0, shown.lines
    finally:
        other.end()


def test_where_the_panel_cannot_listen_the_door_works(place: House) -> None:
    """Where the panel cannot listen, control says so and serves the door; it is tried again."""
    (place.state / "panel.sock").mkdir(parents=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("")
        place.environment = {"NOTIFY_SOCKET": "@" + os.fsdecode(manager.getsockname()[1:])}
        process = place.run("control")
        hear(manager, b"READY=1")
    until(lambda: process.said("the door works, but neither page nor commands reach it"))
    assert not process.said("control is ready")
    (place.state / "panel.sock").rmdir()
    until(place.snapshot)
    until(lambda: process.said("control is ready"))
