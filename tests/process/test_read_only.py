"""A disk that is read-only at the start: it is said, the door works, and it heals."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys

import pytest

from tests.process.parts import House, Process, hear, until

pytestmark = pytest.mark.process

MOUNTED = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'


def read_only(place: House, *arguments: str) -> Process:
    """``portier …`` to which the state folder is read-only, and to nobody else."""
    place.state.mkdir(exist_ok=True)
    inside = ["unshare", "-m", "sh", "-c", MOUNTED, str(place.state)]
    tried = subprocess.run([*inside, "true"], check=False, capture_output=True, text=True)
    if tried.returncode:
        pytest.skip(f"this machine does not let us mount: {tried.stderr.strip()}")
    more = ["--config", str(place.config), "--state", str(place.state)]
    return place.start(*inside, sys.executable, "-m", "gateway", *arguments, *more)


def test_the_loop_lives_and_everything_else_comes_with_the_disk(place: House) -> None:
    notify = place.state.parent / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(notify))
        manager.settimeout(60)
        place.environment = {"NOTIFY_SOCKET": str(notify), "WATCHDOG_USEC": "1000000"}
        control = read_only(place, "run", "control")
        hear(manager, b"READY=1")  # the points are open …
        hear(manager, b"WATCHDOG=1")  # … and the loop turns
        until(lambda: control.said("is read-only: the door works"))
        assert control.said("remount,rw")
    assert list(place.state.iterdir()) == []
    remount = ["nsenter", "-m", "-t", str(control.pid), "mount", "-o", "remount,bind,rw"]
    subprocess.run([*remount, str(place.state)], check=True)
    until(place.snapshot)
    place.bench("press", point="front.button")
    until(lambda: place.snapshot()["doors"]["front"]["state"] == "open")
    until(lambda: {"gateway_started", "door_opened"} <= {row.kind for row in place.rows()})
    until(lambda: place.snapshot()["guarantees"]["journal"]["ok"])
    assert control.stop() == 0


def test_a_second_control_is_refused_there_too(place: House) -> None:
    control = read_only(place, "run", "control")
    until(lambda: control.said("is read-only: the door works"), what=str(control.lines))
    second = read_only(place, "run", "control")
    assert second.wait() == 1
    assert second.said("control already runs on")


def test_the_doctor_says_so_with_the_remedy(place: House) -> None:
    doctor = read_only(place, "doctor", "--json")
    doctor.wait()
    (disk,) = [one for one in json.loads("".join(doctor.lines)) if one["what"].startswith("disk")]
    assert not disk["ok"]
    assert "is read-only: the door works" in disk["what"]
    assert "remount,rw" in disk["remedy"]
    assert os.access(place.state, os.W_OK)  # it was so for the doctor alone
