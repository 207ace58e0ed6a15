"""What a broker may restrict or refuse, and what the recorder makes of it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import mqtt5
import pytest
from structlog.testing import capture_logs

from gateway.mqtt import reconnection, subscription
from gateway.mqtt.reasons import TAKEN_OVER
from gateway.mqtt.subscription import Connected, Lost, Refused
from tests.asides import asides
from tests.mqtt.test_subscription import Bench, event
from tests.recorder.conftest import Bench as RecorderBench

pytestmark = pytest.mark.thorough

TOPIC = "portier/a/recorded/main"


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr(reconnection, "FIRST_S", 0.02)
    monkeypatch.setattr(reconnection, "MOST_S", 0.05)
    made = Bench(keepalive_s=20)
    yield made
    made.subscription.close()
    made.broker.close()


def published(bench: Bench) -> list[mqtt5.PublishPacket]:
    return bench.broker.all_of(mqtt5.PublishPacket)


def test_a_message_larger_than_the_broker_takes_is_named_once_and_not_sent(bench: Bench) -> None:
    with capture_logs() as logs:
        bench.welcome(max_packet_size=200)
        for _ in range(3):
            assert bench.subscription.publish(TOPIC, b"x" * 200, retain=True)
        bench.subscription.publish(TOPIC, b"small")
        bench.until(lambda: published(bench))
    assert [one.payload for one in published(bench)] == [b"small"]
    named = [one for one in logs if one.get("topic") == TOPIC]
    assert [one["reason"] for one in named] == ["packet too large"]
    assert bench.all_of(Lost) == []


def test_exactly_the_largest_packet_is_sent(bench: Bench) -> None:
    whole = mqtt5.PublishPacket(
        TOPIC, b"x" * 40, qos=mqtt5.QoS.AT_LEAST_ONCE, packet_id=9, retain=True
    ).write()
    bench.welcome(max_packet_size=len(whole))
    bench.subscription.publish(TOPIC, b"x" * 40, retain=True)
    bench.subscription.publish(TOPIC, b"x" * 41, retain=True)
    bench.subscription.publish(TOPIC, b"y", retain=True)
    bench.until(lambda: len(published(bench)) == 2)
    assert [len(one.payload) for one in published(bench)] == [40, 1]


def test_filters_that_do_not_fit_into_one_packet_are_asked_for_in_several(bench: Bench) -> None:
    bench.hello()
    bench.broker.send(mqtt5.ConnAckPacket(max_packet_size=40).write())
    bench.until(lambda: len(bench.broker.all_of(mqtt5.SubscribePacket)) == 2)
    asked = bench.broker.all_of(mqtt5.SubscribePacket)
    assert [one.pattern for packet in asked for one in packet.topic_filters] == [
        "portier/+/event/#",
        "portier/+/health",
    ]
    assert len({packet.packet_id for packet in asked}) == 2


def test_a_broker_without_retained_messages_gets_none(bench: Bench) -> None:
    bench.welcome(retain_available=False)
    bench.subscription.publish(TOPIC, b"1", retain=True)
    bench.until(lambda: published(bench))
    assert not published(bench)[0].retain


def test_a_broker_of_qos_0_gets_no_more_and_nothing_waits_for_its_answer(bench: Bench) -> None:
    bench.welcome(max_qos=mqtt5.QoS.AT_MOST_ONCE, receive_max=1)
    for number in range(3):
        bench.subscription.publish(TOPIC, b"%d" % number)
    bench.until(lambda: len(published(bench)) == 3)
    assert {int(one.qos) for one in published(bench)} == {0}


def test_a_name_that_the_broker_assigns_is_ours_from_then_on(bench: Bench) -> None:
    bench.welcome(assigned_client_id="recorder-7")  # type: ignore[arg-type]  # by name
    bench.broker.hang_up()
    bench.until(lambda: bench.all_of(Lost))
    bench.hello()
    (again,) = bench.broker.all_of(mqtt5.ConnectPacket)
    assert again.client_id == "recorder-7"


def subscribed(bench: Bench, *codes: mqtt5.SubAckReasonCode) -> mqtt5.SubscribePacket:
    asked = bench.broker.all_of(mqtt5.SubscribePacket)[-1]
    bench.broker.send(mqtt5.SubAckPacket(asked.packet_id, list(codes)).write())
    return asked


def test_a_refused_subscription_is_said_and_asked_for_again_on_the_same_connection(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscription, "REFUSED_FIRST_S", 0.05)
    bench.welcome()
    ok, no = mqtt5.SubAckReasonCode.GRANTED_QOS_AT_LEAST_ONCE, mqtt5.SubAckReasonCode.NOT_AUTHORIZED
    subscribed(bench, no, ok)
    bench.until(lambda: bench.all_of(Refused))
    assert bench.all_of(Refused) == [Refused("portier/+/event/#", "not authorized")]
    bench.until(lambda: len(bench.broker.all_of(mqtt5.SubscribePacket)) == 2)
    again = subscribed(bench, no)
    assert [one.pattern for one in again.topic_filters] == ["portier/+/event/#"]
    bench.until(lambda: len(bench.broker.all_of(mqtt5.SubscribePacket)) == 3)
    subscribed(bench, ok)
    bench.until(lambda: len(bench.all_of(Refused)) == 2)
    assert bench.all_of(Refused)[1] == Refused("portier/+/event/#", "")
    assert bench.all_of(Lost) == []


def test_while_a_subscription_is_refused_recorded_says_what_it_waits_for() -> None:
    bench = RecorderBench()
    bench.broker.give("event/x", b"{}")
    bench.broker.give("health", b'{"journal": "j1", "sent": {"urgent": 0}}')
    bench.turn(1_500)
    bench.broker.came.append(Refused("portier/+/event/#", "not authorized"))
    bench.turn(1_500)
    assert bench.recorded()["waits_for"] == "subscription_refused"
    bench.broker.came.append(Refused("portier/+/event/#", ""))
    bench.turn(1_500)
    assert "waits_for" not in bench.recorded()
    bench.state.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("code", [0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99, 0x9A, 0xFE])
def test_a_publication_that_is_refused_is_named_once_and_ends_nothing(
    bench: Bench, code: int, capfd: pytest.CaptureFixture[str]
) -> None:
    with capture_logs() as logs:
        bench.welcome(receive_max=1)
        for number in range(3):
            bench.subscription.publish(TOPIC, b"%d" % number, retain=True)
            bench.until(lambda n=number: len(published(bench)) == n + 1)
            sent = (published(bench)[-1].packet_id or 0).to_bytes(2, "big")
            bench.broker.send(b"\x40\x03" + sent + bytes([code]))
        bench.broker.send(event(5))
        bench.until(lambda: bench.came[-1] != bench.came[0])
        bench.subscription.pump(0.05)
    assert len([one for one in logs if one.get("topic") == TOPIC]) == 1
    assert bench.all_of(Lost) == []


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_refusal_of_a_subscription_in_an_unknown_code_is_a_refusal(
    bench: Bench, capfd: pytest.CaptureFixture[str]
) -> None:
    bench.welcome()
    number = bench.broker.all_of(mqtt5.SubscribePacket)[-1].packet_id.to_bytes(2, "big")
    bench.broker.send(b"\x90\x05" + number + b"\x00\xfe\xfe")
    bench.until(lambda: len(bench.all_of(Refused)) == 2)
    assert bench.all_of(Lost) == []


class Clock:
    """Instead of the time of day of the subscription."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def monotonic(self) -> float:
        return self.now


def taken_over(bench: Bench) -> None:
    reason = mqtt5.DisconnectReasonCode.SESSION_TAKEN_OVER
    before = len(bench.all_of(Lost))
    bench.broker.send(mqtt5.DisconnectPacket(reason_code=reason).write())
    for _ in range(1_000):
        bench.subscription.pump(0.01)
        while (one := bench.subscription.take()) is not None:
            bench.came.append(one)
        if len(bench.all_of(Lost)) > before:
            return
    raise AssertionError(bench.came)


def test_a_session_that_is_taken_over_makes_pauses_that_grow(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two recorders of one name threw each other out every half second."""
    clock = Clock()
    bench.welcome()
    monkeypatch.setattr(subscription, "time", clock)
    pauses = []
    for _ in range(7):
        taken_over(bench)
        pauses.append(bench.subscription._next_at - clock.now)
        clock.now = bench.subscription._next_at
        with monkeypatch.context() as patch:
            patch.setattr(subscription, "time", SimpleNamespace(monotonic=clock.monotonic))
            connect(bench)
    assert pauses == [15, 30, 60, 120, 240, 300, 300]
    clock.now += 3_600  # the other one is away
    taken_over(bench)
    assert bench.subscription._next_at - clock.now == 15


def connect(bench: Bench) -> None:
    before = len(bench.all_of(Connected))
    bench.hello()
    bench.broker.send(mqtt5.ConnAckPacket().write())
    bench.until(lambda: len(bench.all_of(Connected)) > before)


def test_connections_that_end_at_once_are_made_ever_less_often(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mosquitto 2.0 does not say that a session that stays was taken over."""
    monkeypatch.setattr(reconnection, "MOST_S", 60.0)
    clock = Clock()
    monkeypatch.setattr(subscription, "time", clock)
    pauses = []

    def ends(after_s: float) -> str:
        clock.now = max(clock.now, bench.subscription._next_at)
        connect(bench)
        clock.now += after_s
        before = len(bench.all_of(Lost))
        bench.broker.hang_up()
        bench.until(lambda: len(bench.all_of(Lost)) > before)
        pauses.append(bench.subscription._next_at - clock.now)
        return bench.all_of(Lost)[-1].reason

    reasons = [ends(1) for _ in range(5)]
    assert [reason == subscription.ENDS_AT_ONCE for reason in reasons] == [False] * 2 + [True] * 3
    assert [round(pause_s) for pause_s in pauses[2:]] == [15, 30, 60]
    assert ends(subscription.STEADY_S + 1) != subscription.ENDS_AT_ONCE
    assert pauses[-1] < 1


def test_who_was_thrown_out_is_named_in_the_log_and_in_recorded() -> None:
    bench = RecorderBench()
    bench.broker.give("health", b'{"journal": "j1", "sent": {"urgent": 0}}')
    bench.turn(1_500)
    with capture_logs() as logs:
        for generation in (2, 3):
            bench.broker.came += [Lost(1, TAKEN_OVER), Connected(generation)]
            bench.turn(1_500)
    assert bench.recorded()["taken_over"] == 2
    assert any("two recorders of one name" in one["event"] for one in logs)
    bench.turn(3_700_000)
    bench.turn(1_500)
    assert "taken_over" not in bench.recorded()
    bench.state.close()


@pytest.mark.parametrize("error", [RuntimeError("odd"), MemoryError(), KeyError("x"), OSError()])
def test_whatever_ends_one_attempt_to_connect_there_is_another(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """A thread that died left the recorder waiting for it for ever."""
    with monkeypatch.context() as patch:
        patch.setattr(socket, "create_connection", raising(error))
        for _ in range(20):
            bench.subscription.pump(0.01)
    bench.welcome()


def test_a_machine_without_another_thread_is_tried_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", raising(RuntimeError("no more")))
        for _ in range(20):
            bench.subscription.pump(0.01)
    bench.welcome()


def raising(error: Exception) -> Any:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


def test_another_thread_can_end_the_wait(bench: Bench) -> None:
    bench.welcome()
    bench.subscription.wake()
    bench.subscription.pump(3_600)  # returns at once


def test_whatever_is_in_a_message_it_ends_nothing_but_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An error that nobody has thought of yet."""
    bench = RecorderBench()
    book = bench.recorder._ingest
    for name in ("event", "absent", "health"):
        monkeypatch.setattr(book, name, raising(ArithmeticError("odd")))
        bench.broker.give(f"{name}/x/y" if name == "event" else name, b"\x00")
    bench.broker.give("", b"")
    bench.turn(1_500)
    assert bench.broker.acknowledged == [1, 2, 3, 4]
    assert {one.reason for one in asides(bench.state)} == {"not understood: ArithmeticError('odd')"}
    bench.state.close()


def test_the_first_attempt_after_an_end_comes_after_the_shortest_pause(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It came after twice as long."""
    bench.welcome()
    clock = Clock()
    monkeypatch.setattr(subscription, "time", clock)
    bench.broker.hang_up()
    bench.until(lambda: bench.all_of(Lost))
    assert 0 < bench.subscription._next_at - clock.now <= reconnection.FIRST_S
