"""``control`` as systemd's unit of the installation, killed and hung with a relay on.

Uses what ``deploy/`` ships: users, folders, and the unit with its sandbox and watchdog.
"""

import ctypes
import os
import pathlib
import re
import shutil
import subprocess
import threading
import time

from bench import case, install, main, until
from rigsim import SimChip, Trace

UNIT = "portier-control"
INTERRUPT, SEIZE = 0x4207, 0x4206


def sh(command):
    return subprocess.run(
        command, shell=True, capture_output=True, text=True, check=False
    ).stdout.strip()


def prop(name):
    return sh(f"systemctl show -P {name} {UNIT}")


def set_up():
    """As deploy/install.sh does it, without packages."""
    install("/opt/portier/current")
    for folder in ("/etc/sysusers.d", "/etc/tmpfiles.d", "/etc/portier"):
        pathlib.Path(folder).mkdir(exist_ok=True)
    shutil.copy("system/sysusers.conf", "/etc/sysusers.d/portier.conf")
    shutil.copy("system/tmpfiles.conf", "/etc/tmpfiles.d/portier.conf")
    shutil.copy(f"systemd/{UNIT}.service", "/etc/systemd/system/")
    patience = pathlib.Path(f"/etc/systemd/system/{UNIT}.service.d/rig.conf")
    patience.parent.mkdir()
    # The first start reads the configuration, which takes an emulator long, and so does the
    # Python of ExecStopPost on a host that has other things to do.
    patience.write_text("[Service]\nTimeoutStartSec=300\nTimeoutStopSec=60\n", encoding="utf-8")
    sh("systemd-sysusers; systemd-tmpfiles --create /etc/tmpfiles.d/portier.conf")
    shutil.copy("portier.yaml", "/etc/portier/portier.yaml")
    sh("chgrp gpio /dev/gpiochip*; chmod 660 /dev/gpiochip*; systemctl daemon-reload")


def ready():
    return prop("ActiveState") == "active" and prop("SubState") == "running"


def press_until_on(chip, button, relay, on):
    """Each press is one; a door that has just come back may still be in its rest."""
    for _ in range(5):
        chip.low(button)
        time.sleep(0.3)
        chip.release(button)
        time.sleep(0.2)
        if chip.value(relay) == on:
            return True
    return False


class Hang:
    """Stops the one thread that is the loop of a process, and no other."""

    def __init__(self, pid):
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._libc.ptrace.argtypes = [
            ctypes.c_long,
            ctypes.c_long,
            ctypes.c_void_p,
            ctypes.c_void_p,
        ]
        self._pid = pid
        self._stopped = threading.Event()
        self.began_ns = 0
        self.thread = threading.Thread(target=self._hold, daemon=True)
        self.thread.start()
        assert self._stopped.wait(5), "the loop could not be stopped"

    def _hold(self):
        # The tracer is this thread: it must stay until the end of the process is collected,
        # or systemd would not be told of it.
        if self._libc.ptrace(SEIZE, self._pid, None, None) != 0:
            return
        self.began_ns = time.monotonic_ns()
        self._libc.ptrace(INTERRUPT, self._pid, None, None)
        os.waitpid(self._pid, 0x40000000)  # __WALL
        self._stopped.set()
        while True:
            try:
                _, status = os.waitpid(self._pid, 0x40000000)
            except ChildProcessError:
                return
            if os.WIFSIGNALED(status) or os.WIFEXITED(status):
                return


def kill(pid):
    began_ns = time.monotonic_ns()
    os.kill(pid, 9)
    return began_ns


def hang(pid):
    return Hang(pid).began_ns


SET = re.compile(r"^\s*(\S+)-\d+\s.*\s(\d+)\.(\d{6}): gpio_value: (\d+) set ([01])", re.MULTILINE)


def switched(trace, relay, off, since_ns):
    """When the kernel set the relay's line to that level, and for whom; None if it did not."""
    for name, s, us, line, level in SET.findall((trace.dir / "trace").read_text()):
        at_ns = int(s) * 1_000_000_000 + int(us) * 1000
        if int(line) == trace.chip.base + relay and int(level) == off and at_ns >= since_ns:
            return at_ns, name
    return None, None


def end_of(chip, relay, off, way):
    """Do it with the relay on; how long until the relay is off, and until the door works.

    The kernel's own record says when the line was set. Where nobody had to, because the kernel
    lets go of it, that is when this saw it."""
    pid = int(prop("MainPID"))
    restarts = int(prop("NRestarts"))
    with Trace(chip) as trace:
        began_ns = way(pid)
        # With sleeps: the machine has one processor, and it is not ours.
        went_off = until(lambda: chip.value(relay) == off, 30)
        seen_ns = time.monotonic_ns()
        back = until(lambda: int(prop("NRestarts")) > restarts and ready(), 240)
        back_s = round((time.monotonic_ns() - began_ns) / 1e9, 2)
        set_ns, by = switched(trace, relay, off, began_ns)
    off_ns = min(seen_ns, set_ns or seen_ns)
    return {
        "off_s": round((off_ns - began_ns) / 1e9, 3) if went_off else None,
        "by": by,
        "back": back,
        "back_s": back_s,
        "stays_off": chip.value(relay) == off,
        "cut_short": int(sh(f"journalctl -u {UNIT} -o cat | grep -c 'Control process.*killed'")),
    }


def processes():
    """The unit's, by name."""
    group = sh(f"systemctl show -P ControlGroup {UNIT}")
    pids = sh(f"cat /sys/fs/cgroup{group}/cgroup.procs").split()
    return sorted(sh(f"cat /proc/{pid}/comm") for pid in pids)


@case
def units():
    with SimChip() as chip:
        chip.low(23)
        chip.high(24)  # the board of the active-low relay: off
        set_up()
        began = time.monotonic()
        sh(f"systemctl start {UNIT}")
        if not ready():
            return {"error": sh(f"systemctl status {UNIT}; journalctl -u {UNIT} -n 40 --no-pager")}
        started_s = round(time.monotonic() - began, 1)
        pid = int(prop("MainPID"))
        user = sh(f"ps -o user= -p {pid}")
        seen = {"started_s": started_s, "user": user}
        seen["processes"] = processes()
        for name, way in {"kill": kill, "hang": hang}.items():
            on = press_until_on(chip, 22, 24, 0)
            if not on:
                seen[name] = {"on_before": False, "log": sh(f"journalctl -u {UNIT} -n 30 -o cat")}
                continue
            seen[name] = {"on_before": on, **end_of(chip, 24, 1, way)}
        on = press_until_on(chip, 22, 24, 0)
        began = time.monotonic()
        sh(f"systemctl stop {UNIT}")
        stop_s = round(time.monotonic() - began, 2)
        seen["stop"] = {"on_before": on, "off": chip.value(24) == 1, "s": stop_s}
        seen["processes_after"] = [n for n in sh("ps -e -o comm=").split() if "portier" in n]
        seen["guard_said"] = sh(f'journalctl -u {UNIT} -o cat | grep \'"role": "guard"\'')
        where = ["--config", "/etc/portier/portier.yaml", "--state", "/var/lib/portier"]
        command = ["/opt/portier/current/.venv/bin/portier", "outputs", "off", *where]
        times = []
        for _ in range(3):
            began = time.monotonic()
            result = subprocess.run(command, capture_output=True, text=True, check=False)
            times.append(time.monotonic() - began)
        seen["outputs_off"] = {
            "status": result.returncode,
            "s": round(sorted(times)[1], 2),
            "said": result.stdout + result.stderr,
        }
        return seen


if __name__ == "__main__":
    main()
