"""``portier site``: what is printed and written, what is asked before, and what each error says."""

from __future__ import annotations

import getpass
import json
import os
import stat
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import Result

from gateway.settings.values.secrets import Secret
from gateway.sites import handover
from gateway.sites.audit import Audit
from gateway.sites.keys import SECRET, Keys
from gateway.web.identity.users import Users, users_file
from gateway.web.storage.saver import Saver
from tests.cli.test_cli_offline import completing, portier, words
from tests.process.parts import BUILDING

ACCESS_LIST = Path(__file__).resolve().parents[2] / "deploy" / "mosquitto" / "portier.acl"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which somebody types; the configuration is in ``etc``."""
    here = tmp_path / "here"
    here.mkdir()
    (tmp_path / "etc").mkdir()
    (tmp_path / "state").mkdir()
    monkeypatch.chdir(here)
    return tmp_path


def site(place: Path, *arguments: str | Path, typed: str | None = None) -> Result:
    at = ("--state", place / "state", "--config", place / "etc" / "portier.yaml")
    return portier("site", *arguments, *at, typed=typed)


def keys(place: Path) -> Keys:
    return Keys(place / "state", Secret(SECRET, (place / "etc" / "secrets",)))


def test_the_key_is_in_a_file_for_who_hands_it_over_and_nowhere_else(place: Path) -> None:
    result = site(place, "enrol", "bad-1")
    assert result.exit_code == 0
    file = place / "here" / "bad-1.sites-key"
    key = keys(place).key("bad-1")
    assert key is not None
    assert file.read_bytes() == key + b"\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert key.decode() not in result.output
    assert Secret(file.name, (file.parent,)).read().encode() == key, "as the gateway reads it"
    for told in (
        f"bad-1 has a key, in {file}",
        "sudo install -m 640 -g portier-link bad-1.sites-key /etc/portier/secrets/sites_key",
        *handover.configuration(),
        *handover.centre_access("bad-1"),
        *handover.gateway_access(),
        "sudo systemctl restart portier-link",
        "sudo systemctl reload mosquitto",
    ):
        assert told in result.output


def test_what_is_printed_for_the_gateways_is_in_the_access_list_that_is_shipped() -> None:
    shipped = ACCESS_LIST.read_text(encoding="utf-8").splitlines()
    assert set(handover.gateway_access()) <= set(shipped)


def test_the_lines_for_the_gateway_are_a_configuration(place: Path) -> None:
    config = place / "here" / "portier.yaml"
    config.write_text("\n".join((BUILDING, *handover.configuration(), "")))
    site(place, "enrol", "bad-1", "--out", place / "k")
    (config.parent / "secrets").mkdir()
    (place / "k").rename(config.parent / "secrets" / handover.SECRET)
    checked = portier("check", config)
    assert (checked.exit_code, "is in order" in checked.output) == (0, True), checked.output


def test_the_centre_writes_no_mode_and_nothing_of_other_gateways() -> None:
    lines = handover.centre_access("bad-1")
    assert all("portier/bad-1/" in line for line in lines[1:])
    assert not any("mode" in line or "door/#" in line for line in lines)


def test_with_show_key_the_key_is_alone_on_standard_output(place: Path) -> None:
    result = site(place, "enrol", "bad-1", "--show-key")
    assert result.stdout.encode() == (keys(place).key("bad-1") or b"") + b"\n"
    assert "/dev/stdin /etc/portier/secrets/sites_key" in result.stderr
    assert list((place / "here").iterdir()) == []
    both = site(place, "enrol", "bad-1", "--show-key", "--out", "x")
    assert both.exit_code == 2


def test_for_scripts_it_is_json_with_the_key_where_it_is_asked_for(place: Path) -> None:
    found = json.loads(site(place, "enrol", "bad-1", "--json", "--out", "k").stdout)
    assert found["file"] == str(place / "here" / "k")
    assert (found["gateway"], found["again"], "key" in found) == ("bad-1", False, False)
    assert found["secret"] == {
        "path": "/etc/portier/secrets/sites_key", "mode": "640", "group": "portier-link"
    }  # fmt: skip
    assert found["access_list"]["sites"] == [*handover.centre_access("bad-1")]
    found = json.loads(site(place, "enrol", "bad-1", "--json", "--show-key", "--yes").stdout)
    assert (found["again"], found["file"]) == (True, None)
    assert found["key"].encode() == keys(place).key("bad-1")


def test_a_new_key_is_made_after_a_question_only(place: Path) -> None:
    site(place, "enrol", "bad-1", "--out", "first")
    first = keys(place).key("bad-1")
    for typed in (None, "n\n"):
        result = site(place, "enrol", "bad-1", typed=typed)
        assert result.exit_code == 1
        assert "Make a new key?" in result.output
        assert keys(place).key("bad-1") == first
    assert sorted(one.name for one in (place / "here").iterdir()) == ["first"]
    result = site(place, "enrol", "bad-1", typed="y\n")
    assert "bad-1 has a new key" in result.output
    assert "stays as it is" in result.output
    assert keys(place).key("bad-1") not in (None, first)
    again = site(place, "enrol", "bad-1", "--yes")
    assert again.exit_code == 1
    assert "is there already: hand it over or remove it" in words(again)


def test_the_list_says_since_when_and_whether_the_gateway_has_it(place: Path) -> None:
    assert "No gateway is enrolled" in site(place, "list").output
    for name in ("csg-office", "bad-1"):
        site(place, "enrol", name)
    stored = keys(place)
    stored.confirm("bad-1", stored.key("bad-1") or b"")
    result = site(place, "list")
    lines = result.output.splitlines()
    assert [line.split()[0] for line in lines] == ["gateway", "bad-1", "csg-office"]
    assert "not used yet" in lines[2]
    assert "not used yet" not in lines[1]
    found = json.loads(site(place, "list", "--json").stdout)
    assert [one["gateway"] for one in found] == ["bad-1", "csg-office"]
    assert found[0]["confirmed_utc_ms"] >= found[0]["key_utc_ms"] == found[0]["since_utc_ms"]
    assert found[1]["confirmed_utc_ms"] is None
    key = stored.key("bad-1") or b""
    assert key.decode() not in result.output + json.dumps(found)


def test_times_of_the_list_are_those_of_the_centre(place: Path) -> None:
    site(place, "enrol", "bad-1")
    assert "+0545" not in site(place, "list").output
    (place / "etc" / "portier.yaml").write_text(
        "sites: {timezone: Asia/Kathmandu, bench: true}\nmqtt: embedded\n", encoding="utf-8"
    )
    assert "+0545" in site(place, "list").output


def test_what_asks_control_names_the_centre_whose_folder_it_is(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = place / "etc" / "portier.yaml"
    monkeypatch.setenv("PORTIER_CONFIG", str(config))
    state = place / "state"
    assert "control does not answer" in words(portier("status", "--state", state))
    site(place, "enrol", "bad-1")
    result = portier("status", "--state", state)
    assert result.exit_code == 1
    assert "is the state folder of a centre" in words(result)
    config.write_text(
        "sites: {bench: true}\nmqtt: embedded\nweb: {listen: 127.0.0.1:8099}\n", encoding="utf-8"
    )
    result = portier("status", "--state", state)
    assert "Its page shows all sites: http://127.0.0.1:8099/" in words(result)
    assert "control does not answer" not in words(result)


def test_what_is_revoked_is_forgotten_after_a_question_only(place: Path) -> None:
    site(place, "enrol", "bad-1")
    assert site(place, "revoke", "bad-1").exit_code == 1
    assert keys(place).enrolled() == ("bad-1",)
    result = site(place, "revoke", "bad-1", "--yes")
    assert result.exit_code == 0
    assert keys(place).enrolled() == ()
    assert "head -c 32 /dev/urandom | base64 | sudo install -m 640" in words(result)
    assert "topic write portier/bad-1/command/door/+/open" in result.output
    gone = site(place, "revoke", "bad-1", "--yes")
    assert (gone.exit_code, "bad-1 is not enrolled" in words(gone)) == (1, True)


def test_who_has_enrolled_and_revoked_is_in_the_audit_of_the_centre(place: Path) -> None:
    unknown = site(place, "enrol", "bad-1", "--out", "first")
    assert "this is in no audit" in words(unknown)
    assert not users_file(place / "state").exists()
    users_file(place / "state").parent.mkdir()
    with closing(Users(users_file(place / "state"))) as users:
        site(place, "enrol", "bad-1", "--yes")
        site(place, "enrol", "Bad 1")
        site(place, "enrol", "bad-2", typed="n\n")
        site(place, "revoke", "bad-1", "--yes")
        audit = Audit(users_file(place / "state"), Saver())
        audit.take_over()
        assert users.waiting_entries(9) == []
    found = [(one.actor, one.action, one.gateway) for one in audit.newest(9)]
    who = f"cli:{getpass.getuser()}"
    assert found == [
        (who, "site_revoke", "bad-1"), (who, "site_enrol", "bad-2"), (who, "site_enrol", "bad-1")
    ]  # fmt: skip


def test_what_cannot_be_done_is_said_with_what_to_do(place: Path) -> None:
    wrong = site(place, "enrol", "Bad 1")
    assert (wrong.exit_code, "is not the id of a gateway" in words(wrong)) == (1, True)
    inside = site(place, "enrol", "bad-1", "--out", place / "state" / "x")
    assert "lies in the state folder" in words(inside)
    nowhere = site(place, "enrol", "bad-1", "--out", place / "none" / "x")
    assert "and the key is nowhere else" in words(nowhere)
    assert "portier site enrol bad-1 --yes --out FILE" in words(nowhere)
    (place / "state" / "sites" / "keys").write_text("{")
    for command in (("list",), ("enrol", "bad-2"), ("revoke", "bad-1", "--yes")):
        damaged = site(place, *command)
        assert (damaged.exit_code, "is damaged (" in words(damaged)) == (1, True)
    assert list((place / "here").iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_with_sudo_the_file_is_for_whoever_has_typed_it(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUDO_UID", "1234")
    monkeypatch.setenv("SUDO_GID", "1235")
    os.chown(place / "state", 4321, 4322)
    site(place, "enrol", "bad-1")
    found = (place / "here" / "bad-1.sites-key").stat()
    assert (found.st_uid, found.st_gid) == (1234, 1235)
    stored = place / "state" / "sites"
    for file in (stored, stored / "keys", stored / "keys.lock"):
        assert (file.stat().st_uid, file.stat().st_gid) == (4321, 4322), file
    secret = (place / "etc" / "secrets" / SECRET).stat()
    assert (secret.st_uid, secret.st_gid, stat.S_IMODE(secret.st_mode)) == (0, 4322, 0o640)


def test_the_shell_completes_who_is_enrolled(place: Path) -> None:
    site(place, "enrol", "bad-1")
    at = {"PORTIER_STATE": str(place / "state"), "PORTIER_CONFIG": str(place / "etc" / "x.yaml")}
    typed = {"COMP_WORDS": "portier site revoke ba", "COMP_CWORD": "3"}
    told = completing(home=place, _PORTIER_COMPLETE="complete_bash", **typed, **at)
    assert "bad-1" in told
