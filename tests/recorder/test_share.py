"""Several recorders divide all gateways: each takes its share and leaves the rest alone."""

from __future__ import annotations

import json
import threading

import pytest

from gateway.mqtt.subscription import Connected, Received
from gateway.settings.values.share import Share, share_of
from tests.recorder.conftest import T0, Bench, event

OURS, OTHERS = Share(share_of("csg", 2), 2), Share(3 - share_of("csg", 2), 2)


def again(bench: Bench, share: Share) -> None:
    """The recorder starts anew, with another share."""
    bench.again()
    bench.recorder._share = share
    bench.broker.came.append(Connected(2))


def health(bench: Bench, head: int) -> int:
    lanes = {"urgent": 0, "routine": head}
    payload = {"journal": "j1", "heads": lanes, "lanes": lanes}
    return bench.broker.give("health", json.dumps(payload).encode())


def test_a_gateway_of_another_share_leaves_no_trace(bench: Bench) -> None:
    again(bench, OTHERS)
    bench.broker.give("availability", b"online", retained=True)
    health(bench, 9)
    bench.broker.event(event(1))
    bench.broker.event(event(9))
    bench.broker.event(event(1, kind="call_raised", subject="wc", lane="urgent", data={}))
    bench.broker.give("absent", b'{"journal": "j1", "lane": "routine", "ranges": [[2, 8]]}')
    bench.broker.give("event/reading", b"not JSON", retained=True)
    for _ in range(5):
        bench.turn(2_000)
    bench.turn(120_000)  # long enough to be called silent
    assert bench.broker.acknowledged == list(range(1, bench.broker.mid + 1))
    assert bench.broker.published == []
    assert bench.store.writes == 0
    assert (bench.state.lanes(), bench.state.journals(), bench.state.aside_counts()) == ({}, {}, {})


def test_the_same_messages_are_taken_by_the_recorder_of_its_share(bench: Bench) -> None:
    again(bench, OURS)
    bench.broker.event(event(1))
    bench.turn()
    assert bench.store.seqs() == [1]
    assert bench.recorded()["lanes"]["routine"] == 1


def test_a_call_of_another_share_hurries_nobody(bench: Bench) -> None:
    """What costs the card a write of its own is decided by our own messages."""
    again(bench, OTHERS)
    raised = event(1, kind="call_raised", subject="wc", lane="urgent", data={})
    message = Received(1, 1, "portier/csg/event/call_raised/wc", json.dumps(raised).encode(), False)
    assert not bench.recorder._is_prompt(message)
    again(bench, OURS)
    assert bench.recorder._is_prompt(message)


def test_a_gateway_that_has_moved_away_is_neither_asked_nor_reported(bench: Bench) -> None:
    bench.broker.event(event(1))
    bench.broker.event(event(5))  # a gap, for which it would be asked
    bench.turn()
    bench.turn(6_000)  # what is accounted for is saved by then
    again(bench, OTHERS)
    bench.broker.published.clear()
    for _ in range(10):
        bench.turn(2_000)
    assert bench.broker.published == []
    assert bench.recorder._silence == []


def test_gateways_that_have_moved_away_take_no_room(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of those that are ours there is a limit; the others are known from before."""
    monkeypatch.setattr("gateway.recorder.recorder.GATEWAYS_MOST", 1)
    other = next(name for name in map(str, range(99)) if share_of(name, 2) != OURS.number)
    bench.recorder._ingest.journals[other] = "j9"
    bench.recorder._share = OURS
    bench.broker.event(event(1))
    bench.turn()
    assert bench.store.seqs() == [1]


def test_a_gateway_that_comes_back_is_asked_for_what_came_meanwhile(bench: Bench) -> None:
    bench.broker.event(event(1))
    bench.turn()
    bench.turn(6_000)  # what is accounted for is saved by then
    again(bench, OTHERS)
    for seq in range(2, 8):
        bench.broker.event(event(seq))
    bench.turn(2_000)
    again(bench, OURS)
    bench.broker.event(event(8))
    for _ in range(10):
        bench.turn(2_000)
    assert [(one["from"], one["to"]) for one in bench.asked()][-1] == (2, 7)
    for seq in range(2, 8):
        bench.broker.event(event(seq, utc_ms=T0, late=True))
    bench.turn(2_000)
    assert bench.store.seqs() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert bench.recorded()["lanes"]["routine"] == 8


def test_the_recorder_takes_part_in_the_division_that_it_is_told(bench: Bench) -> None:
    """Through the settings of the role, as the configuration hands them over."""
    from gateway.recorder.recorder import Recorder

    recorder = Recorder(
        "main", bench.broker, bench.store, bench.state, silent_after_ms=60_000, share=OTHERS
    )
    bench.broker.event(event(1))
    recorder.turn(threading.Event())
    assert bench.store.writes == 0
