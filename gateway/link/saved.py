"""The link's own state: one small file that is written when something in it has changed.

It holds the numbers of facts that the broker refused (the cursor of ``control`` is past them)
and what was published to Home Assistant (so that it can be taken back).
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any

import structlog

from gateway.wire import read_json

log = structlog.get_logger("link.saved")
FILE = "link.json"
FORMAT = 1
BYTES_MOST = 4_000_000


def read(folder: Path) -> dict[str, Any]:
    """What was saved; empty where there is nothing, or nothing that can be read."""
    try:
        with (folder / FILE).open("rb") as file:
            raw = read_json(file.read(BYTES_MOST))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        _put_away(folder, str(error))
        return {}
    if not isinstance(raw, dict) or raw.get("format") != FORMAT:
        _put_away(folder, "another format")
        return {}
    return raw


def _put_away(folder: Path, reason: str) -> None:
    """What a newer version has written is no damage: whoever goes back to it finds it."""
    other = folder / f"{FILE}.unread"
    log.warning("the state of the link cannot be read", reason=reason, moved=str(other))
    with contextlib.suppress(OSError):
        (folder / FILE).replace(other)


def write(folder: Path, state: dict[str, Any]) -> None:
    """Replace the file. Raises :class:`OSError`; the file before it is then still there."""
    folder.mkdir(mode=0o750, exist_ok=True)
    text = json.dumps({"format": FORMAT, **state}, ensure_ascii=False, separators=(",", ":"))
    fresh = folder / f"{FILE}.new"
    with fresh.open("wb") as file:
        file.write(text.encode())
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(folder / FILE)
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
