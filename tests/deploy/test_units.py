"""Every systemd unit is as tight as promised, by systemd's own judgement."""

from __future__ import annotations

import re
import shutil
import subprocess
from configparser import RawConfigParser
from pathlib import Path

import pytest

from gateway.app.configuration import people, plans
from gateway.update import services

UNITS = Path(__file__).resolve().parents[2] / "deploy" / "systemd"
LIMITS = {
    "portier-backup.service": 2.0,
    "portier-certificates.service": 2.0,
    "portier-control.service": 1.2,
    "portier-corrected.service": 2.0,
    "portier-link.service": 2.0,
    "portier-notify.service": 2.0,
    "portier-record.service": 2.0,
    "portier-update-finish.service": 2.0,
    "portier-web.service": 2.0,
}
OF_CENTRE = "../server/portier-sites.service"
"""Laid down by hand on a server, and not on a gateway."""
pytestmark = pytest.mark.process

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)


def settings(unit: str) -> dict[str, str]:
    """The [Service] section; of a key that stands twice the last."""
    parser = RawConfigParser(strict=False, comment_prefixes=("#",), delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # systemd's keys have case
    parser.read(UNITS / unit)
    return dict(parser["Service"])


def test_there_is_a_limit_for_every_unit() -> None:
    assert {path.name for path in UNITS.glob("*.service")} == set(LIMITS)


@needs_systemd
@pytest.mark.parametrize(("unit", "limit"), [*LIMITS.items(), (OF_CENTRE, 2.0)])
def test_exposure_is_below_its_limit(unit: str, limit: float) -> None:
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", str(UNITS / unit)],
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.search(r"exposure level for \S+: ([0-9.]+)", done.stdout)
    assert found is not None, done.stderr
    assert float(found.group(1)) <= limit
    assert "Unknown key" not in done.stderr


def test_control_has_devices_and_no_network() -> None:
    control = settings("portier-control.service")
    assert control["PrivateNetwork"] == "yes"
    assert control["RestrictAddressFamilies"] == "AF_UNIX"
    assert "PrivateUsers" not in control, "the panel must see its peers' real users"


@pytest.mark.parametrize("unit", [*(name for name in LIMITS if "control" not in name), OF_CENTRE])
def test_the_others_have_no_devices(unit: str) -> None:
    assert settings(unit)["PrivateDevices"] == "yes"


@pytest.mark.parametrize(
    "name", ["portier-link.service", "portier-notify.service", "portier-web.service", OF_CENTRE]
)
def test_those_who_ask_for_the_clock_may_read_its_flag_and_cannot_set_it(name: str) -> None:
    unit = settings(name)
    assert unit["SystemCallFilter"] == "adjtimex clock_adjtime"  # glibc makes the second
    assert "ProtectClock" not in unit, "it forbids reading, too"
    assert unit["CapabilityBoundingSet"] == unit["AmbientCapabilities"] == ""
    assert unit["DevicePolicy"] == "closed"


@pytest.mark.parametrize("unit", [*services.ROLES, OF_CENTRE])
def test_a_refused_configuration_is_not_tried_again_and_again(unit: str) -> None:
    assert "78" in settings(unit)["RestartPreventExitStatus"].split()


def test_relays_are_put_off_after_every_end_of_control() -> None:
    control = settings("portier-control.service")
    assert " outputs off " in control["ExecStopPost"]
    assert control["Restart"] == "always"
    assert control["WatchdogSec"] == "1s"


def test_nothing_of_the_unit_takes_the_guard_of_the_relays_away() -> None:
    """It must outlive control for a moment, also where the watchdog kills."""
    control = settings("portier-control.service")
    assert control["KillMode"] == "process"
    assert int(control["TasksMax"]) >= 32
    assert control["LimitCORE"] == "1", "a pipe is not closed before the core is dumped"
    assert "LimitNPROC" not in control


def test_the_first_contact_of_the_page_starts_notify() -> None:
    """Without contacts it has ended for good, and nobody would start it."""
    notify = settings("portier-notify.service")
    assert str(people.NOTHING_TO_DO) in notify["RestartPreventExitStatus"].split()
    assert notify["OOMPolicy"] == "continue", "a delivery that takes too much ends alone"
    text = (UNITS / "portier-notify.path").read_text()
    assert f"PathChanged={plans.overlay(Path('/var/lib/portier'))}\n" in text
    assert "Unit=portier-notify.service" in text
    assert "WantedBy=multi-user.target\n" in text, "enabled by the update that brings it"


def test_every_unit_starts_from_the_release_that_runs() -> None:
    """And its path is the same in every release: one rename changes all of them."""
    for unit in (*LIMITS, OF_CENTRE):
        for key, value in settings(unit).items():
            if key.startswith("Exec") and "/opt/portier" in value:
                assert value.startswith("/opt/portier/current/"), unit
