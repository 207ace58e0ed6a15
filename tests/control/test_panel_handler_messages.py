"""What the panel handler passes on: what became of messages, and how far recorders are."""

from __future__ import annotations

import sys
import threading
from typing import Any, cast

from gateway.control.guarantees import Guarantees
from gateway.control.journal_cursors import Cursors, Question, Seen
from gateway.control.panel_handler import PanelHandler
from gateway.core.events import Delivered
from gateway.core.plan import BuildingPlan
from gateway.panel import messages as m
from tests.control.control_bench import IDENTITY, Rig


class StandInCursors:
    """A journal without anything in it."""

    seen: Seen | None = None

    def ask(self, question: Question) -> None:
        self.seen = Seen(question, Cursors("j2", {}, {}, {}) if question.cursors else None)


def handler(rig: Rig, *, recorders: tuple[str, ...] = ()) -> PanelHandler:
    rig.controller.begin(0)
    return PanelHandler(
        controller=rig.controller,
        inbox=rig.inbox,
        clock=rig.clock,
        journal=cast("Any", rig.journal),
        journal_cursors=cast("Any", StandInCursors()),
        bench=None,
        guarantees=Guarantees.of(BuildingPlan(gateway="test")),
        identity=IDENTITY,
        mqtt=False,
        recorders=recorders,
        points=rig.points,
    )


def test_what_became_of_a_message_goes_to_the_building() -> None:
    rig = Rig()
    one = handler(rig)
    while rig.inbox.take(0) is not None:
        pass
    one.told(m.DeliveredTold("wc-1#1", False, "http 500"))
    assert rig.inbox.take(0) == Delivered("wc-1#1", False, "http 500")


def test_only_expected_recorders_are_remembered_and_only_of_this_journal() -> None:
    rig = Rig()
    told: list[tuple[str, bool]] = []
    keeps: Any = rig.journal
    keeps.recorded = lambda who, _journal, _lanes, *, keep: told.append((who, keep))
    one = handler(rig, recorders=("main",))
    one.grown("j2", {"urgent": 5_000})
    for number in range(1_000):
        one.told(m.Recorded(f"stranger{number}", "j2", {"urgent": 5_000}))
    assert recording(one) == "recorder_missing"
    one.told(m.Recorded("main", "j1", {"urgent": 900_000}))
    assert recording(one) == "recorder_behind"
    one.told(m.Recorded("main", "j2", {"urgent": 4_999}))
    assert recording(one) == ""
    assert {who for who, keep in told if keep} == {"main"}
    assert len(told) == 1_002
    assert len(one._recorded) == 1


def test_a_recorder_that_knew_less_of_this_journal_cannot_be_ahead_of_it() -> None:
    """Whoever may publish events could have given it numbers that do not exist yet; believed, they
    would make the journal a new one, and all of it would be sent again."""
    rig = Rig()
    told: list[dict[str, int]] = []
    keeps: Any = rig.journal
    keeps.recorded = lambda _who, _journal, lanes, *, keep: told.append(dict(lanes))
    one = handler(rig, recorders=("main",))
    one.grown("j2", {"urgent": 50, "routine": 7})
    one.told(m.Recorded("main", "j2", {"urgent": 49, "routine": 7}, foreign=3))
    one.told(m.Recorded("main", "j2", {"urgent": 51, "routine": 7}))
    assert told == [{"urgent": 49, "routine": 7}, {"urgent": 50, "routine": 7}]
    one.told(m.Recorded("other", "j2", {"urgent": 51}))
    assert told[-1] == {"urgent": 51}, "the first word of a recorder may show an older copy"
    one.grown("j3", {"urgent": 1})
    one.told(m.Recorded("main", "j3", {"urgent": 51}))
    assert told[-1] == {"urgent": 51}, "of another journal it has said nothing yet"


def test_foreign_messages_are_counted_and_break_nothing() -> None:
    rig = Rig()
    keeps: Any = rig.journal
    keeps.recorded = lambda *_args, **_named: None
    one = handler(rig, recorders=("main",))
    one.grown("j2", {"urgent": 50})
    one.told(m.Recorded("main", "j2", {"urgent": 50}, foreign=3))
    held = one.snapshot()["guarantees"]
    assert (held["recording"]["reason"], held["recording"]["foreign"]) == ("", 3)


def recording(one: PanelHandler) -> object:
    held = one.snapshot()["guarantees"]
    return held["recording"]["reason"]


def test_the_journals_threads_and_the_panels_lose_no_head_between_them() -> None:
    """Two threads wrote what they had read before: the other one's head was gone."""
    one = handler(Rig())
    lanes = ("urgent", "routine")

    def grow(lane: str) -> None:
        for seq in range(1, 2_000):
            one.grown("j", cast("Any", {lane: seq}))

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=grow, args=(lane,)) for lane in lanes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    assert one._heads == {"urgent": 1_999, "routine": 1_999}


def test_a_head_that_comes_late_takes_nothing_back_and_another_journal_begins_anew() -> None:
    one = handler(Rig())
    one.grown("j", {"urgent": 7})
    one.grown("j", {"urgent": 5})
    assert one._heads == {"urgent": 7}
    one.grown("k", {"urgent": 1})
    assert one._heads == {"urgent": 1}


def test_what_link_has_sent_is_written_when_it_leaves() -> None:
    """The next one reads from the file how far this one has come, and sends nothing twice."""
    rig = Rig()
    one = handler(rig)
    one.gone("web")
    assert rig.journal.flushed == 0
    one.gone("link")
    assert rig.journal.flushed == 1
