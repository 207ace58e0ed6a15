"""Certificates as others judge them: openssl and Mosquitto, and the rules of phones."""

from __future__ import annotations

import os
import re
import socket
import ssl
import subprocess
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from ipaddress import ip_address
from itertools import count
from pathlib import Path

import pytest
from cryptography import x509

from gateway.app.certificates import folder as folder_module
from gateway.app.certificates import names as names_module
from gateway.app.certificates import signing
from gateway.app.certificates.folder import Folder
from gateway.app.certificates.names import CertificateError, Names
from gateway.app.configuration import load
from tests.deploy.test_broker import Client, Installed
from tests.deploy.test_install import CHECKOUT, install
from tests.process.parts import BUILDING, running, until
from tests.process.parts_mqtt import free_port, port_open

pytestmark = pytest.mark.process
BEFORE = CHECKOUT / "tests/fixtures/tls_before_authorities.sh"
"""``deploy/tls.sh`` as it was while one authority signed for ten years."""


def verify(folder: Path, authority: str, name: str, *options: str) -> str:
    """What openssl says of a certificate: OK, or the errors."""
    done = subprocess.run(
        ["openssl", "verify", *options, "-CAfile", folder / f"{authority}.pem", folder / name],
        capture_output=True,
        text=True,
        check=False,
    )
    return "OK" if done.stdout.endswith(": OK\n") else done.stderr


def said(folder: Path, name: str) -> str:
    """The whole of a certificate, in openssl's words."""
    done = subprocess.run(
        ["openssl", "x509", "-in", folder / f"{name}.pem", "-noout", "-text"],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.fixture
def made(tmp_path: Path) -> Folder:
    folder = Folder(tmp_path / "tls")
    folder.make("office", "gate", ["door.example"], ["192.168.178.20"])
    return folder


@pytest.fixture
def old(tmp_path: Path) -> Folder:
    """An installation of before."""
    path = tmp_path / "old"
    subprocess.run(["sh", BEFORE, path, "office", "gate"], check=True, capture_output=True)
    return Folder(path)


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> list[timedelta]:
    """``later[0] = …``: so much later it is for those who make certificates."""
    by = [timedelta()]
    now = signing.now
    monkeypatch.setattr(signing, "now", lambda: now() + by[0])
    return by


@pytest.mark.parametrize("name", ["web", "broker"])
def test_a_server_is_what_phones_want(made: Folder, name: str) -> None:
    """Apple's rules for certificates whose root somebody has trusted: the strictest ones."""
    text = said(made.path, name)
    assert "DNS:door.example" in text
    assert "IP Address:192.168.178.20" in text
    assert "TLS Web Server Authentication" in text
    assert "ecdsa-with-SHA256" in text
    assert "NIST CURVE: P-256" in text
    found = made.read(name)
    assert found is not None
    end = folder_module.end_of(found.certificate)
    begin = found.certificate.not_valid_before_utc
    assert end - begin <= timedelta(days=825)
    assert begin < signing.now()
    for what in ("-verify_hostname door.example", "-verify_ip 192.168.178.20"):
        assert (
            verify(made.path, "ca", f"{name}.pem", "-purpose", "sslserver", *what.split()) == "OK"
        )


def test_the_root_says_what_it_may_sign_for(made: Folder) -> None:
    text = said(made.path, "ca")
    assert "X509v3 Name Constraints: critical" in text
    assert "DNS:door.example" in text
    assert "DNS:gate.local" in text
    assert "IP:192.168.178.0/255.255.255.0" in text


@pytest.mark.parametrize("names", ["bank.example", "192.168.179.20", "door.example.evil.test"])
def test_openssl_refuses_what_the_root_may_not_sign_for(made: Folder, names: str) -> None:
    """Also where somebody has its key and signs without asking."""
    named = Names((names,), ()) if names[0].isalpha() else Names((), (ip_address(names),))
    authority = made._authority("ca")
    with pytest.raises(CertificateError, match="replace-root"):
        signing.sign_server(authority, signing.make_key(), named, signing.now())
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(signing, "permitted", lambda _: None)
        forged = signing.sign_server(authority, signing.make_key(), named, signing.now())
    (made.path / "forged.pem").write_bytes(signing.to_pem(forged))
    assert "permitted subtree violation" in verify(made.path, "ca", "forged.pem")


def test_no_client_is_a_server_and_no_server_a_client(made: Folder) -> None:
    assert verify(made.path, "clients", "gateway.pem", "-purpose", "sslclient") == "OK"
    assert verify(made.path, "ca", "gateway.pem") != "OK"
    assert verify(made.path, "clients", "web.pem") != "OK"
    authority = made._authority("clients")
    forged = signing.sign_server(
        authority, signing.make_key(), Names(("door.example",), ()), signing.now()
    )
    (made.path / "forged.pem").write_bytes(signing.to_pem(forged))
    refused = verify(made.path, "clients", "forged.pem", "-purpose", "sslserver")
    assert "unsuitable certificate purpose" in refused


def test_nothing_is_renewed_before_its_time_and_then_the_key_stays(
    made: Folder, later: list[timedelta]
) -> None:
    key = (made.path / "web.key").read_bytes()
    assert list(made.renew()) == []
    later[0] = timedelta(days=800 - 61)
    assert list(made.renew()) == []
    later[0] = timedelta(days=800 - 59)
    os.chmod(made.path / "web.pem", 0o640)
    assert list(made.renew()) == ["broker", "gateway", "homeassistant", "recorder", "web"]
    assert (made.path / "web.key").read_bytes() == key
    assert (made.path / "web.pem").stat().st_mode & 0o777 == 0o640
    assert {one.days for one in made.entries() if not one.is_authority} <= {799, 800}
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(
        made.path / "web.pem", made.path / "web.key"
    )
    assert list(made.renew()) == []
    assert list(made.path.glob("*.new")) == []


def test_a_name_that_is_added_needs_no_new_root(made: Folder) -> None:
    root = made.file("ca").read_bytes()
    assert made.make("office", "gate", ["door.example"], ["192.168.178.20"]) == []
    again = made.make("office", "gate", ["www.door.example"], ["192.168.178.77"])
    assert again == ["web", "broker"]
    names = {one.name: one.names for one in made.entries()}["web"]
    assert {"door.example", "www.door.example", "192.168.178.20", "192.168.178.77"} < set(names)
    before = made.file("web").read_bytes()
    with pytest.raises(CertificateError, match=r"10\.0\.0\.7: the root may sign for door"):
        made.make("office", "gate", [], ["10.0.0.7"])
    assert made.file("web").read_bytes() == before
    assert made.file("ca").read_bytes() == root


def test_keys_of_the_authorities_may_be_elsewhere(tmp_path: Path, later: list[timedelta]) -> None:
    here, stick = tmp_path / "tls", tmp_path / "stick"
    Folder(here, stick).make("office", "gate")
    assert sorted(one.name for one in stick.iterdir()) == ["ca.key", "clients.key"]
    assert not (here / "ca.key").exists()
    assert Folder(here).make("office", "gate") == []
    later[0] = timedelta(days=790)
    with pytest.raises(CertificateError, match="--keys FOLDER"):
        list(Folder(here).renew())
    assert len(list(Folder(here, stick).renew())) == 5


def test_certificates_of_others_are_left_alone(made: Folder, old: Folder) -> None:
    """Such as one of a public authority for the page, or of another installation."""
    for end in ("pem", "key"):
        (made.path / f"web.{end}").write_bytes((old.path / f"web.{end}").read_bytes())
    before = made.file("web").read_bytes()
    assert list(made.renew()) == []
    assert made.make("office", "gate", ["www.door.example"]) == ["broker"]
    assert made.file("web").read_bytes() == before
    with pytest.raises(CertificateError, match="whoever made it renews it"):
        list(made.renew(["web"]))


def test_what_is_damaged_says_so(made: Folder) -> None:
    made.file("web").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    with pytest.raises(CertificateError, match="is damaged"):
        made.read("web")
    with pytest.raises(CertificateError, match=r"has no web\.pem|is damaged"):
        list(made.renew(["web"]))
    (made.path / "ca.key").write_bytes((made.path / "clients.key").read_bytes())
    with pytest.raises(CertificateError, match=r"is not the key of .*ca\.pem"):
        list(made.renew(["broker"]))


def test_an_installation_of_before_goes_on(old: Folder) -> None:
    """Its root stays, so that no phone is touched. What lasts too long for phones is renewed."""
    root, client = old.file("ca").read_bytes(), old.file("gateway").read_bytes()
    assert old.make("office", "gate") == ["clients"]
    assert old.file("clients").read_bytes() == root
    assert list(old.renew()) == ["broker", "web"]
    assert (old.file("ca").read_bytes(), old.file("gateway").read_bytes()) == (root, client)
    assert {one.name: one.days for one in old.entries()}["web"] in (799, 800)
    assert verify(old.path, "ca", "web.pem", "-purpose", "sslserver") == "OK"
    old.make_client("tablet")
    assert verify(old.path, "ca", "tablet.pem", "-purpose", "sslclient") == "OK"
    old.revoke(old.file("tablet"))
    assert len(x509.load_pem_x509_crl(old.file("revoked").read_bytes())) == 1


class Broker(Installed):
    """Mosquitto as it is installed, with a folder of certificates of our own."""

    def __init__(self, folder: Path, root: Path, tls: Path) -> None:
        super().__init__(folder, root)
        file = self.folder / "conf.d/portier.conf"
        file.write_text(file.read_text().replace(str(self.tls), str(tls)))
        self.tls = tls

    def again(self) -> None:
        self.stop()
        self.start()

    def lets_in(self, name: str) -> bool:
        try:
            with Client(self, name, within_s=5):
                return True
        except (OSError, AssertionError):
            return False


def test_a_change_of_the_root_locks_nobody_out(tmp_path: Path, old: Folder) -> None:
    """First phones and clients learn the next root, then it signs; those with certificates of
    before get in until they are revoked, and who was revoked before stays out."""
    root = tmp_path / "root"
    assert install(root).returncode == 0
    old.make("office", "gate")
    old.make_client("lost")
    old.revoke(old.file("lost"))
    with pytest.raises(CertificateError, match="replace-root makes it"):
        old.switch_root()
    broker = Broker(tmp_path / "broker", root, old.path)
    broker.start()
    try:
        assert broker.lets_in("recorder")
        assert not broker.lets_in("lost")
        before = old.file("ca").read_bytes()
        old.prepare_root("office", "gate", [], ["10.1.2.3"])
        with pytest.raises(CertificateError, match="is there already"):
            old.prepare_root("office", "gate")
        assert old.file("ca").read_bytes() == before
        assert verify(old.path, "ca", "web.pem") == "OK"

        assert old.switch_root() == ["broker", "gateway", "recorder", "web"]
        assert signing.to_pem(signing.from_pem(old.file("ca").read_bytes())[1]) == before
        assert "Name Constraints: critical" in said(old.path, "ca")
        broker.again()
        assert broker.lets_in("recorder"), "its new certificate"
        assert broker.lets_in("homeassistant"), "its old one, which is elsewhere"
        assert not broker.lets_in("lost"), "revoked by the authority of before"
        old.make_client("tablet")
        assert broker.lets_in("tablet")
        old.revoke(old.file("tablet"))
        broker.again()
        assert not broker.lets_in("tablet")
        assert not broker.lets_in("lost")
        assert broker.lets_in("gateway")
    finally:
        broker.stop()
    made_by = {one.name: one.signed_by for one in old.entries()}
    assert made_by["web"] == "ca.pem"
    assert made_by["gateway"] == "clients.pem"
    assert (old.path / "ca.key.before").exists()


class CutShort(BaseException):
    """As a power cut: nothing is tidied up."""


def cut_short(monkeypatch: pytest.MonkeyPatch, step: int, work: Callable[[], object]) -> bool:
    """Do this work until a file changes for this time, and say whether it came so far."""
    seen = iter(range(step))

    def counted(change: Callable[..., object]) -> Callable[..., object]:
        def changed(*arguments: object, **named: object) -> object:
            if next(seen, None) is None:
                raise CutShort
            return change(*arguments, **named)

        return changed

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", counted(os.replace))
        patch.setattr(Path, "unlink", counted(Path.unlink))
        try:
            work()
        except CutShort:
            return True
    return False


def replaced(folder: Folder) -> None:
    folder.make("office", "gate", ["door.example"], ["192.168.178.20"])
    folder.prepare_root("office", "gate")


def takes_clients(folder: Path) -> str:
    """Of the broker, which asks whether a client is revoked."""
    revoked = ("-crl_check", "-CRLfile", str(folder / "revoked.pem"))
    return verify(folder, "clients", "gateway.pem", "-purpose", "sslclient", *revoked)


def test_two_authorities_are_two_wherever_their_making_is_cut_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for step in count():
        folder = Folder(tmp_path / str(step))
        again = partial(folder.make, "office", "gate", ["door.example"], ["192.168.178.20"])
        if not cut_short(monkeypatch, step, again):
            break
        again()
        assert (folder.file("ca").read_bytes()) != folder.file("clients").read_bytes(), step
        assert takes_clients(folder.path) == "OK", step
        assert verify(folder.path, "ca", "web.pem", "-purpose", "sslserver") == "OK", step
    assert step > 10


def test_a_change_of_the_root_goes_on_wherever_it_is_cut_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for step in count():
        folder = Folder(tmp_path / str(step))
        replaced(folder)
        if not cut_short(monkeypatch, step, folder.switch_root):
            break
        assert folder.switch_root() == ["broker", "gateway", "recorder", "web"], step
        assert list(folder.renew(["gateway"])) == ["gateway"]
        assert takes_clients(folder.path) == "OK", step
        assert verify(folder.path, "ca", "web.pem", "-purpose", "sslserver") == "OK", step
        assert not list(folder.path.glob("next-*")), step
        assert folder.file("revoked").read_text().count("BEGIN X509 CRL") == 2, step
    assert step > 10


def test_one_that_cannot_be_renewed_keeps_no_other_one_from_it(
    made: Folder, later: list[timedelta]
) -> None:
    (made.path / "gateway.key").unlink()  # it was moved to where it is used
    (made.path / "archive.pem").mkdir()
    (made.path / "gone.pem").symlink_to("nowhere")
    later[0] = timedelta(days=750)
    renewed: list[str] = []
    with pytest.raises(CertificateError, match=r"gateway\.key is missing"):
        renewed.extend(made.renew())
    assert renewed == ["broker", "homeassistant", "recorder", "web"]
    assert {one.name for one in made.entries() if one.days < 60} == {"gateway"}


def test_what_was_made_by_a_clock_that_was_ahead_is_made_again(
    made: Folder, later: list[timedelta]
) -> None:
    later[0] = timedelta(days=14 * 365)
    list(made.renew())
    assert "not yet valid" in verify(made.path, "ca", "web.pem")
    later[0] = timedelta()
    assert list(made.renew()) == ["broker", "gateway", "homeassistant", "recorder", "web"]
    assert verify(made.path, "ca", "web.pem") == "OK"


@pytest.mark.parametrize("days", [-365, -56 * 365, 73 * 365], ids=["before", "1970", "2100"])
def test_by_a_clock_that_is_wrong_nothing_valid_is_replaced(
    made: Folder, later: list[timedelta], tmp_path: Path, days: int
) -> None:
    later[0] = timedelta(days=days)
    before = made.file("web").read_bytes()
    with pytest.raises(CertificateError, match="set the clock"):
        list(made.renew(["web"]))
    assert made.file("web").read_bytes() == before
    if days < -400:
        with pytest.raises(CertificateError, match="set the clock"):
            Folder(tmp_path / "new").make("office", "gate")
        assert not list((tmp_path / "new").iterdir())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("192.168.1.1", "an address goes with --ip"),
        ("tür.example", "as xn--"),
        ("a b", "is no host name"),
        ("-a", "is no host name"),
        ("*.example", "is no host name"),
        ("", "is no host name"),
        ("a" * 64, "is no host name"),
        ("a." * 127 + "ab", "is no host name"),
    ],
)
def test_what_is_no_host_name_says_how_it_is_written(text: str, words: str) -> None:
    with pytest.raises(CertificateError) as refused:
        names_module.host_name(text)
    assert words in str(refused.value)


def test_host_names_and_addresses_as_they_are_typed() -> None:
    assert names_module.host_name(" Door.Example. ") == "door.example"
    with pytest.raises(CertificateError, match="--host"):
        names_module.address("door.example")
    with pytest.raises(CertificateError, match=r"192\.168\.178\.0/24"):
        names_module.network("all")
    assert str(names_module.network("192.168.178.20/24")) == "192.168.178.0/24"


def test_a_network_can_be_wider(tmp_path: Path) -> None:
    """For a building whose router gives addresses of several networks."""
    folder = Folder(tmp_path)
    folder.make("office", "gate", [], ["fd00::1"], ["10.0.0.0/16"])
    assert folder.make("office", "gate", [], ["10.0.7.7", "fd00::2"]) == ["web", "broker"]


def test_a_key_is_nobody_elses(made: Folder) -> None:
    keys = list(made.path.glob("*.key"))
    assert len(keys) == 7
    assert {one.stat().st_mode & 0o777 for one in keys} == {0o600}


def test_times_have_a_zone_also_with_the_library_of_debian_12() -> None:
    """It has no ``…_utc`` yet, and gives times without a zone."""

    class Certificate:
        not_valid_after = datetime(2029, 2, 7)  # noqa: DTZ001 - as that version does

    found = signing.utc(Certificate(), "not_valid_after")
    assert found.utcoffset() == timedelta()


def commands_of(heading: str) -> list[list[str]]:
    """The blocks of commands below a heading of the instructions."""
    text = (CHECKOUT / "deploy/README.md").read_text(encoding="utf-8")
    part = text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"(?:^    .+\n)+", part, re.MULTILINE)
    return [[line.strip() for line in block.splitlines()] for block in blocks]


def test_from_nothing_to_a_page_over_tls_takes_at_most_three_commands(tmp_path: Path) -> None:
    """As the instructions have it, counted there: the first block is for a new installation, the
    second for one that exists. Both give the same page, which a phone accepts."""
    new, existing, *_ = commands_of("The page on phones, over TLS")
    assert new == ["sudo deploy/install.sh --page lan"]
    assert len(existing) == 3
    assert install(tmp_path / "new", "--page", "lan").returncode == 0
    fresh = tmp_path / "new/etc/portier/portier.yaml"
    assert install(tmp_path / "old").returncode == 0
    config = tmp_path / "old/etc/portier/portier.yaml"
    certificate, edit, restart = existing
    assert certificate == "sudo portier certificate renew web"
    assert restart == "sudo systemctl restart portier-web"
    assert list(Folder(config.parent / "tls").renew(["web"])) == ["web"]
    shell = edit.removeprefix("sudo ").replace("/etc/portier/portier.yaml", str(config))
    subprocess.run(["sh", "-c", shell], check=True)
    for file in (fresh, config):
        web = load.settings(file, need=()).web
        assert web is not None
        assert web.tls is not None
        assert web.listen == "0.0.0.0:8443"
        port = free_port()
        pair = f"{{cert: {web.tls.cert}, key: {web.tls.key}}}"
        own = f"web: {{listen: '127.0.0.1:{port}', tls: {pair}}}"
        with running(file.parent, "control", "web", config=BUILDING + own) as house:
            until(lambda port=port: port_open(port), 60, str(house.processes[-1].lines))
            context = ssl.create_default_context(cafile=file.parent / "tls/ca.pem")
            with (
                socket.create_connection(("127.0.0.1", port), timeout=60) as plain,
                context.wrap_socket(plain, server_hostname="localhost") as secured,
            ):
                secured.sendall(b"GET /help/certificate HTTP/1.0\r\nHost: localhost\r\n\r\n")
                assert secured.recv(100).startswith(b"HTTP/1.1 200 OK")
