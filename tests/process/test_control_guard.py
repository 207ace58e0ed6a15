"""``control`` with relays of metal has a guard, through every kind of end and a reload."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

import pytest

from tests.process.parts import House, Process, alive, children, roles_of, until

pytestmark = pytest.mark.process

BUILDING = """
gateway: {id: test, name: Test building}
points:
  front.button: {driver: gpio_contact, pin: PORTIER_TEST_BUTTON}
  front.activation: {driver: gpio_relay, pin: PORTIER_TEST_RELAY}
doors:
  front:
    activation: {point: front.activation, pulse: 500 ms}
    activators: [{point: front.button, kind: button, side: inside}]
"""
"""On lines that no chip has: this test moves nothing, wherever it runs."""
ACTED = '"role": "guard"'


def guard(control: Process | int) -> int:
    """The process id of the only child, with its own name."""
    pid = control if isinstance(control, int) else control.pid

    def there() -> list[int]:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            comms = {
                child: Path(f"/proc/{child}/comm").read_text(encoding="utf-8")
                for child in children(pid)
            }
            return list(comms) if list(comms.values()) == ["portier-guard\n"] else []
        return []

    return int(until(there)[0])


@pytest.fixture
def metal(place: House) -> House:
    place.config.write_text(BUILDING)
    return place


def test_a_killed_control_is_followed_by_its_guard(metal: House) -> None:
    control = metal.control()
    watching = guard(control)
    control.kill()
    until(lambda: not alive(watching))
    assert control.said(ACTED)
    assert control.said("front.activation: no gpiochip has a line PORTIER_TEST_RELAY")


def test_an_orderly_stop_leaves_nothing_behind(metal: House) -> None:
    control = metal.control()
    watching = guard(control)
    assert control.stop() == 0
    assert not alive(watching)
    assert not control.said(ACTED)


def test_a_reload_changes_the_guard(metal: House) -> None:
    """The same process starts anew: the old guard has not acted and is no zombie."""
    control = metal.control()
    first = guard(control)
    metal.config.write_text(BUILDING.replace("Test building", "New building"))
    control.popen.send_signal(signal.SIGHUP)
    until(lambda: metal.snapshot()["gateway"]["name"] == "New building", 30)
    assert guard(control) != first
    assert not Path(f"/proc/{first}").exists()
    assert not control.said(ACTED)


def test_a_second_control_does_not_get_so_far(metal: House) -> None:
    """Its guard would switch the first one's relays off."""
    control = metal.control()
    second = metal.run("control")
    assert second.wait() == 1
    assert second.said("control already runs on")
    assert not second.said(ACTED)
    assert alive(guard(control))


def test_under_the_supervisor_a_killed_control_gets_its_guard_back(metal: House) -> None:
    whole = metal.run("control", "broker")
    until(metal.snapshot, 60)
    control = roles_of(whole, ["control"])["control"]
    watching = guard(control)
    os.kill(control, signal.SIGKILL)
    until(lambda: whole.said(ACTED) and not alive(watching))
    until(lambda: whole.said("control has ended (SIGKILL)"))
    until(metal.snapshot, 30)
    assert whole.stop() == 0


def test_under_the_supervisor_a_control_that_hangs_is_followed_by_its_guard(metal: House) -> None:
    whole = metal.run("control", "broker")
    until(metal.snapshot, 60)
    control = roles_of(whole, ["control"])["control"]
    watching = guard(control)
    os.kill(control, signal.SIGSTOP)
    until(lambda: whole.said("control hangs; it is killed"))
    until(lambda: whole.said(ACTED) and not alive(watching))
    until(lambda: roles_of(whole, ["control"]).get("control", control) != control)
    until(metal.snapshot, 60)
    assert whole.stop() == 0
