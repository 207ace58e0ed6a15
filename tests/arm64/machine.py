"""A Debian for arm64 on a machine of another kind: unpacked, and run by qemu-user.

Nothing of it is installed: its packages are unpacked without their scripts. qemu is registered for
programs of arm64 in a namespace of its own (binfmt_misc belongs to a user namespace, since
Linux 6.7), so nothing of this machine changes. What a system writes goes to an overlay.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from gateway.update import pack
from tests.system import root as debian

CACHE = debian.CHECKOUT / ".cache" / "arm64"
MACHINE = "aarch64"
QEMU = "qemu-aarch64-static"
WANTED = ("python3", "python3-venv", "python3-cryptography", "ca-certificates")
SUITE = {python: suite for suite, python in debian.SUITES.items()}.get(
    f"{sys.version_info[0]}.{sys.version_info[1]}", "trixie"
)
"""The Debian with the Python that runs this: that can then compile what the other one would take
minutes for. What it writes is the same on each kind of machine."""
WITHIN_S = 600.0

_MAGIC = r"\x7fELF\x02\x01\x01" + r"\x00" * 9 + r"\x02\x00\xb7\x00"
_MASK = r"\xff" * 7 + r"\x00" + r"\xff" * 8 + r"\xfe\xff\xff\xff"
"""How a program of arm64 begins, and which bits of it count: its ABI does not, and an executable
may be one that is loaded anywhere."""

_START = r"""
set -eu
read -r _
mount -t proc proc /proc
mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
printf '%s' "$1" >/proc/sys/fs/binfmt_misc/register
mount -t overlay overlay -o "userxattr,lowerdir=$2,upperdir=$3/upper,workdir=$3/work" "$3/merged"
mount -t proc proc "$3/merged/proc"
mount --rbind /dev "$3/merged/dev"
echo ready
read -r _
"""
"""Waits for a line before it begins, because its users are mapped from outside, and then for the
end of its input."""


class NoMachineError(Exception):
    """It cannot be made here; the text says why."""


def cannot() -> str:
    """Why it cannot be made on this machine; empty: nothing is known to be in the way."""
    if os.geteuid() != 0:
        return "needs root"
    for tool in ("debootstrap", "dpkg-deb", QEMU, "unshare", "nsenter", "chroot"):
        if shutil.which(tool) is None:
            return f"{tool} is not installed"
    return ""


def root() -> Path:
    """The unpacked Debian, made once. Raises :class:`NoMachineError`."""
    name = hashlib.sha256(repr(WANTED).encode()).hexdigest()[:12]
    made = CACHE / f"{SUITE}-{name}"
    if made.exists():
        return made
    part = made.with_name(f"{made.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    CACHE.mkdir(parents=True, exist_ok=True)
    uri, keyring = debian.mirror()
    _run(
        *("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"),
        *("debootstrap", "--foreign", "--arch=arm64", "--variant=minbase"),
        *(f"--keyring={keyring}", f"--include={','.join(WANTED)}", SUITE, str(part), uri),
    )
    for package in sorted((part / "var/cache/apt/archives").glob("*.deb")):
        _run("dpkg-deb", "-x", str(package), str(part))
        package.unlink()
    for name in ("passwd", "group"):  # as base-passwd would install them
        shutil.copyfile(part / f"usr/share/base-passwd/{name}.master", part / f"etc/{name}")
    trusted = sorted((part / "usr/share/ca-certificates").rglob("*.crt"))
    text = "".join(one.read_text(encoding="ascii") for one in trusted)
    (part / "etc/ssl/certs/ca-certificates.crt").write_text(text, encoding="ascii")
    for name in ("etc/resolv.conf", "etc/apt/sources.list", "etc/hostname"):
        (part / name).unlink(missing_ok=True)  # of this machine
    part.rename(made)
    return made


def wheels() -> Path:
    """The locked Python packages for arm64, downloaded once. Raises :class:`PackError`."""
    lock = (debian.CHECKOUT / "requirements.lock").read_text(encoding="utf-8")
    python = debian.SUITES[SUITE]
    folder = CACHE / f"wheels-{python}-{hashlib.sha256(lock.encode()).hexdigest()[:12]}"
    if not folder.exists():
        part = folder.with_name(f"{folder.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        missing = pack.download(lock, python, MACHINE, part)
        assert missing == [], f"there is no wheel for arm64 of {missing}"
        part.rename(folder)
    return folder


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode != 0:
        said = (done.stdout + done.stderr).strip().splitlines()[-5:]
        raise NoMachineError(f"{command[0]} failed: {' / '.join(said)}")


@dataclass(frozen=True, slots=True)
class Arm64:
    """The system while it runs. ``top``: its root, as this machine sees it; ``merged``: as its
    namespace does, whose first process has the id ``pid`` here."""

    top: Path
    merged: Path
    pid: int

    def start(self, *command: str, log: Path | None = None) -> subprocess.Popen[str]:
        """Start a command in it, in a group of its own."""
        inside = (
            *("nsenter", "-t", str(self.pid), "-U", "-m", "-p", "--", "chroot", str(self.merged)),
            *("env", "-i", "PATH=/usr/sbin:/usr/bin", "HOME=/root", "LANG=C.UTF-8"),
        )
        with contextlib.ExitStack() as stack:
            out: IO[str] | int = subprocess.PIPE
            if log is not None:
                out = stack.enter_context(log.open("w", encoding="utf-8"))
            return subprocess.Popen(
                [*inside, *command],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,
            )

    def ok(self, *command: str) -> str:
        """Run a command that has to succeed; its output."""
        process = self.start(*command)
        try:
            out, _ = process.communicate(timeout=WITHIN_S)
        finally:
            process.kill()
        assert process.returncode == 0, f"{command}: {process.returncode}\n{out[-4000:]}"
        return out


@contextlib.contextmanager
def running(lower: Path, folder: Path) -> Iterator[Arm64]:
    """The system, which writes below ``folder``; its processes end with it. Raises
    :class:`NoMachineError`."""
    for name in ("upper", "work", "merged"):
        (folder / name).mkdir()
    qemu = shutil.which(QEMU)
    assert qemu is not None
    # F: qemu is opened now, so it need not be in the other system.
    registered = f":arm64:M::{_MAGIC}:{_MASK}:{qemu}:F"
    with tempfile.TemporaryFile("w+", encoding="utf-8") as log:
        outer = subprocess.Popen(
            [
                *("unshare", "--user", "--mount", "--pid", "--fork", "--kill-child"),
                *("sh", "-c", _START, "sh", registered, str(lower), str(folder)),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        assert outer.stdin is not None
        assert outer.stdout is not None
        try:
            _map_users(outer)
            outer.stdin.write("go\n")
            outer.stdin.flush()
            if outer.stdout.readline() != "ready\n":
                log.seek(0)
                raise NoMachineError(f"qemu cannot be registered: {log.read().strip()}")
            children = Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text("ascii")
            inner = int(children.split()[0])
            merged = folder / "merged"
            yield Arm64(Path(f"/proc/{inner}/root{merged}"), merged, inner)
        finally:
            outer.kill()  # and with it everything in its namespace
            outer.communicate()


def _map_users(outer: subprocess.Popen[str]) -> None:
    """Let its users be those of this machine, once it has its namespace."""
    mine = os.readlink("/proc/self/ns/user")
    deadline = time.monotonic() + 30
    while os.readlink(f"/proc/{outer.pid}/ns/user") == mine:
        if outer.poll() is not None or time.monotonic() > deadline:
            raise NoMachineError("this kernel gives no namespace of users")
        time.sleep(0.01)
    for name in ("uid_map", "gid_map"):
        Path(f"/proc/{outer.pid}/{name}").write_text("0 0 65536\n", encoding="ascii")
