"""Points over MQTT: what ``control`` is told, and when nothing is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from gateway.link.points import Listening, Points, Value


def word(payload: bytes) -> Sequence[Value]:
    known = {b"on": [Value(True)], b"off": [Value(False)], b"?": [Value(None, "", "what?")]}
    return known.get(payload, [])


def number(payload: bytes) -> Sequence[Value]:
    return [Value(float(payload), "temperature_c")]


class House:
    """``told``: (point, value, fresh) in the order of telling."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Any, bool]] = []
        self.reasons: dict[str, str] = {}
        self.edges_ms: list[object] = []
        self.points = Points(
            (
                Listening("leaf", "z/leaf", word, alive_ms=1000),
                Listening("twin", "z/leaf", word),
                Listening("button", "z/button", word, release_ms=500),
                Listening("climate", "z/climate", number, ("temperature_c",)),
            ),
            self.send,
        )

    def send(self, message: Mapping[str, object]) -> bool:
        assert message["type"] == "point"
        value = message["value"] if "quantity" in message else message["active"]
        self.told.append((str(message["point"]), value, bool(message["fresh"])))
        self.reasons[str(message["point"])] = str(message["reason"])
        self.edges_ms.append(message["monotonic_ms"])
        return True

    def news(self) -> list[tuple[str, Any, bool]]:
        told, self.told = self.told, []
        return told


@pytest.fixture
def house() -> House:
    made = House()
    made.points.connected(0)
    return made


def test_with_the_broker_a_button_is_up_and_the_rest_not_known_yet(house: House) -> None:
    assert house.news() == [
        ("leaf", None, False),
        ("twin", None, False),
        ("button", False, False),
        ("climate", None, False),
    ]
    assert house.reasons["leaf"] == "no message yet"


def test_a_kept_message_is_a_level_and_a_new_one_an_edge(house: House) -> None:
    house.news()
    assert house.points.message("z/leaf", b"on", True, 1)
    assert house.news() == [("leaf", True, False), ("twin", True, False)]
    assert house.points.message("z/leaf", b"off", False, 2)
    assert house.news() == [("leaf", False, True), ("twin", False, True)]
    house.points.message("z/leaf", b"off", False, 3)
    assert house.news() == []


def test_a_topic_of_nobody_is_passed_on(house: House) -> None:
    assert not house.points.message("z/other", b"on", False, 1)


def test_a_press_that_is_told_ends_by_itself_and_a_kept_one_is_none(house: House) -> None:
    house.news()
    house.points.message("z/button", b"on", True, 1)
    assert house.news() == []
    house.points.message("z/button", b"on", False, 10)
    house.points.time(509)
    assert house.news() == [("button", True, True)]
    house.points.time(510)
    assert house.news() == [("button", False, True)]


@pytest.mark.parametrize(
    ("waited_ms", "edge_ms"),
    [(0, 9_000), (1_000, 9_000), (1_001, 7_999), (8_000, 4_000), (3_600_000, 4_000)],
)
def test_what_may_have_waited_has_the_time_at_which_it_may_have_been_sent(
    house: House, waited_ms: int, edge_ms: int
) -> None:
    """``control`` then opens no door, as for any press of over two seconds ago, and says so."""
    house.news()
    house.points.message("z/button", b"on", False, 9_000, waited_ms=waited_ms)
    assert house.news() == [("button", True, True)], "told all the same: a pull is a call"
    assert house.edges_ms[-1] == edge_ms
    house.points.time(9_500)
    assert house.news() == [("button", False, True)], "it lasts as long as any press"
    assert house.edges_ms[-1] == 9_500
    house.points.message("z/leaf", b"on", False, 9_000, waited_ms=waited_ms)
    assert house.news() == [("leaf", True, True), ("twin", True, True)]
    assert house.edges_ms[-2:] == [edge_ms, edge_ms]


def test_an_instant_before_the_start_of_the_machine_is_none(house: House) -> None:
    house.points.message("z/button", b"on", False, 1_500, waited_ms=9_000)
    assert house.edges_ms[-1] == 0


def test_without_a_broker_nothing_is_known_and_the_reason_is_said_once(house: House) -> None:
    house.points.message("z/leaf", b"on", False, 1)
    house.points.message("z/climate", b"20.5", False, 1)
    house.news()
    house.points.lost("unreachable", 2)
    house.points.lost("unreachable", 3)
    assert [(point, value) for point, value, _ in house.news()] == [
        ("leaf", None),
        ("twin", None),
        ("button", None),
        ("climate", None),
    ]
    assert house.reasons["leaf"] == "no broker: unreachable"
    house.points.connected(4)
    house.points.message("z/leaf", b"on", True, 5)
    assert house.news()[-2:] == [("leaf", True, False), ("twin", True, False)]


def test_what_says_nothing_for_too_long_is_not_known(house: House) -> None:
    house.points.message("z/leaf", b"on", False, 0)
    house.news()
    house.points.time(999)
    assert house.news() == []
    house.points.message("z/leaf", b"other", False, 500)  # a sign of life, and no level
    house.points.time(1499)
    assert house.news() == []
    house.points.time(1500)
    assert house.news() == [("leaf", None, False)]
    assert "no message for" in house.reasons["leaf"]


def test_a_control_that_was_away_is_told_everything_as_levels(house: House) -> None:
    house.points.message("z/leaf", b"on", False, 1)
    house.points.message("z/climate", b"20.5", False, 1)
    house.news()
    house.points.again(2)
    assert house.news() == [
        ("leaf", True, False),
        ("twin", True, False),
        ("button", False, False),
        ("climate", 20.5, False),
    ]


def test_every_number_is_told_also_when_it_is_the_same(house: House) -> None:
    house.news()
    house.points.message("z/climate", b"20.5", False, 1)
    house.points.message("z/climate", b"20.5", False, 2)
    assert house.news() == [("climate", 20.5, True), ("climate", 20.5, True)]


def test_a_message_that_does_not_speak_of_it_says_so_while_nothing_is_known(house: House) -> None:
    house.points.message("z/leaf", b"nonsense", False, 1)
    assert house.reasons["leaf"] == "the message does not speak of it"
    house.points.message("z/leaf", b"on", False, 2)
    house.points.message("z/leaf", b"nonsense", False, 3)
    assert house.news()[-2:] == [("leaf", True, True), ("twin", True, True)]
    house.points.message("z/leaf", b"?", False, 4)
    assert house.reasons["leaf"] == "what?"
