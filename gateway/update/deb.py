"""Pack a release as a Debian package: the release as a folder, with its Python packages.

dpkg unpacks it to ``/usr/share/portier/release`` and never touches what runs; the package's scripts
(``deploy/debian``) hand it to the installer or to ``portier-update``. Nothing of the release is run
here, so any machine can make the package for arm64.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from gateway.update import archive
from gateway.update.errors import PackError
from gateway.update.main import GROUPS, USERS

ARCHITECTURES = {"aarch64": "arm64", "x86_64": "amd64"}
"""Python's name of a machine -> Debian's."""
RELEASE = "usr/share/portier/release"
SCRIPTS = ("postinst", "prerm", "postrm")


def debian_version(version: str) -> str:
    """Debian sorts ``~`` before the end: 1.0rc1 and 1.0.dev2 come before 1.0."""
    return re.sub(r"\.?(dev|a|b|rc)(\d+)", r"~\1\2", version)


def pack(tree: Path, wheels: Path, machine: str, version: str, into: Path, made_s: int) -> Path:
    """Write ``portier_VERSION_ARCHITECTURE.deb`` into a folder.

    ``tree``: a release, without packages; ``wheels``: a folder with the Python packages for this
    machine. The same files give the same package. Raises :class:`PackError`.
    """
    architecture = ARCHITECTURES[machine]
    target = into / f"portier_{debian_version(version)}_{architecture}.deb"
    with tempfile.TemporaryDirectory() as scratch:
        top = Path(scratch, "package")
        shutil.copytree(tree, top / RELEASE)
        shutil.copytree(wheels, top / RELEASE / archive.WHEELHOUSE)
        fields = {
            "version": debian_version(version),
            "architecture": architecture,
            "installed_kb": str(sum(f.stat().st_size for f in top.rglob("*")) // 1024),
            "users": " ".join(USERS),
            "groups": " ".join(reversed(GROUPS)),
        }
        source = tree / "deploy/debian"
        control = top / "DEBIAN"
        control.mkdir()
        _fill(source / "control.in", control / "control", fields)
        shutil.copyfile(source / "triggers", control / "triggers")
        for script in SCRIPTS:
            _fill(source / script, control / script, fields)
        for path in [top, *top.rglob("*")]:
            executable = path.is_dir() or path.stat().st_mode & 0o100 or path.name in SCRIPTS
            path.chmod(0o755 if executable else 0o644)
            os.utime(path, (made_s, made_s))
        # The wheels are compressed already.
        done = subprocess.run(
            ["dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "--build", str(top), str(target)],
            env={"PATH": os.defpath, "SOURCE_DATE_EPOCH": str(made_s), "LC_ALL": "C.UTF-8"},
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
    if done.returncode != 0:
        raise PackError(f"dpkg-deb failed: {done.stderr.strip()[-800:]}")
    return target


def _fill(source: Path, target: Path, values: dict[str, str]) -> None:
    text = source.read_text(encoding="utf-8")
    target.write_text(re.sub(r"@(\w+)@", lambda found: values[found[1]], text), encoding="utf-8")
