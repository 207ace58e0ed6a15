"""The state of a service chain, with the record of its messages, and how both survive a restart.

The machine itself is in :mod:`gateway.core.notification.escalation`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any, Final, get_args

from gateway.core.facts import Json
from gateway.core.instant import NEVER, At, Ms, earliest
from gateway.core.machine import Conditions, replace
from gateway.core.notification.delivery import Message, Result, awaited_again
from gateway.core.plan import EscalationPlan
from gateway.core.saved_values import (
    DATA,
    FLAG,
    INSTANT,
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
"""The shortest wait of a restored chain: first the clock has to show who is on duty."""

NOBODY: Final[Conditions] = (("nobody_told", ""),)


@dataclass(frozen=True)
class ChainMessage(Message):
    """One message of the record. ``round``: of which round; ``at``: when it was sent or skipped."""

    round: int = 0
    at: At = NEVER


@dataclass(frozen=True)
class Chain:
    """The chain of one call or alarm. ``channels``: how many each receiver has; ``off``: who is
    off duty; ``last_step``: the step that was taken last, -1 before the first."""

    plan: EscalationPlan
    channels: Mapping[str, int]
    about: str
    subject: str
    off: frozenset[str] = frozenset()
    offset_ms: int | None = None
    kind: str = ""
    data: Mapping[str, Json] = field(default_factory=dict)
    running: bool = False
    began: At = NEVER
    last_step: int = -1
    due: At = NEVER
    """When the next step is due. Its civil time, and that of ``began``, are of before a restart,
    until the clock is known."""
    reached: bool = False
    round: int = 0
    failed_rounds: int = 0
    count: int = 0
    messages: tuple[ChainMessage, ...] = ()
    ended_ms: Ms | None = None
    """When the condition ended before anybody had seen it."""
    conditions: Conditions = ()
    patient: bool = False
    """It can wait for working hours: with nobody on duty, nobody is woken."""
    waits: bool = False
    """It does so now."""
    over: bool = False
    """The call has ended; the record is removed when no message is under way any more."""


def _offset_ms(plan: EscalationPlan, index: int) -> Ms:
    """How long after the beginning a step is due for the first time."""
    one = plan.steps[index]
    if one.after_ms is not None:
        return one.after_ms
    before_ms = plan.steps[index - 1].after_ms if index else 0
    return (before_ms or 0) + (one.every_ms or 0)


def due_ms(chain: Chain, index: int, now: Ms) -> Ms | None:
    """When the step behind ``index``, which is taken now, is due; ``None``: there is none."""
    steps = chain.plan.steps
    if index < len(steps) - 1:
        return (chain.began.ms or 0) + _offset_ms(chain.plan, index + 1)
    every_ms = steps[index].every_ms
    return None if every_ms is None else now + every_ms


_MESSAGE: Kind[ChainMessage] = row_of(
    ChainMessage,
    Field("delivery", TEXT),
    Field("receiver", TEXT),
    Field("channel", WHOLE),
    Field("kind", TEXT),
    Field("step", WHOLE),
    Field("round", WHOLE),
    Field("result", one_of(get_args(Result))),
    Field("reason", TEXT),
    Field("at_utc_ms", INSTANT, NEVER, of="at"),
)


def _saved_chain(escalation: str, **rest: Any) -> Chain:
    return Chain(EscalationPlan(escalation, ()), {}, "", **rest)


_ESCALATION = Field("escalation", TEXT, "", of="plan.id")
_SUBJECT = Field("subject", TEXT, "")
_COUNT = Field("count", WHOLE, 0)
_WHOLE_CHAIN: Kind[Chain] = entry_of(
    _saved_chain,
    _ESCALATION,
    _SUBJECT,
    Field("kind", TEXT, ""),
    Field("data", DATA, {}),
    Field("running", FLAG, False),
    Field("patient", FLAG, False),
    Field("told", WHOLE, -1, of="last_step"),
    Field("reached", FLAG, False),
    Field("round", WHOLE, 0),
    Field("failed_rounds", WHOLE, 0),
    _COUNT,
    Field("began_utc_ms", INSTANT, NEVER, of="began"),
    Field("due_utc_ms", INSTANT, NEVER, of="due"),
    Field("messages", list_of(_MESSAGE), ()),
)
_STOPPED: Kind[Chain] = entry_of(_saved_chain, _ESCALATION, _SUBJECT, _COUNT)
"""Of a chain that has stopped, for an alarm: how many messages there were, so that no name is used
twice."""


def _write(chain: Chain, times: Times) -> Json:
    stopped = not chain.running and "/" in chain.about
    return (_STOPPED if stopped else _WHOLE_CHAIN).write(chain, times)


SAVED: Kind[Chain] = Kind(_WHOLE_CHAIN.read, _write)
"""What survives a restart: where the chain is, and its messages. Of its plan only the name is
read."""


def restored(
    plan: EscalationPlan, channels: Mapping[str, int], about: str, was: Chain, now: Ms
) -> Chain:
    """The chain as it was before the restart; answers that were awaited are awaited once more.
    Until the clock is known, the last step counts as taken just now."""
    last = max(-1, min(was.last_step, len(plan.steps) - 1))
    began_ms = now - (_offset_ms(plan, last) if last >= 0 else 0)
    chain = replace(
        was,
        plan=plan,
        channels=channels,
        about=about,
        began=At(began_ms, was.began.utc_ms),
        last_step=last,
        messages=awaited_again(was.messages, now),
        conditions=NOBODY if was.running and was.failed_rounds and not was.reached else (),
    )
    next_ms = now + (plan.steps[0].after_ms or 0) if last < 0 else due_ms(chain, last, now)
    next_ms = None if next_ms is None else max(next_ms, now + SETTLE_MS)
    return replace(chain, due=At(next_ms, was.due.utc_ms))


def with_clock(chain: Chain, offset_ms: int) -> Chain:
    """Instants of this boot get their time, those of another boot their place in this one. What
    :func:`restored` assumed is the latest: a clock that was ahead must not delay a message."""
    return replace(
        chain,
        offset_ms=offset_ms,
        messages=tuple(
            replace(one, at=At(one.at.ms, one.at.utc_by(offset_ms))) for one in chain.messages
        ),
        began=_earlier(chain.began, offset_ms),
        due=_earlier(chain.due, offset_ms),
    )


def _earlier(at: At, offset_ms: int) -> At:
    """The earlier of two: as assumed, and as saved."""
    return At(earliest(at.ms, None if at.utc_ms is None else at.utc_ms - offset_ms))
