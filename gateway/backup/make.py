"""Making a backup: collect, pack and encrypt it, and only then replace an older file."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from gateway import __version__
from gateway.backup import key, target
from gateway.backup.archive import Manifest, Packed, Source, check_head
from gateway.backup.contents import Contents, Places
from gateway.backup.records import BackupRecords, LastBackup
from gateway.journal.backup import BackupError

Progress = Callable[[float], None]
"""Called with how much is done, 0 to 1."""
PLAUSIBLE_S = 1_767_225_600
"""2026-01-01: a time before this one is that of a wrong clock."""
_CHUNK = 1 << 20
_STAMP = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What backup to make. ``public``: the key to encrypt it for, ``None`` for an archive that
    anybody can read. ``store``: with the history. ``by_itself``: the timer has asked for it."""

    public: key.PublicKey | None
    store: bool = False
    by_itself: bool = False


@dataclass(frozen=True, slots=True)
class Made:
    file: Path
    bytes: int
    files: int
    left_out: tuple[str, ...]
    removed: tuple[str, ...] = ()
    """Older archives that were removed."""
    not_removed_because: str = ""
    """Why no older archive was removed although there are more than ``keep``."""


def to_file(
    file: Path,
    places: Places,
    wanted: Wanted,
    progress: Progress = lambda _: None,
) -> Made:
    """Write an archive to ``file``. Raises :class:`BackupError`; then ``file`` is as before."""
    own = BackupRecords(places.state)
    own.prepare()
    with own.locked():
        return _write(file, places, wanted, own, progress)


def to_folder(
    folder: Path,
    gateway: str,
    keep: int,
    places: Places,
    wanted: Wanted,
    progress: Progress = lambda _: None,
) -> Made:
    """Write an archive with the present time in its name into ``folder``, and then remove the
    oldest archives of this gateway until ``keep`` are left. Raises :class:`BackupError`; then all
    stay."""
    own = BackupRecords(places.state)
    own.prepare()
    with own.locked():
        name = f"portier-{gateway}-{time.strftime(_STAMP, time.gmtime())}.age"
        made = _write(folder / name, places, wanted, own, progress)
        fd = _open(folder)
        try:
            removed, because = _rotate(fd, gateway, name, keep)
        except OSError as error:
            removed, because = [], f"{error.strerror}: look at the rights of {folder}"
        finally:
            os.close(fd)
        return Made(made.file, made.bytes, made.files, made.left_out, tuple(removed), because)


def _pattern(gateway: str) -> re.Pattern[str]:
    return re.compile(rf"portier-{re.escape(gateway)}-[0-9]{{8}}T[0-9]{{6}}Z\.age")


def _rotate(fd: int, gateway: str, newest: str, keep: int) -> tuple[list[str], str]:
    """Returns the names that were removed, and why none was removed where there are too many."""
    found = [one for one in target.matching(fd, _pattern(gateway)) if target.is_own_file(fd, one)]
    if len(found) <= keep:
        return [], ""
    if found[-1] != newest or time.time() < PLAUSIBLE_S:
        return [], (
            "the clock of this machine is behind the newest archive: set the clock (timedatectl), "
            "or remove archives whose name has a date in the future"
        )
    old = found[:-keep]
    for name in old:
        os.unlink(name, dir_fd=fd)
    target.sync(fd)
    return old, ""


def _open(folder: Path) -> int:
    try:
        return target.open_folder(folder)
    except FileNotFoundError:
        raise BackupError(f"there is no folder {folder}: make it, or mount the disk") from None
    except PermissionError:
        raise BackupError(f"this user may not open {folder}: run this with sudo") from None
    except OSError as error:
        raise BackupError(
            f"{folder} cannot be used ({error.strerror}): choose another folder"
        ) from error


def check_mount(mount: Path) -> None:
    """Check that something is mounted there: without its disk the folder is on this machine's own
    card. Raises :class:`BackupError`."""
    try:
        there = target.is_mounted(mount)
    except OSError as error:
        raise BackupError(f"which disks are mounted cannot be read ({error.strerror})") from error
    if not there:
        raise BackupError(
            f"nothing is mounted at {mount}, the mount in backup: {{…}}; plug the disk in, or run "
            f"`sudo mount {mount}`; `findmnt {mount}` then shows it"
        )


def _check(fd: int, file: Path, places: Places, wanted: Wanted) -> None:
    """Check that an archive may be written there. Raises :class:`BackupError`."""
    real, state = target.real_path(fd), places.state.resolve()
    if real == state or state in real.parents:
        raise BackupError(
            f"{file} lies in the state folder, which is the gateway's own; choose another place"
        )
    target.check_replaceable(fd, file)
    if wanted.public is None:
        kind = target.file_system(fd)
        if kind not in target.LOCAL:
            raise BackupError(
                f"{real} lies on a file system ({kind or 'not known'}) that may lead over a "
                "network, and there only encrypted backups are written: leave --unencrypted out"
            )


def _write(
    file: Path,
    places: Places,
    wanted: Wanted,
    own: BackupRecords,
    progress: Progress,
) -> Made:
    fd = _open(file.parent)
    try:
        _check(fd, file, places, wanted)
        target.remove_parts(fd, _siblings(file.name))
        with own.work() as work:
            contents = Contents(places, work, secret=wanted.public is not None, store=wanted.store)
            sources = contents.collect(lambda done: progress(done / 2))
            members = [one.member() for one in sources]
            at_s = time.time()
            config = places.config.name if places.has_config_folder else ""
            if f"config/{config}" not in {one.name for one in members}:
                config = ""
            manifest = Manifest(
                contents.gateway,
                __version__,
                at_s,
                config,
                wanted.public is not None,
                tuple(contents.left_out),
                tuple(members),
            )
            head = manifest.to_bytes(wanted.public)
            check_head(head, wanted.public)
            _check_room(fd, file)
            packed = Packed(
                head,
                sources,
                members,
                lambda done: progress(0.5 + done / 2),
            )
            with target.replacing(fd, file) as out:
                _pack(packed, out, wanted.public)
                size = out.tell()
        real = target.real_path(fd) / file.name
        own.store_last(
            LastBackup(str(real), at_s, size, wanted.public is not None, wanted.by_itself)
        )
    except OSError as error:
        raise BackupError(_because(error, file)) from error
    finally:
        os.close(fd)
    return Made(real, size, len(members), tuple(contents.left_out))


def _siblings(name: str) -> re.Pattern[str]:
    """The names whose unfinished files may be removed: this one, or all of this gateway's timer."""
    stamped = re.fullmatch(r"portier-(.+)-[0-9]{8}T[0-9]{6}Z\.age", name)
    return _pattern(stamped[1]) if stamped else re.compile(re.escape(name))


def _check_room(fd: int, file: Path) -> None:
    if os.statvfs(fd).f_flag & os.ST_RDONLY:
        raise BackupError(
            f"{file.parent} is read-only: sudo mount -o remount,rw it, or choose another folder"
        )


def _pack(packed: Packed, out: BinaryIO, public: key.PublicKey | None) -> None:
    if public is not None:
        key.encrypt(packed, out, public)
        return
    while chunk := packed.read(_CHUNK):
        out.write(chunk)


WORK = Path("/var/tmp")  # noqa: S108 - the folder in it has a new name and belongs to this user
"""Where the journal alone is copied to first, unless ``TMPDIR`` names another folder. The state
folder is not for everybody who may read the journal; /tmp may be in memory, where a journal of 1 GB
has no room; and at the target, which others may write, SQLite would open the copy by its name."""


def journal_to_file(file: Path, places: Places, progress: Progress) -> int:
    """Write a copy of the journal alone, which everybody may do who may read the journal. Returns
    how many bytes it has."""
    import tempfile

    from gateway.journal import backup as journal_backup

    journal, work_in = places.state / "journal.sqlite", Path(os.environ.get("TMPDIR") or WORK)
    fd = _open(file.parent)
    try:
        _check(fd, file, places, Wanted(None))
        size = journal.stat().st_size if journal.exists() else 0
        for folder in (work_in, target.path_of(fd)):
            _check_free(folder, size, target.real_path(fd) if folder != work_in else work_in)
        with tempfile.TemporaryDirectory(prefix="portier-backup-", dir=work_in) as work:
            copy = Path(work) / "journal.sqlite"
            journal_backup.backup(journal, copy, progress)
            with target.replacing(fd, file) as out:
                for chunk in Source("state/journal.sqlite", copy).chunks():
                    out.write(chunk)
                return out.tell()
    except OSError as error:
        raise BackupError(_because(error, file)) from error
    finally:
        os.close(fd)


def _check_free(folder: Path, needed: int, shown: Path) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise BackupError(
            f"a copy of the journal needs {needed // 1_000_000:,} MB in {shown}, and "
            f"{free // 1_000_000:,} MB are free; make room (df -h), or name another folder for the "
            "work with TMPDIR="
        )


def _because(error: OSError, file: Path) -> str:
    text = error.strerror or str(error)
    if isinstance(error, PermissionError):
        return f"{file}: {text}: choose a folder that you may write, or run this with sudo"
    return f"{file}: {text}: make room there (df -h), or choose another folder"
