"""A green is an observation, with real processes: a door that stays closed, messages that nobody
gets, a control that is killed, and one that hangs."""

from __future__ import annotations

import contextlib
import http.client
import json
import signal
from typing import Any

import pytest

from gateway.web.identity.users import Users, users_file
from tests.process.parts import BUILDING, House, until
from tests.process.parts_mqtt import free_port
from tests.process.sinks import Webhook, serving

pytestmark = pytest.mark.process

ROOM = """
gateway: {id: test, name: Test building, bench: true}
points:
  wc.cord: {driver: simulated_contact, wiring: normally_closed}
  wc.cancel: {driver: simulated_contact}
  wc.lamp: {driver: simulated_relay, max_on: unlimited}
rooms:
  wc: {name: WC, cord: [wc.cord], cancel: wc.cancel, lamp: wc.lamp@CHAIN@}
"""
CONTACT = """
contacts:
  reception: {channels: [!secret reception]}
escalations:
  care: [{after: 0 s, notify: reception}]
"""
TOLD = ROOM.replace("@CHAIN@", ", escalation: care") + CONTACT


def value(place: House, name: str) -> tuple[str, str]:
    found = place.snapshot()["guarantees"][name]
    return found["value"], found["reason"]


def secret(place: House, address: str) -> None:
    folder = place.config.parent / "secrets"
    folder.mkdir(exist_ok=True)
    (folder / "reception").write_text(address + "\n")


# --- doors ------------------------------------------------------------------------------------


def test_a_door_that_stays_closed_is_no_door_that_opens(place: House) -> None:
    """The leaf does not follow the activation: did_not_open stands until it opens."""
    stuck = BUILDING.replace(", follows: front.activation", "")
    assert stuck != BUILDING
    place.config.write_text(
        stuck.replace("left_open_after", "opens_within: 300 ms\n    left_open_after")
    )
    place.control()
    until(lambda: value(place, "door_by_button") == ("yes", ""))
    until(lambda: value(place, "door_by_staff") == ("yes", ""))
    place.bench("press", point="front.button")
    until(lambda: value(place, "door_by_button") == ("no", "did_not_open"))
    assert value(place, "door_by_staff") == ("no", "did_not_open")
    alarm = place.snapshot()["alarms"][0]["id"]
    assert place.command("acknowledge_alarm", alarm=alarm)["status"] == "accepted"
    assert value(place, "door_by_button") == ("no", "did_not_open")


# --- messages ---------------------------------------------------------------------------------


def test_a_bench_without_contacts_says_that_nobody_is_told_and_is_no_fault(place: House) -> None:
    place.config.write_text(ROOM.replace("@CHAIN@", ""))
    place.control()
    until(lambda: value(place, "call") == ("yes", ""))
    assert value(place, "messages") == ("not_configured", "bench")


def test_a_call_that_nobody_is_told_of_is_not_announced(place: House) -> None:
    """Also on a bench, as soon as somebody there has a chain."""
    secret(place, "json://127.0.0.1:1/")
    config = ROOM.replace("@CHAIN@", "") + CONTACT + "alarms: {fault: care}\n"
    place.config.write_text(config)
    place.control()
    until(lambda: value(place, "call") == ("yes", ""))
    assert value(place, "messages") == ("no", "no_contact")


def test_a_contact_proves_nothing_before_a_message_arrived_and_that_survives_a_restart(
    place: House,
) -> None:
    place.config.write_text(TOLD)
    hook = Webhook()
    secret(place, f"json://{hook.address}/reception")
    control = place.control()
    assert value(place, "messages") == ("no", "notify_away")
    place.run("notify")
    until(lambda: value(place, "messages") == ("unknown", "no_delivery"))
    with serving(hook):
        place.bench("press", point="wc.cord", for_ms=500)
        until(lambda: value(place, "messages") == ("yes", ""))
        assert hook.posted
    control.popen.send_signal(signal.SIGKILL)
    control.wait()
    place.control()
    until(lambda: value(place, "messages") == ("yes", ""))


def test_a_contact_whose_address_does_not_answer_is_no_contact(place: House) -> None:
    place.config.write_text(TOLD)
    secret(place, f"json://127.0.0.1:{free_port()}/nobody")
    place.control()
    place.run("notify")
    until(lambda: value(place, "messages") == ("unknown", "no_delivery"))
    place.bench("press", point="wc.cord", for_ms=500)
    until(lambda: value(place, "messages")[0] == "no")


# --- without control --------------------------------------------------------------------------


class Page:
    """The page of a house, for programs."""

    def __init__(self, place: House, port: int) -> None:
        self._port = port
        users = Users(users_file(place.state))
        self._headers = {"Authorization": f"Bearer {users.add_token('test', 'view', 1, 'test')}"}
        users.close()

    def get(self, path: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        with contextlib.closing(connection):
            connection.request("GET", path, headers=self._headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def values(self) -> dict[str, str]:
        found: list[dict[str, Any]] = json.loads(self.get("/api/v1/guarantees")[1])
        return {one["name"]: one["value"] for one in found}


@pytest.fixture
def page(place: House) -> Page:
    port = free_port()
    place.config.write_text(f"{BUILDING}web: {{listen: 127.0.0.1:{port}}}\n")
    place.control()
    web = place.run("web")
    until(lambda: web.said("First log-in"))
    made = Page(place, port)

    def up() -> bool:
        with contextlib.suppress(OSError):
            return made.get("/health/ready")[0] == 200
        return False

    until(up)
    return made


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "hanging"])
def test_without_control_the_page_knows_nothing(place: House, page: Page, end: int) -> None:
    """A process that hangs keeps its sockets open: only its silence tells."""
    until(lambda: page.values()["door_by_button"] == "yes")
    assert 'portier_guarantee{name="door_by_button"} 1.0' in page.get("/metrics")[1]
    control = place.processes[0].popen
    control.send_signal(end)
    until(lambda: set(page.values().values()) == {"unknown"})
    numbers = page.get("/metrics")[1]
    assert "portier_connected 0.0" in numbers
    assert "portier_guarantee{" not in numbers
    assert "portier_door_open{" not in numbers
    assert page.get("/health/ready")[0] == 503
    if end == signal.SIGSTOP:
        control.send_signal(signal.SIGCONT)
        until(lambda: page.values()["door_by_button"] == "yes")
