"""Access tokens end with the rights of whoever made them, and it is seen who that was."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.web.identity.users import Users, hashed
from gateway.web.storage.errors import UserError
from tests.web.conftest import PASSWORD, Web


@pytest.fixture
def users(tmp_path: Path) -> Iterator[Users]:
    with contextlib.closing(Users(tmp_path / "web.sqlite")) as users:
        users.add_user("root", "admin", PASSWORD)
        users.add_user("anna", "admin", PASSWORD)
        yield users


def names(users: Users) -> list[str]:
    return [token.name for token in users.list_tokens()]


def orphans(users: Users) -> list[str]:
    return [token.name for token in users.list_tokens() if users.is_orphaned(token)]


@pytest.mark.parametrize("by", ["web:2", "chain"])
def test_the_tokens_of_a_removed_admin_end(users: Users, by: str) -> None:
    """Those that were made with one of them, too."""
    first = users.add_token("first", "admin", 1, "web:2")
    made = users.token(hashed(first))
    assert made is not None
    secret = users.add_token("second", "view", 1, f"web:token-{made.id}" if by == "chain" else by)
    users.add_token("other", "admin", 1, "web:1")
    users.add_token("shell", "admin", 1, "cli:root")
    users.remove_user("anna")
    assert names(users) == ["other", "shell"]
    assert users.token(hashed(secret)) is None
    assert orphans(users) == []


def test_a_demotion_ends_those_above_the_new_role(users: Users) -> None:
    for role in ("view", "staff", "maintenance", "admin"):
        users.add_token(role, role, 1, "web:2")
    users.set_role("anna", "staff")
    assert names(users) == ["staff", "view"]
    users.set_role("anna", "admin")
    assert orphans(users) == []


def test_the_last_admin_keeps_the_tokens(users: Users) -> None:
    users.remove_user("anna")
    users.add_token("t", "admin", 1, "web:1")
    for attempt in (lambda: users.remove_user("root"), lambda: users.set_role("root", "view")):
        with pytest.raises(UserError):
            attempt()
    assert names(users) == ["t"]


def test_a_token_of_a_token_outlives_that_one_and_not_its_maker(users: Users) -> None:
    first = users.add_token("first", "admin", 1, "web:2")
    made = users.token(hashed(first))
    assert made is not None
    users.add_token("second", "view", 1, f"web:token-{made.id}")
    users.revoke_token("first")
    assert [token.by for token in users.list_tokens()] == ["web:2"]
    users.remove_user("anna")
    assert names(users) == []


def test_orphans_of_before_are_seen(users: Users) -> None:
    """Earlier versions let them go on."""
    made = {"gone": "web:9", "lost": "web:token-77", "above": "web:3", "ours": "web:1",
            "shell": "cli:root"}  # fmt: skip
    users.add_user("bert", "staff", PASSWORD)
    for name, by in made.items():
        users.add_token(name, "admin", 1, by)
    assert orphans(users) == ["above", "gone", "lost"]


def test_tokens_in_a_circle_end_nothing(users: Users) -> None:
    for name in ("a", "b"):
        users.add_token(name, "view", 1, "x")
    with users._change() as db:
        db.execute("UPDATE tokens SET by = 'web:token-2' WHERE id = 1")
        db.execute("UPDATE tokens SET by = 'web:token-1' WHERE id = 2")
    assert orphans(users) == ["a", "b"]


def test_a_name_of_a_token_is_found_however_it_is_composed(users: Users) -> None:
    users.add_token("Gerät", "view", 1, "web:1")
    users.revoke_token("Gera\u0308t")
    with pytest.raises(UserError):
        users.revoke_token("Gerät")


@pytest.mark.parametrize("way", ["remove", "role"])
@pytest.mark.parametrize("over", ["page", "api"])
def test_page_and_api_end_them_and_write_it_down(web: Web, way: str, over: str) -> None:
    web.add("anna", "admin")
    admin, anna = web.as_("admin"), web.as_("anna")
    id = web.users.by_name("anna").id
    secret = web.users.add_token("hers", "admin", 1, f"web:{id}")
    headers = {"Authorization": f"Bearer {secret}"}
    assert web.call("GET", "/api/v1/users", headers=headers).status_code == 200
    if over == "page":
        form = {"do": way, "name": "anna", "role": "view"}
        assert admin.post("/users", data=form).status_code == 303
    elif way == "role":
        role = admin.call("PUT", f"/api/v1/users/{id}/role", json={"role": "view"})
        assert role.status_code == 200
    else:
        assert admin.call("DELETE", f"/api/v1/users/{id}").status_code == 204
    assert web.call("GET", "/api/v1/users", headers=headers).status_code == 401
    told = [(a["action"], a["detail"].get("subject")) for a in web.panel.audits]
    assert ("token_revoked", "token:hers") in told
    assert anna.get("/api/v1/me").status_code == 401


def test_page_and_api_show_who_made_each(web: Web) -> None:
    admin = web.as_("admin")
    made = admin.post("/api/v1/tokens", json={"name": "new", "role": "view", "days": 1}).json()
    id = web.users.by_name("admin").id
    assert (made["by"], made["orphaned"]) == (f"web:{id}", False)
    web.users.add_token("old", "view", 1, "web:99")
    told = {one["name"]: one for one in admin.get("/api/v1/tokens").json()}
    assert (told["old"]["by"], told["old"]["orphaned"]) == ("web:99", True)
    assert told["new"]["orphaned"] is False
    page = admin.get("/users", headers={"Accept-Language": "en"}).text
    assert "made by admin" in page
    assert page.count("no longer has these rights") == 1
