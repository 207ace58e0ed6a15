"""The emulated machine with simulated GPIO lines, seen from the host.

It is in ``machine/``: ``build.sh`` makes it of Debian's packages, as root, and ``run.sh`` boots it
for one script. What was built is kept in ``RIG_BUILD``, or in ``.cache/rig`` of the checkout.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
GUEST = Path(__file__).resolve().parent / "guest"
MACHINE = Path(__file__).resolve().parent / "machine"


@functools.cache
def build() -> Path:
    """The built machine, up to date. Skips with the reason where it cannot be built."""
    where = Path(os.environ.get("RIG_BUILD", ROOT / ".cache" / "rig"))
    if os.geteuid() == 0:
        where.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, "RIG_BUILD": str(where)}
        subprocess.run([MACHINE / "build.sh"], check=True, timeout=900, env=environment)
    elif not (where / "stamp").exists():
        pytest.skip(f"the emulated machine is not built: run {MACHINE}/build.sh as root")
    return where


WANTED = frozenset(
    {"annotated-doc", "annotated-types", "click", "holidays", "markdown-it-py", "mdurl"}
    | {"pydantic", "pydantic-core", "pygments", "python-dateutil", "pyyaml", "rich"}
    | {"shellingham", "six", "structlog", "typer", "typing-extensions", "typing-inspection"}
)
"""Of the lock: what ``control`` and the command line import. The machine has gpiozero and
gpiod, and everything more is time that each boot needs for copying."""


def libraries() -> Path:
    """The locked wheels of :data:`WANTED` for the machine's Python, compiled; kept in .cache."""
    version = (build() / "python").read_text().strip()
    blocks = re.split(r"\n(?=[a-z])", (ROOT / "requirements.lock").read_text())
    lines = [
        "\n".join(line for line in block.splitlines() if not line.lstrip().startswith("#"))
        for block in blocks
        if block.split("==")[0] in WANTED
    ]
    lock = "\n".join(lines) + "\n"
    digest = hashlib.sha256((version + lock).encode()).hexdigest()[:16]
    where = ROOT / ".cache" / f"guest-{digest}"
    if where.exists():
        return where / "site"
    where.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=where.parent) as folder:
        wanted = Path(folder, "wanted.txt")
        wanted.write_text(lock, encoding="utf-8")
        site = Path(folder, "built", "site")
        platforms = [f"--platform={p}" for p in ("manylinux_2_28_x86_64", "manylinux2014_x86_64")]
        abis = [f"--abi={abi}" for abi in ("cp" + version.replace(".", ""), "abi3", "none")]
        options = ["--quiet", "--no-deps", "--require-hashes", "--only-binary=:all:"]
        options += ["--no-compile", "--implementation=cp", f"--python-version={version}"]
        options += [*abis, *platforms, "--platform=any"]
        pip = [sys.executable, "-m", "pip", "install", *options]
        subprocess.run([*pip, "--target", site, "--requirement", wanted], check=True, timeout=300)
        _compile(site, version)
        site.parent.rename(where)
    return where / "site"


_no_caches = shutil.ignore_patterns("__pycache__", "static", "locales", "templates")


def _compile(folder: Path, version: str) -> None:
    """An installation is compiled, so this is; where the machine's Python is not here as well,
    it works all the same, only slower."""
    python = shutil.which(f"python{version}")
    if python is not None:
        subprocess.run(
            [python, "-m", "compileall", "-q", "--invalidation-mode=unchecked-hash", folder],
            check=False,
            timeout=300,
        )


def portier() -> Path:
    """Everything that an installation has, compiled, in one archive: copying thousands of small
    files into the machine takes it minutes. Kept in .cache for the state of the checkout."""
    version = (build() / "python").read_text().strip()
    where = ROOT / ".cache" / "guest.tar"
    with tempfile.TemporaryDirectory() as folder:
        for name in ("drivers", "gateway"):
            shutil.copytree(ROOT / name, Path(folder, name), ignore=_no_caches)
        _compile(Path(folder), version)
        tar = ["tar", "--create", f"--file={where}", "--owner=0", "--group=0", "--mode=a+rX"]
        subprocess.run(
            [*tar, "-C", folder, ".", "-C", str(libraries()), "."], check=True, timeout=60
        )
    return where


def run(
    script: str,
    *arguments: str,
    files: Sequence[Path] = (),
    persist: bool = True,
    systemd: bool = False,
    timeout_s: int = 600,
) -> dict[str, Any]:
    """Boot, run one script of ``guest/`` with the drivers at hand, and give what it saw by case.

    ``persist``: the kernel keeps the level of an output that nobody holds, as Raspberry Pi OS
    has it; otherwise it lets go, as Debian's kernel does."""
    built = build()
    environment = {
        **os.environ,
        "RIG_BUILD": str(built),
        "RIG_PERSIST_OUTPUTS": str(int(persist)),
        "RIG_INIT": "systemd" if systemd else "plain",
        "RIG_TIMEOUT": str(timeout_s),
        "RIG_BOOT_TIMEOUT": "240",  # 8 s, on a host that has nothing else to do
    }
    others = [path for path in GUEST.iterdir() if path.name != script and path.is_file()]
    done = subprocess.run(
        [MACHINE / "run.sh", GUEST / script, ROOT / "drivers", *others, *files, "--", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout_s * 3,
        check=False,
    )
    sys.stdout.write(done.stdout + done.stderr)
    assert done.returncode == 0, f"{script} ended with {done.returncode}"
    lines = [line for line in done.stdout.splitlines() if line.startswith("CASE ")]
    cases = [json.loads(line.removeprefix("CASE ")) for line in lines]
    return {seen.pop("case"): seen for seen in cases}
