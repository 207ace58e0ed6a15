"""The settings on the page and in the API, with ``control`` behind them played."""

from __future__ import annotations

import asyncio
import html
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.settings.editing.edit import edit
from gateway.settings.editing.file import Store
from gateway.web.settings import rows
from tests.settings.house import DRIVERS, NOW, SMALL, write
from tests.web.conftest import FakePanel, Web, snapshot

HOUSE = SMALL.replace("timezone: Europe/Berlin", "timezone: Europe/Berlin, holidays: DE-SN") + (
    "    schedule: {mon-fri 07:00-12:00 13:00-18:00: automatic, holiday: off, otherwise: night}\n"
    "contacts: {desk: {channels: [!secret desk_url], hours: mon-fri 08:00-16:00}}\n"
    "escalations: {care: [{after: 0 s, notify: desk}]}\n"
    "alarms: {urgent: care}\n"
)


class Control(FakePanel):
    """Answers questions about the settings as ``control`` does, in the same process."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.config = write(folder, HOUSE)
        self.store = Store(folder / "overlay.yaml")

    async def ask(self, message: Any, timeout_s: float = 6.0) -> dict[str, Any]:
        self.sent.append(message)
        asked = {**message["args"], "do": message["do"], "actor": message["actor"]}
        return edit(asked, self.config, self.store, DRIVERS, NOW)


@pytest.fixture
def house(web: Web, tmp_path: Path) -> Web:
    web.panel = Control(tmp_path)
    web.site.house._panel = web.panel
    return web


@pytest.mark.parametrize("role", ["view", "staff", "maintenance"])
def test_only_admins_see_or_change_settings(house: Web, role: str) -> None:
    who = house.as_(role)
    assert who.get("/settings").status_code == 403
    assert who.post("/settings", data={"do": "undo"}).status_code == 403
    assert who.get("/api/v1/settings").status_code == 403
    assert who.call("PUT", "/api/v1/settings", json={}).status_code == 403
    assert house.panel.sent == []


def test_the_page_shows_what_counts_and_no_address(house: Web) -> None:
    page = house.as_("admin").get("/settings", headers={"Accept-Language": "de"}).text
    assert "desk_url" in page
    assert 'value="07:00"' in page
    assert 'value="13:00"' in page
    assert "Die nächsten 14 Tage" in page
    english = house.as_("admin").get("/settings", headers={"Accept-Language": "en"}).text
    assert "The next 14 days" in english


def test_a_form_without_the_token_changes_nothing(house: Web) -> None:
    who = house.as_("admin")
    who.csrf = ""
    assert who.post("/settings", data={"do": "undo", "version": "none"}).status_code == 403
    assert house.panel.sent == []


def saved(house: Web, **fields: str) -> Any:
    given = {"part": "doors.front.exceptions", "do": "save", "version": "none", **fields}
    return house.as_("admin").post("/settings", data=given)


def test_an_exception_is_saved_by_a_plain_form(house: Web) -> None:
    answer = saved(house, **{"first.0": "2026-12-24", "from.0": "08:00", "mode.0": "off"})
    assert answer.status_code == 200
    overlay = house.as_("admin").get("/api/v1/settings").json()["overlay"]
    assert overlay == {"doors": {"front": {"exceptions": {"2026-12-24 08:00-24:00": "off"}}}}


def test_what_is_wrong_stands_at_its_row(house: Web) -> None:
    answer = saved(house, **{"first.0": "2026-12-24", "last.0": "2026-12-01", "mode.0": "off"})
    assert answer.status_code == 422
    assert "endet, bevor es beginnt" in answer.text
    assert 'aria-describedby="e-doors-front-exceptions-0"' in answer.text
    assert house.as_("admin").get("/api/v1/settings").json()["version"] == "none"


def test_two_rows_about_the_same_time_are_refused(house: Web) -> None:
    twice = {"first.0": "2026-12-24", "mode.0": "off", "first.1": "2026-12-24", "mode.1": "night"}
    assert saved(house, **twice).status_code == 422


def test_two_admins_do_not_overwrite_each_other(house: Web) -> None:
    assert saved(house, **{"first.0": "2026-12-24", "mode.0": "off"}).status_code == 200
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


@pytest.mark.parametrize(
    ("language", "limit", "none", "listed"),
    [
        ("de", "Feiertage danach stehen hier nicht", "Ausnahmen danach gibt es nicht",
         ("Do. 24.12.2026, 08:00–24:00: front, Aus",
          "Mo. 28.12.2026 – Fr. 1.1.2027: front, Nacht")),
        ("en", "Public holidays after that are not listed", "There are no exceptions after that",
         ("Thu 24 Dec 2026, 08:00–24:00: front, Off",
          "Mon 28 Dec 2026 – Fri 1 Jan 2027: front, Night")),
    ],
)  # fmt: skip
def test_what_comes_after_the_preview_is_said(
    house: Web, language: str, limit: str, none: str, listed: tuple[str, ...]
) -> None:
    """Its limit in words, and the exceptions after it: also those that are only tried."""
    admin, headers = house.as_("admin"), {"Accept-Language": language}
    page = admin.get("/settings", headers=headers).text
    assert limit in page
    assert none in page
    rows = [
        {"first": "2026-12-28", "last": "2027-01-01", "from": "", "to": "", "mode": "night"},
        {"first": "2026-12-24", "last": "", "from": "08:00", "to": "", "mode": "off"},
        {"first": "2026-11-24", "last": "", "from": "", "to": "", "mode": "off"},
        {"first": "2027-02-30", "last": "", "from": "", "to": "", "mode": "off"},
    ]
    for given, do in ((rows[:3], "preview"), (rows, "preview"), (rows[:3], "save")):
        fields = {f"{name}.{n}": text for n, row in enumerate(given) for name, text in row.items()}
        form = {"part": "doors.front.exceptions", "do": do, "version": "none", **fields}
        page = admin.post("/settings", data=form, headers=headers).text
        assert none not in page
        found = re.findall(r"<li>([^<]*: front, [^<]*)</li>", page)
        assert [html.unescape(one) for one in found] == list(listed)


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


def test_a_contact_is_added_and_taken_away_but_not_one_of_the_file(house: Web) -> None:
    admin = house.as_("admin")

    def post(**fields: str) -> int:
        version = admin.get("/api/v1/settings").json()["version"]
        return admin.post("/settings", data={"version": version, **fields}).status_code

    (house.panel.store.path.parent / "secrets").mkdir()  # type: ignore[attr-defined]
    (house.panel.store.path.parent / "secrets" / "night_url").write_text("json://localhost\n")  # type: ignore[attr-defined]
    assert post(do="new", part="contacts", name="night_watch", secret="night_url") == 200
    effective = admin.get("/api/v1/settings").json()["effective"]
    assert effective["contacts"]["night_watch"] == {"channels": [{"secret": "night_url"}]}
    assert post(do="drop", part="contacts.night_watch") == 200
    assert post(do="drop", part="contacts.desk") == 422


def test_a_contact_whose_secret_is_not_there_is_refused_with_the_remedy(house: Web) -> None:
    """It was saved with a green message, and no message ever went out."""
    admin = house.as_("admin")
    new = {"do": "new", "part": "contacts", "name": "night", "secret": "night_url"}
    answer = admin.post(
        "/settings", data={"version": "none", **new}, headers={"Accept-Language": "de"}
    )
    assert answer.status_code == 422
    assert "die Ablage „night_url“ gibt es nicht; bitte die Adresse in" in answer.text
    assert "/secrets/night_url schreiben" in answer.text
    assert 'name="name" type="text" value="night"' in answer.text  # nobody types it twice
    assert 'name="secret" type="text" value="night_url"' in answer.text
    assert admin.get("/api/v1/settings").json()["version"] == "none"
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
    page = admin.get("/settings", headers={"Accept-Language": "de"}).text
    assert "An diese Kontakte kann keine Nachricht gehen:" in page
    assert "desk: die Ablage „desk_url“ gibt es nicht" in page
    (said,) = admin.get("/api/v1/settings").json()["addresses"]
    assert said.startswith("contacts.desk.channels[0]: there is no secret desk_url; write the")
    assert saved(house, **{"first.0": "2026-12-24", "mode.0": "off"}).status_code == 200
    secrets = house.panel.store.path.parent / "secrets"  # type: ignore[attr-defined]
    secrets.mkdir()
    (secrets / "desk_url").write_text("json://localhost\n")
    assert admin.get("/api/v1/settings").json()["addresses"] == []
    assert "keine Nachricht gehen" not in admin.get("/settings").text


def test_without_control_the_page_says_so(house: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.web.house.house.SETTINGS_CONNECT_S", 0.0)
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
    shown = web.as_("admin").call(method, "/settings", data={"do": "undo"}, headers=HTML)
    assert shown.status_code == 503
    assert "is on the overview. Please try again" in shown.text
    assert "not affected" not in shown.text  # that is not known while control is silent
    assert web.as_("admin").get("/api/v1/settings").json()["reason"] == "no_answer"


def test_with_the_panel_away_the_page_says_where_to_see_whether_doors_work(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.web.house.house.SETTINGS_CONNECT_S", 0.0)
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
    house.site.house._panel = slow = Slow()
    slow.answer = {"status": "accepted", "settings": {"overlay": {}, "version": "none"}}
    who = SimpleNamespace(actor="web:1")

    async def ask() -> list[dict[str, Any]]:
        asked = [
            asyncio.ensure_future(house.site.house.settings("show", {}, who)) for _ in range(100)
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
        admin.post("/settings", data={"do": "undo", "version": "none"}, headers=headers),
    ):
        assert answer.status_code == 503
        assert answer.headers["Retry-After"] == "5"
        if reason == "busy":
            assert word in answer.text


def test_a_control_that_is_dead_is_not_waited_for(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.web.house.house.SETTINGS_CONNECT_S", 0.01)
    monkeypatch.setattr("gateway.web.house.house.SETTINGS_RESTART_S", 600)
    web.away()
    answer = web.as_("admin").get("/settings", headers={"Accept": "text/html"})
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "5"
    assert web.panel.sent == []


def test_a_restart_that_was_announced_is_waited_for_and_shown(web: Web) -> None:
    house, who = web.site.house, SimpleNamespace(actor="web:1")
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
        ("POST", "/settings", None),
    ],
)
def test_who_lost_the_right_while_control_restarted_changes_nothing(
    web: Web, method: str, path: str, body: dict[str, Any] | None
) -> None:
    admin, house = web.as_("admin"), web.site.house
    web.add("other", "admin")
    web.panel.answer = {"status": "accepted", "settings": {"overlay": {}, "version": "1"}}
    values: dict[str, Any] = {"json": body, "headers": {"If-Match": '"1"'}}
    if body is None:
        values = {"data": {"do": "undo:1", "version": "1"}}
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
    assert web.panel.sent == []


@pytest.mark.parametrize(
    ("reason", "text"), [("reload", "is restarting"), ("stop", "has not answered since")]
)
def test_the_page_says_which_of_both_it_is(web: Web, reason: str, text: str) -> None:
    house = web.site.house

    async def go() -> None:
        house._take({"type": "closing", "reason": reason})
        house._take({"type": "away"})

    web.runner.run(go())
    page = web.as_("staff").get("/", headers={"Accept-Language": "en", "Accept": "text/html"}).text
    assert text in page
