"""How little is written: an SD card dies of writes without a cause."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from gateway.core.facts import KINDS
from gateway.mqtt.subscription import Connected
from gateway.recorder.main import open_store
from gateway.recorder.recorder import CALM_MS, PROMPT, SETTLED, Recorder
from gateway.recorder.state import RecorderState, StateInUseError, StateLock, is_recording
from gateway.recorder.stores.sqlite import SqliteStore
from gateway.settings.model.link import Record
from gateway.settings.values.store_address import parse
from tests.recorder.conftest import T0, Bench, event

PAGE = 1024 + 24
SERIES = ("reading", (("gateway", "csg"), ("subject", "wc.climate")))
HEALTH = b'{"journal": "j1", "sent": {"urgent": 0, "routine": 1}}'


class Counted(Bench):
    """A recorder on files, with the embedded store; every statement that writes is seen, and
    time passes only while the broker is waited for."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.state.close()
        self.path = folder / "recorder-main.sqlite"
        self.state = RecorderState(self.path)
        store = open_store(parse("sqlite"), folder)
        assert isinstance(store, SqliteStore)
        self.sqlite = store
        self.state.set_meta(SETTLED, str(T0))  # a clock in doubt is saved once an hour
        self.sqlite.identity()
        self.statements: list[str] = []
        assert store._recent is not None
        for db in (self.state._db, store._db, store._recent._db):
            assert db is not None
            db.set_trace_callback(self.statements.append)
        self.recorder = Recorder(
            "main", self.broker, self.sqlite, self.state, calm_ms=CALM_MS,
            silent_after_ms=Record().silent_after_ms,
            now_ms=lambda: self.now_ms, utc_ms=lambda: T0 + self.now_ms,
        )  # fmt: skip
        self.broker.pump = self.pump  # type: ignore[method-assign]  # the clock of this test

    def pump(self, wait_s: float) -> None:
        self.now_ms += max(1, round(wait_s * 1000))

    def live(self, for_ms: int) -> int:
        """Turns until so much time has passed; how many."""
        until, turns = self.now_ms + for_ms, 0
        while self.now_ms < until:
            self.recorder.turn(threading.Event())
            turns += 1
        return turns

    def written(self) -> list[str]:
        """What has been begun or changed since this was asked last."""
        verbs = ("BEGIN", "INSERT", "UPDATE", "DELETE", "REPLACE", "COMMIT", "CREATE")
        found = [one for one in self.statements if one.lstrip().upper().startswith(verbs)]
        self.statements.clear()
        return found


@pytest.fixture
def counted(tmp_path: Path) -> Iterator[Counted]:
    made = Counted(tmp_path)
    yield made
    made.sqlite.close()
    made.state.close()


def test_an_idle_hour_writes_nothing(counted: Counted) -> None:
    """Four commits a second were 3 GB a day."""
    counted.broker.event(event(1))
    counted.live(20_000)
    assert counted.written()
    said = len(counted.broker.published)
    files = {file: file.read_bytes() for file in counted.path.parent.iterdir()}
    turns = 0
    for number in range(120):
        if number % 2 == 0:  # a gateway is there, and says that nothing is new
            counted.broker.give("health", HEALTH)
            counted.broker.give("availability", b"online", retained=True)
        turns += counted.live(30_000)
    assert counted.written() == []
    assert {file: file.read_bytes() for file in counted.path.parent.iterdir()} == files
    assert turns <= 2 * 3_600 + 240  # about two wake-ups a second
    recorded = [topic for topic, _ in counted.broker.published[said:] if "/recorded/" in topic]
    assert len(recorded) <= 60  # only where a gateway has just said that it is there


def test_a_gateway_that_is_silent_for_days_is_told_about_ever_less_often(counted: Counted) -> None:
    counted.broker.event(event(1))
    counted.live(400_000)
    counted.written()
    said = len(counted.broker.published)
    counted.live(6 * 3_600_000)
    assert len(counted.broker.published) - said <= 60 + 6
    assert counted.written() == []


def test_each_batch_is_one_commit_of_times_and_the_ledger_rides_on_the_next(
    counted: Counted,
) -> None:
    counted.broker.event(event(1))
    counted.recorder.turn(threading.Event())
    counted.written()
    counted.broker.event(event(2, utc_ms=T0 + 1))
    counted.recorder.turn(threading.Event())
    second = counted.written()
    assert sum(one.startswith("BEGIN") for one in second) == 2, second
    assert any("head = excluded.head" in one for one in second)
    counted.live(10_000)
    last = counted.written()
    assert sum(one.startswith("BEGIN") for one in last) == 1, last
    counted.live(60_000)
    assert counted.written() == []


def test_the_times_are_saved_before_the_store_is_written(counted: Counted) -> None:
    """Every fact is in the store once, because it comes to the same time whenever it is written."""
    counted.broker.event(event(1))
    counted.broker.event(event(2))
    counted.live(CALM_MS)
    order = counted.written()
    stamps = [at for at, one in enumerate(order) if "seen = excluded.seen" in one]
    stamps += [at for at, one in enumerate(order) if "INTO moved" in one or "INTO runs" in one]
    points = [at for at, one in enumerate(order) if one.startswith("INSERT INTO points")]
    assert len(stamps) == 3
    assert max(stamps) < min(points)


def test_calls_and_alarms_are_written_at_once_and_the_rest_waits_for_company(
    counted: Counted,
) -> None:
    for kind in ("call_raised", "alarm_raised", "fire_alarm", "of_a_newer_gateway"):
        counted.broker.give(f"event/{kind}/wc", b"{}")
        before = counted.now_ms
        counted.recorder.turn(threading.Event())
        assert counted.now_ms - before <= 250, kind
    for kind in ("reading", "door_opened", "contact_changed"):
        counted.broker.give(f"event/{kind}/front", b"{}")
        before = counted.now_ms
        counted.recorder.turn(threading.Event())
        assert counted.now_ms - before >= CALM_MS, kind
    for _ in range(8):  # a broker sends only so many before the first is acknowledged
        counted.broker.give("event/reading/wc", b"{}")
    before = counted.now_ms
    counted.recorder.turn(threading.Event())
    assert counted.now_ms - before <= 250
    assert all(KINDS[kind].lane == "urgent" for kind in PROMPT)


def test_a_press_and_a_day_of_readings_write_little(counted: Counted) -> None:
    """Pages that are written, of the state and of the embedded store."""
    wals = [counted.path.with_name(f"{name}-wal") for name in (counted.path.name, "record.sqlite")]
    counted.live(20_000)
    seq = 0
    sizes = []
    for minute in range(60):
        for quantity in ("temperature", "humidity", "co2_ppm", "pressure_hpa"):
            seq += 1
            counted.broker.event(
                event(seq, utc_ms=T0 + minute * 60_000,
                      data={"quantity": quantity, "value": 20.0 + minute})
            )  # fmt: skip
        counted.live(60_000)
        sizes.append(sum(wal.stat().st_size for wal in wals))
    per_minute = (sizes[-1] - sizes[19]) / 40
    assert 0 < per_minute * 1_440 < 25_000_000


def test_a_minute_of_climate_is_five_pages_and_leaves_the_store_alone(counted: Counted) -> None:
    """The lane, the times of its series and the digests of its numbers, the readings, then the lane
    again. A row of times that did not fit on its page freed one and took another with each batch:
    six more. The store's file has an index of its log that readers share, which is the most of a
    small commit there."""
    folder = counted.path.parent
    logs = [folder / f"{name}-wal" for name in (counted.path.name, "record.sqlite-recent")]
    shared = [folder / f"record.sqlite{ending}" for ending in ("", "-wal", "-shm")]
    counted.live(20_000)
    seq = 0
    for minute in range(19):
        if minute == 11:
            before = sum(log.stat().st_size for log in logs), [file.read_bytes() for file in shared]
        for quantity in ("temperature_c", "humidity_percent", "dew_point_c"):
            seq += 1
            data = {"quantity": quantity, "value": 20.0 + minute}
            counted.broker.event(event(seq, utc_ms=T0 + minute * 60_000, data=data))
        counted.live(60_000)
    after = sum(log.stat().st_size for log in logs), [file.read_bytes() for file in shared]
    assert 8 * 5 * PAGE <= after[0] - before[0] <= (8 * 5 + 8) * PAGE, "and where the table grows"
    assert after[1] == before[1]


def test_the_times_of_a_state_of_before_are_moved_and_it_can_go_back(tmp_path: Path) -> None:
    """The version before knows the table by name and the number of its columns."""
    path = tmp_path / "recorder-main.sqlite"
    RecorderState(path).close()
    with closing(sqlite3.connect(path)) as db:
        db.execute("DROP TABLE runs")
        db.execute("CREATE TABLE runs (series TEXT PRIMARY KEY, runs TEXT NOT NULL) WITHOUT ROWID")
        db.execute("INSERT INTO runs VALUES (?, ?)", (json.dumps(SERIES), "[[5, 6], [9, 9]]"))
        db.commit()
    for _ in range(2):
        state = RecorderState(path)
        assert state.occupied(SERIES).runs == [(5, 6), (9, 9)]
        state.close()
    with closing(sqlite3.connect(path)) as db:
        db.execute("INSERT OR REPLACE INTO runs VALUES (?, ?)", (json.dumps(SERIES), "[[5, 10]]"))
        db.commit()
    state = RecorderState(path)
    assert state.occupied(SERIES).runs == [(5, 10)]
    assert state._db.execute("SELECT count(*) FROM runs").fetchone() == (1,)
    state.close()


def test_a_killed_recorder_whose_ledger_was_not_saved_asks_and_comes_to_the_same_points(
    bench: Bench,
) -> None:
    for seq in (1, 2, 3):
        bench.broker.event(event(seq))
    bench.turn()
    points = dict(bench.store.points)
    bench.again()  # killed: nothing was saved since
    bench.broker.came.append(Connected(2))
    bench.broker.give("health", b'{"journal": "j1", "sent": {"routine": 3}}')
    bench.turn()
    bench.turn(1_500)
    assert bench.asked() == [{"journal": "j1", "lane": "routine", "from": 1, "to": 3}]
    for seq in (3, 1, 2):
        bench.broker.event(event(seq, late=True))
    bench.turn()
    assert bench.store.points == points


def test_one_state_file_is_for_one_process(tmp_path: Path) -> None:
    path = tmp_path / "recorder-main.sqlite"
    lock = StateLock(path)
    assert is_recording(path)
    with pytest.raises(StateInUseError, match="another recorder is running"):
        StateLock(path)
    StateLock(tmp_path / "recorder-second.sqlite").close()
    lock.close()
    assert not is_recording(path)
    StateLock(path).close()


def test_a_state_that_cannot_be_written_ends_the_recorder_and_loses_nothing(
    counted: Counted,
) -> None:
    counted.state._db.execute("PRAGMA query_only=ON")
    counted.broker.event(event(1))
    with pytest.raises(sqlite3.OperationalError):
        counted.live(CALM_MS)
    assert counted.broker.acknowledged == []
    counted.state._db.execute("PRAGMA query_only=OFF")
