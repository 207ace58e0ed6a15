"""``portier run`` says "Ready" on evidence only, and names what is missing."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from gateway.app.running.readiness import CHECK_EVERY_S, NAMED_AFTER_S, WATCHED_S, Parts, Readiness
from gateway.panel import server
from tests.panel.test_panel_server import Desk
from tests.process.parts_mqtt import free_port


class Watch:
    """The clock, what is found and what is said."""

    def __init__(self, **found: str) -> None:
        self.now, self.found, self.said = 100.0, found, list[str]()
        self.readiness = Readiness(lambda: self.found, self.said.append, lambda: self.now)

    def passes(self, seconds: float) -> bool:
        self.now += seconds
        return self.readiness.look()


def test_it_is_ready_when_every_part_works() -> None:
    watch = Watch(control="no answer", page="")
    assert not watch.passes(1)
    assert watch.said == []
    watch.found = {"control": "", "page": ""}
    assert watch.passes(1)
    assert watch.said == ["Ready after 2.0 s (control, page). Ctrl-C stops everything."]


def test_what_is_missing_is_named_and_ready_comes_late() -> None:
    watch = Watch(control="", page="no answer on x:1", link="not connected")
    assert not watch.passes(NAMED_AFTER_S)
    assert not watch.passes(CHECK_EVERY_S)
    (said,) = watch.said
    assert said == "Not ready after 20 s. page: no answer on x:1; link: not connected."
    watch.found = {"control": ""}
    assert watch.passes(1)
    assert watch.said[1].startswith("Ready after 21.2 s")


def test_it_is_not_watched_for_ever() -> None:
    watch = Watch(control="no answer")
    assert watch.passes(WATCHED_S)
    assert not any(said.startswith("Ready") for said in watch.said)


# --- the evidence of each part ------------------------------------------------------------


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk()
    made.state = {"guarantees": {}}
    panel = server.Server(tmp_path / "panel.sock", made)
    panel.start()
    yield made
    panel.close()


def parts(state: Path, *wanted: str, **more: Any) -> Parts:
    return Parts(wanted, state, more.pop("runs", lambda role: True), **more)


def test_without_a_panel_nothing_is_known(tmp_path: Path) -> None:
    found = parts(tmp_path, "control", "link", "record", "notify").check()
    assert all(found.values())
    assert "panel.sock" in found["control"]


def test_a_process_that_does_not_run_is_named(tmp_path: Path, desk: Desk) -> None:
    found = parts(tmp_path, "control", "link", runs=lambda role: role == "control").check()
    assert found["control"] == ""
    assert "does not run" in found["link"]


@pytest.mark.parametrize(
    ("role", "state", "works"),
    [
        ("link", {"link": {"connected": True, "reason": ""}}, True),
        ("link", {"link": {"connected": False, "reason": "refused"}}, False),
        ("link", {"guarantees": {"forwarding": {"ok": True}}}, True),
        ("link", {"guarantees": {"forwarding": {"ok": False, "reason": "link_away"}}}, False),
        ("link", {}, False),
        ("record", {"guarantees": {"recording": {"reason": ""}}}, True),
        ("notify", {"guarantees": {"messages": {"reason": "notify_away"}}}, False),
        ("notify", {"guarantees": {"heartbeat": {"reason": "notify_away"}}}, False),
        ("notify", {"guarantees": {"messages": {"reason": ""}}}, True),
    ],
)
def test_what_control_says_of_the_others(
    tmp_path: Path, desk: Desk, role: str, state: Mapping[str, object], works: bool
) -> None:
    desk.state = dict(state)
    assert (parts(tmp_path, "control", role).check()[role] == "") is works


def test_a_recorder_that_has_not_reported_is_named(tmp_path: Path, desk: Desk) -> None:
    desk.state = {"guarantees": {"recording": {"reason": "recorder_missing"}}}
    found = parts(tmp_path, "control", "record").check()
    assert found == {"control": "", "record (has not reported yet)": ""}


class Health(BaseHTTPRequestHandler):
    """The page's health, as the path of the test wants it."""

    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status if self.path == "/health/ready" else 404)
        self.end_headers()
        self.wfile.write(b'{"panel": "failed"}')

    def log_message(self, *_: object) -> None:
        """Silent."""


@pytest.mark.parametrize(("status", "works"), [(200, True), (503, False)])
def test_the_page_says_whether_it_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, works: bool
) -> None:
    monkeypatch.setattr(Health, "status", status)
    with HTTPServer(("127.0.0.1", 0), Health) as page:
        thread = threading.Thread(target=page.serve_forever)
        thread.start()
        address = ("127.0.0.1", page.server_address[1])
        found = parts(tmp_path, "web", page=address).check()["page"]
        page.shutdown()
        thread.join()
    assert (found == "") is works
    assert works or "failed" in found


def test_a_page_and_a_broker_that_are_not_there(tmp_path: Path) -> None:
    address = ("127.0.0.1", free_port())
    found = parts(tmp_path, "web", "broker", page=address, broker=address).check()
    assert "no answer on 127.0.0.1" in found["page"]
    assert "no answer on 127.0.0.1" in found["broker"]


def test_something_else_on_the_port_is_no_broker_and_no_page(tmp_path: Path) -> None:
    with HTTPServer(("127.0.0.1", 0), Health) as other:
        thread = threading.Thread(target=other.serve_forever)
        thread.start()
        address = ("127.0.0.1", other.server_address[1])
        found = parts(tmp_path, "broker", broker=address).check()
        other.shutdown()
        thread.join()
    assert found["broker"]
