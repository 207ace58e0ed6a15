"""The stores of Debian, brought by the installer."""

from __future__ import annotations

import re

import pytest

from tests.system.installed import Gateway, simulated
from tests.system.machine import until

pytestmark = pytest.mark.system
CONFIG = "/etc/portier/portier.yaml"


def listening(gateway: Gateway) -> set[tuple[str, int]]:
    """Address and port of every TCP listener of the machine; addresses as the kernel writes."""
    found = set()
    out = gateway.machine.ok("cat", "/proc/net/tcp", "/proc/net/tcp6")
    for line in out.splitlines():
        fields = line.split()
        if len(fields) > 3 and fields[3] == "0A":
            address, _, port = fields[1].partition(":")
            found.add((address, int(port, 16)))
    return found


LOOPBACK = {"0100007F", "00000000000000000000000001000000", "0000000000000000FFFF00000100007F"}


@pytest.mark.parametrize(
    ("store", "line", "unit", "port"),
    [
        ("influx1", "influx1://127.0.0.1:8086/portier", "influxdb", 8086),
        ("victoria-metrics", "influx://127.0.0.1:8428", "victoria-metrics", 8428),
    ],
)
def test_a_store_of_debian_takes_what_happens(
    gateway: Gateway, store: str, line: str, unit: str, port: int
) -> None:
    machine = gateway.machine
    machine.ok("rm", CONFIG)
    gateway.install("--store", store).check()
    fresh = machine.read(CONFIG)
    assert f"\n  store: {line}\n" in fresh, "a fresh configuration names the store"
    assert {address for address, used in listening(gateway) if used == port} <= LOOPBACK
    assert port in {used for _, used in listening(gateway)}

    machine.write(CONFIG, simulated())
    again = gateway.install("--store", store, "--no-program")
    assert machine.read(CONFIG) == simulated(), "the owner's file"
    assert f"store: {line}" in again.check(), "the one line to change is named"
    machine.write(CONFIG, re.sub(r"\n  store: sqlite\n", f"\n  store: {line}\n", simulated()))
    machine.ok("systemctl", "restart", "portier-control", "portier-record")
    gateway.ready()
    gateway.opens()
    until(lambda: taken(gateway, unit, port) > 0, what="the store has it")
    third = gateway.install("--store", store, "--no-program")
    assert f"store: {line}" not in third.check(), "it is in order"


def taken(gateway: Gateway, unit: str, port: int) -> int:
    """How many openings the store has."""
    if unit == "influxdb":
        out = gateway.machine.run(
            *("influx", "-database", "portier", "-format", "csv", "-execute"),
            "SELECT COUNT(*) FROM door_opened",
        ).out
        return len([row for row in out.splitlines() if row.startswith("door_opened")])
    url = f"http://127.0.0.1:{port}/api/v1/series/count"
    code = f"import urllib.request as u; print(u.urlopen({url!r}).read().decode())"
    found = re.search(r'"data":\[(\d+)\]', gateway.machine.ok("python3", "-c", code))
    return int(found[1]) if found else 0
