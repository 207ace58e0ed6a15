"""Refusals in the audit chain are counted beyond ten a minute, as refusals among facts are.

Whoever may ask may be refused as often as they like, and each entry stays for a year. So of one
issuer and reason ten entries a minute are written one by one; what comes beyond that is one
entry at the end of the minute, with a count. What was done (``accepted``, ``done``) is always
written.

An issuer is who was authenticated: what a message claims beside that makes no new one. Of more
than :data:`ISSUERS_MOST` issuers and reasons in a minute the others are one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from gateway.core.instant import Ms
from gateway.core.notification.limits import PER_WINDOW, WINDOW_MS
from gateway.journal.audit import AuditEntry, is_deed

ISSUERS_MOST = 20
OTHERS = "others"
"""The actor of what is counted for all who found no place of their own."""

Key = tuple[str, str]
"""Issuer and outcome."""


@dataclass(slots=True)
class _Minute:
    """One issuer and outcome, in the minute that ends at ``until_ms``."""

    until_ms: Ms
    last: AuditEntry
    seen: int = 0


class Refusals:
    """Not safe for threads: whoever has the queue's lock uses it. ``now_ms`` is the clock of the
    queue, not of the entries."""

    def __init__(self) -> None:
        self._minutes: dict[Key, _Minute] = {}

    def admit(self, entries: Iterable[AuditEntry], now_ms: Ms) -> list[AuditEntry]:
        """Those that are written one by one."""
        return [one for one in entries if is_deed(one.outcome) or self._admits(one, now_ms)]

    def _admits(self, entry: AuditEntry, now_ms: Ms) -> bool:
        key = (_issuer(entry.actor), entry.outcome)
        minute = self._minutes.get(key)
        if minute is None and len(self._minutes) >= ISSUERS_MOST:
            key = (OTHERS, "refused")
            minute = self._minutes.get(key)
        if minute is None:
            minute = self._minutes[key] = _Minute(now_ms + WINDOW_MS, entry)
        minute.seen += 1
        minute.last = entry
        return minute.seen <= PER_WINDOW and key[0] != OTHERS

    def due_ms(self) -> Ms | None:
        """When the first minute ends in which something was counted."""
        over = [one.until_ms for key, one in self._minutes.items() if _counted(key, one)]
        return min(over, default=None)

    def over(self, now_ms: Ms | None) -> list[AuditEntry]:
        """The counts of the minutes that have ended; ``None``: of all, because we end."""
        counts = []
        for key, minute in list(self._minutes.items()):
            if now_ms is None or minute.until_ms <= now_ms:
                del self._minutes[key]
                if count := _counted(key, minute):
                    counts.append(_count(key, minute.last, count))
        return counts


def _issuer(actor: str) -> str:
    """Without what a message says of itself: ``mqtt:ha (says: anybody)``."""
    return actor.partition(" (")[0]


def _counted(key: Key, minute: _Minute) -> int:
    return minute.seen if key[0] == OTHERS else max(0, minute.seen - PER_WINDOW)


def _count(key: Key, last: AuditEntry, count: int) -> AuditEntry:
    detail = json.dumps({"count": count, "window_ms": WINDOW_MS}, sort_keys=True)
    return AuditEntry(key[0], last.action, "", key[1], last.at_ms, detail)
