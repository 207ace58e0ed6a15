"""A file of the recorder that is damaged is set aside and named, and the recorder goes on: what
it held, the gateways send again, or it is in the file that was set aside."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import structlog

from gateway import damage
from gateway import set_aside as files
from gateway.formats import Database

log = structlog.get_logger("recorder")


def set_aside(path: Path, reason: str) -> Path:
    """The new name of the file. Raises :class:`OSError` where that is not possible."""
    away = files.rename(path)
    log.error("a damaged file of the recorder was set aside", reason=reason, moved=str(away))
    return away


def look(
    path: Path,
    format: Database,
    read: Callable[[sqlite3.Connection], object] | None = None,
    *,
    is_new: bool = True,
) -> Path | None:
    """Set the file aside where it is damaged; its new name then. ``read`` and ``is_new``: see
    :func:`gateway.damage.find`.

    :raises OSError: it cannot be set aside
    :raises UnknownFormat: it is of another version
    """
    reason = damage.find(path, format, read, is_new=is_new)
    return set_aside(path, reason) if reason else None
