"""What a release is packed from, and into."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from gateway import __version__
from gateway.update import archive, pack
from gateway.update.errors import PackError
from gateway.update.layout import version_of

CHECKOUT = Path(__file__).parents[2]


def test_each_package_of_a_lock_keeps_its_hashes() -> None:
    lock = (CHECKOUT / "requirements.lock").read_text(encoding="utf-8")
    found = pack.requirements(lock)
    assert "".join(found) == lock
    assert all(re.match(r"[\w.-]+==\S+", one) and "--hash=sha256:" in one for one in found)


def test_the_changes_are_those_of_the_version_or_else_what_is_not_released_yet() -> None:
    text = "# Changelog\n\n## Unreleased\n\n- c\n\n## 0.2.0 (2026-12-01)\n\n- b\n\n## 0.2\n\n- a\n"
    assert pack.changes(text, "0.2.0").endswith("- b\n\n")
    assert pack.changes(text, "0.3.0").endswith("- c\n\n")
    assert pack.changes("# Changelog\n", "0.3.0") == ""


def test_a_missing_wheel_is_named_and_the_others_are_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def run(*command: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        text = Path(command[-1]).read_text(encoding="utf-8")
        asked.append(re.findall(r"(?m)^(\w+)==", text))
        wrong = "ERROR: No matching distribution found for b==1"
        return subprocess.CompletedProcess(command, int("b==1" in text), wrong)

    monkeypatch.setattr(pack, "_run", run)
    lock = (
        "a==1 \\\n    --hash=sha256:1\nb==1 \\\n    --hash=sha256:2\nc==1 \\\n    --hash=sha256:3\n"
    )
    assert pack.download(lock, "3.11", "aarch64", tmp_path) == ["b"]
    assert asked == [["a", "b", "c"], ["a", "c"]]
    monkeypatch.setattr(
        pack, "_run", lambda *c, cwd=None: subprocess.CompletedProcess(c, 1, "no network")
    )
    with pytest.raises(PackError, match="no network"):
        pack.download(lock, "3.11", "aarch64", tmp_path)


def test_an_archive_is_the_same_however_often_it_is_packed(tmp_path: Path) -> None:
    folder = tmp_path / "portier-1"
    (folder / "deploy").mkdir(parents=True)
    (folder / "deploy/portier-update").write_text("#!")
    (folder / "deploy/portier-update").chmod(0o755)
    (folder / "LICENSE").write_text("x")
    for name in ("a", "b"):
        pack.write_tar(folder, tmp_path / name, 1_800_000_000)
        (folder / "LICENSE").touch()
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    top = archive.unpack(tmp_path / "a", tmp_path / "into")
    assert (top / "deploy/portier-update").stat().st_mode & 0o777 == 0o755
    assert (top / "LICENSE").stat().st_mode & 0o777 == 0o644


@pytest.mark.thorough
def test_a_release_has_everything_inside(tmp_path: Path) -> None:
    said = pack.pack(CHECKOUT, tmp_path, None, wheels=False)
    assert said == ["the archive is not signed; KEY=FILE signs it with this SSH key"]
    names = sorted(path.name for path in tmp_path.iterdir())
    version = __version__
    assert names == [
        f"CHANGES-{version}.md",
        "SHA256SUMS",
        f"portier-{version}-py3-none-any.whl",
        f"portier-{version}-release.tar.gz",
        f"portier-{version}.cdx.json",
        f"portier-{version}.tar.gz",
    ]
    sums = (tmp_path / "SHA256SUMS").read_text(encoding="utf-8")
    materials = (tmp_path / f"portier-{version}.cdx.json").read_bytes()
    assert f"{hashlib.sha256(materials).hexdigest()}  portier-{version}.cdx.json\n" in sums
    assert json.loads(materials)["metadata"]["component"]["version"] == version
    wanted = [
        *("config/office.yaml", "config/schema.json", "deploy/portier-update"),
        "deploy/systemd/portier-control.service",
    ]
    wheel = zipfile.ZipFile(tmp_path / f"portier-{version}-py3-none-any.whl").namelist()
    with tarfile.open(tmp_path / f"portier-{version}.tar.gz") as tar:
        sdist = tar.getnames()
    for name in wanted:
        assert f"portier-{version}.data/data/share/portier/{name}" in wheel
        assert f"portier-{version}/{name}" in sdist
    top = archive.unpack(tmp_path / f"portier-{version}-release.tar.gz", tmp_path / "into")
    assert archive.digest(top) == archive.digest(CHECKOUT), "it is the checkout"
    done = subprocess.run(
        [sys.executable, "-I", str(top / "deploy/portier-update"), "--help"],
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    assert "--rollback" in done.stdout


def test_the_version_is_in_one_place() -> None:
    assert version_of(CHECKOUT) == __version__
    text = (CHECKOUT / "pyproject.toml").read_text(encoding="utf-8")
    assert 'dynamic = ["version"]' in text
    assert not re.search(r'(?m)^version = "', text)
