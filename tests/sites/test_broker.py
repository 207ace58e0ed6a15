"""The centre at its broker: what the thread hands over, what is asked for, what is sent."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, cast

import pytest

from gateway import threads
from gateway.mqtt.settings import BrokerSettings
from gateway.mqtt.subscription import Connected, Granted, Happening, Lost, Received, Refused
from gateway.mqtt.topics import Topics
from gateway.sites import broker
from gateway.sites.broker import Centre
from gateway.sites.commands import Commands
from gateway.sites.keys import KeysError
from gateway.sites.picture.urgent_events import URGENT_KINDS

CSG = Topics("csg")
SETTINGS = BrokerSettings("sites", "127.0.0.1", 1)
WITHIN_S = 20.0
INFO = b'{"name":"Office","doors":{"front":"Front"},"rooms":{},"points":{}}'
TEXTS = {
    "availability": b"online",
    "info": INFO,
    "state/door/front": b'{"state":"closed"}',
    "state/alarms": b"[]",
}


class FakeWire:
    """A connection to whatever a test says that comes."""

    def __init__(self) -> None:
        self.reason = "connecting"
        self.came: deque[Happening] = deque()
        self.acknowledged: list[Received] = []
        self.published: list[tuple[str, bytes, int | None]] = []
        self.asked: list[str] = []
        self.dropped: list[str] = []
        self.closed = False
        self.error: Exception | None = None
        self._woken = threading.Event()

    def feed(self, *came: Happening, reason: str | None = None) -> None:
        self.came.extend(came)
        if reason is not None:
            self.reason = reason
        self.wake()

    def pump(self, wait_s: float) -> None:
        self._woken.wait(wait_s)
        self._woken.clear()
        if self.error is not None:
            raise self.error

    def take(self) -> Happening | None:
        return self.came.popleft() if self.came else None

    def acknowledge(self, messages: Iterable[Received]) -> None:
        self.acknowledged += messages

    def publish(self, topic: str, payload: bytes, *, expiry_s: int | None = None) -> bool:
        self.published.append((topic, payload, expiry_s))
        return True

    def ask_again(self, name: str, qos: int) -> bool:
        self.asked.append(name)
        return True

    def drop(self, name: str) -> None:
        self.dropped.append(name)

    def wake(self) -> None:
        self._woken.set()

    def close(self) -> None:
        self.closed = True


class FakeCommands:
    def __init__(self) -> None:
        self.answers: list[tuple[str, str, bytes]] = []

    def answered(self, gateway: str, command: str, payload: bytes) -> None:
        self.answers.append((gateway, command, payload))


class Bench:
    """A centre, its connection and what it reported."""

    def __init__(self, *gateways: str) -> None:
        self.wire = FakeWire()
        self.enrolled: list[str] | Exception = list(gateways)
        self.commands = FakeCommands()
        self.passed_ms = 0
        self.changed: list[str] = []
        self.centre = Centre(
            SETTINGS,
            self.names,
            lambda _: cast("Commands", self.commands),
            wire=lambda: self.wire,
            monotonic_ms=lambda: 1_000_000 + self.passed_ms,
            utc_ms=lambda: 1_800_000_000_000 + self.passed_ms,
        )
        self.centre.on_change.append(self.changed.append)

    def names(self) -> list[str]:
        if isinstance(self.enrolled, Exception):
            raise self.enrolled
        return self.enrolled

    async def until(self, wanted: Callable[[], object]) -> None:
        async with asyncio.timeout(WITHIN_S):
            while not wanted():  # noqa: ASYNC110 - the thread tells nobody
                await asyncio.sleep(0.005)

    async def connect(self) -> None:
        self.wire.feed(Connected(1), reason="")
        await self.until(lambda: self.centre.connected)

    def is_complete(self, gateway: str) -> bool:
        return self.centre.picture.gateways[gateway].complete


def message(topic: str, payload: bytes, *, retained: bool = False, mid: int = 0) -> Received:
    return Received(1, mid, topic, payload, retained)


def retained(gateway: str) -> list[Received]:
    return [message(f"portier/{gateway}/{at}", it, retained=True) for at, it in TEXTS.items()]


def play(test: Callable[[Bench], Awaitable[None]], *gateways: str) -> Bench:
    """Run a test beside its centre."""
    bench = Bench(*gateways)

    async def both() -> None:
        running = asyncio.create_task(bench.centre.run())
        try:
            await test(bench)
        finally:
            bench.centre.close()
            await running

    asyncio.run(both())
    assert bench.wire.closed
    return bench


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker, "TICK_S", 0.01)


def test_what_comes_is_in_the_picture_and_reported_once_a_batch() -> None:
    async def test(bench: Bench) -> None:
        await bench.connect()
        assert (bench.centre.reason, bench.changed) == ("", [""])
        bench.wire.feed(*retained("csg"), *retained("bad"), message(CSG.health, b"{}", mid=7))
        await bench.until(lambda: bench.is_complete("csg") and bench.is_complete("bad"))
        assert bench.changed.count("bad") == bench.changed.count("csg") == 1
        await bench.until(lambda: bench.wire.acknowledged)
        assert [one.mid for one in bench.wire.acknowledged] == [7]

    play(test, "csg", "bad")


def test_many_messages_leave_the_event_loop_to_others_in_between() -> None:
    async def test(bench: Bench) -> None:
        await bench.connect()
        states = [message(CSG.point(f"p{n}"), b'{"kind":"contact"}') for n in range(900)]
        bench.wire.feed(*states)
        csg = bench.centre.picture.gateways["csg"]
        seen = set()
        while csg.changes < len(states):
            seen.add(csg.changes)
            await asyncio.sleep(0)
        assert len(seen) >= len(states) // broker.BATCH_MOST

    play(test, "csg")


def test_a_connection_that_breaks_says_since_when_and_why() -> None:
    async def test(bench: Bench) -> None:
        bench.wire.feed(reason="refused")
        await bench.until(lambda: bench.centre.reason == "refused")
        assert (bench.centre.connected, bench.centre.since_utc_ms) == (False, 1_800_000_000_000)
        await bench.connect()
        bench.wire.feed(*retained("csg"))
        await bench.until(lambda: bench.is_complete("csg"))
        bench.passed_ms = 5_000
        bench.wire.feed(Lost(1, "connection lost"), reason="connection lost")
        await bench.until(lambda: not bench.centre.connected)
        assert bench.centre.reason == "connection lost"
        assert bench.centre.since_utc_ms == 1_800_000_005_000
        gateway = bench.centre.picture.gateways["csg"]
        assert (gateway.presence, gateway.fresh) == ("unknown", False)
        assert bench.changed[-1] == ""
        bench.wire.feed(reason="no route to host")
        await bench.until(lambda: bench.centre.reason == "no route to host")
        assert bench.centre.since_utc_ms == 1_800_000_005_000

    play(test, "csg")


def test_what_is_missing_is_asked_for_a_few_at_a_time() -> None:
    names = [f"g{number:02}" for number in range(20)]

    async def test(bench: Bench) -> None:
        await bench.connect()
        bench.passed_ms = 5_000
        await bench.until(lambda: len(bench.wire.asked) >= broker.FETCHES_AT_ONCE)
        assert bench.wire.asked == [f"portier/{one}/#" for one in names[: broker.FETCHES_AT_ONCE]]
        bench.wire.feed(Granted("portier/g00/#"), *retained("g00"))
        await bench.until(lambda: bench.wire.dropped == ["portier/g00/#"])  # complete: at once
        await bench.until(lambda: len(bench.wire.asked) == broker.FETCHES_AT_ONCE + 1)
        bench.wire.feed(Granted("portier/g01/#"), Refused("portier/g02/#", "not authorized"))
        await bench.until(lambda: "portier/g02/#" in bench.wire.dropped)
        bench.passed_ms += int(broker.FETCH_S * 1000)
        await bench.until(lambda: "portier/g01/#" in bench.wire.dropped)  # no more has come
        assert bench.wire.dropped == ["portier/g00/#", "portier/g02/#", "portier/g01/#"]
        before = len(bench.wire.asked)
        bench.passed_ms += int(broker.FETCH_ANSWER_S * 1000)
        await bench.until(lambda: len(bench.wire.asked) > before)
        bench.passed_ms += int(broker.FETCH_ANSWER_S * 1000)
        await bench.until(lambda: set(bench.wire.asked) == {f"portier/{one}/#" for one in names})

    play(test, *names)


def test_nothing_is_missing_while_what_is_retained_still_comes() -> None:
    async def test(bench: Bench) -> None:
        await bench.connect()
        bench.passed_ms = 4_900
        bench.wire.feed(message(CSG.availability, b"online", retained=True))
        await bench.until(lambda: bench.changed[-1] == "csg")
        bench.passed_ms = 5_800
        assert bench.centre.picture.missing(1_005_800) == ["csg"]
        bench.centre._tick()
        assert bench.centre._fetching == {}
        bench.passed_ms = 5_900
        await bench.until(lambda: bench.wire.asked == ["portier/csg/#"])

    play(test, "csg")


def test_a_new_connection_asks_for_what_it_lacks_itself() -> None:
    async def test(bench: Bench) -> None:
        await bench.connect()
        bench.passed_ms = 5_000
        await bench.until(lambda: bench.wire.asked == ["portier/csg/#"])
        bench.wire.feed(Lost(1, "lost"), reason="lost")
        await bench.until(lambda: not bench.centre.connected)
        bench.passed_ms += 60_000
        bench.wire.feed(Connected(2), *retained("csg"), reason="")
        await bench.until(lambda: bench.is_complete("csg"))
        assert bench.wire.asked == ["portier/csg/#"]
        assert bench.wire.dropped == []

    play(test, "csg")


def test_a_command_is_sent_over_the_connection_of_now_or_not_at_all() -> None:
    async def test(bench: Bench) -> None:
        assert not bench.centre.publish("portier/csg/command/door/front/open", b"1")
        await bench.connect()
        assert bench.centre.publish("portier/csg/command/door/front/open", b"2")
        await bench.until(lambda: bench.wire.published)
        bench.wire.feed(Lost(1, "lost"), Connected(2), reason="")
        # the event loop does not know of the second connection yet
        assert bench.centre.publish("portier/csg/command/door/front/open", b"3")
        await bench.until(lambda: bench.changed.count("") == 3)
        assert bench.centre.publish("portier/csg/command/door/front/open", b"4")
        await bench.until(lambda: bench.wire.published[-1][1] == b"4")
        assert [(one[1], one[2]) for one in bench.wire.published] == [(b"2", 30), (b"4", 30)]

    play(test, "csg")


def test_answers_go_to_whoever_asked() -> None:
    async def test(bench: Bench) -> None:
        await bench.connect()
        bench.wire.feed(
            message(CSG.response("c0"), b"{}", retained=True),  # no gateway has it kept
            message(CSG.response("c1"), b'{"status":"accepted"}', mid=3),
        )
        await bench.until(lambda: bench.commands.answers)
        assert bench.commands.answers == [("csg", "c1", b'{"status":"accepted"}')]

    play(test, "csg")


def test_a_filter_that_the_broker_refuses_is_named_until_it_is_granted() -> None:
    async def test(bench: Bench) -> None:
        await bench.connect()
        bench.wire.feed(Refused("portier/+/state/#", "not authorized"))
        await bench.until(lambda: bench.centre.refused)
        assert bench.centre.refused == {"portier/+/state/#": "not authorized"}
        bench.wire.feed(Refused("portier/+/state/#", ""))
        await bench.until(lambda: not bench.centre.refused)

    play(test, "csg")


def test_gateways_are_enrolled_and_revoked_meanwhile() -> None:
    async def test(bench: Bench) -> None:
        await bench.connect()
        bench.enrolled = KeysError("the file is damaged")
        bench.passed_ms += 10_000
        await bench.until(lambda: bench.wire.asked)
        assert list(bench.centre.picture.gateways) == ["csg"]
        assert bench.centre.enrolments_unreadable == "the file is damaged"
        bench.enrolled = ["new"]
        bench.passed_ms += 10_000
        await bench.until(lambda: list(bench.centre.picture.gateways) == ["new"])
        await bench.until(lambda: {"csg", "new"} <= set(bench.changed))
        assert bench.centre.enrolments_unreadable == ""

    play(test, "csg")


def test_keys_that_cannot_be_read_are_named_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until the reason is another one, although it is tried every ten seconds."""
    named: list[str] = []
    monkeypatch.setattr(broker.log, "error", lambda _, error: named.append(error))
    bench = Bench("csg")
    for reason in ("no secret", "no secret", "damaged", "no secret"):
        bench.enrolled = KeysError(reason)
        bench.centre._follow_enrolments()
    assert named == ["no secret", "damaged", "no secret"]


def test_a_centre_without_readable_keys_knows_no_gateway_yet() -> None:
    bench = Bench("csg")
    bench.enrolled = KeysError("no secret")
    centre = Centre(SETTINGS, bench.names, lambda _: cast("Commands", bench.commands))
    assert not centre.picture.gateways
    assert centre.enrolments_unreadable == "no secret"


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the threads that have ended the process."""
    found: list[str] = []
    monkeypatch.setattr(threads, "fail", lambda name, _: found.append(name))
    monkeypatch.setattr(threading, "excepthook", threads._on_exception)
    return found


def test_a_thread_that_fails_ends_the_process(ended: list[str]) -> None:
    async def test(bench: Bench) -> None:
        bench.wire.error = RuntimeError("out of memory")
        bench.wire.wake()
        await bench.until(lambda: ended == ["broker"])

    play(test, "csg")


def test_an_error_in_the_event_loop_ends_the_process_too(ended: list[str]) -> None:
    def broken(_: str) -> None:
        raise RuntimeError("a fault of ours")

    async def test(bench: Bench) -> None:
        bench.centre.on_change.append(broken)
        bench.wire.feed(Connected(1), reason="")
        await bench.until(lambda: ended == ["broker"])

    play(test, "csg")


def test_a_full_queue_is_emptied_and_reading_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker, "WAITING_MOST", 10)

    async def test(bench: Bench) -> None:
        await bench.connect()
        bench.wire.feed(*retained("csg") * 10)
        await bench.until(lambda: bench.is_complete("csg"))
        bench.wire.feed(message(CSG.alarms, b'[{"id":"front/forced"}]'))
        await bench.until(
            lambda: cast("Any", bench.centre.picture.gateways["csg"].snapshot)["alarms"]
        )

    play(test, "csg")


def test_what_is_shown_is_subscribed_and_urgent_events_one_by_one() -> None:
    found = dict(broker.filters())
    assert {name.removeprefix("portier/+/") for name in found if "/event/" not in name} == {
        "availability", "info", "health", "state/#", "recorded/+", "response/#",
    }  # fmt: skip
    events = {name for name in found if "/event/" in name}
    assert events == {f"portier/+/event/{kind}/#" for kind in URGENT_KINDS}
    assert "call_raised" in URGENT_KINDS
    assert "reading" not in URGENT_KINDS


def test_each_instance_has_a_client_id_of_its_own() -> None:
    first, second = broker.own_settings(SETTINGS), broker.own_settings(SETTINGS)
    assert first.client_id.startswith("sites-")
    assert first.client_id != second.client_id
