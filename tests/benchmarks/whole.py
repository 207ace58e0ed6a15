"""The whole gateway for a measurement: control on mock pins, and the other roles as they are."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.benchmarks.gpio_control import LOAD
from tests.process.parts_mqtt import free_port, program

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = Path(__file__).with_name("building.yaml")


def ended(process: subprocess.Popen[Any]) -> None:
    """Ask it to end, and see to it."""
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@dataclass
class Whole:
    """A folder with a configuration, a broker, and the roles that were started."""

    folder: Path
    mqtt_port: int
    web_port: int
    processes: dict[str, subprocess.Popen[Any]] = field(default_factory=dict)

    @property
    def config(self) -> Path:
        return self.folder / "building.yaml"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    def start(self, name: str, command: Sequence[str]) -> subprocess.Popen[Any]:
        log = (self.folder / f"{name}.log").open("wb")
        process = subprocess.Popen(
            list(command), cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
        log.close()
        self.processes[name] = process
        return process

    def role(self, name: str) -> None:
        self.start(name, [*portier(), "run", name, *self.options()])

    def options(self) -> list[str]:
        return ["--config", str(self.config), "--state", str(self.state)]

    def control(
        self, *, presses: int, per_second: float, events: float, seconds: float
    ) -> dict[str, Any]:
        """Be pressed; what was measured. The other roles go on."""
        out = self.folder / "out.json"
        out.unlink(missing_ok=True)
        (self.state / "panel.sock").unlink(missing_ok=True)
        process = self.start(
            "control",
            [
                sys.executable, "-m", "tests.benchmarks.gpio_control",
                str(self.config), str(self.state), str(out),
                str(presses), str(per_second), str(events), str(seconds),
            ],
        )  # fmt: skip
        deadline = time.monotonic() + 60 + seconds + presses * (1 / per_second + 1)
        while not out.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self.folder / "control.log").read_text()[-2000:])
            time.sleep(0.05)
        time.sleep(0.05)
        found: dict[str, Any] = json.loads(out.read_text())
        return found

    def memory_mb(self, name: str) -> float:
        """Proportional set size of a role: what it takes that nobody shares."""
        pid = self.processes[name].pid
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
        raise RuntimeError("no Pss")

    def cpu_s(self, name: str) -> float:
        """Processor time that a role has used so far, in seconds."""
        pid = self.processes[name].pid
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self, name: str) -> None:
        ended(self.processes.pop(name))


def portier() -> list[str]:
    return [sys.executable, "-m", "gateway"]


@contextlib.contextmanager
def whole() -> Iterator[Whole]:
    """A folder of its own and a Mosquitto; everything is ended afterwards."""
    with tempfile.TemporaryDirectory(prefix="portier-bench-") as name:
        folder = Path(name)
        it = Whole(folder, free_port(), free_port())
        points = "\n".join(
            f"  load.c{n}: {{driver: gpio_contact, pin: {pin}, settle: 0 ms}}"
            for n, pin in enumerate(LOAD)
        )
        watches = "\n".join(
            f"  load{n}: {{point: load.c{n}, delay: 1 h}}" for n in range(len(LOAD))
        )
        text = TEMPLATE.read_text()
        for key, value in {
            "@LOAD_POINTS@": points,
            "@LOAD_WATCHES@": watches,
            "@MQTT@": str(it.mqtt_port),
            "@WEB@": str(it.web_port),
        }.items():
            text = text.replace(key, value)
        it.config.write_text(text)
        it.state.mkdir()
        (folder / "mosquitto.conf").write_text(
            f"listener {it.mqtt_port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\n"
            "max_inflight_messages 100\nmax_queued_messages 200000\npersistence false\n"
        )
        it.start("broker", [program("mosquitto"), "-c", str(folder / "mosquitto.conf")])
        try:
            yield it
        finally:
            for process in reversed(it.processes.values()):
                ended(process)
