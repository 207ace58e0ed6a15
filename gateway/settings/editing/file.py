"""The overlay as a file: how it is written, which version it is, and the versions before it.

A version is a digest of the file. ``undo`` is a copy of an earlier version, written as a new
one: what was undone can be had back in the same way.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from gateway import regular
from gateway.settings.values.problems import SettingsError, phrase
from gateway.settings.values.tree import Node, parse

VERSIONS_MOST = 20
BYTES_MOST = 200_000
"""Of one version."""
NONE = "none"
"""The version where there is no overlay: the configuration stands alone."""
LONGEST_TEXT = 500
_HEAD = re.compile(r"# ([\w:.-]+) (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)Z")


class SectionsWrong(ValueError):
    """What shall be written is no set of sections: texts, lists, mappings and references."""


class _Secret(str):
    __slots__ = ()


class _Address(str):
    __slots__ = ()


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_secret(dumper: yaml.SafeDumper, value: _Secret) -> yaml.Node:
    return dumper.represent_scalar("!secret", str(value), style='"')


def _represent_address(dumper: yaml.SafeDumper, value: _Address) -> yaml.Node:
    return dumper.represent_scalar("!address", str(value), style='"')


_Dumper.add_representer(_Secret, _represent_secret)
_Dumper.add_representer(_Address, _represent_address)


def _checked(value: object) -> Any:
    """``value`` as it is written; ``{"secret": name}`` and ``{"address": id}`` become
    references."""
    if isinstance(value, str) and len(value) <= LONGEST_TEXT:
        return value
    if isinstance(value, list):
        return [_checked(item) for item in value]
    if isinstance(value, Mapping):
        if set(value) == {"secret"} and isinstance(value["secret"], str):
            return _Secret(value["secret"][:LONGEST_TEXT])
        if set(value) == {"address"} and isinstance(value["address"], str):
            return _Address(value["address"][:LONGEST_TEXT])
        return {_checked(key): _checked(item) for key, item in value.items()}
    raise SectionsWrong(phrase("texts, lists, mappings and {{secret: name}} only"))


def text(sections: Mapping[str, Any], by: str, now_utc_ms: int) -> str:
    """The file. Raises :class:`SectionsWrong`."""
    when = datetime.fromtimestamp(now_utc_ms // 1000, UTC).replace(tzinfo=None).isoformat()
    head = f"# {re.sub(r'[^A-Za-z0-9_:.-]', '_', by)} {when}Z, written by the page Settings\n"
    body: str = yaml.dump(
        _checked(sections), Dumper=_Dumper, default_style='"', allow_unicode=True,
        sort_keys=False, width=1000,
    )  # fmt: skip
    return head + body


def plain(node: Node | None) -> Any:
    """A tree as texts, lists, mappings, ``{"secret": name}`` and ``{"address": id}``."""
    if node is None:
        return None
    if node.items is not None:
        return [plain(item) for item in node.items]
    if node.entries is not None:
        return {key: plain(value) for key, (_, value) in node.entries.items()}
    if node.of_page:
        return {"address": node.text}
    return {"secret": node.text} if node.secret else node.text


def version(data: bytes | None) -> str:
    return NONE if data is None else hashlib.sha256(data).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Version:
    """``by`` and ``utc_ms``: who wrote it and when, as its first line says."""

    version: str
    by: str
    utc_ms: int | None


@dataclass(frozen=True, slots=True)
class Store:
    """The overlay ``path`` and the versions before it, in a folder beside it."""

    path: Path

    @property
    def folder(self) -> Path:
        return self.path.with_suffix(".before")

    def data(self) -> bytes | None:
        try:
            return regular.read(self.path)
        except OSError:
            return None

    def version(self) -> str:
        return version(self.data())

    def describe(self) -> Version:
        """Who wrote the present version, and when."""
        return _described(self.path, self.version())

    def sections(self, data: bytes | None) -> Any:
        """What a version says. Raises :class:`SettingsError` where it cannot be read."""
        return {} if data is None else plain(parse(data, str(self.path), [], overlay=True))

    def before(self) -> list[Version]:
        """The earlier versions, newest first."""
        return [_described(file, file.stem.partition("-")[2]) for file in reversed(self._files())]

    def old(self, name: str) -> bytes | None:
        """An earlier version. Raises :class:`LookupError`."""
        if name == NONE:
            return None
        for file in self._files():
            if file.stem.partition("-")[2] == name:
                return regular.read(file)
        raise LookupError(name)

    def forget(self, name: str) -> None:
        """Remove every earlier version with a contact of this id or name, or with a contact that
        leads to the devices of a user of this name. Raises :class:`OSError`."""
        for file, _ in self._naming(name):
            file.unlink(missing_ok=True)

    def named_before(self, name: str) -> list[set[str]]:
        """Of each version that :meth:`forget` would remove, the ids of contacts that are called
        so. Raises :class:`OSError`."""
        return [ids for _, ids in self._naming(name)]

    def _naming(self, name: str) -> Iterator[tuple[Path, set[str]]]:
        for file in self._files():
            try:
                known = self.sections(regular.read(file) or None).get("contacts") or {}
            except SettingsError:
                continue
            ids = {id for id, one in known.items() if name in (id, one.get("name"))}
            if ids or any(name == one.get("push") for one in known.values()):
                yield file, ids

    def write(self, made: str, now_utc_ms: int) -> None:
        """Take the place of the present version, which is kept. Raises :class:`OSError`."""
        self._keep(now_utc_ms)
        new = self.path.with_suffix(".new")
        _write(new, made.encode())
        new.replace(self.path)
        _sync(self.path.parent)

    def _keep(self, now_utc_ms: int) -> None:
        data = self.data()
        self.folder.mkdir(mode=0o750, exist_ok=True)
        files = self._files()
        number = int(files[-1].stem.partition("-")[0]) + 1 if files else 1
        _write(self.folder / f"{number:08}-{version(data)}.yaml", data or b"")
        for file in files[: -(VERSIONS_MOST - 1)]:
            file.unlink(missing_ok=True)

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("[0-9]*-*.yaml"))


def _described(file: Path, name: str) -> Version:
    with contextlib.suppress(OSError), file.open("rb") as lines:
        match = _HEAD.match(lines.readline(200).decode(errors="replace"))
        if match is not None:
            when = datetime.fromisoformat(match[2]).replace(tzinfo=UTC)
            return Version(name, match[1], int(when.timestamp() * 1000))
    return Version(name, "", None)


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        os.fchmod(file.fileno(), 0o644)  # every role reads it, and there is no secret in it
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
