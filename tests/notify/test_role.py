"""The loop of ``notify``: every message is answered for, whatever becomes of it."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.notify import role
from gateway.notify.addresses import Accounts, reader
from gateway.notify.role import Notify
from gateway.notify.texts import Sender, Text
from gateway.panel.tickets import Instant, Tickets, make_key
from gateway.panel.time_service import REPORT_EVERY_S
from gateway.settings.values.recipients import MEDIA, recipient
from gateway.settings.values.secrets import Secret, of_page

SENDER = Sender("Office", ("de",), "Europe/Berlin", "https://door.example")


class Panel:
    """The way back; ``away`` it takes nothing."""

    def __init__(self) -> None:
        self.said: list[dict[str, Any]] = []
        self.away = False

    @property
    def connected(self) -> bool:
        return not self.away

    def send(self, message: Mapping[str, object]) -> bool:
        if not self.away:
            self.said.append(dict(message))
        return not self.away

    def answers(self) -> list[tuple[str, bool, str]]:
        said = (one for one in self.said if one["type"] == "delivered")
        return [(one["delivery"], one["ok"], one["reason"]) for one in said]


class Post:
    """Where messages go; by address: taken, refused, or it never answers."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, Text]] = []
        self.hanging: list[Callable[[str], None]] = []

    def __call__(self, address: str, text: Text, done: Callable[[str], None]) -> None:
        if address.startswith("hangs"):
            self.hanging.append(done)
            return
        self.taken.append((address, text))
        done("http 500" if address.startswith("fails") else "")


class Bench:
    def __init__(self, state: Path, sender: Sender = SENDER) -> None:
        self.panel, self.post, self.now = Panel(), Post(), 100.0
        self.secret = Secret("caretaker_url", (state / "secrets",))
        self.notify = Notify(
            sender,
            {
                "caretaker": (reader("good:secret"), reader(self.secret)),
                "reception": (reader("fails:secret"),),
                "home": (reader("hangs"),),
            },
            Tickets(state),
            self.panel,
            self.post,
            clock=lambda: self.now,
            utc_s=lambda: 1_000_000.0,
            uptime_s=lambda: 50.0,
        )

    def given(self, delivery: str, receiver: str, channel: int = 0, **more: Any) -> None:
        message = {"type": "send", "delivery": delivery, "receiver": receiver, "channel": channel}
        message |= {"kind": "call", "about": "wc-1", "data": {"room": "WC"}, **more}
        self.notify.inbox.put(message)

    def until_answered(self, count: int) -> list[tuple[str, bool, str]]:
        deadline = time.monotonic() + 30
        while len(self.panel.answers()) < count and time.monotonic() < deadline:
            self.notify.turn(0.01)
        return self.panel.answers()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    make_key(tmp_path)
    return Bench(tmp_path)


def test_it_reports_the_time_service_while_control_is_there(bench: Bench) -> None:
    said: list[bool | None] = [None, True, False, True]
    bench.notify.trusted = lambda: said.pop(0)

    def reports() -> list[object]:
        bench.notify.turn(0)
        return [one["trusted"] for one in bench.panel.said if one["type"] == "clock"]

    assert reports() == []  # it cannot be asked
    bench.now += REPORT_EVERY_S
    assert reports() == [True]
    assert reports() == [True]
    bench.panel.away = True
    bench.now += 1
    bench.notify.inbox.put({"type": "away"})
    assert reports() == [True]
    bench.panel.away = False
    assert reports() == [True, False]  # control may be another one
    bench.now += REPORT_EVERY_S
    assert reports() == [True, False, True]


def test_what_the_other_side_takes_is_delivered(bench: Bench) -> None:
    bench.given("wc-1#1", "caretaker")
    assert bench.until_answered(1) == [("wc-1#1", True, "")]
    ((address, text),) = bench.post.taken
    assert address == "good:secret"
    assert text.title == "NOTRUF: WC – Office"


@pytest.mark.parametrize(
    ("address", "medium"),
    [
        ("mailtos://u:p@smtp.example.org", "mail"),
        ("tgram://token/1", "telegram"),
        ("ntfys://ntfy.sh/sender", "ntfy"),
        ("seven://key/+49341", "sms"),
        ("json://127.0.0.1:1/token", "other"),
        ("fails", "other"),
    ],
)
def test_it_says_by_what_a_message_went_and_nothing_of_the_address(
    bench: Bench, address: str, medium: str
) -> None:
    bench.notify.addresses = {"caretaker": (reader(address),)}
    bench.given("wc-1#1", "caretaker")
    bench.until_answered(1)
    (said,) = (one for one in bench.panel.said if one["type"] == "delivered")
    assert said["medium"] == medium
    assert medium in MEDIA


def test_an_address_of_the_page_says_its_own_kind(bench: Bench, tmp_path: Path) -> None:
    """SMS over a gateway of the sender may have the address of a web service."""
    (tmp_path / "sms").write_text("json://gateway.example.org/?to={to}", encoding="utf-8")
    (tmp_path / "addresses").mkdir()
    saved = tmp_path / "addresses" / "0123456789abcdef"
    saved.write_bytes(recipient("sms", "+49 341 1234567").written())
    accounts = Accounts({"sms": Secret("sms", (tmp_path,))})
    read = reader(of_page("0123456789abcdef", tmp_path), accounts)
    bench.notify.addresses = {"caretaker": (read,)}
    bench.given("wc-1#1", "caretaker")
    bench.until_answered(1)
    assert [one["medium"] for one in bench.panel.said if one["type"] == "delivered"] == ["sms"]


def test_what_it_refuses_has_failed_with_its_reason(bench: Bench) -> None:
    bench.given("wc-1#1", "reception")
    assert bench.until_answered(1) == [("wc-1#1", False, "http 500")]


@pytest.mark.parametrize(("receiver", "channel"), [("caretaker", 1), ("caretaker", 7), ("x", 0)])
def test_without_an_address_it_fails_at_once(bench: Bench, receiver: str, channel: int) -> None:
    bench.given("wc-1#1", receiver, channel)
    assert bench.until_answered(1) == [("wc-1#1", False, "address")]


def test_what_hangs_is_given_up_and_answered_once(bench: Bench) -> None:
    bench.given("wc-1#1", "home")
    bench.notify.turn(0.01)
    bench.now += role.GIVE_UP_S - 0.1
    bench.notify.turn(0.01)
    assert bench.panel.answers() == []
    bench.now += 0.1
    bench.notify.turn(0.01)
    (done,) = bench.post.hanging
    done("")
    bench.given("wc-1#2", "caretaker")
    bench.until_answered(2)
    for _ in range(20):
        bench.notify.turn(0.01)
    assert bench.panel.answers() == [("wc-1#1", False, "timeout"), ("wc-1#2", True, "")]


def test_a_secret_that_is_written_later_is_used_at_the_next_attempt(bench: Bench) -> None:
    """Each attempt reads it; what is wrong names the contact and the file."""
    file = bench.secret.places[0] / bench.secret.name
    with capture_logs() as logs:
        bench.given("wc-1#1", "caretaker", 1)
        bench.until_answered(1)
        file.parent.mkdir()
        file.write_bytes(b"")
        bench.given("wc-1#2", "caretaker", 1)
        bench.until_answered(2)
        file.write_text("good:later\n")
        bench.given("wc-1#3", "caretaker", 1)
        bench.until_answered(3)
    assert bench.panel.answers() == [
        ("wc-1#1", False, "address"),
        ("wc-1#2", False, "address"),
        ("wc-1#3", True, ""),
    ]
    assert bench.post.taken[0][0] == "good:later"
    faults = [one for one in logs if one["event"] == "an address cannot be read"]
    assert [one["receiver"] for one in faults] == ["caretaker", "caretaker"]
    assert f"there is no secret caretaker_url (looked for in {file.parent})" in faults[0]["secret"]
    assert faults[1]["secret"] == f"{file} is empty"


def test_an_answer_waits_for_control_but_not_for_ever(bench: Bench) -> None:
    bench.panel.away = True
    for name in ("wc-1#1", "wc-1#2"):
        bench.given(name, "x")
        bench.notify.turn(0.01)
        bench.now += 8
    bench.notify.turn(0.01)  # the first is too old by now
    bench.panel.away = False
    bench.notify.turn(0.01)
    assert bench.panel.answers() == [("wc-1#2", False, "address")]


def test_the_link_is_for_this_call_and_this_receiver(bench: Bench) -> None:
    bench.given("wc-1#1", "caretaker")
    bench.until_answered(1)
    token = bench.post.taken[0][1].body.partition("https://door.example/m/")[2].split()[0]
    ticket = bench.notify.tickets.read(token, Instant(1_000_000.0, 50.0))
    assert (ticket.receiver, ticket.about, ticket.delivery, ticket.kind) == (
        "caretaker",
        "wc-1",
        "wc-1#1",
        "call",
    )
    assert ticket.expires_utc_s == 1_000_000 + 12 * 3600


def test_the_link_of_a_test_lives_as_long_as_it_is_waited_for(bench: Bench) -> None:
    bench.given("test#1", "caretaker", kind="test", about="", data={"confirm_within_ms": 60_000})
    bench.given("test#2", "caretaker", kind="test", about="", data={})
    bench.until_answered(2)
    lives = []
    for _, text in sorted(bench.post.taken, key=lambda pair: pair[1].body):
        token = text.body.partition("/m/")[2].split()[0]
        lives.append(
            bench.notify.tickets.read(token, Instant(1_000_000.0, 50.0)).expires_utc_s - 1_000_000
        )
    assert sorted(lives) == [60, 12 * 3600]


def test_without_a_key_or_a_page_it_goes_out_without_a_link(tmp_path: Path) -> None:
    for sender in (SENDER, Sender("Office", ("de",), "Europe/Berlin")):
        bench = Bench(tmp_path, sender)
        bench.given("wc-1#1", "caretaker")
        assert bench.until_answered(1) == [("wc-1#1", True, "")]
        assert "/m/" not in bench.post.taken[0][1].body


def test_alarms_carry_no_signed_link(bench: Bench) -> None:
    data = {"name": "WC", "severity": "urgent"}
    bench.given("wc/leak#1", "caretaker", kind="leak", about="wc/leak", data=data)
    bench.until_answered(1)
    assert "/m/" not in bench.post.taken[0][1].body


def test_other_messages_of_control_are_heard_and_nothing_more(bench: Bench) -> None:
    for message in ({"type": "away"}, {"type": "error", "reason": "limit"}, {"type": "snapshot"}):
        bench.notify.inbox.put(message)
        bench.notify.turn(0.01)
    assert bench.panel.answers() == []


def test_it_says_again_and_again_that_it_works_and_what_it_cannot_read(
    bench: Bench, tmp_path: Path
) -> None:
    def said() -> list[object]:
        bench.notify.turn(0.0)
        found, bench.panel.said = bench.panel.said, []
        return [one.get("broken") for one in found]

    assert said() == [[["caretaker", 1]]]
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "caretaker_url").write_text("good:other", encoding="utf-8")
    assert said() == []
    bench.now += role.ALIVE_EVERY_S
    assert said() == [[]]
    bench.now += role.ALIVE_EVERY_S
    bench.panel.away = True
    assert said() == []
    bench.panel.away = False
    assert said() == [[]]  # at once


def test_a_control_that_is_back_hears_of_the_heartbeat_at_once(bench: Bench) -> None:
    bench.notify.heartbeat = lambda: {"heartbeat_ms": 5, "heartbeat_failed": False}

    def reports() -> list[object]:
        bench.notify.turn(0)
        return [one["heartbeat_ms"] for one in bench.panel.said if one["type"] == "notify"]

    assert reports() == [5]
    bench.now += 1
    assert reports() == [5]
    bench.notify.inbox.put({"type": "away"})
    assert reports() == [5, 5]


def test_what_waited_longer_than_control_does_is_not_handed_over(bench: Bench) -> None:
    """This process stood still; control sends again what is still wanted."""
    late_ms = round((bench.now - role.CONTROL_WAITS_S) * 1000) - 1
    bench.given("wc-1#1", "caretaker", monotonic_ms=late_ms)
    bench.given("wc-1#2", "caretaker", monotonic_ms=late_ms + 2)
    assert bench.until_answered(2) == [("wc-1#1", False, "timeout"), ("wc-1#2", True, "")]
    assert len(bench.post.taken) == 1


def test_at_rest_it_wakes_for_its_reports_only(bench: Bench) -> None:
    waits: list[float] = []

    class Inbox(queue.SimpleQueue[Any]):
        def get(self, block: bool = True, timeout: float | None = None) -> Any:
            assert timeout is not None
            waits.append(timeout)
            bench.now += timeout
            raise queue.Empty

    bench.notify.inbox = Inbox()
    bench.notify.trusted = lambda: True
    for _ in range(7):
        bench.notify.turn()
    assert waits == [0.0] + [role.ALIVE_EVERY_S] * 6
    bench.given("wc-1#1", "home")
    bench.notify._under_way[1] = role._Attempt("wc-1#1", "mail", bench.now + 3.0)
    bench.notify.turn()
    assert waits[-1] == pytest.approx(3.0)
    bench.panel.away = True
    bench.notify.turn()
    assert waits[-1] == role.WAIT_S


def test_it_ends_when_told_to(bench: Bench) -> None:
    stop = threading.Event()
    thread = threading.Thread(target=bench.notify.run, args=(stop,))
    thread.start()
    stop.set()
    thread.join(30)
    assert not thread.is_alive()


def test_addresses_are_not_shown(bench: Bench) -> None:
    assert "secret" not in repr(bench.notify)
