"""The real ``control`` on a kernel's GPIO lines: presses, and ends with a relay on.

The machine is emulated, an order of magnitude slower than a Raspberry Pi: times show that
nothing waits for something that it should not wait for, not how fast the gateway is.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.hil import rig

pytestmark = [pytest.mark.hil, pytest.mark.timeout(1500)]

PERSIST = {True: "the kernel keeps outputs", False: "the kernel lets outputs go"}
OFF_WITHIN_S = 2.0
"""By the kernel's own record and clock. On a host that does much else, too, the emulated machine
may be so slow that even this is missed."""


BUSY = "let the machine come first (as root: chrt --rr 1 make hil)"


@pytest.fixture(scope="module")
def installation() -> Path:
    return rig.portier()


def seen_by(script: str, case: str, files: list[Path], **options: Any) -> Any:
    """What the case saw. Its times are of the machine's own clock; the host may take its time."""
    seen = rig.run(script, files=files, timeout_s=1200, **options)[case]
    print(seen)
    assert "error" not in seen, seen["error"]
    return seen


def test_each_of_500_bouncing_presses_is_served_as_the_kernel_saw_it(installation: Path) -> None:
    """gpiozero#550, #1039: presses that were lost; mqtt-io#193: pulses that were doubled.

    Where a busy host stops the machine in the middle of a bounce, the line is quiet for so long
    that there were two presses: the kernel's own record of the edges decides, see
    ``guest/press_judge.py``."""
    seen = seen_by("gateway_presses.py", "presses", [installation])
    assert seen["record_lost"] == 0, "the kernel's record has holes"
    assert seen["edges"] >= 500 * 6, "the record is not of these presses"
    assert seen["meant"] == 500 <= seen["by_record"]
    assert seen["twice"] == [], "served although the line was not quiet"
    assert len(seen["missed"]) == seen["limited"], seen["missed"]
    assert seen["level_at_end"] == 0
    accepted = seen["journal"]["door_request front accepted"]
    assert accepted <= seen["pulses"] <= seen["by_record"]
    # A bounce of up to 11 ms, 30 ms of settling, and what the emulator takes. What waits for
    # something does so at each press; how long the median is decides the host.
    assert seen["press_to_relay_ms"]["p10"] < 100
    assert seen["idle_wake_ups_per_s"] <= 10


@pytest.mark.parametrize("persist", PERSIST, ids=PERSIST.get)
def test_an_end_with_a_relay_on_ends_with_it_off(installation: Path, persist: bool) -> None:
    """kill -9, a loop that hangs, and an orderly stop, as systemd's unit of the installation.

    mqtt-io#310: a pulse that lasts for seconds because a loop was blocked."""
    deploy = rig.ROOT / "deploy"
    files = [installation, deploy / "systemd", deploy / "system"]
    seen = seen_by("gateway_units.py", "units", files, persist=persist, systemd=True)
    assert seen["user"].startswith("portier")
    assert len(seen["processes"]) == 2
    assert "portier-guard" in seen["processes"]
    for way in ("kill", "hang"):
        assert seen[way]["on_before"], way
        assert seen[way]["off_s"] is not None, way
        assert seen[way]["off_s"] <= OFF_WITHIN_S, f"{way}; on a busy host {BUSY}"
        assert seen[way]["by"] == "portier-guard", way
        assert seen[way]["cut_short"] == 0, f"{way}: systemd ended `portier outputs off` early"
        assert seen[way]["stays_off"], way
        assert seen[way]["back"], way
    assert len(seen["guard_said"].splitlines()) == 2, "the stop in order is none of its business"
    assert (seen["stop"]["on_before"], seen["stop"]["off"]) == (True, True)
    assert seen["processes_after"] == []
    assert seen["outputs_off"]["status"] == 0
