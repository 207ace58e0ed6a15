"""Messages at set times: the weekly test, whose receipt is to be confirmed, and the summary of the
alarm list. And the test message that somebody sends by hand.

The times come from the configuration as UTC. While the clock is not trusted nothing is sent; what
fell due while the gateway was off is sent late, but not after a day. Everybody in the list gets a
message, on duty or not. A test that is not delivered, or not confirmed in time, is
a condition (``test_unconfirmed``) that names the receivers; it ends with their confirmation.

A test message by hand goes over every channel of one receiver, so that each is tried by itself.
Its receipt can be confirmed, and nobody waits for that. How a message gets to its receiver is in
:mod:`gateway.core.notification.delivery`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from functools import partial
from typing import Final, get_args

from gateway.core.events import CivilTime, Delivered
from gateway.core.facts import Fact, Json
from gateway.core.instant import Ms, UtcMs, clamped, earliest
from gateway.core.machine import Conditions, Step, replace
from gateway.core.notification.delivery import (
    Message,
    Result,
    Sender,
    answers_end_ms,
    awaited_again,
    under_way,
)
from gateway.core.plan import BuildingPlan, MailingPlan
from gateway.core.saved_values import (
    FLAG,
    TEXT,
    WHOLE,
    Field,
    Kind,
    entry_of,
    list_of,
    one_of,
    row_of,
)
from gateway.core.values import dataclass

LATE_MS: Ms = 86_400_000
"""A message that fell due longer ago is not sent any more."""

BY_HAND: Final = "by_hand"
"""The mailing that is never due by itself: test messages that somebody sends now."""


@dataclass(frozen=True)
class MailingMessage(Message):
    """The last message to one receiver (by hand: over one channel). ``confirm_ms``: its receipt
    is to be confirmed by then (``confirm_utc_ms``: the same in civil time)."""

    confirm_ms: Ms | None = None
    confirm_utc_ms: UtcMs | None = None
    confirmed: bool = True
    missed: bool = False
    """Not confirmed in time, or not delivered at all."""


@dataclass(frozen=True)
class Mailing:
    """One sort of message. ``last_utc_ms``: what was due up to here is done."""

    plan: MailingPlan
    channels: Mapping[str, int]
    gateway: str
    offset_ms: int | None = None
    last_utc_ms: UtcMs | None = None
    count: int = 0
    messages: tuple[MailingMessage, ...] = ()

    @property
    def conditions(self) -> Conditions:
        """A test that was missed."""
        missed = ", ".join(message.receiver for message in self.messages if message.missed)
        return (("test_unconfirmed", missed),) if missed else ()


@dataclass(frozen=True)
class Confirmed:
    """A receiver confirms the message of this name."""

    delivery: str
    command: str


@dataclass(frozen=True)
class TestAsked:
    """Somebody wants a test message to go to ``receiver`` now."""

    __test__ = False  # not a test class, whatever its name says to pytest

    receiver: str


@dataclass(frozen=True)
class ConfirmedElsewhere:
    """``receiver`` has confirmed a message of another mailing: messages reach them."""

    receiver: str


Event = CivilTime | Delivered | Confirmed | TestAsked | ConfirmedElsewhere


def plans(plan: BuildingPlan) -> tuple[MailingPlan, ...]:
    """The messages at set times, and the test by hand where there is somebody to send it to."""
    receivers = tuple(one.id for one in plan.receivers)
    by_hand = (MailingPlan(BY_HAND, receivers, (), None),) if receivers else ()
    return (*plan.mailings, *by_hand)


def start(plan: MailingPlan, channels: Mapping[str, int], gateway: str) -> Mailing:
    """The clock is not known yet."""
    return Mailing(plan, channels, gateway)


def wake_at(mailing: Mailing) -> Ms | None:
    """The next message, or the end of the wait for an answer or a confirmation."""
    messages = mailing.messages
    ends = [_confirm_end_ms(message) for message in messages]
    return earliest(_next_ms(mailing), answers_end_ms(messages), *ends)


def step(mailing: Mailing, event: Event | None, now: Ms) -> Step[Mailing]:
    """Time, the clock, an answer of ``notify`` or of the receiver."""
    if isinstance(event, CivilTime):
        mailing = _with_clock(mailing, event.utc_ms - now if event.trusted else None, now)
    work = _Work(mailing, now)
    match event:
        case None | CivilTime():
            work.time()
        case Delivered():
            work.answered(event)
        case TestAsked(receiver=receiver):
            work.send_test(receiver)
        case ConfirmedElsewhere(receiver=receiver):
            work.confirmed_elsewhere(receiver)
        case _:
            work.confirmed(event)
    return work.done()


def find(mailing: Mailing, delivery: str) -> MailingMessage | None:
    """The message of this name whose receipt is asked for."""
    of_name = (message for message in mailing.messages if message.delivery == delivery)
    asked = mailing.plan.confirm_within_ms is not None or mailing.plan.kind == BY_HAND
    return next(of_name, None) if asked else None


def under_way_to(mailing: Mailing, receiver: str) -> bool:
    """Whether a message to this receiver has not been answered yet."""
    return under_way(message for message in mailing.messages if message.receiver == receiver)


class _Work(Sender[MailingMessage]):
    """The mailing and its messages during one step."""

    def __init__(self, mailing: Mailing, now: Ms) -> None:
        plan, messages, count = mailing.plan, mailing.messages, mailing.count
        super().__init__(plan.kind, mailing.gateway, mailing.channels, messages, count, now)
        self.mailing = mailing
        self.by_hand = plan.kind == BY_HAND

    def done(self) -> Step[Mailing]:
        mailing = replace(self.mailing, messages=self.messages, count=self.count)
        return Step(mailing, tuple(self.facts), tuple(self.effects))

    def time(self) -> None:
        """Answers and confirmations that are overdue, and messages that are due."""
        self.expire()
        for message in self.messages:
            end_ms = _confirm_end_ms(message)
            if end_ms is not None and end_ms <= self.now:
                self.change(message, replace(message, missed=True))
        due_ms, offset_ms = _next_ms(self.mailing), self.mailing.offset_ms
        if offset_ms is None or due_ms is None or due_ms > self.now:
            return
        utc_ms = self.now + offset_ms
        due = self.mailing.plan.due
        newest_utc_ms = due[bisect_right(due, utc_ms) - 1]
        self.mailing = replace(self.mailing, last_utc_ms=utc_ms)
        if utc_ms - newest_utc_ms < LATE_MS:
            missed = {one.receiver for one in self.messages if one.missed}
            self.messages = ()
            for receiver in self.mailing.plan.receivers:
                self._send(receiver, 0, missed=receiver in missed)

    def _send(self, receiver: str, channel: int, *, missed: bool = False) -> None:
        kind, within_ms = _kind(self.mailing.plan), self.mailing.plan.confirm_within_ms
        message = MailingMessage(receiver, channel, kind, missed=missed)
        if self.by_hand:
            self.send(replace(message, confirmed=False), {"by_hand": True})
        elif within_ms is None:
            self.send(message, {})
        else:
            by_ms = self.now + within_ms
            by_utc_ms = by_ms + (self.mailing.offset_ms or 0)
            message = replace(message, confirm_ms=by_ms, confirm_utc_ms=by_utc_ms, confirmed=False)
            self.send(message, {"confirm_within_ms": within_ms})

    def send_test(self, receiver: str) -> None:
        """Send a message over every channel; the earlier tests to this receiver are dropped."""
        self.messages = tuple(one for one in self.messages if one.receiver != receiver)
        for channel in range(self.channels.get(receiver, 1)):
            self._send(receiver, channel)

    def failed(self, message: MailingMessage, *, last_channel: bool) -> None:
        """The next channel is tried; a test by hand tries each by itself."""
        if self.by_hand:
            return
        if last_channel:
            missed = message.missed or not message.confirmed
            self.change(message, replace(message, missed=missed))
        else:
            self.messages = tuple(one for one in self.messages if one is not message)
            self._send(message.receiver, message.channel + 1, missed=message.missed)

    def confirmed(self, event: Confirmed) -> None:
        for message in self.messages:
            if message.delivery == event.delivery and not message.confirmed:
                self._confirm(message)
                data: dict[str, Json] = {
                    "delivery": message.delivery,
                    "receiver": message.receiver,
                    "command": event.command,
                }
                self.facts.append(Fact("message_confirmed", self.subject, self.now, data))

    def confirmed_elsewhere(self, receiver: str) -> None:
        """Nobody has to confirm what was sent to them before."""
        for message in self.messages:
            if message.receiver == receiver and not message.confirmed:
                self._confirm(message)

    def _confirm(self, message: MailingMessage) -> None:
        self.change(message, replace(message, confirmed=True, missed=False))


def _with_clock(mailing: Mailing, offset_ms: int | None, now: Ms) -> Mailing:
    """What is due is known with the clock; the first time ever nothing was missed."""
    if offset_ms is None:
        return replace(mailing, offset_ms=None)
    within_ms = mailing.plan.confirm_within_ms or 0
    messages = tuple(
        one
        if one.confirm_utc_ms is None
        else replace(one, confirm_ms=clamped(one.confirm_utc_ms - offset_ms, now, within_ms))
        for one in mailing.messages
    )
    # A clock that was ahead must not silence the mailing until its time has come again.
    utc_ms = now + offset_ms
    last_utc_ms = utc_ms if mailing.last_utc_ms is None else min(mailing.last_utc_ms, utc_ms)
    return replace(mailing, offset_ms=offset_ms, messages=messages, last_utc_ms=last_utc_ms)


def _confirm_end_ms(message: MailingMessage) -> Ms | None:
    """When the confirmation is overdue; ``None``: none is awaited."""
    return None if message.confirmed or message.missed else message.confirm_ms


def _kind(plan: MailingPlan) -> str:
    """What a message is to its receiver."""
    return "test" if plan.kind == BY_HAND else plan.kind


def _next_ms(mailing: Mailing) -> Ms | None:
    due, offset_ms, last_utc_ms = mailing.plan.due, mailing.offset_ms, mailing.last_utc_ms
    if offset_ms is None or last_utc_ms is None:
        return None
    after = bisect_right(due, last_utc_ms)
    return due[after] - offset_ms if after < len(due) else None


# --- over a restart -----------------------------------------------------------------------


_MESSAGE: Kind[MailingMessage] = row_of(
    MailingMessage,
    Field("delivery", TEXT),
    Field("receiver", TEXT),
    Field("channel", WHOLE),
    Field("result", one_of(get_args(Result))),
    Field("confirm_utc_ms", WHOLE, None),
    Field("confirmed", FLAG),
    Field("missed", FLAG),
)
SAVED: Kind[Mailing] = entry_of(
    partial(Mailing, MailingPlan("test", (), (), None), {}, ""),
    Field("last_utc_ms", WHOLE, None),
    Field("count", WHOLE, 0),
    Field("letters", list_of(_MESSAGE), (), of="messages"),
)
"""What survives a restart: what was sent, and who has not confirmed it. It is read without its
plan."""


def restored(mailing: Mailing, was: Mailing, now: Ms) -> Mailing:
    """The mailing with its saved state; answers that were awaited are awaited once more."""
    plan = mailing.plan
    known = (one for one in was.messages if one.receiver in plan.receivers)
    messages = tuple(replace(one, kind=_kind(plan)) for one in awaited_again(known, now))
    mailing = replace(mailing, last_utc_ms=was.last_utc_ms, count=was.count, messages=messages)
    return _with_clock(mailing, mailing.offset_ms, now)
