"""What the configuration says of those who may send commands over the broker."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from gateway.app.configuration import issuers
from gateway.link.commands import Issuer
from tests.settings.house import SMALL, changed, loaded, problems

HOLIDAYS = changed(SMALL, ("gateway: {id: small", "gateway: {id: small, holidays: DE-SN"))


@pytest.mark.parametrize(
    ("issuers", "expected"),
    [
        ("sites: {}", "sites: has limited rights, and without a key anybody could take its name;"),
        ("desk: {may: [open], doors: [front]}", "desk: has limited rights, and without a key"),
        (
            "sites: {key: !secret centre, doors: {front: daily}}",
            "sites.doors: names doors that it may not open; write may: [acknowledge, open], or",
        ),
        ("desk: {key: !secret centre, doors: [front]}", "desk.doors: names doors that it may not"),
        (
            "sites: {key: !secret centre, may: [open]}",
            "sites.may: opens no door, because none is named; write doors: {DOOR: mon-fri 07",
        ),
        (
            "sites: {key: !secret centre, may: [open], doors: {fornt: daily}}",
            "sites.doors.fornt: there is no door fornt; did you mean front?",
        ),
        (
            "sites: {key: !secret centre, may: [open], doors: [front, fornt]}",
            "sites.doors[1]: there is no door fornt; did you mean front?",
        ),
        ("desk: {next_key: !secret centre}", "desk.next_key: replaces no key; write it as key, or"),
        (
            "desk: {key: !secret centre, next_key: !secret centre}",
            "desk.next_key: is the same as key; put the new key into a file of its own and name",
        ),
        (
            "sites: {key: !secret centre, may: [acknowlege]}",
            "sites.may[0]: 'acknowlege' is not possible; did you mean acknowledge?",
        ),
        (
            "sites: {key: !secret centre, may: [open], doors: {front: mon-fir 07:00-18:00}}",
            "sites.doors.front: 'fir' is not a day; did you mean fri?",
        ),
    ],
)
def test_the_rights_of_an_issuer_are_checked(tmp_path: Path, issuers: str, expected: str) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets/centre").write_text("a key", encoding="utf-8")
    text = f"{SMALL}mqtt:\n  issuers:\n    {issuers}\n"
    (problem,) = problems(tmp_path, text)
    assert f"mqtt.issuers.{expected}" in str(problem)
    assert problem.line == text.count("\n")


def test_what_an_issuer_may_ask_for(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets/centre").write_text("a key", encoding="utf-8")

    def issuer(name: str, more: str = "") -> Issuer:
        text = f"{HOLIDAYS}mqtt: {{issuers: {{{name}: {{key: !secret centre{more}}}}}}}\n"
        return issuers.of(loaded(tmp_path, text))[name]

    assert issuer("tablet").may is None
    assert issuer("sites").may == frozenset({"acknowledge"})
    assert issuer("sites", ", may: []").may == frozenset()
    both = issuer("sites", ", may: [acknowledge, open], doors: [front]")
    assert both.shown() == {"may": ["acknowledge", "open"], "doors": {"front": ["daily"]}}
    hours = issuer("desk", ", may: [open], doors: {front: mon-fri 07:00-18:00}")
    assert hours.shown() == {"may": ["open"], "doors": {"front": ["mon-fri 07:00-18:00"]}}
    asked = {"door": "front"}
    assert hours.allows("open_door", asked, datetime(2026, 12, 1, 8, 0))  # noqa: DTZ001 - a wall clock
    assert not hours.allows("open_door", asked, datetime(2026, 12, 1, 6, 0))  # noqa: DTZ001
    assert not hours.allows("open_door", asked, datetime(2026, 12, 25, 8, 0)), "a holiday"  # noqa: DTZ001


def test_both_keys_of_a_change_are_read_and_check_says_how_it_ends(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    for name in ("old", "new"):
        (tmp_path / "secrets" / name).write_text(f"the {name} key", encoding="utf-8")
    text = f"{SMALL}mqtt: {{issuers: {{sites: {{key: !secret old, next_key: !secret new}}}}}}\n"
    settings = loaded(tmp_path, text)
    issuer = issuers.of(settings)["sites"]
    assert (issuer.key, issuer.next_key) == (b"the old key", b"the new key")
    (hint,) = settings.hints
    assert "mqtt.issuers.sites.next_key: is for the time of a change" in hint
    assert "then write this one as key and remove next_key" in hint
