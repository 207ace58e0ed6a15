"""Whatever bytes stand in the recorder's own files, it starts."""

from __future__ import annotations

import random
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from gateway import set_aside
from gateway.app.doctor import store as doctor_store
from gateway.formats import UnknownFormat
from gateway.mqtt.settings import BrokerSettings
from gateway.mqtt.subscription import Connected
from gateway.recorder import damage, rejects, state
from gateway.recorder.ingest import Ingest
from gateway.recorder.main import RecorderSettings, run
from gateway.recorder.recorder import Recorder
from gateway.recorder.state import RecorderState
from gateway.recorder.stores.sqlite import SqliteStore
from gateway.settings.model.link import Record
from gateway.settings.values.store_address import parse
from tests.asides import asides
from tests.recorder.conftest import T0, Bench, FakeStore, event


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "recorder-main.sqlite"


@pytest.fixture
def files(path: Path) -> dict[Path, bytes]:
    """The recorder's files, closed in order."""
    RecorderState(path).close()
    found = {}
    for file in (path, Path(rejects.path_of(path))):
        with closing(sqlite3.connect(file)) as db:
            db.execute("PRAGMA journal_mode = DELETE").fetchone()
        found[file] = file.read_bytes()
    return found


def started(path: Path) -> None:
    damage.look(path, state.FORMAT, state.read_all)
    damage.look(Path(rejects.path_of(path)), rejects.FORMAT, rejects.counts)
    one = RecorderState(path)
    Ingest(one)
    one.close()


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
    (away,) = set_aside.found(file)
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
        for old, before in files.items():
            old.write_bytes(before)
            for ending in ("-wal", "-shm"):
                old.with_name(old.name + ending).unlink(missing_ok=True)
    assert started_over


@pytest.mark.parametrize("number", [0, 1])
def test_a_file_that_does_something_by_itself_is_set_aside(
    files: dict[Path, bytes], path: Path, number: int
) -> None:
    """A trigger could drop what is written, and nobody would know."""
    file = list(files)[number]
    with closing(sqlite3.connect(file)) as db:
        (table,) = db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchone()
        db.execute(f"CREATE TRIGGER quiet BEFORE INSERT ON {table} BEGIN SELECT RAISE(IGNORE); END")
    started(path)
    assert len(set_aside.found(file)) == 1


def closed(path: Path) -> None:
    """Bring everything from the log into the file."""
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA journal_mode = DELETE").fetchone()


def hit(path: Path, words: bytes, by: bytes) -> None:
    """Write over what is stored in a closed file, as a dying card does."""
    content = path.read_bytes()
    assert words in content
    path.write_bytes(content.replace(words, by, 1))


@pytest.mark.parametrize(
    ("words", "by"),
    [
        pytest.param(b'[["meter', b'{["meter', id="a text that is none of ours"),
        pytest.param(b"routine", b"\xff" * 7, id="a text that is no text"),
        pytest.param(b"\x0d\x00\x00\x00", b"\x77" * 4, id="a page that is none"),
    ],
)
def test_damage_that_no_start_meets_is_found_before_the_file_is_used(
    bench: Bench, path: Path, words: bytes, by: bytes
) -> None:
    """Deep in a table: the recorder ended at the first fact of a series, at every start."""
    bench.state.close()
    bench.state = RecorderState(path)
    bench.again()
    for seq in range(1, 400):
        bench.broker.event(event(seq, subject=f"meter.{seq:03}", mono_ms=seq))
    bench.turn()
    bench.turn(6_000)
    bench.state.close()
    closed(path)
    assert damage.look(path, state.FORMAT, state.read_all) is None
    if words.startswith(b"[["):
        words, by = b"[[17", b"{[17"  # the times of a series
    hit(path, words, by)
    with capture_logs() as logs:
        moved = damage.look(path, state.FORMAT, state.read_all)
    assert [moved] == set_aside.found(path)
    assert len(logs) == 1
    bench.state = RecorderState(path)
    assert bench.state.lanes() == {}


def damaged(path: Path, content: bytes) -> Path:
    """Set aside, with a log."""
    path.write_bytes(content)
    Path(f"{path}-wal").write_bytes(b"log of " + content[:20])
    Path(f"{path}-shm").write_bytes(b"x")
    return set_aside.rename(path)


def test_a_second_damage_leaves_what_the_first_has_set_aside(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was deleted, with all history in it; a card that dies damages more than once."""
    history = b"all history" * 1_000
    before = path.with_name(f"{path.name}.broken")  # as the version before has named it
    before.write_bytes(b"old")
    first = damaged(path, history)
    monkeypatch.setattr("time.gmtime", lambda: time.struct_time((1970, 1, 1, 0, 0, 0, 3, 1, 0)))
    later = [damaged(path, b"%d" % number) for number in range(5)]
    left = set_aside.found(path)
    assert left == [first, *later[-2:]], "the largest, and the newest, whatever the clock says"
    assert first.read_bytes() == history
    assert Path(f"{first}-wal").read_bytes() == b"log of " + history[:20]
    assert not before.exists()
    assert sorted(one.name for one in path.parent.iterdir()) == sorted(
        f"{one.name}{ending}" for one in left for ending in ("", "-wal")
    ), "and no logs of the others"


def test_what_is_set_aside_has_a_number_and_a_size_together(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(set_aside, "KEEP_BYTES", 5_000)
    found = [damaged(path, b"x" * size) for size in (1_000, 4_000, 900, 10)]
    assert set_aside.found(path) == found[1:], "three"
    found.append(damaged(path, b"x" * 3_000))
    assert set_aside.found(path) == [found[1], found[-1]], "no room for others beside these"
    path.mkdir()
    (path / "inside").write_bytes(b"x" * 6_000)
    found.append(set_aside.rename(path))
    assert set_aside.found(path) == [found[1], found[-1]], "a folder counts with what is in it"
    found.append(damaged(path, b"y"))
    assert set_aside.found(path) == found[-2:]
    found.append(damaged(path, b"z" * 6_001))
    assert set_aside.found(path) == [found[-3], found[-1]]
    other = damaged(path.with_name("recorder-main.sqlite-recent"), b"x")
    assert other.exists()
    assert set_aside.found(path) == [found[-3], found[-1]], "each name has its own"


def test_what_is_set_aside_goes_after_its_life_and_its_log_with_it(path: Path) -> None:
    away = damaged(path, b"no database" * 100)
    written_ms = away.stat().st_mtime_ns // 1_000_000
    set_aside.remove_old(path, written_ms + set_aside.LIFE_MS)
    assert away.exists()
    state_file = RecorderState(path)
    state_file.forget_old(written_ms + set_aside.LIFE_MS + 1_000)
    state_file.close()
    assert not away.exists()
    assert not Path(f"{away}-wal").exists()


class WithStore(Bench):
    """A recorder on files, with the embedded store."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.state.close()
        self.file = folder / "record.sqlite"
        self.sqlite = SqliteStore(self.file)
        self.state = RecorderState(folder / "recorder-main.sqlite")
        self.again()

    def again(self) -> None:
        self.store = cast(FakeStore, getattr(self, "sqlite", self.store))
        super().again()

    def seqs(self) -> list[int]:
        with closing(sqlite3.connect(f"file:{self.file}?mode=ro", uri=True)) as db:
            return [seq for (seq,) in db.execute("SELECT seq FROM points ORDER BY seq")]


def call(seq: int) -> dict[str, Any]:
    data = {"call": f"wc/{seq}", "cause": "cord", "pulls": 1, "test": False}
    return event(seq, kind="call_raised", subject="wc", lane="urgent", data=data, mono_ms=seq,
                 utc_ms=T0 + seq)  # fmt: skip


@pytest.mark.parametrize("when", ["at its start", "while it runs"])
def test_a_damaged_history_is_set_aside_and_what_gateways_have_is_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    waits = iter(range(10))

    def no_time_passes(*_: object) -> bool:
        return next(waits) >= 0

    monkeypatch.setattr(Recorder, "_wait", no_time_passes)
    bench = WithStore(tmp_path)
    for seq in (1, 2, 3):
        bench.broker.event(call(seq))
    bench.turn()
    assert bench.seqs() == [1, 2, 3]
    bench.sqlite.close()
    closed(bench.file)
    if when == "at its start":
        bench.again()
    else:
        bench.sqlite.identity()  # and now it is open
    bench.file.write_bytes(b"\xa5" * 20_000)
    bench.broker.came.append(Connected(2))
    bench.broker.event(call(4))
    for _ in range(3):
        bench.turn(16_000)
    assert bench.seqs() == [4]
    (away,) = set_aside.found(bench.file)
    assert away.read_bytes() == b"\xa5" * 20_000
    assert bench.asked()[-1] == {"journal": "j1", "lane": "urgent", "from": 1, "to": 3}
    for seq in (1, 2, 3):
        bench.broker.event(call(seq) | {"late": True})
    bench.turn(1_500)
    bench.turn(1_500)
    assert bench.seqs() == [1, 2, 3, 4]
    assert bench.recorded()["lanes"]["urgent"] == 4
    assert bench.recorded()["aside"] == 1, "somebody has to look: what is older is gone"
    (one,) = asides(bench.state)
    assert (one.standing, one.topic, one.gateway) == ("damaged", "record.sqlite", "csg")
    assert str(away) in one.reason
    bench.sqlite.close()
    bench.state.close()


def test_a_file_that_cannot_be_read_once_is_no_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = WithStore(tmp_path)
    bench.broker.event(call(1))
    bench.turn()
    stores = SqliteStore._store
    failures = [sqlite3.DatabaseError("database disk image is malformed")]
    failures[0].sqlite_errorcode = sqlite3.SQLITE_CORRUPT

    def fails_once(self: SqliteStore, *arguments: Any) -> None:
        if failures:
            raise failures.pop()
        stores(self, *arguments)

    monkeypatch.setattr(SqliteStore, "_store", fails_once)
    for seq in (2, 3):
        bench.broker.event(call(seq))
        bench.turn(1_500)
    assert bench.seqs() == [1, 2, 3]
    assert set_aside.found(bench.file) == []
    bench.sqlite.close()
    bench.state.close()


def test_a_list_that_was_damaged_turns_recording_red(path: Path, tmp_path: Path) -> None:
    """It may have held facts that nobody sends again; the state, which holds numbers, has not."""
    RecorderState(path).close()
    Path(rejects.path_of(path)).write_bytes(b"no database" * 100)
    stop = threading.Event()
    stop.set()
    settings = settings_in(tmp_path, "main", "csg")
    run(settings, stop)
    with closing(sqlite3.connect(rejects.path_of(path))) as db:
        assert rejects.counts(db) == {"csg": 1}
        assert rejects.mark(db, "retry", None) == []
        assert rejects.mark(db, "acknowledged", None) == [1]
    path.write_bytes(b"no database" * 100)
    run(settings, stop)
    with closing(sqlite3.connect(rejects.path_of(path))) as db:
        assert rejects.counts(db) == {}


def test_a_role_whose_history_is_damaged_starts_and_says_so_of_every_gateway(
    tmp_path: Path,
) -> None:
    """It ended with exit status 1 at every start, and nothing was recorded any more."""
    folder = tmp_path / "record"
    folder.mkdir()
    path = folder / "recorder-main.sqlite"
    one = RecorderState(path)
    one.save_ledger(state.Ledger(journals={"csg": "j1", "other": "j2"}))
    one.close()
    (folder / "record.sqlite").write_bytes(b"\xa5" * 20_000)
    stop = threading.Event()
    stop.set()
    run(settings_in(folder), stop)
    (away,) = set_aside.found(folder / "record.sqlite")
    assert away.read_bytes() == b"\xa5" * 20_000
    with closing(sqlite3.connect(rejects.path_of(path))) as db:
        assert rejects.counts(db) == {"csg": 1, "other": 1}
    (said,) = doctor_store._broken(tmp_path)
    assert said.what == "store: record.sqlite was damaged and is set aside"


def settings_in(folder: Path, name: str = "main", *gateways: str) -> RecorderSettings:
    broker = BrokerSettings("x", "localhost", 1883)
    silent_after_ms = Record().silent_after_ms
    return RecorderSettings(broker, parse("sqlite"), folder, name, silent_after_ms, gateways)


def run_once(folder: Path) -> None:
    """The role, with no broker: what it does before it records."""
    stop = threading.Event()
    stop.set()
    run(settings_in(folder), stop)


def counts(folder: Path) -> dict[str, int]:
    with closing(sqlite3.connect(rejects.path_of(folder / "recorder-main.sqlite"))) as db:
        return rejects.counts(db)


def recorded(folder: Path) -> None:
    """Three calls, in files that are closed in order."""
    bench = WithStore(folder)
    bench.recorder._store_name = "sqlite"
    for seq in (1, 2, 3):
        bench.broker.event(call(seq))
    bench.turn()
    bench.turn(6_000)
    bench.sqlite.close()
    bench.state.close()


LOSSES = ("empty", "gone", "only its log is there")


def lose(file: Path, how: str) -> None:
    file.unlink()
    for ending in ("-wal", "-shm"):
        Path(f"{file}{ending}").unlink(missing_ok=True)
    if how == "empty":
        file.touch()
    elif how == "only its log is there":
        Path(f"{file}-wal").write_bytes(b"log" * 100)


@pytest.mark.parametrize("how", LOSSES)
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("record.sqlite", {"csg": 1}),
        ("recorder-main.aside.sqlite", {"csg": 1}),
        ("recorder-main.sqlite", {}),  # all that was in it is asked for again
    ],
)
def test_a_file_that_is_empty_or_gone_where_there_was_one_is_said_like_a_damage(
    tmp_path: Path, name: str, said: dict[str, int], how: str
) -> None:
    """It was taken for a new one: history gone, recording green."""
    recorded(tmp_path)
    lose(tmp_path / name, how)
    with capture_logs() as logs:
        run_once(tmp_path)
    assert [log["log_level"] for log in logs if "moved" in log] == ["error"]
    assert len(set_aside.found(tmp_path / name)) == 1, "doctor names it"
    assert counts(tmp_path) == said
    run_once(tmp_path)
    assert counts(tmp_path) == said, "once"


def test_a_link_to_a_disk_that_is_not_there_now_stays(path: Path) -> None:
    path.symlink_to(path.parent / "unmounted" / "record.sqlite")
    assert damage.look(path, state.FORMAT, is_new=False) is None
    assert path.is_symlink()


def test_a_new_recorder_and_one_that_nothing_has_come_to_say_nothing(tmp_path: Path) -> None:
    for _ in range(2):
        with capture_logs() as logs:
            run_once(tmp_path)
        assert [log for log in logs if log["log_level"] == "error"] == []
        assert counts(tmp_path) == {}
        assert list(tmp_path.glob("*.broken*")) == []
        (tmp_path / "record.sqlite").unlink(missing_ok=True)
        (tmp_path / "record.sqlite").touch()


def test_a_recorder_of_another_name_beside_a_history_says_nothing(tmp_path: Path) -> None:
    recorded(tmp_path)
    stop = threading.Event()
    stop.set()
    run(settings_in(tmp_path, "second"), stop)
    assert list(tmp_path.glob("*.broken*")) == []


def test_where_the_state_is_damaged_too_the_loss_counts_for_every_gateway(tmp_path: Path) -> None:
    """Which gateways there were was in it, so nobody was told."""
    recorded(tmp_path)
    for name in ("record.sqlite", "recorder-main.sqlite"):
        (tmp_path / name).write_bytes(b"no database" * 2_000)
    run_once(tmp_path)
    assert counts(tmp_path) == {state.ANY_GATEWAY: 1}
    bench = WithStore(tmp_path)
    bench.broker.event(call(4))
    bench.turn()
    bench.turn(1_500)
    assert bench.recorded()["aside"] == 1
    bench.sqlite.close()
    bench.state.close()


@pytest.mark.parametrize("how", ["empty", "gone"])
def test_a_history_that_is_lost_while_the_recorder_runs_is_said(tmp_path: Path, how: str) -> None:
    bench = WithStore(tmp_path)
    for seq in (1, 2, 3):
        bench.broker.event(call(seq))
    bench.turn()
    bench.turn(6_000)
    bench.sqlite.close()
    lose(bench.file, how)
    bench.turn(16_000)
    bench.turn(16_000)
    (one,) = asides(bench.state)
    assert (one.standing, one.topic, one.gateway) == ("damaged", "record.sqlite", "csg")
    assert bench.recorded()["aside"] == 1
    bench.sqlite.close()
    bench.state.close()
