"""Answers one question of the page about the overlay: ``CONFIG STATE NOW_UTC_MS``, the question
as JSON on standard input, the answer as JSON on standard output.

A process of its own, because ``control`` has neither pydantic nor YAML in its memory."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from pathlib import Path

from gateway.app.configuration import load, people, plans
from gateway.settings.editing.edit import edit
from gateway.settings.editing.file import Store

PATIENCE = 10
"""Nicer than the door by so much."""


def main(config: Path, state: Path, now_utc_ms: int) -> int:
    """The exit status."""
    with contextlib.suppress(OSError):  # a sandbox may refuse it, and the answer is the same
        os.nice(PATIENCE)
    asked = json.loads(sys.stdin.buffer.read())
    store = Store(plans.overlay(state))
    answer = edit(asked, config, store, load.drivers(), now_utc_ms, people.judge)
    # In UTF-8, as the reader expects it, whatever language the environment names.
    sys.stdout.buffer.write(json.dumps(answer, ensure_ascii=False).encode("utf-8", "replace"))
    sys.stdout.buffer.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])))
