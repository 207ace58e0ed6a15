"""Every way in which a broker does not take a message: over TCP, with the link's own client."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.core.facts import Lane
from gateway.link.link import Clocks, Link, subscriptions
from gateway.link.mqtt import Connection, Inbox, Will
from gateway.link.points import Listening, Value
from gateway.mqtt.settings import BrokerSettings
from gateway.mqtt.topics import Topics
from gateway.wire import Row
from tests.link.small_broker import SmallBroker, maximum_packet_size
from tests.link.test_link import Journal, Panel

pytestmark = pytest.mark.thorough

TOPICS = Topics("csg")
EVENT = "portier/csg/event/"


class Facts(Journal):
    """``count`` urgent facts, of two kinds by turns, and as many routine ones."""

    count = 6
    calm = False
    """Nothing urgent has happened yet."""

    def heads(self) -> dict[Lane, int]:
        return {"urgent": 0 if self.calm else self.count, "routine": self.count}

    def lane(self, lane: Lane, from_seq: int, limit: int) -> list[Row]:
        kinds = ("fire_alarm", "door_opened") if lane == "urgent" else ("reading", "reading")
        numbers = range(from_seq, self.heads()[lane] + 1)
        return [Row(n, lane, n, "b1", n, None, kinds[n % 2], "front", {}) for n in numbers][:limit]

    def absent(self, lane: Lane, first: int, last: int) -> list[tuple[int, int, str]]:
        return []


class Home:
    """A link on a folder; another one on the same folder is the next run of it."""

    def __init__(self, folder: Path, broker: SmallBroker, language: str = "") -> None:
        self.panel, self.journal, self.broker = Panel(), Facts(), broker
        inbox = Inbox()
        self.connection = Connection(
            BrokerSettings("gw", "localhost", broker.port, keepalive_s=1),
            Will(TOPICS.availability, b"offline"),
            subscriptions(TOPICS, home_assistant=bool(language)),
            inbox,
        )
        self.ahead_ms, self.name = 0, "Front"
        journal: Any = self.journal
        self.link = Link(
            "csg", inbox, self.connection, self.panel, journal, folder,
            Clocks(lambda: time.monotonic_ns() // 1_000_000 + self.ahead_ms), language=language,
            keepalive_ms=1_000,
        )  # fmt: skip
        self.show()

    def show(self) -> None:
        doors = {"front": {"name": self.name, "state": "closed"}}
        shown = {"gateway": {"id": "csg", "boot": "b1"}, "now_ms": 1, "doors": doors}
        self.link.inbox.put({"type": "snapshot", "snapshot": shown})

    def until(self, wanted: Callable[[], Any], within_s: float = 20.0) -> Any:
        deadline = time.monotonic() + within_s
        while not (found := wanted()):
            assert time.monotonic() < deadline, (
                self.broker.taken,
                self.aside,
                self.panel.told[-3:],
            )
            self.show()
            self.link.turn(0.02)
        return found

    def turn(self, ms: int = 0) -> None:
        self.ahead_ms += ms
        self.show()
        self.link.turn(0.02)

    @property
    def aside(self) -> dict[str, str]:
        return dict(map(tuple, self.panel.last("link")["aside"]))

    def cursors(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for one in self.panel.told:
            if one["type"] == "sent":
                found[one["lane"]] = one["seq"]
        return found

    def passed(self) -> bool:
        return self.cursors() == {"urgent": 6, "routine": 6}

    def close(self) -> None:
        self.connection.drop("test")
        self.connection.pump(0.0)


@pytest.fixture
def broker() -> Iterator[SmallBroker]:
    with SmallBroker() as one:
        yield one


CODES = {
    0x80: "unspecified error", 0x83: "implementation specific error", 0x87: "not authorized",
    0x90: "topic name invalid", 0x97: "quota exceeded", 0x99: "payload format invalid",
}  # fmt: skip


@pytest.mark.parametrize("code", CODES)
def test_a_refused_kind_of_fact_is_set_aside_and_the_rest_flows(
    tmp_path: Path, broker: SmallBroker, code: int
) -> None:
    broker.publish[EVENT + "door_opened"] = code
    home = Home(tmp_path, broker)
    home.until(home.passed)
    home.until(lambda: home.aside.get(EVENT + "door_opened/front") == CODES[code])
    assert len(broker.connects) == 1
    assert home.panel.last("link")["aside_count"] == 3
    assert broker.taken.count(EVENT + "fire_alarm/front") == 3
    # The next run of the link knows them, and another connection tries them again.
    home.close()
    broker.publish.clear()
    again = Home(tmp_path, broker)
    assert again.link.aside.count_facts == 3
    again.until(lambda: again.link.aside.count_facts == 0)
    assert json.loads((tmp_path / "link" / "link.json").read_text())["aside"]["urgent"] == []
    again.close()


ENDS = {
    "close": "close",
    "packet too large": ("disconnect", 0x95),
    "not authorized": ("disconnect", 0x87),
    "retain not supported": ("disconnect", 0x9A),
    "qos not supported": ("disconnect", 0x9B),
    "topic name invalid": ("disconnect", 0x90),
}


@pytest.mark.parametrize("answer", ENDS.values(), ids=ENDS.keys())
@pytest.mark.parametrize("topic", [EVENT + "door_opened", EVENT + "reading", TOPICS.door("front")])
def test_a_message_over_which_the_broker_ends_the_connection_is_found_and_set_aside(
    tmp_path: Path, broker: SmallBroker, answer: object, topic: str
) -> None:
    broker.publish[topic] = answer
    home = Home(tmp_path, broker)
    home.journal.count = 2  # one of each kind, so that there is one culprit of each
    home.until(lambda: home.cursors().get("urgent") == 2, 120)
    home.until(lambda: home.cursors().get("routine") == 2, 120)
    home.until(lambda: any(one.startswith(topic) for one in home.aside))
    home.until(lambda: home.panel.last("link")["connected"])
    home.until(lambda: broker.retained.get(TOPICS.availability) == b"online")
    home.close()


def test_a_message_that_is_never_answered_is_set_aside_and_its_place_is_free(
    tmp_path: Path, broker: SmallBroker
) -> None:
    """A broker may drop what it does not want and acknowledge nothing."""
    broker.publish[EVENT + "reading"] = "ignore"
    home = Home(tmp_path, broker)
    home.until(lambda: home.cursors().get("urgent") == 6)
    home.until(home.connection.heard_ms)
    assert home.cursors().get("routine") is None
    home.ahead_ms = 31_000
    home.connection.heard_ms = lambda: time.monotonic_ns() // 1_000_000 + 31_000  # type: ignore[method-assign]  # a ping since
    home.until(lambda: home.cursors().get("routine") == 6)
    home.until(lambda: home.aside.get(EVENT + "reading/front") == "no answer")
    assert len(broker.connects) == 1
    home.close()


def test_urgent_facts_never_wait_behind_what_is_not_taken(
    tmp_path: Path, broker: SmallBroker
) -> None:
    """However much of it there is: it has a part of the window only."""
    broker.publish = {"portier/csg/state": "ignore", EVENT + "reading": "ignore"}
    home = Home(tmp_path, broker)
    home.journal.count, home.journal.calm = 400, True
    home.until(
        lambda: home.link.publisher.flights and home.link.publisher.flights["routine"].in_flight
    )
    for _ in range(5):
        home.turn()  # whatever may be in flight is
    home.journal.calm = False
    home.link.inbox.put({"type": "rows"})
    home.until(lambda: home.cursors().get("urgent") == 400)
    assert len(broker.connects) == 1
    home.close()


@pytest.mark.parametrize("code", [0x80, 0x87, 0x8F, 0x97, 0xA2])
@pytest.mark.parametrize("refused", [TOPICS.commands, TOPICS.states, TOPICS.availability])
def test_a_refused_subscription_is_named(
    tmp_path: Path, broker: SmallBroker, refused: str, code: int
) -> None:
    broker.subscribe[refused] = code
    home = Home(tmp_path, broker)
    home.until(home.passed)
    home.until(lambda: home.aside.get(refused, "").startswith("subscription: "))
    assert home.panel.last("link")["connected"]
    assert len(broker.connects) == 1
    home.close()


@pytest.mark.parametrize("answer", ["close", ("disconnect", 0x87)])
def test_a_subscription_over_which_the_broker_ends_the_connection_is_left_out(
    tmp_path: Path, broker: SmallBroker, answer: object
) -> None:
    broker.subscribe[TOPICS.states] = answer
    home = Home(tmp_path, broker)
    home.until(home.passed)
    home.until(lambda: TOPICS.states in home.aside)
    assert len(broker.connects) == 3
    assert broker.subscribed.count(TOPICS.commands) == 3
    home.close()


def test_a_subscription_that_is_never_answered_holds_up_nothing(
    tmp_path: Path, broker: SmallBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.link.mqtt.ANSWER_WITHIN_S", 1.0)
    broker.subscribe[TOPICS.states] = "ignore"
    home = Home(tmp_path, broker)
    home.until(home.passed)
    home.until(lambda: home.aside.get(TOPICS.states) == "subscription: no answer")
    home.close()


def test_a_point_whose_topic_may_not_be_read_is_not_known(
    tmp_path: Path, broker: SmallBroker
) -> None:
    broker.subscribe["zigbee2mqtt/"] = 0x87
    home = Home(tmp_path, broker)
    home.connection.subscribe({"zigbee2mqtt/leaf"})
    home.link.listen([Listening("front.leaf", "zigbee2mqtt/leaf", lambda _: [Value(True)])])
    home.until(lambda: [one for one in home.panel.told if one["type"] == "point"][1:])
    told = home.panel.last("point")
    assert told["active"] is None
    assert told["reason"] == "the broker refuses the subscription: not authorized"
    home.close()


@pytest.mark.parametrize("code", [0x9A, 0x9B, 0x87, 0x90, 0x95, 0x97])
def test_a_broker_that_does_not_want_our_will_has_the_rest(
    tmp_path: Path, broker: SmallBroker, code: int
) -> None:
    broker.connack = [(code, b""), (0, b"")]
    home = Home(tmp_path, broker)
    home.until(home.passed)
    home.until(lambda: "last will" in home.aside)
    without = {0x9A: 0b0000_1100, 0x9B: 0b0010_0100}.get(code, 0)
    assert broker.connects[0] & 0b0011_1100 == 0b0010_1100
    assert broker.connects[1] & 0b0011_1100 == without
    home.close()


def test_who_may_not_connect_at_all_keeps_its_will(tmp_path: Path, broker: SmallBroker) -> None:
    broker.connack = [(0x86, b""), (0x86, b""), (0, b"")]
    home = Home(tmp_path, broker)
    home.until(lambda: len(broker.connects) == 2)
    assert home.panel.link() == (False, "refused")
    home.until(home.passed)
    assert {flags & 0b0011_1100 for flags in broker.connects} == {0b0010_1100}
    assert "last will" not in home.aside
    home.close()


def test_the_limits_of_the_broker_are_reported(tmp_path: Path, broker: SmallBroker) -> None:
    # maximum packet size, maximum QoS, retain, topic alias, keep alive, receive maximum
    properties = b"\x24\x01\x25\x01\x22\x00\x0a\x13\x00\x07\x21\x00\x05" + maximum_packet_size(900)
    broker.connack = [(0, properties)]
    home = Home(tmp_path, broker)
    home.until(home.passed)
    told = home.panel.last("link")
    assert told["broker"] == {
        "retain_available": True,
        "maximum_qos": 1,
        "maximum_packet_size": 900,
        "topic_alias_maximum": 10,
        "server_keep_alive_s": 7,
    }
    assert told["keepalive_ms"] == 7_000
    assert home.link._window == 5
    home.close()


def test_the_evidence_of_the_connection_stays_fresh(tmp_path: Path, broker: SmallBroker) -> None:
    home = Home(tmp_path, broker)
    home.until(home.passed)
    home.turn(ms=10_000)
    first = home.panel.last("link")["heard_ms"]
    assert first is not None
    home.until(lambda: (home.connection.heard_ms() or 0) > first)  # the answer to a ping
    home.turn(ms=10_000)
    assert home.panel.last("link")["heard_ms"] > first
    assert home.panel.last("link")["keepalive_ms"] == 1_000
    home.close()


def test_without_wildcards_they_are_named_and_not_asked_for(
    tmp_path: Path, broker: SmallBroker
) -> None:
    broker.connack = [(0, b"\x28\x00")]
    home = Home(tmp_path, broker)
    home.until(home.passed)
    home.until(lambda: TOPICS.commands in home.aside)
    assert broker.subscribed == [TOPICS.info, TOPICS.availability]
    home.close()


def test_one_message_more_than_fits_is_named_and_the_others_come(
    tmp_path: Path, broker: SmallBroker
) -> None:
    broker.connack = [(0, maximum_packet_size(600))]
    home = Home(tmp_path, broker, "de")
    home.name = "Front " * 100
    home.until(home.passed)
    home.until(lambda: home.aside.get(TOPICS.door("front")) == "packet too large")
    home.until(lambda: broker.retained.get(TOPICS.availability) == b"online")
    assert broker.taken.count(EVENT + "reading/front") == 6
    assert len(broker.connects) == 1
    home.close()
