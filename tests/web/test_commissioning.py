"""The pages of commissioning, and what points and watches are called on all pages."""

from __future__ import annotations

from datetime import UTC
from pathlib import Path

import pytest

from gateway.web.presenter.terminals import Terminals, terminals_of
from gateway.web.shared.words import Words
from tests.page.fake import alarm, contact
from tests.web.conftest import Web, snapshot

POINTS = {"front.leaf": contact(), "front.activation": contact(kind="relay")}


def test_a_relay_is_tested_after_a_question(web: Web) -> None:
    web.see(snapshot(points=POINTS))
    client = web.as_("maintenance")
    page = client.get("/points").text
    assert "/points/test?point=front.activation" in page
    assert "/points/test?point=front.leaf" not in page
    asked = client.get("/points/test?point=front.activation")
    assert asked.status_code == 200
    assert web.panel.commands == []
    done = client.post("/points/test", data={"point": "front.activation"})
    assert done.status_code == 303
    assert web.panel.commands[0]["args"] == {"point": "front.activation", "for_ms": 1000}
    assert "für 1 Sekunde eingeschaltet" in client.get(done.headers["location"]).text


def test_a_refused_test_says_why_on_the_page(web: Web) -> None:
    web.see(snapshot(points=POINTS))
    web.panel.answer = {"status": "refused", "reason": "in_use", "fact": None}
    client = web.as_("maintenance")
    done = client.post("/points/test", data={"point": "front.activation"})
    assert "Der Ausgang wird gerade gebraucht." in client.get(done.headers["location"]).text


@pytest.mark.parametrize("point", ["front.leaf", "nothing", ""])
def test_only_relays_can_be_tested(web: Web, point: str) -> None:
    web.see(snapshot(points=POINTS))
    client = web.as_("maintenance")
    assert client.get(f"/points/test?point={point}").status_code == 404
    assert client.post("/points/test", data={"point": point}).status_code == 404
    assert web.panel.commands == []


def test_staff_see_points_and_doors_but_neither_test_nor_service(web: Web) -> None:
    web.see(snapshot(points=POINTS))
    client = web.as_("staff")
    assert "/points/test" not in client.get("/points").text
    assert "/doors/front/service" not in client.get("/").text
    assert "/doors/front/service" in web.as_("maintenance").get("/").text


@pytest.mark.parametrize(
    ("form", "for_ms"),
    [
        ({"do": "start", "for": "1h"}, 3_600_000),
        ({"do": "start", "for": "4h"}, 14_400_000),
        ({"do": "start", "for": "8h"}, 28_800_000),
        ({"do": "end", "for": "8h"}, 0),
    ],
)
def test_service_mode_on_the_page(web: Web, form: dict[str, str], for_ms: int) -> None:
    answer = web.as_("maintenance").post("/doors/front/service", data=form)
    assert answer.status_code == 303
    assert web.panel.commands[0]["args"] == {"door": "front", "for_ms": for_ms}


@pytest.mark.parametrize("form", [{}, {"do": "start"}, {"do": "start", "for": "9h"}, {"do": "x"}])
def test_service_mode_needs_a_whole_form(web: Web, form: dict[str, str]) -> None:
    assert web.as_("maintenance").post("/doors/front/service", data=form).status_code == 422
    assert web.panel.commands == []


@pytest.fixture
def named(tmp_path: Path) -> Web:
    terminals = Terminals(
        {"front.leaf": ("Haupteingang", "leaf"), "front.button": ("Haupteingang", "button_inside")},
        {"front.leaf": "X1:4"},
        {"boiler": {"de": "Die Heizung ist ausgefallen", "en": "The heating has failed"}},
    )
    return Web(tmp_path, terminals=terminals)


def test_points_and_watches_have_names_for_people(named: Web) -> None:
    named.see(
        snapshot(
            alarms=[
                alarm("front.button", "contact_stuck", "fault"),
                alarm("wc.climate", "watch:boiler", "urgent"),
            ]
        )
    )
    client = named.as_("maintenance")
    german = client.get("/alarms", headers={"Accept-Language": "de"}).text
    assert "Kontakt klemmt: Haupteingang, Taster innen" in german
    assert "Die Heizung ist ausgefallen" in german
    english = client.get("/alarms", headers={"Accept-Language": "en"}).text
    assert "The heating has failed" in english
    assert "X1:4" in client.get("/points").text
    named.close()


def test_a_door_leads_to_its_history_and_events(named: Web) -> None:
    page = named.as_("maintenance").get("/").text
    assert 'href="/history?points=front.leaf"' in page
    assert 'href="/events?kind=all&amp;subject=front"' in page
    staff = named.as_("staff").get("/").text
    assert "/history" not in staff
    assert 'href="/events?kind=all&amp;subject=front"' in staff
    named.close()


def test_the_meter_of_a_room_is_known(tmp_path: Path) -> None:
    from gateway.app.configuration import load

    text = (Path(__file__).parents[2] / "config" / "office.yaml").read_text(encoding="utf-8")
    for line in ("wc.climate:", "climate: wc.climate"):
        text = text.replace(f"#+ {line}", line)
    file = tmp_path / "office.yaml"
    file.write_text(text, encoding="utf-8")
    assert terminals_of(load.settings(file)).climates == {"wc": "wc.climate"}


def test_the_bench_names_every_point_for_people() -> None:
    from gateway.app.configuration import load

    settings = load.settings(Path(__file__).parents[2] / "config" / "office.yaml")
    german, english = Words("de", UTC), Words("en", UTC)
    terminals = terminals_of(settings)
    names = {point: terminals.name(german, point) for point in settings.points}
    assert names["front.button_inside"] == "Haupteingang, Taster innen"
    assert [point for point, name in names.items() if "_" in name or name == point] == []
    assert terminals.labels["front.leaf"] == "X1:4 Reedkontakt"
    assert terminals.name(english, "front.leaf") == "Haupteingang, leaf contact"
    assert terminals.of("Haupteingang") == ["front.leaf", "front.activation"]
