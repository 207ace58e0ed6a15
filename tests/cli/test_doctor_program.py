"""What ``portier doctor`` says when the system has another Python than the version that runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.app.doctor.program import Program, examine


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """Installed for Python 3.11, on a Debian with that."""
    (tmp_path / "bin").mkdir()
    prefix = tmp_path / "releases/0.2.0/.venv"
    made = Program(prefix, "3.11", tmp_path / "bin/python3", tmp_path / "share/portier/release")
    has(made, "3.11")
    return made


def has(program: Program, version: str) -> None:
    interpreter = program.system.with_name(f"python{version}")
    interpreter.touch()
    program.system.unlink(missing_ok=True)
    program.system.symlink_to(interpreter.name)


def said(program: Program) -> list[tuple[str, str, str]]:
    releases = program.prefix.parents[1]
    return [(one.value, one.what, one.remedy) for one in examine(program, releases)]


def test_the_python_of_the_system_is_the_one_that_runs_it(program: Program) -> None:
    assert said(program) == [("yes", "program: runs with Python 3.11, the system's", "")]


def test_after_an_upgrade_the_command_is_named_before_the_old_python_goes(
    program: Program,
) -> None:
    has(program, "3.13")
    [(value, what, remedy)] = said(program)
    assert value == "yes", "it runs, as yet"
    assert "the system has Python 3.13 now" in what
    assert "an environment for 3.11 only" in what
    assert "CHECKOUT, or the archive" in remedy

    script = program.package / "deploy/portier-update"
    script.parent.mkdir(parents=True)
    script.touch()
    [(_, _, remedy)] = said(program)
    assert remedy == f"before that: sudo portier-update {program.package}"


def test_a_system_without_python_is_not_called_fine(program: Program) -> None:
    program.system.unlink()
    program.system.symlink_to("nothing")
    assert [value for value, _, _ in said(program)] == ["unknown"]


def test_nothing_is_said_of_a_checkout(program: Program, tmp_path: Path) -> None:
    assert list(examine(program, tmp_path / "elsewhere")) == []
