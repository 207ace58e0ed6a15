"""Every file that Portier reads back: where its version stands, and what becomes of another one.

``portier doctor`` and ``portier check`` name the files of a state folder that this version does not
understand, before an update starts anything.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from gateway.app.findings import Finding, no, unknown, yes
from gateway.backup import archive
from gateway.core.building.saved_state import FORMAT as KEPT_FORMAT
from gateway.core.building.saved_state import read as read_state
from gateway.formats import Database, UnknownFormat, uri
from gateway.journal import recovery, schema, store
from gateway.journal.pages import Pages
from gateway.link import saved
from gateway.recorder import rejects, state
from gateway.recorder.stores import recent, sqlite
from gateway.set_aside import beside
from gateway.settings.plan import cache
from gateway.sites import keys as site_keys
from gateway.web.storage import store as users

DAMAGED = (*schema.DAMAGED, OSError, ValueError)


@dataclass(frozen=True, slots=True)
class Format:
    """One kind of file. ``files``: a pattern within the state folder, empty for those elsewhere.
    ``version``: what this version writes, ``None`` where the file has none. ``older``: what becomes
    of a file of an earlier version; ``newer``: of one that is not understood. ``check`` raises
    :class:`UnknownFormat`. ``in_use``: an update has to wait until it is understood."""

    name: str
    files: str
    version: int | None
    where: str
    older: str
    newer: str
    check: Callable[[Path], object] | None = None
    in_use: bool = True


NONE_BEFORE = "there is none"
MIGRATED = "migrated in one transaction (0: of version 0.1)"
REFUSED = "the role ends with exit status 78 and names it; nothing is written"
REBUILT = "made again from the configuration"


def _journal(path: Path) -> None:
    recovery.inspect(path)


def _kept(path: Path) -> None:
    """The saved state within a journal of this version."""
    with closing(sqlite3.connect(uri(path, "ro"), uri=True)) as db:
        found, _ = store.read_state(db)
    format = read_state(found or {}).unknown_format
    if format:
        raise UnknownFormat(path, "the state saved for a restart", format, (KEPT_FORMAT,))


def _link(path: Path) -> None:
    found = json.loads(path.read_text(encoding="utf-8"))
    version = found.get("format") if isinstance(found, dict) else "unreadable"
    if version != saved.FORMAT:
        raise UnknownFormat(path, "the state of the link", str(version), (saved.FORMAT,))


def _set_aside(path: Path) -> None:
    """A journal of another version that is set aside is not in use, and still of use."""
    if not path.name.endswith(("-wal", "-shm")):
        found = path.name.partition(".schema-")[2].rpartition("-20")[0]
        error = UnknownFormat(path, "a journal that was set aside", found, schema.UNDERSTOOD)
        error.remedy = f"install the version that wrote it, then: portier restore {path}"
        raise error


def _database(name: str, files: str, database: Database) -> Format:
    def check(path: Path) -> None:
        try:
            database.check(path, busy_s=0)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise
            database.understood(path, _version_in_use(path))

    return Format(name, files, database.version, "PRAGMA user_version", MIGRATED, REFUSED, check)


def _version_in_use(path: Path) -> int:
    """The version in a file that is locked: the recorder keeps two of its files for itself while
    it runs. It is in the head of the file, or in a newer one in its write-ahead log."""
    with closing(Pages(path, beside(path, "-wal"))) as pages:
        head = pages.page(1)
    if not head.startswith(b"SQLite format 3\0"):
        raise ValueError("its head cannot be read")
    return int.from_bytes(head[60:64], "big", signed=True)


FORMATS: tuple[Format, ...] = (
    Format(
        "journal",
        "journal.sqlite",
        schema.VERSION,
        "table meta, key schema",
        NONE_BEFORE,
        "set aside as it is; a new journal goes on with the saved state (journal_set_aside)",
        _journal,
    ),
    Format(
        "saved state",
        "journal.sqlite",
        KEPT_FORMAT,
        "journal, table meta, key kept: format",
        "0.1 wrote no version: it is this one",
        "what can be read is used; doors are in night, unread calls are alarms (state_unread)",
        _kept,
    ),
    Format(
        "reserve of the saved state",
        "journal.sqlite.reserve",
        1,
        "the first bytes of each slot",
        NONE_BEFORE,
        "not read: what the journal has saved counts; the file is written anew",
    ),
    Format(
        "journal set aside",
        "journal.sqlite.schema-*",
        None,
        "its name",
        NONE_BEFORE,
        "kept within the limit of set-aside journals; portier restore puts it back",
        _set_aside,
        in_use=False,
    ),
    Format(
        "backup",
        "",
        archive.FORMAT,
        "manifest.json, the first member of the archive: format",
        "a journal alone, as 0.1 wrote it: put back, with the version of the journal",
        "portier restore refuses it and names it; nothing is changed",
    ),
    Format(
        "key of the backups",
        "backup/key.json",
        None,
        "none",
        NONE_BEFORE,
        "no backup is made; portier backup --new-key makes another key",
    ),
    Format(
        "key for push messages",
        "notify/vapid.*",
        None,
        "none",
        NONE_BEFORE,
        "messages to devices fail; without the two files notify makes new ones at its start, and"
        " each device has to be registered again",
    ),
    Format(
        "notes of the backups",
        "backup/[lpr]*.json",
        None,
        "none",
        NONE_BEFORE,
        "portier doctor says that they cannot be read, and what to do",
    ),
    _database("users", "web/web.sqlite", users.FORMAT),
    _database("recorder", "record/recorder-*.sqlite", state.FORMAT),
    _database("not taken by the store", "record/recorder-*.aside.sqlite", rejects.FORMAT),
    _database("embedded store", "record/record*.sqlite", sqlite.FORMAT),
    _database("readings that wait", "record/*-recent", recent.FORMAT),
    Format(
        "link",
        "link/link.json",
        saved.FORMAT,
        "format",
        NONE_BEFORE,
        "moved to link.json.format-…; the link begins anew",
        _link,
    ),
    Format("plan", "plan/*.json", cache.FORMAT, "format", REBUILT, REBUILT),
    Format(
        "keys of the centre",
        f"{site_keys.FOLDER}/{site_keys.FILE}",
        site_keys.FORMAT,
        "format",
        NONE_BEFORE,
        "no command is sent, portier site names it; nothing is written",
        site_keys.check,
    ),
    Format(
        "settings of the page",
        "overlay.yaml",
        None,
        "the keys of the configuration",
        "read",
        "left out whole, the configuration stands alone (overlay_broken)",
    ),
    Format("relays of the last start", "outputs.json", None, "none", REBUILT, REBUILT),
    Format(
        "tolerated wiring",
        "accepted-wiring.json",
        None,
        "none",
        "read",
        "taken for an empty list: the wiring is refused by name",
    ),
    Format(
        "key of the links in messages",
        "link.key",
        None,
        "none: 32 random bytes",
        "read",
        "links that were sent before are refused",
    ),
    Format("ports of the embedded broker", "broker.toml", None, "none", REBUILT, REBUILT),
)


def files_of(format: Format, folder: Path) -> list[Path]:
    """The files of a kind in a state folder. Of the recorder's three each has its own pattern."""
    if not format.files:
        return []
    found = [path for path in sorted(folder.glob(format.files)) if path.is_file()]
    if format.name == "recorder":
        found = [path for path in found if not path.name.endswith(".aside.sqlite")]
    if format.name == "embedded store":
        found = [path for path in found if not path.name.startswith("recorder-")]
    return found


def _looked(folder: Path) -> Iterator[tuple[Format, Path, Exception | None]]:
    """Each file whose version can be checked, with what was wrong about that."""
    for format in FORMATS:
        if format.check is None:
            continue
        for path in files_of(format, folder):
            try:
                format.check(path)
            except (UnknownFormat, *DAMAGED) as error:
                yield format, path, error
            else:
                yield format, path, None


def unknown_files(folder: Path) -> tuple[list[UnknownFormat], dict[Path, str]]:
    """What is in use and this version does not understand; and what cannot be read now, so that
    nobody knows, with the reason."""
    unknown: list[UnknownFormat] = []
    unread: dict[Path, str] = {}
    for format, path, error in _looked(folder):
        if not format.in_use or error is None:
            continue
        if isinstance(error, UnknownFormat):
            unknown.append(error)
        else:
            unread[path] = str(error)
    return unknown, unread


def examine(folder: Path) -> Iterator[Finding]:
    """What ``portier doctor`` says of the files of a state folder."""
    seen: dict[str, None] = {}
    for format, path, error in _looked(folder):
        if isinstance(error, UnknownFormat):
            yield no(f"formats: {error.name}", error.remedy, format.newer)
        elif error is not None:
            text = f"formats: the version of {path} cannot be read now"
            yield unknown(text, "sudo portier doctor; see journal, store and page", str(error))
        else:
            seen[format.name] = None
    if seen:
        yield yes(f"formats: {', '.join(seen)}", "each version was read just now")
