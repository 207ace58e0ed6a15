"""Two events under one number: both are in the store, and somebody has to look."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from gateway.core.facts import Fact, Json
from gateway.journal.queries.reader import Reader
from gateway.journal.queue import Work
from gateway.journal.retention import Upkeep
from gateway.journal.store import Store
from gateway.mqtt.subscription import Connected
from gateway.recorder import ingest, rejects
from gateway.recorder.digests import BLOCK, BLOCKS_MOST, Digests
from gateway.recorder.sequences import Key
from gateway.recorder.state import RecorderState
from gateway.wire import Event, from_cloudevent, to_cloudevent
from tests.recorder.conftest import T0, Bench, event
from tests.recorder.test_rejects import listed, portier

RAISED: dict[str, Any] = {"kind": "call_raised", "subject": "wc", "lane": "urgent"}
DATA = {"call": "wc/1", "cause": "cord", "pulls": 1, "test": False}


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    (tmp_path / "record").mkdir()
    bench = Bench()
    bench.state.close()
    bench.state = RecorderState(tmp_path / "record" / "recorder-main.sqlite")
    bench.again()
    yield bench
    bench.state.close()


def call(seq: int, mono_ms: int, **changed: Any) -> dict[str, Any]:
    utc_ms = changed.pop("utc_ms", T0 + mono_ms)
    return event(seq, **RAISED, data=DATA, mono_ms=mono_ms, utc_ms=utc_ms, **changed)


def health(bench: Bench, urgent: int) -> None:
    sent = {"urgent": urgent, "routine": 0}
    bench.broker.give("health", json.dumps({"journal": "j1", "sent": sent}).encode())


def started(bench: Bench) -> None:
    """Three calls, of which the gateway has said that they are its own."""
    for seq in (1, 2, 3):
        bench.broker.event(call(seq, 1_000 * seq))
    health(bench, 3)
    bench.turn()


def times(bench: Bench) -> list[int]:
    return sorted(point.time_ms - T0 for point in bench.store.points.values())


def restarted(bench: Bench) -> None:
    """Killed and started again, with the state that is in the file."""
    bench.again()
    bench.broker.came.append(Connected(2))


@pytest.mark.parametrize("restart", [False, True])
def test_a_forged_next_number_takes_no_real_call_out_of_the_store(
    bench: Bench, tmp_path: Path, restart: bool
) -> None:
    started(bench)
    bench.broker.event(call(4, 77))
    bench.turn(1_500)
    bench.turn(6_000)
    if restart:
        restarted(bench)
    bench.broker.event(call(4, 4_000))
    bench.turn(1_500)
    bench.turn(1_500)
    assert times(bench) == [77, 1_000, 2_000, 3_000, 4_000]
    assert bench.recorded()["aside"] == 1, "nobody can tell which one is the gateway's"
    assert bench.recorded()["lanes"]["urgent"] == 4
    (one,) = listed(tmp_path)
    assert one["standing"] == "doubtful"
    assert "number 4 of urgent" in one["reason"]
    assert json.loads(one["event"])["monotonicms"] == 4_000


ALTERED: dict[str, dict[str, Any]] = {
    **{f"data: {name}": {"data": DATA | {name: value}} for name, value in (
        ("call", "FORGED"), ("cause", "FORGED"), ("pulls", 2), ("test", True), ("further", 1),
        ("by", "web:1"), ("note", "FORGED"),
    )},
    "type": {"type": "portier.call_reminded.v1"},
    "subject": {"subject": "hall"},
    "bootid": {"bootid": "b2"},
    "monotonicms": {"monotonicms": 4_001},
}  # fmt: skip


@pytest.mark.parametrize("what", ALTERED)
@pytest.mark.parametrize("restart", [False, True])
def test_a_copy_that_was_altered_in_anything_takes_no_real_call_out_of_the_store(
    bench: Bench, tmp_path: Path, what: str, restart: bool
) -> None:
    """A copy with the same kind, subject and instant, and other data, was taken for the call."""
    started(bench)
    forged, real = call(4, 4_000) | ALTERED[what], call(4, 4_000)
    for one in (forged, real):
        bench.broker.event(one)
        bench.turn(1_500)
        bench.turn(6_000)
        if restart:
            restarted(bench)
    calls = [one for one in bench.store.points.values() if one.fields["seq"] == 4]
    assert len(calls) == 2
    assert any(
        one.measurement == "call_raised"
        and dict(one.tags)["subject"] == "wc"
        and {name: one.fields.get(name) for name in DATA} == DATA
        for one in calls
    ), "the real one is there"
    assert bench.recorded()["aside"] == 1
    assert [one["standing"] for one in listed(tmp_path)] == ["doubtful"]


def test_what_the_gateway_itself_sends_otherwise_again_is_no_other_event(
    bench: Bench, tmp_path: Path
) -> None:
    """Its time is known meanwhile, it is late, and a person in it was forgotten."""
    health(bench, 3)
    bench.turn()
    opened: dict[str, Any] = {"kind": "door_request", "subject": "front", "lane": "urgent"}
    data = {"outcome": "accepted", "by": "web:1", "note": "a parcel", "cause": "operator"}
    forgotten = {"outcome": "accepted", "by": "forgotten", "cause": "operator"}
    first = event(1, **opened, data=data, mono_ms=1_000, utc_ms=T0 + 1_000)
    shuffled = dict(reversed(forgotten.items()))
    for one in (
        first,
        event(1, **opened, data=data, mono_ms=1_000, utc_ms=T0 + 3_000, late=True),
        event(1, **opened, data=data, mono_ms=1_000, utc_ms=None, late=True),
        event(1, **opened, data=forgotten, mono_ms=1_000, utc_ms=T0 + 1_000, late=True),
        event(1, **opened, data=shuffled, mono_ms=1_000, utc_ms=T0 + 1_000, late=True),
    ):
        bench.broker.event(one)
        bench.turn(1_500)
        bench.turn(6_000)
        restarted(bench)
    assert times(bench) == [1_000]
    assert listed(tmp_path) == []


def test_a_fact_that_was_forgotten_comes_out_of_the_journal_with_its_digest(
    bench: Bench, tmp_path: Path
) -> None:
    """What the journal changes when somebody is forgotten is what the digest leaves out."""
    journal = Store(tmp_path / "journal.sqlite", "b1")
    data: dict[str, Json] = {
        "outcome": "accepted",
        "by": "web:1",
        "note": "a parcel",
        "attends": "Anna",
        "level": 0.1,
        "cause": "x",
    }
    journal.write(
        Work(facts=[(1, "urgent", Fact("door_request", "front", 1_000, data))], forget=["web:1"])
    )
    digests = Digests(bench.state, {})

    def sent() -> Event:
        with closing(Reader(journal.path)) as reader:
            (row,) = reader.lane("urgent", 1, 10)
        return from_cloudevent(to_cloudevent("csg", "j1", row, late=True))

    before = sent()
    upkeep = Upkeep(
        journal, lives={}, limit_bytes=10**9, now_ms=lambda: 0, on_written=lambda _: None,
        note=lambda _: None,
    )  # fmt: skip
    for _ in upkeep.forget():
        pass
    after = sent()
    journal.close(clean=False)
    assert (before.data["by"], after.data["by"]) == ("web:1", "forgotten")
    assert digests.of(before) == digests.of(after)


def test_what_a_version_before_remembered_of_an_event_makes_none_doubtful(
    bench: Bench, tmp_path: Path
) -> None:
    """It looked at a part of each event: each copy that comes again would be another one."""
    started(bench)
    bench.turn(6_000)
    with closing(sqlite3.connect(tmp_path / "record" / "recorder-main.sqlite")) as db:
        db.execute("UPDATE meta SET name = 'digest_key' WHERE name = 'digest_key_whole'")
        db.commit()
    restarted(bench)
    for seq in (1, 2, 3):
        bench.broker.event(call(seq, 1_000 * seq, late=True))
    bench.turn(1_500)
    assert listed(tmp_path) == []
    assert times(bench) == [1_000, 2_000, 3_000]


def test_both_events_of_a_number_come_again_and_are_the_same_points(
    bench: Bench, tmp_path: Path
) -> None:
    started(bench)
    bench.broker.event(call(4, 77, utc_ms=T0 + 3_000))  # moved on by a millisecond
    bench.broker.event(call(4, 4_000, utc_ms=T0 + 3_000))  # and this by two
    bench.turn(1_500)
    points = dict(bench.store.points)
    assert times(bench) == [1_000, 2_000, 3_000, 3_001, 3_002]
    for late in range(3):
        for mono_ms in (4_000, 77):
            bench.broker.event(call(4, mono_ms, utc_ms=T0 + 3_000, late=True))
        bench.turn(1_500)
        if late:
            restarted(bench)
    assert bench.store.points == points
    assert len(listed(tmp_path)) == 1

    bench.store.name = "two"  # and a store that has forgotten everything
    bench.store.points.clear()
    bench.turn(20_000)
    for seq, mono_ms, utc_ms in (
        (4, 4_000, T0 + 3_000), (3, 3_000, T0 + 3_000), (1, 1_000, T0 + 1_000),
        (2, 2_000, T0 + 2_000), (4, 77, T0 + 3_000),
    ):  # fmt: skip
        bench.broker.event(call(seq, mono_ms, utc_ms=utc_ms, late=True))
        bench.turn(1_500)
    assert bench.store.points == points
    assert len(listed(tmp_path)) == 1, "it is the same doubt"


def test_what_is_doubtful_stays_red_until_it_is_acknowledged_and_then_for_good(
    bench: Bench, tmp_path: Path
) -> None:
    started(bench)
    for mono_ms in (77, 4_000):
        bench.broker.event(call(4, mono_ms))
    bench.turn(1_500)
    assert portier(tmp_path, "retry", "--all").exit_code == 0
    bench.turn(1_500)
    assert [one["standing"] for one in listed(tmp_path)] == ["doubtful"], "there is nothing to send"
    assert portier(tmp_path, "aside", "--acknowledge", "all").exit_code == 0
    bench.turn(1_500)
    assert bench.recorded()["aside"] == 0
    bench.broker.event(call(4, 4_000, late=True))
    bench.turn(1_500)
    assert bench.recorded()["aside"] == 0, "it is named, and seen"
    bench.broker.event(call(4, 5_000))
    bench.turn(1_500)
    assert bench.recorded()["aside"] == 1, "this one is new"
    assert times(bench) == [77, 1_000, 2_000, 3_000, 4_000, 5_000]


def test_a_flood_of_doubtful_events_neither_stops_the_recorder_nor_is_it_forgotten(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rejects, "NOTICES_MOST", 10)
    monkeypatch.setattr(rejects, "MOST", 5)
    started(bench)
    for mono_ms in range(10_000, 10_050):
        bench.broker.event(call(3, mono_ms))
    bench.broker.event(call(4, 4_000))
    bench.turn(1_500)
    bench.turn(1_500)
    assert bench.recorded()["lanes"]["urgent"] == 4
    assert bench.recorded()["aside"] == 10
    assert len(bench.store.points) == 54


def test_a_doubtful_event_whose_time_is_not_known_waits_beside_the_other(bench: Bench) -> None:
    started(bench)
    for mono_ms in (77, 4_000):
        bench.broker.event(call(4, mono_ms, utc_ms=None))
    bench.turn(1_500)
    restarted(bench)
    bench.broker.event(event(1, kind="clock_trusted", data={"utc_offset_ms": T0}, subject="csg"))
    bench.turn(1_500)
    bench.turn(1_500)
    raised = [p for p in bench.store.points.values() if p.measurement == "call_raised"]
    assert sorted(one.time_ms - T0 for one in raised) == [77, 1_000, 2_000, 3_000, 4_000]
    assert {key.lane for key in bench.state.lanes()} == {"urgent", "routine"}


def test_the_store_may_refuse_either_of_the_two(bench: Bench, tmp_path: Path) -> None:
    started(bench)
    bench.store.bad = {4}
    for mono_ms in (77, 4_000):
        bench.broker.event(call(4, mono_ms))
    bench.turn(1_500)
    assert sorted(one["standing"] for one in listed(tmp_path)) == ["doubtful", "open", "open"]
    bench.store.bad = set()
    portier(tmp_path, "retry", "--all")
    bench.turn(1_500)
    assert times(bench) == [77, 1_000, 2_000, 3_000, 4_000]
    assert [one["standing"] for one in listed(tmp_path)] == ["doubtful"]


def test_nonsense_under_a_number_that_is_taken_is_named(bench: Bench, tmp_path: Path) -> None:
    started(bench)
    bench.broker.event(call(3, 3_000) | {"monotonicms": "soon"})
    bench.turn(1_500)
    assert listed(tmp_path) == []
    (one,) = listed(tmp_path, "--all")
    assert one["standing"] == "foreign"
    assert "number 3 of urgent" in one["reason"]


def test_a_flood_of_next_numbers_waits_before_it_is_beyond_what_is_remembered(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever sends more numbers in a row than are remembered would hide that one came twice."""
    monkeypatch.setattr(ingest, "BELIEVED_MOST", 10)
    started(bench)
    for seq in range(4, 40):
        bench.broker.event(call(seq, 50_000 + seq))
    bench.turn(1_500)
    assert bench.store.seqs() == list(range(1, 14))
    health(bench, 39)
    bench.turn(1_500)
    assert bench.store.seqs() == list(range(1, 40)), "they are the gateway's"


def test_digests_of_a_lane_have_a_number_and_survive_a_restart(bench: Bench) -> None:
    started(bench)
    key = Key("csg", "j1", "urgent")
    last = BLOCK * (BLOCKS_MOST + 3)
    for seq in range(4, last + 1):
        bench.broker.event(call(seq, 1_000 * seq))
        if seq % 500 == 0:
            health(bench, seq)
            bench.turn()
    health(bench, last)
    bench.turn()
    bench.turn(6_000)
    (count,) = bench.state._db.execute("SELECT count(*) FROM digests").fetchone()
    assert count == BLOCKS_MOST
    digests = Digests(bench.state, {})
    assert digests.get(key, 1) == 0
    assert digests.get(key, last)
    assert digests.get(key, last) != digests.get(key, last - 1)
    restarted(bench)
    bench.broker.event(call(last - BLOCK * (BLOCKS_MOST - 2), 7))
    bench.turn(1_500)
    assert bench.recorded()["aside"] == 1
