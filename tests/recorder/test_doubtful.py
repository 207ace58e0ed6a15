"""Two events under one number: both are in the store, and somebody has to look."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.recorder import aside, book
from gateway.recorder.digests import BLOCK, BLOCKS_MOST, Digests
from gateway.recorder.sequences import Key
from gateway.recorder.state import RecorderState
from gateway.recorder.subscribe import Connected
from tests.recorder.conftest import T0, Bench, event
from tests.recorder.test_aside import listed, portier

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
    monkeypatch.setattr(aside, "NOTICES_MOST", 10)
    monkeypatch.setattr(aside, "MOST", 5)
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
    monkeypatch.setattr(book, "BELIEVED_MOST", 10)
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
