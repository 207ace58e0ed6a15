"""Messages and the command line: what crosses from one role's user to another's."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from tests.system.installed import Gateway, simulated
from tests.system.machine import Machine, until

pytestmark = pytest.mark.system
PORT = 9009
CONTACTS = """
contacts: {desk: {channels: [!secret desk_url]}}
escalations: {care: [{after: 0 s, notify: desk}]}
"""


class _Webhook(HTTPServer):
    received: list[dict[str, Any]]


class _Handler(BaseHTTPRequestHandler):
    server: _Webhook

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append(json.loads(body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def webhook(machine: Machine) -> Iterator[list[dict[str, Any]]]:
    """Where messages arrive, inside; what has arrived."""
    server = _Webhook(("127.0.0.1", PORT), _Handler, bind_and_activate=False)
    server.socket.close()
    server.socket = machine.listen(PORT)
    server.received = []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1})
    thread.start()
    try:
        yield server.received
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def link(received: list[dict[str, Any]]) -> str:
    """The path of the first link to acknowledge; empty: none."""
    found = re.search(r"https://gateway\.example(/m/[^\s\"\\]+)", json.dumps(received))
    return found[1] if found else ""


def secret(machine: Machine) -> None:
    """As the documents say."""
    machine.write("/root/desk_url", f"json://127.0.0.1:{PORT}/\n")
    machine.ok(
        *("install", "-m", "640", "-g", "portier-notify", "/root/desk_url"), "/etc/portier/secrets/"
    )


def test_a_call_reaches_people_with_a_link_to_acknowledge(gateway: Gateway) -> None:
    machine = gateway.machine
    secret(machine)
    building = simulated().replace(
        "    leak: wc.leak\n", "    leak: wc.leak\n    escalation: care\n"
    )
    building = building.replace("\nweb:\n", "\nweb:\n  public_url: https://gateway.example\n")
    assert "escalation: care" in building
    assert "public_url" in building
    machine.write("/etc/portier/portier.yaml", building + CONTACTS)
    machine.ok("systemctl", "restart", "portier-control", "portier-web", "portier-notify")
    gateway.ready()
    with webhook(machine) as received:
        gateway.bench("set", point="wc.cord", value=True)
        until(lambda: link(received), what="a message with a link, for which notify reads its key")
    status, _, text = gateway.page.ask("GET", link(received))
    assert status == 200, f"and so does the page: {text}"
    assert machine.show("portier-notify", "NRestarts") == "0"


def test_the_first_contact_of_the_page_starts_the_messages(gateway: Gateway) -> None:
    machine = gateway.machine
    secret(machine)
    until(lambda: gateway.states()["notify"] == "inactive", what="there is nobody to inform")
    token = {**gateway.log_in(), "If-Match": '"none"'}
    contact = {"contacts": {"desk": {"channels": [{"secret": "desk_url"}]}}}
    status, answer = gateway.page.json("PUT", "/api/v1/settings", contact, **token)
    assert status == 200, answer
    until(lambda: gateway.states()["notify"] == "active", what="notify runs")
    until(lambda: started(machine), what="it has come so far")


def started(machine: Machine) -> bool:
    return any(entry["said"].get("event") == "telling" for entry in machine.log("portier-notify"))


def test_a_member_of_the_group_uses_the_command_line_and_nobody_else(gateway: Gateway) -> None:
    machine = gateway.machine
    machine.ok("useradd", "--groups", "portier", "member")
    machine.ok("useradd", "stranger")
    machine.ok("runuser", "-u", "member", "--", "portier", "door", "open", "front")
    until(lambda: gateway.leaf() == "open", what="the door opens")
    refused = machine.run("runuser", "-u", "stranger", "--", "portier", "door", "open", "front")
    assert refused.status == 1
    assert "adduser" in refused.out


def test_files_belong_to_whom_they_are_for(gateway: Gateway) -> None:
    found = gateway.machine.ok("stat", "-c", "%n %U:%G %a", "/var/lib/portier/panel.sock")
    assert found.split()[1:] == ["portier-control:portier", "660"]
