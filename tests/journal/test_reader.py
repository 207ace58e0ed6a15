"""Reading beside the writer, after it has stopped, by another user, and with filters."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.core.facts import Fact
from gateway.journal import backup
from gateway.journal.queries.reader import CursorExpired, JournalUnavailable, Reader
from gateway.journal.store import Store
from tests.journal.journal_desk import UTC_OFFSET_MS, Desk, opened, read, reading, work


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    """Rows 1 to 60 in two boots: urgent, routine, routine, again and again."""
    for boot in ("boot-1", "boot-2"):
        store = Store(path, boot)
        for at in range(10):
            mono_ms = at * 1_000
            leaf = Fact("contact_changed", "front.leaf", mono_ms, {"active": True})
            offset = UTC_OFFSET_MS + (0 if boot == "boot-1" else 60_000)
            store.write(work(opened(mono_ms), reading(mono_ms), leaf, utc_offset_ms=offset))
        store.close(clean=True)
    store = Store(path, "boot-2")
    yield store
    store.close(clean=False)


def test_a_journal_that_is_not_there_is_unavailable_until_it_is(path: Path) -> None:
    reader = read(path)
    with pytest.raises(JournalUnavailable):
        reader.head_row()
    Store(path, "boot-1").close(clean=True)
    assert reader.head_row() == 0
    assert reader.heads() == {"urgent": 0, "routine": 0, "local": 0}
    assert reader.range() is None


def test_a_file_that_is_no_journal_is_unavailable(path: Path) -> None:
    path.write_bytes(b"no database" * 100)
    with pytest.raises(JournalUnavailable):
        read(path).after_row(0, 1)


def test_rows_after_a_cursor_in_order(store: Store, path: Path) -> None:
    reader = read(path)
    assert [row.row for row in reader.after_row(0, 3)] == [1, 2, 3]
    assert [row.row for row in reader.after_row(58, 10)] == [59, 60]
    assert reader.after_row(60, 10) == []
    assert [row.row for row in reader.before_row(None, 2)] == [60, 59]
    assert [row.row for row in reader.before_row(3, 5)] == [2, 1]


def test_filters_by_kind_subject_and_lane(store: Store, path: Path) -> None:
    reader = read(path)
    assert [row.row for row in reader.after_row(0, 3, kinds=["door_opened"])] == [1, 4, 7]
    assert [row.row for row in reader.after_row(4, 2, subject="front.leaf")] == [6, 9]
    assert [row.row for row in reader.after_row(0, 3, lanes=["routine"])] == [2, 3, 5]
    both = reader.before_row(None, 2, kinds=["door_opened", "reading"])
    assert [row.row for row in both] == [59, 58]
    assert reader.after_row(0, 3, kinds=["door_opened"], subject="nobody") == []
    assert reader.after_row(0, 3, kinds=["never_heard_of"]) == []


def test_filters_by_time_over_several_boots(store: Store, path: Path) -> None:
    reader = read(path)
    begin, end = UTC_OFFSET_MS + 8_000, UTC_OFFSET_MS + 62_000
    rows = reader.after_row(0, 99, kinds=["door_opened"], from_utc_ms=begin, to_utc_ms=end)
    assert [row.row for row in rows] == [25, 28, 31, 34]
    assert [row.utc_ms for row in rows] == [
        UTC_OFFSET_MS + at for at in (8_000, 9_000, 60_000, 61_000)
    ]
    assert reader.range() == (UTC_OFFSET_MS, UTC_OFFSET_MS + 69_000)


def test_a_cursor_that_is_too_old_or_of_another_journal_has_expired(
    store: Store, path: Path
) -> None:
    reader = read(path)
    store.connection.execute("DELETE FROM fact WHERE row <= 10")
    assert [row.row for row in reader.after_row(0, 1)] == [11]
    assert [row.row for row in reader.after_row(10, 1)] == [11]
    with pytest.raises(CursorExpired):
        reader.after_row(9, 1)
    with pytest.raises(CursorExpired):
        reader.after_row(61, 1)


def test_a_lane_is_read_by_its_own_numbers(store: Store, path: Path) -> None:
    reader = read(path)
    assert [(row.seq, row.row) for row in reader.lane("urgent", 19, 5)] == [(19, 55), (20, 58)]
    assert reader.absent("urgent", 1, 99) == []


def test_absent_ranges_are_cut_to_what_was_asked(store: Store, path: Path) -> None:
    store.write(work(lost={"urgent": 10}))
    store.write(work(opened(1), lost={"routine": 1}))
    reader = read(path)
    assert reader.absent("urgent", 1, 25) == [(21, 25, "lost")]
    assert reader.absent("urgent", 23, 99) == [(23, 30, "lost")]
    assert reader.heads() == {"urgent": 31, "routine": 41, "local": 0}


def test_data_that_a_flipped_bit_made_unreadable_does_not_stop_the_reader(
    store: Store, path: Path
) -> None:
    store.connection.execute("UPDATE fact SET data = '{\"cause' WHERE row = 1")
    assert read(path).after_row(0, 1)[0].data == {}


def test_a_text_that_is_no_utf_8_any_more_does_not_stop_the_reader(
    store: Store, path: Path
) -> None:
    """A lying disk, seed 5: nothing was forwarded any more, from that row on."""
    before = read(path).after_row(0, 60)
    flipped = """CAST(X'7B22636175FF65223A312C226F70656E223A317D' AS TEXT)"""
    store.connection.execute(f"UPDATE fact SET data = {flipped} WHERE row = 1")
    found = read(path).after_row(0, 60)
    assert found[0].data == {"cau\N{REPLACEMENT CHARACTER}e": 1, "open": 1}
    assert found[1:] == before[1:]


def test_a_reader_notices_that_the_file_was_replaced(
    store: Store, path: Path, tmp_path: Path
) -> None:
    reader = read(path)
    old = reader.journal_id()
    store.close(clean=True)
    backup.backup(path, tmp_path / "backup")
    new = backup.restore(tmp_path / "backup", path, "boot-1.5", keep_calls=True)
    assert reader.journal_id() == new != old


def test_a_read_that_takes_too_long_is_broken_off(
    store: Store, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.journal.queries.reader.READ_WITHIN_MS", 50)
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
    with pytest.raises(JournalUnavailable, match="interrupted"):
        read(path).read(lambda db: db.execute(endless).fetchone())
    assert read(path).head_row() == 60


def test_the_reader_cannot_write(store: Store, path: Path) -> None:
    with pytest.raises(JournalUnavailable):
        read(path).read(lambda db: db.execute("DELETE FROM fact"))


_OTHER = """
import os, sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from gateway.journal.queries.reader import Reader
os.setgroups([]); os.setgid(65534); os.setuid(65534)
try:
    os.open(sys.argv[1], os.O_RDWR)
    sys.exit("it may write")
except PermissionError:
    pass
print(Reader(Path(sys.argv[1])).heads()["urgent"])
"""


def _as_nobody(path: Path) -> str:
    root = Path(__file__).resolve().parents[2]
    # It imports as root, because the interpreter may lie in root's home, and then lets go.
    done = subprocess.run(
        [sys.executable, "-c", _OTHER, str(path), str(root)],
        check=False,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip() or done.stderr.strip().splitlines()[-1]


def test_another_user_reads_beside_the_writer_and_after_it_has_stopped() -> None:
    """Ruling 20: the history stays readable after an orderly stop, by a user without rights."""
    if os.geteuid() != 0:
        pytest.skip("to become another user one must be root")
    folder = Path("/tmp") / f"portier-journal-{os.getpid()}"
    folder.mkdir(mode=0o755)
    try:
        path = folder / "journal.sqlite"
        desk = Desk(path).start()
        desk.append(opened(1))
        desk.until(lambda: desk.rows)
        reserve = folder / "journal.sqlite.reserve"  # for nobody else
        desk.until(reserve.exists)
        for file in {*folder.iterdir()} - {reserve}:
            file.chmod(0o644)  # in real life the group portier-read may read
        assert _as_nobody(path) == "1"
        desk.append(opened(2))
        desk.close()
        assert reserve.stat().st_mode & 0o077 == 0
        files = {*folder.iterdir()} - {reserve}
        assert {file.name for file in files} == {
            "journal.sqlite",
            "journal.sqlite-shm",
            "journal.sqlite-wal",
        }
        for file in files:
            file.chmod(0o644)
        assert _as_nobody(path) == "2"
    finally:
        shutil.rmtree(folder)


def test_the_files_are_not_for_everybody(path: Path) -> None:
    desk = Desk(path).start()
    desk.append(opened(1))
    desk.until(lambda: desk.rows)
    desk.until(path.with_name("journal.sqlite.reserve").exists)  # nothing is written beside it now
    modes = {file.stat().st_mode & 0o007 for file in path.parent.glob("journal.sqlite*")}
    desk.close()
    assert modes == {0}


def test_readers_and_the_writer_do_not_hold_each_other_up(path: Path) -> None:
    desk = Desk(path).start()
    reader = Reader(path)
    desk.append(opened(0))
    desk.until(lambda: desk.rows)
    for at in range(1, 100):
        desk.append(opened(at))
        rows = reader.after_row(0, 1_000)
        assert [row.seq for row in rows] == list(range(1, len(rows) + 1))
    desk.close()
    assert reader.head_row() == 100
    reader.close()
