"""A week that passes on the bench: it begins, shows how far it is, is stopped, and has an end."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from gateway.panel.client import ControlAway
from gateway.web.building.control_client import ControlClient
from gateway.web.building.week import PORTION_MS, PORTIONS, Week
from tests.page.fake import called, room
from tests.web.conftest import Client, Web, snapshot

HTML = {"Accept": "text/html", "Accept-Language": "de"}


class Bench:
    """A house whose bench answers when it is let."""

    def __init__(self) -> None:
        self.rooms: dict[str, Any] = {"wc": {"call": {"state": "quiet"}}}
        self.asked: list[Mapping[str, Any]] = []
        self.answer: Mapping[str, Any] | None = {"result": {"ok": True}}
        self.open = asyncio.Event()

    async def bench(self, do: str, args: Mapping[str, Any], within_s: float) -> Mapping[str, Any]:
        assert do == "live"
        assert within_s > 60
        self.asked.append(args)
        await self.open.wait()
        if self.answer is None:
            raise ControlAway
        return self.answer

    @property
    def house(self) -> ControlClient:
        return cast("ControlClient", self)


async def over(week: Week) -> None:
    assert week._task is not None
    await week._task


def test_seven_days_pass_in_portions() -> None:
    async def run() -> None:
        bench, week = Bench(), Week()
        assert week.begin(bench.house)
        assert week.passes
        assert not week.begin(bench.house)  # one at a time
        bench.open.set()
        await over(week)
        assert (week.days, week.problem, week.was) == (7, "", True)
        assert [one["by_ms"] for one in bench.asked] == [PORTION_MS] * PORTIONS
        assert [one["goes_on"] for one in bench.asked] == [False] + [True] * (PORTIONS - 1)

    asyncio.run(run())


def test_somebody_stops_it() -> None:
    async def run() -> None:
        bench, week = Bench(), Week()
        week.begin(bench.house)
        await asyncio.sleep(0)
        week.stop()
        bench.open.set()
        await over(week)
        assert (week.done, week.problem) == (1, "stopped")
        week.begin(bench.house)
        await over(week)
        assert (week.days, week.problem) == (7, "")

    asyncio.run(run())


def test_nobody_who_has_called_is_left_alone() -> None:
    async def run() -> None:
        bench, week = Bench(), Week()
        bench.rooms = {"wc": {"call": {"state": "raised"}}}
        assert not week.begin(bench.house)
        assert (week.problem, bench.asked, week.passes) == ("call", [], False)

    asyncio.run(run())


@pytest.mark.parametrize("answer", [None, {"result": {"error": "the bench is broken"}}])
def test_without_an_answer_it_ends(answer: Mapping[str, Any] | None) -> None:
    async def run() -> None:
        bench, week = Bench(), Week()
        bench.answer = answer
        bench.open.set()
        week.begin(bench.house)
        await over(week)
        assert (week.done, week.problem) == (0, "no_answer")

    asyncio.run(run())


@pytest.fixture
def staff(tmp_path: Path) -> Iterator[Client]:
    made = Web(tmp_path, bench=True)
    made.see(snapshot(points={}))
    yield made.as_("staff")
    made.close()


def test_the_page_begins_it_and_says_its_end(staff: Client) -> None:
    before = staff.get("/bench", headers=HTML).text
    assert "Eine Woche vergehen lassen" in before
    assert 'http-equiv="refresh"' not in before
    assert "vergangen." not in before  # nobody says that something has passed that has not
    answer = staff.post("/bench", data={"do": "week"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/bench#week")


def test_the_page_shows_how_far_it_is(staff: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    week = staff.web.site.week
    week.done = 20
    monkeypatch.setattr(Week, "passes", True)
    shown = staff.get("/bench", headers=HTML).text
    assert "Tag 3 von 7" in shown
    assert '<progress value="20" max="56"' in shown
    assert 'value="stop"' in shown
    assert 'http-equiv="refresh"' in shown
    monkeypatch.setattr(Week, "passes", False)
    monkeypatch.setattr(Week, "was", True)
    week.done = PORTIONS
    assert "7 Tage sind vergangen." in staff.get("/bench", headers=HTML).text
    week.problem = "stopped"
    assert "Angehalten. Auf dem Prüfstand ist es jetzt" in staff.get("/bench", headers=HTML).text


def test_the_page_refuses_it_during_a_call_and_says_why(staff: Client) -> None:
    staff.web.see(snapshot(points={}, rooms={"wc": room("WC", call=called())}))
    assert staff.post("/bench", data={"do": "week"}).status_code == 303
    shown = staff.get("/bench", headers=HTML).text
    assert "Beenden Sie ihn zuerst mit dem Abstelltaster im Raum" in shown
    assert not [one for one in staff.web.panel.sent if one["type"] == "bench"]
