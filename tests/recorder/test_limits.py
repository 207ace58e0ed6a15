"""The recorder's own files stay small, whatever gateways send: each grows beyond its limit."""

from __future__ import annotations

import json

import pytest

from gateway.mqtt.subscription import Connected, Received
from gateway.recorder import ingest, recorder, rejects, state
from gateway.recorder.rejects import SetAside
from gateway.recorder.sequences import Key
from gateway.recorder.used_timestamps import UsedTimestamps
from tests.asides import asides
from tests.recorder.conftest import T0, Bench, event


def count(bench: Bench, table: str, where: str = "1") -> int:
    (number,) = bench.state._db.execute(f"SELECT count(*) FROM {table} WHERE {where}").fetchone()
    return int(number)


def test_starts_that_told_their_time_are_forgotten_oldest_first(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "_FIT", tuple((a, b, 10) for a, b, _ in state._FIT))
    ledger = state.Ledger(boots={("csg", f"boot-{n}"): n for n in range(30)})
    ledger.boots["other", "boot-0"] = 5
    bench.state.save_ledger(ledger)
    bench.state.fit()
    left = bench.state.boots()
    assert left == {("csg", f"boot-{n}"): n for n in range(20, 30)} | {("other", "boot-0"): 5}


def test_moved_times_marks_and_series_have_a_number(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "_FIT", tuple((a, b, 10) for a, b, _ in state._FIT))
    key = Key("csg", "j1", "routine")
    bench.state.save_stamps(
        {},
        [(key, seq, T0 + seq) for seq in range(1, 31)],
        {(f"kind-{n}", (("subject", "x"),)): UsedTimestamps([(T0, T0), (T0 + n, T0 + n)])
         for n in range(1, 31)},
    )  # fmt: skip
    for n in range(30):
        bench.state.save({}, {key: n}, T0 + n * 10_000)
    bench.state.fit()
    assert [bench.state.moved(key, seq) for seq in (20, 21, 30)] == [None, T0 + 21, T0 + 30]
    assert count(bench, "marks") == 10
    assert bench.state.mark_before(key, T0 + 299_999) == 29
    assert count(bench, "runs") == 10
    assert bench.state.occupied(("kind-30", (("subject", "x"),))).runs[-1] == (T0 + 30, T0 + 30)
    before = bench.state._db.total_changes
    bench.state.fit()
    assert bench.state._db.total_changes == before, "nothing is written where there is room"


def test_journals_that_a_gateway_writes_no_more_have_a_number(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that it writes now stays, and those with the most facts."""
    monkeypatch.setattr(ingest, "JOURNALS_MOST", 5)
    for number in range(20):
        for seq in (1, 2) if number in (3, 4) else (1,):
            bench.broker.event(event(seq, journal=f"j{number:02}", utc_ms=T0 + number * 10 + seq))
    bench.turn()
    bench.turn(recorder.CHORES_MS)
    journals = {key.journal for key in bench.recorder._ingest.lanes}
    assert len(journals) == 6
    assert {"j03", "j04", "j19"} <= journals
    assert {key.journal for key in bench.state.lanes()} == journals
    bench.again()
    bench.broker.came.append(Connected(1))
    bench.broker.event(event(2, journal="j19", utc_ms=T0 + 500))
    bench.turn()
    assert bench.recorded()["lanes"]["routine"] == 2


def test_beyond_a_number_another_gateway_is_not_recorded(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "GATEWAYS_MOST", 5)
    for number in range(9):
        text = json.dumps({"journal": "j1", "sent": {"routine": 0}}).encode()
        topic = f"portier/gateway-{number}/health"
        bench.broker.came.append(Received(1, 100 + number, topic, text, False))
    bench.broker.event(event(1))
    bench.turn()
    assert len(bench.state.journals()) == 5
    assert len(bench.recorder._hearing) == 5
    assert "more than 5 gateways" in asides(bench.state)[-1].reason
    assert bench.broker.acknowledged[-1] == 1, "and nobody waits for it"


def test_facts_that_wait_for_a_time_have_a_number(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest are stored at the time of their receipt."""
    monkeypatch.setattr(ingest, "WAITING_MOST", 10)
    for seq in range(1, 31):
        bench.broker.event(event(seq, utc_ms=None))
    bench.turn()
    bench.turn()
    assert count(bench, "waiting") == 10
    assert bench.store.seqs() == list(range(1, 21))
    assert {point.fields["time_known"] for point in bench.store.points.values()} == {0}
    bench.broker.event(event(31, kind="clock_trusted", data={"utc_offset_ms": T0}))
    bench.turn()
    assert bench.store.seqs() == list(range(1, 32))
    assert count(bench, "waiting") == 0


def test_what_was_settled_in_the_list_has_a_number_and_a_size(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each row is open, then acknowledged: a month of them was without a limit."""
    monkeypatch.setattr(rejects, "MOST", 10)
    monkeypatch.setattr(rejects, "BYTES_MOST", 1_000)
    for number in range(40):
        size = 900 if number == 30 else 10
        one = SetAside("t", "HTTP 400", f"{number:02}" + "x" * size, "csg", standing="acknowledged")
        bench.state.save_ledger(state.Ledger(aside=[one]))
    bench.state.save_ledger(state.Ledger(aside=[SetAside("t", "HTTP 400", "open", "csg")]))
    bench.state.fit()
    left = [one.event[:2] for one in asides(bench.state)]
    assert left == [*(str(number) for number in range(31, 40)), "op"]
