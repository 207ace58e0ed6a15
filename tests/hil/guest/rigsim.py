"""Simulated GPIO hardware for tests that run inside the rig.

A SimChip is a real gpiochip of the running kernel, backed by gpio-sim: the
program under test opens /dev/gpiochipN as on a Raspberry Pi, and the test moves
its inputs and reads its outputs from outside, through sysfs.

    with SimChip({17: "BUTTON", 27: "RELAY"}) as chip:
        chip.low(17)            # the button connects the line to ground
        chip.release(17)        # open again: the program's own pull decides
        chip.value(27)          # what the relay sees, 0 or 1

Trace records every level and direction change the kernel makes, with times on
time.monotonic_ns()'s clock.

Only the standard library is used. Must run as root.
"""

import os
import pathlib
import re
import time

CONFIGFS = pathlib.Path("/sys/kernel/config/gpio-sim")
PLATFORM = pathlib.Path("/sys/devices/platform")
TRACING = pathlib.Path("/sys/kernel/tracing")

# The first gpiochip's label and line count on each board.
BOARDS = {"pi4": ("pinctrl-bcm2711", 58), "pi5": ("pinctrl-rp1", 54)}


class SimChip:
    """One simulated GPIO controller.

    names: {offset: line name}; the others are called GPIO0, GPIO1, ... as on a
    Raspberry Pi. board: sets label and number of lines.
    """

    def __init__(self, names=None, board="pi4", label=None, lines=None):
        default_label, default_lines = BOARDS[board]
        self.names = {i: f"GPIO{i}" for i in range(28)}
        self.names.update(names or {})
        self.label = label or default_label
        self.lines = lines or default_lines
        self._dir: pathlib.Path
        self._fds = {}

    def __enter__(self):
        n = 0
        while (CONFIGFS / f"rig{n}").exists():
            n += 1
        self._dir = CONFIGFS / f"rig{n}"
        self._dir.mkdir()
        bank = self._dir / "bank0"
        bank.mkdir()
        (bank / "num_lines").write_text(str(self.lines), encoding="utf-8")
        (bank / "label").write_text(self.label, encoding="utf-8")
        for offset, name in self.names.items():
            line = bank / f"line{offset}"
            line.mkdir()
            (line / "name").write_text(name, encoding="utf-8")
        (self._dir / "live").write_text("1", encoding="utf-8")
        self.chip_name = (bank / "chip_name").read_text(encoding="utf-8").strip()
        self.number = int(self.chip_name[len("gpiochip") :])
        self.path = "/dev/" + self.chip_name
        dev_name = (self._dir / "dev_name").read_text(encoding="utf-8").strip()
        self.sysfs = PLATFORM / dev_name / self.chip_name
        # The kernel's global number of line 0, as the trace events name lines.
        self.base = self._find_base()
        return self

    def __exit__(self, *exc):
        for fd in self._fds.values():
            os.close(fd)
        self._fds.clear()
        (self._dir / "live").write_text("0", encoding="utf-8")
        bank = self._dir / "bank0"
        for offset in self.names:
            (bank / f"line{offset}").rmdir()
        bank.rmdir()
        self._dir.rmdir()

    def _find_base(self):
        for chip in pathlib.Path("/sys/class/gpio").glob("gpiochip*"):
            if (chip / "label").read_text(encoding="utf-8").strip() == self.label:
                return int((chip / "base").read_text(encoding="utf-8"))
        return None

    def _fd(self, offset, attribute, flags):
        key = (offset, attribute)
        if key not in self._fds:
            self._fds[key] = os.open(str(self.sysfs / f"sim_gpio{offset}" / attribute), flags)
        return self._fds[key]

    def _drive(self, offset, how):
        fd = self._fd(offset, "pull", os.O_RDWR)
        t = time.monotonic_ns()
        os.pwrite(fd, how, 0)
        return t

    def low(self, offset):
        """Connect the line to ground; returns monotonic_ns() just before."""
        return self._drive(offset, b"pull-down")

    def high(self, offset):
        """Connect the line to the supply; returns monotonic_ns() just before."""
        return self._drive(offset, b"pull-up")

    def release(self, offset):
        """Connect the line to nothing: the bias that the program asked for
        decides (no bias reads 0); returns monotonic_ns() just before."""
        return self._drive(offset, b"float")

    def bounce(self, offset, pressed, edges=8, gap_s=0.001):
        """A contact to ground that closes (pressed) or opens, bouncing."""
        act = (self.release, self.low)
        for i in range(edges):
            act[pressed ^ (i % 2)](offset)
            time.sleep(gap_s)
        return act[pressed](offset)

    def value(self, offset):
        """The level on the line now: what is driven, else the pull."""
        return int(os.pread(self._fd(offset, "value", os.O_RDONLY), 4, 0))

    def pull(self, offset):
        return os.pread(self._fd(offset, "pull", os.O_RDWR), 16, 0).decode().strip()

    def wait(self, offset, level, timeout=5.0):
        """Wait until the line is at level; returns the monotonic_ns() it was
        seen there, or None after timeout seconds."""
        fd = self._fd(offset, "value", os.O_RDONLY)
        want = b"%d" % level
        end = time.monotonic_ns() + int(timeout * 1e9)
        while True:
            got = os.pread(fd, 4, 0)[:1]
            now = time.monotonic_ns()
            if got == want:
                return now
            if now > end:
                return None


class Trace:
    """The kernel's own record of GPIO activity (ftrace events gpio:*).

    with Trace(chip) as trace: ...; trace.events() ->
    [(monotonic_ns, offset, "value"|"direction", 0/1)]; for "direction" 1 means
    input; "get" values (reads) are left out unless reads=True.
    """

    _event = re.compile(r"\s(\d+)\.(\d+): gpio_(value|direction): (\d+)\s+(.*)")
    _edge = re.compile(r"edge: \(linereq_put_event\S*\) ts=(\d+) id=(\d) line=(\d+)")
    # struct gpio_v2_line_event: the stamp, rising (1) or falling (2), the line.
    _probe = "p:rig/edge linereq_put_event ts=+0(%si):u64 id=+8(%si):u32 line=+12(%si):u32\n"

    def __init__(self, chip):
        self.chip = chip
        self.dir = TRACING / "instances" / f"rig{os.getpid()}"

    def __enter__(self):
        self.dir.mkdir(exist_ok=True)
        (self.dir / "trace_clock").write_text("mono", encoding="utf-8")
        (self.dir / "buffer_size_kb").write_text("4096", encoding="utf-8")
        (self.dir / "trace").write_text("", encoding="utf-8")
        (TRACING / "kprobe_events").write_text(self._probe, encoding="utf-8")
        for group in ("gpio", "rig"):
            (self.dir / "events" / group / "enable").write_text("1", encoding="utf-8")
        return self

    def __exit__(self, *exc):
        for group in ("gpio", "rig"):
            (self.dir / "events" / group / "enable").write_text("0", encoding="utf-8")
        self._last = (self.dir / "trace").read_text(encoding="utf-8")
        self.dir.rmdir()
        (TRACING / "kprobe_events").write_text("", encoding="utf-8")  # opening it removes them

    def edges(self, offset):
        """The edges of an input as the kernel handed them to whoever has the line, of any chip:
        [(monotonic_ns, level)]. The instant is the kernel's stamp; the record's own is later,
        and by how much is the host's whim."""
        return [
            (int(stamp), int(kind == "1"))
            for stamp, kind, line in self._edge.findall(self._text())
            if int(line) == offset
        ]

    def _text(self):
        return (self.dir / "trace").read_text(encoding="utf-8") if self.dir.exists() else self._last

    def lost(self):
        """How many events did not fit; with any, the record is no evidence."""
        stats = (path.read_text(encoding="utf-8") for path in self.dir.glob("per_cpu/*/stats"))
        lines = (line for text in stats for line in text.splitlines())
        return sum(int(line.split(":")[1]) for line in lines if line.startswith("overrun"))

    def events(self, offset=None, reads=False):
        out = []
        for line in self._text().splitlines():
            m = self._event.search(line)
            if not m:
                continue
            sec, frac, kind, number, rest = m.groups()
            line_no = int(number) - self.chip.base
            if offset is not None and line_no != offset:
                continue
            ns = int(sec) * 10**9 + int(frac.ljust(9, "0"))
            if kind == "value":
                verb, level = rest.split()
                if verb == "get" and not reads:
                    continue
                out.append((ns, line_no, verb if reads else "value", int(level)))
            else:
                out.append((ns, line_no, "direction", int(rest.split()[0] == "in")))
        return out
