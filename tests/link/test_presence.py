"""``availability`` and the states say what is known: they are current, or they are marked."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from gateway.core.facts import Lane
from gateway.link import link as link_module
from gateway.link import saved, state
from gateway.link.link import Link
from gateway.link.mqtt import Acknowledged, Connected, Lost, Message
from gateway.link.presence import FRESH_MS, RELOAD_MS
from gateway.link.publisher import Publisher
from gateway.link.refused_messages import FACTS_MOST, NAMED_MOST, Refusal, RefusedMessages
from gateway.link.retained import AGAIN_MS
from tests.link.test_link import Bench, bench
from tests.link.test_outbox import FakeJournal, Sending

__all__ = ["bench"]
DOOR = "state/door/front"


def shows(bench: Bench, **more: Any) -> dict[str, Any]:
    doors = {"front": {"name": "Front", "state": "closed"}}
    shown = {"gateway": {"id": "csg"}, "now_ms": 1, "doors": doors, "guarantees": {"call": {}}}
    return {"type": "snapshot", "snapshot": shown | more}


def said(bench: Bench, topic: str) -> list[Any]:
    texts = [payload for where, payload in bench.broker.sent if where == topic]
    return [json.loads(text) if text[:1] in (b"{", b"[") else text.decode() for text in texts]


def connected(bench: Bench) -> None:
    bench.turn(shows(bench), Connected(1, 1_000))


def test_the_states_come_first_and_then_online(bench: Bench) -> None:
    connected(bench)
    order = [topic for topic, _ in bench.broker.sent if topic in (DOOR, "availability")]
    assert order == [DOOR, "availability"]
    assert said(bench, "availability") == ["online"]


def test_without_control_nothing_is_online(bench: Bench) -> None:
    bench.turn(Connected(1, 1_000))
    bench.turn(ms=FRESH_MS - 1)
    assert said(bench, "availability") == []
    bench.turn(ms=1)
    assert said(bench, "availability") == ["offline"]


@pytest.mark.parametrize("last", [{"type": "away"}, None], ids=["away", "hangs"])
def test_states_are_marked_when_control_is_heard_no_more(
    bench: Bench, last: dict[str, Any] | None
) -> None:
    """A process that hangs keeps its socket: what counts is how fresh its last word is."""
    connected(bench)
    bench.turn(*([last] if last else []))
    bench.turn(ms=FRESH_MS)
    assert said(bench, "availability") == ["online", "offline"]
    assert said(bench, DOOR)[-1] == said(bench, DOOR)[0] | {"stale": True}
    bench.turn(Message("homeassistant/status", b"online", False), ms=2_000)
    assert said(bench, DOOR)[-1]["stale"]  # told again as it is
    bench.turn(ms=30_000)
    health = said(bench, "health")[-1]
    assert health["guarantees"]["call"]["value"] == "unknown"
    bench.turn(shows(bench))
    assert said(bench, "availability")[-1] == "online"
    assert "stale" not in said(bench, DOOR)[-1]
    assert [topic for topic, _ in bench.broker.sent][-1] == "availability"


def test_a_restart_that_was_announced_has_longer(bench: Bench) -> None:
    connected(bench)
    bench.turn({"type": "closing", "reason": "reload"}, {"type": "away"})
    bench.turn(ms=RELOAD_MS - 1)
    assert said(bench, "availability") == ["online"]
    bench.turn(ms=1)
    assert said(bench, "availability") == ["online", "offline"]
    bench.turn(shows(bench))
    bench.turn({"type": "closing", "reason": "stop"}, {"type": "away"}, ms=10)
    bench.turn(ms=FRESH_MS)
    assert said(bench, "availability")[-1] == "offline"


def test_states_of_the_run_before_are_marked_when_there_is_no_control(bench: Bench) -> None:
    bench.turn(Connected(1, 1_000), Message("portier/csg/" + DOOR, b'{"state": "open"}', True))
    bench.turn(ms=FRESH_MS)
    assert said(bench, DOOR) == [{"state": "open", "stale": True}]


def test_a_text_that_is_none_of_ours_is_not_marked() -> None:
    assert state.stale(b"\xff") == b"\xff"
    assert state.stale(b"") == b""
    assert state.stale(b"3") == b"3"
    assert json.loads(state.stale(b'[{"id": "a"}, 3]')) == [{"id": "a", "stale": True}, 3]


@pytest.mark.parametrize("payload", [b"offline", b"", b"\xff", b"online "])
def test_a_foreign_availability_is_written_over_once_a_minute(bench: Bench, payload: bytes) -> None:
    foreign = Message("portier/csg/availability", payload, False)
    connected(bench)
    for _ in range(100):
        bench.turn(foreign, shows(bench), ms=100)
    assert said(bench, "availability") == ["online"] * 2
    for _ in range(AGAIN_MS // 1_000):
        bench.turn(shows(bench), ms=1_000)
    assert said(bench, "availability") == ["online"] * 3


def test_what_we_wrote_ourselves_is_not_foreign(bench: Bench) -> None:
    """A broker may send it back."""
    connected(bench)
    echo = [Message(f"portier/csg/{topic}", text, False) for topic, text in bench.broker.sent]
    for _ in range(3):
        bench.turn(*echo, shows(bench), ms=1_000)
    assert said(bench, "availability") == ["online"]
    assert len(said(bench, DOOR)) == 1


def test_a_door_that_is_no_more_is_no_more_at_the_broker(bench: Bench) -> None:
    bench.turn(Connected(1, 1_000), Message("portier/csg/state/door/gone", b"{}", True))
    bench.turn(shows(bench))
    assert ("state/door/gone", b"") in bench.broker.sent


def test_a_flood_of_strangers_below_our_topics_ends_here(bench: Bench) -> None:
    connected(bench)
    before = len(bench.broker.sent)
    for turn in range(20):
        bench.turn(
            *(Message(f"portier/csg/state/{turn}/{n}", b"x", False) for n in range(400)),
            shows(bench),
        )
    assert len(bench.broker.sent) - before < 500
    assert len(bench.link.retained.strangers) <= 1_000


def test_info_of_nobody_is_written_over_and_that_of_a_second_gateway_is_an_alarm(
    bench: Bench,
) -> None:
    connected(bench)
    ours = next(text for topic, text in bench.broker.sent if topic == "info")
    bench.turn(Message("portier/csg/info", ours, False))
    bench.turn(Message("portier/csg/info", b"", False), shows(bench))
    assert bench.broker.dropped == []
    assert len(said(bench, "info")) == 2


# --- what is set aside ------------------------------------------------------------------


def refusing(sending: Sending, kinds: str) -> None:
    """The broker's answers so far: facts of these lanes are refused."""
    for mid, topic, text in sending.sent:
        if "event" in topic and text["id"].split("/")[2] in kinds:
            sending.publisher.refused(mid, "not authorized", 0)
        else:
            sending.publisher.acknowledged(mid, 0)


def test_when_the_list_is_full_the_lane_waits_and_no_other_does() -> None:
    journal = FakeJournal(urgent=[1, 2, 3], routine=list(range(1, FACTS_MOST + 200)))
    sending = Sending(journal)
    sending.publisher.connected(64, 0)
    for _ in range(40):
        sending.publisher.fill(0)
        refusing(sending, "routine")
    assert sending.publisher.aside.count_facts == FACTS_MOST
    assert ("urgent", 3) in sending.cursors
    assert max(seq for lane, seq in sending.cursors if lane == "routine") == FACTS_MOST
    journal.lanes["urgent"].append(4)
    sending.publisher.grown(journal.heads())
    sending.publisher.fill(0)
    assert sending.numbers()[-1] == "urgent/4"
    # A minute later the lane looks whether the broker has changed its mind.
    sending.publisher.tick(60_000)
    sending.publisher.fill(60_000)
    assert f"routine/{FACTS_MOST + 1}" in sending.numbers()[-64:]


def test_a_replay_leaves_open_what_is_tried_again() -> None:
    """Neither sent nor absent: one answer for ever would be wrong either way."""
    journal = FakeJournal(routine=[1, 2, 4])
    sending = Sending(journal)
    sending.publisher.connected(64, 0)
    sending.publisher.fill(0)
    sending.publisher.refused(2, "not authorized", 0)
    for mid in (1, 3):
        sending.publisher.acknowledged(mid, 0)
    sending.publisher.replay("main", "j1", "routine", 1, 4)
    before = len(sending.sent)
    sending.publisher.fill(0)
    told = sending.sent[before:]
    assert [text["id"] for _, topic, text in told if "event" in topic] == [
        "csg/j1/routine/1", "csg/j1/routine/4",
    ]  # fmt: skip
    assert [text["ranges"] for _, topic, text in told if topic == "absent"] == [[[3, 3]]]


def test_a_topic_that_is_taken_again_after_a_restart_of_the_link_brings_all_its_facts() -> None:
    """They share one refusal then, and came one in ten minutes."""
    journal = FakeJournal(urgent=[1, 2, 3])
    sending = Sending(journal)
    topic = "portier/csg/event/reading/wc.climate"
    ends = [[seq, topic, "the broker ends the connection", True] for seq in (1, 2, 3)]
    sending.publisher.aside.restore({"journal": "j1", "urgent": ends}, 0)
    sending.publisher.begin("j1", {"urgent": 3}, journal.heads())
    sending.publisher.connected(64, 0)
    sending.publisher.fill(0)
    assert sending.numbers() == ["urgent/1"]  # alone, so that it alone is to blame
    sending.publisher.acknowledged(1, 10)
    sending.publisher.fill(10)
    assert sending.numbers() == ["urgent/1", "urgent/2", "urgent/3"]


def test_what_the_journal_has_no_more_is_tried_no_more() -> None:
    journal = FakeJournal(routine=[1, 2])
    sending = Sending(journal)
    sending.publisher.connected(64, 0)
    sending.publisher.fill(0)
    refusing(sending, "routine")
    journal.lanes["routine"] = [2]
    sending.publisher.lost()
    sending.publisher.connected(64, 0)
    sending.publisher.fill(0)
    assert list(sending.publisher.aside.facts["routine"]) == [2]
    assert sending.numbers()[-1] == "routine/2"


def test_numbers_of_another_journal_are_forgotten() -> None:
    aside = RefusedMessages()
    aside.restore({"journal": "j0", "urgent": [[1, "t", "r", False]]}, 0)
    publisher = Publisher("csg", FakeJournal(), Sending(FakeJournal()), lambda *_: None, aside)
    publisher.begin("j1", {}, {})
    assert aside.count == 0
    assert aside.dirty


@pytest.mark.parametrize(
    "raw", [None, 3, [], {"urgent": 3}, {"urgent": [3, [], [0, "t", "r", False], ["1", 2, 3, 4]]}]
)
def test_a_list_that_is_not_understood_is_none(raw: object) -> None:
    aside = RefusedMessages()
    aside.restore(raw, 0)
    assert aside.count == 0


def test_names_are_few_and_each_is_there_once() -> None:
    aside = RefusedMessages()
    lane: Lane = "urgent"
    for number in range(1, 200):
        aside.add_fact(lane, number, Refusal("one topic", "not authorized"))
        aside.name(Refusal(f"topic {number}", "packet too large"))
    named = aside.named()
    assert len(named) == NAMED_MOST
    assert named[:2] == [["one topic", "not authorized"], ["topic 199", "packet too large"]]
    assert aside.count == 398


def test_no_cursor_passes_what_could_not_be_saved(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = True
    write = saved.write

    def writes(folder: Path, text: dict[str, Any]) -> None:
        if full:
            raise OSError("no space left on device")
        write(folder, text)

    monkeypatch.setattr(saved, "write", writes)
    bench.turn(Connected(1, 20))
    bench.turn(Acknowledged(1, 1, False, "not authorized"), Acknowledged(1, 2, True))
    assert not any(one["type"] == "sent" for one in bench.panel.told)
    full = False
    bench.turn(ms=10_000)
    assert bench.panel.last("sent")["seq"] == 2


def test_a_card_that_does_not_answer_holds_up_the_cursor_and_nothing_else(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers, write = threading.Event(), saved.write

    def writes(folder: Path, text: dict[str, Any]) -> None:
        assert answers.wait(30)
        write(folder, text)

    monkeypatch.setattr(saved, "write", writes)
    monkeypatch.setattr(link_module, "SAVE_WITHIN_S", 0.0)
    bench.turn(Connected(1, 20))
    bench.turn(Acknowledged(1, 1, False, "not authorized"), Acknowledged(1, 2, True))
    for _ in range(3):
        bench.turn(shows(bench), ms=1_000)
        assert bench.link.aside.count_facts == 1
        assert not any(one["type"] == "sent" for one in bench.panel.told)
    answers.set()
    bench.link._writer.wait(30)
    bench.turn(ms=1_000)
    assert bench.panel.last("sent")["seq"] == 2
    assert saved.read(bench.link._place)["aside"]["urgent"]


def test_nothing_is_written_while_nothing_happens(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrote: list[object] = []
    monkeypatch.setattr(saved, "write", lambda *what: wrote.append(what))
    connected(bench)
    for _ in range(200):
        bench.turn(shows(bench), ms=1_000)
    assert wrote == []


def test_a_state_of_the_link_that_cannot_be_read_is_left_where_it_is(tmp_path: Path) -> None:
    assert saved.read(tmp_path) == {}
    saved.write(tmp_path, {"aside": {}})
    assert saved.read(tmp_path)["aside"] == {}
    for text in (b"\xff", b"[]", b"{", b'{"format": 99}'):
        (tmp_path / saved.FILE).write_bytes(text)
        assert saved.read(tmp_path) == {}
        assert any(other.read_bytes() == text for other in tmp_path.iterdir())
    assert not os.path.exists(tmp_path / f"{saved.FILE}.new")


def test_the_link_may_wait_half_a_second_and_no_longer_than_something_is_due(
    bench: Bench,
) -> None:
    link: Link = bench.link
    connected(bench)
    assert link.wait_s() == 0.5
    bench.now_ms += FRESH_MS - 100
    assert link.wait_s() == pytest.approx(0.1)
    bench.turn(Lost(1, "lost"))
    assert link.wait_s() <= 0.5
