"""MQTT: whatever comes from the broker, the link lives, and only a good command goes through.

``control`` closes the connection of whoever sends it what is no message. So everything that the
link tells it must be one, whatever a stranger has published: :class:`Control` here is as strict.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from drivers import mqtt_contact, mqtt_meter
from gateway.app.configuration import mqtt_points
from gateway.core.building.snapshot import snapshot
from gateway.core.facts import Lane
from gateway.link.commands import Issuer
from gateway.link.link import Clocks, Link
from gateway.link.mqtt import Connected, Inbox, Lost, Message
from gateway.link.points import Points
from gateway.panel import messages as m
from tests.fuzz.draws import HALF, TEXTS, TREES, fuzz, tampered
from tests.fuzz.houses import house
from tests.link import test_link as bench_of

pytestmark = pytest.mark.thorough

KEY = b"a key of the tablet"
UTC_MS = 1_795_215_599_000
INBOX = Inbox()
"""One for all, and always empty: each is a descriptor."""
OPEN = "portier/csg/command/door/front/open"


class Journal(bench_of.Journal):
    """Two facts; asks only for what SQLite can count."""

    def absent(self, lane: Lane, first: int, last: int) -> list[tuple[int, int, str]]:
        assert 0 < first <= last < 2**63
        return []


class Broker:
    """Takes what any broker takes, and nothing else."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, Any]] = []

    def publish(
        self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False,
        correlation: bytes | None = None,
    ) -> int | None:  # fmt: skip
        assert topic
        assert set(topic).isdisjoint("+#\0"), topic
        assert len(topic.encode()) <= 65_535
        self.sent.append((topic, payload))
        return len(self.sent)

    def drop(self, reason: str) -> None:
        pass

    def soon(self) -> None:
        pass

    def heard_ms(self) -> int | None:
        return None

    def pump(self, wait_s: float) -> None:
        pass


class Control:
    """Understands every message, or has the connection closed."""

    def __init__(self) -> None:
        self.told: list[m.Message] = []

    def send(self, message: Any) -> bool:
        self.told.append(m.parse(m.encode(message)))
        return True

    def of(self, kind: type[Any]) -> list[Any]:
        return [one for one in self.told if isinstance(one, kind)]


class Bench:
    """A link that is connected to both sides. ``tablet`` must sign; ``ha`` need not."""

    def __init__(self, *, trusted: bool = True) -> None:
        self.broker, self.control = Broker(), Control()
        self.now_ms = 1_000_000
        journal: Any = Journal()
        self.link = Link(
            "csg", INBOX, self.broker, self.control, journal, Path(tempfile.gettempdir()),
            Clocks(lambda: self.now_ms, lambda: UTC_MS + self.now_ms, lambda: trusted),
            issuers={"tablet": Issuer(KEY), "ha": Issuer(None)},
        )  # fmt: skip
        shown: dict[str, Any] = dict(snapshot(house(), 2_000))
        shown["gateway"] = {**shown["gateway"], "started_ms": 1_000}
        self.link.handle({"type": "snapshot", "snapshot": shown})
        self.turn(Connected(1, 10_000))
        self.turn(ms=120_000)

    def turn(self, *items: object, ms: int = 1_000) -> None:
        self.now_ms += ms
        for item in items:
            self.link.handle(item)
        self.link.turn(0)

    def utc(self, ago_ms: float) -> str:
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=UTC_MS + self.now_ms)
        return (moment - timedelta(milliseconds=ago_ms)).isoformat()


def signed(topic: str, raw: dict[str, Any], key: bytes = KEY) -> str:
    """The signature, from the words of the contract."""
    rest = {k: v for k, v in raw.items() if k not in ("id", "issued_at", "ttl", "by", "sig")}
    lines = (topic, raw["id"], raw["issued_at"], str(raw.get("ttl", 5)), raw.get("by", ""))
    tail = json.dumps(rest, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    text = "".join(f"{line}\n" for line in lines) + tail
    return hmac.new(key, text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


@dataclass(frozen=True)
class Drawn:
    """One command as somebody sends it, and everything that may be wrong with it."""

    id: str = "a"
    ago_ms: int = 0
    ttl: int = 5
    by: str = "tablet"
    own: str = ""
    signature: str = "good"
    retained: bool = False
    verb: str = "open"

    def good(self, bench: Bench, trusted: bool, seen: set[str]) -> bool:
        """What the contract says of it, in other words than the link's."""
        # by its topic alone without a key, and with one by what it has signed
        issuer = (
            self.own == "ha"
            or (self.by == "tablet" and self.own in ("", "tablet") and self.signature == "good")
            or (self.own == "tablet" and self.signature == "good")
        )
        fresh = -2_000 <= self.ago_ms < self.ttl * 1_000
        known = self.verb == "open" and 0 < self.ttl <= 30
        return issuer and fresh and known and trusted and not self.retained and self.id not in seen

    def message(self, bench: Bench) -> Message:
        own = f"issuer/{self.own}/" if self.own else ""
        topic = f"portier/csg/{own}command/door/front/{self.verb}"
        raw: dict[str, Any] = {
            "id": self.id, "issued_at": bench.utc(self.ago_ms), "ttl": self.ttl, "by": self.by,
        }  # fmt: skip
        match self.signature:
            case "good":
                raw["sig"] = signed(topic, raw)
            case "another key":
                raw["sig"] = signed(topic, raw, b"another")
            case "another door":
                raw["sig"] = signed(topic.replace("front", "back"), raw)
            case "replayed":
                raw["sig"] = signed(topic, {**raw, "issued_at": bench.utc(self.ago_ms + 60_000)})
        return Message(topic, json.dumps(raw).encode(), self.retained)


DRAWN = st.builds(
    Drawn,
    id=st.sampled_from("abc"),
    ago_ms=st.sampled_from([-2_001, -1_999, 0, 4_999, 5_001, 29_999, 30_001])
    | st.integers(-4_000, 40_000),
    ttl=st.sampled_from([5, 30, 5, 0, 31]),
    by=st.sampled_from(["tablet", "tablet", "ha", "stranger", ""]),
    own=st.sampled_from(["", "", "", "ha", "tablet", "stranger"]),
    signature=st.sampled_from(["good", "good", "none", "another key", "another door", "replayed"]),
    retained=st.sampled_from([False, False, False, True]),
    verb=st.sampled_from(["open", "open", "open", "close"]),
)


@fuzz(150)
@given(st.lists(DRAWN, min_size=1, max_size=6), st.sampled_from([True, True, True, False]))
@example([Drawn(), Drawn()], True)
@example([Drawn(), Drawn(id="b")], False)
@example([Drawn(signature="none"), Drawn(retained=True), Drawn(ago_ms=6_000)], True)
def test_only_what_is_fresh_signed_and_new_goes_through_and_each_is_answered_once(
    drawn: list[Drawn], trusted: bool
) -> None:
    bench, seen = Bench(trusted=trusted), set[str]()
    for one in drawn:
        good = one.good(bench, trusted, seen)
        told, sent = len(bench.control.told), len(bench.broker.sent)
        bench.link.handle(one.message(bench))
        news = bench.control.told[told:]
        if good:
            seen.add(one.id)
            (passed,) = news
            assert isinstance(passed, m.CommandMessage)
            life_ms = passed.command.expires_ms - bench.now_ms
            assert life_ms == min(one.ttl * 1_000, one.ttl * 1_000 - one.ago_ms)
            reply = {"type": "reply", "id": one.id, "status": "accepted", "reason": ""}
            bench.link.handle(reply)
            bench.link.handle(reply)
        else:
            (refused,) = news
            assert isinstance(refused, m.Refused)
        bench.turn()
        answers = [text for topic, text in bench.broker.sent[sent:] if "/response/" in topic]
        wanted = 0 if one.retained or not 0 < one.ttl <= 30 else 1
        assert [json.loads(text)["status"] for text in answers] == [
            "accepted" if good else "refused"
        ] * wanted


WORDS = ("door", "call", "alarm", "room", "front", "wc", "open", "mode", "acknowledge", "cancel")
PARTS = st.lists(st.sampled_from(WORDS) | TEXTS, max_size=5)
TOPICS = st.text(max_size=20).filter(lambda text: "\0" not in text)
"""MQTT has no NUL and no half a character."""
PAYLOADS = st.binary(max_size=60) | TREES.map(lambda tree: json.dumps(tree).encode())


@fuzz(200)
@given(st.data(), PARTS, st.none() | TOPICS, st.none() | st.binary(max_size=20))
def test_a_command_that_was_tampered_with_is_told_as_it_was_signed_or_not_at_all(
    data: st.DataObject, parts: list[str], response: str | None, correlation: bytes | None
) -> None:
    bench = Bench()
    by = data.draw(st.sampled_from(["tablet", "ha"]))
    raw = {"id": "a", "issued_at": bench.utc(10), "ttl": 5, "by": by, "issuer": by, "reason": "x"}
    raw |= {"mode": "off", "until": "2030-05-01T08:00:00Z", "for_s": 60}
    topic = data.draw(
        st.just(OPEN)
        | st.just(OPEN.replace("open", "mode"))
        | st.just(OPEN.replace("/command/", "/issuer/ha/command/"))
        | st.just("/".join(["portier/csg/command", *parts]))
        | st.just("/".join(["portier/csg/issuer", *parts]))
    )
    raw["sig"] = signed(topic, raw)
    tree = data.draw(tampered(raw))
    tell(bench, Message(topic, json.dumps(tree).encode(), False, response, correlation))
    for passed in bench.control.of(m.CommandMessage):
        name = passed.command.issuer.name
        is_own = topic.startswith("portier/csg/issuer/ha/command/")
        assert name == ("mqtt:ha" if is_own else "mqtt:tablet")
        assert is_own or tree["sig"].lower() == signed(topic, tree)


def tell(bench: Bench, message: Message) -> None:
    """A message comes in, and the link goes on and publishes only what it may."""
    sent = len(bench.broker.sent)
    bench.turn(message)
    bench.turn()
    for topic, _ in bench.broker.sent[sent:]:
        ours = ("response/", "absent", "health", "info", "event/")
        assert not topic.startswith("portier/") or topic.startswith(
            tuple(f"portier/csg/{name}" for name in ours)
        )


REPLAY: dict[str, object] = {"journal": "j1", "lane": "urgent", "from": 1, "to": 2}
RECORDED: dict[str, object] = {"journal": "j1", "lanes": {"urgent": 1, "routine": 4}}


@fuzz(150)
@given(
    st.sampled_from(["replay/r", "recorded/r", "info", "recorded/" + "r" * 600, "command/x"]),
    st.sampled_from([REPLAY, RECORDED]).flatmap(tampered).map(lambda t: json.dumps(t).encode())
    | PAYLOADS,
    st.booleans(),
)
@example("recorded/r", b'{"journal":"j1","lanes":{"urgent":9007199254740993}}', True)
@example("recorded/r", b'{"journal":"' + b"j" * 501 + b'","lanes":{}}', True)
@example("recorded/" + "r" * 600, b'{"journal":"j1","lanes":{"urgent":1}}', True)
@example("recorded/r", b'{"journal":"\\ud800","lanes":{}}', True)
@example("replay/r", b'{"journal":"\\ud800","lane":"urgent","from":1,"to":2}', False)
def test_what_a_recorder_or_a_stranger_says_brings_nobody_down(
    topic: str, payload: bytes, retained: bool
) -> None:
    tell(Bench(), Message(f"portier/csg/{topic}", payload, retained))


@fuzz(100)
@given(st.text(max_size=40).map(lambda name: f"door/{name}/open") | PARTS.map("/".join), PAYLOADS)
@example(f"door/{'x' * 501}/open", b"")
@example("door/front/open", b'{"reason":"\\ud800"}')
def test_any_door_and_any_more_words_of_somebody_who_need_not_sign(what: str, more: bytes) -> None:
    bench = Bench()
    raw: dict[str, Any] = {"id": "a", "issued_at": bench.utc(10), "by": "ha", "mode": "off"}
    try:
        found = json.loads(more)
    except (ValueError, UnicodeDecodeError):
        found = {}
    raw |= found if isinstance(found, dict) else {"reason": found, "until": found, "for_s": found}
    tell(bench, Message(f"portier/csg/command/{what}", json.dumps(raw).encode(), False))


CONTACT = mqtt_contact.Settings("z/contact", "contact", alive_within_ms=60_000)
BUTTON = mqtt_contact.Settings("z/button", "action", ("single",), (), release_after_ms=500)
METER = mqtt_meter.Settings(
    "z/meter", {"temperature_c": "t", "load_percent": "", "x_kwh": "e.0"}, alive_within_ms=60_000
)
QUANTITIES = tuple((q.name, q.lowest, q.highest) for q in mqtt_meter.quantities(METER))
POINTS: Any = [
    SimpleNamespace(name="p.contact", driver="mqtt_contact", settings=CONTACT, quantities=()),
    SimpleNamespace(name="p.button", driver="mqtt_contact", settings=BUTTON, quantities=()),
    SimpleNamespace(name="p.meter", driver="mqtt_meter", settings=METER, quantities=QUANTITIES),
]
SAID = {"contact": True, "action": "single", "t": 20.5, "e": [1, 2]}
HEARD = st.tuples(
    st.sampled_from(["z/contact", "z/button", "z/meter", "z/nobody"]),
    PAYLOADS
    | st.just(SAID).flatmap(tampered).map(lambda t: json.dumps(t).encode())
    | st.sampled_from([b"1e305", b"-1.7e308", b'{"t":1e300}', json.dumps({"t": HALF}).encode()]),
    st.booleans(),
    st.integers(0, 90_000),
)


@fuzz(150)
@given(st.lists(HEARD | st.sampled_from(["lost", "connected", "again"]), max_size=8))
@example([("z/meter", b"1e305", False, 0)])
def test_whatever_is_told_of_a_point_is_a_message_and_a_kept_one_is_no_edge(
    happened: list[Any],
) -> None:
    control, now_ms = Control(), 0
    points = Points(mqtt_points.of(POINTS), control.send)
    points.connected(now_ms)
    for one in happened:
        told = len(control.told)
        if one == "lost":
            points.lost("lost", now_ms)
        elif one == "connected":
            points.connected(now_ms)
        elif one == "again":
            points.again(now_ms)
        else:
            topic, payload, retained, later_ms = one
            now_ms += later_ms
            points.time(now_ms)
            told = len(control.told)
            assert points.message(topic, payload, retained, now_ms) is (topic != "z/nobody")
            names = {point.name for point in POINTS if point.settings.topic == topic}
            assert {point.point for point in control.of(m.PointTold)[told:]} <= names
            if retained:
                assert not any(point.fresh for point in control.of(m.PointTold)[told:])


def test_a_broker_that_is_lost_in_between_changes_nothing() -> None:
    bench = Bench()
    bench.turn(Lost(1, "lost"), Drawn().message(bench), Connected(2, 20))
    assert len(bench.control.of(m.CommandMessage)) == 1
