"""How long a store keeps facts, by kind."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.core.facts import KINDS

SWEEP_EVERY_MS = 86_400_000


def life_ms(kind: str, lives_ms: Mapping[str, int]) -> int | None:
    """How long facts of this kind are stored, as the journal has it; ``None``: for ever. Of kinds
    that we do not know as of those about the gateway."""
    return lives_ms.get(KINDS[kind].life if kind in KINDS else "gateway")
