"""``availability`` over a real broker, with a real ``control`` that hangs, dies and comes back."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.process.parts import BUILDING, House, Process, house
from tests.process.parts_mqtt import Mosquitto, eventually, running
from tests.process.test_broker_refuses import Listener

pytestmark = pytest.mark.process

STATE = "state/door/front"


@pytest.fixture
def building(tmp_path: Path) -> Iterator[tuple[House, Process, Listener]]:
    """Control and link with a broker; everybody is online."""
    broker = Mosquitto(tmp_path)
    mqtt = f"mqtt: {{host: 127.0.0.1, port: {broker.port}}}\n"
    made = house(tmp_path, BUILDING + mqtt)
    with running(broker), contextlib.ExitStack() as stack:
        stack.callback(made.end)
        control = made.control()
        made.run("link")
        listener = Listener(broker, "portier/test/#")
        stack.callback(listener.outside.close)
        eventually(lambda: availability(listener) == b"online")
        yield made, control, listener


def availability(listener: Listener) -> bytes:
    return listener.look().get("portier/test/availability", b"")


def is_stale(listener: Listener) -> bool | None:
    found = listener.json(f"portier/test/{STATE}")
    return found.get("stale", False) if found else None


def test_a_control_that_hangs_is_not_online(
    building: tuple[House, Process, Listener],
) -> None:
    """Its sockets are open, and nobody watches the door."""
    _, control, listener = building
    eventually(lambda: is_stale(listener) is False)
    control.popen.send_signal(signal.SIGSTOP)
    try:
        eventually(lambda: availability(listener) == b"offline")
        eventually(lambda: is_stale(listener))
    finally:
        control.popen.send_signal(signal.SIGCONT)
    eventually(lambda: availability(listener) == b"online")
    eventually(lambda: is_stale(listener) is False)


def test_a_control_that_is_gone_is_not_online_and_comes_back(
    building: tuple[House, Process, Listener],
) -> None:
    place, control, listener = building
    control.kill()
    eventually(lambda: availability(listener) == b"offline")
    eventually(lambda: is_stale(listener))
    place.control()
    eventually(lambda: availability(listener) == b"online")
    eventually(lambda: is_stale(listener) is False)
