"""The evidence of the panel handler: what clients of the panel report, and how old that is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest

from gateway.control.guarantees import Guarantees
from gateway.control.journal_cursors import Cursors, Question, Seen
from gateway.control.panel_handler import ASK_EVERY_MS, PanelHandler
from gateway.core.events import CivilTime
from gateway.core.plan import (
    BuildingPlan,
    EscalationPlan,
    MailingPlan,
    ReceiverPlan,
)
from gateway.panel import messages as m
from gateway.panel.snapshot_types import GuaranteeShown, Snapshot
from tests import plans
from tests.control.control_bench import IDENTITY, PLAN, FakeJournal, Rig

TOLD = replace(
    PLAN,
    receivers=(ReceiverPlan("reception", 1),),
    escalations=(EscalationPlan("day", (plans.step("reception", 0),)),),
    alarm_escalations=(("urgent", "day"),),
    mailings=(MailingPlan("test", ("reception",), (1_800_000_001_000,), None),),
)
EVERY_MS = 300_000


class StandInCursors:
    """A journal with nothing in it but what a test puts there."""

    def __init__(self) -> None:
        self.sent: dict[str, int] = {}
        self.heads: dict[str, int] = {}
        self.recorded: dict[str, dict[str, int]] = {}
        self.first: tuple[int | None, int | None] = (None, None)
        self.broken = False
        self.seen: Seen | None = None

    def ask(self, question: Question) -> None:
        if self.broken:
            return
        if question.cursors:
            found = Cursors("j", cast("Any", self.heads), cast("Any", self.sent), self.recorded)
            self.seen = Seen(question, found)
        else:
            wanted = {*question.unsent.items(), *(question.unrecorded or {}).items()}
            self.seen = Seen(question, None, dict.fromkeys(wanted, self.first))


class Bench:
    """A panel handler on a building that runs, and a look at one guarantee."""

    def __init__(self, plan: BuildingPlan = TOLD, **options: Any) -> None:
        self.rig = Rig(plan=plan).start()
        self.cursors = StandInCursors()
        for name in [name for name in options if hasattr(self.cursors, name)]:
            setattr(self.cursors, name, options.pop(name))
        self.one = PanelHandler(
            controller=self.rig.controller,
            inbox=self.rig.inbox,
            clock=self.rig.clock,
            journal=cast("Any", self.rig.journal),
            journal_cursors=cast("Any", self.cursors),
            bench=None,
            guarantees=Guarantees.of(plan),
            identity=IDENTITY,
            mqtt=options.pop("mqtt", True),
            recorders=options.pop("recorders", ()),
            points=self.rig.points,
            heartbeat_every_ms=options.pop("heartbeat_every_ms", EVERY_MS),
            **options,
        )

    def told(self, *messages: m.Message) -> Bench:
        for message in messages:
            self.one.told(message)
        return self

    def passes(self, ms: int) -> Bench:
        self.rig.time.passes(ms)
        self.rig.turn()
        return self

    def snapshot(self) -> Snapshot:
        return self.one.snapshot()

    def one_of(self, name: str) -> GuaranteeShown:
        return self.snapshot()["guarantees"][name]

    def says(self, name: str) -> tuple[str, str]:
        found = self.one_of(name)
        return found["value"], found["reason"]

    @property
    def kernel_ms(self) -> int:
        return self.rig.time.mono_ms


def connected(bench: Bench, **changes: Any) -> m.LinkTold:
    return m.LinkTold(True, "", bench.kernel_ms, 10_000, **changes)


# --- messages and the heartbeat ---------------------------------------------------------------


def test_that_notify_is_there_is_no_proof_that_anything_arrives() -> None:
    bench = Bench()
    assert bench.says("messages") == ("no", "notify_away")
    bench.told(m.Hello("notify"))
    assert bench.says("messages") == ("unknown", "no_delivery")
    bench.passes(2_000).told(m.DeliveredTold("test#1", True, ""))
    assert bench.passes(10).says("messages") == ("yes", "")
    bench.one.gone("notify")
    assert bench.says("messages") == ("no", "notify_away")


def test_a_notify_that_hangs_is_no_proof_whatever_it_has_delivered() -> None:
    bench = Bench().told(m.Hello("notify")).passes(2_000)
    bench.told(m.DeliveredTold("test#1", True, "")).passes(10)
    assert bench.says("messages") == ("yes", "")
    assert bench.passes(27_990).says("messages")[1] != "notify_silent"
    assert bench.passes(1).says("messages") == ("unknown", "notify_silent")
    assert bench.told(m.NotifyTold()).says("messages")[1] != "notify_silent"


def test_an_address_that_cannot_be_read_any_more_is_no_way() -> None:
    bench = Bench().told(m.Hello("notify")).passes(2_000)
    bench.told(m.DeliveredTold("test#1", True, "")).passes(10)
    ways = tuple((one.id, 0) for one in TOLD.receivers)
    assert bench.told(m.NotifyTold(ways)).says("messages") == ("no", "no_address")
    assert bench.told(m.NotifyTold()).says("messages") == ("yes", "")


def test_a_control_that_starts_hears_of_the_last_heartbeat_with_its_age() -> None:
    bench = Bench().passes(1_000).told(m.Hello("notify"))
    assert bench.says("heartbeat") == ("unknown", "no_heartbeat")
    before_ms = bench.kernel_ms - EVERY_MS
    bench.told(m.NotifyTold((), before_ms, False))
    assert bench.says("heartbeat") == ("yes", "")
    assert bench.passes(EVERY_MS).says("heartbeat") == ("yes", "")
    assert bench.passes(1).says("heartbeat") == ("unknown", "no_heartbeat")
    bench.told(m.NotifyTold((), before_ms, True))
    assert bench.says("heartbeat") == ("no", "heartbeat_failed")
    bench.told(m.NotifyTold((), bench.kernel_ms + 10 * EVERY_MS, False))  # none is in the future
    assert bench.passes(2 * EVERY_MS + 1).says("heartbeat") == ("unknown", "no_heartbeat")


def test_what_is_not_stored_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    bench.told(connected(bench))
    late = [10_000]
    monkeypatch.setattr(FakeJournal, "overdue_ms", lambda *_: late[0], raising=False)
    assert bench.says("forwarding") == ("yes", "")
    late[0] += 1
    assert bench.says("forwarding") == ("no", "unsent")


def test_a_failed_message_takes_the_promise_away_until_one_arrives() -> None:
    bench = Bench().told(m.Hello("notify"))
    bench.passes(2_000).told(m.DeliveredTold("test#1", False, "http 500"))
    assert bench.passes(10).says("messages") == ("no", "delivery_failed")


def test_a_message_that_nobody_could_try_says_nothing_of_its_way() -> None:
    bench = Bench().passes(2_000).told(m.DeliveredTold("test#1", False, "notify_away"))
    bench.passes(10).told(m.Hello("notify"))
    assert bench.says("messages") == ("unknown", "no_delivery")


def test_a_heartbeat_counts_for_two_of_its_intervals() -> None:
    bench = Bench().told(m.Hello("notify"))
    assert bench.says("heartbeat") == ("unknown", "no_heartbeat")
    bench.told(m.HeartbeatTold(True, ""))
    assert bench.says("heartbeat") == ("yes", "")
    bench.told(m.HeartbeatTold(False, "connection"))
    assert bench.passes(2 * EVERY_MS).says("heartbeat") == ("yes", "")
    assert bench.passes(1).says("heartbeat") == ("no", "heartbeat_failed")


def test_a_heartbeat_that_stops_without_a_word_is_unknown() -> None:
    bench = Bench().told(m.Hello("notify"), m.HeartbeatTold(True, ""))
    assert bench.passes(2 * EVERY_MS + 1).says("heartbeat") == ("unknown", "no_heartbeat")
    assert bench.one_of("heartbeat")["void_after_ms"] == 2 * EVERY_MS


def test_where_nobody_is_named_nothing_is_promised() -> None:
    bench = Bench(PLAN, heartbeat_every_ms=0)
    bench.told(m.Hello("notify"), m.HeartbeatTold(False, "x"))
    assert bench.says("messages") == ("not_configured", "not_configured")
    assert bench.says("heartbeat") == ("not_configured", "not_configured")


# --- the loop and the command path ------------------------------------------------------------


def test_a_loop_that_stands_still_is_seen() -> None:
    bench = Bench().passes(10)
    bench.snapshot()
    bench.passes(10)
    assert (bench.says("door_by_button"), bench.says("door_by_staff")) == (("yes", ""),) * 2
    bench.rig.time.passes(2_001)
    assert bench.says("door_by_button") == ("unknown", "loop_stalled")
    assert bench.says("door_by_staff") == ("unknown", "loop_stalled")
    assert bench.passes(0).says("door_by_button") == ("yes", "")


def test_commands_that_are_not_taken_are_seen_though_the_loop_turns() -> None:
    bench = Bench().passes(10)
    bench.snapshot()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bench.rig.inbox, "offer", lambda item: False)
        for _ in range(6):
            bench.passes(ASK_EVERY_MS).snapshot()
        assert bench.says("door_by_button") == ("yes", "")
        assert bench.says("door_by_staff") == ("unknown", "command_path")
    bench.snapshot()
    assert bench.passes(10).says("door_by_staff") == ("yes", "")


def test_one_question_at_a_time_is_asked_of_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    bench, asked = Bench().passes(10), list[Any]()

    def offer(item: Any) -> bool:
        asked.append(item)
        return True

    monkeypatch.setattr(bench.rig.inbox, "offer", offer)
    for _ in range(5):
        bench.rig.time.passes(ASK_EVERY_MS)
        bench.snapshot()
    assert len(asked) == 1  # it is never answered
    for answered in (1, 2):
        asked[-1](bench.rig.clock.now_ms())
        bench.snapshot()
        bench.snapshot()
        assert len(asked) == answered + 1  # once a second
        bench.rig.time.passes(ASK_EVERY_MS)


# --- the broker -------------------------------------------------------------------------------


def reports(heard_ms: int) -> m.LinkTold:
    return m.LinkTold(True, "", heard_ms, 10_000)


def test_a_link_that_pings_and_reports_each_ten_seconds_never_flickers() -> None:
    """What it heard just before is 20 s old when the next report comes, and a little more."""
    bench = Bench()
    for _ in range(5):
        bench.passes(5_000)
        heard_ms = bench.kernel_ms - 10_500
        bench.told(reports(heard_ms))
        for _ in range(10):
            assert bench.passes(1_000).says("forwarding") == ("yes", "")


def test_a_link_that_reports_no_more_proves_nothing_after_its_last_word() -> None:
    bench = Bench()
    bench.told(connected(bench))
    assert bench.passes(30_000).says("forwarding") == ("yes", "")
    assert bench.passes(1).says("forwarding") == ("unknown", "broker_silent")


def test_the_broker_must_be_heard_within_two_keep_alives() -> None:
    bench = Bench()
    assert bench.says("forwarding") == ("no", "link_away")
    bench.told(connected(bench))
    heard_ms = bench.kernel_ms
    assert bench.passes(20_000).told(reports(heard_ms)).says("forwarding") == ("yes", "")
    assert bench.passes(1).told(reports(heard_ms)).says("forwarding") == (
        "unknown", "broker_silent",
    )  # fmt: skip
    bench.told(m.Sent("urgent", 3))
    assert bench.says("forwarding") == ("unknown", "broker_silent"), "it may pass absent numbers"
    assert bench.told(reports(bench.kernel_ms)).says("forwarding") == ("yes", "")
    bench.told(m.LinkTold(False, "refused"))
    assert bench.says("forwarding") == ("no", "refused")
    bench.one.gone("link")
    assert bench.says("forwarding") == ("no", "link_away")


def test_a_link_that_does_not_say_when_it_heard_the_broker_proves_nothing() -> None:
    bench = Bench().told(m.LinkTold(True, ""))
    assert bench.says("forwarding") == ("unknown", "broker_silent")


def test_a_connection_that_is_made_anew_begins_without_evidence() -> None:
    bench = Bench()
    bench.told(connected(bench), m.Sent("urgent", 3), m.LinkTold(False, "lost"))
    assert bench.told(m.LinkTold(True, "")).says("forwarding") == ("unknown", "broker_silent")


def test_an_urgent_fact_that_is_not_sent_for_ten_seconds_is_seen() -> None:
    bench = Bench(heads={"urgent": 4, "routine": 9}, sent={"urgent": 3, "routine": 9})
    bench.cursors.first = (bench.rig.clock.now_ms(), None)
    bench.told(connected(bench))
    assert bench.passes(10_000).told(connected(bench)).says("forwarding") == ("yes", "")
    found = bench.passes(1_001).told(connected(bench)).one_of("forwarding")
    assert (found["value"], found["reason"], found["oldest_unsent_ms"]) == ("no", "unsent", 11_001)


def test_a_routine_fact_may_wait() -> None:
    bench = Bench(heads={"urgent": 3, "routine": 9}, sent={"urgent": 3, "routine": 8})
    bench.cursors.first = (bench.rig.clock.now_ms() - 100_000, None)
    found = bench.told(connected(bench)).one_of("forwarding")
    assert (found["value"], found["oldest_unsent_ms"]) == ("yes", 100_000)


def test_an_unsent_fact_of_before_is_as_old_as_the_start_at_least() -> None:
    bench = Bench(heads={"urgent": 4}, sent={"urgent": 3})
    bench.rig.time.passes(20_000)
    assert bench.told(connected(bench)).says("forwarding") == ("no", "unsent")


def test_while_the_journal_cannot_be_read_what_is_unsent_is_unknown() -> None:
    bench = Bench(heads={"urgent": 4}, sent={"urgent": 3})
    bench.cursors.first = (bench.rig.clock.now_ms(), None)
    assert bench.told(connected(bench)).says("forwarding") == ("yes", "")
    bench.cursors.broken = True
    bench.passes(6_000).told(connected(bench))
    assert bench.says("forwarding") == ("unknown", "journal")
    bench.told(m.Sent("urgent", 4))
    assert bench.says("forwarding") == ("yes", "")


def test_the_connection_is_shown_as_link_reports_it() -> None:
    bench = Bench()
    before = bench.snapshot()["link"]
    assert before is not None
    assert before["reason"] == "link_away"
    limits = m.BrokerLimits(maximum_packet_size=1_000)
    bench.told(connected(bench, aside=(("t", "too large"),), aside_count=3, broker=limits))
    shown = bench.passes(50).snapshot()["link"]
    assert shown == {
        "connected": True, "reason": "", "since_ms": bench.rig.clock.now_ms() - 50,
        "heard_ms": bench.rig.clock.now_ms() - 50, "keepalive_ms": 10_000,
        "aside": [["t", "too large"]], "aside_count": 3,
        "broker": {
            "retain_available": True, "maximum_qos": 2, "maximum_packet_size": 1_000,
            "topic_alias_maximum": 0, "server_keep_alive_s": None,
        },
    }  # fmt: skip
    assert Bench(mqtt=False).snapshot()["link"] is None


# --- recorders --------------------------------------------------------------------------------


def recording(**options: Any) -> Bench:
    bench = Bench(recorders=("main",), heads={"urgent": 5}, **options)
    bench.one.grown("j", {})
    return bench


@pytest.fixture
def keeps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeJournal, "recorded", lambda *args, **named: None, raising=False)
    monkeypatch.setattr(FakeJournal, "sent", lambda *args: None, raising=False)


@pytest.mark.usefixtures("keeps")
def test_a_recorder_that_does_not_move_while_something_is_due_is_seen() -> None:
    bench = recording(recorded={"main": {"urgent": 4}})
    assert bench.says("recording") == ("unknown", "recorder_silent")
    bench.told(m.Recorded("main", "j", {"urgent": 4, "routine": 0}))
    assert bench.says("recording") == ("yes", "")
    bench.passes(60_000).told(m.Recorded("main", "j", {"urgent": 4, "routine": 0}))
    assert bench.says("recording") == ("yes", "")
    assert bench.passes(1).says("recording") == ("no", "recorder_behind")
    bench.told(m.Recorded("main", "j", {"urgent": 5}))
    assert bench.says("recording") == ("yes", "")


@pytest.mark.usefixtures("keeps")
def test_where_nothing_is_due_a_silent_recorder_is_in_order() -> None:
    bench = recording(recorded={"main": {"urgent": 5}})
    assert bench.passes(3_600_000).says("recording") == ("yes", "")


@pytest.mark.usefixtures("keeps")
def test_points_that_a_recorder_sets_aside_are_seen_until_it_is_settled() -> None:
    bench = recording()
    bench.told(m.Recorded("main", "j", {"urgent": 5}, aside=70))
    found = bench.one_of("recording")
    assert (found["value"], found["reason"], found["aside"]) == ("no", "recorder_aside", 70)
    bench.told(m.Recorded("main", "j", {"urgent": 5}))
    assert bench.says("recording") == ("yes", "")


@pytest.fixture(autouse=True)
def _cursors(keeps: None) -> None:
    """Cursors need no journal here."""


# --- journal and clock ------------------------------------------------------------------------


def test_a_fact_that_waits_for_its_commit_is_seen() -> None:
    bench = Bench()
    assert bench.says("journal") == ("yes", "")
    bench.rig.journal.overdue = 2_001
    assert bench.says("journal") == ("no", "journal_slow")


def test_before_the_journal_was_ever_read_nothing_is_known_of_it() -> None:
    assert Bench(broken=True).says("journal") == ("unknown", "no_evidence")


def test_a_clock_that_nobody_watches_any_more_is_unknown() -> None:
    bench = Bench()
    assert bench.says("clock") == ("unknown", "clock_unwatched")
    told = m.ClockTold(True, bench.rig.time.utc_ms, bench.kernel_ms)
    assert bench.told(told).passes(60_000).says("clock") == ("yes", "")
    assert bench.passes(1).says("clock") == ("unknown", "clock_unwatched")
    bench.told(replace(told, trusted=False)).passes(10)
    assert bench.says("clock") == ("no", "clock_untrusted")
    assert Bench(own_clock=True).says("clock") == ("yes", "")


def test_a_bench_that_travels_makes_nothing_older() -> None:
    """Evidence comes from this machine; the bench's clock may be days ahead."""
    bench = Bench(own_clock=True).told(m.Hello("notify"), m.HeartbeatTold(True, ""))
    bench.told(connected(bench))
    bench.snapshot()
    bench.rig.turn()
    bench.rig.clock.travel_to(bench.rig.clock.now_ms() + 7 * 86_400_000)
    bench.rig.controller.turn(CivilTime(1_800_000_000_000 + 7 * 86_400_000, True))
    for name in ("door_by_button", "door_by_staff", "forwarding", "heartbeat", "clock"):
        assert bench.says(name) == ("yes", ""), name
    found = bench.one_of("heartbeat")
    assert found["evidence_ms"] == bench.rig.clock.now_ms()


def test_a_guarantee_that_has_changed_for_good_is_a_fact() -> None:
    """Whoever asks for snapshots has them judged; without a client the panel does so itself."""
    bench = Bench(mqtt=False, heartbeat_every_ms=0)
    for _ in range(40):
        bench.one.snapshot()
        bench.passes(1_000)
    facts = bench.rig.journal.facts("guarantee_changed")
    assert {fact.subject for fact in facts} == set(bench.one.snapshot()["guarantees"])
    assert {fact.data["before"] for fact in facts} == {None}
    assert ("forwarding", "not_configured") in [(f.subject, f.data["value"]) for f in facts]
    bench.one.journal_reason = "journal_full"
    for _ in range(40):
        bench.one.snapshot()
        bench.passes(1_000)
    (last,) = bench.rig.journal.facts("guarantee_changed")[len(facts) :]
    assert (last.subject, last.data["value"], last.data["reason"]) == (
        "journal", "no", "journal_full",
    )  # fmt: skip
