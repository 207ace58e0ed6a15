"""Every unit is stopped, killed, and killed together with everything else."""

from __future__ import annotations

import re

import pytest

from tests.system.installed import ROLES, RUNNING, Gateway
from tests.system.machine import until

pytestmark = pytest.mark.system


def outputs_off(gateway: Gateway) -> str:
    """How ``portier outputs off`` ended after the last end of control that was wanted."""
    said = gateway.machine.show("portier-control", "ExecStopPost")
    found = re.search(r"code=(\w+) ; status=(\d+)", said)
    return " ".join(found.groups()) if found else said


def test_every_unit_stops_in_order_and_starts_again(gateway: Gateway) -> None:
    machine = gateway.machine
    for unit in RUNNING:
        machine.ok("systemctl", "stop", unit)
        assert machine.show(unit, "Result") == "success", unit
        assert machine.show(unit, "ActiveState") == "inactive", unit
        if "control" in unit:
            assert outputs_off(gateway) == "exited 0"
        machine.ok("systemctl", "start", unit)
    gateway.ready()
    gateway.opens()


def test_every_unit_that_is_killed_comes_back(gateway: Gateway) -> None:
    machine = gateway.machine
    for role in (role for role in ROLES if role != "notify"):
        pid = gateway.pid(role)
        machine.ok("kill", "-9", str(pid))
        until(lambda: gateway.pid(role) not in (0, pid), what=f"{role} comes back")  # noqa: B023
        until(lambda: gateway.states()[role] == "active", what=f"{role} is active")  # noqa: B023
    failed = [e for e in machine.log("portier-control") if "Control process" in str(e["MESSAGE"])]
    assert failed == [], "the relays are put off after each end"
    gateway.ready()
    gateway.opens()
    assert gateway.restarts() == dict.fromkeys(gateway.restarts(), 1)


def test_everything_is_killed_at_once_and_boots_again(gateway: Gateway) -> None:
    machine = gateway.machine
    gateway.opens()
    until(lambda: len(openings(gateway)) == 1, what="it is on record")
    machine.kill()
    machine.boot()
    gateway.ready()
    gateway.opens()
    until(lambda: len(openings(gateway)) == 2, what="what was, and what is new")
    machine.ok("runuser", "-u", "portier-control", "--", "portier", "audit", "verify")
    assert gateway.restarts() == dict.fromkeys(gateway.restarts(), 0)


def test_the_guard_and_the_relays_of_a_real_building(gateway: Gateway) -> None:
    """With relays that are not simulated there is a guard; here it cannot find their chip, and
    says so when control is killed. Nothing of its work is refused to it."""
    machine = gateway.machine
    machine.write("/etc/portier/portier.yaml", machine.read("/opt/portier/config/office.yaml"))
    machine.ok("systemctl", "restart", "portier-control")
    pid = gateway.pid("control")
    guard = machine.ok("pgrep", "-P", str(pid)).split()
    assert [machine.read(f"/proc/{one}/comm").strip() for one in guard] == ["portier-guard"]
    machine.ok("kill", "-9", str(pid))
    until(lambda: [e for e in machine.log("portier-control") if e["said"].get("role") == "guard"])
    (entry,) = [
        e["said"] for e in machine.log("portier-control") if e["said"].get("role") == "guard"
    ]
    assert "relays may be on" in entry["event"]
    assert len(entry["problems"]) == 5
    assert all("chip" in problem for problem in entry["problems"]), entry
    until(lambda: gateway.pid("control") not in (0, pid), what="control comes back")


def test_a_refused_configuration_is_said_once_and_a_corrected_one_starts_by_itself(
    gateway: Gateway,
) -> None:
    machine = gateway.machine
    good = machine.read("/etc/portier/portier.yaml")
    machine.write("/etc/portier/portier.yaml", good.replace("\ndoors:", "\ndoor:"))
    machine.ok("systemctl", "restart", "--no-block", *RUNNING)
    for unit in RUNNING:
        until(lambda: refusals(gateway, unit) == 1, what=f"{unit} names it")  # noqa: B023
    until(lambda: gateway.states()["control"] == "activating")
    machine.write("/etc/portier/portier.yaml", good)
    gateway.ready()
    assert [refusals(gateway, unit) for unit in RUNNING] == [1] * len(RUNNING)


def refusals(gateway: Gateway, unit: str) -> int:
    return sum("door: " in str(entry["MESSAGE"]) for entry in gateway.machine.log(unit))


def openings(gateway: Gateway) -> list[str]:
    out = gateway.machine.ok("portier", "events", "--json")
    return [line for line in out.splitlines() if "door_opened" in line]
