"""Who did something, on the command line: people by name where that may be read, and never the
bare word of a mechanism."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gateway.app.cli import console
from gateway.app.cli.issuers import Issuers
from gateway.app.cli.main import cli
from gateway.web.identity.users import Users, users_file

PASSWORD = "korrekt pferd batterie"


@pytest.fixture
def state(tmp_path: Path) -> Path:
    file = users_file(tmp_path)
    file.parent.mkdir()
    users = Users(file)
    users.add_user("mia", "admin", PASSWORD)
    users.close()
    return tmp_path


@pytest.mark.parametrize(
    ("issuer", "said"),
    [
        ("web:1", "mia"),
        ("web:9", "user 9"),
        ("web:token-grafana", "access token: grafana"),
        ("web:unknown", "page: unknown"),
        ("cli:anna", "command line: anna"),
        ("cli", "command line"),
        ("mqtt:homeassistant", "MQTT: homeassistant"),
        ("mqtt:", "MQTT"),
        ("link:reception", "link of a message: reception"),
        ("system:reload", "gateway: reload"),
        ("forgotten", "forgotten"),
        ("", ""),
        (None, ""),
    ],
)
def test_an_issuer_is_said_in_words(state: Path, issuer: str | None, said: str) -> None:
    assert Issuers(state)(issuer) == said


@pytest.mark.parametrize("content", [None, b"", b"no database"])
def test_without_the_names_a_user_is_a_number(tmp_path: Path, content: bytes | None) -> None:
    """The file is the page's own: whoever is not in its group cannot read it."""
    file = users_file(tmp_path)
    file.parent.mkdir()
    if content is not None:
        file.write_bytes(content)
    assert Issuers(tmp_path)("web:1") == "user 1"
    assert file.exists() is (content is not None)


def test_who_acknowledged_a_call_is_named(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It said ``web:1``."""
    call: dict[str, Any] = {
        "id": "wc-1", "state": "acknowledged", "test": False, "raised_utc_ms": None,
        "acknowledged_by": "web:1", "messages": [],
    }  # fmt: skip
    monkeypatch.setattr(console, "snapshot", lambda _: {"rooms": {"wc": {"call": call}}})
    shown = CliRunner().invoke(cli, ["call", "list", "--state", str(state)])
    assert "mia" in shown.stdout
    assert "web:1" not in shown.stdout
    for_scripts = CliRunner().invoke(cli, ["call", "list", "--state", str(state), "--json"])
    assert '"acknowledged_by": "web:1"' in for_scripts.stdout
