"""The panel: a line of a client is a message or malformed, and a message can be lived with."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, cast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from drivers.simulated_meter import QUANTITIES
from gateway.app.simulated_world import SimulatedWorld
from gateway.control.bench import Bench
from gateway.control.clock import Clock
from gateway.control.controller import Controller
from gateway.control.inbox import Inbox
from gateway.core import building, events
from gateway.core.effects import Reply
from gateway.panel import messages as m
from tests.fuzz.draws import HALF, TREES, deep, fuzz, tampered
from tests.fuzz.houses import house

pytestmark = pytest.mark.thorough

ISSUER = {"actor": "web:3", "via": "web"}
COMMAND = {"type": "command", "id": "c1", **ISSUER, "expires_monotonic_ms": 5_000}
"""One good message of each sort; the tampering begins here."""
GOOD: tuple[dict[str, Any], ...] = (
    {"type": "hello", "role": "web"},
    {**COMMAND, "name": "open_door", "args": {"door": "front", "reason": "x"}, "audit": {"a": [1]}},
    {
        **COMMAND,
        "name": "set_mode",
        "args": {"door": "front", "mode": "off", "until_utc_ms": 1, "for_ms": 9},
    },
    {**COMMAND, "name": "shelve_alarm", "args": {"alarm": "front/forced", "for_ms": 60_000}},
    {**COMMAND, "name": "test_relay", "args": {"point": "front.activation", "for_ms": 1_000}},
    {**COMMAND, "name": "acknowledge_call", "args": {"call": "wc"}},
    {"type": "refused", "id": "c1", "name": "open_door", "reason": "too_old", **ISSUER},
    {"type": "sent", "lane": "urgent", "seq": 4},
    {"type": "recorded", "recorder": "r", "journal": "j", "lanes": {"urgent": 4, "routine": 9}},
    {"type": "clock", "trusted": True, "utc_ms": 1_700_000_000_000, "monotonic_ms": 5},
    {"type": "link", "connected": False, "reason": "lost"},
    {"type": "point", "point": "p", "active": True, "fresh": True, "monotonic_ms": 5},
    {
        "type": "point",
        "point": "p",
        "quantity": "temperature_c",
        "value": 20.5,
        "reason": "",
        "fresh": False,
        "monotonic_ms": 5,
    },
    {"type": "delivered", "delivery": "d", "ok": True, "reason": ""},
    {"type": "heartbeat", "ok": False, "reason": "refused"},
    {"type": "notify", "broken": [["porter", 0]]},
    {"type": "certificates", "names": "page, broker_client"},
    {"type": "audit", "actor": "web:3", "action": "export", "detail": {"subject": "front"}},
    {"type": "forget", "actor": "web:3", "user": "web:4"},
    {"type": "settings", "id": "s1", "actor": "web:3", "do": "put", "args": {"sections": {}}},
    {"type": "bench", "id": "b1", "do": "press", "point": "front.button", "for_ms": 200},
)


def spelt(tree: object) -> bytes:
    """As somebody writes it who does not use our encoder."""
    return json.dumps(tree).encode() + b"\n"


def keepable(message: m.Message) -> None:
    """Everything that a message holds can be written: as strict JSON, in UTF-8, by SQLite."""
    if isinstance(message, m.CommandMessage):
        plain: dict[str, Any] = {**asdict(message.command), "audit": dict(message.audit)}
    else:
        plain = asdict(message)
    json.dumps(plain, ensure_ascii=False, allow_nan=False).encode()


def judge(line: bytes) -> m.Message | None:
    try:
        message = m.parse(line)
    except m.Malformed as error:
        m.encode({"type": "error", "reason": str(error)})
        return None
    keepable(message)
    return message


@pytest.mark.parametrize("good", GOOD, ids=lambda good: good.get("name", good["type"]))
def test_the_good_ones_are_good(good: dict[str, Any]) -> None:
    assert judge(spelt(good)) is not None


@fuzz(400)
@given(st.sampled_from(GOOD).flatmap(tampered))
@example({"type": "audit", "actor": "a", "action": "b", "detail": {"x": float("inf")}})
@example({"type": "forget", "actor": "a", "user": HALF})
@example({**GOOD[1], "id": HALF})
def test_a_message_that_was_tampered_with_can_be_kept_or_is_malformed(tree: Any) -> None:
    judge(spelt(tree))


@fuzz(100)
@given(st.binary(max_size=40), st.sampled_from(GOOD), st.integers(0, 500))
@example(spelt(GOOD[0]).decode().encode("utf-16"), GOOD[0], 0)
@example(b"\xed\xa0\x80", GOOD[5], len(m.encode(GOOD[5])) - 5)
def test_bytes_put_into_a_line_are_malformed_or_can_be_kept(
    noise: bytes, good: dict[str, Any], at: int
) -> None:
    line = m.encode(good)
    at %= len(line)
    judge(line[:at] + noise + line[at:])


@pytest.mark.parametrize("levels", [100, 450, 700, 15_000])
def test_what_is_nested_deep_is_malformed_or_can_be_kept(levels: int) -> None:
    nested = deep(levels).encode()
    judge(b'{"type":"audit","actor":"a","action":"b","detail":{"x":' + nested + b"}}")
    hidden = b"]" * levels
    judge(b'{"type":"audit","actor":"' + hidden + b'","action":"b","detail":{"x":' + nested + b"}}")


@fuzz(150)
@given(
    tree=st.sampled_from([one for one in GOOD if one["type"] == "command"]).flatmap(
        lambda good: tampered(good, values=TREES | st.sampled_from(["front", "off", "wc"]))
    )
)
def test_whatever_a_command_asks_it_is_answered_once_and_the_building_goes_on(tree: Any) -> None:
    message = judge(spelt(tree))
    if isinstance(message, m.CommandMessage):
        step = building.step(house(), message.command, 2_000)
        replies = [one for one in step.effects if isinstance(one, Reply)]
        assert [one.command for one in replies] == [message.command.id]
        for fact in step.facts:
            json.dumps(dict(fact.data), ensure_ascii=False, allow_nan=False).encode()
        later = building.step(step.state, events.CivilTime(1_700_000_000_000, True), 3_000)
        building.step(later.state, None, 90_000_000)


PRESS: dict[str, Any] = {"point": "p", "for_ms": 300, "bounces": 3}
ASKED = st.sampled_from(
    [
        ("press", PRESS),
        ("set", {"point": "p", "value": True}),
        ("set", {"point": "m", "value": 20.5, "quantity": "temperature_c"}),
        ("world", {"point": "p", "change": "push", "for_ms": 500}),
        ("show", {}),
    ]
)


@fuzz(100)
@given(ASKED.flatmap(lambda one: st.tuples(st.just(one[0]), tampered(one[1]))))
@example(("set", {"point": "m", "value": 10**400}))
def test_whatever_the_bench_is_asked_it_answers_once_and_soon(asked: tuple[str, Any]) -> None:
    ask(*asked)


@pytest.mark.parametrize("bounces", [10**9, 2**63, -(10**9)])
def test_a_press_that_bounces_for_ever_is_refused(bounces: int) -> None:
    assert "error" in ask("press", {**PRESS, "bounces": bounces})


def ask(do: str, tree: Any) -> Mapping[str, Any]:
    """What a small world without a building answers, as it goes out; then its time passes."""
    now_ns = 1_000_000_000
    world = SimulatedWorld(lambda: now_ns, plays=False)
    world.wire_contact("p", "normally_open", False, lambda _: None)
    world.wire_meter("m", QUANTITIES, 60_000, 0, lambda _: None)
    clock, nobody = Clock(monotonic_ns=lambda: now_ns), cast("Controller", None)
    answers: list[Mapping[str, Any]] = []
    args = tree if isinstance(tree, dict) else {}
    Bench(world, nobody, Inbox(10), clock).do(do, args, answers.append)
    now_ns += 3_600_000_000_000
    world.advance()
    (answer,) = answers
    m.encode({"type": "bench", "result": answer})
    return answer


@fuzz(200)
@given(TREES)
def test_our_own_encoder_takes_whatever_there_is_to_say(tree: Any) -> None:
    line = m.encode({"type": "reply", "reason": tree})
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    with contextlib.suppress(m.Malformed):
        m.parse(line)
