"""Detects a gateway that has fallen silent. Pure.

The gateway itself cannot tell that it is dead; the recorder hears its ``availability`` and
its ``health`` every 30 s and raises ``gateway_silent`` when both fail for too long.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class GatewayLiveness:
    """What was heard of one gateway last. Instants are monotonic ms of the recorder."""

    heard_ms: int
    offline: bool = False
    silent_since_ms: int | None = None
    """Since when it counts as silent: when it was heard last."""


def heard(hearing: GatewayLiveness | None, now_ms: int) -> GatewayLiveness:
    """Any message that the gateway has just sent."""
    return GatewayLiveness(now_ms)


def available(hearing: GatewayLiveness | None, online: bool, now_ms: int) -> GatewayLiveness:
    """Its ``availability``, which the broker may have kept."""
    if online:
        return GatewayLiveness(now_ms)
    if hearing is None:
        return GatewayLiveness(now_ms, offline=True)
    return hearing if hearing.offline else replace(hearing, offline=True, heard_ms=now_ms)


def listen(hearing: GatewayLiveness, silent_after_ms: int, now_ms: int) -> GatewayLiveness:
    """Time has passed."""
    if hearing.silent_since_ms is None and now_ms - hearing.heard_ms >= silent_after_ms:
        return replace(hearing, silent_since_ms=hearing.heard_ms)
    return hearing
