"""Limits on the facts that anybody can cause at will."""

from __future__ import annotations

from gateway.core.facts import Fact, Json
from gateway.core.instant import Ms
from gateway.core.notification import limits
from gateway.core.notification.limits import Limits


def refused(reason: str = "mode_off", by: str | None = None, outcome: str = "refused") -> Fact:
    data: dict[str, Json] = {"outcome": outcome, "reason": reason, "activator": "b", "by": by}
    return Fact("door_request", "front", 0, data)


def tell(one: Limits, fact: Fact, times: int, now: Ms) -> tuple[Limits, int]:
    told = 0
    for _ in range(times):
        result = limits.step(one, fact, now)
        one, told = result.state, told + len(result.facts)
    return one, told


def test_ten_a_minute_are_told_and_the_rest_is_one_fact() -> None:
    one, told = tell(Limits(), refused(), 25, 1000)
    assert told == 10
    assert limits.wake_at(one) == 61_000
    result = limits.step(one, None, 61_000)
    assert [(fact.kind, dict(fact.data)) for fact in result.facts] == [
        (
            "refusals_counted",
            {
                "outcome": "refused",
                "reason": "mode_off",
                "by": "b",
                "count": 15,
                "window_ms": 60_000,
            },
        )
    ]
    assert result.state == Limits()


def test_each_issuer_and_reason_has_a_limit_of_its_own() -> None:
    one, _ = tell(Limits(), refused(), 10, 0)
    one, told = tell(one, refused("fire"), 10, 10)
    assert told == 10
    one, told = tell(one, refused(by="web:3"), 10, 20)
    assert told == 10
    after = limits.step(one, None, 60_000)
    assert after.facts == ()
    assert limits.wake_at(after.state) == 60_010


def test_the_next_minute_begins_anew() -> None:
    one, _ = tell(Limits(), refused(), 11, 0)
    one = limits.step(one, None, 60_000).state
    assert tell(one, refused(), 11, 60_001)[1] == 10


def test_what_is_limited_are_answers_that_change_nothing() -> None:
    assert [limits.limited(refused(outcome=o)) for o in ("accepted", "merged", "extended")] == [
        False,
        True,
        True,
    ]
    assert limits.limited(Fact("command_refused", "gw", 0, {"reason": "expired"}))
    assert not limits.limited(Fact("door_opened", "front", 0))
