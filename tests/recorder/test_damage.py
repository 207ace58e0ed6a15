"""Whatever bytes stand in the recorder's own files, it starts."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gateway.formats import UnknownFormat
from gateway.recorder import aside, damage, state
from gateway.recorder.state import RecorderState


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "recorder-main.sqlite"


@pytest.fixture
def files(path: Path) -> dict[Path, bytes]:
    """The recorder's files, closed in order."""
    RecorderState(path).close()
    found = {}
    for file in (path, Path(aside.path_of(path))):
        with closing(sqlite3.connect(file)) as db:
            db.execute("PRAGMA journal_mode = DELETE").fetchone()
        found[file] = file.read_bytes()
    return found


def started(path: Path) -> None:
    damage.look(path, state.FORMAT)
    damage.look(Path(aside.path_of(path)), aside.FORMAT)
    RecorderState(path).close()


def test_whole_files_stay(files: dict[Path, bytes], path: Path) -> None:
    with capture_logs() as logs:
        started(path)
    assert logs == []
    assert sorted(one.name for one in path.parent.iterdir()) == sorted(one.name for one in files)


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("content", [b"no database" * 100, b"\xff" * 4096, None])
def test_a_file_that_is_none_is_moved_away_and_named(
    files: dict[Path, bytes], path: Path, which: int, content: bytes | None
) -> None:
    file = list(files)[which]
    file.unlink()
    if content is None:
        file.mkdir()
    else:
        file.write_bytes(content)
    with capture_logs() as logs:
        started(path)
    away = file.with_name(f"{file.name}.broken")
    assert [log["moved"] for log in logs] == [str(away)]
    assert away.is_dir() if content is None else away.read_bytes() == content


def test_one_flipped_bit_keeps_no_recorder_from_starting(
    files: dict[Path, bytes], path: Path
) -> None:
    draw = random.Random(1)
    started_over = 0
    for number in range(160):
        file, content = list(files.items())[number % 2]
        at = draw.randrange(100, len(content))
        file.write_bytes(content[:at] + bytes([content[at] ^ 1 << number % 8]) + content[at + 1 :])
        try:
            with capture_logs() as logs:
                started(path)
            started_over += bool(logs)
        except UnknownFormat:  # tables of another name are another program's, and stay
            assert file.exists()
        for old, whole in files.items():
            old.write_bytes(whole)
            for ending in ("-wal", "-shm"):
                old.with_name(old.name + ending).unlink(missing_ok=True)
    assert started_over
