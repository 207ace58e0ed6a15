"""The trust in the clock: who reports it, what a restart remembers, what the journal may delete."""

from __future__ import annotations

from gateway.control.clock import REPORT_VOID_MS, Reports
from gateway.core.signals.clock import Past
from tests.control.control_bench import Rig

HERE = Past("kernel/1", 0, "", 0)
NEXT = Past("kernel/2", 2_000_000, "kernel/1", 2_000_000)
YEAR_MS = 365 * 86_400_000


def rig(kept: object = None, past: Past = HERE, *, readable: bool = True) -> Rig:
    made = Rig(trusted=False, saved_state=kept, readable=readable)  # type: ignore[arg-type]
    made.journal.past = past
    return made


def trusted() -> Rig:
    first = rig().start()
    first.controller.clock_told("link", True)
    first.passes(100)
    return first


def kept_of(first: Rig) -> object:
    return [batch.saved_state for batch in first.journal.batches if batch.saved_state is not None][
        -1
    ]


def test_trust_and_offset_survive_a_restart_within_one_boot_of_the_kernel() -> None:
    first = trusted()
    again = rig(kept_of(first)).start()
    assert again.controller.trust.trusted
    building, _ = again.controller.view
    assert building.clock.trusted
    assert again.journal.offsets == [first.controller.trust.offset_ms]
    assert len(again.journal.facts("clock_trusted")) == 1


def test_trust_does_not_survive_a_reboot() -> None:
    again = rig(kept_of(trusted()), NEXT).start()
    assert not again.controller.trust.trusted
    assert again.journal.settles[-1] is False


def test_trust_is_remembered_also_where_the_journal_comes_late() -> None:
    first = trusted()
    late = rig(readable=False).start()
    before = late.controller.trust
    assert not before.trusted
    late.journal.state_before = kept_of(first)  # type: ignore[assignment]
    late.passes(1_100, 100)
    assert late.controller.trust.trusted
    assert len(late.journal.facts("clock_trusted")) == 1


def test_a_clock_that_was_stepped_while_control_was_away_has_jumped() -> None:
    first = trusted()
    again = rig(kept_of(first))
    again.time.utc_ms += YEAR_MS
    again.start()
    again.passes(1_100, 100)
    (step,) = again.journal.facts("clock_stepped")
    assert step.data["by_ms"] == YEAR_MS
    assert again.journal.settles[-1] is False
    assert any(f.subject.endswith("/clock_jumped") for f in again.journal.facts("alarm_raised"))


def test_the_journal_hears_whether_the_clock_is_settled() -> None:
    first = trusted()
    assert first.journal.settles == [False, True]
    first.time.utc_ms += YEAR_MS
    first.passes(1_100, 100)
    assert first.journal.settles == [False, True, False]


def test_where_roles_differ_untrusted_is_taken() -> None:
    reports = Reports()
    assert reports.trusted(0) is None
    reports.take("web", True, 0)
    assert reports.trusted(0) is True
    reports.take("link", False, 0)
    assert reports.trusted(0) is False
    reports.take("link", None, 5)
    reports.take("notify", None, 5)
    assert reports.trusted(5) is True
    assert reports.trusted(REPORT_VOID_MS) is True
    assert reports.trusted(REPORT_VOID_MS + 1) is None  # it may hang
    reports.take("link", False, REPORT_VOID_MS + 1)
    assert reports.trusted(REPORT_VOID_MS + 1) is False


def test_a_role_that_says_nothing_more_takes_no_trust_away() -> None:
    first = trusted()
    first.controller.clock_told("link", None)
    first.passes(200_000, 1_000)
    assert first.controller.trust.trusted


def test_each_role_reports_for_itself() -> None:
    first = trusted()
    first.controller.clock_told("web", False)
    first.passes(100)
    assert not first.controller.trust.trusted
    first.controller.clock_told("web", None)  # it has left
    first.passes(100)
    assert first.controller.trust.trusted
