"""The system status over time: bars, shares, and the record of each guarantee."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest

from gateway.control.guarantees import GUARANTEES as OF_CONTROL
from gateway.core.notification.alarms import ALARM_KINDS
from gateway.web.building.guarantees import GUARANTEES
from gateway.web.presenter.presenter import Presenter
from gateway.web.system.promises import BREAKS
from gateway.web.system.reading import SENSOR_ALARMS, read_past
from gateway.web.system.view import HIGH, percent
from tests.page.fake import contact, guarantee, now_ms
from tests.web.conftest import Web, snapshot
from tests.web.years import DAY_MS, Years

GERMAN = {"Accept-Language": "de"}
MINUTE = 60_000
HOUR = 60 * MINUTE


def now(web: Web) -> int:
    return web.site.control.now_utc_ms


def told(web: Web, *facts: tuple[int, str, str, dict[str, Any]]) -> None:
    """Facts by how long ago they were."""
    begin = now(web) - 60 * DAY_MS
    years = Years(web.options.journal, begin)
    for ago, kind, subject, data in sorted(facts, key=lambda fact: -fact[0]):
        years.fact(begin + 60 * DAY_MS - ago, kind, subject, **data)
    years.close()


def started(ago: int, *, clean: bool = True) -> tuple[int, str, str, dict[str, Any]]:
    return ago, "gateway_started", "test", {"version": "1", "configuration": "c", "clean": clean}


def stopped(ago: int) -> tuple[int, str, str, dict[str, Any]]:
    return ago, "gateway_stopped", "test", {"reason": "SIGTERM"}


def changed(ago: int, value: str, **data: Any) -> tuple[int, str, str, dict[str, Any]]:
    return ago, "guarantee_changed", "journal", {"value": value, **data}


def status(web: Web) -> str:
    return html.unescape(web.as_("view").get("/system", headers=GERMAN).text)


def summary(text: str, id: str = "journal") -> str:
    found = re.search(rf'(?s)id="status-{re.escape(id)}".*?aria-label="([^"]*)"', text)
    assert found
    return found[1].replace("\u202f", " ")


def test_a_guarantee_that_was_always_so_is_whole(web: Web) -> None:
    told(web, started(50 * DAY_MS), changed(50 * DAY_MS - 5_000, "yes"))
    text = status(web)
    assert summary(text).endswith("die letzten 30 Tage: 100 %")
    assert "in Ordnung seit mehr als 30 Tagen" in text
    assert text.count('class="hit"') == 30 * 2  # of the guarantee and of one point


def test_a_fault_is_counted_named_and_seen_however_short(web: Web) -> None:
    told(
        web,
        started(50 * DAY_MS),
        changed(50 * DAY_MS - 5_000, "yes"),
        changed(5 * DAY_MS, "no", before="yes", reason="journal_full"),
        changed(5 * DAY_MS - 10 * MINUTE, "yes", before="no"),
    )
    text = status(web)
    assert summary(text).endswith("99,97 %, 1 Störung")
    assert re.search(r"\(10.min\): Der Speicher ist voll", text)
    assert len(re.findall(r'<path class="no"', text)) in (1, 2)


def test_a_few_known_minutes_are_no_hundred_percent(web: Web) -> None:
    told(web, started(10 * MINUTE), changed(10 * MINUTE - 5_000, "yes"))
    text = summary(status(web))
    assert "100 %" not in text
    assert re.search(r"bekannt sind erst (9|10).min$", text)


def test_the_time_without_control_is_not_known(web: Web) -> None:
    told(
        web,
        started(50 * DAY_MS),
        changed(50 * DAY_MS - 5_000, "yes"),
        stopped(9 * DAY_MS),
        started(6 * DAY_MS),
        changed(6 * DAY_MS - 5_000, "yes"),
    )
    text = status(web)
    # 3 days of 29 days and a part of today: 10.0 % just before midnight, 10.35 % just after it.
    assert re.search(r"100 %, 10(,[0-4])? % nicht bekannt$", summary(text))


def test_after_a_failure_nothing_is_known_from_the_last_fact_on(web: Web) -> None:
    told(
        web,
        started(50 * DAY_MS),
        changed(50 * DAY_MS - 5_000, "yes"),
        (3 * DAY_MS, "door_closed", "front", {"open_ms": 1}),
        started(2 * DAY_MS, clean=False),
        changed(2 * DAY_MS - 5_000, "yes"),
    )
    past = web.runner.run(
        read_past(web.site.records, ["journal"], [], now(web) - 30 * DAY_MS, now(web))
    )
    first, second = past.runs
    assert first.to_utc_ms - first.from_utc_ms == 47 * DAY_MS
    assert second.from_utc_ms - first.to_utc_ms == DAY_MS


def test_without_any_fact_it_says_that_nothing_is_known(web: Web) -> None:
    told(web, started(HOUR))
    text = status(web)
    assert summary(text).endswith("nichts bekannt")
    assert "%" not in summary(text)
    assert "war nichts darüber bekannt" in text


def test_what_is_not_set_up_is_counted_neither_way(web: Web) -> None:
    off = guarantee(now_ms(), "not_configured", "not_configured")
    web.see(snapshot(guarantees={"journal": off}))
    told(web, started(50 * DAY_MS), changed(50 * DAY_MS - 5_000, "not_configured"))
    assert summary(status(web)).endswith("nichts bekannt")


def test_a_sensor_is_judged_by_its_alarms(web: Web) -> None:
    web.see(snapshot(points={"wc.climate": contact(None, kind="meter")}))
    told(
        web,
        started(50 * DAY_MS),
        (50 * DAY_MS, "reading", "wc.climate", {"quantity": "temperature_c", "value": 20.0}),
        (4 * DAY_MS, "alarm_raised", "wc.climate/meter_silent", {"severity": "fault"}),
        (4 * DAY_MS - 6 * HOUR, "alarm_cleared", "wc.climate/meter_silent", {"active_ms": 1}),
        (3 * DAY_MS, "alarm_raised", "wc.climate/watch:cold", {"severity": "fault"}),
    )
    text = status(web)
    assert summary(text, "wc.climate").endswith(", 1 Störung")
    assert "meldet sich nicht" in text


def test_while_control_is_away_nothing_is_said_to_be_well(web: Web) -> None:
    told(web, started(50 * DAY_MS), changed(50 * DAY_MS - 5_000, "yes"))
    web.away()
    text = status(web)
    assert 'class="watched is-good"' not in text
    assert "in Ordnung seit" not in text


def test_a_journal_that_cannot_be_read_is_said_and_the_present_is_shown(web: Web) -> None:
    text = status(web)
    assert "Das Journal ist seit" in text
    assert 'class="watched is-good" id="status-journal"' in text


def test_the_record_names_promise_evidence_and_what_breaks_it(web: Web) -> None:
    told(web, started(HOUR))
    text = status(web)
    assert "Was geschieht, wird gespeichert." in text
    assert "Kein Ereignis wartet auf das Speichern." in text
    assert "Der Speicher ist voll." in text


def test_the_reasons_are_those_of_control() -> None:
    assert {one.name: set(one.breaks) for one in OF_CONTROL} == {
        name: set(reasons) for name, reasons in BREAKS.items()
    }
    assert set(BREAKS) == set(GUARANTEES)
    assert set(ALARM_KINDS) >= SENSOR_ALARMS


@pytest.mark.parametrize(
    ("share", "up", "said"),
    [
        (1.0, False, "100 %"), (0.99999, False, "99,99 %"), (0.9987, False, "99,8 %"),
        (0.0, False, "0 %"), (0.5, False, "50 %"), (0.00001, True, "0,1 %"), (1.0, True, "100 %"),
    ],
)  # fmt: skip
def test_a_share_is_never_rounded_to_what_it_is_not(
    web: Web, share: float, up: bool, said: str
) -> None:
    presenter: Presenter = web.site.presenter("de", None)
    assert percent(share, presenter, up=up).replace("\u202f", " ") == said


def test_each_bar_that_has_begun_is_as_high_as_the_others(web: Web) -> None:
    told(
        web,
        started(50 * DAY_MS),
        changed(20 * DAY_MS, "yes"),
        changed(10 * DAY_MS, "no", reason="journal_full"),
        changed(10 * DAY_MS - 1_000, "yes"),
    )
    bars = re.findall(r"(?s)<g><title>.*?</g>", status(web))
    assert len(bars) == 60
    for bar in bars:
        drawn = re.findall(r'class="(?:yes|no|unknown|off)"[^>]*?v(\d+)', bar)
        assert sum(map(int, drawn)) == HIGH, bar
