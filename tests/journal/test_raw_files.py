"""Looking at the files of a journal takes no lock of SQLite away.

``control`` was ended by SIGBUS: one of its threads read the -shm while another one had a
connection, and the next process that opened the journal found no lock on it and emptied it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from gateway.journal import raw_files, recovery
from gateway.journal.pages import torn
from tests.journal.journal_desk import Desk, opened, read

IN_USE = 128
"""The byte of the -shm on which every connection has a lock (SQLite's ``UNIX_SHM_DMS``)."""
SHARED_FIRST, SHARED_SIZE = 0x40000002, 510
"""The bytes of the file itself on which every connection in WAL mode has one."""


def somebody_else_can_lock(file: Path, first: int, count: int) -> bool:
    """Whether another process gets these bytes for itself, so that nobody has a lock on them."""
    code = """
import fcntl, sys
with open(sys.argv[1], "r+b") as file:
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, int(sys.argv[3]), int(sys.argv[2]))
    except BlockingIOError:
        sys.exit(1)
"""
    arguments = [str(file), str(first), str(count)]
    done = subprocess.run([sys.executable, "-c", code, *arguments], check=False, timeout=60)
    return done.returncode == 0


def inspected(path: Path) -> None:
    assert recovery.inspect(path) == ""


def looked_for_a_tear(path: Path) -> None:
    torn(path, path.with_name(path.name + "-wal"), 0)


@pytest.mark.parametrize("look", [inspected, looked_for_a_tear])
def test_a_look_at_an_open_journal_leaves_its_locks(
    path: Path, look: Callable[[Path], None]
) -> None:
    shm = path.with_name(path.name + "-shm")
    desk = Desk(path).start()
    try:
        desk.append(opened(1))
        desk.until(lambda: desk.rows)
        with closing(read(path)) as reader:
            reader.journal_id()
            look(path)
            assert not somebody_else_can_lock(shm, IN_USE, 1)
            assert not somebody_else_can_lock(path, SHARED_FIRST, SHARED_SIZE)
    finally:
        desk.close()


def test_a_file_is_read_from_its_beginning_each_time_and_a_new_one_anew(tmp_path: Path) -> None:
    file = tmp_path / "file"
    for content in (b"one", b"another"):
        file.write_bytes(content)
        for _ in range(2):
            with raw_files.opened(file) as found:
                assert found.read() == content
        file.rename(tmp_path / "before")


def test_what_is_not_in_its_place_any_more_is_let_go(tmp_path: Path) -> None:
    def held() -> int:
        return sum(
            str(tmp_path) in os.readlink(f"/proc/self/fd/{fd}")
            for fd in os.listdir("/proc/self/fd")
            if Path(f"/proc/self/fd/{fd}").is_symlink()
        )

    for number in range(5):
        file = tmp_path / str(number)
        file.write_bytes(b"x")
        raw_files.opened(file).close()
        file.unlink()
    assert held() <= 1


def test_anything_but_a_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="no file, but a pipe"):
        raw_files.opened(tmp_path / "pipe")
    with pytest.raises(FileNotFoundError):
        raw_files.opened(tmp_path / "nothing")
