"""The machine itself at its worst: its disk, its memory, and people who mean harm.

In all of it the door is served; what cannot be kept is said, and comes back by itself.
"""

from __future__ import annotations

import contextlib
import os
import re
import resource
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.process.parts import BUILDING, House, Process, alive, children, small_house, until
from tests.process.parts_mqtt import free_port, http

pytestmark = pytest.mark.process


def served(place: House) -> bool:
    """A press opens the door: the button, not a command."""
    until(lambda: place.snapshot()["points"]["front.button"]["active"] is False)
    before = place.snapshot()["doors"]["front"]["counters"]["requests"]
    place.bench("press", point="front.button")
    until(lambda: place.snapshot()["doors"]["front"]["counters"]["requests"] > before)
    until(lambda: place.snapshot()["doors"]["front"]["state"] == "open")
    return True


def journal_ok(place: House) -> bool:
    return bool(place.snapshot()["guarantees"]["journal"]["ok"])


def each_number_once(place: House) -> None:
    for lane in ("urgent", "routine"):
        numbers = [row.seq for row in place.rows() if row.lane == lane]
        assert numbers == sorted(set(numbers)), lane


def fill(ballast: Path) -> None:
    """Takes all room that there is; raises :class:`OSError` when there is no more."""
    with ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


@pytest.fixture
def small(tmp_path: Path) -> Iterator[House]:
    with small_house(tmp_path) as made:
        yield made


def test_a_full_disk_stops_no_door_and_heals_with_every_fact(small: House) -> None:
    """Full to the last byte, under a running ``control``; then somebody makes room."""
    small.control()
    assert served(small)
    until(lambda: small.rows("door_opened"))
    ballast = small.state / "ballast"
    with pytest.raises(OSError, match="No space"):
        fill(ballast)
    presses = 0
    while journal_ok(small):
        assert served(small)
        presses += 1
    assert served(small)
    assert small.snapshot()["guarantees"]["journal"]["reason"] != ""
    ballast.unlink()
    until(lambda: journal_ok(small))
    until(lambda: len(small.rows("door_request")) == presses + 2)
    each_number_once(small)
    print(f"{presses} presses until the journal was full, all kept")


def test_a_disk_that_fails_to_write_is_said_and_heals(small: House) -> None:
    """A device that answers EIO is not to be had everywhere (no device mapper here). What
    stands for it is a limit of file size of nothing, which lets every write of the running
    ``control`` fail. ``tests/journal/test_faults.py`` lets each single call fail with EIO."""
    control = small.control()
    assert served(small)
    until(lambda: small.rows("door_opened"))
    known = len(small.rows("door_request"))
    resource.prlimit(control.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    until(lambda: served(small) and not journal_ok(small))
    assert control.popen.poll() is None
    resource.prlimit(
        control.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    )
    until(lambda: journal_ok(small))
    requests = small.snapshot()["doors"]["front"]["counters"]["requests"]
    until(lambda: len(small.rows("door_request")) == requests)
    assert requests > known
    each_number_once(small)


def test_ended_in_the_middle_of_a_pulse_the_relay_is_off_and_the_end_is_a_fact(
    place: House,
) -> None:
    place.config.write_text(BUILDING.replace("pulse: 500 ms", "pulse: 5 s"))
    control = place.control()
    place.bench("press", point="front.button")
    until(lambda: place.snapshot()["points"]["front.activation"]["active"])
    assert control.stop() == 0
    assert [row.data["reason"] for row in place.rows("gateway_stopped")] == ["SIGTERM"]
    place.control()
    assert place.snapshot()["points"]["front.activation"]["active"] is False
    began = place.rows("gateway_started")[-1].row
    switched = [row for row in place.rows("relay_changed") if row.row > began and row.data["on"]]
    assert switched == []


@pytest.fixture
def page(place: House) -> tuple[Process, int]:
    port = free_port()
    place.config.write_text(BUILDING + f"web: {{listen: 127.0.0.1:{port}}}\n")
    process = place.run()
    until(lambda: process.said("Ready after") or process.popen.poll() is not None)
    assert process.popen.poll() is None, process.lines
    return process, port


def test_a_page_under_attack_keeps_nobody_from_the_door(
    place: House, page: tuple[Process, int]
) -> None:
    """500 streams that nobody reads, bodies of 10 MB, a storm of log-ins, and headers that
    never end; meanwhile the button is pressed."""
    process, port = page
    over = threading.Event()
    answers: list[int] = []

    def storm() -> None:
        way = "/api/v1/doors/front/open"
        form = b"user=admin&password=wrong"
        while not over.is_set():
            answers.append(http(f"http://127.0.0.1:{port}/login", form)[0])
            answers.append(http(f"http://127.0.0.1:{port}{way}", bytes(10**7))[0])

    with ExitStack() as stack:
        for number in range(500):
            sock = stack.enter_context(socket.create_connection(("127.0.0.1", port), 30))
            sock.settimeout(30)
            end = "\r\n" if number % 2 else ""  # half of them never end their headers
            path = "/api/v1/live" if number % 2 else "/health/live"
            sock.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{end}".encode())
        threads = [threading.Thread(target=storm) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(5):
                assert served(place)
                assert place.command("open_door", door="front")["status"] != "refused"
            until(lambda: len(answers) >= 20)
        finally:
            over.set()
            for thread in threads:
                thread.join()
    assert not {status for status in answers if 200 <= status < 300}, "nobody got in"
    until(lambda: http(f"http://127.0.0.1:{port}/health/live")[0] == 200)
    assert not process.said("has ended"), process.lines[-20:]
    delays = sorted(_press_to_relay(place))
    print(f"answers {sorted(set(answers))}, {len(answers)} of them; press to leaf {delays}")


def _press_to_relay(place: House) -> list[int]:
    found = [row.data.get("press_to_open_ms") for row in place.rows("door_opened")]
    return [int(ms) for ms in found if isinstance(ms, int)]


@pytest.mark.faults
def test_a_role_that_gets_no_memory_falls_alone_and_comes_back(
    place: House, page: tuple[Process, int]
) -> None:
    """The address space of the page is limited to what it has while somebody sends it much.
    If it lives through that, it is killed, as the kernel does."""
    process, port = page
    web = next(
        pid
        for pid in children(process.pid)
        if b"\0web\0" in Path(f"/proc/{pid}/cmdline").read_bytes()
    )
    size = Path(f"/proc/{web}/status").read_text(encoding="utf-8")
    used = int(re.search(r"VmSize:\s+(\d+)", size)[1]) * 1024  # type: ignore[index]  # always there
    resource.prlimit(web, resource.RLIMIT_AS, (used, used))
    for _ in range(5):
        with (
            contextlib.suppress(OSError),  # it may hang up at any time
            socket.create_connection(("127.0.0.1", port), 30) as sock,
        ):
            sock.sendall(b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n\r\n")
            sock.sendall(bytes(9_000_000))
    assert served(place)
    if alive(web):
        os.kill(web, signal.SIGKILL)  # what the kernel does when memory runs out
    until(lambda: http(f"http://127.0.0.1:{port}/health/live")[0] == 200)
    assert served(place)
