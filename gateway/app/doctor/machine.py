"""What ``portier doctor`` says of this machine: terminals, radio sticks, clock, disk."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from drivers import DriverFault
from gateway.app.findings import Finding, no, not_configured, unknown, yes
from gateway.settings.model.configuration import Settings

DISK_LEAST_BYTES = 500_000_000
TRIAL_BYTES = 4096
GROUP = "sudo usermod -aG {} $USER, then log in again"


def points(settings: Settings, shown: Mapping[str, Any] | None) -> Iterator[Finding]:
    """The terminals: as ``control`` has them, or as the kernel says."""
    yield from _gpio(settings, running=shown is not None)
    yield from _buses(settings)
    yield from _radio(settings, running=shown is not None)
    known = (shown or {}).get("points")
    if not isinstance(known, Mapping):
        yield unknown(
            f"points: {len(settings.points)} are configured",
            "start control, which opens them: systemctl status portier-control",
            "control does not answer",
        )
        return
    wrong = [
        f"{name} ({(point.get('faults') or ['unknown'])[0]})"
        for name, point in known.items()
        if point.get("faults") or not _is_known(point)
    ]
    missing = sorted(set(settings.points) - set(known))
    if missing:
        yield no(
            f"points: control does not have {', '.join(missing[:5])}",
            "systemctl reload portier-control, so that it reads the configuration again",
            "control's own snapshot",
        )
    if wrong:
        yield no(
            f"points: {len(wrong)} of {len(known)} do not work: {', '.join(wrong[:5])}",
            "portier points; portier alarm list",
            "control's own snapshot",
        )
    elif not missing:
        yield yes(f"points: {len(known)} are known", "control's own snapshot, just now")


def _is_known(point: Mapping[str, Any]) -> bool:
    """Whether ``control`` has its level, of a meter the value of each quantity."""
    if point.get("kind") != "meter":
        return "active" not in point or point["active"] is not None
    quantities = (point.get("quantities") or {}).values()
    return bool(quantities) and all(one.get("value") is not None for one in quantities)


def _gpio(settings: Settings, *, running: bool) -> Iterator[Finding]:
    wired = {n: p for n, p in settings.points.items() if p.driver.startswith("gpio")}
    if not wired:
        return
    chips = sorted(Path("/dev").glob("gpiochip*"))
    if not chips:
        yield no(
            "GPIO: there is no /dev/gpiochip*",
            "run this on the machine with the terminals; load the chip's kernel module",
        )
        return
    for chip in chips:
        if not os.access(chip, os.R_OK | os.W_OK):
            yield no(f"GPIO: {chip} may not be used by this user", GROUP.format("gpio"))
    from drivers import gpiod_lines

    free, ours = [], []
    for name, point in wired.items():
        try:
            line = gpiod_lines.find(point.settings.pin, point.settings.chip)
            user = gpiod_lines.user(line)
        except DriverFault as fault:
            yield no(f"GPIO: {name}: {fault.what}", fault.remedy)
            continue
        if not user:
            free.append(name)
        elif user == gpiod_lines.CONSUMER:
            ours.append(name)
        else:
            yield no(
                f"GPIO: {name}: {line.name} is in use by {user}",
                "stop that program, or choose another pin; `gpioinfo` shows who has which",
                f"the kernel's own list of {line.path}",
            )
    if free and running:
        yield no(
            f"GPIO: control has not opened {', '.join(free[:5])}",
            "portier points; journalctl -u portier-control",
            "nobody has these lines",
        )
    elif free:
        yield yes(f"GPIO: {len(free)} lines are free", "the kernel's own list, just now")
    if ours:
        yield yes(f"GPIO: {len(ours)} lines are in use by portier", "the kernel's own list")


def _buses(settings: Settings) -> Iterator[Finding]:
    """I²C buses."""
    buses = {getattr(point.settings, "bus", None) for point in settings.points.values()}
    for bus in sorted(one for one in buses if isinstance(one, int)):
        device = Path(f"/dev/i2c-{bus}")
        if not device.exists():
            yield no(f"I²C: there is no {device}", "sudo raspi-config, Interface Options, I2C")
        elif not os.access(device, os.R_OK | os.W_OK):
            yield no(f"I²C: {device} may not be used by this user", GROUP.format("i2c"))
        else:
            yield yes(f"I²C: {device}", "it is there and may be used; no chip was asked")


def _radio(settings: Settings, *, running: bool) -> Iterator[Finding]:
    """The serial ports of radio sticks. A running gateway has them: they are not opened then."""
    used = settings.points.values()
    ports = {p.settings.port for p in used if p.driver.startswith("enocean")}
    for port in sorted(ports):
        if not Path(port).exists():
            remedy = "plug the stick in; `ls /dev/serial/by-id` lists those that are there"
            yield no(f"radio: there is no {port}", remedy)
        elif not os.access(port, os.R_OK | os.W_OK):
            yield no(f"radio: {port} may not be used by this user", GROUP.format("dialout"))
        elif running:
            yield yes(f"radio: {port}", "it is there; control has it, see its points")
        else:
            yield _opened(port)


def _opened(port: str) -> Finding:
    try:
        fd = os.open(port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        return no(f"radio: {port}: {error.strerror}", f"`fuser -v {port}` shows who has it")
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return no(f"radio: {port} is in use", f"`fuser -v {port}` shows by whom; stop it")
    finally:
        os.close(fd)
    return yes(f"radio: {port}", "opened just now; whether a radio answers was not tried")


# --- clock --------------------------------------------------------------------------------


def clock(bench: bool, shown: Mapping[str, Any] | None) -> Iterator[Finding]:
    """The time service of this machine, and whether ``control`` has heard of it. ``bench``:
    whether this one keeps its own time."""
    if bench:
        yield not_configured("clock: a bench trusts its own")
        return
    from gateway.panel.time_service import kernel_synchronized, trusted

    kernel = kernel_synchronized()
    service = _timedatectl()
    now = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
    said = f"kernel: {_words(kernel)}; timedatectl: {service or 'no answer'}; it is {now} UTC"
    remedy = (
        "sudo timedatectl set-ntp true; is UDP port 123 open to a time server?"
        " chrony needs the line rtcsync in its configuration"
    )
    good = trusted() is True
    if good:
        yield yes("clock: synchronised", said)
    elif kernel is None and not service:
        yield unknown("clock: nobody says whether it is right", remedy, said)
    else:
        yield no("clock: not synchronised", remedy, said)
    if good and shown is not None and shown.get("clock_trusted") is not True:
        yield no(
            "clock: control does not trust it",
            "link, web or notify reports it to control: systemctl status 'portier-*'",
            "control's own snapshot",
        )


def _words(synchronised: bool | None) -> str:
    return {True: "synchronised", False: "not synchronised", None: "does not say"}[synchronised]


def _timedatectl() -> str:
    """``yes`` or ``no``; empty where it does not answer."""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        return subprocess.run(
            ["timedatectl", "show", "--property=NTPSynchronized", "--value"],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=3,
            check=True,
        ).stdout.strip()
    return ""


# --- disk ---------------------------------------------------------------------------------


def disk(state: Path) -> Iterator[Finding]:
    """A small file is written beside the journal, synced and removed."""
    there = state if state.exists() else state.absolute().parent
    while not there.exists():
        there = there.parent
    if os.statvfs(there).f_flag & os.ST_RDONLY:
        yield no(
            f"disk: {there} is read-only: the door works, nothing is recorded",
            "look for disk errors (dmesg), then: "
            f"sudo mount -o remount,rw $(findmnt -no TARGET -T {there})",
            "the flags of its file system",
        )
        return
    began = time.monotonic()
    try:
        with tempfile.TemporaryFile(dir=there, prefix=".doctor-") as file:
            file.write(b"\0" * TRIAL_BYTES)
            file.flush()
            os.fsync(file.fileno())
    except PermissionError as error:
        yield unknown(
            f"disk: {there} cannot be written by this user",
            "run this as the gateway's user: sudo -u portier-control portier doctor",
            error.strerror or "",
        )
        return
    except OSError as error:
        yield no(
            f"disk: {there} cannot be written ({error.strerror})",
            "make room (df -h, df -i); look for disk errors (dmesg)",
            f"a file of {TRIAL_BYTES} bytes was tried just now",
        )
        return
    took_ms = (time.monotonic() - began) * 1000
    free = shutil.disk_usage(there).free
    evidence = f"wrote and synced {TRIAL_BYTES} bytes in {took_ms:.0f} ms just now"
    what = f"disk: {free // 1_000_000} MB free at {there}"
    if free >= DISK_LEAST_BYTES:
        yield yes(what, evidence)
    else:
        yield no(what, "make room, or lower journal: {limit: …} and retention:", evidence)
