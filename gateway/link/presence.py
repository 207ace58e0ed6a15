"""Whether the gateway is there: the link hears from ``control``, and what it hears is fresh. Pure.

The socket of the panel says nothing: a process that hangs keeps it open.
"""

from __future__ import annotations

from dataclasses import dataclass

FRESH_MS = 3_000
"""``control`` shows itself every 2 s, whatever happens."""
RELOAD_MS = 15_000
"""After ``control`` has said that it starts anew."""


@dataclass(slots=True)
class Presence:
    """``began_ms``: when the link began to listen for ``control``."""

    began_ms: int
    heard_ms: int | None = None
    patience_ms: int = FRESH_MS

    def snapshot(self, now_ms: int) -> None:
        """``control`` has shown the building."""
        self.heard_ms, self.patience_ms = now_ms, FRESH_MS

    def closing(self, reason: object) -> None:
        """``control`` has said that it will be away."""
        self.patience_ms = RELOAD_MS if reason == "reload" else FRESH_MS

    def state(self, now_ms: int) -> bool | None:
        """Whether ``control`` is there; ``None``: it has not been heard yet, and may come."""
        since_ms = self.began_ms if self.heard_ms is None else self.heard_ms
        if now_ms - since_ms >= self.patience_ms:
            return False
        return None if self.heard_ms is None else True

    def due_ms(self) -> int:
        """When it is absent unless it is heard before."""
        since_ms = self.began_ms if self.heard_ms is None else self.heard_ms
        return since_ms + self.patience_ms
