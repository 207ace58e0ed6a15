"""Caddy and nginx from Debian's packages in front of the page, with the files that are shipped.

Each runs in a network of its own with a name server of its own, so that the files need no other
ports and no other name. Caddy is also the ACME server from which both get certificates, as from
Let's Encrypt.
"""

from __future__ import annotations

import contextlib
import ctypes
import http.client
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway.app.certificates import signing
from gateway.app.certificates.folder import Folder
from gateway.web.identity.users import Users, users_file
from tests.process.parts import BUILDING, ROOT, House, house
from tests.process.parts_mqtt import Part, eventually, program

pytestmark = pytest.mark.process
PROXIES = ROOT / "deploy/proxy"
PASSWORD = "correct horse battery"
NAME = "door.example"
WEB = f"""
web:
  listen: 127.0.0.1:8080
  public_url: https://{NAME}
  trusted_proxies: [127.0.0.1]
"""
CLONE_NEWNET = 0x40000000
ACME_PORT = 14_000


class Network:
    """A network of its own, with nothing but this machine, which is called ``door.example``."""

    def __init__(self, folder: Path) -> None:
        if os.geteuid() != 0:
            pytest.skip("a network of its own needs root")
        hosts = folder / "hosts"
        hosts.write_text(f"127.0.0.1 localhost {NAME}\n")
        script = f"ip link set lo up && mount --bind {hosts} /etc/hosts && echo ready && exec cat"
        self._holder = subprocess.Popen(
            ["unshare", "--net", "--mount", "sh", "-c", script],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        assert self._holder.stdout is not None
        if self._holder.stdout.readline() != b"ready\n":
            self.close()
            pytest.skip("this machine gives us no network of our own")
        self.inside = ["nsenter", "-t", str(self._holder.pid), "--net", "--mount", "--"]

    def close(self) -> None:
        self._holder.communicate()

    def dial(self, port: int) -> socket.socket:
        """A connection to a port in there, from out here."""
        return self._made(lambda: socket.create_connection(("127.0.0.1", port), timeout=60))

    def datagram(self) -> socket.socket:
        """A socket in there for datagrams."""
        return self._made(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))

    def _made(self, make: Callable[[], socket.socket]) -> socket.socket:
        """A thread goes in and makes it; from then on anybody may use it."""
        made: list[socket.socket | OSError] = []

        def inside() -> None:
            try:
                with open(f"/proc/{self._holder.pid}/ns/net", "rb") as network:
                    if ctypes.CDLL(None).setns(network.fileno(), CLONE_NEWNET):
                        raise OSError("setns")
                made.append(make())
            except OSError as error:
                made.append(error)

        thread = threading.Thread(target=inside)
        thread.start()
        thread.join()
        if isinstance(made[0], OSError):
            raise made[0]
        return made[0]

    def open(self, port: int) -> bool:
        with contextlib.suppress(OSError), self.dial(port):
            return True
        return False


class Visitor(http.client.HTTPConnection):
    """A browser's connection over TLS that trusts one root."""

    def __init__(self, network: Network, root: Path, **headers: str) -> None:
        super().__init__(NAME)
        context = ssl.create_default_context(cafile=root)
        self.tls = context.wrap_socket(network.dial(443), server_hostname=NAME)
        self.sock = self.tls
        self.headers = {"Origin": f"https://{NAME}", **headers}

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, str]:
        self.answer_to(method, path, body, **headers)
        return self.answer.status, self.answer.read().decode()

    def answer_to(self, method: str, path: str, body: object = None, **headers: str) -> None:
        text = None if body is None else json.dumps(body)
        sent = self.headers | headers | ({"Content-Type": "application/json"} if text else {})
        self.request(method, path, text, sent)
        self.answer = self.getresponse()


class Proxy(Part):
    """Caddy or nginx in the network; ``port``: where it answers when it is ready."""

    def __init__(self, folder: Path, name: str, network: Network, words: list[str]) -> None:
        super().__init__(folder, name)
        self.network, self.words, self.port = network, words, 443

    def command(self) -> list[str]:
        return [*self.network.inside, "env", "-C", str(self.folder), *self.words]

    def ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log()
        return self.network.open(self.port)

    def environment(self) -> dict[str, str]:
        own = str(self.folder)
        return {**os.environ, "HOME": own, "XDG_DATA_HOME": own, "XDG_CONFIG_HOME": own}


def caddy(folder: Path, network: Network, site: str, more: str = "", name: str = "caddy") -> Proxy:
    words = [program("caddy"), "run", "--adapter", "caddyfile", "--config", "Caddyfile"]
    part = Proxy(folder, name, network, words)
    (part.folder / "Caddyfile").write_text(
        f"{{\n\tadmin off\n\tskip_install_trust\n{more}}}\n{site}"
    )
    return part


def nginx(folder: Path, network: Network, site: str) -> Proxy:
    part = Proxy(folder, "nginx", network, [program("nginx"), "-p", "./", "-c", "nginx.conf"])
    (part.folder / "site.conf").write_text(site)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"{kind}_temp_path {part.folder}/{kind};\n" for kind in kinds)
    (part.folder / "nginx.conf").write_text(
        f"daemon off;\npid {part.folder}/pid;\nuser root;\nerror_log stderr;\nevents {{}}\n"
        f"http {{\naccess_log off;\n{temporary}include {part.folder}/site.conf;\n}}\n"
    )
    return part


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    made = Network(tmp_path_factory.mktemp("network"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    folder = Folder(tmp_path_factory.mktemp("tls"))
    folder.make("test", "gate", [NAME])
    return folder


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, network: Network) -> Iterator[House]:
    """A building and its page, which is behind the proxy."""
    made = house(tmp_path_factory.mktemp("page"), BUILDING + WEB)
    users_file(made.state).parent.mkdir(parents=True)
    users = Users(users_file(made.state), gateway="test")
    users.add_user("anna", "staff", PASSWORD)
    users.close()
    try:
        made.control()
        where = ["--config", str(made.config), "--state", str(made.state)]
        inside = [*network.inside, "env", "-C", str(ROOT)]
        made.start(*inside, sys.executable, "-m", "gateway", "run", "web", *where)
        eventually(lambda: network.open(8080), 60, lambda: str(made.processes[-1].lines))
        yield made
    finally:
        made.end()


@contextlib.contextmanager
def started(*parts: Proxy) -> Iterator[None]:
    try:
        for part in parts:
            part.start()
        yield
    finally:
        for part in reversed(parts):
            part.stop()


def with_own_certificate(kind: str, folder: Path, network: Network, tls: Folder) -> Proxy:
    """As documented for a network without a way in from the internet."""
    name = {"caddy": "Caddyfile", "nginx": "nginx.conf"}[kind]
    site = (PROXIES / name).read_text(encoding="utf-8").replace("/etc/portier/tls", str(tls.path))
    if kind == "nginx":
        return nginx(folder, network, site)
    assert "# tls " in site
    return caddy(folder, network, site.replace("# tls ", "tls "))


@pytest.fixture(params=["caddy", "nginx"])
def proxy(
    request: pytest.FixtureRequest, tmp_path: Path, network: Network, tls: Folder, page: House
) -> Iterator[Proxy]:
    part = with_own_certificate(request.param, tmp_path, network, tls)
    with started(part):
        yield part


def test_the_page_knows_that_its_visitors_speak_tls(
    proxy: Proxy, network: Network, tls: Folder
) -> None:
    with contextlib.closing(Visitor(network, tls.file("ca"))) as visitor:
        login = {"name": "anna", "password": PASSWORD}
        assert visitor.ask("POST", "/api/v1/session", login)[0] == 201
        cookie = visitor.answer.headers["Set-Cookie"]
        assert cookie.startswith("__Host-portier-session")
        assert "Secure" in cookie
        assert "max-age=" in visitor.answer.headers["Strict-Transport-Security"]
        status, text = visitor.ask("GET", "/api/v1/me", Cookie=cookie.partition(";")[0])
        assert (status, json.loads(text)["name"]) == (200, "anna")
        status, text = visitor.ask("GET", "/help/certificate")
        assert status == 200


def test_the_live_stream_comes_through_at_once(
    proxy: Proxy, network: Network, tls: Folder, page: House
) -> None:
    """Each event by itself: a proxy that collects some first shows a call too late."""
    with contextlib.closing(Visitor(network, tls.file("ca"))) as visitor:
        login = {"name": "anna", "password": PASSWORD}
        assert visitor.ask("POST", "/api/v1/session", login)[0] == 201
        cookie = visitor.answer.headers["Set-Cookie"].partition(";")[0]
        visitor.answer_to("GET", "/api/v1/live", Cookie=cookie)
        assert visitor.answer.status == 200
        lines = iter(visitor.answer.readline, b"")
        assert next(line for line in lines if line.startswith(b"event: "))
        page.bench("press", point="front.button")
        missing, beats = {b'"contact_changed"', b'"door_request"'}, 0
        for line in lines:
            beats += line == b"event: beat\n"
            assert beats < 4, "it is held back somewhere"
            missing -= {kind for kind in missing if kind in line}
            if not missing:
                break


def test_a_visitor_cannot_choose_an_address(proxy: Proxy, network: Network, tls: Folder) -> None:
    """Wrong passwords are counted by address, and the proxy says whose it is."""
    wrong = {"name": f"nobody-{proxy.name}", "password": "a wrong password"}
    told = []
    for number in range(6):
        with contextlib.closing(Visitor(network, tls.file("ca"))) as visitor:
            pretended = {"X-Forwarded-For": f"203.0.113.{number}", "Forwarded": "for=203.0.113.9"}
            told.append(visitor.ask("POST", "/api/v1/session", wrong, **pretended)[0])
    assert told[0] == 401
    assert told[-1] == 429


def acme_server(folder: Path, network: Network) -> Proxy:
    """Who proves that a name leads to whoever asks, and then signs, as Let's Encrypt does."""
    site = f"https://localhost:{ACME_PORT} {{\n\ttls internal\n\tacme_server\n}}\n"
    more = "\tauto_https disable_redirects\n\thttp_port 14080\n\thttps_port 14443\n"
    part = caddy(folder, network, site, more, name="acme")
    part.port = ACME_PORT
    return part


def root_of(acme: Proxy) -> Path:
    return acme.folder / "caddy/pki/authorities/local/root.crt"


def opens(network: Network, root: Path) -> bool:
    """Whether the page is there under a certificate that leads to this root."""
    with contextlib.suppress(OSError), contextlib.closing(Visitor(network, root)) as visitor:
        return visitor.ask("GET", "/login")[0] == 200
    return False


def test_caddy_gets_its_certificate_by_itself(
    tmp_path: Path, network: Network, page: House
) -> None:
    """With the file as it is, which says nothing of certificates."""
    acme = acme_server(tmp_path, network)
    with started(acme):
        more = (
            f"\tacme_ca https://localhost:{ACME_PORT}/acme/local/directory\n"
            f"\tacme_ca_root {root_of(acme)}\n"
        )
        site = (PROXIES / "Caddyfile").read_text(encoding="utf-8")
        with started(proxy := caddy(tmp_path, network, site, more)):
            eventually(lambda: opens(network, root_of(acme)), 60, proxy.log)
            visitor = Visitor(network, root_of(acme))
            presented = visitor.tls.getpeercert(binary_form=True)
            visitor.close()
    assert presented is not None
    made = signing.from_pem(ssl.DER_cert_to_PEM_cert(presented).encode())[0]
    assert signing.names(made).hosts == (NAME,)


def test_nginx_gets_its_certificate_by_certbot(
    tmp_path: Path, network: Network, tls: Folder, page: House
) -> None:
    """certbot changes the file of nginx as documented; nginx takes it without being restarted."""
    certbot = program("certbot")
    acme = acme_server(tmp_path, network)
    proxy = with_own_certificate("nginx", tmp_path, network, tls)
    folder = proxy.folder
    with started(acme, proxy):
        assert opens(network, tls.file("ca"))
        command = [
            *network.inside, certbot, "--nginx", "-d", NAME, "--non-interactive", "--agree-tos",
            "--register-unsafely-without-email", "--nginx-server-root", str(folder),
            "--nginx-ctl", str(ctl(folder)),
            "--server", f"https://localhost:{ACME_PORT}/acme/local/directory",
            "--config-dir", str(folder / "le"), "--work-dir", str(folder / "work"),
            "--logs-dir", str(folder / "logs"),
        ]  # fmt: skip
        environment = {**os.environ, "REQUESTS_CA_BUNDLE": str(root_of(acme))}
        done = subprocess.run(
            command, capture_output=True, text=True, env=environment, check=False, timeout=120
        )
        assert done.returncode == 0, done.stdout + done.stderr + acme.log()[-3000:]
        eventually(lambda: opens(network, root_of(acme)), 60, proxy.log)
    assert "managed by Certbot" in (folder / "site.conf").read_text()


def ctl(folder: Path) -> Path:
    """nginx as certbot calls it: with the folder of this test."""
    script = folder / "nginx-ctl"
    script.write_text(f'#!/bin/sh\nexec {program("nginx")} -p {folder} "$@"\n')
    script.chmod(0o755)
    return script
