"""Addresses, the heartbeat and signed links, against servers on loopback."""

from __future__ import annotations

import logging
import os
import socket
import stat
import threading
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gateway.notify import channels
from gateway.notify.addresses import reader
from gateway.notify.heartbeat import AWAY_S, RETRY_FIRST_S, Heartbeat, call
from gateway.notify.main import NotifySettings
from gateway.notify.texts import Sender, Text
from gateway.panel.tickets import KEY_FILE, Instant, Ticket, TicketError, Tickets, make_key
from gateway.settings.values.secrets import Secret
from tests.process.sinks import Mailbox, Webhook, serving

TEXT = Text("NOTRUF: WC", "Zeile <1>\nhttps://door.example/m/a.b-c_d")


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


# --- addresses ----------------------------------------------------------------------------


def test_a_webhook_takes_it_or_refuses_it() -> None:
    hook = Webhook()
    with serving(hook):
        assert channels.send(f"json://{hook.address}/x", TEXT) == ""
        hook.status = 500
        assert channels.send(f"json://{hook.address}/x", TEXT) == "http 500"
    assert hook.posted[0]["title"] == TEXT.title
    assert hook.posted[0]["message"] == TEXT.body


def test_a_mail_keeps_its_lines_and_its_link() -> None:
    box = Mailbox()
    with serving(box):
        address = f"mailto://127.0.0.1:{box.port}?from=a@door.example&to=b@door.example"
        assert channels.send(f"{address}&mode=insecure", TEXT) == ""
    assert str(box.mails[0]["subject"]) == TEXT.title
    assert "https://door.example/m/a.b-c_d" in box.texts()[0]


def test_nobody_there_is_a_failed_connection() -> None:
    port = free_port()
    assert channels.send(f"json://127.0.0.1:{port}/x", TEXT) == "connection"
    mail = f"mailto://127.0.0.1:{port}?from=a@door.example&to=b@door.example&mode=insecure"
    assert channels.send(mail, TEXT) == "connection"


def test_an_address_that_makes_no_sense() -> None:
    assert channels.send("secretpassword", TEXT) == "address"
    assert not channels.understood("secretpassword")
    assert channels.understood("json://127.0.0.1/x")


def test_a_plugin_that_breaks_is_a_failure_without_its_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import apprise

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("json://user:password@host")

    channels.understood("json://127.0.0.1/x")  # the library is imported
    monkeypatch.setattr(apprise.Apprise, "instantiate", broken)
    assert channels.send("json://127.0.0.1/x", TEXT) == "error: RuntimeError"


def test_addresses_reach_no_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        channels.send(f"json://user:password@127.0.0.1:{free_port()}/x", TEXT)
        channels.understood("json:///user:password")
    assert "password" not in caplog.text


def test_settings_do_not_show_addresses(tmp_path: Path) -> None:
    sender = Sender("Office", ("de",), "Europe/Berlin")
    read, url = reader("json://secret"), reader("https://secret")
    shown = repr(NotifySettings(sender, tmp_path, {"a": (read,)}, (url, 60.0)))
    assert "secret" not in shown


# --- heartbeat ----------------------------------------------------------------------------


def test_a_beat_is_a_get_and_its_failure_has_a_reason() -> None:
    hook = Webhook()
    with serving(hook):
        url = f"http://{hook.address}/beat"
        assert call(url) == ""
        hook.status = 503
        assert call(url) == "http 503"
    assert hook.fetched == ["/beat", "/beat"]
    assert call(f"http://127.0.0.1:{free_port()}/") == "connection"
    assert call("http://[") == "connection"


@pytest.mark.parametrize("url", ["no address", "file:///etc/passwd"])
def test_only_web_addresses_are_called(url: str) -> None:
    assert call(url) == "address"


def test_a_beat_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.notify.heartbeat.TIMEOUT_S", 0.05)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(1)
        assert call(f"http://127.0.0.1:{silent.getsockname()[1]}/") == "timeout"


def test_it_beats_only_while_control_answers_and_backs_off() -> None:
    outcomes, told = iter(["", "http 500", "http 500", "http 500", ""]), list[str]()
    alive = [False]
    heart = Heartbeat(
        reader("http://x"),
        35.0,
        alive=lambda: alive[0],
        on_result=told.append,
        beat=lambda _url: next(outcomes),
    )
    assert heart.turn() == AWAY_S
    assert told == []
    alive[0] = True
    assert heart.report() == {}
    pauses, reports = [], []
    for _ in range(5):
        pauses.append(heart.turn())
        reports.append(heart.report())
    assert [one["heartbeat_failed"] for one in reports] == [False, True, True, True, False]
    assert len({one["heartbeat_ms"] for one in reports[:4]}) == 1
    assert reports[4]["heartbeat_ms"] >= reports[0]["heartbeat_ms"]  # type: ignore[operator]
    assert pauses == [35.0, RETRY_FIRST_S, 2 * RETRY_FIRST_S, 35.0, 35.0]
    assert told == ["", "http 500", "http 500", "http 500", ""]


def test_its_thread_beats_and_ends() -> None:
    beaten = threading.Event()
    heart = Heartbeat(
        reader("http://x"),
        0.01,
        alive=lambda: True,
        on_result=lambda _: beaten.set(),
        beat=lambda _: "",
    )
    heart.start()
    assert beaten.wait(30)
    heart.close()


def test_a_beat_whose_address_is_missing_has_failed_and_is_named(tmp_path: Path) -> None:
    file = tmp_path / "beat_url"
    told, beaten = list[str](), list[str]()

    def beat(url: str) -> str:
        beaten.append(url)
        return ""

    heart = Heartbeat(
        reader(Secret("beat_url", (tmp_path,))),
        35.0,
        alive=lambda: True,
        on_result=told.append,
        beat=beat,
    )
    with capture_logs() as logs:
        heart.turn()
        file.write_text("http://x\n")
        heart.turn()
    assert (told, beaten) == (["address", ""], ["http://x"])
    assert "there is no secret beat_url" in logs[0]["secret"]


# --- signed links -------------------------------------------------------------------------

TICKET = Ticket("care_service", "wc-1", "wc-1#3", "call", 2_000)
SIGNED = Instant(1_000.0, 300.0)
"""1000 s before the ticket's end, 300 s after the start of the machine."""
YEARS_S = 5 * 365 * 86_400


def reason(tickets: Tickets, token: str, now: Instant = SIGNED) -> str:
    with pytest.raises(TicketError) as error:
        tickets.read(token, now)
    return error.value.reason


@pytest.fixture
def tickets(tmp_path: Path) -> Tickets:
    make_key(tmp_path)
    return Tickets(tmp_path)


def test_a_ticket_is_read_as_it_was_made_until_it_expires(tickets: Tickets) -> None:
    token = tickets.make(TICKET, SIGNED)
    for now in (SIGNED, Instant(1_999.0, 1_299.0), Instant(995.0, 301.0)):
        read = tickets.read(token, now)
        assert (read, read.doubtful) == (TICKET, False)
    assert reason(tickets, token, Instant(2_000.0, 1_300.0)) == "expired"
    assert reason(tickets, token, Instant(Instant.now().utc_s, 1_300.0)) == "expired"
    fresh = Ticket("care_service", "wc-1", "wc-1#3", "call", int(Instant.now().utc_s) + 60)
    assert tickets.read(tickets.make(fresh)) == fresh


@pytest.mark.parametrize("set_by_s", [YEARS_S, -YEARS_S, 3_600])
def test_a_clock_that_is_set_neither_ends_nor_prolongs_a_ticket(
    tickets: Tickets, set_by_s: int
) -> None:
    """It was signed before the clock was set, or while it was ahead."""
    token = tickets.make(TICKET, SIGNED)
    read = tickets.read(token, Instant(1_010.0 + set_by_s, 310.0))
    assert (read, read.doubtful) == (TICKET, True)
    assert reason(tickets, token, Instant(2_000.0 + set_by_s, 1_300.0)) == "expired"
    assert reason(tickets, token, Instant(1_000.0, 1_300.0)) == "expired"  # set back once more


@pytest.mark.parametrize("set_by_s", [YEARS_S, -YEARS_S])
def test_after_a_restart_of_the_machine_it_lives_as_long_as_the_machine_is_up(
    tickets: Tickets, set_by_s: int
) -> None:
    token = tickets.make(TICKET, SIGNED)
    read = tickets.read(token, Instant(1_010.0 + set_by_s, 20.0))
    assert (read, read.doubtful) == (TICKET, True)
    good = tickets.read(token, Instant(1_100.0, 20.0))
    assert (good, good.doubtful) == (TICKET, False)
    late = Instant(1_010.0 + set_by_s, 1_300.0)
    assert reason(tickets, token, late) == "expired"


def test_no_ticket_is_asked_to_live_for_years(tickets: Tickets) -> None:
    long = Ticket("care_service", "wc-1", "wc-1#3", "call", 1_000 + YEARS_S)
    token = tickets.make(long, SIGNED)
    assert tickets.read(token, Instant(1_000.0 + 86_400, 300.0 + 86_400)) == long
    week_s = 7 * 86_400
    assert reason(tickets, token, Instant(1_000.0 + week_s, 300.0 + week_s)) == "expired"


def test_a_ticket_of_an_earlier_version_is_read_by_the_civil_clock(tickets: Tickets) -> None:
    token = str(tickets._signer().dumps(["care_service", "wc-1", "wc-1#3", "call", 2_000]))
    assert tickets.read(token, Instant(1_999.0, 10**7)) == TICKET
    assert reason(tickets, token, Instant(2_000.0, 1.0)) == "expired"
    ahead = str(tickets._signer().dumps(["care_service", "wc-1", "wc-1#3", "call", YEARS_S]))
    assert tickets.read(ahead, SIGNED).doubtful


def test_a_ticket_of_somebody_else_is_none(tmp_path: Path) -> None:
    make_key(tmp_path)
    tickets, token = Tickets(tmp_path), Tickets(tmp_path).make(TICKET, SIGNED)
    assert reason(tickets, token[:-1]) == "bad_signature"
    assert reason(tickets, "x" * 5_000) == "bad_signature"
    assert reason(tickets, "") == "bad_signature"
    (tmp_path / KEY_FILE).unlink()
    assert reason(tickets, token) == "no_key"
    make_key(tmp_path)
    assert reason(tickets, token) == "bad_signature"
    (tmp_path / KEY_FILE).write_text("\n")
    assert reason(tickets, token) == "no_key"


def test_what_is_signed_and_no_ticket_is_none(tmp_path: Path) -> None:
    make_key(tmp_path)
    tickets = Tickets(tmp_path)
    odd = str(tickets._signer().dumps(["care_service", "wc-1", "wc-1#3", "open_door", 2_000]))
    assert reason(tickets, odd) == "bad_signature"


def test_the_key_is_made_once_for_its_group_alone(tmp_path: Path) -> None:
    make_key(tmp_path)
    key = (tmp_path / KEY_FILE).read_text()
    make_key(tmp_path)
    assert (tmp_path / KEY_FILE).read_text() == key
    assert len(key) > 40
    assert stat.S_IMODE((tmp_path / KEY_FILE).stat().st_mode) == 0o640


@pytest.mark.parametrize("proxy", [None, "localhost"])
def test_the_rehearsal_reaches_nobody(monkeypatch: pytest.MonkeyPatch, proxy: str | None) -> None:
    """Not even a proxy; and leaves the environment as it was."""
    hook = Webhook()
    with serving(hook):
        monkeypatch.setenv("http_proxy", f"http://{hook.address}")
        if proxy is None:
            monkeypatch.delenv("no_proxy", raising=False)
        else:
            monkeypatch.setenv("no_proxy", proxy)
        channels.rehearse()
        assert os.environ.get("no_proxy") == proxy
    assert hook.posted == []


@pytest.mark.parametrize(
    "answer", [b"", b"\0\0\0\r\n\r\n", b"HTTP/1.1 200 " + b"x" * 70_000, b"HTTP/1.1 banana\r\n\r\n"]
)
def test_an_answer_that_is_no_http_is_a_failed_connection(answer: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as odd:

        def serve() -> None:
            sock, _ = odd.accept()
            with sock:
                sock.recv(1000)
                sock.sendall(answer)

        server = threading.Thread(target=serve)
        server.start()
        assert call(f"http://127.0.0.1:{odd.getsockname()[1]}/") == "connection"
        server.join(30)
