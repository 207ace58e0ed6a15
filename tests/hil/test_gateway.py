"""The real ``control`` on a kernel's GPIO lines: presses, and ends with a relay on.

The machine is emulated, an order of magnitude slower than a Raspberry Pi: times show that
nothing waits for something that it should not wait for, not how fast the gateway is.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import rig

from drivers.gpio_relay import Settings
from gateway.app import outputs

pytestmark = [pytest.mark.hil, pytest.mark.timeout(1500)]

PERSIST = {True: "the kernel keeps outputs", False: "the kernel lets outputs go"}
OFF_WITHIN_S = 2.0
"""On a Raspberry Pi. The emulated machine gets what ``portier outputs off`` alone takes it longer
than it takes the host."""


@pytest.fixture(scope="module")
def installation() -> Path:
    return rig.portier()


def seen_by(script: str, case: str, files: list[Path], **options: Any) -> Any:
    seen = rig.run(script, files=files, timeout_s=480, **options)[case]
    print(seen)
    assert "error" not in seen, seen["error"]
    return seen


def outputs_off_s(state: Path) -> float:
    """How long ``portier outputs off`` takes here, where there is no chip to find."""
    outputs.note({"x": ("gpio_relay", Settings("GPIO27"))}, state)
    times = []
    for _ in range(3):
        began = time.monotonic()
        command = [sys.executable, "-m", "gateway", "outputs", "off", "--state", str(state)]
        subprocess.run(command, capture_output=True, check=False)
        times.append(time.monotonic() - began)
    return sorted(times)[1]


def test_each_of_500_bouncing_presses_is_served_once(installation: Path) -> None:
    """gpiozero#550, #1039: presses that were lost; mqtt-io#193: pulses that were doubled."""
    seen = seen_by("gateway_presses.py", "presses", [installation])
    assert seen["presses"] == 500, "the host disturbs the machine too often to judge"
    assert (seen["served_once"], seen["missed"], seen["twice"]) == (500, 0, 0)
    assert seen["level_at_end"] == 0
    assert seen["journal"]["door_request front accepted"] >= 500
    # A bounce of up to 11 ms, 30 ms of settling, and what the emulator takes.
    assert seen["press_to_relay_ms"]["p50"] < 100
    assert seen["idle_wake_ups_per_s"] <= 10


@pytest.mark.parametrize("persist", PERSIST, ids=PERSIST.get)
def test_an_end_with_a_relay_on_ends_with_it_off(
    installation: Path, tmp_path: Path, persist: bool
) -> None:
    """kill -9, a loop that hangs, and an orderly stop, as systemd's unit of the installation.

    mqtt-io#310: a pulse that lasts for seconds because a loop was blocked."""
    deploy = rig.ROOT / "deploy"
    files = [installation, deploy / "systemd", deploy / "system"]
    seen = seen_by("gateway_units.py", "units", files, persist=persist, systemd=True)
    assert seen["user"].startswith("portier")
    slowness_s = seen["outputs_off"]["s"] - outputs_off_s(tmp_path)
    for way in ("kill", "hang"):
        assert seen[way]["on_before"], way
        assert seen[way]["off_s"] is not None, way
        assert seen[way]["off_s"] <= OFF_WITHIN_S + slowness_s, way
        assert seen[way]["cut_short"] == 0, f"{way}: systemd ended `portier outputs off` early"
        assert seen[way]["stays_off"], way
        assert seen[way]["back"], way
    assert seen["stop"] == {"on_before": True, "off": True}
    assert seen["outputs_off"]["status"] == 0
