"""The wall clock of every unit is stepped, by a library that is loaded before them. Nothing here
may set the clock of the machine that the tests run on."""

from __future__ import annotations

import pytest

from gateway.panel import time_service
from tests.system.installed import RUNNING, Gateway
from tests.system.machine import until

pytestmark = pytest.mark.system
ASK = """[Service]
ExecStartPre=/opt/portier/current/.venv/bin/python -c \\
  "from gateway.panel import time_service as t; print('the kernel says', t.kernel_synchronized())"
"""
STEP = "/etc/portier/clock-of-the-tests"
DROP_IN = f"""[Service]
Environment=LD_PRELOAD=/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1
Environment=FAKETIME_TIMESTAMP_FILE={STEP} FAKETIME_NO_CACHE=1 FAKETIME_DISABLE_SHM=1
Environment=FAKETIME_DONT_FAKE_MONOTONIC=1 FAKETIME_DONT_RESET=1
"""
SLOWER = "[Service]\nWatchdogSec=30\n"
"""For control. The library opens its file at each look at the clock: on a busy machine a turn then
takes longer than the second that the watchdog waits."""


def test_the_clock_of_the_host_cannot_be_set(gateway: Gateway) -> None:
    done = gateway.machine.run("date", "-s", "2030-01-01")
    assert done.status != 0
    assert "2030" not in gateway.machine.ok("date")


def test_the_units_as_shipped_may_read_whether_the_kernels_clock_is_kept(gateway: Gateway) -> None:
    """The container has the clock, and its flag, of the machine that the tests run on."""
    kept = time_service.kernel_synchronized()
    assert kept is not None
    machine = gateway.machine
    units = [f"portier-{role}.service" for role in ("link", "web")]
    for unit in units:
        machine.write(f"/etc/systemd/system/{unit}.d/clock.conf", ASK)
    machine.ok("systemctl", "daemon-reload")
    machine.ok("systemctl", "restart", *units)
    for unit in units:
        lines = machine.ok("journalctl", "--unit", unit, "--output", "cat").splitlines()
        assert f"the kernel says {kept}" in lines, lines[-20:]


def test_steps_of_the_clock_stop_nothing(gateway: Gateway) -> None:
    machine = gateway.machine
    machine.write(STEP, "+0\n")
    for unit in RUNNING:
        machine.write(f"/etc/systemd/system/{unit}.d/clock.conf", DROP_IN)
    machine.write("/etc/systemd/system/portier-control.service.d/slower.conf", SLOWER)
    machine.ok("systemctl", "daemon-reload")
    machine.ok("systemctl", "restart", *RUNNING)
    gateway.ready()
    for step in ("+2h", "-1d", "+400d", "+0"):
        before = gateway.snapshot()["utc_offset_ms"]
        machine.write(f"{STEP}.new", step + "\n")
        machine.ok("mv", f"{STEP}.new", STEP)  # the library ends whoever reads a half file
        until(
            lambda: abs(gateway.snapshot()["utc_offset_ms"] - before) > 3_600_000,  # noqa: B023
            what=f"the step of {step} is seen",
        )
        gateway.opens()
        until(lambda: gateway.page.ask("GET", "/health/live")[0] == 200)
    ends = [e["MESSAGE"] for e in machine.log("portier-link")][-20:]
    assert gateway.restarts() == dict.fromkeys(gateway.restarts(), 0), ends
    gateway.ready()
