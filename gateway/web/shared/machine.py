"""The machine below the gateway, for the metrics: disk, wear, temperature, certificates.

What the kernel does not say, or says to others only, is missing. Nothing here holds up a request:
files are asked in a thread, and whoever waits gets nothing of it after :data:`WITHIN_S`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROLES = ("control", "link", "notify", "record", "web")
WITHIN_S = 1.0
SECTOR_BYTES = 512
"""The unit of ``/sys/block/*/stat``, whatever the disk's own is."""
MOST = 64
"""Sensors and processes that are looked at."""


@dataclass(frozen=True, slots=True)
class Machine:
    """``written_bytes``: by role, since it was started; ``device_written_bytes``: of the whole
    device of the state folder, since boot. ``certificates``: name -> POSIX seconds of its end."""

    disk_size_bytes: int | None = None
    disk_free_bytes: int | None = None
    device_written_bytes: int | None = None
    written_bytes: Mapping[str, int] = field(default_factory=dict)
    temperatures_c: Mapping[str, float] = field(default_factory=dict)
    certificates: Mapping[str, float] = field(default_factory=dict)


def look(
    state: Path,
    certificates: Callable[[], Mapping[str, float]],
    proc: Path = Path("/proc"),
    sys: Path = Path("/sys"),
) -> Machine:
    """Ask the kernel. Takes as long as the disk takes."""
    size = free = None
    try:
        usage = os.statvfs(state)
        size, free = usage.f_blocks * usage.f_frsize, usage.f_bavail * usage.f_frsize
    except OSError:
        pass
    return Machine(
        size,
        free,
        _device_written_bytes(state, sys),
        _written_bytes(proc, sys),
        dict(_temperatures_c(sys)),
        certificates(),
    )


def _text(path: Path) -> str:
    """What a file of the kernel says; nothing where it is not for us."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _device_written_bytes(state: Path, sys: Path) -> int | None:
    try:
        device = os.stat(state).st_dev
    except OSError:
        return None
    fields = _text(sys / "dev/block" / f"{os.major(device)}:{os.minor(device)}" / "stat").split()
    return int(fields[6]) * SECTOR_BYTES if len(fields) > 6 and fields[6].isdigit() else None


def _written_bytes(proc: Path, sys: Path) -> dict[str, int]:
    """Under systemd by unit, where ``IOAccounting`` is on; else of the processes that our
    supervisor has started, and of this one."""
    found = {}
    for role in ROLES:
        text = _text(sys / "fs/cgroup/system.slice" / f"portier-{role}.service" / "io.stat")
        numbers = [word[7:] for word in text.split() if word.startswith("wbytes=")]
        if numbers and all(map(str.isdigit, numbers)):
            found[role] = sum(map(int, numbers))
    if found:
        return found
    parent = os.getppid()
    for pid in _text(proc / f"{parent}/task/{parent}/children").split()[:MOST]:
        role = _role_of(_text(proc / pid / "cmdline").split("\0"))
        if role and (written := _process_written_bytes(proc / pid)) is not None:
            found[role] = written
    if (own := _process_written_bytes(proc / "self")) is not None:
        found.setdefault("web", own)
    return found


def _role_of(words: list[str]) -> str:
    after = words[words.index("run") + 1 :] if "run" in words else []
    return next((word for word in after if word in ROLES), "")


def _process_written_bytes(process: Path) -> int | None:
    for line in _text(process / "io").splitlines():
        name, _, number = line.partition(": ")
        if name == "write_bytes" and number.isdigit():
            return int(number)
    return None


def _temperatures_c(sys: Path) -> Iterator[tuple[str, float]]:
    """Sensors of the board by their name; of two of one name the first."""
    names: set[str] = set()
    for zone in sorted((sys / "class/thermal").glob("thermal_zone*"))[:MOST]:
        name = _text(zone / "type").strip() or zone.name
        try:
            milli_c = int(_text(zone / "temp"))
        except ValueError:
            continue
        if name not in names:
            names.add(name)
            yield name, milli_c / 1000


class MachineReader:
    """Asks one question at a time: a disk that hangs costs one thread."""

    def __init__(self, ask: Callable[[], Machine]) -> None:
        self._ask = ask
        self._asking: asyncio.Task[Machine] | None = None

    async def read(self, within_s: float = WITHIN_S) -> Machine:
        """What the machine says now; nothing where that takes too long."""
        asking = self._asking
        if asking is None or asking.done():
            asking = self._asking = asyncio.create_task(asyncio.to_thread(self._ask))
        done, _ = await asyncio.wait({asking}, timeout=within_s)
        return asking.result() if done else Machine()
