"""A release is built beside the one that runs, and shows that it works before anything changes."""

from __future__ import annotations

import base64
import contextlib
import csv
import ctypes
import hashlib
import http.client
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from gateway.panel import client
from gateway.update import archive
from gateway.update.errors import UpdateError, say
from gateway.update.layout import Layout, Release, version_of

CONFIG = Path("/etc/portier/portier.yaml")
STATE = Path("/var/lib/portier")
USER = "portier-control"
ROOM_BYTES = 500_000_000
"""A release has some 200 MB; the journal needs the rest."""
DRY_WITHIN_S = 90.0
"""Long, because a Raspberry Pi 3 reads everything for the first time."""
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)
_OWN = shutil.ignore_patterns("portier-*", "__editable__*portier*")


def build(layout: Layout, source: Path, digest: str, wheelhouse: Path | None) -> Release:
    """Copy the program, make its environment, and let it show that it starts. Raises
    :class:`UpdateError`; then the half of it is removed."""
    version = version_of(source)
    folder = layout.folder_for(version, digest)
    _room(layout)
    say(f"building {folder}")
    layout.remove(folder)
    folder.mkdir(parents=True)
    try:
        for part in archive.PARTS:
            if (source / part).is_dir():
                shutil.copytree(source / part, folder / part, ignore=archive.ignore)
            else:
                shutil.copy2(source / part, folder / part)
        _environment(layout, folder, wheelhouse)
        made = Release(folder, version, digest)
        dry_start(made)
        return layout.complete(folder, version, digest)
    except BaseException:
        layout.remove(folder)
        raise


def _room(layout: Layout) -> None:
    free = shutil.disk_usage(layout.home).free
    if free < ROOM_BYTES:
        raise UpdateError(
            f"{layout.home} has {free // 1_000_000} MB free; an update needs"
            f" {ROOM_BYTES // 1_000_000} MB for a while.",
            "Make room, for example: sudo apt clean; sudo journalctl --vacuum-size=100M",
        )


def _environment(layout: Layout, folder: Path, wheelhouse: Path | None) -> None:
    """The packages come whole from a release that has the same ones, or from pip."""
    venv = folder / ".venv"
    lock = (folder / "requirements.lock").read_bytes()
    for there in [one.folder for one in layout.all()] + [layout.home]:
        with contextlib.suppress(OSError):
            if (there / "requirements.lock").read_bytes() == lock and _take_over(there, venv):
                say(f"its packages are those of {there}, each file checked")
                break
    else:
        say("its packages are installed (minutes on a Raspberry Pi)")
        shutil.rmtree(venv, ignore_errors=True)
        _run("make an environment", _python(), "-m", "venv", str(venv))
        where = ["--no-index", f"--find-links={wheelhouse}"] if wheelhouse else []
        _pip(venv, *where, "--require-hashes", "-r", str(folder / "requirements.lock"))
    _pip(
        *(venv, "--no-deps", "--no-build-isolation", "--config-settings", "editable_mode=compat"),
        *("--editable", str(folder)),
    )
    # Compiled once, here: the services may not write, and start six times slower without.
    folders = [str(folder / part) for part in PROGRAM]
    python = str(venv / "bin/python")
    _run("compile it", python, "-m", "compileall", "-q", "-j", "0", *folders)


PROGRAM = ("gateway", "drivers")


def _python() -> str:
    """The Python of this version by its own name: ``python3`` may lead to another one after an
    upgrade of the system, and an environment of before would be empty for it."""
    return str(Path(sys.executable).resolve())


def _take_over(there: Path, venv: Path) -> bool:
    """Copy the packages of another release. ``False``: they are of another Python, or a file is
    not what its package says."""
    found = list((there / ".venv/lib").glob("python3*/site-packages"))
    name = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    if len(found) != 1 or found[0].parent.name != name or not intact(found[0]):
        return False
    _run("make an environment", _python(), "-m", "venv", "--without-pip", str(venv))
    target = venv / "lib" / name / "site-packages"
    shutil.copytree(found[0], target, dirs_exist_ok=True, ignore=_OWN)
    return True


def intact(site: Path) -> bool:
    """Whether every file of the packages in here has the hash that its package names."""
    for record in site.glob("*.dist-info/RECORD"):
        if record.parent.name.startswith("portier-"):
            continue
        with record.open(encoding="utf-8", newline="") as lines:
            for name, named, *_ in csv.reader(lines):
                kind, _, wanted = named.partition("=")
                if kind != "sha256" or name.startswith(".."):
                    continue
                try:
                    content = (site / name).read_bytes()
                except OSError:
                    return False
                made = base64.urlsafe_b64encode(hashlib.sha256(content).digest())
                if made.rstrip(b"=").decode() != wanted:
                    return False
    return any(site.glob("*.dist-info/RECORD"))


def _pip(venv: Path, *arguments: str) -> None:
    _run(
        "install its packages",
        *(str(venv / "bin/python"), "-m", "pip", "install", "-q", "--disable-pip-version-check"),
        *arguments,
    )


def _run(what: str, *command: str) -> None:
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        check=False,
        preexec_fn=_end_with_parent,
    )
    if done.returncode != 0:
        lines = [line for line in done.stdout.splitlines() if line.strip()][-5:]
        raise UpdateError(
            f"It cannot {what}: " + "\n  ".join(lines),
            "Is the network there? Without one: portier-update ARCHIVE --wheelhouse FOLDER. Where"
            " venv or ensurepip is named: sudo apt install python3-venv",
        )


def _end_with_parent() -> None:
    """What an update that was killed has begun must not write into what the next one builds."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def check(release: Release, config: Path = CONFIG, state: Path = STATE) -> None:
    """Let the new version judge the configuration and the files of the old one. Raises
    :class:`UpdateError`."""
    done = subprocess.run(
        [str(release.portier), "check", str(config), "--state", str(state)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        raise UpdateError(
            f"Portier {release.version} cannot use what is here:\n{done.stdout.strip()}",
            f"Mend what is named above (sudo {release.portier} check {config}), then run this"
            " again.",
        )
    say(f"Portier {release.version} accepts {config} and reads everything in {state}")


def dry_start(release: Release) -> None:
    """Start door and page of this release on simulated points, in a folder of their own, and
    wait until both answer. Raises :class:`UpdateError`."""
    with (
        tempfile.TemporaryDirectory(prefix="portier-dry-start-") as name,
        tempfile.TemporaryFile() as log,
    ):
        folder = Path(name)
        user = _user()
        if user is not None:
            os.chown(folder, user.pw_uid, user.pw_gid)
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        (folder / "state").mkdir()
        if user is not None:
            os.chown(folder / "state", user.pw_uid, user.pw_gid)
        options = ["--config", str(release.folder / "config/bench.yaml"), "--state"]
        roles = [
            subprocess.Popen(
                [str(release.portier), "run", role, *options, str(folder / "state")],
                env={"PATH": os.defpath, "HOME": name, "LANG": "C.UTF-8", "PORT": str(port)},
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_end_with_parent,  # noqa: PLW1509 - there are no threads
                **_as(user),
            )
            for role in ("control", "web")
        ]
        try:
            deadline = time.monotonic() + DRY_WITHIN_S
            while not _answers(folder / "state/panel.sock", port):
                ended = any(role.poll() is not None for role in roles)
                if ended or time.monotonic() > deadline:
                    log.seek(0)
                    said = log.read().decode(errors="replace").strip().splitlines()[-8:]
                    raise UpdateError(
                        f"Portier {release.version} does not start on simulated points: "
                        + "\n  ".join(said),
                        "Nothing was changed. Report this with the lines above.",
                    )
                time.sleep(0.1)
        finally:
            for role in roles:
                role.terminate()
            for role in roles:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    role.wait(10)
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(role.pid, signal.SIGKILL)
                role.wait()
    say(f"Portier {release.version} opens simulated points and shows its page")


def _user() -> pwd.struct_passwd | None:
    """The user that the door's process has; there is none before the first installation."""
    try:
        return pwd.getpwnam(USER) if os.geteuid() == 0 else None
    except KeyError:
        return None


def _as(user: pwd.struct_passwd | None) -> dict[str, Any]:
    return {} if user is None else {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _answers(panel: Path, port: int) -> bool:
    try:
        client.snapshot(panel, timeout_s=2)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/health/live")
            return connection.getresponse().status < 500
        finally:
            connection.close()
    except (OSError, http.client.HTTPException):
        return False


def make_plan(release: Release, config: Path = CONFIG, state: Path = STATE) -> None:
    """Let the new version make what its ``control`` starts from, so that the door is not away
    for as long as that takes. Where it fails, ``control`` makes it at its start."""
    made = subprocess.run(
        [
            *(str(release.python), "-m", "gateway.app.configuration.compile_plan"),
            *(str(config), str(state), str(time.time_ns() // 1_000_000)),
        ],
        cwd="/",
        umask=0o027,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
        **_as(_user()),
    )
    if made.returncode != 0:
        say("the plan of the building could not be made in advance; the door takes longer")
