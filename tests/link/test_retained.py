"""What the broker has on our retained topics: our own texts, their echoes, and others' texts."""

from __future__ import annotations

from gateway.link.retained import ECHO_MS, Retained

TOPIC = "portier/csg/state/room/wc"


def written(*texts: bytes) -> Retained:
    retained = Retained()
    for text in texts:
        retained.write(TOPIC, text, 1_000)
    return retained


def test_echoes_of_several_texts_within_one_round_trip_are_nobody_elses() -> None:
    retained = written(b"1", b"2", b"3", b"2", b"4")
    for text in (b"1", b"2", b"3", b"2", b"4"):
        retained.came(TOPIC, text, False, 1_500)
        assert retained.due(1_500, True) == []
    assert retained.due(1_500 + 2 * ECHO_MS, True) == []


def test_an_earlier_text_that_nobody_follows_up_is_written_over() -> None:
    """A broker that knows No Local sends no echo: somebody has sent our earlier text again."""
    retained = written(b"1", b"2")
    retained.came(TOPIC, b"1", False, 1_500)
    assert retained.due(1_500 + ECHO_MS, True) == []
    assert retained.due(1_501 + ECHO_MS, True) == [(TOPIC, b"2")]


def test_a_text_that_has_come_already_or_long_ago_is_no_echo() -> None:
    retained = written(b"1", b"2", b"3")
    retained.came(TOPIC, b"2", False, 1_500)
    retained.came(TOPIC, b"1", False, 1_500)
    assert retained.due(1_500, True) == [(TOPIC, b"3")]
    retained = written(b"1", b"2")
    retained.came(TOPIC, b"1", False, 1_001 + ECHO_MS)
    assert retained.due(1_001 + ECHO_MS, True) == [(TOPIC, b"2")]


def test_a_text_that_is_not_ours_is_written_over_at_once() -> None:
    retained = written(b"1", b"2")
    retained.came(TOPIC, b"0", False, 1_500)
    assert retained.due(1_500, True) == [(TOPIC, b"2")]


def test_on_the_next_connection_no_echo_is_awaited() -> None:
    retained = written(b"1", b"2")
    retained.came(TOPIC, b"1", False, 1_500)
    retained.lost()
    retained.write(TOPIC, b"3", 1_600)
    retained.came(TOPIC, b"2", False, 1_600)
    assert retained.due(1_600, True) == [(TOPIC, b"3")]
