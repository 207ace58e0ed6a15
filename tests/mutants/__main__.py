"""``python -m tests.mutants``: one deliberate bug after the other, and who caught it.

Each is put into a copy of the package. First the oracles of the simulation have their say; only
what they miss goes to the tests of its package. The report is written after each."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.mutants.bugs import BUGS, Bug

REPO = Path(__file__).parents[2]
REPORT = Path(__file__).with_name("README.md")
COPIED = ("gateway", "drivers", "tests", "config", "pyproject.toml")
TIMEOUT_S = 900
TESTS = {
    "core": ["tests/core", "tests/stories"],
    "control": ["tests/control"],
    "journal": ["tests/journal"],
    "link": ["tests/link"],
    "wire.py": ["tests/wire", "tests/link"],
    "recorder": ["tests/recorder"],
}
INTRODUCTION = """# Deliberate bugs, and who catches them

Written by `make mutants`. Each line of `bugs.py` is put into a copy of the package, one at a
time. The oracles of the simulation are asked first; what they miss goes to the package's tests.

"""


def tried(bug: Bug) -> tuple[str, str]:
    """Who caught it (``oracle``, ``test`` or nobody), and how it was put."""
    with tempfile.TemporaryDirectory(prefix="mutant") as name:
        folder = Path(name)
        for one in COPIED:
            copy = shutil.copytree if (REPO / one).is_dir() else shutil.copy
            copy(REPO / one, folder / one)
        file = folder / bug.file
        file.write_text(file.read_text().replace(bug.old, bug.new))
        world = "building" if bug.room in ("core", "control") else "delivery"
        told = _run(folder, "-m", "tests.mutants.judge", world)
        if told is None:
            return "oracle", "the simulated life does not come to its end"
        if told.returncode:
            said = told.stdout.strip() or told.stderr.strip().splitlines()[-1]
            return "oracle", said.splitlines()[0]
        told = _run(folder, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *TESTS[bug.room])
        if told is None:
            return "test", "the tests do not come to their end"
        failed = re.search(r"^(?:FAILED|ERROR) (\S+)", told.stdout, re.MULTILINE)
        return ("test", failed[1]) if failed else ("", "")


def _run(folder: Path, *words: str) -> subprocess.CompletedProcess[str] | None:
    told = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-P", *words]
    try:
        return subprocess.run(
            command, cwd=folder, env=told, capture_output=True, text=True, check=False,
            timeout=TIMEOUT_S,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return None


def report(found: dict[Bug, tuple[str, str]]) -> str:
    """The page."""
    caught = {
        kind: sum(who == kind for who, _ in found.values()) for kind in ("oracle", "test", "")
    }
    lines = [
        f"{len(found)} bugs: {caught['oracle']} caught by an oracle of the simulation, "
        f"{caught['test']} by a test of the package, **{caught['']} survived**.",
        "",
        "| package | bug | caught by | what it said |",
        "| --- | --- | --- | --- |",
    ]
    for bug, (who, said) in found.items():
        text = re.sub(r"/tmp/\S+|\|", " ", said)[:160]
        lines.append(f"| {bug.room} | {bug.what} | {who or '**nobody**'} | {text} |")
    return INTRODUCTION + "\n".join(lines) + "\n"


def main() -> int:
    """1 when a bug has survived."""
    parser = argparse.ArgumentParser(prog="mutants")
    parser.add_argument("--only", default="", help="bugs whose room or text contains this")
    parser.add_argument("--part", type=int, nargs=2, default=(0, 1), metavar=("N", "OF"))
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--report", type=Path, default=REPORT)
    told = parser.parse_args()
    bugs = [bug for bug in BUGS if told.only in f"{bug.file} {bug.what}"]
    bugs = bugs[told.part[0] :: told.part[1]]
    found: dict[Bug, tuple[str, str]] = {}
    with ThreadPoolExecutor(told.jobs) as pool:
        for bug, verdict in zip(bugs, pool.map(tried, bugs), strict=True):
            found[bug] = verdict
            sys.stdout.write(f"{verdict[0] or 'NOBODY':8} {bug.what}: {verdict[1][:120]}\n")
            sys.stdout.flush()
            told.report.write_text(report(found))
    return 1 if any(not who for who, _ in found.values()) else 0


if __name__ == "__main__":
    raise SystemExit(main())
