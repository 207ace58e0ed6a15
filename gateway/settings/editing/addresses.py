"""The addresses that were entered on the page: one file each, in a folder of their own.

``control`` writes the folder and ``notify`` reads it; nobody else can, whatever else they may read
of the state. The overlay and everything else names an address by its id, which says nothing.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from gateway import durable
from gateway.settings.values.problems import Problem, SettingsError, phrase
from gateway.settings.values.recipients import LONGEST, Recipient, RecipientError, read, recipient
from gateway.settings.values.secrets import ADDRESSES, SecretError, of_page

GROUP = "portier-address"
"""Who may read them where Portier is installed: ``control`` and ``notify``."""
MOST = 100
BYTES_MOST = 2 * LONGEST
_ID = re.compile(r"[0-9a-f]{16}\Z")


@dataclass(frozen=True, slots=True)
class Addresses:
    """The folder below ``state``, and what ``hosts`` the configuration allows beyond the rules."""

    state: Path
    hosts: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        return self.state / ADDRESSES

    def add(self, entered: Mapping[str, object]) -> dict[str, str]:
        """Save addresses as ``{key: {"kind": …, "to": …}}`` says; the new id of each. Raises
        :class:`SettingsError` with what is wrong with each, and then saves none."""
        wanted: dict[str, Recipient] = {}
        problems = []
        for key, one in entered.items():
            fields = one if isinstance(one, Mapping) else {}
            kind, to = str(fields.get("kind", "")), str(fields.get("to", ""))
            try:
                wanted[key] = recipient(kind, to, self.hosts)
            except RecipientError as error:
                at = f"addresses.{key[:60]}"
                problems.append(Problem("", 0, 0, at, error.message, error.hint))
        if not problems and len(self._ids()) + len(wanted) > MOST:
            text = phrase("there are more than {most} addresses", most=MOST)
            problems.append(Problem("", 0, 0, "addresses", text, phrase("remove some first")))
        if problems:
            raise SettingsError(problems)
        if wanted:
            self._prepare()
        return {key: self._write(one) for key, one in wanted.items()}

    def masked(self, id: str) -> tuple[str, str]:
        """Kind and what may be shown of it. Empty texts: there is none, or it cannot be used."""
        try:
            found = read(of_page(id, self.state).read(), self.hosts)
        except (SecretError, RecipientError):
            return "", ""
        return found.kind, found.masked()

    def keep(self, ids: Collection[str]) -> None:
        """Remove every address that nothing names any more."""
        for path in self._files():
            if path.name not in ids:
                with contextlib.suppress(OSError):
                    path.unlink()

    def remove(self, ids: Collection[str]) -> None:
        for id in ids:
            (self.folder / id).unlink(missing_ok=True)

    def _ids(self) -> set[str]:
        return {path.name for path in self._files() if _ID.match(path.name)}

    def _files(self) -> list[Path]:
        try:
            return [path for path in self.folder.iterdir() if not path.is_dir()]
        except OSError:
            return []

    def _write(self, one: Recipient) -> str:
        id = secrets.token_hex(8)
        new = self.folder / f"{id}.new"
        durable.write(new, one.written(), 0o600)
        if _share(new):
            new.chmod(0o640)
        new.replace(self.folder / id)
        return id

    def _prepare(self) -> None:
        """The folder for the two roles; where there is no such group, for the one user that all
        roles have. It inherits a group that more may read."""
        with contextlib.suppress(FileExistsError):
            self.folder.mkdir(mode=0o700)
        if self.folder.stat().st_uid == os.geteuid():
            self.folder.chmod(0o750 if _share(self.folder) else 0o700)


def _share(path: Path) -> bool:
    """Whether the group of the two roles has it now."""
    with contextlib.suppress(KeyError, ImportError, PermissionError):
        import grp

        os.chown(path, -1, grp.getgrnam(GROUP).gr_gid)
        return True
    return False
