"""The service chain (*Servicekette*): who is told of a call or an alarm, after whom, until
somebody has seen it.

The steps of the plan are due so long after the beginning. A receiver who is off duty is
skipped; a delivery that fails, or is not answered, moves on at once: to the next channel of
the receiver, after the last of them to the next step. The last step is for whoever is left:
it is used off duty too when nobody has been reached, or everybody is off duty; with
``every`` it is told again and again. A round that has reached nobody is said
(``nobody_told``) and begins anew after a pause that grows. Only what is ``patient`` (a fault,
a notice) waits for working hours instead.

One machine a call or alarm (``about``). When somebody has seen it the chain stands still and
keeps its record; a call that is raised again begins it from the first step.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gateway.backoff import pause_after
from gateway.core.effects import ANSWER_MS, Effect, Send
from gateway.core.events import Delivered
from gateway.core.facts import Fact, Json
from gateway.core.instant import Ms, earliest
from gateway.core.machine import Step, replace
from gateway.core.notification.escalation_state import (
    NOBODY,
    Chain,
    Message,
    Result,
    due_ms,
    has_hope,
    in_round,
    waiting,
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
"""So many of the last messages are remembered; the journal has them all."""


@dataclass(frozen=True)
class Begun:
    """The call or alarm is raised. ``resume``: one that went and comes back goes on.
    ``patient``: whether it can wait for working hours; ``None``: as before."""

    kind: str
    data: Mapping[str, Json]
    resume: bool = False
    patient: bool | None = None


@dataclass(frozen=True)
class Ended:
    """Nobody needs to be told any more: it was ``seen``, or its cause has gone by itself.
    ``over``: the record is not wanted any more."""

    seen: bool
    over: bool = False


@dataclass(frozen=True)
class Duty:
    """Who is off duty now."""

    off: frozenset[str]


@dataclass(frozen=True)
class ClockKnown:
    """UTC minus monotonic of this boot is known (again)."""

    offset_ms: int


Event = Begun | Ended | Duty | ClockKnown | Delivered


def wake_at(chain: Chain) -> Ms | None:
    """The next step, or the end of the patience with a message."""
    waits = (message.until_ms for message in chain.messages)
    return earliest(chain.next_ms if chain.running else None, *waits)


def gone(chain: Chain) -> bool:
    """Whether its record is not wanted any more, and no message is under way."""
    return chain.over and not waiting(chain)


def step(chain: Chain, event: Event | None, now: Ms) -> Step[Chain]:
    """Time, an answer of ``notify``, or what became of the call or alarm."""
    work = _Work(chain, now)
    match event:
        case None:
            for message in chain.messages:
                if message.until_ms is not None and message.until_ms <= now:
                    work.answered(message, False, "no_answer")
        case Delivered(delivery=delivery, ok=ok, reason=reason):
            for message in chain.messages:
                late = message.result == "failed" and ok
                if message.delivery == delivery and (message.result == "sent" or late):
                    work.answered(message, ok, reason)
        case Begun():
            patient = chain.patient if event.patient is None else event.patient
            work.chain = _begun(replace(chain, patient=patient), event, now)
        case Ended(seen=seen, over=over):
            gone_ms = None if seen else now
            still = replace(chain, running=False, ended_ms=gone_ms, conditions=(), over=over)
            work.chain = still
        case Duty(off=off):
            work.chain = replace(chain, off=off)
            work.on_duty()
        case _:
            work.chain = with_clock(chain, event.offset_ms)
    work.go_on()
    return Step(work.chain, tuple(work.facts), tuple(work.effects))


def _begun(chain: Chain, event: Begun, now: Ms) -> Chain:
    gone_ms = chain.ended_ms
    if event.resume and gone_ms is not None and now < gone_ms + AGAIN_MS:
        return replace(chain, running=True, data=event.data, ended_ms=None)
    return replace(
        chain,
        kind=event.kind,
        data=event.data,
        running=True,
        began_ms=now,
        told=-1,
        next_ms=now + (chain.plan.steps[0].after_ms or 0),
        reached=False,
        round=chain.round + 1,
        failed_rounds=0,
        waits=False,
        ended_ms=None,
        began_utc_ms=None,
        due_utc_ms=None,
        conditions=(),
    )


class _Work:
    """The chain on its way through one step."""

    def __init__(self, chain: Chain, now: Ms) -> None:
        self.chain = chain
        self.now = now
        self.facts: list[Fact] = []
        self.effects: list[Effect] = []

    def on_duty(self) -> None:
        """A chain that waits for somebody's duty begins when there is somebody."""
        if self.chain.waits and self.chain.running and not self.nobody_on_duty():
            self.chain = replace(
                self.chain, waits=False, began_ms=self.now, told=-1, next_ms=self.now
            )

    def go_on(self) -> None:
        """Tell every step that is due."""
        while self.chain.running and self.chain.next_ms is not None:
            if self.chain.next_ms > self.now:
                break
            self._next_step()

    def _next_step(self) -> None:
        steps = self.chain.plan.steps
        index = min(self.chain.told + 1, len(steps) - 1)
        self.chain = replace(self.chain, told=index, due_utc_ms=None)
        receiver = steps[index].receiver
        if self.chain.patient and not has_hope(self.chain) and self._vain(index):
            self._wait()
            return
        if receiver not in self.chain.off or self._regardless(index):
            self._send(receiver, 0, index)
        elif not self._skipped(index):
            self._note(receiver, 0, index, "skipped", "off_duty")
        next_ms: Ms | None = self.now
        if has_hope(self.chain):
            next_ms = due_ms(self.chain, index, self.now)
        self.chain = replace(self.chain, next_ms=next_ms)

    def _wait(self) -> None:
        """For somebody who comes on duty; or once more for who could not be reached."""
        if self.nobody_on_duty():
            self.chain = replace(self.chain, waits=True, next_ms=None)
        else:
            self._begin_anew()

    def _regardless(self, index: int) -> bool:
        """The last step is for whoever is left, on duty or not."""
        last = index == len(self.chain.plan.steps) - 1 and not self.chain.patient
        return last and (self.nobody_on_duty() or not has_hope(self.chain))

    def nobody_on_duty(self) -> bool:
        """Whether every receiver of the chain is off duty."""
        return all(one.receiver in self.chain.off for one in self.chain.plan.steps)

    def _vain(self, index: int) -> bool:
        """Nobody from this step on is on duty."""
        return all(one.receiver in self.chain.off for one in self.chain.plan.steps[index:])

    def _skipped(self, index: int) -> bool:
        """What repeats and is skipped again is told once."""
        of_step = [m for m in self.chain.messages if in_round(m, self.chain) and m.step == index]
        return bool(of_step) and of_step[-1].result == "skipped"

    def _send(self, receiver: str, channel: int, index: int) -> None:
        message = self._note(receiver, channel, index, "sent", "")
        data = self.chain.data
        send = Send(message.delivery, receiver, channel, message.kind, self.chain.about, data)
        self.effects.append(send)

    def _note(
        self, receiver: str, channel: int, index: int, result: Result, reason: str
    ) -> Message:
        chain, now = self.chain, self.now
        count = chain.count + 1
        message = Message(
            f"{chain.about}#{count}",
            receiver,
            channel,
            chain.kind,
            index,
            chain.round,
            result,
            reason,
            at_ms=now,
            at_utc_ms=None if chain.offset_ms is None else now + chain.offset_ms,
            until_ms=now + ANSWER_MS if result == "sent" else None,
        )
        messages = (*chain.messages, message)[-MESSAGES_MOST:]
        self.chain = replace(chain, count=count, messages=messages)
        self._tell(message)
        return message

    def _tell(self, message: Message) -> None:
        data: dict[str, Json] = {
            "delivery": message.delivery,
            "receiver": message.receiver,
            "channel": message.channel,
            "about": self.chain.about,
            "message": message.kind,
            "result": message.result,
            "reason": message.reason or None,
            "step": message.step,
        }
        self.facts.append(Fact("message", self.chain.subject, self.now, data))

    def answered(self, message: Message, ok: bool, reason: str) -> None:
        """What became of a message, and who is told next where it failed."""
        result: Result = "delivered" if ok else "failed"
        done = replace(message, result=result, reason=reason, until_ms=None)
        chain = self.chain
        messages = tuple(done if m is message else m for m in chain.messages)
        self.chain = chain = replace(chain, messages=messages)
        self._tell(done)
        if not chain.running or not in_round(message, chain):
            return
        if ok:
            self.chain = replace(chain, reached=True, failed_rounds=0, conditions=())
        elif message.channel + 1 < chain.channels.get(message.receiver, 1):
            self._send(message.receiver, message.channel + 1, message.step)
        elif message.step == chain.told or not has_hope(chain):
            self._move_on()

    def _move_on(self) -> None:
        chain = self.chain
        if chain.told < len(chain.plan.steps) - 1:
            self.chain = replace(chain, next_ms=self.now)
        elif not has_hope(chain):
            self._begin_anew()

    def _begin_anew(self) -> None:
        """The round has reached nobody: that is said, and the next one begins after a pause."""
        chain = self.chain
        most_ms = RETRY_PATIENT_MS if chain.patient else RETRY_MOST_MS
        begin_ms = self.now + pause_after(chain.failed_rounds, RETRY_FIRST_MS, most_ms)
        self.chain = replace(
            chain,
            began_ms=begin_ms,
            told=-1,
            next_ms=begin_ms + (chain.plan.steps[0].after_ms or 0),
            failed_rounds=chain.failed_rounds + 1,
            began_utc_ms=None,
            conditions=NOBODY,
        )
