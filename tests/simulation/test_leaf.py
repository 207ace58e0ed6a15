"""A leaf and its operator with times that no bench has, and an operator that is dead."""

from __future__ import annotations

from gateway.simulation.world.leaf import Leaf, advanced, asked, let_go, pushed


def lived(leaf: Leaf, until: int, *, held: bool = False) -> tuple[Leaf, list[int]]:
    """The leaf then, and when it left closed or came there. It stays open for 50."""
    moved = []
    while (due := leaf.wake_at) is not None and due <= until:
        was, leaf = leaf, advanced(leaf, due, lambda: 50, locked=False, held=held)
        moved += [due] if leaf.is_open is not was.is_open else []
    return leaf, moved


def test_without_times_of_its_own_it_opens_and_closes_at_once() -> None:
    leaf, moved = lived(asked(Leaf(), 0, 7), 1_000)
    assert moved == [7, 57]
    assert leaf == Leaf()


def test_each_time_that_the_operator_acts_the_leaf_counts_down_anew() -> None:
    """Who asks twice is heard twice, in the order in which the operator acts."""
    leaf = asked(asked(Leaf(), 0, 30), 5, 2)
    assert leaf.starts == (7, 30)
    assert lived(leaf, 1_000)[1] == [7, 80]


def test_what_ends_at_an_instant_does_so_before_the_operator_acts_anew() -> None:
    twice = asked(asked(Leaf(), 0, 7), 0, 7)
    times = iter((50, 60))
    leaf = advanced(advanced(twice, 7, times.__next__, locked=False, held=False),
                  7, times.__next__, locked=False, held=False)  # fmt: skip
    assert (leaf.position, leaf.until, leaf.starts) == ("open", 57, (7,))
    leaf = advanced(leaf, 7, times.__next__, locked=False, held=False)
    assert leaf.until == 67


def test_an_operator_may_try_again_to_close_what_is_held_open() -> None:
    leaf, moved = lived(asked(Leaf(tries_again=20), 0, 7), 100, held=True)
    assert moved == [7]
    assert leaf.until == 117
    assert lived(leaf, 1_000)[1] == [117]
    leaf, _ = lived(asked(Leaf(), 0, 7), 100, held=True)
    assert leaf.wake_at is None
    assert lived(let_go(leaf, 100, 50), 1_000)[1] == [150]


def test_a_dead_operator_does_not_act_and_the_leaf_falls_closed() -> None:
    dead = Leaf(dead=True)
    assert asked(dead, 0, 7) == dead
    asked_before = Leaf(starts=(7,), dead=True)
    assert lived(asked_before, 100)[1] == []
    assert lived(let_go(pushed(dead), 0, 50), 100)[1] == [50]


def test_an_operator_whose_leaf_is_jammed_shut_goes_through_its_programme() -> None:
    leaf, moved = lived(asked(Leaf(jam="shut"), 0, 7), 10)
    assert (moved, leaf.until) == ([], 57)
    assert lived(leaf, 100) == (Leaf(jam="shut"), [])
