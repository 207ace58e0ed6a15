"""Writing files of certificates and keys: each is replaced as a whole, and survives a power cut."""

from __future__ import annotations

import contextlib
import grp
import os
from pathlib import Path

from gateway import durable


def put(file: Path, data: bytes, mode: int) -> None:
    """Replace a file as a whole. One that exists keeps its owner and its rights; ``mode``: of a new
    one."""
    fresh = file.with_name(f"{file.name}.new")
    durable.write(fresh, data, 0o600)
    try:
        before = file.stat()
    except FileNotFoundError:
        os.chmod(fresh, mode)
    else:
        os.chmod(fresh, before.st_mode & 0o777)
        now = fresh.stat()
        if (now.st_uid, now.st_gid) != (before.st_uid, before.st_gid):
            try:
                os.chown(fresh, before.st_uid, before.st_gid)
            except PermissionError:
                if not before.st_mode & 0o004:  # else everybody can still read it
                    fresh.unlink()
                    raise
    os.replace(fresh, file)


def share(key: Path, group: str) -> None:
    """Let the role that uses a key read it, where there is such a role."""
    with contextlib.suppress(KeyError):
        os.chown(key, -1, grp.getgrnam(group).gr_gid)
        os.chmod(key, 0o640)
