"""The journal is read in a thread of its own: a card that does not answer holds up nobody else."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from gateway.control.desk import CURSORS_VOID_MS, Desk
from gateway.control.eye import Eye, Question
from gateway.control.guarantees import Guarantees
from gateway.core.facts import Fact
from gateway.core.plan import BuildingPlan
from gateway.journal.queue import Batch
from gateway.journal.writer import Journal
from gateway.panel import messages as m
from tests.control.control_bench import IDENTITY, Rig

ANSWERS_S = 20.0


class Card:
    """What the eye reads, which may be held. ``reads``: it has come to read."""

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


def answered(eye: Eye, question: Question) -> Any:
    """What is read for it. Asking goes on until the question is taken: one may be under way."""
    for _ in range(2_000):
        eye.ask(question)
        if eye.seen is not None and eye.seen.asked == question:
            return eye.seen
        threading.Event().wait(0.01)
    raise AssertionError("no answer")


def test_cursors_and_the_first_fact_after_a_number_are_read(path: Path) -> None:
    eye = Eye(path, "boot", lambda: None, lambda *_, **__: None)
    eye.start()
    found = answered(eye, Question(1, cursors=True)).cursors
    assert (found.heads["urgent"], found.sent["urgent"], found.recorded) == (1, 0, {})
    seen = answered(eye, Question(2, unsent={"urgent": 0}, unrecorded={"urgent": 1}))
    assert seen.first == {("urgent", 0): (7, None), ("urgent", 1): (None, None)}
    other = Eye(path, "another boot", lambda: None, lambda *_, **__: None)
    other.start()
    assert answered(other, Question(3, unsent={"urgent": 0})).first == {("urgent", 0): (None, None)}


def test_while_reads_hang_nobody_waits_and_what_rests_on_them_becomes_unknown(path: Path) -> None:
    card, rig = Card(), Rig()
    rig.start()
    eye = Eye(path, "boot", card.look, lambda *_, **__: None)
    eye.start()
    desk = Desk(
        controller=rig.controller, inbox=rig.inbox, clock=rig.clock,
        journal=cast("Any", rig.journal), eye=eye, bench=None,
        guarantees=Guarantees.of(BuildingPlan(gateway="test")), identity=IDENTITY, mqtt=True,
        recorders=("main",), points=rig.points,
    )  # fmt: skip

    def says(name: str) -> tuple[str, str]:
        desk.told(m.LinkTold(True, "", rig.time.mono_ms, 10_000))
        shown = desk.snapshot()["guarantees"][name]
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
    desk.begin()
    card.read()
    assert eye.busy
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

    eye = Eye(tmp_path / "journal.sqlite", "boot", look, lambda _, text, **__: said.append(text))
    eye.start()
    for _ in range(3):
        eye.ask(Question(1))
        while eye.busy:
            threading.Event().wait(0.001)
    assert eye.alive
    assert eye.seen is None
    assert said == ["the journal cannot be looked at"]
