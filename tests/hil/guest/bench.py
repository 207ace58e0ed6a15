"""What the guest scripts share: services under test, presses, percentiles, results.

Runs inside the emulated machine beside ``rigsim``. A case is a function that returns what it
saw; the host's tests judge it.
"""

import glob
import json
import os
import pathlib
import random
import subprocess
import sys
import time
import traceback
from collections.abc import Callable

CASES: dict[str, Callable[[], dict[str, object]]] = {}


def case(function):
    CASES[function.__name__] = function
    return function


def main():
    """Run the cases named on the command line, or all; one JSON line each."""
    for name in sys.argv[1:] or CASES:
        try:
            seen = CASES[name]()
        except Exception:  # noqa: BLE001 - the host's test fails with what went wrong
            seen = {"error": traceback.format_exc()}
        print("\nCASE " + json.dumps({"case": name, **seen}), flush=True)


def install(where="/opt/portier"):
    """Unpack what the host has packed; gives the command ``portier``."""
    site = pathlib.Path(where, "site")
    site.mkdir(parents=True)
    subprocess.run(["tar", "-xf", "guest.tar", "-C", site], check=True)
    packages = next(path for path in sys.path if path.endswith("dist-packages"))
    pathlib.Path(packages, "portier.pth").write_text(f"{site}\n", encoding="utf-8")
    command = pathlib.Path(where, ".venv/bin/portier")
    command.parent.mkdir(parents=True)
    command.write_text(
        f"#!{sys.executable}\nfrom gateway.__main__ import main\nmain()\n", encoding="utf-8"
    )
    command.chmod(0o755)
    return str(command)


def point(name, driver, **settings):
    return json.dumps({"point": name, "driver": driver, "settings": settings})


class Service:
    """A process under test that says ``ready``."""

    def __init__(self, command, **environment):
        self.started_ns = time.monotonic_ns()
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment}
        )
        assert self.process.stdout.readline() == "ready\n", "the service did not start"
        self.ready_s = (time.monotonic_ns() - self.started_ns) / 1e9

    def stop(self):
        """Stopped in order; what it has to say at the end."""
        self.process.terminate()
        out, _ = self.process.communicate(timeout=20)
        return json.loads(out) if out.strip() else None

    def kill(self):
        self.process.kill()
        self.process.wait()
        return time.monotonic_ns()


def drivers(*points, **environment):
    return Service([sys.executable, "service.py", *points], **environment)


def until(true, timeout_s=60.0):
    """Wait until it is so; whether it became so. Sleeps in between: the machine has one
    processor, and the service under test needs it."""
    end = time.monotonic() + timeout_s
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.003)
    return True


def wake_ups(pid):
    """How often the threads of a process have gone to sleep and woken since they began."""
    return sum(
        int(line.split()[1])
        for path in glob.glob(f"/proc/{pid}/task/*/status")
        for line in pathlib.Path(path).read_text(encoding="utf-8").splitlines()
        if line.startswith("voluntary")
    )


def python(code):
    """Run it in a Python of its own."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def cpu_s(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def spread_ms(values_ns):
    values = sorted(values_ns)

    def at(percent):
        return round(values[min(len(values) - 1, int(len(values) * percent / 100))] / 1e6, 3)

    return {"p10": at(10), "p50": at(50), "p99": at(99), "max": round(values[-1] / 1e6, 3)}


def bouncing_press(chip, line, hold_s, bounces):
    """Press and let go; returns the instants just before the first and after the last edge."""
    pressed_ns = time.monotonic_ns()
    chip.bounce(line, True, edges=bounces, gap_s=0.0004 + random.random() * 0.001)
    time.sleep(hold_s)
    chip.bounce(line, False, edges=bounces, gap_s=0.0004 + random.random() * 0.001)
    return pressed_ns, time.monotonic_ns()
