"""avahi from Debian's package, with the file that is shipped: the page is found as NAME.local."""

from __future__ import annotations

import shutil
import socket
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.app.certificates.names import of_machine
from tests.process.parts import ROOT
from tests.process.parts_mqtt import Part, eventually, program
from tests.process.test_reverse_proxies import Network

pytestmark = pytest.mark.process
SERVICE = ROOT / "deploy/avahi/portier.service"
GROUP, PORT = "224.0.0.251", 5353
ADDRESS_TYPE, POINTER_TYPE, SERVICE_TYPE = 1, 12, 33
ADDRESS = "192.0.2.10"


class Avahi(Part):
    """The daemon in a network of its own, whose one interface has an address as in a house."""

    def __init__(self, folder: Path, network: Network, name: str) -> None:
        super().__init__(folder, "avahi")
        self.network = network
        services = self.folder / "services"
        services.mkdir()
        shutil.copy(SERVICE, services)
        config = self.folder / "avahi.conf"
        config.write_text(
            f"[server]\nhost-name={name}\nuse-ipv6=no\nenable-dbus=no\n[wide-area]\n"
            "enable-wide-area=no\n[rlimits]\n"
        )
        # The daemon has one place for services and one for its process id; here they are ours.
        self.script = (
            f"ip link set lo multicast on && ip address add {ADDRESS}/24 dev lo && "
            "ip route add 224.0.0.0/4 dev lo && "
            f"mkdir -p /etc/avahi/services && mount --bind {services} /etc/avahi/services && "
            "mount -t tmpfs tmpfs /run && "
            f"exec {program('avahi-daemon')} --no-drop-root --no-chroot --no-rlimits -f {config}"
        )

    def command(self) -> list[str]:
        return [*self.network.inside, "sh", "-c", self.script]

    def ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log()
        return "successfully established" in self.log()


@pytest.fixture
def avahi(tmp_path: Path) -> Iterator[Avahi]:
    network = Network(tmp_path)
    part = Avahi(tmp_path, network, "gate")
    try:
        part.start()
        yield part
    finally:
        part.stop()
        network.close()


def question(name: str, kind: int) -> bytes:
    """One question, to be answered to whoever asks (RFC 6762, section 5.4)."""
    labels = b"".join(bytes([len(one)]) + one.encode() for one in name.split("."))
    unicast, internet = 0x8000, 1
    return (
        struct.pack("!6H", 0, 0, 1, 0, 0, 0)
        + labels
        + struct.pack("!BHH", 0, kind, unicast | internet)
    )


def ask(network: Network, name: str, kind: int) -> bytes:
    """The answer, as it came."""
    asked = network.datagram()
    with asked:
        asked.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 255)
        asked.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(ADDRESS))
        asked.settimeout(1)

        def answer() -> bytes:
            asked.sendto(question(name, kind), (GROUP, PORT))
            try:
                return asked.recv(9000)
            except TimeoutError:
                return b""

        found: bytes = eventually(answer, 60, f"nobody answers for {name}")
        return found


def test_the_name_of_the_machine_leads_to_its_address(avahi: Avahi) -> None:
    assert socket.inet_aton(ADDRESS) in ask(avahi.network, "gate.local", ADDRESS_TYPE)


def test_the_page_is_announced_with_its_port(avahi: Avahi) -> None:
    assert b"Portier (gate)" in ask(avahi.network, "_https._tcp.local", POINTER_TYPE)
    where = ask(avahi.network, "Portier (gate)._https._tcp.local", SERVICE_TYPE)
    assert struct.pack("!3H", 0, 0, 8443) in where
    assert "listen: 0.0.0.0:8443" in (ROOT / "deploy/install.sh").read_text(encoding="utf-8")


def test_the_certificate_knows_the_name_that_avahi_gives() -> None:
    assert {"gate", "gate.local"} < set(of_machine("gate", [], [ADDRESS]).hosts)
    assert "gate.local" in of_machine("gate.example.org", [], []).hosts


def test_the_file_is_what_avahi_reads() -> None:
    xmllint = shutil.which("xmllint")
    dtd = Path("/usr/share/avahi/avahi-service.dtd")
    if xmllint is None or not dtd.exists():
        pytest.skip("xmllint and avahi-daemon are not installed")
    done = subprocess.run(
        [xmllint, "--noout", "--dtdvalid", str(dtd), str(SERVICE)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
