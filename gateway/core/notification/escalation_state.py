"""What a service chain is: its state, the record of its messages, and both over a restart.

The machine itself is in :mod:`gateway.core.notification.escalation`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any, Final, Literal, get_args

from gateway.core.effects import ANSWER_MS
from gateway.core.facts import Json
from gateway.core.instant import Ms, UtcMs, earliest
from gateway.core.machine import Conditions, replace
from gateway.core.plan import BuildingPlan, EscalationPlan
from gateway.core.saved_values import (
    DATA,
    FLAG,
    TEXT,
    WHOLE,
    Field,
    Kind,
    Times,
    entry_of,
    list_of,
    one_of,
    row_of,
)
from gateway.core.values import dataclass

SETTLE_MS: Ms = 1_000
"""A restored chain waits so long at least: first the clock says who is on duty."""

Result = Literal["sent", "delivered", "failed", "skipped"]
NOBODY: Final[Conditions] = (("nobody_told", ""),)


@dataclass(frozen=True)
class Message:
    """One message of the record. ``at_ms``: handed over (``None``: in another boot);
    ``until_ms``: its answer is waited for; ``round``: since which beginning."""

    delivery: str
    receiver: str
    channel: int
    kind: str
    step: int
    round: int
    result: Result
    reason: str = ""
    at_ms: Ms | None = None
    at_utc_ms: UtcMs | None = None
    until_ms: Ms | None = None


@dataclass(frozen=True)
class Chain:
    """The chain of one call or alarm. ``channels``: how many each receiver has; ``off``: who is
    off duty; ``told``: the step that was told or skipped last, -1 before the first."""

    plan: EscalationPlan
    channels: Mapping[str, int]
    about: str
    subject: str
    off: frozenset[str] = frozenset()
    offset_ms: int | None = None
    kind: str = ""
    data: Mapping[str, Json] = field(default_factory=dict)
    running: bool = False
    began_ms: Ms = 0
    told: int = -1
    next_ms: Ms | None = None
    reached: bool = False
    round: int = 0
    failed_rounds: int = 0
    count: int = 0
    messages: tuple[Message, ...] = ()
    ended_ms: Ms | None = None
    """When the condition went, unseen by anybody."""
    began_utc_ms: UtcMs | None = None
    due_utc_ms: UtcMs | None = None
    """Of before a restart, until the clock is known."""
    conditions: Conditions = ()
    patient: bool = False
    """It can wait for working hours: with nobody on duty, nobody is woken."""
    waits: bool = False
    """It does so now."""
    over: bool = False
    """The call has ended; the record goes when nothing is under way any more."""


def channels_of(plan: BuildingPlan) -> Mapping[str, int]:
    """Receiver -> how many channels it has."""
    return {one.id: one.channels for one in plan.receivers}


def waiting(chain: Chain) -> bool:
    """Whether a message is under way."""
    return any(message.result == "sent" for message in chain.messages)


def in_round(message: Message, chain: Chain) -> bool:
    return message.round == chain.round


def has_hope(chain: Chain) -> bool:
    """Somebody has been reached since the beginning, or a message is under way."""
    waits = any(m.result == "sent" and in_round(m, chain) for m in chain.messages)
    return chain.reached or waits


def _offset_ms(plan: EscalationPlan, index: int) -> Ms:
    """How long after the beginning a step is due for the first time."""
    one = plan.steps[index]
    if one.after_ms is not None:
        return one.after_ms
    before_ms = plan.steps[index - 1].after_ms if index else 0
    return (before_ms or 0) + (one.every_ms or 0)


def due_ms(chain: Chain, index: int, now: Ms) -> Ms | None:
    """When the step behind ``index``, which is told now, is due; ``None``: there is none."""
    steps = chain.plan.steps
    if index < len(steps) - 1:
        return chain.began_ms + _offset_ms(chain.plan, index + 1)
    every_ms = steps[index].every_ms
    return None if every_ms is None else now + every_ms


_MESSAGE: Kind[Message] = row_of(
    Message,
    Field("delivery", TEXT),
    Field("receiver", TEXT),
    Field("channel", WHOLE),
    Field("kind", TEXT),
    Field("step", WHOLE),
    Field("round", WHOLE),
    Field("result", one_of(get_args(Result))),
    Field("reason", TEXT),
    Field("at_utc_ms", WHOLE, None),
)


def _of_before(escalation: str, **rest: Any) -> Chain:
    return Chain(EscalationPlan(escalation, ()), {}, "", **rest)


_ESCALATION = Field("escalation", TEXT, "", of="plan.id")
_SUBJECT = Field("subject", TEXT, "")
_COUNT = Field("count", WHOLE, 0)
_WHOLE_CHAIN: Kind[Chain] = entry_of(
    _of_before,
    _ESCALATION,
    _SUBJECT,
    Field("kind", TEXT, ""),
    Field("data", DATA, {}),
    Field("running", FLAG, False),
    Field("patient", FLAG, False),
    Field("told", WHOLE, -1),
    Field("reached", FLAG, False),
    Field("round", WHOLE, 0),
    Field("failed_rounds", WHOLE, 0),
    _COUNT,
    Field("began_utc_ms", WHOLE, None),
    Field("due_utc_ms", WHOLE, None),
    Field("messages", list_of(_MESSAGE), ()),
)
_OVER: Kind[Chain] = entry_of(_of_before, _ESCALATION, _SUBJECT, _COUNT)
"""Of an alarm that nobody is told of now only how many messages there were: their names are not
used twice."""


def _written(chain: Chain, times: Times) -> Json:
    if not chain.running and "/" in chain.about:
        return _OVER.write(chain, times)
    if chain.offset_ms is not None:
        chain = replace(
            chain,
            began_utc_ms=chain.began_ms + chain.offset_ms,
            due_utc_ms=None if chain.next_ms is None else chain.next_ms + chain.offset_ms,
        )
    return _WHOLE_CHAIN.write(chain, times)


SAVED: Kind[Chain] = Kind(_WHOLE_CHAIN.read, _written)
"""What survives a restart: where the chain is, and who was told. Of its plan only the name is
read."""


def restored(
    plan: EscalationPlan, channels: Mapping[str, int], about: str, was: Chain, now: Ms
) -> Chain:
    """The chain as it was before the restart. What was under way is waited for once more. Until
    the clock is known, the step that was told last counts as told just now."""
    told = max(-1, min(was.told, len(plan.steps) - 1))
    chain = replace(
        was,
        plan=plan,
        channels=channels,
        about=about,
        began_ms=now - (_offset_ms(plan, told) if told >= 0 else 0),
        told=told,
        messages=tuple(
            replace(one, until_ms=now + ANSWER_MS if one.result == "sent" else None)
            for one in was.messages
        ),
        conditions=NOBODY if was.running and was.failed_rounds and not was.reached else (),
    )
    due = now + (plan.steps[0].after_ms or 0) if told < 0 else due_ms(chain, told, now)
    return replace(chain, next_ms=None if due is None else max(due, now + SETTLE_MS))


def with_clock(chain: Chain, offset_ms: int) -> Chain:
    """Instants of this boot get their time, those of another boot their place in this one. What
    :func:`restored` assumed is the latest: a clock that was ahead must not delay a message."""
    messages = tuple(
        replace(m, at_utc_ms=m.at_ms + offset_ms)
        if m.at_ms is not None and m.at_utc_ms is None
        else m
        for m in chain.messages
    )
    chain = replace(chain, offset_ms=offset_ms, messages=messages)
    if chain.began_utc_ms is not None:
        began_ms = min(chain.began_ms, chain.began_utc_ms - offset_ms)
        chain = replace(chain, began_ms=began_ms, began_utc_ms=None)
    if chain.due_utc_ms is not None:
        next_ms = earliest(chain.next_ms, chain.due_utc_ms - offset_ms)
        chain = replace(chain, next_ms=next_ms, due_utc_ms=None)
    return chain
