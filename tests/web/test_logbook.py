"""The logbook as the server makes it: sentences, days, filters, and pages without a gap."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.web.history import logbook
from gateway.web.history.entries import SPAN_ROWS
from gateway.web.presenter.terminals import Terminals
from tests.page.fake import alarm, called, door, now_ms, room
from tests.web.conftest import Client, Web, snapshot
from tests.web.years import DAY_MS, Years

BEGIN = 1_750_000_000_000 - 1_750_000_000_000 % DAY_MS
SECOND = 1_000
GERMAN = {"Accept-Language": "de"}
BUTTON = {"activator": "front.button", "activator_kind": "button", "side": "outside"}


def page(client: Client, path: str = "/events") -> str:
    return html.unescape(client.get(path, headers=GERMAN).text)


def entries(text: str) -> list[str]:
    """Each entry of a page in one line, without the facts behind it."""
    rows = re.findall(r'(?s)class="log-row".*?(?:</summary>|</a>)', text)
    texts = [re.sub(r"<[^>]+>", " ", row.split(">", 1)[1]) for row in rows]
    return [re.sub(r"[ \n]+", " ", text).strip() for text in texts]


def opened(years: Years, at: int, door: str = "front", **data: Any) -> None:
    years.fact(at, "door_request", door, outcome="accepted", **{**BUTTON, **data})
    years.fact(at + 400, "door_opened", door, cause="request", press_to_open_ms=400)
    years.fact(at + 7_400, "door_closed", door, open_ms=7_000)


def older(text: str) -> str:
    found = re.search(r'href="(/events\?[^"]*before=\d+)"', text)
    return found[1] if found else ""


def newer(text: str) -> str:
    found = re.search(r'href="(/events\?[^"]*after=\d+)"', text)
    return found[1] if found else ""


def test_an_opening_is_one_sentence(web: Web) -> None:
    years = Years(web.options.journal, BEGIN)
    opened(years, BEGIN)
    years.close()
    text = page(web.as_("view"))
    assert entries(text) == ["02:00 Taster außen öffnete die Tür Haupteingang offen 7\u202fs"]
    assert "Sonntag, 15. Juni 2025" in text
    assert re.findall(r"(?s)log-facts.*?</ul>", text)[0].count('class="fact"') == 3


def test_a_page_border_in_an_opening_cuts_none(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the size of the pieces: each opening is on one page, whole."""
    years = Years(web.options.journal, BEGIN)
    for number in range(90):
        opened(years, BEGIN + number * 60 * SECOND)
    years.close()
    client = web.as_("view")
    for piece in (7, 50, 400):
        monkeypatch.setattr(logbook, "PIECE", piece)
        address, seen, pages = "/events", [], []
        while address:
            text = page(client, address)
            pages.append(text)
            seen += entries(text)
            address = older(text)
        assert len(seen) == 90, piece
        assert all("offen 7\u202fs" in entry for entry in seen), piece
        assert len(set(seen)) == 90, piece
        assert entries(page(client, newer(pages[-1]))) == entries(pages[-2]) or len(pages) == 2


def test_newer_pages_lead_back_to_the_newest(web: Web) -> None:
    years = Years(web.options.journal, BEGIN)
    for number in range(200):
        opened(years, BEGIN + number * 60 * SECOND)
    years.close()
    client = web.as_("view")
    first = page(client)
    second = page(client, older(first))
    third = page(client, older(second))
    assert entries(page(client, newer(third))) == entries(second)
    assert entries(page(client, newer(second))) == entries(first)
    assert newer(first) == ""


def test_a_door_that_did_not_open_is_found_by_what_people_say(web: Web) -> None:
    years = Years(web.options.journal, BEGIN)
    years.fact(BEGIN, "door_request", "front", outcome="refused", reason="mode_night", **BUTTON)
    opened(years, BEGIN + DAY_MS)
    years.fact(BEGIN + 2 * DAY_MS, "door_request", "front", outcome="accepted", **BUTTON)
    years.fact(
        BEGIN + 2 * DAY_MS + 5_000, "alarm_raised", "front/did_not_open", severity="fault",
        detail="", count=1,
    )  # fmt: skip
    years.close()
    client = web.as_("view")
    for words in ("nicht geöffnet", "ging nicht auf", "öffnete nicht"):
        assert len(entries(page(client, f"/events?q={words}"))) == 3, words  # one is the alarm
    assert len(entries(page(client, "/events?q=offen"))) == 1


def test_a_file_has_the_facts_of_the_entries_that_are_shown(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of an entry that begins in one piece and ends in another; never what is private."""
    years = Years(web.options.journal, BEGIN)
    opened(years, BEGIN)
    years.fact(BEGIN + 60 * SECOND, "occupancy_changed", "wc", occupancy="occupied")
    opened(years, BEGIN + 100 * SECOND, note="Lieferung Hof")
    years.fact(BEGIN + 200 * SECOND, "door_mode", "front", mode="night", source="schedule")
    years.close()
    client = web.as_("maintenance")
    for piece in (1, 2, 400):
        monkeypatch.setattr(logbook, "PIECE", piece)

        def kinds(query: str) -> list[str]:
            found = re.search(r'href="(/api/v1/export\?format=jsonl[^"]*)"', page(client, query))
            assert found
            lines = client.get(found[1].replace("&amp;", "&"), headers=GERMAN).text.splitlines()
            return [json.loads(line)["kind"] for line in lines]

        opening = ["door_request", "door_opened", "door_closed"]
        assert kinds("/events?q=taster öffnete") == opening * 2
        assert kinds("/events?show=operation,door&q=nacht") == ["door_mode"]
        assert kinds("/events?q=gibt+es+nicht") == []
        assert kinds("/events?show=room") == []
        assert "occupancy_changed" not in kinds("/events")
    assert client.get("/api/v1/export?show=mode").status_code == 422


def test_what_is_refused_says_why_and_how_often(web: Web) -> None:
    years = Years(web.options.journal, BEGIN)
    for number in range(3):
        years.fact(BEGIN + number * SECOND, "door_request", "front", outcome="refused",
                   reason="mode_night", **BUTTON)  # fmt: skip
    years.close()
    (entry,) = entries(page(web.as_("view")))
    assert "Taster außen: Öffnen abgelehnt" in entry
    assert "Die Betriebsart ist Nacht" in entry
    assert entry.endswith("3-mal")


def test_a_call_says_who_came_and_when_it_ended(web: Web) -> None:
    web.add("jana", "staff")
    by = f"web:{web.users.by_name('jana').id}"
    years = Years(web.options.journal, BEGIN)
    years.fact(BEGIN, "call_raised", "wc", call="wc-1", cause="cord", pulls=1, test=False)
    years.fact(BEGIN + SECOND, "message", "wc", delivery="wc-1#1", receiver="h", channel=0,
               about="wc-1", message="call", result="skipped", reason="off_duty")  # fmt: skip
    years.fact(BEGIN + 9 * SECOND, "call_acknowledged", "wc", call="wc-1", by=by, after_ms=9_000)
    years.fact(BEGIN + 70 * SECOND, "call_cancelled", "wc", call="wc-1", after_ms=70_000)
    years.close()
    (entry,) = entries(page(web.as_("staff")))
    assert "Notruf WC jana ging hin nach 9\u202fs beendet nach 1\u202fmin 1 Nachricht" in entry
    text = page(web.as_("view"))
    assert "jana" not in text
    assert "Personal ging hin" in text
    shown = re.sub(r"<[^>]+>", " ", text.partition('id="logbook"')[2])
    for hidden in ("web:", "off_duty", "wc-1"):
        assert hidden not in shown, hidden


def test_a_call_says_who_has_seen_it_and_who_was_sent(web: Web) -> None:
    years = Years(web.options.journal, BEGIN)
    years.fact(BEGIN, "call_raised", "wc", call="wc-1", cause="cord", pulls=1, test=False)
    years.fact(BEGIN + 4 * SECOND, "call_seen", "wc", call="wc-1", by="mqtt:sites", via="mqtt",
               after_ms=4_000, test=False)  # fmt: skip
    years.fact(BEGIN + 9 * SECOND, "call_acknowledged", "wc", call="wc-1", by="mqtt:sites",
               via="mqtt", after_ms=9_000, attends="Anna")  # fmt: skip
    years.fact(BEGIN + 70 * SECOND, "call_cancelled", "wc", call="wc-1", after_ms=70_000)
    years.close()
    (entry,) = entries(page(web.as_("staff")))
    assert "gesehen von Zentrale nach 4\u202fs Anna ging hin nach 9\u202fs" in entry
    text = page(web.as_("view"))
    assert "Anna" not in text
    assert "Personal ging hin" in text


def test_a_standing_call_is_not_over(web: Web) -> None:
    years = Years(web.options.journal, BEGIN)
    years.fact(BEGIN, "call_raised", "wc", call="bad-2", cause="cord", pulls=1, test=False)
    years.close()
    web.see(snapshot(rooms={"wc": room("WC", call=called("bad-2"), last_calls=[])}))
    (entry,) = entries(page(web.as_("staff")))
    assert entry.endswith("noch nicht beendet")


@pytest.fixture
def staffed(tmp_path: Path) -> Iterator[Web]:
    made = Web(tmp_path, terminals=Terminals(receivers={"empfang": "Empfang"}))
    yield made
    made.close()


def test_nobody_is_named_by_what_the_machine_calls_them(staffed: Web) -> None:
    web = staffed
    years = Years(web.options.journal, BEGIN)
    for place, by in enumerate(("link:empfang", "system:reload", "web:999", "cli:pi", None)):
        years.fact(BEGIN + place * DAY_MS, "configuration_changed", "test", digest="a9eb0f", by=by)
    years.fact(BEGIN + 9 * DAY_MS, "door_mode", "front", mode="night", source="override",
               by="link:empfang")  # fmt: skip
    years.close()
    text = page(web.as_("maintenance"))
    assert "Empfang stellte Nacht ein" in text
    assert "Konfiguration neu geladen" in text
    for hidden in ("link:", "system:", "web:9", "a9eb"):
        assert hidden not in text, hidden


def test_an_alarm_stands_or_is_over(web: Web) -> None:
    years = Years(web.options.journal, BEGIN)
    years.fact(BEGIN, "alarm_raised", "front/left_open", severity="fault", count=1)
    years.fact(BEGIN + 1, "alarm_raised", "front/did_not_close", severity="fault", count=1)
    years.fact(BEGIN + 9_000, "alarm_cleared", "front/did_not_close", active_ms=8_999)
    years.close()
    web.see(snapshot(alarms=[alarm("front", "left_open", "fault")]))
    cleared, standing = entries(page(web.as_("view")))
    assert standing.endswith("steht noch an")
    assert cleared.endswith("vorbei nach 8\u202fs")


def test_filters_stand_in_the_address_and_can_be_taken_away(web: Web) -> None:
    years = Years(web.options.journal, BEGIN)
    opened(years, BEGIN)
    opened(years, BEGIN + 60 * SECOND, "yard")
    years.fact(BEGIN + 90 * SECOND, "door_mode", "front", mode="night", source="schedule")
    years.fact(BEGIN + 99 * SECOND, "gateway_started", "test", version="1", configuration="c",
               clean=False)  # fmt: skip
    years.close()
    web.see(snapshot(doors={"front": door("Haupteingang"), "yard": door("Hof")}))
    client = web.as_("view")
    assert len(entries(page(client))) == 4
    assert [e.split()[0] for e in entries(page(client, "/events?show=door"))] == ["02:01", "02:00"]
    both = page(client, "/events?show=operation,system")
    assert len(entries(both)) == 2
    assert 'href="/events?show=door%2Coperation%2Csystem"' in both, "a chip adds to the others"
    assert 'href="/events?show=system"' in both, "and is taken away by itself"
    assert len(entries(page(client, "/events?subject=yard"))) == 1
    assert len(entries(page(client, "/events?q=HOF+öffnete"))) == 1
    assert entries(page(client, "/events?show=call")) == []
    narrow = page(client, "/events?subject=yard&q=hof&show=door")
    assert 'href="/events?show=door&q=hof"' in narrow.replace("&amp;", "&")


def test_a_range_of_time_takes_entries_that_begin_in_it(web: Web) -> None:
    years = Years(web.options.journal, BEGIN)
    opened(years, BEGIN)
    opened(years, BEGIN + DAY_MS)
    years.close()
    text = page(web.as_("view"), "/events?from=2025-06-15T02:00:00&to=2025-06-15T02:00:05")
    assert entries(text) == ["02:00 Taster außen öffnete die Tür Haupteingang offen 7\u202fs"]


def test_a_search_that_finds_nothing_for_long_goes_on(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    years = Years(web.options.journal, BEGIN)
    years.fact(BEGIN, "gateway_started", "test", version="1", configuration="c", clean=False)
    for number in range(300):
        opened(years, BEGIN + (number + 1) * 60 * SECOND)
    years.close()
    monkeypatch.setattr(logbook, "PIECE", 50)
    monkeypatch.setattr(logbook, "MOST", 200)
    client, address, found, pages = web.as_("view"), "/events?q=ausfall", [], 0
    while address:
        text = page(client, address)
        found += entries(text)
        address, pages = older(text), pages + 1
        assert found or "Weiter zurück suchen" in text
    assert len(found) == 1
    assert pages > 3


def test_the_hour_that_comes_twice_says_which_one_it_is(web: Web) -> None:
    first = 1_761_438_600_000  # 25 October 2025, 02:30 in summer time
    years = Years(web.options.journal, first)
    opened(years, first)
    opened(years, first + 3_600_000)
    years.close()
    winter, summer = entries(page(web.as_("view")))
    assert summer.startswith("02:30 MESZ")
    assert winter.startswith("02:30 MEZ")


def test_what_has_no_time_yet_is_apart(web: Web) -> None:
    years = Years(web.options.journal, BEGIN)
    opened(years, BEGIN)
    years.db.execute("DELETE FROM clock")
    years.close()
    text = page(web.as_("view"))
    assert "Uhrzeit noch nicht bekannt" in text
    assert "nach dem Start" in text


def test_a_chosen_kind_is_shown_alone_and_everything_on_demand(web: Web) -> None:
    years = Years(web.options.journal, BEGIN)
    opened(years, BEGIN)
    years.fact(BEGIN, "contact_changed", "front.leaf", active=True, initial=False)
    years.close()
    client = web.as_("view")
    assert len(entries(page(client))) == 1
    assert len(entries(page(client, "/events?kind=everything"))) == 2
    assert entries(page(client, "/events?kind=all")) == entries(page(client))
    assert len(entries(page(client, "/events?kind=contact_changed"))) == 1


def test_an_ending_long_after_its_beginning_is_shown_when_it_was(web: Web) -> None:
    years = Years(web.options.journal, BEGIN)
    years.fact(BEGIN, "alarm_raised", "front/left_open", severity="fault", count=1)
    years._row += SPAN_ROWS
    years.fact(BEGIN + 3 * DAY_MS, "alarm_cleared", "front/left_open", active_ms=3 * DAY_MS)
    years.close()
    cleared, raised = entries(page(web.as_("view")))
    assert "Vorbei: Haupteingang steht offen dauerte 3 Tage" in cleared
    assert raised.endswith("Haupteingang steht offen")


def test_who_may_export_is_led_to_the_same_facts(web: Web) -> None:
    years = Years(web.options.journal, BEGIN)
    opened(years, BEGIN)
    years.close()
    text = page(web.as_("maintenance"), "/events?subject=front")
    assert "/api/v1/export?format=csv&subject=front" in text
    assert "/api/v1/export" not in page(web.as_("staff"))


def test_visits_are_for_maintenance(web: Web) -> None:
    years = Years(web.options.journal, BEGIN)
    years.fact(BEGIN, "occupancy_changed", "wc", occupancy="occupied")
    years.fact(BEGIN + 600_000, "occupancy_changed", "wc", occupancy="vacant", for_ms=600_000)
    years.close()
    assert entries(page(web.as_("staff"))) == []
    assert entries(page(web.as_("maintenance"))) == ["02:00 Besuch WC dauerte 10\u202fmin"]


def test_a_door_that_is_still_open_says_so(web: Web) -> None:
    years = Years(web.options.journal, BEGIN)
    years.fact(BEGIN, "door_opened", "front", cause="hand")
    years.close()
    web.see(snapshot(doors={"front": door("Haupteingang", state="open", since_ms=now_ms())}))
    assert entries(page(web.as_("view")))[0].endswith("noch offen")
