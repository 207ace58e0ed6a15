"""One installation for each Debian, made once; every test gets a copy of it that boots."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from tests.system import root
from tests.system.installed import ADMIN, PASSWORD, WHEELS, Gateway, simulated
from tests.system.machine import Done, Machine, MachineError, booted

NO_SYSTEM, BOTH = "PORTIER_NO_SYSTEM", "PORTIER_BOTH"
WITHIN_S = 2 * root.SLOW_AFTER_S + 300
LONG_WITHIN_S = 3_600
"""For those of ``make faults``."""


class BySuite(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """All tests of one Debian in one worker, so that each installation is made once."""

    def _split_scope(self, nodeid: str) -> str:
        suite = nodeid.rpartition("[")[2].partition("-")[0].rstrip("]")
        return suite if suite in root.SUITES else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> BySuite:
    return BySuite(config, log)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every test that uses an installation runs on both; a long one on the Debian that it names
    with ``on``, unless ``make system BOTH=1``."""
    if "suite" in metafunc.fixturenames:
        on = metafunc.definition.get_closest_marker("on")
        both = on is None or os.environ.get(BOTH) == "1"
        suites = list(root.SUITES) if both or on is None else [on.args[0]]
        metafunc.parametrize("suite", suites, scope="session")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first test of a Debian may wait for its root, and makes the installation."""
    for item in items:
        if "suite" in getattr(item, "fixturenames", ()):
            long = item.get_closest_marker("faults") is not None
            item.add_marker(pytest.mark.timeout(LONG_WITHIN_S if long else WITHIN_S))


@dataclass(frozen=True, slots=True)
class Image:
    """An installation that is shut down: its layers, and what the installer has said."""

    suite: str
    layers: tuple[Path, ...]
    first: Done
    second: Done
    fresh: dict[str, str]
    """Of the fresh installation, before simulated points were configured: the units' states."""
    fresh_log: list[str]
    """And what ``control`` has logged."""
    binds: dict[Path, str]


@pytest.fixture(scope="session")
def scratch() -> Iterator[Path]:
    """Where the systems write; beside the roots, because an overlay cannot lie on another."""
    root.CACHE.mkdir(parents=True, exist_ok=True)
    for left in root.CACHE.glob("run-*"):  # by a run that was killed
        if not Path(f"/proc/{left.name.split('-')[1]}").exists():
            shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f"run-{os.getpid()}-", dir=root.CACHE))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def image(suite: str, scratch: Path) -> Iterator[Image]:
    if os.environ.get(NO_SYSTEM) == "1":
        pytest.skip(f"{NO_SYSTEM}=1")
    if reason := root.cannot():
        pytest.skip(f"no real system: {reason}")
    try:
        base = root.get(suite)
        binds = {root.wheels(suite): WHEELS}
    except root.RootError as error:
        pytest.fail(str(error), pytrace=False)
    if not boots(base, scratch / "probe"):
        pytest.skip("no real system: systemd-nspawn cannot boot here")
    machine = Machine([base], scratch / "image", binds)
    try:
        machine.boot()
        gateway = Gateway(machine)
        gateway.bring_source()
        first = gateway.install()
        first.check()
        fresh = dict(gateway.states())
        second = gateway.install()
        second.check()
        fresh_log = [entry["said"].get("event", "") for entry in machine.log("portier-control")]
        machine.write("/etc/portier/portier.yaml", simulated())
        machine.ok(
            *("runuser", "-u", "portier-web", "--", "portier", "user", "add", ADMIN),
            *("--role", "admin"),
            text=f"{PASSWORD}\n",
        )
        machine.stop()
        layers = (machine.upper, base)
        yield Image(suite, layers, first, second, fresh, fresh_log, binds)
    finally:
        machine.kill()
        shutil.rmtree(machine.folder, ignore_errors=True)


def boots(base: Path, folder: Path) -> bool:
    """Whether containers work here at all; a container within a container may not."""
    try:
        subprocess.run(["unshare", "--mount", "--pid", "--fork", "true"], check=True)
    except subprocess.CalledProcessError:
        return False
    try:
        with booted([base], folder):
            return True
    except MachineError:
        return False


@pytest.fixture
def gateway(image: Image, scratch: Path) -> Iterator[Gateway]:
    """A copy of the installation, booted, with everything running."""
    with booted(image.layers, Path(tempfile.mkdtemp(dir=scratch)), image.binds) as machine:
        made = Gateway(machine)
        made.ready()
        yield made
