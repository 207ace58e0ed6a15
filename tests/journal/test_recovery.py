"""Torn and corrupt files: whatever can be read is kept, and the journal goes on at once.

home-assistant#47936, #117263: "database disk image is malformed" on SD cards.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway import set_aside
from gateway.core.facts import Fact
from gateway.journal import audit, recovery, salvage, schema
from gateway.journal.audit import AuditEntry
from gateway.journal.pages import Pages
from gateway.journal.queries.reader import JournalUnavailable, Reader
from gateway.journal.schema import PAGE_BYTES
from gateway.journal.store import Store
from gateway.set_aside import beside
from tests.journal.journal_desk import UTC_OFFSET_MS, Desk, answers, opened, read, reading, work

pytestmark = pytest.mark.thorough

WORDS_END = 10 * PAGE_BYTES
"""Both copies of the words (kinds, subjects) of the test journal lie before this offset."""

FULL = bool(os.environ.get("PORTIER_LONG"))
"""PORTIER_LONG=1 tries every byte and page instead of a sample (some minutes)."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A journal of 1,500 facts, half of it in the main file, the rest in the -wal."""
    path = tmp_path_factory.mktemp("whole") / "journal.sqlite"
    store = Store(path, "boot-1")
    for at in range(150):
        facts = [reading(at * 10 + n, n + at / 7, f"meter.{n}") for n in range(9)]
        entry = AuditEntry("web:1", "open_door", "front", "accepted", at, f"detail {at}")
        store.write(
            work(
                opened(at * 10, press_to_open_ms=at),
                *facts,
                saved_state={"at": at},
                audit=[entry],
                sent={"urgent": at},
                utc_offset_ms=UTC_OFFSET_MS,
            )
        )
        if at == 75:
            store.checkpoint()
    copy = path.with_name("copy.sqlite")
    shutil.copy(path, copy)
    shutil.copy(f"{path}-wal", f"{copy}-wal")
    path.with_name("id").write_text(store.journal)
    store.close(clean=False)
    return copy


def _broken(whole: Path, target: Path, edit: Callable[..., tuple[bytearray, bytearray]]) -> Path:
    target.mkdir(exist_ok=True)
    path = target / "journal.sqlite"
    for ending in ("", "-wal", "-shm"):
        beside(path, ending).unlink(missing_ok=True)
    main, wal = edit(bytearray(whole.read_bytes()), bytearray(Path(f"{whole}-wal").read_bytes()))
    path.write_bytes(main)
    beside(path, "-wal").write_bytes(wal)
    return path


def _opened(path: Path) -> tuple[Store, str]:
    """What the writer does at its start, without its thread."""
    recovery.finish(path)
    reason = recovery.inspect(path)
    if not reason:
        try:
            store = Store(path, "boot-2")
        except sqlite3.DatabaseError as error:
            reason = str(error)
        else:
            reason = recovery.check(store.connection)
            if not reason:
                return store, ""
            store.close(clean=False)
    recovery.salvage(path, reason, "boot-2", build=salvage.build)
    return Store(path, "boot-2"), reason


def _facts(store: Store) -> int:
    return int(store.one("SELECT count(*) FROM fact"))


def test_a_whole_journal_is_left_alone(whole: Path, tmp_path: Path) -> None:
    path = _broken(whole, tmp_path, lambda main, wal: (main, wal))
    store, reason = _opened(path)
    assert (reason, _facts(store)) == ("", 1500)
    store.close(clean=False)


def test_a_flipped_byte_costs_at_most_the_rows_it_hits(whole: Path, tmp_path: Path) -> None:
    size = whole.stat().st_size
    old = whole.with_name("id").read_text()
    rolls = random.Random(7)
    pages = range(size // PAGE_BYTES) if FULL else range(0, size // PAGE_BYTES, 4)
    for page in pages:
        at = page * PAGE_BYTES + rolls.randrange(PAGE_BYTES if page else 100)

        def flip(main: bytearray, wal: bytearray, at: int = at) -> tuple[bytearray, bytearray]:
            main[at] ^= 1 << rolls.randrange(8)
            return main, wal

        path = _broken(whole, tmp_path, flip)
        store, reason = _opened(path)
        assert _facts(store) >= 1498, (at, reason)
        assert store.one("PRAGMA integrity_check") == "ok"
        assert (store.journal != old) is bool(reason), at
        reader = read(path)
        answers(reader)
        reader.close()
        store.close(clean=False)


def _rows_in(whole: Path, page: int) -> int:
    """Rows of a page by its own header, if it is the leaf of a table (its kind is 13)."""
    header = whole.read_bytes()[page * PAGE_BYTES :][:5]
    return int.from_bytes(header[3:5], "big") if header[0] == 13 else 0


def test_a_destroyed_page_costs_only_its_own_rows(whole: Path, tmp_path: Path) -> None:
    pages = whole.stat().st_size // PAGE_BYTES
    for page in range(pages) if FULL else range(0, pages, 7):

        def destroy(
            main: bytearray, wal: bytearray, page: int = page
        ) -> tuple[bytearray, bytearray]:
            main[page * PAGE_BYTES : (page + 1) * PAGE_BYTES] = b"\xa5" * PAGE_BYTES
            return main, wal

        path = _broken(whole, tmp_path, destroy)
        store, reason = _opened(path)
        assert _facts(store) >= 1500 - _rows_in(whole, page), (page, reason)
        reader = read(path)
        answers(reader)
        reader.close()
        store.close(clean=False)


def test_a_file_truncated_anywhere_keeps_what_is_left(whole: Path, tmp_path: Path) -> None:
    size = whole.stat().st_size
    step = 1024 if FULL else 17 * 1024 + 13
    before = 0
    for length in [0, 1, 99, 100, 511, 4095, 4096, 4097, *range(5000, size, step)]:
        path = _broken(whole, tmp_path, lambda main, wal, cut=length: (main[:cut], wal))
        store, _ = _opened(path)
        kept = _facts(store)
        assert kept >= before, "a longer file has more"
        if length > WORDS_END:
            assert kept >= 730, "what is in the -wal is there whatever happened to the file"
        before = max(before, kept - 60)
        reader = read(path)
        answers(reader)
        reader.close()
        store.close(clean=False)


def test_a_log_torn_anywhere_keeps_every_whole_commit(whole: Path, tmp_path: Path) -> None:
    wal_size = Path(f"{whole}-wal").stat().st_size
    step = 4096 if FULL else 297 * 1024 + 17
    last = 0
    for length in [0, 31, 32, 33, *range(4000, wal_size, step), wal_size]:
        path = _broken(whole, tmp_path, lambda main, wal, cut=length: (main, wal[:cut]))
        store, _ = _opened(path)
        kept = _facts(store)
        assert kept >= last
        assert kept % 10 == 0, "a transaction is there as a whole or not at all"
        last = kept
        store.close(clean=False)
    assert last == 1500


def test_a_bad_byte_in_the_log_does_not_take_what_follows(whole: Path, tmp_path: Path) -> None:
    wal_size = Path(f"{whole}-wal").stat().st_size
    rolls = random.Random(3)
    found = 0
    old = whole.with_name("id").read_text()
    for _ in range(200 if FULL else 5):
        at = rolls.randrange(wal_size)

        def flip(main: bytearray, wal: bytearray, at: int = at) -> tuple[bytearray, bytearray]:
            wal[at] ^= 0x10
            return main, wal

        store, reason = _opened(_broken(whole, tmp_path, flip))
        assert _facts(store) >= 1490, (at, reason)
        if reason:
            found += 1
            assert store.journal != old
        else:
            assert _facts(store) == 1500, "SQLite alone would go back in time without a word"
        store.close(clean=False)
    assert found > 0


def test_salvage_keeps_state_cursors_clock_and_roll_ups(whole: Path, tmp_path: Path) -> None:
    path = _broken(whole, tmp_path, lambda main, wal: (main, wal))
    recovery.salvage(path, "test", "boot-2", build=salvage.build)
    store = Store(path, "boot-2")
    assert store.saved_state()[0] == {"at": 149}
    reader = read(path)
    assert reader.cursors().sent["urgent"] == 149
    assert reader.after_row(0, 1)[0].utc_ms == UTC_OFFSET_MS
    assert store.one("SELECT sum(count) FROM hour") == 1350
    assert answers(reader)["urgent"] == ["row"] * 150
    store.close(clean=False)


def test_roll_ups_are_made_again_where_their_page_is_gone(path: Path) -> None:
    store = Store(path, "boot-1")
    store.write(work(*(reading(at * 60_000, float(at)) for at in range(120))))
    store.connection.execute("DELETE FROM hour")
    store.checkpoint()
    store.close(clean=False)
    recovery.salvage(path, "test", "boot-1", build=salvage.build)
    store = Store(path, "boot-1")
    hours = store.connection.execute("SELECT count, min, max FROM hour ORDER BY hour").fetchall()
    assert hours == [(60, 0.0, 59.0), (60, 60.0, 119.0)]
    store.close(clean=False)


def test_a_clock_page_that_is_gone_is_made_again_from_the_facts(path: Path) -> None:
    store = Store(path, "boot-1")
    trusted = Fact("clock_trusted", "gateway", 500, {"utc_offset_ms": UTC_OFFSET_MS})
    store.write(work(opened(1), trusted))
    store.connection.execute("DELETE FROM clock")
    store.close(clean=False)
    recovery.salvage(path, "test", "boot-1", build=salvage.build)
    assert read(path).after_row(0, 1)[0].utc_ms == UTC_OFFSET_MS + 1


def test_the_audit_chain_goes_on_with_a_note(whole: Path, tmp_path: Path) -> None:
    path = _broken(whole, tmp_path, lambda main, wal: (main, wal))
    recovery.salvage(path, "test", "boot-2", build=salvage.build)
    store = Store(path, "boot-2")
    last = list(audit.entries(store.connection))[-1]
    assert last.action == "journal_recovered"
    store.write(work(audit=[AuditEntry("web:1", "open_door", "front", "accepted", 1)]))
    assert audit.verify(store.connection) == audit.Verdict(152, None)
    store.close(clean=False)


def test_absent_ranges_survive_and_lost_ones_join_them(path: Path) -> None:
    store = Store(path, "boot-1")
    store.write(work(*(opened(at) for at in range(10)), lost={"urgent": 5}))
    store.connection.execute("DELETE FROM fact WHERE seq = 9")
    store.close(clean=False)
    found = recovery.salvage(path, "test", "boot-1", build=salvage.build)
    assert (found.kept, found.lost) == (9, 1)
    assert read(path).absent("urgent", 1, 99) == [(1, 5, "lost"), (9, 9, "lost")]


@pytest.mark.parametrize(
    "content", [b"", b"x", bytes(8192), os.urandom(20_000), b"SQLite format 3\0" + bytes(5000)]
)
def test_garbage_in_the_place_of_the_journal_stops_nothing(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    desk = Desk(path).start()
    desk.append(opened(1))
    desk.until(lambda: desk.facts("door_opened"))
    desk.close()
    assert desk.states in ([], ["journal_unavailable", ""])
    recovered = 1 if len(content) > 1 else 0  # one byte is an empty file to SQLite
    assert read(path).heads()["urgent"] == 1 + recovered
    assert len(desk.facts("journal_recovered")) == recovered
    with sqlite3.connect(path) as db:
        noted = [one.subject for one in audit.entries(db) if one.action == "journal_recovered"]
    db.close()
    assert noted == ["gw"] * recovered  # as in the fact


def test_a_directory_in_the_place_of_the_journal_is_set_aside(path: Path) -> None:
    path.mkdir()
    (path / "something").write_text("of somebody")
    desk = Desk(path).start()
    desk.append(opened(1))
    desk.until(lambda: desk.facts("door_opened"))
    desk.close()
    aside = next(path.parent.glob("*.broken-*"))
    assert (aside / "something").read_text() == "of somebody"


def test_the_door_works_while_the_journal_is_being_mended(whole: Path, tmp_path: Path) -> None:
    path = _broken(whole, tmp_path, lambda main, wal: (main[: WORDS_END + 1], wal))
    desk = Desk(path, "boot-2").start()
    desk.append(opened(5, "back"))
    desk.until(lambda: desk.facts("door_opened"))
    desk.until(lambda: desk.facts("journal_recovered"))
    desk.close()
    told = desk.facts("journal_recovered")[0]
    kept = told.data["kept"]
    assert isinstance(kept, int)
    assert kept >= 730
    assert told.subject == "gw", "the gateway's id, as of every fact about it"
    assert desk.states == ["journal_unavailable", ""]
    assert [row.boot for row in read(path).before_row(None, 2)] == ["boot-2"] * 2
    assert desk.journal.saved_state(0.0) == {"at": 149}


def test_damage_that_is_found_while_running_is_mended_too(whole: Path, tmp_path: Path) -> None:
    path = _broken(whole, tmp_path, lambda main, wal: (main, wal))
    broken: list[bool] = []

    class Damaged(sqlite3.Connection):
        def executemany(self, sql: str, *values: Any) -> sqlite3.Cursor:
            if sql.startswith("INSERT INTO fact") and not broken:
                broken.append(True)
                super().execute("SELECT * FROM sqlite_master")
                error = sqlite3.DatabaseError("database disk image is malformed")
                error.sqlite_errorcode = 11
                raise error
            return super().executemany(sql, *values)

    desk = Desk(path, "boot-2", factory=Damaged).start()
    desk.append(opened(5, "back"))
    desk.until(lambda: desk.facts("journal_recovered"))
    desk.close()
    assert [fact.subject for fact in desk.facts("door_opened")] == ["back"]
    assert answers(read(path))["urgent"] == ["row"] * 152


def test_at_most_three_broken_files_are_kept(whole: Path, tmp_path: Path) -> None:
    path = _broken(whole, tmp_path, lambda main, wal: (main, wal))
    for _ in range(5):
        recovery.salvage(path, "test", "boot-1", build=salvage.build)
    names = [name for name in path.parent.glob("*.broken-*") if not name.name.endswith("-wal")]
    assert len(names) == 3
    store = Store(path, "boot-1")
    assert _facts(store) == 1500
    store.close(clean=False)


def test_a_power_cut_while_putting_the_new_file_in_place_costs_nothing(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _broken(whole, tmp_path, lambda main, wal: (main, wal))
    monkeypatch.setattr(recovery, "finish", lambda path: None)
    recovery.salvage(path, "test", "boot-1", build=salvage.build)
    monkeypatch.undo()
    beside(path, "-wal").rename(tmp_path / "moved")  # finish had come half-way
    store, reason = _opened(path)
    assert (reason, _facts(store)) == ("", 1500)
    store.close(clean=False)


def test_every_table_has_a_pattern_that_salvage_can_tell_apart(path: Path) -> None:
    patterns = [(from_index, pattern.lower()) for from_index, pattern, _ in salvage._TABLES]
    assert len(set(patterns)) == len(patterns)
    store = Store(path, "boot-1")
    entry = AuditEntry("web:1", "open_door", "front", "accepted", 1)
    store.write(
        work(
            opened(1),
            reading(2),
            lost={"urgent": 1},
            audit=[entry],
            saved_state={},
            utc_offset_ms=9,
        )
    )
    store.connection.execute("INSERT INTO hour VALUES (1,1,0,1,0,20.5,20.0,21.0)")
    store.connection.execute("INSERT INTO hour_mean VALUES (1,1,0,1,0,1000,20.5,20.0,21.0)")
    store.checkpoint()
    store.close(clean=False)
    pages = Pages(path, beside(path, "-wal"))
    found = {
        statement.split(" VALUES")[0].split(" (")[0].split()[-1]
        for number in range(1, pages.count + 1)
        for record in pages.records(number)
        for statement, _ in salvage._placed(record)
    }
    pages.close()
    names = {line.split()[2] for line in schema.SCHEMA.splitlines() if "CREATE TABLE" in line}
    assert names <= found | {"number"}


def test_long_texts_that_fill_several_pages_are_read_from_raw_pages(path: Path) -> None:
    store = Store(path, "boot-1")
    note = "x" * 30_000
    store.write(work(opened(1, note=note), saved_state={"long": note}))
    store.checkpoint()
    store.close(clean=False)
    recovery.salvage(path, "test", "boot-1", build=salvage.build)
    store = Store(path, "boot-1")
    assert store.saved_state()[0] == {"long": note}
    assert read(path).after_row(0, 1)[0].data["note"] == note
    store.close(clean=False)


HEADERS = {
    "both whole": (False, False),
    "the file's torn": (True, False),
    "the log's torn": (False, True),
    "both torn": (True, True),
}


@pytest.mark.parametrize("size", schema.PAGE_SIZES)
@pytest.mark.parametrize("torn", HEADERS.values(), ids=HEADERS)
def test_pages_of_each_size_are_read_whatever_is_left_of_the_headers(
    path: Path, monkeypatch: pytest.MonkeyPatch, size: int, torn: tuple[bool, bool]
) -> None:
    """Files from before have larger pages than new ones."""
    monkeypatch.setattr(schema, "PAGE_BYTES", size)
    store = Store(path, "boot-1")
    assert store.one("PRAGMA page_size") == size
    for at in range(100):
        store.write(work(opened(at * 10), *[reading(at * 10 + n, n) for n in range(9)]))
    store.checkpoint()
    store.close(clean=False)
    monkeypatch.undo()
    for file, is_torn in zip((path, beside(path, "-wal")), torn, strict=True):
        if is_torn:
            with file.open("r+b") as opened_file:
                opened_file.write(b"\xa5" * 100)
    recovery.salvage(path, "test", "boot-1", build=salvage.build)
    store = Store(path, "boot-1")
    assert store.one("PRAGMA page_size") == schema.PAGE_BYTES
    assert _facts(store) == 1_000
    store.close(clean=False)


def test_a_journal_from_before_keeps_its_pages_and_goes_on(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "PAGE_BYTES", 4096)
    store = Store(path, "boot-1")
    store.write(work(opened(1)))
    store.close(clean=True)
    monkeypatch.undo()
    store = Store(path, "boot-2")
    store.write(work(opened(2)))
    assert store.one("PRAGMA page_size") == 4096
    assert store.one("PRAGMA integrity_check") == "ok"
    store.close(clean=True)


def test_files_that_are_set_aside_have_a_size_together(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three of them were as large as three journals."""
    monkeypatch.setattr(set_aside, "KEEP_BYTES", 5_000)
    for number in range(3):
        for ending in ("", "-wal"):
            beside(path, ending).write_bytes(b"x" * 1_000)
        beside(path, ".salvaged").write_bytes(b"mended")
        recovery.finish(path)
        assert len(list(path.parent.glob("*.broken-*"))) == min(2 * (number + 1), 4)
    path.write_bytes(b"x" * 9_000)
    beside(path, ".salvaged").write_bytes(b"mended")
    recovery.finish(path)
    left = list(path.parent.glob("*.broken-*"))
    assert [file.stat().st_size for file in left] == [9_000]


def test_what_was_cut_short_leaves_nothing_behind(path: Path) -> None:
    """A power cut in a salvage or restore left a copy of the journal for ever."""
    Store(path, "boot-1").close(clean=True)
    before = sorted(path.parent.iterdir())
    for begun in (".salvage", ".restore"):
        for ending in ("", "-journal", "-wal", "-shm"):
            beside(path, begun + ending).write_bytes(b"x" * 1_000)
    recovery.finish(path)
    assert sorted(path.parent.iterdir()) == before


def test_a_folder_that_was_set_aside_counts_with_what_is_in_it(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(set_aside, "KEEP_BYTES", 5_000)
    for _ in range(2):
        (path / "inner").mkdir(parents=True)
        (path / "inner" / "file").write_bytes(b"x" * 3_000)
        beside(path, ".salvaged").write_bytes(b"mended")
        recovery.finish(path)
        path.unlink()
    assert len(list(path.parent.glob("*.broken-*"))) == 1


def test_a_schema_that_is_no_text_is_damage(tmp_path: Path) -> None:
    """SQLite's words about it hold its bytes, which Python could not decode: nobody expected
    that error, and the process ended again and again."""
    path = tmp_path / "journal.sqlite"
    store = Store(path, "boot-1")
    store.close(clean=True)
    whole = sqlite3.connect(path)
    whole.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    whole.close()
    data = path.read_bytes()
    at = data.index(b"CREATE TABLE meta")
    path.write_bytes(data[:at] + b"CREATE \x9c\xff\xfe" + data[at + 10 :])
    assert recovery.inspect(path) == "the schema is not text"
    with pytest.raises(JournalUnavailable):
        Reader(path).head_row()


# --- the process that mends


def test_the_process_that_mends_gives_what_the_function_does(whole: Path, tmp_path: Path) -> None:
    """A path and a reason of any letters come over, whatever language the environment names."""
    results = []
    for build in (salvage.build, None):
        path = _broken(whole, tmp_path / f"Büro {build is None}", lambda main, wal: (main, wal))
        found = recovery.salvage(path, "zerrissen: \0 „€“", "boot-2", gateway="haus", build=build)
        store = Store(path, "boot-2")
        (entry,) = store.connection.execute(
            "SELECT detail, subject FROM audit WHERE action = 'journal_recovered'"
        ).fetchall()
        results.append((found, _facts(store), entry))
        store.close(clean=False)
    assert results[0] == results[1]
    assert results[0][0].kept == 1500


@pytest.mark.parametrize("code", ["import os, signal; os.kill(os.getpid(), signal.SIGKILL)", ""])
def test_a_process_that_ends_without_an_answer_changes_nothing(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    """Killed for its memory, or without a word: the file stays, and the writer tries again."""
    path = _broken(whole, tmp_path, lambda main, wal: (main, wal))
    stand_in = tmp_path / "python"
    stand_in.write_text(f"#!{sys.executable}\n{code}\n")
    stand_in.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(stand_in))
    with pytest.raises(OSError, match="ended with"):
        recovery.salvage(path, "test", "boot-2")
    assert path.read_bytes() == whole.read_bytes()
    assert not beside(path, ".salvage").exists()
    assert not beside(path, ".salvaged").exists()


def test_a_disk_without_room_for_the_mended_file_is_told_as_full(
    whole: Path, tmp_path: Path, small_disk: Path
) -> None:
    path = _broken(whole, tmp_path, lambda main, wal: (main, wal))
    target = Path(shutil.copy(path, small_disk))
    with (small_disk / "filler").open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    with pytest.raises(OSError, match="full") as told:
        recovery.salvage(target, "test", "boot-2")
    assert told.value.errno == errno.ENOSPC


def test_the_process_that_mends_ends_with_whoever_started_it(whole: Path, tmp_path: Path) -> None:
    """Else a killed gateway's one would write beside that of the next start."""
    path = _broken(whole, tmp_path, lambda main, wal: (main, wal))
    building = tmp_path / "building"
    asked = {"path": str(path), "building": str(building), "reason": "", "boot": "b"}
    with (
        contextlib.closing(sqlite3.connect(building, isolation_level=None)) as lock,
        subprocess.Popen(
            [sys.executable, "-m", "gateway.journal.salvage"], stdin=subprocess.PIPE
        ) as process,
    ):
        lock.execute("BEGIN EXCLUSIVE")  # it cannot come to its end
        assert process.stdin is not None
        process.stdin.write(json.dumps({**asked, "gateway": "gw"}).encode() + b"\n")
        process.stdin.close()
        assert process.wait(30) == 1
