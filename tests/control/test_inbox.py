"""The inbox: bounded, never waiting, and no contact left wrong by an overflow."""

from __future__ import annotations

import threading

from hypothesis import given
from hypothesis import strategies as st

from gateway.control.inbox import Inbox
from gateway.core.events import JournalState, Level, Reading


def drain(inbox: Inbox) -> list[object]:
    found: list[object] = []
    while inbox._queue.qsize() or inbox._newest:  # the queue may hold only a wake-up
        item = inbox.take(0)
        if item is not None:
            found.append(item)
    return found


def test_things_come_in_their_order() -> None:
    inbox = Inbox()
    items = [Level("a", True, 1), Reading("m", "q", 1.0), Level("a", False, 2)]
    for item in items:
        inbox.report(item)
    assert drain(inbox) == items


def test_a_flood_is_bounded_and_counted() -> None:
    inbox = Inbox(most=10)
    for number in range(1000):
        inbox.report(Reading("m", "q", float(number)))
    assert len(drain(inbox)) == 10
    assert inbox.overflows == 990


def test_a_command_is_turned_away_when_it_is_full() -> None:
    inbox = Inbox(most=1)
    assert inbox.offer(JournalState("")) is True
    assert inbox.offer(JournalState("")) is False


@given(
    st.integers(1, 8),
    st.lists(st.tuples(st.sampled_from("abc"), st.booleans(), st.integers(0, 3)), max_size=60),
)
def test_the_last_level_of_every_contact_arrives_last(
    most: int, reports: list[tuple[str, bool, int]]
) -> None:
    """Whatever is lost: levels of a point never come in the wrong order, and the newest comes."""
    inbox = Inbox(most)
    taken: list[Level] = []
    for edge, (point, active, takes) in enumerate(reports):
        inbox.report(Level(point, active, edge))
        for _ in range(takes):
            item = inbox.take(0)
            if isinstance(item, Level):
                taken.append(item)
    taken += [item for item in drain(inbox) if isinstance(item, Level)]
    for name in "abc":
        edges = [level.edge_ms for level in taken if level.point == name]
        said = [edge for edge, (point, _, _) in enumerate(reports) if point == name]
        assert edges == sorted(edges)
        assert not said or edges[-1] == said[-1]


def test_a_level_that_was_kept_back_wakes_the_taker() -> None:
    inbox = Inbox(most=1)
    inbox.report(Level("a", True, 1))
    inbox.report(Level("b", True, 1))
    got: list[object] = []

    def take() -> None:
        while len(got) < 2:
            item = inbox.take(120)
            if item is not None:
                got.append(item)

    taker = threading.Thread(target=take, daemon=True)
    taker.start()
    taker.join(30)
    assert got == [Level("a", True, 1), Level("b", True, 1)]
