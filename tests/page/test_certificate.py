"""The page over TLS before a real Chromium that trusts the root as a phone does."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Error, Page, expect

from gateway.app.certificates import reading, signing
from gateway.app.certificates.folder import Folder
from gateway.app.certificates.names import Names
from gateway.web.shared.certificate_reload import CertificateReload
from tests.page.conftest import ARGS, PASSWORD, Gateway, is_live, until
from tests.page.test_states import barriers, overflow

pytestmark = [
    pytest.mark.page,
    pytest.mark.skipif(shutil.which("certutil") is None, reason="libnss3-tools is not installed"),
]
NAMES = "MAP door.example 127.0.0.1, MAP bank.example 127.0.0.1"


@pytest.fixture
def tls(tmp_path: Path) -> Folder:
    folder = Folder(tmp_path / "tls")
    folder.make("office", "gate", ["door.example"], ["192.168.178.20"])
    return folder


@pytest.fixture
def secure(tmp_path: Path, tls: Folder) -> Iterator[Gateway]:
    """The page with the certificate of the installation."""
    made = Gateway(tmp_path)
    made.stop_serving()
    cert, key = tls.file("web"), tls.path / "web.key"
    made.options = replace(
        made.options,
        tls_cert=cert,
        tls_key=key,
        roots=lambda: reading.roots(cert),
    )
    made.url = f"https://door.example:{made.port}"
    made.serve()
    yield made
    made.close()


Launch = Callable[[Path | None], Browser]


@pytest.fixture
def launch(browser: Browser, secure: Gateway, tmp_path: Path) -> Iterator[Launch]:
    """A Chromium of its own whose user trusts this root, or none. It goes before the page."""
    browsers: list[Browser] = []

    def go(root: Path | None) -> Browser:
        home = tmp_path / f"home-{len(browsers)}"
        store = home / ".pki/nssdb"
        store.mkdir(parents=True)
        database = ["-d", f"sql:{store}"]
        subprocess.run(["certutil", *database, "-N", "--empty-password"], check=True)
        if root is not None:
            added = ["-A", "-t", "C,,", "-n", "Portier", "-i", str(root)]
            subprocess.run(["certutil", *database, *added], check=True)
        browsers.append(
            browser.browser_type.launch(
                executable_path="/usr/bin/chromium",
                args=[*ARGS, f"--host-resolver-rules={NAMES}"],
                env={"HOME": str(home), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"},
            )
        )
        return browsers[-1]

    yield go
    for one in browsers:
        one.close()


def log_in(page: Page, url: str) -> None:
    page.goto(f"{url}/login")
    page.fill("#name", "admin")
    page.fill("#password", PASSWORD)
    page.click("button.act")
    is_live(page)


def refusal(page: Page, url: str) -> str:
    """Why Chromium does not open an address."""
    with pytest.raises(Error) as refused:
        page.goto(url)
    return str(refused.value)


def test_a_browser_that_trusts_the_root_warns_of_nothing(
    launch: Launch, secure: Gateway, tls: Folder
) -> None:
    page = launch(tls.file("ca")).new_page(locale="de-DE")
    answer = page.goto(f"{secure.url}/login")
    assert answer is not None
    details = answer.security_details()
    assert details is not None
    assert details["subjectName"] == "door.example"
    log_in(page, secure.url)
    assert page.evaluate("window.isSecureContext")


def test_from_the_warning_to_the_download(launch: Launch, secure: Gateway, tls: Folder) -> None:
    """What somebody does whose phone does not trust the page yet."""
    browser = launch(None)
    page = browser.new_page(locale="de-DE")
    assert "ERR_CERT_AUTHORITY_INVALID" in refusal(page, secure.url)
    tls.prepare_root("office", "gate")
    anyway = browser.new_context(
        ignore_https_errors=True, locale="de-DE", viewport={"width": 360, "height": 740}
    )
    page = anyway.new_page()
    page.goto(f"{secure.url}/login")
    page.get_by_role("link", name="Warnt der Browser vor dieser Seite?").click()
    shown = page.locator(".fingerprint")
    expected = {one.name: one.fingerprint for one in tls.entries()}
    expect(shown).to_have_text([expected["ca"], expected["next-ca"]])
    assert overflow(page) <= 0
    assert barriers(page) == []
    for name, file in (("root", "ca"), ("next-root", "next-ca")):
        answer = page.request.get(f"https://127.0.0.1:{secure.port}/help/{name}.crt")
        assert answer.headers["content-type"] == "application/x-x509-ca-cert"
        (saved := tls.path / "downloaded.crt").write_bytes(answer.body())
        made = subprocess.run(
            ["openssl", "x509", "-inform", "der", "-in", saved, "-noout", "-sha256",
             "-fingerprint"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert made.stdout.strip().rpartition("=")[2] == expected[file]
    trusting = launch(tls.file("ca")).new_page()
    assert trusting.goto(f"{secure.url}/login") is not None


def test_a_stolen_key_of_the_root_opens_no_other_site(
    launch: Launch, secure: Gateway, tls: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chromium keeps to the limits of the root, which are no advice."""
    monkeypatch.setattr(signing, "permitted", lambda _: None)
    authority, key = tls._authority("ca"), tls._key("web")
    for name in ("bank.example", "door.example"):
        forged = signing.sign_server(authority, key, Names((name,), ()), signing.now())
        tls.file("web").write_bytes(signing.to_pem(forged))
        secure.stop_serving()
        secure.serve()
        browser = launch(tls.file("ca"))
        page = browser.new_page()
        url = secure.url.replace("door.example", name)
        if name == "bank.example":
            assert "ERR_CERT_INVALID" in refusal(page, url)
        else:
            assert page.goto(f"{url}/login") is not None, "the same, within the limits"
        browser.close()


def test_a_renewal_ends_no_live_page(
    launch: Launch, secure: Gateway, tls: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stream that shows a call goes on over the old certificate; whoever comes new gets the
    new one. A pair that does not fit changes nothing."""
    looks: list[int] = []
    check = CertificateReload.check

    def counted(self: CertificateReload) -> None:
        check(self)
        looks.append(1)

    monkeypatch.setattr(CertificateReload, "check", counted)

    def looked() -> None:
        before = len(looks)
        until(lambda: len(looks) > before + 1)

    def serial() -> str:
        presented = subprocess.run(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{secure.port}"],
            input=b"", capture_output=True, check=False,
        ).stdout  # fmt: skip
        return hex(signing.from_pem(presented)[0].serial_number)

    page = launch(tls.file("ca")).new_page(locale="de-DE")
    streams: list[str] = []
    page.on("request", lambda one: streams.append(one.url) if "/live" in one.url else None)
    log_in(page, secure.url)
    before = len(streams)
    first = serial()
    assert list(tls.renew(["web"])) == ["web"]
    until(lambda: serial() != first)
    second = serial()
    assert len(streams) == before, "the browser has not had to connect again"
    secure.control.call()
    expect(page.get_by_text("Notruf").first).to_be_visible()
    assert len(streams) == before

    own = (tls.path / "web.key").read_bytes()
    (tls.path / "web.key").write_bytes((tls.path / "broker.key").read_bytes())
    looked()
    assert serial() == second, "it goes on with the pair that fits"
    (tls.path / "web.key").unlink()
    looked()
    assert serial() == second
    (tls.path / "web.key").write_bytes(own)
    list(tls.renew(["web"]))
    until(lambda: serial() != second)
    assert launch(tls.file("ca")).new_page().goto(f"{secure.url}/login") is not None
