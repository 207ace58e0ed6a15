"""Pack a release: ``python -m gateway.update.pack FOLDER [--key FILE]``, or ``make release``.

Into FOLDER go wheel and source distribution, the archive that ``portier-update`` takes, with the
packages for every machine that Portier supports, a Debian package for each of them, its part of the
changelog, its bill of materials (CycloneDX), and checksums. With a key the archive is signed.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from gateway.update import archive, deb, sbom
from gateway.update.errors import PackError
from gateway.update.layout import version_of

CHECKOUT = Path(__file__).resolve().parents[2]
PYTHONS = ("3.11", "3.13")
"""Those of Debian 12 and 13."""
MACHINES = ("aarch64", "x86_64")
GLIBC = (17, 24, 26, 27, 28, 31, 34, 35, 36)
"""Of the wheels: Debian 12 has 2.36."""
SDIST = "import sys; from setuptools.build_meta import build_sdist; build_sdist(sys.argv[1])"


def platforms(machine: str) -> list[str]:
    """What pip calls a Linux with glibc on this machine, the newest first."""
    named = [f"manylinux_2_{minor}_{machine}" for minor in reversed(GLIBC)]
    return [*named, f"manylinux2014_{machine}", f"linux_{machine}"]


def requirements(lock: str) -> list[str]:
    """The packages of a lock, each with its hashes."""
    return [one for one in re.split(r"(?m)^(?=[A-Za-z0-9])", lock) if one.strip()]


def changes(text: str, version: str) -> str:
    """The section of this version, or else of what is not released yet."""
    sections = re.split(r"(?m)^(?=## )", text)
    for title in (version, "Unreleased"):
        for section in sections:
            if re.match(rf"## \[?{re.escape(title)}\b", section):
                return section
    return ""


def download(lock: str, python: str, machine: str, into: Path) -> list[str]:
    """Download the packages of a lock for such a machine; what there is no wheel of."""
    wanted = requirements(lock)
    missing: list[str] = []
    abi = f"cp{python.replace('.', '')}"
    while True:
        with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as file:
            file.write("".join(wanted))
            file.flush()
            done = _run(
                *(sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check"),
                *("--no-deps", "--require-hashes", "--only-binary=:all:", "-d", str(into)),
                *("--python-version", python, "--implementation", "cp"),
                *(word for name in (abi, "abi3", "none") for word in ("--abi", name)),
                *(word for name in platforms(machine) for word in ("--platform", name)),
                *("-r", file.name),
            )
        if done.returncode == 0:
            return missing
        found = re.search(r"No matching distribution found for ([A-Za-z0-9._-]+)", done.stdout)
        rest = [one for one in wanted if found and not one.startswith(f"{found[1]}==")]
        if found is None or len(rest) == len(wanted):
            raise PackError(f"pip cannot download: {done.stdout[-800:]}\nIs the registry there?")
        missing.append(found[1])
        wanted = rest


def _run(*command: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        check=False,
    )


def _must(*command: str, cwd: Path) -> None:
    done = _run(*command, cwd=cwd)
    if done.returncode != 0:
        raise PackError(f"{' '.join(command[:4])} failed:\n{done.stdout[-2000:]}")


def write_tar(folder: Path, target: Path, made_s: int) -> None:
    """The same files give the same archive, whoever packs them."""
    with (
        target.open("wb") as out,
        gzip.GzipFile("", "wb", compresslevel=6, fileobj=out, mtime=made_s) as packed,
        tarfile.open(fileobj=packed, mode="w:", format=tarfile.PAX_FORMAT) as tar,
    ):
        for path in sorted(folder.rglob("*")):
            if not path.is_file():
                continue
            member = tarfile.TarInfo(str(path.relative_to(folder.parent)))
            member.size, member.mtime = path.stat().st_size, made_s
            member.mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
            with path.open("rb") as content:
                tar.addfile(member, content)


def pack(source: Path, into: Path, key: Path | None, *, wheels: bool = True) -> list[str]:
    """Write everything into a folder; what there is to say about it. Raises :class:`PackError`."""
    version = version_of(source)
    into.mkdir(parents=True, exist_ok=True)
    for old in into.iterdir():
        old.unlink()
    said = []
    with tempfile.TemporaryDirectory() as scratch:
        top = Path(scratch, f"portier-{version}")
        archive.copy(source, top)
        building = Path(scratch, "build")
        shutil.copytree(top, building)
        python = sys.executable
        _must(python, "-c", SDIST, str(into.resolve()), cwd=building)
        options = ("--no-deps", "--no-build-isolation", "-w", str(into.resolve()), ".")
        _must(python, "-m", "pip", "wheel", "-q", *options, cwd=building)
        made_s = int(max(file.stat().st_mtime for file in archive.files(source)))
        if wheels:
            said += _with_packages(source, top, into, made_s)
        target = into / f"portier-{version}-release.tar.gz"
        write_tar(top, target, made_s)
        packed = {
            one.name: hashlib.sha256(one.read_bytes()).hexdigest()
            for one in (top / archive.WHEELHOUSE).glob("*.whl")
        }
    lock = (source / "requirements.lock").read_text(encoding="utf-8")
    materials = json.dumps(sbom.bom(version, lock, made_s, packed), indent=1)
    (into / f"portier-{version}.cdx.json").write_text(materials, encoding="utf-8")
    notes = changes((source / "CHANGELOG.md").read_text(encoding="utf-8"), version)
    (into / f"CHANGES-{version}.md").write_text(notes, encoding="utf-8")
    if key is None:
        said.append("the archive is not signed; KEY=FILE signs it with this SSH key")
    else:
        sign = ("ssh-keygen", "-q", "-Y", "sign", "-f", str(key.resolve()))
        _must(*sign, "-n", archive.NAMESPACE, str(target.resolve()), cwd=source)
    sums = []
    for file in sorted(into.iterdir()):
        sums.append(f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n")
    (into / "SHA256SUMS").write_text("".join(sums), encoding="utf-8")
    return said


def _with_packages(source: Path, top: Path, into: Path, made_s: int) -> list[str]:
    """Download the Python packages, make a Debian package for each machine, and add them to the
    release in ``top``; what there is to say about it."""
    lock = (source / "requirements.lock").read_text(encoding="utf-8")
    said = []
    debian = shutil.which("dpkg-deb") is not None
    if not debian:
        said.append("no Debian packages: dpkg-deb is not installed here")
    with tempfile.TemporaryDirectory() as scratch:
        for machine in MACHINES:
            wheels = Path(scratch, machine)
            for python in PYTHONS:
                missing = download(lock, python, machine, wheels)
                if missing:
                    said.append(f"no wheel for Python {python} on {machine}: {missing}")
            if debian:
                deb.pack(top, wheels, machine, version_of(source), into, made_s)
        for machine in MACHINES:
            shutil.copytree(Path(scratch, machine), top / archive.WHEELHOUSE, dirs_exist_ok=True)
    return said


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(prog="pack", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--key", type=Path, help="the SSH key that signs the archive")
    asked = parser.parse_args(arguments)
    began = time.monotonic()
    try:
        said = pack(CHECKOUT, asked.folder, asked.key)
    except PackError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    for one in said:
        sys.stdout.write(f"- {one}\n")
    for file in sorted(asked.folder.iterdir()):
        sys.stdout.write(f"{file.stat().st_size / 1e6:9.1f} MB  {file}\n")
    sys.stdout.write(f"packed in {time.monotonic() - began:.0f} s\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
