"""Commands of the centre, before the real judge of a gateway."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.link.commands import Accepted, Desk, Issuer, Now, Refused
from gateway.mqtt.signature import sign
from gateway.mqtt.topics import Topics
from gateway.sites import commands
from gateway.sites.commands import Command, Commands, what
from gateway.sites.keys import KeysError
from gateway.web.building.control_client import COMMANDS_BURST, Answer
from gateway.web.shared.problems import Problem

NOW_MS = 1_700_000_000_000
KEY = b"a" * 64
OF_ANSWERS = {"status": "accepted", "reason": "", "fact": "bad-1/j1/urgent/7"}


@dataclass
class Bad1:
    """The gateway ``bad-1`` as its link judges commands, with the broker between."""

    key: bytes = KEY
    answer: dict[str, Any] | None = field(default_factory=lambda: dict(OF_ANSWERS))
    """Of ``control``; ``None``: it does not answer."""
    connected: bool = True
    trusted: bool = True
    enrolled: dict[str, bytes] = field(default_factory=lambda: {"bad-1": KEY})
    confirmed: set[str] = field(default_factory=set)
    sent: list[tuple[str, bytes]] = field(default_factory=list)
    judged: list[Accepted | Refused] = field(default_factory=list)
    audited: list[tuple[Command, Answer]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.desk = Desk({"sites": Issuer(self.key)})
        self.now_s = 0.0
        self.has_sent, self.has_audited = asyncio.Event(), asyncio.Event()
        self.centre = Commands(
            self.publish,
            self.enrolled.get,
            trusted=lambda: self.trusted,
            audit=self.audit,
            is_confirmed=self.confirmed.__contains__,
            confirm=lambda gateway, _: self.confirmed.add(gateway),
            utc_ms=lambda: NOW_MS,
            monotonic=lambda: self.now_s,
        )

    def publish(self, topic: str, payload: bytes) -> bool:
        if not self.connected:
            return False
        self.sent.append((topic, payload))
        self.has_sent.set()
        issuer, parts = Topics.commanded(Topics("bad-1").inside(topic))
        assert parts is not None
        now = Now(NOW_MS, NOW_MS, trusted=True, started_utc_ms=NOW_MS - 60_000)
        verdict = self.desk.judge(topic, parts, payload, False, now, issuer)
        self.judged.append(verdict)
        if isinstance(verdict, Refused):
            answer: Any = {"status": "refused", "reason": verdict.reason, "fact": None}
        else:
            answer = self.answer
        if answer is not None:
            self.centre.answered("bad-1", verdict.id, json.dumps(answer).encode())
        return True

    def audit(self, command: Command, answer: Answer) -> None:
        self.audited.append((command, answer))
        self.has_audited.set()

    def ask(self, name: Any = "open_door", subject: str = "front", **more: Any) -> Answer:
        more = {"by": "user:3", "gateway": "bad-1"} | more
        gateway = more.pop("gateway")
        return asyncio.run(self.centre.ask(gateway, name, subject, **more))


def test_a_command_is_heard_as_what_it_was_asked_for() -> None:
    house = Bad1()
    answer = house.ask(reason="Paket für Frau Müller", ttl_s=5)
    assert (answer.status, answer.reason, answer.fact) == ("accepted", "", "bad-1/j1/urgent/7")
    (verdict,) = house.judged
    assert isinstance(verdict, Accepted)
    assert (verdict.name, verdict.actor, verdict.by) == ("open_door", "mqtt:sites", "user:3")
    assert dict(verdict.args) == {"door": "front", "reason": "Paket für Frau Müller"}
    assert (verdict.id, verdict.life_ms) == (answer.command, 5_000)
    assert house.sent[0][0] == "portier/bad-1/command/door/front/open"
    assert len(set(answer.command)) > 4
    assert len(answer.command) == 32


ID = st.from_regex(r"[a-z0-9_][a-z0-9_-]{0,12}", fullmatch=True)
DOTTED = st.lists(ID, min_size=1, max_size=4).map(".".join)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
NAME = TEXT.filter(lambda text: text.isprintable() and text == text.strip() != "")
"""Of a person: the gateway takes no other."""


@given(DOTTED, TEXT, NAME, st.sampled_from([1, 4.5, 5.0, 29.999, 1e-9]))
def test_topic_and_signature_of_both_ends_agree_for_any_name(
    subject: str, text: str, name: str, ttl_s: float
) -> None:
    """Names with dots are as many levels, and texts may be in any language."""
    house = Bad1(answer=dict(OF_ANSWERS))
    house.ask("open_door", subject, reason=text, ttl_s=ttl_s)
    house.ask("acknowledge_call", subject, attends=name, ttl_s=ttl_s)
    house.ask("acknowledge_alarm", f"{subject}/watch:{subject}", ttl_s=ttl_s)
    found = [one.args if isinstance(one, Accepted) else one for one in house.judged]
    assert found == [
        {"door": subject, "reason": text},
        {"call": subject, "attends": name},
        {"alarm": f"{subject}/watch:{subject}"},
    ]


@given(st.text(max_size=30))
def test_what_the_gateway_could_not_read_back_is_never_sent(subject: str) -> None:
    """Such as umlauts that are fine, and wildcards that are not."""
    house = Bad1(answer=dict(OF_ANSWERS))
    for name, key in (("open_door", "door"), ("acknowledge_alarm", "alarm")):
        answer = house.ask(name, subject)
        if answer.done:
            verdict = house.judged[-1]
            assert isinstance(verdict, Accepted)
            assert verdict.args[key] == subject
        else:
            assert answer == Answer("", "refused", commands.UNKNOWN[name])
    assert len(house.sent) == sum(one.done for _, one in house.audited)


@pytest.mark.parametrize("subject", ["größe", "haus.nord.tür", "front"])
def test_umlauts_and_dots_have_topics(subject: str) -> None:
    assert what("open_door", subject) == f"door/{subject.replace('.', '/')}/open"


@pytest.mark.parametrize(
    "subject", ["", ".", "a..b", "a/b", "+", "a#", "front/open", "a\0", "a\n", "x" * 201]
)
def test_names_that_are_none(subject: str) -> None:
    assert what("open_door", subject) is what("acknowledge_call", subject) is None
    assert what("acknowledge_alarm", f"{subject}/") is None


def test_who_goes_is_in_the_signed_part() -> None:
    house = Bad1()
    house.ask("acknowledge_call", "wc", attends="Jürgen", reason="not for a call")
    house.ask("acknowledge_call", "wc")
    first, second = (json.loads(payload) for _, payload in house.sent)
    topic = house.sent[0][0]
    assert (first["attends"], first.get("reason")) == ("Jürgen", None)
    assert "attends" not in second
    forged = {name: value for name, value in first.items() if name != "sig"} | {"attends": "Eve"}
    assert sign(KEY, topic, forged) != first["sig"]


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ({"enrolled": {}}, "not_enrolled"),
        ({"connected": False}, "no_broker"),
        ({"trusted": False}, "clock_untrusted"),
    ],
)
def test_what_cannot_be_sent_now_is_refused_and_never_sent(
    broken: dict[str, Any], reason: str
) -> None:
    house = Bad1(**broken)
    assert (house.ask().status, house.ask().reason) == ("refused", reason)
    house.connected = house.trusted = True
    house.enrolled["bad-1"] = KEY
    assert house.sent == [], "nothing waits for better times"
    assert house.ask().done
    assert len(house.sent) == 1
    assert [one.reason for _, one in house.audited] == [reason, reason, ""]


def test_keys_that_cannot_be_read_are_no_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    house = Bad1()

    def broken(_: str) -> bytes:
        raise KeysError("it is damaged")

    monkeypatch.setattr(house.centre, "_key", broken)
    assert house.ask() == Answer("", "refused", "keys_unreadable")
    assert house.sent == []


@pytest.mark.parametrize(
    "more",
    [{"reason": "x" * 201}, {"reason": "\ud800"}, {"attends": "x" * 41}, {"attends": "a\nb"}],
)
def test_a_text_that_the_gateway_refuses_is_not_sent(more: dict[str, str]) -> None:
    house = Bad1()
    name = "acknowledge_call" if "attends" in more else "open_door"
    assert house.ask(name, "front", **more).reason == "malformed"
    assert house.sent == []


@pytest.mark.parametrize("ttl_s", [0, -1, 30.5, float("nan")])
def test_a_life_that_no_gateway_takes_is_an_error(ttl_s: float) -> None:
    with pytest.raises(ValueError, match="valid for up to 30 s"):
        Bad1().ask(ttl_s=ttl_s)


def test_without_an_answer_in_time_there_is_none_and_a_late_one_is_dropped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(commands, "ANSWER_AFTER_S", 0.0)
    house = Bad1(answer=None)
    answer = house.ask(ttl_s=0.01)
    assert (answer.status, answer.reason) == ("refused", "no_answer")
    assert answer.unanswered
    late = json.dumps(OF_ANSWERS).encode()
    house.centre.answered("bad-1", answer.command, late)
    house.centre.answered("bad-9", "nobody", b"{}")
    assert house.centre._waiting == {}
    assert len(house.sent) == 1


def waiting(
    house: Bad1, then: Callable[[asyncio.Task[Answer], str], Coroutine[Any, Any, Any]]
) -> Answer:
    """Ask, and do this while the answer is awaited."""

    async def run() -> Answer:
        task = asyncio.ensure_future(house.centre.ask("bad-1", "open_door", "front", by="user:3"))
        await house.has_sent.wait()
        await then(task, json.loads(house.sent[0][1])["id"])
        return await task

    return asyncio.run(run())


def test_an_answer_of_another_gateway_or_of_no_sense_is_none() -> None:
    house = Bad1(answer=None)

    async def answer(task: asyncio.Task[Answer], id: str) -> None:
        good = json.dumps(OF_ANSWERS).encode()
        for gateway, command, payload in (
            ("bad-2", id, good),
            ("bad-1", "other", good),
            ("bad-1", id, b"\xff"),
            ("bad-1", id, b"[]"),
            ("bad-1", id, b'{"status": "open"}'),
            ("bad-1", id, b"[" * 100_000),
        ):
            house.centre.answered(gateway, command, payload)
            await asyncio.sleep(0)
            assert not task.done()
        for status in ("merged", "refused"):  # the first counts
            text = {"status": status, "reason": 7, "fact": ""}
            house.centre.answered("bad-1", id, json.dumps(text).encode())

    assert waiting(house, answer).status == "merged"


def test_what_becomes_of_a_command_is_audited_though_nobody_waits_for_it() -> None:
    house = Bad1(answer=None)

    async def go_away() -> None:
        task = asyncio.ensure_future(house.centre.ask("bad-1", "open_door", "front", by="user:3"))
        await house.has_sent.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert house.audited == []
        id = json.loads(house.sent[0][1])["id"]
        house.centre.answered("bad-1", id, json.dumps(OF_ANSWERS).encode())
        await house.has_audited.wait()

    asyncio.run(go_away())
    ((command, answer),) = house.audited
    assert (command.by, command.gateway, command.name) == ("user:3", "bad-1", "open_door")
    assert (command.subject, answer.status) == ("front", "accepted")


def test_one_person_cannot_use_up_the_commands_of_others() -> None:
    house = Bad1(enrolled={})
    for _ in range(COMMANDS_BURST):
        house.ask()
    with pytest.raises(Problem) as caught:
        house.ask()
    assert (caught.value.status, caught.value.reason) == (429, "limit")
    assert house.ask(by="user:4").reason == "not_enrolled"
    assert house.ask("acknowledge_call", "wc").reason == "not_enrolled"
    house.now_s += 1
    assert house.ask().reason == "not_enrolled"


@pytest.mark.parametrize("issuers", [{"sites": Issuer(b"old")}, {"other": Issuer(KEY)}])
def test_a_key_that_the_gateway_has_not_taken_over_is_named(issuers: dict[str, Issuer]) -> None:
    house = Bad1()
    house.desk = Desk(issuers)
    assert house.ask().reason == "key_not_taken_over"
    house.desk = Desk({"sites": Issuer(KEY)})
    assert house.ask().done
    assert house.confirmed == {"bad-1"}
    house.desk = Desk(issuers)
    assert house.ask().reason in ("bad_signature", "unsigned"), "the gateway had it, and lost it"


def test_a_refusal_that_comes_after_the_signature_confirms_it() -> None:
    house = Bad1(answer={"status": "refused", "reason": "mode_off", "fact": None})
    assert house.ask().reason == "mode_off"
    assert house.confirmed == {"bad-1"}


@pytest.mark.parametrize("reason", ["malformed", "retained", "wrong_topic", "limit"])
def test_a_refusal_that_comes_before_the_signature_confirms_nothing(reason: str) -> None:
    house = Bad1(answer={"status": "refused", "reason": reason, "fact": None})
    assert house.ask().reason == reason
    assert house.confirmed == set()


def test_the_key_of_one_gateway_opens_nothing_at_another() -> None:
    """What is signed names the gateway: its topic."""
    house = Bad1()
    house.ask()
    topic, payload = house.sent[0]
    desk = Desk({"sites": Issuer(KEY)})  # even were it the same key
    parts = ("door", "front", "open")
    now = Now(NOW_MS, NOW_MS, trusted=True, started_utc_ms=NOW_MS - 60_000)
    elsewhere = desk.judge(topic.replace("bad-1", "bad-2"), parts, payload, False, now)
    assert isinstance(elsewhere, Refused)
    assert elsewhere.reason == "bad_signature"
