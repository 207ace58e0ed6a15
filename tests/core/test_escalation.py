"""The service chain: who is told after whom, what a failure does, and what a restart keeps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from gateway.core.effects import ANSWER_MS, Send
from gateway.core.events import Delivered
from gateway.core.facts import Json
from gateway.core.instant import ClockKnown, Ms
from gateway.core.notification import escalation
from gateway.core.notification.delivery import under_way
from gateway.core.notification.escalation import AGAIN_MS, Begun, Duty, Ended
from gateway.core.notification.escalation_state import (
    NOBODY,
    SAVED,
    SETTLE_MS,
    Chain,
    due_ms,
    restored,
    with_clock,
)
from gateway.core.plan import EscalationPlan
from gateway.core.saved_values import Times
from tests import plans

CARE = EscalationPlan(
    "care",
    (
        plans.step("caretaker", 0),
        plans.step("reception", 60_000),
        plans.last_step("care_service", 120_000),
    ),
)
ONCE = EscalationPlan("once", CARE.steps[:2])
CHANNELS = {"caretaker": 2, "reception": 1, "care_service": 1}
OFFSET = 1_700_000_000_000


class Bench:
    """One chain, woken whenever it asks for it; ``said`` is what it told: who, how, when."""

    def __init__(
        self,
        plan: EscalationPlan = CARE,
        off: Sequence[str] = (),
        *,
        patient: bool = False,
        state: Chain | None = None,
    ) -> None:
        fresh = Chain(plan, CHANNELS, "wc-1", "wc", frozenset(off), OFFSET, patient=patient)
        self.chain = state or fresh
        self.said: list[tuple[Ms, str]] = []
        self.sent: list[Send] = []
        self.now = 0
        if state is None:
            self.at(0, Begun("call", {"room": "WC"}))

    def _step(self, event: escalation.Event | None) -> None:
        step = escalation.step(self.chain, event, self.now)
        self.chain = step.state
        for effect in step.effects:
            assert isinstance(effect, Send)
            self.sent.append(effect)
        for fact in step.facts:
            assert (fact.kind, fact.subject) == ("message", "wc")
            data = fact.data
            words = f"{data['receiver']}/{data['channel']} {data['result']}"
            self.said.append((self.now, f"{words} {data['reason'] or ''}".strip()))

    def until(self, now: Ms) -> Bench:
        while (due := escalation.wake_at(self.chain)) is not None and due <= now:
            self.now = max(due, self.now)
            self._step(None)
        self.now = now
        return self

    def at(self, now: Ms, event: escalation.Event) -> Bench:
        self.until(now)
        self._step(event)
        return self

    def answer(self, now: Ms, ok: bool, reason: str = "") -> Bench:
        """What became of the last message."""
        return self.at(now, Delivered(self.sent[-1].delivery, ok, reason))

    def told(self) -> list[tuple[Ms, str]]:
        told, self.said = self.said, []
        return told


def test_each_step_at_its_time_and_the_last_again_and_again() -> None:
    bench = Bench().answer(100, True).until(60_000).answer(60_200, True)
    bench.until(180_000).answer(180_100, True)
    bench.until(300_000).answer(300_100, True)
    assert bench.told() == [
        (0, "caretaker/0 sent"),
        (100, "caretaker/0 delivered"),
        (60_000, "reception/0 sent"),
        (60_200, "reception/0 delivered"),
        (180_000, "care_service/0 sent"),
        (180_100, "care_service/0 delivered"),
        (300_000, "care_service/0 sent"),
        (300_100, "care_service/0 delivered"),
    ]
    assert [send.delivery for send in bench.sent] == [f"wc-1#{n}" for n in (1, 2, 3, 4)]
    assert (bench.sent[0].kind, bench.sent[0].about) == ("call", "wc-1")


def test_a_message_that_was_tried_says_by_what_it_went() -> None:
    chain = Bench().chain
    sent = chain.messages[-1].delivery
    step = escalation.step(chain, Delivered(sent, False, "http 500", "sms"), 100)
    assert [fact.data.get("medium") for fact in step.facts] == ["sms", None], "the next is unknown"
    assert [one.medium for one in step.state.messages] == ["sms", ""]


def test_a_chain_without_a_step_that_repeats_ends() -> None:
    bench = Bench(ONCE).answer(100, True).until(60_000).answer(60_100, True)
    assert escalation.wake_at(bench.chain) is None


def test_who_is_off_duty_is_skipped_at_once() -> None:
    bench = Bench(off=["caretaker"])
    assert bench.told() == [(0, "caretaker/0 skipped off_duty"), (0, "reception/0 sent")]


def test_with_everybody_off_duty_the_last_is_told_all_the_same() -> None:
    bench = Bench(off=["caretaker", "reception", "care_service"])
    assert bench.told()[-1] == (0, "care_service/0 sent")
    bench.answer(100, True).until(120_000)
    assert bench.told()[-1] == (120_000, "care_service/0 sent")


def test_after_somebody_was_reached_a_skipped_step_keeps_the_times() -> None:
    bench = Bench(off=["reception"]).answer(100, True).until(179_999)
    assert bench.told()[2:] == [(60_000, "reception/0 skipped off_duty")]
    assert escalation.wake_at(bench.chain) == 180_000


def test_a_step_that_is_skipped_again_and_again_is_told_once() -> None:
    bench = Bench(off=["care_service"]).answer(100, True).until(60_000).answer(60_100, True)
    bench.told()
    bench.until(600_000)
    assert bench.told() == [(180_000, "care_service/0 skipped off_duty")]


def test_a_failed_delivery_moves_on_to_the_next_channel_then_to_the_next_step() -> None:
    bench = Bench().answer(100, False, "http 500").answer(200, False, "connection")
    assert bench.told() == [
        (0, "caretaker/0 sent"),
        (100, "caretaker/0 failed http 500"),
        (100, "caretaker/1 sent"),
        (200, "caretaker/1 failed connection"),
        (200, "reception/0 sent"),
    ]
    bench.answer(300, True)
    assert escalation.wake_at(bench.chain) == 180_000  # the times of the others stand


def test_no_answer_is_a_failure() -> None:
    bench = Bench()
    bench.until(ANSWER_MS)
    assert bench.told()[1:] == [
        (ANSWER_MS, "caretaker/0 failed no_answer"),
        (ANSWER_MS, "caretaker/1 sent"),
    ]


def test_an_answer_that_comes_late_still_counts() -> None:
    bench = Bench(ONCE, off=["reception"])
    bench.until(ANSWER_MS)
    bench.at(ANSWER_MS + 10, Delivered("wc-1#1", True, ""))
    assert (ANSWER_MS + 10, "caretaker/0 delivered") in bench.told()
    assert bench.chain.reached


def test_answers_to_nothing_are_nothing() -> None:
    bench = Bench().answer(100, True)
    before = bench.chain
    bench.at(200, Delivered("wc-1#1", False, "x")).at(200, Delivered("wc-1#9", True, ""))
    assert bench.chain == before


@pytest.mark.parametrize(
    ("patient", "most"),
    [
        (False, [60_000] * 7),
        (True, [80_000, 160_000, 320_000, 640_000, 1_280_000, 2_560_000, 3_600_000]),
    ],
)
def test_when_everything_fails_that_is_said_and_it_begins_anew_ever_more_slowly(
    patient: bool, most: list[Ms]
) -> None:
    bench = Bench(ONCE, patient=patient)
    pauses = []
    for _ in range(11):
        while under_way(bench.chain.messages):
            bench.answer(bench.now, False, "connection")
        assert bench.chain.conditions == NOBODY
        pauses.append((escalation.wake_at(bench.chain) or 0) - bench.now)
        bench.until(escalation.wake_at(bench.chain) or 0)
    assert pauses == [5_000, 10_000, 20_000, 40_000, *most]
    bench.answer(bench.now, True)
    assert bench.chain.conditions == ()


def test_a_last_step_that_fails_is_told_again_in_its_time_where_somebody_was_reached() -> None:
    bench = Bench().answer(100, True).until(60_000).answer(60_100, True)
    bench.until(180_000).answer(180_100, False)
    assert bench.chain.conditions == ()
    assert escalation.wake_at(bench.chain) == 300_000


def test_an_older_step_that_fails_last_moves_on_as_well() -> None:
    quick = EscalationPlan(
        "quick",
        (plans.step("reception", 0), plans.step("care_service", 10_000)),
    )
    bench = Bench(quick).until(10_000).answer(10_100, False)
    assert bench.chain.conditions == ()  # the first is still under way
    bench.until(ANSWER_MS)
    assert bench.chain.conditions == NOBODY


def test_an_older_step_that_fails_while_another_is_under_way_changes_nothing() -> None:
    quick = EscalationPlan(
        "quick",
        (
            plans.step("reception", 0),
            plans.step("care_service", 10_000),
            plans.step("caretaker", 60_000),
        ),
    )
    bench = Bench(quick).until(10_000).at(10_100, Delivered("wc-1#1", False, "connection"))
    assert escalation.wake_at(bench.chain) == 10_000 + ANSWER_MS
    assert len(bench.sent) == 2


def test_seen_it_stands_still_and_what_is_under_way_is_still_recorded() -> None:
    bench = Bench().at(50, Ended(seen=True))
    assert not bench.chain.running
    bench.answer(100, False, "http 500").until(900_000)
    assert bench.told() == [(0, "caretaker/0 sent"), (100, "caretaker/0 failed http 500")]


def test_raised_again_it_begins_from_the_first_step() -> None:
    bench = Bench().answer(100, True).at(200, Ended(seen=True))
    bench.at(300_000, Begun("call_again", {"room": "WC"}))
    assert bench.told()[-1] == (300_000, "caretaker/0 sent")
    assert (bench.sent[-1].kind, bench.sent[-1].delivery) == ("call_again", "wc-1#2")
    bench.at(300_050, Delivered("wc-1#1", False, ""))
    assert bench.told() == []


def test_an_answer_of_before_moves_nothing_on() -> None:
    bench = Bench().at(50, Ended(seen=True)).at(60, Begun("call_again", {}))
    bench.at(70, Delivered("wc-1#1", False, "connection"))
    assert [send.delivery for send in bench.sent] == ["wc-1#1", "wc-1#2"]


@pytest.mark.parametrize(("after_ms", "sent"), [(AGAIN_MS - 1, 1), (AGAIN_MS, 2)])
def test_a_loose_wire_does_not_begin_from_the_start(after_ms: Ms, sent: int) -> None:
    bench = Bench(ONCE).answer(10, True).at(20, Ended(seen=False))
    bench.until(20 + after_ms)
    bench.at(20 + after_ms, Begun("call", {}, resume=True))
    caretaker = [send for send in bench.sent if send.receiver == "caretaker"]
    assert len(caretaker) == sent
    if sent == 1:
        assert bench.sent[-1].receiver == "reception"  # what fell due meanwhile


def test_the_record_is_bounded() -> None:
    bench = Bench()
    for _ in range(100):
        bench.until((escalation.wake_at(bench.chain) or 0) + 1)
    assert len(bench.chain.messages) == escalation.MESSAGES_MOST


# --- what can wait ------------------------------------------------------------------------


def test_a_fault_waits_for_working_hours() -> None:
    everybody = ["caretaker", "reception", "care_service"]
    bench = Bench(off=everybody, patient=True)
    assert (bench.told(), escalation.wake_at(bench.chain)) == ([], None)
    bench.at(1_000, Duty(frozenset(everybody)))
    assert bench.told() == []
    bench.at(3_600_000, Duty(frozenset({"caretaker", "care_service"})))
    assert bench.told() == [
        (3_600_000, "caretaker/0 skipped off_duty"),
        (3_600_000, "reception/0 sent"),
    ]


def test_a_fault_that_was_seen_meanwhile_is_not_told_in_the_morning() -> None:
    bench = Bench(off=["caretaker", "reception", "care_service"], patient=True)
    bench.at(10, Ended(seen=True)).at(20, Duty(frozenset()))
    assert bench.told() == []


def test_a_fault_whose_last_step_is_off_duty_tries_the_others_again() -> None:
    bench = Bench(off=["care_service"], patient=True).answer(1, False).answer(2, False)
    bench.answer(3, False)
    assert bench.chain.conditions == NOBODY
    assert escalation.wake_at(bench.chain) == 3 + escalation.RETRY_FIRST_MS


# --- over a restart -----------------------------------------------------------------------


def kept(chain: Chain) -> dict[str, Json]:
    saved = SAVED.write(chain, Times(chain.offset_ms))
    assert isinstance(saved, dict)
    return saved


def read(plan: EscalationPlan, about: str, entry: Json, now: Ms = 0) -> Chain:
    was = SAVED.read(entry, Times())
    assert was is not None
    return restored(plan, CHANNELS, about, was, now)


def again(chain: Chain, now: Ms = 0) -> Chain:
    """As JSON has it."""
    return read(chain.plan, chain.about, kept(chain), now)


def test_it_goes_on_where_it_was() -> None:
    bench = Bench().answer(100, True)
    chain = with_clock(again(bench.chain), OFFSET + 40_000)  # the other boot began 40 s later
    assert [m.result for m in chain.messages] == ["delivered"]
    assert chain.messages[0].at.utc_ms == OFFSET
    assert kept(chain) == kept(bench.chain)
    later = Bench(state=chain)
    later.until(20_000)
    assert later.told() == [(20_000, "reception/0 sent")]
    assert later.sent[0].delivery == "wc-1#2"


def test_without_a_clock_the_last_step_counts_as_told_just_now() -> None:
    bench = Bench().answer(100, True)
    without = replace(bench.chain, offset_ms=None)
    later = Bench(state=again(without))
    assert kept(later.chain)["due_utc_ms"] is None
    later.until(60_000)
    assert later.told() == [(60_000, "reception/0 sent")]


@pytest.mark.parametrize("ahead_ms", [86_400_000, 365 * 86_400_000])
def test_a_clock_that_was_ahead_delays_no_message(ahead_ms: int) -> None:
    """No deadline of another boot is later than its step, counted from the start."""
    bench = Bench().answer(100, True)
    chain = with_clock(again(bench.chain), OFFSET - ahead_ms)
    later = Bench(state=chain)
    later.until(60_000).answer(60_100, True).until(180_000)
    sent = [at for at, words in later.told() if words.endswith("sent")]
    assert sent == [60_000, 180_000]


def test_before_its_first_message_it_waits_for_the_clock() -> None:
    late = EscalationPlan("late", (plans.step("caretaker", 30_000),))
    chain = again(replace(Bench(late).chain, offset_ms=None))
    assert escalation.wake_at(chain) == 30_000
    first = again(replace(Bench(CARE).chain, last_step=-1, messages=()))
    assert escalation.wake_at(first) == SETTLE_MS


def test_what_was_under_way_is_waited_for_once_more() -> None:
    later = Bench(state=again(Bench().chain))
    later.at(20, Delivered("wc-1#1", True, ""))
    assert later.told() == [(20, "caretaker/0 delivered")]
    lost = Bench(state=again(Bench().chain)).until(ANSWER_MS)
    assert lost.told()[0] == (ANSWER_MS, "caretaker/0 failed no_answer")


def test_that_nobody_was_reached_still_stands() -> None:
    bench = Bench(ONCE).answer(1, False).answer(2, False).answer(3, False)
    assert again(bench.chain).conditions == NOBODY
    bench.at(4, Ended(seen=True))
    assert again(bench.chain).conditions == ()


def test_the_end_of_a_chain_stays_its_end() -> None:
    bench = Bench(ONCE).answer(100, True).until(60_000).answer(60_100, True)
    assert escalation.wake_at(again(bench.chain)) is None


def test_a_plan_that_became_shorter() -> None:
    bench = Bench().answer(100, True).until(60_000).answer(60_100, True)
    bench.until(180_000)
    back = read(ONCE, "wc-1", kept(bench.chain))
    assert back.last_step == 1


def test_of_a_strange_entry_the_rest_is_read() -> None:
    row: list[Json] = ["wc-1#1", "caretaker", 0, "call", 0, 1, "flown", "", None]
    entry: dict[str, Json] = {"told": "x", "messages": [row, 3], "data": 4, "count": 7}
    back = read(CARE, "wc-1", entry)
    assert (back.count, back.messages, back.last_step, back.running) == (7, (), -1, False)
    assert read(CARE, "wc-1", {"messages": None}).messages == ()


def test_a_chain_that_stood_before_its_first_step_begins_with_it() -> None:
    chain = read(CARE, "wc-1", {"told": -9, "running": True, "subject": "wc", "kind": "call"})
    assert Bench(state=chain).until(SETTLE_MS).sent[0].receiver == "caretaker"


@pytest.mark.parametrize("at", [2, 4, 5])
def test_a_message_with_true_in_place_of_a_number_is_none(at: int) -> None:
    row: list[Json] = ["wc-1#1", "caretaker", 0, "call", 0, 1, "delivered", "", None]
    assert read(CARE, "wc-1", {"messages": [[*row]]}).messages
    row[at] = True
    assert read(CARE, "wc-1", {"messages": [row]}).messages == ()


def test_messages_get_their_time_once_the_clock_is_known() -> None:
    without = replace(Bench().chain, offset_ms=None)
    bench = Bench(state=replace(without, messages=())).at(5, Begun("call", {}))
    bench.chain = replace(bench.chain, offset_ms=None)
    bench.at(6, Ended(seen=True)).at(7, Begun("call_again", {}))
    bench.at(8, ClockKnown(OFFSET))
    assert [m.at.utc_ms for m in bench.chain.messages] == [OFFSET + 5, OFFSET + 7]


def test_a_chain_that_only_repeats_begins_at_once() -> None:
    only = EscalationPlan("only", (plans.last_step("care_service", 60_000),))
    bench = Bench(only).answer(100, True).until(60_000)
    assert [at for at, words in bench.told() if "sent" in words] == [0, 60_000]
    assert due_ms(again(bench.chain), 0, 0) == 60_000
