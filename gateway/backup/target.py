"""Writing a file into a folder that may belong to somebody else, or may not exist, and reading one
there.

Root writes backups where others may write, too. So every folder on the way is opened by itself, a
link is followed only where root or this user has made it, and a file has a new name of its own
until it is complete.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import BinaryIO

from gateway.journal.backup import BackupError

LOCAL = frozenset(
    {
        *("bcachefs", "btrfs", "exfat", "ext2", "ext3", "ext4", "f2fs", "fuseblk", "msdos"),
        *("ntfs", "ntfs3", "overlay", "tmpfs", "ubifs", "vfat", "xfs", "zfs"),
    }
)
"""Types of file systems on a disk of this machine; any other one may be on a network."""
_LINKS_MOST = 40
_MOUNTS = Path("/proc/self/mountinfo")
_ESCAPED = re.compile(r"\\([0-7]{3})")


def open_folder(folder: Path) -> int:
    """Open a folder; returns its descriptor. Raises :class:`OSError`, and :class:`BackupError` for
    a link that another user has made."""
    fd = _open(folder)
    if not stat.S_ISDIR(os.fstat(fd).st_mode):
        os.close(fd)
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))
    return fd


@contextmanager
def found(file: Path) -> Iterator[int]:
    """A descriptor of a file that is read, by which :func:`path_of` names it. Raises as
    :func:`open_folder`: roles write in the state folder, and root must not read for them where a
    link of theirs leads."""
    fd = _open(file)
    try:
        yield fd
    finally:
        os.close(fd)


def path_of(fd: int) -> Path:
    """Leads to what is open, whatever takes its place meanwhile."""
    return Path(f"/proc/self/fd/{fd}")


def check_opened(fd: int, file: Path) -> None:
    """Check that a library which opens files by their name has opened the one behind ``fd``: a role
    may have put a link in its place since. Raises :class:`BackupError`."""
    wanted = os.fstat(fd)
    for entry in os.listdir("/proc/self/fd"):
        if int(entry) == fd:
            continue
        with contextlib.suppress(OSError):  # it is closed again
            here = os.stat(f"/proc/self/fd/{entry}")
            if (here.st_dev, here.st_ino) == (wanted.st_dev, wanted.st_ino):
                return
    raise BackupError(f"{file} was replaced while it was opened: run this again")


def _open(folder: Path) -> int:
    rest = list(reversed(folder.absolute().parts[1:]))
    links = 0
    fd = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        while rest:
            name = rest.pop()
            inner = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
            state = os.fstat(inner)
            if stat.S_ISLNK(state.st_mode):
                try:
                    to = PurePath(os.readlink("", dir_fd=inner))
                finally:
                    os.close(inner)
                links += 1
                if links > _LINKS_MOST:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(folder))
                if state.st_uid not in (0, os.geteuid()):
                    raise BackupError(
                        f"{folder}: on the way there, {name} is a link to {to} that another user "
                        "has made; name the folder itself"
                    )
                if to.is_absolute():
                    os.close(fd)
                    fd = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
                rest += reversed([part for part in to.parts if part != "/"])
                continue
            os.close(fd)
            fd = inner
        return fd
    except FileNotFoundError as error:
        os.close(fd)
        raise FileNotFoundError(error.errno, os.strerror(errno.ENOENT), str(folder)) from None
    except BaseException:
        os.close(fd)
        raise


def real_path(fd: int) -> Path:
    """The path of an open folder, without links."""
    return Path(os.readlink(f"/proc/self/fd/{fd}"))


def sync(fd: int) -> None:
    """Force the names in a folder to the disk, as far as this user may."""
    with contextlib.suppress(OSError):
        readable = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=fd)
        try:
            os.fsync(readable)
        finally:
            os.close(readable)


def state_of(fd: int, name: str) -> os.stat_result | None:
    """The state of a file in a folder, of a link itself; ``None``: there is no such file."""
    try:
        return os.stat(name, dir_fd=fd, follow_symlinks=False)
    except FileNotFoundError:
        return None


def check_replaceable(fd: int, path: Path) -> None:
    """Check that ``path`` is a file or nothing. Raises :class:`BackupError`."""
    found = state_of(fd, path.name)
    if found is not None and stat.S_ISLNK(found.st_mode):
        raise BackupError(f"{path} is a link; name the file that it leads to, or remove it")
    if found is not None and not stat.S_ISREG(found.st_mode):
        raise BackupError(f"{path} is not a file, and is not replaced; choose another name")


@contextmanager
def replacing(fd: int, path: Path, mode: int = 0o600) -> Iterator[BinaryIO]:
    """A new file that replaces ``path``, whose folder is ``fd``, when the block ends without an
    error; otherwise it is removed. Raises :class:`OSError`, :class:`BackupError`."""
    part = f".{path.name}.{secrets.token_hex(4)}.part"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    written = os.open(part, flags, mode, dir_fd=fd)
    try:
        with os.fdopen(written, "wb", buffering=1 << 20) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            check_replaceable(fd, path)
            os.replace(part, path.name, src_dir_fd=fd, dst_dir_fd=fd)
            here, mine = state_of(fd, path.name), os.fstat(file.fileno())
        if here is None or (here.st_dev, here.st_ino) != (mine.st_dev, mine.st_ino):
            raise BackupError(
                f"{path}: another user has replaced it while it was written; choose a folder that "
                "only you may write"
            )
        sync(fd)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(part, dir_fd=fd)
        raise


def remove_parts(fd: int, name: re.Pattern[str]) -> None:
    """Remove this user's unfinished files of names that match."""
    for entry in _names(fd):
        found = re.fullmatch(r"\.(.+)\.[0-9a-f]{8}\.part", entry)
        if found is not None and name.fullmatch(found[1]) and is_own_file(fd, entry):
            with contextlib.suppress(OSError):
                os.unlink(entry, dir_fd=fd)


def is_own_file(fd: int, name: str) -> bool:
    found = state_of(fd, name)
    return found is not None and stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid()


def matching(fd: int, name: re.Pattern[str]) -> list[str]:
    """The names in a folder that match, in order."""
    return sorted(entry for entry in _names(fd) if name.fullmatch(entry))


def _names(fd: int) -> list[str]:
    readable = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=fd)
    try:
        return os.listdir(readable)
    finally:
        os.close(readable)


# --- mounts -------------------------------------------------------------------------------


def mounts() -> list[tuple[Path, str]]:
    """Each mount point and the type of its file system, the newest last. Raises
    :class:`OSError`."""
    found = []
    for line in _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        before, _, after = line.partition(" - ")
        place = _ESCAPED.sub(lambda one: chr(int(one[1], 8)), before.split(" ")[4])
        found.append((Path(place), after.split(" ")[0]))
    return found


def is_mounted(mount: Path) -> bool:
    """Whether something is mounted at this very folder. Raises :class:`OSError`."""
    with contextlib.suppress(OSError):
        os.listdir(mount)  # an automount is mounted by this
    real = mount.resolve()
    kinds = [kind for place, kind in mounts() if place == real]
    return bool(kinds) and kinds[-1] != "autofs"


def file_system(fd: int) -> str:
    """The type of the file system that an open folder is on; empty where that is not known."""
    real = real_path(fd)
    with contextlib.suppress(OSError):
        inside = [one for one in mounts() if one[0] == real or one[0] in real.parents]
        if inside:
            longest = max(len(place.parts) for place, _ in inside)
            return [kind for place, kind in inside if len(place.parts) == longest][-1]
    return ""
