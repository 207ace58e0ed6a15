"""What the centre reads of the embedded store, and what it says where that cannot be read."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway.recorder.stores.sqlite import SqliteStore
from gateway.sites.history.records import RETRY_S, StoredRecords
from gateway.sites.history.sqlite import SqliteHistory
from gateway.sites.history.stored import (
    Level,
    QuestionTooLong,
    RunEnd,
    StoredHistory,
    StoreUnreadable,
    Wanted,
    levels_of,
)
from gateway.web.building.records import TooLong, Unavailable
from tests.sites.recorded import CASES, T0, Recorded, point


@pytest.fixture
def on(tmp_path: Path) -> Iterator[Recorded]:
    path = tmp_path / "record.sqlite"
    store, history = SqliteStore(path), SqliteHistory(path)

    def move() -> None:  # readings that wait beside the store
        store._store(store._open(), ())

    yield Recorded(store, history, move)
    history.close()
    store.close()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_the_embedded_store_is_read(on: Recorded, case: Callable[[Recorded], None]) -> None:
    case(on)


def test_a_file_that_is_not_there_or_broken_is_said(tmp_path: Path) -> None:
    path = tmp_path / "record.sqlite"
    history = SqliteHistory(path)
    for text in (None, b"", b"no database" * 100):
        if text is not None:
            path.write_bytes(text)
        with pytest.raises(StoreUnreadable):
            history.events(Wanted(("bad-1",)))


def test_a_file_that_was_replaced_is_opened_anew(on: Recorded, tmp_path: Path) -> None:
    on.write(point(1, T0, "door_opened", "front", cause="hand"))
    assert len(on.history.events(Wanted(("bad-1",)))) == 1
    on.store.close()
    for file in tmp_path.iterdir():
        file.unlink()
    other = SqliteStore(tmp_path / "record.sqlite")
    assert other.identity()
    assert on.history.events(Wanted(("bad-1",))) == []
    other.close()


def test_a_question_has_an_end(on: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    on.write(*(point(n, T0 + n, value=1.0) for n in range(2_000)))
    monkeypatch.setattr("gateway.sites.history.sqlite._CLOCK_EVERY", 10)
    slow = SqliteHistory(on.store.file or Path(), within_s=-1)
    with pytest.raises(QuestionTooLong):
        slow.events(Wanted(("bad-1",)))
    slow.close()
    monkeypatch.setattr("gateway.sites.history.sqlite.READINGS_MOST", 10)
    with pytest.raises(QuestionTooLong):
        on.means(T0, T0 + 2_000, 1)


def test_nothing_can_be_written(on: Recorded) -> None:
    on.write(point(1, T0, value=1.0))
    on.history.quantities("bad-1", "wc.climate")
    assert isinstance(on.history, SqliteHistory)
    db = on.history._db
    assert db is not None
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        db.execute("DELETE FROM points")


def test_between_two_runs_a_level_is_unknown_unless_the_machine_was_the_same() -> None:
    levels = [Level(10, True, "a"), Level(30, False, "b")]
    assert levels_of(levels, [RunEnd(20, "b"), RunEnd(40, "b")], 0) == [
        (10, True),
        (20, None),
        (30, False),
    ]
    assert levels_of([], [RunEnd(20, "b")], 0) == []
    assert levels_of(levels, [RunEnd(20, "b")], 25) == [(25, None), (30, False)]


class Failing(StoredHistory):
    """Raises what it is told to."""

    error: Exception | None = None
    asked = 0

    def quantities(self, gateway: str, point: str) -> list[str]:
        self.asked += 1
        if self.error is not None:
            raise self.error
        return ["temperature_c"]

    buckets = levels = events = quantities  # type: ignore[assignment]

    def close(self) -> None:
        pass


def test_a_store_that_cannot_be_read_is_said_with_since_when(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [1000.0]
    monkeypatch.setattr("gateway.sites.history.records.time.time", lambda: now[0])
    store = Failing()
    records = StoredRecords(lambda: store)

    async def ask() -> object:
        return await records.ask(lambda one: one.quantities("a", "b"))

    async def scenario() -> None:
        store.error = StoreUnreadable("away")
        for later in (0.0, RETRY_S / 2, RETRY_S):
            now[0] = 1000.0 + later
            with pytest.raises(Unavailable) as error:
                await ask()
            assert error.value.since == 1000.0
        assert store.asked == 2, "it is not asked again at once"
        store.error = QuestionTooLong("slow")
        now[0] += RETRY_S
        with pytest.raises(TooLong):
            await ask()
        store.error = None
        assert await ask() == ["temperature_c"]

    asyncio.run(scenario())
    records.close()


def test_only_so_many_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.sites.history.records.WAITING_MOST", 0)
    records = StoredRecords(Failing)
    with pytest.raises(TooLong):
        asyncio.run(records.events(Wanted(("a",))))
    records.close()
