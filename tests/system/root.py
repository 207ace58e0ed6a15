"""Build the Debian systems that the tests install Portier on: ``root.py [SUITE]…``.

Standard library only: it runs beside the setting up of ``.venv``. A root holds Debian's minimal
system and, as a local package source, what the installer asks apt for. Everything is downloaded
by this machine's own tools, so that no mirror, proxy or credential of this machine gets into a
root, and the tests need no network at all. Needs root and debootstrap.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
CACHE = CHECKOUT / ".cache" / "system"
SUITES = {"bookworm": "3.11", "trixie": "3.13"}
"""Debian's name -> the version of its Python."""
SYSTEM = ("systemd", "systemd-sysv", "dbus", "udev", "procps", "python3", "faketime")
"""What is there before the installer runs."""
OFFERED = (
    "python3-venv",
    "python3-cryptography",
    "mosquitto",
    "mosquitto-clients",
    "influxdb",
    "influxdb-client",
    "victoria-metrics",
)
"""What apt can install without a network."""
SOURCE = "var/local/packages"
MADE_LIKE = 1
"""Counted up where this file makes a root differently."""
SLOW_AFTER_S = 300
FAILED_FOR_S = 900
"""A failure is not tried again for so long: it was this same run's."""


class RootError(Exception):
    """A root could not be built; the text says why."""


def path(suite: str) -> Path:
    """Where the root of this suite lies, built or not."""
    packages = repr((MADE_LIKE, SYSTEM, OFFERED))
    return CACHE / f"{suite}-{hashlib.sha256(packages.encode()).hexdigest()[:12]}"


def get(suite: str) -> Path:
    """The root of this suite, built if need be; waits for whoever builds it already. Raises
    :class:`RootError`."""
    root = path(suite)
    CACHE.mkdir(parents=True, exist_ok=True)
    with _locked(CACHE / f"{suite}.lock"):
        if root.exists():
            return root
        failed = root.with_suffix(".failed")
        with contextlib.suppress(FileNotFoundError):
            if time.time() - failed.stat().st_mtime < FAILED_FOR_S:
                text = failed.read_text(encoding="utf-8")
                raise RootError(f"{text} (a moment ago; again at once without {failed})")
        try:
            _build(suite, root)
        except RootError as error:
            failed.write_text(str(error), encoding="utf-8")
            raise
        for old in CACHE.glob(f"{suite}-*"):
            if old != root:
                shutil.rmtree(old) if old.is_dir() else old.unlink()
    return root


@contextlib.contextmanager
def _locked(file: Path) -> Iterator[None]:
    with file.open("w", encoding="utf-8") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _build(suite: str, root: Path) -> None:
    part = root.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    deadline = time.monotonic() + SLOW_AFTER_S
    uri, keyring = mirror()
    with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
        log = root.with_suffix(".log")
        _run(
            deadline,
            log,
            *("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"),
            *("debootstrap", "--variant=minbase", f"--keyring={keyring}"),
            *(f"--include={','.join(SYSTEM)}", suite, str(part), uri),
        )
        _offer(deadline, log, suite, part, Path(scratch), uri, keyring)
    _forget_this_machine(part)
    part.rename(root)


def mirror() -> tuple[str, str]:
    """This machine's own mirror, and the keyring of Debian's archive."""
    keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
    for file in (Path("/etc/apt/sources.list.d/debian.sources"), Path("/etc/apt/sources.list")):
        with contextlib.suppress(OSError):
            found = re.search(r"^(?:URIs:|deb) .*?(\S+://\S+/debian)/?(?: |$)", _text(file), re.M)
            if found is not None:
                return found[1], keyring
    return "http://deb.debian.org/debian", keyring


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8")


def _run(deadline: float, log: Path, *command: str) -> None:
    """Run with a limit that is shared by the whole build. Raises :class:`RootError`."""
    with log.open("ab") as out:
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                timeout=max(1.0, deadline - time.monotonic()),
                check=False,
                env={**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"},
            )
        except subprocess.TimeoutExpired:
            raise RootError(
                f"package mirror slow: no root within {SLOW_AFTER_S} s ({log})"
            ) from None
    if done.returncode != 0:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        raise RootError(f"{command[0]} failed ({log}): " + " / ".join(lines[-3:]))


def _offer(
    deadline: float, log: Path, suite: str, root: Path, scratch: Path, uri: str, keyring: str
) -> None:
    """Download what the installer may ask for, and make it a package source of the root."""
    sources = scratch / "sources.list"
    sources.write_text(f"deb [signed-by={keyring}] {uri} {suite} main\n", encoding="utf-8")
    for folder in ("lists/partial", "cache/archives/partial", "state"):
        (scratch / folder).mkdir(parents=True)
    options = {
        "Dir::Etc::SourceList": sources,
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::Etc::PreferencesParts": "/dev/null",
        "Dir::State": scratch / "state",
        "Dir::State::Lists": scratch / "lists",
        "Dir::State::Status": root / "var/lib/dpkg/status",
        "Dir::Cache": scratch / "cache",
        "APT::Sandbox::User": "root",
        "APT::Update::Post-Invoke": "",
        "APT::Update::Post-Invoke-Success": "",
    }
    apt = ["apt-get", "-qq", *(f"-o{name}={value}" for name, value in options.items())]
    _run(deadline, log, *apt, "update")
    _run(deadline, log, *apt, "install", "-y", "--no-install-recommends", "-d", *OFFERED)
    source = root / SOURCE
    source.mkdir(parents=True)
    entries = []
    for package in sorted((scratch / "cache/archives").glob("*.deb")):
        name = package.name.replace("%3a", "_")
        shutil.copy(package, source / name)
        fields = subprocess.run(
            ["dpkg-deb", "-f", str(package)], stdout=subprocess.PIPE, check=True, text=True
        ).stdout.strip()
        digest = hashlib.sha256(package.read_bytes()).hexdigest()
        size = package.stat().st_size
        entries.append(f"{fields}\nFilename: ./{name}\nSize: {size}\nSHA256: {digest}\n")
    (source / "Packages").write_text("\n".join(entries), encoding="utf-8")


def _forget_this_machine(root: Path) -> None:
    """debootstrap copies this machine's name and name servers, and notes its mirror."""
    files = {
        "etc/hostname": "gateway\n",
        "etc/hosts": "127.0.0.1 localhost gateway\n::1 localhost gateway\n",
        "etc/resolv.conf": "",
        "etc/apt/sources.list": f"deb [trusted=yes] file:/{SOURCE} ./\n",
    }
    for name, text in files.items():
        (root / name).unlink(missing_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    (root / "var/log/bootstrap.log").unlink(missing_ok=True)
    for left in (root / "var/lib/apt/lists").glob("*_*"):
        left.unlink()


def wheels(suite: str) -> Path:
    """A folder with the locked packages for the Python of this suite. Raises
    :class:`RootError`."""
    lock = CHECKOUT / "requirements.lock"
    version = SUITES[suite]
    folder = CACHE / f"wheels-{version}-{hashlib.sha256(lock.read_bytes()).hexdigest()[:12]}"
    with _locked(CACHE / f"wheels-{version}.lock"):
        if folder.exists():
            return folder
        part = folder.with_name(folder.name + ".part")
        shutil.rmtree(part, ignore_errors=True)
        _run(
            time.monotonic() + SLOW_AFTER_S,
            folder.with_name(folder.name + ".log"),
            *(sys.executable, "-m", "pip", "download", "--quiet", "--require-hashes"),
            *("--only-binary=:all:", "--python-version", version, "--dest", str(part)),
            *("-r", str(lock)),
        )
        part.rename(folder)
        for old in CACHE.glob(f"wheels-{version}-*"):
            if not old.name.startswith(folder.name):
                shutil.rmtree(old) if old.is_dir() else old.unlink()
    return folder


def cannot() -> str:
    """Why no system can be booted on this machine; empty: one can."""
    if os.geteuid() != 0:
        return "needs root"
    if set(str(CACHE)) & set(":,\\"):
        return f"the path has a character that an overlay cannot have: {CACHE}"
    for tool in ("systemd-nspawn", "debootstrap", "unshare", "nsenter", "setpriv"):
        if shutil.which(tool) is None:
            return f"{tool} is not installed"
    return ""


def main(suites: list[str]) -> int:
    """The exit status."""
    if reason := cannot():
        print(f"no real system: {reason}", file=sys.stderr)
        return 0
    for suite in suites or list(SUITES):
        try:
            get(suite)
        except RootError as error:
            print(f"no real system: {suite}: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
