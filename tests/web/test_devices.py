"""One's own devices that take push messages: who may register what, and when one goes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from gateway.push import keys
from gateway.push.subscriptions import Subscription, write_gone
from gateway.web.identity.users import hashed
from tests.cli.test_cli_offline import portier
from tests.identity import start_session
from tests.living_files import contents
from tests.web.conftest import PASSWORD, Client, Web

KEYS = {"p256dh": "B" + "A" * 86, "auth": "A" * 22}
ADDRESS = "https://fcm.googleapis.com/fcm/send/geheim"
PHONE = "Mozilla/5.0 (Linux; Android 14) Chrome/120.0 Mobile"


def register(client: Client, address: str = ADDRESS, **values: Any) -> Any:
    return client.post(
        "/api/v1/me/devices",
        json={"endpoint": address, **KEYS, **values},
        headers={"User-Agent": PHONE},
    )


def stored(web: Web) -> list[Subscription]:
    return web.users.devices.all()


def test_a_device_is_registered_listed_and_removed(web: Web) -> None:
    client = web.as_("staff")
    made = register(client)
    assert made.status_code == 201
    told = made.json()
    assert (told["browser"], told["provider"]) == ("Chrome, Android", "Google")
    assert client.get("/api/v1/me/devices").json() == [told]
    assert client.call("DELETE", f"/api/v1/me/devices/{told['id']}").status_code == 204
    assert client.get("/api/v1/me/devices").json() == []
    assert stored(web) == []


def test_the_same_browser_again_is_no_second_device(web: Web) -> None:
    client = web.as_("staff")
    assert register(client).json()["id"] == register(client).json()["id"]
    assert len(stored(web)) == 1


@pytest.mark.parametrize(
    "address",
    [
        "http://fcm.googleapis.com/x", "https://evil.example/x", "https://127.0.0.1/x",
        "https://fcm.googleapis.com:22/x", "https://user@fcm.googleapis.com/x",
        "https://fcm.googleapis.com./x", "https://router.local/x", "",
    ],
)  # fmt: skip
def test_an_address_of_no_push_service_is_refused(web: Web, address: str) -> None:
    answer = register(web.as_("view"), address)
    assert (answer.status_code, answer.json()["reason"]) == (422, "push_service")
    assert stored(web) == []


def test_a_push_service_of_the_configuration_is_taken(tmp_path: Path) -> None:
    web = Web(tmp_path, push_hosts=("push.example:8443",))
    made = register(web.as_("view"), "https://push.example:8443/x")
    assert (made.status_code, made.json()["provider"]) == (201, "push.example")
    web.close()


@pytest.mark.parametrize(
    "broken", [{"p256dh": "AAAA"}, {"auth": "A" * 23}, {"p256dh": "ü"}, {"auth": "../../x"}]
)
def test_keys_that_are_none_are_refused(web: Web, broken: dict[str, str]) -> None:
    assert register(web.as_("view"), **broken).status_code == 422
    assert stored(web) == []


def test_a_program_has_no_device(web: Web) -> None:
    answer = web.call(
        "POST",
        "/api/v1/me/devices",
        json={"endpoint": ADDRESS, **KEYS},
        headers=web.token("admin"),
    )
    assert (answer.status_code, answer.json()["reason"]) == (403, "needs_person")


def test_nobody_sees_tests_or_removes_the_device_of_another(web: Web) -> None:
    id = register(web.as_("staff")).json()["id"]
    admin = web.as_("admin")
    assert admin.get("/api/v1/me/devices").json() == []
    assert admin.post(f"/api/v1/me/devices/{id}/test").status_code == 404
    assert admin.call("DELETE", f"/api/v1/me/devices/{id}").status_code == 404
    assert len(stored(web)) == 1


def test_too_many_devices_are_refused(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.push.subscriptions.OF_ONE_MOST", 2)
    client = web.as_("staff")
    for number in range(2):
        assert register(client, f"{ADDRESS}{number}").status_code == 201
    answer = register(client, f"{ADDRESS}9")
    assert (answer.status_code, answer.json()["reason"]) == (409, "too_many_devices")


def test_registering_again_and_again_is_limited(web: Web) -> None:
    client = web.as_("staff")
    statuses = [register(client).status_code for _ in range(12)]
    assert statuses[:10] == [201] * 10
    assert statuses[-1] == 429


# --- a test message ----------------------------------------------------------------------


@pytest.mark.parametrize("reason", ["", "http 410", "connection", "notify_away"])
def test_a_test_says_what_really_came_of_it(web: Web, reason: str) -> None:
    client = web.as_("staff")
    id = register(client).json()["id"]
    web.panel.answer = {"status": "refused" if reason else "accepted", "reason": reason}
    told = client.post(f"/api/v1/me/devices/{id}/test").json()
    assert told == {"taken": not reason, "reason": reason}
    [asked] = [one for one in web.panel.sent if one["type"] == "device_test"]
    assert asked["device"] == id
    assert "geheim" not in json.dumps(asked)


def test_a_test_without_an_answer_has_not_arrived(web: Web) -> None:
    client = web.as_("staff")
    id = register(client).json()["id"]
    web.panel.answer = None
    assert client.post(f"/api/v1/me/devices/{id}/test").json()["reason"] == "no_answer"
    web.away()
    assert client.post(f"/api/v1/me/devices/{id}/test").json()["reason"] == "no_panel"


def test_a_device_that_its_push_service_does_not_know_is_removed(web: Web) -> None:
    client = web.as_("staff")
    id = register(client).json()["id"]
    gone = web.options.state / "notify" / "gone.json"
    write_gone(gone, [(id, KEYS["p256dh"]), ("0" * 32, "other")])
    web.panel.answer = {"status": "refused", "reason": "http 410"}
    client.post(f"/api/v1/me/devices/{id}/test")
    assert stored(web) == []


def test_all_of_it_works_without_a_script(web: Web) -> None:
    client = web.as_("staff")
    id = register(client).json()["id"]
    for reason, words in (("", "angenommen"), ("http 500", "nicht angekommen")):
        web.panel.answer = {"status": "accepted", "reason": reason}
        done = client.post("/account/devices", data={"do": "test", "device": id})
        assert done.status_code == 303
        assert words in client.get(done.headers["location"]).text
    done = client.post("/account/devices", data={"do": "remove", "device": id})
    assert "ist entfernt" in client.get(done.headers["location"]).text
    assert stored(web) == []
    assert client.post("/account/devices", data={"do": "x", "device": id}).status_code == 422


# --- the page ----------------------------------------------------------------------------


def test_the_page_says_whether_a_chain_leads_to_the_devices(tmp_path: Path) -> None:
    web = Web(tmp_path, push_to=("staff", "anna"))
    keys.make_key(tmp_path)
    web.add("anna", "view")
    for role, missing in (("staff", False), ("view", True), ("anna", False)):
        html = web.as_(role).get("/account").text
        assert ("keine Benachrichtigungskette" in html) is missing
        assert keys.public_key(tmp_path) in html
    web.close()


def test_without_a_key_the_page_says_what_is_missing(web: Web) -> None:
    html = web.as_("staff").get("/account").text
    assert "noch nicht eingerichtet" in html
    assert 'id="device-add"' not in html


# --- when one goes -----------------------------------------------------------------------


def two(web: Web) -> tuple[Client, Client]:
    """The same person in two browsers, with a device each; and a device of somebody else."""
    web.add("anna", "staff")
    user = web.users.by_name("anna")
    clients = [Client(web, start_session(web.users, user.id)) for _ in range(2)]
    for number, client in enumerate(clients):
        assert register(client, f"{ADDRESS}{number}").status_code == 201
    assert register(web.as_("admin"), f"{ADDRESS}-admin").status_code == 201
    return clients[0], clients[1]


def left(web: Web) -> list[str]:
    return sorted(one.endpoint.removeprefix(ADDRESS) for one in stored(web))


def test_who_logs_out_takes_their_device_along(web: Web) -> None:
    one, _ = two(web)
    one.post("/logout")
    assert left(web) == ["-admin", "1"]


def test_who_ends_the_other_log_ins_removes_their_devices(web: Web) -> None:
    one, _ = two(web)
    one.call("DELETE", "/api/v1/users/me/sessions")
    assert left(web) == ["-admin", "0"]


def test_an_admin_who_ends_log_ins_removes_their_devices(web: Web) -> None:
    two(web)
    user = web.users.by_name("anna")
    web.as_("admin").call("DELETE", f"/api/v1/users/{user.id}/sessions")
    assert left(web) == ["-admin"]


def test_a_new_password_leaves_the_device_of_who_has_changed_it(web: Web) -> None:
    one, _ = two(web)
    one.call("PUT", "/api/v1/me/password", json={"old": PASSWORD, "new": "staple horse orange"})
    assert left(web) == ["-admin", "0"]


def test_another_role_removes_the_devices(web: Web) -> None:
    two(web)
    user = web.users.by_name("anna")
    web.as_("admin").call("PUT", f"/api/v1/users/{user.id}/role", json={"role": "view"})
    assert left(web) == ["-admin"]


def test_who_is_removed_gets_no_more_messages(web: Web) -> None:
    two(web)
    user = web.users.by_name("anna")
    web.as_("admin").call("DELETE", f"/api/v1/users/{user.id}")
    assert left(web) == ["-admin"]


def test_forgetting_somebody_leaves_nothing_of_their_devices(web: Web) -> None:
    two(web)
    web.users.forget("anna")
    assert left(web) == ["-admin"]
    folder = web.users.devices.folder
    assert "anna" not in "".join(path.read_text() for path in folder.iterdir())


def test_the_command_line_removes_devices_as_well(web: Web) -> None:
    two(web)
    assert portier("user", "remove", "anna", "--state", web.options.state).exit_code == 0
    assert left(web) == ["-admin"]


def test_a_log_in_that_runs_out_takes_nobodys_messages_away(web: Web) -> None:
    """A phone that was not used for a month still has to be called."""
    two(web)
    web.users.tidy_sessions(settled=True)
    later = web.users._now() + 400 * 86_400
    web.users._now = lambda: later
    web.users.tidy(settled=True)
    assert left(web) == ["-admin", "0", "1"]


def test_what_was_missed_is_removed_later(web: Web) -> None:
    two(web)
    found = stored(web)
    web.users.remove_user("anna")
    for one in found:
        web.users.devices.add(one)  # as if the disk had not taken it
    assert len(stored(web)) == 3
    web.users.tidy_devices()
    assert left(web) == ["-admin"]


def test_a_device_of_a_session_that_is_not_saved_yet_goes_with_it(web: Web) -> None:
    web.add("anna", "staff")
    secret = web.users.begin_session(web.users.by_name("anna").id)
    client = Client(web, secret)
    assert register(client).status_code == 201
    web.users.end_session(hashed(secret))
    assert stored(web) == []


# --- what is told ------------------------------------------------------------------------


def test_the_address_is_told_nobody(web: Web) -> None:
    client = web.as_("admin")
    id = register(client).json()["id"]
    client.post(f"/api/v1/me/devices/{id}/test")
    for path in ("/account", "/api/v1/me/devices", "/users", "/audit", "/api/v1/users", "/kept"):
        assert "geheim" not in client.get(path).text, path
    assert "geheim" not in json.dumps(web.panel.sent)
    for file, content in contents(web.options.state):
        if "push" not in file.parts:
            assert b"geheim" not in content, file


def test_the_audit_chain_learns_of_it_without_an_address(web: Web) -> None:
    client = web.as_("staff")
    id = register(client).json()["id"]
    client.call("DELETE", f"/api/v1/me/devices/{id}")
    told = [one for one in web.panel.audits if str(one["action"]).startswith("device_")]
    assert [one["action"] for one in told] == ["device_added", "device_removed"]
    assert all(re.fullmatch(r"web:\d+", str(one["actor"])) for one in told)


def test_what_is_stored_is_named_with_the_providers(shared: Web) -> None:
    html = shared.as_("view").get("/kept").text
    assert "Google, Mozilla, Apple oder Microsoft" in html
