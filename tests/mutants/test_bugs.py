"""A deliberate bug that no longer fits the code would be caught by nobody and prove nothing."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.mutants.bugs import BUGS, Bug

REPO = Path(__file__).parents[2]


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.what)
def test_every_bug_fits_its_file_once_and_is_still_python(bug: Bug) -> None:
    text = (REPO / bug.file).read_text()
    assert text.count(bug.old) == 1
    ast.parse(text.replace(bug.old, bug.new))


def test_there_are_enough_and_each_has_a_name_of_its_own() -> None:
    assert len({bug.what for bug in BUGS}) == len(BUGS) >= 40
    assert {bug.room for bug in BUGS} >= {"core", "journal", "link", "recorder"}
