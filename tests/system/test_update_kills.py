"""An update is killed at fifty moments. After each one release runs, and the next try finishes."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.system.installed import OFFLINE, Gateway
from tests.system.machine import until
from tests.system.test_update import HOME, MOMENTS, NEW, kept, new_version, runs

pytestmark = [pytest.mark.system, pytest.mark.faults]
STAGES = {"": 4, **dict(zip(MOMENTS, (7, 12, 6, 9, 9), strict=True)), "serves": 3}
"""The line that a stage begins with -> at how many moments of it the update is killed."""
POWER_CUT = 4
"""After each fourth kill everything else ends, too, and the system starts again."""


class Update:
    """An update that runs, as a process of this machine."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.said: list[str] = []

    def wait_for(self, line: str) -> bool:
        """Wait until it has said this; ``False``: it has ended without."""
        assert self._process.stdout is not None
        if not line:
            return True
        for text in self._process.stdout:
            self.said.append(text)
            if line in text:
                return True
        return False

    def kill_after(self, delay_s: float) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(delay_s)
            return
        # The process in the container is the child of the one that has entered it.
        task = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        for child in task.read_text(encoding="ascii").split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(child), signal.SIGKILL)
        self._process.wait(60)


def lengths(gateway: Gateway) -> dict[str, float]:
    """How many seconds each stage of an update takes here, which runs to its end."""
    new_version(gateway, "90.0")
    began = dict.fromkeys(STAGES, time.monotonic())
    with gateway.machine.running("portier-update", NEW, environment=OFFLINE) as process:
        update = Update(process)
        for stage in STAGES:
            assert update.wait_for(stage), f"it has not said {stage!r}: {''.join(update.said)}"
            began[stage] = time.monotonic()
        process.wait(60)
    ends = [*list(began.values())[1:], time.monotonic()]
    return {stage: end - start for (stage, start), end in zip(began.items(), ends, strict=True)}


def killed(gateway: Gateway, stage: str, delay_s: float) -> None:
    with gateway.machine.running("portier-update", NEW, environment=OFFLINE) as process:
        update = Update(process)
        assert update.wait_for(stage), f"it has not said {stage!r}: {''.join(update.said)}"
        update.kill_after(delay_s)


def test_there_are_fifty_moments() -> None:
    assert sum(STAGES.values()) == 50


@pytest.mark.on("trixie")
@pytest.mark.parametrize("stage", STAGES, ids=lambda line: line.strip() or "start")
def test_an_update_that_is_killed_at_any_moment_leaves_one_that_runs(
    gateway: Gateway, stage: str
) -> None:
    """At moments of one stage, in even distances over the time that it takes here."""
    machine = gateway.machine
    length_s = lengths(gateway)[stage]
    before = "90.0"
    for number in range(STAGES[stage]):
        version = f"90.{number + 1}"
        new_version(gateway, version)
        delay_s = length_s * (number + 0.5) / STAGES[stage]
        killed(gateway, stage, delay_s)
        if number % POWER_CUT == POWER_CUT - 1:
            machine.kill()
            machine.boot()
            until(lambda: not machine.inside(f"{HOME}/update.json").exists(), what="finished")
        found = runs(gateway)
        print(f"killed {delay_s:.2f} s after {stage!r}: {found} runs", flush=True)
        assert found in (before, version)
        gateway.update(NEW).check()
        assert runs(gateway) == version
        # One that ended just before it tidied up is tidied up by the next version.
        assert {before, version} <= set(kept(gateway))
        assert len(kept(gateway)) <= 3
        assert not machine.inside(f"{HOME}/update.json").exists()
        before = version
    gateway.ready()
    gateway.opens()
