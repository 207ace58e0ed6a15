"""Messages by the clock: due, late, failed, confirmed or not, and over a restart."""

from __future__ import annotations

import pytest

from gateway.core.effects import ANSWER_MS, Send
from gateway.core.events import CivilTime, Delivered
from gateway.core.facts import Json
from gateway.core.instant import Ms
from gateway.core.notification import mailing
from gateway.core.notification.mailing import LATE_MS, Confirmed, Mailing, find
from gateway.core.plan import MailingPlan
from gateway.core.saved_values import Times

OFFSET = 1_700_000_000_000
WEEK = 7 * 86_400_000
HOUR = 3_600_000
DUE = tuple(OFFSET + HOUR + n * WEEK for n in range(4))
TEST = MailingPlan("test", ("caretaker", "care_service"), DUE, 24 * HOUR)
SUMMARY = MailingPlan("summary", ("caretaker",), DUE, None)
CHANNELS = {"caretaker": 2, "care_service": 1}


class Bench:
    """One mailing, woken whenever it asks for it."""

    def __init__(self, plan: MailingPlan = TEST, state: Mailing | None = None) -> None:
        self.state = state or mailing.start(plan, CHANNELS, "office")
        self.said: list[str] = []
        self.sent: list[Send] = []
        self.now = 0
        if state is None:
            self.at(0, CivilTime(OFFSET, True))

    def _step(self, event: mailing.Event | None) -> None:
        step = mailing.step(self.state, event, self.now)
        self.state = step.state
        for effect in step.effects:
            assert isinstance(effect, Send)
            self.sent.append(effect)
        for fact in step.facts:
            assert fact.subject == "office"
            self.said.append(f"{fact.data['receiver']} {fact.data.get('result', fact.kind)}")

    def until(self, now: Ms) -> Bench:
        while (due := mailing.wake_at(self.state)) is not None and due <= now:
            self.now = max(due, self.now)
            self._step(None)
        self.now = now
        return self

    def at(self, now: Ms, event: mailing.Event) -> Bench:
        self.until(now)
        self._step(event)
        return self

    def arrives(self, now: Ms) -> Bench:
        """Everything that is under way is delivered."""
        for message in self.state.messages:
            self.at(now, Delivered(message.delivery, True))
        return self

    def told(self) -> list[str]:
        said, self.said = self.said, []
        return said


def test_everybody_is_told_at_the_instant() -> None:
    bench = Bench()
    assert mailing.wake_at(bench.state) == HOUR
    bench.until(HOUR).arrives(HOUR + 50)
    assert bench.told() == [
        "caretaker sent",
        "care_service sent",
        "caretaker delivered",
        "care_service delivered",
    ]
    send = bench.sent[0]
    assert (send.kind, send.delivery, send.about) == ("test", "test#1", "")
    assert send.data == {"confirm_within_ms": 24 * HOUR}


def test_a_message_that_was_tried_says_by_what_it_went() -> None:
    bench = Bench(SUMMARY)
    bench.until(HOUR)
    (letter,) = bench.state.messages
    step = mailing.step(bench.state, Delivered(letter.delivery, True, "", "mail"), HOUR + 1)
    assert [fact.data["medium"] for fact in step.facts] == ["mail"]


def test_a_confirmed_test_is_no_condition() -> None:
    bench = Bench().until(HOUR).arrives(HOUR)
    for message in bench.state.messages:
        bench.at(2 * HOUR, Confirmed(message.delivery, "c"))
    assert bench.told()[4:] == ["caretaker message_confirmed", "care_service message_confirmed"]
    bench.until(WEEK)
    assert bench.state.conditions == ()
    bench.at(WEEK, Confirmed("test#1", "again"))
    assert bench.told() == []


def test_who_does_not_confirm_is_named_until_they_do() -> None:
    bench = Bench().until(HOUR).arrives(HOUR).at(2 * HOUR, Confirmed("test#1", "c"))
    assert bench.until(25 * HOUR - 1).state.conditions == ()
    late = (("test_unconfirmed", "care_service"),)
    assert bench.until(25 * HOUR).state.conditions == late
    again = bench.until(WEEK + HOUR).arrives(WEEK + HOUR)
    assert again.state.conditions == late  # a new one, as yet
    message = next(one for one in bench.state.messages if one.receiver == "care_service")
    bench.at(WEEK + 2 * HOUR, Confirmed(message.delivery, "c"))
    assert bench.state.conditions == ()


def test_a_failure_goes_over_the_next_channel_and_after_the_last_it_is_known() -> None:
    bench = Bench().until(HOUR)
    bench.at(HOUR + 10, Delivered("test#1", False, "http 500"))
    assert (bench.sent[-1].receiver, bench.sent[-1].channel) == ("caretaker", 1)
    bench.at(HOUR + 20, Delivered("test#3", True)).until(HOUR + ANSWER_MS)
    assert bench.told()[-1] == "care_service failed"  # nobody answered
    assert bench.state.conditions == (("test_unconfirmed", "care_service"),)
    bench.at(HOUR + ANSWER_MS, Delivered("test#2", True))
    assert bench.told() == []


def test_a_summary_wants_no_confirmation() -> None:
    bench = Bench(SUMMARY).until(HOUR).at(HOUR, Delivered("summary#1", False, "x"))
    bench.at(HOUR, Delivered("summary#2", False, "x")).until(5 * WEEK)
    assert bench.state.conditions == ()
    assert find(bench.state, "summary#1") is None
    assert bench.sent[0].data == {}
    assert mailing.wake_at(bench.state) is None  # the plan is made anew long before


def test_nothing_goes_out_while_the_clock_is_not_trusted() -> None:
    bench = Bench().at(10, CivilTime(OFFSET, False))
    assert mailing.wake_at(bench.state) is None
    bench.until(2 * HOUR).at(2 * HOUR, CivilTime(OFFSET + 2 * HOUR, True))
    assert [send.delivery for send in bench.sent] == ["test#1", "test#2"]  # late, once


def test_the_first_time_ever_nothing_was_missed() -> None:
    state = mailing.start(TEST, CHANNELS, "office")
    bench = Bench(state=state).at(0, CivilTime(OFFSET + 2 * HOUR, True))
    assert bench.sent == []


# --- over a restart -----------------------------------------------------------------------


def read(mailing_: Mailing, entry: Json, now: Ms = 0) -> Mailing:
    was = mailing.SAVED.read(entry, Times())
    assert was is not None
    return mailing.restored(mailing_, was, now)


def kept(state: Mailing) -> Json:
    return mailing.SAVED.write(state, Times())


def again(state: Mailing, utc_ms: int) -> Bench:
    fresh = mailing.start(state.plan, CHANNELS, "office")
    bench = Bench(state=read(fresh, kept(state)))
    return bench.at(0, CivilTime(utc_ms, True))


def test_what_fell_due_meanwhile_is_sent_late_but_not_a_day_late() -> None:
    before = Bench().state
    assert len(again(before, DUE[0] + HOUR).sent) == 2
    assert again(before, DUE[0] + LATE_MS).sent == []


def test_what_was_sent_is_not_sent_again_and_is_still_to_be_confirmed() -> None:
    bench = Bench().until(HOUR).arrives(HOUR)
    later = again(bench.state, OFFSET + 2 * HOUR)
    assert later.sent == []
    later.until(23 * HOUR)  # 25 h after the beginning
    assert later.state.conditions == (("test_unconfirmed", "caretaker, care_service"),)
    standing = read(mailing.start(TEST, CHANNELS, "office"), kept(later.state))
    assert standing.conditions == later.state.conditions


def test_what_was_under_way_is_waited_for_once_more() -> None:
    bench = again(Bench().until(HOUR).state, OFFSET + HOUR).until(ANSWER_MS)
    assert bench.sent[0].channel == 1


def test_kept_state_that_comes_late_finds_the_clock_known() -> None:
    running = Bench().state
    sent = kept(Bench().until(HOUR).arrives(HOUR).state)
    late = read(running, sent, 2 * HOUR)
    assert late.messages[0].confirm_ms == HOUR + 24 * HOUR


def test_a_clock_that_was_ahead_delays_no_mailing_and_no_confirmation() -> None:
    """The other boot believed that it was a month later."""
    month_ms = 30 * 24 * HOUR
    after = again(Bench().until(HOUR).arrives(HOUR).state, DUE[0] - month_ms)
    assert {message.confirm_ms for message in after.state.messages} == {24 * HOUR}
    after.until(24 * HOUR)
    assert after.state.conditions == (("test_unconfirmed", "caretaker, care_service"),)
    after.until(month_ms - 1)
    assert after.sent == []
    after.until(month_ms)
    assert len(after.sent) == 2


@pytest.mark.parametrize(
    "entry", [{}, {"letters": [3], "last_utc_ms": "x", "count": None}, {"letters": 5}]
)
def test_what_cannot_be_read_is_left_out(entry: Json) -> None:
    fresh = mailing.start(TEST, CHANNELS, "office")
    assert read(fresh, entry) == fresh


def test_who_is_not_told_any_more_is_forgotten() -> None:
    saved = kept(Bench().until(HOUR).state)
    alone = MailingPlan("test", ("care_service",), DUE, 24 * HOUR)
    fresh = read(mailing.start(alone, CHANNELS, "office"), saved)
    assert [message.receiver for message in fresh.messages] == ["care_service"]


def test_a_letter_is_found_by_its_name() -> None:
    bench = Bench().until(HOUR)
    message = find(bench.state, "test#2")
    assert message is not None
    assert message.receiver == "care_service"
    assert find(bench.state, "test#9") is None
