"""An update has a way back: taken by hand, by itself where the new version does not serve, and
after an end at any moment."""

from __future__ import annotations

import re

import pytest

from tests.system.installed import OFFLINE, SOURCE, Gateway
from tests.system.machine import until

pytestmark = pytest.mark.system
NEW = "/root/portier-new"
VERSION = "99.0"
MOMENTS = ("building ", "its packages are", "opens simulated points", "accepts ", "was away for ")
"""Lines of an update, in order; at each of them it is killed once."""
HOME = "/opt/portier"
NEVER = "    raise SystemExit('broken')\n"
NOT_HERE = f"    if str(options.state) == '/var/lib/portier':\n    {NEVER}"
"""Into ``control``: so that it starts nowhere, and on simulated points elsewhere only."""


def new_version(gateway: Gateway, version: str = VERSION, broken: str = "") -> None:
    gateway.machine.ok("rm", "-rf", NEW)
    gateway.machine.ok("cp", "-a", SOURCE, NEW)
    file = gateway.machine.inside(f"{NEW}/gateway/__init__.py")
    text, count = re.subn('"[0-9.]+"\n', f'"{version}"\n', file.read_text(encoding="utf-8"))
    assert count == 1
    file.write_text(text, encoding="utf-8")
    if broken:
        control = gateway.machine.inside(f"{NEW}/gateway/app/control.py")
        text, count = re.subn(
            r'(?m)^(def main\(options: Options\) -> int:\n(?:    """.*?"""\n)?)',
            lambda found: found[1] + broken,
            control.read_text(encoding="utf-8"),
        )
        assert count == 1
        control.write_text(text, encoding="utf-8")


def runs(gateway: Gateway) -> str:
    """The version of the door's process."""
    return str(until(lambda: gateway.snapshot()["gateway"]["version"], what="control answers"))


def kept(gateway: Gateway) -> list[str]:
    return sorted(gateway.machine.ok("ls", f"{HOME}/releases").split())


def openings(gateway: Gateway) -> int:
    return gateway.machine.ok("portier", "events", "--json", "--limit", "1000").count("door_opened")


IN_PLACE = """
cd /opt/portier
release=$(readlink -f current)
for part in gateway drivers config pyproject.toml requirements.lock README.md LICENSE CHANGELOG.md
do
    cp -a "$release/$part" .
done
python3 -m venv --without-pip .venv
cp -a "$release"/.venv/lib .venv/
.venv/bin/python -m pip install -q --no-deps --no-build-isolation \\
    --config-settings editable_mode=compat -e .
cd /etc/systemd/system
for unit in portier-*.service portier-*.path; do
    sed -i --follow-symlinks s#/current/.venv#/.venv# $unit
    cp --remove-destination "$(readlink -f $unit)" $unit
done
rm portier-update-finish.service /usr/local/sbin/portier-update
ln -sfn /opt/portier/.venv/bin/portier /usr/local/bin/portier
rm -rf /opt/portier/releases /opt/portier/current
systemctl daemon-reload
systemctl restart portier-control portier-link portier-web portier-record
"""


def in_place(gateway: Gateway) -> None:
    """Make the installation one of before there were releases."""
    gateway.machine.ok("sh", "-euc", IN_PLACE, environment=OFFLINE)


@pytest.mark.on("bookworm")
def test_an_installation_of_before_releases_is_updated_and_goes_back_and_nothing_is_lost(
    gateway: Gateway,
) -> None:
    machine = gateway.machine
    old = runs(gateway)
    in_place(gateway)
    gateway.ready()
    gateway.opens()
    until(lambda: openings(gateway) == 1, what="it is on record")
    new_version(gateway)
    done = machine.run(f"{NEW}/deploy/portier-update", environment=OFFLINE, timeout_s=600)
    done.check()
    assert runs(gateway) == VERSION
    assert kept(gateway) == sorted([old, VERSION])
    assert sorted(machine.ok("ls", HOME).split()) == ["current", "previous", "releases"]
    gateway.ready()
    gateway.opens()

    gateway.update("--rollback").check()
    assert runs(gateway) == old
    gateway.ready()
    gateway.opens()
    gateway.update("--rollback").check()
    assert runs(gateway) == VERSION, "and back again"
    gateway.ready()
    until(lambda: openings(gateway) == 3, what="everything is on record")
    machine.ok("runuser", "-u", "portier-control", "--", "portier", "audit", "verify")
    assert "runs already" in gateway.update(NEW).check()


@pytest.mark.on("trixie")
def test_a_version_that_does_not_serve_is_taken_back_by_itself(gateway: Gateway) -> None:
    old, pid = runs(gateway), gateway.pid("control")
    new_version(gateway, broken=NEVER)
    refused = gateway.update(NEW)
    assert refused.status == 1, refused.out
    assert "does not start on simulated points: " in refused.out
    assert "broken" in refused.out
    assert gateway.pid("control") == pid, "nothing that runs was touched"
    assert kept(gateway) == [old]

    new_version(gateway, broken=NOT_HERE)
    back = gateway.update(NEW)
    assert back.status == 1
    assert f"{VERSION} does not serve; {old} runs again." in back.out
    assert "portier-control.service ends again and again: journalctl -u portier-con" in back.out
    assert runs(gateway) == old
    assert kept(gateway) == [old]
    gateway.ready()
    gateway.opens()


@pytest.mark.on("bookworm")
def test_an_update_that_is_killed_at_any_moment_leaves_one_that_runs(gateway: Gateway) -> None:
    machine = gateway.machine
    old = runs(gateway)
    new_version(gateway)
    for moment in MOMENTS:
        killed(gateway, moment)
        assert runs(gateway) == old or moment == MOMENTS[-1]
        gateway.snapshot()
    machine.kill()
    machine.boot()
    until(lambda: not machine.inside(f"{HOME}/update.json").exists(), what="it is finished")
    assert runs(gateway) == VERSION
    gateway.ready()
    gateway.opens()
    assert kept(gateway) == sorted([old, VERSION])


def killed(gateway: Gateway, moment: str) -> None:
    """Run an update, and kill it as soon as it says this."""
    command = ("portier-update", NEW)
    with gateway.machine.running(*command, environment=OFFLINE) as process:
        said = []
        assert process.stdout is not None
        for line in process.stdout:
            said.append(line)
            print(line, end="")
            if moment in line:
                pid = gateway.machine.read("/run/portier-update.lock").strip()
                gateway.machine.ok("kill", "-9", pid)
                break
        else:
            pytest.fail(f"it has not said {moment!r}: {''.join(said)}")
        process.wait(60)


@pytest.mark.on("trixie")
def test_the_program_goes_and_the_data_stay_until_somebody_says_so(gateway: Gateway) -> None:
    machine = gateway.machine
    gateway.opens()
    until(lambda: openings(gateway) == 1, what="it is on record")
    assert gateway.update("--rollback").status == 1, "there is nothing to go back to"
    machine.ok("tar", "-C", "/root", "-czf", "/root/portier-1.tar.gz", "portier")
    refused = gateway.update("/root/portier-1.tar.gz")
    assert refused.status == 1
    assert "is not signed" in refused.out
    taken = gateway.update("/root/portier-1.tar.gz", "--unsigned").check()
    assert "WARNING" in taken
    assert "runs already" in taken

    gateway.update("--uninstall").check()
    assert machine.run("systemctl", "list-units", "portier-*", "--no-legend").out == ""
    assert not machine.inside(HOME).exists()
    gateway.install().check()
    gateway.ready()
    assert openings(gateway) == 1
    left = gateway.update("--uninstall", "--purge", text="yes\n")
    assert left.status == 1
    assert runs(gateway)
    gateway.update("--uninstall", "--purge", text="remove everything\n").check()
    for folder in (HOME, "/etc/portier", "/var/lib/portier"):
        assert not machine.inside(folder).exists(), folder
    assert "portier" not in machine.ok("cat", "/etc/passwd", "/etc/group")
