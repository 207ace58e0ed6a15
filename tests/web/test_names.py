"""Names, passwords and cookies that look the same and are not: composed and decomposed letters,
and several pages on one host."""

from __future__ import annotations

import contextlib
import sqlite3
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.web.identity.accounts import PASSWORDS
from gateway.web.identity.users import Users, Verified
from gateway.web.storage.errors import UserError
from tests.identity import start_session
from tests.web.conftest import PASSWORD, Web

COMPOSED, DECOMPOSED = "Jürgen", unicodedata.normalize("NFD", "Jürgen")
PHRASE = "Ein Schlüssel für die Tür"
PHRASE_D = unicodedata.normalize("NFD", PHRASE)


@pytest.fixture
def users(tmp_path: Path) -> Iterator[Users]:
    with contextlib.closing(Users(tmp_path / "web.sqlite")) as users:
        yield users


def store(users: Users, column: str, value: str) -> None:
    """As an earlier version has stored it."""
    with users._change() as db:
        db.execute(f"UPDATE users SET {column} = ? WHERE id = 1", (value,))


@pytest.mark.parametrize("added", [COMPOSED, DECOMPOSED])
@pytest.mark.parametrize("typed", [COMPOSED, DECOMPOSED, f" {COMPOSED} "])
def test_a_name_is_found_however_its_letters_are_composed(
    users: Users, added: str, typed: str
) -> None:
    assert users.add_user(added, "staff", PASSWORD).name == COMPOSED
    assert users.verify(typed, PASSWORD) is not None
    assert users.by_name(typed).id == 1
    with pytest.raises(UserError) as caught:
        users.add_user(typed, "staff", PASSWORD)
    assert caught.value.key == "name_taken"


@pytest.mark.parametrize(
    ("added", "kept"), [("ﬁscher", "fischer"), ("Ａnna", "Anna"), ("anna\u00a0", "anna")]
)
def test_letters_that_only_look_like_others_are_those(users: Users, added: str, kept: str) -> None:
    assert users.add_user(added, "staff", PASSWORD).name == kept


def test_a_forgotten_name_cannot_be_taken_by_another_spelling(users: Users) -> None:
    with pytest.raises(UserError):
        users.add_user("ｆorgotten-3", "staff", PASSWORD)


@pytest.mark.parametrize("typed", [COMPOSED, DECOMPOSED])
def test_a_name_that_was_stored_decomposed_goes_on_working(users: Users, typed: str) -> None:
    users.add_user("x", "staff", PASSWORD)
    store(users, "name", DECOMPOSED)
    assert users.verify(typed, PASSWORD) is not None
    with pytest.raises(UserError):
        users.add_user(COMPOSED, "staff", PASSWORD)
    users.set_password(typed, PASSWORD + "!")
    users.set_role(typed, "view")
    users.remove_user(typed)
    with pytest.raises(UserError):
        users.add_user(typed, "staff", PASSWORD)  # the journal still knows the first one
    assert users.forget(typed) == 1
    assert users.name_of(1) == "forgotten-1"


def test_of_two_names_that_are_alike_the_exact_one_is_meant(users: Users) -> None:
    """An earlier version let both be added."""
    users.add_user("x", "staff", PASSWORD)
    store(users, "name", DECOMPOSED)
    with users._change() as db:
        db.execute(
            "INSERT INTO users (name, role, password, created) VALUES (?, 'view', '', 0)",
            (COMPOSED,),
        )
    assert users.by_name(DECOMPOSED).id == 1
    assert users.by_name(COMPOSED).id == 2


@pytest.mark.parametrize("typed", [PHRASE, PHRASE_D])
@pytest.mark.parametrize("chosen", [PHRASE, PHRASE_D])
def test_a_password_is_right_from_every_keyboard(users: Users, chosen: str, typed: str) -> None:
    users.add_user("anna", "staff", chosen)
    assert users.verify("anna", typed) is not None
    assert users.verify("anna", typed + "!") is None
    assert users.verify("nobody", typed) is None


@pytest.mark.parametrize("typed", [PHRASE, PHRASE_D])
def test_a_password_hashed_decomposed_is_hashed_anew_at_the_log_in(
    users: Users, typed: str
) -> None:
    users.add_user("anna", "staff", PASSWORD)
    store(users, "password", PASSWORDS.hash(PHRASE_D))
    assert users.verify("anna", PHRASE + "!") is None
    assert users.verify("anna", typed) is not None
    (kept,) = users._one("SELECT password FROM users WHERE id = 1") or ("",)
    assert PASSWORDS.verify(PHRASE, str(kept))
    assert users.verify("anna", typed) is not None


def test_a_password_that_was_set_meanwhile_stays(users: Users) -> None:
    users.add_user("anna", "staff", PASSWORD)
    users.compose(Verified(users.by_name("anna"), PASSWORDS.hash(PHRASE_D), PHRASE))
    assert users.verify("anna", PASSWORD) is not None


def test_compatible_letters_of_a_password_stay_what_they_are(users: Users) -> None:
    users.add_user("anna", "staff", "ﬁne ﬁne ﬁne")
    assert users.verify("anna", "fine fine fine") is None


def test_the_same_password_in_other_letters_is_no_change(web: Web) -> None:
    web.add("staff", "staff")
    person = web.as_("staff")
    assert (
        person.post("/account/password", data={"old": PASSWORD, "new": PHRASE}).status_code == 303
    )
    same = person.call("PUT", "/api/v1/me/password", json={"old": PHRASE, "new": PHRASE_D})
    assert (same.status_code, same.json()["reason"]) == (422, "same_password")


# --- cookies -----------------------------------------------------------------------------


def cookies_of(web: Web, sent: dict[str, str]) -> dict[str, str]:
    """Those of a browser after a log-in that sends all it has: cookies do not know ports."""
    header = "; ".join(f"{name}={value}" for name, value in sent.items())
    form = {"name": "anna", "password": PASSWORD}
    answer = web.call("POST", "/login", data=form, headers={"Cookie": header} if header else {})
    assert answer.status_code == 303
    pairs = [c.partition(";")[0].partition("=") for c in answer.headers.get_list("set-cookie")]
    return sent | {name: value for name, _, value in pairs}


def header(cookies: dict[str, str]) -> dict[str, str]:
    return {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}


@pytest.fixture
def two(tmp_path: Path) -> Iterator[tuple[Web, Web]]:
    made = []
    for id in ("north", "south"):
        (tmp_path / id).mkdir()
        web = Web(tmp_path / id, gateway=id)
        web.add("anna", "staff")
        made.append(web)
    yield made[0], made[1]
    for web in made:
        web.close()


def test_two_pages_of_one_host_do_not_log_each_other_out(two: tuple[Web, Web]) -> None:
    north, south = two
    jar = cookies_of(south, cookies_of(north, {}))
    assert [w.call("GET", "/api/v1/me", headers=header(jar)).status_code for w in two] == [200] * 2
    assert len(jar) == 4
    for _ in range(5):
        north.call("POST", "/login", data={"name": "anna", "password": "a wrong one"})
    assert cookies_of(north, jar)  # the browser is still known to both


@pytest.mark.parametrize("tls", [False, True])
def test_an_update_logs_nobody_out(tmp_path: Path, tls: bool) -> None:
    web = Web(tmp_path, tls_cert=Path("x") if tls else None)
    web.add("anna", "staff")
    secret = start_session(web.users, web.users.by_name("anna").id)
    earlier = "__Host-portier-session" if tls else "portier-session"
    old = {earlier: secret}
    assert web.call("GET", "/api/v1/me", headers=header(old)).status_code == 200
    jar = cookies_of(web, old)
    assert web.call("GET", "/api/v1/me", headers=header(jar)).status_code == 200
    other = {**old, f"{earlier}-{web.options.gateway}": "of yesterday"}
    assert web.call("GET", "/api/v1/me", headers=header(other)).status_code == 200
    wrong = "portier-session" if tls else "__Host-portier-session"
    assert web.call("GET", "/api/v1/me", headers=header({wrong: secret})).status_code == 401
    web.close()


@pytest.mark.parametrize("whose", ["ours", "another's"])
def test_logging_out_removes_a_cookie_of_the_earlier_name_where_it_is_ours(
    web: Web, whose: str
) -> None:
    person = web.as_("staff")
    secret = person.cookie.partition("=")[2]
    if whose == "ours":
        person.cookie = f"portier-session={secret}"
    else:
        person.cookie += "; portier-session=of-another-gateway"
    left = person.post("/logout")
    removed = {c.partition("=")[0] for c in left.headers.get_list("set-cookie")}
    ours = f"portier-session-{web.options.gateway}"
    assert removed == ({ours, "portier-session"} if whose == "ours" else {ours})
    assert web.call("GET", "/api/v1/me", headers={"Cookie": person.cookie}).status_code == 401


def test_a_removed_user_of_a_file_of_before_is_no_way_in(tmp_path: Path) -> None:
    """The hash of a removed user is empty."""
    with contextlib.closing(Users(tmp_path / "web.sqlite")) as users:
        users.add_user("anna", "staff", PASSWORD)
        with contextlib.closing(sqlite3.connect(tmp_path / "web.sqlite")) as db, db:
            db.execute("UPDATE users SET password = ''")
        assert users.verify("anna", "") is None
        assert users.verify("anna", PASSWORD) is None
