"""Installed as a Debian package: by apt, with its updates, its way back and its end."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.update import archive, deb
from tests.system import root
from tests.system.installed import Gateway, simulated
from tests.system.machine import Done, Machine, booted, until

pytestmark = pytest.mark.system
MADE_S = 1_800_000_000
MACHINE = "x86_64"
HOME = "/opt/portier"
NOT_HERE = "    if str(options.state) == '/var/lib/portier':\n        raise SystemExit('broken')\n"


class Packages:
    """Packages of this checkout, with the Python packages for one Debian."""

    def __init__(self, folder: Path, wheels: Path) -> None:
        self._folder = folder
        self._wheels = wheels

    def make(self, version: str, *, broken: bool = False) -> Path:
        """A package of this version; a ``broken`` one serves on simulated points elsewhere only."""
        tree = self._folder / f"tree-{version}"
        archive.copy(root.CHECKOUT, tree)
        change(tree / "gateway/__init__.py", '"[0-9.]+"\n', f'"{version}"\n')
        if broken:
            start = r'(?m)^(def main\(options: Options\) -> int:\n(?:    """.*?"""\n)?)'
            change(tree / "gateway/app/control.py", start, rf"\g<1>{NOT_HERE}")
        package = deb.pack(tree, self._wheels, MACHINE, version, self._folder, MADE_S)
        shutil.rmtree(tree)
        return package


def change(file: Path, pattern: str, text: str) -> None:
    content, count = re.subn(pattern, text, file.read_text(encoding="utf-8"))
    assert count == 1, file
    file.write_text(content, encoding="utf-8")


@pytest.fixture
def packages(suite: str, scratch: Path) -> Iterator[Packages]:
    folder = Path(tempfile.mkdtemp(dir=scratch))
    yield Packages(folder, root.wheels(suite))
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def empty(suite: str, scratch: Path) -> Iterator[Machine]:
    """A Debian without Portier."""
    if reason := root.cannot():
        pytest.skip(f"no real system: {reason}")
    with booted([root.get(suite)], Path(tempfile.mkdtemp(dir=scratch))) as machine:
        yield machine


@pytest.mark.on("trixie")
def test_a_package_is_installed_updated_taken_back_and_removed(
    empty: Machine, packages: Packages
) -> None:
    gateway = Gateway(empty)
    apt(empty, "install", bring(empty, packages.make("1.0"))).check()
    empty.write("/etc/portier/portier.yaml", simulated())
    empty.ok("systemctl", "restart", "portier-control", "portier-web", "portier-link")
    empty.ok("systemctl", "restart", "portier-record")
    gateway.ready()
    gateway.opens()
    assert runs(gateway) == "1.0"

    newer = bring(empty, packages.make("1.1"))
    apt(empty, "install", newer).check()
    assert runs(gateway) == "1.1"
    empty.ok("portier-update", "--rollback", timeout_s=600)
    assert runs(gateway) == "1.0"

    broken = bring(empty, packages.make("1.2", broken=True))
    refused = apt(empty, "install", broken)
    assert refused.status != 0
    assert "1.2 does not serve; 1.0 runs again." in refused.out
    assert runs(gateway) == "1.0"
    assert "half-configured" in empty.ok("dpkg", "--status", "portier")
    apt(empty, "install", newer, "--allow-downgrades").check()
    assert runs(gateway) == "1.1"
    gateway.opens()

    # Another Python: what the package registers for, called by hand.
    empty.ok("dpkg-trigger", "--no-await", "--by-package=python3-minimal", "/usr/bin/python3")
    assert "Portier 1.1 runs already" in empty.ok("dpkg", "--triggers-only", "--pending")

    apt(empty, "remove", "portier").check()
    assert empty.run("systemctl", "list-units", "portier-*", "--no-legend").out == ""
    assert not empty.inside(HOME).exists()
    assert empty.inside("/var/lib/portier/journal.sqlite").exists()
    apt(empty, "purge", "portier").check()
    for folder in ("/etc/portier", "/var/lib/portier", "/usr/share/portier"):
        assert not empty.inside(folder).exists(), folder
    assert "portier" not in empty.ok("cat", "/etc/passwd", "/etc/group")


def runs(gateway: Gateway) -> str:
    return str(until(lambda: gateway.snapshot()["gateway"]["version"], what="control answers"))


def bring(machine: Machine, package: Path) -> str:
    """Move a package onto the machine; its place there."""
    shutil.move(package, machine.inside(f"/root/{package.name}"))
    return f"/root/{package.name}"


def apt(machine: Machine, do: str, *what: str) -> Done:
    """Run apt, which may not ask for anything."""
    environment = {"DEBIAN_FRONTEND": "noninteractive", "PIP_NO_INDEX": "1"}
    machine.run("apt-get", "-qq", "update")
    return machine.run("apt-get", "-y", do, *what, environment=environment, timeout_s=600)
