"""The installer on a bare Debian: once, again, and with a store of its own."""

from __future__ import annotations

import pytest

from tests.system.conftest import Image
from tests.system.installed import RUNNING, Gateway
from tests.system.machine import until

pytestmark = pytest.mark.system


def test_a_fresh_installation_runs(image: Image) -> None:
    assert image.first.out.rstrip().endswith("- done")
    states = {role: state for role, state in image.fresh.items() if role != "notify"}
    assert states == dict.fromkeys(states, "active")
    assert image.fresh["notify"] in ("activating", "active", "inactive")


def test_the_second_installation_changes_nothing(image: Image) -> None:
    said = [line for line in image.second.out.splitlines() if line.startswith("- /")]
    assert said == [], "files that were laid down again"
    assert image.second.out.rstrip().endswith("- done")


def test_a_point_that_cannot_be_opened_is_one_line_for_each_cause(image: Image) -> None:
    """There is no GPIO on this machine, and control ran for as long as an installation takes."""
    missing = [event for event in image.fresh_log if event.endswith("not open")]
    assert 0 < len(missing) <= 4, len(missing)  # two starts


def test_every_unit_works_as_shipped(gateway: Gateway) -> None:
    gateway.opens()
    until(lambda: gateway.page.ask("GET", "/health/ready")[0] == 200, what="the page is ready")
    out = gateway.machine.ok("systemctl", "is-active", *RUNNING)
    assert out.split() == ["active"] * len(RUNNING)
    assert gateway.restarts() == dict.fromkeys(gateway.restarts(), 0)
