"""The cursor moves on acknowledgement only; replays give every number an answer."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.core.facts import Lane
from gateway.link.outbox import MOST_RECORDERS, LaneWindow, Replay, Replays, is_late, missing
from gateway.link.publisher import IN_FLIGHT_MOST_MS, Publisher, Small
from gateway.wire import Row


def test_the_cursor_waits_for_the_oldest_in_flight() -> None:
    flight = LaneWindow(10)
    for seq in (11, 12, 15):
        flight.sent(seq)
    assert not flight.finished(12)
    assert flight.cursor == 10
    assert flight.finished(11)
    assert flight.cursor == 12
    flight.finished(15)
    assert (flight.cursor, flight.in_flight, flight.next) == (15, 0, 16)


def test_what_was_in_flight_is_sent_again_after_a_lost_connection() -> None:
    flight = LaneWindow(10)
    flight.sent(11)
    flight.sent(12)
    flight.finished(12)
    flight.lost()
    assert (flight.cursor, flight.next) == (10, 11)
    assert not flight.finished(11)  # for the connection before


def test_the_numbers_that_are_missing() -> None:
    assert missing(1, 6, [2, 3, 5]) == [(1, 1), (4, 4), (6, 6)]
    assert missing(1, 3, []) == [(1, 3)]
    assert missing(2, 3, [2, 3]) == []


@pytest.mark.parametrize(
    ("boot", "mono_ms", "utc_ms", "late"),
    [
        ("b1", 40_000, None, False),
        ("b1", 39_999, None, True),
        ("b0", 99_999, None, True),
        ("b0", 1, 1_000_000 - 60_000, False),
        ("b0", 1, 1_000_000 - 60_001, True),
    ],
)
def test_late_is_older_than_a_minute(
    boot: str, mono_ms: int, utc_ms: int | None, late: bool
) -> None:
    assert is_late(boot, mono_ms, utc_ms, "b1", 100_000, 1_000_000) is late


def test_one_replay_is_open_per_recorder_and_lane_and_it_is_limited() -> None:
    replays = Replays()
    first = Replay("main", "urgent", 1, 10)
    assert replays.request(first)
    assert replays.current("urgent", 0) is first
    assert replays.request(Replay("main", "urgent", 1, 10))
    assert replays.current("urgent", 0) is first
    replays.done(first, 0)
    assert replays.current("urgent", 100) is None  # rests
    assert replays.current("urgent", 200) is not None
    assert not replays.request(Replay("main", "urgent", 1, 10_001))
    assert not replays.request(Replay("main", "urgent", 0, 5))
    assert not replays.request(Replay("main", "urgent", 5, 4))
    for number in range(MOST_RECORDERS - 1):
        assert replays.request(Replay(f"r{number}", "urgent", 1, 2))
    assert not replays.request(Replay("one more", "urgent", 1, 2))


class FakeJournal:
    def __init__(self, **lanes: list[int]) -> None:
        self.lanes = lanes
        self.gone: list[tuple[int, int, str]] = []

    def journal_id(self) -> str:
        return "j1"

    def heads(self) -> dict[Lane, int]:
        return {"urgent": 0, "routine": 0} | {  # type: ignore[return-value]  # keys are lanes
            lane: max([*seqs, *(last for _, last, _ in self.gone)])
            for lane, seqs in self.lanes.items()
        }

    def lane(self, lane: Lane, from_seq: int, limit: int) -> list[Row]:
        return [
            Row(seq, lane, seq, "b1", seq, None, "reading", "wc.climate", {"value": seq})
            for seq in self.lanes.get(lane, ())
            if seq >= from_seq
        ][:limit]

    def absent(self, lane: Lane, first: int, last: int) -> list[tuple[int, int, str]]:
        return [
            (max(a, first), min(b, last), why)
            for a, b, why in self.gone
            if a <= last and b >= first
        ]


class Sending:
    def __init__(self, journal: FakeJournal) -> None:
        self.sent: list[tuple[int, str, Any]] = []
        self.cursors: list[tuple[str, int]] = []
        self.away = False
        self.publisher = Publisher("csg", journal, self, lambda *moved: self.cursors.append(moved))
        self.publisher.begin("j1", {}, journal.heads())

    def __call__(
        self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False,
        correlation: bytes | None = None,
    ) -> int | None:  # fmt: skip
        if self.away:
            return None
        self.sent.append(
            (len(self.sent) + 1, topic.removeprefix("portier/csg/"), json.loads(payload))
        )
        return len(self.sent)

    def numbers(self) -> list[str]:
        return [text["id"].split("/", 2)[2] for _, topic, text in self.sent if "event" in topic]

    def acknowledge_all(self) -> None:
        for mid in range(1, len(self.sent) + 1):
            self.publisher.acknowledged(mid, 0)


def test_nothing_is_sent_without_a_connection_and_no_more_than_the_window_with_one() -> None:
    sending = Sending(FakeJournal(urgent=list(range(1, 30)), routine=[1]))
    sending.publisher.fill(0)
    assert sending.sent == []
    sending.publisher.connected(20, 0)
    sending.publisher.fill(0)
    assert sending.numbers() == [f"urgent/{n}" for n in range(1, 21)]
    sending.publisher.acknowledged(2, 0)
    assert sending.cursors == []
    sending.publisher.acknowledged(1, 0)
    assert sending.cursors == [("urgent", 2)]
    sending.publisher.fill(0)
    assert sending.numbers()[20:] == ["urgent/21", "urgent/22"]


def test_urgent_facts_overtake_routine_ones_but_keep_their_order() -> None:
    journal = FakeJournal(urgent=[1, 2], routine=[1, 2, 3])
    sending = Sending(journal)
    sending.publisher.connected(4, 0)
    sending.publisher.fill(0)
    assert sending.numbers() == ["urgent/1", "urgent/2", "routine/1", "routine/2"]
    journal.lanes["urgent"].append(3)
    sending.publisher.grown(journal.heads())
    sending.acknowledge_all()
    sending.publisher.fill(0)
    assert sending.numbers()[4:] == ["urgent/3", "routine/3"]


def test_after_a_lost_connection_everything_behind_the_cursor_is_sent_again() -> None:
    """thingsboard-gateway#2124: a buffer that is destroyed at each reconnect."""
    sending = Sending(FakeJournal(urgent=[1, 2, 3]))
    sending.publisher.connected(10, 0)
    sending.publisher.fill(0)
    sending.publisher.acknowledged(1, 0)
    sending.publisher.lost()
    sending.publisher.fill(0)
    assert len(sending.sent) == 3
    sending.publisher.connected(10, 0)
    sending.publisher.fill(0)
    assert sending.numbers()[3:] == ["urgent/2", "urgent/3"]


def test_a_connection_that_takes_nothing_leaves_the_row_for_the_next() -> None:
    sending = Sending(FakeJournal(urgent=[1]))
    sending.publisher.connected(10, 0)
    sending.away = True
    sending.publisher.fill(0)
    sending.away = False
    sending.publisher.fill(0)
    assert sending.numbers() == ["urgent/1"]


def test_the_local_lane_never_leaves() -> None:
    sending = Sending(FakeJournal(local=[1, 2]))
    sending.publisher.connected(10, 0)
    sending.publisher.fill(0)
    assert sending.sent == []


def test_a_replay_answers_every_number_with_its_event_or_its_absence() -> None:
    journal = FakeJournal(routine=[3, 4, 7])
    journal.gone = [(1, 2, "expired"), (5, 5, "thinned")]
    sending = Sending(journal)
    sending.publisher.begin("j1", {"routine": 7}, {"routine": 8})
    sending.publisher.connected(50, 0)
    assert sending.publisher.replay("main", "j1", "routine", 1, 99)
    sending.publisher.fill(0)
    assert sending.numbers() == ["routine/3", "routine/4", "routine/7"]
    assert all(text["late"] for _, topic, text in sending.sent if "event" in topic)
    absent = {(t["reason"], str(t["ranges"])) for _, topic, t in sending.sent if topic == "absent"}
    assert absent == {
        ("expired", "[[1, 2]]"),
        ("lost", "[[6, 6], [8, 8]]"),
        ("thinned", "[[5, 5]]"),
    }
    assert sending.cursors == [("routine", 8)]  # 8 will never come
    sending.acknowledge_all()
    sending.publisher.fill(1_000)
    assert len(sending.sent) == 6


def test_a_replay_longer_than_one_read_has_one_answer_per_number() -> None:
    numbers = [n for n in range(1, 2_000) if n % 7]
    sending = Sending(FakeJournal(urgent=numbers))
    sending.publisher.begin("j1", {"urgent": 1_999}, {"urgent": 1_999})
    sending.publisher.connected(10_000, 0)
    assert sending.publisher.replay("main", "j1", "urgent", 1, 1_999)
    sending.publisher.fill(0)
    events = [int(number.split("/")[1]) for number in sending.numbers()]
    absent = [
        n
        for _, topic, text in sending.sent
        if topic == "absent"
        for low, high in text["ranges"]
        for n in range(low, high + 1)
    ]
    assert sorted(events + absent) == list(range(1, 2_000))


def test_a_lane_whose_newest_numbers_are_absent_is_sent_all_the_same() -> None:
    """Found by the simulation's seed 1283: nothing came behind what a full disk had cost, and the
    backlog stood for as long as nothing new happened."""
    journal = FakeJournal(routine=[1, 2])
    sending = Sending(journal)
    sending.publisher.begin("j1", {}, {"routine": 9})
    sending.publisher.connected(10, 0)
    sending.publisher.fill(0)
    assert (sending.cursors, sending.publisher.backlog) == ([], 9)  # 1 and 2 are on their way
    sending.acknowledge_all()
    sending.publisher.fill(0)
    assert (sending.cursors[-1], sending.publisher.backlog) == (("routine", 9), 0)
    journal.lanes["routine"].append(10)
    sending.publisher.grown({"routine": 10})
    sending.publisher.fill(0)
    assert sending.numbers()[-1] == "routine/10"


def test_numbers_of_a_journal_that_is_no_more_are_lost() -> None:
    sending = Sending(FakeJournal(urgent=[1]))
    sending.publisher.connected(50, 0)
    assert sending.publisher.replay("main", "j0", "urgent", 5, 9)
    sending.publisher.fill(0)
    assert [text for _, topic, text in sending.sent if topic == "absent"] == [
        {"journal": "j0", "lane": "urgent", "ranges": [[5, 9]], "reason": "lost"}
    ]


def test_only_the_newest_text_of_a_state_is_sent() -> None:
    sending = Sending(FakeJournal())
    sending.publisher.connected(1, 0)
    sending.publisher.say(Small("portier/csg/availability", b'"online"', retain=True))
    sending.publisher.show("portier/csg/state/door/front", b"1")
    sending.publisher.show("portier/csg/state/door/front", b"2")
    sending.publisher.fill(0)
    sending.acknowledge_all()
    sending.publisher.fill(0)
    assert [(topic, text) for _, topic, text in sending.sent] == [
        ("availability", "online"),
        ("state/door/front", 2),
    ]


def test_a_broker_that_acknowledges_nothing_is_frozen() -> None:
    sending = Sending(FakeJournal(urgent=[1, 2]))
    sending.publisher.connected(1, 0)
    assert not sending.publisher.frozen(IN_FLIGHT_MOST_MS * 2)
    sending.publisher.fill(1_000)
    assert not sending.publisher.frozen(1_000 + IN_FLIGHT_MOST_MS)
    assert sending.publisher.frozen(1_001 + IN_FLIGHT_MOST_MS)
