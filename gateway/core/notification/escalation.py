"""The service chain (*Servicekette*): who gets a message about a call or an alarm, and in which
order, until somebody has seen it.

Each step of the plan is due a certain time after the beginning. A receiver who is off duty is
skipped. A message that fails over the last channel of its receiver is followed by the next step at
once. The receiver of the last step gets a message even when off duty, if nobody has been reached or
everybody is off duty; with ``every`` the step is repeated. A round that has reached nobody is a
condition (``nobody_told``), and the next round begins after a pause that grows. Only what is
``patient`` (a fault, a notice) waits for working hours instead.

There is one machine for each call or alarm (``about``). When somebody has seen it the chain stops
and keeps its record; a call that is raised again begins it from the first step. How a message gets
to its receiver is in :mod:`gateway.core.notification.delivery`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gateway.backoff import pause_after
from gateway.core.events import Delivered
from gateway.core.facts import Json
from gateway.core.instant import NEVER, At, ClockKnown, Ms, earliest
from gateway.core.machine import Step, replace
from gateway.core.notification.delivery import Sender, answers_end_ms, under_way
from gateway.core.notification.escalation_state import (
    NOBODY,
    Chain,
    ChainMessage,
    due_ms,
    with_clock,
)
from gateway.core.values import dataclass

AGAIN_MS: Ms = 600_000
"""A condition that comes back within this time goes on where its chain was, so that a loose
wire does not flood the phones."""
RETRY_FIRST_MS: Ms = 5_000
RETRY_MOST_MS: Ms = 60_000
RETRY_PATIENT_MS: Ms = 3_600_000
"""The pause after a round that reached nobody doubles from the first to the most: a minute, an
hour for what can wait."""
MESSAGES_MOST: Final = 40
"""How many of the last messages a chain records; the journal has all of them."""


@dataclass(frozen=True)
class Begun:
    """The call or alarm is raised. ``resume``: where it comes back soon, its chain goes on.
    ``patient``: whether it can wait for working hours; ``None``: as before."""

    kind: str
    data: Mapping[str, Json]
    resume: bool = False
    patient: bool | None = None


@dataclass(frozen=True)
class Ended:
    """Nobody needs a message any more: it was ``seen``, or its cause has ended by itself.
    ``over``: the record is not needed any more."""

    seen: bool
    over: bool = False


@dataclass(frozen=True)
class Duty:
    """Who is off duty now."""

    off: frozenset[str]


Event = Begun | Ended | Duty | ClockKnown | Delivered


def wake_at(chain: Chain) -> Ms | None:
    """The next step, or the end of the wait for an answer."""
    return earliest(chain.due.ms if chain.running else None, answers_end_ms(chain.messages))


def finished(chain: Chain) -> bool:
    """Whether the chain can be removed: its record is not needed, and no message is under way."""
    return chain.over and not under_way(chain.messages)


def step(chain: Chain, event: Event | None, now: Ms) -> Step[Chain]:
    """Time, an answer of ``notify``, or what became of the call or alarm."""
    work = _Work(_changed(chain, event, now), now)
    if event is None:
        work.expire()
    elif isinstance(event, Delivered):
        work.answered(event)
    work.go_on()
    return work.done()


def _changed(chain: Chain, event: Event | None, now: Ms) -> Chain:
    """The chain before anything is sent."""
    match event:
        case Begun():
            return _begun(chain, event, now)
        case Ended(seen=seen, over=over):
            ended_ms = None if seen else now
            return replace(chain, running=False, ended_ms=ended_ms, conditions=(), over=over)
        case Duty(off=off):
            chain = replace(chain, off=off)
            if chain.waits and chain.running and not _nobody_on_duty(chain):
                return replace(chain, waits=False, began=At(now), last_step=-1, due=At(now))
            return chain
        case ClockKnown(offset_ms=offset_ms):
            return with_clock(chain, offset_ms)
        case _:
            return chain


def _begun(chain: Chain, event: Begun, now: Ms) -> Chain:
    if event.patient is not None:
        chain = replace(chain, patient=event.patient)
    ended_ms = chain.ended_ms
    if event.resume and ended_ms is not None and now < ended_ms + AGAIN_MS:
        return replace(chain, running=True, data=event.data, ended_ms=None)
    return replace(
        chain,
        kind=event.kind,
        data=event.data,
        running=True,
        began=At(now),
        last_step=-1,
        due=At(now + (chain.plan.steps[0].after_ms or 0)),
        reached=False,
        round=chain.round + 1,
        failed_rounds=0,
        waits=False,
        ended_ms=None,
        conditions=(),
    )


def _nobody_on_duty(chain: Chain, index: int = 0) -> bool:
    """Whether every receiver from this step on is off duty."""
    return all(one.receiver in chain.off for one in chain.plan.steps[index:])


class _Work(Sender[ChainMessage]):
    """The chain and its messages during one step."""

    late_success = True

    def __init__(self, chain: Chain, now: Ms) -> None:
        name, messages, count = chain.about, chain.messages, chain.count
        super().__init__(name, chain.subject, chain.channels, messages, count, now)
        self.about = chain.about
        self.chain = chain

    def done(self) -> Step[Chain]:
        chain = self.chain
        if self.messages is not chain.messages:
            chain = replace(chain, messages=self.messages[-MESSAGES_MOST:], count=self.count)
        return Step(chain, tuple(self.facts), tuple(self.effects))

    def go_on(self) -> None:
        """Take every step that is due."""
        while self.chain.running and self.chain.due.ms is not None:
            if self.chain.due.ms > self.now:
                break
            self._next_step()

    def _next_step(self) -> None:
        steps = self.chain.plan.steps
        index = min(self.chain.last_step + 1, len(steps) - 1)
        self.chain = chain = replace(self.chain, last_step=index)
        receiver = steps[index].receiver
        if chain.patient and not self._reached_or_waiting() and _nobody_on_duty(chain, index):
            self._wait()
            return
        message = self._message(receiver, 0, index)
        if receiver not in chain.off or self._off_duty_too(index):
            self.send(message, chain.data)
        elif not self._skipped(index):
            self.add(replace(message, result="skipped", reason="off_duty"))
        next_ms = due_ms(chain, index, self.now) if self._reached_or_waiting() else self.now
        self.chain = replace(chain, due=At(next_ms))

    def _wait(self) -> None:
        """Wait until somebody comes on duty; where somebody is who was not reached, begin again."""
        if _nobody_on_duty(self.chain):
            self.chain = replace(self.chain, waits=True, due=NEVER)
        else:
            self._begin_again()

    def _off_duty_too(self, index: int) -> bool:
        """Whether the receiver of this step gets a message even when off duty."""
        last = index == len(self.chain.plan.steps) - 1 and not self.chain.patient
        return last and (_nobody_on_duty(self.chain) or not self._reached_or_waiting())

    def _skipped(self, index: int) -> bool:
        """Whether this step was skipped the last time, too: that is reported once only."""
        of_step = [one for one in self._of_round() if one.step == index]
        return bool(of_step) and of_step[-1].result == "skipped"

    def _in_round(self, message: ChainMessage) -> bool:
        return message.round == self.chain.round

    def _of_round(self) -> list[ChainMessage]:
        """The messages since the beginning."""
        return [one for one in self.messages if self._in_round(one)]

    def _reached_or_waiting(self) -> bool:
        """Whether somebody has been reached since the beginning, or a message is under way."""
        return self.chain.reached or under_way(self._of_round())

    def _message(self, receiver: str, channel: int, index: int | None) -> ChainMessage:
        chain, now = self.chain, self.now
        at = At(now, At(now).utc_by(chain.offset_ms))
        return ChainMessage(receiver, channel, chain.kind, index, round=chain.round, at=at)

    def arrived(self, message: ChainMessage) -> None:
        if self.chain.running and self._in_round(message):
            self.chain = replace(self.chain, reached=True, failed_rounds=0, conditions=())

    def failed(self, message: ChainMessage, *, last_channel: bool) -> None:
        """The next channel is tried, then the next step, then a new round."""
        chain = self.chain
        if not chain.running or not self._in_round(message):
            return
        if not last_channel:
            again = self._message(message.receiver, message.channel + 1, message.step)
            self.send(again, chain.data)
        elif message.step == chain.last_step or not self._reached_or_waiting():
            if chain.last_step < len(chain.plan.steps) - 1:
                self.chain = replace(chain, due=At(self.now))
            elif not self._reached_or_waiting():
                self._begin_again()

    def _begin_again(self) -> None:
        """The round has reached nobody. The next one begins after a pause."""
        chain = self.chain
        most_ms = RETRY_PATIENT_MS if chain.patient else RETRY_MOST_MS
        begin_ms = self.now + pause_after(chain.failed_rounds, RETRY_FIRST_MS, most_ms)
        self.chain = replace(
            chain,
            began=At(begin_ms),
            last_step=-1,
            due=At(begin_ms + (chain.plan.steps[0].after_ms or 0), chain.due.utc_ms),
            failed_rounds=chain.failed_rounds + 1,
            conditions=NOBODY,
        )
