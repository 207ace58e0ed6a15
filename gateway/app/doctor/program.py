"""What ``portier doctor`` says of the installed program: whether its Python is the system's."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gateway.app.findings import Finding, soon, unknown, yes

RELEASES = Path("/opt/portier/releases")


@dataclass(frozen=True, slots=True)
class Program:
    """``prefix``: of the environment that this runs in; ``python``: its version; ``system``:
    what the system calls Python, a link to a version of it; ``package``: the release that the
    Debian package has laid down."""

    prefix: Path = Path(sys.prefix)
    python: str = f"{sys.version_info[0]}.{sys.version_info[1]}"
    system: Path = Path("/usr/bin/python3")
    package: Path = Path("/usr/share/portier/release")


def examine(program: Program | None = None, releases: Path = RELEASES) -> Iterator[Finding]:
    """Check the Python of the version that runs. It is that of Debian: an upgrade of the system
    brings another one, and with ``apt autoremove`` the old one goes. Nothing is said of a
    checkout."""
    program = program or Program()
    if not program.prefix.is_relative_to(releases):
        return
    found = re.fullmatch(r"python(\d+\.\d+)", Path(os.path.realpath(program.system)).name)
    if found is None:
        yield unknown(
            f"program: which Python the system has is not known ({program.system})",
            "sudo apt install python3",
            "looked just now",
        )
        return
    if found[1] == program.python:
        yield yes(f"program: runs with Python {program.python}, the system's", "looked just now")
        return
    source = "CHECKOUT, or the archive of this version"
    if (program.package / "deploy/portier-update").is_file():
        source = str(program.package)
    yield soon(
        f"program: the system has Python {found[1]} now, and this version has an environment for "
        f"{program.python} only: it runs until that is removed (apt autoremove)",
        f"before that: sudo portier-update {source}",
        f"{program.system}, looked just now",
    )
