"""A file of the recorder that is damaged is moved away and named, and the recorder goes on: what
it held, the gateways send again, or it is in the file that was moved."""

from __future__ import annotations

from pathlib import Path

import structlog

from gateway.formats import Database
from gateway.journal.schema import DAMAGED, damaged

log = structlog.get_logger("recorder")
AWAY = ".broken"
"""Behind the name of a file that was damaged; the one before it goes."""


def move_away(path: Path, reason: str) -> None:
    """Raises :class:`OSError` where that is not possible."""
    away = path.with_name(path.name + AWAY)
    log.error("a file of the recorder cannot be read", reason=reason, moved=str(away))
    path.replace(away)
    for ending in ("-wal", "-shm", "-journal"):
        path.with_name(path.name + ending).unlink(missing_ok=True)


def look(path: Path, format: Database) -> None:
    """Move the file away where it is damaged. Raises :class:`OSError`, and
    :class:`gateway.formats.UnknownFormat`."""
    try:
        format.check(path)
    except DAMAGED as error:
        if not damaged(error) and not path.is_dir():
            return  # it cannot be read now: whoever opens it says so
        reason = str(error)
    else:
        return
    move_away(path, reason)
