"""How the building is, in the pill and on the cards: the gravest thing first, each thing once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.web.presenter.presenter import Presenter
from gateway.web.presenter.terminals import Terminals
from tests.page.fake import alarm, called, door, guarantee, now_ms, room
from tests.web.conftest import Web, snapshot


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    made = Web(tmp_path, terminals=Terminals(owners={"front.leaf": ("front",)}))
    yield made
    made.close()


def seen(web: Web, **values: Any) -> Presenter:
    holds = {"journal": guarantee(now_ms())}
    web.see(snapshot(**{"guarantees": holds, "alarms": [], "rooms": {"wc": room("WC")}, **values}))
    return web.site.scene_for("de", names=True)


NOTICE = alarm("front", "egress_never", "notice")
FAULT = alarm("front", "left_open", "fault")
GRAVE = alarm("front", "forced", "emergency")
SHELVED = alarm("front", "left_open", "fault", state="shelved", shelved_until_ms=10**12)


@pytest.mark.parametrize(
    ("values", "state", "text"),
    [
        ({}, "good", "Alles in Ordnung"),
        ({"alarms": [SHELVED]}, "good", "Alles in Ordnung"),
        ({"alarms": [NOTICE]}, "info", "1 Hinweis"),
        ({"alarms": [NOTICE, FAULT]}, "warn", "1 Störung"),
        ({"alarms": [GRAVE, FAULT]}, "bad", "2 Störungen"),
        ({"guarantees": {"journal": guarantee(0, "no", "journal_full")}}, "warn", "Eingeschränkt"),
        ({"guarantees": {"journal": guarantee(0, "unknown", "")}}, "unknown", "Wird noch geprüft"),
        ({"guarantees": {}}, "unknown", "Wird noch geprüft"),
        ({"rooms": {"wc": room("WC", call=called("wc-1", test=True))}}, "info",
         "Test der Rufanlage"),
        ({"alarms": [GRAVE], "rooms": {"wc": room("WC", call=called("wc-1"))}}, "call", "Notruf"),
    ],
)  # fmt: skip
def test_the_gravest_thing_comes_first(
    web: Web, values: dict[str, Any], state: str, text: str
) -> None:
    overall = seen(web, **values).overall
    assert (overall.state, overall.text) == (state, text)


def test_a_lost_controller_is_worse_than_anything_it_said(web: Web) -> None:
    presenter = seen(web)
    web.site.control.connected = False
    assert (presenter.overall.state, presenter.overall.text[:18]) == ("lost", "Verbindung verlore")


def test_a_badge_says_each_thing_once(web: Web) -> None:
    """The alarm about the operator says more than its signal, and the mode that it holds open."""
    broken = door("Haupteingang", mode="hold_open", hold_open=True, operator_fault=True)
    fault = alarm("front", "operator_fault", "fault")
    leaf = alarm("front.leaf", "contact_stuck", "fault")
    presenter = seen(web, doors={"front": broken, "wc": door("WC")}, alarms=[fault, leaf])
    front, wc = presenter.doors
    assert len(front.badges) == 2
    assert wc.badges == ()


@pytest.mark.parametrize(
    ("values", "name", "text", "tone"),
    [
        ({}, "call", "Kein Notruf", ""),
        ({"cords": {"wc.cord": "cut"}}, "call", "Leitung unterbrochen", "warn"),
        ({"call": called("wc-1")}, "call", "Notruf", "call"),
        ({"occupancy": "occupied"}, "occupancy", "belegt", "info"),
        ({"leak": {"wet": True, "latched": True, "valve_closed": None}}, "leak", "Wasser erkannt",
         "bad"),
        ({"leak": {"wet": False, "latched": True, "valve_closed": None}}, "leak",
         "wieder trocken, noch nicht zurückgesetzt", "warn"),
    ],
)  # fmt: skip
def test_a_tile_that_is_not_as_usual_changes(
    web: Web, values: dict[str, Any], name: str, text: str, tone: str
) -> None:
    (wc,) = seen(web, rooms={"wc": room("WC", **values)}).rooms
    (tile,) = (tile for tile in wc.tiles if tile.name == name)
    assert (tile.text, tile.tone) == (text, tone)


@pytest.mark.parametrize(
    ("value", "reason", "subject", "unheard"),
    [
        ("yes", "", "", False),
        ("no", "no_contact", "wc", True),
        ("no", "no_contact", "bath", False),
        ("not_configured", "bench", "", True),  # it has no contact at all
    ],
)
def test_a_call_of_which_nobody_is_notified_says_so(
    web: Web, value: str, reason: str, subject: str, unheard: bool
) -> None:
    told = {**guarantee(now_ms(), value, reason), "subject": subject}
    presenter = seen(
        web, guarantees={"messages": told}, rooms={"wc": room("WC", call=called("wc-1"))}
    )
    assert bool(presenter.calls[0].unreachable) == unheard


def test_nothing_waits_for_what_is_not_set_up(web: Web) -> None:
    off = guarantee(now_ms(), "not_configured", "not_configured", backlog=195_789)
    presenter = seen(web, guarantees={"recording": off})
    assert [one.detail for one in presenter.guarantees if "195" in one.detail] == []
    late = guarantee(now_ms(), "no", "recorder_behind", backlog=195_789)
    presenter = seen(web, guarantees={"recording": late})
    assert any("195.789" in one.detail for one in presenter.guarantees)


def test_what_does_not_work_is_a_sentence_with_its_reason_and_a_way_to_mend_it(web: Web) -> None:
    wrong = {**guarantee(now_ms(), "no", "no_contact"), "subject": "wc"}
    presenter = seen(web, guarantees={"messages": wrong})
    assert [one.fails for one in presenter.failed] == ["Nachrichten kommen nicht an"]
    german = {"Accept-Language": "de", "Accept": "text/html"}
    text = web.as_("admin").get("/", headers=german).text
    row = text[text.index('id="failed-messages"') :].partition("</article>")[0]
    assert "Es ist niemand eingetragen" in row.partition("</summary>")[0]
    assert 'href="/settings"' in row
    assert 'href="/settings"' not in web.as_("staff").get("/", headers=german).text
