"""Users, sessions and tokens as they are kept."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.web.identity.users import SESSION_IDLE_S, SESSION_LIFE_S, Users, hashed
from gateway.web.storage.errors import UserError
from tests.identity import start_session
from tests.web.conftest import Clock

PASSWORD = "correct horse battery"


@pytest.fixture
def clock() -> Clock:
    return Clock(1_000_000.0)


@pytest.fixture
def users(tmp_path: Path, clock: Clock) -> Iterator[Users]:
    with contextlib.closing(Users(tmp_path / "web.sqlite", clock)) as users:
        yield users


def test_the_first_admin_is_made_once_with_a_password_of_its_own(users: Users) -> None:
    password = users.first_admin()
    assert password is not None
    assert users.first_admin() is None
    admin = users.verify("admin", password)
    assert admin is not None
    assert admin.role == "admin"


def test_nothing_that_logs_in_is_kept_in_the_file(users: Users, tmp_path: Path) -> None:
    user = users.add_user("anna", "staff", PASSWORD)
    secrets = [start_session(users, user.id), users.add_token("t", "view", 1, "x"), PASSWORD]
    users.close()
    kept = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert [secret for secret in secrets if secret.encode() in kept] == []
    assert oct((tmp_path / "web.sqlite").stat().st_mode)[-3:] == "600"


def test_a_session_ends_when_idle_and_after_its_life(users: Users, clock: Clock) -> None:
    user = users.add_user("anna", "staff", PASSWORD)
    idle = hashed(start_session(users, user.id))
    clock.now += SESSION_IDLE_S + 1
    assert users.session(idle) is None
    busy, begin = hashed(start_session(users, user.id)), clock.now
    while clock.now < begin + SESSION_LIFE_S:
        assert users.session(busy) is not None
        clock.now += SESSION_IDLE_S / 2
    assert users.session(busy) is None


def test_watching_the_stream_is_not_being_there(users: Users, clock: Clock) -> None:
    session = hashed(start_session(users, users.add_user("a", "view", PASSWORD).id))
    for _ in range(4):
        clock.now += SESSION_IDLE_S / 3
        users.session(session, touch=False)
    assert users.session(session) is None


def test_a_new_role_or_password_ends_the_sessions(users: Users) -> None:
    user = users.add_user("anna", "staff", PASSWORD)
    first = hashed(start_session(users, user.id))
    users.set_role("anna", "view")
    assert users.session(first) is None
    kept, other = hashed(start_session(users, user.id)), hashed(start_session(users, user.id))
    users.set_password("anna", PASSWORD + "!", keep_session=kept)
    assert users.session(kept) is not None
    assert users.session(other) is None


@pytest.mark.parametrize("saved_first", [False, True])
def test_a_log_in_with_a_password_that_is_changed_meanwhile_counts_for_nothing(
    users: Users, saved_first: bool
) -> None:
    """Verifying takes a while: whoever knows the old password tries all the time."""
    users.add_user("anna", "staff", PASSWORD)
    verified = users.verified("anna", PASSWORD)
    assert verified is not None
    if saved_first:  # it is in memory, and the change comes from another process
        session = hashed(users.begin_session(verified.user.id, "", verified.password_hash))
        assert users.session(session) is not None
    users.set_password("anna", PASSWORD + "!")
    if not saved_first:
        session = hashed(users.begin_session(verified.user.id, "", verified.password_hash))
    assert users.session(session) is None
    users.save_sessions()
    assert users.session(session) is None
    assert users.list_sessions(verified.user.id) == []


def test_the_last_admin_stays(users: Users) -> None:
    users.add_user("root", "admin", PASSWORD)
    for attempt in (lambda: users.set_role("root", "staff"), lambda: users.remove_user("root")):
        with pytest.raises(UserError, match="last admin"):
            attempt()


def test_a_removed_user_is_out_and_a_forgotten_one_has_no_name(users: Users) -> None:
    user = users.add_user("anna", "staff", PASSWORD)
    session = hashed(start_session(users, user.id))
    users.remove_user("anna")
    assert users.session(session) is None
    assert users.verify("anna", PASSWORD) is None
    assert users.name_of(user.id) == "anna"
    assert users.forget("anna") == user.id
    assert users.name_of(user.id) == f"forgotten-{user.id}"


@pytest.mark.parametrize(
    ("name", "role", "password", "key"),
    [
        ("", "staff", PASSWORD, "bad_name"),
        ("forgotten-3", "staff", PASSWORD, "bad_name"),
        ("x", "boss", PASSWORD, "bad_role"),
        ("x", "staff", "short", "bad_password"),
        ("x", "staff", "1234567890", "easy_password"),
        ("taken", "staff", PASSWORD, "name_taken"),
    ],
)
def test_what_cannot_be_added(users: Users, name: str, role: str, password: str, key: str) -> None:
    users.add_user("taken", "view", PASSWORD)
    with pytest.raises(UserError) as caught:
        users.add_user(name, role, password)
    assert caught.value.key == key


def test_a_token_runs_out(users: Users, clock: Clock) -> None:
    secret = users.add_token("t", "view", 1, "x")
    assert users.token(hashed(secret)) is not None
    clock.now += 86_401
    assert users.token(hashed(secret)) is None
