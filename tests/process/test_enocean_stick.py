"""A radio remote at a stick that is a pseudo-terminal, and ``control`` as a process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.drivers.enocean_bench import BO_PRESSED, FakeStick, rocker
from tests.process.parts import House, house, until

pytestmark = pytest.mark.process

BUILDING = """
gateway: {{id: test, bench: yes}}
points:
  front.remote: {{driver: enocean_contact, port: {port}, device: "018DF8BD", profile: F6-02-01, button: BO}}
  front.radio: {{driver: enocean_meter, port: {port}, device: "018DF8BD", profile: F6-02-01, alive_within: 30 d}}
  front.activation: {{driver: simulated_relay}}
doors:
  front:
    activation: front.activation
    activators: [{{point: front.remote, kind: remote, side: outside}}]
watch: {{weak: {{point: front.radio, quantity: rssi_dbm, below: -90}}}}
"""  # noqa: E501 - a point, a line


@pytest.fixture
def stick(tmp_path: Path) -> Iterator[FakeStick]:
    one = FakeStick(tmp_path)
    yield one
    one.close()


@pytest.fixture
def home(tmp_path: Path, stick: FakeStick) -> Iterator[House]:
    made = house(tmp_path, BUILDING.format(port=stick.path))
    yield made
    made.end()


def point(home: House, name: str) -> dict[str, Any]:
    found: dict[str, Any] = home.snapshot()["points"][name]
    return found


def test_a_press_by_radio_opens_the_door_also_after_the_stick_was_pulled_out(
    home: House, stick: FakeStick
) -> None:
    home.control()
    until(lambda: point(home, "front.remote")["active"] is False, what="the stick")
    stick.says(BO_PRESSED, rocker(0))
    (request,) = until(lambda: home.rows("door_request"), what="a press")
    assert request.data["outcome"] == "accepted"
    assert request.data["activator"] == "front.remote"
    until(lambda: point(home, "front.radio")["quantities"]["rssi_dbm"]["value"], what="dBm")
    assert home.portier("enocean", "learn", "--port", stick.path).wait(20) == 1
    stick.unplug()
    until(lambda: point(home, "front.remote")["active"] is None, what="unknown")
    assert "contact_unknown" in point(home, "front.remote")["faults"]
    stick.plug()
    until(lambda: point(home, "front.remote")["active"] is False, what="the stick is back")
    stick.says(BO_PRESSED, rocker(0))
    until(lambda: len(home.rows("door_request")) == 2, what="a second press")


def test_without_a_stick_the_gateway_runs_and_takes_it_when_it_comes(
    home: House, stick: FakeStick
) -> None:
    stick.unplug()
    home.control()
    gone = point(home, "front.remote")
    assert gone["active"] is None
    assert "plug the stick in" in gone["reason"]
    stick.plug()
    until(lambda: point(home, "front.remote")["active"] is False, 40, "the stick")
    stick.says(BO_PRESSED)
    until(lambda: home.rows("door_request"), what="a press")
