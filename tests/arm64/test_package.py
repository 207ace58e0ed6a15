"""The Debian package for arm64 runs on arm64: its binaries load, it checks a configuration, starts
on simulated points, and a press opens the door.

Run by hand (``make arm64``), because it is emulated. Not tried here: the package's scripts and pip,
which would take a quarter of an hour each; ``tests/system/test_package.py`` runs them on amd64.
"""

from __future__ import annotations

import compileall
import contextlib
import http.client
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway.panel import client
from gateway.update import archive, deb, pack
from gateway.update.errors import PackError
from gateway.update.layout import version_of
from tests.arm64 import machine
from tests.arm64.machine import Arm64
from tests.process.parts_mqtt import free_port
from tests.system import root as debian

pytestmark = [pytest.mark.arm64, pytest.mark.timeout(3_600)]
MADE_S = 1_800_000_000
HOME = f"/opt/portier/releases/{version_of(debian.CHECKOUT)}"
PYTHON = f"{HOME}/.venv/bin/python"
BENCH = f"{HOME}/config/bench.yaml"
STATE = "/var/lib/portier"
BINARIES = """
import importlib, pathlib, platform, sysconfig
assert platform.machine() == "aarch64", platform.machine()
site = pathlib.Path(sysconfig.get_path("purelib"))
names = []
for file in sorted(site.rglob("*.so")):
    parts = file.relative_to(site).parts
    if not any(part.endswith(".libs") for part in parts):
        names.append(".".join((*parts[:-1], parts[-1].split(".")[0])))
for name in names:
    importlib.import_module(name)
print(len(names), "binaries:", *names)
"""
PARTS = """
import importlib
for name in ("control.service", "web.app", "link.main", "recorder.main", "notify.main",
             "update.main", "backup.make", "app.certificates.folder"):
    importlib.import_module("gateway." + name)
from drivers import gpiod_lines
print("parts: all")
"""


@pytest.fixture(scope="module")
def arm64(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arm64]:
    """A Debian with the tree of the package, and its release built as the update does."""
    if reason := machine.cannot():
        pytest.skip(f"no arm64: {reason}")
    folder = tmp_path_factory.mktemp("arm64")
    try:
        lower, wheels = machine.root(), machine.wheels()
        with machine.running(lower, _made(folder)) as system:
            _unpack(folder, wheels, system)
            _build(folder, wheels, system)
            yield system
    except (machine.NoMachineError, PackError) as error:
        pytest.fail(str(error), pytrace=False)
    finally:
        shutil.rmtree(machine.CACHE / f"run-{folder.name}", ignore_errors=True)


def _made(folder: Path) -> Path:
    """Beside the roots: an overlay cannot lie on another one."""
    made = machine.CACHE / f"run-{folder.name}"
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True)
    return made


def _unpack(folder: Path, wheels: Path, system: Arm64) -> None:
    tree = folder / "tree"
    archive.copy(debian.CHECKOUT, tree)
    version = version_of(tree)
    package = deb.pack(tree, wheels, machine.MACHINE, version, folder, MADE_S)
    assert package.name.endswith("_arm64.deb")
    subprocess.run(["dpkg-deb", "-x", str(package), str(system.top)], check=True)


def _build(folder: Path, wheels: Path, system: Arm64) -> None:
    """What ``portier-update`` makes of the tree; pip is this machine's and takes the wheels of the
    other one."""
    release = system.top / HOME.lstrip("/")
    archive.copy(system.top / deb.RELEASE, release)
    packages = folder / "packages"
    python = debian.SUITES[machine.SUITE]
    abi = f"cp{python.replace('.', '')}"
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check"),
            *("--no-index", "--find-links", str(wheels)),
            *("--no-deps", "--require-hashes", "--no-compile", "--only-binary=:all:"),
            *("--python-version", python, "--implementation", "cp", "--target", str(packages)),
            *(word for name in (abi, "abi3", "none") for word in ("--abi", name)),
            *(word for name in pack.platforms(machine.MACHINE) for word in ("--platform", name)),
            *("-r", str(release / "requirements.lock")),
        ],
        check=True,
    )
    system.ok("python3", "-m", "venv", "--without-pip", f"{HOME}/.venv")
    (site,) = (release / ".venv/lib").glob("python3*/site-packages")
    shutil.copytree(packages, site, dirs_exist_ok=True)
    (site / "portier.pth").write_text(f"{HOME}\n", encoding="utf-8")
    if sys.version_info[:2] == tuple(int(part) for part in python.split(".")):
        for part in (release / "gateway", release / "drivers", site):
            compileall.compile_dir(str(part), quiet=2, workers=0)


def test_every_binary_of_the_package_loads(arm64: Arm64) -> None:
    said = arm64.ok(PYTHON, "-c", BINARIES)
    print(said)
    assert int(said.split()[0]) > 10
    assert "parts: all" in arm64.ok(PYTHON, "-c", PARTS)


def test_a_press_opens_the_door_of_the_simulated_building(arm64: Arm64, tmp_path: Path) -> None:
    assert "is in order" in arm64.ok(PYTHON, "-m", "gateway", "check", BENCH)
    port, panel = free_port(), arm64.top / STATE.lstrip("/") / "panel.sock"
    arm64.ok("mkdir", "-p", STATE)
    options = ("--config", BENCH, "--state", STATE)
    logs = {role: tmp_path / f"{role}.log" for role in ("control", "web")}
    roles = [
        arm64.start("env", f"PORT={port}", PYTHON, "-m", "gateway", "run", role, *options, log=log)
        for role, log in logs.items()
    ]
    try:

        def wait(what: str, true: Callable[[], bool]) -> None:
            deadline = time.monotonic() + machine.WITHIN_S
            while not true():
                said = {role: log.read_text()[-2000:] for role, log in logs.items()}
                assert all(not role.poll() for role in roles), said
                assert time.monotonic() < deadline, (what, said)
                time.sleep(0.2)

        def leaf() -> str:
            with contextlib.suppress(client.ControlAway):
                return str(client.snapshot(panel)["doors"]["front"]["leaf"])
            return ""

        wait("control answers", lambda: leaf() == "closed")
        wait("the page answers", lambda: _answers(port))
        press = ("bench", "press", "front.button_inside", "--state", STATE)
        roles.append(arm64.start(PYTHON, "-m", "gateway", *press, log=tmp_path / "press.log"))
        wait("the door opens", lambda: leaf() == "open")
        assert roles.pop().wait(machine.WITHIN_S) == 0, (tmp_path / "press.log").read_text()
    finally:
        for role in roles:
            role.kill()
            role.wait()


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", "/health/live")
        return connection.getresponse().status < 500
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
