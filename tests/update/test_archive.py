"""Archives: what is signed by whom, and what is taken out of them."""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.update import archive
from gateway.update.errors import UpdateError

CHECKOUT = Path(__file__).parents[2]


def packed(path: Path, *members: tuple[str, bytes | tarfile.TarInfo]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members:
            if isinstance(content, tarfile.TarInfo):
                content.name = name
                tar.addfile(content)
            else:
                member = tarfile.TarInfo(name)
                member.size, member.mode, member.uid = len(content), 0o4777, 1234
                tar.addfile(member, io.BytesIO(content))
    return path


def test_files_come_out_with_plain_rights_and_no_owner_of_their_own(tmp_path: Path) -> None:
    packed(tmp_path / "a.tar.gz", ("portier-1/gateway/x.py", b"x"))
    top = archive.unpack(tmp_path / "a.tar.gz", tmp_path / "into")
    assert top == tmp_path / "into/portier-1"
    found = (top / "gateway/x.py").stat()
    assert (found.st_mode & 0o7777, (top / "gateway/x.py").read_bytes()) == (0o755, b"x")
    assert found.st_uid != 1234


def link(kind: bytes, target: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo()
    member.type, member.linkname = kind, target
    return member


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("../outside", b"x"),
        ("/etc/outside", b"x"),
        ("portier-1/../../outside", b"x"),
        ("portier-1/link", link(tarfile.SYMTYPE, "/etc/passwd")),
        ("portier-1/link", link(tarfile.LNKTYPE, "portier-1/file")),
        ("portier-1/device", link(tarfile.CHRTYPE, "")),
        ("another/file", b"x"),
    ],
)
def test_what_would_lie_elsewhere_is_refused_whole(
    tmp_path: Path, name: str, content: bytes | tarfile.TarInfo
) -> None:
    packed(tmp_path / "a.tar.gz", ("portier-1/file", b"x"), (name, content))
    with pytest.raises(UpdateError, match=r"a\.tar\.gz is refused"):
        archive.unpack(tmp_path / "a.tar.gz", tmp_path / "into")
    assert not (tmp_path / "into").exists(), "nothing of it"


def test_a_bomb_and_a_broken_file_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.tar.gz").write_bytes(b"\x1f\x8b nonsense")
    with pytest.raises(UpdateError, match="cannot be unpacked"):
        archive.unpack(tmp_path / "a.tar.gz", tmp_path)
    monkeypatch.setattr(archive, "UNPACKED_MOST_BYTES", 10)
    packed(tmp_path / "b.tar.gz", ("portier-1/file", b"x" * 11))
    with pytest.raises(UpdateError, match="more than any release"):
        archive.unpack(tmp_path / "b.tar.gz", tmp_path)


def test_the_digest_is_of_everything_and_of_nothing_else(tmp_path: Path) -> None:
    def tree(name: str, change: Callable[[Path], object] = lambda _: None) -> str:
        folder = tmp_path / name
        for part in archive.PARTS:
            file = folder / part if "." in part or part == "LICENSE" else folder / part / "x"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(part)
        change(folder)
        return archive.digest(folder)

    first = tree("first")
    assert tree("same") == first

    def compiled(folder: Path) -> None:
        (folder / "gateway/__pycache__").mkdir()
        (folder / "gateway/__pycache__/x.pyc").touch()
        (folder / "notes.txt").touch()

    assert tree("compiled", compiled) == first
    assert tree("changed", lambda folder: (folder / "drivers/x").write_text("y")) != first
    assert tree("renamed", lambda folder: (folder / "drivers/x").rename(folder / "drivers/y")) != (
        first
    )
    with pytest.raises(UpdateError, match="has no LICENSE"):
        tree("less", lambda folder: (folder / "LICENSE").unlink())


def test_this_checkout_has_all_parts() -> None:
    assert len(list(archive.files(CHECKOUT))) > 200


# --- who has signed it --------------------------------------------------------------------------


@pytest.fixture
def signed(tmp_path: Path) -> Callable[..., Path]:
    """Signs a file with a new key, and gives the list of signers that has this key."""
    if shutil.which("ssh-keygen") is None:
        pytest.skip("ssh-keygen is not installed")

    def sign(file: Path, name: str = "maker", namespace: str = archive.NAMESPACE) -> Path:
        key = tmp_path / f"key-{name}"
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(key)], check=True
        )
        file.with_name(f"{file.name}.sig").unlink(missing_ok=True)
        subprocess.run(
            ["ssh-keygen", "-q", "-Y", "sign", "-f", str(key), "-n", namespace, str(file)],
            check=True,
            stderr=subprocess.DEVNULL,
        )
        signers = tmp_path / f"signers-{name}"
        signers.write_text(f"# comment\n{name} {key.with_suffix('.pub').read_text()}")
        return signers

    return sign


def verify(file: Path, *signers: Path) -> str:
    return archive.verify(file, file.with_name(f"{file.name}.sig"), signers)


@pytest.mark.process
def test_a_signature_of_a_known_key_is_accepted(
    tmp_path: Path, signed: Callable[..., Path]
) -> None:
    file = tmp_path / "portier-1.tar.gz"
    file.write_bytes(b"content")
    signers = signed(file)
    assert verify(file, tmp_path / "none", signers) == "maker"


@pytest.mark.process
def test_nothing_else_is(tmp_path: Path, signed: Callable[..., Path]) -> None:
    file = tmp_path / "portier-1.tar.gz"
    file.write_bytes(b"content")
    with pytest.raises(UpdateError, match=r"is not signed: .*\n.*--unsigned"):
        verify(file)
    known = signed(file)
    file.write_bytes(b"changed")
    with pytest.raises(UpdateError, match="is not what was signed"):
        verify(file, known)
    signed(file, "stranger")
    with pytest.raises(UpdateError, match="a key that is not known"):
        verify(file, known)
    signers = signed(file, "mail", namespace="email")
    with pytest.raises(UpdateError, match="is not what was signed"):
        verify(file, signers)
    file.with_name(f"{file.name}.sig").write_text("nonsense")
    with pytest.raises(UpdateError, match="a key that is not known"):
        verify(file, known)


def test_without_the_tool_the_package_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in ("a.tar.gz", "a.tar.gz.sig", "signers"):
        (tmp_path / name).touch()
    with pytest.raises(UpdateError, match="apt install openssh-client"):
        verify(tmp_path / "a.tar.gz", tmp_path / "signers")
