"""A reading eye on the journal, for the few numbers of it that the snapshot shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gateway.core.facts import Lane
from gateway.core.instant import Ms, UtcMs
from gateway.journal.past.reader import JournalUnavailable, Reader


@dataclass(frozen=True, slots=True)
class Cursors:
    """The journal's name, its last number per lane, how far each lane was sent, and what each
    recorder has of this journal."""

    journal: str
    heads: Mapping[Lane, int]
    sent: Mapping[Lane, int]
    recorded: Mapping[str, Mapping[str, int]]


class Eye:
    """Both methods raise :class:`OSError` while the journal cannot be read. ``boot``: the
    present one, whose monotonic instants are comparable with now."""

    def __init__(self, path: Path, boot: str) -> None:
        self._reader = Reader(path)
        self._boot = boot

    def first_after(self, lane: Lane, seq: int) -> tuple[Ms | None, UtcMs | None]:
        """Monotonic instant (of this boot only) and wall time of the first row of a lane after
        ``seq``, as far as known."""
        try:
            rows = self._reader.lane(lane, seq + 1, 1)
        except JournalUnavailable as error:
            raise OSError(str(error)) from error
        for row in rows:
            return (row.mono_ms if row.boot == self._boot else None), row.utc_ms
        return None, None

    def cursors(self) -> Cursors:
        """How far everything has come."""
        try:
            found = self._reader.cursors()
            journal, heads = self._reader.journal_id(), self._reader.heads()
        except JournalUnavailable as error:
            raise OSError(str(error)) from error
        recorded = {
            name: lanes for name, (where, lanes) in found.recorded.items() if where == journal
        }
        return Cursors(journal, heads, found.sent, recorded)
