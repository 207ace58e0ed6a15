"""The whole service chain: control and notify as processes, a webhook and a mail server."""

from __future__ import annotations

import contextlib
import http.client
import re
import signal
from typing import Any

import pytest

from gateway.panel.tickets import Tickets
from tests.process.parts import House, Process, until
from tests.process.parts_mqtt import free_port
from tests.process.sinks import Mailbox, Webhook, serving

pytestmark = pytest.mark.process

SUNDAY_NIGHT = "2026-03-01T02:00:00+01:00"
CHAIN = """
gateway: {id: test, name: Geschäftsstelle, holidays: DE-SN, bench: true}
points:
  wc.cord: {driver: simulated_contact, wiring: normally_closed}
  wc.cancel: {driver: simulated_contact}
  wc.presence: {driver: simulated_contact}
  wc.lamp: {driver: simulated_relay, max_on: unlimited}
  wc.sounder: {driver: simulated_relay, max_on: unlimited}
rooms:
  wc:
    name: Barrierefreies WC
    cord: [wc.cord]
    cancel: wc.cancel
    presence: wc.presence
    lamp: wc.lamp
    sounder: wc.sounder
    escalation: care
    attend_within: 5 min
contacts:
  caretaker: {channels: [!secret caretaker], hours: mon-fri 08:00-16:00}
  reception: {channels: [!secret reception]}
  care_service: {channels: [!secret care_service]}
  head_office: {channels: [!secret head_office]}
escalations:
  care:
    - {after: 0 s, notify: caretaker}
    - {after: 60 s, notify: reception}
    - {after: 180 s, notify: care_service}
    - {every: 120 s, notify: head_office}
messages:
  test: {notify: [care_service], at: mon 08:00, confirm_within: 24 h}
  summary: {notify: [head_office], at: mon 07:00}
heartbeat: {url: !secret heartbeat, every: 1 s}
web: {listen: "127.0.0.1:@PORT@", public_url: "https://door.example"}
"""


def mail(port: int, to: str) -> str:
    return f"mailto://127.0.0.1:{port}?from=portier@door.example&to={to}@door.example&mode=insecure"


def write(place: House, **secrets: str) -> None:
    place.config.write_text(CHAIN.replace("@PORT@", str(free_port())))
    folder = place.config.parent / "secrets"
    folder.mkdir()
    for name, value in secrets.items():
        (folder / name).write_text(value + "\n")


def started(place: House) -> Process:
    place.control("--bench-start", SUNDAY_NIGHT)
    notify = place.run("notify")
    until(lambda: place.snapshot()["guarantees"]["messages"]["reason"] != "notify_away")
    return notify


def call(place: House) -> dict[str, Any]:
    found: dict[str, Any] = place.snapshot()["rooms"]["wc"]["call"]
    return found


def record(place: House) -> list[str]:
    """Who was told in this call, and with what result."""
    return [
        f"{one['receiver']} {one['result']} {one['reason']}".strip()
        for one in call(place)["messages"]
    ]


def travel_to(place: House, due: str) -> None:
    """Leap to just behind an instant of the call. A leap over more than that would leave the
    messages that were sent on the way unanswered for longer than the chain waits."""
    by_ms = call(place)[due] - place.snapshot()["now_ms"] + 100
    assert by_ms > 0
    place.bench("travel", by_ms=by_ms)


def press(place: House, point: str) -> None:
    place.bench("press", point=point, for_ms=200)


def by_link(place: House, token: str, method: str) -> str:
    """What a browser gets that opens the link of a message, or presses the button there."""
    port = int(re.findall(r"127\.0\.0\.1:(\d+)", place.config.read_text())[0])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, f"/m/{token}", headers={"Accept-Language": "de"})
        answer = connection.getresponse()
        assert answer.status == 200
        return answer.read().decode()
    finally:
        connection.close()


def served(place: House) -> bool:
    """Whether the page is there, and knows the building."""
    port = int(re.findall(r"127\.0\.0\.1:(\d+)", place.config.read_text())[0])
    with contextlib.suppress(OSError):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            connection.request("GET", "/health/ready")
            return connection.getresponse().status == 200
        finally:
            connection.close()
    return False


def test_a_call_on_a_sunday_night(place: House) -> None:
    """Caretaker off duty, the reception's server down, the care service answers by its link,
    nobody comes, the call is raised again, somebody comes, and it is ended in the room."""
    hook, care, reception = Webhook(), Mailbox(), Mailbox()
    down = reception.port
    reception.server_close()
    write(
        place,
        caretaker=f"json://{hook.address}/caretaker",
        reception=mail(down, "reception"),
        care_service=mail(care.port, "care"),
        head_office=f"json://{hook.address}/head",
        heartbeat=f"http://{hook.address}/beat",
    )
    with serving(hook), serving(care):
        notify = started(place)
        place.run("web")
        until(lambda: served(place), what="the page")
        place.bench("set", point="wc.cord", value=True)
        until(lambda: care.mails)
        until(lambda: record(place)[-1] == "care_service delivered")
        assert record(place) == [
            "caretaker skipped off_duty",
            "reception failed connection",
            "care_service delivered",
        ]
        assert (call(place)["state"], hook.posted) == ("raised", [])
        text = care.texts()[0]
        assert "Barrierefreies WC" in text
        assert "01.03.2026, 02:00 Uhr" in text
        assert text.index("ruft jemand um Hilfe") < text.index("calls for help")
        assert "NOTRUF: Barrierefreies WC" in str(care.mails[0]["subject"])

        place.bench("set", point="wc.cord", value=False)
        found = re.search(r"https://door\.example/m/([\w.-]+)", text)
        assert found is not None
        ticket = Tickets(place.state).read(found[1])
        assert (ticket.receiver, ticket.kind) == ("care_service", "call")
        assert "Es hat noch niemand reagiert" in by_link(place, found[1], "GET")
        assert call(place)["state"] == "raised"
        assert "Bitte gehen Sie hin" in by_link(place, found[1], "POST")
        assert "Bitte gehen Sie hin" in by_link(place, found[1], "POST")
        assert (call(place)["state"], call(place)["acknowledged_by"]) == (
            "acknowledged",
            "link:care_service",
        )

        reopened = Mailbox(down)
        with serving(reopened):
            travel_to(place, "attend_by_ms")  # nobody comes
            until(lambda: reopened.mails)
            assert "NOTRUF WEITER OFFEN" in str(reopened.mails[0]["subject"])
            assert call(place)["state"] == "raised"
            until(lambda: record(place)[3:][-1] == "reception delivered")
        travel_to(place, "next_message_ms")
        until(lambda: len(care.mails) == 2)
        until(lambda: record(place)[-1] == "care_service delivered")
        travel_to(place, "next_message_ms")
        until(lambda: hook.posted)
        assert hook.posted[0]["title"].startswith("NOTRUF WEITER OFFEN")

        press(place, "wc.presence")
        until(lambda: call(place)["state"] == "attended")
        until(lambda: record(place)[-1] == "head_office delivered")
        shown = call(place)["messages"]
        assert [one["kind"] for one in shown] == ["call"] * 3 + ["call_again"] * 4
        assert all(one["at_utc_ms"] for one in shown)
        assert call(place)["next_message_ms"] is None
        press(place, "wc.cancel")
        until(lambda: call(place)["state"] == "quiet")
        (last,) = place.snapshot()["rooms"]["wc"]["last_calls"]
        assert last["cancelled_after_ms"] >= 600_000

        kinds = ("call_raised", "call_acknowledged", "call_attended", "call_cancelled", "message")
        until(lambda: place.rows("call_cancelled"))
        told = [
            f"{row.data['receiver']} {row.data['result']}" if row.kind == "message" else row.kind
            for row in place.rows(*kinds)
        ]
        assert told == [
            "call_raised",
            "caretaker skipped",
            "reception sent",
            "reception failed",
            "care_service sent",
            "care_service delivered",
            "call_acknowledged",
            "call_raised",
            "caretaker skipped",
            "reception sent",
            "reception delivered",
            "care_service sent",
            "care_service delivered",
            "head_office sent",
            "head_office delivered",
            "call_attended",
            "call_cancelled",
        ]
        assert all(row.utc_ms is not None for row in place.rows(*kinds))
        assert hook.fetched, "the heartbeat"
        assert place.snapshot()["guarantees"]["heartbeat"]["ok"]

        notify.stop()
        until(lambda: place.snapshot()["guarantees"]["messages"]["reason"] == "notify_away")
        said = "\n".join(line for process in place.processes for line in process.lines)
        assert "json://" not in said
        assert "@door.example" not in said


def test_test_message_and_summary_on_monday(place: House) -> None:
    hook, care = Webhook(), Mailbox()
    write(
        place,
        caretaker=f"json://{hook.address}/caretaker",
        reception=f"json://{hook.address}/reception",
        care_service=mail(care.port, "care"),
        head_office=f"json://{hook.address}/head",
        heartbeat=f"http://{hook.address}/beat",
    )
    with serving(hook), serving(care):
        started(place)
        place.bench("travel", by_ms=29 * 3_600_000)
        until(lambda: hook.posted)
        assert "Die Alarmliste ist leer" in hook.posted[0]["message"]
        place.bench("travel", by_ms=3_600_000)
        until(lambda: care.mails)
        found = re.search(r"https://door\.example/m/([\w.-]+)", care.texts()[0])
        assert found is not None
        ticket = Tickets(place.state).read(found[1])
        assert (ticket.kind, ticket.delivery) == ("test", "test#1")
        until(lambda: place.rows("message")[-1].data["result"] == "delivered")
        place.bench("travel", by_ms=24 * 3_600_000)
        until(lambda: place.snapshot()["alarms"])
        (alarm,) = place.snapshot()["alarms"]
        assert (alarm["kind"], alarm["detail"]) == ("test_unconfirmed", "care_service")
        assert place.command("confirm_message", delivery=ticket.delivery)["status"] == "accepted"
        until(lambda: place.snapshot()["alarms"][0]["state"] == "cleared")


def test_a_notify_that_is_killed_is_noticed_and_the_call_reaches_people_all_the_same(
    place: House,
) -> None:
    hook = Webhook()
    to_all = {
        name: f"json://{hook.address}/{name}"
        for name in ("caretaker", "reception", "care_service", "head_office")
    }
    write(place, **to_all, heartbeat=f"http://{hook.address}/beat")
    with serving(hook):
        started(place).kill()
        until(lambda: place.snapshot()["guarantees"]["messages"]["reason"] == "notify_away")
        place.bench("set", point="wc.cord", value=True)
        until(lambda: "wc/nobody_told" in [one["id"] for one in place.snapshot()["alarms"]])
        place.run("notify")
        until(lambda: hook.posted)
        until(lambda: place.snapshot()["alarms"][0]["state"] == "cleared")


def test_a_control_that_is_killed_goes_on_where_it_was(place: House) -> None:
    hook = Webhook()
    to_all = {
        name: f"json://{hook.address}/{name}"
        for name in ("caretaker", "reception", "care_service", "head_office")
    }
    write(place, **to_all, heartbeat=f"http://{hook.address}/beat")
    with serving(hook):
        started(place)
        place.bench("set", point="wc.cord", value=True)
        until(lambda: record(place)[-1:] == ["reception delivered"])
        name = call(place)["id"]
        until(lambda: place.rows("message")[-1].data["result"] == "delivered")
        place.processes[0].popen.send_signal(signal.SIGKILL)
        place.processes[0].wait()
        place.control("--bench-start", SUNDAY_NIGHT)  # the same night once more
        assert call(place)["id"] == name
        assert record(place) == ["caretaker skipped off_duty", "reception delivered"]
        until(lambda: place.snapshot()["guarantees"]["messages"]["reason"] != "notify_away")
        assert len(hook.posted) == 1
        travel_to(place, "next_message_ms")
        until(lambda: len(hook.posted) == 2)
