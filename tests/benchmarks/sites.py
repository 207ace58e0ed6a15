"""The centre before 1,000 gateways with 20 points each: its start, its memory, its share of a core.

The floor is the same connection without a picture, which counts the messages and forgets them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.benchmarks.figures import Figure, quantile
from tests.benchmarks.many_gateways import ManyGateways
from tests.process.parts_mqtt import ROOT, Mosquitto, running

GATEWAYS = int(os.environ.get("PORTIER_BENCH_GATEWAYS", "1000"))
POINTS = 20
PER_S = 200.0
PLAYED_S = float(os.environ.get("PORTIER_BENCH_SECONDS", "30"))
CALLS = 50
COMPLETE_S, SHARE_PERCENT, MEMORY_MB, CALL_MS = 10.0, 30.0, 300.0, 1_000.0
WITHIN_S = 120.0
MB = 1_048_576


class Measured:
    """A process of :mod:`tests.benchmarks.centre_alone`."""

    def __init__(self, port: int, bare_topics: int = 0) -> None:
        self.began = time.monotonic()
        self.asked = 0
        """Gateways of which something had to be asked for."""
        self.process = subprocess.Popen(
            [
                sys.executable, "-m", "tests.benchmarks.centre_alone", "--port", str(port),
                "--gateways", str(GATEWAYS), "--bare", str(bare_topics),
            ],
            cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def lines(self) -> Iterator[dict[str, Any]]:
        """What it writes, until it ends."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith(b"{"):  # the log goes there, too
                yield json.loads(line)

    def complete_s(self) -> float:
        """From the start of the process until everything was known."""
        for told in self.lines():
            if "complete" in told:
                self.asked = int(told.get("asked", 0))
                return float(told["complete"]) - self.began
        raise RuntimeError("the centre has ended")

    @property
    def cpu_s(self) -> float:
        text = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="utf-8")
        fields = text.rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def memory_mb(self) -> float:
        pages = Path(f"/proc/{self.process.pid}/statm").read_text(encoding="utf-8").split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE") / MB


@contextmanager
def measured(port: int, bare_topics: int = 0) -> Iterator[Measured]:
    made = Measured(port, bare_topics)
    try:
        yield made
    finally:
        made.process.terminate()
        made.process.wait(30)


def _share_percent(one: Measured, gateways: ManyGateways) -> float:
    """Of one core, while events are played."""
    began, cpu_s = time.monotonic(), one.cpu_s
    until = began + PLAYED_S
    gateways.play(PER_S, lambda: time.monotonic() >= until)
    gateways.wait()
    return 100 * (one.cpu_s - cpu_s) / (time.monotonic() - began)


def _calls_ms(one: Measured, gateways: ManyGateways) -> list[float]:
    """From a cord that is pulled until the picture has the call."""
    pulled: dict[str, float] = {}
    for number in range(CALLS):
        gateway = gateways.names[number * len(gateways.names) // CALLS]
        pulled[gateway] = time.monotonic()
        gateways.call(gateway)
        time.sleep(0.05)
    found: list[float] = []
    for told in one.lines():
        if (at := pulled.get(str(told.get("call")))) is not None:
            found.append(1000 * (float(told["at"]) - at))
        if len(found) == CALLS:
            return found
    raise RuntimeError("the centre has ended")


def figures() -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="portier-bench-") as name:
        broker = Mosquitto(Path(name))
        with running(broker):
            gateways = ManyGateways(broker.port, GATEWAYS, POINTS)
            try:
                topics = gateways.introduce()
                gateways.wait()
                with measured(broker.port, topics) as bare:
                    bare_s, bare_mb = bare.complete_s(), bare.memory_mb
                    bare_percent = _share_percent(bare, gateways)
                with measured(broker.port) as centre:
                    complete_s = centre.complete_s()
                    start_mb, asked = centre.memory_mb, centre.asked
                    percent = _share_percent(centre, gateways)
                    played_mb = centre.memory_mb
                    calls_ms = _calls_ms(centre, gateways)
            finally:
                gateways.close()
    of = f"{GATEWAYS:,} gateways × {POINTS} points"
    return [
        Figure(f"start → everything known, {of}", complete_s, "s", COMPLETE_S, floor=bare_s,
               note=f"{topics:,} topics, {asked} gateways asked for; from Python's start on"),
        Figure(f"memory of the picture, {of}", played_mb, "MB", MEMORY_MB, floor=bare_mb,
               note=f"{start_mb:.0f} MB before {PLAYED_S:.0f} s of events; without the page"),
        Figure(f"picture, {PER_S:.0f} events/s, of one core", percent, "%", SHARE_PERCENT,
               floor=bare_percent, note="without the page"),
        Figure(f"cord → picture, {of}, p99", quantile(calls_ms, 0.99), "ms", CALL_MS,
               note=f"p50 {quantile(calls_ms, 0.5):.0f} ms, of {CALLS} calls"),
    ]  # fmt: skip
