"""A question about the journal that takes too long ends alone: nobody else waits for it, and
nobody else hears that the journal cannot be read."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from gateway.journal.queries.reader import Reader, ReadTooLong
from gateway.journal.store import Store
from gateway.web.building.records import WAITING_MOST, Records, TooLong, Unavailable
from gateway.web.history.search import search
from tests.journal.test_search import ENDLESS
from tests.web.conftest import Web


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    path = tmp_path / "journal.sqlite"
    Store(path, "boot").close(clean=True)
    return path


def test_one_slow_question_is_refused_and_the_next_is_answered(journal: Path) -> None:
    records = Records(journal)

    def slow(reader: Reader) -> object:
        reader._within_ms = 20
        try:
            return reader.read(lambda db: db.execute(ENDLESS).fetchone())
        finally:
            reader._within_ms = 2_000

    async def ask() -> None:
        with pytest.raises(TooLong):
            await records.ask(slow)
        assert await records.ask(lambda reader: reader.head_row()) == 0  # at once, by the same
        assert await records.head() == 0

    try:
        asyncio.run(ask())
    finally:
        records.close()


def test_nobody_who_asks_for_the_present_waits_behind_searches(journal: Path) -> None:
    records = Records(journal)
    over = threading.Event()

    def stuck(_reader: Reader) -> None:
        over.wait()

    async def ask() -> None:
        slow = [asyncio.create_task(records.ask(stuck)) for _ in range(WAITING_MOST)]
        await asyncio.sleep(0)
        assert await records.head() == 0
        assert await records.oldest() == 0
        assert list(await records.after(0, 10)) == []
        with pytest.raises(TooLong):  # one more search would wait for minutes
            await records.ask(stuck)
        over.set()
        await asyncio.gather(*slow)
        assert await records.ask(lambda reader: reader.head_row()) == 0

    try:
        asyncio.run(ask())
    finally:
        over.set()
        records.close()


def test_a_journal_that_is_not_there_is_still_unavailable(tmp_path: Path) -> None:
    records = Records(tmp_path / "none.sqlite")

    async def ask() -> None:
        with pytest.raises(Unavailable) as error:
            await records.head()
        assert not isinstance(error.value, TooLong)

    try:
        asyncio.run(ask())
    finally:
        records.close()


def test_api_and_page_say_what_to_do(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(*_: Any, **__: Any) -> None:
        raise ReadTooLong("interrupted")

    Store(web.options.journal, "boot").close(clean=True)
    client = web.as_("admin")
    with monkeypatch.context() as patch:
        patch.setattr(Reader, "after_row", slow)
        patch.setattr(Reader, "before_row", slow)
        answer = client.get("/api/v1/events", params={"subject": "front"})
        assert (answer.status_code, answer.json()["reason"]) == (503, "too_long")
        shown = client.get("/events", params={"subject": "front"}, headers={"Accept": "text/html"})
        assert shown.status_code == 200
        assert "kürzeren Zeitraum" in shown.text
        assert "nicht lesbar" not in shown.text
        assert client.get("/health/ready").json()["journal"] == "ok"
    assert client.get("/api/v1/events", params={"subject": "front"}).status_code == 200


def test_a_search_goes_on_where_the_time_was_over() -> None:
    from gateway.journal.queries.reader import Found

    async def read(cursor: int | None, _size: int) -> Found:
        found = Found()
        found.reached = 40 if cursor is None else None
        return found

    async def ask() -> None:
        presenter: Any = None
        assert await search(read, presenter, [], None, 10) == ([], 40)
        assert await search(read, presenter, [], 40, 10) == ([], None)

    asyncio.run(ask())
