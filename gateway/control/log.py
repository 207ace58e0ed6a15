"""The log of ``control``: written by a thread of its own, so that a terminal or a journal that
does not take the line never holds up the loop. Lines beyond the bound are dropped, counted.

:class:`Repeats` is for every role: what is tried again and again says why it fails once, and
then with growing pauses."""

from __future__ import annotations

import json
import re
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from queue import SimpleQueue
from typing import TextIO

from gateway.printable import in_a_line, in_json

LINES_MOST = 1_000
AGAIN_FIRST_S = 60.0
AGAIN_MOST_S = 6 * 3600.0
CAUSES_MOST = 500
_NUMBER = re.compile(r"\d+")


def cause(reason: str) -> str:
    """What two reasons have in common that differ in numbers only, such as those of lines of
    one chip."""
    return _NUMBER.sub("#", reason)


class Repeats:
    """Which of many equal lines are written: the first, and later ones with growing pauses. A
    cause that was absent for twice its pause is new again. For one thread."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._now = monotonic
        self._causes: OrderedDict[Hashable, list[float]] = OrderedDict()
        """Cause -> next line not before, pause, last seen, lines left out; oldest first."""

    def left_out(self, key: Hashable) -> int | None:
        """How many lines of this cause were left out since the last one that was written;
        ``None``: this one is left out, too."""
        now = self._now()
        known = self._causes.pop(key, None)
        if known is None or now - known[2] > 2 * known[1]:
            known = [0.0, AGAIN_FIRST_S / 2, now, 0.0]
        self._causes[key] = known
        if len(self._causes) > CAUSES_MOST:
            self._causes.popitem(last=False)
        known[2] = now
        if now < known[0]:
            known[3] += 1
            return None
        left_out, known[3] = int(known[3]), 0.0
        known[1] = min(known[1] * 2, AGAIN_MOST_S)
        known[0] = now + known[1]
        return left_out


class Log:
    """Lines for people on a terminal, JSON elsewhere."""

    def __init__(self, role: str, out: TextIO | None = None) -> None:
        self._role = role
        self._out = out or sys.stderr
        self._lines: SimpleQueue[str | None] = SimpleQueue()
        self._dropped = 0
        self._counting = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def say(self, level: str, text: str, **fields: object) -> None:
        if self._lines.qsize() >= LINES_MOST:
            with self._counting:
                self._dropped += 1
            return
        if self._dropped:
            with self._counting:
                fields["dropped_before"], self._dropped = self._dropped, 0
        self._lines.put(self._line(level, text, fields))

    def close(self, timeout_s: float = 0.5) -> None:
        """Write what waits, if it can be written in time."""
        self._lines.put(None)
        self._thread.join(timeout_s)

    def _line(self, level: str, text: str, fields: dict[str, object]) -> str:
        if self._out.isatty():
            more = "".join(f"  {key}={value}" for key, value in fields.items())
            line = f"{time.strftime('%H:%M:%S')} {self._role:8} {level:7} {text}{more}"
            return in_a_line(line) + "\n"
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        entry = {"timestamp": at, "level": level, "role": self._role, "event": text, **fields}
        # In a language that is not UTF-8 the line would be no JSON for whoever collects it.
        utf_8 = (self._out.encoding or "").casefold().startswith("utf")
        return in_json(json.dumps(entry, ensure_ascii=not utf_8, default=str)) + "\n"

    def _run(self) -> None:
        while (line := self._lines.get()) is not None:
            try:
                self._out.write(line)
                self._out.flush()
            except (OSError, ValueError):
                return  # nobody reads it any more
