"""How long an installation, an update, the way back and a restore take, and for how long the door
is away. Nothing is judged: the figures are printed, for the table of the operations guide."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.system.conftest import Image
from tests.system.installed import Gateway, simulated
from tests.system.machine import Done, booted, until
from tests.system.test_update import NEW, VERSION, new_version, runs

pytestmark = [pytest.mark.system, pytest.mark.faults]


def timed(what: str, do: Callable[[], Done]) -> str:
    """Run it; what it has said."""
    began = time.monotonic()
    said = do().check()
    away = re.search(r"was away for (\d+) ms", said)
    print(f"{what}: {time.monotonic() - began:.0f} s; door away: {away[1] if away else '–'} ms")
    return said


def test_how_long_it_takes(image: Image, scratch: Path) -> None:
    print(f"\n{image.suite}")
    folder = Path(tempfile.mkdtemp(dir=scratch))
    with booted(image.layers[-1:], folder, image.binds) as machine:
        gateway = Gateway(machine)
        gateway.bring_source()
        timed("installation", gateway.install)
        machine.write("/etc/portier/portier.yaml", simulated())
        machine.ok("systemctl", "restart", "portier-*")
        gateway.ready()
        new_version(gateway)
        timed("update", lambda: gateway.update(NEW))
        assert runs(gateway) == VERSION
        timed("the way back", lambda: gateway.update("--rollback"))
        timed("and forth", lambda: gateway.update("--rollback"))
        gateway.ready()
        said = timed("backup", lambda: machine.run("portier", "backup", "/root/office.age"))
        (key,) = re.findall("AGE-SECRET-KEY-1[0-9A-Z]{58}", said)
        before = gateway.pid("control")
        restore = ("portier", "restore", "/root/office.age")
        timed("restore", lambda: machine.run(*restore, text=f"{key}\n"))
        until(lambda: gateway.pid("control") not in (0, before), what="control runs again")
        runs(gateway)
        times = [
            int(machine.show("portier-control", f"Active{which}TimestampMonotonic"))
            for which in ("Exit", "Enter")
        ]
        print(f"restore: door away: {(times[1] - times[0]) // 1000} ms")
        gateway.ready()
        gateway.opens()
