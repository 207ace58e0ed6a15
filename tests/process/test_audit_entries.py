"""No change of users and tokens without its entry in the audit chain, with real processes:
``control`` is away, and the page and then everything is killed before it is back."""

from __future__ import annotations

import contextlib
import http.client
import json
from typing import Any

import pytest

from gateway.journal.audit import entries, verify
from gateway.journal.queries.reader import Reader
from gateway.web.identity.users import Users, users_file
from tests.process.parts import BUILDING, House, Process, until
from tests.process.parts_mqtt import free_port

pytestmark = pytest.mark.process


class Admin:
    """Somebody who changes users over the page's API."""

    def __init__(self, place: House, port: int) -> None:
        self._port = port
        with contextlib.closing(Users(users_file(place.state))) as users:
            token = users.add_token("test", "admin", 1, "test")
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def ask(self, method: str, path: str, body: Any = None) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        with contextlib.closing(connection):
            text = None if body is None else json.dumps(body)
            connection.request(method, path, text, self._headers)
            return connection.getresponse().status

    def up(self) -> bool:
        with contextlib.suppress(OSError):
            return self.ask("GET", "/health/live") == 200
        return False


def chain(place: House) -> list[tuple[str, str, str]]:
    with contextlib.closing(Reader(place.state / "journal.sqlite")) as reader:
        found = reader.read(lambda db: list(entries(db, 0, 1000)))
        assert reader.read(verify).broken is None
    return [(one.actor, one.action, one.subject) for one in found]


def waiting(place: House) -> int:
    with contextlib.closing(Users(users_file(place.state))) as users:
        return users.count_entries()[0]


def test_what_was_changed_while_control_was_away_is_in_the_chain_once(place: House) -> None:
    port = free_port()
    place.config.write_text(f"{BUILDING}web: {{listen: 127.0.0.1:{port}}}\n", encoding="utf-8")
    control = place.control()

    def page() -> Process:
        started = place.run("web")
        until(lambda: admin.up() if admin else started.said("First log-in"))
        return started

    admin: Admin | None = None
    web = page()
    admin = Admin(place, port)
    until(admin.up)
    new = {"role": "view", "password": "a good password"}
    assert admin.ask("POST", "/api/v1/users", {"name": "before", **new}) == 201
    until(lambda: not waiting(place), what="control has taken it")
    control.kill()
    for name in ("anna", "bert"):
        assert admin.ask("POST", "/api/v1/users", {"name": name, **new}) == 201
    changed = place.portier("user", "role", "anna", "staff", "--state", str(place.state))
    assert changed.wait() == 0
    assert changed.said("portier-web enters this into the audit chain")
    web.kill()
    web = page()
    assert admin.ask("DELETE", "/api/v1/users/3") == 204
    assert waiting(place) == 4
    place.control()
    until(lambda: not waiting(place), what="control has taken them")
    web.kill()
    page()
    token = "web:token-1"
    told = [one for one in chain(place) if one[1].startswith("user_")]
    assert [(action, subject) for _, action, subject in told] == [
        ("user_added", "web:2"),
        ("user_added", "web:3"),
        ("user_added", "web:4"),
        ("user_role", "web:3"),
        ("user_removed", "web:3"),
    ]
    assert [actor for actor, *_ in told if not actor.startswith("cli:")] == [token] * 4
