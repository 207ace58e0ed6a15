"""kill -9 of each role at drawn moments: after every round everything stands again."""

from __future__ import annotations

import os
import random
import signal
import time

import pytest

from tests.process.parts import BUILDING, House, Process, roles_of, until
from tests.process.parts_mqtt import free_port, sqlite_points

pytestmark = pytest.mark.process

ROLES = ("control", "broker", "link", "record", "web")
SEED = 1
LANES = ("urgent", "routine")


@pytest.fixture
def whole(place: House) -> Process:
    place.config.write_text(
        BUILDING + f"mqtt: embedded\nweb: {{listen: 127.0.0.1:{free_port()}}}\n"
    )
    process = place.run()
    until(lambda: process.said("Ready after") or process.popen.poll() is not None)
    assert process.popen.poll() is None, process.lines
    return process


def rounds(place: House, whole: Process, count: int) -> None:
    """Each: the button is pressed, at a drawn moment a drawn role is killed; then the door is
    pressed again and must be served. In the end the store equals the journal."""
    dice = random.Random(SEED)
    killed: dict[str, int] = {}
    gone: list[float] = []
    for number in range(count):
        until(lambda: set(roles_of(whole, ROLES)) == set(ROLES), what=f"{number}: all are there")
        until(lambda: place.snapshot()["points"]["front.button"]["active"] is False)
        until(lambda: place.bench("press", point="front.button") is not None)
        role = dice.choice(ROLES)
        time.sleep(dice.uniform(0.0, 0.9))  # the moment is drawn, nothing is awaited
        pid = roles_of(whole, ROLES)[role]
        os.kill(pid, signal.SIGKILL)
        began = time.monotonic()
        killed[role] = killed.get(role, 0) + 1
        until(
            lambda role=role, pid=pid: roles_of(whole, ROLES).get(role, pid) != pid,
            what=f"{number}: {role} is back",
        )
        until(
            lambda: place.command("open_door", door="front")["status"] != "refused",
            what=f"{number}: the door, after {role}",
        )
        gone.append(time.monotonic() - began)
        until(
            lambda: len(place.rows("gateway_started")) == 1 + killed.get("control", 0),
            what=f"{number}: its start is in the journal, after {role}",
        )
        until(
            lambda: place.snapshot()["points"]["front.activation"]["active"] is False,
            what=f"{number}: the relay is off again, after {role}",
        )
    until(lambda: place.snapshot()["guarantees"]["forwarding"]["ok"], 120)
    each_number_once(place)
    until(lambda: recorded(place), 120, "the store equals the journal")
    gone.sort()
    print(f"{count} rounds, {killed}; door served again p50 {gone[count // 2]:.1f} s, "
          f"most {gone[-1]:.1f} s; {len(place.rows())} facts")  # fmt: skip


def each_number_once(place: House) -> None:
    for lane in LANES:
        numbers = [row.seq for row in place.rows() if row.lane == lane]
        assert numbers == list(range(1, len(numbers) + 1)), lane


def recorded(place: House) -> bool:
    """The store has what the journal has, each once."""
    journal = sorted((row.kind, row.seq) for row in place.rows() if row.lane in LANES)
    store = sorted(
        (kind, seq) for kind, _, seq in sqlite_points(place.state / "record/record.sqlite")
    )
    return [one for one in store if one[0] != "gateway_silent"] == journal


def test_ten_times_something_is_killed_and_everything_stands_again(
    place: House, whole: Process
) -> None:
    rounds(place, whole, 10)


@pytest.mark.faults
def test_two_hundred_times_something_is_killed_and_everything_stands_again(
    place: House, whole: Process
) -> None:
    rounds(place, whole, 200)
