"""The releases on the disk, which of them runs, and the one rename that changes that.

    /opt/portier/releases/0.2.0/    a release: program, units, environment (.venv), release.json
    /opt/portier/current            a link to the release that runs; units start from here
    /opt/portier/previous           a link to the one before: the way back
    /opt/portier/update.json        there while an update has switched and is not verified yet

``release.json`` is written last: a folder without it is half built, and is never made current.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from gateway.update.errors import UpdateError

HOME = Path("/opt/portier")
NOTE = "release.json"
INCOMING = "incoming-"
"""Folders in which archives are unpacked."""
_VERSION = re.compile(r'^__version__ = "([0-9][0-9A-Za-z.+]*)"$', re.M)


@dataclass(frozen=True, slots=True)
class Release:
    """A complete release. ``digest``: of the files that it was made from, and of the Python."""

    folder: Path
    version: str
    digest: str

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def python(self) -> Path:
        return self.folder / ".venv/bin/python"

    @property
    def portier(self) -> Path:
        return self.folder / ".venv/bin/portier"


def sync_folder(folder: Path) -> None:
    """Make renames in this folder survive a power cut."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def link(place: Path, target: Path | str) -> bool:
    """Make ``place`` a link to ``target``, by one rename, whatever was there. Whether it was
    another one."""
    if place.is_symlink() and os.readlink(place) == str(target):
        return False
    new = place.with_name(f".{place.name}.new")
    new.unlink(missing_ok=True)
    new.symlink_to(target)
    new.replace(place)
    sync_folder(place.parent)
    return True


def write(file: Path, text: str) -> None:
    """Replace a file whole and durably."""
    new = file.with_name(f".{file.name}.new")
    with new.open("w", encoding="utf-8") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    new.replace(file)
    sync_folder(file.parent)


def version_of(source: Path) -> str:
    """The version of a tree of files. Raises :class:`UpdateError`."""
    file = source / "gateway/__init__.py"
    try:
        found = _VERSION.search(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UpdateError(
            f"{source} is no Portier: {file} cannot be read ({error.strerror}).",
            "Name a checkout of Portier, or an archive portier-VERSION-release.tar.gz.",
        ) from None
    if found is None:
        raise UpdateError(f"{file} names no version.", "Take a checkout or archive that is whole.")
    return found[1]


def order(version: str) -> tuple[tuple[int, str], ...]:
    """A key that sorts versions: 0.9 before 0.10, and 0.2.0rc1 before 0.2.0."""
    parts = re.findall(r"\d+|[A-Za-z]+", version.partition("+")[0])
    return (*((int(part), "") if part.isdigit() else (-1, part) for part in parts), (0, ""))


@dataclass(frozen=True, slots=True)
class Pending:
    """An update that has switched, or was about to. ``back``: the release to go back to.
    ``roles`` and ``guarantees``: the units that were active, and what was *yes*, before."""

    to: str
    back: str
    roles: tuple[str, ...]
    guarantees: tuple[str, ...]


class Layout:
    """All of it below one folder."""

    def __init__(self, home: Path = HOME) -> None:
        self.home = home
        self.releases = home / "releases"
        self._pending = home / "update.json"

    def read(self, folder: Path) -> Release | None:
        """The release in a folder; ``None``: there is none, or it is half built."""
        try:
            note = json.loads((folder / NOTE).read_text(encoding="utf-8"))
            return Release(folder, str(note["version"]), str(note["digest"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def named(self, name: str) -> Release | None:
        return self.read(self.releases / name)

    def all(self) -> list[Release]:
        """Every complete release, the one that was made last at first."""
        if not self.releases.is_dir():
            return []
        folders = [one for one in self.releases.iterdir() if (one / NOTE).is_file()]
        folders.sort(key=lambda one: (one / NOTE).stat().st_mtime_ns, reverse=True)
        return [found for one in folders if (found := self.read(one)) is not None]

    def current(self) -> Release | None:
        return self._linked("current")

    def previous(self) -> Release | None:
        return self._linked("previous")

    def _linked(self, name: str) -> Release | None:
        try:
            target = os.readlink(self.home / name)
        except OSError:
            return None
        return self.read(self.home / target)

    def make_current(self, release: Release) -> None:
        """The switch."""
        link(self.home / "current", f"releases/{release.name}")

    def make_previous(self, release: Release | None) -> None:
        if release is None:
            (self.home / "previous").unlink(missing_ok=True)
        else:
            link(self.home / "previous", f"releases/{release.name}")

    def folder_for(self, version: str, digest: str) -> Path:
        """Where a new release goes: its version, and a part of its digest where that is taken."""
        plain = self.releases / version
        return plain if self.read(plain) is None else self.releases / f"{version}+{digest[:8]}"

    def complete(self, folder: Path, version: str, digest: str) -> Release:
        """Declare a folder to be a release, once all of it is on the disk."""
        os.sync()
        write(folder / NOTE, json.dumps({"version": version, "digest": digest}) + "\n")
        return Release(folder, version, digest)

    # --- an update that may be cut short ----------------------------------------------------

    def begin(self, pending: Pending) -> None:
        write(self._pending, json.dumps(dataclasses.asdict(pending)) + "\n")

    def pending(self) -> Pending | None:
        try:
            note = json.loads(self._pending.read_text(encoding="utf-8"))
            roles, guarantees = tuple(note["roles"]), tuple(note["guarantees"])
            return Pending(str(note["to"]), str(note["back"]), roles, guarantees)
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def end(self) -> None:
        self._pending.unlink(missing_ok=True)
        sync_folder(self.home)

    # --- what goes --------------------------------------------------------------------------

    def half_built(self) -> list[Path]:
        """What an update that was cut short has left behind."""
        left = [one for one in self.home.glob(f"{INCOMING}*") if one.is_dir()]
        if self.releases.is_dir():
            left += [one for one in self.releases.iterdir() if self.read(one) is None]
        return sorted(left)

    def superfluous(self, *keep: Release | None) -> list[Release]:
        """The complete releases but these."""
        names = {one.name for one in keep if one is not None}
        return [one for one in self.all() if one.name not in names]

    @staticmethod
    def remove(folder: Path) -> None:
        """The note first: what is removed by half is half built."""
        (folder / NOTE).unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)

    def in_place(self) -> bool:
        """Whether an installation of before releases lies here: the program in this folder."""
        return (self.home / "gateway/__init__.py").is_file() and (self.home / ".venv").is_dir()

    def remove_in_place(self, parts: Collection[str]) -> None:
        for part in (*parts, ".venv", "portier.egg-info"):
            found = self.home / part
            if found.is_dir() and not found.is_symlink():
                shutil.rmtree(found, ignore_errors=True)
            else:
                found.unlink(missing_ok=True)
