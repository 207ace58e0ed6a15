"""A gateway that says nothing any more. Pure.

The gateway itself cannot tell that it is dead; the recorder hears its ``availability`` and
its ``health`` every 30 s and raises ``gateway_silent`` when both fail for too long.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Hearing:
    """What was heard of one gateway last. Instants are monotonic ms of the recorder."""

    heard_ms: int
    offline: bool = False
    silent_since_ms: int | None = None
    """Since when it counts as silent: when it was heard last."""


def heard(hearing: Hearing | None, now_ms: int) -> Hearing:
    """Any message that the gateway has just sent."""
    return Hearing(now_ms)


def available(hearing: Hearing | None, online: bool, now_ms: int) -> Hearing:
    """Its ``availability``, which the broker may have kept."""
    if online:
        return Hearing(now_ms)
    if hearing is None:
        return Hearing(now_ms, offline=True)
    return hearing if hearing.offline else replace(hearing, offline=True, heard_ms=now_ms)


def listen(hearing: Hearing, silent_after_ms: int, now_ms: int) -> Hearing:
    """Time has passed."""
    if hearing.silent_since_ms is None and now_ms - hearing.heard_ms >= silent_after_ms:
        return replace(hearing, silent_since_ms=hearing.heard_ms)
    return hearing
