"""The units of a release: laid down, started, and observed until they serve."""

from __future__ import annotations

import filecmp
import os
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.panel import client
from gateway.systemd import systemctl
from gateway.update.errors import say
from gateway.update.layout import Layout, Release, link

UNITS = Path("/etc/systemd/system")
PANEL = Path("/var/lib/portier/panel.sock")
ROLES = tuple(f"portier-{role}.service" for role in ("control", "link", "web", "record", "notify"))
CONTROL, *OTHERS = ROLES
FINISH = "portier-update-finish.service"
MAY_END = "portier-notify.service"
"""It ends by itself where nobody is to be informed."""
WITHIN_S = 60.0
STEADY_S = 3.0
"""A role that ends right after its start comes back each second; for so long nothing may change."""
ENDS_MOST = 8
"""A role that systemd has started again so often is not waited for any longer."""
ALWAYS = ("door_by_button", "door_by_staff", "call", "journal")
"""Nothing outside keeps these from *yes* within a minute."""
OUTSIDE = ("delivery_failed", "heartbeat_failed", "nobody_told", "recorder_aside", "set_aside")
"""Reasons of a guarantee that no update is to blame for."""
SYSTEM_FILES = {
    "sysusers.conf": "/usr/lib/sysusers.d/portier.conf",
    "tmpfiles.conf": "/usr/lib/tmpfiles.d/portier.conf",
    "99-portier-gpio.rules": "/etc/udev/rules.d/99-portier-gpio.rules",
}
PORTIER, UPDATE = COMMANDS = ("/usr/local/bin/portier", "/usr/local/sbin/portier-update")
SCRIPT = "deploy/portier-update"
_OLD_PLACE = "/opt/portier/.venv/"


def lay_system_files(release: Release) -> None:
    """Users, folders and device rules that this release needs; those of before stay."""
    changed = False
    for name, target in SYSTEM_FILES.items():
        source, place = release.folder / "deploy/system" / name, Path(target)
        if source.is_file() and not (place.is_file() and filecmp.cmp(source, place, False)):
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, place)
            say(target)
            changed = True
    if changed:
        subprocess.run(["systemd-sysusers"], check=False)
        subprocess.run(["systemd-tmpfiles", "--create", "portier.conf"], check=False)
        reload = subprocess.run(
            ["udevadm", "control", "--reload"], capture_output=True, check=False
        )
        if reload.returncode == 0:
            subprocess.run(["udevadm", "trigger", "--subsystem-match=gpio"], check=False)


def keep_units(folder: Path) -> None:
    """Give an installation of before releases its own units, as it has them installed."""
    target = folder / "deploy/systemd"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for unit in UNITS.glob("portier-*"):
        if unit.is_file() and not unit.is_symlink():
            text = unit.read_text(encoding="utf-8")
            text = text.replace(_OLD_PLACE, "/opt/portier/current/.venv/")
            (target / unit.name).write_text(text, encoding="utf-8")


def linked(layout: Layout) -> list[Path]:
    """The units that are ours; one that its owner has written is not."""
    places = [one for one in UNITS.glob("portier-*") if one.is_symlink()]
    return sorted(one for one in places if os.readlink(one).startswith(f"{layout.home}/"))


def lay_units(layout: Layout, release: Release) -> list[str]:
    """Link the units of this release, through ``current``, so that one rename changes program
    and units. The names of those that were not there before."""
    new = []
    wanted = {unit.name for unit in (release.folder / "deploy/systemd").iterdir()}
    for name in sorted(wanted):
        place = UNITS / name
        if not place.is_symlink() and not place.exists():
            new.append(name)
        link(place, layout.home / "current/deploy/systemd" / name)
    for place in linked(layout):
        # The one that finishes an update may be what runs this.
        if place.name not in wanted and place.name != FINISH:
            systemctl("disable", "-q", "--now", place.name)
            place.unlink(missing_ok=True)
    Path(PORTIER).parent.mkdir(parents=True, exist_ok=True)
    link(Path(PORTIER), layout.home / "current/.venv/bin/portier")
    # A release of before this command has none: then that of another one is used.
    having = [one for one in layout.all() if (one.folder / SCRIPT).is_file()]
    if (release.folder / SCRIPT).is_file():
        link(Path(UPDATE), layout.home / "current" / SCRIPT)
    elif having:
        link(Path(UPDATE), having[0].folder / SCRIPT)
    systemctl("daemon-reload")
    return new


def enable(units: Sequence[str], release: Release) -> None:
    """Let these start with the machine, where they are meant to."""
    for unit in units:
        text = (release.folder / "deploy/systemd" / unit).read_text(encoding="utf-8")
        if "[Install]" in text:
            systemctl("enable", "-q", unit)


@dataclass(frozen=True, slots=True)
class Unit:
    name: str
    state: str
    pid: int
    result: str
    restarts: int

    def runs(self, release: Release) -> bool:
        """Whether its process is of this release: the first word of its command line."""
        try:
            words = Path(f"/proc/{self.pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            return False
        return words[0].decode(errors="replace").startswith(f"{release.folder}/")


def states() -> dict[str, Unit]:
    wanted = "Id,ActiveState,MainPID,Result,NRestarts"
    out = systemctl("show", "-p", wanted, *ROLES).stdout
    found = {}
    for block in out.strip().split("\n\n"):
        fields = dict(line.partition("=")[::2] for line in block.splitlines())
        name = fields.get("Id", "")
        pid, restarts = (int(fields.get(key) or 0) for key in ("MainPID", "NRestarts"))
        state, result = fields.get("ActiveState", ""), fields.get("Result", "")
        found[name] = Unit(name, state, pid, result, restarts)
    return found


def guarantees() -> dict[str, Mapping[str, Any]]:
    """Of the running ``control``; empty where it does not answer."""
    try:
        return dict(client.snapshot(PANEL)["guarantees"])
    except client.ControlAway:
        return {}


def active() -> tuple[str, ...]:
    """The roles that serve now."""
    return tuple(name for name, one in states().items() if one.state in ("active", "reloading"))


def sound() -> tuple[str, ...]:
    """The guarantees that are *yes* now."""
    return tuple(sorted(name for name, one in guarantees().items() if one["ok"]))


def start(release: Release, new: Sequence[str] = (), *, all_of_them: bool = False) -> None:
    """Start what runs now anew, the door first, and what is ``new``. A role that somebody has
    stopped stays stopped, unless ``all_of_them``."""
    systemctl("daemon-reload")
    now = states()
    stale = [n for n in ROLES if now[n].state != "inactive" and not now[n].runs(release)]
    wanted = [name for name in ROLES if all_of_them or name in new or name in stale]
    if CONTROL in wanted:
        systemctl("restart", CONTROL)
        away_ms = _away_ms()
        if away_ms is not None:
            say(f"the door's process was away for {away_ms} ms")
    others = [name for name in wanted if name != CONTROL]
    if others:
        systemctl("restart", *others)
    folder = release.folder / "deploy/systemd"
    for unit in sorted((*folder.glob("*.path"), *folder.glob("*.timer"))):
        fresh = all_of_them or unit.name in new
        systemctl("restart" if fresh else "try-restart", unit.name)


def _away_ms() -> int | None:
    """From the beginning of the stop to the word that it is ready, by systemd's clock; ``None``:
    it is not back, or was not there."""
    names = ("ActiveExitTimestampMonotonic", "ActiveEnterTimestampMonotonic")
    out = systemctl("show", "-p", ",".join(names), CONTROL).stdout
    fields = dict(line.partition("=")[::2] for line in out.splitlines())
    stopped, started = (int(fields.get(name) or 0) for name in names)
    return (started - stopped) // 1000 if 0 < stopped < started else None


def serves(release: Release) -> bool:
    """Whether the door's process is of this release and answers now."""
    return not (_wrong(release, (CONTROL,), states()) or _wrong_of_control(release, ()))


def wait_until_served(
    release: Release, wanted: Sequence[str], before: Sequence[str], within_s: float = WITHIN_S
) -> list[str]:
    """Observe until these roles have served for a moment without a change. What is wrong at the
    end of the time; empty: nothing."""
    deadline = time.monotonic() + within_s
    pids: list[int] = []
    since = time.monotonic()
    at_first = states()
    while True:
        now = states()
        wrong = _wrong(release, wanted, now)
        wrong = wrong or _wrong_of_control(release, before)
        found = [now[name].pid for name in wanted]
        if wrong or found != pids:
            pids, since = found, time.monotonic()
        elif time.monotonic() - since >= STEADY_S:
            return []
        ends = [n for n in wanted if now[n].restarts - at_first[n].restarts >= ENDS_MOST]
        if ends or time.monotonic() > deadline:
            again = [f"{name} ends again and again: journalctl -u {name}" for name in ends]
            return again or wrong or ["its processes did not stay the same for a moment"]
        time.sleep(0.2)


def _wrong(release: Release, wanted: Sequence[str], now: Mapping[str, Unit]) -> list[str]:
    found = []
    for name in wanted:
        unit = now[name]
        if name == MAY_END and unit.state == "inactive":
            continue
        if unit.state != "active":
            why = "" if unit.result == "success" else f" ({unit.result})"
            found.append(f"{name} is {unit.state}{why}: journalctl -u {name}")
        elif not unit.runs(release):
            found.append(f"{name} still runs another version")
    return found


def _wrong_of_control(release: Release, before: Sequence[str]) -> list[str]:
    try:
        shown = client.snapshot(PANEL)
    except client.ControlAway:
        return ["control does not answer at its panel: journalctl -u portier-control"]
    if shown["gateway"]["version"] != release.version:
        return [f"control says that it is version {shown['gateway']['version']}"]
    return worse(before, shown["guarantees"])


def worse(before: Sequence[str], now: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The guarantees that were *yes*, and are not for a reason that the update may be."""
    found = []
    for name in before:
        one = now.get(name)
        if one is None or one["ok"]:
            continue
        reason = str(one.get("reason") or "")
        if name in ALWAYS or (one["value"] == "no" and reason not in OUTSIDE):
            found.append(f"the guarantee {name} was yes and is {one['value']} ({reason})")
    return found
