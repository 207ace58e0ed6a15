"""What belongs in a backup, and where each part is on the machine."""

from __future__ import annotations

import errno
import grp
import os
import pwd
import re
import shutil
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from gateway import regular
from gateway.backup import target
from gateway.backup.archive import FILES_MOST, OWNERS, ROOM_LEFT, SMALL_MOST, Source
from gateway.formats import uri
from gateway.journal import backup as journal_backup
from gateway.journal.backup import BackupError

BROKER = {"portier.acl": "portier.acl", "portier.conf": "conf.d/portier.conf"}
"""Name in the archive -> below the folder of Mosquitto."""
PARTS = ("journal", "users", "settings", "configuration", "store")
"""Parts of a backup, each of which can be put back alone."""
LEFT_OUT = {
    "journal.sqlite?*": "logs, which are in the copy; the reserve, which the journal takes at a"
    " start; what is repaired or set aside",
    "web/web.sqlite?*": "logs, which are in the copy; what is repaired or set aside",
    "record/recorder-*": "what the recorder has accounted for: it asks for what its store lacks",
    "record/*.sqlite?*": "logs, which are in the copy; the newest readings, which the journal has",
    "record/*.broken*": "set aside",
    "link/*": "what the broker refuses, which the journal has; what Home Assistant was told",
    "push/*": "devices for push messages: they register again",
    "notify/*": "the key for push messages: devices register again",
    "plan/*": "made anew from the configuration",
    "overlay.before/*": "earlier versions",
    "overlay.new": "what is being written",
    "overlay.trial": "what is being tried",
    "outputs.*": "written at each start",
    "accepted-wiring.new": "what is being written",
    "backup/lock": "held while one is made",
    "backup/*.new": "what is being written",
    "backup/work-*": "what is being packed or put back",
    "backup/last.json": "about the backups of this machine",
    "backup/proved.json": "about the key of this machine",
    "backup/restoring.json": "about a restore on this machine",
    "sites/keys*": "the keys of the centre: a backup would carry every gateway; enrol again",
    "control.lock": "held while it runs",
    "link.*": "a key of this machine, made anew",
    "broker.toml": "made anew",
    "panel.sock": "a socket",
}
"""Files below the state folder that no archive has, and why (``*`` matches ``/``, too). Every other
one that a role writes is packed: a test makes a backup after a rich run and compares."""
_SECRET = ("secrets", "environment")
"""Names in the folder of the configuration that are secret; files with private keys are, too."""
_PRIVATE = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")
PROGRAM = Path("/opt/portier")
"""Where versions of the program are installed."""
PAGES_PER_STEP = 256


@dataclass(frozen=True, slots=True)
class Places:
    """Where things are on this machine. ``config``: the file of the configuration."""

    config: Path
    state: Path

    @property
    def broker(self) -> Path:
        """The folder of Mosquitto: beside that of the configuration, which is /etc/portier."""
        return self.config.absolute().parent.parent / "mosquitto"

    @property
    def has_config_folder(self) -> bool:
        """Whether the configuration has a folder of its own, as in /etc/portier. That of a checkout
        has other files beside it: it is in no backup and is never replaced."""
        return self.config.parent.name == "portier" and self.config.name == "portier.yaml"

    @property
    def has_broker(self) -> bool:
        return self.has_config_folder and self.broker.is_dir()


def part_of(name: str) -> str:
    """The one of :data:`PARTS` that a member of the archive belongs to."""
    if name.startswith(("config/", "broker/", "state/backup/")):
        return "configuration"
    if name == "state/journal.sqlite":
        return "journal"
    if name.startswith("state/web/"):
        return "users"
    return "store" if name.startswith("state/record/") else "settings"


class Contents:
    """Collects the files of a backup. ``secret``: with what others must not read: addresses,
    secrets and private keys. ``store``: with the history of the recorder. ``left_out`` names what
    is not taken."""

    def __init__(self, places: Places, work: Path, *, secret: bool, store: bool) -> None:
        self._places, self._work = places, work
        self._secret, self._store = secret, store
        self.left_out: list[str] = []
        self.gateway = "gateway"

    def collect(self, progress: Callable[[float], None] = lambda _: None) -> list[Source]:
        """Copies of all databases, and the small files. Raises :class:`BackupError`."""
        try:
            self._check_room()
            # Users first: what they leave for the audit chain is in one of the two at least.
            found = [*self._users(), *self._journal(progress), *self._history()]
            found += [*self._settings(), *self._configuration()]
        except (OSError, sqlite3.Error) as error:
            raise BackupError(_because(error)) from error
        if len(found) > FILES_MOST:
            raise BackupError(
                f"there are {len(found):,} files, and an archive takes {FILES_MOST:,}; move what "
                f"does not belong to the configuration out of {self._places.config.parent}"
            )
        return found

    # --- databases ------------------------------------------------------------------------

    def _databases(self) -> list[Path]:
        state = self._places.state
        found = [state / "journal.sqlite", state / "web/web.sqlite"]
        return [one for one in [*found, *self._stores()] if one.exists()]

    def _stores(self) -> list[Path]:
        if not self._store:
            return []
        files = sorted((self._places.state / "record").glob("*.sqlite"))
        return [one for one in files if not one.name.startswith("recorder-")]

    def _check_room(self) -> None:
        needed = sum(one.stat().st_size for one in self._databases()) + ROOM_LEFT
        free = shutil.disk_usage(self._work).free
        if needed > free:
            raise BackupError(
                f"a copy of the databases needs {needed // 1_000_000:,} MB at {self._work.parent}, "
                f"and {free // 1_000_000:,} MB are free; make room (df -h)"
            )

    def _journal(self, progress: Callable[[float], None]) -> Iterator[Source]:
        copy = self._work / "journal.sqlite"
        path = self._places.state / "journal.sqlite"
        if not path.exists():
            raise BackupError(
                f"there is no {path}: start the gateway once, or name its folder with --state"
            )
        try:
            with target.found(path) as fd:

                def checked(done: float) -> None:
                    target.check_opened(fd, path)
                    progress(done)

                journal_backup.backup(target.real_path(fd), copy, checked)
        except BackupError as error:
            cause = error.__cause__
            raise BackupError(_because(cause if isinstance(cause, Exception) else error)) from cause
        _check_whole(path, copy)
        with closing(sqlite3.connect(copy)) as db:
            row = db.execute(
                "SELECT subject FROM series WHERE kind = 'gateway_started' ORDER BY id DESC"
            ).fetchone()
        self.gateway = str(row[0]) if row else "gateway"
        yield Source("state/journal.sqlite", copy)

    def _users(self) -> Iterator[Source]:
        path = self._places.state / "web/web.sqlite"
        if not path.exists():
            self.left_out.append("users and test book: there are none yet")
            return
        copy = self._work / "web.sqlite"
        copy_database(path, copy)
        _check_whole(path, copy)
        with closing(sqlite3.connect(copy, isolation_level=None)) as db:
            remove_sessions(db)
            if not self._secret:
                db.execute("DELETE FROM secrets")  # made anew where they are missing
                self.left_out.append("the keys that sign what the page hands out")
        yield Source("state/web/web.sqlite", copy)

    def _history(self) -> Iterator[Source]:
        if not self._store:
            self.left_out.append("the history of the recorder (--store takes that of SQLite along)")
        for path in self._stores():
            copy = self._work / f"store-{path.name}"
            copy_database(path, copy)
            _check_whole(path, copy)
            yield Source(f"state/record/{path.name}", copy)

    # --- files ----------------------------------------------------------------------------

    def _settings(self) -> Iterator[Source]:
        state = self._places.state
        paths = [state / "overlay.yaml", state / "accepted-wiring.json"]
        addresses = sorted(
            one for one in _listed(state / "addresses") if re.fullmatch("[0-9a-f]{16}", one.name)
        )
        if self._secret:
            paths += [*addresses, state / "backup/key.json"]
        elif addresses:
            self.left_out.append(
                f"{len(addresses)} addresses of people that were entered on the page"
            )
        for path in paths:
            if path.exists():
                yield self._small(f"state/{path.relative_to(state)}", path)

    def _configuration(self) -> Iterator[Source]:
        folder = self._places.config.parent
        if not self._places.has_config_folder:
            self.left_out.append(f"the configuration: {folder} is no folder of an installation")
            return
        if not self._places.config.exists():
            self.left_out.append(f"{self._places.config}: there is none")
        for path in sorted(folder.rglob("*")):
            inside = path.relative_to(folder)
            name = f"config/{inside}"
            if path.is_dir() and not path.is_symlink():
                continue
            if path.is_symlink() and path.readlink().is_relative_to(PROGRAM):
                continue  # schema.json: each version brings its own
            if not path.is_file():  # a socket, a pipe, a link to nothing or to a folder
                self.left_out.append(f"{path}: not a file")
            elif len(inside.parts) > 6 or ".before-restore" in path.name:
                self.left_out.append(str(path))
            elif not self._secret and _is_secret(inside, path):
                self.left_out.append(f"{path}: secret")
            else:
                yield self._small(name, path)
        for name, below in BROKER.items():
            path = self._places.broker / below
            if path.is_file():
                yield self._small(f"broker/{name}", path)

    @staticmethod
    def _small(name: str, path: Path) -> Source:
        with target.found(path) as fd:
            found = os.fstat(fd)
            if found.st_size > SMALL_MOST:
                raise BackupError(
                    f"{path} has {found.st_size:,} bytes, too many for a file of a configuration; "
                    "move it elsewhere"
                )
            data = regular.read(target.path_of(fd))
        owner, group = user_name(found.st_uid), group_name(found.st_gid)
        return Source(name, data, stat.S_IMODE(found.st_mode) & 0o755, owner, group)


def _listed(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except FileNotFoundError:
        return []


def _is_secret(inside: Path, path: Path) -> bool:
    return inside.parts[0] in _SECRET or bool(
        _PRIVATE.search(regular.read(path)[:SMALL_MOST].decode("ascii", "replace"))
    )


def copy_database(path: Path, to: Path) -> None:
    """Make a consistent copy of an SQLite file, without its log, while others go on writing it."""
    os.close(os.open(to, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
    with (
        target.found(path) as fd,
        closing(
            sqlite3.connect(uri(target.real_path(fd), "ro"), uri=True, isolation_level=None)
        ) as reading,
        closing(sqlite3.connect(to, isolation_level=None)) as copy,
    ):
        reading.execute("SELECT 1 FROM sqlite_master").fetchone()  # opens it
        target.check_opened(fd, path)
        reading.backup(copy, pages=PAGES_PER_STEP, sleep=0.0)
        copy.execute("PRAGMA journal_mode = DELETE").fetchone()


def damage_of(database: Path) -> str:
    """What SQLite finds wrong in it; empty: it is whole."""
    try:
        with closing(sqlite3.connect(database)) as db:
            said = str(db.execute("PRAGMA integrity_check(1)").fetchone()[0])
    except sqlite3.Error as error:
        return str(error)
    return "" if said == "ok" else said.splitlines()[-1]


def _check_whole(path: Path, copy: Path) -> None:
    """A restore refuses what is damaged, so it must not push out older ones that are whole."""
    if found := damage_of(copy):
        raise BackupError(
            f"{path} is damaged ({found}), and older backups are kept: restart Portier, which "
            "mends it as far as it can; sudo portier doctor says more"
        )


def remove_sessions(db: sqlite3.Connection) -> None:
    """Remove the log-ins: one that was ended after the backup must not be valid again."""
    db.execute("PRAGMA secure_delete = ON").fetchone()
    if db.execute("SELECT 1 FROM sqlite_master WHERE name = 'sessions'").fetchone():
        db.execute("DELETE FROM sessions")


def user_name(uid: int) -> str:
    """The name of this user, where a restore may give files to it; else ``root``."""
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        return "root"
    return name if OWNERS.fullmatch(name) else "root"


def group_name(gid: int) -> str:
    try:
        name = grp.getgrgid(gid).gr_name
    except KeyError:
        return "root"
    return name if OWNERS.fullmatch(name) else "root"


def _because(error: Exception) -> str:
    """What is wrong, and what to do."""
    text = str(error)
    if isinstance(error, PermissionError):
        return f"{text}: run this with sudo"
    if getattr(error, "errno", None) == errno.ENOSPC or "disk is full" in text:
        return f"{text}: make room (df -h)"
    if isinstance(error, sqlite3.Error):
        return f"{text}: sudo portier doctor says what is wrong with the databases"
    return f"{text}: sudo portier doctor looks at the disk"
