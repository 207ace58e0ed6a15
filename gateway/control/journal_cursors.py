"""Reads the numbers of the journal that the snapshot shows: its heads, cursors and oldest facts.

The reads have a thread of their own: an SD card that hangs holds up this thread only. Whoever asks
then keeps the last answer, which says when it was asked for.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue

from gateway.core.facts import Lane
from gateway.core.instant import Ms, UtcMs
from gateway.journal.queries.reader import JournalUnavailable, Reader


@dataclass(frozen=True, slots=True)
class Cursors:
    """What is read of the journal's progress: its id, its last number per lane, how far each lane
    was sent, and what each recorder has of it."""

    journal: str
    heads: Mapping[Lane, int]
    sent: Mapping[Lane, int]
    recorded: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class Question:
    """What the panel handler asks at ``at_ms`` of the kernel's clock; ``utc_ms``: civil time, where
    it is known. ``cursors``: the cursors alone. Otherwise also the first fact after each number in
    ``unsent`` and ``unrecorded`` (``None``: nobody needs it)."""

    at_ms: int
    utc_ms: UtcMs | None = None
    cursors: bool = False
    unsent: Mapping[Lane, int] = field(default_factory=dict)
    unrecorded: Mapping[Lane, int] | None = None


First = tuple[Ms | None, UtcMs | None]
"""Monotonic instant (of this boot only) and wall time of a fact, as far as known."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What was read for a question. It says what was so when that was asked."""

    asked: Question
    cursors: Cursors | None = None
    first: Mapping[tuple[Lane, int], First] = field(default_factory=dict)


class JournalCursors:
    """``boot``: the present one, whose monotonic instants are comparable with now. ``look``
    notices a file that was moved, which is a question to the card, too. ``say`` writes to the log
    without waiting."""

    def __init__(
        self, path: Path, boot: str, look: Callable[[], None], say: Callable[..., None]
    ) -> None:
        self._reader = Reader(path)
        self._boot = boot
        self._look = look
        self._say = say
        self._seen: Seen | None = None
        self._asked: Question | None = None
        self._wanted: SimpleQueue[Question] = SimpleQueue()
        self._failing = False
        self._thread = threading.Thread(target=self._run, name="journal-cursors", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    @property
    def busy(self) -> bool:
        """Whether something is being read just now."""
        return self._asked is not None

    @property
    def seen(self) -> Seen | None:
        """What was read last."""
        return self._seen

    def ask(self, question: Question) -> None:
        """Read this soon. While another question is under way this one is skipped: ask again. Never
        waits."""
        if self._asked is None:
            self._asked = question
            self._wanted.put(question)

    # --- the thread -----------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            question = self._wanted.get()
            try:
                self._look()
                self._seen = self._read(question)
                self._failing = False
            except (JournalUnavailable, OSError):
                pass  # the old answer stays, and grows old
            except Exception:  # noqa: BLE001 - what cannot be read is unknown, and no reason to end
                self._failed()
            self._asked = None

    def _read(self, question: Question) -> Seen:
        if question.cursors:
            return Seen(question, self._cursors())
        wanted = {*question.unsent.items(), *(question.unrecorded or {}).items()}
        return Seen(question, None, {one: self._first_after(*one) for one in wanted})

    def _first_after(self, lane: Lane, seq: int) -> First:
        for row in self._reader.lane(lane, seq + 1, 1):
            return (row.mono_ms if row.boot == self._boot else None), row.utc_ms
        return None, None

    def _cursors(self) -> Cursors:
        found = self._reader.cursors()
        journal, heads = self._reader.journal_id(), self._reader.heads()
        recorded = {
            name: lanes for name, (where, lanes) in found.recorded.items() if where == journal
        }
        return Cursors(journal, heads, found.sent, recorded)

    def _failed(self) -> None:
        """Once for as long as it lasts."""
        import traceback

        if not self._failing:
            self._say("error", "the journal cannot be looked at", reason=traceback.format_exc())
        self._failing = True
