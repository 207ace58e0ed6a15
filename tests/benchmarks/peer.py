"""mqtt-io with an automation client, pressed as we are: in a venv of its own, thrown away."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.figures import Figure, Missing, quantile
from tests.process.parts_mqtt import Mosquitto, running

PACKAGE = "mqtt-io==2.7.0"
PRESSES = 100
PER_SECOND = 20.0
SCRIPT = Path(__file__).with_name("peer_mqtt_io.py")


def figures() -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="portier-bench-") as name:
        folder = Path(name)
        python = _venv(folder)
        broker = Mosquitto(folder)
        with running(broker):
            port = str(broker.port)
            automation = subprocess.Popen(
                [python, SCRIPT, "automation", port], stderr=subprocess.DEVNULL
            )
            try:
                done = subprocess.run(
                    [python, SCRIPT, "gateway", port, str(PRESSES), str(PER_SECOND)],
                    capture_output=True, text=True, check=False, timeout=60,
                )  # fmt: skip
            finally:
                automation.kill()
                automation.wait()
        if done.returncode != 0:
            raise Missing(f"{PACKAGE} did not serve a press: {done.stderr[-200:]}")
    times = json.loads(done.stdout)
    served = [t for t in times if t is not None]
    what, note = "press → relay, mqtt-io with an automation client", "a peer, no goal"
    return [
        Figure(f"{what}, p50", quantile(served, 0.5), "ms", note=note),
        Figure(f"{what}, p99", quantile(served, 0.99), "ms", note=note),
        Figure(f"{what}, missed of {PRESSES}", len(times) - len(served), "", note=note),
    ]


def _venv(folder: Path) -> str:
    """The Python that has mqtt-io, from the package index that pip is set up with."""
    python = folder / "venv" / "bin" / "python"
    for command in (
        [sys.executable, "-m", "venv", str(folder / "venv")],
        [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", PACKAGE],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        if done.returncode != 0:
            lines = (done.stderr or done.stdout).strip().splitlines()
            raise Missing(f"{PACKAGE} cannot be installed: {lines[-1] if lines else command[-1]}")
    return str(python)
