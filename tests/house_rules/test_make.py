"""The targets of the Makefile are listed by ``make help``; hooks run what ``make check`` runs."""

from __future__ import annotations

import os
import re
import subprocess
from itertools import pairwise
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
GROUPS = ("Run it", "Check a change", "Everything, at length", "Maintain")


def make(*words: str) -> str:
    """What make says; the tests may have been started by another make, whose flags end here."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(
        ["make", "--no-print-directory", *words],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
    )
    return done.stdout


def targets() -> list[str]:
    """What can be made by name, as make itself reads the file (no files, no pattern rules)."""
    database = make("--dry-run", "--print-data-base", "help")
    named = re.search(r"^\.PHONY: (.*)$", database, re.MULTILINE)
    assert named is not None
    return named[1].split()


def commands(text: str) -> list[str]:
    """What is run from .venv, without where its output goes."""
    lines = [line.partition(" > ")[0].strip() for line in text.splitlines()]
    return [line for line in lines if line.startswith(".venv/bin/")]


def test_every_target_is_listed_with_a_text_that_fits_a_terminal() -> None:
    shown = make("help")
    listed = dict(re.findall(r"^  make ([\w-]+) +(\S.*)$", shown, re.MULTILINE))
    assert sorted(listed) == sorted(targets())
    assert [line for line in shown.splitlines() if len(line) > 80] == []


def test_no_rule_is_left_out_of_the_phony_targets() -> None:
    rules = re.findall(
        r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert sorted(rules) == sorted(targets())


def test_targets_are_listed_in_groups() -> None:
    lines = make("help").splitlines()
    heads = [line for line, after in pairwise(lines) if "  make " in after[:7]]
    assert tuple(line for line in heads if not line.startswith(" ")) == GROUPS


def test_the_hooks_before_a_commit_run_what_make_check_runs() -> None:
    written = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert [repo["repo"] for repo in written["repos"]] == ["local"], "nothing is downloaded"
    hooks = written["repos"][0]["hooks"]
    made = make("--dry-run", "--old-file=.venv/.test", "check")
    assert [hook["entry"] for hook in hooks] == commands(made)
    for hook in hooks:
        assert hook["language"] == "system"
        assert hook["always_run"]
        assert not hook["pass_filenames"]
