"""What the recorder does with what comes, without network."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from gateway.mqtt.subscription import Connected
from gateway.recorder.stores.store import StoreDownError
from tests.asides import asides
from tests.recorder.conftest import T0, Bench, event


def test_a_message_is_acknowledged_only_after_the_store_has_it(bench: Bench) -> None:
    """influxdb-client-python#198: dropped without an error."""
    bench.broker.event(event(1))
    bench.store.troubles += [StoreDownError("HTTP 503"), StoreDownError("HTTP 429", 0.01)]
    seen: list[list[int]] = []
    write = bench.store.write

    def watch(points: object) -> object:
        seen.append(list(bench.broker.acknowledged))
        return write(points)  # type: ignore[arg-type]  # passed through

    bench.store.write = watch  # type: ignore[assignment,method-assign]  # watched
    bench.turn()
    assert seen == [[], [], []]
    assert bench.broker.acknowledged == [1]
    assert bench.store.seqs() == [1]


def test_a_store_is_not_asked_before_the_time_that_it_named(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The jitter of the pauses cut up to three tenths off a Retry-After."""
    chance = SimpleNamespace(random=lambda: 0.0, uniform=lambda least, _most: least)
    monkeypatch.setattr("gateway.recorder.recorder.random", chance)
    pauses: list[float] = []

    def wait(pause_s: float, _stop: object) -> bool:
        pauses.append(pause_s)
        return True

    monkeypatch.setattr(bench.recorder, "_wait", wait)
    bench.store.troubles += [StoreDownError("HTTP 429", retry_after_s=5.0)]
    bench.broker.event(event(1))
    bench.turn()
    assert pauses == [5.0]
    assert bench.store.seqs() == [1]


def test_the_same_event_twice_is_one_point_and_both_are_acknowledged(bench: Bench) -> None:
    bench.broker.event(event(1))
    bench.turn()
    bench.broker.event(event(1, late=True))
    bench.turn()
    assert bench.store.seqs() == [1]
    assert bench.broker.acknowledged == [1, 2]
    assert bench.store.writes == 1


def test_two_facts_of_one_series_in_one_millisecond_are_two_points(bench: Bench) -> None:
    for seq in (1, 2, 3):
        bench.broker.event(event(seq))
    bench.turn()
    assert sorted((p.time_ms, p.fields["seq"]) for p in bench.store.points.values()) == [
        (T0, 1),
        (T0 + 1, 2),
        (T0 + 2, 3),
    ]


def test_a_replay_after_a_restart_comes_to_the_same_times(bench: Bench) -> None:
    for seq in range(1, 8):
        bench.broker.event(event(seq))
    bench.turn()
    points = dict(bench.store.points)
    for known in bench.recorder._ingest.lanes.values():
        lanes = {k: known.lane.back_to(2) for k in bench.recorder._ingest.lanes}
        bench.state.save(lanes, dict.fromkeys(lanes, 2), 0)
    bench.again()
    bench.broker.came.append(Connected(1))
    order = list(range(3, 8))
    random.Random(1).shuffle(order)
    for seq in order:
        bench.broker.event(event(seq, late=True))
    bench.turn()
    assert bench.store.points == points


def test_a_gap_filled_later_does_not_overwrite_what_came_first(bench: Bench) -> None:
    bench.broker.event(event(1, utc_ms=T0 - 5))
    bench.broker.event(event(3))
    bench.turn()
    bench.broker.event(event(2))
    bench.turn(100)
    assert sorted((p.time_ms, p.fields["seq"]) for p in bench.store.points.values()) == [
        (T0 - 5, 1),
        (T0, 3),
        (T0 + 1, 2),
    ]


def test_a_gap_is_asked_for_and_absence_closes_it(bench: Bench) -> None:
    bench.broker.event(event(1))
    bench.broker.event(event(9))
    bench.turn()
    bench.turn(1_500)
    assert bench.asked() == [{"journal": "j1", "lane": "routine", "from": 2, "to": 8}]
    assert bench.recorded()["lanes"] == {"urgent": 0, "routine": 1}
    for seq in (2, 3):
        bench.broker.event(event(seq, late=True))
    text = {"journal": "j1", "lane": "routine", "ranges": [[4, 6], [7, 8]], "reason": "thinned"}
    bench.broker.give("absent", json.dumps(text).encode())
    bench.turn(1_500)
    assert bench.recorded()["lanes"] == {"urgent": 0, "routine": 9}


def test_a_gateway_of_which_nothing_is_known_is_asked_how_far_it_is(bench: Bench) -> None:
    """What it sent before the recorder had subscribed would show half a minute later."""
    bench.broker.give("availability", b"online", retained=True)
    bench.turn()
    asked = ("portier/csg/recorded/main", {"journal": "", "lanes": {}})
    assert bench.broker.published == [asked]
    bench.broker.give("health", b'{"journal": "j1", "sent": {"urgent": 2}}')
    bench.turn()
    bench.turn(1_500)
    assert bench.recorded()["lanes"] == {"urgent": 0, "routine": 0}
    assert [(a["lane"], a["from"], a["to"]) for a in bench.asked()] == [("urgent", 1, 2)]
    bench.broker.give("availability", b"online")
    bench.turn()
    assert bench.broker.published.count(asked) == 1


def test_numbers_that_nobody_has_sent_cannot_be_declared_absent(bench: Bench) -> None:
    bench.broker.event(event(1))
    text = {"journal": "j1", "lane": "routine", "ranges": [[2, 10**15]], "reason": "lost"}
    bench.broker.give("absent", json.dumps(text).encode())
    bench.turn()
    bench.broker.event(event(2))
    bench.turn(1_500)
    assert bench.store.seqs() == [1, 2]


def test_health_shows_that_the_last_facts_are_missing(bench: Bench) -> None:
    bench.broker.event(event(1))
    health = {"journal": "j1", "sent": {"routine": 4, "urgent": 2, "local": 7}}
    bench.broker.give("health", json.dumps(health).encode())
    bench.turn()
    bench.turn(1_500)
    assert {(a["lane"], a["from"], a["to"]) for a in bench.asked()} == {
        ("routine", 2, 4),
        ("urgent", 1, 2),
    }


def test_a_new_journal_is_a_new_sequence(bench: Bench) -> None:
    bench.broker.event(event(5, journal="j1"))
    bench.broker.event(event(1, journal="j2"))
    bench.turn(1_500)
    assert bench.recorded() == {
        "journal": "j2", "lanes": {"urgent": 0, "routine": 1}, "aside": 0
    }  # fmt: skip


def test_a_fact_without_a_time_waits_for_its_clock_and_is_not_recorded_before(
    bench: Bench,
) -> None:
    bench.broker.event(event(1, utc_ms=None, mono_ms=500))
    bench.turn()
    assert bench.store.points == {}
    assert bench.broker.acknowledged == [1]
    assert bench.recorded()["lanes"]["routine"] == 0
    bench.again()  # it waits on the disk, not in memory
    bench.broker.came.append(Connected(1))
    trusted = event(
        2, kind="clock_trusted", subject="csg", data={"utc_offset_ms": T0}, utc_ms=T0 + 900,
        mono_ms=900,
    )  # fmt: skip
    bench.broker.event(trusted)
    bench.turn(1_500)
    assert {(p.time_ms, p.fields["seq"]) for p in bench.store.points.values()} == {
        (T0 + 500, 1),
        (T0 + 900, 2),
    }
    assert bench.recorded()["lanes"]["routine"] == 2


@pytest.mark.parametrize("later", [False, True])
def test_a_start_that_ended_before_its_time_was_known_has_that_of_its_kernels_boot(
    bench: Bench, later: bool
) -> None:
    """Started twice within seconds, as an installation does: recording was red for a day."""
    trusted = event(
        2, kind="clock_trusted", subject="csg", data={"utc_offset_ms": T0}, utc_ms=T0 + 900,
        mono_ms=900, boot="5f0c-ab-700",
    )  # fmt: skip
    first = event(1, utc_ms=None, mono_ms=500, boot="5f0c-ab-400")
    for one in (trusted, first) if later else (first, trusted):
        bench.broker.event(one)
        bench.turn(1_500)
    assert {(p.time_ms, p.fields["seq"]) for p in bench.store.points.values()} == {
        (T0 + 500, 1),
        (T0 + 900, 2),
    }
    assert bench.recorded()["lanes"]["routine"] == 2


def test_a_time_is_looked_up_and_known_boots_are_not_copied_for_it(bench: Bench) -> None:
    """A recorder of many gateways knows thousands of them."""

    class Boots(dict[tuple[str, str], int]):
        def __iter__(self) -> Iterator[tuple[str, str]]:
            raise AssertionError("all boots are read")

        keys = items = __iter__  # type: ignore[assignment]

    for number in range(3):
        bench.state._db.execute(
            "INSERT INTO boots VALUES (?, ?, ?)", ("csg", f"5f0c-ab-{number}", T0 + number)
        )
    bench.again()
    book = bench.recorder._ingest
    book._boots = Boots(dict(book._boots))
    bench.broker.event(event(1, utc_ms=None, mono_ms=500, boot="5f0c-ab-1"))
    bench.broker.event(event(2, utc_ms=None, mono_ms=500, boot="5f0c-ab-7"))
    bench.turn(1_500)
    assert {(p.time_ms, p.fields["seq"]) for p in bench.store.points.values()} == {
        (T0 + 1 + 500, 1),
        (T0 + 2 + 500, 2),  # as the newest start in the same boot of the kernel
    }


def test_another_boot_of_the_kernel_says_nothing_of_the_time(bench: Bench) -> None:
    bench.broker.event(event(1, utc_ms=None, mono_ms=500, boot="5f0c-ab-400"))
    bench.broker.event(event(2, utc_ms=T0 + 900, mono_ms=900, boot="5f0c-a-400"))
    bench.turn(1_500)
    assert bench.store.seqs() == [2]
    assert bench.recorded()["lanes"]["routine"] == 0


@pytest.mark.parametrize("missing", [False, True])
def test_of_a_boot_that_is_over_nobody_tells_the_time_any_more(bench: Bench, missing: bool) -> None:
    """Switched off before the time was known: recording was red for a day. While a fact of that
    boot is missing, it may be the one that tells the time."""
    bench.broker.event(event(1, utc_ms=None, mono_ms=500, boot="b1"))
    bench.turn(1_500)
    received_ms = bench.utc_ms
    bench.broker.event(event(2, utc_ms=T0 + 900, mono_ms=900, boot="b2"))
    urgent = 2 if missing else 1
    bench.broker.event(event(urgent, lane="urgent", utc_ms=T0 + 950, mono_ms=950, boot="b2"))
    bench.turn(1_500)
    bench.turn(20_000)
    assert bench.recorded()["lanes"]["routine"] == (0 if missing else 2)
    found = [p for p in bench.store.points.values() if "time_known" in p.fields]
    assert len(found) == (not missing)
    assert all(abs(p.time_ms - received_ms) <= 1_500 for p in found)


def test_a_fact_whose_time_nobody_learns_is_stored_a_day_later_and_says_so(bench: Bench) -> None:
    bench.broker.event(event(1, utc_ms=None))
    bench.turn()
    received = bench.utc_ms
    bench.turn(86_400_000 + 60_000)
    (point,) = [p for p in bench.store.points.values() if p.measurement == "reading"]
    assert (point.time_ms, point.fields["time_known"]) == (received, 0)


def test_a_time_that_no_calendar_has_is_none(bench: Bench) -> None:
    """It was more than SQLite can count; the recorder ended, again after each delivery."""
    far = {"utc_offset_ms": 2**63 - 1}
    bench.broker.event(event(1, kind="clock_trusted", subject="gateway", data=far, utc_ms=None))
    bench.broker.event(event(2, utc_ms=None, mono_ms=2**63 - 1))
    bench.broker.event(event(3, utc_ms=T0, mono_ms=1 - 2**63, boot="b0"))
    bench.broker.event(event(4, utc_ms=T0 + 1))
    bench.turn()
    assert bench.store.seqs() == [1, 3, 4]
    assert len(bench.broker.acknowledged) == 4
    bench.turn(86_400_000 + 60_000)
    assert bench.store.seqs()[-4:] == [1, 2, 3, 4]


def test_half_a_character_is_set_aside(bench: Bench) -> None:
    """No store can hold it; the recorder ended, again after each delivery."""
    bench.broker.event(event(1, subject="\ud800"))
    bench.broker.give("health", b'{"journal":"\\ud800","sent":{"urgent":1}}')
    bench.broker.give("absent", b'{"journal":"\\ud800","lane":"urgent","ranges":[]}')
    bench.turn(1_500)
    assert len(bench.broker.acknowledged) == 3
    assert len(asides(bench.state)) == 2


def test_one_bad_point_is_set_aside_and_the_rest_goes_on(bench: Bench) -> None:
    bench.store.bad = {2}
    for seq in (1, 2, 3):
        bench.broker.event(event(seq, utc_ms=T0 + seq))
    bench.turn(1_500)
    assert bench.store.seqs() == [1, 3]
    assert [one.reason for one in asides(bench.state)] == ["HTTP 400 field type conflict"]
    assert bench.recorded()["lanes"]["routine"] == 3


def test_what_is_no_event_is_set_aside_and_acknowledged(bench: Bench) -> None:
    bench.broker.give("event/reading/x", b"\xff{")
    bench.broker.give("event/reading/x", b"[" * 100_000)
    broken = event(1) | {"data": {"quantity": 7}}
    bench.broker.event(broken)
    forged = event(9) | {"id": "other/j1/routine/9", "source": "/portier/other"}
    bench.broker.event(forged)
    bench.broker.give("absent", b"{}")
    bench.broker.give("health", b"no")
    bench.turn(1_500)
    assert bench.broker.acknowledged == [1, 2, 3, 4, 5, 6]
    assert len(asides(bench.state)) == 5
    assert bench.recorded()["lanes"]["routine"] == 1  # the broken one is not asked for for ever


def test_after_a_store_that_forgets_was_restarted_the_last_minutes_are_asked_for(
    bench: Bench,
) -> None:
    bench.store.forgets_ms = 300_000
    for seq in range(1, 11):
        bench.broker.event(event(seq, utc_ms=T0 + seq))
        bench.turn(60_000)
    bench.store.name = "two"  # started again, and forgot
    lost = [key for key, point in bench.store.points.items() if int(point.fields["seq"]) > 6]
    for key in lost:
        del bench.store.points[key]
    bench.turn(16_000)
    bench.turn(1_500)
    (asked,) = bench.asked()
    assert asked["from"] <= 6
    assert asked["to"] == 10
    for seq in range(asked["from"], 11):
        bench.broker.event(event(seq, utc_ms=T0 + seq, late=True))
    bench.turn(1_500)
    assert bench.store.seqs() == list(range(1, 11))
    assert len(bench.store.points) == 10


def test_what_a_store_forgets_is_asked_for_across_the_ten_seconds_of_a_mark(bench: Bench) -> None:
    """Found by the simulation's seed 5: the last mark stands at the end of its ten seconds, and
    what was written in the two seconds before the store's death lay before the one before."""
    bench.store.forgets_ms = 2_000
    bench.broker.event(event(1, utc_ms=T0 + 1))
    bench.turn(9_500)
    bench.broker.event(event(2, utc_ms=T0 + 2))
    bench.turn(1_000)
    bench.store.name = "two"
    bench.store.points.clear()
    bench.turn(16_000)
    bench.turn(1_500)
    assert bench.asked() == [{"journal": "j1", "lane": "routine", "from": 1, "to": 2}]


@pytest.mark.parametrize("restart", [False, True])
def test_a_journal_that_sends_all_again_under_a_new_name_loses_none_of_one_millisecond(
    bench: Bench, restart: bool
) -> None:
    """Facts of one series and millisecond, some in one batch and some in the next, while the
    series has far newer ones. Found by the simulation's lying disks."""
    for journal in ("j1", "j2"):
        for seq in range(1, 101):
            own_ms = T0 + (1 if seq <= 20 else 1_000 * seq)  # twenty at one time
            one = event(seq, journal=journal, utc_ms=own_ms, mono_ms=seq)
            bench.broker.event(one | {"late": journal == "j2"})
            if seq % 7 == 0:
                bench.turn()
            if seq == 14 and journal == "j2" and restart:
                bench.turn(6_000)
                bench.again()
                bench.broker.came.append(Connected(2))
        bench.turn()
    assert set(bench.store.seqs()) == set(range(1, 101))


@pytest.mark.parametrize("restart", [False, True])
def test_what_a_store_took_while_nobody_knew_which_one_it_was_is_asked_for_again(
    bench: Bench, restart: bool
) -> None:
    """A proxy hides which store is behind it, and it is killed: what came later vouches for none
    of what it forgot. Found by the simulation's seed 7."""
    bench.store.forgets_ms = 2_000
    bench.again()
    for seq in range(1, 21):
        if seq == 5:
            bench.store.name = None
        if seq == 6:
            bench.store.points.clear()  # killed
        if seq == 15 and restart:
            bench.again()
            bench.broker.came.append(Connected(2))
        bench.broker.event(event(seq, utc_ms=T0 + seq))
        bench.turn(16_000)
    bench.store.name = "two"
    bench.turn(16_000)
    bench.turn(2_000)
    assert bench.recorded()["lanes"]["routine"] <= 3


@pytest.mark.parametrize("restart", [False, True])
def test_a_store_that_was_killed_between_two_questions_is_asked_for_all_since_the_first(
    bench: Bench, restart: bool
) -> None:
    """What its next life takes says nothing of what the one before has forgotten."""
    bench.store.forgets_ms = 2_000
    bench.again()
    bench.broker.event(event(1, utc_ms=T0 + 1))
    bench.turn(9_900)
    bench.store.points.clear()  # killed, and back at once
    bench.store.name = "two"
    for seq in range(2, 12):
        bench.broker.event(event(seq, utc_ms=T0 + seq))
    bench.turn(14_900)
    if restart:
        bench.again()
        bench.broker.came.append(Connected(2))
    bench.turn(1_000)
    bench.turn(2_000)
    assert bench.recorded()["lanes"]["routine"] == 0


def test_a_store_that_forgets_twice_is_asked_for_all_of_it_twice(bench: Bench) -> None:
    """Found by the simulation's seed 50: the marks from before the first death said of numbers
    that they were stored, and had them written again later, just before the second death."""
    bench.store.forgets_ms = 2_000
    for seq in (1, 2):
        bench.broker.event(event(seq, utc_ms=T0 + seq))
    bench.turn(60_000)
    bench.store.name = "two"
    bench.store.points.clear()
    bench.turn(1_000)
    bench.turn(16_000)
    bench.turn(1_500)
    for seq in (1, 2):
        bench.broker.event(event(seq, utc_ms=T0 + seq, late=True))
    bench.turn(2_000)
    bench.store.name = "three"
    bench.store.points.clear()
    bench.turn(16_000)
    bench.turn(1_500)
    first, second = bench.asked()
    assert first == second == {"journal": "j1", "lane": "routine", "from": 1, "to": 2}


def test_what_waited_for_its_time_and_was_forgotten_is_asked_for_again(bench: Bench) -> None:
    """Found by the simulation's seed 61: a mark vouched for what only waited."""
    bench.store.forgets_ms = 2_000
    bench.broker.event(event(1, utc_ms=None))
    bench.turn(60_000)
    bench.broker.event(event(2, utc_ms=T0))
    bench.turn(60_000)
    assert bench.store.seqs() == [1, 2]
    bench.store.name = "two"
    bench.store.points.clear()
    bench.turn(16_000)
    bench.turn(1_500)
    assert bench.asked() == [{"journal": "j1", "lane": "routine", "from": 1, "to": 2}]


def test_an_event_that_comes_again_as_its_time_becomes_known_is_one_point(bench: Bench) -> None:
    """Found by the simulation's seed 53: it had waited for its time, was sent again after the
    store had forgotten, and both came to a point in one batch."""
    bench.store.forgets_ms = 2_000
    bench.broker.event(event(1, utc_ms=None))
    bench.turn()
    bench.store.name = "two"
    bench.turn(16_000)
    bench.broker.event(event(1, utc_ms=T0, late=True))
    bench.turn(1_500)
    assert bench.store.seqs() == [1]


def test_a_fact_whose_time_stays_unknown_does_not_replace_another(bench: Bench) -> None:
    """Found by the simulation's seed 1183: a day later it was given the time of its receipt, and
    what stood there since was long forgotten."""
    bench.broker.event(event(1, utc_ms=None))
    for seq in range(2, 60):
        bench.broker.event(event(seq, utc_ms=bench.utc_ms + 10 * (seq - 2), boot="b2"))
    bench.turn()
    bench.turn(24 * 3_600_000 + 60_000)
    assert set(range(1, 60)) <= set(bench.store.seqs())


def test_another_store_is_filled_from_the_beginning(bench: Bench) -> None:
    for seq in (1, 2, 3):
        bench.broker.event(event(seq, utc_ms=T0 + seq))
    bench.turn()
    bench.store.points.clear()
    bench.store.name = "another file"
    bench.turn(16_000)
    bench.turn(1_500)
    assert bench.asked() == [{"journal": "j1", "lane": "routine", "from": 1, "to": 3}]


def test_a_store_that_is_away_holds_up_nothing_that_needs_no_store(bench: Bench) -> None:
    bench.store.troubles += [StoreDownError("away", lost=True)] * 3
    bench.turn()
    assert bench.store.troubles  # nothing to write, nothing tried


def test_a_gateway_that_falls_silent_is_told_and_its_return_too(bench: Bench) -> None:
    bench.broker.give("availability", b"online", retained=True)
    bench.turn()
    bench.broker.give("availability", b"offline")
    bench.turn(10_000)
    bench.turn(61_000)
    assert [p.fields["silent"] for p in bench.store.points.values()] == [1]
    bench.turn(30_000)
    bench.broker.event(event(1))
    bench.turn(1_000)
    silent = [p for p in bench.store.points.values() if p.measurement == "gateway_silent"]
    assert [p.fields["silent"] for p in silent] == [1, 0]


def test_a_gateway_that_is_offline_is_not_asked_and_asked_at_once_when_it_is_back(
    bench: Bench,
) -> None:
    bench.broker.event(event(5))
    bench.turn()
    bench.broker.give("availability", b"offline")
    bench.turn(5_000)
    assert bench.asked() == []
    bench.broker.give("availability", b"online")
    bench.turn(1)
    assert len(bench.asked()) == 1


def test_each_turn_removes_a_bounded_part_of_what_is_over(bench: Bench) -> None:
    bench.store.cannot_expire = StoreDownError("sqlite: disk I/O error")
    bench.turn()
    bench.turn()
    assert len(bench.store.swept) == 2, "a store that cannot be cleaned ends nothing"
