"""What every test shares: skips are counted, and with CI=true a skipped part is a failure."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from gateway.journal.queries import reader

SHARED = Path(__file__).resolve().parents[2] / "shared"
"""Recordings and the emulated machine lie beside the checkout; tests that want them skip
with a reason where they are absent."""

# A shell that starts the tests in the background lets them ignore Ctrl-C, and every process
# that they start would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Hypothesis measures how long an example takes and how long it is to draw one, by the clock on the
# wall. Beside a busy core that would decide what a test finds; make bench measures times.
settings.register_profile("portier", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("portier")

NOT_SHIPPED = "not beside this checkout"
"""A skip for this reason is no failure in continuous integration: the recordings and the
emulated machine are no part of the project."""
NO_SYSTEM = "PORTIER_NO_SYSTEM=1"
"""Nor for this one: somebody has asked for it, where no container can boot."""


@pytest.fixture(autouse=True)
def _reads_take_their_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """How long one read of the journal may take is judged by the clock on the wall, so a busy
    machine would decide what a test finds. Tests of that limit give their own."""
    monkeypatch.setattr(reader, "READ_WITHIN_MS", 60_000)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = terminalreporter.stats.get("skipped", [])
    if skipped:
        terminalreporter.write_line(f"{len(skipped)} tests were skipped; their reasons stand above")
    unseen = sum(NO_SYSTEM in str(report.longrepr) for report in skipped)
    if unseen:
        terminalreporter.write_line(
            f"{NO_SYSTEM}: {unseen} tests on a real Debian did not run", yellow=True
        )


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if os.environ.get("CI") != "true" or hasattr(session.config, "workerinput"):
        return
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:
        return
    missing = [
        report.nodeid
        for report in reporter.stats.get("skipped", [])
        if NOT_SHIPPED not in str(report.longrepr) and NO_SYSTEM not in str(report.longrepr)
    ]
    if missing and session.exitstatus == pytest.ExitCode.OK:
        reporter.write_line("skipped although CI=true: " + ", ".join(missing), red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
