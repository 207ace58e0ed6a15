"""What chains and mailings share: names, answers, channels, and messages over a restart."""

from __future__ import annotations

import pytest

from gateway.core.effects import ANSWER_MS, Send
from gateway.core.events import Delivered
from gateway.core.instant import Ms
from gateway.core.notification.delivery import (
    Message,
    Sender,
    answers_end_ms,
    awaited_again,
    under_way,
)


class OneByOne(Sender[Message]):
    """It tries the next channel, and notes what arrived and who was not reached."""

    def __init__(self, messages: tuple[Message, ...] = (), now: Ms = 0) -> None:
        super().__init__("test", "office", {"reception": 2}, messages, len(messages), now)
        self.came: list[str] = []

    def arrived(self, message: Message) -> None:
        self.came.append(f"{message.receiver}/{message.channel} arrived")

    def failed(self, message: Message, *, last_channel: bool) -> None:
        if last_channel:
            self.came.append(f"{message.receiver} not reached")
        else:
            self.send(Message(message.receiver, message.channel + 1, message.kind), {})


class Patient(OneByOne):
    late_success = True


def sent(*receivers: str) -> OneByOne:
    work = OneByOne()
    for receiver in receivers:
        work.send(Message(receiver, 0, "summary"), {"n": 1})
    return work


def test_a_message_has_a_name_and_is_reported_and_handed_over() -> None:
    work = sent("reception", "caretaker")
    assert work.effects == [
        Send("test#1", "reception", 0, "summary", "", {"n": 1}),
        Send("test#2", "caretaker", 0, "summary", "", {"n": 1}),
    ]
    assert [(fact.kind, fact.subject) for fact in work.facts] == [("message", "office")] * 2
    assert work.facts[1].data == {
        "delivery": "test#2", "receiver": "caretaker", "channel": 0, "about": "",
        "message": "summary", "result": "sent", "reason": None, "step": None,
    }  # fmt: skip


def test_a_failure_goes_over_the_next_channel_and_after_the_last_the_receiver_is_not_reached() -> (
    None
):
    work = sent("reception", "caretaker")
    work.answered(Delivered("test#1", False, "http 500"))
    assert (work.effects[-1], work.came) == (Send("test#3", "reception", 1, "summary", "", {}), [])
    work.answered(Delivered("test#3", False, "connection"))
    work.answered(Delivered("test#2", True))
    assert work.came == ["reception not reached", "caretaker/0 arrived"]
    results = [(one.result, one.reason) for one in work.messages]
    assert results == [("failed", "http 500"), ("delivered", ""), ("failed", "connection")]


def test_an_answer_is_awaited_until_its_time_is_over() -> None:
    messages = sent("caretaker").messages
    assert answers_end_ms(messages) == ANSWER_MS
    early, late = OneByOne(messages, ANSWER_MS - 1), OneByOne(messages, ANSWER_MS)
    early.expire()
    late.expire()
    assert early.messages == messages
    assert (late.messages[0].reason, late.came) == ("no_answer", ["caretaker not reached"])
    assert (under_way(early.messages), under_way(late.messages)) == (True, False)
    assert answers_end_ms(late.messages) is None


@pytest.mark.parametrize(
    ("sender", "ok", "came"),
    [(OneByOne, True, []), (Patient, True, ["caretaker/0 arrived"]), (Patient, False, [])],
)
def test_whether_a_late_success_counts_is_up_to_the_sender(
    sender: type[OneByOne], ok: bool, came: list[str]
) -> None:
    work = OneByOne(sent("caretaker").messages, ANSWER_MS)
    work.expire()
    after = sender(work.messages, ANSWER_MS + 1)
    after.answered(Delivered("test#1", ok))
    assert after.came == came


def test_an_answer_counts_once_and_one_to_nothing_never() -> None:
    work = sent("caretaker")
    for name in ("test#1", "test#1", "test#9", ""):
        work.answered(Delivered(name, True))
    assert work.came == ["caretaker/0 arrived"]


def test_after_a_restart_only_what_was_under_way_is_awaited() -> None:
    work = sent("reception", "caretaker")
    work.answered(Delivered("test#1", True))
    again = awaited_again(work.messages, 70)
    assert [one.until_ms for one in again] == [None, 70 + ANSWER_MS]
