"""The real drivers on a kernel's GPIO lines, without the gateway."""

from __future__ import annotations

from typing import Any

import pytest

from tests.hil import rig

pytestmark = [pytest.mark.hil, pytest.mark.timeout(1500)]

FEW = ["held_at_start", "chips", "other_chip", "faults", "unplugged", "lost_edges"]
MANY = ["presses", "active_low_relay", "idle"]
PERSIST = {True: "the kernel keeps outputs", False: "the kernel lets outputs go"}


@pytest.fixture(scope="module")
def cases() -> dict[str, Any]:
    """Two boots for all that does not depend on what the kernel does with released outputs."""
    return rig.run("drivers_alone.py", *FEW) | rig.run("drivers_alone.py", *MANY)


@pytest.fixture
def seen(cases: dict[str, Any], request: pytest.FixtureRequest) -> Any:
    """What the case that is called like the test saw."""
    name = request.node.originalname.removeprefix("test_")
    assert "error" not in cases[name], cases[name]["error"]
    return cases[name]


def test_presses(seen: Any) -> None:
    """500 presses that bounce: each is seen and switches the relay."""
    print(seen)
    assert (seen["presses"], seen["seen"], seen["switched"]) == (500, 500, 500)
    assert seen["in_order"]
    assert seen["last_active"] is False


def test_active_low_relay(seen: Any) -> None:
    """gpiozero PR #1177, mqtt-io#131: two starts and two stops, and on only when told."""
    assert seen == {"switched": True, "times_on": 1, "level_at_end": 1}


def test_held_at_start(seen: Any) -> None:
    """home-assistant#59812: what is active at start gives no edge, and is told all the same."""
    told = {"a.contact": [True, None], "cord": [True, None], "quiet": [False, None]}
    assert seen["first"] == told


def test_chips(seen: Any) -> None:
    assert seen["works"] == {"0": True, "4": True, "11": True}


def test_other_chip(seen: Any) -> None:
    assert len(seen["reports"]) == 8
    assert all(levels == [False, True] for levels in seen["reports"].values())


def test_idle(seen: Any) -> None:
    """gpiozero's stock factory wakes 1,530 times a second."""
    print(seen)
    assert seen["wake_ups_per_s"] <= 10
    assert seen["hears_afterwards"]


def test_lost_edges(seen: Any) -> None:
    """1,500 presses while the service stands still: what is lost is told, the level is right."""
    ((_, active, edge_ns, _, reason),) = seen["told"]
    assert (active, edge_ns) == (True, None)
    assert reason.endswith("edges of GPIO17 were lost")
    assert seen["last_active"] is True


def test_faults(seen: Any) -> None:
    told = seen["told"]
    assert "this machine has none" in told["no chip"]
    assert "no gpiochip is called expander" in told["other chip"]
    assert "no gpiochip has a line GPIO99" in told["no line"]
    assert "GPIO27 is in use by portier" in told["in use"]
    assert "add the user to the group" in told["no permission"]


def test_unplugged(seen: Any) -> None:
    """A chip that goes is a fault in words; when it is back, with another number, all is well."""
    assert seen["gone"].startswith("fault GPIO27 is gone: plug it in again")
    assert seen["again"] == ["switched", 1]
    assert (seen["rest"], seen["exit"], seen["level_at_end"]) == (["closed", ""], 0, 0)


@pytest.mark.parametrize("persist", PERSIST, ids=PERSIST.get)
def test_kill_with_relay_on_ends_off(persist: bool) -> None:
    """kill -9 leaves a relay on where the kernel keeps outputs; ``outputs_off`` ends that."""
    relays = rig.run("drivers_alone.py", "kill_with_relay_on", persist=persist)
    for seen in relays["kill_with_relay_on"]["relays"].values():
        print(seen)
        assert seen["on_before"]
        assert seen["on_after_kill"] == persist
        assert not seen["on_after_outputs_off"]
        assert seen["told"]["a"] is None
        assert "GPIO99" in seen["told"]["x"]
