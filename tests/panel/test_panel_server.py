"""The panel's server with real sockets: bounded, quick, and held up by nobody."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import pwd
import socket
import stat
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, get_args

import pytest

from gateway.core.effects import Reply, Send
from gateway.panel import client as c
from gateway.panel import messages as m
from gateway.panel import places, rights, shares
from gateway.panel import server as s
from gateway.panel.client import ControlAway, NotTaken, PanelClient, ask, command, snapshot

MAY_BE = rights.may_be
ME = pwd.getpwuid(os.getuid()).pw_name


class Desk:
    """A handler with behaviour: it remembers, and answers commands when it is told to."""

    def __init__(self) -> None:
        self.commands: list[m.CommandMessage] = []
        self.news: list[m.Message] = []
        self.left: list[str] = []
        self.state: dict[str, object] = {"n": 0}
        self.refuses = ""
        self.on_command: Callable[[m.CommandMessage], None] = lambda message: None
        self.snapshots = 0

    def command(self, message: m.CommandMessage) -> str:
        self.commands.append(message)
        if not self.refuses:
            self.on_command(message)
        return self.refuses

    def told(self, message: m.Message) -> None:
        self.news.append(message)

    def bench(self, message: m.Bench, answer: Callable[[Mapping[str, object]], None]) -> None:
        answer({"did": message.do})

    def snapshot(self) -> Mapping[str, object]:
        self.snapshots += 1
        return dict(self.state)

    def settings(
        self, message: m.SettingsAsked, answer: Callable[[Mapping[str, object]], None]
    ) -> None:
        self.news.append(message)
        answer({"status": "refused", "reason": "not_written"})

    def gone(self, role: m.Role) -> None:
        self.left.append(role)


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def panel(tmp_path: Path, desk: Desk) -> Iterator[s.Server]:
    server = s.Server(tmp_path / "panel.sock", desk)
    server.start()
    yield server
    server.close()


class Peer:
    """A client that says exactly what it is told to."""

    def __init__(self, path: Path, role: str | None = "cli") -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(30)
        self.sock.connect(str(path))
        self.lines = self.sock.makefile("rb")
        if role is not None:
            with contextlib.suppress(BrokenPipeError):  # turned away before it said a word
                self.say({"type": "hello", "role": role})

    def say(self, message: Mapping[str, object] | bytes) -> None:
        self.sock.sendall(message if isinstance(message, bytes) else m.encode(message))

    def hear(self, kind: str | None = None) -> dict[str, Any]:
        while line := self.lines.readline():
            message: dict[str, Any] = json.loads(line)
            if kind in (None, message["type"]):
                return message
        return {"type": "closed"}

    def close(self) -> None:
        self.lines.close()
        self.sock.close()


@pytest.fixture
def join(panel: s.Server, tmp_path: Path) -> Iterator[Callable[..., Peer]]:
    peers: list[Peer] = []

    def make(role: str | None = "cli") -> Peer:
        peers.append(Peer(tmp_path / "panel.sock", role))
        return peers[-1]

    yield make
    for peer in peers:
        peer.close()


def eventually(true: Callable[[], bool], within_s: float = 30.0) -> None:
    until = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.005)


def test_a_change_that_nobody_listens_to_leaves_the_thread_asleep(
    tmp_path: Path, desk: Desk
) -> None:
    """It is looked at within a second; until then a press has the interpreter for itself."""
    looks: list[float] = []

    def clock() -> float:
        looks.append(time.monotonic())
        return looks[-1]

    server = s.Server(tmp_path / "panel.sock", desk, clock=clock)
    server.start()
    try:
        eventually(lambda: desk.snapshots == 1)
        server.changed()
        eventually(lambda: desk.snapshots == 2)
        assert len(looks) < 50
    finally:
        server.close()


def opening(peer: Peer, id_: str = "c1", **changes: object) -> None:
    peer.say(command("open_door", {"door": "front"}, id=id_, actor="web:3", via="web") | changes)


def test_a_client_gets_the_snapshot_at_once(join: Callable[..., Peer]) -> None:
    assert join().hear() == {"type": "snapshot", "snapshot": {"n": 0}}


def test_only_group_and_owner_may_connect(panel: s.Server, tmp_path: Path) -> None:
    mode = stat.S_IMODE((tmp_path / "panel.sock").stat().st_mode)
    assert mode == 0o660


def test_a_stale_socket_file_is_replaced(tmp_path: Path, desk: Desk) -> None:
    old = socket.socket(socket.AF_UNIX)
    old.bind(str(tmp_path / "panel.sock"))
    old.close()
    server = s.Server(tmp_path / "panel.sock", desk)
    server.start()
    try:
        assert dict(snapshot(tmp_path / "panel.sock")) == {"n": 0}
    finally:
        server.close()


def test_a_change_is_seen(panel: s.Server, desk: Desk, join: Callable[..., Peer]) -> None:
    peer = join()
    peer.hear("snapshot")
    desk.state = {"n": 1}
    panel.changed()
    assert peer.hear("snapshot")["snapshot"] == {"n": 1}


def test_snapshots_are_at_most_twenty_a_second(
    panel: s.Server, desk: Desk, join: Callable[..., Peer]
) -> None:
    join().hear("snapshot")
    before, start = desk.snapshots, time.monotonic()
    for _ in range(300):
        panel.changed()
        time.sleep(0.001)
    # However slow the machine: the pauses between two snapshots never get shorter.
    assert desk.snapshots - before <= (time.monotonic() - start) * 20 + 2


def test_a_reply_waits_for_its_fact(panel: s.Server, desk: Desk, join: Callable[..., Peer]) -> None:
    peer = join("web")

    def serve(message: m.CommandMessage) -> None:
        panel.answered(Reply(message.command.id, "accepted"))
        panel.committed(message.command.id, "g/j/urgent/7")

    desk.on_command = serve
    opening(peer)
    assert peer.hear("reply") == {
        "type": "reply",
        "id": "c1",
        "status": "accepted",
        "reason": "",
        "fact": "g/j/urgent/7",
    }


def test_a_reply_does_not_wait_for_a_dead_disk(
    panel: s.Server, desk: Desk, join: Callable[..., Peer]
) -> None:
    peer = join("web")
    desk.on_command = lambda message: panel.answered(Reply(message.command.id, "accepted"))
    opening(peer)
    reply = peer.hear("reply")
    assert reply["fact"] is None
    assert reply["status"] == "accepted"


@pytest.mark.parametrize("padding", [0, 200_000], ids=["quick", "reads slowly"])
def test_whoever_has_an_answer_has_seen_what_the_command_did(
    panel: s.Server,
    desk: Desk,
    join: Callable[..., Peer],
    monkeypatch: pytest.MonkeyPatch,
    padding: int,
) -> None:
    """A page without a script is made once the answer is there, and never again."""
    peer = join("web")
    peer.hear("snapshot")
    monkeypatch.setattr(s, "SNAPSHOT_EVERY_S", 1.0)  # so the answers come long before the next
    monkeypatch.setattr(s, "SNAPSHOT_WITHIN_S", 3600.0)

    def serve(message: m.CommandMessage) -> None:
        desk.state = {"did": message.command.id, "padding": "x" * padding}
        panel.answered(Reply(message.command.id, "accepted"))
        panel.committed(message.command.id, None)

    desk.on_command = serve
    for id_ in ("c1", "c2", "c3"):
        opening(peer, id_)
    eventually(lambda: len(desk.commands) == 3)
    shown = ""
    for id_ in ("c1", "c2", "c3"):
        while (heard := peer.hear())["type"] == "snapshot":
            shown = heard["snapshot"]["did"]
        assert heard["id"] == id_
        assert shown >= id_


def test_a_flood_of_commands_makes_no_flood_of_snapshots(
    panel: s.Server, desk: Desk, join: Callable[..., Peer]
) -> None:
    """Each one costs the thread that opens the door its interpreter for some milliseconds."""
    desk.on_command = partial(serve, panel)
    peer = join("web")
    peer.hear("snapshot")
    before, start = desk.snapshots, time.monotonic()
    for number in range(30):
        opening(peer, f"f{number}")
    for _ in range(30):
        peer.hear("reply")
    assert desk.snapshots - before <= (time.monotonic() - start) * 20 + 2


def test_the_page_may_name_its_user_and_the_terminal_may_not(
    desk: Desk, join: Callable[..., Peer]
) -> None:
    opening(join("web"), "c1")
    opening(join("cli"), "c2")
    eventually(lambda: len(desk.commands) == 2)
    issuers = {message.command.id: message.command.issuer.name for message in desk.commands}
    assert issuers == {"c1": "web:3", "c2": f"cli:{ME}"}
    page = join("web")
    opening(page, "c3", via="cli")
    assert page.hear("error")["reason"] == "via: web does not speak for cli"


@pytest.mark.parametrize("role", ["web", "link", "notify", "record"])
def test_a_client_cannot_choose_its_role(
    desk: Desk, join: Callable[..., Peer], monkeypatch: pytest.MonkeyPatch, role: str
) -> None:
    """What a client claims was believed: any member of the group could be link or the page."""
    monkeypatch.setattr(rights, "user_name", lambda _uid: "erika")
    monkeypatch.setattr(rights, "may_be", partial(as_uid, 1001))
    peer = join(role)
    assert peer.hear("error")["reason"] == f"{role}: not the role of the user erika"
    assert peer.hear() == {"type": "closed"}
    assert desk.news == []
    opening(join("cli"))
    eventually(lambda: bool(desk.commands))


def as_uid(uid: int, role: m.Role, _uid: int, user: str, own_uid: int) -> bool:
    return MAY_BE(role, uid, user, own_uid or 990)


def test_the_user_of_a_role_has_that_role(
    desk: Desk, join: Callable[..., Peer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rights, "user_name", lambda _uid: "portier-notify")
    monkeypatch.setattr(rights, "may_be", partial(as_uid, 991))
    for other in ("link", "web", "record", "cli"):
        refused = join(other).hear("error")["reason"]
        assert refused == f"{other}: not the role of the user portier-notify"
    join("notify")
    eventually(lambda: desk.news == [m.Hello("notify")])


def test_every_message_says_whose_it_is() -> None:
    kinds = set(get_args(m.Message)) - {m.Hello}
    assert rights.SENDERS.keys() == kinds
    assert set(rights.USERS.values()) | {"cli"} == set(get_args(m.Role))


OURS: dict[str, dict[str, object]] = {
    "sent": {"type": "sent", "lane": "urgent", "seq": 1},
    "recorded": {"type": "recorded", "recorder": "main", "journal": "j", "lanes": {}},
    "link": {"type": "link", "connected": True},
    "clock": {"type": "clock", "monotonic_ms": 1, "utc_ms": 1, "trusted": True},
    "point": {
        "type": "point",
        "point": "wc.window",
        "active": True,
        "fresh": True,
        "monotonic_ms": 1,
    },
    "delivered": {"type": "delivered", "delivery": "wc-1#1", "ok": True},
    "heartbeat": {"type": "heartbeat", "ok": True},
    "notify": {"type": "notify"},
    "certificates": {"type": "certificates", "names": "page"},
    "forget": {"type": "forget", "actor": "web:1", "user": "web:3"},
    "audit": {"type": "audit", "actor": "web:1", "action": "user_add", "detail": {}},
    "settings": {"type": "settings", "id": "s", "actor": "web:1", "do": "show", "args": {}},
}


@pytest.mark.parametrize("role", ["web", "link", "notify", "record", "cli"])
@pytest.mark.parametrize("kind", OURS)
def test_a_message_is_taken_from_its_own_role_only(
    desk: Desk, join: Callable[..., Peer], kind: str, role: str
) -> None:
    message = m.parse(m.encode(OURS[kind]))
    peer = join(role)
    peer.say(OURS[kind])
    if role in rights.SENDERS[type(message)]:
        eventually(lambda: any(type(news) is type(message) for news in desk.news))
    else:
        assert peer.hear("error")["reason"].startswith("for ")
        assert not any(type(news) is type(message) for news in desk.news)


def test_a_test_of_a_device_is_answered_to_who_asked(join: Callable[..., Peer]) -> None:
    notify, asks, other = join("notify"), join("web"), join("web")
    for number, peer in enumerate((other, asks)):
        peer.say({"type": "device_test", "id": f"t{number}", "device": "d"})
    heard = [notify.hear("device_test") for _ in range(2)]
    assert {one["id"] for one in heard} == {"t0", "t1"}
    assert all(one["device"] == "d" for one in heard)
    notify.say({"type": "device_tested", "id": "t1", "reason": "http 410"})
    notify.say({"type": "device_tested", "id": "unknown", "reason": ""})
    notify.say({"type": "device_tested", "id": "t0", "reason": ""})
    answer = asks.hear("reply")
    assert (answer["id"], answer["status"], answer["reason"]) == ("t1", "refused", "http 410")
    answer = other.hear("reply")
    assert (answer["id"], answer["status"]) == ("t0", "accepted")


def test_a_test_of_a_device_is_answered_where_nobody_can_send_it(
    desk: Desk, join: Callable[..., Peer]
) -> None:
    asks = join("web")
    asks.say({"type": "device_test", "id": "t1", "device": "d"})
    assert asks.hear("reply")["reason"] == "notify_away"
    notify = join("notify")
    eventually(lambda: m.Hello("notify") in desk.news)
    asks.say({"type": "device_test", "id": "t2", "device": "d"})
    assert notify.hear("device_test")["id"] == "t2"
    notify.close()
    assert asks.hear("reply")["reason"] == "notify_away"


def test_not_more_tests_of_devices_wait_than_are_allowed(join: Callable[..., Peer]) -> None:
    join("notify")
    asks = join("web")
    for number in range(s.TESTS_MOST + 1):
        asks.say({"type": "device_test", "id": f"t{number}", "device": "d"})
    answer = asks.hear("reply")
    assert (answer["id"], answer["reason"]) == (f"t{s.TESTS_MOST}", "limit")


@pytest.mark.parametrize("role", ["link", "notify", "record", "cli"])
def test_only_the_page_asks_for_a_test_of_a_device(join: Callable[..., Peer], role: str) -> None:
    peer = join(role)
    peer.say({"type": "device_test", "id": "t", "device": "d"})
    assert peer.hear("error")["reason"] == "for web only"


@pytest.mark.parametrize("role", ["link", "web", "record", "cli"])
def test_only_notify_answers_a_test_of_a_device(join: Callable[..., Peer], role: str) -> None:
    peer = join(role)
    peer.say({"type": "device_tested", "id": "t", "reason": ""})
    assert peer.hear("error")["reason"] == "for notify only"


def test_a_person_may_speak_for_nobody_else(desk: Desk, join: Callable[..., Peer]) -> None:
    peer = join("cli")
    opening(peer, "c1")
    peer.say({"type": "audit", "actor": "web:1", "action": "user_add", "detail": {}})
    eventually(lambda: bool(desk.commands) and bool(desk.news))
    assert desk.commands[0].command.issuer.name == f"cli:{ME}"
    assert desk.news == [m.AuditNote(f"cli:{ME}", "user_add", {})]


def test_a_client_stays_what_it_has_said_that_it_is(desk: Desk, join: Callable[..., Peer]) -> None:
    peer = join("link")
    peer.say({"type": "hello", "role": "web"})
    assert peer.hear("error")["reason"] == "hello: once"
    eventually(lambda: desk.left == ["link"])


def test_the_clock_is_reported_by_those_who_ask_the_time_service(
    desk: Desk, join: Callable[..., Peer]
) -> None:
    told = {"type": "clock", "trusted": True, "utc_ms": 1, "monotonic_ms": 1, "role": "web"}
    for role in m.CLOCK_ROLES:
        join(role).say(told)
        eventually(lambda role=role: m.ClockTold(True, 1, 1, role) in desk.news)  # type: ignore[misc]
    for role in ("cli", "record"):
        peer = join(role)
        peer.say(told)
        assert "only" in peer.hear("error")["reason"]
    assert len([one for one in desk.news if isinstance(one, m.ClockTold)]) == 3


def test_a_command_cannot_live_for_long(desk: Desk, join: Callable[..., Peer]) -> None:
    opening(join(), expires_monotonic_ms=2**50)
    eventually(lambda: bool(desk.commands))
    now_ms = time.monotonic_ns() // 1_000_000
    assert desk.commands[0].command.expires_ms <= now_ms + m.MAX_LIFE_MS


def test_the_same_id_twice_is_refused(desk: Desk, join: Callable[..., Peer]) -> None:
    peer = join()
    opening(peer)
    opening(peer)
    reply = peer.hear("reply")
    assert (reply["status"], reply["reason"]) == ("refused", "duplicate")
    assert len(desk.commands) == 1


def test_a_full_inbox_refuses(desk: Desk, join: Callable[..., Peer]) -> None:
    desk.refuses = "limit"
    peer = join()
    opening(peer)
    assert peer.hear("reply")["reason"] == "limit"


def test_one_client_cannot_pile_up_commands(desk: Desk, join: Callable[..., Peer]) -> None:
    peer = join("web")
    for number in range(shares.WAITING_MOST + 1):
        opening(peer, f"c{number}", actor=f"web:{number}")
    assert peer.hear("reply")["reason"] == "limit"
    assert len(desk.commands) == shares.WAITING_MOST


def test_nor_can_one_person_of_a_client(desk: Desk, join: Callable[..., Peer]) -> None:
    peer = join("web")
    for number in range(shares.PERSON_WAITING_MOST + 1):
        opening(peer, f"c{number}", actor="web:1")
    assert peer.hear("reply")["reason"] == "limit"
    assert len(desk.commands) == shares.PERSON_WAITING_MOST


@pytest.mark.parametrize(
    "nonsense", [b"open the door\n", b'{"type":"sent"}\n', b"\0" * 70_000, b'{"type":"hello"}\n']
)
def test_nonsense_ends_the_connection(join: Callable[..., Peer], nonsense: bytes) -> None:
    peer = join()
    try:
        peer.say(nonsense)
    except OSError:
        return  # closed while it was still being sent
    try:
        assert peer.hear("error")["type"] == "error"
        assert peer.hear()["type"] == "closed"
    except ConnectionResetError:
        return  # closed with bytes of ours unread


def test_a_malformed_field_is_answered_and_the_connection_goes_on(
    desk: Desk, join: Callable[..., Peer]
) -> None:
    """A part that is newer than the other says more, or says it otherwise, and must still be
    heard with everything else."""
    peer = join("link")
    peer.say({"type": "link", "connected": True, "heard_ms": "now"})
    assert peer.hear("error") == {"type": "error", "reason": "heard_ms: an integer", "id": ""}
    peer.say({"type": "link", "connected": True, "heard_ms": 5})
    eventually(lambda: m.LinkTold(True, "", 5) in desk.news)
    opening(peer, "c7", args={"door": 3}, via="mqtt")
    assert peer.hear("error")["id"] == "c7"
    opening(peer, "c8", via="mqtt")
    eventually(lambda: [one.command.id for one in desk.commands] == ["c8"])


def test_who_does_not_say_hello_gets_nothing(desk: Desk, join: Callable[..., Peer]) -> None:
    peer = join(None)
    opening(peer)
    assert peer.hear("error")["reason"] == "say hello first"
    assert not desk.commands


def test_one_more_client_than_there_are_places_is_turned_away(join: Callable[..., Peer]) -> None:
    peers = [join() for _ in range(places.MOST[places.OWN])]
    for peer in peers:
        peer.hear("snapshot")
    assert join().hear() == {"type": "error", "reason": "limit"}
    peers[0].close()
    eventually(lambda: join().hear()["type"] == "snapshot")


def test_who_is_hung_up_on_before_it_speaks_still_learns_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "full.sock"))
    listener.listen()

    def encode(message: Mapping[str, object]) -> bytes:
        """The server is quicker than the hello."""
        if message["type"] == "hello":
            sock, _ = listener.accept()
            sock.sendall(m.encode({"type": "error", "reason": "limit"}))
            sock.close()
        return m.encode(message)

    monkeypatch.setattr("gateway.panel.client.encode", encode)
    with listener, pytest.raises(NotTaken, match="limit"):
        ask(tmp_path / "full.sock", {"type": "command", "id": "a"})


def test_a_client_that_does_not_read_holds_nobody_up(
    panel: s.Server, desk: Desk, join: Callable[..., Peer]
) -> None:
    lazy, keen = join(), join()
    keen.hear("snapshot")
    desk.state = {"n": 0, "padding": "x" * 200_000}
    for number in range(1, 12):
        desk.state = {**desk.state, "n": number}
        panel.changed()
        while keen.hear("snapshot")["snapshot"]["n"] != number:
            pass
    # The lazy one now reads: what was on its way, and then the newest, not all of them.
    seen: list[int] = []
    while not seen or seen[-1] != 11:
        seen.append(lazy.hear("snapshot")["snapshot"]["n"])
    assert len(seen) <= 5


def test_the_last_of_a_role_to_go_is_noticed(desk: Desk, join: Callable[..., Peer]) -> None:
    first, second = join("link"), join("link")
    first.hear("snapshot")
    second.hear("snapshot")
    first.close()
    second.close()
    eventually(lambda: bool(desk.left))
    assert desk.left == ["link"]


def test_rows_are_announced(panel: s.Server, join: Callable[..., Peer]) -> None:
    peer = join("link")
    peer.hear("snapshot")
    panel.rows("j", 7)
    assert peer.hear("rows") == {"type": "rows", "journal": "j", "head": 7}
    late = join("link")
    assert late.hear("rows")["head"] == 7


def test_the_bench_answers(join: Callable[..., Peer]) -> None:
    peer = join()
    peer.say({"type": "bench", "id": "b1", "do": "press", "point": "p"})
    assert peer.hear("bench") == {"type": "bench", "id": "b1", "result": {"did": "press"}}


def test_a_command_is_never_kept_for_later(tmp_path: Path) -> None:
    client = PanelClient(tmp_path / "panel.sock", "web", lambda message: None)
    assert client.send({"type": "hello", "role": "web"}) is False
    with pytest.raises(ControlAway):
        ask(tmp_path / "panel.sock", {"id": "1", "type": "bench", "do": "show"})


def test_a_client_comes_back_by_itself(tmp_path: Path) -> None:
    heard: list[str] = []
    got = threading.Condition()

    def hear(message: dict[str, Any]) -> None:
        with got:
            heard.append(message["type"])
            got.notify_all()

    def wait_for(*kinds: str) -> None:
        with got:
            assert got.wait_for(lambda: tuple(heard[: len(kinds)]) == kinds, 30)

    client = PanelClient(tmp_path / "panel.sock", "web", hear)
    first = s.Server(tmp_path / "panel.sock", Desk())
    first.start()
    client.start()
    try:
        wait_for("snapshot")
        first.close()
        wait_for("snapshot", "away")
        second = s.Server(tmp_path / "panel.sock", Desk())
        second.start()
        wait_for("snapshot", "away", "snapshot")
        second.close()
    finally:
        client.close()


# --- messages to people -------------------------------------------------------------------

SEND = Send("wc-1#1", "caretaker", 0, "call", "wc-1", {"room": "WC"})


def test_a_message_goes_to_notify_and_its_answer_comes_back(
    panel: s.Server, desk: Desk, join: Callable[..., Peer]
) -> None:
    page, notify = join("web"), join("notify")
    page.hear("snapshot")
    eventually(lambda: m.Hello("notify") in desk.news)
    panel.send(SEND)
    heard = notify.hear()
    age_ms = time.monotonic_ns() // 1_000_000 - heard.pop("monotonic_ms")
    assert 0 <= age_ms < 60_000
    assert heard == {
        "type": "send",
        "delivery": "wc-1#1",
        "receiver": "caretaker",
        "channel": 0,
        "kind": "call",
        "about": "wc-1",
        "data": {"room": "WC"},
    }
    notify.say({"type": "delivered", "delivery": "wc-1#1", "ok": False, "reason": "http 500"})
    eventually(lambda: m.DeliveredTold("wc-1#1", False, "http 500") in desk.news)
    notify.say({"type": "heartbeat", "ok": True})
    eventually(lambda: m.HeartbeatTold(True, "") in desk.news)


def test_without_notify_a_message_has_failed_at_once(
    panel: s.Server, desk: Desk, join: Callable[..., Peer]
) -> None:
    join("web").hear("snapshot")
    panel.send(SEND)
    eventually(lambda: m.DeliveredTold("wc-1#1", False, "notify_away") in desk.news)


def test_notify_hears_of_messages_only(
    panel: s.Server, desk: Desk, join: Callable[..., Peer]
) -> None:
    notify = join("notify")
    eventually(lambda: m.Hello("notify") in desk.news)
    panel.rows("journal", 5)
    panel.changed()
    panel.send(SEND)
    assert notify.hear()["type"] == "send"
    notify.close()
    eventually(lambda: desk.left == ["notify"])


@pytest.mark.parametrize("message", [{"type": "delivered", "delivery": "x"}, {"type": "heartbeat"}])
def test_nobody_else_answers_for_notify(
    message: dict[str, object], desk: Desk, join: Callable[..., Peer]
) -> None:
    page = join("web")
    page.say({**message, "ok": True})
    assert page.hear("error")["reason"] == "for notify only"
    assert desk.news == []


@pytest.mark.parametrize(("role", "taken"), [("web", True), ("notify", False), ("link", False)])
def test_only_the_page_speaks_for_the_link_of_a_message(
    role: str, taken: bool, desk: Desk, join: Callable[..., Peer]
) -> None:
    peer = join(role)
    actor, args = "link:caretaker", {"call": "wc-1"}
    peer.say(command("acknowledge_call", args, id="c", actor=actor, via="link"))
    if taken:
        eventually(lambda: len(desk.commands) == 1)
        assert desk.commands[0].command.issuer.name == "link:caretaker"
    else:
        assert peer.hear("error")["reason"].startswith(("via: ", "for "))


# --- one client costs no other ------------------------------------------------------------


def test_a_client_that_floods_is_read_more_slowly_and_nobody_else_is(
    panel: s.Server, desk: Desk, join: Callable[..., Peer]
) -> None:
    flood, other = join("link"), join("web")
    line = m.encode({"type": "sent", "lane": "urgent", "seq": 1})
    flood.sock.setblocking(False)
    began = time.monotonic()
    with contextlib.suppress(BlockingIOError):  # then its socket is full: it has to wait
        while True:
            flood.sock.send(line * 100)
    other.hear("snapshot")
    opening(other)
    eventually(lambda: bool(desk.commands))
    taken = len(desk.news)
    assert taken <= s.LINES_BURST + (time.monotonic() - began) * s.LINES_PER_S + 1
    eventually(lambda: len(desk.news) > taken)  # nothing of it is lost


@pytest.fixture
def slowly_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has used up what is allowed at once: a busy machine would else be no flood."""
    monkeypatch.setattr(shares, "PER_S", 0.01)
    monkeypatch.setattr(shares, "PERSON_PER_S", 0.01)


@pytest.mark.usefixtures("slowly_again")
@pytest.mark.thorough
def test_commands_of_a_client_that_floods_are_refused(
    panel: s.Server, desk: Desk, join: Callable[..., Peer]
) -> None:
    desk.on_command = partial(serve, panel)
    flood, other = join("web"), join("web")
    reasons = []
    for number in range(int(shares.BURST) + 2):
        opening(flood, f"f{number}", actor=f"web:{number}")
        reasons.append(flood.hear("reply")["reason"])
        if reasons[-1]:
            break
    assert reasons[-1] == "limit"
    opening(other)
    assert other.hear("reply")["status"] == "accepted"


def serve(panel: s.Server, message: m.CommandMessage) -> None:
    panel.answered(Reply(message.command.id, "accepted"))
    panel.committed(message.command.id, None)


FLOODS = {
    "open_door": {"door": "front"},
    "acknowledge_call": {"call": "nope"},
    "acknowledge_alarm": {"alarm": "nope"},
}


@pytest.mark.usefixtures("slowly_again")
@pytest.mark.parametrize("name", FLOODS)
def test_a_person_who_floods_starves_no_other_of_the_same_client(
    panel: s.Server, desk: Desk, join: Callable[..., Peer], name: str
) -> None:
    """The page is one client for everybody who is logged in."""
    desk.on_command = partial(serve, panel)
    page = join("web")
    refused = 0
    for number in range(int(shares.PERSON_BURST) + 2):
        one = command(name, FLOODS[name], id=f"f{number}", actor="web:7", via="web")
        page.say(one)
        refused += page.hear("reply")["reason"] == "limit"
    assert refused
    for other, args in FLOODS.items():
        page.say(command(other, args, id=f"good-{other}", actor="web:1", via="web"))
        assert page.hear("reply")["status"] == "accepted"


def test_many_who_flood_with_anything_else_leave_doors_and_calls_alone(
    panel: s.Server, desk: Desk, join: Callable[..., Peer]
) -> None:
    """Nobody answers them, and all that the client may have is taken."""
    page = join("web")
    args = {"alarm": "nope"}
    for number in range(shares.WAITING_MOST + 1):
        who = f"web:{number}"
        page.say(command("acknowledge_alarm", args, id=f"f{number}", actor=who, via="web"))
    assert page.hear("reply")["reason"] == "limit"
    desk.on_command = partial(serve, panel)
    for name in ("open_door", "acknowledge_call"):
        page.say(command(name, FLOODS[name], id=name, actor="web:1", via="web"))
        assert page.hear("reply")["status"] == "accepted"


# --- places -------------------------------------------------------------------------------


@pytest.fixture
def join_as(
    join: Callable[..., Peer], monkeypatch: pytest.MonkeyPatch
) -> Callable[[int, str, str | None], Peer]:
    """Connects as another user, as the kernel would say it."""
    names: dict[int, str] = {}
    coming: deque[int] = deque()
    monkeypatch.setattr(s, "_uid_of", lambda sock: coming.popleft())
    monkeypatch.setattr(rights, "user_name", lambda uid: names.get(uid, ME))

    def make(uid: int, name: str, role: str | None) -> Peer:
        names[uid] = name
        coming.append(uid)  # they are let in in the order in which they come
        peer = join(role)
        eventually(lambda: not coming)
        return peer

    return make


@pytest.mark.parametrize("hello", ["cli", None])
def test_no_person_takes_the_places_of_a_role_or_of_all_others(
    panel: s.Server, join_as: Callable[[int, str, str | None], Peer], hello: str | None
) -> None:
    """Who grabs whatever place is free, with a word or without, has a few of those of people."""
    for uid in (1001, 1002, 1003):
        for _ in range(places.PERSON_MOST + 2):
            join_as(uid, f"user{uid}", hello)
    eventually(lambda: len(panel._clients) == places.MOST[places.PEOPLE])
    of = [client.uid for client in panel._clients.values()]
    assert {of.count(uid) for uid in of} == {places.PERSON_MOST}
    for uid, (user, role) in enumerate(rights.USERS.items(), 2001):
        peer = join_as(uid, user, role)
        if role != "notify":
            assert peer.hear()["type"] == "snapshot"
            continue
        eventually(lambda: any(one.role == "notify" for one in [*panel._clients.values()]))
        panel.send(Send("d1", "caretaker", 0, "call", "wc", {}))
        assert peer.hear("send")["delivery"] == "d1"
    assert join_as(0, "root", "cli").hear()["type"] == "snapshot"


@pytest.mark.parametrize("grabbed", ["cli", "web", "link", "record", None])
def test_where_all_are_one_user_each_role_has_places_too(
    panel: s.Server, desk: Desk, join: Callable[..., Peer], grabbed: str | None
) -> None:
    """Also those who never say what they are are in nobody's way: the first of them leaves."""
    held = [join(grabbed) for _ in range(places.ALL)]
    notify = join("notify")
    eventually(lambda: any(isinstance(one, m.Hello) for one in desk.news))
    panel.send(Send("d1", "caretaker", 0, "call", "wc", {}))
    assert notify.hear("send")["delivery"] == "d1"
    assert len(held) == places.ALL


def test_who_says_nothing_is_closed_in_time(
    tmp_path: Path, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    server = s.Server(tmp_path / "panel.sock", desk, clock=lambda: now[0])
    server.start()
    try:
        silent = Peer(tmp_path / "panel.sock", None)
        eventually(lambda: len(server._clients) == 1)
        now[0] = s.HELLO_WITHIN_S + 1
        server.changed()
        assert silent.hear() == {"type": "closed"}
        silent.close()
    finally:
        server.close()


def test_a_mistake_that_one_client_finds_ends_that_client_only(
    desk: Desk, join: Callable[..., Peer], capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(message: m.CommandMessage) -> None:
        raise LookupError("a mistake of ours")

    bad, good = join("web"), join("web")
    good.hear("snapshot")
    desk.on_command = fail
    opening(bad)
    bad.hear("nothing")
    assert "a mistake of ours" in capsys.readouterr().err
    desk.on_command = lambda message: None
    opening(good, "c2")
    eventually(lambda: desk.commands[-1].command.id == "c2")


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENOMEM, errno.ENOBUFS, errno.EPERM])
@pytest.mark.parametrize("where", ["accept", "let_in"])
def test_who_cannot_be_let_in_now_is_let_in_later(
    tmp_path: Path, desk: Desk, monkeypatch: pytest.MonkeyPatch, where: str, number: int
) -> None:
    """Out of descriptors or memory: it is not tried without a pause, and never given up."""
    tries: list[int] = []

    class Listener(socket.socket):
        def accept(self) -> tuple[socket.socket, Any]:
            tries.append(number)
            if where == "accept" and len(tries) == 1:
                raise OSError(number, "no")
            return super().accept()

    monkeypatch.setattr(s, "ACCEPT_AGAIN_S", 0.01)
    server = s.Server(tmp_path / "panel.sock", desk)
    server._listener.close()
    server._listener = Listener(socket.AF_UNIX)
    let_in = server._let_in

    def refuse(sock: socket.socket) -> None:
        monkeypatch.setattr(server, "_let_in", let_in)
        raise OSError(number, "no")

    if where == "let_in":
        monkeypatch.setattr(server, "_let_in", refuse)
    server.start()
    try:
        first = Peer(tmp_path / "panel.sock", None)
        if where == "let_in":
            with contextlib.suppress(ConnectionResetError):
                assert first.hear()["type"] == "closed"
            first.close()
            first = Peer(tmp_path / "panel.sock", None)
        first.say({"type": "hello", "role": "cli"})
        assert first.hear()["type"] == "snapshot"
        first.close()
        assert len(tries) < 10
    finally:
        server.close()


def test_what_cannot_listen_holds_nothing(tmp_path: Path, desk: Desk) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(10):
        server = s.Server(tmp_path / "nowhere" / "panel.sock", desk)
        with pytest.raises(OSError, match="No such file"):
            server.listen()
    assert len(os.listdir("/proc/self/fd")) == before


# --- long paths ---------------------------------------------------------------------------


@pytest.mark.parametrize("length", [106, 107, 108, 109, 128, 255, 1000])
def test_a_panel_works_wherever_its_folder_lies(tmp_path: Path, desk: Desk, length: int) -> None:
    """The address of a Unix socket ends at 107 bytes; the path of a folder does not."""
    folder = tmp_path
    while (missing := length - len(str(folder / "panel.sock"))) > 0:
        folder /= "ä" if missing == 3 else "d" * max(1, min(missing - 1, 200))
    folder.mkdir(parents=True, exist_ok=True)
    server = s.Server(folder / "panel.sock", desk)
    server.start()
    came = threading.Event()
    client = PanelClient(folder / "panel.sock", "link", lambda message: came.set())
    try:
        assert dict(snapshot(folder / "panel.sock")) == {"n": 0}
        client.start()
        assert came.wait(30)
        assert stat.S_IMODE((folder / "panel.sock").stat().st_mode) == 0o660
    finally:
        client.close()
        server.close()
    assert not (folder / "panel.sock").exists()


# --- the end ------------------------------------------------------------------------------


@pytest.mark.parametrize("reason", ["reload", "stop"])
@pytest.mark.parametrize("role", ["cli", "web", "link", "notify", "record"])
def test_everybody_hears_that_it_ends(
    panel: s.Server, join: Callable[..., Peer], role: str, reason: str
) -> None:
    peer = join(role)
    eventually(lambda: any(c.role == role for c in panel._clients.values()))
    panel.announce(reason)  # type: ignore[arg-type]  # one of both
    panel.close()
    assert peer.hear("closing") == {"type": "closing", "reason": reason}
    assert peer.hear() == {"type": "closed"}


def test_who_comes_after_the_announcement_hears_it_too(
    panel: s.Server, join: Callable[..., Peer]
) -> None:
    panel.announce("reload")
    assert join().hear("closing")["reason"] == "reload"


# --- a control that hangs -----------------------------------------------------------------


@pytest.fixture
def hung(tmp_path: Path) -> Iterator[Path]:
    """Somebody lets clients in, and neither reads nor says anything."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "hung.sock"))
        listener.listen()
        yield tmp_path / "hung.sock"


def test_a_control_that_says_nothing_is_away(hung: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(c, "SILENT_S", 0.1)
    came: list[object] = []
    away = threading.Event()

    def hear(message: dict[str, Any]) -> None:
        came.append(message)
        away.set()

    client = PanelClient(hung, "link", hear)
    client.start()
    try:
        assert away.wait(30)
        assert came[0] == {"type": "away"}
    finally:
        client.close()


def test_a_control_that_takes_nothing_holds_nobody_up(
    hung: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(c, "SEND_WITHIN_S", 0.1)
    client = PanelClient(hung, "notify", lambda message: None)
    client.start()
    try:
        eventually(lambda: client.connected)
        eventually(lambda: not client.send({"type": "x", "filling": "x" * 60_000}))
    finally:
        client.close()


@pytest.mark.parametrize("line", [b"[1]\n", b"no json\n", b"[" * 100_000 + b"\n", b"\xff\n"])
def test_what_is_no_message_is_cut_off_and_the_client_comes_back(
    tmp_path: Path, line: bytes
) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "odd.sock"))
        listener.listen()
        came: list[dict[str, Any]] = []
        client = PanelClient(tmp_path / "odd.sock", "link", came.append)
        client.start()
        try:
            for _ in range(2):
                sock, _ = listener.accept()
                with sock:
                    sock.sendall(line)
                    eventually(lambda: bool(came))
                assert came.pop(0) == {"type": "away"}
        finally:
            client.close()
