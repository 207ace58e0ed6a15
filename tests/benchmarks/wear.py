"""What the roles write and how often they wake, from the kernel's counters, while the bench
building does nothing and while it lives.

Everything runs at its real speed, so that each timer acts as it would: the commit of routine
facts, the checkpoints, the health interval. A busy day is the sum of its parts: what a minute
with a climate value costs, times 1,440, and what one opening, one visit and one call add to it
(:data:`OPENINGS`, :data:`VISITS`, :data:`CALLS`). An opening is given :data:`OPENING_S`, long
enough for the recorder's ledger to be saved after each.

``PORTIER_WEAR_SECONDS`` is how long the idle part lasts (600). The others are shortened by the
same share.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.panel import client
from tests.benchmarks.figures import Figure
from tests.benchmarks.whole import ROOT, ended
from tests.process.parts import children
from tests.process.parts_mqtt import free_port

IDLE_S = 600.0
SETTLE_S = 75.0
"""After the start: until what it has left behind is committed and moved into the file."""
MINUTES = 4
OPENING_S = 12.0
"""From press to press: the leaf opens and closes in between, and the ledger's 5 s pass."""
VISIT_S = 15.0
MEASURED_OPENINGS = 20
MEASURED_VISITS = 12
OPENINGS, VISITS, CALLS, CLIMATE = 300, 80, 1, 1_440
DAY_S = 86_400.0
IDLE_MB, BUSY_MB = 20.0, 100.0
WAKES, CORE_PERCENT = 16.0, 0.6


@dataclass(frozen=True, slots=True)
class Counters:
    """Of one role since its start: bytes that it had the kernel write, voluntary context
    switches of its threads, seconds of processor."""

    written: int = 0
    wakes: int = 0
    cpu_s: float = 0.0

    def __sub__(self, before: Counters) -> Counters:
        return Counters(
            self.written - before.written, self.wakes - before.wakes, self.cpu_s - before.cpu_s
        )


def counters(pid: int) -> Counters:
    """Those of a process and of the children that it has waited for (the kernel adds theirs).
    What was dirtied and deleted before it reached the disk is not written."""
    text = Path(f"/proc/{pid}/io").read_text(encoding="utf-8")
    io = dict(line.split(": ") for line in text.splitlines())
    wakes = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):  # a thread that has just ended
            wakes += _voluntary(task / "status")
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
    ticks = sum(int(stat[n]) for n in range(11, 15))
    return Counters(
        int(io["write_bytes"]) - int(io["cancelled_write_bytes"]),
        wakes,
        ticks / os.sysconf("SC_CLK_TCK"),
    )


def _voluntary(status: Path) -> int:
    for line in status.read_text(encoding="utf-8").splitlines():
        if line.startswith("voluntary_ctxt_switches"):
            return int(line.split()[1])
    raise RuntimeError(f"{status} names no context switches")


Roles = Mapping[str, Counters]


@dataclass
class Building:
    """The bench building under ``portier run``."""

    supervisor: subprocess.Popen[bytes]
    state: Path
    roles: dict[str, int] = field(default_factory=dict)
    presses: int = 0

    def counters(self) -> dict[str, Counters]:
        return {name: counters(pid) for name, pid in self.roles.items()}

    def bench(self, do: str, **args: Any) -> None:
        message = {"type": "bench", "id": uuid.uuid4().hex, "do": do, **args}
        result = client.ask(self.state / "panel.sock", message, timeout_s=60)["result"]
        if "error" in result:
            raise RuntimeError(result["error"])

    def press(self, point: str, for_ms: int = 200) -> None:
        self.bench("press", point=point, for_ms=for_ms)

    def during(self, live: Callable[[], None]) -> tuple[dict[str, Counters], float]:
        """What the roles did while ``live`` ran, and for how many seconds it did."""
        os.sync()  # what lies dirty is dirtied anew, and so counted anew
        before, began = self.counters(), time.monotonic()
        live()
        after = self.counters()
        return {n: after[n] - before[n] for n in after}, time.monotonic() - began


@contextlib.contextmanager
def building() -> Iterator[Building]:
    """The roles of ``config/bench.yaml`` on a folder of their own, once all of them are up."""
    with tempfile.TemporaryDirectory(prefix="portier-wear-") as name:
        state = Path(name) / "state"
        log = (Path(name) / "log").open("wb")
        process = subprocess.Popen(
            [sys.executable, "-m", "gateway", "run", "--config", "config/bench.yaml",
             "--state", str(state)],
            cwd=ROOT, env={**os.environ, "PORT": str(free_port())},
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
        log.close()
        it = Building(process, state)
        try:
            _until(lambda: _up(it), lambda: (Path(name) / "log").read_text()[-2000:])
            yield it
        finally:
            process.send_signal(signal.SIGINT)
            ended(process)


def _up(it: Building) -> bool:
    """Whether every role runs and the recorder has said what it has."""
    it.roles = {_role(pid): pid for pid in children(it.supervisor.pid)}
    it.roles["run"] = it.supervisor.pid
    try:
        found = client.snapshot(it.state / "panel.sock", timeout_s=5)
    except OSError:
        return False
    guarantees: Any = found["guarantees"]
    return bool(guarantees["recording"]["ok"] and guarantees["forwarding"]["ok"])


def _role(pid: int) -> str:
    arguments = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
    return arguments[arguments.index("run") + 1] if "run" in arguments else arguments[0]


def _until(true: Callable[[], bool], said: Callable[[], str]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        if time.monotonic() > deadline:
            raise RuntimeError(said())
        time.sleep(0.1)


# --- the lives ----------------------------------------------------------------------------


def _openings(it: Building, number: int) -> None:
    for _ in range(number):
        it.press("front.button_outside")
        time.sleep(OPENING_S)


def _visits(it: Building, number: int) -> None:
    """In by the door, motion, out again."""
    for _ in range(number):
        for point, active in (("wc.door", True), ("wc.pir", True), ("wc.door", False)):
            it.bench("set", point=point, value=active)
            time.sleep(VISIT_S / 8)
        it.bench("set", point="wc.pir", value=False)
        time.sleep(VISIT_S / 4)
        it.bench("set", point="wc.door", value=True)
        time.sleep(VISIT_S / 8)
        it.bench("set", point="wc.door", value=False)
        time.sleep(VISIT_S / 4)


def _call(it: Building) -> None:
    """A cord, somebody who comes, and the button in the room."""
    it.press("wc.cord", 500)
    time.sleep(20)
    it.press("wc.presence", 500)
    time.sleep(10)
    it.press("wc.cancel", 500)
    time.sleep(20)


def _climate(it: Building, minutes: int) -> None:
    """Each minute another temperature and humidity, further off than any deadband."""
    for minute in range(minutes):
        for quantity, value in (("temperature_c", 20.0), ("humidity_percent", 50.0)):
            it.bench("set", point="wc.climate", quantity=quantity, value=value + minute % 2 * 5)
        time.sleep(60)
    time.sleep(15)  # the last one is written 50 s after it was seen


# --- the figures --------------------------------------------------------------------------


def mb(roles: Roles) -> float:
    return sum(one.written for one in roles.values()) / 1e6


def shares(roles: Roles, scale: float = 1.0) -> str:
    """Of each role, in MB; what is nothing is left out."""
    parts = {name: one.written / 1e6 * scale for name, one in sorted(roles.items())}
    return (
        ", ".join(f"{name} {part:.2g}" for name, part in parts.items() if part > 0.0005) or "none"
    )


def figures() -> list[Figure]:
    idle_s = float(os.environ.get("PORTIER_WEAR_SECONDS", IDLE_S))
    share = min(1.0, idle_s / IDLE_S)

    def some(number: int) -> int:
        return max(2, round(number * share))

    with building() as it:
        time.sleep(SETTLE_S)
        idle, took_s = it.during(lambda: time.sleep(idle_s))
        minutes = max(3, some(MINUTES))
        openings, visits = some(MEASURED_OPENINGS), some(MEASURED_VISITS)
        climate, climate_s = it.during(lambda: _climate(it, minutes))
        opened, opened_s = it.during(lambda: _openings(it, openings))
        visited, visited_s = it.during(lambda: _visits(it, visits))
        called, called_s = it.during(lambda: _call(it))
    day = DAY_S / took_s
    wakes = {name: one.wakes / took_s for name, one in idle.items()}
    cores = {name: one.cpu_s / took_s * 100 for name, one in idle.items()}

    def more(roles: Roles, seconds: float, times: int) -> float:
        """Of one such thing, in MB, without what the building writes anyhow."""
        return max(0.0, mb(roles) - mb(idle) / took_s * seconds) / times

    parts = {
        "idle": mb(idle) * day,
        "climate": more(climate, climate_s, minutes) * CLIMATE,
        "openings": more(opened, opened_s, openings) * OPENINGS,
        "visits": more(visited, visited_s, visits) * VISITS,
        "call": more(called, called_s, 1) * CALLS,
    }
    busy = ", ".join(f"{name} {part:.1f}" for name, part in parts.items())
    return [
        Figure(
            "written in a day, idle, all roles", parts["idle"], "MB", IDLE_MB,
            note=f"from {took_s:.0f} s; {shares(idle, day)}",
        ),
        Figure(
            "written in a busy day, all roles", sum(parts.values()), "MB", BUSY_MB,
            note=f"{busy}; {OPENINGS} openings, {VISITS} visits, climate each minute, one call",
        ),
        Figure(
            "written for a minute with a climate value", mb(climate) / minutes * 1000, "kB",
            note=shares(climate, 1 / minutes) + " (MB)",
        ),
        Figure(
            "written for one opening", mb(opened) / openings * 1000, "kB",
            note=shares(opened, 1 / openings) + " (MB)",
        ),
        Figure(
            "wake-ups at rest, all roles", sum(wakes.values()), "/s", WAKES,
            note=", ".join(f"{name} {one:.1f}" for name, one in sorted(wakes.items())),
        ),
        Figure(
            "processor at rest, all roles, of one core", sum(cores.values()), "%", CORE_PERCENT,
            note=", ".join(f"{name} {one:.2f}" for name, one in sorted(cores.items())),
        ),
    ]  # fmt: skip
