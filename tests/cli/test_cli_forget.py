"""``portier forget`` against a running ``control``: users and contacts, and what stays is said."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from gateway.app.cli.main import cli
from gateway.panel import client
from gateway.web.identity.users import Users, users_file
from tests.process.parts import BUILDING, House, running, until

pytestmark = pytest.mark.process

CONFIG = BUILDING + (
    "contacts: {desk: {channels: [!secret desk_url]}}\n"
    "escalations: {care: [{after: 0 s, notify: desk}]}\n"
    "alarms: {urgent: care}\n"
)
OWN = {"kind": "own", "to": "jsons://example.org/secretpath"}
MADE: Mapping[str, Any] = {
    "frau_mueller": {"name": "Frau Müller", "channels": [{"address": "new"}]},
    "desk": {"push": "mia", "hours": ["mon-fri 08:00-16:00"]},
}


@pytest.fixture
def place(tmp_path: Path) -> Iterator[House]:
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "desk_url").write_text("jsons://example.org/desk\n", encoding="utf-8")
    with running(tmp_path, "control", config=CONFIG) as made:
        users = Users(users_file(made.state))
        for name in ("boss", "mia"):
            users.add_user(name, "admin", "correct horse battery staple")
        users.close()
        yield made


def ask(place: House, do: str, **args: Any) -> dict[str, Any]:
    message = {"type": "settings", "id": uuid.uuid4().hex, "actor": "web:1", "do": do, "args": args}
    found: dict[str, Any] = client.ask(place.panel, message, role="web", timeout_s=60)
    assert found["status"] == "accepted", found
    shown: dict[str, Any] = found["settings"]
    return shown


def show(place: House) -> dict[str, Any]:
    return dict(until(lambda: ask(place, "show")))


def starts(place: House) -> int:
    """How often control has begun; it does so anew with each change."""
    return len(place.rows("gateway_started"))


def put(place: House, sections: Mapping[str, Any], **more: Any) -> None:
    version, before = show(place)["version"], starts(place)
    ask(place, "put", version=version, sections=sections, **more)
    until(lambda: starts(place) > before, what="control has not taken it over")


def forget(place: House, name: str, *more: str) -> Result:
    until(place.snapshot, what="control answers")
    return CliRunner().invoke(cli, ["forget", name, *more, "--state", str(place.state)])


def traces(place: House, *words: str) -> list[str]:
    """Files of the settings in which one of these stands, beside the configuration."""
    files = [*place.state.glob("overlay*"), *place.state.glob("overlay.before/*")]
    files += [*place.state.glob("addresses/*")]
    texts = {file: file.read_text("utf-8") for file in files if file.is_file()}
    return [file.name for file, text in texts.items() if any(word in text for word in words)]


def test_a_contact_goes_with_its_address_and_the_earlier_versions(place: House) -> None:
    put(place, {"contacts": MADE}, addresses={"new": OWN})
    assert len(traces(place, "secretpath")) == 1
    put(place, {"contacts": {"frau_mueller": show(place)["overlay"]["contacts"]["frau_mueller"]}})
    assert forget(place, "Frau Müller").exit_code == 1, "nobody has said yes"
    assert len(traces(place, "frau_mueller")) == 2
    done = forget(place, "Frau Müller", "--yes")
    assert done.exit_code == 0, done.output
    assert "the contact frau_mueller: what was entered on the page, 1 address" in done.output
    assert "messages to frau_mueller in the journal, until their life is over" in done.output
    assert "the page knows nothing of the contact frau_mueller any more" in done.output
    assert traces(place, "frau_mueller", "Müller", "secretpath") == []
    assert "frau_mueller" not in show(place)["effective"]["contacts"]


def test_a_contact_that_was_removed_before_goes_from_the_earlier_versions(place: House) -> None:
    put(place, {"contacts": MADE}, addresses={"new": OWN})
    put(place, {"contacts": {"desk": {"name": "Frau Meier"}}})
    done = forget(place, "Frau Müller", "--yes")
    assert done.exit_code == 0, done.output
    assert "the page knows nothing of the contact frau_mueller any more" in done.output
    assert traces(place, "frau_mueller", "Müller") == []
    assert show(place)["overlay"] == {"contacts": {"desk": {"name": "Frau Meier"}}}


def test_a_name_of_before_goes_and_the_contact_stays(place: House) -> None:
    put(place, {"contacts": {"desk": {"name": "Frau Muster"}}})
    put(place, {"contacts": {"desk": {"name": "Frau Meier"}}})
    done = forget(place, "Frau Muster", "--yes")
    assert done.exit_code == 0, done.output
    assert "earlier versions of the settings that name them" in done.output
    assert "the contact desk" not in done.output
    assert traces(place, "Muster") == []
    assert show(place)["overlay"] == {"contacts": {"desk": {"name": "Frau Meier"}}}


def test_what_the_file_says_stays_and_is_said(place: House) -> None:
    put(place, {"contacts": {"desk": {"name": "Frau Muster", **MADE["desk"]}}})
    done = forget(place, "Frau Muster", "--yes")
    assert done.exit_code == 0, done.output
    assert "the contact desk in the configuration file, and its secrets" in done.output
    assert traces(place, "Muster", "desk") == []
    assert list(show(place)["effective"]["contacts"]["desk"]) == ["channels"]


def test_a_user_is_no_longer_reached_by_push(place: House) -> None:
    put(place, {"contacts": {"desk": MADE["desk"]}})
    done = forget(place, "mia", "--yes")
    assert done.exit_code == 0, done.output
    assert "push messages of the contact desk to mia" in done.output
    assert "web:2 means nobody now" in done.output
    assert show(place)["overlay"] == {"contacts": {"desk": {"hours": ["mon-fri 08:00-16:00"]}}}
    assert traces(place, "mia") == []
    assert "nobody is called mia" in forget(place, "mia", "--yes").output


def test_who_is_still_told_by_a_chain_is_taken_out_first(place: House) -> None:
    chain = {"care": [{"after": "0 s", "notify": "frau_mueller"}]}
    made = {"frau_mueller": MADE["frau_mueller"]}
    put(place, {"contacts": made, "escalations": chain}, addresses={"new": OWN})
    refused = forget(place, "frau_mueller", "--yes")
    assert refused.exit_code == 1
    assert "frau_mueller is still notified by care" in refused.output
    assert len(traces(place, "secretpath")) == 1
