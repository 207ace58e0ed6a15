"""The service chains of a building under way: found, made, stepped and put back.

Functions over ``Turn`` for ``telling`` and ``telling_kept``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from gateway.core import deliveries, escalation, escalation_state, state
from gateway.core.escalation_state import NOBODY, Chain
from gateway.core.facts import Fact
from gateway.core.machine import Conditions
from gateway.core.plan import BuildingPlan, EscalationPlan

if TYPE_CHECKING:
    from gateway.core.turn import Turn


def channels_of(plan: BuildingPlan) -> Mapping[str, int]:
    return {one.id: one.channels for one in plan.receivers}


def plan_named(plan: BuildingPlan, name: str | None) -> EscalationPlan | None:
    return next((one for one in plan.escalations if one.id == name), None)


def chain_for(turn: Turn, plan: EscalationPlan, about: str, subject: str) -> Chain:
    channels = channels_of(turn.was.plan)
    return Chain(plan, channels, about, subject, off_duty(turn), turn.clock.offset_ms)


def off_duty(turn: Turn) -> frozenset[str]:
    return frozenset(name for name, one in turn.rosters.items() if one.off)


def step_chain(turn: Turn, chain: Chain, event: escalation.Event | None) -> None:
    result = escalation.step(chain, event, turn.now)
    tell_messages(turn, result.facts)
    turn.effects += result.effects
    put_chain(turn, result.state)


def tell_messages(turn: Turn, facts: Iterable[Fact]) -> None:
    """Facts about messages go out, and what became of each way is noted."""
    turn.deliveries = deliveries.noted(turn.deliveries, facts, turn.clock.offset_ms)
    turn.tell(facts)


def put_chain(turn: Turn, chain: Chain) -> None:
    before = _nobody(turn, chain.subject)
    gone = chain.over and not escalation_state.waiting(chain)
    rest = {name: one for name, one in turn.escalations.items() if name != chain.about}
    turn.escalations = rest if gone else {**turn.escalations, chain.about: chain}
    turn.wake((state.ESCALATION, chain.about), None if gone else escalation.wake_at(chain))
    turn.conditions(chain.subject, before, _nobody(turn, chain.subject))


def _nobody(turn: Turn, subject: str) -> Conditions:
    """Of several chains about a room, one that reaches nobody is enough; that of the alarm
    which says so does not count."""
    standing = any(
        chain.conditions and chain.subject == subject and chain.kind != "nobody_told"
        for chain in turn.escalations.values()
    )
    return NOBODY if standing else ()
