"""A disk that is full, fails, or lies: nothing is lost silently, nothing is counted twice."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.core.effects import Reply
from gateway.journal import recovery, writer
from gateway.journal.audit import AuditEntry
from tests.journal.journal_desk import Desk, answers, opened, read, reading

pytestmark = pytest.mark.thorough


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "RETRY_MS", 20)


class Failing(sqlite3.Connection):
    """Raises at the ``at``-th call, before or after it was carried out."""

    calls = 0
    at = -1
    after = False
    times = 1

    def _count(self) -> bool:
        Failing.calls += 1
        return 0 <= Failing.calls - Failing.at < Failing.times

    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        failing = self._count()
        if failing and not Failing.after:
            raise sqlite3.OperationalError("disk I/O error")
        cursor = super().execute(sql, *values)
        if failing:
            raise sqlite3.OperationalError("disk I/O error")
        return cursor

    def executemany(self, sql: str, *values: Any) -> sqlite3.Cursor:
        if self._count():
            raise sqlite3.OperationalError("disk I/O error")
        return super().executemany(sql, *values)


def _life(path: Path) -> list[tuple[str, int]]:
    """A short life of a journal; returns (lane, sequence) of what was told as durable."""
    desk = Desk(path, factory=Failing).start()
    desk.journal.saved_state(30.0)
    for at in range(4):
        desk.append(opened(at), reading(at), saved_state={"at": at})
        desk.until(lambda at=at: len(desk.rows) >= 2 * at + 2)
    desk.journal.sent("urgent", 2)
    desk.close()
    assert len(desk.rows) == 8
    return [(lane, seq) for _, lane, seq, _ in desk.rows]


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("after", [False, True])
def test_whichever_call_fails_there_is_neither_gap_nor_double_number(
    tmp_path: Path, after: bool, times: int
) -> None:
    """SQLite's own method: fail the n-th call, for every n."""
    Failing.at, Failing.calls = -1, 0
    whole = _life(tmp_path / "whole")
    calls = Failing.calls
    assert calls > 60
    for number in range(0, calls, 1 if times == 1 else 8):
        Failing.at, Failing.calls, Failing.after, Failing.times = number, 0, after, times
        path = tmp_path / str(number)
        told = _life(path)
        reader = read(path)
        assert sorted(told) == sorted(whole), number
        assert answers(reader) == {"urgent": ["row"] * 4, "routine": ["row"] * 4, "local": []}
        mono = [row.mono_ms for row in reader.after_row(0, 99)]
        assert sorted(mono) == [0, 0, 1, 1, 2, 2, 3, 3], number
        reader.close()
        again = Desk(path, "boot-2").start()
        assert again.journal.saved_state(30.0) == {"at": 3}
        again.close()
        shutil.rmtree(path, ignore_errors=True)


def test_a_full_disk_is_told_and_heals_by_itself(small_disk: Path) -> None:
    """thingsboard-gateway#2094, #2124: a full disk neither destroys nor stops anything."""
    path = small_disk / "journal.sqlite"
    desk = Desk(path).start()
    desk.append(opened(0))
    desk.until(lambda: desk.rows)
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    at = 0
    while desk.states[-1:] != ["journal_full"]:
        at += 1
        desk.append(opened(at), reading(at), reading(at))
        desk.until(lambda at=at: desk.states or len(desk.rows) >= 3 * at)
    desk.append(opened(at + 1, command="c"), replies=(Reply("c", "accepted"),))
    desk.until(lambda: any(c.replies for c in desk.commits))
    assert desk.commits[-1].replies[0][1] is None
    assert desk.journal.backlog > 0
    filler.unlink()
    desk.until(lambda: desk.states[-1] == "" and desk.journal.backlog == 0)
    desk.close()
    reader = read(path)
    assert answers(reader) == {
        "urgent": ["row"] * (at + 2),
        "routine": ["row"] * (2 * at),
        "local": [],
    }
    assert [row.mono_ms for row in reader.lane("urgent", 1, 9999)] == list(range(at + 2))
    reader.close()


def test_after_an_outage_the_urgent_ones_are_written_first(path: Path) -> None:
    Failing.at, Failing.calls, Failing.after, Failing.times = 10**9, 0, False, 10**9
    desk = Desk(path, factory=Failing, memory_facts=50_000).start()
    desk.journal.saved_state(30.0)
    desk.append(opened(0))
    desk.until(lambda: desk.rows)
    Failing.at = Failing.calls
    for at in range(3_000):
        desk.append(reading(at))
    desk.append(opened(1))
    desk.until(lambda: desk.states and desk.journal.backlog == 3_001)
    Failing.at = 10**9
    desk.until(lambda: len(desk.rows) == 3_002)
    desk.close()
    first = next(c for c in desk.commits[1:] if c.rows)
    assert first.rows[0][3].kind == "door_opened"
    assert desk.states == ["journal_unavailable", ""]


def test_a_journal_that_may_not_be_written_is_told(path: Path) -> None:
    desk = Desk(path).start()
    desk.append(opened(1))
    desk.until(lambda: desk.rows)
    desk.close()

    class ReadOnly(sqlite3.Connection):
        def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
            if sql == "BEGIN IMMEDIATE":
                super().execute("PRAGMA query_only = ON")
            return super().execute(sql, *values)

    again = Desk(path, factory=ReadOnly).start()
    again.append(opened(2), replies=(Reply("c", "accepted"),))
    again.until(lambda: again.states == ["journal_read_only"])
    again.until(lambda: again.commits)
    assert again.commits[0].replies == ((Reply("c", "accepted"), None),)
    again.close()
    assert read(path).heads()["urgent"] == 1


def test_where_even_the_doubt_cannot_be_read_it_stays_and_nothing_comes_twice(path: Path) -> None:
    """The commit failed, and so does the question whether it is in the file after all."""
    asked: list[str] = []

    class Doubtful(sqlite3.Connection):
        failing = 0

        def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
            cursor = super().execute(sql, *values)
            if Doubtful.failing == 4 and sql == "COMMIT":
                Doubtful.failing -= 1
                raise sqlite3.OperationalError("disk I/O error")
            if Doubtful.failing and sql.startswith("SELECT n FROM audit"):
                Doubtful.failing -= 1
                asked.append(sql)
                raise sqlite3.OperationalError("disk I/O error")
            return cursor

    desk = Desk(path, factory=Doubtful).start()
    desk.append(opened(1))
    desk.until(lambda: desk.rows)
    Doubtful.failing = 4
    desk.append(audit=(AuditEntry("web:1", "open_door", "front", "accepted", 5),))
    desk.until(lambda: len(asked) == 3)
    desk.append(opened(2))
    desk.until(lambda: len(desk.rows) == 2)
    desk.close()
    count = read(path).read(lambda db: db.execute("SELECT count(*) FROM audit").fetchone())
    assert count == (1,)


def test_a_folder_that_is_not_there_yet_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "later" / "journal.sqlite"
    desk = Desk(path).start()
    desk.append(opened(1))
    desk.until(lambda: desk.states == ["journal_unavailable"])
    path.parent.mkdir()
    desk.until(lambda: desk.rows)
    desk.close()
    assert desk.states == ["journal_unavailable", ""]


def _remove(path: Path) -> None:
    for ending in ("", "-wal", "-shm"):
        Path(f"{path}{ending}").unlink()


def _replace(path: Path) -> None:
    other = Desk(path.with_name("other.sqlite"), boot="boot-0").start()
    other.append(opened(7))
    other.until(lambda: other.rows)
    other.close()
    path.with_name("other.sqlite").rename(path)


@pytest.mark.parametrize(
    "takes",
    [
        _remove,
        lambda path: path.unlink(),
        lambda path: Path(f"{path}-wal").unlink(),
        lambda path: path.rename(path.with_name("moved.sqlite")),
        _replace,
    ],
    ids=["all", "file", "wal", "moved", "replaced"],
)
@pytest.mark.parametrize("when", ["before a fact", "at rest", "before the end"])
def test_a_file_that_is_removed_while_it_is_open_loses_nothing(
    path: Path, takes: Callable[[Path], object], when: str
) -> None:
    desk = Desk(path).start()
    desk.append(opened(1), saved_state={"at": 1})
    desk.until(lambda: desk.rows)
    journal = desk.commits[-1].journal
    takes(path)
    if when == "before a fact":
        desk.append(opened(2))
        desk.until(lambda: len(desk.facts("door_opened")) == 2)
    elif when == "at rest":
        desk.journal.look()
    if when != "before the end":
        desk.until(lambda: desk.facts("journal_recovered"))
        assert desk.states[-1] == ""
    desk.close()
    again = Desk(path, boot="boot-2").start()
    assert again.journal.saved_state(10.0) == {"at": 1}
    assert again.journal.was_clean
    again.close()
    reader = read(path)
    assert reader.journal_id() == journal
    rows = reader.after_row(0, 100)
    assert [row.kind for row in rows if row.kind == "door_opened"] == ["door_opened"] * (
        2 if when == "before a fact" else 1
    )
    assert answers(reader)["urgent"] == ["row"] * reader.heads()["urgent"]
    recovered = [row for row in rows if row.kind == "journal_recovered"]
    assert [row.data["reason"] for row in recovered] == ["removed"]


def test_without_room_for_the_copy_the_open_file_waits_for_it(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "SALVAGE_AGAIN_MS", 20)
    inner, tries = recovery.copy_out, []

    def copy_out(path: Path, connection: sqlite3.Connection) -> None:
        tries.append(path)
        if len(tries) < 3:
            raise OSError(28, "No space left on device")
        inner(path, connection)

    monkeypatch.setattr(recovery, "copy_out", copy_out)
    desk = Desk(path).start()
    desk.append(opened(1))
    desk.until(lambda: desk.rows)
    _remove(path)
    desk.append(opened(2))
    desk.until(lambda: len(desk.facts("door_opened")) == 2)
    assert "journal_full" in desk.states
    assert desk.states[-1] == ""
    desk.close()
    assert len([row for row in read(path).after_row(0, 100) if row.kind == "door_opened"]) == 2
