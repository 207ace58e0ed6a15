"""The link's own state: one small file that is written when something in it has changed.

It holds the numbers of facts that the broker refused (the cursor of ``control`` is past them),
what was published to Home Assistant (so that it can be taken back), and which keys of issuers were
replaced (fingerprints).
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import threading
from pathlib import Path
from typing import Any

import structlog

from gateway.wire import read_json

log = structlog.get_logger("link.saved")
FILE = "link.json"
FORMAT = 1
AWAY_MOST = 3
"""Files of other versions that were put away; the oldest go."""
BYTES_MOST = 16_000_000
"""Of the file: more is neither read nor written."""


def read(folder: Path) -> dict[str, Any]:
    """What was saved; empty where there is nothing, or nothing that can be read."""
    try:
        with (folder / FILE).open("rb") as file:
            raw = read_json(file.read(BYTES_MOST))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        _put_away(folder, "unread", str(error))
        return {}
    found = raw.get("format") if isinstance(raw, dict) else None
    if found != FORMAT or not isinstance(raw, dict):
        known = f"format {found}; this version of Portier understands {FORMAT}"
        _put_away(folder, "format-" + re.sub(r"\W+", "_", str(found))[:20], known)
        return {}
    return raw


def _put_away(folder: Path, ending: str, reason: str) -> None:
    """What a newer version has written is no damage: whoever goes back to it finds it."""
    other = folder / f"{FILE}.{ending}"
    log.warning("the state of the link cannot be read", reason=reason, moved=str(other))
    with contextlib.suppress(OSError):
        (folder / FILE).replace(other)
        away = sorted(folder.glob(f"{FILE}.format-*"), key=lambda one: one.stat().st_mtime_ns)
        for old in away[:-AWAY_MOST]:
            old.unlink(missing_ok=True)


class Writer:
    """Writes the file in a thread: a card may take half a minute for it, and the connection to
    the broker does not wait that long."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._thread: threading.Thread | None = None
        self._error: OSError | None = None

    @property
    def busy(self) -> bool:
        """Whether a state is being written whose end :meth:`wait` has not seen."""
        return self._thread is not None

    def start(self, state: dict[str, Any]) -> None:
        """Begin to write a state, which nobody changes any more. Raises :class:`OSError`."""
        self._error = None
        thread = threading.Thread(target=self._run, args=(state,), name="saved", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            raise OSError(str(error)) from error
        self._thread = thread

    def wait(self, within_s: float) -> bool:
        """Whether it has been written. Raises :class:`OSError`; the file before it is then still
        there."""
        if self._thread is None:
            return True
        self._thread.join(within_s)
        if self._thread.is_alive():
            return False
        self._thread = None
        if self._error is not None:
            raise self._error
        return True

    def _run(self, state: dict[str, Any]) -> None:
        try:
            write(self._folder, state)
        except OSError as error:
            self._error = error


def write(folder: Path, state: dict[str, Any]) -> None:
    """Replace the file. Raises :class:`OSError`; the file before it is then still there."""
    folder.mkdir(mode=0o750, exist_ok=True)
    text = json.dumps({"format": FORMAT, **state}, ensure_ascii=False, separators=(",", ":"))
    raw = text.encode()
    if len(raw) > BYTES_MOST:
        raise OSError(errno.EFBIG, f"{FILE} would be larger than {BYTES_MOST} bytes")
    fresh = folder / f"{FILE}.new"
    with fresh.open("wb") as file:
        file.write(raw)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(folder / FILE)
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
