"""The service manager hears what it must, and nothing else."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.control.watchdog import Watchdog
from tests.control.control_bench import Rig


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.settimeout(2)
        yield sock


def heard(manager: socket.socket) -> list[bytes]:
    manager.setblocking(False)
    found = []
    try:
        while True:
            found.append(manager.recv(100))
    except BlockingIOError:
        return found


def test_it_says_ready_and_stopping(manager: socket.socket, tmp_path: Path) -> None:
    watchdog = Watchdog({"NOTIFY_SOCKET": str(tmp_path / "notify")})
    watchdog.ready()
    watchdog.stopping()
    assert heard(manager) == [b"READY=1", b"STOPPING=1"]


def test_a_takeover_is_announced_and_has_more_time_than_a_turn(
    manager: socket.socket, tmp_path: Path
) -> None:
    """Who says STOPPING and goes on is killed by the manager after the unit's stop time."""
    given = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "1000000"}
    Watchdog(given).reloading()
    (said,) = heard(manager)
    lines = dict(line.split("=") for line in said.decode().splitlines())
    assert set(lines) == {"RELOADING", "MONOTONIC_USEC", "WATCHDOG_USEC"}
    assert lines["RELOADING"] == "1"
    assert lines["WATCHDOG_USEC"] == "30000000"
    assert 0 <= time.monotonic() * 1e6 - int(lines["MONOTONIC_USEC"]) < 60e6
    Watchdog(given).ready()
    assert heard(manager) == [b"READY=1", b"WATCHDOG_USEC=1000000"]


def test_a_start_has_more_time_than_a_turn_from_its_first_turn_on(
    manager: socket.socket, tmp_path: Path
) -> None:
    """The first feeding arms the manager's limit, also before the start is complete."""
    given = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "1000000"}
    watchdog = Watchdog(given)
    watchdog.starting()
    watchdog.turned(0.0)
    watchdog.ready()
    assert heard(manager) == [
        b"WATCHDOG_USEC=30000000", b"WATCHDOG=1", b"READY=1", b"WATCHDOG_USEC=1000000"
    ]  # fmt: skip


def test_without_a_watchdog_its_limit_is_not_touched(
    manager: socket.socket, tmp_path: Path
) -> None:
    watchdog = Watchdog({"NOTIFY_SOCKET": str(tmp_path / "notify")})
    watchdog.starting()
    watchdog.reloading()
    watchdog.ready()
    assert b"WATCHDOG_USEC" not in b"".join(heard(manager))


def test_a_turn_feeds_it_not_too_often(manager: socket.socket, tmp_path: Path) -> None:
    watchdog = Watchdog({"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "900000"})
    for now_s in (0.0, 0.1, 0.2, 0.31, 0.4):
        watchdog.turned(now_s)
    assert heard(manager) == [b"WATCHDOG=1", b"WATCHDOG=1"]
    assert watchdog.wait_s(0.4) == pytest.approx(0.21)


@given(st.lists(st.floats(0.001, 0.5), min_size=5, max_size=60))
def test_however_the_turns_fall_a_feeding_comes_in_its_time(pauses_s: list[float]) -> None:
    """The loop waited a third of the limit from its last turn. One just before a feeding was due
    put that off to two thirds, which left a third for a machine that is busy."""
    watchdog = Watchdog({"WATCHDOG_USEC": "1000000"})
    fed: list[float] = []
    watchdog._say = lambda *lines: fed.append(now_s)  # type: ignore[method-assign]
    now_s, next_s = 0.0, 0.0
    watchdog.turned(now_s)
    for pause_s in pauses_s:  # something happens, and the loop turns for it
        next_s += pause_s
        while (woken_s := now_s + watchdog.wait_s(now_s)) < next_s:
            now_s = woken_s
            watchdog.turned(now_s)
        now_s = next_s
        watchdog.turned(now_s)
    gaps_s = [after - before for before, after in pairwise(fed)]
    assert max(gaps_s, default=0.0) <= 1 / 3 + 1e-6
    assert len(fed) <= 1 + now_s / (0.9 / 3)


def test_a_loop_beside_something_dead_waits_all_the_same() -> None:
    watchdog = Watchdog({"WATCHDOG_USEC": "900000"})
    watchdog.alive = lambda: False
    for now_s in (0.0, 5.0):
        watchdog.turned(now_s)
        assert watchdog.wait_s(now_s + 0.001) == pytest.approx(0.3)


def test_no_turn_no_food(manager: socket.socket, tmp_path: Path) -> None:
    watchdog = Watchdog({"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "900000"})
    watchdog.ready()
    assert b"WATCHDOG=1" not in heard(manager)


def test_a_turn_does_not_feed_it_while_something_else_is_dead(
    manager: socket.socket, tmp_path: Path
) -> None:
    watchdog = Watchdog({"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "900000"})
    watchdog.alive = lambda: False
    watchdog.turned(0.0)
    watchdog.alive = lambda: True
    assert heard(manager) == []
    watchdog.turned(0.1)
    assert heard(manager) == [b"WATCHDOG=1"]


def test_a_watchdog_for_somebody_else_is_not_ours() -> None:
    watchdog = Watchdog({"WATCHDOG_USEC": "900000", "WATCHDOG_PID": str(os.getpid() + 1)})
    assert watchdog.feed_every_s is None


def test_without_a_manager_it_is_silent() -> None:
    watchdog = Watchdog({})
    watchdog.ready()
    watchdog.turned(1.0)


def test_a_manager_that_went_away_is_no_failure(tmp_path: Path) -> None:
    Watchdog({"NOTIFY_SOCKET": str(tmp_path / "nobody")}).ready()


def test_a_journey_of_the_bench_feeds_it(manager: socket.socket, tmp_path: Path) -> None:
    """It takes as long as it takes, within a single item of the inbox."""
    rig = Rig()
    rig.controller._watchdog = Watchdog(
        {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "1"}
    )
    rig.start()
    heard(manager)
    rig.turn()  # what a journey does at each of its stops
    assert b"WATCHDOG=1" in heard(manager)
