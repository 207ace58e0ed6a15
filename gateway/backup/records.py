"""What the machine knows of its backups, in ``STATE/backup``. In an installation only root reads
it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gateway import durable, regular
from gateway.backup import key
from gateway.journal.backup import BackupError

FOLDER = "backup"
KEY, LAST, PROVED, RESTORING, LOCK = (
    "key.json",
    "last.json",
    "proved.json",
    "restoring.json",
    "lock",
)
_WORK = "work-"


@dataclass(frozen=True, slots=True)
class LastBackup:
    """The last backup that was made. ``at_s``: seconds since 1970; ``by_itself``: by the timer."""

    file: str
    at_s: float
    bytes: int
    encrypted: bool
    by_itself: bool


class BackupRecords:
    """The folder below this state folder. Reading raises :class:`OSError`, and for a damaged file
    :class:`ValueError`, :class:`KeyError` or :class:`TypeError`."""

    def __init__(self, state: Path) -> None:
        self.path = state / FOLDER

    def prepare(self) -> None:
        """Make the folder where it is missing, and check that nobody else may write it. Raises
        :class:`BackupError`."""
        try:
            with contextlib.suppress(FileExistsError):
                self.path.mkdir(mode=0o700, parents=True)
            found = self.path.lstat()
        except OSError as error:
            raise BackupError(
                f"{self.path} cannot be made ({error.strerror}): run this with sudo"
            ) from error
        if found.st_uid != os.geteuid():
            raise BackupError(f"{self.path} belongs to another user: run this with sudo")
        if not stat.S_ISDIR(found.st_mode) or stat.S_IMODE(found.st_mode) & 0o022:
            raise BackupError(
                f"others may write {self.path}, which has the key of the backups: find out who "
                f"changed its rights, then: sudo chmod 700 {self.path}"
            )

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the folder. Raises :class:`BackupError` where another backup or restore runs."""
        fd = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise BackupError(
                    "another backup or restore runs on this machine: wait until it has ended"
                ) from None
            for left in self.path.glob(f"{_WORK}*"):  # of one that was killed
                shutil.rmtree(left, ignore_errors=True)
            yield
        finally:
            os.close(fd)

    @contextmanager
    def work(self) -> Iterator[Path]:
        """An empty folder that is removed afterwards."""
        folder = Path(tempfile.mkdtemp(prefix=_WORK, dir=self.path))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def public_key(self) -> key.PublicKey | None:
        data = self._bytes(KEY)
        return None if data is None else key.read_public(data)

    def store_key(self, public: key.PublicKey) -> None:
        self.remove(PROVED)
        self._write(KEY, public.to_json())

    def last(self) -> LastBackup | None:
        found = self._read(LAST)
        try:
            return None if found is None else LastBackup(**found)
        except TypeError as error:
            raise ValueError(str(error)) from error

    def store_last(self, last: LastBackup) -> None:
        self._write(LAST, asdict(last))

    def key_proved_at_s(self) -> float | None:
        """When the recovery key last opened a backup, in seconds since 1970."""
        found = self._read(PROVED)
        return None if found is None else float(found["at"])

    def store_key_proved(self, at_s: float) -> None:
        self._write(PROVED, {"at": at_s})

    def restoring(self) -> tuple[str, ...]:
        """The archives whose restore was interrupted, the last one at the end."""
        found = self._read(RESTORING)
        if found is None:
            return ()
        return (*(str(one) for one in found.get("before", ())), str(found["file"]))

    def journal_put_back(self) -> tuple[str, str]:
        """Of the restore that was cut short: the checksum of the journal that it has put back, and
        its new id; empty where it has not come so far."""
        found = self._read(RESTORING) or {}
        return str(found.get("sha256", "")), str(found.get("journal", ""))

    def begin_restore(self, file: Path, sha256: str = "", journal: str = "") -> bool:
        """Note it; others that were interrupted stay noted. Returns whether this one was among
        them. ``sha256`` and ``journal``: see :meth:`journal_put_back`."""
        name, noted = str(file.absolute()), self._noted()
        self._note([*(one for one in noted if one != name), name], sha256, journal)
        return name in noted

    def end_restore(self, file: Path, *, whole: bool) -> None:
        """It has ended. A ``whole`` one has replaced what others had begun. One of some parts, or
        one that has changed nothing, leaves these as they are."""
        left = [] if whole else [one for one in self._noted() if one != str(file.absolute())]
        if left:
            self._note(left, *self.journal_put_back())
        else:
            self.remove(RESTORING)

    def _noted(self) -> tuple[str, ...]:
        try:
            return self.restoring()
        except (OSError, ValueError, KeyError, TypeError):  # another restore mends it
            return ()

    def _note(self, files: Sequence[str], sha256: str, journal: str) -> None:
        note = {"file": files[-1], "sha256": sha256, "journal": journal, "before": files[:-1]}
        self._write(RESTORING, note)

    def remove(self, name: str) -> None:
        (self.path / name).unlink(missing_ok=True)
        durable.sync_folder(self.path)

    def _bytes(self, name: str) -> bytes | None:
        try:
            return regular.read(self.path / name)
        except FileNotFoundError:
            return None

    def _read(self, name: str) -> Mapping[str, Any] | None:
        data = self._bytes(name)
        found = None if data is None else json.loads(data)
        if found is not None and not isinstance(found, Mapping):
            raise ValueError(f"{self.path / name} is no mapping")
        return found

    def _write(self, name: str, value: Mapping[str, object]) -> None:
        durable.replace(self.path / name, json.dumps(value).encode() + b"\n", 0o600)
