"""The journal is read in a thread of its own: a card that does not answer holds up nobody else."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from gateway.control.guarantees import Guarantees
from gateway.control.journal_cursors import JournalCursors, Question
from gateway.control.panel_handler import CURSORS_VOID_MS, PanelHandler
from gateway.core.facts import Fact
from gateway.core.plan import BuildingPlan
from gateway.journal.queue import Batch
from gateway.journal.writer import Journal
from gateway.panel import messages as m
from tests.control.control_bench import IDENTITY, Rig

ANSWERS_S = 20.0


class Card:
    """What the reader of cursors reads, which may be held. ``reads``: it has come to read."""

    def __init__(self) -> None:
        self.free = threading.Event()
        self.free.set()
        self.reads = threading.Semaphore(0)

    def look(self) -> None:
        self.reads.release()
        assert self.free.wait(ANSWERS_S)

    def read(self) -> None:
        assert self.reads.acquire(timeout=ANSWERS_S), "nobody reads"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A journal with one fact that nobody has sent."""
    path, done = tmp_path / "journal.sqlite", threading.Event()
    journal = Journal(
        path, boot="boot", limit_bytes=10**8, lives={}, on_commit=lambda _: done.set(),
        on_state=lambda _: None, gateway="test", now_ms=lambda: 5, routine_wait_ms=50,
    )  # fmt: skip
    journal.start()
    opened = Fact("door_opened", "front", 7, {})
    journal.append(Batch((opened,)))
    assert done.wait(ANSWERS_S)
    journal.close(ANSWERS_S)
    return path


def answered(cursors: JournalCursors, question: Question) -> Any:
    """What is read for it. Asking goes on until the question is taken: one may be under way."""
    for _ in range(2_000):
        cursors.ask(question)
        if cursors.seen is not None and cursors.seen.asked == question:
            return cursors.seen
        threading.Event().wait(0.01)
    raise AssertionError("no answer")


def test_cursors_and_the_first_fact_after_a_number_are_read(path: Path) -> None:
    cursors = JournalCursors(path, "boot", lambda: None, lambda *_, **__: None)
    cursors.start()
    found = answered(cursors, Question(1, cursors=True)).cursors
    assert (found.heads["urgent"], found.sent["urgent"], found.recorded) == (1, 0, {})
    seen = answered(cursors, Question(2, unsent={"urgent": 0}, unrecorded={"urgent": 1}))
    assert seen.first == {("urgent", 0): (7, None), ("urgent", 1): (None, None)}
    other = JournalCursors(path, "another boot", lambda: None, lambda *_, **__: None)
    other.start()
    assert answered(other, Question(3, unsent={"urgent": 0})).first == {("urgent", 0): (None, None)}


def test_while_reads_hang_nobody_waits_and_what_rests_on_them_becomes_unknown(path: Path) -> None:
    card, rig = Card(), Rig()
    rig.start()
    cursors = JournalCursors(path, "boot", card.look, lambda *_, **__: None)
    cursors.start()
    handler = PanelHandler(
        controller=rig.controller, inbox=rig.inbox, clock=rig.clock,
        journal=cast("Any", rig.journal), journal_cursors=cursors, bench=None,
        guarantees=Guarantees.of(BuildingPlan(gateway="test")), identity=IDENTITY, mqtt=True,
        recorders=("main",), points=rig.points,
    )  # fmt: skip

    def says(name: str) -> tuple[str, str]:
        handler.told(m.LinkTold(True, "", rig.time.mono_ms, 10_000))
        shown = handler.snapshot()["guarantees"][name]
        return shown["value"], shown["reason"]

    def until(what: Callable[[], bool]) -> None:
        for _ in range(2_000):
            if what():
                return
            threading.Event().wait(0.01)
        raise AssertionError("it did not come to that")

    def sees_again() -> bool:
        rig.time.passes(1_000)
        return says("forwarding")[1] != "journal"

    card.free.clear()
    handler.begin()
    card.read()
    assert cursors.busy
    for _ in range(10):  # would never come back, were the journal read here
        assert says("recording") == ("unknown", "journal")
        assert says("forwarding") == ("unknown", "journal")
        rig.time.passes(1_000)
    card.free.set()
    until(lambda: says("recording")[1] == "recorder_missing")
    until(sees_again)
    card.free.clear()
    rig.time.passes(1_000)
    before = says("forwarding")
    assert before[1] != "journal"
    rig.time.passes(CURSORS_VOID_MS + 1)
    assert says("forwarding") == ("unknown", "journal")
    card.free.set()
    until(sees_again)


def test_what_cannot_be_read_ends_nothing(tmp_path: Path) -> None:
    said: list[str] = []
    looks = iter([OSError("no such card"), ValueError("nonsense"), ValueError("nonsense")])

    def look() -> None:
        raise next(looks)

    cursors = JournalCursors(
        tmp_path / "journal.sqlite", "boot", look, lambda _, text, **__: said.append(text)
    )
    cursors.start()
    for _ in range(3):
        cursors.ask(Question(1))
        while cursors.busy:
            threading.Event().wait(0.001)
    assert cursors.alive
    assert cursors.seen is None
    assert said == ["the journal cannot be looked at"]
