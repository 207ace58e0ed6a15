"""Messages by the clock: the weekly test, whose receipt wants to be confirmed, and the summary
of what is on the alarm list. And the test message that somebody sends now.

The instants come from the configuration as UTC. While the clock is not trusted nothing is
sent; what fell due while the gateway was away is sent late, but not a day late. Everybody in
the list is told, on duty or not: by the next channel where one fails. A test that reaches
nobody, or that nobody confirms in time, is a condition (``test_unconfirmed``) that names the
receivers; it goes with their confirmation.

A test message by hand goes over every channel of one receiver, so that each is tried by itself.
Its receipt can be confirmed, and nobody waits for that.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from functools import partial
from typing import Final, Literal, get_args

from gateway.core.effects import ANSWER_MS, Effect, Send
from gateway.core.events import CivilTime, Delivered
from gateway.core.facts import Fact, Json
from gateway.core.instant import Ms, UtcMs, clamped, earliest
from gateway.core.machine import Conditions, Step, replace
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
"""What fell due longer ago is not sent any more."""

Result = Literal["sent", "delivered", "failed"]

BY_HAND: Final = "by_hand"
"""The mailing that is never due by itself: test messages that somebody sends now."""


@dataclass(frozen=True)
class Letter:
    """The last message to one receiver. ``until_ms``: its answer is waited for; ``confirm_ms``:
    its receipt wants to be confirmed until then (``confirm_utc_ms`` the same in civil time)."""

    delivery: str
    receiver: str
    channel: int
    result: Result = "sent"
    until_ms: Ms | None = None
    confirm_ms: Ms | None = None
    confirm_utc_ms: UtcMs | None = None
    confirmed: bool = True
    missed: bool = False
    """Not confirmed in time, or not delivered at all."""


@dataclass(frozen=True)
class Mailing:
    """One sort of message. ``last_utc_ms``: up to here nothing is due any more."""

    plan: MailingPlan
    channels: Mapping[str, int]
    gateway: str
    offset_ms: int | None = None
    last_utc_ms: UtcMs | None = None
    count: int = 0
    letters: tuple[Letter, ...] = ()
    wake_ms: Ms | None = None
    conditions: Conditions = ()


@dataclass(frozen=True)
class Confirmed:
    """A receiver has the message; ``delivery`` is one of the letters."""

    delivery: str
    command: str


@dataclass(frozen=True)
class Asked:
    """Somebody wants a test message to go to ``receiver`` now."""

    receiver: str


@dataclass(frozen=True)
class Heard:
    """``receiver`` has confirmed a message of another mailing: their way works."""

    receiver: str


Event = CivilTime | Delivered | Confirmed | Asked | Heard


def plans(plan: BuildingPlan) -> tuple[MailingPlan, ...]:
    """The messages by the clock, and the test by hand where there is somebody to send it to."""
    receivers = tuple(one.id for one in plan.receivers)
    by_hand = (MailingPlan(BY_HAND, receivers, ()),) if receivers else ()
    return (*plan.mailings, *by_hand)


def start(plan: MailingPlan, channels: Mapping[str, int], gateway: str) -> Mailing:
    """The clock is not known yet."""
    return Mailing(plan, channels, gateway)


def wake_at(mailing: Mailing) -> Ms | None:
    """The next message, or the end of the patience with one."""
    return mailing.wake_ms


def step(mailing: Mailing, event: Event | None, now: Ms) -> Step[Mailing]:
    """Time, the clock, an answer of ``notify`` or of the receiver."""
    work = _Work(mailing, now)
    match event:
        case None:
            work.time()
        case CivilTime(utc_ms=utc_ms, trusted=trusted):
            work.mailing = _with_clock(mailing, utc_ms - now if trusted else None, now)
            work.time()
        case Delivered():
            for letter in mailing.letters:
                if letter.delivery == event.delivery and letter.until_ms is not None:
                    work.answered(letter, event.ok, event.reason)
        case Asked():
            work.asked(event.receiver)
        case Heard():
            work.heard(event.receiver)
        case _:
            work.confirmed(event)
    return work.done()


def find(mailing: Mailing, delivery: str) -> Letter | None:
    """The letter of this name whose receipt is asked for."""
    of_name = (letter for letter in mailing.letters if letter.delivery == delivery)
    asked = mailing.plan.confirm_within_ms is not None or mailing.plan.kind == BY_HAND
    return next(of_name, None) if asked else None


def under_way(mailing: Mailing, receiver: str) -> bool:
    """Whether a message to this receiver has not been answered yet."""
    return any(
        letter.receiver == receiver and letter.until_ms is not None for letter in mailing.letters
    )


class _Work:
    """The mailing on its way through one step."""

    def __init__(self, mailing: Mailing, now: Ms) -> None:
        self.mailing = mailing
        self.by_hand = mailing.plan.kind == BY_HAND
        self.now = now
        self.facts: list[Fact] = []
        self.effects: list[Effect] = []

    def done(self) -> Step[Mailing]:
        mailing = self.mailing
        wakes = [w for letter in mailing.letters for w in (letter.until_ms, _patience(letter))]
        missing = ", ".join(letter.receiver for letter in mailing.letters if letter.missed)
        conditions: Conditions = (("test_unconfirmed", missing),) if missing else ()
        same = conditions == mailing.conditions
        mailing = replace(
            mailing,
            wake_ms=earliest(_next_ms(mailing), *wakes),
            conditions=mailing.conditions if same else conditions,
        )
        return Step(mailing, tuple(self.facts), tuple(self.effects))

    def time(self) -> None:
        """What is due by now, and what was waited for in vain."""
        for letter in self.mailing.letters:
            if letter.until_ms is not None and letter.until_ms <= self.now:
                self.answered(letter, False, "no_answer")
        for letter in self.mailing.letters:
            patience_ms = _patience(letter)
            if patience_ms is not None and patience_ms <= self.now:
                self._put(letter, replace(letter, missed=True))
        due_ms, offset_ms = _next_ms(self.mailing), self.mailing.offset_ms
        if offset_ms is None or due_ms is None or due_ms > self.now:
            return
        utc_ms = self.now + offset_ms
        due = self.mailing.plan.due
        newest_utc_ms = due[bisect_right(due, utc_ms) - 1]
        self.mailing = replace(self.mailing, last_utc_ms=utc_ms)
        if utc_ms - newest_utc_ms < LATE_MS:
            missed = {one.receiver for one in self.mailing.letters if one.missed}
            self.mailing = replace(self.mailing, letters=())
            for receiver in self.mailing.plan.receivers:
                self._send(receiver, 0, utc_ms, receiver in missed)

    def _send(self, receiver: str, channel: int, utc_ms: UtcMs, missed: bool) -> None:
        mailing, now = self.mailing, self.now
        count = mailing.count + 1
        within_ms = mailing.plan.confirm_within_ms
        letter = Letter(
            f"{mailing.plan.kind}#{count}",
            receiver,
            channel,
            until_ms=now + ANSWER_MS,
            confirm_ms=None if within_ms is None else now + within_ms,
            confirm_utc_ms=None if within_ms is None else utc_ms + within_ms,
            confirmed=within_ms is None and not self.by_hand,
            missed=missed,
        )
        self.mailing = replace(mailing, count=count, letters=(*mailing.letters, letter))
        self._tell(letter, "")
        data: dict[str, Json] = {} if within_ms is None else {"confirm_within_ms": within_ms}
        if self.by_hand:
            data = {"by_hand": True}
        self.effects.append(Send(letter.delivery, receiver, channel, self._kind, "", data))

    @property
    def _kind(self) -> str:
        """What the message is to its receiver."""
        return "test" if self.by_hand else self.mailing.plan.kind

    def asked(self, receiver: str) -> None:
        """A message over every channel; what became of the last ones is not asked any more."""
        mailing = self.mailing
        others = tuple(one for one in mailing.letters if one.receiver != receiver)
        self.mailing = replace(mailing, letters=others)
        for channel in range(mailing.channels.get(receiver, 1)):
            self._send(receiver, channel, self.now + (mailing.offset_ms or 0), False)

    def heard(self, receiver: str) -> None:
        """Nobody has to confirm what was sent to them before."""
        for letter in self.mailing.letters:
            if letter.receiver == receiver and not letter.confirmed:
                self._put(letter, replace(letter, confirmed=True, missed=False))

    def _tell(self, letter: Letter, reason: str) -> None:
        data: dict[str, Json] = {
            "delivery": letter.delivery,
            "receiver": letter.receiver,
            "channel": letter.channel,
            "about": "",
            "message": self._kind,
            "result": letter.result,
            "reason": reason or None,
            "step": None,
        }
        self.facts.append(Fact("message", self.mailing.gateway, self.now, data))

    def answered(self, letter: Letter, ok: bool, reason: str) -> None:
        """What became of a letter; the next channel is tried where it failed."""
        after = replace(letter, result="delivered" if ok else "failed", until_ms=None)
        self._tell(after, reason)
        if ok or self.by_hand:
            self._put(letter, after)
        elif letter.channel + 1 < self.mailing.channels.get(letter.receiver, 1):
            others = tuple(one for one in self.mailing.letters if one is not letter)
            self.mailing = replace(self.mailing, letters=others)
            utc_ms = self.now + (self.mailing.offset_ms or 0)
            self._send(letter.receiver, letter.channel + 1, utc_ms, letter.missed)
        else:
            self._put(letter, replace(after, missed=letter.missed or not letter.confirmed))

    def confirmed(self, event: Confirmed) -> None:
        for letter in self.mailing.letters:
            if letter.delivery == event.delivery and not letter.confirmed:
                self._put(letter, replace(letter, confirmed=True, missed=False))
                data: dict[str, Json] = {
                    "delivery": letter.delivery,
                    "receiver": letter.receiver,
                    "command": event.command,
                }
                gateway = self.mailing.gateway
                self.facts.append(Fact("message_confirmed", gateway, self.now, data))

    def _put(self, before: Letter, after: Letter) -> None:
        letters = tuple(after if one is before else one for one in self.mailing.letters)
        self.mailing = replace(self.mailing, letters=letters)


def _with_clock(mailing: Mailing, offset_ms: int | None, now: Ms) -> Mailing:
    """What is due is known with the clock; the first time ever nothing was missed."""
    if offset_ms is None:
        return replace(mailing, offset_ms=None)
    within_ms = mailing.plan.confirm_within_ms or 0
    letters = tuple(
        one
        if one.confirm_utc_ms is None
        else replace(one, confirm_ms=clamped(one.confirm_utc_ms - offset_ms, now, within_ms))
        for one in mailing.letters
    )
    # A clock that was ahead must not silence the mailing until its time has come again.
    utc_ms = now + offset_ms
    last_utc_ms = utc_ms if mailing.last_utc_ms is None else min(mailing.last_utc_ms, utc_ms)
    return replace(mailing, offset_ms=offset_ms, letters=letters, last_utc_ms=last_utc_ms)


def _patience(letter: Letter) -> Ms | None:
    """Until when the confirmation is waited for."""
    return None if letter.confirmed or letter.missed else letter.confirm_ms


def _next_ms(mailing: Mailing) -> Ms | None:
    due, offset_ms, last_utc_ms = mailing.plan.due, mailing.offset_ms, mailing.last_utc_ms
    if offset_ms is None or last_utc_ms is None:
        return None
    after = bisect_right(due, last_utc_ms)
    return due[after] - offset_ms if after < len(due) else None


# --- over a restart -----------------------------------------------------------------------


_LETTER: Kind[Letter] = row_of(
    Letter,
    Field("delivery", TEXT),
    Field("receiver", TEXT),
    Field("channel", WHOLE),
    Field("result", one_of(get_args(Result))),
    Field("confirm_utc_ms", WHOLE, None),
    Field("confirmed", FLAG),
    Field("missed", FLAG),
)
SAVED: Kind[Mailing] = entry_of(
    partial(Mailing, MailingPlan("test", (), ()), {}, ""),
    Field("last_utc_ms", WHOLE, None),
    Field("count", WHOLE, 0),
    Field("letters", list_of(_LETTER), ()),
)
"""What survives a restart: what was sent, and who has not confirmed it. It is read without its
plan."""


def restored(mailing: Mailing, was: Mailing, now: Ms) -> Mailing:
    """The mailing with what the last run has left; what was under way is waited for once more."""
    mailing = replace(
        mailing,
        last_utc_ms=was.last_utc_ms,
        count=was.count,
        letters=tuple(
            replace(one, until_ms=now + ANSWER_MS if one.result == "sent" else None)
            for one in was.letters
            if one.receiver in mailing.plan.receivers
        ),
    )
    return _Work(_with_clock(mailing, mailing.offset_ms, now), now).done().state
