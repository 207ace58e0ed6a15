"""What a service chain is: its state, the record of its messages, and both over a restart.

The machine itself is in :mod:`gateway.core.notification.escalation`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from gateway.core.effects import ANSWER_MS
from gateway.core.facts import Json
from gateway.core.instant import Ms, UtcMs, earliest
from gateway.core.machine import Conditions, replace
from gateway.core.plan import BuildingPlan, EscalationPlan
from gateway.core.values import dataclass

SETTLE_MS: Ms = 1_000
"""A restored chain waits so long at least: first the clock says who is on duty."""

Result = Literal["sent", "delivered", "failed", "skipped"]
_KEPT = ("delivery", "receiver", "channel", "kind", "step", "round", "result", "reason")
NOBODY: Final[Conditions] = (("nobody_told", ""),)
RESULTS: Final[tuple[Result, ...]] = ("sent", "delivered", "failed", "skipped")


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
    data: Mapping[str, Json] | None = None
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


def kept(chain: Chain) -> dict[str, Json]:
    """What must survive: where the chain is, and who was told."""
    offset_ms = chain.offset_ms
    began_utc_ms, due_utc_ms = chain.began_utc_ms, chain.due_utc_ms
    if offset_ms is not None:
        began_utc_ms = chain.began_ms + offset_ms
        due_utc_ms = None if chain.next_ms is None else chain.next_ms + offset_ms
    return {
        "escalation": chain.plan.id,
        "subject": chain.subject,
        "kind": chain.kind,
        "data": dict(chain.data or {}),
        "running": chain.running,
        "patient": chain.patient,
        "told": chain.told,
        "reached": chain.reached,
        "round": chain.round,
        "failed_rounds": chain.failed_rounds,
        "count": chain.count,
        "began_utc_ms": began_utc_ms,
        "due_utc_ms": due_utc_ms,
        "messages": [[*[getattr(m, name) for name in _KEPT], m.at_utc_ms] for m in chain.messages],
    }


def restored(
    plan: EscalationPlan,
    channels: Mapping[str, int],
    about: str,
    entry: Mapping[str, Json],
    now: Ms,
) -> Chain:
    """The chain as it was before the restart, as far as the entry can be read. What was under
    way is waited for once more. Until the clock is known, the step that was told last counts
    as told just now."""
    data, told = entry.get("data"), _whole(entry.get("told"))
    told = -1 if told is None else min(told, len(plan.steps) - 1)
    rows = entry.get("messages")
    read = (_message(row, now) for row in (rows if isinstance(rows, list) else ()))
    chain = Chain(
        plan,
        channels,
        about,
        str(entry.get("subject", "")),
        kind=str(entry.get("kind", "")),
        data=data if isinstance(data, dict) else {},
        running=entry.get("running") is True,
        patient=entry.get("patient") is True,
        began_ms=now - (_offset_ms(plan, told) if told >= 0 else 0),
        told=told,
        reached=entry.get("reached") is True,
        round=_whole(entry.get("round")) or 0,
        failed_rounds=_whole(entry.get("failed_rounds")) or 0,
        count=_whole(entry.get("count")) or 0,
        messages=tuple(message for message in read if message is not None),
        began_utc_ms=_whole(entry.get("began_utc_ms")),
        due_utc_ms=_whole(entry.get("due_utc_ms")),
    )
    if chain.failed_rounds and not chain.reached:
        chain = replace(chain, conditions=NOBODY if chain.running else ())
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


def _message(row: Json, now: Ms) -> Message | None:
    match row:
        case [
            str(delivery),
            str(receiver),
            int(channel),
            str(kind),
            int(index),
            int(round_),
            str(word),
            str(reason),
            int() | None as utc_ms,
        ] if word in RESULTS:
            result = next(known for known in RESULTS if known == word)
            until_ms = now + ANSWER_MS if result == "sent" else None
            return Message(
                delivery,
                receiver,
                channel,
                kind,
                index,
                round_,
                result,
                reason,
                at_utc_ms=utc_ms,
                until_ms=until_ms,
            )
    return None


def _whole(value: Json) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
