"""Today in small pictures: read beside the overview, at most so often, and never before it."""

from __future__ import annotations

import asyncio
from datetime import UTC
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from gateway.journal.queries.history import Bucket, Count
from gateway.web.building import today
from gateway.web.building.records import History, Unavailable
from gateway.web.building.today import CURVE, EVERY_S, SOON_S, Picture, Today
from gateway.web.presenter.pictures import BAR_MOST, bars, spark
from gateway.web.shared.words import Words

NOON_MS = 1_764_500_400_000  # 2025-11-30 12:00 in Berlin
HOUR_MS = 3_600_000
BERLIN = ZoneInfo("Europe/Berlin")
WORDS = Words("de", UTC)


class Journal:
    """The records that the pictures are made of; ``gate`` holds every answer back."""

    def __init__(self) -> None:
        self.asked = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.broken = False

    async def counts(self, *_: Any) -> list[Count]:
        self.asked += 1
        await self.gate.wait()
        if self.broken:
            raise Unavailable("gone", 0)
        return [Count(NOON_MS - HOUR_MS, "door_opened", "front", 3)]

    async def history(self, *_: Any) -> History:
        width = 24 * HOUR_MS // CURVE
        first = NOON_MS - 24 * HOUR_MS
        return History(
            False,
            quantities={
                "temperature_c": [
                    Bucket(first, 20.0, 20.0, 20.0, 1, width),
                    Bucket(first + width, 22.0, 22.0, 22.0, 1, width),
                ]
            },
        )


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def made(journal: Journal, clock: Clock) -> tuple[Today, list[str]]:
    told: list[str] = []
    house = SimpleNamespace(
        now_utc_ms=NOON_MS, doors={"front": {"counters": {"openings": 3}}},
        points={"wc.climate": {"kind": "meter"}},
        on_change=[lambda: told.append("changed")],
    )  # fmt: skip
    found = Today(house, journal, {"wc": "wc.climate"}, BERLIN, monotonic=clock)  # type: ignore[arg-type]  # as far as it is used
    return found, told


def test_openings_stand_in_the_hour_of_the_building_and_the_curve_has_gaps() -> None:
    async def work() -> None:
        found, told = made(Journal(), Clock())
        await found.look()
        picture = found.picture
        assert picture is not None
        assert (len(picture.openings["front"]), picture.openings["front"][11]) == (24, 3)
        assert picture.now == 12
        assert picture.climates["wc"][:3] == (20.0, 22.0, None)
        assert told == ["changed"], "pages that are open get it too"

    asyncio.run(work())


def test_it_is_read_again_only_when_it_is_old() -> None:
    async def work() -> None:
        journal, clock = Journal(), Clock()
        found, _ = made(journal, clock)
        for _ in range(3):
            await found.look()
        assert journal.asked == 1
        clock.now_s += EVERY_S
        await found.look()
        await asyncio.sleep(0)
        assert journal.asked == 2

    asyncio.run(work())


def test_after_an_opening_it_is_read_again_soon() -> None:
    async def work() -> None:
        journal, clock = Journal(), Clock()
        found, _ = made(journal, clock)
        await found.look()
        found._control.doors["front"]["counters"]["openings"] = 4
        await found.look()
        assert journal.asked == 1, "not with every press"
        clock.now_s += SOON_S
        for _ in range(2):
            await found.look()
            await asyncio.sleep(0)
        assert journal.asked == 2

    asyncio.run(work())


def test_nobody_waits_for_a_slow_journal_and_nobody_asks_it_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(today, "WAIT_S", 0)

    async def work() -> None:
        journal, clock = Journal(), Clock()
        journal.gate.clear()
        found, told = made(journal, clock)
        await found.look()
        clock.now_s += EVERY_S
        await found.look()
        assert (found.picture, journal.asked) == (None, 1)
        journal.gate.set()
        while not told:  # noqa: ASYNC110 - the picture tells the pages, not us
            await asyncio.sleep(0)
        assert found.picture is not None

    asyncio.run(work())


def test_a_journal_that_cannot_be_read_leaves_the_picture_as_it_was() -> None:
    async def work() -> None:
        journal = Journal()
        journal.broken = True
        found, told = made(journal, Clock())
        found.picture = Picture()
        await found.look()
        await asyncio.sleep(0)
        assert (found.picture, told) == (Picture(), [])

    asyncio.run(work())


def test_the_highest_bar_is_the_hour_with_the_most_openings() -> None:
    told = bars(WORDS, "Haupteingang", [0] * 7 + [2, 8] + [0] * 15, 10)
    assert [(bar.x // 10, bar.height, bar.now) for bar in told.bars] == [
        (7, BAR_MOST // 4, False), (8, BAR_MOST, False), (10, 2, True),
    ]  # fmt: skip
    assert told.text == (
        "Haupteingang: heute 10-mal geöffnet. Am meisten zwischen 8 und 9 Uhr (8-mal)."
    )
    assert bars(WORDS, "Haupteingang", [0] * 24, 3).count == "0 Öffnungen"


def test_a_curve_breaks_where_there_is_no_value() -> None:
    told = spark(WORDS, [20.0, 21.0, None, 23.0, 22.0, 22.0, 22.0])
    assert told is not None
    assert [len(line.split()) for line in told.lines] == [2, 4]
    assert "20,0 bis 23,0" in told.text
    assert spark(WORDS, [20.0] * 5 + [None]) is None
    assert spark(WORDS, ()) is None
