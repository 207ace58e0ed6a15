"""500 presses that bounce, through the real ``control``: each is served as the kernel saw it."""

import json
import os
import pathlib
import random
import signal
import socket
import subprocess
import time

from bench import case, cpu_s, install, main, python, spread_ms, until, wake_ups
from press_judge import around, judge
from rigsim import SimChip, Trace

STATE = pathlib.Path("/tmp/state")
PRESSES = 500
BUTTON, LEAF, RELAY = 17, 23, 27
SETTLE_MS = 30
"""What portier.yaml leaves at its default."""
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


def journal():
    """``counts``: ``kind subject outcome reason`` -> how many such facts there are. ``served``:
    of each press the instant of its edge. ``limited``: presses that were only counted."""
    done = python(
        "import collections, json, pathlib\n"
        "from gateway.journal.queries.reader import Reader\n"
        f"reader = Reader(pathlib.Path('{STATE}/journal.sqlite'))\n"
        "counts, served, limited, row = collections.Counter(), [], 0, 0\n"
        "while rows := reader.after_row(row, 1000):\n"
        "    row = rows[-1].row\n"
        "    for r in rows:\n"
        "        more = (r.data.get(k) for k in ('outcome', 'reason'))\n"
        "        counts[' '.join([r.kind, r.subject, *filter(None, more)])] += 1\n"
        "        if r.kind == 'door_request':\n"
        "            served.append(r.mono_ms)\n"
        "        if r.kind == 'refusals_counted':\n"
        "            limited += r.data['count']\n"
        "print(json.dumps({'counts': counts, 'served': served, 'limited': limited}))\n"
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


class Finger:
    """Presses as people do: until the door moves. So the pace is what this machine can do; the
    kernel's record tells afterwards what the line and the relay did."""

    def __init__(self, chip):
        self.chip = chip

    def press(self, bounces):
        """Press and let go; gives an instant before the first edge."""
        begin = time.monotonic_ns()
        self._bounce(bounces, pressed=True)
        until(lambda: self.chip.value(RELAY) == 1, 5)
        self.chip.release(LEAF)  # it opens
        time.sleep(0.05)
        self._bounce(bounces, pressed=False)
        until(lambda: self.chip.value(RELAY) == 0, 5)
        time.sleep(0.05)
        self.chip.low(LEAF)  # it is closed again
        time.sleep(0.08)
        return begin

    def _bounce(self, bounces, pressed):
        for i in range(bounces):
            (self.chip.low if pressed ^ (i % 2) else self.chip.release)(BUTTON)
            time.sleep(0.0004 + random.random() * 0.001)
        (self.chip.low if pressed else self.chip.release)(BUTTON)


@case
def presses():
    random.seed(4711)
    with SimChip() as chip:
        chip.low(LEAF)
        cold = Control()
        cold.stop()
        control = Control()
        time.sleep(1.5)
        finger = Finger(chip)
        with Trace(chip) as trace:
            begins = [finger.press(random.choice((2, 4, 8))) for _ in range(PRESSES)]
            time.sleep(61)  # a minute later everything that was only counted is told
            lost = trace.lost()
            edges = [(at_ns // 1_000_000, level == 0) for at_ns, level in trace.edges(BUTTON)]
            relay = [(e[0], e[3]) for e in trace.events(RELAY) if e[2] == "value"]
        on = [at_ns for at_ns, level in relay if level]
        off = [at_ns for at_ns, level in relay if not level]
        pid = control.process.pid
        before, cpu = wake_ups(pid), cpu_s(pid)
        time.sleep(10)
        idle = (wake_ups(pid) - before) / 10
        cpu = round(cpu_s(pid) - cpu, 2)
        status = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
        control.stop()
        told = journal()
        judged = judge(edges, told["served"], SETTLE_MS)
        firsts = [next((t - b for t in on if t >= b), None) for b in begins]
        pulses = [b - a for a, b in zip(on, off[-len(on) :], strict=False)]
        return {
            "meant": len(begins),
            "edges": len(edges),
            "record_lost": lost,
            "by_record": judged.presses,
            "served": len(told["served"]),
            "limited": told["limited"],
            "twice": [around(edges, at_ms) for at_ms in judged.twice],
            "missed": [around(edges, at_ms) for at_ms in judged.missed],
            "pulses": len(on),
            "press_to_relay_ms": spread_ms([t for t in firsts if t is not None] or [0]),
            "pulse_ms": spread_ms(pulses or [0]),
            "first_start_ready_s": cold.ready_s,
            "ready_s": control.ready_s,
            "idle_wake_ups_per_s": idle,
            "idle_cpu_s": cpu,
            "memory": [line.split() for line in status.splitlines() if "VmRSS" in line],
            "level_at_end": chip.value(RELAY),
            "journal": told["counts"],
        }


if __name__ == "__main__":
    main()
