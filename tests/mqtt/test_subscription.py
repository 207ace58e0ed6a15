"""The recorder's connection, before a broker that speaks MQTT over a real socket."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

import mqtt5
import pytest

from gateway.mqtt import reconnection, subscription
from gateway.mqtt.reasons import TAKEN_OVER
from gateway.mqtt.settings import BrokerSettings
from gateway.mqtt.subscription import (
    NO_SESSION,
    Connected,
    Granted,
    Happening,
    Lost,
    Received,
    Refused,
    SessionOptions,
    Subscription,
)

P = TypeVar("P")
WITHIN_S = 10.0


class Broker:
    """One client at a time; what it said, and bytes to say to it."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(WITHIN_S)
        self.port: int = self._listener.getsockname()[1]
        self._sock: socket.socket | None = None
        self._in = b""
        self.said: list[mqtt5.Packet] = []

    def somebody_waits(self) -> bool:
        return bool(select.select([self._listener], [], [], 0)[0])

    def accept(self) -> None:
        self.hang_up()
        self._sock, _ = self._listener.accept()
        self._sock.setblocking(False)

    def hang_up(self) -> None:
        if self._sock is not None:
            self._sock.close()
        self._sock, self._in, self.said = None, b"", []

    def send(self, data: bytes) -> None:
        assert self._sock is not None
        self._sock.sendall(data)

    def hear(self) -> None:
        """Take in what the client has said."""
        assert self._sock is not None
        try:
            self._in += self._sock.recv(65_536)
        except BlockingIOError:
            return
        while self._in:
            try:
                packet, size = mqtt5.read(memoryview(self._in))
            except IndexError:
                return
            self._in = self._in[size:]
            self.said.append(packet)

    def all_of(self, kind: type[P]) -> list[P]:
        self.hear()
        return [packet for packet in self.said if isinstance(packet, kind)]

    def close(self) -> None:
        self.hang_up()
        self._listener.close()


class Bench:
    """A subscription and its broker; time passes while somebody waits."""

    def __init__(self, options: SessionOptions | None = None, **settings: int | str) -> None:
        self.broker = Broker()
        self.came: list[Happening] = []
        self.subscription = Subscription(
            BrokerSettings("recorder", "127.0.0.1", self.broker.port, **settings),  # type: ignore[arg-type]  # ints and texts by their names
            [("portier/+/event/#", 1), ("portier/+/health", 0)],
            options,
        )

    def until(self, wanted: Callable[..., object]) -> None:
        deadline = time.monotonic() + WITHIN_S
        while not wanted():
            assert time.monotonic() < deadline, (self.came, self.broker.said)
            self.subscription.pump(0.01)
            while (one := self.subscription.take()) is not None:
                self.came.append(one)

    def hello(self) -> None:
        """Wait until it has connected, which may be after a pause."""
        self.until(self.broker.somebody_waits)
        self.broker.accept()
        self.until(lambda: self.broker.all_of(mqtt5.ConnectPacket))

    def welcome(self, **answer: int) -> None:
        """Let it connect."""
        before = len(self.all_of(Connected))
        self.hello()
        self.broker.send(mqtt5.ConnAckPacket(**answer).write())  # type: ignore[arg-type]  # ints by their names
        self.until(lambda: len(self.all_of(Connected)) > before)
        self.until(lambda: self.broker.all_of(mqtt5.SubscribePacket))

    def all_of(self, kind: type[P]) -> list[P]:
        return [one for one in self.came if isinstance(one, kind)]

    def acknowledged(self) -> list[int]:
        return [packet.packet_id for packet in self.broker.all_of(mqtt5.PubAckPacket)]


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr(reconnection, "FIRST_S", 0.02)
    made = Bench(keepalive_s=20)
    yield made
    made.subscription.close()
    made.broker.close()


def event(number: int, *, retain: bool = False) -> bytes:
    return mqtt5.PublishPacket(
        "portier/a/event/reading/x",
        b'{"n":%d}' % number,
        qos=mqtt5.QoS.AT_LEAST_ONCE,
        packet_id=number,
        retain=retain,
        content_type="application/json",
    ).write()


def test_the_session_stays_and_waits_for_as_much_as_we_take(bench: Bench) -> None:
    bench.welcome()
    (hello,) = bench.broker.all_of(mqtt5.ConnectPacket)
    assert (hello.client_id, hello.clean_start, hello.receive_max) == ("recorder", False, 4000)
    assert hello.session_expiry_interval == 7 * 86_400
    (asked,) = bench.broker.all_of(mqtt5.SubscribePacket)
    assert [(one.pattern, int(one.max_qos)) for one in asked.topic_filters] == [
        ("portier/+/event/#", 1),
        ("portier/+/health", 0),
    ]
    # else every message would look as if the broker had kept it, or none
    assert not any(one.retain_as_published for one in asked.topic_filters)


def test_a_message_is_acknowledged_by_hand_and_not_before(bench: Bench) -> None:
    bench.welcome()
    bench.broker.send(event(7) + event(8, retain=True))
    bench.until(lambda: len(bench.all_of(Received)) == 2)
    first, second = bench.all_of(Received)
    assert (first.mid, first.payload, first.retained) == (7, b'{"n":7}', False)
    assert (first.topic, second.retained) == ("portier/a/event/reading/x", True)
    bench.subscription.pump(0.05)
    assert bench.acknowledged() == []
    bench.subscription.acknowledge([second])
    bench.until(lambda: bench.acknowledged() == [8])


def test_a_message_without_a_number_needs_no_acknowledgement(bench: Bench) -> None:
    bench.welcome()
    bench.broker.send(mqtt5.PublishPacket("portier/a/health", b"{}").write() + event(3))
    bench.until(lambda: len(bench.all_of(Received)) == 2)
    bench.subscription.acknowledge(bench.all_of(Received))
    bench.until(bench.acknowledged)
    assert bench.acknowledged() == [3]


def test_messages_may_be_cut_anywhere(bench: Bench) -> None:
    bench.welcome()
    data = b"".join(event(number) for number in range(1, 6))
    for at in range(0, len(data), 7):
        bench.broker.send(data[at : at + 7])
        bench.subscription.pump(0.01)
    bench.until(lambda: len(bench.all_of(Received)) == 5)
    assert [one.mid for one in bench.all_of(Received)] == [1, 2, 3, 4, 5]


def test_an_acknowledgement_belongs_to_its_connection(bench: Bench) -> None:
    bench.welcome()
    bench.broker.send(event(1))
    bench.until(lambda: bench.all_of(Received))
    bench.broker.hang_up()
    bench.until(lambda: bench.all_of(Lost))
    bench.welcome()
    bench.broker.send(event(1))
    bench.until(lambda: len(bench.all_of(Received)) == 2)
    old, new = bench.all_of(Received)
    bench.subscription.acknowledge([old])
    bench.subscription.pump(0.05)
    assert bench.acknowledged() == []
    bench.subscription.acknowledge([new])
    bench.until(bench.acknowledged)


# the library leaves the reason of its panic behind
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    "nonsense",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n" + b"x" * 200,
        b"\xff\xff\xff\xff\xff\xff",
        b"\x30\xff\xff\xff\xff\xff",  # a message that never ends
        b"\x20\x04\x00\x00\x01\xff",  # not a message
    ],
)
def test_who_does_not_speak_mqtt_is_left_and_tried_again(
    bench: Bench, nonsense: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    bench.welcome()
    bench.broker.send(event(1) + nonsense)
    bench.until(lambda: bench.all_of(Lost))
    assert "not MQTT" in bench.all_of(Lost)[0].reason
    bench.welcome()
    assert len(bench.all_of(Connected)) == 2


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    ("odd", "acknowledged"),
    [
        (b"\x30\x04\x00\x01\xff\x00", []),  # a topic that is no UTF-8
        (b"\x32\x09\x00\x01a\x00\x07\x02\x7e\x05x", [7]),  # no such property
        (b"\x32\x86\x01\x00\x01a\x00\x07\x02\x7e\x05" + b"x" * 126, [7]),  # and a longer one
    ],
)
def test_a_message_that_cannot_be_read_is_passed_over(
    bench: Bench, odd: bytes, acknowledged: list[int], capfd: pytest.CaptureFixture[str]
) -> None:
    """A stranger may send it and the broker keep it: hanging up would be for ever."""
    bench.welcome()
    bench.broker.send(event(1) + odd + event(2))
    bench.until(lambda: len(bench.all_of(Received)) == 2)
    assert [one.mid for one in bench.all_of(Received)] == [1, 2]
    bench.subscription.acknowledge(bench.all_of(Received))
    bench.until(lambda: len(bench.acknowledged()) == len(acknowledged) + 2)
    assert bench.acknowledged() == [*acknowledged, 1, 2]
    assert bench.all_of(Lost) == []


def test_a_broker_that_refuses_is_tried_again(bench: Bench) -> None:
    bench.hello()
    refusal = mqtt5.ConnAckPacket(reason_code=mqtt5.ConnAckReasonCode.NOT_AUTHORIZED)
    bench.broker.send(refusal.write())
    bench.until(lambda: bench.subscription._wire is None)
    assert bench.came == []
    bench.welcome()


def test_a_session_that_somebody_else_takes_over_says_so(bench: Bench) -> None:
    bench.welcome()
    reason = mqtt5.DisconnectReasonCode.SESSION_TAKEN_OVER
    bench.broker.send(mqtt5.DisconnectPacket(reason_code=reason).write())
    bench.until(lambda: bench.all_of(Lost))
    assert bench.all_of(Lost)[0].reason == TAKEN_OVER


def test_a_broker_that_does_not_answer_pings_is_given_up(bench: Bench) -> None:
    bench.welcome(server_keep_alive=1)
    bench.until(lambda: bench.broker.all_of(mqtt5.PingReqPacket))
    bench.broker.send(mqtt5.PingRespPacket().write())
    bench.until(lambda: len(bench.broker.all_of(mqtt5.PingReqPacket)) == 2)
    assert bench.all_of(Lost) == []
    bench.until(lambda: bench.all_of(Lost))
    assert "PINGREQ" in bench.all_of(Lost)[0].reason


def test_a_broker_that_answers_nothing_at_all_is_given_up(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscription, "ANSWER_WITHIN_S", 0.05)
    bench.hello()
    bench.until(lambda: bench.subscription._wire is None)
    bench.welcome()


def test_no_more_is_published_at_a_time_than_the_broker_takes(bench: Bench) -> None:
    assert not bench.subscription.publish("portier/a/recorded/main", b"0")
    bench.welcome(receive_max=2)
    for number in range(5):
        assert bench.subscription.publish("t", b"%d" % number, retain=True)
    bench.until(lambda: len(bench.broker.all_of(mqtt5.PublishPacket)) == 2)
    bench.subscription.pump(0.05)
    sent = bench.broker.all_of(mqtt5.PublishPacket)
    assert [one.payload for one in sent] == [b"0", b"1"]
    assert all(one.retain and int(one.qos) == 1 for one in sent)
    bench.broker.send(mqtt5.PubAckPacket(sent[0].packet_id or 0).write())
    bench.until(lambda: len(bench.broker.all_of(mqtt5.PublishPacket)) == 3)


def test_what_waited_for_a_lost_connection_is_not_sent_over_the_next(bench: Bench) -> None:
    bench.welcome(receive_max=1)
    bench.subscription.publish("t", b"1")
    bench.subscription.publish("t", b"2")
    bench.broker.hang_up()
    bench.until(lambda: bench.all_of(Lost))
    bench.welcome()
    bench.subscription.publish("t", b"3")
    bench.until(lambda: bench.broker.all_of(mqtt5.PublishPacket))
    assert [one.payload for one in bench.broker.all_of(mqtt5.PublishPacket)] == [b"3"]


@pytest.fixture
def without_session(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr(reconnection, "FIRST_S", 0.02)
    made = Bench(NO_SESSION, keepalive_s=20)
    yield made
    made.subscription.close()
    made.broker.close()


def test_who_needs_no_session_leaves_none_at_the_broker(without_session: Bench) -> None:
    without_session.welcome()
    (hello,) = without_session.broker.all_of(mqtt5.ConnectPacket)
    assert (hello.clean_start, hello.session_expiry_interval) == (True, 0)


def test_why_there_is_no_connection_is_known_until_there_is_one(bench: Bench) -> None:
    assert bench.subscription.reason == "connecting"
    bench.hello()
    refusal = mqtt5.ConnAckPacket(reason_code=mqtt5.ConnAckReasonCode.NOT_AUTHORIZED)
    bench.broker.send(refusal.write())
    bench.until(lambda: bench.subscription.reason == "not authorized")
    bench.welcome()
    assert bench.subscription.reason == ""
    bench.broker.hang_up()
    bench.until(lambda: bench.subscription.reason == "connection lost")


def test_what_is_retained_is_asked_for_once_more_and_then_no_more(bench: Bench) -> None:
    assert not bench.subscription.ask_again("portier/a/#", 0)  # nothing can be sent now
    bench.welcome()
    assert not bench.subscription.ask_again("portier/+/health", 0)  # it would be dropped
    before = len(bench.broker.all_of(mqtt5.SubscribePacket))
    assert bench.subscription.ask_again("portier/a/#", 0)
    bench.until(lambda: len(bench.broker.all_of(mqtt5.SubscribePacket)) == before + 1)
    asked = bench.broker.all_of(mqtt5.SubscribePacket)[-1]
    (one,) = asked.topic_filters
    assert (one.pattern, int(one.max_qos), int(one.retain_handling)) == ("portier/a/#", 0, 0)
    granted = [mqtt5.SubAckReasonCode.GRANTED_QOS_AT_MOST_ONCE]
    bench.broker.send(mqtt5.SubAckPacket(asked.packet_id, granted).write())
    bench.until(lambda: bench.all_of(Granted) == [Granted("portier/a/#")])
    bench.subscription.drop("portier/a/#")
    bench.subscription.drop("portier/a/#")
    bench.until(lambda: bench.broker.all_of(mqtt5.UnsubscribePacket))
    (dropped,) = bench.broker.all_of(mqtt5.UnsubscribePacket)
    assert dropped.patterns == ["portier/a/#"]


def test_a_question_that_is_refused_is_not_repeated_and_ends_with_its_connection(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscription, "REFUSED_FIRST_S", 0.0)
    bench.welcome()
    bench.subscription.ask_again("portier/a/#", 0)
    bench.until(lambda: len(bench.broker.all_of(mqtt5.SubscribePacket)) == 2)
    asked = bench.broker.all_of(mqtt5.SubscribePacket)[-1]
    refused = [mqtt5.SubAckReasonCode.NOT_AUTHORIZED]
    bench.broker.send(mqtt5.SubAckPacket(asked.packet_id, refused).write())
    bench.until(lambda: bench.all_of(Refused))
    assert bench.all_of(Refused) == [Refused("portier/a/#", "not authorized")]
    bench.subscription.pump(0.05)
    assert len(bench.broker.all_of(mqtt5.SubscribePacket)) == 2
    bench.broker.hang_up()
    bench.until(lambda: bench.all_of(Lost))
    bench.welcome()
    (again,) = bench.broker.all_of(mqtt5.SubscribePacket)
    assert [one.pattern for one in again.topic_filters] == ["portier/+/event/#", "portier/+/health"]


def test_a_publication_may_expire_at_the_broker(bench: Bench) -> None:
    bench.welcome()
    bench.subscription.publish("t", b"1", expiry_s=30)
    bench.subscription.publish("t", b"2")
    assert bench.subscription.unacknowledged == 2
    bench.until(lambda: len(bench.broker.all_of(mqtt5.PublishPacket)) == 2)
    first, second = bench.broker.all_of(mqtt5.PublishPacket)
    assert (first.message_expiry_interval, second.message_expiry_interval) == (30, None)
    bench.broker.send(mqtt5.PubAckPacket(first.packet_id or 0).write())
    bench.until(lambda: bench.subscription.unacknowledged == 1)
