"""The notice of certificates that end, the root to download, and a renewed certificate."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gateway.app.certificates import reading
from gateway.app.certificates.folder import Folder
from gateway.web.shared.certificate_reload import CertificateReload
from tests.web.conftest import Web

DAY_S = 86_400


@pytest.fixture
def tls(tmp_path: Path) -> Folder:
    folder = Folder(tmp_path / "tls")
    folder.make("office", "gate", ["door.example"], ["192.168.178.20"])
    return folder


@pytest.fixture
def web(tmp_path: Path, tls: Folder) -> Iterator[Web]:
    page = tls.file("web")
    ends = {"page": time.time() + 29 * DAY_S, "broker_client": time.time() + 31 * DAY_S}
    (tmp_path / "state").mkdir()
    made = Web(
        tmp_path / "state",
        certificates=lambda: ends,
        roots=lambda: reading.roots(page),
    )
    made.runner.run(made.site.certificates.read())
    yield made
    made.close()


@pytest.mark.parametrize("role", ["maintenance", "admin"])
def test_30_days_before_its_end_a_certificate_is_a_notice(web: Web, role: str) -> None:
    for path in ("/", "/system"):
        text = web.as_(role).get(path).text
        assert "Das Zertifikat dieser Seite ist nur bis" in text
        assert "portier certificate renew" in text
        assert "für den Broker" not in text, "it lasts for 31 days"


def test_one_that_is_not_valid_yet_is_a_notice_too(tmp_path: Path) -> None:
    now = time.time()
    lives = {"page": now + DAY_S, "broker_client": now - DAY_S}
    web = Web(tmp_path, certificate_begins=lambda: lives)
    web.runner.run(web.site.certificates.read())
    text = web.as_("admin").get("/system").text
    assert "Das Zertifikat dieser Seite gilt erst ab" in text
    assert "timedatectl" in text
    assert "für den Broker" not in text
    assert web.site.certificates.early(now + 2 * DAY_S) == []
    assert web.site.certificates.wrong(now) == "page"
    assert web.site.certificates.wrong(now + 2 * DAY_S) == ""
    web.close()


@pytest.mark.parametrize("role", ["view", "staff"])
def test_those_who_cannot_renew_it_are_not_bothered(web: Web, role: str) -> None:
    assert "Das Zertifikat dieser Seite" not in web.as_(role).get("/").text


def test_what_has_ended_comes_first(tmp_path: Path) -> None:
    now = time.time()
    ends = {"page": now + DAY_S, "recorder_client": now - DAY_S, "broker_client": now + 90 * DAY_S}
    web = Web(tmp_path, certificates=lambda: ends)
    assert web.site.certificates.soon(now) == []
    assert web.site.certificates.wrong(now) is None, "no file was read yet"
    web.runner.run(web.site.certificates.read())
    assert [name for name, _ in web.site.certificates.soon(now)] == ["recorder_client", "page"]
    assert web.site.certificates.wrong(now) == "page, recorder_client"
    web.close()


def test_the_root_is_there_without_a_log_in(web: Web, tls: Folder) -> None:
    assert "/help/certificate" in web.call("GET", "/login").text
    shown = web.call("GET", "/help/certificate")
    assert shown.status_code == 200
    fingerprints = {one.name: one.fingerprint for one in tls.entries()}
    assert fingerprints["ca"] in shown.text
    answer = web.call("GET", "/help/root.crt")
    assert answer.headers["content-type"] == "application/x-x509-ca-cert"
    assert answer.content == reading.read(tls.file("ca")).der
    assert web.call("GET", "/help/next-root.crt").status_code == 404
    tls.prepare_root("office", "gate")
    following = web.call("GET", "/help/next-root.crt").content
    assert following == reading.read(tls.file("next-ca")).der
    assert tls.switch_root()
    assert web.call("GET", "/help/root.crt").content == following
    assert web.call("GET", "/help/next-root.crt").status_code == 404


def test_a_certificate_of_somebody_else_has_no_root_to_trust(tmp_path: Path, tls: Folder) -> None:
    """Such as of a public authority, which every phone knows."""
    other = Folder(tmp_path / "other")
    other.make("elsewhere", "gate")
    tls.file("web").write_bytes(other.file("web").read_bytes())
    assert reading.roots(tls.file("web")) == {}
    assert reading.roots(tmp_path / "nothing.pem") == {}


def test_without_a_root_the_page_says_that_there_is_nothing_to_do(tmp_path: Path) -> None:
    web = Web(tmp_path)
    assert "/help/certificate" not in web.call("GET", "/login").text
    assert "Hier ist nichts zu tun" in web.call("GET", "/help/certificate").text
    assert web.call("GET", "/help/root.crt").status_code == 404
    web.close()


def handshake(server: ssl.SSLContext) -> bytes:
    """The certificate that this context presents, as DER."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    near = client.wrap_bio(to_client, to_server)
    far = server.wrap_bio(to_server, to_client, server_side=True)
    for side in (near, far, near, far):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    return near.getpeercert(binary_form=True) or b""


def test_the_server_reads_a_renewed_certificate_and_never_half_a_pair(tls: Folder) -> None:
    cert, key = tls.file("web"), tls.path / "web.key"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    reload = CertificateReload(context, cert, key)
    first = handshake(context)
    reload.check()
    assert handshake(context) == first
    list(tls.renew(["web"]))
    assert handshake(context) == first
    reload.check()
    second = handshake(context)
    assert second == reading.read(cert).der != first

    own, renewed = key.read_bytes(), cert.read_bytes()
    cert.write_bytes(tls.file("broker").read_bytes())
    with capture_logs() as lines:
        reload.check()
        reload.check()
    assert [line["log_level"] for line in lines] == ["warning"], "once"
    assert handshake(context) == second
    key.unlink()
    reload.check()
    assert handshake(context) == second
    key.write_bytes(own)
    cert.write_bytes(renewed)
    list(tls.renew(["web"]))
    reload.check()
    assert handshake(context) not in (first, second)
