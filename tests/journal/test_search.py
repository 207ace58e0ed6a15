"""Looking for facts of some kinds or subjects in a large journal: by an index where they are few,
in short transactions where they are many, and never at the expense of somebody else."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from gateway.core.facts import LANES
from gateway.journal.queries import reader as module
from gateway.journal.queries.reader import JournalUnavailable, Reader, ReadTooLong, _Wanted
from gateway.journal.store import Store
from gateway.wire import Row
from tests.benchmarks.history import END_UTC_MS, UTC_OFFSET_MS, YEAR_MS, generate

ROWS = 60_000
EVERY = 2_000
"""Each so many rows there is an event of the door; all others are readings of twenty meters."""
ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("large") / "journal.sqlite"
    generate(path, ROWS)
    return path


@pytest.fixture
def reader(large: Path) -> Iterator[Reader]:
    made = Reader(large)
    yield made
    made.close()


class Spy:
    """A connection that notes what is asked of it."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db
        self.asked: list[tuple[str, Any]] = []

    def execute(self, sql: str, values: Any = ()) -> sqlite3.Cursor:
        self.asked.append((sql, values))
        return self.db.execute(sql, values)

    def plans(self) -> list[str]:
        """How SQLite reads the table of facts for each question."""
        return [
            text
            for sql, values in self.asked
            for *_, text in self.db.execute(f"EXPLAIN QUERY PLAN {sql}", values)
            if "fact" in text
        ]


def plans(reader: Reader, *, limit: int = 100, **wanted: Any) -> list[str]:
    names = ("kinds", "subject", "lanes", "from_utc_ms", "to_utc_ms")
    asked = _Wanted(**{name: wanted.get(name) for name in names})

    def work(db: sqlite3.Connection) -> list[str]:
        spy: Any = Spy(db)
        few = asked.few(spy, after=0, before=2**62, limit=limit, newest_first=True)
        if few is None:
            track = asked.track(spy, 0, 2**62)
            asked.along(spy, piece=track, limit=limit, newest_first=True)
        found: list[str] = spy.plans()
        return found

    return reader.read(work)


@pytest.mark.parametrize(
    "wanted",
    [
        {"subject": "front"},
        {"kinds": ["door_opened"]},
        {"kinds": ["door_opened"], "subject": "front", "lanes": ["urgent", "routine"]},
        {"subject": "meter.7"},
        {"subject": "front", "from_utc_ms": UTC_OFFSET_MS, "to_utc_ms": END_UTC_MS},
        {"subject": "nobody"},
        {"kinds": ["reading"]},
        {"lanes": ["urgent"]},
        {},
    ],
)
def test_no_question_reads_the_whole_table(reader: Reader, wanted: dict[str, Any]) -> None:
    found = plans(reader, **wanted)
    assert all("SEARCH" in text or "USING INTEGER PRIMARY KEY" in text for text in found), found
    if "subject" in wanted and wanted["subject"] != "nobody":
        assert any("COVERING INDEX fact_series" in text for text in found), found


@cache
def everything(large: Path) -> list[Row]:
    made = Reader(large, patience_ms=None)
    try:
        return made.after_row(0, 10 * ROWS)
    finally:
        made.close()


@pytest.mark.parametrize("few", [0, 3, 10**9])
@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize(
    "wanted",
    [
        {"subject": "front"},
        {"kinds": ["reading"], "subject": "meter.7"},
        {"kinds": ["door_opened", "reading"], "lanes": ["urgent"]},
        {"lanes": ["routine"], "from_utc_ms": UTC_OFFSET_MS + YEAR_MS // 3},
        {"from_utc_ms": UTC_OFFSET_MS + YEAR_MS // 2, "to_utc_ms": END_UTC_MS - YEAR_MS // 4},
    ],
)
def test_every_way_finds_the_same(
    large: Path,
    monkeypatch: pytest.MonkeyPatch,
    wanted: dict[str, Any],
    newest_first: bool,
    few: int,
) -> None:
    """By index, by lane or row by row, in one answer or a page at a time."""
    monkeypatch.setattr(module, "FEW_ROWS", few)
    monkeypatch.setattr(module, "PIECE_ROWS", 777)
    monkeypatch.setattr(module, "_DISORDER_ROWS", 100)
    begin, end = wanted.get("from_utc_ms", 0), wanted.get("to_utc_ms", 2**62)
    right = [
        row.row
        for row in everything(large)
        if begin <= (row.utc_ms or 0) < end
        and row.kind in wanted.get("kinds", (row.kind,))
        and row.subject == wanted.get("subject", row.subject)
        and row.lane in wanted.get("lanes", LANES)
    ]
    reader = Reader(large, patience_ms=None)
    try:
        ask = reader.before_row if newest_first else reader.after_row
        whole = [row.row for row in ask(None if newest_first else 0, ROWS, **wanted)]  # type: ignore[arg-type]
        assert whole == (right[::-1] if newest_first else right)
        cursor, paged = (None if newest_first else 0), []
        for _ in range(3):
            page = ask(cursor, 7, **wanted)  # type: ignore[arg-type]
            paged += [row.row for row in page]
            cursor = page[-1].row
        assert paged == whole[:21]
    finally:
        reader.close()


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("lanes", [None, ["urgent"], ["urgent", "routine"]])
def test_an_impatient_reader_says_how_far_it_has_looked(
    large: Path, monkeypatch: pytest.MonkeyPatch, newest_first: bool, lanes: Any
) -> None:
    """Each answer goes on where the one before has ended; together they have everything once."""
    monkeypatch.setattr(module, "FEW_ROWS", 0)
    monkeypatch.setattr(module, "PIECE_ROWS", 9_000 if lanes != ["urgent"] else 5)
    reader = Reader(large, patience_ms=-1)
    try:
        ask = reader.before_row if newest_first else reader.after_row
        cursor, found, answers = (None if newest_first else 0), [], 0
        while True:
            page = ask(cursor, ROWS, subject="front", lanes=lanes)  # type: ignore[arg-type]
            found += [row.row for row in page]
            answers += 1
            if page.reached is None:
                break
            assert cursor != page.reached
            cursor = page.reached
    finally:
        reader.close()
    assert answers > 3
    assert sorted(found) == list(range(EVERY, ROWS + 1, EVERY))


def test_a_question_that_takes_too_long_leaves_the_journal_available(large: Path) -> None:
    reader = Reader(large, within_ms=50)
    try:
        with pytest.raises(ReadTooLong):
            reader.read(lambda db: db.execute(ENDLESS).fetchone())
        before = reader._connection
        assert before is not None  # the file stays open
        assert reader.head_row() == ROWS
        assert reader._connection is before
    finally:
        reader.close()


def test_a_broken_question_is_no_matter_of_time(reader: Reader) -> None:
    with pytest.raises(JournalUnavailable) as error:
        reader.read(lambda db: db.execute("SELECT nothing FROM nowhere").fetchone())
    assert not isinstance(error.value, ReadTooLong)
    assert reader.head_row() == ROWS


def test_a_machine_that_was_started_very_often(tmp_path: Path) -> None:
    """SQLite refuses a condition of a thousand levels."""
    path = tmp_path / "journal.sqlite"
    store = Store(path, "boot-0")
    with store.transaction():
        for number in range(2, 3_002):
            store.connection.execute(
                "INSERT INTO boot VALUES (?, ?, ?)", (number, f"boot-{number}", number)
            )
            store.connection.execute(
                "INSERT INTO clock (boot, from_mono_ms, utc_offset_ms) VALUES (?, 0, ?)",
                (number, number * 1_000_000),
            )
    store.close(clean=True)
    reader = Reader(path)
    try:
        assert reader.after_row(0, 10, from_utc_ms=0, to_utc_ms=2**40) == []
        assert reader.before_row(None, 10, from_utc_ms=0, kinds=["reading"]) == []
        assert reader.window(0, 10, from_utc_ms=0) == []
    finally:
        reader.close()
