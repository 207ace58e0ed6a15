"""The settings on the page and in the API, with ``control`` behind them played."""

from __future__ import annotations

import asyncio
import html
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.push.subscriptions import Subscription
from gateway.settings.editing.edit import edit
from gateway.settings.editing.file import Store
from gateway.web.settings import rows
from tests.living_files import contents
from tests.settings.house import DRIVERS, NOW, SMALL, write
from tests.web.conftest import FakePanel, Web, snapshot
from tests.web.years import Years

HOUSE = SMALL.replace("timezone: Europe/Berlin", "timezone: Europe/Berlin, holidays: DE-SN") + (
    "    schedule: {mon-fri 07:00-12:00 13:00-18:00: automatic, holiday: off, otherwise: night}\n"
    "contacts: {desk: {channels: [!secret desk_url], hours: mon-fri 08:00-16:00}}\n"
    "escalations: {care: [{after: 0 s, notify: desk}]}\n"
    "alarms: {urgent: care}\n"
)


WC_POINTS = (
    "  wc.cord: {driver: gpio_contact, pin: GPIO22, wiring: normally_closed}\n"
    "  wc.cancel: {driver: gpio_contact, pin: GPIO23}\n"
    "  wc.lamp: {driver: gpio_relay, pin: GPIO24, max_on: unlimited}\n"
)
WC = "rooms: {wc: {cord: [wc.cord], cancel: wc.cancel, reassurance: wc.lamp}}\n"
GERMAN = {"Accept-Language": "de"}


class Control(FakePanel):
    """Answers questions about the settings as ``control`` does, in the same process."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.config = write(folder, HOUSE)
        self.store = Store(folder / "overlay.yaml")

    async def ask(self, message: Any, timeout_s: float = 6.0) -> dict[str, Any]:
        self.sent.append(message)
        if message["type"] == "command":
            return {"type": "reply", "id": message["id"], "status": "accepted", "reason": ""}
        asked = {**message["args"], "do": message["do"], "actor": message["actor"]}
        return edit(asked, self.config, self.store, DRIVERS, NOW)


@pytest.fixture
def house(web: Web, tmp_path: Path) -> Web:
    web.panel = Control(tmp_path)
    web.site.control._panel = web.panel
    return web


@pytest.mark.parametrize("role", ["view", "staff", "maintenance"])
def test_only_admins_see_or_change_settings(house: Web, role: str) -> None:
    who = house.as_(role)
    assert who.get("/settings").status_code == 403
    assert who.post("/settings/changes", data={"to": ""}).status_code == 403
    assert who.get("/settings/contacts/desk").status_code == 403
    assert who.post("/settings/contacts/desk", data={"do": "test"}).status_code == 403
    assert who.get("/api/v1/settings").status_code == 403
    assert who.call("PUT", "/api/v1/settings", json={}).status_code == 403
    assert house.panel.sent == []


def test_the_list_says_what_applies_in_sentences(house: Web) -> None:
    page = house.as_("admin").get("/settings", headers={"Accept-Language": "de"}).text
    assert "Mo–Fr 07:00–12:00 Automatik, Mo–Fr 13:00–18:00 Automatik, Feiertag Aus" in page
    assert "Sachsen, nächster Feiertag: Fr. 25.12.2026, Erster Weihnachtstag." in page
    assert "<small>sofort desk</small>" in page
    english = house.as_("admin").get("/settings", headers={"Accept-Language": "en"}).text
    assert "Saxony, next public holiday: Fri 25 Dec 2026, Christmas Day." in english


def test_the_list_says_where_language_and_time_zone_are_set(house: Web) -> None:
    page = house.as_("admin").get("/settings", headers=GERMAN).text
    assert "Zeitzone des Hauses: Europe/Berlin." in page
    assert "Sprachen der Seite und der Nachrichten: Deutsch, English." in page
    assert "Konfigurationsdatei unter „gateway:“" in page


def test_the_week_is_drawn_and_can_be_changed(house: Web) -> None:
    page = house.as_("admin").get("/settings/doors/front").text
    assert 'value="07:00"' in page
    assert '<rect class="m-automatic" x="420" y="0" width="300" height="24"/>' in page
    assert "style=" not in page.split("<main")[1].split("</main")[0]


def test_a_form_without_the_token_changes_nothing(house: Web) -> None:
    who = house.as_("admin")
    who.csrf = ""
    assert who.post("/settings/changes", data={"version": "none"}).status_code == 403
    assert house.panel.sent == []


def saved(house: Web, **fields: str) -> Any:
    given = {"door": "front", "do": "save", "version": "none", **fields}
    return house.as_("admin").post("/settings/days", data=given)


def test_an_exception_is_saved_with_its_reason_by_a_plain_form(house: Web) -> None:
    answer = saved(
        house, **{"first.0": "2026-12-24", "from.0": "08:00", "mode.0": "off", "note.0": "Umzug"}
    )
    assert answer.status_code == 303
    shown = house.as_("admin").get("/api/v1/settings").json()
    assert shown["overlay"] == {
        "doors": {"front": {"exceptions": {"2026-12-24 08:00-24:00": "off"}}},
        "notes": {"front": {"2026-12-24 08:00-24:00": "Umzug"}},
    }
    page = house.as_("admin").get(answer.headers["location"], headers=GERMAN).text
    assert "Gespeichert." in page
    assert "front: Neu: Do. 24.12.2026 08:00–24:00 Aus" in page
    assert "Do. 24.12.2026, 08:00–24:00: „front“ öffnet sich nicht (Aus) (Umzug)" in page
    other = house.as_("admin").get("/settings/days?done=none", headers=GERMAN).text
    assert "Gespeichert." not in other, "that version is not what applies"


def test_a_preview_says_what_will_be_different_and_saves_nothing(house: Web) -> None:
    form = {"first.0": "2026-11-24", "mode.0": "off", "do": "preview"}
    given = {"door": "front", "version": "none", **form}
    page = house.as_("admin").post("/settings/days", data=given, headers=GERMAN).text
    assert "Noch ist nichts gespeichert" in page
    assert "Di. 24.11., front: Aus (bisher 00:00 Nacht, 07:00 Automatik" in page
    assert house.as_("admin").get("/api/v1/settings").json()["version"] == "none"


def test_the_preview_says_also_what_lies_after_its_days(house: Web) -> None:
    form = {"first.0": "2026-12-24", "mode.0": "night", "do": "preview"}
    given = {"door": "front", "version": "none", **form}
    page = house.as_("admin").post("/settings/days", data=given, headers=GERMAN).text
    preview = page[page.index('id="preview"') :].partition("</section>")[0]
    assert "Do. 24.12.2026: „front“ bleibt verriegelt" in preview
    assert "ändert sich nichts" not in page


def test_a_new_exception_is_suggested_as_a_day_off(house: Web) -> None:
    page = house.as_("admin").get("/settings/days", headers=GERMAN).text
    assert '<option value="night" selected>' in page


def test_each_public_holiday_says_what_the_door_does_then(house: Web, tmp_path: Path) -> None:
    def holidays() -> list[str]:
        page = house.as_("admin").get("/settings/days", headers=GERMAN).text
        return re.findall(r"<small>(\w\w\. \d+\.\d+\.2026 · front: [^<]*)</small>", page)

    assert "Fr. 25.12.2026 · front: Aus" in holidays()
    write(tmp_path, HOUSE.replace("holiday: off, ", ""))
    assert "Fr. 25.12.2026 · front: wie sonst an diesem Wochentag" in holidays()
    saved(house, **{"first.0": "2026-12-25", "from.0": "08:00", "mode.0": "night"})
    assert "Fr. 25.12.2026 · front: 08:00–24:00 Nacht" in holidays()


def test_the_region_of_holidays_can_be_changed(house: Web) -> None:
    given = {"do": "region", "region": "DE-BY", "version": "none"}
    assert house.as_("admin").post("/settings/days", data=given).status_code == 303
    page = house.as_("admin").get("/settings/days", headers=GERMAN).text
    assert "Heilige Drei Könige" in page
    assert house.as_("admin").get("/api/v1/settings").json()["holidays"] == "DE-BY"


def test_what_is_wrong_stands_at_its_row(house: Web) -> None:
    wrong = {"first.0": "2026-12-24", "last.0": "2026-12-01", "mode.0": "off"}
    answer = saved(house, **wrong)
    assert answer.status_code == 422
    assert "endet, bevor es beginnt" in answer.text
    assert 'aria-describedby="e-doors-front-exceptions-0"' in answer.text
    assert house.as_("admin").get("/api/v1/settings").json()["version"] == "none"


def test_two_rows_about_the_same_time_are_refused(house: Web) -> None:
    twice = {"first.0": "2026-12-24", "mode.0": "off", "first.1": "2026-12-24", "mode.1": "night"}
    assert saved(house, **twice).status_code == 422


def test_two_admins_do_not_overwrite_each_other(house: Web) -> None:
    assert saved(house, **{"first.0": "2026-12-24", "mode.0": "off"}).status_code == 303
    late = saved(house, **{"first.0": "2026-12-25", "mode.0": "off"})
    assert late.status_code == 409
    assert house.as_("admin").get("/api/v1/settings").json()["before"][0]["version"] == "none"


def test_programs_put_with_the_version_and_go_back(house: Web) -> None:
    admin, path = house.as_("admin"), "/api/v1/settings"
    wanted = {"doors": {"front": {"schedule": {"otherwise": "night"}}}}
    assert admin.call("PUT", path, json=wanted).status_code == 428
    tag = admin.get(path).headers["ETag"]
    done = admin.call("PUT", path, json=wanted, headers={"If-Match": tag})
    assert done.status_code == 200
    again = admin.call("PUT", path, json=wanted, headers={"If-Match": tag})
    assert again.headers["ETag"] == done.headers["ETag"]
    stale = admin.call("PUT", path, json={}, headers={"If-Match": tag})
    assert stale.status_code == 412
    new = {"If-Match": done.headers["ETag"]}
    back = admin.call("POST", path + "/undo", json={}, headers=new)
    assert back.json()["overlay"] == {}
    assert back.json()["before"][0]["version"] == done.headers["ETag"].strip('"')


def test_a_refused_overlay_is_a_problem_with_all_errors(house: Web) -> None:
    bad = {
        "doors": {"front": {"schedule": {"mo": "night"}}, "frnt": {"schedule": {}}},
        "contacts": {"new": {"channels": [{"secret": "no name!"}]}},
    }
    answer = house.as_("admin").call(
        "PUT", "/api/v1/settings", json=bad, headers={"If-Match": '"none"'}
    )
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    where = {error["where"] for error in answer.json()["errors"]}
    assert {"doors.frnt", "doors.front.schedule.mo"} <= where
    assert any(place.startswith("contacts.new") for place in where)
    assert house.panel.store.version() == "none"  # type: ignore[attr-defined]  # a Control


def test_the_preview_knows_holidays_exceptions_and_duty(house: Web) -> None:
    wanted = {"doors": {"front": {"exceptions": {"2026-11-24": "off"}}}}
    days = house.as_("admin").post("/api/v1/settings/preview", json=wanted).json()["preview"]
    by_date = {day["date"]: day for day in days}
    assert len(days) == 14
    front = by_date["2026-11-23"]["doors"]["front"]
    assert [(m["from"], m["mode"]) for m in front["modes"]] == [
        ("00:00", "night"), ("07:00", "automatic"), ("12:00", "night"), ("13:00", "automatic"),
        ("18:00", "night"),
    ]  # fmt: skip
    assert by_date["2026-11-24"]["doors"]["front"] == {
        "exception": True, "modes": [{"from": "00:00", "mode": "off"}],
    }  # fmt: skip
    assert by_date["2026-11-23"]["duty"]["desk"] == [{"from": "08:00", "to": "16:00"}]
    assert by_date["2026-11-22"]["duty"]["desk"] == []
    assert house.panel.store.version() == "none"  # type: ignore[attr-defined]  # a Control


# --- people -------------------------------------------------------------------------------

OWN = "jsons://hooks.example.org/secretpath"


def post(house: Web, path: str, **fields: str) -> Any:
    admin = house.as_("admin")
    version = admin.get("/api/v1/settings").json()["version"]
    return admin.post(path, data={"version": version, "do": "save", **fields}, headers=GERMAN)


def test_a_contact_is_added_and_its_address_shown_by_its_end(house: Web) -> None:
    added = post(house, "/settings/contacts/new", name="Frau Müller", kind="own", to=OWN)
    assert added.status_code == 303
    assert added.headers["location"].startswith("/settings/contacts/frau_mueller?done=")
    page = house.as_("admin").get(added.headers["location"], headers=GERMAN).text
    assert "Gespeichert." in page
    assert "Frau Müller angelegt" in page or "Frau Müller: Adresse" in page
    assert "jsons://…" in page
    assert "noch nicht versucht" in page
    answers = [
        house.as_("admin").get(path)
        for path in ("/settings", "/settings/contacts", "/settings/changes", "/api/v1/settings",
                     "/api/v1/contacts")
    ]  # fmt: skip
    assert [answer.status_code for answer in answers] == [200] * 5
    assert not any("secretpath" in text for text in [page, *(one.text for one in answers)])
    state = house.panel.store.path.parent  # type: ignore[attr-defined]  # a Control
    found = [file for file, content in contents(state) if b"secretpath" in content]
    assert [file.parent.name for file in found] == ["addresses"]


@pytest.mark.parametrize(
    ("kind", "to", "said"),
    [
        ("own", "file:///etc/passwd", "Adressen dieses Dienstes lassen sich hier nicht angeben"),
        ("own", "json://127.0.0.1/", "diese Adresse führt auf dieses Gerät"),
        ("mail", "a@example.org", "für mail ist kein Zugang eingerichtet"),
        ("ntfy", "kein thema!", "das ist kein Thema von ntfy"),
    ],
)
def test_a_wrong_address_is_refused_beside_its_field_and_nothing_is_lost(
    house: Web, kind: str, to: str, said: str
) -> None:
    entered = {"days.0": "mon-fri", "from.0": "08:00", "to.0": "16:00"}
    answer = post(house, "/settings/contacts/new", name="Nacht", kind=kind, to=to, **entered)
    assert answer.status_code == 422
    assert said in answer.text
    assert 'value="Nacht"' in answer.text
    assert html.escape(to) in answer.text
    assert 'value="08:00"' in answer.text
    assert house.as_("admin").get("/api/v1/settings").json()["version"] == "none"


def test_whose_devices_get_push_messages_is_chosen_and_kept(house: Web) -> None:
    house.as_("staff")
    kept = {"name": "desk", "days.0": "mon-fri", "from.0": "08:00", "to.0": "16:00"}
    page = house.as_("admin").get("/settings/contacts/desk", headers=GERMAN).text
    assert '<option value="staff">Personal (0 Geräte)</option>' in page
    assert '<option value="maintenance">Wartung (0 Geräte)</option>' in page
    saved = post(house, "/settings/contacts/desk", push="staff", **kept)
    assert saved.status_code == 303
    shown = house.as_("admin").get("/api/v1/settings").json()
    assert shown["overlay"] == {"contacts": {"desk": {"push": "staff"}}}
    assert shown["effective"]["contacts"]["desk"]["push"] == "staff"
    assert shown["effective"]["contacts"]["desk"]["channels"] == [{"secret": "desk_url"}]
    page = house.as_("admin").get(saved.headers["location"], headers=GERMAN).text
    assert "desk: Push-Nachrichten an Personal" in page
    assert '<option value="staff" selected>' in page
    assert "remove_way.1" not in page, "it is no address that can be removed"
    (desk,) = house.as_("admin").get("/api/v1/contacts").json()
    assert [(way["kind"], way["shown"]) for way in desk["ways"]] == [
        ("secret", "desk_url"), ("push", "staff"),
    ]  # fmt: skip


def test_push_goes_to_one_person_and_to_nobody_again(house: Web) -> None:
    device = Subscription(
        house.users.add_user("berta", "staff", "correct horse battery staple").id, "berta", "staff",
        "s", "Firefox", NOW / 1000, "https://fcm.googleapis.com/x", "k", "a",
    )  # fmt: skip
    house.users.devices.add(device)
    kept = {"name": "desk", "days.0": "mon-fri", "from.0": "08:00", "to.0": "16:00"}
    assert post(house, "/settings/contacts/desk", push="berta", **kept).status_code == 303
    page = house.as_("admin").get("/settings/contacts/desk", headers=GERMAN).text
    assert '<option value="berta" selected>berta (1 Gerät)</option>' in page
    assert post(house, "/settings/contacts/desk", **kept).status_code == 303  # an older form
    effective = house.as_("admin").get("/api/v1/settings").json()["effective"]
    assert effective["contacts"]["desk"]["push"] == "berta"
    saved = post(house, "/settings/contacts/desk", push="", **kept)
    page = house.as_("admin").get(saved.headers["location"], headers=GERMAN).text
    assert "desk: keine Push-Nachrichten mehr an berta" in page
    effective = house.as_("admin").get("/api/v1/settings").json()["effective"]
    assert "push" not in effective["contacts"]["desk"]
    refused = post(house, "/settings/contacts/desk", push="nobody-here", **kept)
    assert refused.status_code == 422


def test_push_of_the_configuration_can_be_taken_away(house: Web) -> None:
    config = house.panel.config  # type: ignore[attr-defined]  # a Control
    config.write_text(HOUSE.replace("[!secret desk_url],", "[!secret desk_url], push: admin,"))
    kept = {"name": "desk", "days.0": "mon-fri", "from.0": "08:00", "to.0": "16:00"}
    assert post(house, "/settings/contacts/desk", push="", **kept).status_code == 303
    shown = house.as_("admin").get("/api/v1/settings").json()
    assert shown["overlay"] == {"contacts": {"desk": {"push": ""}}}
    assert [one["kind"] for one in shown["ways"]["desk"]] == ["secret"]


def test_a_contact_with_push_alone_is_added_and_said_to_be_new(house: Web) -> None:
    added = post(house, "/settings/contacts/new", name="Empfang", push="staff")
    page = house.as_("admin").get(added.headers["location"], headers=GERMAN).text
    assert "Empfang angelegt" in page
    assert "statt empfang" not in page
    post(house, "/settings/contacts/empfang", do="drop")
    changes = house.as_("admin").get("/settings/changes", headers=GERMAN).text
    assert "empfang entfernt" in changes


def test_a_contact_of_the_page_is_removed_with_its_address_and_its_name(house: Web) -> None:
    post(house, "/settings/contacts/new", name="Nacht", kind="own", to=OWN)
    gone = post(house, "/settings/contacts/nacht", do="drop", forget="on")
    assert gone.status_code == 303
    state = house.panel.store.path.parent  # type: ignore[attr-defined]  # a Control
    assert list((state / "addresses").iterdir()) == []
    assert not any(b"nacht" in content for _, content in contents(state, "**/*.yaml"))
    assert post(house, "/settings/contacts/desk", do="drop").status_code == 422


def test_hours_and_name_of_a_contact_of_the_file_are_changed_alone(house: Web) -> None:
    fields = {"name": "Empfang", "days.0": "mon-fri", "from.0": "07:00", "to.0": "16:00"}
    assert post(house, "/settings/contacts/desk", to="", **fields).status_code == 303
    shown = house.as_("admin").get("/api/v1/settings").json()
    assert shown["overlay"] == {
        "contacts": {"desk": {"name": "Empfang", "hours": ["mon-fri 07:00-16:00"]}}
    }
    page = house.as_("admin").get("/settings/changes", headers=GERMAN).text
    assert "Empfang: Mo–Fr 07:00–16:00 statt Mo–Fr 08:00–16:00" in page


def test_what_is_saved_twice_is_one_change(house: Web) -> None:
    fields = {"name": "desk", "days.0": "mon-fri", "from.0": "08:00", "to.0": "16:00"}
    post(house, "/settings/contacts/desk", to="", **fields)
    assert house.as_("admin").get("/api/v1/settings").json()["overlay"] == {}


def results(house: Web, *ways: dict[str, Any]) -> None:
    empty = {"ok": None, "reason": "", "at_utc_ms": None, "delivered_utc_ms": None,
             "under_way": False, "confirmed": False}  # fmt: skip
    receivers = {"desk": {"on_duty": True, "ways": [{**empty, **way} for way in ways]}}
    house.site.control._take({"type": "snapshot", "snapshot": snapshot(receivers=receivers)})


@pytest.mark.parametrize(
    ("way", "said"),
    [
        ({}, "noch nicht versucht"),
        ({"under_way": True}, "wird gerade übergeben"),
        ({"ok": True, "at_utc_ms": 1_795_000_000_000}, "übergeben "),
        ({"ok": True, "at_utc_ms": 1_795_000_000_000, "confirmed": True}, "Empfang bestätigt"),
        ({"ok": False, "reason": "connection"}, "keine Verbindung"),
        ({"ok": False, "reason": "http 500"}, "abgewiesen (500)"),
        ({"ok": False, "reason": "forbidden"}, "diese Adresse ist nicht erlaubt"),
        ({"ok": False, "reason": "timeout"}, "Bisher wurde hier keine Nachricht übergeben."),
        (
            {"ok": False, "reason": "timeout", "delivered_utc_ms": 1_795_000_000_000},
            "Zuletzt übergeben: ",
        ),
    ],
)
def test_the_page_says_what_became_of_the_last_message(
    house: Web, way: dict[str, Any], said: str
) -> None:
    results(house, way)
    page = house.as_("admin").get("/settings/contacts/desk", headers=GERMAN).text
    assert said in page


def test_a_test_message_is_a_command_and_its_result_is_shown(house: Web) -> None:
    results(house, {})
    asked = house.site.control.ask

    async def ask(name: str, *args: Any, **more: Any) -> Any:
        answer = await asked(name, *args, **more)
        results(house, {"ok": True, "at_utc_ms": 1_795_000_000_000})
        return answer

    house.site.control.ask = ask  # type: ignore[method-assign]
    sent = post(house, "/settings/contacts/desk", do="test")
    assert sent.status_code == 303
    (command,) = house.panel.commands
    assert (command["name"], command["args"]) == ("test_message", {"receiver": "desk"})
    page = house.as_("admin").get(sent.headers["location"].split("#")[0], headers=GERMAN).text
    assert "steht für jede Adresse, was daraus wurde" in page
    assert "übergeben " in page


def test_a_test_message_that_went_out_by_no_way_is_no_success(house: Web) -> None:
    results(house, {"ok": False, "reason": "connection", "at_utc_ms": 1_795_000_000_000})
    page = house.as_("admin").get("/settings/contacts/desk?tested=done", headers=GERMAN).text
    assert "kam nicht auf jedem Weg hinaus" in page
    assert "ist abgeschickt" not in page


def test_a_test_message_that_nobody_tried_is_not_said_to_be_sent(
    house: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.web.settings.contact_pages.TEST_WITHIN_S", 0.05)
    results(house, {})
    sent = post(house, "/settings/contacts/desk", do="test")
    page = house.as_("admin").get(sent.headers["location"].split("#")[0], headers=GERMAN).text
    assert "noch nicht versucht" in page
    assert "abgeschickt" not in page


# --- chains -------------------------------------------------------------------------------


def test_a_chain_is_previewed_in_words_saved_and_attached(house: Web) -> None:
    post(house, "/settings/contacts/new", name="Pflegedienst", kind="own", to=OWN)
    steps = {
        "kind.0": "after", "count.0": "0", "unit.0": "s", "notify.0": "desk",
        "kind.1": "every", "count.1": "5", "unit.1": "min", "notify.1": "pflegedienst",
    }  # fmt: skip
    tried = post(house, "/settings/chains/new", name="Nachts", do="preview", **steps)
    assert "sofort desk, danach alle 5 min Pflegedienst" in tried.text
    done = post(house, "/settings/chains/new", name="Nachts", **steps, **{"alarm.fault": "on"})
    assert done.status_code == 303
    effective = house.as_("admin").get("/api/v1/settings").json()["effective"]
    assert effective["alarms"] == {"urgent": "care", "fault": "nachts"}
    page = house.as_("admin").get("/settings/chains", headers=GERMAN).text
    assert "Meldungen: Störung" in page
    assert post(house, "/settings/chains/nachts", do="drop").status_code == 303
    effective = house.as_("admin").get("/api/v1/settings").json()["effective"]
    assert effective["alarms"] == {"urgent": "care"}


def test_a_chain_for_nothing_says_so(house: Web) -> None:
    steps = {"kind.0": "after", "count.0": "0", "unit.0": "s", "notify.0": "desk"}
    post(house, "/settings/chains/new", name="Nachts", **steps)
    idle = house.as_("admin").get("/settings/chains/nachts", headers=GERMAN).text
    assert "Diese Kette gilt noch für nichts" in idle
    care = house.as_("admin").get("/settings/chains/care", headers=GERMAN).text
    assert "gilt noch für nichts" not in care


def test_a_chain_is_called_by_what_it_is_for(house: Web) -> None:
    """Its id is what the configuration calls it, and stands beside it."""
    who = house.as_("admin")
    chain = who.get("/settings/chains/care", headers=GERMAN).text
    assert "<h1>Meldungen: Dringend</h1>" in chain
    assert "Kette care" in chain
    assert "<b>Meldungen: Dringend</b>" in who.get("/settings/chains", headers=GERMAN).text
    contact = who.get("/settings/contacts/desk", headers=GERMAN).text
    assert '<a href="/settings/chains/care">Meldungen: Dringend</a>' in contact
    assert "in keiner Kette" not in contact


def test_a_contact_in_no_chain_says_that_it_is_told_nothing(house: Web) -> None:
    post(house, "/settings/contacts/new", name="Nacht", kind="own", to=OWN)
    assert (
        "in keiner Kette" in house.as_("admin").get("/settings/contacts/nacht", headers=GERMAN).text
    )


def test_a_new_chain_is_for_the_rooms_that_have_none(house: Web, tmp_path: Path) -> None:
    write(tmp_path, HOUSE.replace("doors:\n", WC_POINTS + "doors:\n", 1) + WC)
    new = house.as_("admin").get("/settings/chains/new", headers=GERMAN).text
    assert 'name="room.wc" checked' in new
    assert 'name="alarm.urgent" checked' not in new


def test_a_chain_that_cannot_work_is_refused_at_its_step(house: Web) -> None:
    steps = {"kind.0": "every", "count.0": "5", "unit.0": "min", "notify.0": "desk"}
    refused = post(house, "/settings/chains/care", **steps)
    assert refused.status_code == 422
    assert 'aria-describedby="e-escalations-care-0"' in refused.text


# --- what was changed ---------------------------------------------------------------------


def test_changes_are_sentences_with_undo_and_redo(house: Web) -> None:
    week = {
        "days.0": "mon-fri", "from.0": "06:30", "to.0": "12:00", "mode.0": "automatic",
        "days.1": "mon-fri", "from.1": "13:00", "to.1": "18:00", "mode.1": "automatic",
        "days.2": "holiday", "mode.2": "off", "otherwise": "night",
    }  # fmt: skip
    assert post(house, "/settings/doors/front", **week).status_code == 303
    page = house.as_("admin").get("/settings/changes", headers=GERMAN).text
    assert "front: Mo–Fr ab 06:30 statt 07:00" in page
    assert "Zurücknehmen" in page
    back = post(house, "/settings/changes", to="none")
    assert back.status_code == 303
    page = house.as_("admin").get("/settings/changes", headers=GERMAN).text
    assert "front: Mo–Fr ab 07:00 statt 06:30" in page
    assert "Wiederholen" in page
    assert post(house, "/settings/changes").status_code == 303
    shown = house.as_("admin").get("/api/v1/settings").json()
    assert "mon-fri 06:30-12:00" in shown["effective"]["doors"]["front"]["schedule"]


def test_the_logbook_says_to_admins_what_a_change_has_changed(house: Web) -> None:
    kept = {"name": "Empfang", "days.0": "mon-fri", "from.0": "07:00", "to.0": "16:00"}
    assert post(house, "/settings/contacts/desk", **kept).status_code == 303
    by = f"web:{house.users.by_name('admin').id}"
    years = Years(house.options.journal, NOW - 60_000)
    years.fact(NOW - 50_000, "configuration_changed", "office", digest="a", by=by)
    years.fact(NOW + 1_000, "configuration_changed", "office", digest="b", by="web:77")
    years.fact(NOW + 2_000, "configuration_changed", "office", digest="c", by=by)
    years.fact(NOW + 90_000, "configuration_changed", "office", digest="d", by=by)
    years.close()
    page = html.unescape(house.as_("admin").get("/events", headers=GERMAN).text)
    lines = re.findall(r'(?s)<summary class="log-row">.*?</summary>', page)
    saying = [
        line for line in lines if "Empfang: Mo–Fr 07:00–16:00 statt Mo–Fr 08:00–16:00" in line
    ]
    assert len(lines) == 4
    assert saying == [lines[1]], "the first one by the same person that came after it"
    assert "Empfang statt desk" in saying[0]
    assert "statt" not in house.as_("staff").get("/events", headers=GERMAN).text


def test_without_the_saved_versions_the_logbook_says_who(house: Web) -> None:
    by = f"web:{house.users.add_user('berta', 'admin', 'correct horse battery staple').id}"
    years = Years(house.options.journal, NOW)
    years.fact(NOW + 2_000, "configuration_changed", "office", digest="a", by=by)
    years.close()
    house.site.control.connected = False
    assert (
        "berta änderte die Einstellungen" in house.as_("admin").get("/events", headers=GERMAN).text
    )


def test_a_contact_whose_secret_is_not_there_is_refused_with_the_remedy(house: Web) -> None:
    """It was saved with a green message, and no message ever went out."""
    admin = house.as_("admin")
    sections = {"contacts": {"desk": {"channels": [{"secret": "desk_url"}, {"secret": "b_url"}]}}}
    for way, tag in (("put", '"none"'), ("preview", "")):
        refused = admin.call(
            way.upper() if way == "put" else "POST",
            "/api/v1/settings" + ("" if way == "put" else "/preview"),
            json=sections,
            headers={"If-Match": tag},
        )
        assert refused.status_code == 422
        (error,) = refused.json()["errors"]
        assert error["where"] == "contacts.desk.channels[1]"
        assert error["what"] == "there is no secret b_url"
        assert "write the address into" in error["hint"]


def test_an_address_that_has_gone_missing_is_named_and_refuses_nothing_else(house: Web) -> None:
    admin = house.as_("admin")
    page = admin.get("/settings/contacts", headers={"Accept-Language": "de"}).text
    assert "An diese Kontakte kann keine Nachricht gehen:" in page
    assert "desk: die Ablage „desk_url“ gibt es nicht" in page
    (said,) = admin.get("/api/v1/settings").json()["addresses"]
    assert said.startswith("contacts.desk.channels[0]: there is no secret desk_url; write the")
    assert saved(house, **{"first.0": "2026-12-24", "mode.0": "off"}).status_code == 303
    secrets = house.panel.store.path.parent / "secrets"  # type: ignore[attr-defined]
    secrets.mkdir()
    (secrets / "desk_url").write_text("json://localhost\n")
    assert admin.get("/api/v1/settings").json()["addresses"] == []
    assert "keine Nachricht gehen" not in admin.get("/settings/contacts").text


def test_without_control_the_page_says_so(house: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.web.building.control_client.SETTINGS_CONNECT_S", 0.0)
    house.away()
    answer = house.as_("admin").get("/api/v1/settings")
    assert answer.status_code == 503
    assert answer.json()["reason"] == "no_panel"


@pytest.mark.parametrize(
    ("kind", "lines"),
    [
        ("schedule", {"mon-fri 07:00-18:00": "automatic", "holiday": "off", "otherwise": "night"}),
        ("schedule", {"daily 22:00-24:00": "night", "mon,wed": "off"}),
        ("exceptions", {"2026-12-24 08:00-12:00": "automatic", "2026-12-28..2026-12-31": "night"}),
    ],
)
def test_rows_say_what_the_lines_said(kind: str, lines: dict[str, str]) -> None:
    assert rows.value(rows.weekly("doors.front." + kind, kind, lines)) == lines


HTML = {"Accept": "text/html", "Accept-Language": "en"}


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("answer", ["none", "without settings"])
def test_an_answer_that_shows_nothing_is_a_page_with_a_way_out(
    web: Web, method: str, answer: str
) -> None:
    if answer == "none":
        web.panel.answer = None
    path = "/settings" if method == "GET" else "/settings/changes"
    shown = web.as_("admin").call(method, path, data={"version": "none"}, headers=HTML)
    assert shown.status_code == 503
    assert "is on the overview. Please try again" in shown.text
    assert "not affected" not in shown.text  # that is not known while control is silent
    assert web.as_("admin").get("/api/v1/settings").json()["reason"] == "no_answer"


def test_with_the_panel_away_the_page_says_where_to_see_whether_doors_work(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.web.building.control_client.SETTINGS_CONNECT_S", 0.0)
    web.away()
    shown = web.as_("admin").get("/settings", headers=HTML)
    assert shown.status_code == 503
    assert "is on the overview. Please try again" in shown.text
    assert "not affected" not in shown.text  # that is not known while control is silent
    assert shown.headers["retry-after"] == "5"


# --- control is busy, starts again, or is dead --------------------------------------------


class Slow(FakePanel):
    """Answers when it is allowed to."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = asyncio.Event()

    async def ask(self, message: Any, timeout_s: float = 6.0) -> dict[str, Any]:
        await self.go_on.wait()
        return await super().ask(message, timeout_s)


def test_a_hundred_who_ask_at_once_are_one_question(house: Web) -> None:
    house.site.control._panel = slow = Slow()
    slow.answer = {"status": "accepted", "settings": {"overlay": {}, "version": "none"}}
    who = SimpleNamespace(actor="web:1")

    async def ask() -> list[dict[str, Any]]:
        asked = [
            asyncio.ensure_future(house.site.control.settings("show", {}, who)) for _ in range(100)
        ]
        await asyncio.sleep(0)
        slow.go_on.set()
        return await asyncio.gather(*asked)

    found = house.runner.run(ask())
    assert len(found) == 100
    assert len(slow.sent) == 1
    found[0]["settings"]["overlay"]["x"] = 1
    assert found[1]["settings"]["overlay"] == {}, "nobody changes what another one sees"


@pytest.mark.parametrize("reason", ["busy", "limit"])
@pytest.mark.parametrize(("language", "word"), [("de", "gleich"), ("en", "moment")])
def test_who_finds_control_busy_is_asked_to_come_back(
    web: Web, reason: str, language: str, word: str
) -> None:
    web.panel.answer = {"status": "refused", "reason": reason}
    admin = web.as_("admin")
    headers = {"Accept-Language": language, "Accept": "text/html"}
    for answer in (
        admin.get("/settings", headers=headers),
        admin.get("/api/v1/settings", headers={"Accept-Language": language}),
        admin.post("/settings/changes", data={"version": "none"}, headers=headers),
    ):
        assert answer.status_code == 503
        assert answer.headers["Retry-After"] == "5"
        if reason == "busy":
            assert word in answer.text


def test_a_control_that_is_dead_is_not_waited_for(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.web.building.control_client.SETTINGS_CONNECT_S", 0.01)
    monkeypatch.setattr("gateway.web.building.control_client.SETTINGS_RESTART_S", 600)
    web.away()
    answer = web.as_("admin").get("/settings", headers={"Accept": "text/html"})
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "5"
    assert web.panel.sent == []


def test_a_restart_that_was_announced_is_waited_for_and_shown(web: Web) -> None:
    house, who = web.site.control, SimpleNamespace(actor="web:1")
    web.panel.answer = {"status": "accepted", "settings": {"overlay": {}}}

    async def restart() -> dict[str, Any]:
        house._take({"type": "closing", "reason": "reload"})
        house._take({"type": "away"})
        assert house.restarting
        asked = asyncio.ensure_future(house.settings("show", {}, who))
        await asyncio.sleep(0)
        assert not asked.done()
        house._take({"type": "snapshot", "snapshot": snapshot()})
        return await asked

    assert web.runner.run(restart())["status"] == "accepted"
    assert not house.restarting


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/api/v1/settings", {}),
        ("POST", "/api/v1/settings/undo", {}),
        ("POST", "/settings/changes", None),
    ],
)
def test_who_lost_the_right_while_control_restarted_changes_nothing(
    web: Web, method: str, path: str, body: dict[str, Any] | None
) -> None:
    admin, house = web.as_("admin"), web.site.control
    web.add("other", "admin")
    web.panel.answer = {"status": "accepted", "settings": {"overlay": {}, "version": "1"}}
    values: dict[str, Any] = {"json": body, "headers": {"If-Match": '"1"'}}
    if body is None:
        values = {"data": {"to": "1", "version": "1"}}
    headers = {"Cookie": admin.cookie, "Origin": web.base, "X-CSRF-Token": admin.csrf}
    values["headers"] = {**values.get("headers", {}), **headers}

    async def restart() -> int:
        house._take({"type": "closing", "reason": "reload"})
        house._take({"type": "away"})
        waits = asyncio.Event()
        back = house._back

        async def noted(began: float) -> bool:
            waits.set()
            return await back(began)

        house._back = noted  # type: ignore[method-assign]
        asked = asyncio.ensure_future(web._call(method, path, **values))
        await asyncio.wait_for(waits.wait(), 30)
        web.users.set_role("admin", "staff")
        house._take({"type": "snapshot", "snapshot": snapshot()})
        return (await asked).status_code

    assert web.runner.run(restart()) == 401
    assert [one for one in web.panel.sent if one["do"] != "show"] == []


def test_while_a_save_is_taken_over_the_page_shows_it_and_asks_nobody(house: Web) -> None:
    """No "does not answer" for a restart that was announced."""
    answer = saved(house, **{"first.0": "2026-12-24", "mode.0": "off"})

    async def restart() -> None:
        house.site.control._take({"type": "closing", "reason": "reload"})
        house.site.control._take({"type": "away"})

    house.runner.run(restart())
    house.panel.sent.clear()
    page = house.as_("admin").get(answer.headers["location"], headers=GERMAN)
    assert page.status_code == 200
    assert "Die Steuerung startet gerade neu und übernimmt" in page.text
    assert "Gespeichert." in page.text
    assert house.panel.sent == []


def test_a_restart_for_what_was_saved_is_no_fault_where_it_was_not_announced(house: Web) -> None:
    saved(house, **{"first.0": "2026-12-24", "mode.0": "off"})

    async def restart() -> None:
        house.site.control._take({"type": "away"})

    house.runner.run(restart())
    page = house.as_("admin").get("/", headers=GERMAN).text
    assert '<p class="restarts">' in page
    assert "Die Steuerung startet mit den neuen Einstellungen." in page
    assert "antwortet nicht" not in page


def test_with_control_dead_the_page_says_so_at_once_and_shows_what_was_known(house: Web) -> None:
    admin = house.as_("admin")
    admin.get("/settings")
    house.away()
    house.panel.sent.clear()
    page = admin.get("/settings", headers=GERMAN)
    assert page.status_code == 200
    assert "Die Steuerung antwortet nicht. Hier steht, was zuletzt bekannt war" in page.text
    assert house.panel.sent == []


def test_nobody_waits_for_a_control_that_begins_to_hang(web: Web) -> None:
    web.site.control._panel = Slow()
    who = SimpleNamespace(actor="web:1")

    async def hang() -> dict[str, Any]:
        asked = asyncio.ensure_future(web.site.control.settings("put", {}, who))
        for _ in range(5):  # until it is asked
            await asyncio.sleep(0)
        web.site.control.silent()
        return await asked

    assert web.runner.run(hang())["reason"] == "no_answer"


@pytest.mark.parametrize(
    ("reason", "text"), [("reload", "is restarting"), ("stop", "has not answered since")]
)
def test_the_page_says_which_of_both_it_is(web: Web, reason: str, text: str) -> None:
    house = web.site.control

    async def go() -> None:
        house._take({"type": "closing", "reason": reason})
        house._take({"type": "away"})

    web.runner.run(go())
    page = web.as_("staff").get("/", headers={"Accept-Language": "en", "Accept": "text/html"}).text
    assert text in page
