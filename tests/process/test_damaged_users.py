"""The file of the users is damaged, before the page starts and while it runs: it comes back, says
so, and lets in who could be read and nobody else."""

from __future__ import annotations

import contextlib
import http.client
import json
import sqlite3
from pathlib import Path

import pytest

from gateway.web.identity.users import Users, users_file
from tests.process.parts import BUILDING, House, until
from tests.process.parts_mqtt import free_port

pytestmark = pytest.mark.process
PASSWORD = "a good password"


class Page:
    def __init__(self, port: int) -> None:
        self._port = port

    def get(self, path: str) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        with contextlib.closing(connection), contextlib.suppress(OSError):
            connection.request("GET", path, headers={"Accept-Language": "en"})
            return connection.getresponse().read().decode()
        return ""

    def log_in(self, name: str) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        with contextlib.closing(connection), contextlib.suppress(OSError):
            body = json.dumps({"name": name, "password": PASSWORD})
            connection.request(
                "POST", "/api/v1/session", body, {"Content-Type": "application/json"}
            )
            return connection.getresponse().status
        return 0


def tear(file: Path, table: str) -> None:
    with contextlib.closing(sqlite3.connect(file)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        (root,) = db.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)
        ).fetchone()
        (size,) = db.execute("PRAGMA page_size").fetchone()
    with file.open("r+b") as opened:
        opened.seek((root - 1) * size)
        opened.write(b"\xa5" * size)


def test_the_page_comes_back_whatever_is_in_the_file_of_its_users(place: House) -> None:
    port, file = free_port(), users_file(place.state)
    text = f"{BUILDING}web: {{listen: 127.0.0.1:{port}}}\n"
    place.config.write_text(text, encoding="utf-8")
    page, state = Page(port), ("--state", str(place.state))
    supervisor = place.run()
    until(lambda: supervisor.said("First log-in"))
    until(lambda: page.get("/login"))
    with contextlib.closing(Users(file)) as users:
        users.add_user("anna", "staff", PASSWORD)
    assert page.log_in("anna") == 201

    tear(file, "door_weeks")  # while it runs: the next start of the process finds it
    until(
        lambda: page.log_in("anna") == 201 and "file of the users was damaged" in page.get("/login")
    )
    assert place.portier("user", "list", *state).wait() == 0

    supervisor.stop()
    for ending in ("-wal", "-shm"):
        file.with_name(file.name + ending).unlink(missing_ok=True)
    file.write_bytes(b"what the card has left " * 4096)
    failed = place.portier("user", "list", *state)
    assert failed.wait() == 1
    assert failed.said("sudo systemctl restart portier-web")
    supervisor = place.run()
    until(lambda: "there is no administrator any more" in page.get("/login"))
    assert page.log_in("anna") == 401
    assert not supervisor.said("First log-in")
    assert json.loads(page.get("/health/live"))["status"] == "ok"
    with contextlib.closing(Users(file)) as users:
        users.add_user("new", "admin", PASSWORD)  # as `portier user add` does
    assert page.log_in("new") == 201
    assert "there is no administrator" not in page.get("/login")
    doctor = place.portier("doctor", "--config", str(place.config), *state)
    doctor.wait()
    assert doctor.said("users: their file was damaged")
