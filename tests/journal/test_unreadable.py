"""A journal that is not read at the start, whatever the reason, is not taken for a new one: what
stood is unknown, and that is told. A journal that is new tells nothing."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import pytest

from gateway.core.facts import Json
from gateway.journal import backup, writer
from gateway.journal.reserve import NumberedState, Reserve
from tests.journal.journal_desk import Desk, opened, read

pytestmark = pytest.mark.thorough

STATE: dict[str, Json] = {
    "format": 1,
    "calls": {"wc": {"call": {"id": "wc-1", "state": "raised"}}},
    "overrides": {"front": {"mode": "off", "by": "web:3", "until_utc_ms": 1_800_000_000_000}},
}
LATER: dict[str, Json] = {"format": 1, "calls": {"wc": {"call": {"id": "wc-2"}}}}
UNREADABLE: dict[str, Json] = {"format": "unreadable"}
NOBODY = 65534


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "RETRY_MS", 20)
    monkeypatch.setattr(writer, "SALVAGE_AGAIN_MS", 20)
    monkeypatch.setattr("gateway.journal.schema.BUSY_MS", 50)


@pytest.fixture
def path() -> Iterator[Path]:
    """A journal in a folder that others can reach, too."""
    folder = Path(tempfile.mkdtemp())
    yield folder / "journal.sqlite"
    shutil.rmtree(folder)


@pytest.fixture
def stood(path: Path) -> Path:
    """A journal that was stopped in order while a call stood."""
    desk = Desk(path).start()
    for at in range(20):
        desk.append(opened(at), saved_state={**STATE, "at": at})
    desk.append(opened(20), saved_state=STATE)
    desk.until(lambda: len(desk.rows) == 21 and reserve(path).exists())
    desk.close()
    return path


def reserve(path: Path) -> Path:
    return path.with_name("journal.sqlite.reserve")


@contextmanager
def without_rights(*files: Path) -> Iterator[None]:
    """These files are there, and may not be opened; also by root, who is somebody else then."""
    before = [file.stat().st_mode & 0o777 for file in files]
    root = os.geteuid() == 0
    if root:
        for one in (files[0].parent, *files[0].parent.iterdir()):
            os.chown(one, NOBODY, NOBODY)
    for file in files:
        file.chmod(0)
    if root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
        for file, mode in zip(files, before, strict=True):
            file.chmod(mode)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Somebody has the file for himself: another process, since a process that opens and closes a
    file gives up every lock that it has on it."""
    code = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("PRAGMA locking_mode = EXCLUSIVE").fetchone()
db.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.read()
db.close()
"""
    with subprocess.Popen(
        [sys.executable, "-c", code, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"locked\n"
        yield
        other.communicate()


def begun(path: Path) -> tuple[Desk, dict[str, object] | None]:
    desk = Desk(path, "boot-2").start()
    saved = desk.journal.saved_state(20.0)
    assert desk.journal.readable, "the worst is assumed at once"
    return desk, None if saved is None else dict(saved)


@pytest.mark.parametrize("hidden", [without_rights, locked])
def test_a_journal_that_cannot_be_read_now_is_unreadable_at_once(
    stood: Path, hidden: Callable[[Path], AbstractContextManager[None]]
) -> None:
    with hidden(stood):
        desk, saved = begun(stood)
        assert saved == UNREADABLE
        assert desk.states[-1] in ("journal_unavailable", "journal_read_only")
        desk.append(opened(30), saved_state=LATER)
    desk.until(lambda: desk.rows)
    desk.close()
    assert [row.mono_ms for row in read(stood).lane("urgent", 20, 9)] == [19, 20, 30]
    again, saved = begun(stood)
    assert saved == LATER, "what the alarms said is kept over what could not be read"
    again.close()


def test_of_a_journal_without_rights_the_reserve_is_shown_and_not_believed(stood: Path) -> None:
    Reserve(stood).prepare()
    Reserve(stood).save(read(stood).journal_id(), NumberedState(99, STATE), durable=True)
    with without_rights(stood):
        desk, saved = begun(stood)
        assert saved == {**STATE, **UNREADABLE}
        desk.close()


def test_what_stood_last_while_it_could_not_be_read_counts_at_the_next_start(stood: Path) -> None:
    """Its numbers begin above all that the journal has, which nobody could read."""
    for _ in range(2):  # also once the journal has such numbers
        with without_rights(stood):
            desk, saved = begun(stood)
            assert saved == UNREADABLE
            desk.append(opened(30), saved_state=LATER)
            desk.close()
        again, saved = begun(stood)
        assert saved == LATER
        again.append(opened(31), saved_state=STATE)
        again.until(lambda again=again: again.rows and Reserve(stood).read() is None)
        again.close()


def removed(path: Path) -> None:
    for file in path.parent.glob("journal.sqlite*"):
        if file != reserve(path):
            file.unlink()


def emptied(path: Path) -> None:
    removed(path)
    path.touch()


def without_tables(path: Path) -> None:
    removed(path)
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 1")


def a_pipe(path: Path) -> None:
    removed(path)
    os.mkfifo(path)


def a_device(path: Path) -> None:
    removed(path)
    path.symlink_to("/dev/zero")


def a_loop(path: Path) -> None:
    removed(path)
    path.symlink_to(path)


GONE: dict[Callable[[Path], None], str] = {
    removed: "missing",
    emptied: "empty",
    without_tables: "empty",
    a_pipe: "journal.sqlite is no file",
    a_device: "journal.sqlite is no file",
    a_loop: "missing",
}


@pytest.mark.parametrize("lost", GONE, ids=[lost.__name__ for lost in GONE])
def test_a_journal_that_is_gone_was_there_and_that_is_told(
    stood: Path, lost: Callable[[Path], None]
) -> None:
    lost(stood)
    desk, saved = begun(stood)
    assert saved == UNREADABLE
    desk.until(lambda: desk.facts("journal_recovered"))
    assert desk.facts("journal_recovered")[0].data["reason"] == GONE[lost]
    desk.append(opened(30), saved_state=LATER)
    desk.until(lambda: len(desk.rows) == 2)
    desk.close()
    again, saved = begun(stood)
    assert saved == LATER
    again.append(opened(31))
    again.until(lambda: again.rows)
    assert not again.facts("journal_recovered")
    again.close()


def test_what_the_reserve_of_a_journal_that_is_gone_holds_is_shown(stood: Path) -> None:
    Reserve(stood).prepare()
    Reserve(stood).save(read(stood).journal_id(), NumberedState(99, STATE), durable=True)
    removed(stood)
    desk, saved = begun(stood)
    assert saved == {**STATE, **UNREADABLE}
    desk.close()


def test_a_log_that_is_a_pipe_is_damage(stood: Path) -> None:
    log = stood.with_name("journal.sqlite-wal")
    log.unlink()
    os.mkfifo(log)
    desk, saved = begun(stood)
    assert saved == STATE
    desk.append(opened(30))
    desk.until(lambda: any(fact.at_ms == 30 for _, _, _, fact in desk.rows))
    desk.close()


@pytest.mark.parametrize("begin", [removed, emptied, without_tables])
def test_a_new_journal_tells_nothing(path: Path, begin: Callable[[Path], None]) -> None:
    """Also where the creation of the file before was cut short: only its first state makes the
    reserve, by which it is known."""
    begin(path)
    desk, saved = begun(path)
    assert saved is None
    desk.append(opened(1), saved_state=STATE)
    desk.until(lambda: desk.rows)
    desk.close()
    assert not desk.facts("journal_recovered")
    assert desk.states in ([], [""])


def test_a_journal_that_was_put_back_or_copied_tells_nothing_of_that_kind(
    stood: Path, tmp_path: Path
) -> None:
    for copied in ("journal.sqlite", "journal.sqlite-wal", "journal.sqlite.reserve"):
        place = tmp_path / f"of {copied}"
        place.mkdir()
        for file in ("journal.sqlite", copied):
            shutil.copy(stood.with_name(file), place)
        desk, saved = begun(place / "journal.sqlite")
        assert saved == STATE, copied
        desk.close()
        assert not desk.facts("journal_recovered")


def test_nobody_puts_a_backup_over_a_journal_that_is_gone_and_does_not_say_so(
    stood: Path, tmp_path: Path
) -> None:
    saved = tmp_path / "saved.sqlite"
    backup.backup(stood, saved)
    removed(stood)
    with pytest.raises(backup.CallStands, match="cannot be read"):
        backup.restore(saved, stood, "boot-2")
    backup.restore(saved, stood, "boot-2", keep_calls=True)
    backup.restore(saved, tmp_path / "journal.sqlite", "boot-2")


def a_reserve_without_rights(path: Path) -> AbstractContextManager[None]:
    return without_rights(reserve(path))


@contextmanager
def a_reserve_that_is_a_pipe(path: Path) -> Iterator[None]:
    reserve(path).rename(path.with_name("before"))  # else a new file may get its inode number
    os.mkfifo(reserve(path))
    yield


@pytest.mark.parametrize("hidden", [a_reserve_without_rights, a_reserve_that_is_a_pipe])
def test_a_reserve_that_cannot_be_read_may_hold_the_last_state(
    stood: Path, hidden: Callable[[Path], AbstractContextManager[None]]
) -> None:
    """What the journal has is shown then, and not believed; the reserve is made anew."""
    before = reserve(stood).stat().st_ino
    with hidden(stood):
        desk, saved = begun(stood)
        assert saved == {**STATE, **UNREADABLE}
        desk.append(opened(30), saved_state=LATER)
        desk.until(lambda: desk.rows and reserve(stood).stat().st_size > 0)
        desk.close()
    assert before != reserve(stood).stat().st_ino
    assert reserve(stood).is_file()
    again, saved = begun(stood)
    assert saved == LATER
    again.close()
