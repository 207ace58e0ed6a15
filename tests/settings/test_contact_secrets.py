"""Addresses that no message can go to: found before there is one, by whoever asks."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from types import SimpleNamespace

import pytest

from gateway.settings.checks.contact_secrets import USER, faults, new_faults
from gateway.settings.model.configuration import Settings
from gateway.settings.values.problems import SettingsError
from tests.settings.house import SMALL, loaded, said

DESK = SMALL + "contacts: {desk: {channels: [!secret desk_url]}}\n"
ROLE_UID, ROLE_GID = 54_321, 54_322


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    (tmp_path / "secrets").mkdir()
    return tmp_path / "secrets" / "desk_url"


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine where the role has a user of its own, seen from another role's."""
    own = pwd.getpwuid(os.geteuid())
    role = SimpleNamespace(pw_name=USER, pw_uid=ROLE_UID, pw_gid=ROLE_GID)
    other = SimpleNamespace(pw_name="portier-control", pw_uid=own.pw_uid, pw_gid=own.pw_gid)
    monkeypatch.setattr(pwd, "getpwnam", lambda name: {USER: role}[name])
    monkeypatch.setattr(pwd, "getpwuid", lambda _uid: other)
    monkeypatch.setattr(os, "getgrouplist", lambda _name, gid: [gid])


def settings(tmp_path: Path) -> Settings:
    return loaded(tmp_path, DESK, need=())


def fault(tmp_path: Path) -> str:
    found = faults(settings(tmp_path))
    return str(found[0]) if found else ""


def test_a_missing_one_is_named_with_its_contact_and_remedy(tmp_path: Path, secret: Path) -> None:
    assert fault(tmp_path) == (
        f"contacts.desk.channels[0]: there is no secret desk_url; write the address into {secret}"
    )
    assert "there is no secret desk_url; write the address into" in said(tmp_path, DESK)
    secret.write_text("json://localhost\n", encoding="utf-8")
    assert fault(tmp_path) == ""
    assert loaded(tmp_path, DESK).contacts


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        (b"", "desk_url is empty"),
        (b"\n", "desk_url is empty"),
        ("json://a".encode("utf-16"), "desk_url is not text in UTF-8"),
        (b"x" * 70_000, "desk_url is too long"),
        (b"json://a\njson://b\n", "desk_url has several lines"),
    ],
)
def test_what_can_be_read_is_judged_by_its_content(
    tmp_path: Path, secret: Path, content: bytes, wrong: str
) -> None:
    secret.write_bytes(content)
    assert wrong in fault(tmp_path)


def test_a_folder_and_a_pipe_are_no_files(tmp_path: Path, secret: Path) -> None:
    secret.mkdir()
    assert "desk_url is no file" in fault(tmp_path)
    secret.rmdir()
    os.mkfifo(secret)
    assert "desk_url is no file" in fault(tmp_path)


def test_an_address_that_is_not_understood(tmp_path: Path, secret: Path) -> None:
    secret.write_text("password\n", encoding="utf-8")
    (found,) = faults(settings(tmp_path), lambda address: address != "password")
    assert "holds no address that Apprise knows" in str(found)
    assert "password" not in str(found)


@pytest.mark.usefixtures("installed")
def test_what_the_role_may_not_read_is_a_fault_and_the_remedy_names_its_user(
    tmp_path: Path, secret: Path
) -> None:
    """Judged by owner and mode, from another user's side."""
    secret.write_text("json://localhost\n", encoding="utf-8")
    secret.parent.chmod(0o711)
    secret.chmod(0o600)
    assert fault(tmp_path) == (
        f"contacts.desk.channels[0]: the secret desk_url cannot be read by {USER}; write the "
        f"address into {secret}, then: sudo chown root:{USER} {secret}; sudo chmod 640 {secret}"
    )
    secret.chmod(0o604)
    assert fault(tmp_path) == ""
    secret.parent.chmod(0o700)
    assert "cannot be read" in fault(tmp_path)


@pytest.mark.usefixtures("installed")
@pytest.mark.skipif(os.geteuid() != 0, reason="gives files away")
@pytest.mark.parametrize(
    ("uid", "gid", "mode", "can"),
    [(0, ROLE_GID, 0o640, True), (0, ROLE_GID, 0o600, False), (ROLE_UID, 0, 0o400, True),
     (ROLE_UID, 0, 0o044, False), (0, ROLE_GID, 0o604, False)],
)  # fmt: skip
def test_owner_group_and_others_as_the_kernel_sees_them(
    tmp_path: Path, secret: Path, uid: int, gid: int, mode: int, *, can: bool
) -> None:
    secret.write_text("json://localhost\n", encoding="utf-8")
    secret.parent.chmod(0o711)
    os.chown(secret, uid, gid)
    secret.chmod(mode)
    assert (fault(tmp_path) == "") is can


def test_a_folder_that_is_closed_to_us_is_no_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Credentials of systemd are there for their role only; nobody is refused on a guess."""

    def closed(_path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    made = settings(tmp_path)
    monkeypatch.setattr(Path, "stat", closed)
    assert faults(made) == []


def test_one_that_was_there_before_refuses_no_other_change(tmp_path: Path, secret: Path) -> None:
    before = settings(tmp_path)
    assert new_faults(faults(before), before) == []
    more = SMALL + (
        "contacts: {desk: {channels: [!secret desk_url, !secret other]}, night: {channels: "
        "[!secret desk_url]}}\n"
    )
    after = loaded(tmp_path, more, need=())
    assert [one.key for one in new_faults(faults(after), before)] == [
        "contacts.desk.channels[1]",
        "contacts.night.channels[0]",
    ]
    assert not secret.exists()


def test_the_address_of_the_heartbeat_is_one_too(tmp_path: Path, secret: Path) -> None:
    text = SMALL + "heartbeat: {url: !secret desk_url}\n"
    assert "heartbeat.url: there is no secret desk_url" in said(tmp_path, text)
    secret.write_text("https://beat.example/x\n", encoding="utf-8")
    assert loaded(tmp_path, text).heartbeat is not None


def test_others_are_read_by_their_own_role(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="readable for its role only"):
        loaded(tmp_path, SMALL + "mqtt: {user: gw, password: !secret mqtt}\n")
