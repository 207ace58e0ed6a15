"""A machine is dead: from its last backup another one, freshly installed, becomes the same gateway.

All commands are those of deploy/README.md, and the backup is made by the unit as shipped.
"""

from __future__ import annotations

import json
import re
import tempfile
import time
from pathlib import Path

import pytest

from tests.system.conftest import Image
from tests.system.installed import ADMIN, Gateway
from tests.system.machine import booted, until
from tests.system.test_update import openings

pytestmark = pytest.mark.system
NAS = "/mnt/nas"
ADDRESS = '{"kind": "mail", "to": "care@home.example"}\n'
ADDRESSES = "/var/lib/portier/addresses"
ID = "0123456789abcdef"
SAME = (
    "/etc/portier/portier.yaml",
    "/etc/portier/tls/ca.pem",
    "/etc/portier/tls/gateway.key",
    "/etc/portier/secrets/caretaker_url",
    "/etc/mosquitto/portier.acl",
    "/etc/mosquitto/conf.d/portier.conf",
    f"{ADDRESSES}/{ID}",
)


def lived_in(gateway: Gateway) -> None:
    """Something of everything that a new machine has to have again."""
    machine = gateway.machine
    gateway.opens()
    until(lambda: openings(gateway) == 1, what="it is on record")
    machine.write(f"{ADDRESSES}/{ID}", ADDRESS, 0o640)
    machine.ok("chown", "portier-control:portier-address", f"{ADDRESSES}/{ID}")
    machine.write("/etc/portier/secrets/caretaker_url", "json://127.0.0.1/x\n", 0o640)
    machine.ok("chgrp", "portier-notify", "/etc/portier/secrets/caretaker_url")
    acl = machine.read("/etc/mosquitto/portier.acl")
    machine.write("/etc/mosquitto/portier.acl", f"{acl}\n# of this house\n")
    config = machine.read("/etc/portier/portier.yaml")
    text = f"{config}\nbackup: {{to: {NAS}/portier, mount: {NAS}, keep: 2}}\n"
    machine.write("/etc/portier/portier.yaml", text)


def facts_of(gateway: Gateway) -> dict[str, str]:
    """What ``doctor`` says of backups: finding -> its value."""
    found = json.loads(gateway.machine.run("portier", "doctor", "--json").out)
    rows = found["findings"] if isinstance(found, dict) else found
    return {one["what"]: one["value"] for one in rows if one["what"].startswith("backup: ")}


def backed_up(gateway: Gateway) -> tuple[str, bytes]:
    """The recovery key, and the archive that the timer's unit has made."""
    machine = gateway.machine
    assert machine.ok("systemctl", "is-active", "portier-backup.timer").strip() == "active"
    absent = machine.run("systemctl", "start", "portier-backup.service")
    assert absent.status != 0
    said = str([entry.get("MESSAGE") for entry in machine.log("portier-backup")])
    assert "run `sudo portier backup` once by hand" in said
    first = machine.run("portier", "backup")
    assert first.status == 1
    assert f"nothing is mounted at {NAS}" in " ".join(first.out.split())
    (key,) = re.findall("AGE-SECRET-KEY-1[0-9A-Z]{58}", first.out)

    machine.ok("mkdir", "-p", NAS)
    machine.ok("mount", "-t", "tmpfs", "tmpfs", NAS)
    machine.ok("mkdir", f"{NAS}/portier")
    machine.ok("systemctl", "start", "portier-backup.service")
    said = str([entry.get("MESSAGE") for entry in machine.log("portier-backup")])
    assert "AGE-SECRET-KEY" not in said
    (name,) = machine.ok("ls", f"{NAS}/portier").split()
    file = f"{NAS}/portier/{name}"
    assert {value for what, value in facts_of(gateway).items() if "last one" in what} == {"yes"}
    dry = machine.run("portier", "restore", file, "--dry-run", text=f"{key}\n").check()
    assert "The recovery key is proved" in dry
    assert set(facts_of(gateway).values()) == {"yes"}
    assert gateway.restarts() == dict.fromkeys(gateway.restarts(), 0)
    gateway.opens()  # what SQLite has made beside the files is not root's
    return key, machine.inside(file).read_bytes()


@pytest.mark.on("bookworm")
def test_a_fresh_machine_becomes_the_gateway_that_has_died(
    gateway: Gateway, image: Image, scratch: Path
) -> None:
    lived_in(gateway)
    key, archive = backed_up(gateway)
    same = {name: gateway.machine.read(name) for name in SAME}
    owners = gateway.machine.ok("stat", "-c", "%n %U:%G %a", *SAME)
    gateway.machine.kill()

    began = time.monotonic()
    base = image.layers[-1:]
    with booted(base, Path(tempfile.mkdtemp(dir=scratch)), image.binds) as machine:
        new = Gateway(machine)
        new.bring_source()
        new.install().check()
        fresh = machine.read("/etc/portier/tls/ca.pem")
        machine.inside("/root/office.age").write_bytes(archive)
        machine.write("/root/key", f"{key}\n", 0o600)
        dry = machine.run("portier", "restore", "/root/office.age", "--key", "/root/key",
                          "--dry-run").check()  # fmt: skip
        assert "its configuration: read and checked" in dry
        assert machine.read("/etc/portier/tls/ca.pem") == fresh
        put = machine.run("portier", "restore", "/root/office.age", "--key", "/root/key")
        print(put.check())
        until(lambda: new.snapshot()["gateway"]["id"] == "csg-office", what="control is back")
        new.ready()
        took_s = time.monotonic() - began
        assert {name: machine.read(name) for name in SAME} == same
        assert machine.ok("stat", "-c", "%n %U:%G %a", *SAME) == owners
        assert openings(new) == 1, "the second one was after the backup"
        new.log_in()
        users = machine.ok("runuser", "-u", "portier-web", "--", "portier", "user", "list")
        assert ADMIN in users
        reader = ("runuser", "-u", "portier-notify", "--", "cat", f"{ADDRESSES}/{ID}")
        assert machine.ok(*reader) == ADDRESS
        machine.ok("runuser", "-u", "portier-control", "--", "portier", "audit", "verify")
        new.opens()
        until(lambda: openings(new) == 2, what="it goes on recording")
        left = machine.ok("find", "/var/lib/portier", "-user", "root", "-not", "-path",
                          "*/backup*")  # fmt: skip
        assert left == "", "nothing of root's is in the way of a role"
        print(f"a dead machine was replaced in {took_s:.0f} s, installation included")
        assert took_s < 600
