"""Messages on a gateway's topics that are not its own: named, counted, in nobody's way."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.recorder.claims import UNHEARD_MS
from tests.asides import asides
from tests.recorder.conftest import T0, Bench, event

FAR = 1_000_000


def health(bench: Bench, routine: int, journal: str = "j1") -> None:
    sent = {"urgent": 0, "routine": routine}
    bench.broker.give("health", json.dumps({"journal": journal, "sent": sent}).encode())


def started(bench: Bench, last: int = 3) -> None:
    """A gateway that has said how far it is."""
    for seq in range(1, last + 1):
        bench.broker.event(event(seq, mono_ms=seq))
    health(bench, last)
    bench.turn()
    assert bench.store.seqs() == list(range(1, last + 1))


def denied(bench: Bench, routine: int = 3) -> None:
    """The gateway says twice that it has sent no more than this."""
    for _ in range(2):
        bench.turn(30_000)
        health(bench, routine)
        bench.turn()


def unreadable(seq: int, **changed: Any) -> dict[str, Any]:
    return event(seq, mono_ms=seq) | {"monotonicms": "soon"} | changed


def recorded(bench: Bench) -> dict[str, Any]:
    said = [text for topic, text in bench.broker.published if "/recorded/" in topic]
    return [text for text in said if text["journal"]][-1]


def foreign(bench: Bench) -> list[str]:
    assert bench.state.aside_counts() == {}, "recording would be red until somebody acknowledges"
    return [one.reason for one in asides(bench.state) if one.standing == "foreign"]


def asked(bench: Bench) -> list[tuple[int, int]]:
    return [
        (text["from"], text["to"]) for topic, text in bench.broker.published if "/replay/" in topic
    ]


@pytest.mark.parametrize("journal", ["j1", "j9"])
def test_a_number_beyond_what_the_gateway_has_sent_is_somebody_elses(
    bench: Bench, journal: str
) -> None:
    started(bench)
    bench.broker.event(event(FAR, journal=journal))
    bench.turn()
    assert foreign(bench) == []
    introduced = ("portier/csg/recorded/main", {"journal": "", "lanes": {}})
    bench.turn(2_000)
    assert introduced in bench.broker.published, "the gateway is asked how far it is"
    denied(bench)
    (reason,) = foreign(bench)
    assert f"number {FAR}" in reason
    assert "the gateway has 3 of journal j1" in reason
    assert bench.store.seqs() == [1, 2, 3]
    assert asked(bench) == []
    assert recorded(bench)["journal"] == "j1"
    bench.broker.event(event(4, mono_ms=4))
    bench.turn(1_000)
    assert recorded(bench)["lanes"]["routine"] == 4


def test_what_the_gateway_has_sent_after_a_gap_counts_and_the_gap_is_asked_for(
    bench: Bench,
) -> None:
    started(bench)
    for seq in (6, 7):
        bench.broker.event(event(seq, mono_ms=seq))
    bench.turn(1_000)
    assert bench.store.seqs() == [1, 2, 3]
    health(bench, 7)
    bench.turn(1_000)
    assert bench.store.seqs() == [1, 2, 3, 6, 7]
    bench.turn(2_000)
    assert asked(bench) == [(4, 5)]
    assert recorded(bench)["lanes"]["routine"] == 3, "a gap is a gap"
    for seq in (4, 5):
        bench.broker.event(event(seq, mono_ms=seq, late=True))
    bench.turn(1_000)
    assert recorded(bench)["lanes"]["routine"] == 7
    assert foreign(bench) == []


def test_a_gateway_that_does_not_say_how_far_it_is_denies_nothing(bench: Bench) -> None:
    started(bench)
    bench.broker.event(event(6, mono_ms=6))
    bench.turn(1_000)
    bench.turn(UNHEARD_MS)
    bench.turn()
    assert bench.store.seqs() == [0, 1, 2, 3, 6], "0: it is silent"


def test_what_cannot_be_read_breaks_nothing_unless_the_gateway_sends_it_again(
    bench: Bench,
) -> None:
    started(bench)
    bench.broker.event(unreadable(FAR))
    bench.broker.event(unreadable(4))
    bench.turn(1_000)
    assert foreign(bench) == []
    bench.broker.event(event(4, mono_ms=4))
    denied(bench, 4)
    reasons = foreign(bench)
    assert len(reasons) == 2
    assert any("another event under this number" in one for one in reasons)
    assert bench.store.seqs() == [1, 2, 3, 4]

    bench.broker.event(unreadable(5))  # of a newer gateway
    health(bench, 5)
    bench.turn(1_000)
    bench.turn(2_000)
    assert asked(bench) == [(5, 5)]
    bench.broker.event(unreadable(5, late=True))
    bench.turn(1_000)
    assert bench.state.aside_counts() == {"csg": 1}
    assert recorded(bench)["lanes"]["routine"] == 5


def test_what_was_forged_before_the_gateway_was_heard_is_corrected(bench: Bench) -> None:
    """A recorder that has just been started cannot compare yet."""
    for seq in (1, 2, 3):
        bench.broker.event(event(seq, mono_ms=seq))
    bench.broker.event(event(FAR))
    bench.broker.event(unreadable(FAR + 1))
    bench.turn()
    assert bench.state.aside_counts() == {"csg": 1}
    denied(bench)
    (reason,) = [one for one in foreign(bench) if "have come" in one]
    assert f"numbers up to {FAR + 1} of routine" in reason
    before = len(asked(bench))
    bench.turn(400_000)
    assert len(asked(bench)) == before, "nobody has sent what lies between"
    bench.broker.event(event(4, mono_ms=4))
    bench.turn(1_000)
    bench.turn(1_000)
    assert recorded(bench)["lanes"]["routine"] == 4


def test_what_the_store_has_refused_and_another_event_under_its_number_are_both_red(
    bench: Bench,
) -> None:
    """Whichever of the two was forged."""
    started(bench)
    bench.store.bad = {4}
    bench.broker.event(event(4, mono_ms=77, data={"quantity": "temperature", "value": 1.0}))
    bench.turn()
    assert bench.state.aside_counts() == {"csg": 1}
    bench.store.bad = set()
    bench.broker.event(event(4, mono_ms=4))
    bench.turn()
    assert bench.store.seqs() == [1, 2, 3, 4]
    assert [one.standing for one in asides(bench.state)] == ["open", "doubtful"]
    assert bench.state.aside_counts() == {"csg": 2}
    bench.turn(1_000)
    assert recorded(bench)["lanes"]["routine"] == 4


def test_what_the_broker_has_kept_is_nobodys_fact(bench: Bench) -> None:
    started(bench)
    text = json.dumps({"journal": "j1", "sent": {"routine": FAR}}).encode()
    bench.broker.give("health", text, retained=True)
    bench.broker.give("event/reading/x", json.dumps(event(4, mono_ms=77)).encode(), retained=True)
    for _ in range(3):
        bench.turn(2_000)
    assert asked(bench) == []
    assert len(foreign(bench)) == 2
    assert bench.store.seqs() == [1, 2, 3]


def test_nonsense_under_a_known_number_is_named_and_changes_nothing(bench: Bench) -> None:
    started(bench)
    bench.broker.event(unreadable(3))
    bench.turn()
    bench.broker.event(event(3, mono_ms=3, late=True))
    bench.turn()
    (reason,) = foreign(bench)
    assert "number 3 of routine has come before" in reason
    assert bench.store.seqs() == [1, 2, 3]


def test_numbers_that_were_taken_by_somebody_else_are_the_gateways_again(bench: Bench) -> None:
    """In a row, so that nothing is doubtful; the gateway then says how far it really is."""
    started(bench)
    for seq in (4, 5, 6):
        bench.broker.event(event(seq, mono_ms=70 + seq, utc_ms=T0 + 70 + seq))
    bench.turn()
    denied(bench)
    assert recorded(bench)["lanes"]["routine"] == 3
    for seq in (4, 5, 6):
        bench.broker.event(event(seq, mono_ms=seq))
    bench.turn(1_000)
    assert bench.store.seqs() == [1, 2, 3, 4, 4, 5, 5, 6, 6], "each fact of the gateway, once"
    assert recorded(bench)["lanes"]["routine"] == 6


def test_old_words_of_the_gateway_that_the_broker_repeats_deny_nothing(bench: Bench) -> None:
    """After a break it sends again what nobody acknowledged: the word, then what followed."""
    started(bench)
    for _ in range(3):
        health(bench, 3)
        bench.turn(2_000)
        for seq in (4, 5, 6):
            bench.broker.event(event(seq, mono_ms=seq))
        bench.turn(2_000)
    assert recorded(bench)["lanes"]["routine"] == 6
    assert foreign(bench) == []


def test_what_was_held_back_and_comes_again_in_its_turn_is_the_gateways(bench: Bench) -> None:
    """Found by the simulation's lying disk 46: it was listed as somebody else's."""
    started(bench)
    bench.broker.event(event(6, mono_ms=6))
    bench.turn(1_000)
    for seq in (4, 5, 6):
        bench.broker.event(event(seq, mono_ms=seq, late=True))
    bench.turn(1_000)
    assert bench.store.seqs() == [1, 2, 3, 4, 5, 6]
    assert foreign(bench) == []


@pytest.mark.parametrize("first", [77, 5])
def test_of_two_events_that_are_held_back_the_one_that_the_gateway_sends_again_counts(
    bench: Bench, first: int
) -> None:
    started(bench)
    for mono_ms in (first, 82 - first):
        bench.broker.event(event(5, mono_ms=mono_ms))
    bench.turn(1_000)
    bench.broker.event(event(4, mono_ms=4))
    bench.turn(1_000)
    bench.broker.event(event(5, mono_ms=5, late=True))
    bench.turn(1_000)
    (reason,) = foreign(bench)
    assert "two events of one number" in reason
    (named,) = [json.loads(one.event) for one in asides(bench.state)]
    assert named["monotonicms"] == 77
    assert bench.store.seqs() == [1, 2, 3, 4, 5]


def test_a_head_that_the_gateway_does_not_have_ends_the_asking(bench: Bench) -> None:
    """Whoever may write ``health`` can claim any number; the gateway says otherwise."""
    started(bench)
    health(bench, FAR)
    bench.turn(2_000)
    bench.turn(2_000)
    assert asked(bench)
    denied(bench)
    before = len(asked(bench))
    bench.turn(400_000)
    assert len(asked(bench)) == before


def test_what_comes_although_it_was_declared_absent_counts(bench: Bench) -> None:
    started(bench)
    bench.broker.event(event(6, mono_ms=6))
    health(bench, 6)
    absent = {"journal": "j1", "lane": "routine", "ranges": [[4, 5]], "reason": "lost"}
    bench.broker.give("absent", json.dumps(absent).encode())
    bench.turn()
    bench.turn(1_000)
    assert recorded(bench)["lanes"]["routine"] == 6
    bench.broker.event(event(4, mono_ms=4))
    bench.broker.event(event(4, mono_ms=4))
    bench.turn()
    assert bench.store.seqs() == [1, 2, 3, 4, 6]


def test_what_the_gateway_has_and_does_not_count_as_sent_is_its_own(bench: Bench) -> None:
    """The broker has it, and the acknowledgement is lost: it is sent again, and meanwhile the
    gateway says that it has sent less than what has come."""
    started(bench)
    for seq in (4, 5, 8):
        bench.broker.event(event(seq, mono_ms=seq))
    for _ in range(3):
        text = {"journal": "j1", "sent": {"routine": 3}, "heads": {"routine": 8}}
        bench.broker.give("health", json.dumps(text).encode())
        bench.turn(30_000)
    assert foreign(bench) == []
    assert {4, 5, 8} < set(bench.store.seqs())


def test_an_acknowledgement_that_was_lost_makes_nothing_foreign_twice(bench: Bench) -> None:
    """The gateway's own word may come before an event that is on its way: what is cut off by
    mistake comes again, and is the same point."""
    started(bench)
    bench.broker.event(event(4, mono_ms=4))
    bench.turn()
    denied(bench)
    bench.broker.event(event(4, mono_ms=4))
    bench.turn()
    assert bench.store.seqs() == [1, 2, 3, 4]


def test_a_late_event_of_an_older_journal_does_not_make_it_the_present_one(bench: Bench) -> None:
    started(bench)
    health(bench, 0, "j2")
    bench.turn(1_000)
    bench.broker.event(event(4, mono_ms=4, late=True))
    bench.turn(1_000)
    bench.turn(1_000)
    assert bench.store.seqs() == [1, 2, 3, 4]
    assert recorded(bench)["journal"] == "j2"
