"""The link's one thread, with a broker, a panel and a journal in the hand of the test."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from gateway.core.facts import Lane
from gateway.journal.queries.reader import Cursors, JournalUnavailable
from gateway.link.commands import DoorHours, Issuer
from gateway.link.link import LOOK_MS, Clocks, Link
from gateway.link.mqtt import Acknowledged, Connected, Inbox, Lost, Message
from gateway.mqtt.limits import Limits
from gateway.mqtt.signature import sign
from gateway.settings.values.calendar import Days
from gateway.settings.values.weekly import Rules, parse_rule
from gateway.wire import Row, rfc3339


class Broker:
    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes]] = []
        self.dropped: list[str] = []
        self.heard: int | None = None

    def publish(
        self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False,
        correlation: bytes | None = None,
    ) -> int | None:  # fmt: skip
        self.sent.append((topic.removeprefix("portier/csg/"), payload))
        return len(self.sent)

    def drop(self, reason: str) -> None:
        self.dropped.append(reason)

    def soon(self) -> None:
        pass

    def heard_ms(self) -> int | None:
        return self.heard

    def pump(self, wait_s: float) -> None:
        pass


class Panel:
    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []

    def send(self, message: Any) -> bool:
        self.told.append(dict(message))
        return True

    def last(self, kind: str) -> dict[str, Any]:
        return [one for one in self.told if one["type"] == kind][-1]

    def link(self) -> tuple[bool, str]:
        last = self.last("link")
        return last["connected"], last["reason"]


class Journal:
    broken = False
    urgent = 2

    def _read(self) -> None:
        if self.broken:
            raise JournalUnavailable("attempt to write a readonly database")

    def journal_id(self) -> str:
        self._read()
        return "j1"

    def heads(self) -> dict[Lane, int]:
        return {"urgent": self.urgent, "routine": 0}

    def cursors(self) -> Cursors:
        return Cursors({}, {})

    def lane(self, lane: Lane, from_seq: int, limit: int) -> list[Row]:
        self._read()
        numbers = range(from_seq, self.urgent + 1) if lane == "urgent" else ()
        return [Row(n, lane, n, "b1", n, None, "fire_alarm", "fire", {}) for n in numbers]


def trusted(bench: Bench) -> dict[str, Any]:
    """A snapshot with which commands are heard."""
    return {
        "gateway": {"id": "csg", "started_ms": 1_000},
        "now_ms": bench.now_ms,
        "utc_offset_ms": 1_700_000_000_000,
        "clock_trusted": True,
    }


class Bench:
    def __init__(self, folder: Path, issuers: Mapping[str, Issuer] = {}) -> None:
        self.broker, self.panel, self.journal = Broker(), Panel(), Journal()
        self.now_ms = 50_000
        journal: Any = self.journal
        self.link = Link(
            "csg", Inbox(), self.broker, self.panel, journal, folder,
            Clocks(lambda: self.now_ms, lambda: 1_700_000_000_000 + self.now_ms, lambda: True),
            issuers,
        )  # fmt: skip

    def turn(self, *items: object, ms: int = 0) -> None:
        self.now_ms += ms
        for item in items:
            self.link.inbox.put(item)
        self.link.turn(0)

    def events(self) -> list[str]:
        return [json.loads(text)["id"] for topic, text in self.broker.sent if "event/" in topic]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_facts_are_sent_and_the_cursor_is_told_when_the_broker_has_them(bench: Bench) -> None:
    bench.turn(Connected(1, 20))
    assert bench.events() == ["csg/j1/urgent/1", "csg/j1/urgent/2"]
    assert not any(one["type"] == "sent" for one in bench.panel.told)
    for mid in range(1, len(bench.broker.sent) + 1):
        bench.turn(Acknowledged(1, mid, True))
    assert bench.panel.last("sent") == {"type": "sent", "lane": "urgent", "seq": 2}


def test_the_hours_of_an_issuer_are_civil_time_of_the_gateway(tmp_path: Path) -> None:
    """22:13 in UTC is 23:13 in Berlin; the centre learns from ``info`` what it may."""
    late = Days(Rules((parse_rule("daily 23:00-23:30", "on"),)), ())
    issuer = Issuer(b"k", frozenset({"open"}), {"front": DoorHours(("daily 23:00-23:30",), late)})
    topic = "portier/csg/command/door/front/open"
    for zone, kind in (("Europe/Berlin", "command"), ("UTC", "refused")):
        bench = Bench(tmp_path, {"sites": issuer})
        bench.link.zone = ZoneInfo(zone)
        bench.turn({"type": "snapshot", "snapshot": trusted(bench)}, Connected(1, 20))
        bench.turn()
        info = [json.loads(text) for about, text in bench.broker.sent if about == "info"]
        assert info[-1]["issuers"] == {
            "sites": {"may": ["open"], "doors": {"front": ["daily 23:00-23:30"]}}
        }
        issued_at = rfc3339(1_700_000_000_000 + bench.now_ms)
        raw = {"id": "c1", "issued_at": issued_at, "ttl": 5, "by": "user:3", "issuer": "sites"}
        payload = json.dumps(raw | {"sig": sign(b"k", topic, raw)}).encode()
        bench.turn(Message(topic, payload, False))
        assert bench.panel.last(kind)["id"] == "c1", zone
        if kind == "refused":
            assert bench.panel.last(kind)["reason"] == "not_allowed"


def test_a_replaced_key_is_refused_by_the_next_run_of_the_link_too(tmp_path: Path) -> None:
    topic = "portier/csg/command/door/front/open"
    answers = []
    for number, key in enumerate((b"new", b"old")):
        bench = Bench(tmp_path, {"tablet": Issuer(b"old", next_key=b"new")})
        bench.turn({"type": "snapshot", "snapshot": trusted(bench)}, Connected(1, 20))
        issued_at = rfc3339(1_700_000_000_000 + bench.now_ms)
        raw = {"id": f"c{number}", "issued_at": issued_at, "ttl": 5, "by": "a", "issuer": "tablet"}
        payload = json.dumps(raw | {"sig": sign(key, topic, raw)}).encode()
        bench.turn(Message(topic, payload, False))
        answers += [one.get("reason", one["type"]) for one in bench.panel.told if one.get("id")]
        bench.turn(ms=10)
        assert bench.link._writer.wait(60)
    assert answers == ["command", "bad_signature"]


def test_an_acknowledgement_of_an_earlier_connection_means_nothing(bench: Bench) -> None:
    bench.turn(Connected(1, 20))
    bench.turn(Lost(1, "lost"), Connected(2, 20))
    for mid in range(1, len(bench.broker.sent) + 1):
        bench.turn(Acknowledged(1, mid, True))
    assert not any(one["type"] == "sent" for one in bench.panel.told)


def test_a_journal_that_cannot_be_read_is_named_and_tried_each_second(bench: Bench) -> None:
    bench.turn(Connected(1, 20))
    assert bench.panel.link() == (True, "")
    bench.journal.broken = True
    bench.turn(ms=LOOK_MS)
    assert bench.panel.link() == (False, "journal")
    bench.journal.broken = False
    bench.journal.urgent = 3
    bench.turn(ms=LOOK_MS)
    assert bench.panel.link() == (True, "")
    assert bench.events()[-1] == "csg/j1/urgent/3"


def test_why_there_is_no_broker_is_told(bench: Bench) -> None:
    bench.turn(Connected(1, 20))
    bench.turn(Lost(1, "taken_over", "142"))
    assert bench.panel.link() == (False, "taken_over")


def test_a_broker_that_takes_nothing_is_given_up(bench: Bench) -> None:
    bench.turn(Connected(1, 20))
    bench.turn(ms=15_001)
    assert bench.broker.dropped == ["frozen"]


def test_a_fact_that_the_broker_refuses_is_named_and_holds_up_nothing(bench: Bench) -> None:
    """Before, the connection was given up over it, and the next one, for ever."""
    bench.turn(Connected(1, 20))
    bench.turn(Acknowledged(1, 1, False, "not authorized"), Acknowledged(1, 2, True))
    assert bench.broker.dropped == []
    assert bench.panel.last("sent") == {"type": "sent", "lane": "urgent", "seq": 2}
    bench.turn(ms=1_000)
    told = bench.panel.last("link")
    assert told["connected"]
    assert told["aside"] == [["portier/csg/event/fire_alarm/fire", "not authorized"]]
    assert told["aside_count"] == 1


def test_what_a_recorder_has_is_passed_on(bench: Bench) -> None:
    text = b'{"journal": "j1", "lanes": {"urgent": 2, "routine": 0, "x": 1}}'
    bench.turn(Message("portier/csg/recorded/main", text, True))
    assert bench.panel.last("recorded") == {
        "type": "recorded",
        "recorder": "main",
        "journal": "j1",
        "lanes": {"urgent": 2, "routine": 0},
        "aside": 0,
    }


def test_health_is_told_at_the_connection_also_on_a_machine_that_has_just_booted(
    bench: Bench,
) -> None:
    bench.now_ms = 5_000
    bench.link.handle({"type": "snapshot", "snapshot": {"gateway": {"id": "csg"}, "now_ms": 1}})
    bench.turn(Connected(1, 20))
    assert "health" in [topic for topic, _ in bench.broker.sent]


def test_a_recorder_that_is_new_is_told_at_once_how_far_we_are(bench: Bench) -> None:
    """Else it would learn of what it missed up to half a minute later."""
    bench.link.handle({"type": "snapshot", "snapshot": {"gateway": {"id": "csg"}, "now_ms": 1}})
    bench.turn(Connected(1, 20))
    new = Message("portier/csg/recorded/main", b'{"journal": "", "lanes": {}}', False)
    for ms in (1_000, 10, 10, 10):
        bench.turn(new, ms=ms)
    told = [json.loads(payload) for topic, payload in bench.broker.sent if topic == "health"]
    assert [one["journal"] for one in told] == ["j1", "j1"]
    bench.turn(ms=1_000)
    assert len([topic for topic, _ in bench.broker.sent if topic == "health"]) == 3
    assert not any(one["type"] == "recorded" for one in bench.panel.told)


def test_health_tells_where_the_points_are_unless_that_makes_it_too_large(bench: Bench) -> None:
    """Recorders need the rest of it more."""
    bench.link.places = {f"p{n}": {"room": "wc"} for n in range(100)}
    bench.link.handle({"type": "snapshot", "snapshot": {"gateway": {"id": "csg"}, "now_ms": 1}})
    bench.turn(Connected(1, 20))
    bench.turn(Lost(1, "lost"), Connected(2, 20, Limits(1_500)), ms=30_000)
    told = [json.loads(payload) for topic, payload in bench.broker.sent if topic == "health"]
    assert [len(one["places"]) for one in told] == [100, 0]
    assert told[1]["journal"] == "j1"


@pytest.mark.parametrize("payload", [b"", b"[]", b"\xff", b'{"lane": "local"}', b"[" * 100_000])
def test_nothing_from_outside_raises(bench: Bench, payload: bytes) -> None:
    for topic in ("replay/main", "recorded/main", "info", "command/door/front/open", "x"):
        bench.turn(Message(f"portier/csg/{topic}", payload, False))


def test_an_answer_cannot_pose_as_an_event(bench: Bench) -> None:
    bench.turn(Connected(1, 20))
    for topic in ("portier/csg/event/door_opened/front", "portier/other/command/x", "a/#", ""):
        before = len(bench.broker.sent)
        raw = b'{"id": "c1", "issued_at": "2023-11-14T22:13:20Z"}'
        bench.turn(Message("portier/csg/command/door/front/open", raw, False, response_topic=topic))
        sent = [where for where, _ in bench.broker.sent[before:]]
        assert topic.removeprefix("portier/csg/") not in sent


def test_a_second_gateway_with_this_id_is_noticed_but_not_our_own_past(bench: Bench) -> None:
    bench.turn(Connected(1, 20))
    bench.turn(Message("portier/csg/info", b'{"session": "the run before"}', True))
    assert bench.broker.dropped == []
    ours = json.dumps({"session": bench.link._session}).encode()
    bench.turn(Message("portier/csg/info", ours, False))
    bench.turn(Message("portier/csg/info", b'{"session": "somebody"}', False))
    assert bench.broker.dropped == ["taken_over"]


def test_home_assistant_is_told_again_when_it_is_born(bench: Bench) -> None:
    bench.link.home.language = "de"
    bench.link.handle({"type": "snapshot", "snapshot": {"gateway": {"id": "csg"}, "now_ms": 1}})
    bench.link.handle(Connected(1, 20))
    bench.link.turn(0)
    told = [topic for topic, _ in bench.broker.sent]
    assert told.count("homeassistant/device/csg/config") == 1
    bench.link.handle(Message("homeassistant/status", b"offline", False))
    bench.link.handle(Message("homeassistant/status", b"online", False))
    bench.link.turn(0)
    told = [topic for topic, _ in bench.broker.sent]
    assert told.count("homeassistant/device/csg/config") == 2


@pytest.mark.parametrize(
    ("recorder", "payload"),
    [
        ("r", b'{"journal":"j1","lanes":{"urgent":9007199254740993}}'),
        ("r", b'{"journal":"j1","lanes":{"urgent":-1}}'),
        ("r", b'{"journal":"' + b"j" * 501 + b'","lanes":{}}'),
        ("r", b'{"journal":"\\ud800","lanes":{}}'),
        ("r" * 501, b'{"journal":"j1","lanes":{}}'),
    ],
)
def test_what_control_would_not_understand_of_a_recorder_is_not_told(
    bench: Bench, recorder: str, payload: bytes
) -> None:
    """Kept by the broker, one such message threw the link out at ``control`` again and again."""
    bench.turn(Connected(1, 20), Message(f"portier/csg/recorded/{recorder}", payload, True))
    assert not any(one["type"] == "recorded" for one in bench.panel.told)


OPEN = "portier/csg/command/door/front/open"


def answer_to(bench: Bench, response: str) -> list[int]:
    """Somebody asks and wants the answer there; the numbers of what was sent there."""
    raw = b'{"id": "c1", "issued_at": "2023-11-14T22:13:20Z"}'
    bench.turn(Message(OPEN, raw, False, response_topic=response))
    return [mid for mid, (topic, _) in enumerate(bench.broker.sent, 1) if topic == response]


def test_an_answer_that_the_broker_does_not_take_is_nobodys_loss(bench: Bench) -> None:
    """By the topic for an answer whoever may ask had the gateway thrown out by the access list."""
    bench.turn(Connected(1, 20))
    (mid,) = answer_to(bench, "not/for/the/gateway")
    bench.turn(Acknowledged(1, mid, False))
    assert bench.broker.dropped == []
    bench.turn(ms=1_000)
    assert bench.panel.last("link")["aside"] == []


def test_no_answer_goes_to_the_brokers_own_topics(bench: Bench) -> None:
    bench.turn(Connected(1, 20))
    assert answer_to(bench, "$SYS/broker/uptime") == []


def test_of_a_flood_control_hears_the_newest_of_each_recorder_once_a_second(bench: Bench) -> None:
    def says(recorder: str, number: int) -> Message:
        payload = json.dumps({"journal": "j1", "lanes": {"urgent": number}}).encode()
        return Message(f"portier/csg/recorded/{recorder}", payload, False)

    bench.turn(Connected(1, 20), says("main", 1))
    bench.turn(*(says("main", number) for number in range(400)), ms=10)
    bench.turn(*(says(f"stranger{number}", 1) for number in range(400)), ms=10)
    told = [one for one in bench.panel.told if one["type"] == "recorded"]
    assert [one["lanes"] for one in told] == [{"urgent": 1}]
    bench.turn(ms=1_000)
    told = [one for one in bench.panel.told if one["type"] == "recorded"]
    assert told[1]["lanes"] == {"urgent": 399}
    assert len(told) <= 101


def test_home_assistant_that_is_born_a_thousand_times_is_told_once_a_second(bench: Bench) -> None:
    bench.link.home.language = "de"
    bench.link.handle({"type": "snapshot", "snapshot": {"gateway": {"id": "csg"}, "now_ms": 1}})
    bench.turn(Connected(1, 5_000))
    for _ in range(10):
        bench.turn(*(Message("homeassistant/status", b"online", False) for _ in range(100)))
    told = [topic for topic, _ in bench.broker.sent]
    assert told.count("homeassistant/device/csg/config") == 2
    bench.turn(ms=1_000)
    told = [topic for topic, _ in bench.broker.sent]
    assert told.count("homeassistant/device/csg/config") == 3


def test_what_the_connection_is_known_by_is_told_at_once_and_again(bench: Bench) -> None:
    """Connected is a claim; an acknowledgement is evidence, and becomes old."""
    bench.turn(Connected(1, 20))
    assert "heard_ms" not in bench.panel.last("link")
    bench.broker.heard = bench.now_ms
    bench.turn(ms=1_000)
    assert bench.panel.last("link")["heard_ms"] == 50_000
    bench.broker.heard = 58_000
    bench.turn(ms=9_000)
    assert bench.panel.last("link")["heard_ms"] == 50_000
    bench.turn(ms=1_000)
    assert bench.panel.last("link")["heard_ms"] == 58_000


def test_what_a_recorder_set_aside_is_passed_on(bench: Bench) -> None:
    for aside, told in ((3, 3), (-1, 0), ("3", 0), (True, 0), (2**60, 0)):
        text = json.dumps({"journal": "j1", "lanes": {"urgent": 2}, "aside": aside}).encode()
        bench.turn(Message("portier/csg/recorded/main", text, True), ms=1_000)
        assert bench.panel.last("recorded")["aside"] == told
