"""From the start of ``control`` to the first press served, against Python with gpiozero."""

from __future__ import annotations

import json
import subprocess
import sys
import time

from tests.benchmarks.figures import Figure, quantile
from tests.benchmarks.whole import ROOT, whole

RUNS = 7
FLOOR = "import gpiozero, time; gpiozero.DigitalInputDevice; print(time.monotonic_ns())"


def figures() -> list[Figure]:
    bare, ours = [], []
    with whole() as it:
        out = it.folder / "first.json"
        command = [
            sys.executable, "-m", "tests.benchmarks.gpio_control",
            str(it.config), str(it.state), str(out), "0", "1", "0", "0",
        ]  # fmt: skip
        for run in range(RUNS + 1):
            began = time.monotonic_ns()
            floor = subprocess.run(
                [sys.executable, "-c", FLOOR], capture_output=True, text=True, check=True
            )
            floor_ms = (int(floor.stdout) - began) / 1e6
            out.unlink(missing_ok=True)
            began = time.monotonic_ns()
            subprocess.run(command, cwd=ROOT, capture_output=True, check=True, timeout=30)
            served_ms = (json.loads(out.read_text())["served_ns"] - began) / 1e6
            if run:  # the first makes the plan that the others find
                bare.append(floor_ms)
                ours.append(served_ms)
    return [
        Figure(
            "start of control → first press served", quantile(ours, 0.5), "ms",
            3 * quantile(bare, 0.5), floor=quantile(bare, 0.5),
            note="goal: 3 × Python with gpiozero; with a plan in the cache",
        )
    ]  # fmt: skip
