"""Push messages: where they may go, what they say, and what becomes of them, by the protocol."""

from __future__ import annotations

import json
import os
import queue
import socket
import stat
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.notify import push, texts
from gateway.notify.addresses import AddressError
from gateway.notify.deliveries import Deliveries
from gateway.notify.devices import Devices, PushSettings, PushWay
from gateway.notify.role import Notify
from gateway.notify.texts import Sender
from gateway.panel.tickets import Tickets
from gateway.push import endpoints, keys
from gateway.push.endpoints import EndpointError
from gateway.push.subscriptions import (
    BYTES_MOST,
    DEVICES_MOST,
    OF_ONE_MOST,
    Subscription,
    Subscriptions,
    TooManyDevices,
    read_gone,
)
from tests.notify.push_service import PushService, serving

SENDER = Sender("Rathaus", ("de", "en"), "Europe/Berlin", page="https://door.example")
RAISED = 1_714_557_600_000
GOOD = "https://fcm.googleapis.com/fcm/send/abc:def-_1"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[PushService]:
    with serving(tmp_path) as made:
        yield made


@pytest.fixture
def devices(tmp_path: Path, service: PushService) -> Devices:
    state = tmp_path / "state"
    state.mkdir()
    keys.make_key(state)
    settings = PushSettings((service.own_host,), service.ca, "it@example.org")
    return Devices(state, settings)


def add(devices: Devices, device: Subscription) -> Subscription:
    Subscriptions(devices.state).add(device)
    return device


# --- where messages may go -----------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        GOOD,
        "https://updates.push.services.mozilla.com/wpush/v2/gAAAA",
        "https://web.push.apple.com/QGp",
        "https://wns2-par02p.notify.windows.com/w/?token=BQ%3d",
        "https://FCM.GoogleAPIs.com:443/x",
    ],
)
def test_the_push_services_of_the_browsers_are_allowed(address: str) -> None:
    endpoint = endpoints.parse(address)
    assert endpoint.port == 443
    assert not endpoint.own
    assert endpoints.provider(endpoint.host)


@pytest.mark.parametrize(
    "address",
    [
        "http://fcm.googleapis.com/x",
        "ftp://fcm.googleapis.com/x",
        "//fcm.googleapis.com/x",
        "fcm.googleapis.com/x",
        "https:fcm.googleapis.com/x",
        "https:///fcm.googleapis.com/x",
        "https://user@fcm.googleapis.com/x",
        "https://user:pass@fcm.googleapis.com/x",
        "https://fcm.googleapis.com@evil.example/x",
        "https://evil.example#@fcm.googleapis.com/x",
        "https://evil.example\\@fcm.googleapis.com/x",
        "https://fcm.googleapis.com\\.evil.example/x",
        "https://fcm.googleapis.com.evil.example/x",
        "https://fcm.googleapis.com./x",
        "https://fcm.googleapis.com:/x",
        "https://fcm.googleapis.com:8443/x",
        "https://fcm.googleapis.com:0443/x",
        "https://fcm.googleapis.com:99999/x",
        "https://fcm.googleapis.com:443x/x",
        "https://evilfcm.googleapis.com/x",
        "https://push.apple.com/x",
        "https://evilpush.apple.com/x",
        "https://.push.apple.com/x",
        "https://a..push.apple.com/x",
        "https://-.push.apple.com/x",
        "https://notify.windows.com/x",
        "https://fcm.googleapis.com/x#part",
        "https://fcm.googleapıs.com/x",
        "https://fcm。googleapis。com/x",
        "https://ⓕcm.googleapis.com/x",
        "https://xn--fcm-xyz.googleapis.com/x",
        "https://fcm.googleapis.com\u200b/x",
        "https://fcm.googleapis.com%2eevil.example/x",
        "https://fcm%2egoogleapis.com/x",
        "https://fcm.googleapis.com/\r\nHost: evil",
        "https://fcm.googleapis.com/a b",
        " https://fcm.googleapis.com/x",
        "https://fcm.goo\tgleapis.com/x",
        "https://127.0.0.1/x",
        "https://127.1/x",
        "https://2130706433/x",
        "https://0x7f000001/x",
        "https://[::1]/x",
        "https://[::ffff:127.0.0.1]/x",
        "https://[fe80::1%25eth0]/x",
        "https://169.254.169.254/latest/meta-data",
        "https://192.168.1.1/x",
        "https://localhost/x",
        "https://[/x",
        "https://",
        "",
        "https://fcm.googleapis.com/" + "x" * 1_000,
    ],
)
def test_no_other_address_is_called(address: str, tmp_path: Path) -> None:
    with pytest.raises(EndpointError) as refused:
        endpoints.parse(address)
    assert "evil" not in str(refused.value)
    to: dict[str, Any] = {
        "endpoint": address, "p256dh": "x", "auth": "x", "key": "x", "mail": "x",
        "own_hosts": [], "ca": None,
    }  # fmt: skip
    assert push.send(json.dumps(to), "{}") == "address"


def test_a_host_of_the_configuration_is_allowed_with_its_port_only() -> None:
    own = ("push.example:8443", "Plain.Example")
    assert endpoints.parse("https://push.example:8443/x", own).own
    assert endpoints.parse("https://plain.example/x", own).own
    for address in ("https://push.example/x", "https://plain.example:8443/x"):
        with pytest.raises(EndpointError):
            endpoints.parse(address, own)


@pytest.mark.parametrize(
    "ip",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.0.1", "169.254.169.254", "0.0.0.0",
        "100.64.0.1", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1%eth0", "fc00::1",
        "ff02::1", "::ffff:10.0.0.1", "2002:0a00:0001::", "64:ff9b::a00:1", "no address",
    ],
)  # fmt: skip
def test_an_address_that_is_not_of_the_internet_is_known(ip: str) -> None:
    assert not push.is_public(ip)


def test_an_address_of_the_internet_is_known() -> None:
    assert push.is_public("142.250.185.74")
    assert push.is_public("2a00:1450:4001:830::200a")


@pytest.mark.parametrize("ip", ["127.0.0.1", "::1", "192.168.0.7"])
def test_a_name_that_leads_into_the_building_is_not_called(
    monkeypatch: pytest.MonkeyPatch, devices: Devices, service: PushService, ip: str
) -> None:
    """A resolver may say anything of fcm.googleapis.com."""
    asked, called = [], []

    def resolve(host: str, port: int, **_: object) -> list[Any]:
        asked.append(host)
        family = socket.AF_INET6 if ":" in ip else socket.AF_INET
        return [(family, socket.SOCK_STREAM, 6, "", (ip, service.port))]

    def call(self: socket.socket, address: object) -> None:
        called.append(address)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(socket.socket, "connect", call)
    device = service.device("a")
    to = json.loads(devices.address(device)) | {"endpoint": GOOD}
    assert push.send(json.dumps(to), "{}") == "address"
    assert asked == ["fcm.googleapis.com"]
    assert called == []


# --- one message -----------------------------------------------------------------------------


def test_the_other_side_can_read_what_was_sent(devices: Devices, service: PushService) -> None:
    device = service.device("a")
    payload = texts.push(SENDER, "call", {"room": "WC EG", "raised_utc_ms": RAISED})
    assert push.send(devices.address(device), payload) == ""
    [(path, told)] = service.heard
    assert path == "/push/a"
    assert told["title"] == "Notruf: WC EG"
    assert told["body"] == "Rathaus · 01.05., 12:00 Uhr"
    assert service.headers[0]["urgency"] == "high"


@pytest.mark.parametrize("status", [301, 307, 404, 410, 429, 500])
def test_what_it_answers_is_the_reason(devices: Devices, service: PushService, status: int) -> None:
    device = service.device("a")
    service.status["/push/a"] = status
    service.location = f"https://{service.own_host}/push/b"
    assert push.send(devices.address(device), "{}") == f"http {status}"
    assert len(service.headers) == 1  # a redirect is not followed


def test_a_certificate_of_somebody_else_is_no_connection(
    devices: Devices, service: PushService
) -> None:
    to = json.loads(devices.address(service.device("a"))) | {"ca": None}
    assert push.send(json.dumps(to), "{}") == "connection"
    assert service.heard == []


def test_nobody_there_is_no_connection(devices: Devices, service: PushService) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        to = json.loads(devices.address(service.device("a")))
        to |= {"endpoint": f"https://127.0.0.1:{port}/x", "own_hosts": [f"127.0.0.1:{port}"]}
        assert push.send(json.dumps(to), "{}") == "connection"


@pytest.mark.parametrize("broken", ["p256dh", "auth", "key"])
def test_keys_that_are_none_are_a_wrong_address(
    devices: Devices, service: PushService, broken: str
) -> None:
    to = json.loads(devices.address(service.device("a"))) | {broken: "AAAA"}
    reason = push.send(json.dumps(to), "{}")
    assert reason == "address"
    assert service.heard == []


def test_a_delivery_that_hangs_is_ended(devices: Devices, service: PushService) -> None:
    """In a process of its own, as every other message."""
    service.hangs = threading.Event()
    deliveries = Deliveries(messages=False, push=True)
    answers: queue.SimpleQueue[str] = queue.SimpleQueue()
    try:
        deliveries.push(devices.address(service.device("a")), "{}", answers.put)
        assert answers.get(timeout=60) in ("timeout", "busy")
        service.hangs.set()
        assert deliveries.wait(
            lambda done: deliveries.push(devices.address(service.device("b")), "{}", done)
        ) in ("", "timeout")
    finally:
        deliveries.close()


# --- what they say ---------------------------------------------------------------------------


def test_a_lock_screen_says_what_where_and_when_and_nothing_else() -> None:
    told = json.loads(
        texts.push(SENDER, "call_again", {"room": "WC EG", "raised_utc_ms": RAISED}, about="wc-1")
    )
    assert told == {
        "kind": "call", "title": "Notruf weiter offen: WC EG", "tag": "wc-1", "path": "/",
        "body": "Rathaus · 01.05., 12:00 Uhr", "language": "de",
    }  # fmt: skip
    alarm = {"name": "Haupteingang", "severity": "fault", "detail": "seit 3 h", "raised_utc_ms": 0}
    told = json.loads(texts.push(SENDER, "left_open", alarm))
    assert told["title"] == "Störung: Haupteingang steht offen"
    assert "3 h" not in told["body"]


@pytest.mark.parametrize("kind", sorted(texts.DISCREET))
@pytest.mark.parametrize("language", ["de", "en"])
def test_a_long_stay_says_neither_that_somebody_is_there_nor_since_when(
    kind: str, language: str
) -> None:
    sender = Sender("Rathaus", (language,), "Europe/Berlin")
    data = {"name": "WC EG", "severity": "notice", "detail": "45 min", "raised_utc_ms": RAISED}
    told = json.loads(texts.push(sender, kind, data))
    assert told["body"] == "Rathaus"
    assert told["title"] in ("Bitte nachsehen: WC EG", "Please have a look: WC EG")


def test_the_link_leads_to_this_page_only() -> None:
    told = json.loads(
        texts.push(SENDER, "call", {"room": "WC"}, link="https://door.example/m/a.b-c")
    )
    assert told["path"] == "/m/a.b-c"


# --- a way of the chain ----------------------------------------------------------------------


class Panel:
    """What the role says to control."""

    connected = True

    def __init__(self) -> None:
        self.said: list[Mapping[str, object]] = []

    def send(self, message: Mapping[str, object]) -> bool:
        self.said.append(message)
        return True

    def of(self, kind: str) -> list[Mapping[str, object]]:
        return [one for one in self.said if one["type"] == kind]


def role(devices: Devices, tmp_path: Path) -> tuple[Notify, Panel]:
    panel = Panel()

    def at_once(address: str, payload: str, done: Callable[[str], None]) -> None:
        done(push.send(address, payload))

    notify = Notify(
        SENDER, {"desk": (PushWay(devices, "staff"),)}, Tickets(tmp_path), panel, lambda *_: None
    )
    notify.push, notify.devices = at_once, devices
    return notify, panel


def send(notify: Notify, **more: Any) -> None:
    notify.inbox.put(
        {
            "type": "send", "delivery": "d1", "receiver": "desk", "channel": 0, "kind": "call",
            "about": "wc-1", "data": {"room": "WC"}, **more,
        }
    )  # fmt: skip
    while not notify.inbox.empty():
        notify.turn(0)


def test_a_message_goes_to_every_device_of_the_role(
    devices: Devices, service: PushService, tmp_path: Path
) -> None:
    for name in ("a", "b"):
        add(devices, service.device(name))
    add(devices, service.device("c", role="view"))
    notify, panel = role(devices, tmp_path)
    send(notify)
    assert sorted(path for path, _ in service.heard) == ["/push/a", "/push/b"]
    assert panel.of("delivered") == [
        {"type": "delivered", "delivery": "d1", "ok": True, "reason": "", "medium": "push"}
    ]


def test_one_device_that_takes_it_is_enough(
    devices: Devices, service: PushService, tmp_path: Path
) -> None:
    for name in ("a", "b", "c"):
        add(devices, service.device(name))
    service.status |= {"/push/a": 500, "/push/c": 429}
    notify, panel = role(devices, tmp_path)
    send(notify)
    assert [one["ok"] for one in panel.of("delivered")] == [True]


@pytest.mark.parametrize("status", [404, 410])
def test_a_device_that_is_gone_is_not_sent_to_again_and_the_way_is_broken(
    devices: Devices, service: PushService, tmp_path: Path, status: int
) -> None:
    device = add(devices, service.device("a"))
    service.status["/push/a"] = status
    notify, panel = role(devices, tmp_path)
    notify.turn(0)
    assert panel.of("notify")[-1]["broken"] == []
    send(notify)
    assert panel.of("delivered") == [
        {
            "type": "delivered", "delivery": "d1", "ok": False, "reason": f"http {status}",
            "medium": "push",
        }
    ]  # fmt: skip
    notify._alive_at = float("-inf")
    notify.turn(0)
    assert panel.of("notify")[-1]["broken"] == [["desk", 0]]
    send(notify, delivery="d2")
    assert panel.of("delivered")[-1]["reason"] == "no_device"
    assert len(service.headers) == 1
    # the page removes it, and notify has not written into its folder
    folder = Subscriptions(devices.state)
    assert [one.id for one in folder.all()] == [device.id]
    assert [one.id for one in folder.tidy(lambda _: True)] == [device.id]
    assert folder.all() == []
    # whoever registers the same browser anew, with a new key, is reached
    del service.status["/push/a"], service.browsers["/push/a"]
    add(devices, service.device("a"))
    send(notify, delivery="d3")
    assert panel.of("delivered")[-1]["ok"] is True


def test_a_restart_remembers_which_devices_are_gone(
    devices: Devices, service: PushService, tmp_path: Path
) -> None:
    device = add(devices, service.device("a"))
    devices.result(device, "http 410")
    again = Devices(devices.state, devices.settings)
    assert again.to("staff") == []
    assert read_gone(devices.state / "notify" / "gone.json") == {(device.id, device.p256dh)}


def test_devices_that_are_gone_do_not_pile_up(devices: Devices, service: PushService) -> None:
    folder = Subscriptions(devices.state)
    for number in range(5):
        device = add(devices, service.device(f"d{number}"))
        devices.result(device, "http 410")
        folder.tidy(lambda _: True)
    assert len(read_gone(devices.state / "notify" / "gone.json")) == 1


def test_a_way_without_a_device_leads_nowhere(devices: Devices, tmp_path: Path) -> None:
    with pytest.raises(AddressError, match="no device of staff"):
        PushWay(devices, "staff")()
    notify, panel = role(devices, tmp_path)
    send(notify)
    assert panel.of("delivered")[0]["reason"] == "no_device"


def test_all_devices_that_hang_are_answered_for(
    devices: Devices, service: PushService, tmp_path: Path
) -> None:
    for name in ("a", "b"):
        add(devices, service.device(name))
    notify, panel = role(devices, tmp_path)
    now = [100.0]
    notify.clock = lambda: now[0]
    notify.push = lambda *_: None
    send(notify)
    assert panel.of("delivered") == []
    now[0] += 11
    notify.turn(0)
    assert [one["reason"] for one in panel.of("delivered")] == ["timeout"]


def test_a_test_of_one_device_is_answered_to_who_asked(
    devices: Devices, service: PushService, tmp_path: Path
) -> None:
    device = add(devices, service.device("a"))
    add(devices, service.device("b"))
    notify, panel = role(devices, tmp_path)
    for id, wanted in (("t1", device.id), ("t2", "0" * 32)):
        notify.inbox.put({"type": "device_test", "id": id, "device": wanted})
    while not notify.inbox.empty():
        notify.turn(0)
    assert [path for path, _ in service.heard] == ["/push/a"]
    assert service.heard[0][1]["kind"] == "test"
    assert panel.of("device_tested") == [
        {"type": "device_tested", "id": "t2", "reason": "no_device"},
        {"type": "device_tested", "id": "t1", "reason": ""},
    ]
    assert panel.of("delivered") == []


def test_no_address_reaches_a_log(devices: Devices, service: PushService, tmp_path: Path) -> None:
    device = add(devices, service.device("geheim"))
    service.status["/push/geheim"] = 410
    notify, panel = role(devices, tmp_path)
    with capture_logs() as lines:
        send(notify)
    assert lines
    for secret in ("geheim", device.auth, device.p256dh):
        assert secret not in repr(lines) + repr(device) + repr(panel.said)


# --- what is stored --------------------------------------------------------------------------


def test_the_key_is_made_once_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        keys.make_key(tmp_path)
    finally:
        os.umask(old)
    private, public = keys.read_key(tmp_path), keys.public_key(tmp_path)
    keys.make_key(tmp_path)
    assert keys.read_key(tmp_path) == private
    assert keys.public_key(tmp_path) == public
    assert len(public) == 87
    folder = tmp_path / "notify"
    assert stat.S_IMODE((folder / "vapid.key").stat().st_mode) == 0o600
    assert stat.S_IMODE((folder / "vapid.pub").stat().st_mode) == 0o644
    assert sorted(one.name for one in folder.iterdir()) == ["vapid.key", "vapid.pub"]


def of(number: int, user_id: int = 1) -> Subscription:
    return Subscription(
        user_id, "anna", "staff", "s", "Chrome", float(number), f"{GOOD}{number}", "p", "a"
    )


def test_a_device_is_read_by_its_group_and_by_nobody_else(tmp_path: Path) -> None:
    folder = Subscriptions(tmp_path)
    old = os.umask(0)
    try:
        folder.add(of(1))
    finally:
        os.umask(old)
    [path] = folder.folder.iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert stat.S_IMODE(folder.folder.stat().st_mode) == 0o750


def test_there_are_not_more_devices_than_are_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Subscriptions(tmp_path)
    for number in range(OF_ONE_MOST):
        folder.add(of(number))
    with pytest.raises(TooManyDevices):
        folder.add(of(99))
    folder.add(of(3))  # the same one again is no further one
    monkeypatch.setattr("gateway.push.subscriptions.DEVICES_MOST", OF_ONE_MOST)
    with pytest.raises(TooManyDevices):
        folder.add(of(100, user_id=2))
    assert len(list(folder.folder.iterdir())) == OF_ONE_MOST
    assert DEVICES_MOST == 500


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"\xff", b'{"user_id": 1}', b"x" * (BYTES_MOST + 1)]
)
def test_a_damaged_file_is_no_device(tmp_path: Path, content: bytes) -> None:
    folder = Subscriptions(tmp_path)
    folder.add(of(1))
    (folder.folder / f"{'a' * 32}.json").write_bytes(content)
    (folder.folder / "cut.new").write_bytes(b"{")
    assert len(folder.all()) == 1
    folder.tidy(lambda _: True)
    assert [one.stem for one in folder.folder.iterdir()] == [of(1).id]


def test_a_file_under_the_name_of_another_device_is_none(tmp_path: Path) -> None:
    folder = Subscriptions(tmp_path)
    folder.add(of(1))
    [path] = folder.folder.iterdir()
    path.rename(folder.folder / f"{'b' * 32}.json")
    assert folder.all() == []
