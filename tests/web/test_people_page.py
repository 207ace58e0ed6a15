"""What cannot be done about users is said as a sentence on their page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.web.conftest import PASSWORD, Web

REFUSED = {
    "Diesen Namen gibt es schon.": {"do": "add", "name": "admin", "role": "view"},
    "mindestens 10 Zeichen": {"do": "add", "name": "neu", "role": "view", "password": "kurz"},
    "letzte": {"do": "role", "name": "admin", "role": "view"},
}
"""A word of the sentence -> the form."""


@pytest.mark.parametrize("sentence", REFUSED)
def test_a_refusal_is_a_sentence_on_the_page(tmp_path: Path, sentence: str) -> None:
    web = Web(tmp_path)
    try:
        admin = web.as_("admin")
        form = {"password": PASSWORD, **REFUSED[sentence]}
        told = admin.post("/users", data=form, headers={"Accept-Language": "de"})
        assert told.status_code == 422
        assert sentence in told.text
    finally:
        web.close()


def test_a_wrong_password_keeps_the_name(web: Web) -> None:
    web.add("admin", "admin")
    answer = web.call("POST", "/login", data={"name": "admin", "password": "wrong"})
    assert answer.status_code == 401
    assert 'value="admin"' in answer.text


def test_a_user_is_removed_by_a_second_step_that_names_them(web: Web) -> None:
    admin, german = web.as_("admin"), {"Accept-Language": "de", "Accept": "text/html"}
    web.add("anna", "staff")
    page = admin.get("/users", headers=german).text
    assert re.search(r"(?s)<details><summary>(?:(?!</details>).)*anna endgültig entfernen", page)
    answer = admin.post("/users", data={"do": "remove", "name": "anna"})
    assert answer.headers["location"] == "/users?done=remove"
    after = admin.get("/users?done=remove", headers=german).text
    assert "Der Benutzer ist entfernt." in after
    assert "anna" not in after
