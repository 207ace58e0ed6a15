"""The log of ``control``: written by a thread of its own, so that a terminal or a journal that
does not take the line never holds up the loop. Lines beyond the bound are dropped, counted."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import TextIO

LINES_MOST = 1_000
Say = Callable[..., None]
"""``say(level, text, **fields)``."""


class Log:
    """Lines for people on a terminal, JSON elsewhere."""

    def __init__(self, role: str, out: TextIO | None = None) -> None:
        self._role = role
        self._out = out or sys.stderr
        self._lines: SimpleQueue[str | None] = SimpleQueue()
        self._dropped = 0
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def say(self, level: str, text: str, **fields: object) -> None:
        if self._lines.qsize() >= LINES_MOST:
            self._dropped += 1
            return
        if self._dropped:
            fields["dropped_before"], self._dropped = self._dropped, 0
        self._lines.put(self._line(level, text, fields))

    def close(self, timeout_s: float = 0.5) -> None:
        """Write what waits, if it can be written in time."""
        self._lines.put(None)
        self._thread.join(timeout_s)

    def _line(self, level: str, text: str, fields: dict[str, object]) -> str:
        if self._out.isatty():
            more = "".join(f"  {key}={value}" for key, value in fields.items())
            return f"{time.strftime('%H:%M:%S')} {self._role:8} {level:7} {text}{more}\n"
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        entry = {"timestamp": at, "level": level, "role": self._role, "event": text, **fields}
        return json.dumps(entry, ensure_ascii=False, default=str) + "\n"

    def _run(self) -> None:
        while (line := self._lines.get()) is not None:
            try:
                self._out.write(line)
                self._out.flush()
            except (OSError, ValueError):
                return  # nobody reads it any more
