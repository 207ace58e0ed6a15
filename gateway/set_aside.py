"""Files that another one has replaced: they are set aside under a name that says so, for a while.

The name is ``NAME.MARK-TIME-NUMBER``, with the file's logs beside it. The mark says why: ``broken``
(damaged, or replaced by a backup), ``seen`` (damaged, and somebody has looked at it) or
``schema-WHICH`` (of another version). The number counts up: the clock may be wrong, and the newest
has to be the last.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
from pathlib import Path

BROKEN, SEEN = "broken", "seen"
KEEP, KEEP_BYTES = 3, 1_000_000_000
"""Of one file, whatever the mark: how many are kept, and how large together. The newest always is.
So is the largest, unless what was in the newest is in use again (``salvaged``): a card that dies
damages a file more than once, and the first has the most."""
LIFE_MS = 90 * 86_400_000
"""A file that was set aside holds what the new one removes by its lives."""
LOGS = ("-wal", "-shm", "-journal")
"""Files of SQLite beside one of its own."""
_PLAUSIBLE_S = 1_767_225_600
"""2026-01-01: no file of ours is older, unless the clock was wrong."""
_NAME = re.compile(
    r"(?P<name>.+)\.(?P<mark>broken-seen|broken|seen|schema-\w+?)"
    r"(?:-(?P<time>\d{8}T\d{6}Z)-(?P<number>\d+))?"
)
"""Versions before have written ``broken`` and ``broken-seen`` without a time and a number."""


def rename(path: Path, *, salvaged: bool = False) -> Path:
    """Give a damaged file, with its logs, a name that says so; the new name. The oldest ones beyond
    the limits go. A file that is not there leaves an empty one under that name. ``salvaged``: what
    can be read of it is in a new file, or a backup is in its place. Raises :class:`OSError`."""
    if not path.exists():
        path.touch()
    away = next_name(path)
    move(path, away, salvaged=salvaged)
    return away


def next_name(path: Path, mark: str = BROKEN) -> Path:
    number = 1 + max((_order(one)[0] for one in found(path)), default=-1)
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    return path.with_name(f"{path.name}.{mark}-{stamp}-{number:03d}")


def move(path: Path, away: Path, *, salvaged: bool) -> None:
    """Give what is there of a file and its logs the name ``away``, and remove what is beyond the
    limits. Its life begins now. Raises :class:`OSError`."""
    before = found(path)
    for ending in ("", "-wal", "-journal"):
        with contextlib.suppress(FileNotFoundError):
            beside(path, ending).replace(beside(away, ending))
    beside(path, "-shm").unlink(missing_ok=True)
    with contextlib.suppress(FileNotFoundError):
        os.utime(away)
    _fit(before, away, keep_largest=not salvaged)


def _fit(before: list[Path], newest: Path, *, keep_largest: bool) -> None:
    """Remove what is beyond the limits; ``before``: oldest first."""
    sizes = {one: _size(one) for one in before}
    kept = max(before, key=sizes.__getitem__) if before and keep_largest else None
    room, left = KEEP_BYTES - _size(newest), KEEP - 1
    for old in [*([kept] if kept else []), *(one for one in reversed(before) if one != kept)]:
        room, left = room - sizes[old], left - 1
        if old != kept and (room < 0 or left < 0):
            _remove(old)


def found(path: Path) -> list[Path]:
    """What was set aside of this file, oldest first."""
    folder = path.parent.iterdir() if path.parent.is_dir() else ()
    return sorted((one for one in folder if original(one) == path.name), key=_order)


def original(away: Path) -> str:
    """The name that a file had before it was set aside; empty for any other file."""
    match = None if away.name.endswith(LOGS) else _NAME.fullmatch(away.name)
    return "" if match is None else match["name"]


def mark_of(away: Path) -> str:
    """Why it was set aside; empty for any other file."""
    match = _NAME.fullmatch(away.name)
    return "" if match is None else match["mark"].replace("broken-seen", SEEN)


def remark(away: Path, mark: str) -> None:
    """Give a file that was set aside another mark. Raises :class:`OSError`."""
    old = _NAME.fullmatch(away.name)
    if old is None:
        raise ValueError(f"{away}: was not set aside")
    rest = away.name[len(old["name"]) + 1 + len(old["mark"]) :]
    marked = away.with_name(f"{old['name']}.{mark}{rest}")
    for ending in ("", *LOGS):
        with contextlib.suppress(FileNotFoundError):
            beside(away, ending).replace(beside(marked, ending))


def remove_old(path: Path, now_utc_ms: int) -> int:
    """Remove what was set aside of this file longer ago than :data:`LIFE_MS`; how many."""
    removed = 0
    for away in found(path):
        with contextlib.suppress(OSError):
            if _is_over(away, now_utc_ms):
                _remove(away)
                removed += 1
    return removed


def _is_over(away: Path, now_utc_ms: int) -> bool:
    """The age of one that was set aside under a wrong clock counts from now."""
    since_s = away.stat().st_mtime
    if not _PLAUSIBLE_S <= since_s <= now_utc_ms / 1000 + 86_400:
        os.utime(away, (now_utc_ms / 1000, now_utc_ms / 1000))
        return False
    return since_s * 1000 < now_utc_ms - LIFE_MS


def _order(away: Path) -> tuple[int, str]:
    match = _NAME.fullmatch(away.name)
    if match is None or match["number"] is None:
        return -1, ""
    return int(match["number"]), match["time"]


def _size(away: Path) -> int:
    """Of a file and its logs, or of all that is in a folder, in bytes."""
    logs = (beside(away, ending) for ending in LOGS)
    there = [*logs, *(away.rglob("*") if away.is_dir() else [away])]
    return sum(one.stat().st_size for one in there if one.is_file())


def _remove(away: Path) -> None:
    if away.is_dir() and not away.is_symlink():
        shutil.rmtree(away, ignore_errors=True)
    for ending in ("", *LOGS):
        with contextlib.suppress(FileNotFoundError, IsADirectoryError):
            beside(away, ending).unlink()


def beside(path: Path, ending: str) -> Path:
    """The file beside ``path`` with this ending, such as ``-wal``."""
    return path.with_name(path.name + ending)
