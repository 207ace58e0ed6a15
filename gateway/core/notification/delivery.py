"""How a message gets to its receiver: what chains and mailings share.

A message goes out over one channel of its receiver (the effect ``Send``), and ``notify`` answers
with :class:`gateway.core.events.Delivered`. No answer in time is a failure. After a failure
``failed`` of the chain or mailing tries the receiver's next channel, or decides what follows the
last one. Each attempt and each result is a fact ``message``.

A chain (:mod:`gateway.core.notification.escalation`) or mailing
(:mod:`gateway.core.notification.mailing`) has its messages in its own state. For each of its steps
it makes a :class:`Sender`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Generic, Literal, TypeVar

from gateway.core.effects import ANSWER_MS, Effect, Send
from gateway.core.events import Delivered
from gateway.core.facts import Fact, Json
from gateway.core.instant import Ms, earliest
from gateway.core.machine import replace
from gateway.core.plan import BuildingPlan
from gateway.core.values import dataclass

Result = Literal["sent", "delivered", "failed", "skipped"]


@dataclass(frozen=True)
class Message:
    """One message. ``delivery``: its name; ``until_ms``: when its answer is overdue; ``step``: of
    the chain. ``medium``: such as ``mail``, once it was tried. It is not saved: after a restart
    only the fact has it."""

    receiver: str
    channel: int
    kind: str = ""
    step: int | None = None
    delivery: str = ""
    result: Result = "sent"
    reason: str = ""
    until_ms: Ms | None = None
    medium: str = ""


M = TypeVar("M", bound=Message)


class Sender(ABC, Generic[M]):
    """The messages of one chain or mailing during one step.

    ``name``: its messages are called ``name#1``, ``name#2`` and so on; ``count`` is the last
    number. ``subject``: of its facts. ``channels``: receiver -> how many channels."""

    about = ""
    """The call or alarm that the messages are about, where there is one."""
    late_success = False
    """Whether a message that arrives after it was recorded as failed is recorded as delivered."""

    def __init__(
        self,
        name: str,
        subject: str,
        channels: Mapping[str, int],
        messages: tuple[M, ...],
        count: int,
        now: Ms,
    ) -> None:
        self.name = name
        self.subject = subject
        self.channels = channels
        self.messages = messages
        self.count = count
        self.now = now
        self.facts: list[Fact] = []
        self.effects: list[Effect] = []

    # --- what chains and mailings do each in their own way

    def arrived(self, message: M) -> None:
        """Called when a message has arrived."""

    @abstractmethod
    def failed(self, message: M, *, last_channel: bool) -> None:
        """Called when a message has failed; tries the next channel, if there is one.
        ``last_channel``: its receiver has no further one."""

    # --- what both do in the same way

    def send(self, message: M, data: Mapping[str, Json]) -> None:
        """Hand a message over and wait for its answer."""
        sent = self.add(replace(message, until_ms=self.now + ANSWER_MS))
        name, receiver, channel = sent.delivery, sent.receiver, sent.channel
        self.effects.append(Send(name, receiver, channel, sent.kind, self.about, data))

    def add(self, message: M) -> M:
        """Give a message its name, record and report it. Returns it with its name."""
        self.count += 1
        named = replace(message, delivery=f"{self.name}#{self.count}")
        self.messages = (*self.messages, named)
        self._report(named)
        return named

    def change(self, before: M, after: M) -> None:
        """Replace a message in the record."""
        self.messages = tuple(after if one is before else one for one in self.messages)

    def expire(self) -> None:
        """Record messages whose answer is overdue as failed."""
        for message in self.messages:
            if message.until_ms is not None and message.until_ms <= self.now:
                self._answered(message, False, "no_answer")

    def answered(self, event: Delivered) -> None:
        """Take an answer of ``notify``."""
        for message in self.messages:
            late = self.late_success and event.ok and message.result == "failed"
            if message.delivery == event.delivery and (message.result == "sent" or late):
                self._answered(message, event.ok, event.reason, event.medium)

    def _answered(self, message: M, ok: bool, reason: str, medium: str = "") -> None:
        result: Result = "delivered" if ok else "failed"
        after = replace(message, result=result, reason=reason, until_ms=None, medium=medium)
        self.change(message, after)
        self._report(after)
        if ok:
            self.arrived(after)
        else:
            last = after.channel + 1 >= self.channels.get(after.receiver, 1)
            self.failed(after, last_channel=last)

    def _report(self, message: Message) -> None:
        data: dict[str, Json] = {
            "delivery": message.delivery,
            "receiver": message.receiver,
            "channel": message.channel,
            "about": self.about,
            "message": message.kind,
            "result": message.result,
            "reason": message.reason or None,
            "step": message.step,
        }
        if message.medium:
            data["medium"] = message.medium
        self.facts.append(Fact("message", self.subject, self.now, data))


def channels_of(plan: BuildingPlan) -> Mapping[str, int]:
    """Receiver -> how many channels it has."""
    return {one.id: one.channels for one in plan.receivers}


def under_way(messages: Iterable[Message]) -> bool:
    """Whether an answer is still awaited."""
    return any(message.result == "sent" for message in messages)


def answers_end_ms(messages: Iterable[Message]) -> Ms | None:
    """When the first of the awaited answers is overdue."""
    return earliest(*[message.until_ms for message in messages])


def awaited_again(messages: Iterable[M], now: Ms) -> tuple[M, ...]:
    """The messages from before a restart. Answers that were awaited then are awaited once more."""
    until_ms = now + ANSWER_MS
    return tuple(
        replace(one, until_ms=until_ms if one.result == "sent" else None) for one in messages
    )
