"""500 presses that bounce, through the real ``control``: each is served once."""

import json
import os
import pathlib
import random
import signal
import socket
import subprocess
import time

from bench import case, cpu_s, install, main, python, spread_ms, wake_ups
from rigsim import SimChip, Trace

STATE = pathlib.Path("/tmp/state")
PRESSES = 500
UNDISTURBED_S = 0.025
"""Less than the settling of a contact."""
PORTIER = install()


class Control:
    """``portier run control``, until it says READY."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.settimeout(240)  # the first start reads the configuration
        self.socket.bind("\0portier-ready")
        began_ns = time.monotonic_ns()
        self.process = subprocess.Popen(
            [PORTIER, "run", "control", "--config", "portier.yaml", "--state", str(STATE)],
            env={**os.environ, "NOTIFY_SOCKET": "@portier-ready"},
        )
        while b"READY=1" not in self.socket.recv(1000):
            pass
        self.ready_s = round((time.monotonic_ns() - began_ns) / 1e9, 2)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)
        self.socket.close()


def counts():
    """``kind subject outcome reason`` -> how many such facts the journal has."""
    done = python(
        "import collections, json, pathlib\n"
        "from gateway.journal.reader import Reader\n"
        f"reader = Reader(pathlib.Path('{STATE}/journal.sqlite'))\n"
        "counts, row = collections.Counter(), 0\n"
        "while rows := reader.after_row(row, 1000):\n"
        "    row = rows[-1].row\n"
        "    for r in rows:\n"
        "        more = (r.data.get(k) for k in ('outcome', 'reason'))\n"
        "        counts[' '.join([r.kind, r.subject, *filter(None, more)])] += 1\n"
        "print(json.dumps(counts))\n"
    )
    return json.loads(done.stdout) if done.returncode == 0 else done.stderr


class Finger:
    """Presses as people do: until the door moves. So the pace is what this machine can do; the
    trace tells afterwards what the relay did.

    ``slowest_s`` is the longest that anything here took more than it should. Where the host
    stops the whole machine for a while, a bounce becomes two presses, and nobody can tell."""

    def __init__(self, chip):
        self.chip = chip
        self.slowest_s = 0.0
        self._last_s = 0.0

    def press(self, bounces):
        """Press and let go; gives the instant of the first edge."""
        self.slowest_s, self._last_s = 0.0, time.monotonic()
        begin = time.monotonic_ns()
        self._bounce(bounces, pressed=True)
        self._wait(5, lambda: self.chip.value(27) == 1)
        self.chip.release(23)  # the leaf opens
        self._wait(0.05)
        self._bounce(bounces, pressed=False)
        self._wait(5, lambda: self.chip.value(27) == 0)
        self._wait(0.05)
        self.chip.low(23)  # the leaf is closed again
        self._wait(0.08)
        return begin

    def _bounce(self, bounces, pressed):
        for i in range(bounces):
            (self.chip.low if pressed ^ (i % 2) else self.chip.release)(17)
            time.sleep(0.0004 + random.random() * 0.001)
            self._slow(0.0014)
        (self.chip.low if pressed else self.chip.release)(17)

    def _wait(self, timeout_s, true=lambda: False):
        end = time.monotonic() + timeout_s
        while time.monotonic() < end and not true():
            time.sleep(0.003)
            self._slow(0.003)

    def _slow(self, should_s):
        now = time.monotonic()
        self.slowest_s = max(self.slowest_s, now - self._last_s - should_s)
        self._last_s = now


@case
def presses():
    random.seed(4711)
    with SimChip() as chip:
        chip.low(23)  # the leaf is closed, and so is its reed contact
        cold = Control()
        cold.stop()
        control = Control()
        time.sleep(1.5)
        finger = Finger(chip)
        windows, disturbed = [], 0
        with Trace(chip) as trace:
            while len(windows) < PRESSES and disturbed < PRESSES:
                begin = finger.press(random.choice((2, 4, 8)))
                if finger.slowest_s < UNDISTURBED_S:
                    windows.append((begin, time.monotonic_ns()))
                else:
                    disturbed += 1
            time.sleep(1)
            on = [e[0] for e in trace.events(27) if e[2] == "value" and e[3] == 1]
            off = [e[0] for e in trace.events(27) if e[2] == "value" and e[3] == 0]
        pid = control.process.pid
        before, cpu = wake_ups(pid), cpu_s(pid)
        time.sleep(10)
        idle = (wake_ups(pid) - before) / 10
        cpu = round(cpu_s(pid) - cpu, 2)
        status = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
        control.stop()
        times = [sum(begin <= t < end for t in on) for begin, end in windows]
        firsts = [next((t - begin for t in on if begin <= t < end), None) for begin, end in windows]
        pulses = [b - a for a, b in zip(on, off[-len(on) :], strict=False)]
        return {
            "presses": len(windows),
            "disturbed": disturbed,
            "served_once": times.count(1),
            "missed": times.count(0),
            "twice": sum(n > 1 for n in times),
            "press_to_relay_ms": spread_ms([t for t in firsts if t is not None] or [0]),
            "pulse_ms": spread_ms(pulses or [0]),
            "first_start_ready_s": cold.ready_s,
            "ready_s": control.ready_s,
            "idle_wake_ups_per_s": idle,
            "idle_cpu_s": cpu,
            "memory": [line.split() for line in status.splitlines() if "VmRSS" in line],
            "level_at_end": chip.value(27),
            "journal": counts(),
        }


if __name__ == "__main__":
    main()
