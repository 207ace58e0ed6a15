"""What an update is made from: a checkout, or an archive that is signed."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from gateway.update.errors import UpdateError

PARTS = (
    *("gateway", "drivers", "config", "deploy"),
    *("pyproject.toml", "requirements.lock", "README.md", "LICENSE", "CHANGELOG.md"),
)
"""What of a checkout is a release. The archive holds the same, and ``wheelhouse``."""
WHEELHOUSE = "wheelhouse"
NAMESPACE = "portier-release"
"""Of the signature: a key that signs other things, too, has not signed a release by that."""
SIGNERS = Path("/etc/portier/release-signers")
SHIPPED_SIGNERS = "deploy/release-signers"
UNPACKED_MOST_BYTES = 2 << 30
MEMBERS_MOST = 50_000
_IGNORED = ("__pycache__", "*.egg-info", "*.pyc")
ignore = shutil.ignore_patterns(*_IGNORED)


def files(source: Path) -> Iterator[Path]:
    """The files of a release, in a fixed order. Raises :class:`UpdateError`: one is missing."""
    for part in PARTS:
        top = source / part
        if not top.exists():
            raise UpdateError(
                f"{source} has no {part}.", "Take a checkout or archive that is whole."
            )
        if top.is_file():
            yield top
            continue
        for folder, folders, names in os.walk(top):
            folders[:] = sorted(set(folders) - ignore(folder, folders))
            for name in sorted(set(names) - ignore(folder, names)):
                yield Path(folder, name)


def copy(source: Path, into: Path) -> None:
    """Copy the files of a release, and nothing else, into a folder. Raises :class:`UpdateError`."""
    for file in files(source):
        place = into / file.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(file, place)


def digest(source: Path) -> str:
    """Of all files of a release, and of the version of the Python that its environment is for."""
    found = hashlib.sha256(f"{sys.version_info[0]}.{sys.version_info[1]}".encode())
    for file in files(source):
        content = file.read_bytes()
        found.update(f"\0{file.relative_to(source)}\0{len(content)}\0".encode())
        found.update(content)
    return found.hexdigest()


def verify(archive: Path, signature: Path, signers: Sequence[Path]) -> str:
    """Who has signed the archive. Raises :class:`UpdateError`: nobody whose key is known."""
    if not signature.is_file():
        raise UpdateError(
            f"{archive.name} is not signed: there is no {signature.name} beside it.",
            f"Copy {signature.name} beside it. To install it all the same: --unsigned.",
        )
    for file in signers:
        if not file.is_file():
            continue
        found = _ssh("find-principals", "-s", str(signature), "-f", str(file))
        lines = found.stdout.split("\n")
        if found.returncode != 0 or not lines[0]:
            continue
        who = lines[0].split(",")[0].strip()
        with archive.open("rb") as content:
            checked = _ssh(
                *("verify", "-n", NAMESPACE, "-f", str(file), "-I", who, "-s", str(signature)),
                content=content.fileno(),
            )
        if checked.returncode == 0:
            return who
        raise UpdateError(
            f"{archive.name} is not what was signed: the signature of {who} does not fit.",
            "Download the archive and its .sig again, and do not install this one.",
        )
    names = " or ".join(str(one) for one in signers)
    raise UpdateError(
        f"{archive.name} is signed with a key that is not known here.",
        f"Write the signer's line (NAME KEYTYPE KEY) into {signers[0]}, once you know that the key"
        f" is right; known are those of {names}.",
    )


def _ssh(do: str, *more: str, content: int | None = None) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            ["ssh-keygen", "-Y", do, *more],
            stdin=subprocess.DEVNULL if content is None else content,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
    except FileNotFoundError:
        raise UpdateError(
            "The signature cannot be checked: ssh-keygen is not installed.",
            "Type: sudo apt install openssh-client",
        ) from None


def unpack(archive: Path, into: Path) -> Path:
    """The folder of the release in ``into``. Only files and folders below one top folder are
    taken: no links, no devices, no owners. Raises :class:`UpdateError`."""
    try:
        with tarfile.open(archive, "r:gz") as tar:
            members, size, tops = [], 0, set()
            for member in tar:
                path = PurePosixPath(member.name)
                if member.issym() or member.islnk() or not (member.isfile() or member.isdir()):
                    raise _refused(archive, f"{member.name} is neither a file nor a folder")
                if path.is_absolute() or ".." in path.parts or not path.parts:
                    raise _refused(archive, f"{member.name} would lie outside of its folder")
                members.append(member)
                size += member.size
                tops.add(path.parts[0])
                if size > UNPACKED_MOST_BYTES or len(members) > MEMBERS_MOST:
                    raise _refused(archive, "it holds more than any release does")
                member.uid, member.gid, member.uname, member.gname = 0, 0, "", ""
                executable = member.isdir() or member.mode & 0o100
                member.mode = 0o755 if executable else 0o644
            if len(tops) != 1:
                raise _refused(archive, "it is not one folder")
            # Debian 12's Python may be from before filters; what they refuse is refused above.
            filtered: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
            for member in members:
                tar.extract(member, into, **filtered)
    except (tarfile.TarError, OSError, EOFError, ValueError) as error:
        raise _refused(archive, f"it cannot be unpacked ({error})") from error
    return into / tops.pop()


def _refused(archive: Path, why: str) -> UpdateError:
    return UpdateError(
        f"{archive.name} is refused: {why}.", "Download it again; take a release of Portier."
    )
