"""The emulated machine with simulated GPIO lines, seen from the host.

It is a tool beside the project: a folder with ``run.sh`` and ``build.sh``, named by
``PORTIER_RIG``, or ``shared/rig`` beside the checkout. What it builds goes to ``RIG_BUILD``,
or to ``.cache/rig`` of the checkout.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
GUEST = Path(__file__).resolve().parent / "guest"


def folder() -> Path | None:
    """Where the rig is, or ``None``."""
    named = os.environ.get("PORTIER_RIG")
    places = [Path(named)] if named else [ROOT.parent / "shared" / "rig"]
    return next((place for place in places if (place / "run.sh").is_file()), None)


def build() -> tuple[Path, Path]:
    """The rig and the built machine; built first where it is not there. Skips with the reason
    where it cannot be."""
    where = Path(os.environ.get("RIG_BUILD", ROOT / ".cache" / "rig"))
    rig = folder()
    if rig is None:
        pytest.skip("the GPIO rig is not beside this checkout: name its folder in PORTIER_RIG")
    if not (where / "stamp").exists():
        if os.geteuid() != 0:
            pytest.skip(f"the GPIO rig is not built: run {rig}/build.sh as root")
        where.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            [rig / "build.sh"], check=True, timeout=600, env={**os.environ, "RIG_BUILD": str(where)}
        )
    return rig, where


def run(
    script: str,
    *arguments: str,
    files: Sequence[Path] = (),
    persist: bool = True,
    systemd: bool = False,
    timeout_s: int = 170,
) -> dict[str, Any]:
    """Boot, run one script of ``guest/`` with the drivers at hand, and give what it saw by case.

    ``persist``: the kernel keeps the level of an output that nobody holds, as Raspberry Pi OS
    has it; otherwise it lets go, as Debian's kernel does."""
    rig, built = build()
    environment = {
        **os.environ,
        "RIG_BUILD": str(built),
        "RIG_PERSIST_OUTPUTS": str(int(persist)),
        "RIG_INIT": "systemd" if systemd else "plain",
        "RIG_TIMEOUT": str(timeout_s),
    }
    others = [path for path in GUEST.iterdir() if path.name != script and path.is_file()]
    command = [rig / "run.sh", GUEST / script, ROOT / "drivers", *others, *files]
    done = subprocess.run(
        [*command, "--", *arguments],
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
