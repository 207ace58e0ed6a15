"""Whether every test file can be loaded, and every fixture that a test asks for exists: what
neither ruff nor mypy can see. Nothing is set up and no test runs. ``make check`` calls it; it
prints what is wrong, and nothing else."""

from __future__ import annotations

import io
import sys
from contextlib import redirect_stdout
from pathlib import Path

import pytest

OPTIONS = ["-c", str(Path(__file__).parents[2] / "pyproject.toml"), "-p", "no:cacheprovider"]


class Faults:
    """What pytest reports as failed while it loads and plans."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self._note(report)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._note(report)

    def _note(self, report: pytest.CollectReport | pytest.TestReport) -> None:
        if report.failed:
            self.found.append(f"{report.nodeid}\n{report.longreprtext}")


def faults(*where: str) -> list[str]:
    """One text for each file and test that is broken; also where pytest itself gave up."""
    seen, shown = Faults(), io.StringIO()
    with redirect_stdout(shown):  # pytest would print each fixture of each test
        status = pytest.main(["--setup-plan", "-q", *OPTIONS, *where], [seen])
    known = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)  # skips are failures where CI=true
    return seen.found if seen.found or status in known else [shown.getvalue()]


if __name__ == "__main__":
    found = faults("tests")
    for one in found:
        print(one, file=sys.stderr)
    sys.exit(bool(found))
