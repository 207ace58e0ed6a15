"""What the operations guide says of a root that cannot be written: only the folders that it names
have to survive a power cut, and the door opens without them, too."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.system.conftest import Image
from tests.system.installed import Gateway
from tests.system.machine import booted, until
from tests.system.root import CHECKOUT
from tests.system.test_ends import openings

pytestmark = pytest.mark.system
SURVIVES = ("var/lib/portier", "var/lib/mosquitto", "var/log/journal")
"""As ``docs/operations/machine.md`` has it in ``/etc/fstab``."""


def longer_than_uptime() -> str:
    """A span that is not over in a boot that begins with the uptime of the machine around it: a
    container has a boot id of its own and its host's uptime."""
    uptime_s = float(Path("/proc/uptime").read_text(encoding="ascii").split()[0])
    return f"{int(uptime_s / 3600) + 8}h"


@pytest.mark.on("trixie")
def test_only_the_folders_of_the_guide_have_to_survive(image: Image, scratch: Path) -> None:
    """What else the system writes lies in memory, and is gone with the power."""
    first, second = (Path(tempfile.mkdtemp(dir=scratch)) for _ in range(2))
    with booted(image.layers, first, image.binds) as machine:
        gateway = Gateway(machine)
        gateway.ready()
        gateway.opens()
        gateway.portier("door", "mode", "front", "exit_only", "--for", longer_than_uptime()).check()
        until(lambda: len(openings(gateway)) == 1, what="it is on record")
        machine.kill()
        for name in SURVIVES:
            if (machine.upper / name).exists():
                (second / "upper" / name).parent.mkdir(parents=True, exist_ok=True)
                subprocess.run(
                    ["cp", "-a", str(machine.upper / name), str(second / "upper" / name)],
                    check=True,
                )
        shutil.rmtree(machine.upper)
    with booted(image.layers, second, image.binds) as machine:
        gateway = Gateway(machine)
        gateway.ready()
        assert len(openings(gateway)) == 1
        assert gateway.snapshot()["doors"]["front"]["mode"] == "exit_only"
        machine.ok("runuser", "-u", "portier-control", "--", "portier", "audit", "verify")


@pytest.mark.on("bookworm")
def test_the_state_lies_where_the_guide_mounts_it_and_the_door_opens_without(
    image: Image, scratch: Path
) -> None:
    """The lines of the guide, without that of the partition: its folder stands for it."""
    guide = (CHECKOUT / "docs/operations/machine.md").read_text(encoding="utf-8")
    lines = re.findall(r"(?m)^ +(/srv/portier\S+ (\S+) none bind,\S+ 0 0)$", guide)
    assert tuple(target.lstrip("/") for _, target in lines) == SURVIVES
    with booted(image.layers, Path(tempfile.mkdtemp(dir=scratch)), image.binds) as machine:
        machine.ok("systemctl", "stop", "portier-*", "mosquitto")
        for line, target in lines:
            machine.ok("mkdir", "-p", target, "/srv/portier")
            machine.ok("cp", "-a", target, line.partition(" ")[0])
            machine.ok("find", target, "-mindepth", "1", "-delete")
        machine.write("/etc/fstab", "".join(f"{line}\n" for line, _ in lines))
        machine.stop()
        machine.boot()
        gateway = Gateway(machine)
        gateway.ready()
        gateway.opens()
        assert machine.ok("ls", "/srv/portier/state/journal.sqlite")
        machine.ok(
            "systemctl", "is-active", *(f"{t[1:].replace('/', '-')}.mount" for _, t in lines)
        )
        machine.kill()
        shutil.rmtree(machine.upper / "srv/portier")
        (machine.upper / "srv/portier").touch()  # systemd would make a folder that is missing
        machine.boot()
        gateway = Gateway(machine)
        until(gateway.snapshot, what="control answers")
        gateway.opens()
        assert machine.run("systemctl", "is-failed", "var-lib-portier.mount").status == 0
