"""The versions of files that the recorder keeps locked while it runs."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from gateway.app import formats
from gateway.formats import BUSY_S
from gateway.recorder.state import RecorderState
from gateway.recorder.stores.recent import RecentReadings
from tests.cli.test_cli_offline import portier
from tests.process.parts import BUILDING

FILES = ("recorder-recorder.sqlite", "record.sqlite-recent")
HOLD = """
import sys
from pathlib import Path
from gateway.recorder.stores.recent import RecentReadings
from gateway.recorder.state import RecorderState
folder = Path(sys.argv[1])
held = RecorderState(folder / "recorder-recorder.sqlite", exclusive=True)
more = RecentReadings(folder / "record.sqlite-recent", "one")
more.add([(1, 2, 3, "{}")])
print("held", flush=True)
sys.stdin.read()
"""
LOCK = """
import sqlite3, sys
for name in sys.argv[2:]:
    db = sqlite3.connect(sys.argv[1] + "/" + name, isolation_level=None)
    db.execute("PRAGMA locking_mode = EXCLUSIVE")
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("BEGIN EXCLUSIVE")
    db.execute("PRAGMA user_version = 99")
    db.execute("COMMIT")
    globals()[name] = db
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "portier.yaml").write_text(BUILDING, encoding="utf-8")
    (tmp_path / "state" / "record").mkdir(parents=True)
    return tmp_path


@contextmanager
def held(script: str, folder: Path, *names: str) -> Iterator[None]:
    """Another process has these files, as the recorder has them."""
    holder = subprocess.Popen(
        [sys.executable, "-c", script, str(folder), *names],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        yield
        holder.communicate("")


def locked(file: Path) -> bool:
    with closing(sqlite3.connect(file, timeout=0)) as db:
        try:
            db.execute("PRAGMA user_version").fetchone()
        except sqlite3.OperationalError as error:
            return error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
    return False


def test_the_versions_of_the_recorders_files_are_read_while_it_has_them(place: Path) -> None:
    state = place / "state"
    with held(HOLD, state / "record"):
        assert [locked(state / "record" / name) for name in FILES] == [True, True]
        begin = time.monotonic()
        found = list(formats.examine(state))
        assert formats.unknown_files(state) == ([], {})
        assert time.monotonic() - begin < 2 * BUSY_S, "nobody waits for four locks"
    (said,) = found
    assert said.value == "yes"
    for name in ("recorder", "readings that wait"):
        assert name in said.what.removeprefix("formats: ").split(", ")


def test_a_version_that_is_in_the_log_alone_is_named_while_the_file_is_locked(place: Path) -> None:
    folder = place / "state" / "record"
    RecorderState(folder / FILES[0]).close()
    RecentReadings(folder / FILES[1], "one").close()
    with held(LOCK, folder, *FILES):
        assert all(locked(folder / name) for name in FILES)
        heads = [(folder / name).read_bytes()[60:64] for name in FILES]
        assert heads == [b"\0\0\0\x01"] * 2, "what is new is in the log alone"
        result = portier("check", place / "portier.yaml", "--state", place / "state")
    assert result.exit_code == 78
    for name in FILES:
        assert f"{folder / name}: " in result.output
    assert result.output.count("in format 99") == 2
    assert "in order" not in result.output


def test_check_names_a_file_that_it_could_not_read(place: Path) -> None:
    file = place / "state" / "record" / FILES[0]
    file.write_bytes(b"no database" * 1_000)
    result = portier("check", place / "portier.yaml", "--state", place / "state")
    assert result.exit_code == 0, "it holds up no update"
    assert f"{file}: its version was not read (file is not a database)" in result.output
    assert f"; not read: 1 file of {place / 'state'}" in result.output
