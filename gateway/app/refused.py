"""A role whose configuration is refused: what happens until somebody has corrected it.

A service manager starts a role again at once, which would fail for the same reason, with the same
lines in the log, several times a minute for ever. So the role waits for a change before it ends.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from gateway.app import plans
from gateway.control.watchdog import Watchdog

LOOK_EVERY_S = 1.0
MOST_S = 3600.0
"""After this it is tried again in any case: it may have been something else."""


def wait_for_change(config: Path, state: Path) -> None:
    """Return when the configuration, its secrets or the overlay have changed; at once where no
    service manager would start this process again."""
    if os.environ.get("SYSTEMD_EXEC_PID") != str(os.getpid()):
        return
    watchdog = Watchdog()
    files = (config, config.parent / "secrets", plans.overlay(state))
    before = [_changed(file) for file in files]
    until = time.monotonic() + MOST_S
    while time.monotonic() < until and [_changed(file) for file in files] == before:
        watchdog.starting(10 * LOOK_EVERY_S)
        time.sleep(LOOK_EVERY_S)


def _changed(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino
