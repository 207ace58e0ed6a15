"""The timer that renews certificates, within its sandbox and with the rights of real users."""

from __future__ import annotations

import pytest

from gateway.app.certificates import reading
from tests.system.installed import Gateway
from tests.system.machine import until

pytestmark = pytest.mark.system
TLS = "/etc/portier/tls"
SHORT = f"""
from pathlib import Path
from gateway.app.certificates import folder, signing
signing.LEAF_DAYS = 40
print(list(folder.Folder(Path("{TLS}")).renew(["web", "broker", "gateway", "recorder"])))
"""


def test_what_ends_soon_is_renewed_and_taken_by_everything(gateway: Gateway) -> None:
    """The door and the page go on; the roles that log in at the broker start again."""
    machine = gateway.machine
    assert machine.ok("systemctl", "is-active", "portier-certificates.timer").strip() == "active"
    machine.ok("/opt/portier/current/.venv/bin/python", "-c", SHORT)
    tls = machine.inside(TLS)
    before = reading.ends({name: tls / f"{name}.pem" for name in ("web", "gateway")})
    pids = {role: gateway.pid(role) for role in ("control", "web", "link", "record")}
    machine.ok("systemctl", "start", "portier-certificates.service")
    after = reading.ends({name: tls / f"{name}.pem" for name in before})
    assert all(after[name] - before[name] > 700 * 86_400 for name in before)
    now = {role: gateway.pid(role) for role in pids}
    assert {role for role in pids if now[role] == pids[role]} == {"control", "web"}
    until(lambda: gateway.snapshot()["guarantees"]["recording"]["ok"], what="recorded again")
    for name, group in (
        ("web", "portier-web"),
        ("gateway", "portier-link"),
        ("broker", "mosquitto"),
    ):
        shown = machine.ok("stat", "-c", "%U %G %a", f"{TLS}/{name}.key").strip()
        assert shown == f"root {group} 640"
    assert machine.ok("stat", "-c", "%U %a", f"{TLS}/ca.key").strip() == "root 600"


def test_a_key_that_is_elsewhere_fails_the_unit_and_says_why(gateway: Gateway) -> None:
    machine = gateway.machine
    machine.ok("/opt/portier/current/.venv/bin/python", "-c", SHORT)
    machine.ok("mv", f"{TLS}/ca.key", f"{TLS}/clients.key", "/root/")
    assert machine.run("systemctl", "start", "portier-certificates.service").status != 0
    said = machine.ok("journalctl", "-u", "portier-certificates", "-o", "cat")
    assert "--keys FOLDER" in said
