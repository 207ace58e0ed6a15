"""What is guessed first is no password."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from gateway.web.identity.easy_passwords import COMMON, is_easy
from gateway.web.identity.users import Users
from gateway.web.storage.errors import UserError

NAMES = ("anna-lena", "office-door", "")


@pytest.mark.parametrize(
    "password",
    [
        *("1234567890", "9876543210", "1111122222", "0000000000", "147147147147"),
        *("abcdefghij", "ABCDEFGHIJ", "qwertzuiop", "asdfghjklö", "aaaaaaaaaa"),
        *("abcabcabcabc", "asdfasdfasdf", "xyxyxyxyxyxy"),
        *("Password123", "iloveyou123", "q1w2e3r4t5y6"),
        *("Passwort123", "Sommer2026!", "portier2026", "Winter12345"),
        *("anna-lena1", "Anna-Lena-Anna-Lena", "office-door!", "12office-door34"),
    ],
)
def test_what_is_guessed_first_is_refused(password: str) -> None:
    assert is_easy(password, NAMES)


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery",
        "Tr0ub4dor&3x",
        "kX9vQ2mN7pLw",
        "anna-lena mag Kürbis",
        "Türklinke 7 b",
    ],
)
def test_others_are_taken(password: str) -> None:
    assert not is_easy(password, NAMES)


def test_a_password_by_chance_is_taken() -> None:
    assert not any(is_easy(secrets.token_urlsafe(12), ("admin", *NAMES)) for _ in range(500))


def test_the_list_is_what_the_reader_takes_it_for() -> None:
    lines = COMMON.read_text(encoding="utf-8").splitlines()
    listed = [line for line in lines if not line.startswith("# ")]
    assert len(listed) > 2_000
    assert all(line == line.casefold() and len(line) >= 10 for line in listed)
    text = "\n".join(lines)
    assert "Permission is hereby granted" in text
    assert "Redistribution and use in source and binary forms" in text


def test_neither_a_new_user_nor_a_new_password_may_be_easy(tmp_path: Path) -> None:
    users = Users(tmp_path / "web.sqlite", gateway="lindenhof")
    users.add_user("anna", "staff", "correct horse battery")
    for password in ("Lindenhof-1", "anna anna anna", "1234567890"):
        with pytest.raises(UserError) as caught:
            users.set_password("anna", password)
        assert caught.value.key == "easy_password"
    assert users.verify("anna", "correct horse battery") is not None
    users.close()
