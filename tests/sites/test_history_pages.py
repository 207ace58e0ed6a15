"""Logbook and history of the centre as pages and API, over the embedded store."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.journal.schema import HOUR_MS
from gateway.sites.grants import Grant
from gateway.sites.pages import logbook as logbook_pages
from gateway.web.building.view import iso
from tests.sites.centre_web import CentreWeb
from tests.sites.recorded import MINUTE_MS, opening, point
from tests.sites.test_pages import text_of
from tests.web.conftest import Client

NOW = int(time.time() * 1000)
NOON = NOW // (24 * HOUR_MS) * 24 * HOUR_MS - 12 * HOUR_MS
"""Of yesterday, in UTC."""


@pytest.fixture
def web(tmp_path: Path) -> Iterator[CentreWeb]:
    made = CentreWeb(tmp_path)
    for gateway in made.centre.picture.gateways.values():
        gateway.measure()
    yield made
    made.close()


@pytest.fixture
def anna(web: CentreWeb) -> Client:
    return web.user("anna", Grant("all", "", "maintenance"))


def entries(html: str) -> list[str]:
    rows = re.findall(r'<summary class="log-row">(.*?)</summary>', html, re.DOTALL)
    return [text_of(row).strip() for row in rows]


# --- logbook ------------------------------------------------------------------------------


def test_entries_of_all_sites_stand_below_their_days_newest_first(
    web: CentreWeb, anna: Client
) -> None:
    web.record(
        *opening("bad-1", NOON),
        *opening("bad-2", NOON + MINUTE_MS),
        point(1, NOON - 24 * HOUR_MS, "call_raised", "wc", gateway="office", call="wc-7",
              cause="cord", test=False),
    )  # fmt: skip
    html = anna.get("/logbook").text
    found = entries(html)
    assert [("Bad 2" in one, "Bad 1" in one, "Geschäftsstelle" in one) for one in found] == [
        (True, False, False), (False, True, False), (False, False, True),
    ]  # fmt: skip
    assert "offen 7" in found[0]
    assert html.count('<section class="log-day"') == 2
    assert "/timeline/" not in html
    by = f"web:{web.users.by_name('anna').id}"
    assert (by, "call_looked_at", "office") in web.audited()


def test_the_logbook_is_narrowed_to_a_site_to_what_and_to_words(
    web: CentreWeb, anna: Client
) -> None:
    web.record(
        *opening("bad-1", NOON),
        *opening("bad-2", NOON + MINUTE_MS),
        point(9, NOON + 2 * MINUTE_MS, "leak", "wc", gateway="bad-2", wet=True),
    )
    assert len(entries(anna.get("/logbook").text)) == 3
    (one,) = entries(anna.get("/logbook?site=bad-1").text)
    assert "Bad 1" in one
    assert len(entries(anna.get("/logbook?site=bad-2&show=door").text)) == 1
    assert len(entries(anna.get("/logbook?q=haupteingang").text)) == 2
    html = anna.get("/logbook?q=nirgends").text
    assert entries(html) == []
    assert 'class="card none"' in html


def test_pages_of_the_logbook_leave_nothing_out(
    web: CentreWeb, anna: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logbook_pages, "ENTRIES", 4)
    monkeypatch.setattr("gateway.sites.history.logbook.PIECE", 7)
    for n in range(9):
        web.record(*opening(("bad-1", "bad-2")[n % 2], NOON + n // 2 * 10 * MINUTE_MS, 3 * n + 1))
    address: str | None = "/logbook"
    seen: list[str] = []
    while address:
        html = anna.get(address).text
        seen += re.findall(r'<time datetime="([^"]+)', html)
        found = re.search(r'href="(/logbook\?before=\d+)"', html)
        address = None if found is None else found.group(1)
        assert len(seen) < 20
    wanted = [iso(NOON + n // 2 * 10 * MINUTE_MS) for n in range(9)]
    assert sorted(seen) == sorted(filter(None, wanted))
    assert seen == sorted(seen, reverse=True)


def test_a_store_that_cannot_be_read_is_said_and_the_page_stays(
    web: CentreWeb, anna: Client
) -> None:
    for address in ("/logbook", "/history"):
        html = anna.get(address).text
        assert "ist seit" in text_of(html), address
        assert "nicht lesbar" in text_of(html)
        assert 'href="/alarms"' in html
    answer = anna.get("/api/v1/sites/bad-1/events")
    assert (answer.status_code, answer.json()["reason"]) == (503, "no_history")


@pytest.mark.parametrize(
    ("store", "said"), [("", "kein Speicher"), ("influx://db:8086/o/b", "zeigt Grafana")]
)
def test_where_nothing_can_be_read_it_is_said_why(tmp_path: Path, store: str, said: str) -> None:
    web = CentreWeb(tmp_path, store=store, open_history=None)
    anna = web.user("anna", Grant("all", "", "maintenance"))
    for address in ("/logbook", "/history"):
        assert said in text_of(anna.get(address).text)
    answer = anna.get("/api/v1/sites/bad-1/points/front.leaf/history")
    assert (answer.status_code, answer.json()["reason"]) == (501, "not_recorded")
    web.close()


# --- history ------------------------------------------------------------------------------


def test_one_quantity_of_all_sites_stands_side_by_side(web: CentreWeb, anna: Client) -> None:
    for n, site in enumerate(("bad-1", "bad-2", "office")):
        web.record(
            *(
                point(10 * n + m, NOON + m * 10 * MINUTE_MS, gateway=site, value=20.0 + n)
                for m in range(6)
            )
        )
    start, end = iso(NOON), iso(NOON + HOUR_MS)
    html = anna.get(f"/history?quantity=temperature_c&from={start}&to={end}").text
    titles = re.findall(r"<summary>(Temperatur[^<]*)</summary>", html)
    assert [place in title for place, title in zip(
        ("Bad 1", "Bad 2", "Geschäftsstelle"), titles, strict=True
    )] == [True] * 3  # fmt: skip
    assert set(re.findall(r'<td class="number">(2\d,0)</td>', html)) == {"20,0", "21,0", "22,0"}
    assert "/api/v1/sites/office/points/wc.climate/history?" in html


def test_points_of_several_sites_are_chosen_and_others_are_offered(
    web: CentreWeb, anna: Client
) -> None:
    web.record(point(1, NOON, "contact_changed", "front.leaf", gateway="bad-2", active=True))
    html = anna.get("/history?series=bad-2/front.leaf&series=bad-1/wc.climate,nowhere/x").text
    assert 'value="bad-2/front.leaf" checked' in html
    assert 'value="bad-1/wc.climate" checked' in html
    assert '<option value="office">' in html
    more = anna.get("/history?series=bad-2/front.leaf&site=office").text
    assert 'value="office/front.leaf"' in more


def test_the_api_gives_a_history_and_a_file_of_it(web: CentreWeb, anna: Client) -> None:
    web.record(
        point(1, NOON, value=20.5),
        point(2, NOON + 30 * MINUTE_MS, value=None, reason="silent"),
        point(3, NOON, "contact_changed", "front.leaf", active=True),
    )
    within = f"from={iso(NOON)}&to={iso(NOON + HOUR_MS)}"
    path = "/api/v1/sites/bad-1/points"
    told = anna.get(f"{path}/wc.climate/history?{within}&buckets=1").json()
    (bucket,) = told["quantities"]["temperature_c"]
    assert (bucket["mean"], bucket["count"], bucket["covered_s"]) == (20.5, 1, 1800)
    assert told["from"]
    assert told["to"]
    lane = anna.get(f"{path}/front.leaf/history?{within}").json()
    assert [one["active"] for one in lane["changes"]] == [True]
    german = anna.get(f"{path}/wc.climate/history?{within}&buckets=1&format=csv-de")
    assert "text/csv" in german.headers["content-type"]
    first, second = german.text.lstrip("\ufeff").splitlines()
    assert first == "time;quantity;min;mean;max;count;covered_s;utc_offset"
    assert ";temperature_c;20,5;20,5;20,5;1;1800,0;UTC+0" in second
    plain = anna.get(f"{path}/front.leaf/history?{within}&format=csv").text.splitlines()
    assert plain[0] == "time,active"
    assert plain[1].endswith(",true")
    assert anna.get(f"{path}/nothing/history").status_code == 404
    assert anna.get(f"{path}/front.leaf/history?from={iso(NOON)}&to={iso(NOON)}").status_code == 422


def test_the_api_gives_events_piece_by_piece(web: CentreWeb, anna: Client) -> None:
    web.record(*opening("bad-1", NOON), *opening("bad-2", NOON))
    path = "/api/v1/sites/bad-1/events"
    answer = anna.get(f"{path}?limit=2")
    assert [one["kind"] for one in answer.json()] == ["door_closed", "door_opened"]
    following = re.match(r"<([^>]+)>", answer.headers["link"])
    assert following is not None
    rest = anna.get(following.group(1))
    assert [one["kind"] for one in rest.json()] == ["door_request"]
    assert "link" not in rest.headers
    (one,) = rest.json()
    assert (one["site"], one["boot"], one["journal"]) == ("bad-1", None, None)
    assert anna.get(f"{path}?kind=nothing").status_code == 422
    assert len(anna.get(f"{path}?kind=door_opened").json()) == 1


def test_who_goes_to_a_call_is_for_staff(web: CentreWeb) -> None:
    web.record(
        point(1, NOON, "call_raised", "wc", call="wc-1", cause="cord", test=False),
        point(2, NOON + 9, "call_acknowledged", "wc", call="wc-1", by="mqtt:x", attends="Weber"),
    )
    for role in ("view", "staff"):
        user = web.user(role, Grant("site", "bad-1", role))
        for path in ("/logbook", "/api/v1/sites/bad-1/events"):
            assert ("Weber" in user.get(path).text) == (role == "staff"), (role, path)
