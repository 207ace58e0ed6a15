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


def test_a_torn_journal_is_mended_by_a_process_that_the_sandbox_lets_run(gateway: Gateway) -> None:
    machine = gateway.machine
    gateway.opens()
    until(lambda: len(openings(gateway)) == 1, what="it is on record")
    machine.ok("systemctl", "stop", "portier-control")
    journal = machine.inside("/var/lib/portier/journal.sqlite")
    content = bytearray(journal.read_bytes())
    content[8:100] = bytes(92)  # of the file's first page no more than its first word is left
    journal.write_bytes(content)
    machine.ok("systemctl", "start", "portier-control")
    gateway.ready()
    gateway.opens()
    until(lambda: len(openings(gateway)) == 2, what="what was, and what is new")
    kinds = machine.ok("portier", "events", "--json")
    assert "journal_recovered" in kinds


def test_the_guard_and_the_relays_of_a_real_building(gateway: Gateway) -> None:
    """With relays that are not simulated there is a guard; here it cannot find their chip, and
    says so when control is killed. Nothing of its work is refused to it."""
    machine = gateway.machine
    machine.write(
        "/etc/portier/portier.yaml", machine.read("/opt/portier/current/config/office.yaml")
    )
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
    machine.ok("systemctl", "stop", "portier-record")
    machine.write("/etc/portier/portier.yaml", good.replace("\ndoors:", "\ndoor:"))
    tried = ("control", "link", "web")
    machine.run("systemctl", "restart", *(f"portier-{role}" for role in tried))
    until(lambda: {gateway.states()[role] for role in tried} == {"failed"}, what="it is refused")
    assert gateway.restarts() == dict.fromkeys(gateway.restarts(), 0)
    machine.write("/etc/portier/portier.yaml", good)
    until(lambda: {gateway.states()[role] for role in tried} == {"active"}, what="it is corrected")
    assert gateway.states()["record"] == "inactive", "somebody has stopped it"
    assert [refusals(gateway, role) for role in tried] == [1] * len(tried)
    gateway.opens()


def refusals(gateway: Gateway, role: str) -> int:
    log = gateway.machine.log(f"portier-{role}")
    return sum("door: " in str(entry["MESSAGE"]) for entry in log)


def openings(gateway: Gateway) -> list[str]:
    out = gateway.machine.ok("portier", "events", "--json")
    return [line for line in out.splitlines() if "door_opened" in line]
