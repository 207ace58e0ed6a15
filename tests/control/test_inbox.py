"""The inbox: bounded, never waiting, nothing displaced by what matters less, and no contact
left wrong by an overflow."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.control.inbox import Inbox, Item
from gateway.core.events import Delivered, JournalState, Level, Reading, RelayFault


def drain(inbox: Inbox) -> list[object]:
    found: list[object] = []
    while (item := inbox.take(0)) is not None:
        found.append(item)
    return found


def test_what_a_contact_reports_comes_in_its_order() -> None:
    inbox = Inbox()
    levels = [Level("a", True, 1), Level("b", True, 1), Level("a", False, 2)]
    for level in levels:
        inbox.report(level)
    assert drain(inbox) == levels


def test_a_flood_is_bounded_counted_and_leaves_the_newest() -> None:
    inbox = Inbox(most=10)
    for number in range(1000):
        inbox.report(Reading("m", "q", float(number)))
    taken = drain(inbox)
    assert len(taken) == 11
    assert taken[-1] == Reading("m", "q", 999.0)
    assert inbox.overflows == 989


def test_a_command_is_turned_away_when_there_are_too_many() -> None:
    inbox = Inbox(most=1)
    assert inbox.offer(lambda now: None) is True
    assert inbox.offer(lambda now: None) is False
    assert inbox.overflows == 1


@pytest.mark.parametrize(
    "news", [RelayFault("r", "dead"), JournalState("journal_full"), Delivered("d", False, "x")]
)
def test_what_the_core_relies_on_is_never_turned_away(news: Item) -> None:
    inbox = Inbox(most=2)
    flood(inbox)
    inbox.post(news)  # type: ignore[arg-type]  # an event
    assert inbox.overflows > 0
    assert news in drain(inbox)


def flood(inbox: Inbox) -> None:
    """Everything that may come over the panel or by radio, more than there is room for."""
    for number in range(100):
        inbox.offer(lambda now: None)
        inbox.report(Level(f"radio-{number}", True, number), wired=False)
        inbox.report(Reading(f"meter-{number}", "q", float(number)))


def test_presses_are_neither_lost_nor_late_in_a_flood() -> None:
    """A client that floods the panel took the room of the edges: eight of eight were lost."""
    inbox = Inbox(most=20)
    flood(inbox)
    presses = [Level(f"button-{n}", True, n) for n in range(8)]
    for press in presses:
        inbox.report(press)
    taken = drain(inbox)
    assert [item for item in taken if item in presses] == presses
    assert max(taken.index(press) for press in presses) < 2 * len(presses)


def test_a_contact_that_chatters_takes_no_room_of_another() -> None:
    inbox = Inbox(most=100, share=10)
    for number in range(1000):
        inbox.report(Level("mad", bool(number % 2), number))
        if number % 100 == 0:
            inbox.report(Level("button", True, number))
    taken = drain(inbox)
    assert [i for i in taken if isinstance(i, Level) and i.point == "button"] == [
        Level("button", True, number) for number in range(0, 1000, 100)
    ]
    assert Level("mad", True, 999) in taken


@pytest.mark.parametrize("which", ["command", "news", "reading", "radio"])
def test_a_contact_that_chatters_starves_nobody(which: str) -> None:
    """There is always another edge to take; the rest is taken all the same."""
    inbox = Inbox()
    one = Reading("m", "q", 1.0) if which == "reading" else Level("radio", True, 1)
    wanted: Item = one
    match which:
        case "command":
            wanted = lambda now: None  # noqa: E731 - a task
            inbox.offer(wanted)
        case "news":
            wanted = JournalState("x")
            inbox.post(wanted)
        case _:
            inbox.report(one, wired=False)
    for number in range(100):
        inbox.report(Level("mad", bool(number % 2), number))
        if inbox.take(0) is wanted:
            return
    pytest.fail("it was never taken")


@given(
    st.integers(1, 8),
    st.integers(1, 8),
    st.lists(
        st.tuples(st.sampled_from("abc"), st.booleans(), st.integers(0, 3), st.booleans()),
        max_size=60,
    ),
)
def test_the_last_level_of_every_contact_arrives_last(
    most: int, share: int, reports: list[tuple[str, bool, int, bool]]
) -> None:
    """Whatever is lost: levels of a point never come in the wrong order, and the newest comes."""
    inbox = Inbox(most, share=share)
    taken: list[Level] = []
    for edge, (point, active, takes, command) in enumerate(reports):
        inbox.report(Level(point, active, edge), wired=point != "c")
        if command:
            inbox.offer(lambda now: None)
        for _ in range(takes):
            item = inbox.take(0)
            if isinstance(item, Level):
                taken.append(item)
    taken += [item for item in drain(inbox) if isinstance(item, Level)]
    for name in "abc":
        edges = [level.edge_ms for level in taken if level.point == name]
        said = [edge for edge, (point, *_) in enumerate(reports) if point == name]
        assert edges == sorted(edges)
        assert not said or edges[-1] == said[-1]


@pytest.mark.parametrize("wired", [True, False])
def test_a_level_that_was_put_aside_wakes_the_taker(wired: bool) -> None:
    inbox = Inbox(most=1)
    got: list[object] = []

    def take() -> None:
        while len(got) < 2:
            item = inbox.take(120)
            if item is not None:
                got.append(item)

    taker = threading.Thread(target=take, daemon=True)
    taker.start()
    inbox.report(Level("a", True, 1), wired=wired)
    inbox.report(Level("b", True, 1), wired=wired)
    taker.join(30)
    assert got == [Level("a", True, 1), Level("b", True, 1)]


def test_nothing_is_lost_between_many_givers_and_the_taker() -> None:
    """Each has its own contact; whoever waits for the bell is woken for every one of them."""
    inbox = Inbox(share=10_000)
    names = [f"c{n}" for n in range(4)]

    def give(name: str) -> None:
        for edge in range(500):
            inbox.report(Level(name, True, edge))

    givers = [threading.Thread(target=give, args=(name,), daemon=True) for name in names]
    for giver in givers:
        giver.start()
    taken: list[Level] = []
    while len(taken) < 500 * len(names):
        item = inbox.take(30)
        assert isinstance(item, Level)
        taken.append(item)
    for name in names:
        assert [i.edge_ms for i in taken if i.point == name] == list(range(500))


def test_edges_come_in_the_order_of_their_instants_and_later_ones_wait() -> None:
    inbox = Inbox()
    for edge in (
        Level("a", True, 10),
        Level("b", True, 7),
        Level("a", False, 31),
        Level("b", False, 12),
        Level("a", None, 9),
    ):
        inbox.report(edge)
    taken = inbox.edges(30, Level("b", False, 5))
    assert [(e.point, e.edge_ms) for e in taken] == [("b", 5), ("b", 7), ("a", 10), ("b", 12)]
    assert drain(inbox) == [Level("a", False, 31), Level("a", None, 9)], "a keeps its order"


def test_edges_that_are_put_back_take_no_room_for_ever() -> None:
    inbox = Inbox(share=3)
    for turn in range(50):
        inbox.report(Level("a", turn % 2 == 0, 2 * turn + 1))
        assert inbox.edges(2 * turn) == []
        assert [edge.edge_ms for edge in inbox.edges(2 * turn + 1)] == [2 * turn + 1]
    assert inbox.overflows == 0
