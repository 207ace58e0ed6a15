"""The archive: a tar file with gzip, encrypted by age or not.

The first member is a manifest that names every other one in order, with its size and checksum; in
an encrypted archive it has the seal of the recovery key. ``age -d -i KEY FILE | tar -xz`` reads
it without Portier. This reader accepts less than tar does: regular files only, with names from
:data:`NAMES`, exactly those of the manifest, and as many bytes as the manifest says.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import shutil
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Final

from gateway.backup.key import DAMAGED, PublicKey
from gateway.journal.backup import BackupError

FORMAT = 1
MANIFEST = "manifest.json"
MANIFEST_MOST = 2_000_000
FILES_MOST = 2_000
SMALL_MOST = 16_000_000
"""Bytes of a file of the configuration and the like."""
DATABASE_MOST = 8 * 1024**3 - 1
"""Bytes of a database: the largest size that the head of a tar member can have."""
ROOM_LEFT = 200_000_000
"""Bytes on the disk that a backup or restore leaves free: the journal needs them."""
NAME_MOST = 200
_LAST_S: Final = 253_370_764_800
"""The year 9999 begins: later times have no date in every zone."""
_BLOCK: Final = 512
_CHUNK: Final = 1 << 20
_PART = r"[^/\x00-\x1f\x7f]+"
NAMES: Final = (
    (re.compile(r"state/journal\.sqlite"), DATABASE_MOST),
    (re.compile(r"state/web/web\.sqlite"), DATABASE_MOST),
    (re.compile(r"state/record/(?!recorder-)[\w.-]{1,80}\.sqlite"), DATABASE_MOST),
    (re.compile(r"state/(overlay\.yaml|accepted-wiring\.json|backup/key\.json)"), SMALL_MOST),
    (re.compile(r"state/addresses/[0-9a-f]{16}"), SMALL_MOST),
    (re.compile(r"broker/portier\.(acl|conf)"), SMALL_MOST),
    (re.compile(rf"config/{_PART}(/{_PART}){{0,5}}"), SMALL_MOST),
)
"""The names that members of an archive may have -> how many bytes at most."""
OWNERS: Final = re.compile(r"root|mosquitto|portier(-[a-z]{1,20})?")


@dataclass(frozen=True, slots=True)
class Member:
    """A file of the archive. ``owner`` and ``group``: names, ``root`` where they are not ours."""

    name: str
    size: int
    sha256: str
    mode: int = 0o640
    owner: str = "root"
    group: str = "root"


@dataclass(frozen=True, slots=True)
class Manifest:
    """``at_s``: when it was made, in seconds since 1970 by the clock of that machine. ``config``:
    the name of the configuration's file, empty where the archive has none. ``left_out``: what is
    not in it, in words."""

    gateway: str
    version: str
    at_s: float
    config: str
    encrypted: bool
    left_out: tuple[str, ...]
    members: tuple[Member, ...]

    def to_bytes(self, public: PublicKey | None) -> bytes:
        value = {
            "format": FORMAT,
            "gateway": self.gateway,
            "version": self.version,
            "at": self.at_s,
            "config": self.config,
            "encrypted": self.encrypted,
            "left_out": list(self.left_out),
            "members": [
                {name: getattr(one, name) for name in Member.__dataclass_fields__}
                for one in self.members
            ],
        }
        if public is not None:
            value["seal"] = public.sign(_canonical(value))
        return _canonical(value)

    @property
    def bytes(self) -> int:
        return sum(one.size for one in self.members)


def _canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class Source:
    """A file that is to be packed: bytes, or a file that does not change meanwhile."""

    name: str
    content: bytes | Path
    mode: int = 0o640
    owner: str = "root"
    group: str = "root"

    def chunks(self) -> Iterator[bytes]:
        if isinstance(self.content, bytes):
            yield self.content
            return
        with self.content.open("rb") as file:
            while chunk := file.read(_CHUNK):
                yield chunk

    def member(self) -> Member:
        digest, size = hashlib.sha256(), 0
        for chunk in self.chunks():
            digest.update(chunk)
            size += len(chunk)
        most = limit_of(self.name)
        if most is None or len(os.fsencode(self.name)) > NAME_MOST:
            raise BackupError(f"{self.name}: an archive cannot have this name; rename the file")
        if size > most:
            raise BackupError(
                f"{self.name} has {size:,} bytes, and an archive takes {most:,}; move it elsewhere"
            )
        return Member(self.name, size, digest.hexdigest(), self.mode, self.owner, self.group)


def limit_of(name: str) -> int | None:
    """How many bytes a member of this name may have; ``None``: no archive has such a member."""
    if any(part in ("", ".", "..") for part in name.split("/")):
        return None
    return next((most for pattern, most in NAMES if pattern.fullmatch(name)), None)


# --- writing ------------------------------------------------------------------------------


class Packed:
    """The archive before it is encrypted, as a stream to read from."""

    def __init__(
        self,
        manifest: bytes,
        sources: Sequence[Source],
        members: Sequence[Member],
        progress: Callable[[float], None],
    ) -> None:
        self._blocks = self._pack(manifest, sources, members, progress)
        self._buffer = b""

    def read(self, size: int = -1) -> bytes:
        while not self._buffer:
            try:
                self._buffer = next(self._blocks)
            except StopIteration:
                return b""
        size = len(self._buffer) if size < 0 else size
        found, self._buffer = self._buffer[:size], self._buffer[size:]
        return found

    def read_all(self) -> bytes:
        return b"".join(iter(partial(self.read, _CHUNK), b""))

    @staticmethod
    def _pack(
        manifest: bytes,
        sources: Sequence[Source],
        members: Sequence[Member],
        progress: Callable[[float], None],
    ) -> Iterator[bytes]:
        # level 1: a Raspberry Pi packs faster than its card reads
        zipped = zlib.compressobj(1, wbits=31)
        yield zipped.compress(_head(MANIFEST, len(manifest), 0o600) + manifest + _fill(manifest))
        total, done = max(1, sum(one.size for one in members)), 0
        for source, member in zip(sources, members, strict=True):
            yield zipped.compress(_head(member.name, member.size, member.mode))
            size = 0
            for chunk in source.chunks():
                size += len(chunk)
                yield zipped.compress(chunk)
                progress((done + size) / total)
            if size != member.size:
                raise BackupError(f"{member.name} has changed meanwhile; make the backup again")
            done += size
            yield zipped.compress(b"\0" * (-size % _BLOCK))
        yield zipped.compress(b"\0" * 2 * _BLOCK) + zipped.flush()


def _head(name: str, size: int, mode: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, mode
    try:
        return info.tobuf(tarfile.USTAR_FORMAT, "utf-8", "strict")
    except ValueError as error:
        raise BackupError(f"{name}: an archive cannot have this name; rename the file") from error


def _fill(data: bytes) -> bytes:
    return b"\0" * (-len(data) % _BLOCK)


# --- reading ------------------------------------------------------------------------------


class _Unzipped:
    """A gzip file of which exactly as many bytes are read as are asked for."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._zip = zlib.decompressobj(wbits=31)
        self._rest = b""

    def exactly(self, size: int) -> bytes:
        found = bytearray()
        while len(found) < size:
            data = self._rest or self._file.read(1 << 16)
            if self._zip.eof or not data:
                raise BackupError(DAMAGED)
            found += self._zip.decompress(data, size - len(found))
            self._rest = self._zip.unconsumed_tail
        return bytes(found)

    def end(self) -> None:
        """Check that the file ends here and that its checksum is right."""
        while not self._zip.eof:
            data = self._rest or self._file.read(1 << 16)
            if not data or self._zip.decompress(data, 1):
                raise BackupError(DAMAGED)
            self._rest = self._zip.unconsumed_tail
        if self._zip.unused_data or self._file.read(1):
            raise BackupError(DAMAGED)


def unpack(
    file: BinaryIO,
    into: Path,
    public: PublicKey | None,
    progress: Callable[[float], None] = lambda _: None,
) -> Manifest:
    """Unpack an archive into an empty folder, and check all of it. ``public``: the key whose seal
    it must have, where it was encrypted. Raises :class:`BackupError`; what was unpacked until then
    must not be used."""
    stream = _Unzipped(file)
    try:
        name, size = _next(stream)
        if name != MANIFEST or size > MANIFEST_MOST:
            raise BackupError("it is no backup of Portier; choose another file")
        manifest = read_manifest(_content(stream, size), public)
        _check_room(into, manifest)
        total, done = max(1, manifest.bytes), 0
        for member in manifest.members:
            if _next(stream) != (member.name, member.size):
                raise BackupError(DAMAGED)
            _unpack_one(stream, into / member.name, member)
            done += member.size
            progress(done / total)
        if stream.exactly(2 * _BLOCK).strip(b"\0"):
            raise BackupError(DAMAGED)
        stream.end()
    except (zlib.error, tarfile.TarError, ValueError) as error:
        raise BackupError(DAMAGED) from error
    return manifest


def _check_room(into: Path, manifest: Manifest) -> None:
    free = shutil.disk_usage(into).free
    if manifest.bytes + ROOM_LEFT > free:
        needed = (manifest.bytes + ROOM_LEFT) // 1_000_000
        raise BackupError(
            f"there is no room to unpack it: it needs {needed:,} MB at {into}, and "
            f"{free // 1_000_000:,} MB are free; make room (df -h)"
        )


def _next(stream: _Unzipped) -> tuple[str, int]:
    """Name and size of the next member, which is a plain file."""
    info = tarfile.TarInfo.frombuf(stream.exactly(_BLOCK), "utf-8", "strict")
    if info.type != tarfile.REGTYPE:
        raise BackupError(
            f"it has a member that is no plain file ({info.name[:80]!r}), and Portier packs none; "
            "take another backup"
        )
    return info.name, info.size


def _content(stream: _Unzipped, size: int) -> bytes:
    data = stream.exactly(size)
    stream.exactly(-size % _BLOCK)
    return data


def _unpack_one(stream: _Unzipped, path: Path, member: Member) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    digest, left = hashlib.sha256(), member.size
    with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
        while left:
            chunk = stream.exactly(min(left, _CHUNK))
            digest.update(chunk)
            file.write(chunk)
            left -= len(chunk)
    stream.exactly(-member.size % _BLOCK)
    if not hmac.compare_digest(digest.hexdigest(), member.sha256):
        raise BackupError(f"{member.name} is not as it was packed: {DAMAGED}")


def check_head(data: bytes, public: PublicKey | None) -> None:
    """Whether the reader takes this manifest: no archive is written that nobody can put back.
    Raises :class:`BackupError`."""
    if len(data) > MANIFEST_MOST:
        raise BackupError(
            f"the list of what belongs into it has {len(data):,} bytes, and an archive takes "
            f"{MANIFEST_MOST:,}: move files that are no configuration elsewhere"
        )
    read_manifest(data, public)


def read_manifest(data: bytes, public: PublicKey | None) -> Manifest:
    """Raises :class:`BackupError`, :class:`ValueError`."""
    try:
        value: Any = json.loads(data)
    except RecursionError:
        raise BackupError(DAMAGED) from None
    if not isinstance(value, dict):
        raise BackupError(DAMAGED)
    if value.get("format") != FORMAT:
        raise BackupError(
            f"it is of format {value.get('format')!r:.20}, and this version of Portier understands "
            f"{FORMAT}; install the version that wrote it"
        )
    seal = value.pop("seal", "")
    if public is not None and not hmac.compare_digest(str(seal), public.sign(_canonical(value))):
        raise BackupError(
            "it does not have the seal of this recovery key: somebody else has packed it; take "
            "another backup"
        )
    try:
        members = tuple(_member(one) for one in value["members"])
        manifest = Manifest(
            str(value["gateway"]),
            str(value["version"]),
            float(value["at"]),
            str(value["config"]),
            value["encrypted"] is True,
            tuple(map(str, value["left_out"])),
            members,
        )
    except (KeyError, TypeError, AttributeError, OverflowError) as error:
        raise BackupError(DAMAGED) from error
    names = {one.name for one in members}
    folders = {str(folder) for name in names for folder in PurePosixPath(name).parents}
    if (
        len(members) > FILES_MOST
        or len(names) < len(members)
        or names & folders
        or not 0 <= manifest.at_s < _LAST_S
        or "/" in manifest.config
        or (manifest.config and f"config/{manifest.config}" not in names)
    ):
        raise BackupError(DAMAGED)
    return manifest


def _member(value: Mapping[str, Any]) -> Member:
    member = Member(**value)
    most = limit_of(member.name)
    size, mode = member.size, member.mode
    if most is None:
        raise BackupError(
            f"it has a member that Portier does not pack ({member.name[:80]!r}); take another "
            "backup"
        )
    if type(size) is not int or type(mode) is not int or not 0 <= size <= most:
        raise BackupError(f"{member.name}: {DAMAGED}")
    if mode & ~0o755 or not OWNERS.fullmatch(member.owner) or not OWNERS.fullmatch(member.group):
        raise BackupError(f"{member.name} has rights that Portier does not give: {DAMAGED}")
    return member
