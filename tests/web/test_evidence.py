"""A green is an observation: page, API, health and /metrics, with control, without, and hanging."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from gateway.web.building import control_client as house_module
from gateway.web.building.control_client import ControlClient
from gateway.web.building.guarantees import GUARANTEES, value_of
from gateway.web.building.records import Records
from tests.page.fake import alarm, called, contact, door, guarantee, now_ms, room
from tests.web.conftest import FakePanel, Web, snapshot

MARKS = {"yes": "✓", "no": "✗", "unknown": "?", "absent": "–"}


def all_of(**values: str) -> dict[str, Any]:
    """Every guarantee with fresh evidence, but for those that are named."""
    now = now_ms()
    return {name: guarantee(now, values.get(name, "yes")) for name in GUARANTEES}


def shown(web: Web) -> list[str]:
    """The class of each guarantee on the page, which goes with its mark."""
    page = web.as_("view").call("GET", "/").text
    found = re.findall(r'<li class="(\w+)"><span class="mark" aria-hidden="true">(.)', page)
    assert all(MARKS[name] == mark for name, mark in found)
    return [name for name, _ in found]


def api(web: Web, path: str) -> Any:
    return web.call("GET", f"/api/v1/{path}", headers=web.token("view")).json()


def metrics(web: Web) -> str:
    return web.call("GET", "/metrics", headers=web.token("view")).text


# --- the four values --------------------------------------------------------------------------


def test_a_tick_is_for_yes_only(web: Web) -> None:
    values = {"call": "no", "messages": "unknown", "heartbeat": "not_configured"}
    web.see(snapshot(guarantees=all_of(**values)))
    assert shown(web) == ["yes", "yes", "no", "unknown", "absent", "yes", "yes", "yes", "yes"]
    told = {one["name"]: one["value"] for one in api(web, "guarantees")}
    assert told == {name: values.get(name, "yes") for name in GUARANTEES}
    numbers = metrics(web)
    assert 'portier_guarantee{name="journal"} 1.0' in numbers
    assert 'portier_guarantee{name="call"} 0.0' in numbers
    assert 'portier_guarantee{name="messages"}' not in numbers
    assert 'portier_guarantee{name="heartbeat"}' not in numbers


def test_a_bench_that_tells_nobody_is_calm_and_says_so(web: Web) -> None:
    told = all_of(messages="not_configured")
    told["messages"]["reason"] = "bench"
    web.see(snapshot(guarantees=told))
    page = web.as_("view").get("/", headers={"Accept-Language": "de"}).text
    assert "8 von 8 bestätigt · Prüfstand: niemand wird benachrichtigt" in page
    assert "Prüfstand: Es wird niemand benachrichtigt." in page
    assert "Eingeschränkt" not in page
    web.see(snapshot(guarantees=all_of(messages="not_configured")))
    page = web.as_("view").get("/", headers={"Accept-Language": "de"}).text
    assert "niemand" not in page.partition("h-guarantees")[2].partition("</summary>")[0]


def test_what_control_has_seen_since_its_start_may_have_been_so_for_longer(web: Web) -> None:
    """A restart of control, and so each saved setting, makes every level be read anew."""
    now = now_ms()
    started = now - 600_000
    for since_ms, least in ((started + 400, 10), (started + 300_000, 0), (started - 60_000, 0)):
        guarantees = {name: one | {"since_ms": since_ms} for name, one in all_of().items()}
        shown = snapshot(guarantees=guarantees)
        shown["gateway"] |= {"started_ms": started}
        for one in shown["doors"].values():
            one["since_ms"] = since_ms
        web.see(shown)
        page = web.as_("view").call("GET", "/").text
        assert page.count("seit mindestens ") == (least and 9 + len(shown["doors"]))


@pytest.mark.parametrize(
    ("one", "value"),
    [
        ({"ok": True, "reason": ""}, "yes"),
        ({"ok": False, "reason": "x"}, "no"),
        ({"ok": True, "reason": "not_configured"}, "not_configured"),
        ({"ok": True, "value": "maybe"}, "unknown"),
        ({"ok": True, "value": "unknown"}, "unknown"),
        ({}, "no"),
    ],
)
def test_what_another_version_says_is_never_more_than_it_says(one: Any, value: str) -> None:
    assert value_of(one) == value


def test_the_reason_names_what_it_is_about_and_old_evidence_its_time(web: Web) -> None:
    now = now_ms()
    told = all_of() | {
        "door_by_staff": guarantee(now, "no", "did_not_open") | {"subject": "front"},
        "messages": guarantee(now, void_after_ms=691_200_000),
        "forwarding": guarantee(now, aside=[["homeassistant/x", "refused"]], aside_count=1),
        "recording": guarantee(now, "no", "recorder_aside", aside=70),
    }
    web.see(snapshot(guarantees=told))
    page = web.as_("view").call("GET", "/").text
    assert "Haupteingang: Die Tür ist nach der letzten Ansteuerung zugeblieben" in page
    assert "zuletzt bestätigt" in page
    assert "1 vom Broker abgelehnt: homeassistant/x" in page
    assert "70 Werte zur Seite gelegt" in page


# --- without control --------------------------------------------------------------------------


def everything(web: Web) -> None:
    """A building of which much is known."""
    web.see(
        snapshot(
            guarantees=all_of(),
            doors={"front": door("Haupteingang")},
            points={"wc.climate": contact(None, kind="meter", quantities={
                "temperature_c": {"value": 21.5, "at_ms": now_ms()}})},
            alarms=[alarm("front", "left_open", "fault")],
        )
    )  # fmt: skip


def away(web: Web) -> None:
    web.away()


def hanging(web: Web) -> None:
    """The socket is there and says nothing."""
    web.site.control.silent()


@pytest.mark.parametrize("gone", [away, hanging])
def test_without_control_nothing_is_known(web: Web, gone: Any) -> None:
    everything(web)
    assert set(shown(web)) == {"yes"}
    assert web.call("GET", "/health/ready").json()["panel"] == "ok"
    gone(web)
    assert shown(web) == ["unknown"] * len(GUARANTEES)
    for one in api(web, "guarantees"):
        assert (one["value"], one["ok"], one["reason"]) == ("unknown", False, "no_panel")
        assert one["since"]
    assert api(web, "status")["stale"]
    assert {one["value"] for one in api(web, "status")["guarantees"]} == {"unknown"}
    assert not api(web, "status")["clock_trusted"]
    (front,) = api(web, "doors")
    can = front["can_open"]["staff"]
    assert (can["ok"], can["reason"]) == (False, "no_panel")
    numbers = metrics(web)
    assert "portier_connected 0.0" in numbers
    known = re.findall(
        r"^portier_(?:door|guarantee|alarm|reading|call|clock)\w*(?:{| )", numbers, re.M
    )
    assert known == []
    answer = web.call("GET", "/health/ready")
    assert (answer.status_code, answer.json()["panel"]) == (503, "failed")
    everything(web)
    assert set(shown(web)) == {"yes"}


@pytest.mark.parametrize("gone", [away, hanging])
def test_without_control_no_cord_and_no_point_is_in_order(web: Web, gone: Any) -> None:
    wc = room("WC") | {"leak": {"wet": False, "latched": False, "valve_closed": None}}
    web.see(snapshot(rooms={"wc": wc}, points={"front.leaf": contact()}))
    client = web.as_("maintenance")
    assert "<b>Kein Notruf</b>" in client.call("GET", "/").text
    gone(web)
    page = client.call("GET", "/").text
    assert "<b>Kein Notruf</b>" not in page
    assert "in Ordnung" not in page
    assert "trocken" not in page
    presenter = web.site.presenter("de", None)
    assert [(point.known, point.active) for point in presenter.points] == [(False, False)]
    assert not any(good for one in presenter.rooms for *_, good in one.cords)


@pytest.mark.parametrize("path", ["/", "/alarms"])
def test_no_alarms_is_said_only_of_what_is_known(web: Web, path: str) -> None:
    client = web.as_("staff")

    def page() -> str:
        return str(client.call("GET", path).text)

    none = "Alles in Ordnung" if path == "/" else "Keine Meldungen."
    web.see(snapshot(guarantees={"journal": guarantee(now_ms())}))
    assert none in page()
    web.see(snapshot(rooms={"wc": room("WC", call=called())}))
    assert none not in page()
    assert path == "/" or "Keine weiteren Meldungen." in page()
    away(web)
    assert "Ob es Meldungen gibt, ist nicht bekannt." in page()
    assert none not in page()
    assert "Keine weiteren" not in page()


def test_a_journal_that_can_be_read_and_takes_nothing_is_not_ready(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def head(_records: object) -> int:
        return 1

    monkeypatch.setattr(Records, "head", head)
    everything(web)
    assert web.call("GET", "/health/ready").json()["journal"] == "ok"
    full = {"ok": False, "value": "no", "since_ms": now_ms(), "reason": "journal_full"}
    web.see(snapshot(guarantees={"journal": full}))
    answer = web.call("GET", "/health/ready")
    assert (answer.status_code, answer.json()["journal"]) == (503, "failed")


def test_before_control_was_heard_the_api_says_unknown(web: Web) -> None:
    web.site.control.snapshot = None
    web.away()
    told = {one["name"]: one["value"] for one in api(web, "guarantees")}
    assert told == dict.fromkeys(GUARANTEES, "unknown")
    assert shown(web) == []


def test_a_control_that_sends_no_snapshots_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its socket stays open: nothing else would ever tell."""
    monkeypatch.setattr(house_module, "FRESH_S", 0.01)

    class Hanging(FakePanel):
        async def messages(self) -> AsyncGenerator[dict[str, Any], None]:
            yield {"type": "snapshot", "snapshot": snapshot()}
            await asyncio.Event().wait()

    async def follow() -> list[bool]:
        seen: list[bool] = []
        lost = asyncio.Event()
        house = ControlClient(Hanging())

        def changed() -> None:
            seen.append(house.connected)
            if not house.connected:
                lost.set()

        house.on_change.append(changed)
        task = asyncio.create_task(house.run())
        await lost.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return seen

    assert asyncio.run(follow()) == [True, False]


# --- what is not known has no number ----------------------------------------------------------


def test_an_unknown_door_is_not_a_closed_one(web: Web) -> None:
    doors = {
        "front": door("Haupteingang", state="unknown"),
        "side": door("Seite", state="open"),
        "back": door("Hof"),
    }
    web.see(snapshot(doors=doors))
    numbers = metrics(web)
    assert 'portier_door_open{door="front"}' not in numbers
    assert 'portier_door_open{door="side"} 1.0' in numbers
    assert 'portier_door_open{door="back"} 0.0' in numbers


@pytest.mark.parametrize("state", ["raised", "acknowledged", "attended"])
def test_a_call_that_stands_has_a_number(web: Web, state: str) -> None:
    quiet = room("Dusche")
    call = quiet["call"] | {"state": state, "id": "wc-1"}
    web.see(snapshot(rooms={
        "wc": room("WC") | {"call": call},
        "bath": quiet,
        "try": room("Probe") | {"call": call | {"test": True}},
        "none": room("Flur") | {"call": None},
    }))  # fmt: skip
    numbers = metrics(web)
    active = re.findall(r'portier_call_active{room="(\w+)",state="(\w+)"} 1.0', numbers)
    assert sorted(active) == [("try", "test"), ("wc", state)]
    assert 'portier_call_active{room="bath",state="raised"} 0.0' in numbers
    assert 'room="none"' not in numbers


def test_the_versions_are_a_number_too(web: Web) -> None:
    assert re.search(r'portier_build_info{control="\w*",version="[\d.]+\w*"} 1.0', metrics(web))


def test_the_page_reports_the_time_service_and_says_nothing_where_it_cannot_ask(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without a broker there is no link, and nobody ever said that the clock is right."""
    said: list[bool | None] = [None, True, False]
    panel = Connected()

    async def follow() -> None:
        monkeypatch.setattr(house_module, "REPORT_EVERY_S", 0)
        with pytest.raises(IndexError):
            await ControlClient(panel).report_clock(lambda: said.pop(0))

    asyncio.run(follow())
    assert [one["trusted"] for one in panel.sent if one["type"] == "clock"] == [True, False]


def test_the_page_reports_which_certificates_end(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [None, "", "page"]
    panel = Connected()

    async def follow() -> None:
        monkeypatch.setattr(house_module, "REPORT_EVERY_S", 0)
        with pytest.raises(IndexError):
            await ControlClient(panel).report_certificates(lambda: names.pop(0))

    asyncio.run(follow())
    assert [one["names"] for one in panel.sent if one["type"] == "certificates"] == ["", "page"]


class Connected(FakePanel):
    @property
    def connected(self) -> bool:
        return True
