"""What is in a Debian package, and what its scripts do."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from gateway import __version__
from gateway.update import archive, deb, main
from gateway.update.errors import PackError

CHECKOUT = Path(__file__).parents[2]
MADE_S = 1_800_000_000


def packed(folder: Path, machine: str = "aarch64") -> Path:
    """A package of this checkout with one wheel that is none."""
    tree, wheels, into = (folder / name for name in ("tree", "wheels", "into"))
    if not tree.exists():
        archive.copy(CHECKOUT, tree)
        wheels.mkdir()
        (wheels / "some-1-py3-none-any.whl").write_text("x", encoding="utf-8")
        into.mkdir()
    return deb.pack(tree, wheels, machine, __version__, into, MADE_S)


def asked(*command: str) -> str:
    return subprocess.run(
        ["dpkg-deb", *command], capture_output=True, encoding="utf-8", check=True
    ).stdout


def test_a_package_is_named_for_debians_name_of_the_machine(tmp_path: Path) -> None:
    package = packed(tmp_path)
    assert package.name == f"portier_{__version__}_arm64.deb"
    assert asked("--field", str(package), "Architecture", "Version").split("\n")[:2] == [
        "Architecture: arm64",
        f"Version: {__version__}",
    ]
    assert packed(tmp_path, "x86_64").name.endswith("_amd64.deb")


def test_its_release_is_the_checkout_and_the_scripts_have_no_gap(tmp_path: Path) -> None:
    asked("--raw-extract", str(packed(tmp_path)), str(tmp_path / "out"))
    release = tmp_path / "out" / deb.RELEASE
    assert archive.digest(release) == archive.digest(CHECKOUT)
    assert [path.name for path in (release / archive.WHEELHOUSE).iterdir()] == [
        "some-1-py3-none-any.whl"
    ]
    for script in deb.SCRIPTS:
        file = tmp_path / "out/DEBIAN" / script
        assert not re.search(r"@\w+@", file.read_text(encoding="utf-8"))
        subprocess.run(["sh", "-n", str(file)], check=True)
    purge = (tmp_path / "out/DEBIAN/postrm").read_text(encoding="utf-8")
    for what in (*main.USERS, *main.GROUPS, *main.LAID_DOWN, *map(str, main.DATA)):
        assert f" {what}" in purge, what


def test_everything_in_it_is_roots_and_the_same_each_time(tmp_path: Path) -> None:
    first = packed(tmp_path)
    content = first.read_bytes()
    lines = asked("--contents", str(first)).splitlines()
    assert {line.split()[1] for line in lines} == {"root/root"}
    assert {line.split()[0] for line in lines} <= {"drwxr-xr-x", "-rwxr-xr-x", "-rw-r--r--"}
    (tmp_path / "tree/LICENSE").touch()
    assert packed(tmp_path).read_bytes() == content


@pytest.mark.parametrize(
    ("version", "debian"),
    [("0.2.0", "0.2.0"), ("0.2.0rc1", "0.2.0~rc1"), ("1.0.dev3", "1.0~dev3"), ("1.0a1", "1.0~a1")],
)
def test_a_version_before_the_release_sorts_before_it(version: str, debian: str) -> None:
    assert deb.debian_version(version) == debian


def test_what_dpkg_says_is_passed_on(tmp_path: Path) -> None:
    packed(tmp_path)
    (tmp_path / "tree/deploy/debian/control.in").write_text("Package: @version@\n")
    with pytest.raises(PackError, match=r"missing .Version. field"):
        packed(tmp_path)
