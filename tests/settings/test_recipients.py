"""Addresses that were entered on the page: what is allowed, how one is shown and saved."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from apprise.manager_plugins import NotificationManager

from gateway.notify import channels
from gateway.notify.addresses import Accounts, AddressError, PageAddress, reader
from gateway.notify.guard import Guard
from gateway.settings.editing.addresses import Addresses
from gateway.settings.editing.edit import edit
from gateway.settings.editing.file import Store
from gateway.settings.values.problems import SettingsError
from gateway.settings.values.recipients import (
    MEDIA,
    MEDIUM_OF_SCHEME,
    SCHEMES,
    RecipientError,
    is_forbidden,
    read,
    recipient,
)
from gateway.settings.values.secrets import Secret, of_page
from tests.living_files import contents
from tests.settings.house import DRIVERS, NOW, SMALL, write

MAIL = "hausmeister@example.org"


@pytest.mark.parametrize(
    ("kind", "typed", "saved", "shown"),
    [
        ("mail", f" {MAIL} ", MAIL, "h…r@example.org"),
        ("mail", "ab@example.org", "ab@example.org", "…@example.org"),
        ("sms", "+49 (341) 123-4711", "+493411234711", "…4711"),
        ("sms", "0049 341 1234711", "+493411234711", "…4711"),
        ("telegram", "-1001234567", "-1001234567", "…4567"),
        ("telegram", "@hausmeister", "@hausmeister", "…ster"),
        ("ntfy", "portier-4711-x", "portier-4711-x", "…11-x"),
        ("ntfy", "https://ntfy.example.org/house", "https://ntfy.example.org/house", "…ouse"),
        ("own", "ntfys://ntfy.example.org/house", "ntfys://ntfy.example.org/house", "ntfys://…"),
        ("own", "jsons://192.168.2.7/hook", "jsons://192.168.2.7/hook", "jsons://…"),
    ],
)
def test_an_address_is_understood_and_shown_by_its_end(
    kind: str, typed: str, saved: str, shown: str
) -> None:
    found = recipient(kind, typed)
    assert (found.to, found.masked()) == (saved, shown)
    assert read(found.written().decode()) == found
    assert saved not in repr(found)


@pytest.mark.parametrize(
    ("kind", "typed"),
    [
        ("pager", "12345"),
        ("mail", "hausmeister"),
        ("mail", "a@b.example?to=x@example.org&from=y"),
        ("mail", "a@example.org\nBcc: b@example.org"),
        ("mail", ""),
        ("sms", "call me"),
        ("sms", "+7"),
        ("telegram", "hausmeister"),
        ("ntfy", "http://ntfy.example.org/house"),
        ("ntfy", "https://localhost/house"),
        ("ntfy", "https://example.org/house?auth=x"),
        ("own", "file:///etc/passwd"),
        ("own", "dbus://"),
        ("own", "syslog://"),
        ("own", "http://example.org/"),
        ("own", "json://localhost:8080/"),
        ("own", "json://LOCALHOST./"),
        ("own", "json://127.0.0.1/"),
        ("own", "json://127.1/"),
        ("own", "json://2130706433/"),
        ("own", "json://0x7f000001/"),
        ("own", "json://0.0.0.0/"),
        ("own", "json://[::1]/"),
        ("own", "json://[::ffff:127.0.0.1]/"),
        ("own", "json://169.254.169.254/latest/meta-data"),
        ("own", "json://[fd00:ec2::254]/"),
        ("own", "json://metadata.google.internal/"),
        ("own", "jsons://example.org/?redirect=yes"),
        ("own", "mailtos://u:p@example.org/?pgpkey=/etc/shadow"),
        ("own", "jsons://example.org/" + "x" * 600),
    ],
)  # fmt: skip
def test_what_is_not_allowed_is_refused_and_not_repeated(kind: str, typed: str) -> None:
    with pytest.raises(RecipientError) as refused:
        recipient(kind, typed)
    said = f"{refused.value.message} {refused.value.hint}"
    assert not typed or typed not in said


def test_the_configuration_can_allow_this_machine() -> None:
    assert recipient("own", "json://127.0.0.1:1/", ("127.0.0.1",)).to == "json://127.0.0.1:1/"
    with pytest.raises(RecipientError):
        recipient("own", "json://127.0.0.2:1/", ("127.0.0.1",))


def test_each_service_that_is_named_is_known_to_the_library() -> None:
    """A name that is mistyped would be refused on the page, or make an SMS an "other"."""
    channels._library()  # with those that are ours
    known = set(NotificationManager().schemas())
    assert SCHEMES - known == set()
    assert MEDIUM_OF_SCHEME.keys() - known == set()
    assert set(MEDIUM_OF_SCHEME.values()) < set(MEDIA)


@pytest.mark.parametrize("number", ["127.9.9.9", "169.254.1.1", "fe80::1", "::", "224.0.0.1"])
def test_numbers_of_this_machine_and_its_network_are_forbidden(number: str) -> None:
    assert is_forbidden(number)
    assert not is_forbidden("192.168.1.4")


def test_a_connection_is_judged_by_the_number_that_it_goes_to() -> None:
    """Whatever name has led there."""
    guard = Guard(())
    for family, address in ((2, ("127.0.0.1", 1)), (2, ("name", 1)), (1, "/run/panel.sock")):
        with pytest.raises(PermissionError):
            guard.check(family, address)
    assert guard.refused
    Guard(("localhost",)).check(2, ("127.0.0.1", 1))
    Guard(()).check(2, ("192.0.2.1", 1))


# --- what notify makes of a file ----------------------------------------------------------


def saved(state: Path, text: str) -> Secret:
    (state / "addresses").mkdir(exist_ok=True)
    (state / "addresses" / "0123456789abcdef").write_text(text, encoding="utf-8")
    return of_page("0123456789abcdef", state)


def test_mail_goes_over_the_account_of_the_building(tmp_path: Path) -> None:
    (tmp_path / "mail").write_text("mailtos://u:p@smtp.example.org/?to={to}\n")
    accounts = Accounts({"mail": Secret("mail", (tmp_path,))})
    secret = saved(tmp_path, json.dumps({"kind": "mail", "to": "o'neil+x@example.org"}))
    made = reader(secret, accounts)()
    assert made == "mailtos://u:p@smtp.example.org/?to=o%27neil%2Bx%40example.org"
    assert isinstance(made, PageAddress)
    assert not made.guarded, "the configuration says which machine is called"
    with pytest.raises(AddressError, match="no account"):
        reader(secret)()


def test_an_own_address_is_guarded_when_it_is_called(tmp_path: Path) -> None:
    secret = saved(tmp_path, json.dumps({"kind": "own", "to": "jsons://example.org/x"}))
    made = reader(secret, Accounts(hosts=("127.0.0.1",)))()
    assert isinstance(made, PageAddress)
    assert made.guarded
    assert made.hosts == ("127.0.0.1",)


@pytest.mark.parametrize(
    "text",
    [
        '{"kind": "own", "to": "file:///etc/passwd"}',
        '{"kind": "own", "to": "json://127.0.0.1/"}',
        '{"kind": "root", "to": "x"}',
        '{"kind": "own", "to": ["json://example.org"]}',
        "json://example.org/",
        "[]",
    ],
)
def test_a_file_that_was_edited_by_hand_is_judged_as_well(tmp_path: Path, text: str) -> None:
    with pytest.raises(AddressError) as refused:
        reader(saved(tmp_path, text))()
    assert refused.value.reason == "forbidden"
    assert "passwd" not in str(refused.value)


# --- the folder ---------------------------------------------------------------------------


def test_addresses_lie_in_a_folder_that_others_cannot_enter(tmp_path: Path) -> None:
    addresses = Addresses(tmp_path)
    ids = addresses.add({"a": {"kind": "mail", "to": MAIL}})
    folder = tmp_path / "addresses"
    assert stat.S_IMODE(folder.stat().st_mode) & 0o007 == 0
    assert stat.S_IMODE((folder / ids["a"]).stat().st_mode) & 0o007 == 0
    assert addresses.masked(ids["a"]) == ("mail", "h…r@example.org")
    addresses.keep(())
    assert list(folder.iterdir()) == []
    assert addresses.masked(ids["a"]) == ("", "")


def test_a_wrong_address_saves_none_of_them(tmp_path: Path) -> None:
    entered = {"a": {"kind": "mail", "to": MAIL}, "b": {"kind": "own", "to": "file:///x"}, "c": 1}
    with pytest.raises(SettingsError) as refused:
        Addresses(tmp_path).add(entered)
    assert [one.key for one in refused.value.problems] == ["addresses.b", "addresses.c"]
    assert not (tmp_path / "addresses").exists()


def test_there_is_an_end_to_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.settings.editing.addresses.MOST", 1)
    one = {"a": {"kind": "mail", "to": MAIL}}
    Addresses(tmp_path).add(one)
    with pytest.raises(SettingsError, match="more than 1 addresses"):
        Addresses(tmp_path).add(one)


# --- through the overlay ------------------------------------------------------------------


class Building:
    """A configuration with an overlay that is edited."""

    def __init__(self, folder: Path, more: str = "") -> None:
        self.folder = folder
        self.config = write(folder, SMALL + more)
        self.store = Store(folder / "overlay.yaml")

    def ask(self, do: str, **asked: Any) -> dict[str, Any]:
        asked = {"version": self.store.version(), "actor": "web:1", **asked, "do": do}
        return edit(asked, self.config, self.store, DRIVERS, NOW, lambda _address: True)

    def add(self, name: str, kind: str, to: str) -> dict[str, Any]:
        sections = self.ask("show")["settings"]["overlay"]
        contacts = {**sections.get("contacts", {}), name: {"channels": [{"address": "new"}]}}
        return self.ask(
            "put",
            sections={**sections, "contacts": contacts},
            addresses={"new": {"kind": kind, "to": to}},
        )

    def holding(self, text: str) -> list[str]:
        """The files of the folder that hold this text."""
        return [
            str(path.relative_to(self.folder))
            for path, content in contents(self.folder)
            if text.encode() in content
        ]


OWN = "jsons://hooks.example.org/secretpath"


def test_a_contact_is_added_and_its_address_is_in_one_file_only(tmp_path: Path) -> None:
    house = Building(tmp_path)
    done = house.add("caretaker", "own", OWN)
    assert done["status"] == "accepted"
    assert house.holding("secretpath") == [
        f"addresses/{done['settings']['ways']['caretaker'][0]['address']}"
    ]
    (way,) = done["settings"]["ways"]["caretaker"]
    assert (way["kind"], way["shown"]) == ("own", "jsons://…")
    assert "secretpath" not in json.dumps(done)
    again = house.add("desk", "own", "jsons://hooks.example.org/otherpath")
    assert again["settings"]["ways"]["caretaker"] == [way], "others keep theirs"


def test_what_is_refused_leaves_no_address_behind(tmp_path: Path) -> None:
    house = Building(tmp_path)
    refused = house.add("caretaker", "own", "file:///etc/secretpath")
    assert [one["key"] for one in refused["errors"]] == ["addresses.new"]
    assert "secretpath" not in json.dumps(refused)
    bad = house.ask(
        "put",
        sections={"contacts": {"No Name": {"channels": [{"address": "new"}]}}},
        addresses={"new": {"kind": "own", "to": OWN}},
    )
    assert bad["status"] == "refused"
    assert house.holding("secretpath") == []


def test_mail_needs_an_account_in_the_configuration(tmp_path: Path) -> None:
    house = Building(tmp_path)
    refused = house.add("caretaker", "mail", MAIL)
    assert refused["errors"][0]["message"] == "the building has no account for mail"
    assert house.ask("show")["settings"]["kinds"] == ["ntfy", "own"]
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "smtp").write_text("mailtos://u:p@smtp.example.org/?to={to}\n")
    with_mail = Building(tmp_path, "messages: {mail: !secret smtp}\n")
    assert with_mail.add("caretaker", "mail", MAIL)["status"] == "accepted"
    assert with_mail.ask("show")["settings"]["kinds"] == ["mail", "ntfy", "own"]


def test_a_removed_contact_takes_its_address_along_and_undo_says_so(tmp_path: Path) -> None:
    house = Building(tmp_path)
    house.add("caretaker", "own", OWN)
    assert house.ask("put", sections={})["status"] == "accepted"
    assert house.holding("secretpath") == []
    back = house.ask("undo")
    assert back["status"] == "accepted"
    assert back["settings"]["ways"]["caretaker"][0]["kind"] == ""
    (missing,) = back["settings"]["addresses"]
    assert missing["text"] == (
        "contacts.caretaker.channels[0]: the address has been removed; "
        "enter it again on the page Settings"
    )


def test_a_configuration_file_names_no_address_of_the_page(tmp_path: Path) -> None:
    house = Building(tmp_path, "contacts: {x: {channels: [!address 0123456789abcdef]}}\n")
    refused = house.ask("put", sections={})
    assert refused["errors"][0]["message"] == "the tag !address is not known"


def test_a_room_gets_a_chain_and_holidays_a_region(tmp_path: Path) -> None:
    more = """
rooms: {wc: {cord: [wc.cord], cancel: wc.cancel, lamp: wc.lamp}}
"""
    points = SMALL.replace(
        "points:\n",
        "points:\n  wc.cord: {driver: gpio_contact, pin: GPIO5}\n"
        "  wc.cancel: {driver: gpio_contact, pin: GPIO6}\n"
        "  wc.lamp: {driver: gpio_relay, pin: GPIO13, max_on: unlimited}\n",
    )
    house = Building(tmp_path)
    house.config = write(tmp_path, points + more)
    house.add("caretaker", "own", OWN)
    sections = house.ask("show")["settings"]["overlay"]
    sections |= {
        "escalations": {"care": [{"after": "0 s", "notify": "caretaker"}]},
        "rooms": {"wc": {"escalation": "care"}},
        "alarms": {"urgent": "care"},
        "gateway": {"holidays": "DE-SN"},
    }
    done = house.ask("put", sections=sections)
    assert done["status"] == "accepted", done
    effective = done["settings"]["effective"]
    assert effective["rooms"]["wc"]["escalation"] == "care"
    assert effective["alarms"] == {"urgent": "care"}
    assert effective["gateway"] == {"holidays": "DE-SN"}
    sections |= {"rooms": {"wc": {"escalation": ""}}, "alarms": {"urgent": ""}}
    off = house.ask("put", sections=sections)
    assert off["settings"]["effective"]["rooms"]["wc"]["escalation"] == ""
    assert off["settings"]["effective"]["alarms"] == {}
    wrong = house.ask("put", sections={"rooms": {"wc": {"cord": "x"}, "kitchen": {}}})
    assert {one["key"] for one in wrong["errors"]} == {"rooms.wc.cord", "rooms.kitchen"}
