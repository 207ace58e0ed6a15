"""The one thread that reads the configuration again and edits the overlay, beside the loop.

Both take seconds and a process of their own. Whoever asks never waits here: questions go into a
short queue, and where that is full the answer is ``busy`` at once. Questions that change nothing
and are the same share one answer. A reload goes before them, and several that wait are one.

A question that fails ends only itself.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.panel.messages import SettingsAsked

JOBS_MOST = 4
"""Questions that wait; with a few seconds for each the last is answered before the page gives
up."""
ASKERS_MOST = 64
"""Who may share one answer."""
READS = ("show", "preview")

Found = Mapping[str, object]
Answer = Callable[[Found], None]
Edit = Callable[[Mapping[str, object]], Found]
"""A question of the page about the overlay -> the answer. Slow. May raise."""
BUSY: Found = {"status": "refused", "reason": "busy"}


@dataclass(slots=True)
class _Job:
    asked: SettingsAsked
    same: str
    """Questions that are the same have the same text here; empty: shared with nobody."""
    answers: list[Answer] = field(default_factory=list)


class Editor:
    """``edit`` answers a question, ``reload`` reads the configuration again on behalf of whom it
    is given, ``edited`` is called after each question that may change something. All three
    are called in the editor's thread. ``say`` writes to the log without waiting."""

    def __init__(
        self,
        edit: Edit,
        reload: Callable[[str], None],
        edited: Callable[[SettingsAsked, Found, bool], None],
        say: Callable[..., None],
    ) -> None:
        self._edit = edit
        self._reload = reload
        self._edited = edited
        self._say = say
        self._lock = threading.Lock()
        self._jobs: deque[_Job] = deque()
        self._reload_by = ""
        self._wake: SimpleQueue[None] = SimpleQueue()
        """Something to do; it may be put into in a signal handler, which a lock may not."""
        self._thread = threading.Thread(target=self._run, name="editor", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def reload(self, by: str) -> None:
        """Read the configuration again soon. Also from a signal handler."""
        self._reload_by = by
        self._wake.put(None)

    def ask(self, asked: SettingsAsked, answer: Answer) -> None:
        """Answer once: in the editor's thread, or at once with ``busy`` where too many wait."""
        same = json.dumps([asked.do, asked.args], sort_keys=True) if asked.do in READS else ""
        with self._lock:
            job = next((job for job in self._jobs if same and job.same == same), None)
            if job is None and len(self._jobs) < JOBS_MOST:
                job = _Job(asked, same)
                self._jobs.append(job)
                self._wake.put(None)
            taken = job is not None and len(job.answers) < ASKERS_MOST
            if job is not None and taken:
                job.answers.append(answer)
        if not taken:
            answer(BUSY)

    # --- the thread -----------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            self._wake.get()
            self._reload_now()
            with self._lock:
                job = self._jobs.popleft() if self._jobs else None
            if job is not None:
                self._work(job)

    def _reload_now(self) -> None:
        by, self._reload_by = self._reload_by, ""
        if not by:
            return
        try:
            self._reload(by)
        except Exception:  # noqa: BLE001 - the old configuration stays, whatever was wrong
            self._failed("the configuration could not be read again, the old one stays")

    def _work(self, job: _Job) -> None:
        asked, changed = job.asked, False
        try:
            found = dict(self._edit({**asked.args, "do": asked.do, "actor": asked.actor}))
            changed = bool(found.pop("changed", False))
        except Exception:  # noqa: BLE001 - this question has failed, the next may not
            self._failed("the settings cannot be edited")
            found = {"status": "refused", "reason": "not_written"}
        if asked.do not in READS:
            self._edited(asked, found, changed)
        for answer in job.answers:
            answer(found)
        if changed:
            self.reload(asked.actor)

    def _failed(self, what: str) -> None:
        import traceback

        self._say("error", what, reason=traceback.format_exc())
