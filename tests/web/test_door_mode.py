"""The form that sets a door's mode: how long, until what time, until the schedule changes."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.page.fake import door
from tests.web.conftest import Web, snapshot

ZONE = ZoneInfo("Europe/Berlin")
GERMAN = {"Accept-Language": "de"}


def at_noon(**of_door: Any) -> dict[str, Any]:
    """The building at noon of a day without a change of the clocks."""
    told = snapshot(doors={"front": door("Haupteingang") | of_door})
    noon = datetime(2026, 12, 1, 12, tzinfo=ZONE)
    told["utc_offset_ms"] = int(noon.timestamp() * 1000) - told["now_ms"]
    return told


def utc_ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZONE).timestamp() * 1000)


@pytest.fixture
def noon(tmp_path: Path) -> Any:
    web = Web(tmp_path, zone=ZONE)
    web.see(at_noon())
    yield web
    web.close()


def post(web: Web, **fields: str) -> Any:
    return web.as_("staff").post("/doors/front/mode", data={"mode": "hold_open", **fields})


def test_a_time_alone_is_today(noon: Web) -> None:
    post(noon, until="18:00")
    assert noon.panel.commands[-1]["args"]["until_utc_ms"] == utc_ms("2026-12-01T18:00")


def test_a_day_can_be_added(noon: Web) -> None:
    post(noon, until="08:00", day="2026-12-02")
    assert noon.panel.commands[-1]["args"]["until_utc_ms"] == utc_ms("2026-12-02T08:00")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"until": "11:00"}, "schon vorbei"),  # never silently tomorrow: the door would stay open
        ({"day": "2026-12-02"}, "auch eine Uhrzeit"),
    ],
)
def test_what_cannot_be_meant_is_said_with_all_that_was_entered(
    noon: Web, fields: dict[str, str], said: str
) -> None:
    client = noon.as_("staff")
    answer = client.post("/doors/front/mode", data={"mode": "hold_open", **fields})
    shown = client.get(answer.headers["location"], headers=GERMAN).text
    assert said in shown
    for value in fields.values():
        assert f'value="{value}"' in shown
    assert '<option value="hold_open" selected>' in shown
    assert noon.panel.commands == []


@pytest.mark.parametrize(
    "fields", [{"until": "soon"}, {"until": "18:00", "day": "x"}, {"for": "until:x"}]
)
def test_what_no_browser_sends_is_malformed(noon: Web, fields: dict[str, str]) -> None:
    assert post(noon, **fields).status_code == 422
    assert noon.panel.commands == []


def test_the_next_change_of_the_schedule_is_a_choice(noon: Web) -> None:
    change = utc_ms("2026-12-01T18:00")
    noon.see(at_noon(next_mode={"utc_ms": change, "mode": "night"}))
    shown = noon.as_("staff").get("/", headers=GERMAN).text
    assert f'<option value="until:{change}">bis zum nächsten Wechsel (18:00)</option>' in shown
    assert "nach Plan" in shown
    post(noon, **{"for": f"until:{change}"})
    assert noon.panel.commands[-1]["args"]["until_utc_ms"] == change


def test_no_change_is_promised_where_none_is_foreseen(noon: Web) -> None:
    shown = noon.as_("staff").get("/", headers=GERMAN).text
    assert "bis zum nächsten Wechsel" not in shown
    assert "kein Wechsel geplant" in shown


def test_the_end_of_an_override_is_no_change_of_the_schedule(noon: Web) -> None:
    end = utc_ms("2026-12-01T15:00")
    override = {"mode_source": "override", "mode_by": "web:1", "mode_until_utc_ms": end}
    noon.see(at_noon(next_mode={"utc_ms": end, "mode": "automatic"}, **override))
    shown = noon.as_("staff").get("/", headers=GERMAN).text
    assert "bis zum nächsten Wechsel" not in shown


def test_without_a_clock_nothing_is_said_of_the_schedule(noon: Web) -> None:
    noon.see(at_noon() | {"clock_trusted": False})
    assert "kein Wechsel geplant" not in noon.as_("staff").get("/", headers=GERMAN).text
