"""Putting a backup back: unpack all of it into a folder of its own, check it, and only then replace
anything.

What is replaced stays: the journal and the users are set aside as damaged files are, a file of the
configuration gets the ending ``.before-restore``. A restore that was interrupted is run again from
the beginning, with the same result. What it has put back already stays, so that no further run
costs the files of before.
"""

from __future__ import annotations

import contextlib
import filecmp
import grp
import os
import pwd
import sqlite3
import tempfile
from collections.abc import Callable, Collection, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from gateway import regular, set_aside
from gateway.backup import key, target
from gateway.backup.archive import ROOM_LEFT, Manifest, Member, unpack
from gateway.backup.contents import BROKER, Places, damage_of, part_of, remove_sessions
from gateway.backup.records import KEY, BackupRecords
from gateway.formats import uri
from gateway.journal import backup as journal_backup
from gateway.journal.backup import BackupError
from gateway.settings.editing.file import Store, version


class CutShort(BackupError):
    """The restore was interrupted: some files are put back, and others are not."""


GZIP_HEAD, SQLITE_HEAD = b"\x1f\x8b", b"SQLite format 3\0"
BEFORE = ".before-restore"
_DATABASES = ("state/web/", "state/record/")
_OVERLAY = "state/overlay.yaml"


def head_of(file: Path) -> bytes:
    """The first bytes of a file. Raises :class:`BackupError`."""
    try:
        with _opened(file) as opened:
            return opened.read(len(key.HEAD))
    except OSError as error:
        raise BackupError(
            f"{file} cannot be read ({error.strerror}); check its name and its rights"
        ) from error


@contextmanager
def _opened(file: Path) -> Iterator[BinaryIO]:
    regular.check(file)
    with file.open("rb") as opened:
        yield opened


@dataclass(frozen=True, slots=True)
class Unpacked:
    """A whole archive that was unpacked and checked. ``folder`` has its members, each under its
    name."""

    file: Path
    folder: Path
    manifest: Manifest
    key: key.RecoveryKey | None

    @property
    def config(self) -> Path | None:
        """The configuration in it, with its secrets beside."""
        name = self.manifest.config
        return self.folder / "config" / name if name else None

    @property
    def state(self) -> Path:
        return self.folder / "state"

    def wanted(self, only: Collection[str]) -> list[Member]:
        """The members of these parts; of all where none is named."""
        return [one for one in self.manifest.members if not only or part_of(one.name) in only]


@contextmanager
def unpacked(
    file: Path,
    places: Places,
    recovery: key.RecoveryKey | None,
    progress: Callable[[float], None] = lambda _: None,
) -> Iterator[Unpacked]:
    """Unpack an archive into a folder of its own, which is removed at the end of the block. One
    backup or restore runs at a time. Raises :class:`BackupError`; then nothing has changed."""
    own = BackupRecords(places.state)
    own.prepare()
    with own.locked(), own.work() as work:
        try:
            manifest = _unpack(file, work, recovery, progress)
        except OSError as error:
            text = error.strerror or str(error)
            raise BackupError(
                f"it cannot be unpacked in {own.path} ({text}); make room (df -h)"
            ) from error
        yield Unpacked(file, work, manifest, recovery)


def _unpack(
    file: Path, work: Path, recovery: key.RecoveryKey | None, progress: Callable[[float], None]
) -> Manifest:
    with _opened(file) as source:
        size = os.fstat(source.fileno()).st_size
        if recovery is None:
            manifest = unpack(source, work, None, progress)
        else:
            if size + ROOM_LEFT > _free(work):
                raise BackupError(
                    f"there is no room to decrypt it: it needs {(size + ROOM_LEFT) // 1_000_000:,} "
                    f"MB at {work.parent}; make room (df -h)"
                )
            # Decrypted to its end before any of it is used: only the end shows that it is complete.
            with tempfile.TemporaryFile(dir=work) as plain:
                key.decrypt(source, plain, recovery)
                plain.seek(0)
                manifest = unpack(plain, work, recovery.public, progress)
    if manifest.encrypted != (recovery is not None):
        raise BackupError(
            "its manifest and the file do not agree whether it is encrypted: somebody else has "
            "packed it; take another backup"
        )
    return manifest


def _free(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def check_databases(found: Unpacked, only: Collection[str]) -> None:
    """Check each database in it. Raises :class:`BackupError` where one is damaged."""
    for member in found.wanted(only):
        if not member.name.endswith(".sqlite"):
            continue
        if said := damage_of(found.folder / member.name):
            raise BackupError(f"{member.name} in it is damaged ({said}): take another backup")


@dataclass(frozen=True, slots=True)
class Start:
    """This start of the machine, as the journal notes it."""

    boot: str
    utc_offset_ms: int | None
    keep_calls: bool


def put_back(
    found: Unpacked, places: Places, start: Start, only: Collection[str] = ()
) -> list[str]:
    """Replace what is here by what is in the archive. Returns a line for each thing that was done.
    Every role must be stopped. The journal comes first: while a call stands it is refused, and
    nothing has changed. Raises :class:`BackupError`, and :class:`CutShort` where something has."""
    own = BackupRecords(places.state)
    members = found.wanted(only)
    said = []
    sha256, journal = _put_back_before(own)
    again = own.begin_restore(found.file, sha256, journal)
    try:
        for member in members:
            if part_of(member.name) != "journal":
                continue
            if member.sha256 == sha256 and journal == _id_of(places.state / "journal.sqlite"):
                said.append(f"journal: put back already, as journal {journal}")
                continue
            journal = _journal(found, places, start)
            own.begin_restore(found.file, member.sha256, journal)
            said.append(f"journal: restored as journal {journal}")
    except journal_backup.TakesPlaceLater as error:
        raise CutShort(f"{error}; correct that, and run the same command again") from error
    except BackupError:
        if not (again and sha256):
            own.end_restore(found.file, whole=False)  # nothing has changed
        raise
    try:
        said += _all_but_journal(found, places, members, only)
    except (OSError, sqlite3.Error, BackupError) as error:
        raise CutShort(f"{error}: correct that, and run the same command again") from error
    if not (only and again):
        own.end_restore(found.file, whole=not only)
    return said


def _all_but_journal(
    found: Unpacked, places: Places, members: Collection[Member], only: Collection[str]
) -> list[str]:
    said = []
    for member in members:
        if member.name.startswith(_DATABASES):
            said.append(_database(found.folder / member.name, _place(member.name, places), member))
    if not only or "settings" in only:
        said += _overlay(found, places)
    count = 0
    for member in members:
        if part_of(member.name) not in ("settings", "configuration") or member.name == _OVERLAY:
            continue
        place = _place(member.name, places)
        if place is None:
            said.append(f"left out: {member.name}, which has no place on this machine")
            continue
        count += 1
        _small(found.folder / member.name, place, member)
    if count:
        said.append(f"files: {count}")
    return said


def _place(name: str, places: Places) -> Path | None:
    """Where a member belongs; ``None``: this machine has no place for it."""
    top, _, rest = name.partition("/")
    if top == "state":
        return places.state / rest
    if top == "config":
        return places.config.parent / rest if places.has_config_folder else None
    return places.broker / BROKER[rest] if places.has_broker else None


def _put_back_before(own: BackupRecords) -> tuple[str, str]:
    try:
        return own.journal_put_back()
    except (OSError, ValueError):
        return "", ""


def _id_of(journal: Path) -> str:
    """Empty where it cannot be read."""
    try:
        with closing(sqlite3.connect(uri(journal, "ro"), uri=True)) as db:
            (id,) = db.execute("SELECT value FROM meta WHERE key = 'journal'").fetchone() or ("",)
    except sqlite3.Error:
        return ""
    return str(id)


def _journal(found: Unpacked, places: Places, start: Start) -> str:
    """Its new id."""
    journal = places.state / "journal.sqlite"
    id = journal_backup.restore(
        found.folder / "state/journal.sqlite",
        journal,
        start.boot,
        start.utc_offset_ms,
        keep_calls=start.keep_calls,
        source=found.file,
    )
    _give(journal)
    return id


def _give(path: Path) -> None:
    """Give a file that root has made to the owner of its folder."""
    if os.geteuid() == 0:
        owner = path.parent.stat()
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def _folder(path: Path, mode: int) -> int:
    """A descriptor of the folder of a file, which is made where it is missing."""
    if not path.parent.exists():
        path.parent.mkdir(mode=mode, parents=True)
        _give(path.parent)
    return target.open_folder(path.parent)


def _database(source: Path, place: Path | None, member: Member) -> str:
    assert place is not None  # noqa: S101 - it lies in the state folder
    if member.name.startswith("state/web/"):
        with closing(sqlite3.connect(source, isolation_level=None)) as db:
            remove_sessions(db)
    fd = _folder(place, 0o750)
    said = f"{member.name.removeprefix('state/')}: {member.size:,} bytes"
    try:
        if _is_there(source, place):
            return said
        owner = os.fstat(fd)
        with source.open("rb") as data, target.replacing(fd, place) as out:
            while chunk := data.read(1 << 20):
                out.write(chunk)
            _give_open(out, 0o600, owner.st_uid, owner.st_gid)
            if place.exists():
                away = set_aside.next_name(place, set_aside.SEEN)
                set_aside.move(place, away, salvaged=True)
    finally:
        os.close(fd)
    return said


def _is_there(source: Path, place: Path) -> bool:
    """Whether a restore that was cut short has put it back, and nothing has changed since."""
    log = set_aside.beside(place, "-wal")
    try:
        return filecmp.cmp(source, place, shallow=False) and not (
            log.exists() and log.stat().st_size
        )
    except OSError:
        return False


def _overlay(found: Unpacked, places: Places) -> list[str]:
    """Put the settings of the page back. The present version becomes an earlier one: undo brings it
    back."""
    file = Store(places.state / "overlay.yaml")
    source = found.folder / _OVERLAY
    data = source.read_bytes() if source.exists() else b""
    present = _read(file.path)
    if data == (present or b""):
        return ["settings of the page: the same as here"]
    last = max((int(name.partition("-")[0]) for name in _versions(file.folder)), default=0)
    _write(file.folder / f"{last + 1:08}-{version(present)}.yaml", present or b"", 0o644)
    _write(file.path, data, 0o644)
    return ["settings of the page: put back; undo on the page brings the ones before back"]


def _read(path: Path) -> bytes | None:
    """``None``: there is no such file, or none that can be read."""
    try:
        with target.found(path) as fd:
            return regular.read(target.path_of(fd))
    except OSError:
        return None


def _versions(folder: Path) -> list[str]:
    return [one.name for one in folder.glob("[0-9]*-*.yaml") if one.name.split("-")[0].isdigit()]


def _write(path: Path, data: bytes, mode: int) -> None:
    """Write a file and give it to the owner of its folder."""
    fd = _folder(path, 0o750)
    try:
        owner = os.fstat(fd)
        with target.replacing(fd, path) as out:
            out.write(data)
            _give_open(out, mode, owner.st_uid, owner.st_gid)
    finally:
        os.close(fd)


def _give_open(out: BinaryIO, mode: int, uid: int, gid: int) -> None:
    os.fchmod(out.fileno(), mode)
    if os.geteuid() == 0:
        os.fchown(out.fileno(), uid, gid)


def _small(source: Path, place: Path, member: Member) -> None:
    data = source.read_bytes()
    if member.name == f"state/backup/{KEY}":
        if not place.exists():  # the backups of this machine are encrypted for the key it has
            _write(place, data, 0o600)
    elif member.name.startswith("state/"):
        _write(place, data, member.mode)
    else:
        fd = _folder(place, 0o755)
        try:
            _keep_before(fd, place, data)
            with target.replacing(fd, place) as out:
                out.write(data)
                _give_open(out, member.mode, _uid(member.owner), _gid(member.group))
        finally:
            os.close(fd)


def _keep_before(fd: int, place: Path, data: bytes) -> None:
    """Keep the file that is replaced beside the new one. Where an earlier restore has kept one,
    that one stays: it is the file from before both."""
    with contextlib.suppress(OSError):
        if regular.read(place) == data:
            return
    with contextlib.suppress(FileNotFoundError, FileExistsError):
        os.link(place.name, f"{place.name}{BEFORE}", src_dir_fd=fd, dst_dir_fd=fd)


def _uid(name: str) -> int:
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        return 0


def _gid(name: str) -> int:
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        return 0
